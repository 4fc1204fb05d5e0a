/// Reads little-endian fields off a span, one after another, and says where it ran out.
///
/// ZigBee is little-endian throughout; the `bigEndian` forms are for GBCS and certificates.
public struct ByteReader: ~Escapable {
    @usableFromInline let bytes: Span<UInt8>
    @usableFromInline var position = 0
    /// How many bytes have been read.
    @inlinable
    public var offset: Int { position }

    @inlinable
    @_lifetime(copy bytes)
    public init(_ bytes: Span<UInt8>) { self.bytes = bytes }

    @inlinable
    public var remaining: Int { bytes.count - offset }

    @inlinable
    @inline(__always)
    public mutating func u8(_ field: StaticString) throws(WireError) -> UInt8 {
        guard remaining >= 1 else { throw WireError(.truncated, field, at: offset) }
        let value = bytes[offset]
        advance(1)
        return value
    }

    @inlinable
    @inline(__always)
    public mutating func u16(_ field: StaticString) throws(WireError) -> UInt16 {
        guard remaining >= 2 else { throw WireError(.truncated, field, at: offset) }
        let value = UInt16(bytes[offset]) | UInt16(bytes[offset + 1]) << 8
        advance(2)
        return value
    }

    @inlinable
    @inline(__always)
    public mutating func u32(_ field: StaticString) throws(WireError) -> UInt32 {
        guard remaining >= 4 else { throw WireError(.truncated, field, at: offset) }
        var value: UInt32 = 0
        for index in 0..<4 { value |= UInt32(bytes[offset + index]) << UInt32(8 * index) }
        advance(4)
        return value
    }

    @inlinable
    @inline(__always)
    public mutating func u64(_ field: StaticString) throws(WireError) -> UInt64 {
        guard remaining >= 8 else { throw WireError(.truncated, field, at: offset) }
        var value: UInt64 = 0
        for index in 0..<8 { value |= UInt64(bytes[offset + index]) << UInt64(8 * index) }
        advance(8)
        return value
    }

    @inlinable
    public mutating func eui64(_ field: StaticString) throws(WireError) -> EUI64 {
        EUI64(try u64(field))
    }

    @inlinable
    public mutating func shortAddress(_ field: StaticString) throws(WireError) -> ShortAddress {
        ShortAddress(try u16(field))
    }

    /// Sixteen key bytes, in order.
    public mutating func key(_ field: StaticString) throws(WireError) -> Key128 {
        guard remaining >= 16 else { throw WireError(.truncated, field, at: offset) }
        var words: (UInt64, UInt64) = (0, 0)
        for index in 0..<8 {
            words.0 = words.0 << 8 | UInt64(bytes[offset + index])
            words.1 = words.1 << 8 | UInt64(bytes[offset + 8 + index])
        }
        advance(16)
        return Key128(high: words.0, low: words.1)
    }

    /// The next `count` bytes as a span of the same memory.
    @inlinable
    @_lifetime(copy self)
    public mutating func take(_ count: Int, _ field: StaticString) throws(WireError) -> Span<UInt8>
    {
        guard count >= 0, remaining >= count else {
            throw WireError(.truncated, field, at: offset)
        }
        let start = offset
        advance(count)
        return bytes.extracting(start..<start + count)
    }

    /// The next `count` bytes as a copy.
    public mutating func bytes(_ count: Int, _ field: StaticString) throws(WireError) -> [UInt8] {
        try take(count, field).withUnsafeBufferPointer(Array.init)
    }

    /// Everything not yet read.
    @inlinable
    @_lifetime(copy self)
    public mutating func rest() -> Span<UInt8> {
        let start = offset
        advance(remaining)
        return bytes.extracting(start..<bytes.count)
    }

    /// Throws if anything is left over after `field`.
    @inlinable
    public func end(after field: StaticString) throws(WireError) {
        guard remaining == 0 else { throw WireError(.trailing, field, at: offset) }
    }

    @inlinable
    mutating func advance(_ count: Int) { position += count }
}
