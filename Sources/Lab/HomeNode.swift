import Crypto
import Devices
import Radio
import Wire

/// Any member of a home's roster: the hub, its devices in the file's order, and the director or the
/// CSP's end of the WAN.
public struct HomeNode: Node {
    public var hub: CommunicationsHub?
    public var device: HANDevice?
    public var director: Director?
    public var wanEnd: WANEnd?

    init(_ hub: CommunicationsHub) { self.hub = hub }
    init(_ device: HANDevice) { self.device = device }
    init(_ director: Director) { self.director = director }
    init(_ wanEnd: WANEnd) { self.wanEnd = wanEnd }

    public mutating func handle(
        _ input: borrowing Input, at now: Instant, into out: inout Outbox
    ) {
        if device != nil {
            nextDeadline = Self.run(&device!, input, at: now, into: &out)
        } else if hub != nil {
            nextDeadline = Self.run(&hub!, input, at: now, into: &out)
        } else if director != nil {
            nextDeadline = Self.run(&director!, input, at: now, into: &out)
        } else if wanEnd != nil {
            nextDeadline = Self.run(&wanEnd!, input, at: now, into: &out)
        }
    }

    /// As the node gave it after its last input: asking through the optional would copy the node.
    public private(set) var nextDeadline = Instant.distantFuture

    private static func run<N: Node>(
        _ node: inout N, _ input: borrowing Input, at now: Instant, into out: inout Outbox
    ) -> Instant {
        node.handle(input, at: now, into: &out)
        return node.nextDeadline
    }
}
