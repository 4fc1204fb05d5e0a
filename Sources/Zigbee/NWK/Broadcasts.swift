import Radio
import Wire

/// The broadcast transaction table (ZigBee 3.6.5): broadcasts lately seen, so that none is taken
/// or relayed twice, and those that this node still has to send or to send again. Both are
/// bounded, oldest out first.
struct BroadcastTable: Sendable {
    private struct Entry {
        var source: ShortAddress
        var sequence: UInt8
        var expires: Instant
    }

    /// A broadcast on its way out.
    struct Outstanding: Sendable {
        var source: ShortAddress
        var sequence: UInt8
        var frame: OutgoingFrame
        var due: Instant
        var sendsLeft: Int
        /// It has been sent: whether it goes out again depends on who has been heard.
        var isRepeat: Bool
        /// Whom this node has heard sending it.
        var heard: ContiguousArray<ShortAddress> = []
    }

    static let limit = 32
    static let outstandingLimit = 8

    private var entries: ContiguousArray<Entry> = []
    private var outstanding: ContiguousArray<Outstanding> = []
    /// When the next broadcast is to be sent, or to be looked at.
    private(set) var deadline = Instant.distantFuture
    /// The neighbour that the last broadcast taken came from.
    var lastSender = ShortAddress.unassigned

    /// True if it is new; it is remembered until `expires`.
    mutating func admit(
        _ source: ShortAddress, _ sequence: UInt8, at now: Instant, until expires: Instant
    ) -> Bool {
        entries.removeAll { $0.expires <= now }
        if entries.contains(where: { $0.source == source && $0.sequence == sequence }) {
            return false
        }
        entries.push(
            Entry(source: source, sequence: sequence, expires: expires), limit: Self.limit)
        return true
    }

    /// False if too many are outstanding.
    mutating func track(_ broadcast: Outstanding) -> Bool {
        guard outstanding.append(broadcast, ifBelow: Self.outstandingLimit) else { return false }
        deadline = min(deadline, broadcast.due)
        return true
    }

    /// A neighbour has sent a broadcast that this node may still wait for it to relay.
    mutating func noteRelay(_ source: ShortAddress, _ sequence: UInt8, by neighbour: ShortAddress) {
        for index in outstanding.indices
        where outstanding[index].sequence == sequence && outstanding[index].source == source
            && !outstanding[index].heard.contains(neighbour)
        {
            outstanding[index].heard.append(neighbour)
        }
    }

    /// Takes out the first that is due.
    mutating func takeDue(at now: Instant) -> Outstanding? {
        let due = outstanding.take { $0.due <= now }
        if due == nil { deadline = outstanding.earliest { $0.due } }
        return due
    }
}

extension ZigbeeStack {
    /// Sends a broadcast of this node's own, and again while a neighbouring router is not heard to
    /// relay it (passive acknowledgement).
    mutating func originate(
        _ frame: OutgoingFrame, _ header: NWKHeader, at now: Instant, into out: inout Outbox
    ) {
        _ = broadcasts.admit(
            header.source, header.sequence, at: now,
            until: now + configuration.network.broadcastDelivery)
        enqueue(frame, into: &out)
        guard configuration.role != .endDevice, header.radius > 1,
            configuration.network.broadcastRetries > 0, hasRouterNeighbours
        else { return }
        _ = broadcasts.track(
            BroadcastTable.Outstanding(
                source: header.source, sequence: header.sequence, frame: frame,
                due: now + configuration.network.passiveAckTimeout,
                sendsLeft: configuration.network.broadcastRetries, isRepeat: true))
    }

    /// Relays somebody else's broadcast, heard from `sender`, after a random time.
    mutating func relayBroadcast(
        _ frame: OutgoingFrame, _ header: NWKHeader, from sender: ShortAddress, at now: Instant,
        into out: inout Outbox
    ) {
        let jitter = dice.below(UInt64(configuration.network.broadcastJitter.microseconds + 1))
        let isTracked = broadcasts.track(
            BroadcastTable.Outstanding(
                source: header.source, sequence: header.sequence, frame: frame,
                due: now + .microseconds(Int64(jitter)),
                sendsLeft: 1 + configuration.network.broadcastRetries, isRepeat: false,
                heard: [sender]))
        if !isTracked { enqueue(frame, into: &out) }
    }

    mutating func stepBroadcasts(at now: Instant, into out: inout Outbox) {
        while var due = broadcasts.takeDue(at: now) {
            if due.isRepeat, isRelayedByAll(due, at: now) { continue }
            enqueue(due.frame, into: &out)
            due.isRepeat = true
            due.sendsLeft -= 1
            due.due = now + max(configuration.network.passiveAckTimeout, .milliseconds(1))
            guard due.sendsLeft > 0, !isRelayedByAll(due, at: now) else { continue }
            _ = broadcasts.track(due)
        }
    }

    /// Whether every neighbouring router that is still heard of has sent this broadcast.
    private func isRelayedByAll(
        _ broadcast: BroadcastTable.Outstanding, at now: Instant
    ) -> Bool {
        let age = configuration.network.linkStatusPeriod * configuration.network.routerAgeLimit
        return neighbours.entries.allSatisfy { neighbour in
            !neighbour.capability.isRouter || !neighbour.isAuthenticated
                || neighbour.lastHeard + age < now || neighbour.address == broadcast.source
                || broadcast.heard.contains(neighbour.address)
        }
    }

    var hasRouterNeighbours: Bool {
        neighbours.entries.contains { $0.capability.isRouter && $0.isAuthenticated }
    }
}
