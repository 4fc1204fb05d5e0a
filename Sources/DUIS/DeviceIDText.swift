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
            for index in 0..<count {
                // Bytes 0-2, 3-5 and 5-7 of the id with the dashes between them.
                let entry = UnsafeRawPointer(start + index &* stride)
                let first = Triple(entry)
                let second = Triple(entry + 9)
                let third = Triple(entry + 15)
                let dashes = entry.load(fromByteOffset: 8, as: UInt8.self)
                let isLast = index == count - 1 && !hasLastComma
                guard first.isRight, second.isRight, third.isRight, dashes == UInt8(ascii: "-"),
                    isLast || start[index &* stride &+ 23] == UInt8(ascii: ",")
                else {
                    wrong = index + 1
                    return
                }
                ids[index] = EUI64(
                    first.value << 40 | second.value << 16 | third.value & 0xFFFF)
                made = index + 1
            }
        }
        if let wrong { throw Flaw(entry: wrong) }
        return ids
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
            let nibbles = (digits & (every &* 0x0F)) &+ ((isLetter & high) >> 7) &* 9
            let pairs = nibbles << 4 | nibbles >> 8
            value = (pairs & 0xFF) << 16 | (pairs >> 24 & 0xFF) << 8 | pairs >> 48 & 0xFF
        }
    }

    static func write(_ ids: [EUI64]) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(ids.count * stride)
        for (index, id) in ids.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            for byte in 0..<8 {
                if byte > 0 { text.append(UInt8(ascii: "-")) }
                let value = UInt8(truncatingIfNeeded: id.rawValue >> UInt64(56 - 8 * byte))
                text.append(digit(value >> 4))
                text.append(digit(value & 15))
            }
        }
        return text
    }

    private static func digit(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "A") + nibble - 10
    }
}
