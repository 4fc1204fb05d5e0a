import COpenSSL
import Wire

/// A point of a suite's curve that may be somebody's key: on the curve, and neither at infinity nor
/// of small order.
public struct CBKEPoint: Hashable, Sendable {
    public let suite: CBKESuite
    /// Compressed as it travels: 02 or 03, then x, 22 or 37 bytes, big-endian (SEC 1 2.3.3).
    public let bytes: [UInt8]
    /// 04, x, y: libcrypto reads this much faster.
    let affine: [UInt8]

    init(suite: CBKESuite, bytes: [UInt8], affine: [UInt8]) {
        self.suite = suite
        self.bytes = bytes
        self.affine = affine
    }

    /// Throws `CBKEError.badPoint` unless `bytes` are a compressed point of the suite's curve whose
    /// order is not small.
    public init(_ bytes: some Collection<UInt8>, suite: CBKESuite) throws(CBKEError) {
        let bytes = Array(bytes)
        guard bytes.count == suite.pointLength, bytes[0] == 0x02 || bytes[0] == 0x03 else {
            throw .badPoint
        }
        let calculation = CurveCalculation(suite)
        let point = CurvePoint(calculation.group)
        let isRead =
            EC_POINT_oct2point(
                calculation.group, point.pointer, bytes, bytes.count, calculation.context) == 1
        guard isRead, let value = calculation.value(of: point), value.bytes == bytes else {
            ERR_clear_error()
            throw .badPoint
        }
        calculation.multiplyByCofactor(point)
        guard EC_POINT_is_at_infinity(calculation.group, point.pointer) == 0 else {
            throw .badPoint
        }
        self = value
    }

    /// The x coordinate, 21 or 36 bytes.
    var x: [UInt8] { Array(bytes[1...]) }

    /// The lower half of x and a one before it (SEC 1 3.4, "associate value"): what ECMQV
    /// multiplies a static key with.
    var associateValue: [UInt8] {
        let bits = (suite.orderBits + 1) / 2
        var value = Array(bytes.suffix(bits / 8 + 1))
        let top = UInt8(1) << UInt8(bits % 8)
        value[0] = value[0] & (top - 1) | top
        return value
    }
}

/// A private key d in 1..<n and its public half d * G, static or ephemeral.
public struct CBKEKeyPair: Sendable {
    /// d, 21 or 36 bytes, big-endian.
    let scalar: [UInt8]
    public let publicKey: CBKEPoint

    public var suite: CBKESuite { publicKey.suite }

    /// Throws `CBKEError.scalarOutOfRange` unless `scalar` are 21 or 36 big-endian bytes in 1..<n.
    public init(scalar: some Collection<UInt8>, suite: CBKESuite) throws(CBKEError) {
        let scalar = Array(scalar)
        let calculation = CurveCalculation(suite)
        guard calculation.isScalar(scalar) else { throw .scalarOutOfRange }
        let point = calculation.base(times: calculation.number(scalar))
        guard let publicKey = calculation.value(of: point) else { throw .scalarOutOfRange }
        self.scalar = scalar
        self.publicKey = publicKey
    }

    /// A new key from `stream`: as many bits as n has at a time, until they are in 1..<n.
    public static func generate(
        suite: CBKESuite, from stream: inout SeededStream
    ) -> CBKEKeyPair {
        let excess = suite.scalarLength * 8 - suite.orderBits
        while true {
            var scalar = stream.bytes(suite.scalarLength)
            scalar[0] &= 0xFF >> UInt8(excess)
            if let pair = try? CBKEKeyPair(scalar: scalar, suite: suite) { return pair }
        }
    }
}

/// Why something is not what CBKE needs.
public enum CBKEError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Not a compressed point of the curve, or one of small order.
    case badPoint
    /// A private key that is not in 1..<n.
    case scalarOutOfRange
    /// A certificate of so many bytes; one of suite 1 has 48, one of suite 2 has 74.
    case wrongLength(Int)
    /// The type of a certificate of suite 2 is not 00, implicit.
    case notImplicit(UInt8)
    /// The curve of a certificate of suite 2 is not 0D, sect283k1.
    case wrongCurve(UInt8)
    /// The hash of a certificate of suite 2 is not 08, AES-MMO.
    case wrongHash(UInt8)
    /// The key usage of a certificate of suite 2 does not include key agreement.
    case wrongUsage(UInt8)
    /// A certificate that another authority has issued.
    case unknownIssuer(EUI64)
    /// A private key that is not the one to which the certificate belongs.
    case wrongPrivateKey
    /// Certificate, key and authority are not of one suite.
    case mixedSuites

    public var description: String {
        switch self {
        case .badPoint:
            "not a compressed point of the suite's curve, or one of small order"
        case .scalarOutOfRange:
            "the private key is not a number from 1 to the order of the curve less one"
        case .wrongLength(let count):
            "\(count) bytes are no ZigBee certificate; one of suite 1 has 48, one of suite 2 74"
        case .notImplicit(let type):
            "offset 0: certificate type \(Self.hex(type)) where 00, implicit, is expected"
        case .wrongCurve(let curve):
            "offset 9: curve \(Self.hex(curve)) where 0D, sect283k1, is expected"
        case .wrongHash(let hash):
            "offset 10: hash \(Self.hex(hash)) where 08, AES-MMO, is expected"
        case .wrongUsage(let usage):
            "offset 36: key usage \(Self.hex(usage)) does not include key agreement, 08"
        case .unknownIssuer(let issuer):
            "issued by \(issuer), whose public key is not the one given"
        case .wrongPrivateKey:
            "the private key does not belong to the certificate, or the CA's public key is another"
        case .mixedSuites:
            "the certificate, the private key and the CA's public key are not of one suite"
        }
    }

    private static func hex(_ byte: UInt8) -> String { Hex.string(UInt64(byte), digits: 2) }
}
