import Wire

/// A MAC address as a frame header carries it (IEEE 802.15.4-2006 7.2.1).
public enum MACAddress: Hashable, Sendable {
    case none
    case short(ShortAddress)
    case extended(EUI64)

    /// The addressing mode's two bits.
    var mode: UInt16 {
        switch self {
        case .none: 0
        case .short: 2
        case .extended: 3
        }
    }
}

/// The header of a MAC frame, in wire order (IEEE 802.15.4-2006 7.2.1).
public struct MACHeader: Sendable, Equatable {
    public enum Kind: UInt16, Sendable {
        case beacon = 0
        case data = 1
        case acknowledgement = 2
        case command = 3
    }

    public var kind: Kind
    public var framePending = false
    public var acknowledgementRequested = false
    /// One PAN field for both addresses.
    public var panCompression = false
    /// 0 for 802.15.4-2003, which ZigBee sends.
    public var version: UInt16 = 0
    public var sequence: UInt8
    public var destinationPAN = PANID.broadcast
    public var destination: MACAddress
    public var sourcePAN = PANID.broadcast
    public var source: MACAddress

    public init(kind: Kind, sequence: UInt8, destination: MACAddress, source: MACAddress) {
        self.kind = kind
        self.sequence = sequence
        self.destination = destination
        self.source = source
    }

    /// A unicast or broadcast inside one PAN.
    public static func within(
        _ pan: PANID, kind: Kind, sequence: UInt8, to destination: MACAddress,
        from source: MACAddress
    ) -> MACHeader {
        var header = MACHeader(
            kind: kind, sequence: sequence, destination: destination, source: source)
        header.destinationPAN = pan
        header.sourcePAN = pan
        header.panCompression = true
        header.acknowledgementRequested = destination != .short(.everyone)
        return header
    }

    public init(parsing reader: inout ByteReader) throws(WireError) {
        let control = try reader.u16("frame control")
        guard let kind = Kind(rawValue: control & 7) else {
            throw WireError(.invalid, "frame type", at: 0)
        }
        guard control & 0x08 == 0 else { throw WireError(.invalid, "security enabled", at: 0) }
        self.kind = kind
        framePending = control & 0x10 != 0
        acknowledgementRequested = control & 0x20 != 0
        panCompression = control & 0x40 != 0
        version = control >> 12 & 3
        sequence = try reader.u8("sequence number")
        (destinationPAN, destination) = (.broadcast, .none)
        (sourcePAN, source) = (.broadcast, .none)
        let destinationMode = control >> 10 & 3
        if destinationMode != 0 { destinationPAN = PANID(try reader.u16("destination PAN")) }
        destination = try Self.address(destinationMode, &reader)
        let sourceMode = control >> 14 & 3
        if sourceMode != 0 {
            sourcePAN = panCompression ? destinationPAN : PANID(try reader.u16("source PAN"))
        }
        source = try Self.address(sourceMode, &reader)
    }

    private static func address(
        _ mode: UInt16, _ reader: inout ByteReader
    ) throws(WireError) -> MACAddress {
        switch mode {
        case 0: .none
        case 2: .short(try reader.shortAddress("short address"))
        case 3: .extended(try reader.eui64("extended address"))
        default: throw WireError(.invalid, "addressing mode", at: 0)
        }
    }

    public func encode(into frame: inout FrameBuffer) {
        var control = kind.rawValue
        if framePending { control |= 0x10 }
        if acknowledgementRequested { control |= 0x20 }
        if panCompression { control |= 0x40 }
        control |= destination.mode << 10 | version << 12 | source.mode << 14
        frame.append(control)
        frame.append(sequence)
        if destination.mode != 0 { frame.append(destinationPAN) }
        Self.encode(destination, into: &frame)
        if source.mode != 0, !panCompression { frame.append(sourcePAN) }
        Self.encode(source, into: &frame)
    }

    private static func encode(_ address: MACAddress, into frame: inout FrameBuffer) {
        switch address {
        case .none: break
        case .short(let short): frame.append(short)
        case .extended(let eui64): frame.append(eui64)
        }
    }
}

/// What a device says of itself when it associates (IEEE 802.15.4-2006 7.3.1.2) and announces
/// itself (ZigBee 2.4.3.1.11).
public struct CapabilityInformation: Hashable, Sendable {
    public var rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public init(isRouter: Bool, isMainsPowered: Bool, receiverOnWhenIdle: Bool) {
        rawValue = 0x80
        if isRouter { rawValue |= 0x02 }
        if isMainsPowered { rawValue |= 0x04 }
        if receiverOnWhenIdle { rawValue |= 0x08 }
    }

    public var isRouter: Bool { rawValue & 0x02 != 0 }
    public var isMainsPowered: Bool { rawValue & 0x04 != 0 }
    public var receiverOnWhenIdle: Bool { rawValue & 0x08 != 0 }
}

/// The MAC commands a ZigBee network uses (IEEE 802.15.4-2006 7.3): the payload of a command
/// frame.
public enum MACCommand: Sendable, Equatable {
    case associationRequest(CapabilityInformation)
    /// Status: 0 success, 1 PAN at capacity, 2 PAN access denied.
    case associationResponse(ShortAddress, status: UInt8)
    case disassociation(reason: UInt8)
    case dataRequest
    case panConflict
    case orphan
    case beaconRequest
    /// Carried through unread: coordinator realignment and anything newer.
    case other(UInt8)

    public init(parsing reader: inout ByteReader) throws(WireError) {
        switch try reader.u8("command") {
        case 1: self = .associationRequest(.init(rawValue: try reader.u8("capability")))
        case 2:
            self = .associationResponse(
                try reader.shortAddress("short address"),
                status: try reader.u8("association status"))
        case 3: self = .disassociation(reason: try reader.u8("reason"))
        case 4: self = .dataRequest
        case 5: self = .panConflict
        case 6: self = .orphan
        case 7: self = .beaconRequest
        case let code: self = .other(code)
        }
    }

    public func encode(into frame: inout FrameBuffer) {
        switch self {
        case .associationRequest(let capability):
            frame.append(1 as UInt8)
            frame.append(capability.rawValue)
        case .associationResponse(let address, let status):
            frame.append(2 as UInt8)
            frame.append(address)
            frame.append(status)
        case .disassociation(let reason):
            frame.append(3 as UInt8)
            frame.append(reason)
        case .dataRequest: frame.append(4 as UInt8)
        case .panConflict: frame.append(5 as UInt8)
        case .orphan: frame.append(6 as UInt8)
        case .beaconRequest: frame.append(7 as UInt8)
        case .other(let code): frame.append(code)
        }
    }
}

/// A ZigBee beacon's payload behind its superframe fields (IEEE 802.15.4-2006 7.2.2.1; ZigBee
/// 3.6.7).
public struct Beacon: Sendable, Equatable {
    public var associationPermitted: Bool
    public var isCoordinator: Bool
    /// 2 for ZigBee PRO.
    public var stackProfile: UInt8 = 2
    public var protocolVersion: UInt8 = 2
    public var routerCapacity: Bool
    public var depth: UInt8
    public var endDeviceCapacity: Bool
    public var extendedPAN: EUI64
    public var updateID: UInt8 = 0

    public init(
        associationPermitted: Bool, isCoordinator: Bool, routerCapacity: Bool, depth: UInt8,
        endDeviceCapacity: Bool, extendedPAN: EUI64
    ) {
        self.associationPermitted = associationPermitted
        self.isCoordinator = isCoordinator
        self.routerCapacity = routerCapacity
        self.depth = depth
        self.endDeviceCapacity = endDeviceCapacity
        self.extendedPAN = extendedPAN
    }

    public init(parsing reader: inout ByteReader) throws(WireError) {
        let superframe = try reader.u16("superframe specification")
        isCoordinator = superframe & 0x4000 != 0
        associationPermitted = superframe & 0x8000 != 0
        let slots = try reader.u8("GTS specification")
        guard slots & 7 == 0 else { throw WireError(.invalid, "GTS specification", at: 2) }
        let pending = try reader.u8("pending addresses")
        _ = try reader.take(Int(pending & 7) * 2 + Int(pending >> 4 & 7) * 8, "pending addresses")
        guard try reader.u8("protocol id") == 0 else {
            throw WireError(.invalid, "protocol id", at: reader.offset - 1)
        }
        let fields = try reader.u16("capacity")
        stackProfile = UInt8(fields & 15)
        protocolVersion = UInt8(fields >> 4 & 15)
        routerCapacity = fields & 0x0400 != 0
        depth = UInt8(fields >> 11 & 15)
        endDeviceCapacity = fields & 0x8000 != 0
        extendedPAN = try reader.eui64("extended PAN id")
        _ = try reader.take(3, "transmit offset")
        updateID = try reader.u8("network update id")
    }

    public func encode(into frame: inout FrameBuffer) {
        var superframe: UInt16 = 0x0FFF
        if isCoordinator { superframe |= 0x4000 }
        if associationPermitted { superframe |= 0x8000 }
        frame.append(superframe)
        frame.append(0 as UInt8)
        frame.append(0 as UInt8)
        frame.append(0 as UInt8)
        var fields = UInt16(stackProfile & 15) | UInt16(protocolVersion & 15) << 4
        if routerCapacity { fields |= 0x0400 }
        fields |= UInt16(depth & 15) << 11
        if endDeviceCapacity { fields |= 0x8000 }
        frame.append(fields)
        frame.append(extendedPAN)
        for _ in 0..<3 { frame.append(0xFF as UInt8) }
        frame.append(updateID)
    }
}
