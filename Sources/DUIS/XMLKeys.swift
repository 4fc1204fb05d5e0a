import Crypto
import Wire

/// Certificates, and private keys to some of them, with which DUIS documents are signed.
public struct XMLKeys: Sendable {
    /// What its owner is to the DCC, as the subject's organizational unit says.
    public enum Role: Hashable, Sendable {
        /// OU=89
        case dsp
        /// OU=87
        case user
        case other
    }

    public struct Entry: Sendable {
        public let certificate: Certificate
        public let key: P256.PrivateKey?
        /// The certificate's file, for people.
        public let name: String
        let verifying: XMLSecKey

        public init(certificate: Certificate, key: P256.PrivateKey?, name: String) {
            self.certificate = certificate
            self.key = key
            self.name = name
            guard let verifying = XMLSecKey(spki: certificate.publicKey.spki) else {
                preconditionFailure("libcrypto refuses a key that it has read")
            }
            self.verifying = verifying
        }

        public var id: EUI64? { certificate.subject }

        public var role: Role {
            switch certificate.role {
            case .dsp: .dsp
            case .serviceUser: .user
            default: .other
            }
        }
    }

    public private(set) var entries: [Entry] = []
    /// Files that hold nothing that can be used, each with the reason.
    public private(set) var skipped: [String] = []
    private var bySerial: [String: [Int]] = [:]

    public init() {}

    /// Certificates (`.pem`) and private keys (`.key`, PKCS#8 in DER or PEM) by the names of their
    /// files. A key belongs to the certificate with its public half, whatever its name. Those of
    /// GBCS, which sign no XML, are passed over.
    public init(files: [(name: String, bytes: [UInt8])]) {
        var keys: [(name: String, key: P256.PrivateKey)] = []
        var certificates: [(name: String, certificate: Certificate)] = []
        for file in files {
            do throws(KeyError) {
                if file.name.hasSuffix(".key") {
                    keys.append((file.name, try P256.PrivateKey(pkcs8: file.bytes)))
                } else {
                    certificates.append((file.name, try Certificate(file.bytes)))
                }
            } catch {
                skipped.append("\(file.name): \(error)")
            }
        }
        let halves = Dictionary(
            keys.map { ($0.key.publicKey, $0.key) }, uniquingKeysWith: { first, _ in first })
        for (name, certificate) in certificates where !certificate.isForMessages {
            add(
                Entry(
                    certificate: certificate, key: halves[certificate.publicKey], name: name))
        }
        let known = Set(certificates.map(\.certificate.publicKey))
        for (name, key) in keys where !known.contains(key.publicKey) {
            let stem = name.dropLast(4)
            let isNamed = certificates.contains { $0.name == stem + ".pem" }
            skipped.append(
                isNamed
                    ? "\(name): it is not the key of \(stem).pem, whose name it has"
                    : "\(name): there is no certificate with its public half")
        }
    }

    /// Adds one, unless the certificate is there already.
    public mutating func add(_ entry: Entry) {
        let serial = entry.certificate.serialNumber
        let same = (bySerial[serial] ?? []).first {
            entries[$0].certificate.der == entry.certificate.der
        }
        if let same {
            if entries[same].key == nil { entries[same] = entry }
            return
        }
        bySerial[serial, default: []].append(entries.count)
        entries.append(entry)
    }

    public mutating func add(_ other: XMLKeys) {
        for entry in other.entries { add(entry) }
        skipped += other.skipped
    }

    /// The certificate that a signature names. The serial number decides; where several have it,
    /// so does the issuer, whose name is compared part by part, without regard to order, case and
    /// spaces.
    public func entry(serial: String, issuer: String) -> Entry? {
        let digits = serial.drop { $0 == "0" }
        let found = bySerial[digits.isEmpty ? "0" : String(digits)] ?? []
        if found.count <= 1 { return found.first.map { entries[$0] } }
        let wanted = Self.parts(issuer)
        let fitting = found.filter { Self.parts(entries[$0].certificate.issuerName) == wanted }
        return fitting.count == 1 ? entries[fitting[0]] : nil
    }

    private static func parts(_ name: String) -> [String] {
        name.split(separator: ",").map { part in
            part.filter { !$0.isWhitespace }.lowercased()
        }.sorted()
    }

    /// The one to sign with as this party; nil if there is no private key of its own.
    public func signer(of id: EUI64) -> XMLSigner? {
        entries.lazy.filter { $0.id == id }.compactMap { XMLSigner($0) }.first
    }

    /// The DSP's, to sign responses with; nil if there is no private key of its own.
    public var dsp: XMLSigner? {
        entries.lazy.filter { $0.role == .dsp }.compactMap { XMLSigner($0) }.first
    }

    /// Parties with a certificate for users, in order.
    public var users: [EUI64] {
        Set(entries.filter { $0.role == .user }.compactMap(\.id)).sorted()
    }
}

extension Certificate {
    /// It is of GBCS: a device's, or a remote party's.
    fileprivate var isForMessages: Bool {
        isDevice
            || [
                .root, .supplier, .networkOperator, .accessControlBroker, .transitionalCoS,
                .wanProvider, .loadController,
            ].contains(role)
    }
}

/// Somebody's private key and the certificate that belongs to it.
public struct XMLSigner: Sendable {
    public let id: EUI64?
    public let certificate: Certificate
    let key: XMLSecKey

    /// nil without a private key.
    public init?(_ entry: XMLKeys.Entry) {
        guard let key = entry.key.flatMap({ XMLSecKey(pkcs8: $0.pkcs8) }) else { return nil }
        id = entry.id
        certificate = entry.certificate
        self.key = key
    }
}
