import Radio
import Wire

/// One member of a roster, as the air knows it.
public struct AirMember: Sendable {
    public var flash: FlashGeometry
    /// The roster index at the other end of this member's WAN port.
    public var wanPeer: Int?
    /// Whether it is told of every other node's milestones.
    public var observes: Bool

    public init(flash: FlashGeometry, wanPeer: Int? = nil, observes: Bool = false) {
        self.flash = flash
        self.wanPeer = wanPeer
        self.observes = observes
    }
}

/// One input for one node, which the carrier hands over at `time`.
public struct Turn {
    public var node: Int
    public var time: Instant
    public var input: Input
    /// The number of the frame received, or 0.
    public var frame: UInt64

    public init() {
        node = 0
        time = .zero
        frame = 0
        input = .tick
    }
}

/// The air: the medium, every node's virtual radio chip, its flash and its mail, and the one
/// total order of all that happens. It knows nothing of what a node is.
///
/// A carrier takes turns from `next(until:into:)`, lets the node handle each and gives the answer
/// to `accept(_:from:nextDeadline:)`. Order: time first, then chips before nodes, then the
/// roster's order, then each node's own sequence.
public final class Air {
    public let settings: AirSettings
    public private(set) var now = Instant.zero
    public private(set) var hasEnded = false
    /// Frames that have been on the air so far, acknowledgements included.
    public private(set) var frameCount: UInt64 = 0
    public var links: LinkTable

    private let members: [AirMember]
    private let sink: EvidenceSink?
    private let backoffDice: Seed
    private let lossDice: Seed
    private let flashDice: Seed

    private let chips: Slots<Chip>
    private var medium = Medium()
    private let mailboxes: Slots<Mailbox>
    private var flash: [FlashMemory]
    private var deadlines: DeadlineTree
    private var observers: [Int]

    public init(
        members: [AirMember], settings: AirSettings, links: LinkTable, seed: Seed,
        sink: EvidenceSink?
    ) {
        precondition(!members.isEmpty && members.count < Int(UInt16.max))
        self.members = members
        self.settings = settings
        self.links = links
        self.sink = sink
        backoffDice = seed.named("air.backoff")
        lossDice = seed.named("air.loss")
        flashDice = seed.named("air.flash")
        chips = Slots(repeating: Chip(), count: members.count)
        mailboxes = Slots(repeating: Mailbox(), count: members.count)
        flash = members.map { FlashMemory(geometry: $0.flash) }
        deadlines = DeadlineTree(slots: 2 * members.count)
        observers = members.indices.filter { members[$0].observes }
        for index in members.indices {
            mailboxes[index].put(.power(true), at: .zero)
            schedule(index)
        }
    }

    public func flashView(of node: Int) -> FlashView { flash[node].view }

    public var wantsDetail: Bool { sink != nil }

    /// Writes the next input for any node into `turn`. False when the run has ended or nothing is
    /// left to happen at or before `limit`.
    public func next(until limit: Instant, into turn: inout Turn) -> Bool {
        while !hasEnded {
            let time = deadlines.firstTime
            guard time != .distantFuture, time <= limit else { return false }
            precondition(time >= now, "the air's time runs backwards")
            now = time
            let slot = deadlines.first
            if slot < chips.count {
                step(chip: slot)
                continue
            }
            let node = slot - chips.count
            if take(turn: &turn, of: node) {
                // When it is next due follows from its answer.
                turn.node = node
                turn.time = now
                return true
            }
            schedule(node)
        }
        return false
    }

    /// Carries out what `node` answered.
    public func accept(_ out: borrowing Outbox, from node: Int, nextDeadline: Instant) {
        if out.lost > 0 { note(.outputLost, node, UInt64(out.lost)) }
        // An array would hand out copies, and some actions are as big as a frame.
        out.actions.withUnsafeBufferPointer { actions in
            for index in actions.indices { carryOut(actions[index], of: out, from: node) }
        }
        let soonest = mailboxes[node].soonestWake(asked: nextDeadline, now: now)
        mailboxes[node].wake =
            mailboxes[node].isOn ? max(nextDeadline, soonest) : .distantFuture
        schedule(node)
    }

    /// Cuts or restores a node's power now.
    public func setPower(of node: Int, on: Bool) {
        mailboxes[node].put(.power(on), at: now)
        schedule(node)
    }

    // MARK: - Turns

    /// Takes what is due at `node` now; false if that is nothing for the node itself.
    private func take(turn: inout Turn, of node: Int) -> Bool {
        turn.frame = 0
        if mailboxes[node].takeReport(into: &turn) { return true }
        if let mail = mailboxes[node].takeMail(dueBy: now) {
            return open(mail, of: node, into: &turn.input)
        }
        guard mailboxes[node].wake <= now else { return false }
        mailboxes[node].lastTick = now
        turn.input = .tick
        return true
    }

    private func open(_ mail: Mailbox.Mail, of node: Int, into input: inout Input) -> Bool {
        switch mail {
        case .power(true), .restarted:
            guard !mailboxes[node].isOn else { return false }
            mailboxes[node].isOn = true
            input = .powerOn
            return true
        case .power(false):
            mailboxes[node].forgetRestart()
            cutPower(of: node)
            return false
        case .restart(let delay):
            cutPower(of: node)
            mailboxes[node].put(.restarted, at: now + delay)
            return false
        case .wan(let message): input = .wan(message)
        case .order(let order): input = .order(order)
        case .observed(let event): input = .observed(event)
        }
        return mailboxes[node].isOn
    }

    private func schedule(_ node: Int) {
        deadlines[chips.count + node] = mailboxes[node].due(now: now)
    }

    private func cutPower(of node: Int) {
        guard mailboxes[node].isOn else { return }
        mailboxes[node].switchOff()
        flash[node].cutPower(at: now, dice: flashDice.indexed(UInt64(node)))
        medium.silence(node, at: now)
        let counter = chips[node].counter
        chips[node] = Chip()
        chips[node].counter = counter
        deadlines[node] = .distantFuture
        note(.poweredOff, node)
    }

    private func note(
        _ kind: EventKind, _ node: Int, _ a: UInt64 = 0, _ b: UInt64 = 0, _ c: UInt64 = 0
    ) {
        let event = EventRecord(time: now, node: UInt16(node), kind: kind, a, b, c)
        sink?.record(event: event)
        if kind.isMilestone { tellObservers(event) }
    }

    private func tellObservers(_ event: EventRecord) {
        for observer in observers where observer != Int(event.node) {
            mailboxes[observer].put(.observed(event), at: now + settings.benchLatency)
            schedule(observer)
        }
    }

    // MARK: - What nodes ask for

    private func carryOut(_ action: Action, of out: borrowing Outbox, from node: Int) {
        switch action {
        case .configure(let configuration): configure(node, configuration)
        case .receiver(let on): setReceiver(node, on: on)
        case .pending(let address, let isPending):
            if !chips[node].setPending(address, isPending) { note(.outputLost, node, 1) }
        case .transmit(let handle, let frame, let isIndirect):
            transmit(node, frame, handle, retries: isIndirect ? 0 : settings.phy.maximumRetries)
        case .measureEnergy(let channel, let duration):
            chips[node].configuration.channel = channel
            chips[node].phase = .measuring
            chips[node].sentFrom = now
            medium.hold(from: now, to: now + duration)
            setDeadline(node, now + duration)
        case .program(let address, let from, let count):
            flash[node].program(out.arena, from: from, count: count, at: address, now: now)
        case .erase(let page): flash[node].erase(page: page, now: now)
        case .wan(let index): sendOverWAN(out.messages[index], from: node)
        case .order(let target, let index):
            guard Int(target) < members.count else { return }
            mailboxes[Int(target)].put(.order(out.orders[index]), at: now + settings.benchLatency)
            schedule(Int(target))
        case .power(let target, let on):
            guard Int(target) < members.count else { return }
            mailboxes[Int(target)].put(.power(on), at: now + settings.benchLatency)
            schedule(Int(target))
        case .link(let a, let b, let rssi, let loss):
            guard Int(a) < members.count, Int(b) < members.count else { return }
            links.set(Int(a), Int(b), Link(rssi: rssi, lossPerMillion: loss))
        case .event(let event):
            sink?.record(event: event)
            if event.kind.isMilestone { tellObservers(event) }
        case .restart(let delay):
            let written = max(now, flash[node].busyUntil)
            mailboxes[node].put(.restart(delay), at: written)
        case .endRun: hasEnded = true
        }
    }

    private func sendOverWAN(_ message: WANMessage, from node: Int) {
        guard let peer = members[node].wanPeer else { return }
        let start = max(now, flash[node].busyUntil, mailboxes[node].wanFreeAt)
        mailboxes[node].wanFreeAt = start + settings.wanPerByte * message.size
        mailboxes[peer].put(
            .wan(message), at: mailboxes[node].wanFreeAt + settings.wanLatency)
        schedule(peer)
    }

    private func configure(_ node: Int, _ configuration: RadioConfiguration) {
        let retuned = configuration.channel != chips[node].configuration.channel
        chips[node].configuration = configuration
        chips[node].isConfigured = true
        if retuned, chips[node].receiverOn { chips[node].listeningSince = now }
        setReceiver(node, on: configuration.receiverOnWhenIdle)
    }

    private func setReceiver(_ node: Int, on: Bool) {
        guard chips[node].receiverOn != on else { return }
        chips[node].receiverOn = on
        // While it sends or awaits an acknowledgement the chip looks after its receiver itself.
        guard chips[node].phase != .sending, chips[node].phase != .awaitingAck else { return }
        chips[node].listeningSince =
            on
            ? max(now, chips[node].ackEnds == .distantFuture ? now : chips[node].ackEnds)
            : .distantFuture
    }

    private func transmit(
        _ node: Int, _ frame: FrameBuffer, _ handle: UInt8, retries: Int
    ) {
        guard chips[node].phase == .idle, frame.count <= FrameBuffer.capacity - 2,
            !frame.isOverflowed, chips[node].isConfigured,
            let header = FilterHeader(frame.span)
        else {
            mailboxes[node].put(
                TransmitResult(handle: handle, status: .refused, framePending: false))
            return
        }
        chips[node].frame = frame
        chips[node].header = header
        chips[node].handle = handle
        chips[node].wantsAck = header.wantsAck && !header.isBroadcast
        chips[node].retries = 0
        chips[node].retryLimit = retries
        chips[node].counter += 1
        startCSMA(node)
    }

    // MARK: - Chips

    private func setDeadline(_ node: Int, _ deadline: Instant) {
        chips[node].deadline = deadline
        deadlines[node] = chips[node].nextDeadline
    }

    private func startCSMA(_ node: Int) {
        chips[node].phase = .assessing
        chips[node].backoffs = 0
        chips[node].backoffExponent = settings.phy.minimumBackoffExponent
        var start = max(now, chips[node].spacedUntil, flash[node].busyUntil)
        if chips[node].ackEnds != .distantFuture { start = max(start, chips[node].ackEnds) }
        backOff(node, from: start)
    }

    private func backOff(_ node: Int, from start: Instant) {
        let attempt = UInt64(chips[node].retries) << 8 | UInt64(chips[node].backoffs)
        let die = backoffDice.throwDice(UInt64(node), chips[node].counter, attempt)
        let slots = die & (1 << UInt64(chips[node].backoffExponent) - 1)
        setDeadline(node, start + settings.phy.backoff * Int(slots) + settings.phy.assessment)
    }

    private func step(chip node: Int) {
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
                handle: chips[node].handle, status: status, framePending: framePending))
        schedule(node)
    }

    private func finishMeasuring(_ node: Int) {
        let channel = chips[node].configuration.channel
        let level = medium.level(
            at: node, on: channel, from: chips[node].sentFrom, to: now, links: links)
        chips[node].phase = .idle
        setDeadline(node, .distantFuture)
        mailboxes[node].put(energy: level ?? settings.sensitivity, on: channel)
        schedule(node)
    }

    /// Hands the frame that `sender` has just ended to everybody who could hear all of it.
    private func deliver(from sender: Int, start: Instant, isAck: Bool) {
        let channel = chips[sender].configuration.channel
        guard let header = chips[sender].header else { return }
        frameCount += 1
        if sink != nil { record(sender, start, chips[sender].frame, header) }
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
            if header.wantsAck, !header.isBroadcast { acknowledge(receiver, header) }
            mailboxes[receiver].put(
                Reception(
                    frame: chips[sender].frame, rssi: link.rssi, lqi: Self.quality(link.rssi),
                    number: frameCount))
            schedule(receiver)
        }
    }

    private func isHeard(
        at receiver: Int, from sender: Int, start: Instant, _ link: Link,
        _ header: FilterHeader?
    ) -> Bool {
        let channel = chips[sender].configuration.channel
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
        guard sink != nil else { return }
        var source = ShortAddress.unassigned
        if let header, case .short(let address) = header.source { source = address }
        note(.dropped, receiver, UInt64(reason.rawValue), UInt64(source.rawValue), frameCount)
    }

    private func record(
        _ sender: Int, _ start: Instant, _ frame: FrameBuffer, _ header: FilterHeader?
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
        sink?.record(
            frame: FrameRecord(
                number: frameCount, start: start, end: now, sender: UInt16(sender),
                channel: chips[sender].configuration.channel, psdu: psdu, rssi: link?.rssi,
                lqi: link.map { Self.quality($0.rssi) }))
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
        chips[node].listeningSince = end
        if chips[node].phase == .assessing {
            // The back-off stands still while the chip is busy acknowledging.
            chips[node].deadline = max(chips[node].deadline, now) + (end - now)
        }
        medium.add(
            .init(sender: node, channel: chips[node].configuration.channel, start: start, end: end),
            now: now)
        deadlines[node] = chips[node].nextDeadline
    }

    private func finishAck(_ node: Int) {
        let end = chips[node].ackEnds
        chips[node].ackEnds = .distantFuture
        if !chips[node].receiverOn { chips[node].listeningSince = .distantFuture }
        deadlines[node] = chips[node].nextDeadline
        frameCount += 1
        let channel = chips[node].configuration.channel
        let start = Instant(
            microseconds: end.microseconds - settings.phy.airtime(5).microseconds)
        if sink != nil {
            var frame = FrameBuffer()
            frame.append(chips[node].ackPending ? 0x0012 as UInt16 : 0x0002)
            frame.append(chips[node].ackSequence)
            record(node, start, frame, nil)
        }
        for waiting in chips.indices
        where waiting != node && chips[waiting].phase == .awaitingAck
            && chips[waiting].configuration.channel == channel
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
            at: waiting, sender: node, channel: chips[node].configuration.channel, start: start,
            end: end, links: links, settings: settings)
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

extension WANMessage {
    /// Bytes it takes on the WAN, for the port's pace.
    var size: Int {
        switch self {
        case .beginImage(_, let targets, _, let versions):
            16 + 8 * targets.count + 4 * versions.count
        case .imageChunk(_, _, let bytes): 16 + bytes.count
        case .endImage, .imageStored, .imageRefused: 16
        case .activateHub: 48
        case .readVersion: 16
        }
    }
}
