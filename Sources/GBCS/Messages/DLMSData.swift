import Wire

/// A value of DLMS COSEM (IEC 62056-5-3, Data), lengths in their shortest form.
public indirect enum DLMSData: Hashable, Sendable {
    /// 00
    case null
    /// 01 ‖ count ‖ elements
    case array([DLMSData])
    /// 02 ‖ count ‖ elements
    case structure([DLMSData])
    /// 04 ‖ number of bits ‖ bits
    case bitString(Int, [UInt8])
    /// 09 ‖ length ‖ bytes
    case octetString([UInt8])
    /// 0A (visible) or 0C (UTF-8) ‖ length ‖ bytes
    case text(UInt8, [UInt8])
    /// A type of fixed size: its tag and its bytes.
    case scalar(UInt8, [UInt8])

    /// How deep values may lie in each other.
    static let maximumDepth = 16

    public static func unsigned(_ value: UInt8) -> DLMSData { .scalar(0x11, [value]) }
    public static func longUnsigned(_ value: UInt16) -> DLMSData {
        .scalar(0x12, [UInt8](bigEndian: value))
    }
    public static func enumerated(_ value: UInt8) -> DLMSData { .scalar(0x16, [value]) }
    public static func boolean(_ value: Bool) -> DLMSData { .scalar(0x03, [value ? 0xFF : 0x00]) }

    /// Bytes of a type of fixed size.
    static func width(of tag: UInt8) -> Int? {
        switch tag {
        case 0x03, 0x0D, 0x0F, 0x11, 0x16: 1
        case 0x10, 0x12: 2
        case 0x05, 0x06, 0x17, 0x1B: 4
        case 0x14, 0x15, 0x18: 8
        case 0x19: 12
        case 0x1A: 5
        case 0xFF: 0
        default: nil
        }
    }

    /// Reads one value that fills `bytes`.
    public init(parsing bytes: [UInt8]) throws(MessageError) {
        var reader = MessageReader(bytes)
        try self.init(from: &reader, depth: 0)
        try reader.end(after: "DLMS value")
    }

    init(from reader: inout MessageReader, depth: Int = 0) throws(MessageError) {
        let start = reader.offset
        let tag = try reader.u8("DLMS tag")
        switch tag {
        case 0x00: self = .null
        case 0x01, 0x02:
            guard depth < Self.maximumDepth else {
                throw MessageError(
                    offset: start, field: "DLMS value", found: "more than \(depth) levels",
                    expected: "at most \(Self.maximumDepth)")
            }
            let countStart = reader.offset
            let count = try reader.shortestLength("DLMS element count")
            // Every element has a byte at least.
            guard count <= reader.remaining else {
                throw MessageError(
                    offset: countStart, field: "DLMS element count", found: "\(count)",
                    expected: "at most \(reader.remaining), the bytes that follow")
            }
            var elements: [DLMSData] = []
            for _ in 0..<count {
                elements.append(try DLMSData(from: &reader, depth: depth + 1))
            }
            self = tag == 0x01 ? .array(elements) : .structure(elements)
        case 0x04:
            let bits = try reader.shortestLength("number of bits")
            self = .bitString(bits, try reader.take((bits + 7) / 8, "bit string"))
        case 0x09:
            let count = try reader.shortestLength("octet string length")
            self = .octetString(try reader.take(count, "octet string"))
        case 0x0A, 0x0C:
            let count = try reader.shortestLength("text length")
            self = .text(tag, try reader.take(count, "text"))
        default:
            guard let width = Self.width(of: tag) else {
                throw MessageError(
                    offset: start, field: "DLMS tag", found: Hex.string([tag]),
                    expected: "the tag of a COSEM data type")
            }
            self = .scalar(tag, try reader.take(width, "DLMS value"))
        }
    }

    public func encoded() -> [UInt8] {
        func counted(_ tag: UInt8, _ count: Int, _ bytes: [UInt8]) -> [UInt8] {
            [tag] + EncodedLength.shortest(count).encoded + bytes
        }
        return switch self {
        case .null: [0x00]
        case .array(let elements):
            counted(0x01, elements.count, elements.flatMap { $0.encoded() })
        case .structure(let elements):
            counted(0x02, elements.count, elements.flatMap { $0.encoded() })
        case .bitString(let bits, let bytes): counted(0x04, bits, bytes)
        case .octetString(let bytes): counted(0x09, bytes.count, bytes)
        case .text(let tag, let bytes): counted(tag, bytes.count, bytes)
        case .scalar(let tag, let bytes): [tag] + bytes
        }
    }
}
