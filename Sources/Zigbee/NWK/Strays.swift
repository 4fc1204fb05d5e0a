import Radio
import Wire

/// Devices that take this node for their parent and are not its children: those that were silent
/// for too long, and others that have polled. The chip promises each of them a frame when it
/// polls, so that its receiver is on for the Leave that it gets.
///
/// Bounded. Anybody can poll under any address, so whoever has done no more than that goes first.
struct StrayTable: Sendable {
    struct Entry: Sendable {
        var address: ShortAddress
        /// Who it is, if it was a child once.
        var eui64: EUI64?
        /// It fetches what is for it, as far as is known.
        var isSleepy = false
        /// It was let associate and never got the network key: it could read no Leave, so it gets
        /// none.
        var hasKey = true
    }

    /// With the frames held for children, as many as a chip's frame-pending table has room for.
    static let limit = 32

    private(set) var entries: ContiguousArray<Entry> = []

    subscript(eui64: EUI64) -> Entry? { entries.first { $0.eui64 == eui64 } }
    subscript(address: ShortAddress) -> Entry? { entries.first { $0.address == address } }

    /// Adds or replaces; returns the one that had to make room.
    mutating func put(_ entry: Entry) -> Entry? {
        remove(entry.address)
        let first = entries.count < Self.limit ? nil : entries.take { $0.eui64 == nil }
        return entries.push(entry, limit: Self.limit) ?? first
    }

    mutating func remove(_ address: ShortAddress) { entries.removeAll { $0.address == address } }
}

/// Who is no child of this node, any more, is sent to look for a parent anew (ZigBee 3.6.10).
extension ZigbeeStack {
    /// Whether a device, a child until it was silent for too long, is still to come back.
    public func isStray(_ device: EUI64) -> Bool { strays[device] != nil }

    /// Whether a device fetches what is for it, as a child or as one that is still to come back.
    public func isSleepy(_ device: EUI64) -> Bool {
        neighbours[device]?.isSleepyChild ?? false || strays[device]?.isSleepy ?? false
    }

    /// Has the chip promise the stray a frame from its next poll on.
    mutating func noteStray(_ stray: StrayTable.Entry, into out: inout Outbox) {
        if let removed = strays.put(stray) { unmark(.short(removed.address), into: &out) }
        out.append(.pending(.short(stray.address), true))
    }

    mutating func forgetStray(_ address: ShortAddress, into out: inout Outbox) {
        guard strays[address] != nil else { return }
        strays.remove(address)
        unmark(.short(address), into: &out)
    }

    /// An address was given to a device that never got the network key, and is nobody's again.
    mutating func noteKeyless(_ address: ShortAddress, into out: inout Outbox) {
        guard !address.isBroadcast, neighbours[address] == nil else { return }
        if let removed = strays.put(.init(address: address, hasKey: false)) {
            unmark(.short(removed.address), into: &out)
        }
        unmark(.short(address), into: &out)
    }

    /// Nothing is held for somebody, any more: the chip promises nothing, unless a Leave is due.
    mutating func unmark(_ holder: PendingAddress, into out: inout Outbox) {
        if mac.holdsAny(for: holder) { return }
        if case .short(let address) = holder, strays[address]?.hasKey == true { return }
        out.append(.pending(holder, false))
    }

    /// Somebody polls for whom nothing is held. Who is no child and was promised a frame gets a
    /// Leave; to whom nothing was promised, because nobody knew of it, is promised one.
    mutating func strayPolled(
        _ address: ShortAddress, at now: Instant, into out: inout Outbox
    ) {
        guard isNoChild(address) else {
            forgetStray(address, into: &out)
            return
        }
        guard let stray = strays[address] else {
            noteStray(.init(address: address), into: &out)
            return
        }
        guard stray.hasKey else { return }
        out.append(.pending(.short(address), true))
        // Half of the room is for frames that are not owed to mere polls.
        guard mac.indirect.count < MACLayer.indirectLimit / 2 else { return }
        let frame = leaveRequest(
            for: address, rejoin: !isStruckOff(stray), purpose: .sendingAway(address))
        hold(frame, for: .short(address), at: now, into: &out)
    }

    /// Whether the trust centre has removed it: then it is not to come back.
    private func isStruckOff(_ stray: StrayTable.Entry) -> Bool {
        guard configuration.role == .coordinator, let eui64 = stray.eui64 else { return false }
        return aps.linkKey(with: eui64) == nil
    }

    /// Whether somebody who polls under `address` does so in error: it is neither a neighbour that
    /// may, nor on its way back, nor known to be somebody else's child.
    private func isNoChild(_ address: ShortAddress) -> Bool {
        guard configuration.role != .endDevice, network.isUp, network.key != nil,
            !address.isBroadcast, address != network.address, returning[address] == nil
        else { return false }
        if let known = neighbours[address] {
            return known.relation == .other && !known.capability.isRouter
        }
        return addresses[address].flatMap { trustCentre.parent(of: $0) } == nil
    }

    /// An end device that is no child of this node, any more, sends through it. A Leave goes to it
    /// at once, and again when it polls; who is known to sleep would not hear the first.
    mutating func sendAwayIfNoChild(
        _ header: NWKHeader, sender: ShortAddress, at now: Instant, into out: inout Outbox
    ) {
        guard configuration.role != .endDevice, header.endDeviceInitiator,
            header.source == sender, let known = neighbours[sender], known.relation == .other
        else { return }
        var stray = strays[sender] ?? .init(address: sender, eui64: known.eui64)
        stray.hasKey = true
        noteStray(stray, into: &out)
        guard !stray.isSleepy else { return }
        enqueue(leaveRequest(for: sender, rejoin: !isStruckOff(stray)), into: &out)
    }

    /// A NWK Leave that asks a device in reach to go, and to come back if it is to `rejoin`
    /// (ZigBee 3.4.4).
    mutating func leaveRequest(
        for address: ShortAddress, rejoin: Bool, purpose: OutgoingFrame.Purpose = .none
    ) -> OutgoingFrame {
        let header = nwkHeader(.command, to: address, radius: 1)
        var body = FrameBuffer()
        header.encode(into: &body)
        let length = body.count
        NWKCommand.leave(rejoin: rejoin, request: true, removeChildren: false).encode(into: &body)
        return OutgoingFrame(
            content: .nwk(secured: true), body: body, auxiliaryOffset: length,
            destination: .short(address), purpose: purpose)
    }
}
