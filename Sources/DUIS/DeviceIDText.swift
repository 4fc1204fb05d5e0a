import DCC
import Wire

/// Lists of device ids as DUIS writes them: `00-DB-…-A0,00-DB-…-A1`, without white space.
enum DeviceIDText {
    /// Of one id and of the comma behind it.
    static let stride = 24

    private static let nibbles: [UInt8] = (0...255).map { Hex.nibble(UInt8($0)) ?? 0xFF }

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
            nibbles.withUnsafeBufferPointer { nibbles in
                for index in 0..<count {
                    let entry = start + index &* stride
                    var (id, flaws, marks): (UInt64, UInt8, UInt8) = (0, 0, 0)
                    for byte in 0..<8 {
                        let high = nibbles[Int(entry[3 &* byte])]
                        let low = nibbles[Int(entry[3 &* byte &+ 1])]
                        flaws |= high | low
                        id = id << 8 | UInt64(high << 4 | low & 0x0F)
                        if byte < 7 { marks |= entry[3 &* byte &+ 2] ^ UInt8(ascii: "-") }
                    }
                    let isLast = index == count - 1 && !hasLastComma
                    guard flaws & 0xF0 == 0, marks == 0,
                        isLast || entry[23] == UInt8(ascii: ",")
                    else {
                        wrong = index + 1
                        return
                    }
                    ids[index] = EUI64(id)
                    made = index + 1
                }
            }
        }
        if let wrong { throw Flaw(entry: wrong) }
        return ids
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
