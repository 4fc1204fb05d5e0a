import Radio
import Wire

/// How a device that has lost its parent gets back into its network (ZigBee 3.6.1.4.2): first
/// with the network key it has, then, if nobody answers, through the trust centre.
struct Rejoiner: Sendable {
    enum Phase: Sendable {
        case idle
        case scanning
        /// A rejoin request is out, secured or not.
        case asking(secured: Bool)
        /// The parent has let it in unsecured; the trust centre's key is still to come.
        case awaitingKey
        /// Nobody was heard or nobody answered; the next try begins at the deadline.
        case resting
    }

    var phase = Phase.idle
    var deadline = Instant.distantFuture
    var channelIndex = 0
    var best: Joiner.Candidate?
    /// Transmissions to the parent that have failed in a row.
    var failures = 0
    /// It rests because it was refused: that the parent hears it says nothing new.
    var isRefused = false

    /// The radio is elsewhere: nothing but beacon requests may leave.
    var isAway: Bool { if case .scanning = phase { true } else { false } }

    var isAwaitingKey: Bool { if case .awaitingKey = phase { true } else { false } }

    /// It is looking, or waits for an answer.
    var isUnderWay: Bool {
        switch phase {
        case .scanning, .asking, .awaitingKey: true
        case .idle, .resting: false
        }
    }

    var isIdle: Bool { if case .idle = phase { true } else { false } }

    func isAsking(secured wanted: Bool) -> Bool {
        if case .asking(let secured) = phase { secured == wanted } else { false }
    }

    /// Whom to poll while the answer is outstanding.
    var pollTarget: MACAddress? {
        switch phase {
        case .asking, .awaitingKey: best.map { .short($0.address) }
        case .idle, .scanning, .resting: nil
        }
    }
}

extension ZigbeeStack {
    // MARK: - The device's side

    /// Counts what becomes of transmissions to the parent; too many failures in a row and the
    /// device looks for its network anew.
    mutating func noteParent(_ result: TransmitResult, at now: Instant, into out: inout Outbox) {
        guard configuration.role != .coordinator, network.isUp else { return }
        if result.status == .success {
            rejoiner.failures = 0
            if case .resting = rejoiner.phase, !rejoiner.isRefused {
                rejoiner.phase = .idle
                rejoiner.deadline = .distantFuture
                // The parent is there after all: it hears regularly of this device again.
                checkParent(at: now)
            }
            return
        }
        rejoiner.failures += 1
        if case .idle = rejoiner.phase, rejoiner.failures >= configuration.joining.parentFailures {
            rejoin(at: now, into: &out)
        }
    }

    /// Begins to look for the network this device belongs to.
    mutating func rejoin(at now: Instant, into out: inout Outbox) {
        guard network.isUp, configuration.role != .coordinator else { return }
        nextKeepAlive = .distantFuture
        keepAlivesMissed = 0
        isCheckingParent = false
        rejoiner.phase = .scanning
        rejoiner.isRefused = false
        rejoiner.channelIndex = 0
        rejoiner.best = nil
        scanForNetwork(at: now, into: &out)
    }

    private mutating func scanForNetwork(at now: Instant, into out: inout Outbox) {
        configureChip(
            channel: configuration.channels[rejoiner.channelIndex], receiverOn: true, into: &out)
        rejoiner.deadline = now + configuration.network.scanDuration
        sendBeaconRequest(at: now, into: &out)
    }

    /// A beacon while looking: any router of the same network will do, joining permitted or not.
    mutating func considerForRejoin(
        _ beacon: Beacon, _ header: MACHeader, address: ShortAddress, lqi: UInt8
    ) {
        guard beacon.extendedPAN == network.extendedPAN, beacon.stackProfile == 2 else { return }
        if let best = rejoiner.best, best.lqi >= lqi { return }
        rejoiner.best = Joiner.Candidate(
            pan: header.sourcePAN, extendedPAN: beacon.extendedPAN,
            channel: configuration.channels[rejoiner.channelIndex], address: address,
            depth: beacon.depth, lqi: lqi)
    }

    mutating func stepRejoiner(at now: Instant, into out: inout Outbox) {
        guard rejoiner.deadline <= now else { return }
        switch rejoiner.phase {
        case .idle: rejoiner.deadline = .distantFuture
        case .scanning:
            rejoiner.channelIndex += 1
            if rejoiner.channelIndex < configuration.channels.count {
                scanForNetwork(at: now, into: &out)
            } else if let best = rejoiner.best {
                network.channel = best.channel
                network.pan = best.pan
                // Without the network key there is only the trust centre to turn to.
                askToRejoin(best, secured: network.key != nil, at: now, into: &out)
            } else {
                restBeforeRejoin(.noBeacon, at: now, into: &out)
            }
        case .asking(secured: true):
            guard let best = rejoiner.best else { return }
            askToRejoin(best, secured: false, at: now, into: &out)
        case .asking(secured: false): restBeforeRejoin(.noResponse, at: now, into: &out)
        case .awaitingKey: restBeforeRejoin(.keyNotReceived, at: now, into: &out)
        case .resting: rejoin(at: now, into: &out)
        }
    }

    private mutating func restBeforeRejoin(
        _ reason: RefusalReason, at now: Instant, into out: inout Outbox
    ) {
        configureForOperation(into: &out)
        rejoiner.phase = .resting
        rejoiner.deadline = now + configuration.joining.rejoinRetry
        out.note(
            .joinFailed, UInt64(reason.rawValue),
            UInt64(configuration.joining.rejoinRetry.microseconds))
    }

    /// The chip as this node runs in its network.
    mutating func configureForOperation(into out: inout Outbox) {
        configureChip(
            channel: network.channel,
            receiverOn: configuration.role != .endDevice || configuration.receiverOnWhenIdle,
            into: &out)
    }

    private mutating func askToRejoin(
        _ best: Joiner.Candidate, secured: Bool, at now: Instant, into out: inout Outbox
    ) {
        rejoiner.phase = .asking(secured: secured)
        rejoiner.deadline = now + configuration.joining.associationWait
        configureForOperation(into: &out)
        var header = nwkHeader(.command, to: best.address, secured: secured, radius: 1)
        header.sourceEUI64 = configuration.eui64
        var body = FrameBuffer()
        header.encode(into: &body)
        let length = body.count
        NWKCommand.rejoinRequest(configuration.capability).encode(into: &body)
        enqueue(
            OutgoingFrame(
                content: .nwk(secured: secured), body: body, auxiliaryOffset: length,
                destination: .short(best.address)), into: &out)
        expectAnswers(until: rejoiner.deadline, at: now)
    }

    /// The answer of the parent asked.
    mutating func rejoinAnswered(
        _ address: ShortAddress, status: UInt8, header: NWKHeader, at now: Instant,
        into out: inout Outbox
    ) {
        guard case .asking(let secured) = rejoiner.phase, secured == header.isSecured,
            header.source == rejoiner.best?.address, let parent = header.sourceEUI64,
            header.destinationEUI64 == configuration.eui64
        else {
            out.drop(.nwkUnexpected, from: header.source)
            return
        }
        guard status == 0, !address.isBroadcast else {
            // 1: PAN at capacity, 2: access denied (IEEE 802.15.4 7.3.2.3).
            restBeforeRejoin(status == 1 ? .panFull : .notInDeviceLog, at: now, into: &out)
            rejoiner.isRefused = true
            return
        }
        for neighbour in neighbours.entries where neighbour.relation == .parent {
            neighbours.remove(neighbour.eui64)
        }
        let entry = Neighbour(
            eui64: parent, address: header.source, relation: .parent,
            capability: .init(isRouter: true, isMainsPowered: true, receiverOnWhenIdle: true),
            isAuthenticated: true)
        neighbours.put(entry)
        if parent != network.trustCentre { addresses.put(.coordinator, network.trustCentre) }
        network.address = address
        network.depth = (rejoiner.best?.depth ?? 0) &+ 1
        configureForOperation(into: &out)
        if secured {
            finishRejoin(at: now, into: &out)
        } else {
            rejoiner.phase = .awaitingKey
            rejoiner.deadline = now + configuration.joining.keyWait
            expectAnswers(until: rejoiner.deadline, at: now)
        }
    }

    mutating func finishRejoin(at now: Instant, into out: inout Outbox) {
        rejoiner = Rejoiner()
        requestSave()
        out.note(
            .rejoined, UInt64(network.address.rawValue),
            UInt64(neighbours.parent?.address.rawValue ?? 0))
        announce(at: now, into: &out)
        keepAlive(at: now, into: &out)
        indicate(.joined(isNew: false))
    }

    // MARK: - The parent's side

    /// A device of the network asks to be let in here (ZigBee 3.6.1.4.2.3).
    mutating func rejoinRequested(
        _ capability: CapabilityInformation, header: NWKHeader, at now: Instant,
        into out: inout Outbox
    ) {
        guard configuration.role != .endDevice, network.isUp, let eui64 = header.sourceEUI64
        else {
            out.drop(.nwkUnexpected, from: header.source)
            return
        }
        mac.dropLeaves(for: header.source)
        promise(.short(header.source), into: &out)
        let known = neighbours[eui64]
        let holder = neighbours[header.source]?.eui64 ?? addresses[header.source]
        var child = Neighbour(
            eui64: eui64,
            address: header.source.isBroadcast || (holder != nil && holder != eui64)
                ? freeAddress() : header.source, relation: .child, capability: capability,
            isAuthenticated: header.isSecured)
        guard configuration.role == .router || aps.linkKey(with: eui64) != nil else {
            out.note(
                .associationRefused, eui64.rawValue, UInt64(RefusalReason.notInDeviceLog.rawValue))
            child.address = .everyone
            answerRejoin(child, status: 2, header, at: now, into: &out)
            return
        }
        guard known != nil || neighbours.hasRoom else {
            out.drop(.queueFull, from: header.source)
            return
        }
        guard header.isSecured else {
            readmit(child, known: known, header, at: now, into: &out)
            return
        }
        child.lastHeard = now
        if let known { child.timeout = known.timeout }
        neighbours.put(child)
        endStraying(of: eui64, at: child.address, into: &out)
        promise(.short(child.address), into: &out)
        if let known { moved(from: known.address, to: child.address, into: &out) }
        returning.remove(eui64)
        routes.forget(child.address)
        answerRejoin(child, status: 0, header, at: now, into: &out)
        reappeared(at: child.address, now: now, into: &out)
        requestSave()
        if configuration.role == .coordinator {
            addresses.put(child.address, eui64)
            trustCentre.setParent(of: eui64, nil)
        } else {
            sendLinkSecured(
                .updateDevice(eui64, child.address, status: 0), to: .coordinator, at: now,
                into: &out)
        }
    }

    /// Somebody in `claimed`'s name asks without the network key: the trust centre sends it, under
    /// the device's link key. What is known of the device stays as it is.
    private mutating func readmit(
        _ claimed: Neighbour, known: Neighbour?, _ header: NWKHeader, at now: Instant,
        into out: inout Outbox
    ) {
        var child = claimed
        var isInPlace = false
        if let known, known.isAuthenticated {
            guard known.relation != .parent else {
                // Whose child this node is cannot become its child.
                out.drop(.nwkUnsecured, from: header.source)
                return
            }
            if known.relation == .child {
                (child.address, child.capability) = (known.address, known.capability)
            }
            isInPlace =
                child.address == known.address
                && (known.relation == .child || known.capability.isRouter)
        }
        if isInPlace {
            returning.remove(child.eui64)
        } else {
            returning.put(
                .init(eui64: child.eui64, address: child.address, capability: child.capability))
        }
        answerRejoin(child, status: 0, header, at: now, into: &out)
        if configuration.role == .coordinator {
            authorise(child.eui64, child.address, isNew: false, at: now, into: &out)
        } else {
            sendLinkSecured(
                .updateDevice(child.eui64, child.address, status: 3), to: .coordinator, at: now,
                into: &out)
        }
    }

    private mutating func answerRejoin(
        _ child: Neighbour, status: UInt8, _ request: NWKHeader, at now: Instant,
        into out: inout Outbox
    ) {
        var header = nwkHeader(
            .command, to: request.source, secured: request.isSecured, radius: 1)
        header.destinationEUI64 = child.eui64
        header.sourceEUI64 = configuration.eui64
        var body = FrameBuffer()
        header.encode(into: &body)
        let length = body.count
        NWKCommand.rejoinResponse(child.address, status: status).encode(into: &body)
        let frame = OutgoingFrame(
            content: .nwk(secured: request.isSecured), body: body, auxiliaryOffset: length,
            destination: .short(request.source))
        if child.isSleepyChild {
            hold(frame, for: .short(request.source), at: now, into: &out)
        } else {
            enqueue(frame, into: &out)
        }
    }
}
