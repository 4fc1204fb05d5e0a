import Radio
import Wire

/// A device that is to go is asked to leave by its parent, which the trust centre tells to
/// (ZigBee 4.6.3.6).
extension ZigbeeStack {
    /// The trust centre forgets a device's link key and has it leave the network: at once if it is
    /// a child of this node, through its parent if that is known, else by asking it itself.
    public mutating func removeDevice(
        _ device: EUI64, at now: Instant, into out: inout Outbox
    ) {
        guard configuration.role == .coordinator, device != configuration.eui64 else { return }
        retireLinkKey(of: device)
        requestSave()
        discardAssociation(of: device, into: &out)
        guard let address = address(of: device) else { return }
        // So that it is still known after a restart, and when it is no child any more, whose
        // address that is.
        addresses.put(address, device)
        aps.forget(address)
        sendAway(device, isHere: neighbours[device]?.relation == .child, at: now, into: &out)
        pump(at: now, into: &out)
    }

    /// Tells a device that is not in the device log to leave: itself if it is here, within reach of
    /// this node, else through its parent if that is known. One that was told lately is not told
    /// again, whatever it sends.
    mutating func sendAway(
        _ device: EUI64, isHere: Bool, at now: Instant, into out: inout Outbox
    ) {
        guard network.isUp, let address = address(of: device) else { return }
        let retry = configuration.admission?.leaveRetry ?? .zero
        guard trustCentre.mayTell(device, at: now, again: now + retry) else { return }
        out.note(.deviceRemoved, device.rawValue, UInt64(address.rawValue))
        if neighbours[device]?.relation == .child {
            askToLeave(device, at: now, into: &out)
        } else if isHere {
            // It takes this node for its parent. Whether it sleeps is not known any more.
            enqueue(leaveRequest(for: address, rejoin: false), into: &out)
            let frame = leaveRequest(
                for: address, rejoin: false, purpose: .sendingAway(address))
            hold(frame, for: .short(address), at: now, into: &out)
        } else if let router = trustCentre.parent(of: device), aps.linkKey(with: router) != nil,
            let parent = self.address(of: router)
        {
            sendLinkSecured(.removeDevice(device), to: parent, at: now, into: &out)
        } else {
            requestLeave(of: device, rejoin: false, at: now, into: &out)
        }
    }

    /// A child is told to leave; one that sleeps is told whenever it wakes. One that never had the
    /// network key is only forgotten.
    mutating func askToLeave(_ device: EUI64, at now: Instant, into out: inout Outbox) {
        guard let child = neighbours[device], child.relation == .child else { return }
        guard child.isAuthenticated else {
            discardAssociation(of: device, into: &out)
            forget(child, into: &out)
            noteKeyless(child.address, into: &out)
            return
        }
        guard !mac.holdsRemoval(of: device) else { return }
        let frame = leaveRequest(
            for: child.address, rejoin: false, purpose: .removal(device))
        if child.isSleepyChild {
            hold(frame, for: .short(child.address), at: now, into: &out)
        } else {
            enqueue(frame, into: &out)
        }
    }

    /// The trust centre wants a device gone: a child of this router, or this router itself.
    mutating func removalOrdered(_ device: EUI64, at now: Instant, into out: inout Outbox) {
        if device == configuration.eui64 {
            leave(at: now, into: &out)
        } else if neighbours[device]?.relation == .child {
            askToLeave(device, at: now, into: &out)
        } else {
            out.drop(.apsUnexpected, from: .coordinator)
        }
    }

    /// A neighbour says that it leaves.
    mutating func neighbourLeft(_ gone: Neighbour, at now: Instant, into out: inout Outbox) {
        out.note(.left, gone.eui64.rawValue, UInt64(gone.address.rawValue))
        forget(gone, into: &out)
        routes.forget(gone.address)
        addresses.remove(gone.eui64)
        returning.remove(gone.eui64)
        endStraying(of: gone.eui64, at: gone.address, into: &out)
        guard gone.relation == .child, configuration.role == .router else { return }
        sendLinkSecured(
            .updateDevice(gone.eui64, gone.address, status: 2), to: .coordinator, at: now,
            into: &out)
    }
}

// MARK: - Who is not in the device log

extension ZigbeeStack {
    /// Whether this node is a trust centre that has nothing to do with a device, because it shares
    /// no link key with it.
    ///
    /// Inlined, or the whole stack would be copied for the call.
    @inline(__always)
    func isStranger(_ device: EUI64) -> Bool {
        configuration.admission != nil && device != configuration.eui64
            && aps.linkKey(with: device) == nil
    }

    /// Drops a frame that a stranger has made, and tells it to leave. What a router without a link
    /// key relays for others is theirs, and the NWK commands that keep their routes are taken; so
    /// is what a device that leaves has to say.
    ///
    /// - Parameter speaker: whoever has sealed the frame, the last hop.
    mutating func turnsAway(
        _ frame: FrameBuffer, _ header: NWKHeader, from payload: Int, sender: ShortAddress,
        speaker: EUI64, at now: Instant, into out: inout Outbox
    ) -> Bool {
        let isHere = header.source == sender
        guard let origin = isHere ? speaker : eui64(of: header.source), isStranger(origin),
            !concernsOthers(frame, header, from: payload)
        else { return false }
        if header.destination.isBroadcast {
            guard
                broadcasts.admit(
                    header.source, header.sequence, at: now,
                    until: now + configuration.network.broadcastDelivery)
            else {
                out.drop(.nwkDuplicateBroadcast, from: header.source)
                return true
            }
        }
        out.drop(.notInDeviceLog, from: header.source)
        sendAway(origin, isHere: isHere, at: now, into: &out)
        return true
    }

    private func concernsOthers(
        _ frame: FrameBuffer, _ header: NWKHeader, from payload: Int
    ) -> Bool {
        guard header.kind == .data else {
            return payload >= frame.count
                || frame[payload] != NWKCommand.endDeviceTimeoutRequestIdentifier
        }
        guard header.destination == network.address else { return false }
        var reader = ByteReader(frame.span.extracting(payload...))
        guard let aps = try? APSHeader(parsing: &reader) else { return true }
        return aps.kind == .acknowledgement
            || (aps.kind == .data && aps.destinationEndpoint == 0
                && aps.cluster == ZDOCluster.managementLeaveRequest | ZDOCluster.response)
    }

    /// Those that this node shares a link key with.
    public var partners: [EUI64] { aps.linkKeys.map(\.partner) }

    /// Shares no link key with a device any more, but keeps its counters for the day that it comes
    /// back.
    public mutating func retireLinkKey(of device: EUI64) {
        guard let index = aps.linkKey(with: device) else { return }
        retire(aps.linkKeys.remove(at: index))
        requestSave()
    }

    /// The trust centre lets a device in, or back in. If it has not left yet it may stay, unless
    /// its router has been told already.
    /// `replacingEstablished` as of `setLinkKey`.
    public mutating func admitDevice(
        _ device: EUI64, key: Key128, replacingEstablished: Bool = false, into out: inout Outbox
    ) {
        setLinkKey(key, partner: device, replacingEstablished: replacingEstablished)
        trustCentre.forgetTold(device)
        mac.forgetRemoval(of: device)
        for address in [address(of: device), strays[device]?.address] {
            guard let address else { continue }
            mac.dropLeaves(for: address)
            promise(.short(address), into: &out)
        }
    }

    /// Lets no device associate any more.
    public mutating func closeJoining(at now: Instant, into out: inout Outbox) {
        permitJoining(.zero, at: now, into: &out)
        pump(at: now, into: &out)
    }

    /// Lets devices associate for at least this long from now on.
    public mutating func extendJoining(
        _ duration: Interval, at now: Instant, into out: inout Outbox
    ) {
        guard now + duration > trustCentre.permitUntil else { return }
        permitJoining(duration, at: now, into: &out)
        pump(at: now, into: &out)
    }
}
