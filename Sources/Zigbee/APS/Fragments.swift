import Wire

/// A message longer than a frame has room for, put together from its fragments.
public struct LongMessage: Sendable {
    /// Who sent it to whom, and how; its `frame` is empty.
    public var about: APSMessage
    public var bytes: [UInt8]

    public init(about: APSMessage, bytes: [UInt8]) {
        self.about = about
        self.bytes = bytes
    }
}

/// A message on its way out in fragments (ZigBee 2.2.8.4.5.1): a window of them at a time, and
/// from the window what its receiver has not acknowledged again.
struct OutgoingTransfer: Sendable {
    enum Phase: Sendable {
        /// How much the receiver takes is being asked.
        case asking
        case sending
    }

    let destination: ShortAddress
    let header: APSHeader
    let bytes: [UInt8]
    /// Bytes of the message in each fragment but the last.
    let size: Int
    let window: Int
    let token: UInt16
    var phase = Phase.sending
    /// The first fragment of the window.
    private(set) var start = 0
    /// Bit i: fragment `start` + i has been acknowledged.
    private var acknowledged: UInt8 = 0
    /// Which fragment of the window is looked at next.
    private var next = 0
    private(set) var tries = 1
    var deadline = Instant.distantFuture

    /// The most fragments that a message may have: their number is one byte.
    static let fragmentLimit = 255

    init(
        _ bytes: [UInt8], _ header: APSHeader, to destination: ShortAddress, size: Int,
        window: Int, token: UInt16
    ) {
        self.bytes = bytes
        self.header = header
        self.destination = destination
        self.size = size
        self.window = window
        self.token = token
    }

    var count: Int { (bytes.count + size - 1) / size }
    private var windowCount: Int { min(window, count - start) }
    private var fullWindow: UInt8 { UInt8(truncatingIfNeeded: (1 << windowCount) - 1) }

    /// The next fragment of the window to be sent; nil if all that is missing has been.
    mutating func takeNext() -> Int? {
        while next < windowCount {
            defer { next += 1 }
            if acknowledged & 1 << next == 0 { return start + next }
        }
        return nil
    }

    var hasMoreToSend: Bool {
        (next..<max(next, windowCount)).contains { acknowledged & 1 << $0 == 0 }
    }

    /// Sends all of the window again that is missing. False if that was done often enough.
    mutating func tryAgain(limit: Int) -> Bool {
        guard tries <= limit else { return false }
        tries += 1
        next = 0
        return true
    }

    /// The header and the payload of a fragment, counted from 0.
    func fragment(_ index: Int) -> (APSHeader, FrameBuffer) {
        var header = header
        header.fragment =
            index == 0
            ? .init(control: APSHeader.Fragment.first, block: UInt8(count))
            : .init(control: APSHeader.Fragment.later, block: UInt8(index))
        let part = bytes.span.extracting(index * size..<min(bytes.count, (index + 1) * size))
        return (header, FrameBuffer(copying: part))
    }

    enum Progress {
        case none
        /// Some are missing of what the receiver now knows to be the whole window.
        case incomplete
        case nextWindow
        case finished
    }

    /// Takes an acknowledgement: bit i of `bitmap` is for fragment `block` + i.
    mutating func acknowledge(block: Int, bitmap: UInt8) -> Progress {
        var gained: UInt8 = 0
        for bit in 0..<8 where bitmap & 1 << bit != 0 {
            let position = block + bit - start
            if 0..<windowCount ~= position { gained |= 1 << position }
        }
        let isNews = gained & ~acknowledged != 0
        acknowledged |= gained
        guard acknowledged != fullWindow else {
            start += windowCount
            (acknowledged, next, tries) = (0, 0, 1)
            return start == count ? .finished : .nextWindow
        }
        guard isNews else { return .none }
        tries = 1
        // What is still to be sent of the window cannot be missed yet.
        guard next >= windowCount, gained & 1 << (windowCount - 1) != 0 else { return .none }
        next = 0
        return .incomplete
    }
}

/// A message on its way in (ZigBee 2.2.8.4.5.2). What lies before the window is in `bytes`; of
/// the window itself the fragments stand apart until it is whole.
struct Reassembly: Sendable {
    enum Verdict {
        case taken
        /// It is there already.
        case duplicate
        /// It contradicts what is there.
        case contradiction
        /// It lies beyond the window.
        case beyond
        case tooLong
    }

    /// Fragments that an acknowledgement's bitmap has room for.
    static let widest = 8

    let source: ShortAddress
    let eui64: EUI64?
    /// Of the first of its fragments that came.
    let header: APSHeader
    let window: Int
    let limit: Int
    /// How many fragments it has; 0 until the first is there, which says so.
    private(set) var count = 0
    /// The first fragment of the window.
    private(set) var start = 0
    private var held: ContiguousArray<FrameBuffer> = []
    /// Bit i: fragment `start` + i is held.
    private var received: UInt8 = 0
    private var heldBytes = 0
    private(set) var bytes: [UInt8] = []
    /// What the first fragment says, to be told from that of another message.
    private(set) var digest: UInt64 = 0
    /// When it is given up if nothing more comes, and if it is not whole.
    var deadline: Instant
    let expires: Instant

    init(
        _ header: APSHeader, from source: ShortAddress, _ eui64: EUI64?, window: Int, limit: Int,
        deadline: Instant, expires: Instant
    ) {
        self.header = header
        self.source = source
        self.eui64 = eui64
        self.window = window
        self.limit = limit
        self.deadline = deadline
        self.expires = expires
        held = ContiguousArray(repeating: FrameBuffer(), count: Self.widest)
    }

    var isComplete: Bool { count > 0 && start == count }

    /// Whether a fragment is part of this message, as far as its header goes.
    func isOf(_ other: APSHeader, _ eui64: EUI64?) -> Bool {
        var (a, b) = (header, other)
        (a.fragment, b.fragment) = (nil, nil)
        return a == b && self.eui64 == eui64
    }

    /// Takes fragment `index`; `count` is how many there are, where it says so, else 0.
    mutating func take(_ index: Int, of count: Int, _ payload: Span<UInt8>) -> Verdict {
        guard index >= start else { return .duplicate }
        let position = index - start
        guard position < Self.widest else { return .beyond }
        if count > 0 {
            // Nothing may be held that would lie behind the end.
            guard self.count == 0 || self.count == count,
                Self.widest - received.leadingZeroBitCount <= count
            else { return .contradiction }
        }
        guard self.count == 0 || index < self.count else { return .contradiction }
        let frame = FrameBuffer(copying: payload)
        if received & 1 << position != 0 {
            return held[position] == frame ? .duplicate : .contradiction
        }
        guard bytes.count + heldBytes + frame.count <= limit else { return .tooLong }
        if count > 0 {
            self.count = count
            digest = APSLayer.digest(payload)
        }
        held[position] = frame
        heldBytes += frame.count
        received |= 1 << position
        return .taken
    }

    /// Fragments in the window.
    private var windowCount: Int { count == 0 ? window : min(window, count - start) }

    /// What to acknowledge after fragment `index` has come, again or for the first time: once it
    /// is the last of its window or fills it. A sender with a narrower window waits after each of
    /// its own, so the last of what is there is acknowledged if it comes again.
    func acknowledgement(after index: Int, isRepeat: Bool) -> (block: Int, bitmap: UInt8)? {
        guard index >= start else { return Self.acknowledgement(of: index, window, count) }
        let position = index - start
        let full = UInt8(truncatingIfNeeded: (1 << windowCount) - 1)
        let isLast =
            position >= windowCount - 1
            || (isRepeat && position == 7 - received.leadingZeroBitCount)
        return isLast || received & full == full ? (start, received) : nil
    }

    /// The same for one of a window, or a message, that is whole.
    static func acknowledgement(
        of index: Int, _ window: Int, _ count: Int
    ) -> (block: Int, bitmap: UInt8)? {
        let start = index / window * window
        let end = count == 0 ? start + window : min(start + window, count)
        guard index == end - 1 else { return nil }
        return (start, UInt8(truncatingIfNeeded: (1 << (end - start)) - 1))
    }

    /// Goes on to the next windows as long as they are whole.
    mutating func advance() {
        while count > 0, start < count {
            let whole = windowCount
            let full = UInt8(truncatingIfNeeded: (1 << whole) - 1)
            guard received & full == full else { return }
            for index in 0..<whole {
                let part = held[index].span
                for position in part.indices { bytes.append(part[position]) }
                heldBytes -= part.count
            }
            start += whole
            received = whole < 8 ? received >> whole : 0
            for index in 0..<Self.widest {
                let from = index + whole
                held[index] = from < Self.widest ? held[from] : FrameBuffer()
            }
        }
    }
}

/// A message that was put together, so that the repeats of its fragments are known as such.
struct FinishedReassembly: Sendable {
    var source: ShortAddress
    var counter: UInt8
    var count: Int
    var digest: UInt64
    var expires: Instant
}

/// The messages that go out and come in by fragments: few at a time, each with its time.
struct Fragments: Sendable {
    static let finishedLimit = 8
    static let messageLimit = 4
    static let sizeLimit = 32

    var outgoing: ContiguousArray<OutgoingTransfer> = []
    var incoming: ContiguousArray<Reassembly> = []
    var finished: ContiguousArray<FinishedReassembly> = []
    /// What was put together and not yet fetched by the application.
    var messages: ContiguousArray<LongMessage> = []
    /// The longest message that each partner takes, as it has said.
    private var sizes: ContiguousArray<(partner: ShortAddress, size: UInt16)> = []

    @inline(__always)
    var nextDeadline: Instant {
        if outgoing.isEmpty, incoming.isEmpty { return .distantFuture }
        return min(outgoing.earliest(\.deadline), incoming.earliest(\.deadline))
    }

    func size(of partner: ShortAddress) -> UInt16? {
        sizes.first { $0.partner == partner }?.size
    }

    mutating func note(_ size: UInt16, of partner: ShortAddress) {
        sizes.removeAll { $0.partner == partner }
        sizes.push((partner, size), limit: Self.sizeLimit)
    }

    /// What a device at this address takes has to be asked anew.
    mutating func forgetSize(of partner: ShortAddress) {
        guard !sizes.isEmpty else { return }
        sizes.removeAll { $0.partner == partner }
    }

    mutating func forget(_ partner: ShortAddress) {
        outgoing.removeAll { $0.destination == partner }
        incoming.removeAll { $0.source == partner }
        forgetSize(of: partner)
    }
}
