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
        aps.linkKeys.removeAll { $0.partner == device }
        requestSave()
        guard network.isUp, let address = address(of: device) else { return }
        aps.forget(address)
        out.note(.deviceRemoved, device.rawValue, UInt64(address.rawValue))
        if neighbours[device]?.relation == .child {
            askToLeave(device, at: now, into: &out)
        } else if let router = trustCentre.parent(of: device),
            let parent = self.address(of: router)
        {
            sendLinkSecured(.removeDevice(device), to: parent, at: now, into: &out)
        } else {
            requestLeave(of: device, rejoin: false, at: now, into: &out)
        }
        pump(at: now, into: &out)
    }

    /// A child is told to leave; one that sleeps is told whenever it wakes. One that never had the
    /// network key is only forgotten.
    mutating func askToLeave(_ device: EUI64, at now: Instant, into out: inout Outbox) {
        guard let child = neighbours[device], child.relation == .child else { return }
        guard child.isAuthenticated else {
            forget(child, into: &out)
            return
        }
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
        guard gone.relation == .child, configuration.role == .router else { return }
        sendLinkSecured(
            .updateDevice(gone.eui64, gone.address, status: 2), to: .coordinator, at: now,
            into: &out)
    }
}
