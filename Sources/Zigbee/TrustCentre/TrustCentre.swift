import Radio
import Wire

/// What a coordinator keeps to let devices in: who is associating, and until when any may.
struct TrustCentre: Sendable {
    struct Pending: Sendable {
        var eui64: EUI64
        var address: ShortAddress
    }

    static let pendingLimit = 32
    static let parentLimit = 64
    static let toldLimit = 64

    var permitUntil = Instant.zero
    /// When the routers are next told that joining is still open.
    var nextPermit = Instant.distantFuture
    var associating: ContiguousArray<Pending> = []
    var forming = Forming()
    var keyUpdate = KeyUpdate()
    /// Which router each device behind one is known to be a child of.
    private(set) var parents: ContiguousArray<(device: EUI64, router: EUI64)> = []

    /// Who was told to leave, and until when it is not told again.
    private var told: ContiguousArray<(device: EUI64, until: Instant)> = []

    /// True if a device may be told to leave; it is not told again until `again`.
    mutating func mayTell(_ device: EUI64, at now: Instant, again: Instant) -> Bool {
        told.removeAll { $0.until <= now }
        guard !told.contains(where: { $0.device == device }) else { return false }
        if told.count == Self.toldLimit { told.removeFirst() }
        told.append((device, again))
        return true
    }

    mutating func forgetTold(_ device: EUI64) { told.removeAll { $0.device == device } }

    /// When the next thing is to be done.
    var deadline: Instant { min(nextPermit, min(forming.deadline, keyUpdate.deadline)) }

    func parent(of device: EUI64) -> EUI64? { parents.first { $0.device == device }?.router }

    /// Notes whose child a device is; nil for nobody's, or this node's own.
    mutating func setParent(of device: EUI64, _ router: EUI64?) {
        parents.removeAll { $0.device == device }
        guard let router else { return }
        if parents.count == Self.parentLimit { parents.removeFirst() }
        parents.append((device, router))
    }

    func permitsJoining(at now: Instant) -> Bool { now < permitUntil }
}

extension ZigbeeStack {
    mutating func stepTrustCentre(at now: Instant, into out: inout Outbox) {
        stepForming(at: now, into: &out)
        stepKeyUpdate(at: now, into: &out)
        if trustCentre.nextPermit <= now { tellRouters(at: now, into: &out) }
    }

    /// Whether a device that associates with this node may.
    public func permitsJoining(at now: Instant) -> Bool { trustCentre.permitsJoining(at: now) }

    /// Until when devices may associate; in the past if they may not.
    public var joiningUntil: Instant { trustCentre.permitUntil }

    /// Lets devices associate for `duration`, here and at every router; zero closes.
    public mutating func permitJoining(
        _ duration: Interval, at now: Instant, into out: inout Outbox
    ) {
        trustCentre.permitUntil = now + duration
        tellRouters(at: now, into: &out)
    }

    /// The longest that one Mgmt_Permit_Joining request opens joining for, in seconds
    /// (ZigBee 2.4.3.3.7).
    private static let longestPermit: Int64 = 254

    mutating func tellRouters(at now: Instant, into out: inout Outbox) {
        guard configuration.role == .coordinator, network.isUp else { return }
        let left = max(0, (trustCentre.permitUntil - now).microseconds / 1_000_000)
        trustCentre.nextPermit =
            left > Self.longestPermit ? now + configuration.permitRenewal : .distantFuture
        guard neighbours.entries.contains(where: { $0.capability.isRouter }) else { return }
        sendPermitJoining(
            seconds: UInt8(min(left, Self.longestPermit)), at: now, into: &out)
    }

    // MARK: - Joining devices

    mutating func associationRequested(
        _ eui64: EUI64, _ capability: CapabilityInformation, at now: Instant,
        into out: inout Outbox
    ) {
        guard network.isUp, configuration.role != .endDevice,
            neighbours[eui64]?.relation != .parent
        else {
            out.drop(.macUnexpected)
            return
        }
        var status: UInt8 = 0
        var address = neighbours[eui64]?.address ?? freeAddress()
        guard trustCentre.permitsJoining(at: now) else {
            // The MAC of a closed network does not answer (IEEE 802.15.4 7.5.3.1).
            out.note(
                .associationRefused, eui64.rawValue, UInt64(RefusalReason.joiningClosed.rawValue))
            return
        }
        if configuration.admission?.refusesAssociation == true, isStranger(eui64) {
            status = 2
            address = .everyone
            out.note(
                .associationRefused, eui64.rawValue, UInt64(RefusalReason.notInDeviceLog.rawValue))
        } else if !admit(eui64, address, capability, at: now) {
            status = 1
            address = .everyone
            out.note(.associationRefused, eui64.rawValue, UInt64(RefusalReason.panFull.rawValue))
        }
        var header = MACHeader.within(
            network.pan, kind: .command, sequence: mac.nextSequence(), to: .extended(eui64),
            from: .extended(configuration.eui64))
        header.acknowledgementRequested = true
        sendCommand(
            .associationResponse(address, status: status), header: header,
            purpose: .associationResponse(eui64), holder: .extended(eui64), at: now, into: &out)
    }

    private mutating func admit(
        _ eui64: EUI64, _ address: ShortAddress, _ capability: CapabilityInformation,
        at now: Instant
    ) -> Bool {
        trustCentre.associating.removeAll { $0.eui64 == eui64 }
        guard trustCentre.associating.count < TrustCentre.pendingLimit else { return false }
        if let known = neighbours[eui64], known.relation == .child, known.isAuthenticated {
            // Anybody may claim to be it: what is known of it stays until it has proved itself.
            trustCentre.associating.append(.init(eui64: eui64, address: address))
            return true
        }
        if isKnown(eui64) {
            guard neighbours[eui64] != nil || neighbours.hasRoom else { return false }
            returning.put(.init(eui64: eui64, address: address, capability: capability))
        } else {
            var child = Neighbour(
                eui64: eui64, address: address, relation: .child, capability: capability,
                isAuthenticated: false)
            child.lastHeard = now
            guard neighbours.put(child) else { return false }
        }
        trustCentre.associating.append(.init(eui64: eui64, address: address))
        return true
    }

    /// The device did not fetch its answer: it is as if it had not asked.
    mutating func associationExpired(_ eui64: EUI64, into out: inout Outbox) {
        trustCentre.associating.removeAll { $0.eui64 == eui64 }
        returning.remove(eui64)
        forgetKeyless(eui64, into: &out)
    }

    /// Nothing comes of the association of a device that has not shown that it has the network
    /// key.
    private mutating func forgetKeyless(_ device: EUI64, into out: inout Outbox) {
        guard let child = neighbours[device], !child.isAuthenticated else { return }
        neighbours.remove(device)
        noteKeyless(child.address, into: &out)
    }

    /// Whatever was on its way to a device that is asking to be let in is not sent any more.
    mutating func discardAssociation(of device: EUI64, into out: inout Outbox) {
        trustCentre.associating.removeAll { $0.eui64 == device }
        mac.forget(.extended(device))
        promise(.extended(device), into: &out)
        guard let entry = returning[device] else { return }
        returning.remove(device)
        guard neighbours[entry.address] == nil else { return }
        mac.forget(.short(entry.address))
        noteKeyless(entry.address, into: &out)
    }

    /// A random address that nobody known has (ZigBee 3.6.1.7).
    mutating func freeAddress() -> ShortAddress {
        while true {
            let address = ShortAddress(UInt16(dice.below(0xFFF6)) + 1)
            if neighbours[address] == nil, addresses[address] == nil, returning[address] == nil,
                strays[address] == nil
            {
                return address
            }
        }
    }

    /// The device has its address: the trust centre sends it the network key, under its own link
    /// key, if it is in the device log.
    mutating func associationDelivered(
        _ eui64: EUI64, at now: Instant, into out: inout Outbox
    ) {
        guard let index = trustCentre.associating.firstIndex(where: { $0.eui64 == eui64 }) else {
            return
        }
        let device = trustCentre.associating.remove(at: index)
        guard configuration.role == .coordinator else {
            // A router tells the trust centre, which sends the key through it (ZigBee 4.6.3.2).
            sendLinkSecured(
                .updateDevice(eui64, device.address, status: 1), to: .coordinator, at: now,
                into: &out)
            requestSave()
            return
        }
        authorise(eui64, device.address, isNew: true, at: now, into: &out)
    }

    /// A router speaks of a device: it has let it associate, or back in, with or without the
    /// network key, or the device has left (ZigBee 4.6.3.2, 4.6.3.6). Who needs the key gets it
    /// through that router; who is not in the device log has to go again.
    ///
    /// Only a device with the network key has shown who it is. Of another that is known already,
    /// the router has nothing but somebody's word.
    mutating func deviceUpdated(
        _ eui64: EUI64, _ address: ShortAddress, status: UInt8, by router: ShortAddress,
        at now: Instant, into out: inout Outbox
    ) {
        out.note(
            .deviceUpdated, eui64.rawValue, UInt64(address.rawValue), UInt64(status))
        let speaker = self.eui64(of: router)
        guard status != 2 else {
            guard trustCentre.parent(of: eui64) == speaker else { return }
            trustCentre.setParent(of: eui64, nil)
            addresses.remove(eui64)
            routes.forget(address)
            requestSave()
            return
        }
        guard let index = aps.linkKey(with: eui64) else {
            out.note(
                .associationRefused, eui64.rawValue, UInt64(RefusalReason.notInDeviceLog.rawValue))
            if status == 0, self.eui64(of: address) == nil {
                // With the network key it can go on sending: so it is known whose frames they are.
                addresses.put(address, eui64)
                trustCentre.setParent(of: eui64, speaker)
            }
            sendLinkSecured(.removeDevice(eui64), to: router, at: now, into: &out)
            return
        }
        let holder = self.eui64(of: address) ?? returning[address]?.eui64 ?? eui64
        if status == 1, holder != eui64 {
            // The router could not know that the address is taken: the device has to try again.
            out.note(
                .associationRefused, eui64.rawValue, UInt64(RefusalReason.addressTaken.rawValue))
            sendLinkSecured(.removeDevice(eui64), to: router, at: now, into: &out)
            return
        }
        if status == 0 || !isKnown(eui64) {
            settle(eui64, at: address, behind: speaker, into: &out)
            if status == 0 { reappeared(at: address, now: now, into: &out) }
        } else if holder == eui64 {
            returning.put(
                .init(
                    eui64: eui64, address: address,
                    capability: CapabilityInformation(rawValue: 0), router: speaker))
        }
        guard status == 1 || status == 3, let key = network.key else { return }
        let other = status == 1 ? exchangeForJoining(index) : nil
        var inner = FrameBuffer()
        let isSealed = appendSealed(
            .transportNetworkKey(
                key, sequence: network.keySequence, destination: eui64,
                source: configuration.eui64), linkKey: index, to: &inner)
        if let other { exchangeKeys(index, other) }
        guard isSealed else {
            out.drop(.counterSpent, from: address)
            return
        }
        var payload = FrameBuffer()
        APSCommand.tunnel(destination: eui64, command: inner).encode(into: &payload)
        let header = APSHeader(kind: .command, counter: aps.nextCounter())
        sendAPS(header, payload, to: router, at: now, into: &out)
        indicate(.keySent(eui64, address))
    }

    /// A router hands a tunnelled command to its child as it stands (ZigBee 4.6.3.7.2).
    mutating func untunnel(
        _ command: FrameBuffer, for child: EUI64, at now: Instant, into out: inout Outbox
    ) {
        let entry = returning[child]
        let neighbour = neighbours[child]
        guard configuration.role == .router, neighbour?.relation != .parent,
            let address = entry?.address ?? neighbour?.address
        else {
            out.drop(.apsUnexpected)
            return
        }
        let header = nwkHeader(.data, to: address, secured: false)
        var body = FrameBuffer()
        header.encode(into: &body)
        let length = body.count
        body.append(command.span)
        hand(
            body, headerLength: length, secured: false, to: address,
            isSleepy: entry?.isSleepy ?? neighbour?.isSleepyChild ?? false, at: now, into: &out)
    }

    /// Sends a device the network key, under its own link key, if it is in the device log. `isNew`
    /// for one that joins anew, and has nothing of the network yet.
    mutating func authorise(
        _ eui64: EUI64, _ address: ShortAddress, isNew: Bool, at now: Instant,
        into out: inout Outbox
    ) {
        guard let key = network.key, let index = aps.linkKey(with: eui64) else {
            out.note(
                .associationRefused, eui64.rawValue, UInt64(RefusalReason.notInDeviceLog.rawValue))
            forgetKeyless(eui64, into: &out)
            returning.remove(eui64)
            if addresses[address] == nil { noteKeyless(address, into: &out) }
            return
        }
        if !isKnown(eui64) { addresses.put(address, eui64) }
        let command = APSCommand.transportNetworkKey(
            key, sequence: network.keySequence, destination: eui64,
            source: configuration.eui64)
        let other = isNew ? exchangeForJoining(index) : nil
        sendKey(command, to: address, linkKey: index, secured: false, at: now, into: &out)
        if let other { exchangeKeys(index, other) }
        requestSave()
        indicate(.keySent(eui64, address))
    }
}
