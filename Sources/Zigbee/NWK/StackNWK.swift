import Crypto
import Radio
import Wire

extension ZigbeeStack {
    // MARK: - Sending

    /// A NWK header of this node's own.
    mutating func nwkHeader(
        _ kind: NWKHeader.Kind, to destination: ShortAddress, secured: Bool = true,
        radius: UInt8? = nil
    ) -> NWKHeader {
        var header = NWKHeader(
            kind: kind, destination: destination, source: network.address,
            radius: radius ?? configuration.network.radius, sequence: network.nextSequence())
        header.isSecured = secured
        header.discoverRoute = kind == .data && !destination.isBroadcast
        header.endDeviceInitiator = configuration.role == .endDevice
        return header
    }

    /// Sends a NWK frame: `body` is the header and the payload, `headerLength` where the one
    /// ends.
    mutating func sendNWK(
        _ body: FrameBuffer, headerLength: Int, header: NWKHeader, at now: Instant,
        into out: inout Outbox
    ) {
        let content = OutgoingFrame.Content.nwk(secured: header.isSecured)
        var frame = OutgoingFrame(
            content: content, body: body, auxiliaryOffset: headerLength,
            destination: .short(.everyone))
        if header.destination.isBroadcast {
            // An end device leaves the broadcasting to its parent (ZigBee 3.6.5).
            if configuration.role == .endDevice, let parent = neighbours.parent {
                frame.destination = .short(parent.address)
            }
            originate(frame, header, at: now, into: &out)
            if header.destination == .everyone { holdForSleepers(frame, at: now, into: &out) }
            return
        }
        guard let hop = nextHop(to: header.destination) else {
            if header.discoverRoute, configuration.role != .endDevice {
                discoverRoute(
                    to: header.destination, for: frame, from: header.source, at: now, into: &out)
            } else {
                loseRoute(
                    to: header.destination, for: header.source, code: .noRouteAvailable, at: now,
                    into: &out)
            }
            return
        }
        frame.destination = .short(hop)
        if let neighbour = neighbours[hop], neighbour.isSleepyChild {
            hold(frame, for: .short(hop), at: now, into: &out)
        } else {
            enqueue(frame, into: &out)
        }
    }

    private mutating func holdForSleepers(
        _ frame: OutgoingFrame, at now: Instant, into out: inout Outbox
    ) {
        for neighbour in neighbours.entries where neighbour.isSleepyChild {
            var copy = frame
            copy.destination = .short(neighbour.address)
            hold(copy, for: .short(neighbour.address), at: now, into: &out)
        }
    }

    /// Who gets a frame for `destination` next: an end device's parent, a neighbour itself, or the
    /// hop that a route names. A router's first way to the coordinator is its parent.
    ///
    /// Inlined, or the whole stack would be copied for the call.
    @inline(__always)
    func nextHop(to destination: ShortAddress) -> ShortAddress? {
        if configuration.role == .endDevice { return neighbours.parent?.address }
        if let neighbour = neighbours[destination], neighbour.isReachable { return destination }
        if let hop = routes[destination] { return hop }
        guard destination == .coordinator, let parent = neighbours.parent, parent.isReachable
        else { return nil }
        return parent.address
    }

    mutating func sendNWKCommand(
        _ command: NWKCommand, to destination: ShortAddress, radius: UInt8? = nil,
        at now: Instant, into out: inout Outbox
    ) {
        let header = nwkHeader(.command, to: destination, radius: radius)
        var body = FrameBuffer()
        header.encode(into: &body)
        let length = body.count
        command.encode(into: &body)
        sendNWK(body, headerLength: length, header: header, at: now, into: &out)
    }

    // MARK: - Security

    /// Appends the MAC's current frame to `psdu`, sealed with the network key. False if there is no
    /// frame counter left for it.
    mutating func sealCurrent(into psdu: inout FrameBuffer) -> Bool {
        guard let key = network.key else { return true }
        guard let counter = takeNetworkCounter() else { return false }
        let start = psdu.count
        let offset = mac.current.auxiliaryOffset
        psdu.append(mac.current.body.span.extracting(0..<offset))
        let auxiliary = AuxiliaryHeader(
            key: .network, frameCounter: counter, source: configuration.eui64,
            keySequence: network.keySequence)
        auxiliary.encodeForSealing(into: &psdu)
        let payload = psdu.count
        psdu.append(mac.current.body.span.extracting(offset...))
        guard !psdu.isOverflowed else { return true }
        crypto.seal(
            &psdu, from: start, payload: payload, key: key,
            nonce: CCMNonce(
                source: configuration.eui64, counter: counter, control: auxiliary.fullControl))
        psdu.clearSecurityLevel(at: start + offset)
        return true
    }

    /// Nil once all have been used.
    private mutating func takeNetworkCounter() -> UInt32? {
        let counter = network.outgoingCounter
        guard counter < FrameCounter.end else { return nil }
        network.outgoingCounter += 1
        reserveCounters()
        return counter
    }

    /// Counters are reserved in flash ahead of their use: what was reserved is never used again
    /// after a restart.
    mutating func reserveCounters() {
        let reserved = FrameCounter.reservation(
            next: network.outgoingCounter, reserved: network.reservedUpTo,
            reserve: configuration.network.counterReserve)
        guard let reserved else { return }
        network.reservedUpTo = reserved
        requestSave()
    }

    /// A NWK frame that was good.
    private struct Opened {
        /// Where its payload begins.
        var payload: Int
        /// Who has sealed it: the last hop.
        var source: EUI64
    }

    /// Checks and opens a secured NWK frame in place; nil, with a drop recorded, if it is not
    /// good.
    private mutating func openNWK(
        _ frame: inout FrameBuffer, from start: Int, header: NWKHeader, headerEnd: Int,
        sender: ShortAddress, at now: Instant, into out: inout Outbox
    ) -> Opened? {
        let auxiliary: AuxiliaryHeader
        let payload: Int
        do {
            var reader = ByteReader(frame.span.extracting(headerEnd...))
            auxiliary = try AuxiliaryHeader(parsing: &reader)
            payload = headerEnd + reader.offset
        } catch {
            out.drop(.nwkMalformed, from: sender)
            return nil
        }
        // The highest counter there is may not be used (ZigBee 4.3.1.2).
        guard auxiliary.key == .network, let source = auxiliary.source,
            auxiliary.frameCounter != .max
        else {
            out.drop(.nwkMalformed, from: sender)
            return nil
        }
        let isActive = auxiliary.keySequence == network.keySequence
        guard let key = isActive ? network.key : network.otherKey(auxiliary.keySequence) else {
            out.drop(.nwkUnknownKey, from: sender)
            missKey(auxiliary.keySequence, from: sender, at: now, into: &out)
            return nil
        }
        let used = counters.index(of: source)
        if let used, counters.entries[used].hasUsed(auxiliary) {
            out.drop(.nwkReplayed, from: sender)
            return nil
        }
        frame.fillSecurityLevel(at: headerEnd)
        guard
            crypto.open(
                &frame, from: start, payload: payload, key: key,
                nonce: CCMNonce(
                    source: source, counter: auxiliary.frameCounter,
                    control: auxiliary.fullControl))
        else {
            out.drop(.nwkBadMIC, from: sender)
            return nil
        }
        guard
            counters.note(
                used, source, counter: auxiliary.frameCounter,
                keySequence: auxiliary.keySequence)
        else {
            // Whoever's counter cannot be kept could be replayed.
            out.drop(.queueFull, from: sender)
            return nil
        }
        if !isActive { heardUnderOtherKey(auxiliary.keySequence, into: &out) }
        if network.keyMisses != 0 { network.keyMisses = 0 }
        remember(source, sender, isOwnAddress: header.source == sender, at: now, into: &out)
        return Opened(payload: payload, source: source)
    }

    private mutating func remember(
        _ source: EUI64, _ sender: ShortAddress, isOwnAddress: Bool, at now: Instant,
        into out: inout Outbox
    ) {
        if let index = neighbours.index(of: source) {
            if !neighbours.entries[index].isAuthenticated { requestSave() }
            let before = neighbours.entries[index].address
            neighbours.update(index) { neighbour in
                neighbour.lastHeard = now
                neighbour.isAuthenticated = true
                // The MAC's source is under no integrity code, the NWK's is.
                if isOwnAddress { neighbour.address = sender }
            }
            if isOwnAddress, before != sender { moved(from: before, to: sender, into: &out) }
            return
        }
        var neighbour = Neighbour(
            eui64: source, address: sender, relation: .other,
            capability: CapabilityInformation(rawValue: 0), isAuthenticated: true)
        neighbour.lastHeard = now
        neighbours.put(neighbour)
    }

    /// A neighbour has another address: what the chip promises there may be due here.
    mutating func moved(
        from before: ShortAddress, to address: ShortAddress, into out: inout Outbox
    ) {
        guard before != address else { return }
        promise(.short(before), into: &out)
        promise(.short(address), into: &out)
    }

    // MARK: - Receiving

    mutating func receiveNWK(
        _ reception: Reception, _ mac: MACHeader, from start: Int, at now: Instant,
        into out: inout Outbox
    ) {
        guard case .short(let sender) = mac.source else {
            out.drop(.macUnexpected)
            return
        }
        var frame = reception.frame
        let header: NWKHeader
        let headerEnd: Int
        do {
            var reader = ByteReader(frame.span.extracting(start...))
            header = try NWKHeader(parsing: &reader)
            headerEnd = start + reader.offset
        } catch {
            out.drop(.nwkMalformed, from: sender)
            return
        }
        var payload = headerEnd
        var speaker: EUI64?
        if header.isSecured {
            guard
                let opened = openNWK(
                    &frame, from: start, header: header, headerEnd: headerEnd, sender: sender,
                    at: now, into: &out)
            else { return }
            (payload, speaker) = (opened.payload, opened.source)
            self.mac.remember(mac, until: now + configuration.network.macDuplicateMemory)
        } else if !acceptsUnsecured(header) {
            out.drop(.nwkUnsecured, from: sender)
            return
        }
        guard header.source != network.address else {
            // A neighbour relays what this node has sent: its passive acknowledgement.
            if header.destination.isBroadcast {
                broadcasts.noteRelay(header.source, header.sequence, by: sender)
            }
            return
        }
        if let speaker, configuration.admission != nil,
            turnsAway(
                frame, header, from: payload, sender: sender, speaker: speaker, at: now, into: &out)
        {
            return
        }
        // Who leaves or asks to be let in again need not be told to.
        let command =
            header.kind == .command && payload < frame.count ? frame[payload] : nil
        let isKeepAlive = command == NWKCommand.endDeviceTimeoutRequestIdentifier
        if isKeepAlive, let speaker, header.source == sender,
            header.destination == network.address
        {
            // Only to its parent does a device say this, so no old frame to another one is like it.
            takeBack(speaker, at: sender, now: now, into: &out)
        }
        if header.isSecured, !header.destination.isBroadcast,
            command != NWKCommand.leaveIdentifier, command != NWKCommand.rejoinRequestIdentifier
        {
            sendAwayIfNoChild(
                header, sender: sender, isKeepAlive: isKeepAlive, at: now, into: &out)
        }
        if header.isSecured, !awaited.isEmpty { noteWord(of: header.source, into: &out) }
        if header.isSecured, !returning.isEmpty, configuration.role == .coordinator,
            let entry = returning[header.source], entry.router != nil,
            address(of: entry.eui64) != header.source
        {
            // It uses the address that it was given there, and nobody else has that.
            settle(entry.eui64, at: header.source, behind: entry.router, into: &out)
        }
        if header.destination.isBroadcast {
            guard isAddressed(by: header.destination) else {
                out.drop(.nwkUnexpected, from: header.source)
                return
            }
            if command == NWKCommand.routeRequestIdentifier {
                // Relayed by rules of its own: a dearer copy may be followed by a cheaper one.
                receiveNWKCommand(
                    frame, header, from: payload, sender: sender, speaker: speaker,
                    quality: reception.lqi, at: now, into: &out)
                return
            }
            guard
                broadcasts.admit(
                    header.source, header.sequence, at: now,
                    until: now + configuration.network.broadcastDelivery)
            else {
                broadcasts.noteRelay(header.source, header.sequence, by: sender)
                out.drop(.nwkDuplicateBroadcast, from: header.source)
                return
            }
            broadcasts.lastSender = sender
            relay(frame, header, payload: payload, sender: sender, at: now, into: &out)
        } else if header.destination != network.address {
            relay(frame, header, payload: payload, sender: sender, at: now, into: &out)
            return
        }
        switch header.kind {
        case .data:
            receiveAPS(
                &frame, header, from: payload, sender: sender, speaker: speaker, at: now,
                into: &out)
        case .command:
            receiveNWKCommand(
                frame, header, from: payload, sender: sender, speaker: speaker,
                quality: reception.lqi, at: now, into: &out)
        }
    }

    /// Whether a NWK broadcast address means this node too (ZigBee 3.6.5).
    private func isAddressed(by broadcast: ShortAddress) -> Bool {
        switch broadcast {
        case .everyone: true
        case .receiversOn: configuration.receiverOnWhenIdle
        case .routers, ShortAddress(0xFFFB): configuration.role != .endDevice
        default: false
        }
    }

    /// Unsecured NWK frames carry nothing but the transport of a key to a device that has none,
    /// which APS secures (ZigBee 4.4.1.3).
    private func acceptsUnsecured(_ header: NWKHeader) -> Bool {
        switch header.kind {
        case .data:
            header.destination == network.address
                && (joiner.phase == .awaitingKey || rejoiner.isAwaitingKey)
        case .command:
            // A rejoin through the trust centre, and its answer.
            header.destination == network.address
                && (configuration.role != .endDevice || rejoiner.isAsking(secured: false))
        }
    }

    /// Sends on a frame that is not, or not only, for this node.
    private mutating func relay(
        _ frame: FrameBuffer, _ header: NWKHeader, payload: Int, sender: ShortAddress,
        at now: Instant, into out: inout Outbox
    ) {
        guard configuration.role != .endDevice, network.isUp else {
            if !header.destination.isBroadcast { out.drop(.nwkUnexpected, from: header.source) }
            return
        }
        guard header.radius > 1 else {
            if !header.destination.isBroadcast {
                out.drop(.nwkRadiusSpent, from: header.source)
            }
            return
        }
        guard header.destination.isBroadcast || !isOfFormerChild(header, from: sender) else {
            // It sends it again once it has rejoined, and nothing that answers it gets lost.
            out.drop(.nwkUnexpected, from: sender)
            return
        }
        var onward = header
        onward.radius -= 1
        var body = FrameBuffer()
        onward.encode(into: &body)
        let length = body.count
        body.append(frame.span.extracting(payload...))
        guard onward.destination.isBroadcast else {
            sendNWK(body, headerLength: length, header: onward, at: now, into: &out)
            return
        }
        let copy = OutgoingFrame(
            content: .nwk(secured: onward.isSecured), body: body, auxiliaryOffset: length,
            destination: .short(.everyone))
        relayBroadcast(copy, onward, from: sender, at: now, into: &out)
        if onward.destination == .everyone { holdForSleepers(copy, at: now, into: &out) }
    }

    /// `speaker` has sealed the frame; nil if it is not secured.
    private mutating func receiveNWKCommand(
        _ frame: FrameBuffer, _ header: NWKHeader, from payload: Int, sender: ShortAddress,
        speaker: EUI64?, quality: UInt8, at now: Instant, into out: inout Outbox
    ) {
        let command: NWKCommand
        do {
            var reader = ByteReader(frame.span.extracting(payload...))
            command = try NWKCommand(parsing: &reader)
        } catch {
            out.drop(.nwkMalformed, from: header.source)
            return
        }
        switch command {
        case .rejoinRequest, .rejoinResponse:
            // One hop: whom the header names has sealed it.
            guard speaker == nil || speaker == header.sourceEUI64, header.source == sender else {
                out.drop(.nwkUnexpected, from: header.source)
                return
            }
        case .leave:
            guard header.source == sender else {
                out.drop(.nwkUnexpected, from: header.source)
                return
            }
        default: break
        }
        switch command {
        case .rejoinRequest(let capability):
            rejoinRequested(capability, header: header, at: now, into: &out)
        case .rejoinResponse(let address, let status):
            rejoinAnswered(address, status: status, header: header, at: now, into: &out)
        case _ where !header.isSecured: out.drop(.nwkUnsecured, from: header.source)
        case .endDeviceTimeoutRequest(let timeout):
            timeoutRequested(timeout, header: header, at: now, into: &out)
        case .linkStatus(let status):
            guard header.source == sender, configuration.role != .endDevice else {
                out.drop(.nwkUnexpected, from: header.source)
                return
            }
            linkStatusReceived(status, from: sender, quality: quality, at: now)
        case .endDeviceTimeoutResponse: keepAliveAnswered(header, at: now, into: &out)
        case .leave(let rejoin, let request, _):
            leaveReceived(
                rejoin: rejoin, request: request, header: header, speaker: speaker, at: now,
                into: &out)
        case .routeRequest(let request):
            guard header.destination.isBroadcast else {
                out.drop(.nwkUnexpected, from: header.source)
                return
            }
            routeRequested(
                request, header: header, sender: sender, quality: quality, at: now, into: &out)
        case .routeReply(let reply):
            routeReplied(reply, sender: sender, quality: quality, at: now, into: &out)
        case .networkStatus(let code, let destination):
            statusReported(code, destination: destination, from: header.source, into: &out)
        case .other: out.drop(.nwkUnexpected, from: header.source)
        }
    }
}
