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

    var sequence: UInt8 = 0
    private var handle: UInt8 = 0
    /// Ready for the chip, first come, first served.
    private(set) var queue: ContiguousArray<OutgoingFrame> = []
    private var head = 0
    private(set) var indirect: ContiguousArray<IndirectFrame> = []
    /// What the chip is busy with.
    private(set) var inFlight: OutgoingFrame?
    private var inFlightIndirect: PendingAddress?

    var isChipFree: Bool { inFlight == nil }
    var isQueueEmpty: Bool { head == queue.count }
    var queued: Int { queue.count - head }

    init(sequence: UInt8) {
        self.sequence = sequence
        queue.reserveCapacity(2 * Self.queueLimit)
        indirect.reserveCapacity(Self.indirectLimit)
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
    mutating func dequeue() -> (OutgoingFrame, UInt8)? {
        guard inFlight == nil, head < queue.count else { return nil }
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

    var nextExpiry: Instant {
        var first = Instant.distantFuture
        for entry in indirect where !entry.isOnAir && entry.expires < first {
            first = entry.expires
        }
        return first
    }
}
