import Wire

/// What is wrong in a firmware image: where, in which field, what is there and what should be.
public struct ImageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Offset from the start of the file, in bytes.
    public var offset: Int
    /// The field's name as `han image inspect` shows it.
    public var field: String
    public var found: String
    public var expected: String

    public init(offset: Int, field: String, found: String, expected: String) {
        self.offset = offset
        self.field = field
        self.found = found
        self.expected = expected
    }

    init(_ error: WireError, size: Int) {
        self.init(
            offset: error.offset, field: error.field.description,
            found: "the end of the file after \(size) bytes", expected: "the rest of the field")
    }

    public var description: String {
        "offset \(offset), \(field): found \(found), expected \(expected)"
    }
}

extension [UInt8] {
    mutating func append(littleEndian value: some FixedWidthInteger) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }
}

/// `0x` and the digits of a 16-bit value.
func hex(_ value: UInt16) -> String { "0x" + Hex.string(UInt64(value), digits: 4) }
/// `0x` and the digits of a 32-bit value.
func hex(_ value: UInt32) -> String { "0x" + Hex.string(UInt64(value), digits: 8) }
