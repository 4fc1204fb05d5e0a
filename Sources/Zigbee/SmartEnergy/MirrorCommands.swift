import Wire

/// What a Metering server that sleeps says to the client that mirrors it (Smart Energy D.3.3.3).
public enum MirrorRequest: Sendable, Equatable {
    /// 0x01: it asks for a mirror.
    case request
    /// 0x02: it needs none any more.
    case remove
    /// 0x08: how its mirror is to be.
    case configure(MirrorConfiguration)

    /// Nil for a command that has nothing to do with mirrors.
    public init?(_ command: UInt8, parsing reader: inout ByteReader) throws(WireError) {
        switch command {
        case 0x01: self = .request
        case 0x02: self = .remove
        case 0x08: self = .configure(try MirrorConfiguration(parsing: &reader))
        default: return nil
        }
    }

    public func frame(sequence: UInt8) -> FrameBuffer {
        var frame = FrameBuffer()
        let command: UInt8 =
            switch self {
            case .request: 0x01
            case .remove: 0x02
            case .configure: 0x08
            }
        ZCLHeader(
            isClusterSpecific: true, fromServer: true, disableDefaultResponse: false,
            sequence: sequence, command: command
        ).encode(into: &frame)
        if case .configure(let configuration) = self { configuration.encode(into: &frame) }
        return frame
    }
}

/// The payload of Configure Mirror.
///
/// Layout: issuer event id u32, reporting interval in seconds u24, mirror notification reporting
/// u8, notification scheme u8; little-endian.
public struct MirrorConfiguration: Sendable, Equatable {
    /// Predefined notification scheme B, which GBCS asks for.
    public static let schemeB: UInt8 = 0x02

    public var issuerEventID: UInt32 = 0
    /// Seconds, 0 to 0xFFFFFF.
    public var reportingInterval: UInt32
    /// Each report is answered with the notification flags.
    public var reportsNotifications = false
    public var scheme = schemeB

    public init(reportingInterval: UInt32) {
        self.reportingInterval = min(reportingInterval, 0xFF_FFFF)
    }

    init(parsing reader: inout ByteReader) throws(WireError) {
        issuerEventID = try reader.u32("issuer event id")
        reportingInterval = UInt32(try reader.u16("reporting interval"))
        reportingInterval |= UInt32(try reader.u8("reporting interval")) << 16
        reportsNotifications = try reader.u8("mirror notification reporting") != 0
        scheme = try reader.u8("notification scheme")
    }

    func encode(into frame: inout FrameBuffer) {
        frame.append(issuerEventID)
        frame.append(UInt16(truncatingIfNeeded: reportingInterval))
        frame.append(UInt8(truncatingIfNeeded: reportingInterval >> 16))
        frame.append((reportsNotifications ? 1 : 0) as UInt8)
        frame.append(scheme)
    }
}

/// What the client answers: the mirror's endpoint.
public enum MirrorAnswer: Sendable, Equatable {
    /// 0x01, Request Mirror Response; nil, 0xFFFF, if there is no mirror to be had.
    case allotted(UInt8?)
    /// 0x02, Mirror Removed.
    case removed(UInt8)

    private static let none: UInt16 = 0xFFFF

    /// Nil for another command.
    public init?(_ command: UInt8, parsing reader: inout ByteReader) throws(WireError) {
        guard command == 0x01 || command == 0x02 else { return nil }
        let word = try reader.u16("endpoint")
        let endpoint = UInt8(exactly: word).flatMap { 1...240 ~= $0 ? $0 : nil }
        if command == 0x01, endpoint != nil || word == Self.none {
            self = .allotted(endpoint)
        } else if command == 0x02, let endpoint {
            self = .removed(endpoint)
        } else {
            throw WireError(.invalid, "endpoint", at: reader.offset - 2)
        }
    }

    public func frame(sequence: UInt8) -> FrameBuffer {
        let (command, endpoint): (UInt8, UInt16) =
            switch self {
            case .allotted(let endpoint): (0x01, endpoint.map { UInt16($0) } ?? Self.none)
            case .removed(let endpoint): (0x02, UInt16(endpoint))
            }
        var frame = FrameBuffer()
        ZCLHeader(
            isClusterSpecific: true, fromServer: false, disableDefaultResponse: true,
            sequence: sequence, command: command
        ).encode(into: &frame)
        frame.append(endpoint)
        return frame
    }
}
