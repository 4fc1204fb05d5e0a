import Radio
import Wire

/// Next hops to devices that are not neighbours: bounded, oldest out first (ZigBee 3.6.3.2).
struct RouteTable: Sendable {
    struct Route: Sendable {
        var destination: ShortAddress
        var nextHop: ShortAddress
    }

    static let limit = 64

    private var routes: ContiguousArray<Route> = []

    var entries: ContiguousArray<Route> { routes }

    subscript(destination: ShortAddress) -> ShortAddress? {
        routes.first { $0.destination == destination }?.nextHop
    }

    /// True if the route is new or has changed.
    mutating func learn(_ destination: ShortAddress, via nextHop: ShortAddress) -> Bool {
        if let index = routes.firstIndex(where: { $0.destination == destination }) {
            guard routes[index].nextHop != nextHop else { return false }
            routes[index].nextHop = nextHop
            return true
        }
        routes.push(Route(destination: destination, nextHop: nextHop), limit: Self.limit)
        return true
    }

    /// True if there was one.
    @discardableResult
    mutating func forget(_ destination: ShortAddress) -> Bool {
        let count = routes.count
        routes.removeAll { $0.destination == destination }
        return routes.count < count
    }

    mutating func forget(via nextHop: ShortAddress) { routes.removeAll { $0.nextHop == nextHop } }
}

/// Route discoveries under way, this node's own and others' (ZigBee 3.6.3.5). All are bounded.
struct RouteDiscovery: Sendable {
    /// An entry of the route discovery table.
    struct Entry: Sendable {
        var originator: ShortAddress
        var identifier: UInt8
        var destination: ShortAddress
        /// Whom the cheapest request came from: where a reply goes.
        var previous: ShortAddress
        /// The cheapest request's cost from its originator to here.
        var forwardCost: UInt8
        /// The cheapest reply's cost from here to the destination; 255 before there is one.
        var residualCost: UInt8 = 255
        var expires: Instant
        /// When it was begun anew because the destination was heard of.
        var renewed: Instant?
    }

    /// A route request that is to be sent, or sent again.
    struct Request: Sendable {
        var originator: ShortAddress
        var identifier: UInt8
        var frame: OutgoingFrame
        var due: Instant
        var sendsLeft: Int
    }

    /// A frame that waits for a route.
    struct Waiting: Sendable {
        var destination: ShortAddress
        var source: ShortAddress
        var frame: OutgoingFrame
        var until: Instant
    }

    static let limit = 16
    static let waitingLimit = 8

    var identifier: UInt8 = 0
    private(set) var entries: ContiguousArray<Entry> = []
    private var requests: ContiguousArray<Request> = []
    private var waiting: ContiguousArray<Waiting> = []
    /// When the next request is to be sent or a waiting frame given up.
    private(set) var deadline = Instant.distantFuture

    func index(of originator: ShortAddress, _ identifier: UInt8) -> Int? {
        entries.firstIndex { $0.originator == originator && $0.identifier == identifier }
    }

    /// Whether `originator` is still looking for a way to `destination`.
    func isUnderWay(
        from originator: ShortAddress, to destination: ShortAddress, at now: Instant
    ) -> Bool {
        entries.contains {
            $0.originator == originator && $0.destination == destination
                && $0.residualCost == 255 && $0.expires > now
        }
    }

    func isRenewed(
        _ originator: ShortAddress, to destination: ShortAddress, within interval: Interval,
        of now: Instant
    ) -> Bool {
        entries.contains {
            $0.originator == originator && $0.destination == destination
                && $0.renewed.map { $0 + interval > now } ?? false
        }
    }

    /// Ends what `originator` has begun for `destination`.
    mutating func abandon(_ originator: ShortAddress, to destination: ShortAddress) {
        while let entry = entries.take(where: {
            $0.originator == originator && $0.destination == destination
        }) {
            cancel(originator, entry.identifier)
        }
    }

    /// Forgets discoveries whose time is over; their identifiers may come again.
    mutating func forgetExpired(at now: Instant) { entries.removeAll { $0.expires <= now } }

    mutating func update(_ index: Int, _ change: (inout Entry) -> Void) { change(&entries[index]) }

    /// False if the table is full.
    mutating func begin(_ entry: Entry, at now: Instant) -> Bool {
        forgetExpired(at: now)
        return entries.append(entry, ifBelow: Self.limit)
    }

    /// Has a request sent; a cheaper one of the same discovery takes the place of the other.
    mutating func schedule(_ request: Request) {
        requests.removeAll {
            $0.originator == request.originator && $0.identifier == request.identifier
        }
        requests.push(request, limit: Self.limit)
        deadline = min(deadline, request.due)
    }

    /// A reply has come: the request need not be repeated.
    mutating func cancel(_ originator: ShortAddress, _ identifier: UInt8) {
        requests.removeAll { $0.originator == originator && $0.identifier == identifier }
    }

    mutating func takeRequest(at now: Instant) -> Request? {
        requests.take { $0.due <= now }
    }

    /// False if too many wait already.
    mutating func wait(_ frame: Waiting) -> Bool {
        guard waiting.append(frame, ifBelow: Self.waitingLimit) else { return false }
        deadline = min(deadline, frame.until)
        return true
    }

    /// Whether a frame waits for a way to `destination`.
    func awaits(_ destination: ShortAddress) -> Bool {
        waiting.contains { $0.destination == destination }
    }

    /// Takes out the first frame that waits for `destination`.
    mutating func takeWaiting(for destination: ShortAddress) -> Waiting? {
        waiting.take { $0.destination == destination }
    }

    /// Takes out the first frame that has waited too long.
    mutating func takeOverdue(at now: Instant) -> Waiting? {
        waiting.take { $0.until <= now }
    }

    mutating func reckonDeadline() {
        deadline = min(requests.earliest { $0.due }, waiting.earliest { $0.until })
    }
}

extension ZigbeeStack {
    // MARK: - Looking for a way

    /// Keeps `frame` until a way to `destination` is found, and asks for one.
    mutating func discoverRoute(
        to destination: ShortAddress, for frame: OutgoingFrame, from source: ShortAddress,
        at now: Instant, into out: inout Outbox
    ) {
        // Without a router in reach there is nobody to ask.
        guard network.isUp, hasRouterNeighbours else {
            loseRoute(to: destination, for: source, code: .noRouteAvailable, at: now, into: &out)
            return
        }
        let until = now + configuration.network.routeDiscovery
        let isAsking = discovery.isUnderWay(
            from: network.address, to: destination, at: now)
        guard
            discovery.wait(
                .init(destination: destination, source: source, frame: frame, until: until))
        else {
            out.drop(.queueFull, from: destination)
            return
        }
        if !isAsking { askForRoute(to: destination, at: now, into: &out) }
    }

    mutating func stepRouting(at now: Instant, into out: inout Outbox) {
        sendRequests(at: now, into: &out)
        while let frame = discovery.takeOverdue(at: now) {
            // Whoever came back as a child has been found without an answer.
            if handOn(frame, at: now, into: &out) { continue }
            loseRoute(
                to: frame.destination, for: frame.source, code: .noRouteAvailable, at: now,
                into: &out)
        }
        discovery.reckonDeadline()
    }

    mutating func sendRequests(at now: Instant, into out: inout Outbox) {
        while var request = discovery.takeRequest(at: now) {
            enqueue(request.frame, into: &out)
            request.sendsLeft -= 1
            guard request.sendsLeft > 0 else { continue }
            request.due =
                now + max(configuration.network.routeRequestInterval, .milliseconds(1))
            discovery.schedule(request)
        }
    }

    /// A NWK command as a frame for one neighbour, or for all.
    func command(
        _ command: NWKCommand, _ header: NWKHeader, to hop: ShortAddress
    ) -> OutgoingFrame {
        var body = FrameBuffer()
        header.encode(into: &body)
        let length = body.count
        command.encode(into: &body)
        return OutgoingFrame(
            content: .nwk(secured: true), body: body, auxiliaryOffset: length,
            destination: .short(hop))
    }

    // MARK: - Requests and replies

    /// The cost of a link by the quality with which a frame came over it: 1 to 7.
    func cost(ofQuality quality: UInt8) -> UInt8 {
        let good = configuration.network.goodLink
        guard quality < good else { return 1 }
        return 7 - UInt8(6 * Int(quality) / Int(good))
    }

    /// The cost of the link to a neighbour, the worse of both directions; nil if it does not hear
    /// this node, as its last link status shows.
    private func linkCost(to neighbour: ShortAddress, quality: UInt8, at now: Instant) -> UInt8? {
        let incoming = cost(ofQuality: quality)
        guard let known = neighbours[neighbour] else { return incoming }
        if known.outgoingCost > 0 { return max(incoming, known.outgoingCost) }
        return known.relation == .other && known.linkHeard > .zero ? nil : incoming
    }

    /// A route request, heard from `sender` (ZigBee 3.6.3.5.2).
    mutating func routeRequested(
        _ request: NWKCommand.RouteRequest, header: NWKHeader, sender: ShortAddress,
        quality: UInt8, at now: Instant, into out: inout Outbox
    ) {
        guard configuration.role != .endDevice, network.isUp,
            let link = linkCost(to: sender, quality: quality, at: now)
        else {
            out.drop(.nwkUnexpected, from: sender)
            return
        }
        let cost = UInt8(clamping: min(254, Int(request.pathCost) + Int(link)))
        discovery.forgetExpired(at: now)
        if let index = discovery.index(of: header.source, request.identifier) {
            guard cost < discovery.entries[index].forwardCost else {
                out.drop(.nwkDuplicateBroadcast, from: header.source)
                return
            }
            discovery.update(index) {
                $0.previous = sender
                $0.forwardCost = cost
            }
        } else {
            let isBegun = discovery.begin(
                .init(
                    originator: header.source, identifier: request.identifier,
                    destination: request.destination, previous: sender, forwardCost: cost,
                    expires: now + configuration.network.routeDiscovery), at: now)
            guard isBegun else {
                out.drop(.queueFull, from: header.source)
                return
            }
        }
        // A parent answers for its end devices.
        let child = neighbours[request.destination]
        let isForChild = child?.relation == .child && child?.capability.isRouter == false
        if request.destination == network.address || isForChild {
            learnRoute(to: header.source, via: sender, cost: cost, into: &out)
            reply(
                .init(
                    identifier: request.identifier, originator: header.source,
                    responder: request.destination, pathCost: 0), to: sender, into: &out)
        } else if header.radius > 1 {
            var onward = header
            onward.radius -= 1
            var relayed = request
            relayed.pathCost = cost
            let jitter = dice.below(
                UInt64(configuration.network.routeRequestJitter.microseconds + 1))
            discovery.schedule(
                .init(
                    originator: header.source, identifier: request.identifier,
                    frame: command(.routeRequest(relayed), onward, to: .everyone),
                    due: now + .microseconds(Int64(jitter)),
                    sendsLeft: 1 + configuration.network.routeRequestRetries))
        }
    }

    private mutating func reply(
        _ reply: NWKCommand.RouteReply, to neighbour: ShortAddress, into out: inout Outbox
    ) {
        let header = nwkHeader(.command, to: neighbour)
        enqueue(command(.routeReply(reply), header, to: neighbour), into: &out)
    }

    /// A route reply on its way back, from the neighbour that is the next hop to whom it is about
    /// (ZigBee 3.6.3.5.3).
    mutating func routeReplied(
        _ answer: NWKCommand.RouteReply, sender: ShortAddress, quality: UInt8, at now: Instant,
        into out: inout Outbox
    ) {
        guard configuration.role != .endDevice,
            let index = discovery.index(of: answer.originator, answer.identifier),
            discovery.entries[index].destination == answer.responder,
            let link = linkCost(to: sender, quality: quality, at: now)
        else {
            out.drop(.nwkUnexpected, from: sender)
            return
        }
        let cost = UInt8(clamping: min(254, Int(answer.pathCost) + Int(link)))
        guard cost < discovery.entries[index].residualCost else { return }
        discovery.update(index) { $0.residualCost = cost }
        discovery.cancel(answer.originator, answer.identifier)
        learnRoute(to: answer.responder, via: sender, cost: cost, into: &out)
        guard answer.originator != network.address else {
            if let known = neighbours.index(of: sender) {
                neighbours.update(known) { $0.isLinkDown = false }
            }
            while let frame = discovery.takeWaiting(for: answer.responder) {
                var found = frame.frame
                found.destination = .short(sender)
                enqueue(found, into: &out)
            }
            return
        }
        // Links work both ways here (nwkSymLink), so the way back is known as well.
        let entry = discovery.entries[index]
        learnRoute(
            to: answer.originator, via: entry.previous, cost: entry.forwardCost, into: &out)
        var onward = answer
        onward.pathCost = cost
        reply(onward, to: entry.previous, into: &out)
    }

    private mutating func learnRoute(
        to destination: ShortAddress, via hop: ShortAddress, cost: UInt8, into out: inout Outbox
    ) {
        guard destination != hop, routes.learn(destination, via: hop) else { return }
        requestSave()
        out.note(
            .routeFound, UInt64(destination.rawValue), UInt64(hop.rawValue), UInt64(cost))
    }

    // MARK: - What fails

    /// The NWK layer could not deliver a frame to a neighbour, for all its retries.
    mutating func hopFailed(
        _ failed: OutgoingFrame, at hop: ShortAddress, at now: Instant, into out: inout Outbox
    ) {
        routes.forget(via: hop)
        if let index = neighbours.index(of: hop), neighbours.entries[index].capability.isRouter {
            neighbours.update(index) { $0.isLinkDown = true }
        }
        guard configuration.role != .endDevice, network.isUp, !rejoiner.isAway else { return }
        let header: NWKHeader
        do {
            var reader = ByteReader(failed.body.span)
            header = try NWKHeader(parsing: &reader)
        } catch { return }
        guard !header.destination.isBroadcast, header.destination != hop else { return }
        if header.source == network.address, header.discoverRoute, !failed.isRerouted {
            // Another way may be found, once.
            var again = failed
            again.retries = 0
            again.isRerouted = true
            discoverRoute(
                to: header.destination, for: again, from: header.source, at: now, into: &out)
        } else {
            loseRoute(
                to: header.destination, for: header.source, code: .nonTreeLinkFailure, at: now,
                into: &out)
        }
    }

    /// There is no way to `destination` for a frame of `source`'s, who is told.
    mutating func loseRoute(
        to destination: ShortAddress, for source: ShortAddress, code: NetworkStatusCode,
        at now: Instant, into out: inout Outbox
    ) {
        out.drop(.nwkNoRoute, from: destination)
        guard source != network.address, network.isUp, configuration.role != .endDevice,
            nextHop(to: source) != nil
        else { return }
        sendNWKCommand(
            .networkStatus(code: code.rawValue, destination: destination), to: source, at: now,
            into: &out)
    }

    /// Somebody on the way to `destination` reports that the way is broken (ZigBee 3.4.3).
    mutating func statusReported(
        _ code: UInt8, destination: ShortAddress, from reporter: ShortAddress,
        into out: inout Outbox
    ) {
        guard let code = NetworkStatusCode(rawValue: code) else {
            out.drop(.nwkUnexpected, from: reporter)
            return
        }
        if routes.forget(destination) {
            requestSave()
            out.note(
                .routeLost, UInt64(destination.rawValue), UInt64(reporter.rawValue),
                UInt64(code.rawValue))
        }
    }

    // MARK: - Link status

    /// A coordinator or router tells its router neighbours how well it hears them (ZigBee 3.4.8,
    /// 3.6.3.4.1): one hop, every nwkLinkStatusPeriod.
    mutating func sendLinkStatus(at now: Instant, into out: inout Outbox) {
        guard configuration.role != .endDevice, network.isUp else {
            nextLinkStatus = .distantFuture
            return
        }
        nextLinkStatus = now + configuration.network.linkStatusPeriod
        let age = configuration.network.linkStatusPeriod * configuration.network.routerAgeLimit
        for (index, neighbour) in neighbours.entries.enumerated()
        where neighbour.outgoingCost > 0 && neighbour.linkHeard + age < now {
            neighbours.update(index) { $0.outgoingCost = 0 }
        }
        let routers = neighbours.entries.filter { $0.capability.isRouter && $0.isAuthenticated }
            .sorted { $0.address < $1.address }
        let entries = routers.map { neighbour in
            NWKCommand.LinkStatus.Entry(
                neighbour: neighbour.address,
                costs: max(1, neighbour.incomingCost) | neighbour.outgoingCost << 4)
        }
        var start = 0
        repeat {
            // A frame begins with the entry that the one before ended with.
            let end = min(start + NWKCommand.LinkStatus.limit, entries.count)
            let isLast = end == entries.count
            let status = NWKCommand.LinkStatus(
                entries: entries[start..<end], isFirst: start == 0, isLast: isLast)
            let header = nwkHeader(.command, to: .routers, radius: 1)
            enqueue(command(.linkStatus(status), header, to: .everyone), into: &out)
            start = isLast ? end : end - 1
        } while start < entries.count
    }

    /// A neighbour's link status: it is a router, and says how well it hears this one.
    mutating func linkStatusReceived(
        _ status: NWKCommand.LinkStatus, from sender: ShortAddress, quality: UInt8,
        at now: Instant
    ) {
        guard let index = neighbours.index(of: sender) else { return }
        let heard = status.entries.first { $0.neighbour == network.address }
        let incoming = cost(ofQuality: quality)
        let own = network.address
        neighbours.update(index) { neighbour in
            if !neighbour.capability.isRouter {
                neighbour.capability = CapabilityInformation(
                    isRouter: true, isMainsPowered: true, receiverOnWhenIdle: true)
            }
            neighbour.incomingCost = incoming
            if let heard {
                neighbour.outgoingCost = heard.costs & 7
            } else if status.covers(own) {
                neighbour.outgoingCost = 0
            }
            neighbour.linkHeard = now
            if heard != nil { neighbour.isLinkDown = false }
        }
    }
}
