import Wire

/// The little of JSON that the evidence needs, written in an order that never varies.
enum JSON {
    /// `text` in quotes, escaped as RFC 8259 section 7 asks.
    static func quoted(_ text: String) -> [UInt8] {
        var result: [UInt8] = [UInt8(ascii: "\"")]
        result.reserveCapacity(text.utf8.count + 2)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): result += Array(#"\""#.utf8)
            case UInt8(ascii: "\\"): result += Array(#"\\"#.utf8)
            case 0x0A: result += Array(#"\n"#.utf8)
            case 0x0D: result += Array(#"\r"#.utf8)
            case 0x09: result += Array(#"\t"#.utf8)
            case 0..<0x20: result += Array((#"\u00"# + Hex.string([byte])).utf8)
            default: result.append(byte)
            }
        }
        result.append(UInt8(ascii: "\""))
        return result
    }

    static func quotedText(_ text: String) -> String {
        String(decoding: quoted(text), as: UTF8.self)
    }

    /// `numerator / 10^places` with exactly that many decimals.
    static func fixed(_ numerator: Int64, places: Int) -> String {
        let digits = String(numerator.magnitude)
        let padded = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
        let sign = numerator < 0 ? "-" : ""
        return sign + padded.dropLast(places) + "." + padded.suffix(places)
    }
}
