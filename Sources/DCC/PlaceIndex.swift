import Wire

/// Gives each id a place, from 0 on, and finds it again. A request lists fifty thousand ids, and
/// `Dictionary` would take as long to find them as libxml2 takes to parse the request.
///
/// The hash is known to everybody. Ids that are put in are those of devices that service users have
/// notified; who notifies many whose hashes are alike has look-ups of such ids take longer.
struct PlaceIndex: Sendable {
    /// By place; of a place that is free, what was there.
    private var ids: ContiguousArray<EUI64> = []
    private var free: [Int] = []
    /// 0 for one that is free; otherwise an id's place plus one, and above the bits of that the
    /// highest of the id's hash. A power of two, at most two thirds of them taken: an id's is the
    /// first free one from where the lowest bits of its hash say. At four bytes each those of a
    /// hundred thousand lie near the processor.
    private var slots: ContiguousArray<UInt32>

    init() { slots = ContiguousArray(repeating: 0, count: 16) }

    var count: Int { ids.count - free.count }

    /// The finalizer of MurmurHash3: ids that follow each other, or differ at either end only, are
    /// scattered.
    @inline(__always)
    private static func hash(_ id: EUI64) -> UInt64 {
        var value = id.rawValue
        value ^= value >> 33
        value = value &* 0xFF51_AFD7_ED55_8CCD
        value ^= value >> 33
        value = value &* 0xC4CE_B9FE_1A85_EC53
        return value ^ value >> 33
    }

    /// The bits of a slot that are of the place.
    private var placeMask: UInt32 { UInt32(truncatingIfNeeded: slots.count &- 1) }

    /// What of a hash is in a slot, where it is there, and anything in the bits of the place.
    @inline(__always)
    private static func tag(_ hash: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: hash >> 32) }

    private func place(in slot: UInt32) -> Int { Int(slot & placeMask) - 1 }

    /// Where it is, or where it would be put.
    private func slot(of id: EUI64) -> Int {
        let hash = Self.hash(id)
        let (mask, tag) = (slots.count - 1, Self.tag(hash))
        var at = Int(truncatingIfNeeded: hash) & mask
        while slots[at] != 0 {
            if (slots[at] ^ tag) & ~placeMask == 0, ids[place(in: slots[at])] == id { break }
            at = (at + 1) & mask
        }
        return at
    }

    subscript(id: EUI64) -> Int? {
        let slot = slots[slot(of: id)]
        return slot == 0 ? nil : place(in: slot)
    }

    /// Writes a place for each of some hundred ids: the one where it is, if it is anywhere, and
    /// perhaps somebody else's; -1 for some that are nowhere. Where each is looked for first is
    /// fetched for all of them together, without waiting for what is there.
    @inline(__always)
    func guess(_ ids: UnsafeBufferPointer<EUI64>, into places: UnsafeMutableBufferPointer<Int32>) {
        let (mask, placeMask) = (slots.count &- 1, placeMask)
        slots.withUnsafeBufferPointer { slots in
            withUnsafeTemporaryAllocation(of: UInt32.self, capacity: ids.count) { first in
                for index in 0..<ids.count {
                    first[index] = slots[Int(truncatingIfNeeded: Self.hash(ids[index])) & mask]
                }
                for index in 0..<ids.count {
                    let hash = Self.hash(ids[index])
                    var slot = first[index]
                    if slot != 0, (slot ^ Self.tag(hash)) & ~placeMask != 0 {
                        var at = Int(truncatingIfNeeded: hash) & mask
                        repeat {
                            at = (at &+ 1) & mask
                            slot = slots[at]
                        } while slot != 0 && (slot ^ Self.tag(hash)) & ~placeMask != 0
                    }
                    places[index] = Int32(truncatingIfNeeded: slot & placeMask) &- 1
                }
            }
        }
    }

    /// All ids with their places, in no order.
    var all: [(id: EUI64, place: Int)] {
        slots.compactMap { $0 == 0 ? nil : (ids[place(in: $0)], place(in: $0)) }
    }

    /// The place that it gets; nil, and nothing changes, if it has one already.
    @discardableResult
    mutating func insert(_ id: EUI64) -> Int? {
        let at = slot(of: id)
        guard slots[at] == 0 else { return nil }
        let place: Int
        if let last = free.popLast() {
            place = last
            ids[place] = id
        } else {
            place = ids.count
            ids.append(id)
        }
        slots[at] = entry(id, at: place)
        if count * 3 > slots.count * 2 { grow() }
        return place
    }

    private func entry(_ id: EUI64, at place: Int) -> UInt32 {
        Self.tag(Self.hash(id)) & ~placeMask | UInt32(truncatingIfNeeded: place + 1)
    }

    private mutating func grow() {
        let old = all
        slots = ContiguousArray(repeating: 0, count: slots.count * 2)
        for (id, place) in old { slots[slot(of: id)] = entry(id, at: place) }
    }

    /// Its place is free, and somebody else's in future.
    mutating func remove(_ id: EUI64) {
        var hole = slot(of: id)
        guard slots[hole] != 0 else { return }
        free.append(place(in: slots[hole]))
        let mask = slots.count - 1
        // Those behind it that would not be found over the hole move up.
        var at = (hole + 1) & mask
        while slots[at] != 0 {
            let hash = Self.hash(ids[place(in: slots[at])])
            let wanted = Int(truncatingIfNeeded: hash) & mask
            if (at - wanted) & mask >= (at - hole) & mask {
                slots[hole] = slots[at]
                hole = at
            }
            at = (at + 1) & mask
        }
        slots[hole] = 0
    }
}
