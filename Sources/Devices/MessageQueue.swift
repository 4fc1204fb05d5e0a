import Wire

/// Messages for one partner, in order, until its tunnel takes them.
struct MessageQueue: Sendable {
    struct Entry: Sendable {
        var bytes: [UInt8]
        var expires: Instant
        /// It was sent before, through a tunnel that the other side did not have any more.
        var isRepeat = false
    }

    private(set) var entries: [Entry] = []
    /// The stack's token of the first of them while it is on its way; 0 if none is.
    private(set) var underway: UInt16 = 0
    /// What is underway was refused.
    private var isRefused = false
    /// The last that arrived, and until when its tunnel may turn out to be none.
    private var last: (entry: Entry, until: Instant)?
    /// When the first is tried again.
    private(set) var retryAt = Instant.zero

    var isEmpty: Bool { entries.isEmpty }
    var byteCount: Int { entries.reduce(0) { $0 + $1.bytes.count } }

    /// When something is due, if there is a tunnel (`isOpen`).
    func nextDeadline(isOpen: Bool) -> Instant {
        guard !entries.isEmpty else { return .distantFuture }
        let expiry = mayExpire.reduce(Instant.distantFuture) { min($0, $1.expires) }
        return isOpen && underway == 0 ? min(expiry, retryAt) : expiry
    }

    /// False if there are as many as `limit`.
    mutating func append(_ bytes: [UInt8], expires: Instant, limit: Int) -> Bool {
        guard entries.count < limit else { return false }
        entries.append(Entry(bytes: bytes, expires: expires))
        return true
    }

    /// All but the first while it is on its way.
    private var mayExpire: ArraySlice<Entry> { entries.dropFirst(underway == 0 ? 0 : 1) }

    /// Takes out one whose time is over; not while it is on its way.
    mutating func takeExpired(at now: Instant) -> Entry? {
        guard let index = mayExpire.firstIndex(where: { $0.expires <= now }) else { return nil }
        return entries.remove(at: index)
    }

    /// The first message, if it is to be sent now.
    func due(at now: Instant) -> [UInt8]? {
        underway == 0 && retryAt <= now ? entries.first?.bytes : nil
    }

    mutating func sent(_ token: UInt16) { (underway, isRefused) = (token, false) }

    /// The first could not be sent yet.
    mutating func putOff(until: Instant) { retryAt = until }

    /// Takes out the first, which cannot be sent at all.
    mutating func dropFirst() -> Entry { entries.removeFirst() }

    /// What was on its way arrived, or did not; then it is tried again at `retry`. Its bytes if it
    /// arrived.
    mutating func settled(delivered: Bool, retry: Instant) -> [UInt8]? {
        underway = 0
        guard delivered, !isRefused, !entries.isEmpty else {
            retryAt = retry
            return nil
        }
        let entry = entries.removeFirst()
        last = (entry, retry)
        return entry.bytes
    }

    /// The other side has no such tunnel: what is on its way through it, and what it took a moment
    /// ago, is sent once more through the next.
    mutating func refused(at now: Instant) {
        isRefused = underway != 0
        defer { last = nil }
        guard let (entry, until) = last, now <= until, !entry.isRepeat else { return }
        entries.insert(entry, at: 0)
        entries[0].isRepeat = true
    }

    mutating func removeAll() -> [Entry] {
        defer { self = MessageQueue() }
        return entries
    }
}
