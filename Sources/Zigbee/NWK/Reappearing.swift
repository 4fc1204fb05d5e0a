import Radio
import Wire

/// What becomes of frames that wait for a way to a device that is heard of again.
extension ZigbeeStack {
    /// Asks all routers for a way to `destination` (ZigBee 3.6.3.5.1). `isRenewed` if the
    /// destination itself has given reason to.
    mutating func askForRoute(
        to destination: ShortAddress, isRenewed: Bool = false, at now: Instant,
        into out: inout Outbox
    ) {
        discovery.identifier &+= 1
        var entry = RouteDiscovery.Entry(
            originator: network.address, identifier: discovery.identifier,
            destination: destination, previous: network.address, forwardCost: 0,
            expires: now + configuration.network.routeDiscovery)
        if isRenewed { entry.renewed = now }
        guard discovery.begin(entry, at: now) else { return }
        let header = nwkHeader(.command, to: .routers)
        let request = NWKCommand.RouteRequest(
            identifier: discovery.identifier, destination: destination, pathCost: 0)
        discovery.schedule(
            .init(
                originator: network.address, identifier: discovery.identifier,
                frame: command(.routeRequest(request), header, to: .everyone), due: now,
                sendsLeft: 1 + configuration.network.routeRequestRetries))
        sendRequests(at: now, into: &out)
    }

    /// A device has said, or its new parent has, that it is in the network at `address`. Frames
    /// that wait for a way to it go out, if there is one now. If not, the way is asked for anew:
    /// the request before came too early for whoever answers for the device now, and who has
    /// relayed it does not look at it again. Not sooner than nwkcRREQRetryInterval after the last
    /// time.
    mutating func reappeared(at address: ShortAddress, now: Instant, into out: inout Outbox) {
        guard configuration.role != .endDevice, network.isUp, discovery.awaits(address) else {
            return
        }
        if nextHop(to: address) != nil {
            discovery.abandon(network.address, to: address)
            while let waiting = discovery.takeWaiting(for: address) {
                handOn(waiting, at: now, into: &out)
            }
            return
        }
        let interval = max(configuration.network.routeRequestInterval, .milliseconds(1))
        guard !discovery.isRenewed(network.address, to: address, within: interval, of: now)
        else { return }
        discovery.abandon(network.address, to: address)
        askForRoute(to: address, isRenewed: true, at: now, into: &out)
    }

    /// Sends a frame that has waited for a way on it, if there is one. False if there is none.
    @discardableResult
    mutating func handOn(
        _ waiting: RouteDiscovery.Waiting, at now: Instant, into out: inout Outbox
    ) -> Bool {
        guard let hop = nextHop(to: waiting.destination) else { return false }
        var frame = waiting.frame
        frame.destination = .short(hop)
        if let neighbour = neighbours[hop], neighbour.isSleepyChild {
            hold(frame, for: .short(hop), at: now, into: &out)
        } else {
            enqueue(frame, into: &out)
        }
        return true
    }
}
