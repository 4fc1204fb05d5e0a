import Wire

/// Whole numbers as people write them in files and on the command line.
public enum Numeral {
    /// Decimal or `0x` digits with an optional sign; nil for anything else or past 64 bits.
    public static func parse(_ text: String) -> Int128? {
        var digits = text[...]
        var negative = false
        if let sign = digits.first, sign == "-" || sign == "+" {
            negative = sign == "-"
            digits.removeFirst()
        }
        var radix: Int128 = 10
        if digits.hasPrefix("0x") || digits.hasPrefix("0X") {
            radix = 16
            digits.removeFirst(2)
        }
        guard let first = digits.utf8.first, first != UInt8(ascii: "_"),
            digits.utf8.last != UInt8(ascii: "_"), digits.utf8.count <= 40
        else { return nil }
        var value: Int128 = 0
        for byte in digits.utf8 where byte != UInt8(ascii: "_") {
            guard let digit = Hex.nibble(byte), digit < radix else { return nil }
            value = value * radix + Int128(digit)
            guard value <= Int128(UInt64.max) else { return nil }
        }
        return negative ? -value : value
    }
}
