import Radio
import Wire

/// End devices tell their parent how long they may be silent, and parents forget those that are
/// silent for longer (ZigBee 3.6.10).
extension ZigbeeStack {
    /// The timeout that an index of the End Device Timeout Request stands for: 10 seconds, or
    /// 2^n minutes (ZigBee 3.4.11.3.1).
    static func timeout(index: UInt8) -> Interval? {
        switch index {
        case 0: .seconds(10)
        case 1...14: .minutes(1 << Int64(index))
        default: nil
        }
    }

    /// The index of a timeout that `timeout(index:)` gives.
    static func index(ofTimeout wanted: Interval) -> UInt8? {
        (0...14).first { timeout(index: $0) == wanted }
    }

    /// Tells the parent the timeout, and, where polls do not show that the device is there, does
    /// so again three times in each timeout; while the network key is in doubt, as soon as an APS
    /// acknowledgement would be overdue (assumption; `stack.apsAckWait`).
    mutating func keepAlive(at now: Instant, into out: inout Outbox) {
        guard configuration.role == .endDevice, network.isUp, let parent = neighbours.parent,
            let timeout = Self.timeout(index: configuration.joining.endDeviceTimeout)
        else {
            nextKeepAlive = .distantFuture
            isCheckingParent = false
            return
        }
        guard keepAlivesMissed < configuration.joining.keepAliveLimit else {
            // The parent hears, as its acknowledgements show, but does not understand: the
            // network may have a new key.
            keepAlivesMissed = 0
            rejoin(at: now, into: &out)
            return
        }
        keepAlivesMissed += 1
        nextKeepAlive =
            isCheckingParent
            ? now + configuration.network.apsAckWait : regularKeepAlive(timeout, after: now)
        sendNWKCommand(
            .endDeviceTimeoutRequest(timeout: configuration.joining.endDeviceTimeout),
            to: parent.address, at: now, into: &out)
        expectAnswers(until: now + configuration.joining.keepAliveWait, at: now)
    }

    private func regularKeepAlive(_ timeout: Interval, after now: Instant) -> Instant {
        configuration.receiverOnWhenIdle
            ? now + Interval(microseconds: timeout.microseconds / 3) : .distantFuture
    }

    /// The parent's answer, which shows that it has the same network key.
    mutating func keepAliveAnswered(
        _ header: NWKHeader, at now: Instant, into out: inout Outbox
    ) {
        guard configuration.role == .endDevice, header.source == neighbours.parent?.address else {
            out.drop(.nwkUnexpected, from: header.source)
            return
        }
        keepAlivesMissed = 0
        guard isCheckingParent,
            let timeout = Self.timeout(index: configuration.joining.endDeviceTimeout)
        else { return }
        isCheckingParent = false
        nextKeepAlive = regularKeepAlive(timeout, after: now)
    }

    /// Nobody has acknowledged a message, although the parent's MAC has acknowledged its frames:
    /// the parent may have dropped them, because it has another network key. Polls would not tell.
    mutating func doubtParent(at now: Instant) {
        guard configuration.role == .endDevice, network.isUp, rejoiner.isIdle,
            rejoiner.failures == 0, neighbours.parent != nil
        else { return }
        checkParent(at: now)
    }

    /// Asks the parent, now and until it answers or the limit is reached, whether it still
    /// understands this device.
    mutating func checkParent(at now: Instant) {
        guard !isCheckingParent else { return }
        isCheckingParent = true
        nextKeepAlive = now
    }

    /// A child names its timeout.
    mutating func timeoutRequested(
        _ index: UInt8, header: NWKHeader, at now: Instant, into out: inout Outbox
    ) {
        guard let child = neighbours.index(of: header.source),
            neighbours.entries[child].relation == .child
        else {
            out.drop(.nwkUnexpected, from: header.source)
            return
        }
        let timeout = Self.timeout(index: index)
        if let timeout, neighbours.entries[child].timeout != timeout {
            neighbours.update(child) { $0.timeout = timeout }
            requestSave()
        }
        // Status 1: incorrect value. Parent information: polls and timeout requests both count
        // as signs of life.
        sendNWKCommand(
            .endDeviceTimeoutResponse(status: timeout == nil ? 1 : 0, parentInformation: 3),
            to: header.source, at: now, into: &out)
    }

    /// For children that have not said how long they may be silent.
    var defaultChildTimeout: Interval {
        @inline(__always)
        get { Self.timeout(index: configuration.network.childTimeout) ?? .minutes(256) }
    }

    mutating func ageChildren(at now: Instant, into out: inout Outbox) {
        let timeout = defaultChildTimeout
        while let aged = neighbours.entries.first(where: {
            $0.relation == .child && !$0.capability.isRouter
                && $0.lastHeard + ($0.timeout ?? timeout) <= now
        }) {
            out.note(.childAged, aged.eui64.rawValue, UInt64(aged.address.rawValue))
            forget(aged, into: &out)
            if configuration.role == .coordinator {
                // So that it is still known after a restart whose address that is.
                addresses.put(aged.address, aged.eui64)
            }
            // If it only slept, it does not know that it is forgotten.
            guard aged.isAuthenticated else {
                noteKeyless(aged.address, into: &out)
                continue
            }
            noteStray(
                .init(
                    address: aged.address, eui64: aged.eui64, isSleepy: aged.isSleepyChild),
                into: &out)
        }
    }

    /// Whether an end device that is no child of this node any more has sent this through it.
    /// Nothing of it is sent on before it has rejoined (ZigBee 3.6.10).
    @inline(__always)
    func isOfFormerChild(_ header: NWKHeader, from sender: ShortAddress) -> Bool {
        header.endDeviceInitiator && header.source == sender
            && neighbours[sender]?.relation == .other
    }

    /// Drops a neighbour and whatever waits for it.
    mutating func forget(_ neighbour: Neighbour, into out: inout Outbox) {
        neighbours.remove(neighbour.eui64)
        mac.forget(.short(neighbour.address))
        promise(.short(neighbour.address), into: &out)
        requestSave()
    }

    // MARK: - Leaving

    /// A NWK Leave (ZigBee 3.4.4): a request to go, or word that a neighbour has gone. A device
    /// goes where its parent asks it to, a router also where the trust centre does (3.6.1.10.3);
    /// an end device of another parent is none of the coordinator's. `speaker` has sealed it.
    mutating func leaveReceived(
        rejoin: Bool, request: Bool, header: NWKHeader, speaker: EUI64?, at now: Instant,
        into out: inout Outbox
    ) {
        if request {
            let isOfParent =
                header.source == neighbours.parent?.address && speaker == neighbours.parent?.eui64
            let isOfTrustCentre =
                configuration.role == .router && header.source == .coordinator
                && speaker == network.trustCentre
            guard configuration.role != .coordinator, isOfParent || isOfTrustCentre else {
                out.drop(.nwkUnexpected, from: header.source)
                return
            }
            if rejoin {
                guard rejoiner.isIdle else {
                    // It is at it already, or was refused and is to wait.
                    out.drop(.nwkUnexpected, from: header.source)
                    return
                }
                self.rejoin(at: now, into: &out)
            } else {
                leave(at: now, into: &out)
            }
        } else if let gone = neighbours[header.source], gone.eui64 == speaker {
            neighbourLeft(gone, at: now, into: &out)
        }
    }

    /// Says that it leaves the network; the application forgets it when the word is out.
    mutating func leave(at now: Instant, into out: inout Outbox) {
        guard configuration.role != .coordinator, network.isUp else { return }
        sendNWKCommand(
            .leave(rejoin: false, request: false, removeChildren: false), to: .receiversOn,
            radius: 1, at: now, into: &out)
        out.note(
            .left, configuration.eui64.rawValue, UInt64(network.address.rawValue))
        indicate(.left)
    }
}

extension NeighbourTable {
    /// When the first child will have been silent for too long.
    func nextAgeing(default timeout: Interval) -> Instant {
        var first = Instant.distantFuture
        // By index, which reads three fields of an entry where a copy would read them all.
        for index in entries.indices
        where entries[index].relation == .child && !entries[index].capability.isRouter {
            first = min(first, entries[index].lastHeard + (entries[index].timeout ?? timeout))
        }
        return first
    }
}
