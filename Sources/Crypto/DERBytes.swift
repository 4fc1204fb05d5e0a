import Wire

/// DER as it is written into certificates (X.690), which have less than 64 KiB.
enum DERBytes {
    static func element(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        let length: [UInt8] =
            switch content.count {
            case 0..<0x80: [UInt8(content.count)]
            case 0x80..<0x100: [0x81, UInt8(content.count)]
            default:
                [0x82, UInt8(content.count >> 8), UInt8(truncatingIfNeeded: content.count)]
            }
        return [tag] + length + content
    }

    static func sequence(_ parts: [UInt8]...) -> [UInt8] {
        element(0x30, parts.flatMap(\.self))
    }

    static func set(_ content: [UInt8]) -> [UInt8] { element(0x31, content) }

    /// A number that is not negative, from its big-endian bytes.
    static func integer(_ bytes: [UInt8]) -> [UInt8] {
        let short = Array(bytes.drop { $0 == 0 })
        let isHigh = short.first.map { $0 >= 0x80 } ?? true
        return element(0x02, isHigh ? [0] + short : short)
    }

    static func octets(_ content: [UInt8]) -> [UInt8] { element(0x04, content) }

    /// A bit string whose last `unused` bits do not count.
    static func bits(_ content: [UInt8], unused: UInt8 = 0) -> [UInt8] {
        element(0x03, [unused] + content)
    }

    /// An object identifier whose content is at hand.
    static func identifier(_ content: [UInt8]) -> [UInt8] { element(0x06, content) }

    static func text(_ string: String) -> [UInt8] { element(0x0C, Array(string.utf8)) }

    static let yes: [UInt8] = [0x01, 0x01, 0xFF]
}
