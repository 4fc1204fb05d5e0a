import Wire

/// A value in ASN.1 DER (X.690), taken apart as far as its structure goes.
public indirect enum DERValue: Hashable, Sendable {
    /// Any primitive encoding: its identifier and content.
    case primitive(UInt8, [UInt8])
    /// SEQUENCE, SET and explicit tags: its identifier and what is in it.
    case constructed(UInt8, [DERValue])

    /// How deep values may lie in each other.
    static let maximumDepth = 24

    /// Reads one value that fills `bytes`.
    public init(parsing bytes: [UInt8], offset: Int = 0) throws(MessageError) {
        var reader = MessageReader(bytes, base: offset)
        try self.init(from: &reader, depth: 0)
        try reader.end(after: "ASN.1 value")
    }

    private init(from reader: inout MessageReader, depth: Int) throws(MessageError) {
        let start = reader.offset
        let tag = try reader.u8("ASN.1 tag")
        guard tag & 0x1F != 0x1F else {
            throw MessageError(
                offset: start, field: "ASN.1 tag", found: Hex.string([tag]),
                expected: "a tag of one byte")
        }
        let count = try reader.shortestLength("ASN.1 length")
        let contentStart = reader.offset
        let content = try reader.take(count, "ASN.1 content")
        guard tag & 0x20 != 0 else {
            self = .primitive(tag, content)
            return
        }
        guard depth < Self.maximumDepth else {
            throw MessageError(
                offset: start, field: "ASN.1 value", found: "more than \(depth) levels",
                expected: "at most \(Self.maximumDepth)")
        }
        var inner = MessageReader(content, base: contentStart)
        var values: [DERValue] = []
        while inner.remaining > 0 {
            values.append(try DERValue(from: &inner, depth: depth + 1))
        }
        self = .constructed(tag, values)
    }

    public func encoded() -> [UInt8] {
        switch self {
        case .primitive(let tag, let content):
            [tag] + EncodedLength.shortest(content.count).encoded + content
        case .constructed(let tag, let values):
            DERValue.primitive(tag, values.flatMap { $0.encoded() }).encoded()
        }
    }
}

/// The few types of DER that the firmware use cases are made of.
enum DER {
    static let null: [UInt8] = [0x05, 0x00]

    static func sequence(_ values: [UInt8]...) -> [UInt8] {
        DERValue.primitive(0x30, values.flatMap { $0 }).encoded()
    }

    static func octets(_ bytes: [UInt8]) -> [UInt8] { DERValue.primitive(0x04, bytes).encoded() }

    /// An INTEGER that is not negative, as short as it gets.
    static func integer(_ value: UInt64) -> [UInt8] {
        var bytes = Array([UInt8](bigEndian: value).drop { $0 == 0 })
        if bytes.isEmpty || bytes[0] >= 0x80 { bytes.insert(0, at: 0) }
        return DERValue.primitive(0x02, bytes).encoded()
    }

    /// A GeneralizedTime YYYYMMDDhhmmssZ.
    static func time(_ time: GeneralizedTime) -> [UInt8] {
        DERValue.primitive(0x18, Array(time.digits.utf8) + [UInt8(ascii: "Z")]).encoded()
    }
}

extension MessageReader {
    /// A SEQUENCE: a reader for what is in it.
    mutating func derSequence(_ field: String) throws(MessageError) -> MessageReader {
        try expect([0x30], "\(field) (SEQUENCE)")
        let count = try shortestLength("length of \(field)")
        let start = offset
        return MessageReader(try take(count, field), base: start)
    }

    /// An OCTET STRING of exactly `count` bytes.
    mutating func derOctets(_ count: Int, _ field: String) throws(MessageError) -> [UInt8] {
        try expect([0x04], "\(field) (OCTET STRING)")
        let start = offset
        let found = try shortestLength("length of \(field)")
        guard found == count else {
            throw MessageError(
                offset: start, field: "length of \(field)", found: "\(found)",
                expected: "\(count)")
        }
        return try take(count, field)
    }

    /// An INTEGER from 0 to `most`, in its shortest form.
    mutating func derInteger(_ field: String, most: UInt64 = .max) throws(MessageError) -> UInt64 {
        try expect([0x02], "\(field) (INTEGER)")
        let count = try shortestLength("length of \(field)")
        let start = offset
        let bytes = try take(count, field)
        guard let first = bytes.first, first < 0x80, bytes.count <= 9,
            bytes.count == 1 || first != 0 || bytes[1] >= 0x80, bytes.count < 9 || first == 0
        else {
            throw MessageError(
                offset: start, field: field, found: Hex.string(bytes),
                expected: "a number of at most 64 bits in its shortest form")
        }
        let value = bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard value <= most else {
            throw MessageError(
                offset: start, field: field, found: "\(value)", expected: "at most \(most)")
        }
        return value
    }

    /// A GeneralizedTime YYYYMMDDhhmmssZ.
    mutating func derTime(_ field: String) throws(MessageError) -> GeneralizedTime {
        try expect([0x18], "\(field) (GeneralizedTime)")
        let count = try shortestLength("length of \(field)")
        let start = offset
        let bytes = try take(count, field)
        guard bytes.last == UInt8(ascii: "Z"),
            let time = GeneralizedTime(digits: Array(bytes.dropLast()))
        else {
            throw MessageError(
                offset: start, field: field, found: Hex.string(bytes),
                expected: "a date and time YYYYMMDDhhmmssZ")
        }
        return time
    }

    mutating func derNull(_ field: String) throws(MessageError) {
        try expect(DER.null, "\(field) (NULL)")
    }
}
