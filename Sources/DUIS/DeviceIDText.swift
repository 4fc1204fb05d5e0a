import DCC
import Wire

/// Lists of device ids as DUIS writes them: `00-DB-…-A0,00-DB-…-A1`, without white space.
enum DeviceIDText {
    /// Of one id and of the comma behind it.
    static let stride = 24

    /// The number of the first entry that is no id, from 1 on.
    struct Flaw: Error {
        var entry: Int
    }

    static func parse(_ text: UnsafeBufferPointer<UInt8>) throws(Flaw) -> [EUI64] {
        guard text.count % stride == stride - 1, let start = text.baseAddress else {
            // Whatever its length, the first that is wrong is named.
            let whole = text.count / stride
            if let start = text.baseAddress, whole > 0 {
                _ = try parse(start, count: whole, hasLastComma: true)
            }
            throw Flaw(entry: whole + 1)
        }
        return try parse(start, count: text.count / stride + 1, hasLastComma: false)
    }

    private static func parse(
        _ start: UnsafePointer<UInt8>, count: Int, hasLastComma: Bool
    ) throws(Flaw) -> [EUI64] {
        var wrong: Int?
        let ids = [EUI64](unsafeUninitializedCapacity: count) { ids, made in
            let characters = (
                first: Characters(from: 0), second: Characters(from: 16),
                third: Characters(from: 32)
            )
            withUnsafeTemporaryAllocation(
                byteCount: blockCount * stride, alignment: MemoryLayout<Characters>.alignment
            ) { nibbles in
                let nibbles = nibbles.baseAddress!
                // The last may have no comma, and is read by itself.
                while made + blockCount < count,
                    read(
                        UnsafeRawPointer(start + made &* stride), as: characters, into: nibbles)
                {
                    for index in 0..<blockCount {
                        let entry = nibbles + index &* stride
                        ids[made &+ index] = id(
                            Triple.value(entry), Triple.value(entry + 9), Triple.value(entry + 15))
                    }
                    made &+= blockCount
                }
            }
            while made < count {
                // Bytes 0-2, 3-5 and 5-7 of the id with the dashes between them.
                let entry = UnsafeRawPointer(start + made &* stride)
                let first = Triple(entry)
                let second = Triple(entry + 9)
                let third = Triple(entry + 15)
                let dash = entry.load(fromByteOffset: 8, as: UInt8.self)
                let isLast = made == count - 1 && !hasLastComma
                guard first.isRight, second.isRight, third.isRight, dash == UInt8(ascii: "-"),
                    isLast || start[made &* stride &+ 23] == UInt8(ascii: ",")
                else {
                    wrong = made + 1
                    return
                }
                ids[made] = id(first.value, second.value, third.value)
                made &+= 1
            }
        }
        if let wrong { throw Flaw(entry: wrong) }
        return ids
    }

    @inline(__always)
    private static func id(_ first: UInt64, _ second: UInt64, _ third: UInt64) -> EUI64 {
        EUI64(first << 40 | second << 16 | third & 0xFFFF)
    }

    /// Sixteen of the characters of two entries, of which each is looked at by itself.
    private struct Characters {
        /// In two words, the first character's lowest.
        typealias Words = SIMD2<UInt64>

        /// What makes a `0` of the dash or the comma in each sign's place.
        private var signs = Words()
        /// All bits of each sign's place.
        private var places = Words()

        /// Those from the `offset`th on.
        init(from offset: Int) {
            for index in 0..<16 {
                let place = (offset + index) % stride
                guard place % 3 == 2 else { continue }
                let sign = UInt8(ascii: place == 23 ? "," : "-") ^ UInt8(ascii: "0")
                signs[index / 8] |= UInt64(sign) << UInt64(index % 8 * 8)
                places[index / 8] |= 0xFF << UInt64(index % 8 * 8)
            }
        }

        /// Writes a nibble for each, zero for a sign; no bit is set if all are in their places.
        @inline(__always)
        func read(_ text: UnsafeRawPointer, into nibbles: UnsafeMutableRawPointer) -> Words {
            let word = text.loadUnaligned(as: Words.self)
            let digits = word ^ signs
            let small = digits | Self.every(0x20)
            // The high bit of each byte that is at least so much. Where one has it already, which
            // is wrong, a carry may go to the next.
            let isLetter = (small &+ Self.every(0x80 - 0x61)) & ~(small &+ Self.every(0x80 - 0x67))
            let isDigit = (digits &+ Self.every(0x80 - 0x30)) & ~(digits &+ Self.every(0x80 - 0x3A))
            let letters = isLetter &>> 7 & Self.every(1)
            nibbles.storeBytes(
                of: (digits & Self.every(0x0F)) &+ letters &+ letters &<< 3, as: Words.self)
            return (~(isDigit | isLetter) | word) & Self.every(0x80)
                | (digits ^ Self.every(0x30)) & places
        }

        @inline(__always)
        private static func every(_ byte: UInt8) -> Words {
            Words(repeating: UInt64(byte) &* 0x0101_0101_0101_0101)
        }
    }

    /// Entries that are looked at together, an even number.
    private static let blockCount = 64

    /// Reads a block of entries with a comma behind each, sixteen characters after sixteen; false
    /// if something is wrong in it.
    @inline(__always)
    private static func read(
        _ text: UnsafeRawPointer,
        as characters: (first: Characters, second: Characters, third: Characters),
        into nibbles: UnsafeMutableRawPointer
    ) -> Bool {
        var flaws = Characters.Words()
        for place in Swift.stride(from: 0, to: blockCount &* stride, by: 48) {
            let (text, nibbles) = (text + place, nibbles + place)
            flaws |= characters.first.read(text, into: nibbles)
            flaws |= characters.second.read(text + 16, into: nibbles + 16)
            flaws |= characters.third.read(text + 32, into: nibbles + 32)
        }
        return flaws.x | flaws.y == 0
    }

    /// Three bytes as `A0-B1-C2`, read all at once: of a word's eight bytes each is looked at by
    /// itself, and no carry goes from one to the next.
    private struct Triple {
        var value: UInt64
        var isRight: Bool

        @inline(__always)
        init(_ text: UnsafeRawPointer) {
            let every: UInt64 = 0x0101_0101_0101_0101
            let dashes: UInt64 = 0x0000_2D00_002D_0000
            let asZeros: UInt64 = 0x0000_1D00_001D_0000
            let word = text.loadUnaligned(as: UInt64.self).littleEndian
            let mask: UInt64 = 0x0000_FF00_00FF_0000
            // '0' stands for the dashes from here on.
            let digits = word ^ asZeros
            let small = digits | every &* 0x20
            // The high bit of each byte that is at least so much; all are under 0x80.
            func isAtLeast(_ least: UInt64, _ bytes: UInt64) -> UInt64 {
                bytes &+ every &* (0x80 - least)
            }
            let isLetter = isAtLeast(0x61, small) & ~isAtLeast(0x67, small)
            let isDigit = isAtLeast(0x30, digits) & ~isAtLeast(0x3A, digits)
            let high = every &* 0x80
            isRight =
                (isLetter | isDigit) & high == high && word & high == 0 && word & mask == dashes
            value = Self.value(
                nibbles: (digits & (every &* 0x0F)) &+ ((isLetter & high) >> 7) &* 9)
        }

        /// Of eight characters' nibbles.
        @inline(__always)
        static func value(_ nibbles: UnsafeMutableRawPointer) -> UInt64 {
            value(nibbles: nibbles.loadUnaligned(as: UInt64.self).littleEndian)
        }

        @inline(__always)
        private static func value(nibbles: UInt64) -> UInt64 {
            let pairs = nibbles << 4 | nibbles >> 8
            return (pairs & 0xFF) << 16 | (pairs >> 24 & 0xFF) << 8 | pairs >> 48 & 0xFF
        }
    }

    /// Each byte's two digits and a dash, in that order from the lowest byte on.
    private static let pairs: [UInt32] = (0..<256).map { byte in
        let digits = Array("0123456789ABCDEF".utf8)
        return UInt32(digits[byte >> 4]) | UInt32(digits[byte & 15]) << 8
            | UInt32(UInt8(ascii: "-")) << 16
    }

    static func write(_ ids: [EUI64]) -> [UInt8] {
        guard !ids.isEmpty else { return [] }
        // The last pair is written with a byte more, and the last comma is left out.
        return [UInt8](unsafeUninitializedCapacity: ids.count * stride + 1) { text, count in
            let output = UnsafeMutableRawPointer(text.baseAddress!)
            pairs.withUnsafeBufferPointer { pairs in
                for (index, id) in ids.enumerated() {
                    let entry = output + index &* stride
                    for byte in 0..<8 {
                        let value = UInt8(
                            truncatingIfNeeded: id.rawValue >> UInt64(56 &- 8 &* byte))
                        (entry + 3 &* byte).storeBytes(
                            of: pairs[Int(value)].littleEndian, as: UInt32.self)
                    }
                    entry.storeBytes(of: UInt8(ascii: ","), toByteOffset: 23, as: UInt8.self)
                }
            }
            count = ids.count * stride - 1
        }
    }
}
