import ArgumentParser
import Crypto
import DUIS
import Foundation
import GBCS
import HeadEnd
import Lab
import Wire

/// `--keystore` of `han serve`: folders with keys of DUIS, of GBCS, or of both.
struct ServeKeyStoreArgument: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A folder of keys, for XML or for GBCS messages; may be given several times.",
            discussion: """
                For XML: certificates (.pem) and private keys (.key, PKCS#8) whose subject is a \
                service user (OU=87) or the DSP (OU=89). For GBCS messages: EUI-ds.pem, EUI-ka.key \
                and so on, as of 'han gbcs'. What is missing is made.
                """, valueName: "dir"), completion: .directory)
    var keystore: [String] = []

    func validate() throws {
        guard !keystore.contains("") else { throw ValidationError("--keystore needs a folder.") }
    }
}

/// The keys of a server: those of the key stores, and what a test authority makes where there are
/// none.
struct ServeKeys {
    let xml: XMLKeys
    let signer: XMLSigner
    /// Of GBCS; has each home of a plan use them.
    private let messages: KeyStore
    /// For people, where they are from.
    private(set) var words: [String] = []
    private let folder: String
    private var isOwnFolderUsed = false

    /// `own` is the folder for those that are made.
    init(_ argument: ServeKeyStoreArgument, for plan: HeadEndPlan, own: String) throws {
        folder = own
        var xml = XMLKeys()
        var messages = KeyStore()
        var problems: [String] = []
        for place in argument.keystore {
            let ofXML: XMLKeys
            do {
                ofXML = try XMLKeys(folders: [place])
            } catch {
                throw Failure(error)
            }
            let ofMessages = try KeyStoreFolder(path: place)
            guard !ofXML.entries.isEmpty || !ofMessages.keys.ids.isEmpty else {
                throw Failure(
                    .setting,
                    "--keystore: '\(place)' has no key; it is to have EUI-ds.pem, EUI-ka.key and "
                        + "so on (GBCS), or certificates and keys of service users (XML)")
            }
            words.append("\(place): \(Self.count(ofXML, ofMessages.keys))")
            // What one of the two cannot use, the other may.
            let others = Set(ofMessages.skipped.map(Self.file))
            problems += ofXML.skipped.filter { others.contains(Self.file($0)) }
            xml.add(ofXML)
            messages.add(ofMessages.keys)
        }
        let terminal = Terminal(descriptor: STDERR_FILENO)
        for problem in problems.prefix(5) { terminal.write("han: left out: \(problem)\n") }
        if problems.count > 5 { terminal.write("han: left out: \(problems.count - 5) more\n") }

        let maker = XMLKeyMaker(seed: plan.seed)
        var made: [XMLKeys.Entry] = []
        if xml.dsp == nil { made.append(maker.make(.dsp, plan.settings.id)) }
        let known = Set(xml.users)
        made += plan.settings.users.keys.filter { !known.contains($0) }.sorted().map {
            maker.make(.user, $0)
        }
        for entry in made {
            for file in XMLKeyMaker.files(of: entry) {
                try Self.write(file.bytes, to: own, as: file.name, isSecret: file.isSecret)
            }
            xml.add(entry)
        }
        isOwnFolderUsed = !made.isEmpty
        guard let signer = xml.dsp else {
            throw Failure(.setting, "--keystore: no private key of the DSP can be used")
        }
        self.xml = xml
        self.signer = signer
        self.messages = messages
    }

    /// The name of the file that a problem is about.
    private static func file(_ problem: String) -> String {
        String(problem.prefix { $0 != ":" })
    }

    /// Writes a key that is made, unless it is there from an earlier start. What somebody else has
    /// put there is not written over.
    private static func write(
        _ bytes: [UInt8], to folder: String, as name: String, isSecret: Bool
    ) throws {
        try? FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        let path = "\(folder)/\(name)"
        guard let there = try? Files.read(path, limit: 65_536) else {
            try Files.replace(bytes, at: path, mode: isSecret ? 0o600 : 0o644)
            return
        }
        guard there == bytes else {
            throw Failure(
                .setting,
                "'\(path)' is not the file that is made there; move it away, and if it is a key of "
                    + "your own, name its folder by --keystore")
        }
        if isSecret { chmod(path, 0o600) }
    }

    private static func count(_ xml: XMLKeys, _ messages: KeyStore) -> String {
        let users = xml.users.count
        let parts = [
            users == 0 ? nil : "\(users) service user\(users == 1 ? "" : "s")",
            xml.dsp == nil ? nil : "the DSP",
            messages.ids.isEmpty ? nil : "GBCS keys of \(messages.ids.count)",
        ]
        return parts.compactMap(\.self).joined(separator: ", ")
    }

    /// Has everybody in the homes use the keys for messages, and writes certificates to those that
    /// are made, which are as private as the state folder.
    mutating func hand(to plan: inout HeadEndPlan) throws {
        let suppliers = plan.settings.users.values
            .filter { !$0.roles.isDisjoint(with: [.importSupplier, .gasSupplier]) }
            .map(\.id).sorted()
        let certificates = MessageCertificates(seed: plan.seed)
        for index in plan.homes.indices {
            let left = plan.homes[index].use(messages)
            if !left.isEmpty {
                words.append(
                    "in '\(plan.homes[index].name)' keys are made for "
                        + Words.list(left.map(\.description))
                        + ", of whom a key store has not both private keys")
            }
            for file in certificates.files(of: plan.homes[index], suppliers: suppliers) {
                isOwnFolderUsed = true
                try Self.write(
                    file.bytes, to: folder, as: file.name, isSecret: file.isSecret)
            }
        }
        if isOwnFolderUsed { words.append("\(folder): keys that were made") }
    }
}
