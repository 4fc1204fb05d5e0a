import Wire

/// The incoming NWK frame counters (ZigBee 4.3.1.2), one for each sender under the newest key that
/// it has used. They stand apart from the neighbour table: who is no neighbour any more, or never
/// found room as one, is not believed twice either.
///
/// Bounded; an entry only goes once the key it belongs to has gone.
struct IncomingCounters: Sendable {
    struct Entry: Sendable {
        var source: EUI64
        var keySequence: UInt8
        /// The lowest counter that is news.
        var next: UInt32

        /// Whether a counter is no news: it has been used, or belongs to a key that the sender has
        /// already left behind.
        func hasUsed(_ auxiliary: AuxiliaryHeader) -> Bool {
            if keySequence == auxiliary.keySequence { return auxiliary.frameCounter < next }
            return NetworkState.isNewer(keySequence, than: auxiliary.keySequence)
        }
    }

    /// More than a home has devices.
    static let limit = 96

    private(set) var entries: ContiguousArray<Entry> = []

    init() { entries.reserveCapacity(Self.limit) }

    @inline(__always)
    func index(of source: EUI64) -> Int? { entries.firstIndex { $0.source == source } }

    /// Notes a counter as used, `index` being that of its sender. False if there is no room.
    mutating func note(
        _ index: Int?, _ source: EUI64, counter: UInt32, keySequence: UInt8
    ) -> Bool {
        if let index {
            entries[index].keySequence = keySequence
            entries[index].next = counter &+ 1
            return true
        }
        guard entries.count < Self.limit else { return false }
        entries.append(Entry(source: source, keySequence: keySequence, next: counter &+ 1))
        return true
    }

    /// Forgets the counters of keys that no frame is opened with any more.
    mutating func keep(_ isKept: (UInt8) -> Bool) {
        entries.removeAll { !isKept($0.keySequence) }
    }
}
