import Crypto
import Devices
import Radio
import Wire

/// Any member of a home's roster: the hub, its devices in the file's order, and the director.
public struct HomeNode: Node {
    public var hub: CommunicationsHub?
    public var device: HANDevice?
    public var director: Director?

    init(_ hub: CommunicationsHub) { self.hub = hub }
    init(_ device: HANDevice) { self.device = device }
    init(_ director: Director) { self.director = director }

    public mutating func handle(
        _ input: borrowing Input, at now: Instant, into out: inout Outbox
    ) {
        device?.handle(input, at: now, into: &out)
        hub?.handle(input, at: now, into: &out)
        director?.handle(input, at: now, into: &out)
    }

    public var nextDeadline: Instant {
        device?.nextDeadline ?? hub?.nextDeadline ?? director?.nextDeadline ?? .distantFuture
    }
}
