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
    /// 0 for one that is free; otherwise half of an id's hash, the high one, and its place plus
    /// one. A power of two, at most two thirds of them taken: an id's is the first free one from
    /// where the other half of its hash says.
    private var slots: ContiguousArray<UInt64>

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

    private static let high: UInt64 = 0xFFFF_FFFF_0000_0000

    @inline(__always)
    private static func place(in slot: UInt64) -> Int { Int(slot & ~high) - 1 }

    /// Where it is, or where it would be put.
    private func slot(of id: EUI64) -> Int {
        let hash = Self.hash(id)
        let mask = slots.count - 1
        var at = Int(truncatingIfNeeded: hash) & mask
        while slots[at] != 0 {
            if (slots[at] ^ hash) & Self.high == 0, ids[Self.place(in: slots[at])] == id { break }
            at = (at + 1) & mask
        }
        return at
    }

    subscript(id: EUI64) -> Int? {
        let slot = slots[slot(of: id)]
        return slot == 0 ? nil : Self.place(in: slot)
    }

    /// Writes a place for each of some hundred ids: the one where it is, if it is anywhere, and
    /// perhaps somebody else's if not; -1 for some that are nowhere. Where each is looked for first
    /// is fetched for all of them together, without waiting for what is there.
    @inline(__always)
    func guess(_ ids: UnsafeBufferPointer<EUI64>, into places: UnsafeMutableBufferPointer<Int32>) {
        let (mask) = (slots.count &- 1)
        slots.withUnsafeBufferPointer { slots in
            withUnsafeTemporaryAllocation(of: UInt64.self, capacity: ids.count) { first in
                for index in 0..<ids.count {
                    first[index] = slots[Int(truncatingIfNeeded: Self.hash(ids[index])) & mask]
                }
                for index in 0..<ids.count {
                    let hash = Self.hash(ids[index])
                    var slot = first[index]
                    if slot != 0, (slot ^ hash) & Self.high != 0 {
                        var at = Int(truncatingIfNeeded: hash) & mask
                        repeat {
                            at = (at &+ 1) & mask
                            slot = slots[at]
                        } while slot != 0 && (slot ^ hash) & Self.high != 0
                    }
                    places[index] = Int32(truncatingIfNeeded: slot & ~Self.high) &- 1
                }
            }
        }
    }

    /// All ids with their places, in no order.
    var all: [(id: EUI64, place: Int)] {
        slots.compactMap { $0 == 0 ? nil : (ids[Self.place(in: $0)], Self.place(in: $0)) }
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
        slots[at] = Self.hash(id) & Self.high | UInt64(place + 1)
        if count * 3 > slots.count * 2 { grow() }
        return place
    }

    private mutating func grow() {
        let old = slots
        slots = ContiguousArray(repeating: 0, count: old.count * 2)
        for entry in old where entry != 0 { slots[slot(of: ids[Self.place(in: entry)])] = entry }
    }

    /// Its place is free, and somebody else's in future.
    mutating func remove(_ id: EUI64) {
        var hole = slot(of: id)
        guard slots[hole] != 0 else { return }
        free.append(Self.place(in: slots[hole]))
        let mask = slots.count - 1
        // Those behind it that would not be found over the hole move up.
        var at = (hole + 1) & mask
        while slots[at] != 0 {
            let hash = Self.hash(ids[Self.place(in: slots[at])])
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
