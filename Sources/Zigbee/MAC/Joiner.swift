import Radio
import Wire

/// How a device gets into a network: scan, associate, wait for the network key.
struct Joiner: Sendable {
    enum Phase: Sendable {
        case idle
        case scanning
        /// The request is out; macResponseWaitTime runs.
        case associating
        case awaitingKey
        /// A failed attempt; the next begins at the deadline.
        case resting
    }

    struct Candidate: Sendable {
        var pan: PANID
        var extendedPAN: EUI64
        var channel: UInt8
        var address: ShortAddress
        var depth: UInt8
        var lqi: UInt8
    }

    var phase = Phase.idle
    var deadline = Instant.distantFuture
    var channelIndex = 0
    var best: Candidate?
    /// Why none of the networks that were heard would do.
    var obstacle = RefusalReason.noBeacon
    /// PANs that let this device associate but sent no key; tried last.
    var refusedBy: ContiguousArray<EUI64> = []

    static let refusedLimit = 16

    var needsPolling: Bool { phase == .associating || phase == .awaitingKey }

    /// Whom to poll before there is a parent in the neighbour table.
    var pollTarget: MACAddress? {
        phase == .associating ? best.map { .short($0.address) } : nil
    }
}

extension ZigbeeStack {
    /// Begins to look for a network. A device with a snapshot uses `resume` instead.
    public mutating func join(at now: Instant, into out: inout Outbox) {
        joiner.phase = .scanning
        joiner.channelIndex = 0
        joiner.best = nil
        joiner.obstacle = .noBeacon
        network.pan = .broadcast
        network.address = .unassigned
        scan(at: now, into: &out)
        pump(at: now, into: &out)
    }

    private mutating func scan(at now: Instant, into out: inout Outbox) {
        configureChip(
            channel: configuration.channels[joiner.channelIndex], receiverOn: true, into: &out)
        joiner.deadline = now + configuration.network.scanDuration
        sendBeaconRequest(at: now, into: &out)
    }

    mutating func sendBeaconRequest(at now: Instant, into out: inout Outbox) {
        var header = MACHeader(
            kind: .command, sequence: mac.nextSequence(), destination: .short(.everyone),
            source: .none)
        header.destinationPAN = .broadcast
        sendCommand(.beaconRequest, header: header, purpose: .beaconRequest, at: now, into: &out)
    }

    mutating func configureChip(channel: UInt8, receiverOn: Bool, into out: inout Outbox) {
        out.append(
            .configure(
                RadioConfiguration(
                    channel: channel, pan: network.pan, shortAddress: network.address,
                    eui64: configuration.eui64,
                    isCoordinator: configuration.role == .coordinator,
                    receiverOnWhenIdle: receiverOn)))
    }

    mutating func receiveBeacon(
        _ reception: Reception, _ header: MACHeader, from start: Int, into out: inout Outbox
    ) {
        let isForming = trustCentre.forming.phase == .listening
        guard joiner.phase == .scanning || rejoiner.isAway || isForming,
            case .short(let address) = header.source
        else { return }
        let beacon: Beacon
        do {
            var reader = ByteReader(reception.frame.span.extracting(start...))
            beacon = try Beacon(parsing: &reader)
        } catch {
            // A PAN of another kind has its identifier too.
            if isForming { considerForForming(header, nil) }
            out.drop(.macMalformed)
            return
        }
        if isForming {
            considerForForming(header, beacon)
            return
        }
        if rejoiner.isAway {
            considerForRejoin(beacon, header, address: address, lqi: reception.lqi)
            return
        }
        guard beacon.stackProfile == 2 else { return }
        let hasRoom =
            configuration.role == .endDevice ? beacon.endDeviceCapacity : beacon.routerCapacity
        guard beacon.associationPermitted, hasRoom else {
            joiner.obstacle = beacon.associationPermitted ? .panFull : .joiningClosed
            return
        }
        let candidate = Joiner.Candidate(
            pan: header.sourcePAN, extendedPAN: beacon.extendedPAN,
            channel: configuration.channels[joiner.channelIndex], address: address,
            depth: beacon.depth, lqi: reception.lqi)
        if let best = joiner.best, !isBetter(candidate, than: best) { return }
        joiner.best = candidate
    }

    /// A network that has not refused us before, then the stronger signal, then the lower depth.
    private func isBetter(_ a: Joiner.Candidate, than b: Joiner.Candidate) -> Bool {
        let refused = (
            joiner.refusedBy.firstIndex(of: a.extendedPAN) ?? -1,
            joiner.refusedBy.firstIndex(of: b.extendedPAN) ?? -1
        )
        if refused.0 != refused.1 { return refused.0 < refused.1 }
        if a.lqi != b.lqi { return a.lqi > b.lqi }
        return a.depth < b.depth
    }

    mutating func stepJoiner(at now: Instant, into out: inout Outbox) {
        guard joiner.deadline <= now else { return }
        switch joiner.phase {
        case .idle: joiner.deadline = .distantFuture
        case .scanning:
            joiner.channelIndex += 1
            if joiner.channelIndex < configuration.channels.count {
                scan(at: now, into: &out)
            } else if let best = joiner.best {
                associate(with: best, at: now, into: &out)
            } else {
                failJoining(joiner.obstacle, at: now, into: &out)
            }
        case .associating: failJoining(.noResponse, at: now, into: &out)
        case .awaitingKey:
            remember(refusal: network.extendedPAN)
            failJoining(.keyNotReceived, at: now, into: &out)
        case .resting: join(at: now, into: &out)
        }
    }

    private mutating func remember(refusal extendedPAN: EUI64) {
        joiner.refusedBy.removeAll { $0 == extendedPAN }
        joiner.refusedBy.push(extendedPAN, limit: Joiner.refusedLimit)
    }

    private mutating func failJoining(
        _ reason: RefusalReason, at now: Instant, into out: inout Outbox
    ) {
        joiner.phase = .resting
        // Spread out, so that devices of one home that start together do not stay together.
        let spread = Int64(dice.below(UInt64(configuration.joining.joinRetry.microseconds / 4 + 1)))
        let delay = configuration.joining.joinRetry + .microseconds(spread)
        joiner.deadline = now + delay
        for neighbour in neighbours.entries where neighbour.relation == .parent {
            neighbours.remove(neighbour.eui64)
        }
        rest()
        poll.phase = .resting
        poll.deadline = .distantFuture
        out.note(.joinFailed, UInt64(reason.rawValue), UInt64(delay.microseconds))
        indicate(.joinFailed(reason))
    }

    private mutating func associate(
        with best: Joiner.Candidate, at now: Instant, into out: inout Outbox
    ) {
        joiner.phase = .associating
        // Until the chip has reported: a request that never gets out must not be waited for.
        joiner.deadline = now + configuration.joining.requestWait
        network.pan = best.pan
        network.extendedPAN = best.extendedPAN
        network.channel = best.channel
        network.depth = best.depth &+ 1
        configureChip(channel: best.channel, receiverOn: true, into: &out)
        var header = MACHeader(
            kind: .command, sequence: mac.nextSequence(), destination: .short(best.address),
            source: .extended(configuration.eui64))
        header.destinationPAN = best.pan
        header.sourcePAN = .broadcast
        header.acknowledgementRequested = true
        sendCommand(
            .associationRequest(configuration.capability), header: header,
            purpose: .associationRequest, at: now, into: &out)
    }

    mutating func finishAssociationRequest(
        _ result: TransmitResult, at now: Instant, into out: inout Outbox
    ) {
        guard joiner.phase == .associating else { return }
        guard result.status == .success else {
            failJoining(.noResponse, at: now, into: &out)
            return
        }
        // The answer is fetched when macResponseWaitTime is over (7.5.3.1), and may take as long
        // again to come.
        joiner.deadline = now + configuration.joining.associationWait * 2
        poll.fastUntil = joiner.deadline
        poll.deadline = now + configuration.joining.associationWait
    }

    mutating func associationAnswered(
        _ address: ShortAddress, _ status: UInt8, _ parent: EUI64, at now: Instant,
        into out: inout Outbox
    ) {
        guard joiner.phase == .associating, let best = joiner.best else {
            out.drop(.macUnexpected)
            return
        }
        guard status == 0, !address.isBroadcast else {
            remember(refusal: network.extendedPAN)
            // PAN at capacity and PAN access denied (IEEE 802.15.4 7.3.2.3).
            let reason: RefusalReason =
                switch status {
                case 1: .panFull
                case 2: .notInDeviceLog
                default: .joiningClosed
                }
            failJoining(reason, at: now, into: &out)
            return
        }
        network.address = address
        joiner.phase = .awaitingKey
        joiner.deadline = now + configuration.joining.keyWait
        neighbours.put(
            Neighbour(
                eui64: parent, address: best.address, relation: .parent,
                capability: .init(isRouter: true, isMainsPowered: true, receiverOnWhenIdle: true),
                isAuthenticated: false))
        configureChip(
            channel: network.channel, receiverOn: configuration.receiverOnWhenIdle, into: &out)
        out.note(.associated, UInt64(address.rawValue), UInt64(best.address.rawValue))
        expectAnswers(until: joiner.deadline, at: now)
    }

    /// The network key is here: the device is part of the network.
    mutating func finishJoining(at now: Instant, into out: inout Outbox) {
        joiner.phase = .idle
        joiner.deadline = .distantFuture
        joiner.refusedBy.removeAll()
        network.isUp = true
        rest()
        requestSave()
        let parent = neighbours.parent?.address ?? .coordinator
        out.note(.joined, UInt64(network.address.rawValue), UInt64(parent.rawValue))
        announce(at: now, into: &out)
        keepAlive(at: now, into: &out)
        nextLinkStatus = now + configuration.network.linkStatusPeriod
        indicate(.joined(isNew: true))
    }

    /// Takes up a network again from a snapshot, without joining. It sends nothing yet: the
    /// application saves the snapshot at once, ahead of the first frame, or a power cut before
    /// that could have the same counters used again.
    public mutating func resume(at now: Instant, into out: inout Outbox) {
        guard network.isUp else { return }
        reserveCounters()
        for index in aps.linkKeys.indices { reserveLinkCounters(index) }
        configureForOperation(into: &out)
        neighbours.markHeard(at: now)
        out.note(
            .networkResumed, UInt64(network.pan.rawValue), UInt64(network.address.rawValue),
            UInt64(network.outgoingCounter))
        nextLinkStatus = now + configuration.network.linkStatusPeriod
        guard configuration.role != .coordinator else {
            // A change of the network key that the restart cut short goes on.
            if network.hasNextKey { updateNetworkKey(at: now, into: &out) }
            return
        }
        guard network.key != nil else {
            // It has its place in the network and its link key: the trust centre has the rest.
            rejoin(at: now, into: &out)
            return
        }
        if neighbours.parent == nil {
            rejoin(at: now, into: &out)
        } else {
            keepAlive(at: now, into: &out)
        }
        indicate(.joined(isNew: false))
    }
}
