/// The two 16-bit CRCs of a ZigBee network, both with the reflected CCITT polynomial 0x8408.
public enum CRC16 {
    /// The frame check sequence of IEEE 802.15.4 7.2.1.9: initial value 0, no final inversion.
    /// Sent low byte first.
    @inlinable
    public static func frameCheckSequence(_ bytes: Span<UInt8>) -> UInt16 {
        run(bytes, from: 0)
    }

    /// The CRC of an install code (X-25: initial value 0xFFFF, inverted at the end). Written low
    /// byte first after the code.
    public static func installCode(_ bytes: Span<UInt8>) -> UInt16 {
        ~run(bytes, from: 0xFFFF)
    }

    @usableFromInline
    static let table: InlineArray<256, UInt16> = InlineArray { index in
        var value = UInt16(index)
        for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0x8408 : value >> 1 }
        return value
    }

    @inlinable
    static func run(_ bytes: Span<UInt8>, from start: UInt16) -> UInt16 {
        var crc = start
        for index in bytes.indices {
            crc = crc >> 8 ^ table[Int(UInt8(truncatingIfNeeded: crc) ^ bytes[index])]
        }
        return crc
    }
}

/// CRC-32 (IEEE 802.3, reflected 0xEDB88320), which seals the records of the flash journal.
public enum CRC32 {
    public static func checksum(_ bytes: Span<UInt8>) -> UInt32 { ~run(bytes, from: .max) }

    /// The checksum of `head` and `body` in a row.
    public static func checksum(_ head: Span<UInt8>, _ body: Span<UInt8>) -> UInt32 {
        ~run(body, from: run(head, from: .max))
    }

    private static func run(_ bytes: Span<UInt8>, from start: UInt32) -> UInt32 {
        var crc = start
        for index in bytes.indices {
            crc ^= UInt32(bytes[index])
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
        }
        return crc
    }
}
