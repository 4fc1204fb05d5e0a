import Wire

/// The server of the Tunneling cluster as a machine without I/O: who has which tunnel, and whether
/// what comes through it may be used.
public struct TunnelServer: Sendable {
    public struct Tunnel: Sendable, Equatable {
        public let id: UInt16
        public let client: EUI64
        public let address: ShortAddress
        public let endpoint: UInt8
        /// Bytes that the client takes at a time.
        public let maximum: UInt16
        var idleAt: Instant
    }

    public enum Verdict: Sendable, Equatable {
        /// The answer to it, and the tunnel that there is now.
        case opened(Tunnel, TunnelCommand)
        case answer(TunnelCommand)
        /// The data are to be used.
        case data(UInt16)
        /// They are not; the client is told.
        case refused(TunnelCommand, DropReason)
        case closed(UInt16)
        /// The client did not take what it was sent.
        case failed(UInt16, TunnelError)
        case dropped(DropReason)
    }

    public var settings: TunnelSettings
    /// Clients that may have a tunnel, one each.
    public let limit: Int
    public private(set) var tunnels: [Tunnel] = [] {
        didSet { nextDeadline = tunnels.reduce(.distantFuture) { min($0, $1.idleAt) } }
    }
    private var nextID: UInt16

    /// `firstID` is the number of its first tunnel: one that was not in use before a restart.
    public init(settings: TunnelSettings, limit: Int, firstID: UInt16) {
        self.settings = settings
        self.limit = limit
        nextID = firstID
    }

    /// When the first tunnel has been idle for too long.
    public private(set) var nextDeadline = Instant.distantFuture

    public subscript(client: EUI64) -> Tunnel? { tunnels.first { $0.client == client } }

    private var idleTime: Interval { .seconds(Int64(settings.closeTimeout)) }

    public func attribute(_ identifier: UInt16) -> ZCLAttribute? {
        identifier == TunnelAttributeID.closeTunnelTimeout
            ? ZCLAttribute(identifier, .uint16, UInt64(settings.closeTimeout)) : nil
    }

    /// Takes a command of a client's; `count` is how many bytes of data follow it, without what
    /// stands before a message.
    public mutating func receive(
        _ command: TunnelCommand, from client: EUI64, at address: ShortAddress, endpoint: UInt8,
        count: Int, now: Instant
    ) -> Verdict {
        switch command {
        case .requestTunnel(let kind, let flowControl, let maximum):
            return open(kind, flowControl, maximum, client, address, endpoint, now)
        case .closeTunnel(let id):
            guard let tunnel = tunnels.first(where: { $0.id == id }) else {
                return .dropped(.tunnelUnknown)
            }
            guard tunnel.client == client else { return .dropped(.tunnelWrongDevice) }
            tunnels.removeAll { $0.id == id }
            return .closed(id)
        case .transferData(let id, fromServer: false):
            if let refusal = refusal(of: id, for: client) { return refusal }
            guard count <= settings.transferSize else {
                return .refused(
                    .transferDataError(id, .overflow, fromServer: true), .tunnelOverflow)
            }
            touch(id, now)
            return .data(id)
        case .transferDataError(let id, let error, fromServer: false):
            guard tunnels.contains(where: { $0.id == id && $0.client == client }) else {
                return .dropped(.tunnelUnknown)
            }
            if error == .noSuchTunnel || error == .wrongDevice {
                tunnels.removeAll { $0.id == id }
            }
            return .failed(id, error)
        case .getSupportedProtocols(let offset):
            return .answer(
                .supportedProtocols(offset == 0 ? [settings.kind] : [], isComplete: true))
        // Flow control is neither offered nor used.
        default: return .dropped(.zclUnexpected)
        }
    }

    private mutating func open(
        _ kind: TunnelProtocol, _ flowControl: Bool, _ maximum: UInt16, _ client: EUI64,
        _ address: ShortAddress, _ endpoint: UInt8, _ now: Instant
    ) -> Verdict {
        func refuse(_ status: TunnelStatus) -> Verdict {
            .answer(
                .requestTunnelResponse(0xFFFF, status, maximumIncoming: settings.transferSize))
        }
        guard kind == settings.kind else { return refuse(.protocolNotSupported) }
        guard !flowControl else { return refuse(.flowControlNotSupported) }
        // Who asks anew has lost the one that it had.
        tunnels.removeAll { $0.client == client }
        guard tunnels.count < limit else { return refuse(.noMoreTunnels) }
        while nextID == 0xFFFF || tunnels.contains(where: { $0.id == nextID }) { nextID &+= 1 }
        let tunnel = Tunnel(
            id: nextID, client: client, address: address, endpoint: endpoint, maximum: maximum,
            idleAt: now + idleTime)
        nextID &+= 1
        tunnels.append(tunnel)
        return .opened(
            tunnel,
            .requestTunnelResponse(
                tunnel.id, .success, maximumIncoming: settings.transferSize))
    }

    private func refusal(of id: UInt16, for client: EUI64) -> Verdict? {
        guard let tunnel = tunnels.first(where: { $0.id == id }) else {
            return .refused(
                .transferDataError(id, .noSuchTunnel, fromServer: true), .tunnelUnknown)
        }
        guard tunnel.client == client else {
            return .refused(
                .transferDataError(id, .wrongDevice, fromServer: true), .tunnelWrongDevice)
        }
        return nil
    }

    private mutating func touch(_ id: UInt16, _ now: Instant) {
        for index in tunnels.indices where tunnels[index].id == id {
            tunnels[index].idleAt = now + idleTime
        }
    }

    /// A message goes out through the tunnel.
    public mutating func use(_ id: UInt16, at now: Instant) { touch(id, now) }

    /// Takes out a tunnel that has been idle for too long: its client is to be notified.
    public mutating func expire(at now: Instant) -> Tunnel? {
        tunnels.firstIndex { $0.idleAt <= now }.map { tunnels.remove(at: $0) }
    }

    /// The client has left, or joined anew.
    public mutating func drop(_ client: EUI64) -> Tunnel? {
        tunnels.firstIndex { $0.client == client }.map { tunnels.remove(at: $0) }
    }

    public mutating func dropAll() { tunnels.removeAll() }
}

extension ZCLServed {
    /// The Tunneling server: CloseTunnelTimeout, and no flow control.
    public static let tunnelServer = ZCLServed(
        TunnelAttributeID.closeTunnelTimeout...TunnelAttributeID.closeTunnelTimeout,
        received: [
            TunnelCommandID.requestTunnel, TunnelCommandID.closeTunnel,
            TunnelCommandID.transferData, TunnelCommandID.transferDataError,
            TunnelCommandID.getSupportedProtocols,
        ],
        generated: [
            TunnelCommandID.requestTunnelResponse, TunnelCommandID.transferDataFromServer,
            TunnelCommandID.transferDataErrorFromServer,
            TunnelCommandID.supportedProtocolsResponse, TunnelCommandID.closureNotification,
        ])
}
