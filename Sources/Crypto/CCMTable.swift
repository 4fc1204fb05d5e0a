import Wire

/// A bounded table from key to its CCM context: the keys used last are compared first, the
/// others found by open addressing. A hit allocates nothing.
final class CCMTable {
    struct Entry {
        var key: Key128
        let context: CCMContext
        /// When the key was last used, by `clock`.
        var lastUse: UInt64
    }

    private let cbc: OpaquePointer
    private let ecb: OpaquePointer
    private let entries: UnsafeMutableBufferPointer<Entry>
    private var count = 0
    /// Positions in `entries` by the key's hash; twice as many as entries, so that searches end.
    private let index: UnsafeMutableBufferPointer<UInt8>
    private let mask: Int
    private var clock: UInt64 = 0
    /// The entries of the last two different keys: a frame alternates between network and link.
    private var latest: UnsafeMutablePointer<Entry>?
    private var previous: UnsafeMutablePointer<Entry>?

    private static let vacant: UInt8 = 0xFF

    /// `capacity` is a power of two of at most 128. The ciphers must outlive the table.
    init(cbc: OpaquePointer, ecb: OpaquePointer, capacity: Int) {
        precondition(capacity <= 128 && capacity & (capacity - 1) == 0)
        self.cbc = cbc
        self.ecb = ecb
        entries = .allocate(capacity: capacity)
        index = .allocate(capacity: 2 * capacity)
        mask = 2 * capacity - 1
        index.initialize(repeating: Self.vacant)
    }

    deinit {
        for position in 0..<count { entries[position].context.release() }
        entries.deallocate()
        index.deallocate()
    }

    /// The context of `key`, valid until the next call.
    func entry(for key: Key128) -> UnsafeMutablePointer<Entry> {
        clock &+= 1
        if let entry = latest, entry.pointee.key == key {
            entry.pointee.lastUse = clock
            return entry
        }
        if let entry = previous, entry.pointee.key == key {
            entry.pointee.lastUse = clock
            previous = latest
            latest = entry
            return entry
        }
        let entry = search(key) ?? admit(key)
        entry.pointee.lastUse = clock
        previous = latest
        latest = entry
        return entry
    }

    private func search(_ key: Key128) -> UnsafeMutablePointer<Entry>? {
        let base = entries.baseAddress!
        var place = home(of: key)
        while index[place] != Self.vacant {
            let entry = base + Int(index[place])
            if entry.pointee.key == key { return entry }
            place = (place + 1) & mask
        }
        return nil
    }

    private func admit(_ key: Key128) -> UnsafeMutablePointer<Entry> {
        let base = entries.baseAddress!
        let position: Int
        if count < entries.count {
            position = count
            let entry = Entry(key: key, context: CCMContext(cbc: cbc, ecb: ecb), lastUse: clock)
            (base + position).initialize(to: entry)
            count += 1
            enter(position)
        } else {
            position = stalest()
            base[position].key = key
            // Open addressing has no cheap removal, and this is as rare as a key schedule.
            index.update(repeating: Self.vacant)
            for other in 0..<count { enter(other) }
        }
        base[position].context.setKey(key)
        return base + position
    }

    private func stalest() -> Int {
        var best = 0
        for position in 1..<count where entries[position].lastUse < entries[best].lastUse {
            best = position
        }
        return best
    }

    private func enter(_ position: Int) {
        var place = home(of: entries[position].key)
        while index[place] != Self.vacant { place = (place + 1) & mask }
        index[place] = UInt8(position)
    }

    private func home(of key: Key128) -> Int {
        let mixed = (key.high ^ (key.low << 31 | key.low >> 33)) &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: mixed >> 40) & mask
    }
}
