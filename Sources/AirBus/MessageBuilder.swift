import Radio
import Wire

/// Writes one message after another into the same memory: nothing is allocated for a message.
///
/// What would be longer than `AirProtocol.messageLimit` is not written to its end; the builder is
/// then `isOverflowed` and its bytes must not be sent. An answer never overflows: what has no room
/// counts as lost.
public struct MessageBuilder: ~Copyable, @unchecked Sendable {
    private let base: UnsafeMutableRawPointer
    private let limit: Int
    /// Bytes of the message.
    public private(set) var count = 0
    public private(set) var isOverflowed = false

    public init() {
        limit = AirProtocol.messageLimit
        // Pages that no message reaches cost nothing.
        base = .allocate(byteCount: limit, alignment: 16)
    }

    deinit { base.deallocate() }

    /// The message, until the next one is begun.
    public var message: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    /// A copy of the message, for tests and tools; allocates.
    public var bytes: [UInt8] { Array(message) }

    // MARK: - Fields

    mutating func begin(_ kind: MessageKind) {
        count = 0
        isOverflowed = false
        put(kind.rawValue)
    }

    /// Takes back all that was written after `mark`, an overflow included.
    mutating func goBack(to mark: Int) {
        count = mark
        isOverflowed = false
    }

    /// For what the layout has no room for, however short the message.
    mutating func overflow() { isOverflowed = true }

    mutating func put<Number: FixedWidthInteger>(_ value: Number) {
        let size = MemoryLayout<Number>.size
        guard limit - count >= size else { return overflow() }
        base.storeBytes(of: value.littleEndian, toByteOffset: count, as: Number.self)
        count += size
    }

    /// Writes over what was written at `offset`.
    mutating func put<Number: FixedWidthInteger>(_ value: Number, at offset: Int) {
        guard offset + MemoryLayout<Number>.size <= count else { return }
        base.storeBytes(of: value.littleEndian, toByteOffset: offset, as: Number.self)
    }

    mutating func put(_ value: Bool) { put(value ? 1 as UInt8 : 0) }
    mutating func put(_ time: Instant) { put(time.microseconds) }
    mutating func put(_ address: EUI64) { put(address.rawValue) }
    mutating func put(_ key: Key128) { for index in 0..<16 { put(key[index]) } }

    mutating func put(_ digest: Digest256) {
        put(digest.words.0.byteSwapped)
        put(digest.words.1.byteSwapped)
        put(digest.words.2.byteSwapped)
        put(digest.words.3.byteSwapped)
    }

    mutating func put(_ more: UnsafeRawBufferPointer) {
        guard limit - count >= more.count else { return overflow() }
        guard let source = more.baseAddress else { return }
        (base + count).copyMemory(from: source, byteCount: more.count)
        count += more.count
    }

    /// `bytes8`: the length as u8, then the bytes. A frame that is not what was meant goes without
    /// any, so that no chip takes it.
    mutating func put(_ frame: borrowing FrameBuffer) {
        guard !frame.isOverflowed else { return put(0 as UInt8) }
        put(UInt8(frame.count))
        frame.span.withUnsafeBytes { put($0) }
    }

    /// `text`: the length as u16, then UTF-8.
    mutating func put(text: String) { put(text, limit: Int(UInt16.max), as: UInt16.self) }

    /// `text8`: the length as u8, then UTF-8.
    mutating func put(text8 text: String) { put(text, limit: Int(UInt8.max), as: UInt8.self) }

    /// What is too long is cut between two characters; control characters become spaces.
    private mutating func put<Length: FixedWidthInteger>(
        _ text: String, limit: Int, as type: Length.Type
    ) {
        let mark = count
        put(0 as Length)
        let start = count
        for scalar in text.unicodeScalars {
            let encoded = UTF8.encode(scalar.isControl ? " " : scalar)
            guard let encoded, count - start + encoded.count <= limit else { break }
            for byte in encoded { put(byte) }
        }
        put(Length(truncatingIfNeeded: count - start), at: mark)
    }
}
