import Radio
import Wire

/// A frame on its way out, as it waits for the chip.
struct OutgoingFrame: Sendable {
    enum Content: Sendable {
        /// `body` is a whole MAC frame.
        case mac
        /// `body` is a NWK frame; if secured, the auxiliary header goes in at `auxiliaryOffset`
        /// and the frame is sealed when the chip takes it, so that counters leave in order.
        case nwk(secured: Bool)
    }

    var content: Content
    var body: FrameBuffer
    var auxiliaryOffset = 0
    var destination: MACAddress
    /// What the sender wants told when it is done; 0 for nothing.
    var purpose = Purpose.none
    /// How often the NWK layer has tried it again.
    var retries = 0

    /// Whether it would not fit into 127 bytes with what is still to be added: the FCS, the MAC
    /// header within one PAN, and, if secured, the auxiliary header and the integrity code.
    var isTooLong: Bool {
        let added =
            switch content {
            case .mac: 2
            case .nwk(secured: false): 2 + 9
            case .nwk(secured: true): 2 + 9 + 14 + 4
            }
        return body.isOverflowed || body.count + added > FrameBuffer.capacity
    }

    var isMACFrame: Bool { if case .mac = content { true } else { false } }

    enum Purpose: Sendable, Equatable {
        case none
        case poll
        case associationRequest
        case associationResponse(EUI64)
        case beaconRequest
    }
}

/// A frame held for a child that sleeps, until it polls or the frame expires.
struct IndirectFrame: Sendable {
    var frame: OutgoingFrame
    var holder: PendingAddress
    var expires: Instant
    var isOnAir = false
}

/// The MAC's queues and counters. What is in them is decided by the stack.
struct MACLayer: Sendable {
    static let queueLimit = 24
    static let indirectLimit = 32
    static let takenLimit = 16
    /// How long a sender may take over its retries of one frame; a held frame comes again with
    /// the child's next poll. Shorter than 256 frames of one sender take.
    static let duplicateMemory = Interval.seconds(1)

    var sequence: UInt8 = 0
    private var handle: UInt8 = 0
    /// Ready for the chip, first come, first served.
    private(set) var queue: ContiguousArray<OutgoingFrame> = []
    private var head = 0
    private(set) var indirect: ContiguousArray<IndirectFrame> = []
    /// What the chip is busy with.
    private(set) var inFlight: OutgoingFrame?
    private var inFlightIndirect: PendingAddress?
    /// NWK unicasts that failed and are to be tried again.
    private var delayed: ContiguousArray<(due: Instant, frame: OutgoingFrame)> = []
    /// Children that have polled while the chip was busy, and until when they listen.
    private var waitingPolls: ContiguousArray<(holder: PendingAddress, until: Instant)> = []
    /// Frames lately taken, by sender and sequence number.
    private var taken: ContiguousArray<(source: MACAddress, sequence: UInt8, until: Instant)> = []

    var isChipFree: Bool { inFlight == nil }
    var isQueueEmpty: Bool { head == queue.count }
    var queued: Int { queue.count - head }

    init(sequence: UInt8) {
        self.sequence = sequence
        queue.reserveCapacity(2 * Self.queueLimit)
        indirect.reserveCapacity(Self.indirectLimit)
        delayed.reserveCapacity(Self.queueLimit)
        taken.reserveCapacity(Self.takenLimit)
    }

    mutating func nextSequence() -> UInt8 {
        sequence &+= 1
        return sequence
    }

    /// False if the queue is full.
    mutating func enqueue(_ frame: OutgoingFrame) -> Bool {
        guard queued < Self.queueLimit else { return false }
        if head > 0, queue.count == 2 * Self.queueLimit {
            queue.removeFirst(head)
            head = 0
        }
        queue.append(frame)
        return true
    }

    /// Hands the next frame to the chip: the caller transmits it under the handle returned.
    ///
    /// With `commandsOnly`, a frame of the network's own stays where it is: the radio is on
    /// another channel.
    mutating func dequeue(commandsOnly: Bool = false) -> (OutgoingFrame, UInt8)? {
        guard inFlight == nil, head < queue.count else { return nil }
        if commandsOnly {
            guard let index = queue[head...].firstIndex(where: \.isMACFrame) else { return nil }
            let frame = queue.remove(at: index)
            return (frame, take(frame))
        }
        let frame = queue[head]
        head += 1
        if head == queue.count {
            queue.removeAll(keepingCapacity: true)
            head = 0
        }
        return (frame, take(frame))
    }

    private mutating func take(_ frame: OutgoingFrame) -> UInt8 {
        inFlight = frame
        handle &+= 1
        return handle
    }

    // MARK: - Indirect

    mutating func hold(_ frame: OutgoingFrame, for holder: PendingAddress, until: Instant) -> Bool {
        guard indirect.count < Self.indirectLimit else { return false }
        indirect.append(IndirectFrame(frame: frame, holder: holder, expires: until))
        return true
    }

    func holdsAny(for holder: PendingAddress) -> Bool {
        indirect.contains { $0.holder == holder }
    }

    func holdsMoreThanOne(for holder: PendingAddress) -> Bool {
        var found = false
        for entry in indirect where entry.holder == holder {
            if found { return true }
            found = true
        }
        return false
    }

    /// The frame on the air for `holder` stays held as it was sent.
    mutating func keepSealed(_ psdu: FrameBuffer, for holder: PendingAddress) {
        guard let index = indirect.firstIndex(where: { $0.holder == holder && $0.isOnAir }) else {
            return
        }
        indirect[index].frame.content = .mac
        indirect[index].frame.body = psdu
    }

    mutating func rememberPoll(of holder: PendingAddress, until: Instant) {
        waitingPolls.removeAll { $0.holder == holder }
        if waitingPolls.count < Self.indirectLimit { waitingPolls.append((holder, until)) }
    }

    /// The first child that still listens for the frame its poll was promised, if the chip is
    /// free for it.
    mutating func takeWaitingPoll(at now: Instant) -> PendingAddress? {
        guard inFlight == nil, !waitingPolls.isEmpty else { return nil }
        while !waitingPolls.isEmpty {
            let first = waitingPolls.removeFirst()
            if first.until > now { return first.holder }
        }
        return nil
    }

    /// Takes the oldest frame held for `holder` to the chip; it stays held until it is
    /// acknowledged.
    mutating func release(for holder: PendingAddress) -> (OutgoingFrame, UInt8)? {
        guard inFlight == nil,
            let index = indirect.firstIndex(where: { $0.holder == holder && !$0.isOnAir })
        else { return nil }
        indirect[index].isOnAir = true
        inFlightIndirect = holder
        let frame = indirect[index].frame
        return (frame, take(frame))
    }

    /// Whether a frame is still held for a sleeping child, who will ask for it again.
    func holds(_ frame: OutgoingFrame) -> Bool {
        guard case .short(let address) = frame.destination else { return false }
        return holdsAny(for: .short(address))
    }

    /// The chip is done. Returns what it was, if the handle is that of the frame in flight, and
    /// whose indirect queue is empty now.
    mutating func finish(_ result: TransmitResult) -> (
        frame: OutgoingFrame, emptied: PendingAddress?
    )? {
        guard result.handle == handle, let frame = inFlight else { return nil }
        inFlight = nil
        var emptied: PendingAddress?
        if let holder = inFlightIndirect {
            inFlightIndirect = nil
            if let index = indirect.firstIndex(where: { $0.holder == holder && $0.isOnAir }) {
                if result.status == .success {
                    indirect.remove(at: index)
                    if !holdsAny(for: holder) { emptied = holder }
                } else {
                    indirect[index].isOnAir = false
                }
            }
        }
        return (frame, emptied)
    }

    /// The first frame that has waited too long, taken out.
    mutating func expire(at now: Instant) -> (frame: OutgoingFrame, emptied: PendingAddress?)? {
        guard let index = indirect.firstIndex(where: { $0.expires <= now && !$0.isOnAir }) else {
            return nil
        }
        let entry = indirect.remove(at: index)
        return (entry.frame, holdsAny(for: entry.holder) ? nil : entry.holder)
    }

    /// Drops everything held for a child that is gone.
    mutating func forget(_ holder: PendingAddress) {
        indirect.removeAll { $0.holder == holder && !$0.isOnAir }
    }

    /// False if the frame has been taken before: its sender has not had the acknowledgement.
    mutating func admit(_ source: MACAddress, _ sequence: UInt8, at now: Instant) -> Bool {
        for entry in taken
        where entry.sequence == sequence && entry.until > now && entry.source == source {
            return false
        }
        if taken.count == Self.takenLimit { taken.removeFirst() }
        taken.append((source, sequence, now + Self.duplicateMemory))
        return true
    }

    /// Puts a failed frame aside until `due`. False if too many are waiting.
    mutating func delay(_ frame: OutgoingFrame, until due: Instant) -> Bool {
        guard delayed.count < Self.queueLimit else { return false }
        delayed.append((due, frame))
        return true
    }

    /// Puts every frame whose time has come back into the queue.
    mutating func requeueDelayed(at now: Instant) {
        while let index = delayed.firstIndex(where: { $0.due <= now }) {
            _ = enqueue(delayed.remove(at: index).frame)
        }
    }

    var nextExpiry: Instant {
        var first = Instant.distantFuture
        for entry in delayed where entry.due < first { first = entry.due }
        for entry in indirect where !entry.isOnAir && entry.expires < first {
            first = entry.expires
        }
        return first
    }
}
