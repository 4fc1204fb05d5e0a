/// An IEEE 64-bit address. On the air it is little-endian; people and GBCS write it big-endian.
public struct EUI64: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var rawValue: UInt64

    @inlinable
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// All ones: "no such device" in ZDO and in the OTA attribute UpgradeServerID (ZCL 11.10.1).
    public static let unknown = EUI64(.max)

    /// Parses `00DB1234567890A4`, also with `-` or `:` between bytes; nil for anything else.
    public init?(_ text: some StringProtocol) {
        var value: UInt64 = 0
        var digits = 0
        var isSeparated = false
        for byte in text.utf8 {
            if byte == UInt8(ascii: "-") || byte == UInt8(ascii: ":") {
                guard digits > 0, digits < 16, digits % 2 == 0, !isSeparated else { return nil }
                isSeparated = true
                continue
            }
            isSeparated = false
            guard let nibble = Hex.nibble(byte), digits < 16 else { return nil }
            value = value << 4 | UInt64(nibble)
            digits += 1
        }
        guard digits == 16 else { return nil }
        self.rawValue = value
    }

    /// Sixteen capital hex digits, most significant first.
    public var description: String { Hex.string(rawValue, digits: 16) }

    @inlinable
    public static func < (a: EUI64, b: EUI64) -> Bool { a.rawValue < b.rawValue }
}

/// A ZigBee network (short) address. 0x0000 is the coordinator; 0xFFF8 and above are broadcasts.
public struct ShortAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var rawValue: UInt16

    @inlinable
    public init(_ rawValue: UInt16) { self.rawValue = rawValue }

    public static let coordinator = ShortAddress(0x0000)
    /// Low-power routers, routers and coordinator (NWK 3.6.5).
    public static let routers = ShortAddress(0xFFFC)
    /// Every device whose receiver is on when idle.
    public static let receiversOn = ShortAddress(0xFFFD)
    /// MAC: associated but without a short address, or none assigned yet.
    public static let unassigned = ShortAddress(0xFFFE)
    /// Every device in the PAN.
    public static let everyone = ShortAddress(0xFFFF)

    /// True for the NWK broadcast addresses 0xFFF8-0xFFFF.
    @inlinable
    public var isBroadcast: Bool { rawValue >= 0xFFF8 }

    public var description: String { Hex.string(UInt64(rawValue), digits: 4) }

    @inlinable
    public static func < (a: ShortAddress, b: ShortAddress) -> Bool { a.rawValue < b.rawValue }
}

/// A 16-bit PAN identifier.
public struct PANID: Hashable, Sendable, CustomStringConvertible {
    public var rawValue: UInt16

    @inlinable
    public init(_ rawValue: UInt16) { self.rawValue = rawValue }

    public static let broadcast = PANID(0xFFFF)

    public var description: String { Hex.string(UInt64(rawValue), digits: 4) }
}
