import Wire

/// The client of one server's Tunneling cluster as a machine without I/O: finds the server, asks
/// for a tunnel, and asks again when it is lost.
public struct TunnelClient: Sendable {
    /// What is to be done now.
    public enum Step: Sendable, Equatable {
        case none
        /// Look for the server.
        case find
        case request(endpoint: UInt8)
    }

    public enum Verdict: Sendable, Equatable {
        case opened(UInt16)
        /// There is no tunnel, for this status.
        case refused(TunnelStatus)
        case data
        /// They are not used; the server is told.
        case rejected(TunnelCommand, DropReason)
        case closed(UInt16)
        /// The server did not take what it was sent.
        case failed(TunnelError)
        case dropped(DropReason)
    }

    private enum Phase: Sendable {
        case resting
        case finding(until: Instant)
        case requesting(until: Instant)
        case open(UInt16, maximum: UInt16)
    }

    public var settings: TunnelSettings
    private var phase = Phase.resting
    private var due = Instant.distantFuture
    public private(set) var endpoint: UInt8?

    public init(settings: TunnelSettings) { self.settings = settings }

    public var nextDeadline: Instant {
        switch phase {
        case .resting: due
        case .finding(let until), .requesting(let until): until
        case .open: .distantFuture
        }
    }

    /// The tunnel and the bytes that its server takes at a time; nil if there is none.
    public var tunnel: (id: UInt16, maximum: UInt16)? {
        if case .open(let id, let maximum) = phase { (id, maximum) } else { nil }
    }

    /// An answer is on its way.
    public var isBusy: Bool {
        switch phase {
        case .finding, .requesting: true
        case .resting, .open: false
        }
    }

    /// The server is there, perhaps anew: a tunnel from before is none.
    public mutating func serverAppeared(at now: Instant) {
        endpoint = nil
        phase = .resting
        due = now + settings.afterJoining
    }

    /// The server is gone.
    public mutating func serverLeft() {
        endpoint = nil
        phase = .resting
        due = .distantFuture
    }

    /// Something is to be sent: a tunnel is not put off for long.
    public mutating func hasten(at now: Instant) {
        if case .resting = phase, due != .distantFuture { due = min(due, now + settings.reopen) }
    }

    public mutating func step(at now: Instant) -> Step {
        guard nextDeadline <= now else { return .none }
        guard case .resting = phase else {
            failed(at: now, after: settings.retry)
            return .none
        }
        guard let endpoint else {
            phase = .finding(until: now + settings.responseTimeout)
            return .find
        }
        phase = .requesting(until: now + settings.responseTimeout)
        return .request(endpoint: endpoint)
    }

    /// The server is on this endpoint, or nowhere. False if that was not asked.
    public mutating func found(_ endpoint: UInt8?, at now: Instant) -> Bool {
        guard case .finding = phase else { return false }
        guard let endpoint else {
            failed(at: now, after: settings.retry)
            return true
        }
        self.endpoint = endpoint
        (phase, due) = (.resting, now)
        return true
    }

    private mutating func failed(at now: Instant, after delay: Interval) {
        endpoint = nil
        (phase, due) = (.resting, now + delay)
    }

    private mutating func lose(at now: Instant) { (phase, due) = (.resting, now + settings.reopen) }

    /// Takes a command of the server's; `count` is how many bytes of data follow it, without what
    /// stands before a message.
    public mutating func receive(
        _ command: TunnelCommand, count: Int, at now: Instant
    ) -> Verdict {
        switch command {
        case .requestTunnelResponse(let id, let status, let maximum):
            guard case .requesting = phase else { return .dropped(.zclUnexpected) }
            guard status == .success else {
                failed(at: now, after: settings.retry)
                return .refused(status)
            }
            phase = .open(id, maximum: maximum)
            return .opened(id)
        case .transferData(let id, fromServer: true):
            guard id == tunnel?.id else {
                return .rejected(
                    .transferDataError(id, .noSuchTunnel, fromServer: false), .tunnelUnknown)
            }
            guard count <= settings.transferSize else {
                return .rejected(
                    .transferDataError(id, .overflow, fromServer: false), .tunnelOverflow)
            }
            return .data
        case .transferDataError(let id, let error, fromServer: true):
            guard id == tunnel?.id else { return .dropped(.tunnelUnknown) }
            if error == .noSuchTunnel || error == .wrongDevice { lose(at: now) }
            return .failed(error)
        case .closureNotification(let id):
            guard id == tunnel?.id else { return .dropped(.tunnelUnknown) }
            lose(at: now)
            return .closed(id)
        default: return .dropped(.zclUnexpected)
        }
    }
}
