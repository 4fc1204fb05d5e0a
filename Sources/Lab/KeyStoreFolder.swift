import Crypto
import GBCS
import Glibc
import Wire

/// A folder of certificates and keys, read into a key store.
///
/// A file `EUI-ds.pem` or `EUI-ka.key` says by its name whose key it holds and what for: `ds` for
/// signing, `ka` for key agreement, `pp` for prepayment, which no message uses. What the name does
/// not say, the certificate does. A private key without a name belongs to whoever has its public
/// half. Certificates, public keys and private keys may be PEM or DER. Those of DUIS, which sign
/// no message, are passed over.
public struct KeyStoreFolder: Sendable {
    public private(set) var keys = KeyStore()
    /// Files that hold no usable key, each with the reason.
    public private(set) var skipped: [String] = []

    static let suffixes: Set = ["pem", "der", "cer", "crt", "key", "p8"]
    /// Files read of a folder; the published test data has some four hundred.
    static let maximumCount = 20_000

    public init(path: String) throws(FileError) {
        guard let stream = opendir(path) else {
            switch errno {
            case ENOENT: throw .missing(path)
            default: throw .unreadable(path, reason: String(cString: strerror(errno)))
            }
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            let suffix = name.split(separator: ".").last.map { $0.lowercased() } ?? ""
            if !name.hasPrefix("."), Self.suffixes.contains(suffix) { names.append(name) }
            guard names.count <= Self.maximumCount else {
                throw .unreadable(path, reason: "it has more than \(Self.maximumCount) key files")
            }
        }
        var others: Set<P256.PublicKey> = []
        var nameless: [(name: String, key: P256.PrivateKey)] = []
        for name in names.sorted() {
            let bytes = try Self.read("\(path)/\(name)")
            let (party, use) = Self.named(name)
            if let certificate = try? Certificate(bytes) {
                // What signs XML signs no message.
                guard ![.serviceUser, .dsp].contains(certificate.role) else {
                    others.insert(certificate.publicKey)
                    continue
                }
                if keys.add(certificate, of: party, for: use) == nil {
                    skipped.append("\(name): neither its name nor its subject says whose it is")
                }
                continue
            }
            if let key = try? P256.PrivateKey(pkcs8: bytes) {
                guard let party else {
                    nameless.append((name, key))
                    continue
                }
                if use != .agreement && use != .prepayment {
                    keys.add(key, of: party, for: .signing)
                }
                if use != .signing && use != .prepayment {
                    keys.add(key, of: party, for: .agreement)
                }
                continue
            }
            do {
                let key = try P256.PublicKey(any: bytes)
                guard let party else {
                    skipped.append("\(name): its name does not say whose it is")
                    continue
                }
                if use != .agreement && use != .prepayment {
                    keys.add(key, of: party, for: .signing)
                }
                if use != .signing && use != .prepayment {
                    keys.add(key, of: party, for: .agreement)
                }
            } catch {
                skipped.append("\(name): \(error)")
            }
        }
        for (name, key) in nameless
        where !keys.add(matching: key) && !others.contains(key.publicKey) {
            skipped.append("\(name): nobody's certificate belongs to this private key")
        }
    }

    private static func read(_ path: String) throws(FileError) -> [UInt8] {
        do {
            return try Files.read(path, limit: KeyFiles.maximumSize)
        } catch {
            let reason =
                switch error {
                // Its name is in the folder.
                case .missing: "it is a link to nothing"
                case .isFolder: "it is a folder"
                case .unreadable(_, let reason): reason
                default: throw error
                }
            throw .unreadable(path, reason: "\(reason); mend that, or take it out of the folder")
        }
    }

    /// Whose key a file's name says it holds, and what for.
    static func named(_ name: String) -> (party: EUI64?, use: KeyStore.Use?) {
        let stem = name.split(separator: ".").dropLast().joined(separator: ".")
        // With or without dashes between the bytes.
        let length = [16, 23].first { EUI64(String(stem.prefix($0))) != nil && stem.count >= $0 }
        let party = length.flatMap { EUI64(String(stem.prefix($0))) }
        let words = stem.dropFirst(length ?? 0).lowercased()
            .split { $0 == "-" || $0 == "_" || $0 == "." || $0 == " " }
        let use: KeyStore.Use? =
            words.contains("pp")
            ? .prepayment
            : words.contains("ds") ? .signing : words.contains("ka") ? .agreement : nil
        return (party, use)
    }
}
