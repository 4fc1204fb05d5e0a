/// Hexadecimal text, without Foundation.
public enum Hex {
    /// The value of one ASCII hex digit, or nil.
    @inlinable
    public static func nibble(_ ascii: UInt8) -> UInt8? {
        switch ascii {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): ascii - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): ascii - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): ascii - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// `digits` capital hex digits of `value`, most significant first.
    public static func string(_ value: UInt64, digits: Int) -> String {
        var text = ""
        text.reserveCapacity(digits)
        for place in stride(from: digits - 1, through: 0, by: -1) {
            text.unicodeScalars.append(digit(UInt8(truncatingIfNeeded: value >> (4 * place)) & 15))
        }
        return text
    }

    /// Two lower-case digits a byte, in order.
    public static func string(_ bytes: some Sequence<UInt8>) -> String {
        var text = ""
        for byte in bytes {
            text.unicodeScalars.append(lowerDigit(byte >> 4))
            text.unicodeScalars.append(lowerDigit(byte & 15))
        }
        return text
    }

    /// The bytes that `text` spells, or nil if it is not an even number of hex digits.
    public static func bytes(_ text: some StringProtocol) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(text.utf8.count / 2)
        var high: UInt8?
        for ascii in text.utf8 {
            guard let nibble = nibble(ascii) else { return nil }
            if let first = high {
                result.append(first << 4 | nibble)
                high = nil
            } else {
                high = nibble
            }
        }
        return high == nil ? result : nil
    }

    private static func digit(_ nibble: UInt8) -> Unicode.Scalar {
        Unicode.Scalar(nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "A") + nibble - 10)
    }

    private static func lowerDigit(_ nibble: UInt8) -> Unicode.Scalar {
        Unicode.Scalar(nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10)
    }
}
