import Radio
import Wire

extension ZigbeeStack {
    mutating func receiveMAC(_ reception: Reception, at now: Instant, into out: inout Outbox) {
        let header: MACHeader
        let start: Int
        do {
            var reader = ByteReader(reception.frame.span)
            header = try MACHeader(parsing: &reader)
            start = reader.offset
        } catch {
            out.drop(.macMalformed)
            return
        }
        let isRepeatable = header.kind == .data || header.kind == .command
        guard !isRepeatable || header.source == .none || !mac.hasTaken(header, at: now) else {
            out.drop(.macDuplicate)
            return
        }
        switch header.kind {
        case .data:
            framePromised(header, at: now, into: &out)
            receiveNWK(reception, header, from: start, at: now, into: &out)
        case .beacon: receiveBeacon(reception, header, from: start, into: &out)
        case .command:
            if header.source != .none {
                mac.remember(header, until: now + configuration.network.macDuplicateMemory)
            }
            receiveCommand(reception, header, from: start, at: now, into: &out)
        case .acknowledgement: out.drop(.macUnexpected)
        }
    }

    private mutating func receiveCommand(
        _ reception: Reception, _ header: MACHeader, from start: Int, at now: Instant,
        into out: inout Outbox
    ) {
        let command: MACCommand
        do {
            var reader = ByteReader(reception.frame.span.extracting(start...))
            command = try MACCommand(parsing: &reader)
        } catch {
            out.drop(.macMalformed)
            return
        }
        switch (command, header.source) {
        case (.beaconRequest, _):
            guard configuration.role != .endDevice, network.isUp else {
                out.drop(.macUnexpected)
                return
            }
            sendBeacon(at: now, into: &out)
        case (.associationRequest(let capability), .extended(let eui64)):
            associationRequested(eui64, capability, at: now, into: &out)
        case (.associationResponse(let address, let status), .extended(let parent)):
            framePromised(header, at: now, into: &out)
            associationAnswered(address, status, parent, at: now, into: &out)
        case (.dataRequest, .short(let address)):
            releaseHeld(for: .short(address), at: now, into: &out)
        case (.dataRequest, .extended(let eui64)):
            releaseHeld(for: .extended(eui64), at: now, into: &out)
        default: out.drop(.macUnexpected)
        }
    }

    /// A child polls: its oldest frame goes out ahead of everything else. Who is no child is told
    /// so.
    ///
    /// If the chip is busy, or counters are still to be saved, it goes out as soon as that is
    /// over, for as long as the child listens.
    mutating func releaseHeld(
        for holder: PendingAddress, at now: Instant, into out: inout Outbox
    ) {
        var isAwaited = false
        if case .short(let address) = holder, let index = neighbours.index(of: address) {
            neighbours.update(index) { $0.lastHeard = now }
            if !awaited.isEmpty {
                isAwaited = notePoll(of: neighbours.entries[index], into: &out)
            }
        }
        if case .short(let address) = holder, !mac.holdsAny(for: holder) {
            strayPolled(address, at: now, into: &out)
        }
        guard mac.isChipFree, !hasUnsaved else {
            if mac.holdsAny(for: holder) {
                mac.rememberPoll(of: holder, until: now + configuration.joining.pollWait)
            }
            return
        }
        let hasMore = isAwaited || mac.holdsMoreThanOne(for: holder)
        let counter = network.outgoingCounter
        guard let handle = mac.release(for: holder, nextCounter: counter) else { return }
        // Asked for again, it is the same frame with the same sequence number. But once others have
        // been sealed since, which the child may have heard, it is sealed anew: its counter would
        // lie behind theirs.
        guard var body = sealedCurrent(into: &out) else {
            promise(holder, into: &out)
            return
        }
        mac.keepSent(body, nextCounter: network.outgoingCounter, for: holder)
        if hasMore { body[0] |= 0x10 }
        out.transmit(body, handle: handle, isIndirect: true)
    }

    /// Waits for a sleeping device to be awake, or does so no more. A child is promised a frame at
    /// its next poll; any other has to be heard of. Then `awake` is indicated, once, so that the
    /// application can send it one as it listens.
    public mutating func awaitWake(of device: EUI64, _ isAwaited: Bool, into out: inout Outbox) {
        guard isAwaited || !awaited.isEmpty else { return }
        awaited.removeAll { $0 == device }
        if isAwaited, isSleepy(device) {
            _ = awaited.append(device, ifBelow: NeighbourTable.limit)
        }
        guard let child = neighbours[device], child.isSleepyChild else { return }
        promise(.short(child.address), into: &out)
    }

    /// Hands a child that has just polled what is held for it now.
    public mutating func answerPoll(of device: EUI64, at now: Instant, into out: inout Outbox) {
        guard let child = neighbours[device], child.isSleepyChild else { return }
        releaseHeld(for: .short(child.address), at: now, into: &out)
    }

    /// Whether the application waits for this child's poll; then it is told.
    private mutating func notePoll(of child: Neighbour, into out: inout Outbox) -> Bool {
        guard child.relation == .child, awaited.contains(child.eui64) else { return false }
        awaitWake(of: child.eui64, false, into: &out)
        indicate(.awake(child.eui64))
        return true
    }

    /// A frame of a device behind a router has come. If it sleeps, it is awake now, and its router
    /// holds for it what it is sent for long enough. One that has to rejoin cannot be reached.
    mutating func noteWord(of address: ShortAddress, into out: inout Outbox) {
        guard let device = eui64(of: address), awaited.contains(device), !isStray(device),
            neighbours[device]?.relation != .child
        else { return }
        awaitWake(of: device, false, into: &out)
        indicate(.awake(device))
    }

    private mutating func sendBeacon(at now: Instant, into out: inout Outbox) {
        var body = FrameBuffer()
        var header = MACHeader(
            kind: .beacon, sequence: mac.nextSequence(), destination: .none,
            source: .short(network.address))
        header.sourcePAN = network.pan
        header.encode(into: &body)
        let hasRoom = neighbours.hasRoom
        Beacon(
            associationPermitted: trustCentre.permitsJoining(at: now),
            isCoordinator: configuration.role == .coordinator,
            routerCapacity: hasRoom, depth: network.depth, endDeviceCapacity: hasRoom,
            extendedPAN: network.extendedPAN
        ).encode(into: &body)
        enqueue(OutgoingFrame(content: .mac, body: body, destination: .none), into: &out)
    }

    /// Sends a MAC command; to the whole world where `destination` is `.none` or broadcast.
    mutating func sendCommand(
        _ command: MACCommand, header: MACHeader, purpose: OutgoingFrame.Purpose,
        holder: PendingAddress? = nil, at now: Instant, into out: inout Outbox
    ) {
        var body = FrameBuffer()
        header.encode(into: &body)
        command.encode(into: &body)
        let frame = OutgoingFrame(
            content: .mac, body: body, destination: header.destination, purpose: purpose)
        guard let holder else {
            enqueue(frame, into: &out)
            return
        }
        hold(frame, for: holder, at: now, into: &out)
    }

    /// Has the chip promise a frame to `holder` at its polls if it has one to expect, and nothing
    /// else. Whatever may have changed that ends with this: frames held, a Leave that is due, a
    /// child whose poll is waited for, or who has which address.
    mutating func promise(_ holder: PendingAddress, into out: inout Outbox) {
        out.append(.pending(holder, isOwedFrame(holder)))
    }

    private func isOwedFrame(_ holder: PendingAddress) -> Bool {
        if mac.holdsAny(for: holder) { return true }
        guard case .short(let address) = holder else { return false }
        if let stray = strays[address] { return stray.hasKey }
        guard !awaited.isEmpty, let child = neighbours[address] else { return false }
        return child.isSleepyChild && awaited.contains(child.eui64)
    }

    mutating func hold(
        _ frame: OutgoingFrame, for holder: PendingAddress, at now: Instant, into out: inout Outbox
    ) {
        if frame.isTooLong {
            out.drop(.tooLong)
        } else if mac.hold(
            frame, for: holder, until: now + configuration.network.indirectPersistence)
        {
            promise(holder, into: &out)
        } else {
            out.drop(.queueFull)
        }
    }
}

/// A sleepy device's polling of its parent (IEEE 802.15.4 7.5.6.3), and every device's while it
/// associates.
struct PollState: Sendable {
    enum Phase: Sendable {
        case resting
        /// A data request waits for the chip or is on its way.
        case asking
        /// The parent has something; the receiver is on.
        case awaitingFrame
    }

    var phase = Phase.resting
    /// Fast polling goes on until here.
    var fastUntil = Instant.zero
    var deadline = Instant.distantFuture
}

extension ZigbeeStack {
    private var polls: Bool {
        !configuration.receiverOnWhenIdle && configuration.role == .endDevice
    }

    /// A sleepy device polls for answers until `until`.
    public mutating func expectAnswers(until: Instant, at now: Instant) {
        guard polls || joiner.needsPolling else { return }
        poll.fastUntil = max(poll.fastUntil, until)
        guard poll.phase == .resting else { return }
        poll.deadline = min(poll.deadline, now + configuration.joining.firstPoll)
    }

    /// Nothing more is expected: a sleepy device rests until somebody asks it to poll again.
    public mutating func rest() {
        poll.fastUntil = .zero
        if poll.phase == .resting { poll.deadline = .distantFuture }
    }

    /// A sleepy device asks its parent once whether there is anything.
    public mutating func pollOnce(at now: Instant) {
        guard polls, poll.phase == .resting else { return }
        poll.deadline = now
    }

    mutating func stepPoll(at now: Instant, into out: inout Outbox) {
        guard poll.deadline <= now else { return }
        switch poll.phase {
        case .resting: sendPoll(at: now, into: &out)
        case .asking: poll.deadline = .distantFuture
        case .awaitingFrame:
            // The promised frame did not come.
            if polls { out.append(.receiver(on: false)) }
            pollAgainLater(at: now)
        }
    }

    private mutating func sendPoll(at now: Instant, into out: inout Outbox) {
        guard
            let parent = joiner.pollTarget ?? rejoiner.pollTarget
                ?? neighbours.parent.map({ .short($0.address) })
        else {
            poll.deadline = .distantFuture
            return
        }
        poll.phase = .asking
        poll.deadline = .distantFuture
        let source: MACAddress =
            network.address == .unassigned
            ? .extended(configuration.eui64) : .short(network.address)
        let header = MACHeader.within(
            network.pan, kind: .command, sequence: mac.nextSequence(), to: parent, from: source)
        sendCommand(.dataRequest, header: header, purpose: .poll, at: now, into: &out)
    }

    mutating func finishPoll(_ result: TransmitResult, at now: Instant, into out: inout Outbox) {
        guard poll.phase == .asking else { return }
        if result.status == .success, result.framePending {
            poll.phase = .awaitingFrame
            poll.deadline = now + configuration.joining.pollWait
            if polls { out.append(.receiver(on: true)) }
        } else {
            pollAgainLater(at: now)
        }
    }

    /// A frame came from the parent; with its pending bit set another waits.
    mutating func framePromised(_ header: MACHeader, at now: Instant, into out: inout Outbox) {
        guard poll.phase == .awaitingFrame, header.destination != .short(.everyone) else { return }
        if polls { out.append(.receiver(on: false)) }
        pollAgainLater(at: now)
        if header.framePending { poll.deadline = now }
    }

    private mutating func pollAgainLater(at now: Instant) {
        poll.phase = .resting
        let next = now + configuration.joining.fastPoll
        poll.deadline = next <= poll.fastUntil ? next : .distantFuture
    }
}
