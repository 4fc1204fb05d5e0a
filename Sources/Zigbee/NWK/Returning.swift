import Radio
import Wire

/// Devices that ask to be let in, or back in, without the network key, although they are known
/// already. Anybody can ask in anybody's name: until the device itself is heard from where it is
/// said to be, it gets the key there and nothing that is known of it changes. Here it is heard by
/// what nobody can have recorded where it was before: an End Device Timeout Request to this node,
/// or a frame under its link key.
///
/// Bounded, oldest out first.
struct ReturningTable: Sendable {
    struct Entry: Sendable {
        var eui64: EUI64
        var address: ShortAddress
        var capability: CapabilityInformation
        /// The router that speaks for it; nil for this node.
        var router: EUI64?

        var isSleepy: Bool { !capability.receiverOnWhenIdle }
    }

    static let limit = 64

    private(set) var entries: ContiguousArray<Entry> = []

    @inline(__always)
    var isEmpty: Bool { entries.isEmpty }

    subscript(eui64: EUI64) -> Entry? { entries.first { $0.eui64 == eui64 } }
    subscript(address: ShortAddress) -> Entry? { entries.first { $0.address == address } }

    mutating func put(_ entry: Entry) {
        remove(entry.eui64)
        entries.push(entry, limit: Self.limit)
    }

    mutating func remove(_ eui64: EUI64) { entries.removeAll { $0.eui64 == eui64 } }
}

extension ZigbeeStack {
    /// Whether something is known of a device that somebody else could change in its name.
    func isKnown(_ device: EUI64) -> Bool {
        neighbours[device]?.isAuthenticated == true || addresses[device] != nil
            || trustCentre.parent(of: device) != nil
    }

    /// A device that asked without the network key is heard with it, straight and anew: it is a
    /// child.
    mutating func takeBack(
        _ device: EUI64, at address: ShortAddress, now: Instant, into out: inout Outbox
    ) {
        guard let entry = returning[device], entry.router == nil, entry.address == address else {
            return
        }
        returning.remove(device)
        var child = Neighbour(
            eui64: device, address: address, relation: .child, capability: entry.capability,
            isAuthenticated: true)
        child.lastHeard = now
        if let known = neighbours[device] {
            guard known.relation != .parent else { return }
            let capability = child.capability
            child = known
            (child.address, child.relation) = (address, .child)
            // The request's capability is anybody's word; what a router is, is known.
            if known.relation == .other, !known.capability.isRouter {
                child.capability = capability
            }
        }
        guard neighbours.put(child) else { return }
        endStraying(of: device, at: address, into: &out)
        promise(.short(address), into: &out)
        routes.forget(address)
        if configuration.role == .coordinator {
            addresses.put(address, device)
            trustCentre.setParent(of: device, nil)
        }
        requestSave()
        reappeared(at: address, now: now, into: &out)
    }

    /// The trust centre hears from a device behind the router that it is said to be behind.
    mutating func settle(
        _ device: EUI64, at address: ShortAddress, behind router: EUI64?, into out: inout Outbox
    ) {
        returning.remove(device)
        // Whatever it was before, it is behind this router now.
        if let known = neighbours[device] { forget(known, into: &out) }
        endStraying(of: device, at: address, into: &out)
        addresses.put(address, device)
        trustCentre.setParent(of: device, router)
        routes.forget(address)
        requestSave()
    }

    /// Hands a frame to a device itself; one that sleeps fetches it.
    mutating func hand(
        _ body: FrameBuffer, headerLength: Int, secured: Bool, to address: ShortAddress,
        isSleepy: Bool, at now: Instant, into out: inout Outbox
    ) {
        let frame = OutgoingFrame(
            content: .nwk(secured: secured), body: body, auxiliaryOffset: headerLength,
            destination: .short(address))
        if isSleepy {
            hold(frame, for: .short(address), at: now, into: &out)
        } else {
            enqueue(frame, into: &out)
        }
    }
}
