import Radio
import Wire

/// One member of a roster, as the air knows it.
public struct AirMember: Sendable {
    public var flash: FlashGeometry
    /// The roster index at the other end of this member's WAN port.
    public var wanPeer: Int?
    /// Whether it is told of every other node's milestones. It plays no part in any network: its
    /// radio cannot be configured.
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
    /// Frames that have been on the air up to this turn, acknowledgements included.
    public var frameCount: UInt64
    /// With `powerOn`, when the power was cut: the carrier settles what that has left of the
    /// node's flash. `distantFuture` if it never was.
    public var cutAt: Instant

    public init() {
        node = 0
        time = .zero
        frame = 0
        frameCount = 0
        cutAt = .distantFuture
        input = .tick
    }
}

/// How an air's time passes.
public enum Timekeeping: Sendable, Equatable {
    /// Virtual time: the air waits for every answer that what happens next could depend on.
    case lockstep
    /// With the clock: an answer counts from when it arrives.
    case clock
}

/// What comes of asking an air to go on.
public enum Progress: Sendable, Equatable {
    /// A turn for a node.
    case turn
    /// Nothing more can happen before a node has answered.
    case owed
    /// Nothing is left to happen at or before the limit, or the run has ended.
    case rest
}

/// The air: the medium, every node's virtual radio chip, its flash and its mail, and the one
/// total order of all that happens. It knows nothing of what a node is.
///
/// A carrier takes turns from `next(until:into:)`, lets the node handle each and gives the answer
/// to `accept(_:from:nextDeadline:)`. Order: time first, then chips before nodes, then the
/// roster's order, then each node's own sequence.
///
/// Several turns may be out at once, one a node. What an outstanding answer could change waits for
/// it (`Lookahead.swift`), and evidence is brought into the order (`EvidenceOrder.swift`), so that
/// all happens as if each turn had been answered before anything else.
public final class Air {
    public let settings: AirSettings
    public let timekeeping: Timekeeping
    public internal(set) var now = Instant.zero
    public private(set) var hasEnded = false
    /// Frames that have been on the air so far, acknowledgements included.
    public internal(set) var frameCount: UInt64 = 0
    public var links: LinkTable

    let members: [AirMember]
    let evidence: EvidenceOrder?
    let backoffDice: Seed
    let lossDice: Seed

    let chips: Slots<Chip>
    var medium = Medium()
    let mailboxes: Slots<Mailbox>
    let flash: Slots<FlashTimer>
    var deadlines: DeadlineTree
    private var observers: [Int]
    /// The nodes whose turn is out, in the order in which they got it.
    var owing: ContiguousArray<Int> = []

    public init(
        members: [AirMember], settings: AirSettings, links: LinkTable, seed: Seed,
        sink: EvidenceSink?, timekeeping: Timekeeping = .lockstep
    ) {
        precondition(!members.isEmpty && members.count < Int(UInt16.max))
        self.members = members
        self.settings = settings
        self.links = links
        self.timekeeping = timekeeping
        evidence = sink.map { EvidenceOrder(sink: $0) }
        backoffDice = seed.named("air.backoff")
        lossDice = seed.named("air.loss")
        chips = Slots(repeating: Chip(), count: members.count)
        mailboxes = Slots(repeating: Mailbox(), count: members.count)
        flash = Slots(repeating: FlashTimer(members[0].flash), count: members.count)
        deadlines = DeadlineTree(slots: 2 * members.count)
        observers = members.indices.filter { members[$0].observes }
        owing.reserveCapacity(members.count)
        for index in members.indices {
            flash[index] = FlashTimer(members[index].flash)
            setPower(of: index, on: true)
        }
    }

    public var wantsDetail: Bool { evidence != nil }
    public func flashGeometry(of node: Int) -> FlashGeometry { members[node].flash }

    /// Nothing happens later, ten thousand years after the start: whoever asks for that waits for
    /// ever, and no sum of times overflows.
    public static let horizon = Instant.zero + .hours(10_000 * 365 * 24)

    /// Writes the next input for any node into `turn`, if there is one at or before `limit`. The
    /// node has the turn, and gets no other, until `accept` or `takeBack`.
    public func next(until limit: Instant, into turn: inout Turn) -> Progress {
        while !hasEnded {
            let time = deadlines.firstTime
            guard time <= Self.horizon, time <= limit else {
                return owing.isEmpty ? .rest : .owed
            }
            let slot = deadlines.first
            guard owing.isEmpty || timekeeping == .clock || mayHappen(slot, at: time) else {
                return .owed
            }
            evidence?.begin(timekeeping == .clock ? max(now, time) : time, slot)
            if slot < chips.count {
                precondition(time >= now || timekeeping == .clock, "the air's time runs backwards")
                now = max(now, time)
                step(chip: slot)
                continue
            }
            let node = slot - chips.count
            // A node's own time may lie behind while others have gone ahead of its last answer.
            let latest = max(now, time)
            now = timekeeping == .clock ? latest : time
            let isForNode = take(turn: &turn, of: node)
            if isForNode {
                turn.node = node
                turn.time = now
                turn.frameCount = frameCount
                mailboxes[node].owedSince = now
                owing.append(node)
            }
            now = latest
            schedule(node)
            if isForNode { return .turn }
        }
        return owing.isEmpty ? .rest : .owed
    }

    /// Carries out what `node` answered to its turn: as of that turn or, where time runs with the
    /// clock, as of now. What a node does without a turn counts from now; in virtual time nobody
    /// may owe an answer then.
    public func accept(_ out: borrowing Outbox, from node: Int, nextDeadline: Instant) {
        let latest = now
        endTurn(of: node)
        if out.lost > 0 { note(.outputLost, node, UInt64(out.lost)) }
        // An array would hand out copies, and some actions are as big as a frame.
        out.actions.withUnsafeBufferPointer { actions in
            for index in actions.indices { carryOut(actions[index], of: out, from: node) }
        }
        let soonest = mailboxes[node].soonestWake(asked: nextDeadline, now: now)
        mailboxes[node].wake =
            mailboxes[node].isOn ? max(nextDeadline, soonest) : .distantFuture
        now = latest
        schedule(node)
        release()
    }

    /// Carries out what a test bench does from a node's place now, beside that node's own turns; in
    /// virtual time only while the air is settled.
    public func act(_ out: borrowing Outbox, from node: Int) {
        evidence?.begin(now, chips.count + node)
        out.actions.withUnsafeBufferPointer { actions in
            for index in actions.indices { carryOut(actions[index], of: out, from: node) }
        }
        release()
    }

    /// Sends a frame, once, from a place of the roster that has no radio of its own. Whether it
    /// could: it sends one at a time.
    public func inject(_ frame: FrameBuffer, on channel: UInt8, from node: Int) -> Bool {
        guard chips[node].phase == .idle else { return false }
        evidence?.begin(now, chips.count + node)
        chips[node].configuration.channel = channel
        chips[node].isConfigured = true
        transmit(node, frame, 0, retries: 0)
        // Nobody waits for its acknowledgement.
        chips[node].wantsAck = false
        return true
    }

    /// The node's software is gone: word of that goes round, and its power is cut now.
    public func lose(_ node: Int, _ reason: RefusalReason) {
        evidence?.begin(now, chips.count + node)
        note(.nodeLost, node, UInt64(reason.rawValue))
        setPower(of: node, on: false)
        release()
    }

    /// Whether every turn has been answered.
    public var isSettled: Bool { owing.isEmpty }
    /// When the next thing is due.
    public var nextTime: Instant { deadlines.firstTime }

    /// What is on its way to a node over the WAN, in order.
    public func wanMail(for node: Int) -> [WANMessage] { mailboxes[node].wanMail }

    /// The node will not answer its turn: it is gone, and is not woken any more. Nothing else is
    /// done to it.
    public func takeBack(from node: Int) {
        let latest = now
        endTurn(of: node)
        // It may lie before now, where others have gone ahead, and would come again and again.
        mailboxes[node].wake = .distantFuture
        now = latest
        schedule(node)
        release()
    }

    /// Whether so much waits for the node that nothing more is to be sent to it for the moment.
    public func isFull(_ node: Int) -> Bool { mailboxes[node].isFull }

    /// Whether what happens now comes after all that has happened: with the clock it always does.
    var recordsInOrder: Bool { owing.isEmpty || timekeeping == .clock }

    /// Whether the node has a turn that it has not answered.
    public func owes(_ node: Int) -> Bool { mailboxes[node].owedSince != .distantFuture }
    public func isOn(_ node: Int) -> Bool { mailboxes[node].isOn }

    /// Has the node ticked as soon as may be, whenever it has asked for that.
    public func wake(_ node: Int) {
        guard mailboxes[node].isOn else { return }
        mailboxes[node].wake = min(mailboxes[node].wake, now)
        schedule(node)
    }

    /// Lets the clock reach `time`, when nothing is left to happen before it; in virtual time only
    /// while nobody owes an answer.
    public func advance(to time: Instant) {
        guard timekeeping == .clock || owing.isEmpty, deadlines.firstTime >= time else { return }
        now = max(now, time)
        release()
    }

    /// Hands on what is still held of the evidence: nothing more is to happen.
    public func finishEvidence() { evidence?.release() }

    private func endTurn(of node: Int) {
        if let place = owing.firstIndex(of: node) {
            owing.remove(at: place)
            if timekeeping == .lockstep { now = mailboxes[node].owedSince }
            mailboxes[node].owedSince = .distantFuture
        }
        evidence?.begin(now, chips.count + node)
    }

    /// Hands on the evidence of all before which nothing can happen any more.
    private func release() {
        guard let evidence, evidence.holdsAny else { return }
        var bound = EvidenceOrder.Place(time: deadlines.firstTime, slot: deadlines.first)
        if timekeeping == .lockstep {
            for node in owing {
                let place = EvidenceOrder.Place(
                    time: mailboxes[node].owedSince, slot: chips.count + node)
                if place < bound { bound = place }
            }
        }
        evidence.release(before: bound)
    }

    /// Cuts or restores a node's power now.
    public func setPower(of node: Int, on: Bool) {
        mailboxes[node].put(.power(on), at: now, from: .init(sentAt: now, sender: node))
        schedule(node)
    }

    /// Posts something that `sender` sends now.
    private func post(_ mail: Mailbox.Mail, to node: Int, at time: Instant, from sender: Int) {
        mailboxes[node].put(mail, at: time, from: .init(sentAt: now, sender: sender))
        schedule(node)
    }

    // MARK: - Turns

    /// Takes what is due at `node` now; false if that is nothing for the node itself.
    private func take(turn: inout Turn, of node: Int) -> Bool {
        turn.frame = 0
        if mailboxes[node].reportTime <= now, mailboxes[node].takeReport(into: &turn) {
            return true
        }
        if let mail = mailboxes[node].takeMail(dueBy: now) {
            turn.cutAt = mailboxes[node].cutAt
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
            // However often it asked for one.
            mailboxes[node].forgetRestart()
            post(.restarted, to: node, at: now + delay, from: node)
            return false
        case .link(let a, let b, let link):
            links.set(a, b, link)
            return false
        case .end:
            hasEnded = true
            return false
        case .wan(let message, let sender, let sentAt, let written):
            guard wasOn(sender, from: sentAt, until: written) else { return false }
            input = .wan(message)
        case .leaves(var message, let sentAt):
            if wasOn(node, from: sentAt, until: message.time) {
                // With the clock it may be late.
                message.time = now
                evidence?.record(message: message, isInOrder: recordsInOrder)
            }
            return false
        case .order(let order): input = .order(order)
        case .observed(let event): input = .observed(event)
        }
        return mailboxes[node].isOn
    }

    /// Whether what a node sent at `sentAt`, to leave when its flash was written, has left.
    private func wasOn(_ node: Int, from sentAt: Instant, until written: Instant) -> Bool {
        let cut = mailboxes[node].cutAt
        return cut < sentAt || cut >= written
    }

    func schedule(_ node: Int) { deadlines[chips.count + node] = mailboxes[node].due }

    private func cutPower(of node: Int) {
        guard mailboxes[node].isOn else { return }
        mailboxes[node].switchOff()
        mailboxes[node].cutAt = now
        flash[node].cutPower(at: now)
        medium.silence(node, at: now)
        let counter = chips[node].counter
        chips[node] = Chip()
        chips[node].counter = counter
        deadlines[node] = .distantFuture
        note(.poweredOff, node)
    }

    func note(
        _ kind: EventKind, _ node: Int, _ a: UInt64 = 0, _ b: UInt64 = 0, _ c: UInt64 = 0
    ) {
        let event = EventRecord(time: now, node: UInt16(node), kind: kind, a, b, c)
        evidence?.record(event: event, isInOrder: recordsInOrder)
        if kind.isMilestone { tellObservers(event) }
    }

    private func tellObservers(_ event: EventRecord) {
        for observer in observers where observer != Int(event.node) {
            post(
                .observed(event), to: observer, at: now + settings.benchLatency,
                from: Int(event.node))
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
        case .program(let address, _, let count):
            flash[node].program(count, at: address, now: now)
        case .erase(let page): flash[node].erase(page: page, now: now)
        case .wan(let index): sendOverWAN(out.messages[index], from: node)
        case .order(let target, let index):
            guard Int(target) < members.count else { return }
            post(
                .order(out.orders[index]), to: Int(target), at: now + settings.benchLatency,
                from: node)
        case .power(let target, let on):
            guard Int(target) < members.count else { return }
            post(.power(on), to: Int(target), at: now + settings.benchLatency, from: node)
        case .link(let a, let b, let rssi, let loss):
            guard Int(a) < members.count, Int(b) < members.count else { return }
            post(
                .link(Int(a), Int(b), Link(rssi: rssi, lossPerMillion: loss)), to: node,
                at: now + settings.benchLatency, from: node)
        case .event(let event):
            evidence?.record(event: event, isInOrder: recordsInOrder)
            if event.kind.isMilestone { tellObservers(event) }
        case .restart(let delay):
            // It counts to the others from when a bench could tell.
            let written = max(now, flash[node].busyUntil) + settings.benchLatency
            post(.restart(delay), to: node, at: written, from: node)
        case .endRun:
            post(.end, to: node, at: now + settings.benchLatency, from: node)
        case .networkKey(let key): evidence?.record(networkKey: key, at: now)
        case .linkKey(let key, let partner):
            evidence?.record(linkKey: key, of: partner, at: now)
        }
    }

    /// Bytes that may wait at one end of the WAN: more than any image has.
    private static let wanBacklog = 16 << 20

    private func sendOverWAN(_ message: WANMessage, from node: Int) {
        guard let peer = members[node].wanPeer else { return }
        let ready = max(now, flash[node].busyUntil)
        guard mailboxes[node].wanFreeAt - ready <= settings.wanPerByte * Self.wanBacklog else {
            note(.outputLost, node, 1)
            return
        }
        if case .message(let device, let bytes) = message {
            let record = MessageRecord(
                time: ready, node: UInt16(node), peer: UInt16(peer), device: device, bytes: bytes)
            if ready > now, evidence != nil {
                post(.leaves(record, sentAt: now), to: node, at: ready, from: node)
            } else {
                evidence?.record(message: record, isInOrder: recordsInOrder)
            }
        }
        let start = max(ready, mailboxes[node].wanFreeAt)
        mailboxes[node].wanFreeAt = start + settings.wanPerByte * message.size
        post(
            .wan(message, from: node, sentAt: now, written: ready), to: peer,
            at: mailboxes[node].wanFreeAt + settings.wanLatency, from: node)
    }

    private func configure(_ node: Int, _ configuration: RadioConfiguration) {
        guard !members[node].observes else { return }
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
            ? max(now, chips[node].ackedUntil)
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
                TransmitResult(handle: handle, status: .refused, framePending: false), at: now)
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
        case .message(_, let bytes): 16 + bytes.count
        }
    }
}
