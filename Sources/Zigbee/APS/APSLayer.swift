import Wire

/// A link key this node shares with a partner, and its two frame counters.
public struct LinkKey: Sendable, Equatable {
    public var partner: EUI64
    public var key: Key128
    /// The counter of the next frame sealed with it.
    public var outgoingCounter: UInt32
    /// Below this, counters may have been used before a restart that is still to come.
    var reservedUpTo: UInt32
    /// The last counter taken from the partner; -1 for none.
    var lastCounter: Int64 = -1
    /// Where the key comes from.
    var origin = Origin.installCode

    /// Where a link key comes from; raw values stand in snapshots.
    enum Origin: UInt8, Sendable {
        case installCode = 0
        /// Established with the partner.
        case established = 1
        /// The same, before the partner was put in the device log anew: who joins anew may have
        /// nothing but its install code, and who has never left still talks under this one.
        case establishedBefore = 2
    }

    var isEstablished: Bool { origin != .installCode }

    public init(partner: EUI64, key: Key128, outgoingCounter: UInt32 = 0) {
        self.partner = partner
        self.key = key
        self.outgoingCounter = outgoingCounter
        reservedUpTo = outgoingCounter
    }
}

/// An acknowledged transmission that is not yet acknowledged.
struct PendingTransmission: Sendable {
    var destination: ShortAddress
    var header: APSHeader
    var payload: FrameBuffer
    var token: UInt16
    var tries = 1
    var deadline: Instant
}

/// The APS layer's tables and counters.
struct APSLayer: Sendable {
    static let pendingLimit = 16
    static let duplicateLimit = 32
    /// So few that a network of 64 devices, each with a key in use, still fits in one record of a
    /// hub's journal, and more than a home has devices.
    static let retiredLimit = 80

    private struct Seen {
        var source: ShortAddress
        var counter: UInt8
        var content: UInt64
        var expires: Instant
    }

    var counter: UInt8 = 0
    var linkKeys: ContiguousArray<LinkKey> = []
    /// Keys that are not in use now, with their counters, which go on if a device comes back with
    /// the same key: of devices struck off the device log, and preconfigured ones in whose place
    /// established ones have come.
    var retiredKeys: ContiguousArray<LinkKey> = []
    /// With which counter a key begins of which nothing is known: none that is not kept any more,
    /// and might be the same, has used it.
    var forgottenCounter: UInt32 = 0
    private(set) var pending: ContiguousArray<PendingTransmission> = []
    private var seen: ContiguousArray<Seen> = []
    /// Where the oldest of them is once there are as many as are kept.
    private var oldestSeen = 0
    var fragments = Fragments()

    init() {
        pending.reserveCapacity(Self.pendingLimit)
        seen.reserveCapacity(Self.duplicateLimit)
    }

    /// FNV-1a's step over words of eight bytes, the last of which may have fewer. That step alone
    /// never moves what is in a word's high bits down, where the next word could not cancel it.
    static func digest(_ bytes: Span<UInt8>) -> UInt64 {
        var digest: UInt64 = 0xCBF2_9CE4_8422_2325 ^ UInt64(bytes.count)
        // Eight bytes at a time: every acknowledged frame comes here.
        var index = 0
        while index < bytes.count {
            var word: UInt64 = 0
            for place in index..<min(index + 8, bytes.count) {
                word = word << 8 | UInt64(bytes[place])
            }
            digest = (digest ^ word) &* 0x100_0000_01B3
            digest ^= digest >> 32
            index += 8
        }
        return digest
    }

    mutating func nextCounter() -> UInt8 {
        counter &+= 1
        return counter
    }

    /// True if the frame has not been taken before; it is remembered until `expires`.
    ///
    /// A counter of eight bits comes round while frames are remembered, where its sender is busy
    /// with others: a frame that says something else is another one.
    mutating func admit(
        _ source: ShortAddress, _ counter: UInt8, _ content: Span<UInt8>, at now: Instant,
        until expires: Instant
    ) -> Bool {
        let content = Self.digest(content)
        for entry in seen
        where entry.counter == counter && entry.source == source && entry.content == content
            && entry.expires > now
        {
            return false
        }
        let entry = Seen(source: source, counter: counter, content: content, expires: expires)
        if seen.count < Self.duplicateLimit {
            seen.append(entry)
        } else {
            seen[oldestSeen] = entry
            oldestSeen = (oldestSeen + 1) % Self.duplicateLimit
        }
        return true
    }

    /// False if too many are waiting already.
    mutating func await(_ transmission: PendingTransmission) -> Bool {
        pending.append(transmission, ifBelow: Self.pendingLimit)
    }

    /// Takes out the transmission that an acknowledgement from `source` answers.
    mutating func acknowledge(_ source: ShortAddress, _ ack: APSHeader) -> PendingTransmission? {
        let index = pending.firstIndex { entry in
            entry.destination == source && entry.header.counter == ack.counter
                && (ack.acknowledgementFormat
                    || (entry.header.cluster == ack.cluster
                        && entry.header.profile == ack.profile
                        && entry.header.sourceEndpoint == ack.destinationEndpoint))
        }
        return index.map { pending.remove(at: $0) }
    }

    // Out of line, the whole layer would be copied for the call.
    @inline(__always)
    var nextDeadline: Instant {
        var first = Instant.distantFuture
        for entry in pending where entry.deadline < first { first = entry.deadline }
        return min(first, fragments.nextDeadline)
    }

    /// The first transmission whose time is up: to be tried again (kept, with a new deadline), or
    /// given up (taken out).
    mutating func retry(
        at now: Instant, wait: Interval, limit: Int
    ) -> (PendingTransmission, givenUp: Bool)? {
        guard let index = pending.firstIndex(where: { $0.deadline <= now }) else { return nil }
        guard pending[index].tries <= limit else {
            return (pending.remove(at: index), true)
        }
        pending[index].tries += 1
        pending[index].deadline = now + wait
        return (pending[index], false)
    }

    mutating func forget(_ destination: ShortAddress) {
        pending.removeAll { $0.destination == destination }
        fragments.forget(destination)
    }

    func linkKey(with partner: EUI64) -> Int? { linkKeys.firstIndex { $0.partner == partner } }
}
