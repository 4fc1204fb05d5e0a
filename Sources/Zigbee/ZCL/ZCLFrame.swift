import Wire

/// The header of a ZCL frame, in wire order (ZCL 2.4.1).
public struct ZCLHeader: Sendable, Equatable {
    public var isClusterSpecific: Bool
    public var manufacturer: UInt16?
    /// From the server of a cluster to its client.
    public var fromServer: Bool
    public var disableDefaultResponse: Bool
    public var sequence: UInt8
    public var command: UInt8

    public init(
        isClusterSpecific: Bool, fromServer: Bool, disableDefaultResponse: Bool, sequence: UInt8,
        command: UInt8, manufacturer: UInt16? = nil
    ) {
        self.isClusterSpecific = isClusterSpecific
        self.fromServer = fromServer
        self.disableDefaultResponse = disableDefaultResponse
        self.sequence = sequence
        self.command = command
        self.manufacturer = manufacturer
    }

    public init(parsing reader: inout ByteReader) throws(WireError) {
        let control = try reader.u8("frame control")
        guard control & 3 <= 1 else { throw WireError(.invalid, "frame type", at: 0) }
        isClusterSpecific = control & 3 == 1
        fromServer = control & 0x08 != 0
        disableDefaultResponse = control & 0x10 != 0
        manufacturer = control & 0x04 != 0 ? try reader.u16("manufacturer") : nil
        sequence = try reader.u8("sequence number")
        command = try reader.u8("command")
    }

    public func encode(into frame: inout FrameBuffer) {
        var control: UInt8 = isClusterSpecific ? 1 : 0
        if manufacturer != nil { control |= 0x04 }
        if fromServer { control |= 0x08 }
        if disableDefaultResponse { control |= 0x10 }
        frame.append(control)
        if let manufacturer { frame.append(manufacturer) }
        frame.append(sequence)
        frame.append(command)
    }
}

/// A ZCL status (ZCL 2.6.3). Codes without a name survive a round trip.
public struct ZCLStatus: RawRepresentable, Hashable, Sendable {
    public var rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let success = ZCLStatus(rawValue: 0x00)
    public static let failure = ZCLStatus(rawValue: 0x01)
    public static let notAuthorized = ZCLStatus(rawValue: 0x7E)
    public static let malformedCommand = ZCLStatus(rawValue: 0x80)
    public static let unsupportedClusterCommand = ZCLStatus(rawValue: 0x81)
    public static let unsupportedGeneralCommand = ZCLStatus(rawValue: 0x82)
    public static let unsupportedManufacturerClusterCommand = ZCLStatus(rawValue: 0x83)
    public static let unsupportedManufacturerGeneralCommand = ZCLStatus(rawValue: 0x84)
    public static let invalidField = ZCLStatus(rawValue: 0x85)
    public static let unsupportedAttribute = ZCLStatus(rawValue: 0x86)
    public static let invalidValue = ZCLStatus(rawValue: 0x87)
    public static let readOnly = ZCLStatus(rawValue: 0x88)
    public static let insufficientSpace = ZCLStatus(rawValue: 0x89)
    public static let notFound = ZCLStatus(rawValue: 0x8B)
    public static let unreportableAttribute = ZCLStatus(rawValue: 0x8C)
    public static let invalidDataType = ZCLStatus(rawValue: 0x8D)
    public static let timeout = ZCLStatus(rawValue: 0x94)
    public static let abort = ZCLStatus(rawValue: 0x95)
    public static let invalidImage = ZCLStatus(rawValue: 0x96)
    public static let waitForData = ZCLStatus(rawValue: 0x97)
    public static let noImageAvailable = ZCLStatus(rawValue: 0x98)
    public static let requireMoreImage = ZCLStatus(rawValue: 0x99)
    public static let unsupportedCluster = ZCLStatus(rawValue: 0xC3)
}

/// The profile-wide commands (ZCL 2.5).
public enum ZCLFoundation {
    public static let readAttributes: UInt8 = 0x00
    public static let readAttributesResponse: UInt8 = 0x01
    public static let writeAttributes: UInt8 = 0x02
    public static let writeAttributesUndivided: UInt8 = 0x03
    public static let writeAttributesResponse: UInt8 = 0x04
    public static let writeAttributesNoResponse: UInt8 = 0x05
    public static let configureReporting: UInt8 = 0x06
    public static let configureReportingResponse: UInt8 = 0x07
    public static let readReportingConfiguration: UInt8 = 0x08
    public static let readReportingConfigurationResponse: UInt8 = 0x09
    public static let reportAttributes: UInt8 = 0x0A
    public static let defaultResponse: UInt8 = 0x0B
    public static let discoverAttributes: UInt8 = 0x0C
    public static let discoverAttributesResponse: UInt8 = 0x0D
    public static let discoverCommandsReceived: UInt8 = 0x11
    public static let discoverCommandsReceivedResponse: UInt8 = 0x12
    public static let discoverCommandsGenerated: UInt8 = 0x13
    public static let discoverCommandsGeneratedResponse: UInt8 = 0x14
    public static let discoverAttributesExtended: UInt8 = 0x15
    public static let discoverAttributesExtendedResponse: UInt8 = 0x16

    /// Whether a command answers another one.
    public static func isResponse(_ command: UInt8) -> Bool {
        switch command {
        case readAttributesResponse, writeAttributesResponse, configureReportingResponse,
            readReportingConfigurationResponse, defaultResponse, discoverAttributesResponse,
            discoverCommandsReceivedResponse, discoverCommandsGeneratedResponse,
            discoverAttributesExtendedResponse:
            true
        default: false
        }
    }
}

/// ZCL data types (ZCL 2.6.2), those a GB firmware update meets.
public struct ZCLType: RawRepresentable, Hashable, Sendable {
    public var rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let boolean = ZCLType(rawValue: 0x10)
    public static let bitmap8 = ZCLType(rawValue: 0x18)
    public static let bitmap32 = ZCLType(rawValue: 0x1B)
    public static let uint8 = ZCLType(rawValue: 0x20)
    public static let uint16 = ZCLType(rawValue: 0x21)
    public static let uint32 = ZCLType(rawValue: 0x23)
    public static let int32 = ZCLType(rawValue: 0x2B)
    public static let enum8 = ZCLType(rawValue: 0x30)
    public static let utcTime = ZCLType(rawValue: 0xE2)
    public static let ieeeAddress = ZCLType(rawValue: 0xF0)

    /// Bytes a value of this type takes, for the fixed-length types above and their families;
    /// nil for strings, structures and types without a name here.
    public var length: Int? {
        switch rawValue {
        case 0x00: 0
        case 0x08...0x0F: Int(rawValue) - 0x07
        case 0x10: 1
        case 0x18...0x1F: Int(rawValue) - 0x17
        case 0x20...0x27: Int(rawValue) - 0x1F
        case 0x28...0x2F: Int(rawValue) - 0x27
        case 0x30: 1
        case 0x31: 2
        case 0x38: 2
        case 0x39: 4
        case 0x3A: 8
        case 0xE0...0xE2: 4
        case 0xE8, 0xE9: 2
        case 0xEA: 4
        case 0xF0: 8
        case 0xF1: 16
        default: nil
        }
    }
}

/// One attribute's value: an unsigned quantity of at most eight bytes, little-endian on the air.
public struct ZCLAttribute: Sendable, Equatable {
    public var identifier: UInt16
    public var type: ZCLType
    public var value: UInt64
    public var isWritable = false

    public init(_ identifier: UInt16, _ type: ZCLType, _ value: UInt64, isWritable: Bool = false) {
        self.identifier = identifier
        self.type = type
        self.value = value
        self.isWritable = isWritable
    }

    /// Appends the value alone.
    func encodeValue(into frame: inout FrameBuffer) {
        for index in 0..<(type.length ?? 0) {
            frame.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index)))
        }
    }
}

/// Cluster and profile numbers.
public enum ClusterID {
    public static let basic: UInt16 = 0x0000
    public static let identify: UInt16 = 0x0003
    public static let time: UInt16 = 0x000A
    public static let otaUpgrade: UInt16 = 0x0019
    public static let metering: UInt16 = 0x0702
    public static let tunneling: UInt16 = 0x0704
    public static let keyEstablishment: UInt16 = 0x0800
}

/// The application profiles that a simple descriptor or an APS frame may name.
public enum ProfileID {
    public static let zigbeeDevice: UInt16 = 0x0000
    /// Smart Energy
    public static let smartEnergy: UInt16 = 0x0109
    public static let wildcard: UInt16 = 0xFFFF
}
