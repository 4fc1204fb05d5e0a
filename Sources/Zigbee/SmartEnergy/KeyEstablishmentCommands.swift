import Crypto
import Wire

/// Cluster 0x0800's command numbers, the same in both directions (Smart Energy C.3.1.2).
public enum KeyEstablishmentCommandID {
    public static let initiate: UInt8 = 0x00
    public static let ephemeralData: UInt8 = 0x01
    public static let confirmKey: UInt8 = 0x02
    public static let terminate: UInt8 = 0x03
}

/// The cluster's attribute, on both sides (Smart Energy C.3.1.2.2.1).
public enum KeyEstablishmentAttributeID {
    /// Which suites there are, a bit each.
    public static let suites: UInt16 = 0x0000
}

/// Suites of key establishment as the commands and the attribute carry them: a bit each, so that
/// the numbers of the two there are, 1 and 2, stand for themselves.
public struct KeyEstablishmentSuites: OptionSet, Hashable, Sendable {
    public var rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }
    public init(_ suite: CBKESuite) { rawValue = suite.rawValue }

    /// The one suite meant; nil if it is none that is known, or several.
    public var suite: CBKESuite? { CBKESuite(rawValue: rawValue) }
}

/// Why a key establishment was ended (Smart Energy C.3.1.2.3.1.3). Codes without a name survive a
/// round trip.
public struct KeyEstablishmentStatus: RawRepresentable, Hashable, Sendable {
    public var rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let unknownIssuer = KeyEstablishmentStatus(rawValue: 1)
    public static let badKeyConfirm = KeyEstablishmentStatus(rawValue: 2)
    public static let badMessage = KeyEstablishmentStatus(rawValue: 3)
    public static let noResources = KeyEstablishmentStatus(rawValue: 4)
    public static let unsupportedSuite = KeyEstablishmentStatus(rawValue: 5)
    public static let invalidCertificate = KeyEstablishmentStatus(rawValue: 6)
}

/// 0x00, both ways: suite u16, ephemeral data generate time u8, confirm key generate time u8,
/// certificate (48 bytes of suite 1, 74 of suite 2, the rest of the frame of any other).
///
/// With a certificate of suite 2, under NWK security alone, it fills 126 bytes of a frame's 127.
public struct InitiateKeyEstablishment: Sendable, Equatable {
    public var suites: KeyEstablishmentSuites
    /// How long its sender takes to make its ephemeral data, in seconds.
    public var ephemeralDataTime: UInt8
    /// How long its sender takes to make its confirmation, in seconds.
    public var confirmKeyTime: UInt8
    /// The sender's certificate, as it stands.
    public var certificate: [UInt8]

    public init(
        suites: KeyEstablishmentSuites, ephemeralDataTime: UInt8, confirmKeyTime: UInt8,
        certificate: [UInt8]
    ) {
        self.suites = suites
        self.ephemeralDataTime = ephemeralDataTime
        self.confirmKeyTime = confirmKeyTime
        self.certificate = certificate
    }

    public init(parsing reader: inout ByteReader) throws(WireError) {
        suites = KeyEstablishmentSuites(rawValue: try reader.u16("key establishment suite"))
        ephemeralDataTime = try reader.u8("ephemeral data generate time")
        confirmKeyTime = try reader.u8("confirm key generate time")
        let count = suites.suite?.certificateLength ?? reader.remaining
        certificate = try reader.bytes(count, "certificate")
    }

    public func encode(into frame: inout FrameBuffer) {
        frame.append(suites.rawValue)
        frame.append(ephemeralDataTime)
        frame.append(confirmKeyTime)
        frame.append(certificate.span)
    }
}

/// 0x03, both ways: status u8, wait time u8, suites u16.
public struct TerminateKeyEstablishment: Sendable, Equatable {
    public var status: KeyEstablishmentStatus
    /// How long to wait at least before another attempt, in seconds.
    public var waitTime: UInt8
    /// The suites that its sender has.
    public var suites: KeyEstablishmentSuites

    public init(status: KeyEstablishmentStatus, waitTime: UInt8, suites: KeyEstablishmentSuites) {
        self.status = status
        self.waitTime = waitTime
        self.suites = suites
    }

    public init(parsing reader: inout ByteReader) throws(WireError) {
        status = KeyEstablishmentStatus(rawValue: try reader.u8("status"))
        waitTime = try reader.u8("wait time")
        suites = KeyEstablishmentSuites(rawValue: try reader.u16("key establishment suite"))
    }

    public func encode(into frame: inout FrameBuffer) {
        frame.append(status.rawValue)
        frame.append(waitTime)
        frame.append(suites.rawValue)
    }
}

/// A command of the cluster. Request and response have the same layout; the direction in the ZCL
/// header tells them apart.
public enum KeyEstablishmentCommand: Sendable, Equatable {
    case initiate(InitiateKeyEstablishment)
    /// 0x01: the sender's ephemeral public key, a compressed point of 22 or 37 bytes.
    case ephemeralData([UInt8])
    /// 0x02: MACU of the initiator or MACV of the responder, 16 bytes.
    case confirmKey(Key128)
    case terminate(TerminateKeyEstablishment)

    /// Reads the payload of command `identifier`; nil if the cluster has no such command. Throws
    /// if it is too short, or anything is left over.
    public init?(_ identifier: UInt8, parsing reader: inout ByteReader) throws(WireError) {
        switch identifier {
        case KeyEstablishmentCommandID.initiate:
            self = .initiate(try InitiateKeyEstablishment(parsing: &reader))
        case KeyEstablishmentCommandID.ephemeralData:
            // The suite, which only the session knows, says how long the point is.
            let length = CBKESuite.allCases.map(\.pointLength).last { $0 <= reader.remaining }
            let count = length ?? CBKESuite.one.pointLength
            self = .ephemeralData(try reader.bytes(count, "ephemeral public key"))
        case KeyEstablishmentCommandID.confirmKey:
            self = .confirmKey(try reader.key("message authentication code"))
        case KeyEstablishmentCommandID.terminate:
            self = .terminate(try TerminateKeyEstablishment(parsing: &reader))
        default: return nil
        }
        try reader.end(after: "key establishment command")
    }

    public var identifier: UInt8 {
        switch self {
        case .initiate: KeyEstablishmentCommandID.initiate
        case .ephemeralData: KeyEstablishmentCommandID.ephemeralData
        case .confirmKey: KeyEstablishmentCommandID.confirmKey
        case .terminate: KeyEstablishmentCommandID.terminate
        }
    }

    public func encode(into frame: inout FrameBuffer) {
        switch self {
        case .initiate(let command): command.encode(into: &frame)
        case .ephemeralData(let point): frame.append(point.span)
        case .confirmKey(let code): frame.append(code)
        case .terminate(let command): command.encode(into: &frame)
        }
    }

    /// The whole ZCL frame.
    public func frame(fromServer: Bool, sequence: UInt8) -> FrameBuffer {
        var frame = FrameBuffer()
        ZCLHeader(
            isClusterSpecific: true, fromServer: fromServer, disableDefaultResponse: true,
            sequence: sequence, command: identifier
        ).encode(into: &frame)
        encode(into: &frame)
        return frame
    }
}

extension ZCLServed {
    /// Either side of Key Establishment: one attribute, and the same commands both ways.
    public static let keyEstablishment = ZCLServed(
        KeyEstablishmentAttributeID.suites...KeyEstablishmentAttributeID.suites,
        received: [0, 1, 2, 3], generated: [0, 1, 2, 3])
}

extension ZCLAttribute {
    /// KeyEstablishmentSuite; nil for the number of any other attribute. assumption: enum16, as
    /// the ZCL has it, although it is used as a bitmap; no setting.
    public static func keyEstablishment(
        _ identifier: UInt16, _ suites: KeyEstablishmentSuites
    ) -> ZCLAttribute? {
        guard identifier == KeyEstablishmentAttributeID.suites else { return nil }
        return ZCLAttribute(identifier, ZCLType(rawValue: 0x31), UInt64(suites.rawValue))
    }
}
