/// Everything random in a run comes from here: named streams split from one seed, so that
/// turning one thing on does not shift another's dice.
public struct Seed: Hashable, Sendable {
    public var rawValue: UInt64

    @inlinable
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The seed of the stream called `name`: FNV-1a of the name, mixed with this seed.
    public func named(_ name: String) -> Seed {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return Seed(Self.mix(rawValue ^ Self.mix(hash)))
    }

    /// The seed of stream number `index` under this one.
    @inlinable
    public func indexed(_ index: UInt64) -> Seed {
        Seed(Self.mix(rawValue ^ Self.mix(index &+ 0x9E37_79B9_7F4A_7C15)))
    }

    /// One throw that depends on nothing but this seed and three numbers, so that it comes out
    /// the same whatever was thrown before it.
    @inlinable
    public func throwDice(_ a: UInt64, _ b: UInt64, _ c: UInt64) -> UInt64 {
        indexed(a).indexed(b).indexed(c).rawValue
    }

    /// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
    @inlinable
    static func mix(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}

/// A stream of numbers from a seed (SplitMix64).
public struct SeededStream: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(_ seed: Seed) { state = seed.rawValue }

    public mutating func next() -> UInt64 {
        let value = Seed.mix(state)
        state &+= 0x9E37_79B9_7F4A_7C15
        return value
    }

    /// A number of 0..<`bound`; `bound` must not be 0. Without the standard library's rejection
    /// loop, whose use of the generator may change with the toolchain.
    public mutating func below(_ bound: UInt64) -> UInt64 {
        next().multipliedFullWidth(by: bound).high
    }

    /// `count` bytes.
    public mutating func bytes(_ count: Int) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(count)
        var word: UInt64 = 0
        for index in 0..<count {
            if index & 7 == 0 { word = next() }
            result.append(UInt8(truncatingIfNeeded: word))
            word >>= 8
        }
        return result
    }
}
