extension [UInt8] {
    package mutating func append(bigEndian value: some FixedWidthInteger) {
        for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    package init(bigEndian value: some FixedWidthInteger) {
        self = []
        append(bigEndian: value)
    }
}

extension EUI64 {
    /// Eight bytes, most significant first, as GBCS and certificates have them.
    package var bigEndianBytes: [UInt8] { [UInt8](bigEndian: rawValue) }
}
