import Wire

/// ZDO cluster numbers (ZigBee 2.4.3); a response is its request | 0x8000.
public enum ZDOCluster {
    public static let nwkAddressRequest: UInt16 = 0x0000
    public static let ieeeAddressRequest: UInt16 = 0x0001
    public static let nodeDescriptorRequest: UInt16 = 0x0002
    public static let powerDescriptorRequest: UInt16 = 0x0003
    public static let simpleDescriptorRequest: UInt16 = 0x0004
    public static let activeEndpointsRequest: UInt16 = 0x0005
    public static let matchDescriptorRequest: UInt16 = 0x0006
    public static let deviceAnnounce: UInt16 = 0x0013
    public static let managementLeaveRequest: UInt16 = 0x0034
    public static let managementPermitJoiningRequest: UInt16 = 0x0036
    public static let response: UInt16 = 0x8000
}

/// ZDO status codes (ZigBee 2.4.5).
public enum ZDOStatus: UInt8, Sendable {
    case success = 0x00
    case invalidRequestType = 0x80
    case deviceNotFound = 0x81
    case invalidEndpoint = 0x82
    case notActive = 0x83
    case notSupported = 0x84
    case noMatch = 0x86
    case noDescriptor = 0x89
    case notAuthorized = 0x8D
}

/// What an endpoint is and does (ZigBee 2.3.2.5).
public struct SimpleDescriptor: Sendable, Equatable {
    public var endpoint: UInt8
    public var profile: UInt16
    public var device: UInt16
    public var deviceVersion: UInt8 = 0
    /// The clusters it serves.
    public var inputClusters: [UInt16]
    /// The clusters it is a client of.
    public var outputClusters: [UInt16]

    public init(
        endpoint: UInt8, profile: UInt16, device: UInt16, inputClusters: [UInt16],
        outputClusters: [UInt16]
    ) {
        self.endpoint = endpoint
        self.profile = profile
        self.device = device
        self.inputClusters = inputClusters
        self.outputClusters = outputClusters
    }

    /// Whether it serves any of `inputs` or is a client of any of `outputs`.
    func matches(profile wanted: UInt16, inputs: Span<UInt8>, outputs: Span<UInt8>) -> Bool {
        guard wanted == profile || wanted == ProfileID.wildcard else { return false }
        for cluster in inputClusters where Self.contains(cluster, in: inputs) { return true }
        for cluster in outputClusters where Self.contains(cluster, in: outputs) { return true }
        return false
    }

    private static func contains(_ cluster: UInt16, in list: Span<UInt8>) -> Bool {
        var index = 0
        while index + 1 < list.count {
            if UInt16(list[index]) | UInt16(list[index + 1]) << 8 == cluster { return true }
            index += 2
        }
        return false
    }

    func encode(into frame: inout FrameBuffer) {
        frame.append(endpoint)
        frame.append(profile)
        frame.append(device)
        frame.append(deviceVersion & 15)
        frame.append(UInt8(truncatingIfNeeded: inputClusters.count))
        for cluster in inputClusters { frame.append(cluster) }
        frame.append(UInt8(truncatingIfNeeded: outputClusters.count))
        for cluster in outputClusters { frame.append(cluster) }
    }
}

/// Device_annce (ZigBee 2.4.3.1.11), without the transaction number in front.
public struct DeviceAnnounce: Sendable, Equatable {
    public var address: ShortAddress
    public var eui64: EUI64
    public var capability: CapabilityInformation

    public init(address: ShortAddress, eui64: EUI64, capability: CapabilityInformation) {
        self.address = address
        self.eui64 = eui64
        self.capability = capability
    }

    public init(parsing reader: inout ByteReader) throws(WireError) {
        address = try reader.shortAddress("NWK address")
        eui64 = try reader.eui64("IEEE address")
        capability = CapabilityInformation(rawValue: try reader.u8("capability"))
    }

    public func encode(into frame: inout FrameBuffer) {
        frame.append(address)
        frame.append(eui64)
        frame.append(capability.rawValue)
    }
}

/// The node descriptor's thirteen bytes (ZigBee 2.3.2.3).
public struct NodeDescriptor: Sendable, Equatable {
    /// 0 coordinator, 1 router, 2 end device.
    public var logicalType: UInt8
    public var capability: CapabilityInformation
    public var manufacturer: UInt16
    /// The longest NWK payload, in bytes.
    public var maximumBufferSize: UInt8
    /// The longest APS payload that it takes, and that it sends, in bytes.
    public var maximumIncomingTransfer: UInt16
    /// Bit 0: primary trust centre; bits 9-15: the revision of the standard, 0 before 21.
    public var serverMask: UInt16
    public var maximumOutgoingTransfer: UInt16

    /// What a node says of itself.
    public init(of configuration: StackConfiguration) {
        logicalType = configuration.role.rawValue
        capability = configuration.capability
        manufacturer = configuration.manufacturer
        maximumBufferSize = configuration.network.maximumBufferSize
        maximumIncomingTransfer = configuration.network.maximumIncomingTransfer
        maximumOutgoingTransfer = configuration.network.maximumOutgoingTransfer
        serverMask =
            UInt16(configuration.network.stackRevision & 0x7F) << 9
            | (configuration.role == .coordinator ? 1 : 0)
    }

    /// Reads the thirteen bytes; what it has no property for is passed over.
    public init(parsing reader: inout ByteReader) throws(WireError) {
        logicalType = try reader.u8("logical type") & 7
        _ = try reader.u8("frequency band")
        capability = CapabilityInformation(rawValue: try reader.u8("MAC capability"))
        manufacturer = try reader.u16("manufacturer code")
        maximumBufferSize = try reader.u8("maximum buffer size")
        maximumIncomingTransfer = try reader.u16("maximum incoming transfer size")
        serverMask = try reader.u16("server mask")
        maximumOutgoingTransfer = try reader.u16("maximum outgoing transfer size")
        _ = try reader.u8("descriptor capability")
    }

    public func encode(into frame: inout FrameBuffer) {
        frame.append(logicalType & 7)
        // Frequency band: bit 3 of the upper five, 2400-2483.5 MHz.
        frame.append(0x40 as UInt8)
        frame.append(capability.rawValue)
        frame.append(manufacturer)
        frame.append(maximumBufferSize)
        frame.append(maximumIncomingTransfer)
        frame.append(serverMask)
        frame.append(maximumOutgoingTransfer)
        frame.append(0 as UInt8)
    }
}
