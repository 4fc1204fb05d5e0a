import Radio
import Wire

/// What the virtual radio chips do by themselves between a node and the medium: CSMA-CA,
/// acknowledgements, retries, address filter (IEEE 802.15.4-2006 7.5).
extension Air {
    func setDeadline(_ node: Int, _ deadline: Instant) {
        chips[node].deadline = deadline
        deadlines[node] = chips[node].nextDeadline
    }

    func startCSMA(_ node: Int) {
        chips[node].phase = .assessing
        chips[node].backoffs = 0
        chips[node].backoffExponent = settings.phy.minimumBackoffExponent
        let start = max(
            max(now, chips[node].spacedUntil), max(flash[node].busyUntil, chips[node].ackedUntil))
        backOff(node, from: start)
    }

    private func backOff(_ node: Int, from start: Instant) {
        let attempt = UInt64(chips[node].retries) << 8 | UInt64(chips[node].backoffs)
        let die = backoffDice.throwDice(UInt64(node), chips[node].counter, attempt)
        let slots = die & (1 << UInt64(chips[node].backoffExponent) - 1)
        setDeadline(node, start + settings.phy.backoff * Int(slots) + settings.phy.assessment)
    }

    func step(chip node: Int) {
        if chips[node].ackEnds <= now {
            finishAck(node)
        } else {
            switch chips[node].phase {
            case .idle: setDeadline(node, .distantFuture)
            case .assessing: assess(node)
            case .sending: finishSending(node)
            case .awaitingAck: retry(node)
            case .measuring: finishMeasuring(node)
            }
        }
    }

    private func assess(_ node: Int) {
        let phy = settings.phy
        let channel = chips[node].configuration.channel
        let busy = medium.isBusy(
            for: node, on: channel,
            from: Instant(microseconds: now.microseconds - phy.assessment.microseconds), to: now,
            links: links, sensitivity: settings.sensitivity)
        guard busy else {
            chips[node].phase = .sending
            chips[node].sentFrom = now + phy.turnaround
            chips[node].sendChannel = channel
            chips[node].listeningSince = .distantFuture
            let end = chips[node].sentFrom + phy.airtime(chips[node].length)
            medium.add(
                .init(sender: node, channel: channel, start: chips[node].sentFrom, end: end),
                now: now)
            setDeadline(node, end)
            return
        }
        chips[node].backoffs += 1
        guard chips[node].backoffs <= phy.maximumBackoffs else {
            finish(node, .channelAccessFailure)
            return
        }
        chips[node].backoffExponent = min(
            chips[node].backoffExponent + 1, phy.maximumBackoffExponent)
        backOff(node, from: now)
    }

    private func finishSending(_ node: Int) {
        let length = chips[node].length
        chips[node].listeningSince =
            chips[node].receiverOn || chips[node].wantsAck ? now : .distantFuture
        deliver(
            from: node, start: chips[node].sentFrom, isAck: false)
        if chips[node].wantsAck {
            chips[node].phase = .awaitingAck
            setDeadline(node, now + settings.phy.acknowledgementWait)
        } else {
            chips[node].spacedUntil = now + settings.phy.spacing(after: length)
            finish(node, .success)
        }
    }

    private func retry(_ node: Int) {
        guard chips[node].retries < chips[node].retryLimit else {
            finish(node, .noAck)
            return
        }
        chips[node].retries += 1
        startCSMA(node)
    }

    private func finish(_ node: Int, _ status: TransmitStatus, framePending: Bool = false) {
        chips[node].phase = .idle
        if !chips[node].receiverOn { chips[node].listeningSince = .distantFuture }
        setDeadline(node, .distantFuture)
        mailboxes[node].put(
            TransmitResult(
                handle: chips[node].handle, status: status, framePending: framePending), at: now)
        schedule(node)
    }

    private func finishMeasuring(_ node: Int) {
        let channel = chips[node].configuration.channel
        let level = medium.level(
            at: node, on: channel, from: chips[node].sentFrom, to: now, links: links)
        chips[node].phase = .idle
        setDeadline(node, .distantFuture)
        mailboxes[node].put(energy: level ?? settings.sensitivity, on: channel, at: now)
        schedule(node)
    }

    /// Hands the frame that `sender` has just ended to everybody who could hear all of it.
    private func deliver(from sender: Int, start: Instant, isAck: Bool) {
        let channel = chips[sender].sendChannel
        guard let header = chips[sender].header else { return }
        frameCount += 1
        if evidence != nil { record(sender, start, on: channel, chips[sender].frame, header) }
        for receiver in chips.indices where receiver != sender {
            guard chips[receiver].isConfigured,
                chips[receiver].configuration.channel == channel
            else { continue }
            let link = links[sender, receiver]
            guard link.rssi >= settings.sensitivity, chips[receiver].accepts(header) else {
                continue
            }
            guard chips[receiver].listeningSince <= start, chips[receiver].receiverOn else {
                if !header.isBroadcast { lose(at: receiver, .receiverOff, header) }
                continue
            }
            guard isHeard(at: receiver, from: sender, start: start, link, header) else { continue }
            guard !mailboxes[receiver].isOverrun else {
                lose(at: receiver, .receiverOverrun, header)
                continue
            }
            if header.wantsAck, !header.isBroadcast { acknowledge(receiver, header) }
            mailboxes[receiver].put(
                Reception(
                    frame: chips[sender].frame, rssi: link.rssi, lqi: Self.quality(link.rssi),
                    number: frameCount), at: now)
            schedule(receiver)
        }
    }

    private func isHeard(
        at receiver: Int, from sender: Int, start: Instant, _ link: Link,
        _ header: FilterHeader?
    ) -> Bool {
        let channel = chips[sender].sendChannel
        if medium.isSpoilt(
            at: receiver, sender: sender, channel: channel, start: start, end: now,
            links: links, settings: settings)
        {
            lose(at: receiver, .collision, header)
            return false
        }
        if link.lossPerMillion > 0 {
            let attempt = chips[sender].counter << 4 | UInt64(chips[sender].retries)
            let die = lossDice.throwDice(UInt64(sender), attempt, UInt64(receiver))
            if die % 1_000_000 < UInt64(link.lossPerMillion) {
                lose(at: receiver, .linkLoss, header)
                return false
            }
        }
        return true
    }

    private func lose(at receiver: Int, _ reason: DropReason, _ header: FilterHeader?) {
        guard evidence != nil else { return }
        var source = ShortAddress.unassigned
        if let header, case .short(let address) = header.source { source = address }
        note(.dropped, receiver, UInt64(reason.rawValue), UInt64(source.rawValue), frameCount)
    }

    private func record(
        _ sender: Int, _ start: Instant, on channel: UInt8, _ frame: FrameBuffer,
        _ header: FilterHeader?
    ) {
        // Nobody but the evidence reads a frame check sequence: no chip here gets a frame that
        // came to harm.
        var psdu = frame
        psdu.append(CRC16.frameCheckSequence(frame.span))
        var link: Link?
        if let header, !header.isBroadcast {
            let addressee = chips.indices.first { index in
                index != sender && chips[index].isConfigured && chips[index].accepts(header)
            }
            link = addressee.map { links[sender, $0] }
        }
        evidence?.record(
            frame: FrameRecord(
                number: frameCount, start: start, end: now, sender: UInt16(sender),
                channel: channel, psdu: psdu, rssi: link?.rssi,
                lqi: link.map { Self.quality($0.rssi) }), isInOrder: recordsInOrder)
    }

    /// Link quality from received power: 0 at -100 dBm, 255 at -30 dBm and above.
    private static func quality(_ rssi: Int8) -> UInt8 {
        UInt8(clamping: (Int(rssi) + 100) * 255 / 70)
    }

    // MARK: - Acknowledgements

    private func acknowledge(_ node: Int, _ header: FilterHeader) {
        let start = now + settings.phy.turnaround
        let end = start + settings.phy.airtime(5)
        chips[node].ackSequence = header.sequence
        chips[node].ackPending = false
        if header.isDataRequest {
            switch header.source {
            case .none: break
            case .short(let address):
                chips[node].ackPending = chips[node].pending.contains(.short(address))
            case .extended(let eui64):
                chips[node].ackPending = chips[node].pending.contains(.extended(eui64))
            }
        }
        chips[node].ackEnds = end
        chips[node].ackedUntil = end
        chips[node].ackChannel = chips[node].configuration.channel
        chips[node].listeningSince = end
        if chips[node].phase == .assessing {
            // The back-off stands still while the chip is busy acknowledging.
            chips[node].deadline = max(chips[node].deadline, now) + (end - now)
        }
        medium.add(
            .init(sender: node, channel: chips[node].ackChannel, start: start, end: end),
            now: now)
        deadlines[node] = chips[node].nextDeadline
    }

    private func finishAck(_ node: Int) {
        let end = chips[node].ackEnds
        chips[node].ackEnds = .distantFuture
        if !chips[node].receiverOn { chips[node].listeningSince = .distantFuture }
        deadlines[node] = chips[node].nextDeadline
        frameCount += 1
        let channel = chips[node].ackChannel
        let start = Instant(
            microseconds: end.microseconds - settings.phy.airtime(5).microseconds)
        if evidence != nil {
            var frame = FrameBuffer()
            frame.append(chips[node].ackPending ? 0x0012 as UInt16 : 0x0002)
            frame.append(chips[node].ackSequence)
            record(node, start, on: channel, frame, nil)
        }
        for waiting in chips.indices
        where waiting != node && chips[waiting].phase == .awaitingAck
            && chips[waiting].sendChannel == channel
            && chips[waiting].frame[2] == chips[node].ackSequence
        {
            let link = links[node, waiting]
            guard link.rssi >= settings.sensitivity, chips[waiting].listeningSince <= start,
                isAckHeard(at: waiting, from: node, start: start, end: end, link)
            else { continue }
            chips[waiting].spacedUntil =
                now + settings.phy.spacing(after: chips[waiting].length)
            finish(waiting, .success, framePending: chips[node].ackPending)
        }
    }

    private func isAckHeard(
        at waiting: Int, from node: Int, start: Instant, end: Instant, _ link: Link
    ) -> Bool {
        if medium.isSpoilt(
            at: waiting, sender: node, channel: chips[node].ackChannel, start: start, end: end,
            links: links, settings: settings)
        {
            lose(at: waiting, .collision, nil)
            return false
        }
        guard link.lossPerMillion > 0 else { return true }
        // The frame acknowledged names the throw: acknowledgements have no counter of their own.
        let attempt =
            chips[waiting].counter << 4 | UInt64(chips[waiting].retries) | 1 << 63
        let die = lossDice.throwDice(UInt64(node), attempt, UInt64(waiting))
        guard die % 1_000_000 < UInt64(link.lossPerMillion) else { return true }
        lose(at: waiting, .linkLoss, nil)
        return false
    }
}
