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
    /// What is made, to be written to the folder.
    private var files: [(name: String, bytes: [UInt8], isSecret: Bool)] = []

    /// Reads them; `own` is the folder for those that are made, to which `write` writes them.
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
                throw Self.noKey(in: place, ofXML.skipped, ofMessages.skipped)
            }
            words.append("\(place): \(Self.count(ofXML, ofMessages.keys))")
            // What one of the two cannot use, the other may.
            let others = Set(ofMessages.skipped.map(Self.file))
            problems += ofXML.skipped.filter { others.contains(Self.file($0)) }
            xml.add(ofXML)
            messages.add(ofMessages.keys)
        }
        Terminal(descriptor: STDERR_FILENO).write(leftOut: problems)

        let maker = XMLKeyMaker(seed: plan.seed)
        var made: [XMLKeys.Entry] = []
        if xml.dsp == nil { made.append(maker.make(.dsp, plan.settings.id)) }
        let known = Set(xml.users)
        made += plan.settings.users.keys.filter { !known.contains($0) }.sorted().map {
            maker.make(.user, $0)
        }
        for entry in made {
            files += XMLKeyMaker.files(of: entry)
            xml.add(entry)
        }
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

    /// Why a folder without any key is none, with what is wrong with its files.
    private static func noKey(
        in place: String, _ ofXML: [String], _ ofMessages: [String]
    ) -> Failure {
        let known = Set(ofXML.map(file))
        let problems = ofXML + ofMessages.filter { !known.contains(file($0)) }
        let wanted =
            "EUI-ds.pem, EUI-ka.key and so on (GBCS), or certificates and keys of service users "
            + "(XML)"
        guard !problems.isEmpty else {
            return Failure(
                .setting, "--keystore: '\(place)' has no key; it is to have \(wanted)")
        }
        return Failure(
            .setting,
            "--keystore: '\(place)' has no key that can be used: "
                + Words.some(problems, of: 5).joined(separator: "; ")
                + "; it is to have \(wanted)")
    }

    /// Throws if anything else is where a key that is made is to be, which is not written over.
    /// Writes nothing.
    func check() throws {
        var status = stat()
        guard lstat(folder, &status) != 0 || Files.isFolder(folder) else {
            throw Failure(.io, "'\(folder)' is no folder; move it away")
        }
        for file in files { _ = try isThere(file.name, file.bytes) }
    }

    /// Writes those that are made, unless they are there from an earlier start.
    func write() throws {
        guard !files.isEmpty else { return }
        try Files.makePrivateFolder(folder)
        for file in files {
            let path = "\(folder)/\(file.name)"
            if try !isThere(file.name, file.bytes) {
                try Files.replace(file.bytes, at: path, mode: file.isSecret ? 0o600 : 0o644)
            } else if file.isSecret {
                chmod(path, 0o600)
            }
        }
    }

    private func isThere(_ name: String, _ bytes: [UInt8]) throws -> Bool {
        let path = "\(folder)/\(name)"
        let there: [UInt8]
        do {
            there = try Files.read(path, limit: 65_536)
        } catch {
            var status = stat()
            if case .missing = error, lstat(path, &status) != 0 { return false }
            let reason =
                switch error {
                case .missing: "it is a link to nothing"
                case .isFolder: "it is a folder"
                case .unreadable(_, let reason): reason
                default: "it is no key"
                }
            throw Failure(
                .io,
                "the key '\(path)' cannot be read: \(reason); move it away, and it is made again")
        }
        if there == bytes { return true }
        throw Failure(
            .setting,
            bytes.starts(with: there)
                ? "'\(path)' ends after \(there.count) of \(bytes.count) bytes; move it away, and "
                    + "it is made again"
                : "'\(path)' is not the file that is made there; move it away, and if it is a key "
                    + "of your own, name its folder by --keystore")
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

    /// Has everybody in the homes use the keys for messages, and makes certificates to those that
    /// are made, which are as private as the state folder.
    mutating func hand(to plan: inout HeadEndPlan) {
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
            files += certificates.files(of: plan.homes[index], suppliers: suppliers).map {
                ($0.name, $0.bytes, $0.isSecret)
            }
        }
        if !files.isEmpty { words.append("\(folder): keys that were made") }
    }
}
