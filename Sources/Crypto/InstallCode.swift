import Wire

/// The code printed on a device, from which its first link key follows: 6, 8, 12 or 16 bytes.
public struct InstallCode: Hashable, Sendable, CustomStringConvertible {
    /// The code without its CRC.
    public let bytes: [UInt8]

    /// The lengths a code may have, in bytes, without the CRC.
    public static let lengths = [6, 8, 12, 16]

    /// Takes a code without its CRC; nil unless it has 6, 8, 12 or 16 bytes.
    public init?(_ bytes: some Collection<UInt8>) {
        guard Self.lengths.contains(bytes.count) else { return nil }
        self.bytes = Array(bytes)
    }

    /// Reads hex digits as people write them: in either case, with spaces, `-` or `:` between.
    ///
    /// 10, 14 and 18 bytes are a code with its CRC, low byte first, which must be right; 6, 12 and
    /// 16 bytes are a code without. 8 bytes are a 6-byte code with its CRC if that is right, else
    /// an 8-byte code without; one 8-byte code in 65,536 is thus misread, and needs its CRC given.
    public init(text: String) throws(InstallCodeError) {
        var digits: [UInt8] = []
        for (position, ascii) in text.utf8.enumerated() {
            if let nibble = Hex.nibble(ascii) {
                digits.append(nibble)
            } else if ![UInt8(ascii: " "), UInt8(ascii: "-"), UInt8(ascii: ":")].contains(ascii) {
                throw .notHex(position: position)
            }
            // Longer than any code: what follows need not be kept.
            if digits.count > 2 * 18 { throw .wrongLength(digits: digits.count, isMore: true) }
        }
        guard digits.count % 2 == 0 else {
            throw .wrongLength(digits: digits.count, isMore: false)
        }
        let all = stride(from: 0, to: digits.count, by: 2).map {
            digits[$0] << 4 | digits[$0 + 1]
        }
        if let code = InstallCode(all.dropLast(2)) {
            let given = UInt16(all[all.count - 2]) | UInt16(all[all.count - 1]) << 8
            if given == code.crc {
                self = code
                return
            }
            guard all.count == 8 else { throw .wrongCRC(given: given, expected: code.crc) }
        }
        guard let code = InstallCode(all) else {
            throw .wrongLength(digits: digits.count, isMore: false)
        }
        self = code
    }

    /// CRC-16/X-25 of the code.
    public var crc: UInt16 { CRC16.installCode(bytes.span) }

    /// The preconfigured link key: AES-MMO of code and CRC, the CRC low byte first.
    public var linkKey: Key128 {
        AESMMO.hash(bytes + [UInt8(truncatingIfNeeded: crc), UInt8(crc >> 8)])
    }

    /// Code and CRC as they are printed: hex digits, the CRC low byte first.
    public var description: String {
        Hex.string(bytes + [UInt8(truncatingIfNeeded: crc), UInt8(crc >> 8)]).uppercased()
    }
}

/// Why text is not an install code.
public enum InstallCodeError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Something other than a hex digit or a separator, at this byte of the text.
    case notHex(position: Int)
    /// So many hex digits (or more) are no code's.
    case wrongLength(digits: Int, isMore: Bool)
    /// The last two bytes, low byte first, are not the CRC of those before.
    case wrongCRC(given: UInt16, expected: UInt16)

    public var description: String {
        switch self {
        case .notHex(let position):
            "offset \(position): not a hex digit; an install code is hex digits, with spaces, "
                + "'-' or ':' between them"
        case .wrongLength(let digits, let isMore):
            "\(digits) hex digits\(isMore ? " or more" : ""); an install code has 6, 8, 12 or 16 "
                + "bytes (12, 16, 24 or 32 digits), and 4 digits more with its CRC"
        case .wrongCRC(let given, let expected):
            "the CRC at the end is \(Self.text(given)) where the code's is "
                + "\(Self.text(expected)); check the digits"
        }
    }

    /// As printed after a code: low byte first.
    private static func text(_ crc: UInt16) -> String {
        Hex.string(UInt64(crc.byteSwapped), digits: 4)
    }
}
