import Radio
import Wire

/// What a coordinator keeps to let devices in: who is associating, and until when any may.
struct TrustCentre: Sendable {
    struct Pending: Sendable {
        var eui64: EUI64
        var address: ShortAddress
    }

    static let pendingLimit = 32

    var permitUntil = Instant.zero
    /// When the routers are next told that joining is still open.
    var nextPermit = Instant.distantFuture
    var associating: ContiguousArray<Pending> = []
    /// Forming a PAN: the channels still to be measured and the quietest so far.
    var measuring = 0
    var quietest: (channel: UInt8, level: Int8)?

    func permitsJoining(at now: Instant) -> Bool { now < permitUntil }
}

extension ZigbeeStack {
    // MARK: - Forming

    /// A coordinator begins to form a PAN: it measures every channel and takes the quietest.
    public mutating func form(at now: Instant, into out: inout Outbox) {
        trustCentre.measuring = 0
        trustCentre.quietest = nil
        measureNext(into: &out)
    }

    private mutating func measureNext(into out: inout Outbox) {
        out.append(
            .measureEnergy(
                channel: configuration.channels[trustCentre.measuring],
                duration: configuration.scanDuration))
    }

    /// The chip has measured a channel.
    public mutating func energy(
        channel: UInt8, level: Int8, at now: Instant, into out: inout Outbox
    ) {
        guard !network.isUp, trustCentre.measuring < configuration.channels.count else { return }
        if level < trustCentre.quietest?.level ?? .max { trustCentre.quietest = (channel, level) }
        trustCentre.measuring += 1
        if trustCentre.measuring < configuration.channels.count {
            measureNext(into: &out)
            return
        }
        network.channel = trustCentre.quietest?.channel ?? configuration.channels[0]
        network.extendedPAN = configuration.eui64
        network.address = .coordinator
        network.trustCentre = configuration.eui64
        network.key = Key128(high: dice.next(), low: dice.next())
        // 0xFFFF is the broadcast PAN; 0xC000-0xFFFE are reserved in the 2003 standard.
        network.pan = PANID(UInt16(dice.below(0xBFFF)) + 1)
        network.isUp = true
        configureChip(channel: network.channel, receiverOn: true, into: &out)
        reserveCounters()
        requestSave()
        out.note(
            .panFormed, UInt64(network.pan.rawValue), UInt64(network.channel),
            network.extendedPAN.rawValue)
        indicate(.formed)
    }

    /// Lets devices associate for `duration`, here and at every router; zero closes.
    public mutating func permitJoining(
        _ duration: Interval, at now: Instant, into out: inout Outbox
    ) {
        trustCentre.permitUntil = now + duration
        tellRouters(at: now, into: &out)
    }

    /// The longest that one Mgmt_Permit_Joining request opens joining for, in seconds
    /// (ZigBee 2.4.3.3.7), and how long before its end it is renewed.
    private static let longestPermit: Int64 = 254
    private static let permitRenewal = Interval.seconds(200)

    mutating func tellRouters(at now: Instant, into out: inout Outbox) {
        guard configuration.role == .coordinator, network.isUp else { return }
        let left = max(0, (trustCentre.permitUntil - now).microseconds / 1_000_000)
        trustCentre.nextPermit =
            left > Self.longestPermit ? now + Self.permitRenewal : .distantFuture
        guard neighbours.entries.contains(where: { $0.capability.isRouter }) else { return }
        sendPermitJoining(
            seconds: UInt8(min(left, Self.longestPermit)), at: now, into: &out)
    }

    /// Keeps a link key for a partner, replacing one it had; an unchanged key keeps its counters.
    public mutating func setLinkKey(_ key: Key128, partner: EUI64) {
        if let index = aps.linkKey(with: partner) {
            guard aps.linkKeys[index].key != key else { return }
            aps.linkKeys[index] = LinkKey(partner: partner, key: key)
        } else {
            aps.linkKeys.append(LinkKey(partner: partner, key: key))
        }
        requestSave()
    }

    /// A device that has no network yet: whoever sends it a key under its install code's link
    /// key is its trust centre. Counters it has used before go on.
    public mutating func expectTrustCentre(with key: Key128) {
        if let index = aps.linkKeys.firstIndex(where: { $0.key == key }) {
            aps.linkKeys[index].partner = .unknown
        } else {
            setLinkKey(key, partner: .unknown)
        }
    }

    /// Forgets the network it was in, but not which frame counters it has used.
    public mutating func forgetNetwork() {
        let (counter, reserved) = (network.outgoingCounter, network.reservedUpTo)
        network = NetworkState()
        network.outgoingCounter = counter
        network.reservedUpTo = reserved
        neighbours = NeighbourTable()
        addresses = AddressMap()
        requestSave()
    }

    // MARK: - Joining devices

    mutating func associationRequested(
        _ eui64: EUI64, _ capability: CapabilityInformation, at now: Instant,
        into out: inout Outbox
    ) {
        guard network.isUp, configuration.role != .endDevice else { return }
        var status: UInt8 = 0
        var address = neighbours[eui64]?.address ?? freeAddress()
        guard trustCentre.permitsJoining(at: now) else {
            // The MAC of a closed network does not answer (IEEE 802.15.4 7.5.3.1).
            out.note(
                .associationRefused, eui64.rawValue, UInt64(RefusalReason.joiningClosed.rawValue))
            return
        }
        if !admit(eui64, address, capability, at: now) {
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
        guard trustCentre.associating.count < TrustCentre.pendingLimit else { return false }
        var child = Neighbour(
            eui64: eui64, address: address, relation: .child, capability: capability,
            isAuthenticated: false)
        child.lastHeard = now
        if let known = neighbours[eui64] {
            // The counter outlives the association: what was sent before is a replay still.
            child.lastCounter = known.lastCounter
            child.keySequence = known.keySequence
        }
        guard neighbours.put(child) else { return false }
        trustCentre.associating.removeAll { $0.eui64 == eui64 }
        trustCentre.associating.append(.init(eui64: eui64, address: address))
        return true
    }

    /// A random address that nobody known has (ZigBee 3.6.1.7).
    mutating func freeAddress() -> ShortAddress {
        while true {
            let address = ShortAddress(UInt16(dice.below(0xFFF6)) + 1)
            if neighbours[address] == nil, addresses[address] == nil { return address }
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
                .updateDevice(eui64, device.address, status: 1), at: now, into: &out)
            requestSave()
            return
        }
        authorise(eui64, device.address, at: now, into: &out)
    }

    /// A router has let a device associate: the trust centre sends it the key through that
    /// router, or leaves it without if it is not in the device log.
    mutating func deviceUpdated(
        _ eui64: EUI64, _ address: ShortAddress, status: UInt8, by router: ShortAddress,
        at now: Instant, into out: inout Outbox
    ) {
        out.note(
            .deviceUpdated, eui64.rawValue, UInt64(address.rawValue), UInt64(status))
        if status == 0 {
            // It has rejoined with the key it has.
            neighbours.remove(eui64)
            addresses.put(address, eui64)
            _ = routes.learn(address, via: nextHop(to: router) ?? router)
            requestSave()
        }
        guard status == 1 || status == 3, let key = network.key else { return }
        guard let index = aps.linkKey(with: eui64) else {
            out.note(
                .associationRefused, eui64.rawValue, UInt64(RefusalReason.notInDeviceLog.rawValue))
            return
        }
        // Whatever it was before, it is behind this router now.
        neighbours.remove(eui64)
        addresses.put(address, eui64)
        _ = routes.learn(address, via: nextHop(to: router) ?? router)
        var inner = FrameBuffer()
        appendSealed(
            .transportNetworkKey(
                key, sequence: network.keySequence, destination: eui64,
                source: configuration.eui64), linkKey: index, to: &inner)
        var payload = FrameBuffer()
        APSCommand.tunnel(destination: eui64, command: inner).encode(into: &payload)
        let header = APSHeader(kind: .command, counter: aps.nextCounter())
        sendAPS(header, payload, to: router, at: now, into: &out)
        requestSave()
        indicate(.keySent(eui64, address))
    }

    /// A router hands a tunnelled command to its child as it stands (ZigBee 4.6.3.7.2).
    mutating func untunnel(
        _ command: FrameBuffer, for child: EUI64, at now: Instant, into out: inout Outbox
    ) {
        guard configuration.role == .router, let neighbour = neighbours[child],
            neighbour.relation == .child
        else {
            out.drop(.apsUnexpected)
            return
        }
        let header = nwkHeader(.data, to: neighbour.address, secured: false)
        var body = FrameBuffer()
        header.encode(into: &body)
        let length = body.count
        body.append(command.span)
        sendNWK(body, headerLength: length, header: header, at: now, into: &out)
    }

    mutating func authorise(
        _ eui64: EUI64, _ address: ShortAddress, at now: Instant, into out: inout Outbox
    ) {
        guard let key = network.key, let index = aps.linkKey(with: eui64) else {
            out.note(
                .associationRefused, eui64.rawValue, UInt64(RefusalReason.notInDeviceLog.rawValue))
            neighbours.remove(eui64)
            return
        }
        addresses.put(address, eui64)
        let command = APSCommand.transportNetworkKey(
            key, sequence: network.keySequence, destination: eui64,
            source: configuration.eui64)
        sendKey(command, to: address, linkKey: index, at: now, into: &out)
        requestSave()
        indicate(.keySent(eui64, address))
    }
}
