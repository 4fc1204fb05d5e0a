import Crypto
import Radio
import Wire

extension ZigbeeStack {
    // MARK: - Sending

    /// Sends `payload` to an endpoint of another device, in fragments if a frame has no room for
    /// it. With a `token` other than 0 the outcome of an acknowledged transmission is indicated.
    public mutating func send(
        _ payload: FrameBuffer, to destination: ShortAddress, endpoint: UInt8,
        from source: UInt8, cluster: UInt16, profile: UInt16, options: SendOptions,
        token: UInt16 = 0, at now: Instant, into out: inout Outbox
    ) {
        guard network.isUp, network.key != nil else { return }
        var header = APSHeader(kind: .data, counter: aps.nextCounter())
        header.delivery = destination.isBroadcast ? .broadcast : .unicast
        header.isSecured = options.contains(.linkSecured)
        header.acknowledgementRequested =
            options.contains(.acknowledged) && !destination.isBroadcast
        header.destinationEndpoint = endpoint
        header.sourceEndpoint = source
        header.cluster = cluster
        header.profile = profile
        if payload.count > room(secured: header.isSecured), !destination.isBroadcast,
            !payload.isOverflowed
        {
            sendInFragments(
                payload.bytes, header, to: destination, token: token, at: now, into: &out)
            pump(at: now, into: &out)
            return
        }
        if header.acknowledgementRequested {
            let waits = aps.await(
                PendingTransmission(
                    destination: destination, header: header, payload: payload, token: token,
                    deadline: now + acknowledgementWait(for: destination)))
            if !waits { out.drop(.queueFull) }
        }
        sendAPS(header, payload, to: destination, at: now, into: &out)
        pump(at: now, into: &out)
    }

    /// A sleepy child may only fetch the frame at its next poll. To a sleeper elsewhere one is sent
    /// when it is awake, and it polls fast then.
    func acknowledgementWait(for destination: ShortAddress) -> Interval {
        let isSleepy = neighbours[destination]?.isSleepyChild ?? false
        return isSleepy
            ? max(configuration.network.apsAckWait, configuration.network.indirectPersistence)
            : configuration.network.apsAckWait
    }

    mutating func sendAPS(
        _ header: APSHeader, _ payload: FrameBuffer, to destination: ShortAddress,
        at now: Instant, into out: inout Outbox
    ) {
        let nwk = nwkHeader(.data, to: destination)
        var body = FrameBuffer()
        nwk.encode(into: &body)
        let start = body.count
        header.encode(into: &body)
        if header.isSecured {
            guard let partner = eui64(of: destination), let index = aps.linkKey(with: partner)
            else {
                out.drop(.apsNoLinkKey, from: destination)
                return
            }
            guard let counter = takeLinkCounter(index) else {
                out.drop(.counterSpent, from: destination)
                return
            }
            let auxiliary = AuxiliaryHeader(key: .data, frameCounter: counter, source: nil)
            let auxiliaryOffset = body.count
            auxiliary.encodeForSealing(into: &body)
            let secret = body.count
            body.append(payload.span)
            guard !body.isOverflowed else {
                out.drop(.tooLong)
                return
            }
            crypto.seal(
                &body, from: start, payload: secret, key: aps.linkKeys[index].key,
                nonce: CCMNonce(
                    source: configuration.eui64, counter: counter,
                    control: auxiliary.fullControl))
            body.clearSecurityLevel(at: auxiliaryOffset)
        } else {
            body.append(payload.span)
        }
        sendNWK(body, headerLength: start, header: nwk, at: now, into: &out)
    }

    /// Nil once all have been used.
    private mutating func takeLinkCounter(_ index: Int) -> UInt32? {
        let counter = aps.linkKeys[index].outgoingCounter
        guard counter < FrameCounter.end else { return nil }
        aps.linkKeys[index].outgoingCounter += 1
        reserveLinkCounters(index)
        return counter
    }

    /// As `reserveCounters`, for one link key.
    mutating func reserveLinkCounters(_ index: Int) {
        let reserved = FrameCounter.reservation(
            next: aps.linkKeys[index].outgoingCounter, reserved: aps.linkKeys[index].reservedUpTo,
            reserve: configuration.network.counterReserve)
        guard let reserved else { return }
        aps.linkKeys[index].reservedUpTo = reserved
        requestSave()
    }

    /// Sends an APS command under the link key shared with the receiver.
    mutating func sendLinkSecured(
        _ command: APSCommand, to destination: ShortAddress, at now: Instant,
        into out: inout Outbox
    ) {
        var header = APSHeader(kind: .command, counter: aps.nextCounter())
        header.isSecured = true
        var payload = FrameBuffer()
        command.encode(into: &payload)
        sendAPS(header, payload, to: destination, at: now, into: &out)
    }

    /// Sends a Transport Key under a key derived from the device's link key (ZigBee 4.4.3, 4.5.3);
    /// without NWK security where the device has no network key yet.
    mutating func sendKey(
        _ command: APSCommand, to destination: ShortAddress, linkKey index: Int, secured: Bool,
        at now: Instant, into out: inout Outbox
    ) {
        let nwk = nwkHeader(.data, to: destination, secured: secured)
        var body = FrameBuffer()
        nwk.encode(into: &body)
        let start = body.count
        guard appendSealed(command, linkKey: index, to: &body) else {
            out.drop(.counterSpent, from: destination)
            return
        }
        if !secured, let entry = returning[aps.linkKeys[index].partner], entry.router == nil,
            entry.address == destination
        {
            // Where it really is, other frames for it go on their old way.
            hand(
                body, headerLength: start, secured: false, to: destination,
                isSleepy: entry.isSleepy, at: now, into: &out)
        } else {
            sendNWK(body, headerLength: start, header: nwk, at: now, into: &out)
        }
    }

    /// Appends an APS command frame sealed with the key-transport key of a link key. False if there
    /// is no frame counter left for it.
    mutating func appendSealed(
        _ command: APSCommand, linkKey index: Int, to body: inout FrameBuffer
    ) -> Bool {
        guard let counter = takeLinkCounter(index) else { return false }
        let start = body.count
        var header = APSHeader(kind: .command, counter: aps.nextCounter())
        header.isSecured = true
        header.encode(into: &body)
        let auxiliary = AuxiliaryHeader(
            key: .keyTransport, frameCounter: counter, source: configuration.eui64)
        let auxiliaryOffset = body.count
        auxiliary.encodeForSealing(into: &body)
        let secret = body.count
        command.encode(into: &body)
        guard !body.isOverflowed else { return true }
        crypto.seal(
            &body, from: start, payload: secret, key: aps.linkKeys[index].key.keyTransportKey,
            nonce: CCMNonce(
                source: configuration.eui64, counter: counter, control: auxiliary.fullControl))
        body.clearSecurityLevel(at: auxiliaryOffset)
        return true
    }

    mutating func retryAPS(at now: Instant, into out: inout Outbox) {
        while let (entry, givenUp) = aps.retry(
            at: now, wait: configuration.network.apsAckWait, limit: configuration.network.apsRetries
        ) {
            let fields = (
                UInt64(entry.destination.rawValue), UInt64(entry.header.counter),
                UInt64(entry.tries)
            )
            if givenUp {
                out.note(.apsGaveUp, fields.0, fields.1, fields.2)
                if entry.token != 0 { indicate(.sent(token: entry.token, delivered: false)) }
                doubtParent(at: now)
            } else {
                out.note(.apsRetry, fields.0, fields.1, fields.2)
                sendAPS(entry.header, entry.payload, to: entry.destination, at: now, into: &out)
                expectAnswers(until: now + configuration.network.apsAckWait, at: now)
            }
        }
    }

    // MARK: - Receiving

    /// `frame` is opened where it is. `speaker` secured it for this hop; nil if nobody did.
    mutating func receiveAPS(
        _ frame: inout FrameBuffer, _ nwk: NWKHeader, from start: Int, sender: ShortAddress,
        speaker: EUI64?, at now: Instant, into out: inout Outbox
    ) {
        let header: APSHeader
        let headerEnd: Int
        do {
            var reader = ByteReader(frame.span.extracting(start...))
            header = try APSHeader(parsing: &reader)
            headerEnd = start + reader.offset
        } catch {
            out.drop(.apsMalformed, from: nwk.source)
            return
        }
        var payload = headerEnd
        var source = eui64(of: nwk.source)
        var key: KeyIdentifier?
        if header.isSecured {
            guard
                let opened = openAPS(
                    &frame, from: start, headerEnd: headerEnd, kind: header.kind,
                    source: &source, nwk: nwk, into: &out)
            else { return }
            (payload, key) = (opened.payload, opened.key)
            if let speaker, speaker == source, nwk.source == sender {
                // Nobody has sent it before, and it came straight from the device.
                takeBack(speaker, at: sender, now: now, into: &out)
            }
        }
        guard nwk.isSecured || (header.kind == .command && header.isSecured) else {
            out.drop(.nwkUnsecured, from: nwk.source)
            return
        }
        switch header.kind {
        case .data:
            receiveData(
                frame, header, nwk, from: payload, source: source, at: now, into: &out)
        case .command:
            receiveAPSCommand(
                frame, header, nwk, from: payload, source: source, key: key, at: now,
                into: &out)
        case .acknowledgement:
            guard header.fragment == nil else {
                receiveFragmentAcknowledgement(header, from: nwk.source, at: now, into: &out)
                return
            }
            guard let entry = aps.acknowledge(nwk.source, header) else {
                out.drop(.apsUnexpected, from: nwk.source)
                return
            }
            if entry.header.isSecured, !header.isSecured {
                // A secured frame is only acknowledged by a secured acknowledgement.
                _ = aps.await(entry)
                out.drop(.apsUnsecured, from: nwk.source)
                return
            }
            if entry.token != 0 { indicate(.sent(token: entry.token, delivered: true)) }
        }
    }

    private mutating func openAPS(
        _ frame: inout FrameBuffer, from start: Int, headerEnd: Int, kind: APSHeader.Kind,
        source: inout EUI64?, nwk: NWKHeader, into out: inout Outbox
    ) -> (payload: Int, key: KeyIdentifier)? {
        let auxiliary: AuxiliaryHeader
        let payload: Int
        do {
            var reader = ByteReader(frame.span.extracting(headerEnd...))
            auxiliary = try AuxiliaryHeader(parsing: &reader)
            payload = headerEnd + reader.offset
        } catch {
            out.drop(.apsMalformed, from: nwk.source)
            return nil
        }
        guard let partner = auxiliary.source ?? source, auxiliary.key != .network else {
            out.drop(.apsNoLinkKey, from: nwk.source)
            return nil
        }
        // The highest counter there is may not be used; keys made from a link key are for keys.
        guard auxiliary.frameCounter != .max, kind == .command || auxiliary.key == .data else {
            out.drop(auxiliary.frameCounter == .max ? .apsMalformed : .apsUnexpected)
            return nil
        }
        guard let index = aps.linkKey(with: partner) ?? preconfiguredKey(for: auxiliary) else {
            out.drop(.apsNoLinkKey, from: nwk.source)
            return nil
        }
        var failure: DropReason?
        if joiner.phase == .awaitingKey, let other = preconfiguredKey(for: auxiliary),
            other != index
        {
            // A trust centre that knows nothing of the key established with it lets a device in
            // anew under its install code's.
            let closed = frame
            failure = open(
                &frame, auxiliary, of: partner, with: index, from: start, headerEnd: headerEnd,
                payload: payload)
            if failure != nil {
                frame = closed
                failure = open(
                    &frame, auxiliary, of: partner, with: other, from: start,
                    headerEnd: headerEnd, payload: payload)
                if failure == nil { settlePreconfiguredKey(with: partner) }
            }
        } else {
            failure = open(
                &frame, auxiliary, of: partner, with: index, from: start, headerEnd: headerEnd,
                payload: payload)
        }
        if let failure {
            out.drop(failure, from: nwk.source)
            return nil
        }
        source = partner
        return (payload, auxiliary.key)
    }

    /// Opens a frame with one of the link keys, or says why it does not.
    private mutating func open(
        _ frame: inout FrameBuffer, _ auxiliary: AuxiliaryHeader, of partner: EUI64,
        with index: Int, from start: Int, headerEnd: Int, payload: Int
    ) -> DropReason? {
        let link = aps.linkKeys[index]
        guard Int64(auxiliary.frameCounter) > link.lastCounter else { return .apsReplayed }
        let key =
            switch auxiliary.key {
            case .keyTransport: link.key.keyTransportKey
            case .keyLoad: link.key.keyLoadKey
            case .data, .network: link.key
            }
        frame.fillSecurityLevel(at: headerEnd)
        guard
            crypto.open(
                &frame, from: start, payload: payload, key: key,
                nonce: CCMNonce(
                    source: partner, counter: auxiliary.frameCounter,
                    control: auxiliary.fullControl))
        else { return .apsBadMIC }
        aps.linkKeys[index].lastCounter = Int64(auxiliary.frameCounter)
        if link.partner == .unknown, aps.linkKey(with: partner) == nil {
            aps.linkKeys[index].partner = partner
        }
        return nil
    }

    /// A joining device does not know its trust centre's address yet: its install-code key
    /// stands under `EUI64.unknown` until the first key transport names it.
    private func preconfiguredKey(for auxiliary: AuxiliaryHeader) -> Int? {
        auxiliary.key == .data ? nil : aps.linkKey(with: .unknown)
    }

    private mutating func receiveData(
        _ frame: FrameBuffer, _ header: APSHeader, _ nwk: NWKHeader, from payload: Int,
        source: EUI64?, at now: Instant, into out: inout Outbox
    ) {
        if let fragment = header.fragment {
            receiveFragment(
                frame, header, fragment, nwk, from: payload, source: source, at: now, into: &out)
            return
        }
        let isBroadcast = nwk.destination.isBroadcast || header.delivery != .unicast
        if header.acknowledgementRequested, !isBroadcast {
            sendAPS(
                header.acknowledgement, FrameBuffer(), to: nwk.source, at: now, into: &out)
        }
        // Only what is acknowledged is ever sent again by APS itself.
        let isNew =
            !header.acknowledgementRequested
            || aps.admit(
                nwk.source, header.counter, frame.span.extracting(payload...), at: now,
                until: now + configuration.network.apsDuplicateMemory)
        guard isNew else {
            out.drop(.apsDuplicate, from: nwk.source)
            return
        }
        let message = APSMessage(
            source: nwk.source, sourceEUI64: source, sourceEndpoint: header.sourceEndpoint,
            destinationEndpoint: header.destinationEndpoint, cluster: header.cluster,
            profile: header.profile, isLinkSecured: header.isSecured, isBroadcast: isBroadcast,
            wantedAcknowledgement: header.acknowledgementRequested, frame: frame, payload: payload)
        deliver(message, header, at: now, into: &out)
    }

    mutating func deliver(
        _ message: APSMessage, _ header: APSHeader, at now: Instant, into out: inout Outbox
    ) {
        if isForZDO(header) {
            receiveZDO(message, at: now, into: &out)
        } else if hasEndpoint(header) {
            indicate(.message(message))
        } else {
            out.drop(.apsNoEndpoint, from: message.source)
        }
    }

    func isForZDO(_ header: APSHeader) -> Bool {
        header.destinationEndpoint == 0 && header.profile == ProfileID.zigbeeDevice
    }

    @inline(__always)
    func hasEndpoint(_ header: APSHeader) -> Bool {
        isForZDO(header) || header.destinationEndpoint == 0xFF
            || configuration.endpoints.contains { $0.endpoint == header.destinationEndpoint }
    }

    /// `key` is what it was sealed with: the link key or one made from it; nil for none.
    private mutating func receiveAPSCommand(
        _ frame: FrameBuffer, _ header: APSHeader, _ nwk: NWKHeader, from payload: Int,
        source: EUI64?, key sealing: KeyIdentifier?, at now: Instant, into out: inout Outbox
    ) {
        let command: APSCommand
        do {
            var reader = ByteReader(frame.span.extracting(payload...))
            command = try APSCommand(parsing: &reader)
        } catch {
            out.drop(.apsMalformed, from: nwk.source)
            return
        }
        switch command {
        case .transportNetworkKey(let key, let sequence, EUI64(0), let sender)
        where nwk.destination.isBroadcast:
            // A key for all comes under the old network key alone.
            guard nwk.isSecured, nwk.source == .coordinator, sender == network.trustCentre else {
                out.drop(.apsUnexpected, from: nwk.source)
                return
            }
            holdNextKey(key, sequence: sequence, into: &out)
        case .transportNetworkKey(let key, let sequence, let destination, let sender):
            // A network key only travels under the key-transport key (ZigBee 4.4.1.3).
            guard sealing == .keyTransport, destination == configuration.eui64,
                network.trustCentre == .unknown || network.trustCentre == sender,
                source == sender
            else {
                out.drop(.apsUnexpected, from: nwk.source)
                return
            }
            takeNetworkKey(key, sequence: sequence, from: sender, at: now, into: &out)
        case .updateDevice(let device, let address, let status):
            guard sealing == .data, configuration.role == .coordinator,
                maySpeak(source, at: nwk.source)
            else {
                out.drop(.apsUnexpected, from: nwk.source)
                return
            }
            deviceUpdated(
                device, address, status: status, by: nwk.source, at: now, into: &out)
        case .tunnel(let child, let inner):
            guard nwk.isSecured, source == network.trustCentre else {
                out.drop(.apsUnexpected, from: nwk.source)
                return
            }
            untunnel(inner, for: child, at: now, into: &out)
        case .switchKey(let sequence):
            guard nwk.isSecured, (source ?? eui64(of: nwk.source)) == network.trustCentre else {
                out.drop(.apsUnexpected, from: nwk.source)
                return
            }
            // Who has heard somebody use the key has switched already.
            if sequence == network.otherSequence { switchNetworkKey(into: &out) }
        case .removeDevice(let device):
            guard sealing == .data, source == network.trustCentre, configuration.role == .router
            else {
                out.drop(.apsUnexpected, from: nwk.source)
                return
            }
            removalOrdered(device, at: now, into: &out)
        case .transportLinkKey, .other: out.drop(.apsUnexpected, from: nwk.source)
        }
    }

    /// Whether the trust centre hears `device` about other devices: it is known at that address,
    /// and not as an end device.
    private func maySpeak(_ device: EUI64?, at address: ShortAddress) -> Bool {
        guard let device, eui64(of: address) == device else { return false }
        if let neighbour = neighbours[device],
            neighbour.relation == .child || neighbour.capability.isRouter
        {
            return neighbour.capability.isRouter
        }
        // Of whom the announcement was missed, more is not known: it is believed.
        guard addresses[device] != nil else { return false }
        return switch addresses.kind(of: device) {
        case .unknown, .router: true
        case .endDevice, .sleeper: false
        }
    }
}
