import Wire

/// A certificate authority as everybody knows it.
public struct CBKEAuthority: Hashable, Sendable {
    /// What its certificates name as their issuer.
    public let issuer: EUI64
    public let publicKey: CBKEPoint

    public init(issuer: EUI64, publicKey: CBKEPoint) {
        self.issuer = issuer
        self.publicKey = publicKey
    }
}

/// All that a device needs to establish keys: its certificate, its private key, and the authority
/// that it and its partners trust.
public struct CBKECredentials: Sendable {
    public let certificate: ImplicitCertificate
    public let authority: CBKEAuthority
    let key: CBKEKeyPair

    public var suite: CBKESuite { certificate.suite }
    public var publicKey: CBKEPoint { key.publicKey }
    /// The private key, 21 or 36 big-endian bytes; never for a log.
    public var privateKey: [UInt8] { key.scalar }

    /// Throws unless `privateKey` (21 or 36 big-endian bytes) is the one to which the certificate
    /// belongs, with this authority.
    public init(
        certificate: ImplicitCertificate, privateKey: some Collection<UInt8>,
        authority: CBKEAuthority
    ) throws(CBKEError) {
        guard privateKey.count == certificate.suite.scalarLength else { throw .mixedSuites }
        let key = try CBKEKeyPair(scalar: privateKey, suite: certificate.suite)
        guard try certificate.publicKey(from: authority) == key.publicKey else {
            throw .wrongPrivateKey
        }
        self.init(certificate: certificate, key: key, authority: authority)
    }

    /// Of what belongs together.
    init(certificate: ImplicitCertificate, key: CBKEKeyPair, authority: CBKEAuthority) {
        self.certificate = certificate
        self.authority = authority
        self.key = key
    }
}

/// A certificate authority that issues implicit certificates: for tests, and for virtual homes.
public struct CBKEIssuer: Sendable {
    public let authority: CBKEAuthority
    private let key: CBKEKeyPair

    /// Throws if the key is none; `privateKey` has 21 or 36 big-endian bytes.
    public init(
        issuer: EUI64, privateKey: some Collection<UInt8>, suite: CBKESuite
    ) throws(CBKEError) {
        self.init(issuer: issuer, key: try CBKEKeyPair(scalar: privateKey, suite: suite))
    }

    /// A new authority from `stream`.
    public init(issuer: EUI64, suite: CBKESuite, from stream: inout SeededStream) {
        self.init(issuer: issuer, key: CBKEKeyPair.generate(suite: suite, from: &stream))
    }

    private init(issuer: EUI64, key: CBKEKeyPair) {
        authority = CBKEAuthority(issuer: issuer, publicKey: key.publicKey)
        self.key = key
    }

    public var suite: CBKESuite { authority.publicKey.suite }
    /// The private key, 21 or 36 big-endian bytes; never for a log.
    public var privateKey: [UInt8] { key.scalar }

    /// Issues a certificate to the holder of `request`, a point whose private half only the
    /// holder knows (SEC 4 3.4): the certificate, and the number with which the holder reckons
    /// the private key.
    public func issue(
        _ form: ImplicitCertificate.Form, to subject: EUI64, request: CBKEPoint,
        from stream: inout SeededStream
    ) throws(CBKEError) -> (certificate: ImplicitCertificate, contribution: [UInt8]) {
        guard request.suite == suite else { throw .mixedSuites }
        while true {
            let blind = CBKEKeyPair.generate(suite: suite, from: &stream)
            let calculation = CurveCalculation(suite)
            let sum = calculation.point(blind.publicKey)
            calculation.add(calculation.point(request), to: sum)
            guard let point = calculation.value(of: sum) else { continue }
            let certificate = try ImplicitCertificate(
                form: form, subject: subject, issuer: authority.issuer, point: point)
            // r = e * k + d(CA) mod n
            let contribution = calculation.sum(
                calculation.number(key.scalar),
                calculation.number(AESMMO.hash(certificate.bytes).bytes),
                times: calculation.number(blind.scalar))
            return (certificate, calculation.bytes(of: contribution))
        }
    }

    /// Everything for one device, both its part and the authority's drawn from `stream`.
    public func credentials(
        _ form: ImplicitCertificate.Form, for subject: EUI64, from stream: inout SeededStream
    ) throws(CBKEError) -> CBKECredentials {
        while true {
            let request = CBKEKeyPair.generate(suite: suite, from: &stream)
            let (certificate, contribution) = try issue(
                form, to: subject, request: request.publicKey, from: &stream)
            let calculation = CurveCalculation(suite)
            // d = r + e * k mod n
            let scalar = calculation.bytes(
                of: calculation.sum(
                    calculation.number(contribution),
                    calculation.number(AESMMO.hash(certificate.bytes).bytes),
                    times: calculation.number(request.scalar)))
            guard let key = try? CBKEKeyPair(scalar: scalar, suite: suite) else { continue }
            return CBKECredentials(
                certificate: certificate, key: key, authority: authority)
        }
    }
}
