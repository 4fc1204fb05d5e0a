import ArgumentParser
import Foundation
import GBCS
import Lab
import Wire

struct GBCSDecodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode",
        abstract: "Explain GBCS messages field by field and check their signatures and MACs.",
        discussion: """
            Of signature and MAC it says: valid; invalid, also where the message's category \
            demands one and there is none; noKey, if the keystore lacks the key; absent. A \
            pre-command, which begins with DF and has neither, has both absent.

            Exits 1 if any signature or MAC is invalid, else 65 if any message cannot be read. A \
            payload that is not as its use case has it is said, and shown without names.

            --json prints a list of objects with the keys file (the argument), useCase, \
            messageCode, kind, originator, recipient, counter, size, signature, mac, fields \
            [{name, hex, meaning, depth}], and contentError where the payload is not as it should \
            be; for a message that cannot be read, file and error.
            """)

    @Argument(
        help: ArgumentHelp(
            "The messages: hex digits, or files with them or with bytes.",
            valueName: "hex-or-file"), completion: .file())
    var messages: [String]

    @OptionGroup
    var keyStore: KeyStoreArgument

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let keys = try keyStore.read()
        var reports: [MessageReport] = []
        for argument in messages {
            do {
                let bytes = try MessageArgument.read(argument)
                reports.append(try MessageReport(parsing: bytes, file: argument, keys: keys))
            } catch let error as MessageError {
                reports.append(MessageReport(file: argument, error: error.description))
            } catch let failure as Failure where failure.code == .data {
                reports.append(MessageReport(file: argument, error: failure.message))
            }
        }
        if json {
            try Output.json(reports)
        } else {
            var text = ""
            for report in reports {
                if !text.isEmpty { text += "\n" }
                text += report.text
            }
            if reports.count > 1 { text += "\n" + MessageReport.counts(of: reports) }
            try Output.write(text)
        }
        try conclude(reports)
    }

    private func conclude(_ reports: [MessageReport]) throws {
        let invalid = reports.filter { $0.isInvalid }
        if let first = invalid.first {
            throw Failure(
                .verdict,
                invalid.count == 1
                    ? "\(first.file): \(first.invalidity)"
                    : "\(invalid.count) messages are invalid, the first of them \(first.file)")
        }
        let unreadable = reports.filter { $0.error != nil }
        if let first = unreadable.first {
            throw Failure(
                .data,
                unreadable.count == 1
                    ? "\(first.file): no GBCS message: \(first.error ?? "")"
                    : "\(unreadable.count) messages cannot be read, the first of them \(first.file)"
            )
        }
    }
}

/// What `han gbcs decode` says of a message, in the shape of its JSON.
struct MessageReport: Encodable {
    struct Field: Encodable {
        var name: String
        var hex: String
        var meaning: String
        var depth: Int
    }

    var file: String
    var useCase: String?
    var messageCode: String?
    var kind: String?
    var originator: String?
    var recipient: String?
    var counter: UInt64?
    var size: Int?
    var signature: String?
    var mac: String?
    var fields: [Field]?
    var contentError: String?
    var error: String?

    init(file: String, error: String) {
        self.file = file
        self.error = error
    }

    init(parsing bytes: [UInt8], file: String, keys: KeyStore) throws(MessageError) {
        let message = try GBCSMessage(parsing: bytes)
        let header = message.header
        let code = header.otherInformation.messageCode
        self.file = file
        useCase = code.useCase ?? "unknown"
        messageCode = code.description
        kind = message.isPreCommand ? "pre-command" : header.kind.words
        originator = header.originator.dashed
        recipient = header.recipient.dashed
        counter = header.counter
        size = bytes.count
        signature = message.verifySignature(with: keys).rawValue
        mac = message.verifyMAC(with: keys).rawValue
        var content: MessageContent?
        do {
            content = try MessageContent(of: message)
        } catch {
            contentError = error.description
        }
        fields = message.fields(content: content).map {
            Field(name: $0.name, hex: Hex.string($0.bytes), meaning: $0.meaning, depth: $0.depth)
        }
    }

    var isInvalid: Bool { signature == "invalid" || mac == "invalid" }

    /// What is invalid, in words.
    var invalidity: String {
        [("signature", signature), ("MAC", mac)].filter { $0.1 == "invalid" }
            .map { "the \($0.0) is invalid" }.joined(separator: ", ")
    }

    /// How many bytes are shown in a line.
    private static let lineLength = 16

    var text: String {
        guard let fields else { return "\(file)\nno GBCS message: \(error ?? "")\n" }
        var text = "\(file)\n\(useCase ?? "") \(kind ?? ""), \(Output.size(size ?? 0))\n"
        var rows: [[String]] = []
        for field in fields {
            var hex = field.hex[...]
            var lines: [String] = []
            repeat {
                lines.append(String(hex.prefix(2 * Self.lineLength)))
                hex = hex.dropFirst(2 * Self.lineLength)
            } while !hex.isEmpty
            let name = String(repeating: "  ", count: field.depth + 1) + field.name
            rows.append([name, lines[0], field.meaning])
            rows += lines.dropFirst().map { ["", $0] }
        }
        text += Output.columns(rows)
        if let contentError { text += "  payload not as its use case has it: \(contentError)\n" }
        return text
            + Output.columns([
                ["  signature is", signature ?? ""], ["  MAC is", mac ?? ""],
            ])
    }

    /// The last lines of a report on several messages.
    static func counts(of reports: [MessageReport]) -> String {
        var rows = [[""] + Verdict.allCases.map(\.rawValue)]
        func row(_ name: String, _ verdict: (MessageReport) -> String?) {
            rows.append(
                [name]
                    + Verdict.allCases.map { value in
                        String(reports.count { verdict($0) == value.rawValue })
                    })
        }
        row("signature") { $0.signature }
        row("MAC") { $0.mac }
        let read = reports.count { $0.error == nil }
        var text = "\(reports.count) messages"
        if read < reports.count { text += ", \(reports.count - read) of which cannot be read" }
        let odd = reports.count { $0.contentError != nil }
        if odd > 0 { text += ", \(odd) with a payload not as its use case has it" }
        return text + "\n" + Output.columns(rows)
    }
}
