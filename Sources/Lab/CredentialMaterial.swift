import Crypto
import Wire

/// What a member of a home, or a remote party, is given in the place of what follows from the
/// run's seed.
public struct MemberCredentials: Sendable {
    /// A key for GBCS messages.
    public struct CertifiedKey: Sendable {
        public var certificate: Certificate
        /// nil for somebody whose part nobody here plays.
        public var key: P256.PrivateKey?

        public init(certificate: Certificate, key: P256.PrivateKey? = nil) {
            self.certificate = certificate
            self.key = key
        }
    }

    /// For key establishment; one of a suite at the most, suite 1 first.
    public var establishment: [CBKECredentials] = []
    public var signing: CertifiedKey?
    public var agreement: CertifiedKey?
    public var installCode: InstallCode?

    public init() {}

    public var isEmpty: Bool {
        establishment.isEmpty && signing == nil && agreement == nil && installCode == nil
    }
}

/// The files of a lab's own material for one member, from which its credentials are put together.
///
/// Nothing of a file's content is in an error, whatever the file turns out to hold.
public struct CredentialMaterial {
    /// Parts of what key establishment needs.
    public enum Part: String, CaseIterable, Sendable {
        case certificate = "certificate"
        case privateKey = "private key"
        case authorityKey = "CA public key"

        func length(_ suite: CBKESuite) -> Int {
            switch self {
            case .certificate: suite.certificateLength
            case .privateKey: suite.scalarLength
            case .authorityKey: suite.pointLength
            }
        }

        static let labels: [String: Part] = [
            "device implicit cert": .certificate, "device implicit certificate": .certificate,
            "implicit cert": .certificate, "implicit certificate": .certificate,
            "certificate": .certificate, "device private key": .privateKey,
            "private key": .privateKey, "ca public key": .authorityKey,
            "ca pub key": .authorityKey,
        ]
    }

    private struct Piece {
        var bytes: [UInt8]
        var place: String
    }

    private struct Slot: Hashable {
        var suite: CBKESuite
        var part: Part
    }

    public let subject: EUI64
    private var pieces: [Slot: Piece] = [:]
    private var keys: [CertificateIssuer.Use: (key: P256.PrivateKey, path: String)] = [:]
    private var certificates: [CertificateIssuer.Use: (certificate: Certificate, path: String)] =
        [:]
    private var installCode: InstallCode?

    public init(of subject: EUI64) { self.subject = subject }

    // MARK: Key establishment

    /// A listing with lines `CA Public Key:`, `Device Implicit Cert:` and `Device Private Key:`, of
    /// one suite or both.
    public mutating func addListing(_ bytes: [UInt8], path: String) throws(CredentialError) {
        let text = try LabelledText(bytes, known: Set(Part.labels.keys), path: path)
        for line in text.lines {
            guard let part = Part.labels[line.label] else { continue }
            try add(part, line.bytes, place: "\(path): line \(line.number)")
        }
        guard !text.lines.isEmpty else {
            throw .content(
                path,
                "no line begins with 'CA Public Key:', 'Device Implicit Cert:' or 'Device Private "
                    + "Key:'; a file with one of them alone has an option of its own")
        }
    }

    /// A file with one part and nothing else: its bytes, or hex digits.
    public mutating func add(
        _ part: Part, file bytes: [UInt8], path: String
    ) throws(CredentialError) {
        try add(part, LabelledText.digits(bytes) ?? bytes, place: path)
    }

    private mutating func add(
        _ part: Part, _ bytes: [UInt8], place: String
    ) throws(CredentialError) {
        guard let suite = CBKESuite.allCases.first(where: { part.length($0) == bytes.count })
        else {
            throw .content(
                place,
                "\(bytes.count) bytes; a \(part.rawValue) has \(part.length(.one)) (suite 1) or "
                    + "\(part.length(.two)) (suite 2)")
        }
        let slot = Slot(suite: suite, part: part)
        if let old = pieces[slot], old.bytes != bytes {
            throw .content(
                place,
                "a second \(part.rawValue) of suite \(suite.rawValue), other than that of "
                    + old.place)
        }
        pieces[slot] = Piece(bytes: bytes, place: place)
    }

    private func establishment(
        _ suite: CBKESuite
    ) throws(CredentialError) -> CBKECredentials? {
        let missing = Part.allCases.filter { pieces[Slot(suite: suite, part: $0)] == nil }
        guard missing.count < Part.allCases.count else { return nil }
        guard let certificate = pieces[Slot(suite: suite, part: .certificate)],
            let key = pieces[Slot(suite: suite, part: .privateKey)],
            let authority = pieces[Slot(suite: suite, part: .authorityKey)]
        else {
            throw .incomplete(
                "suite \(suite.rawValue): there is no "
                    + missing.map(\.rawValue).joined(separator: " and no ")
                    + "; certificate, private key and CA public key belong together")
        }
        let read: ImplicitCertificate
        do {
            read = try ImplicitCertificate(certificate.bytes)
        } catch { throw .content(certificate.place, "certificate: \(error)") }
        guard read.subject == subject else {
            throw .content(
                certificate.place, "the certificate is that of \(read.subject), not of \(subject)")
        }
        let point: CBKEPoint
        do {
            point = try CBKEPoint(authority.bytes, suite: suite)
        } catch { throw .content(authority.place, "CA public key: \(error)") }
        do {
            return try CBKECredentials(
                certificate: read, privateKey: key.bytes,
                authority: CBKEAuthority(issuer: read.issuer, publicKey: point))
        } catch {
            let reason =
                error == .wrongPrivateKey
                ? "the private key does not belong to the certificate of \(certificate.place), or "
                    + "\(authority.place) is not the public key of the CA \(read.issuer)"
                : "private key: \(error)"
            throw .content(key.place, reason)
        }
    }

    // MARK: GBCS

    /// A certificate, PEM or DER.
    public mutating func add(
        certificate bytes: [UInt8], for use: CertificateIssuer.Use, path: String
    ) throws(CredentialError) {
        let certificate: Certificate
        do {
            certificate = try Certificate(bytes)
        } catch { throw .content(path, "no usable certificate: \(error)") }
        guard certificate.subject == subject else {
            throw .content(
                path,
                certificate.subject.map { "the certificate is that of \($0), not of \(subject)" }
                    ?? "the certificate does not say in GBCS's way whose it is; that of \(subject) "
                    + "is expected")
        }
        let isFit = use == .signing ? certificate.isForSigning : certificate.isForKeyAgreement
        guard isFit ?? true else {
            throw .content(
                path,
                use == .signing
                    ? "the certificate's key usage does not include digital signature"
                    : "the certificate's key usage does not include key agreement")
        }
        certificates[use] = (certificate, path)
    }

    /// A private key, PEM or DER.
    public mutating func add(
        key bytes: [UInt8], for use: CertificateIssuer.Use, path: String
    ) throws(CredentialError) {
        do {
            keys[use] = (try P256.PrivateKey(pkcs8: bytes), path)
        } catch { throw .content(path, "no usable private key: \(error)") }
    }

    private func certified(
        _ use: CertificateIssuer.Use
    ) throws(CredentialError) -> MemberCredentials.CertifiedKey? {
        let words = use == .signing ? "signing" : "key-agreement"
        guard let (certificate, path) = certificates[use] else {
            guard let key = keys[use] else { return nil }
            throw .incomplete("\(key.path): the \(words) certificate of this key is missing")
        }
        if let (key, keyPath) = keys[use], key.publicKey != certificate.publicKey {
            throw .content(
                keyPath, "the private key does not belong to the certificate of \(path)")
        }
        return MemberCredentials.CertifiedKey(certificate: certificate, key: keys[use]?.key)
    }

    // MARK: Install code

    /// An install code in hex digits, with its CRC.
    public mutating func add(
        installCode bytes: [UInt8], path: String
    ) throws(CredentialError) {
        let text = String(decoding: bytes, as: UTF8.self)
            .split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("#") }
        guard text.count == 1, let line = text.first else {
            throw .content(path, "\(text.count) lines; one with an install code is expected")
        }
        let blanks: Set<Character> = [" ", "\t"]
        let digits = line.filter { !blanks.contains($0) }
        do {
            let code = try InstallCode(text: digits)
            // One without could have any error in it.
            guard digits.utf8.filter({ Hex.nibble($0) != nil }).count > 2 * code.bytes.count else {
                throw CredentialError.content(
                    path, "the install code's CRC is missing: two bytes more, low byte first")
            }
            installCode = code
        } catch let error as InstallCodeError {
            throw .content(path, "no install code: \(error.withoutContent)")
        } catch let error as CredentialError {
            throw error
        } catch { preconditionFailure("\(error)") }
    }

    // MARK: Together

    /// All of it, once it is known to fit together. Throws if there is nothing.
    public func credentials() throws(CredentialError) -> MemberCredentials {
        var credentials = MemberCredentials()
        for suite in CBKESuite.allCases {
            if let own = try establishment(suite) { credentials.establishment.append(own) }
        }
        credentials.signing = try certified(.signing)
        credentials.agreement = try certified(.agreement)
        credentials.installCode = installCode
        guard !credentials.isEmpty else { throw .incomplete("there is nothing to import") }
        return credentials
    }
}

extension InstallCodeError {
    /// A CRC would say much of a code of which only a digit is wrong.
    fileprivate var withoutContent: String {
        if case .wrongCRC = self { return "its last two bytes are not the CRC of those before" }
        return description
    }
}
