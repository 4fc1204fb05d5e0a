import Wire

/// Reads big-endian fields off bytes, one after another, and says where they lie.
struct MessageReader {
    private let bytes: [UInt8]
    private var position = 0
    /// Where `bytes` begin in the message that errors speak of.
    private let base: Int

    init(_ bytes: [UInt8], base: Int = 0) {
        self.bytes = bytes
        self.base = base
    }

    /// The offset of the next byte in the message.
    var offset: Int { base + position }
    var remaining: Int { bytes.count - position }
    var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func take(_ count: Int, _ field: String) throws(MessageError) -> [UInt8] {
        guard count >= 0, count <= remaining else {
            throw MessageError(
                offset: offset, field: field, found: "the end after \(remaining) bytes",
                expected: "\(count) bytes")
        }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    mutating func rest() -> [UInt8] {
        defer { position = bytes.count }
        return Array(bytes[position...])
    }

    mutating func number(_ count: Int, _ field: String) throws(MessageError) -> UInt64 {
        try take(count, field).reduce(0) { $0 << 8 | UInt64($1) }
    }

    mutating func u8(_ field: String) throws(MessageError) -> UInt8 {
        UInt8(try number(1, field))
    }

    mutating func u16(_ field: String) throws(MessageError) -> UInt16 {
        UInt16(try number(2, field))
    }

    mutating func u32(_ field: String) throws(MessageError) -> UInt32 {
        UInt32(try number(4, field))
    }

    mutating func u64(_ field: String) throws(MessageError) -> UInt64 { try number(8, field) }

    mutating func eui64(_ field: String) throws(MessageError) -> EUI64 { EUI64(try u64(field)) }

    /// Reads bytes that are always the same.
    mutating func expect(_ constant: [UInt8], _ field: String) throws(MessageError) {
        let start = offset
        let found = try take(constant.count, field)
        guard found == constant else {
            throw MessageError(
                offset: start, field: field, found: Hex.string(found),
                expected: Hex.string(constant))
        }
    }

    /// A length as DLMS and DER write it, in whatever form it is written.
    mutating func length(_ field: String) throws(MessageError) -> EncodedLength {
        let start = offset
        let first = try u8(field)
        guard first >= 0x80 else { return EncodedLength(value: Int(first), octets: 0) }
        let octets = Int(first & 0x7F)
        guard (1...EncodedLength.maximumOctets).contains(octets) else {
            throw MessageError(
                offset: start, field: field, found: "a length of \(octets) bytes",
                expected: "one of 1 to \(EncodedLength.maximumOctets)")
        }
        return EncodedLength(value: Int(try number(octets, field)), octets: octets)
    }

    /// A length in its shortest form, which DER demands and content in DLMS keeps to.
    mutating func shortestLength(_ field: String) throws(MessageError) -> Int {
        let start = offset
        let length = try length(field)
        guard length == .shortest(length.value) else {
            throw MessageError(
                offset: start, field: field, found: "\(length.value) in \(length.octets) bytes",
                expected: "the shortest form of a length")
        }
        return length.value
    }

    /// Throws if anything is left over.
    func end(after field: String) throws(MessageError) {
        guard remaining == 0 else {
            throw MessageError(
                offset: offset, field: "end of \(field)", found: "\(remaining) more bytes",
                expected: "none")
        }
    }
}

/// A length of DLMS and DER: one byte below 0x80, else 0x80 + n and n bytes.
public struct EncodedLength: Hashable, Sendable {
    static let maximumOctets = 4

    public var value: Int
    /// Bytes behind the first one: 0 in the short form.
    public var octets: Int

    /// As short as it gets.
    public static func shortest(_ value: Int) -> EncodedLength {
        let octets = value < 0x80 ? 0 : value < 1 << 8 ? 1 : value < 1 << 16 ? 2 : 4
        return EncodedLength(value: value, octets: octets == 4 && value < 1 << 24 ? 3 : octets)
    }

    /// How many bytes are behind the first one where the form is longer than need be; else 0.
    var excessOctets: Int { self == .shortest(value) ? 0 : octets }

    /// In the shortest form, or in one of so many bytes behind the first if that is longer.
    static func holding(_ value: Int, excessOctets: Int) -> EncodedLength {
        let least = shortest(value)
        return excessOctets > least.octets
            ? EncodedLength(value: value, octets: excessOctets) : least
    }

    var encoded: [UInt8] {
        guard octets > 0 else { return [UInt8(value)] }
        return [0x80 | UInt8(octets)]
            + (0..<octets).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
}

extension EUI64 {
    /// `00-DB-12-34-56-78-90-A4`, as DUIS and GBCS write it.
    public var dashed: String {
        var text = ""
        text.reserveCapacity(23)
        for index in 0..<8 {
            if index > 0 { text.append("-") }
            text += Hex.string(rawValue >> UInt64(56 - 8 * index) & 0xFF, digits: 2)
        }
        return text
    }
}
