import Radio
import Wire
import Zigbee

/// What hub and devices note of their tunnels.
extension Outbox {
    /// Notes what came of a client's command; `partner` sent it from `address`.
    mutating func note(
        _ verdict: TunnelServer.Verdict, with partner: EUI64, at address: ShortAddress
    ) {
        switch verdict {
        case .opened(let tunnel, _):
            note(.tunnelOpened, partner.rawValue, UInt64(tunnel.id), UInt64(tunnel.maximum))
        case .closed(let id): note(.tunnelClosed, partner.rawValue, UInt64(id))
        case .failed(_, let error):
            note(.tunnelFailed, partner.rawValue, UInt64(error.rawValue))
        case .refused(_, let reason), .dropped(let reason): drop(reason, from: address)
        case .answer, .data: break
        }
    }

    /// Notes what came of a server's command; `maximum` is what the server takes, if a tunnel is
    /// open now.
    mutating func note(
        _ verdict: TunnelClient.Verdict, with partner: EUI64, at address: ShortAddress,
        maximum: UInt16?
    ) {
        switch verdict {
        case .opened(let id):
            note(.tunnelOpened, partner.rawValue, UInt64(id), UInt64(maximum ?? 0))
        case .refused(let status):
            note(.tunnelRefused, partner.rawValue, UInt64(status.rawValue))
        case .closed(let id): note(.tunnelClosed, partner.rawValue, UInt64(id))
        case .failed(let error): note(.tunnelFailed, partner.rawValue, UInt64(error.rawValue))
        case .rejected(_, let reason), .dropped(let reason): drop(reason, from: address)
        case .data: break
        }
    }
}
