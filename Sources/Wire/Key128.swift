/// A 128-bit AES key as sixteen bytes in order, in a form that compares and hashes cheaply.
public struct Key128: Hashable, Sendable {
    /// Bytes 0-7 and 8-15, each read big-endian.
    public var high: UInt64
    public var low: UInt64

    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Takes exactly sixteen bytes; nil for any other count.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        var words: (UInt64, UInt64) = (0, 0)
        for (index, byte) in bytes.enumerated() {
            if index < 8 {
                words.0 = words.0 << 8 | UInt64(byte)
            } else {
                words.1 = words.1 << 8 | UInt64(byte)
            }
        }
        self.init(high: words.0, low: words.1)
    }

    /// The sixteen bytes, in order.
    public var bytes: [UInt8] { (0..<16).map { self[$0] } }

    /// Byte `index` of 0-15.
    @inlinable
    public subscript(index: Int) -> UInt8 {
        let word = index < 8 ? high : low
        return UInt8(truncatingIfNeeded: word >> (8 * UInt64(7 - index & 7)))
    }
}

/// A SHA-256 digest: thirty-two bytes in order, as four big-endian words.
public struct Digest256: Hashable, Sendable, CustomStringConvertible {
    public var words: (UInt64, UInt64, UInt64, UInt64)

    public init(words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

    /// Takes exactly thirty-two bytes; nil for any other count.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        var all: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        for (index, byte) in bytes.enumerated() {
            switch index / 8 {
            case 0: all.0 = all.0 << 8 | UInt64(byte)
            case 1: all.1 = all.1 << 8 | UInt64(byte)
            case 2: all.2 = all.2 << 8 | UInt64(byte)
            default: all.3 = all.3 << 8 | UInt64(byte)
            }
        }
        self.words = all
    }

    /// The thirty-two bytes, in order.
    public var bytes: [UInt8] {
        [words.0, words.1, words.2, words.3].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * UInt64($0))) }
        }
    }

    /// Sixty-four lower-case hex digits.
    public var description: String { Hex.string(bytes) }

    public static func == (a: Digest256, b: Digest256) -> Bool { a.words == b.words }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
    }
}
