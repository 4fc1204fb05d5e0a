import COpenSSL
import Wire

/// A cryptographic suite of Certificate-Based Key Establishment (Smart Energy Annex C), by its
/// number in the cluster's commands.
///
/// Both hash with AES-MMO and differ in their Koblitz curve. Nothing here draws a random number:
/// every scalar is given or comes from a seeded stream. (libcrypto hides the steps of a
/// multiplication behind numbers of its own, which do not change the result.)
public enum CBKESuite: UInt16, CaseIterable, Sendable {
    /// Suite 1: sect163k1, cofactor 2.
    case one = 1
    /// Suite 2: sect283k1, cofactor 4.
    case two = 2

    /// Bytes of a compressed point: 02 or 03, then x.
    public var pointLength: Int { scalarLength + 1 }
    /// Bytes of a private key, and of a coordinate: both curves need as many for the one as for
    /// the other.
    public var scalarLength: Int { self == .one ? 21 : 36 }
    /// Bytes of an implicit certificate.
    public var certificateLength: Int { self == .one ? 48 : 74 }

    /// Doublings that multiply with the cofactor.
    var cofactorDoublings: Int { self == .one ? 1 : 2 }
    /// Bits of the base point's order n.
    var orderBits: Int { self == .one ? 163 : 281 }

    /// Setting a curve up takes as long as a multiplication, so it is done once; from then on it
    /// is only read, which libcrypto allows from several threads.
    var group: OpaquePointer { self == .one ? Self.sect163k1 : Self.sect283k1 }

    nonisolated(unsafe) private static let sect163k1 = makeGroup(NID_sect163k1)
    nonisolated(unsafe) private static let sect283k1 = makeGroup(NID_sect283k1)

    private static func makeGroup(_ name: Int32) -> OpaquePointer {
        guard let group = EC_GROUP_new_by_curve_name(name) else {
            fatalError("libcrypto lacks the curves of CBKE, or memory ran out")
        }
        return group
    }
}

/// The numbers and points of one calculation on a suite's curve, freed with it.
struct CurveCalculation: ~Copyable {
    let suite: CBKESuite
    let group: OpaquePointer
    let context: OpaquePointer

    init(_ suite: CBKESuite) {
        guard let context = BN_CTX_new() else { fatalError("memory ran out") }
        BN_CTX_start(context)
        self.suite = suite
        self.context = context
        group = suite.group
    }

    deinit {
        BN_CTX_end(context)
        BN_CTX_free(context)
    }

    /// The order n of the base point.
    var order: OpaquePointer { EC_GROUP_get0_order(group) }

    func number() -> OpaquePointer {
        guard let number = BN_CTX_get(context) else { fatalError("memory ran out") }
        return number
    }

    func number(_ bytes: [UInt8]) -> OpaquePointer {
        let number = number()
        precondition(BN_bin2bn(bytes, Int32(bytes.count), number) != nil, "memory ran out")
        return number
    }

    /// Whether `bytes` are a number in 1..<n.
    func isScalar(_ bytes: [UInt8]) -> Bool {
        guard bytes.count == suite.scalarLength else { return false }
        let number = number(bytes)
        return BN_is_zero(number) == 0 && BN_cmp(number, order) < 0
    }

    /// (a + b * c) mod n
    func sum(_ a: OpaquePointer, _ b: OpaquePointer, times c: OpaquePointer) -> OpaquePointer {
        let result = number()
        let isDone =
            BN_mod_mul(result, b, c, order, context) == 1
            && BN_mod_add(result, result, a, order, context) == 1
        precondition(isDone, "memory ran out")
        return result
    }

    /// A number as the bytes of a scalar.
    func bytes(of number: OpaquePointer) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: suite.scalarLength)
        let count = BN_bn2binpad(number, &bytes, Int32(bytes.count))
        precondition(count == bytes.count, "a number longer than the curve's order")
        return bytes
    }

    /// A point of the calculation as a value; nil for the one at infinity.
    func value(of point: borrowing CurvePoint) -> CBKEPoint? {
        guard EC_POINT_is_at_infinity(group, point.pointer) == 0 else { return nil }
        let compressed = encoded(point, POINT_CONVERSION_COMPRESSED, suite.pointLength)
        let affine = encoded(point, POINT_CONVERSION_UNCOMPRESSED, 2 * suite.scalarLength + 1)
        return CBKEPoint(suite: suite, bytes: compressed, affine: affine)
    }

    private func encoded(
        _ point: borrowing CurvePoint, _ form: point_conversion_form_t, _ length: Int
    ) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: length)
        let count = EC_POINT_point2oct(group, point.pointer, form, &bytes, length, context)
        precondition(count == length, "libcrypto cannot encode a point of CBKE's curves")
        return bytes
    }

    /// A point that has been checked before.
    func point(_ value: CBKEPoint) -> CurvePoint {
        let point = CurvePoint(group)
        let isRead =
            EC_POINT_oct2point(
                group, point.pointer, value.affine, value.affine.count, context) == 1
        precondition(value.suite == suite && isRead, "a point of another curve")
        return point
    }

    /// scalar * G
    func base(times scalar: OpaquePointer) -> CurvePoint {
        let point = CurvePoint(group)
        let isDone = EC_POINT_mul(group, point.pointer, scalar, nil, nil, context) == 1
        precondition(isDone, "libcrypto cannot multiply on CBKE's curves")
        return point
    }

    /// scalar * factor
    func multiply(_ factor: borrowing CurvePoint, by scalar: OpaquePointer) -> CurvePoint {
        let point = CurvePoint(group)
        let isDone =
            EC_POINT_mul(group, point.pointer, nil, factor.pointer, scalar, context) == 1
        precondition(isDone, "libcrypto cannot multiply on CBKE's curves")
        return point
    }

    func add(_ one: borrowing CurvePoint, to other: borrowing CurvePoint) {
        let isDone =
            EC_POINT_add(group, other.pointer, other.pointer, one.pointer, context) == 1
        precondition(isDone, "libcrypto cannot add on CBKE's curves")
    }

    /// Multiplies with the cofactor: what remains is in the large subgroup, or at infinity.
    func multiplyByCofactor(_ point: borrowing CurvePoint) {
        for _ in 0..<suite.cofactorDoublings {
            let isDone = EC_POINT_dbl(group, point.pointer, point.pointer, context) == 1
            precondition(isDone, "libcrypto cannot double on CBKE's curves")
        }
    }
}

/// libcrypto's point, freed with its holder.
struct CurvePoint: ~Copyable {
    let pointer: OpaquePointer

    init(_ group: OpaquePointer) {
        guard let pointer = EC_POINT_new(group) else { fatalError("memory ran out") }
        self.pointer = pointer
    }

    deinit { EC_POINT_clear_free(pointer) }
}
