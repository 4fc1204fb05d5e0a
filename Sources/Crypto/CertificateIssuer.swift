import COpenSSL
import Wire

/// A certificate authority that issues X.509 certificates in the form of the GB PKI (GBCS 12.2),
/// for tests and for virtual homes: ECDSA P-256 with SHA-256, its nonce of RFC 6979, so that the
/// same keys and serial numbers give the same bytes.
///
/// Object identifiers that the PKI has for itself, those of its policies and its devices' models,
/// are in the arc for examples, 2.999: these certificates claim to be nobody else's.
public struct CertificateIssuer: Sendable {
    /// Whom a certificate is for, in the forms in which the subject says it.
    public enum Subject: Hashable, Sendable {
        /// A device: no subject, the EUI-64 as a hardware module's serial number (RFC 4108 5).
        case device(EUI64)
        /// A remote party: its role as organizational unit, its id as unique identifier.
        case party(EUI64, Certificate.Role)
    }

    /// What the key is for; one certificate has one use.
    public enum Use: Hashable, Sendable {
        case signing
        case agreement
    }

    /// The authority's own certificate.
    public let certificate: Certificate
    public let key: P256.PrivateKey
    /// The name in DER.
    private let name: [UInt8]

    /// A root: its certificate is signed by itself.
    public static func root(
        _ commonName: String, key: P256.PrivateKey, from stream: inout SeededStream
    ) throws(KeyError) -> CertificateIssuer {
        let name = Self.name(commonName)
        let bytes = Self.certificate(
            issuer: name, signer: key, subject: name, key: key.publicKey,
            extensions: Self.authority(
                key.publicKey, issuer: key.publicKey, isLast: false),
            serial: Self.serial(from: &stream))
        return try CertificateIssuer(certificate: bytes, key: key)
    }

    /// An authority under this one, which issues certificates to devices and parties only.
    public func issuer(
        _ commonName: String, key: P256.PrivateKey, from stream: inout SeededStream
    ) throws(KeyError) -> CertificateIssuer {
        let bytes = Self.certificate(
            issuer: name, signer: self.key, subject: Self.name(commonName), key: key.publicKey,
            extensions: Self.authority(
                key.publicKey, issuer: self.key.publicKey, isLast: true),
            serial: Self.serial(from: &stream))
        return try CertificateIssuer(certificate: bytes, key: key)
    }

    /// One whose certificate (PEM or DER) and key are at hand. Throws `mismatchedHalves` if they do
    /// not belong together.
    public init(certificate bytes: [UInt8], key: P256.PrivateKey) throws(KeyError) {
        certificate = try Certificate(bytes)
        guard certificate.publicKey == key.publicKey else { throw .mismatchedHalves }
        name = try Self.subject(of: certificate.der)
        self.key = key
    }

    /// Issues a certificate. What it throws, the certificate's own reader has found: nothing that
    /// an argument can bring about.
    public func issue(
        to subject: Subject, for use: Use, key: P256.PublicKey, from stream: inout SeededStream
    ) throws(KeyError) -> Certificate {
        var extensions = [
            Self.extension(
                Identifier.keyUsage, isCritical: true,
                DERBytes.bits(
                    use == .signing ? [0x80] : [0x08], unused: use == .signing ? 7 : 3)),
            Self.extension(Identifier.subjectKey, DERBytes.octets(Self.keyIdentifier(key))),
        ]
        let name: [UInt8]
        switch subject {
        case .device(let id):
            name = DERBytes.sequence()
            extensions.append(
                Self.extension(
                    Identifier.alternativeName, isCritical: true, Self.hardwareModule(id)))
        case .party(let id, let role):
            name = DERBytes.sequence(
                Self.attribute(
                    Identifier.organizationalUnit,
                    DERBytes.text(Hex.string(UInt64(role.rawValue), digits: 2))),
                Self.attribute(Identifier.uniqueIdentifier, DERBytes.bits(id.bigEndian)))
        }
        extensions.append(Self.policy)
        extensions.append(Self.issuerKey(self.key.publicKey))
        return try Certificate(
            Self.certificate(
                issuer: self.name, signer: self.key, subject: name, key: key,
                extensions: extensions.flatMap(\.self), serial: Self.serial(from: &stream)))
    }

    // MARK: The certificate (RFC 5280 4.1)

    private enum Identifier {
        static let ecdsaWithSHA256: [UInt8] = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02]
        static let commonName: [UInt8] = [0x55, 0x04, 0x03]
        static let organizationalUnit: [UInt8] = [0x55, 0x04, 0x0B]
        static let uniqueIdentifier: [UInt8] = [0x55, 0x04, 0x2D]
        static let subjectKey: [UInt8] = [0x55, 0x1D, 0x0E]
        static let keyUsage: [UInt8] = [0x55, 0x1D, 0x0F]
        static let alternativeName: [UInt8] = [0x55, 0x1D, 0x11]
        static let basicConstraints: [UInt8] = [0x55, 0x1D, 0x13]
        static let policies: [UInt8] = [0x55, 0x1D, 0x20]
        static let issuerKey: [UInt8] = [0x55, 0x1D, 0x23]
        /// id-on-hardwareModuleName.
        static let hardwareModule: [UInt8] = [0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x08, 0x04]
        /// 2.999.1 and 2.999.2.
        static let exampleModel: [UInt8] = [0x88, 0x37, 0x01]
        static let examplePolicy: [UInt8] = [0x88, 0x37, 0x02]
    }

    private static func certificate(
        issuer: [UInt8], signer: P256.PrivateKey, subject: [UInt8], key: P256.PublicKey,
        extensions: [UInt8], serial: [UInt8]
    ) -> [UInt8] {
        let algorithm = DERBytes.sequence(DERBytes.identifier(Identifier.ecdsaWithSHA256))
        let body = DERBytes.sequence(
            // Version 3.
            DERBytes.element(0xA0, DERBytes.integer([2])), DERBytes.integer(serial), algorithm,
            issuer, validity, subject, key.spki,
            DERBytes.element(0xA3, DERBytes.sequence(extensions)))
        let signature = signer.sign(SHA256.digest(body)).bytes
        return DERBytes.sequence(
            body, algorithm,
            DERBytes.bits(
                DERBytes.sequence(
                    DERBytes.integer(Array(signature[..<32])),
                    DERBytes.integer(Array(signature[32...])))))
    }

    /// From 2020 on without end, which RFC 5280 4.1.2.5 writes so: a device does not know what
    /// time it is when it first needs a certificate.
    private static let validity = DERBytes.sequence(
        DERBytes.element(0x17, Array("200101000000Z".utf8)),
        DERBytes.element(0x18, Array("99991231235959Z".utf8)))

    /// Eight bytes, the first of them 40 to 7F: libxml2's schemas know no number of more than 24
    /// digits, and XML signatures name certificates by theirs.
    private static func serial(from stream: inout SeededStream) -> [UInt8] {
        var bytes = Array(stream.bytes(16)[..<8])
        bytes[0] = bytes[0] & 0x3F | 0x40
        return bytes
    }

    private static func name(_ commonName: String) -> [UInt8] {
        DERBytes.sequence(attribute(Identifier.commonName, DERBytes.text(commonName)))
    }

    private static func attribute(_ identifier: [UInt8], _ value: [UInt8]) -> [UInt8] {
        DERBytes.set(DERBytes.sequence(DERBytes.identifier(identifier), value))
    }

    private static func `extension`(
        _ identifier: [UInt8], isCritical: Bool = false, _ value: [UInt8]
    ) -> [UInt8] {
        DERBytes.sequence(
            DERBytes.identifier(identifier), isCritical ? DERBytes.yes : [],
            DERBytes.octets(value))
    }

    /// The extensions of an authority's own certificate.
    private static func authority(
        _ key: P256.PublicKey, issuer: P256.PublicKey, isLast: Bool
    ) -> [UInt8] {
        [
            self.extension(
                Identifier.basicConstraints, isCritical: true,
                DERBytes.sequence(DERBytes.yes, isLast ? DERBytes.integer([0]) : [])),
            // keyCertSign and cRLSign.
            self.extension(
                Identifier.keyUsage, isCritical: true, DERBytes.bits([0x06], unused: 1)),
            self.extension(Identifier.subjectKey, DERBytes.octets(keyIdentifier(key))),
            policy,
            issuerKey(issuer),
        ].flatMap(\.self)
    }

    private static let policy = Self.extension(
        Identifier.policies, isCritical: true,
        DERBytes.sequence(DERBytes.sequence(DERBytes.identifier(Identifier.examplePolicy))))

    private static func issuerKey(_ key: P256.PublicKey) -> [UInt8] {
        self.extension(
            Identifier.issuerKey,
            DERBytes.sequence(DERBytes.element(0x80, keyIdentifier(key))))
    }

    /// Eight bytes: 4 and the last 60 bits of the key's SHA-1 (RFC 5280 4.2.1.2, method 2).
    private static func keyIdentifier(_ key: P256.PublicKey) -> [UInt8] {
        var hash = [UInt8](repeating: 0, count: 20)
        let isDone = EVP_Digest(key.x963, key.x963.count, &hash, nil, EVP_sha1(), nil) == 1
        precondition(isDone, "libcrypto lacks SHA-1")
        var identifier = Array(hash.suffix(8))
        identifier[0] = identifier[0] & 0x0F | 0x40
        return identifier
    }

    /// The alternative names with a HardwareModuleName: a type, and the EUI-64 as serial number.
    private static func hardwareModule(_ id: EUI64) -> [UInt8] {
        DERBytes.sequence(
            DERBytes.element(
                0xA0,
                DERBytes.identifier(Identifier.hardwareModule)
                    + DERBytes.element(
                        0xA0,
                        DERBytes.sequence(
                            DERBytes.identifier(Identifier.exampleModel),
                            DERBytes.octets(id.bigEndian)))))
    }

    /// The subject's name in a certificate in DER, as it stands there.
    private static func subject(of der: [UInt8]) throws(KeyError) -> [UInt8] {
        let loaded = try KeyFile.loadCertificate(der)
        let name = X509_get_subject_name(loaded.certificate.pointer)
        let count = Int(i2d_X509_NAME(name, nil))
        guard count > 0 else { throw .unreadable(expected: "a certificate with a name") }
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withUnsafeMutableBufferPointer { buffer in
            var position = buffer.baseAddress
            _ = i2d_X509_NAME(name, &position)
        }
        return bytes
    }
}

extension EUI64 {
    /// As people write it.
    fileprivate var bigEndian: [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: rawValue >> UInt64(56 - 8 * $0)) }
    }
}
