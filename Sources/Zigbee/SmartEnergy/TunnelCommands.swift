import Wire

/// Command numbers of the Tunneling cluster, 0x0704 (Smart Energy D.6); those of the two directions
/// are counted apart.
public enum TunnelCommandID {
    // From the client.
    public static let requestTunnel: UInt8 = 0x00
    public static let closeTunnel: UInt8 = 0x01
    public static let transferData: UInt8 = 0x02
    public static let transferDataError: UInt8 = 0x03
    public static let ackTransferData: UInt8 = 0x04
    public static let readyData: UInt8 = 0x05
    public static let getSupportedProtocols: UInt8 = 0x06
    // From the server.
    public static let requestTunnelResponse: UInt8 = 0x00
    public static let transferDataFromServer: UInt8 = 0x01
    public static let transferDataErrorFromServer: UInt8 = 0x02
    public static let ackTransferDataFromServer: UInt8 = 0x03
    public static let readyDataFromServer: UInt8 = 0x04
    public static let supportedProtocolsResponse: UInt8 = 0x05
    public static let closureNotification: UInt8 = 0x06
}

/// Attributes of the Tunneling server.
public enum TunnelAttributeID {
    /// CloseTunnelTimeout: seconds, u16, after which the server closes a tunnel that nobody uses.
    public static let closeTunnelTimeout: UInt16 = 0x0000
}

/// How a tunnel was asked for (TunnelStatus).
public struct TunnelStatus: RawRepresentable, Hashable, Sendable {
    public var rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let success = TunnelStatus(rawValue: 0)
    public static let busy = TunnelStatus(rawValue: 1)
    public static let noMoreTunnels = TunnelStatus(rawValue: 2)
    public static let protocolNotSupported = TunnelStatus(rawValue: 3)
    public static let flowControlNotSupported = TunnelStatus(rawValue: 4)
}

/// Why data were not taken (TransferDataStatus).
public struct TunnelError: RawRepresentable, Hashable, Sendable {
    public var rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let noSuchTunnel = TunnelError(rawValue: 0)
    public static let wrongDevice = TunnelError(rawValue: 1)
    public static let overflow = TunnelError(rawValue: 2)
}

/// What runs in a tunnel.
public struct TunnelProtocol: Sendable, Equatable {
    /// 0xFFFF: one of the standard's.
    public var manufacturer: UInt16
    public var number: UInt8

    public init(manufacturer: UInt16, number: UInt8) {
        self.manufacturer = manufacturer
        self.number = number
    }

    /// GB-HRGP, number 6 (GBCS 10.2.2).
    public static let gbcs = TunnelProtocol(manufacturer: 0xFFFF, number: 6)
}

/// A command of the Tunneling cluster behind its ZCL header. The data of TransferData are what
/// follows these fields.
public enum TunnelCommand: Sendable, Equatable {
    /// ProtocolID u8, manufacturer code u16, flow control flag, maximum incoming transfer size u16.
    case requestTunnel(TunnelProtocol, flowControl: Bool, maximumIncoming: UInt16)
    /// Tunnel ID u16.
    case closeTunnel(UInt16)
    /// Tunnel ID u16, and the data.
    case transferData(UInt16, fromServer: Bool)
    /// Tunnel ID u16, status u8.
    case transferDataError(UInt16, TunnelError, fromServer: Bool)
    /// Tunnel ID u16, bytes left u16.
    case ackTransferData(UInt16, left: UInt16, fromServer: Bool)
    /// Tunnel ID u16, bytes left u16.
    case readyData(UInt16, left: UInt16, fromServer: Bool)
    /// Protocol offset u8: how many of the list to leave out.
    case getSupportedProtocols(offset: UInt8)
    /// Tunnel ID u16, status u8, maximum incoming transfer size u16.
    case requestTunnelResponse(UInt16, TunnelStatus, maximumIncoming: UInt16)
    /// List complete flag, count u8, then so many {manufacturer code u16, protocol ID u8}.
    case supportedProtocols([TunnelProtocol], isComplete: Bool)
    /// Tunnel ID u16.
    case closureNotification(UInt16)

    /// Nil for a number that the direction does not have.
    public init?(
        _ code: UInt8, fromServer: Bool, parsing reader: inout ByteReader
    ) throws(WireError) {
        switch (code, fromServer) {
        case (TunnelCommandID.requestTunnel, false):
            let number = try reader.u8("protocol")
            let manufacturer = try reader.u16("manufacturer code")
            let flag = try reader.u8("flow control")
            guard flag <= 1 else {
                throw WireError(.invalid, "flow control", at: reader.offset - 1)
            }
            self = .requestTunnel(
                TunnelProtocol(manufacturer: manufacturer, number: number),
                flowControl: flag == 1,
                maximumIncoming: try reader.u16("maximum incoming transfer size"))
        case (TunnelCommandID.closeTunnel, false):
            self = .closeTunnel(try reader.u16("tunnel"))
        case (TunnelCommandID.transferData, false),
            (TunnelCommandID.transferDataFromServer, true):
            self = .transferData(try reader.u16("tunnel"), fromServer: fromServer)
        case (TunnelCommandID.transferDataError, false),
            (TunnelCommandID.transferDataErrorFromServer, true):
            let tunnel = try reader.u16("tunnel")
            self = .transferDataError(
                tunnel, TunnelError(rawValue: try reader.u8("status")), fromServer: fromServer)
        case (TunnelCommandID.ackTransferData, false),
            (TunnelCommandID.ackTransferDataFromServer, true):
            let tunnel = try reader.u16("tunnel")
            self = .ackTransferData(
                tunnel, left: try reader.u16("bytes left"), fromServer: fromServer)
        case (TunnelCommandID.readyData, false), (TunnelCommandID.readyDataFromServer, true):
            let tunnel = try reader.u16("tunnel")
            self = .readyData(tunnel, left: try reader.u16("bytes left"), fromServer: fromServer)
        case (TunnelCommandID.getSupportedProtocols, false):
            self = .getSupportedProtocols(offset: try reader.u8("protocol offset"))
        case (TunnelCommandID.requestTunnelResponse, true):
            let tunnel = try reader.u16("tunnel")
            let status = TunnelStatus(rawValue: try reader.u8("status"))
            self = .requestTunnelResponse(
                tunnel, status, maximumIncoming: try reader.u16("maximum incoming transfer size"))
        case (TunnelCommandID.supportedProtocolsResponse, true):
            let flag = try reader.u8("list complete")
            guard flag <= 1 else {
                throw WireError(.invalid, "list complete", at: reader.offset - 1)
            }
            var list: [TunnelProtocol] = []
            for _ in 0..<(try reader.u8("protocol count")) {
                let manufacturer = try reader.u16("manufacturer code")
                list.append(
                    TunnelProtocol(manufacturer: manufacturer, number: try reader.u8("protocol")))
            }
            self = .supportedProtocols(list, isComplete: flag == 1)
        case (TunnelCommandID.closureNotification, true):
            self = .closureNotification(try reader.u16("tunnel"))
        default: return nil
        }
    }

    public var fromServer: Bool {
        switch self {
        case .requestTunnel, .closeTunnel, .getSupportedProtocols: false
        case .transferData(_, let fromServer), .transferDataError(_, _, let fromServer),
            .ackTransferData(_, _, let fromServer), .readyData(_, _, let fromServer):
            fromServer
        case .requestTunnelResponse, .supportedProtocols, .closureNotification: true
        }
    }

    /// Its number in its direction.
    public var code: UInt8 {
        switch self {
        case .requestTunnel: TunnelCommandID.requestTunnel
        case .closeTunnel: TunnelCommandID.closeTunnel
        case .getSupportedProtocols: TunnelCommandID.getSupportedProtocols
        case .requestTunnelResponse: TunnelCommandID.requestTunnelResponse
        case .supportedProtocols: TunnelCommandID.supportedProtocolsResponse
        case .closureNotification: TunnelCommandID.closureNotification
        case .transferData(_, let fromServer):
            fromServer ? TunnelCommandID.transferDataFromServer : TunnelCommandID.transferData
        case .transferDataError(_, _, let fromServer):
            fromServer
                ? TunnelCommandID.transferDataErrorFromServer : TunnelCommandID.transferDataError
        case .ackTransferData(_, _, let fromServer):
            fromServer
                ? TunnelCommandID.ackTransferDataFromServer : TunnelCommandID.ackTransferData
        case .readyData(_, _, let fromServer):
            fromServer ? TunnelCommandID.readyDataFromServer : TunnelCommandID.readyData
        }
    }

    public func encode(into builder: inout ByteBuilder) {
        switch self {
        case .requestTunnel(let kind, let flowControl, let maximum):
            builder.put(UInt64(kind.number), 1)
            builder.put(UInt64(kind.manufacturer), 2)
            builder.put(flowControl ? 1 : 0, 1)
            builder.put(UInt64(maximum), 2)
        case .closeTunnel(let tunnel), .closureNotification(let tunnel),
            .transferData(let tunnel, _):
            builder.put(UInt64(tunnel), 2)
        case .transferDataError(let tunnel, let error, _):
            builder.put(UInt64(tunnel), 2)
            builder.put(UInt64(error.rawValue), 1)
        case .ackTransferData(let tunnel, let left, _), .readyData(let tunnel, let left, _):
            builder.put(UInt64(tunnel), 2)
            builder.put(UInt64(left), 2)
        case .getSupportedProtocols(let offset): builder.put(UInt64(offset), 1)
        case .requestTunnelResponse(let tunnel, let status, let maximum):
            builder.put(UInt64(tunnel), 2)
            builder.put(UInt64(status.rawValue), 1)
            builder.put(UInt64(maximum), 2)
        case .supportedProtocols(let list, let isComplete):
            builder.put(isComplete ? 1 : 0, 1)
            builder.put(UInt64(UInt8(clamping: list.count)), 1)
            for kind in list.prefix(255) {
                builder.put(UInt64(kind.manufacturer), 2)
                builder.put(UInt64(kind.number), 1)
            }
        }
    }

    /// The whole ZCL frame, with `data` behind the command's fields.
    public func frame(sequence: UInt8, data: [UInt8] = []) -> [UInt8] {
        var header = FrameBuffer()
        ZCLHeader(
            isClusterSpecific: true, fromServer: fromServer, disableDefaultResponse: true,
            sequence: sequence, command: code
        ).encode(into: &header)
        var builder = ByteBuilder()
        builder.put(header.bytes)
        encode(into: &builder)
        builder.put(data)
        return builder.bytes
    }
}
