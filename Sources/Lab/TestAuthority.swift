import Crypto
import Wire

/// A certificate authority for tests: for key establishment in both suites, and for GBCS a root and
/// under it an authority that issues. All of it follows from a seed, and what it issues from its
/// keys.
public struct TestAuthority: Sendable {
    /// Whom it makes credentials for.
    public enum Subject: Hashable, Sendable {
        /// Somebody on the HAN.
        case device
        /// A hub's CHF, which has no address on the HAN.
        case hubFunction
        case party(Certificate.Role)
    }

    public let root: CertificateIssuer
    public let issuing: CertificateIssuer
    /// One of each suite, suite 1 first.
    public let establishment: [CBKEIssuer]

    public init(seed: Seed) {
        var stream = SeededStream(seed.named("test authority"))
        // An EUI-64 that begins with 02 belongs to no maker. The run's own authority has another
        // one: a hub tells them apart by it.
        let id = EUI64(0x0247_4243_4101_0000 | stream.next() & 0xFFFF)
        establishment = CBKESuite.allCases.map {
            CBKEIssuer(issuer: id, suite: $0, from: &stream)
        }
        do {
            root = try .root("han test root", key: .generate(from: &stream), from: &stream)
            issuing = try root.issuer(
                "han test issuer", key: .generate(from: &stream), from: &stream)
        } catch {
            preconditionFailure("a certificate of our own cannot be read: \(error)")
        }
    }

    private init(root: CertificateIssuer, issuing: CertificateIssuer, _ issuers: [CBKEIssuer]) {
        self.root = root
        self.issuing = issuing
        establishment = issuers
    }

    /// New credentials; the same whenever they are asked for.
    public func credentials(
        of id: EUI64, as subject: Subject = .device
    ) -> MemberCredentials {
        let root = issuing.key.sign(SHA256.digest(Array("han keys device".utf8))).bytes
        let seed = Seed(root[..<8].reduce(0) { $0 << 8 | UInt64($1) }).indexed(id.rawValue)
        var stream = SeededStream(seed)
        var credentials = MemberCredentials()
        do {
            let name: CertificateIssuer.Subject =
                if case .party(let role) = subject { .party(id, role) } else { .device(id) }
            func certified(
                _ use: CertificateIssuer.Use
            ) throws -> MemberCredentials.CertifiedKey {
                let key = P256.PrivateKey.generate(from: &stream)
                return MemberCredentials.CertifiedKey(
                    certificate: try issuing.issue(
                        to: name, for: use, key: key.publicKey, from: &stream), key: key)
            }
            credentials.signing = try certified(.signing)
            credentials.agreement = try certified(.agreement)
            if subject == .device {
                credentials.establishment = try establishment.map {
                    try $0.credentials(for: id, from: &stream)
                }
            }
        } catch {
            preconditionFailure("a certificate of our own cannot be read: \(error)")
        }
        return credentials
    }

    // MARK: Files

    /// Writes it to a folder, as `CredentialFolder` does. Gives the names of the files.
    @discardableResult
    public func write(to folder: String, replaces: Bool) throws -> [String] {
        var files = [
            ("root.pem", root.certificate.pem), ("root.key", root.key.pem),
            ("issuing.pem", issuing.certificate.pem), ("issuing.key", issuing.key.pem),
        ]
        for issuer in establishment {
            files.append(
                (
                    Self.name(issuer.suite),
                    """
                    # A test authority, suite \(issuer.suite.rawValue). Keep it secret.
                    Issuer: \(Hex.string(issuer.authority.issuer.rawValue, digits: 16))
                    CA Public Key: \(Hex.string(issuer.authority.publicKey.bytes))
                    CA Private Key: \(Hex.string(issuer.privateKey))

                    """
                ))
        }
        try CredentialFolder.write(files, to: folder, replaces: replaces)
        return files.map(\.0)
    }

    private static func name(_ suite: CBKESuite) -> String { "suite\(suite.rawValue).ca" }

    /// One that `write` has written.
    public static func read(_ folder: String) throws -> TestAuthority {
        try CredentialFolder.checkIsPrivate(folder, isFolder: true)
        let root = try issuer("root", in: folder)
        let issuing = try issuer("issuing", in: folder)
        let issuers = try CBKESuite.allCases.map { suite in
            let path = "\(folder)/\(name(suite))"
            try CredentialFolder.checkIsPrivate(path, isFolder: false)
            let text = try LabelledText(
                Files.read(path, limit: KeyFiles.maximumSize), known: ["issuer", "ca private key"],
                path: path)
            guard let id = text.lines.first(where: { $0.label == "issuer" })?.bytes, id.count == 8,
                let key = text.lines.first(where: { $0.label == "ca private key" })?.bytes
            else {
                throw CredentialError.content(
                    path, "it needs 'Issuer:', an EUI-64, and 'CA Private Key:'")
            }
            do {
                return try CBKEIssuer(
                    issuer: EUI64(id.reduce(0) { $0 << 8 | UInt64($1) }), privateKey: key,
                    suite: suite)
            } catch { throw CredentialError.content(path, "\(error)") }
        }
        return TestAuthority(root: root, issuing: issuing, issuers)
    }

    private static func issuer(_ name: String, in folder: String) throws -> CertificateIssuer {
        let (path, keyPath) = ("\(folder)/\(name).pem", "\(folder)/\(name).key")
        let certificate = try Files.read(path, limit: KeyFiles.maximumSize)
        try CredentialFolder.checkIsPrivate(keyPath, isFolder: false)
        let bytes = try Files.read(keyPath, limit: KeyFiles.maximumSize)
        do throws(KeyError) {
            return try CertificateIssuer(
                certificate: certificate, key: try P256.PrivateKey(pkcs8: bytes))
        } catch {
            throw CredentialError.content(path, "with \(keyPath): \(error)")
        }
    }
}

extension CBKEIssuer {
    /// 2020-01-01T00:00:00Z, in seconds since 1970.
    private static let validFrom: UInt64 = 1_577_836_800

    /// Everything for one device, in the usual form, drawn from `stream`.
    func credentials(
        for subject: EUI64, from stream: inout SeededStream
    ) throws(CBKEError) -> CBKECredentials {
        let form: ImplicitCertificate.Form =
            suite == .one
            ? .one(attributes: ImplicitCertificate.usualAttributes)
            : .two(
                serial: stream.next(), validFrom: Self.validFrom,
                lifetime: ImplicitCertificate.endless, usage: ImplicitCertificate.usualUsage)
        return try credentials(form, for: subject, from: &stream)
    }
}
