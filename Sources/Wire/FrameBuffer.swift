/// Up to 127 bytes (aMaxPHYPacketSize, IEEE 802.15.4 6.4.1) held in place: no allocation to
/// make, copy or fill one.
///
/// Writing past the end does not trap: the buffer becomes `isOverflowed`, keeps what it had, and
/// whoever is about to send it drops it with a reason.
public struct FrameBuffer: Sendable {
    public static let capacity = 127

    @usableFromInline var storage: InlineArray<127, UInt8>
    /// The length in the low seven bits, whether it is overflowed in the high one: 128 bytes in
    /// all, which is the most that compilers copy without a call.
    @usableFromInline var mark: UInt8

    @inlinable
    public init() {
        storage = InlineArray(repeating: 0)
        mark = 0
    }

    public init(_ bytes: some Sequence<UInt8>) {
        self.init()
        for byte in bytes { append(byte) }
    }

    @inlinable
    public init(copying bytes: Span<UInt8>) {
        self.init()
        append(bytes)
    }

    @inlinable
    public var count: Int { Int(mark & 0x7F) }
    @inlinable
    public var room: Int { Self.capacity - count }
    /// True once something did not fit; the content is then not what was meant.
    @inlinable
    public var isOverflowed: Bool { mark & 0x80 != 0 }
    @inlinable
    public var isEmpty: Bool { count == 0 }

    /// The bytes written so far.
    @inlinable
    public var span: Span<UInt8> {
        @_lifetime(borrow self)
        borrowing get { storage.span.extracting(0..<count) }
    }

    /// The bytes written so far, to be changed in place.
    @inlinable
    public var mutableSpan: MutableSpan<UInt8> {
        @_lifetime(&self)
        mutating get {
            let end = count
            return storage.mutableSpan._consumingExtracting(0..<end)
        }
    }

    /// The bytes as an array, for tests and for files; allocates.
    public var bytes: [UInt8] { (0..<count).map { storage[$0] } }

    @inlinable
    public subscript(index: Int) -> UInt8 {
        get {
            precondition(index < count)
            return storage[index]
        }
        set {
            precondition(index < count)
            storage[index] = newValue
        }
    }

    @inlinable
    public mutating func removeAll() { mark = 0 }

    /// Cuts the buffer down to its first `count` bytes.
    @inlinable
    public mutating func truncate(to count: Int) {
        if count < self.count { mark = mark & 0x80 | UInt8(count) }
    }

    @inlinable
    public mutating func append(_ byte: UInt8) {
        guard room >= 1 else { return overflow() }
        storage[count] = byte
        mark &+= 1
    }

    @inlinable
    public mutating func append(_ value: UInt16) {
        guard room >= 2 else { return overflow() }
        let at = count
        storage[at] = UInt8(truncatingIfNeeded: value)
        storage[at + 1] = UInt8(truncatingIfNeeded: value >> 8)
        mark &+= 2
    }

    @inlinable
    public mutating func append(_ value: UInt32) {
        guard room >= 4 else { return overflow() }
        let at = count
        for index in 0..<4 {
            storage[at + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * index))
        }
        mark &+= 4
    }

    @inlinable
    public mutating func append(_ value: UInt64) {
        guard room >= 8 else { return overflow() }
        let at = count
        for index in 0..<8 {
            storage[at + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
        }
        mark &+= 8
    }

    @inlinable
    public mutating func append(_ address: EUI64) { append(address.rawValue) }
    @inlinable
    public mutating func append(_ address: ShortAddress) { append(address.rawValue) }
    @inlinable
    public mutating func append(_ pan: PANID) { append(pan.rawValue) }

    public mutating func append(_ key: Key128) {
        for index in 0..<16 { append(key[index]) }
    }

    @inlinable
    public mutating func append(_ bytes: Span<UInt8>) {
        guard room >= bytes.count else { return overflow() }
        bytes.withUnsafeBytes { appendFitting($0) }
    }

    /// Bytes of any memory; see the other `append`s.
    @inlinable
    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard room >= bytes.count else { return overflow() }
        appendFitting(bytes)
    }

    @inlinable
    mutating func appendFitting(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        let at = count
        var target = storage.mutableSpan
        target.withUnsafeMutableBytes { target in
            target.baseAddress!.advanced(by: at).copyMemory(from: source, byteCount: bytes.count)
        }
        mark &+= UInt8(bytes.count)
    }

    /// Makes room for `count` bytes whose values the caller writes through `mutableSpan`.
    @inlinable
    public mutating func appendZeros(_ count: Int) {
        guard count >= 0, room >= count else { return overflow() }
        for index in self.count..<self.count + count { storage[index] = 0 }
        mark &+= UInt8(count)
    }

    @usableFromInline
    mutating func overflow() { mark |= 0x80 }
}

extension FrameBuffer: Equatable {
    public static func == (a: FrameBuffer, b: FrameBuffer) -> Bool {
        guard a.count == b.count else { return false }
        for index in 0..<a.count where a.storage[index] != b.storage[index] { return false }
        return true
    }
}
