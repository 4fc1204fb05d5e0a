import Wire

/// An implicit certificate of Smart Energy (ECQV, SEC 4): who it is for and a point, from which
/// and the authority's public key anybody reconstructs the holder's public key. It has no
/// signature: a false one gives a key that nobody has the private half of.
public struct ImplicitCertificate: Hashable, Sendable {
    /// What only one of the two forms has, besides point, subject and issuer.
    public enum Form: Hashable, Sendable {
        /// Suite 1, in 48 bytes: the point (22), subject (8), issuer (8) and these ten, which
        /// begin with the profile 0109 and are not looked at.
        case one(attributes: [UInt8])
        /// Suite 2, in 74 bytes: type 00, serial (8), curve 0D, hash 08, issuer (8), valid from
        /// (5), lifetime (4), subject (8), key usage (1), the point (37).
        ///
        /// Times are seconds, `validFrom` since 1970, and a lifetime of FFFFFFFF does not end. They
        /// are not checked: a device that joins does not know what time it is.
        case two(serial: UInt64, validFrom: UInt64, lifetime: UInt32, usage: UInt8)
    }

    public let form: Form
    public let subject: EUI64
    public let issuer: EUI64
    /// The public reconstruction point.
    public let point: CBKEPoint
    /// The whole certificate, 48 or 74 bytes; numbers in it are big-endian.
    public let bytes: [UInt8]

    public var suite: CBKESuite { point.suite }

    /// Key agreement, in a certificate's key usage.
    public static let agreementUsage: UInt8 = 0x08
    /// Signing and key agreement: what certificates are issued with.
    public static let usualUsage: UInt8 = 0x88
    /// The lifetime of a certificate that does not expire.
    public static let endless: UInt32 = 0xFFFF_FFFF

    /// What follows the issuer in a certificate of suite 1: profile 0109, and nothing more.
    public static let usualAttributes: [UInt8] = [0x01, 0x09, 0, 0, 0, 0, 0, 0, 0, 0]

    private static let implicit: UInt8 = 0x00
    private static let sect283k1: UInt8 = 0x0D
    private static let aesMMO: UInt8 = 0x08

    public init(
        form: Form, subject: EUI64, issuer: EUI64, point: CBKEPoint
    ) throws(CBKEError) {
        self.form = form
        self.subject = subject
        self.issuer = issuer
        self.point = point
        var bytes: [UInt8] = []
        switch form {
        case .one(let attributes):
            guard point.suite == .one else { throw .mixedSuites }
            guard attributes.count == 10 else { throw .wrongLength(38 + attributes.count) }
            bytes = point.bytes
            bytes += subject.bigEndianBytes
            bytes += issuer.bigEndianBytes
            bytes += attributes
        case .two(let serial, let validFrom, let lifetime, let usage):
            guard point.suite == .two else { throw .mixedSuites }
            guard usage & Self.agreementUsage != 0 else { throw .wrongUsage(usage) }
            bytes = [Self.implicit]
            bytes.append(bigEndian: serial)
            bytes += [Self.sect283k1, Self.aesMMO]
            bytes += issuer.bigEndianBytes
            bytes += [UInt8](bigEndian: validFrom).suffix(5)
            bytes.append(bigEndian: lifetime)
            bytes += subject.bigEndianBytes
            bytes.append(usage)
            bytes += point.bytes
        }
        self.bytes = bytes
    }

    /// Reads a certificate, whose suite its length says. Throws where a field says something that
    /// cannot be used, or the point is none.
    public init(_ bytes: some Collection<UInt8>) throws(CBKEError) {
        let bytes = Array(bytes)
        switch bytes.count {
        case CBKESuite.one.certificateLength:
            point = try CBKEPoint(bytes[..<22], suite: .one)
            subject = EUI64(Self.number(bytes[22..<30]))
            issuer = EUI64(Self.number(bytes[30..<38]))
            form = .one(attributes: Array(bytes[38...]))
        case CBKESuite.two.certificateLength:
            guard bytes[0] == Self.implicit else { throw .notImplicit(bytes[0]) }
            guard bytes[9] == Self.sect283k1 else { throw .wrongCurve(bytes[9]) }
            guard bytes[10] == Self.aesMMO else { throw .wrongHash(bytes[10]) }
            guard bytes[36] & Self.agreementUsage != 0 else { throw .wrongUsage(bytes[36]) }
            point = try CBKEPoint(bytes[37...], suite: .two)
            subject = EUI64(Self.number(bytes[28..<36]))
            issuer = EUI64(Self.number(bytes[11..<19]))
            form = .two(
                serial: Self.number(bytes[1..<9]), validFrom: Self.number(bytes[19..<24]),
                lifetime: UInt32(Self.number(bytes[24..<28])), usage: bytes[36])
        default: throw .wrongLength(bytes.count)
        }
        self.bytes = bytes
    }

    /// The holder's public key e * R + Q(CA), where e is the hash of the whole certificate and R
    /// its point (SEC 4 3.5). Throws if `authority` has not issued it, or no key comes out.
    public func publicKey(from authority: CBKEAuthority) throws(CBKEError) -> CBKEPoint {
        guard issuer == authority.issuer else { throw .unknownIssuer(issuer) }
        guard suite == authority.publicKey.suite else { throw .mixedSuites }
        let calculation = CurveCalculation(suite)
        let hash = calculation.number(AESMMO.hash(bytes).bytes)
        let key = calculation.multiply(calculation.point(point), by: hash)
        calculation.add(calculation.point(authority.publicKey), to: key)
        guard let value = calculation.value(of: key) else { throw .badPoint }
        return value
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}
