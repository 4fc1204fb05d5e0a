import Radio
import Wire

extension ZigbeeStack {
    // MARK: - Sending

    /// Sends a message of any length; one that has no room in a frame goes in fragments, always
    /// acknowledged, and `sent` tells under a `token` other than 0 what became of it.
    ///
    /// - Returns: false if as many as `fragmentTransfers` are under way; then nothing is sent.
    public mutating func send(
        message: [UInt8], to destination: ShortAddress, endpoint: UInt8, from source: UInt8,
        cluster: UInt16, profile: UInt16, options: SendOptions, token: UInt16 = 0,
        at now: Instant, into out: inout Outbox
    ) -> Bool {
        guard network.isUp, network.key != nil, !destination.isBroadcast else { return false }
        guard message.count > room(secured: options.contains(.linkSecured)) else {
            send(
                FrameBuffer(message), to: destination, endpoint: endpoint, from: source,
                cluster: cluster, profile: profile, options: options, token: token, at: now,
                into: &out)
            return true
        }
        guard aps.fragments.outgoing.count < configuration.network.fragmentTransfers else {
            return false
        }
        var header = APSHeader(kind: .data, counter: aps.nextCounter())
        header.isSecured = options.contains(.linkSecured)
        header.destinationEndpoint = endpoint
        header.sourceEndpoint = source
        (header.cluster, header.profile) = (cluster, profile)
        sendInFragments(message, header, to: destination, token: token, at: now, into: &out)
        pump(at: now, into: &out)
        return true
    }

    /// Bytes of a message that a frame has room for beside all headers: MAC 9, NWK 8 and 14, APS
    /// 8, codes of 4 and FCS of 2, and of APS security 5 and 4.
    func room(secured: Bool) -> Int {
        FrameBuffer.capacity - 9 - 8 - 14 - 4 - 2 - 8 - (secured ? 9 : 0)
    }

    mutating func sendInFragments(
        _ message: [UInt8], _ plain: APSHeader, to destination: ShortAddress, token: UInt16,
        at now: Instant, into out: inout Outbox
    ) {
        let settings = configuration.network
        var header = plain
        header.acknowledgementRequested = true
        var transfer = OutgoingTransfer(
            message, header, to: destination,
            // The extended header takes two bytes.
            size: max(1, min(settings.fragmentSize, room(secured: header.isSecured) - 2)),
            window: min(max(1, settings.fragmentWindow), Reassembly.widest), token: token)
        guard transfer.count <= OutgoingTransfer.fragmentLimit,
            aps.fragments.outgoing.count < settings.fragmentTransfers
        else {
            out.drop(
                transfer.count <= OutgoingTransfer.fragmentLimit ? .queueFull : .tooLong,
                from: destination)
            if token != 0 { indicate(.sent(token: token, delivered: false)) }
            return
        }
        if settings.asksTransferSize, aps.fragments.size(of: destination) == nil {
            let isAsked = aps.fragments.outgoing.contains {
                $0.destination == destination && $0.phase == .asking
            }
            transfer.phase = .asking
            // assumption: who does not tell takes it, once all tries to ask are over.
            transfer.deadline =
                now + acknowledgementWait(for: destination) * (settings.apsRetries + 1)
            aps.fragments.outgoing.append(transfer)
            if !isAsked { askTransferSize(of: destination, at: now, into: &out) }
            expectAnswers(until: now + settings.apsAckWait, at: now)
        } else {
            aps.fragments.outgoing.append(transfer)
            beginTransfer(aps.fragments.outgoing.count - 1, at: now, into: &out)
        }
    }

    /// A partner has told how much it takes.
    mutating func transferSizeTold(
        _ size: UInt16, by partner: ShortAddress, at now: Instant, into out: inout Outbox
    ) {
        aps.fragments.note(size, of: partner)
        var index = 0
        while index < aps.fragments.outgoing.count {
            let transfer = aps.fragments.outgoing[index]
            if transfer.destination == partner, transfer.phase == .asking,
                !beginTransfer(index, at: now, into: &out)
            {
                continue
            }
            index += 1
        }
    }

    /// False, and it is taken out, if its receiver does not take as much.
    @discardableResult
    private mutating func beginTransfer(
        _ index: Int, at now: Instant, into out: inout Outbox
    ) -> Bool {
        let transfer = aps.fragments.outgoing[index]
        let size = aps.fragments.size(of: transfer.destination) ?? .max
        guard transfer.bytes.count <= size else {
            endTransfer(index, delivered: false)
            out.drop(.tooLong, from: transfer.destination)
            return false
        }
        aps.fragments.outgoing[index].phase = .sending
        sendFragments(index, at: now, into: &out)
        return true
    }

    private mutating func endTransfer(_ index: Int, delivered: Bool) {
        let transfer = aps.fragments.outgoing.remove(at: index)
        if transfer.token != 0 {
            indicate(.sent(token: transfer.token, delivered: delivered))
        }
    }

    /// Sends of the window what is due, as long as there is room for it: what a sleeper has not
    /// fetched and what others need comes first.
    private mutating func sendFragments(_ index: Int, at now: Instant, into out: inout Outbox) {
        let destination = aps.fragments.outgoing[index].destination
        let spacing = configuration.network.fragmentSpacing
        repeat {
            // Who has sent all waits for the acknowledgement, however full the queues are.
            guard aps.fragments.outgoing[index].hasMoreToSend else { break }
            guard hasRoom(for: destination) else {
                aps.fragments.outgoing[index].deadline = now + max(spacing, .milliseconds(1))
                return
            }
            guard let next = aps.fragments.outgoing[index].takeNext() else { break }
            let (header, payload) = aps.fragments.outgoing[index].fragment(next)
            sendAPS(header, payload, to: destination, at: now, into: &out)
            if aps.fragments.outgoing[index].hasMoreToSend, spacing > .zero {
                aps.fragments.outgoing[index].deadline = now + spacing
                return
            }
        } while true
        aps.fragments.outgoing[index].deadline = now + acknowledgementWait(for: destination)
        expectAnswers(until: now + configuration.network.apsAckWait, at: now)
    }

    /// An acknowledgement with a bitmap.
    mutating func receiveFragmentAcknowledgement(
        _ ack: APSHeader, from source: ShortAddress, at now: Instant, into out: inout Outbox
    ) {
        let index = aps.fragments.outgoing.firstIndex { entry in
            entry.destination == source && entry.header.counter == ack.counter
                && entry.header.cluster == ack.cluster && entry.header.profile == ack.profile
                && entry.header.sourceEndpoint == ack.destinationEndpoint
                && entry.phase == .sending
        }
        guard let index, let fragment = ack.fragment, let bitmap = fragment.bitmap else {
            out.drop(.apsUnexpected, from: source)
            return
        }
        guard ack.isSecured || !aps.fragments.outgoing[index].header.isSecured else {
            out.drop(.apsUnsecured, from: source)
            return
        }
        switch aps.fragments.outgoing[index].acknowledge(
            block: Int(fragment.block), bitmap: bitmap)
        {
        case .none: break
        case .incomplete, .nextWindow: sendFragments(index, at: now, into: &out)
        case .finished: endTransfer(index, delivered: true)
        }
    }

    /// What is due of messages that go out or come in by fragments.
    mutating func stepFragments(at now: Instant, into out: inout Outbox) {
        while let index = aps.fragments.incoming.firstIndex(where: { $0.deadline <= now }) {
            let entry = aps.fragments.incoming.remove(at: index)
            out.drop(.apsReassemblyLate, from: entry.source)
        }
        while let index = aps.fragments.outgoing.firstIndex(where: { $0.deadline <= now }) {
            let transfer = aps.fragments.outgoing[index]
            if transfer.phase == .asking {
                beginTransfer(index, at: now, into: &out)
            } else if transfer.hasMoreToSend {
                sendFragments(index, at: now, into: &out)
            } else {
                retryTransfer(index, at: now, into: &out)
            }
        }
    }

    private mutating func retryTransfer(_ index: Int, at now: Instant, into out: inout Outbox) {
        let goesOn = aps.fragments.outgoing[index].tryAgain(limit: configuration.network.apsRetries)
        let transfer = aps.fragments.outgoing[index]
        out.note(
            goesOn ? .apsRetry : .apsGaveUp, UInt64(transfer.destination.rawValue),
            UInt64(transfer.header.counter), UInt64(transfer.tries))
        if goesOn {
            sendFragments(index, at: now, into: &out)
        } else {
            endTransfer(index, delivered: false)
            doubtParent(at: now)
        }
    }

    // MARK: - Receiving

    /// Whether a message goes out or comes in by fragments: a sleeper stays awake for it.
    public var isTransferring: Bool {
        !aps.fragments.outgoing.isEmpty || !aps.fragments.incoming.isEmpty
    }

    /// The next message that was put together; `reassembled` is indicated for each.
    public mutating func takeLongMessage() -> LongMessage? {
        aps.fragments.messages.isEmpty ? nil : aps.fragments.messages.removeFirst()
    }

    /// One part of a message: {first: how many there are; later: which one, from 1}.
    mutating func receiveFragment(
        _ frame: FrameBuffer, _ header: APSHeader, _ fragment: APSHeader.Fragment,
        _ nwk: NWKHeader, from payload: Int, source: EUI64?, at now: Instant,
        into out: inout Outbox
    ) {
        let isFirst = fragment.control == APSHeader.Fragment.first
        let (index, count) = isFirst ? (0, Int(fragment.block)) : (Int(fragment.block), 0)
        let body = frame.span.extracting(payload...)
        guard !nwk.destination.isBroadcast, header.delivery == .unicast, fragment.control <= 2,
            isFirst ? count > 0 : index > 0, body.count > 0
        else {
            out.drop(.apsFragment, from: nwk.source)
            return
        }
        guard hasEndpoint(header) else {
            out.drop(.apsNoEndpoint, from: nwk.source)
            return
        }
        let known = aps.fragments.incoming.firstIndex {
            $0.source == nwk.source && $0.header.counter == header.counter
        }
        if known == nil,
            let end = finished(header.counter, from: nwk.source, isFirst: isFirst, body, at: now)
        {
            let window = receivingWindow
            acknowledge(
                header, Reassembly.acknowledgement(of: index, window, end.count), to: nwk.source,
                at: now, into: &out)
            out.drop(.apsDuplicate, from: nwk.source)
            return
        }
        guard let place = known ?? open(header, nwk.source, source, index, at: now, into: &out)
        else { return }
        guard aps.fragments.incoming[place].isOf(header, source) else {
            out.drop(.apsFragmentMismatch, from: nwk.source)
            return
        }
        let verdict = aps.fragments.incoming[place].take(index, of: count, body)
        switch verdict {
        case .taken, .duplicate:
            let entry = aps.fragments.incoming[place]
            acknowledge(
                header, entry.acknowledgement(after: index, isRepeat: verdict == .duplicate),
                to: nwk.source, at: now, into: &out)
        case .contradiction: break
        case .beyond, .tooLong: if known == nil { aps.fragments.incoming.remove(at: place) }
        }
        switch verdict {
        case .taken: break
        case .duplicate: out.drop(.apsDuplicate, from: nwk.source)
        case .contradiction: out.drop(.apsFragmentMismatch, from: nwk.source)
        case .beyond: out.drop(.apsFragment, from: nwk.source)
        case .tooLong: out.drop(.tooLong, from: nwk.source)
        }
        guard verdict == .taken else { return }
        advance(place, nwk, at: now, into: &out)
    }

    private var receivingWindow: Int {
        min(max(1, configuration.network.fragmentWindow), Reassembly.widest)
    }

    /// Begins to put a message together; nil, with a drop recorded, if there are enough already.
    private mutating func open(
        _ header: APSHeader, _ source: ShortAddress, _ eui64: EUI64?, _ index: Int,
        at now: Instant, into out: inout Outbox
    ) -> Int? {
        let settings = configuration.network
        guard index < Reassembly.widest else {
            out.drop(.apsFragment, from: source)
            return nil
        }
        let incoming = aps.fragments.incoming
        let ofSource = incoming.reduce(0) { $0 + ($1.source == source ? 1 : 0) }
        guard incoming.count < settings.reassemblies, ofSource < settings.reassembliesPerPartner
        else {
            out.drop(.apsReassembliesFull, from: source)
            return nil
        }
        let expires = now + settings.reassemblyLimit
        aps.fragments.incoming.append(
            Reassembly(
                header, from: source, eui64, window: receivingWindow,
                limit: Int(settings.maximumIncomingTransfer),
                deadline: min(expires, now + settings.reassemblyWait), expires: expires))
        return aps.fragments.incoming.count - 1
    }

    private func finished(
        _ counter: UInt8, from source: ShortAddress, isFirst: Bool, _ body: Span<UInt8>,
        at now: Instant
    ) -> FinishedReassembly? {
        let digest = isFirst ? APSLayer.digest(body) : 0
        for entry in aps.fragments.finished
        where entry.source == source && entry.counter == counter && entry.expires > now
            && (!isFirst || entry.digest == digest)
        {
            return entry
        }
        return nil
    }

    private mutating func acknowledge(
        _ header: APSHeader, _ what: (block: Int, bitmap: UInt8)?, to destination: ShortAddress,
        at now: Instant, into out: inout Outbox
    ) {
        guard let what else { return }
        var ack = header.acknowledgement
        ack.fragment = APSHeader.Fragment(
            control: what.block == 0 ? APSHeader.Fragment.first : APSHeader.Fragment.later,
            block: UInt8(truncatingIfNeeded: what.block), bitmap: what.bitmap)
        sendAPS(ack, FrameBuffer(), to: destination, at: now, into: &out)
    }

    /// Goes on after a fragment was taken, and hands up the message if it is whole.
    private mutating func advance(
        _ place: Int, _ nwk: NWKHeader, at now: Instant, into out: inout Outbox
    ) {
        let settings = configuration.network
        aps.fragments.incoming[place].advance()
        let expires = aps.fragments.incoming[place].expires
        aps.fragments.incoming[place].deadline = min(expires, now + settings.reassemblyWait)
        guard aps.fragments.incoming[place].isComplete else {
            expectAnswers(until: now + settings.apsAckWait, at: now)
            return
        }
        let entry = aps.fragments.incoming.remove(at: place)
        aps.fragments.finished.removeAll {
            $0.source == entry.source && $0.counter == entry.header.counter
        }
        aps.fragments.finished.push(
            FinishedReassembly(
                source: entry.source, counter: entry.header.counter, count: entry.count,
                digest: entry.digest, expires: now + settings.apsDuplicateMemory),
            limit: Fragments.finishedLimit)
        var header = entry.header
        header.fragment = nil
        var message = APSMessage(
            source: entry.source, sourceEUI64: entry.eui64, sourceEndpoint: header.sourceEndpoint,
            destinationEndpoint: header.destinationEndpoint, cluster: header.cluster,
            profile: header.profile, isLinkSecured: header.isSecured, isBroadcast: false,
            wantedAcknowledgement: true, frame: FrameBuffer(), payload: 0)
        if entry.bytes.count <= FrameBuffer.capacity {
            message.frame = FrameBuffer(entry.bytes)
            deliver(message, header, at: now, into: &out)
        } else if isForZDO(header) {
            out.drop(.zdoUnexpected, from: entry.source)
        } else if aps.fragments.messages.append(
            LongMessage(about: message, bytes: entry.bytes), ifBelow: Fragments.messageLimit)
        {
            indicate(.reassembled)
        } else {
            out.drop(.queueFull, from: entry.source)
        }
    }
}
