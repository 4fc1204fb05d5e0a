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

    static let limit = 32

    private(set) var entries: ContiguousArray<Entry> = []

    @inline(__always)
    var isEmpty: Bool { entries.isEmpty }

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
///
/// A device obeys the Leave of its own parent alone. So whoever polls, or sends an old frame again,
/// in the name of a device that has another parent brings about a frame or two at most, and
/// nothing at that device.
extension ZigbeeStack {
    /// Whether a device, a child until it was silent for too long, is still to come back.
    public func isStray(_ device: EUI64) -> Bool { strays[device] != nil }

    /// Whether a device fetches what is for it: as a child here, as one that is still to come back,
    /// or, by its own announcement, behind a router.
    public func isSleepy(_ device: EUI64) -> Bool {
        if let child = neighbours[device], child.relation == .child { return child.isSleepyChild }
        return strays[device]?.isSleepy ?? false || addresses.kind(of: device) == .sleeper
    }

    /// Has the chip promise the stray a frame from its next poll on, if it could read one.
    mutating func noteStray(_ stray: StrayTable.Entry, into out: inout Outbox) {
        if let before = stray.eui64.flatMap({ strays[$0] }), before.address != stray.address {
            forgetStray(at: before.address, into: &out)
        }
        if let removed = strays.put(stray) { promise(.short(removed.address), into: &out) }
        promise(.short(stray.address), into: &out)
    }

    /// An address was given to a device that never got the network key, and is nobody's again.
    mutating func noteKeyless(_ address: ShortAddress, into out: inout Outbox) {
        guard !address.isBroadcast, neighbours[address] == nil else { return }
        noteStray(.init(address: address, hasKey: false), into: &out)
    }

    /// Whoever has this address is no stray, or has been told: nothing more is held for it as one.
    mutating func forgetStray(at address: ShortAddress, into out: inout Outbox) {
        strays.remove(address)
        mac.dropLeaves(for: address)
        promise(.short(address), into: &out)
    }

    /// A device has its place in the network, here or behind another parent, at `address`: it is
    /// not sent away from where it once was.
    mutating func endStraying(
        of device: EUI64, at address: ShortAddress, into out: inout Outbox
    ) {
        guard !strays.isEmpty else { return }
        if let stray = strays[device] { forgetStray(at: stray.address, into: &out) }
        if strays[address] != nil { forgetStray(at: address, into: &out) }
    }

    /// Somebody polls for whom nothing is held. Who is no child and was promised a frame gets a
    /// Leave; to whom nothing was promised, because nobody knew of it, is promised one.
    mutating func strayPolled(
        _ address: ShortAddress, at now: Instant, into out: inout Outbox
    ) {
        guard isNoChild(address) else {
            if strays[address] != nil { forgetStray(at: address, into: &out) }
            return
        }
        guard let stray = strays[address] else {
            noteStray(.init(address: address), into: &out)
            return
        }
        // Half of the room is for frames that are not owed to mere polls.
        guard stray.hasKey, mac.indirect.count < MACLayer.indirectLimit / 2 else { return }
        let frame = leaveRequest(
            for: address, rejoin: !isStruckOff(stray), purpose: .sendingAway(address))
        hold(frame, for: .short(address), at: now, into: &out)
    }

    /// Whether the trust centre has removed it: then it is not to come back.
    private func isStruckOff(_ stray: StrayTable.Entry) -> Bool {
        guard configuration.role == .coordinator,
            // A restart forgets the strays, and not who has which address.
            let eui64 = stray.eui64 ?? eui64(of: stray.address)
        else { return false }
        return aps.linkKey(with: eui64) == nil
    }

    /// Whether somebody who polls under `address` does so in error: it is neither a neighbour that
    /// may, nor on its way back, nor known to be somebody else's child.
    private func isNoChild(_ address: ShortAddress) -> Bool {
        guard configuration.role != .endDevice, network.isUp, network.key != nil,
            !address.isBroadcast, address != network.address, returning[address] == nil
        else { return false }
        let known = neighbours[address]
        if let known, known.relation != .other || known.capability.isRouter { return false }
        let device = known?.eui64 ?? addresses[address]
        return device.flatMap { trustCentre.parent(of: $0) } == nil
    }

    /// An end device that is no child of this node, any more, sends through it. A Leave goes to it
    /// at once, and again when it polls; who is known to sleep would not hear the first.
    ///
    /// The address that a frame is sent to on its first hop is under no integrity code, so one that
    /// another parent's child has sent can be sent again to this node, and looks new here. What
    /// counts is that the device was a child of this node and has not been heard of elsewhere
    /// since, or, if `isKeepAlive`, that it asks this node, by its NWK address, to keep it.
    mutating func sendAwayIfNoChild(
        _ header: NWKHeader, sender: ShortAddress, isKeepAlive: Bool, at now: Instant,
        into out: inout Outbox
    ) {
        guard configuration.role != .endDevice, header.endDeviceInitiator,
            header.source == sender, let known = neighbours[sender], known.relation == .other,
            trustCentre.parent(of: known.eui64) == nil
        else { return }
        let isAsked = isKeepAlive && header.destination == network.address
        guard isAsked || strays[known.eui64] != nil else { return }
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
