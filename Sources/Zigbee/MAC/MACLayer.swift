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
    /// A second way has been looked for since its first hop failed.
    var isRerouted = false

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

    var isSecured: Bool { if case .nwk(secured: true) = content { true } else { false } }
    var isMACFrame: Bool { if case .mac = content { true } else { false } }

    enum Purpose: Sendable, Equatable {
        case none
        case poll
        case associationRequest
        case associationResponse(EUI64)
        case beaconRequest
        /// A Leave for a child that is to go: while it sleeps, it is held again.
        case removal(EUI64)
        /// A Leave for one that polls and is no child.
        case sendingAway(ShortAddress)
    }
}

/// A frame held for a child that sleeps, until it polls or the frame expires.
struct IndirectFrame: Sendable {
    var frame: OutgoingFrame
    /// As it went out the last time; empty if it has not.
    var sent = FrameBuffer()
    /// The network counter that came next then, if the frame has one.
    var nextCounter: UInt32?
    var holder: PendingAddress
    var expires: Instant
    var isOnAir = false
}

/// The MAC's queues and counters. What is in them is decided by the stack.
struct MACLayer: Sendable {
    private struct Taken {
        var kind: MACHeader.Kind
        var pan: PANID
        var source: MACAddress
        var sequence: UInt8
        var until: Instant
    }

    static let queueLimit = 24
    static let indirectLimit = 32
    static let takenLimit = 16

    var sequence: UInt8 = 0
    private var handle: UInt8 = 0
    /// Ready for the chip, first come, first served.
    private var queue = Ring<OutgoingFrame>(limit: queueLimit)
    private(set) var indirect: ContiguousArray<IndirectFrame> = []
    /// What the chip is or was last busy with; it stays here until the next frame takes its place.
    private(set) var current = OutgoingFrame(
        content: .mac, body: FrameBuffer(), destination: .none)
    private(set) var isChipFree = true
    private var inFlightIndirect: PendingAddress?
    /// NWK unicasts that failed and are to be tried again.
    private var delayed: ContiguousArray<(due: Instant, frame: OutgoingFrame)> = []
    /// Children that have polled while the chip was busy, and until when they listen.
    private var waitingPolls: ContiguousArray<(holder: PendingAddress, until: Instant)> = []
    /// Frames lately taken.
    private var taken: ContiguousArray<Taken> = []
    /// Where the oldest of them is once there are as many as are kept.
    private var oldestTaken = 0

    init(sequence: UInt8) {
        self.sequence = sequence
        indirect.reserveCapacity(Self.indirectLimit)
        delayed.reserveCapacity(Self.queueLimit)
        taken.reserveCapacity(Self.takenLimit)
    }

    mutating func nextSequence() -> UInt8 {
        sequence &+= 1
        return sequence
    }

    /// Frames that wait for the chip.
    var queued: Int {
        @inline(__always) get { queue.count }
    }

    @inline(__always)
    func heldCount(for holder: PendingAddress) -> Int {
        var count = 0
        for entry in indirect where entry.holder == holder { count += 1 }
        return count
    }

    /// False if the queue is full.
    mutating func enqueue(_ frame: OutgoingFrame) -> Bool { queue.append(frame) }

    /// Makes the next frame the `current` one: the caller transmits it under the handle returned.
    ///
    /// With `commandsOnly`, a frame of the network's own stays where it is: the radio is on
    /// another channel.
    mutating func dequeue(commandsOnly: Bool = false) -> UInt8? {
        guard isChipFree, !queue.isEmpty else { return nil }
        if commandsOnly {
            guard let index = queue.firstIndex(where: \.isMACFrame) else { return nil }
            current = queue.remove(at: index)
        } else {
            current = queue.first
            queue.removeFirst()
        }
        return nextHandle()
    }

    private mutating func nextHandle() -> UInt8 {
        isChipFree = false
        handle &+= 1
        return handle
    }

    // MARK: - Indirect

    mutating func hold(_ frame: OutgoingFrame, for holder: PendingAddress, until: Instant) -> Bool {
        indirect.append(
            IndirectFrame(frame: frame, holder: holder, expires: until),
            ifBelow: Self.indirectLimit)
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
    mutating func keepSent(_ psdu: FrameBuffer, nextCounter: UInt32, for holder: PendingAddress) {
        guard let index = indirect.firstIndex(where: { $0.holder == holder && $0.isOnAir }) else {
            return
        }
        indirect[index].sent = psdu
        indirect[index].nextCounter = indirect[index].frame.isSecured ? nextCounter : nil
    }

    mutating func rememberPoll(of holder: PendingAddress, until: Instant) {
        waitingPolls.removeAll { $0.holder == holder }
        if waitingPolls.count < Self.indirectLimit { waitingPolls.append((holder, until)) }
    }

    /// The first child that still listens for the frame its poll was promised, if the chip is
    /// free for it.
    mutating func takeWaitingPoll(at now: Instant) -> PendingAddress? {
        guard isChipFree, !waitingPolls.isEmpty else { return nil }
        while !waitingPolls.isEmpty {
            let first = waitingPolls.removeFirst()
            if first.until > now { return first.holder }
        }
        return nil
    }

    /// Makes the oldest frame held for `holder` the `current` one, as `dequeue` does; it stays held
    /// until it is acknowledged.
    mutating func release(for holder: PendingAddress, nextCounter: UInt32) -> UInt8? {
        guard isChipFree,
            let index = indirect.firstIndex(where: { $0.holder == holder && !$0.isOnAir })
        else { return nil }
        indirect[index].isOnAir = true
        inFlightIndirect = holder
        current = indirect[index].frame
        if !indirect[index].sent.isEmpty, indirect[index].nextCounter ?? nextCounter == nextCounter
        {
            current.content = .mac
            current.body = indirect[index].sent
        }
        return nextHandle()
    }

    /// Whether a frame is still held for a sleeping child, who will ask for it again.
    func holds(_ frame: OutgoingFrame) -> Bool {
        guard case .short(let address) = frame.destination else { return false }
        return holdsAny(for: .short(address))
    }

    /// The chip is done. False if the handle is not that of the frame in flight; with it, whose
    /// indirect queue is empty now.
    mutating func finish(_ result: TransmitResult) -> (isCurrent: Bool, emptied: PendingAddress?) {
        guard result.handle == handle, !isChipFree else { return (false, nil) }
        isChipFree = true
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
        return (true, emptied)
    }

    /// The frame that was to go to the chip does not: it is gone, also if it was held.
    mutating func abandonCurrent() {
        isChipFree = true
        guard let holder = inFlightIndirect else { return }
        inFlightIndirect = nil
        indirect.removeAll { $0.holder == holder && $0.isOnAir }
    }

    /// The first frame that has waited too long, taken out.
    mutating func expire(at now: Instant) -> (frame: OutgoingFrame, emptied: PendingAddress?)? {
        guard let index = indirect.firstIndex(where: { $0.expires <= now && !$0.isOnAir }) else {
            return nil
        }
        let entry = indirect.remove(at: index)
        return (entry.frame, holdsAny(for: entry.holder) ? nil : entry.holder)
    }

    /// Drops the Leaves held for somebody who is not to be sent away any more.
    mutating func dropLeaves(for address: ShortAddress) {
        dropHeld { $0.frame.purpose == .sendingAway(address) }
    }

    /// Whether a child is told to leave when it next polls.
    func holdsRemoval(of device: EUI64) -> Bool {
        indirect.contains { $0.frame.purpose == .removal(device) }
    }

    /// It may stay after all.
    mutating func forgetRemoval(of device: EUI64) {
        dropHeld { $0.frame.purpose == .removal(device) }
    }

    /// Drops everything held for a child that is gone.
    mutating func forget(_ holder: PendingAddress) {
        dropHeld { $0.holder == holder }
    }

    /// Drops frames that are held; what is on the air is not held again.
    private mutating func dropHeld(where isGone: (IndirectFrame) -> Bool) {
        indirect.removeAll { isGone($0) && !$0.isOnAir }
        for index in indirect.indices where isGone(indirect[index]) {
            indirect[index].expires = .zero
        }
    }

    /// Whether the frame has been taken before: its sender has not had the acknowledgement.
    @inline(__always)
    func hasTaken(_ header: MACHeader, at now: Instant) -> Bool {
        for entry in taken
        where entry.sequence == header.sequence && entry.until > now
            && entry.source == header.source && entry.pan == header.sourcePAN
            && entry.kind == header.kind
        {
            return true
        }
        return false
    }

    /// Notes a frame that was taken, until `expires`: so long its sender may take over its
    /// retries, and a held frame comes again with the child's next poll. Anybody can send a
    /// header: data frames are only noted once their NWK security has been found good.
    mutating func remember(_ header: MACHeader, until expires: Instant) {
        let entry = Taken(
            kind: header.kind, pan: header.sourcePAN, source: header.source,
            sequence: header.sequence, until: expires)
        if taken.count < Self.takenLimit {
            taken.append(entry)
        } else {
            taken[oldestTaken] = entry
            oldestTaken = (oldestTaken + 1) % Self.takenLimit
        }
    }

    /// Puts a failed frame aside until `due`. False if too many are waiting.
    mutating func delay(_ frame: OutgoingFrame, until due: Instant) -> Bool {
        delayed.append((due, frame), ifBelow: Self.queueLimit)
    }

    /// Puts every frame whose time has come back into the queue.
    mutating func requeueDelayed(at now: Instant) {
        while let index = delayed.firstIndex(where: { $0.due <= now }) {
            _ = enqueue(delayed.remove(at: index).frame)
        }
    }

    // Out of line, the whole layer would be copied for the call.
    @inline(__always)
    var nextExpiry: Instant {
        var first = Instant.distantFuture
        for entry in delayed where entry.due < first { first = entry.due }
        for entry in indirect where !entry.isOnAir && entry.expires < first {
            first = entry.expires
        }
        return first
    }
}
