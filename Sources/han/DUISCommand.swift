import ArgumentParser
import Crypto
import DCC
import DUIS
import Foundation
import Lab
import Wire

struct DUISCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "duis",
        abstract: "Make service requests, sign them, check and explain them.",
        subcommands: [
            DUISRequestCommand.self, DUISSignCommand.self, DUISVerifyCommand.self,
            DUISShowCommand.self,
        ])

    /// Bytes read of one document: the largest image and the longest list make 15 MB.
    static let maximumSize = 16 << 20

    static func read(_ path: String) throws -> [UInt8] { try Files.read(path, limit: maximumSize) }
}

/// `--keystore`, of DUIS: a folder or several.
struct XMLKeyStoreArgument: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A folder of XML signing keys; may be given several times.",
            discussion: """
                Certificates (.pem) and private keys (.key, PKCS#8). The subject says whose they \
                are, and whether a user's (OU=87) or the DSP's (OU=89).
                """, valueName: "dir"), completion: .directory)
    var keystore: [String] = []

    func validate() throws {
        guard !keystore.contains("") else { throw ValidationError("--keystore needs a folder.") }
    }

    var place: String { keystore.joined(separator: ", ") }

    /// What cannot be used is said on standard error.
    func read() throws -> XMLKeys {
        let keys: XMLKeys
        do {
            keys = try XMLKeys(folders: keystore)
        } catch {
            throw Failure(error)
        }
        Terminal(descriptor: STDERR_FILENO).write(leftOut: keys.skipped)
        return keys
    }
}

extension Failure {
    init(_ error: XMLKeyError) {
        switch error {
        case .missing: code = .missing
        case .unreadable, .unwritable, .exists: code = .io
        }
        message = error.description
    }
}

/// Who signs.
struct XMLSignerArgument: ParsableArguments {
    @OptionGroup
    var keyStore: XMLKeyStoreArgument

    @Option(
        help: ArgumentHelp(
            "The service user; needed where the key stores have keys of several.",
            valueName: "eui64"))
    var user: EUI64?

    func signer(in keys: XMLKeys) throws -> XMLSigner {
        guard !keyStore.keystore.isEmpty else {
            throw Failure(.setting, "nobody can sign: give --keystore with the user's key")
        }
        let place = keyStore.place
        if let user {
            guard let signer = keys.signer(of: user) else {
                throw Failure(.setting, "\(place): no private key with a certificate of \(user)")
            }
            return signer
        }
        let able = keys.users.compactMap { keys.signer(of: $0) }
        guard let only = able.first else {
            throw Failure(
                .setting,
                "\(place): no private key of a service user, whose certificate has OU=87")
        }
        guard able.count == 1 else {
            let names = able.compactMap { $0.id.map { "\($0)" } }
            throw Failure(.usage, "\(place): keys of \(Words.list(names)); say --user")
        }
        return only
    }
}

struct DUISSignCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sign",
        abstract: "Sign a request or a response, a template or an unsigned one.",
        discussion: """
            Prints the document with an enveloped signature: exclusive canonicalisation, \
            ECDSA-SHA256, the certificate named by issuer and serial number. Signatures that it \
            had are replaced, everything else stays as it is but for what an option changes. \
            --user may be the DSP too.
            """)

    @Argument(help: ArgumentHelp("The document.", valueName: "file"), completion: .file())
    var file: String

    @Option(
        parsing: .unconditional, help: "Put this counter into the RequestID.",
        transform: CodeArgument.read)
    var counter: CodeArgument<UInt64>?

    @Option(
        help: ArgumentHelp("Put this into the FirmwareVersion of 11.1 or 11.4.", valueName: "text"))
    var version: String?

    @OptionGroup
    var signer: XMLSignerArgument

    func run() throws {
        let bytes = try DUISCommand.read(file)
        let signer = try signer.signer(in: try signer.keyStore.read())
        do {
            let signed = try DUISSigner.sign(
                bytes, by: signer, counter: counter?.value, version: version)
            try Output.write(String(decoding: signed, as: UTF8.self))
        } catch let error as DUISWriteError {
            throw Failure(.data, "\(file): \(error)")
        }
    }
}

struct DUISVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Say who signed requests and responses, or why their signature does not hold.",
        discussion: """
            A request has to be signed by the originator of its RequestID, a response by the DSP. \
            What is not of the schema's form is refused too; with --schema the published duis.xsd \
            is applied besides. Exits 1 if any is refused.
            """)

    @Argument(help: ArgumentHelp("The documents.", valueName: "file"), completion: .file())
    var files: [String]

    @OptionGroup
    var keyStore: XMLKeyStoreArgument

    @OptionGroup
    var schema: SchemaArgument

    func run() throws {
        let keys = try keyStore.read()
        let reader = DUISReader(
            signatures: .demanded(keys), schema: try schema.read(),
            maximumSize: DUISCommand.maximumSize)
        var refused = 0
        for file in files {
            let bytes = try DUISCommand.read(file)
            do {
                let signer =
                    reader.kind(of: bytes) == .response
                    ? try reader.response(bytes).signer : try reader.request(bytes).signer
                let name = signer.map { "\($0)" } ?? "somebody whose certificate has no id"
                try Output.write("\(file): signed by \(name)\n")
            } catch let error as DUISRefusal {
                refused += 1
                try Output.write("\(file): \(DUISWords.situation(error.situation)): \(error)\n")
            }
        }
        if refused > 0 {
            throw Failure(.verdict, "\(refused) of \(files.count) refused")
        }
    }
}

/// `--schema`.
struct SchemaArgument: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The published schema, duis.xsd with what it imports beside it.", valueName: "file"),
        completion: .file(extensions: ["xsd"]))
    var schema: String?

    func read() throws -> DUISSchema? {
        guard let schema else { return nil }
        guard FileManager.default.fileExists(atPath: schema) else {
            throw Failure(FileError.missing(schema))
        }
        do {
            return try DUISSchema(path: schema)
        } catch {
            throw Failure(.data, "\(error)")
        }
    }
}

enum DUISWords {
    static func situation(_ situation: ResponseCodes.Situation) -> String {
        switch situation {
        case .unsigned: "not signed"
        case .badSignature: "bad signature"
        case .unknownCertificate: "unknown certificate"
        case .wrongSigner: "wrong signer"
        case .tooLarge: "too large"
        case .malformed: "malformed"
        default: situation.rawValue
        }
    }
}
