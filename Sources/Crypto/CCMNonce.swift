import Wire

/// The 13-byte nonce of a secured ZigBee frame (ZigBee 4.5.2.2): source EUI-64 and frame counter,
/// both little-endian, then the security control byte with the level filled in (0x2D, not the
/// 0x28 that is sent).
public struct CCMNonce: Hashable, Sendable {
    static let count = 13

    /// Bytes 0-7 and 8-15 in memory order; the last three are not used.
    @usableFromInline let low: UInt64
    @usableFromInline let high: UInt64

    @inlinable
    public init(source: EUI64, counter: UInt32, control: UInt8) {
        low = source.rawValue.littleEndian
        high = (UInt64(counter) | UInt64(control) << 32).littleEndian
    }

    /// From the thirteen bytes themselves.
    init(bytes: [UInt8]) {
        precondition(bytes.count == Self.count)
        var words = (low: 0 as UInt64, high: 0 as UInt64)
        withUnsafeMutableBytes(of: &words) { $0.copyBytes(from: bytes) }
        (low, high) = words
    }

    /// The thirteen bytes, in order.
    public var bytes: [UInt8] { withUnsafeBytes(of: self) { Array($0.prefix(Self.count)) } }
}
