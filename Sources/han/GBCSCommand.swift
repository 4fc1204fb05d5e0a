import ArgumentParser
import Crypto
import Foundation
import GBCS
import Lab
import Wire

struct GBCSCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gbcs",
        abstract: "Explain GBCS messages, make them, sign them.",
        subcommands: [GBCSDecodeCommand.self, GBCSEncodeCommand.self, GBCSSignCommand.self])
}

/// A message on the command line: its hex digits, or a file with them or with its bytes.
enum MessageArgument {
    /// The bytes that an argument stands for.
    static func read(_ argument: String) throws -> [UInt8] {
        let isFile = FileManager.default.fileExists(atPath: argument)
        if !isFile, let digits = digits(in: Array(argument.utf8)), !digits.isEmpty {
            return try bytes(of: digits, in: "the argument")
        }
        let content = try Files.read(argument, limit: 4 * GBCSMessage.maximumSize)
        if content.first == 0xDD || content.first == 0xDF { return content }
        guard let digits = digits(in: content) else {
            throw Failure(
                .data,
                "\(argument): neither hex digits nor a message, which begins with the byte DD or DF"
            )
        }
        guard !digits.isEmpty else { throw Failure(.data, "\(argument): it holds no message") }
        return try bytes(of: digits, in: argument)
    }

    private static func bytes(of digits: [UInt8], in place: String) throws -> [UInt8] {
        guard let bytes = Hex.bytes(String(decoding: digits, as: UTF8.self)) else {
            throw Failure(
                .data, "\(place): \(digits.count) hex digits; a message has two for each byte")
        }
        return bytes
    }

    /// The hex digits in text of nothing but them, white space, and 0x before a group; nil for
    /// anything else.
    private static func digits(in text: [UInt8]) -> [UInt8]? {
        let space: Set<UInt8> = [0x20, 0x09, 0x0A, 0x0D]
        var digits: [UInt8] = []
        for word in text.split(whereSeparator: { space.contains($0) }) {
            let isPrefixed =
                word.count > 2 && word.first == 0x30 && word.dropFirst().first! | 0x20 == 0x78
            for digit in word.dropFirst(isPrefixed ? 2 : 0) {
                guard Hex.nibble(digit) != nil else { return nil }
                digits.append(digit)
            }
        }
        return digits
    }

    /// The message that an argument stands for.
    static func message(_ argument: String) throws -> GBCSMessage {
        let bytes = try read(argument)
        do {
            return try GBCSMessage(parsing: bytes)
        } catch {
            throw Failure(.data, "\(argument): no GBCS message: \(error)")
        }
    }
}

/// `--keystore`.
struct KeyStoreArgument: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A folder of certificates and keys.",
            discussion: """
                Named EUI-ds.pem or EUI-ka.key: whose key it is, and whether it signs (ds) or \
                agrees on keys (ka). PEM or DER; what the name does not say, the certificate does.
                """, valueName: "dir"), completion: .directory)
    var keystore: String?

    func validate() throws {
        guard keystore != "" else { throw ValidationError("--keystore needs a folder.") }
    }

    /// The keys; those of nobody without `--keystore`. What cannot be used is said on standard
    /// error.
    func read() throws -> KeyStore {
        guard let keystore else { return KeyStore() }
        let folder = try KeyStoreFolder(path: keystore)
        let terminal = Terminal(descriptor: STDERR_FILENO)
        terminal.write(leftOut: folder.skipped, of: keystore)
        if folder.keys.ids.isEmpty {
            terminal.write("han: \(keystore) has no key; nothing can be checked\n")
        }
        return folder.keys
    }
}

struct GBCSSignCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sign",
        abstract: "Sign a pre-command with a private key.",
        discussion: """
            Prints the signed pre-command in hex, as a user returns it to the DCC. With --mac the \
            Access Control Broker's MAC is added, for which --keystore must hold one private key \
            of the broker's and the device's two: the whole command, as a device takes it.

            The same message and key always give the same signature (RFC 6979). Where --keystore \
            has certificates of the originator, the key must be one of theirs.
            """)

    @Argument(
        help: ArgumentHelp("The pre-command: hex digits or a file.", valueName: "hex-or-file"),
        completion: .file())
    var message: String

    @Option(
        help: ArgumentHelp(
            "The originator's private digital-signing key: P-256, PKCS#8, PEM or DER.",
            valueName: "file"), completion: .file())
    var key: String

    @Flag(help: "Add the MAC.")
    var mac = false

    @OptionGroup
    var keyStore: KeyStoreArgument

    func validate() throws {
        guard !mac || keyStore.keystore != nil else {
            throw ValidationError("--mac needs --keystore with the keys for it.")
        }
    }

    func run() throws {
        let command = try MessageArgument.message(message)
        guard command.isPreCommand else {
            throw Failure(
                .data,
                "\(message): no pre-command; that is a command that begins with DF and has neither "
                    + "signature nor MAC")
        }
        let bytes = try Files.read(key, limit: KeyFiles.maximumSize)
        let privateKey: P256.PrivateKey
        do {
            privateKey = try P256.PrivateKey(pkcs8: bytes)
        } catch {
            throw Failure(.data, "\(key): no usable P-256 key: \(error)")
        }
        let keys = try keyStore.read()
        let originator = command.header.originator
        let known = keys.signingKeys(of: originator)
        guard known.isEmpty || known.contains(privateKey.publicKey) else {
            throw Failure(
                .data,
                "\(key) is not the key of the message's originator \(originator.dashed); nobody "
                    + "would take the signature")
        }
        var signed = command.signed(by: privateKey)
        if mac { signed = try signed.withMAC(from: keys, in: keyStore.keystore ?? "") }
        try Output.write(Hex.string(signed.encoded()).uppercased() + "\n")
    }
}

extension GBCSMessage {
    /// The message with its MAC, or a failure that says whose keys are missing.
    func withMAC(from keys: KeyStore, in place: String) throws -> GBCSMessage {
        if let whole = authenticated(with: keys) { return whole }
        let pairs = agreementPairs(with: keys).map {
            "\($0.0.dashed) and \($0.1.dashed)"
        }
        throw Failure(
            .setting,
            pairs.isEmpty
                ? "\(place) has no certificate of an Access Control Broker (OU=04), whose keys "
                    + "authenticate a remote party's command"
                : "\(place) has not the keys for the MAC: a private key-agreement key of one, and "
                    + "the certificate of the other, of \(pairs.joined(separator: ", or "))")
    }
}
