import Radio
import Wire

/// How long a node's flash is busy with what it was ordered to write: all that the air needs to
/// know of it.
struct FlashTimer {
    let geometry: FlashGeometry
    /// When the last write ordered so far is done.
    private(set) var busyUntil = Instant.zero

    init(_ geometry: FlashGeometry) { self.geometry = geometry }

    /// What lies outside the part takes no time.
    mutating func program(_ count: Int, at address: Int, now: Instant) {
        guard geometry.holds(count, at: address) else { return }
        busyUntil = max(now, busyUntil) + geometry.programPerByte * count
    }

    mutating func erase(page: Int, now: Instant) {
        guard geometry.holds(page: page) else { return }
        busyUntil = max(now, busyUntil) + geometry.erasePage
    }

    mutating func cutPower(at now: Instant) { busyUntil = now }
}

extension FlashGeometry {
    func holds(_ count: Int, at address: Int) -> Bool {
        address >= 0 && count > 0 && address <= size - count
    }

    func holds(page: Int) -> Bool { page >= 0 && page < size / pageSize }
}

/// The bytes behind one node's flash port, kept by the node's carrier across its power cycles.
///
/// A write is readable at once but not safe until its time has passed: a power cut before that
/// takes it back, wholly or in part, as NOR flash would.
public final class FlashMemory {
    public let geometry: FlashGeometry
    private let bytes: UnsafeMutableRawBufferPointer
    private let isOwner: Bool
    private var sync: (() -> Void)?
    /// When the last write ordered so far is done.
    private var busyUntil = Instant.zero
    private var unfinished: ContiguousArray<Write> = []
    /// What unfinished writes overwrote, one after another.
    private var overwritten: ContiguousArray<UInt8> = []
    /// Pages that have been written to since they were last taken: a bit each.
    private var changed: ContiguousArray<UInt64>
    public private(set) var hasChanges = false

    private struct Write {
        var address: Int
        var count: Int
        var start: Instant
        var end: Instant
        var saved: Int
        var isErase: Bool
    }

    /// A part in memory, erased, or as `fill` leaves the bytes of an erased one.
    public convenience init(
        geometry: FlashGeometry, fill: (UnsafeMutableRawBufferPointer) -> Void = { _ in }
    ) {
        let bytes = UnsafeMutableRawBufferPointer.allocate(
            byteCount: geometry.size, alignment: 16)
        bytes.initializeMemory(as: UInt8.self, repeating: 0xFF)
        fill(bytes)
        self.init(geometry: geometry, bytes: bytes, isOwner: true)
    }

    /// A part in somebody else's memory, as it is: `geometry.size` bytes that outlive this.
    /// `sync` is called after each write, before the next, so that they become safe in order.
    public convenience init(
        geometry: FlashGeometry, mapped bytes: UnsafeMutableRawBufferPointer,
        sync: (() -> Void)? = nil
    ) {
        precondition(bytes.count == geometry.size)
        self.init(geometry: geometry, bytes: bytes, isOwner: false)
        self.sync = sync
    }

    private init(geometry: FlashGeometry, bytes: UnsafeMutableRawBufferPointer, isOwner: Bool) {
        self.geometry = geometry
        self.bytes = bytes
        self.isOwner = isOwner
        changed = ContiguousArray(
            repeating: 0, count: (geometry.size / geometry.pageSize + 63) / 64)
        // For what a journal erases and writes at once, so that it need not be found in mid-run.
        unfinished.reserveCapacity(32)
        overwritten.reserveCapacity(8 * geometry.pageSize)
    }

    deinit { if isOwner { bytes.deallocate() } }

    /// Carries out the writes that a node has ordered in one turn.
    public func carryOut(_ out: borrowing Outbox, at now: Instant) {
        out.actions.withUnsafeBufferPointer { actions in
            for index in actions.indices {
                switch actions[index] {
                case .program(let address, let from, let count):
                    program(out.arena, from: from, count: count, at: address, now: now)
                case .erase(let page): erase(page: page, now: now)
                default: continue
                }
                sync?()
            }
        }
    }

    /// The dice that decide what a power cut leaves of a page being erased.
    public static func dice(of node: Int, seed: Seed) -> Seed {
        seed.named("air.flash").indexed(UInt64(node))
    }

    public var view: FlashView {
        FlashView(base: UnsafeRawBufferPointer(bytes), geometry: geometry)
    }

    /// Hands out the pages that have been written to since it was last asked, by number, as they
    /// are now. Of what a power cut might still take back, the bytes are those that it has not.
    public func takeChanges(_ body: (_ page: Int, UnsafeRawBufferPointer) -> Void) {
        guard hasChanges else { return }
        hasChanges = false
        for word in changed.indices {
            var bits = changed[word]
            changed[word] = 0
            while bits != 0 {
                let page = word * 64 + bits.trailingZeroBitCount
                bits &= bits - 1
                let start = page * geometry.pageSize
                body(
                    page, UnsafeRawBufferPointer(rebasing: bytes[start..<start + geometry.pageSize])
                )
            }
        }
    }

    private func noteChange(_ address: Int, _ count: Int) {
        hasChanges = true
        let pages = address / geometry.pageSize...(address + count - 1) / geometry.pageSize
        for page in pages { changed[page >> 6] |= 1 << UInt64(page & 63) }
    }

    /// Programs `data`: bits can only be cleared. What lies outside the part is ignored.
    func program(
        _ data: borrowing ContiguousArray<UInt8>, from: Int, count: Int, at address: Int,
        now: Instant
    ) {
        let start = begin(now)
        guard geometry.holds(count, at: address), from >= 0, from <= data.count - count else {
            return
        }
        let end = start + geometry.programPerByte * count
        unfinished.append(
            Write(
                address: address, count: count, start: start, end: end,
                saved: overwritten.count, isErase: false))
        keep(address, count)
        noteChange(address, count)
        data.withUnsafeBufferPointer { data in
            for index in 0..<count { bytes[address + index] &= data[from + index] }
        }
        busyUntil = end
    }

    /// Erases page number `page`. A page outside the part is ignored.
    func erase(page: Int, now: Instant) {
        let start = begin(now)
        guard geometry.holds(page: page) else { return }
        let address = page * geometry.pageSize
        let end = start + geometry.erasePage
        unfinished.append(
            Write(
                address: address, count: geometry.pageSize, start: start, end: end,
                saved: overwritten.count, isErase: true))
        keep(address, geometry.pageSize)
        noteChange(address, geometry.pageSize)
        UnsafeMutableRawBufferPointer(rebasing: bytes[address..<address + geometry.pageSize])
            .initializeMemory(as: UInt8.self, repeating: 0xFF)
        busyUntil = end
    }

    /// Remembers what is about to be overwritten.
    private func keep(_ address: Int, _ count: Int) {
        overwritten.append(
            contentsOf: UnsafeRawBufferPointer(rebasing: bytes[address..<address + count]))
    }

    /// Takes back what had not been done at `now`. A half-programmed run keeps its finished
    /// bytes; a half-erased page is left as noise from `dice`.
    public func cutPower(at now: Instant, dice: Seed) {
        for write in unfinished.reversed() where write.end > now {
            noteChange(write.address, write.count)
            if write.start >= now {
                restore(write, from: 0)
            } else if write.isErase {
                var noise = SeededStream(
                    dice.indexed(UInt64(write.address)).indexed(UInt64(now.microseconds)))
                for index in 0..<write.count {
                    bytes[write.address + index] =
                        overwritten[write.saved + index] | UInt8(truncatingIfNeeded: noise.next())
                }
            } else {
                let perByte = max(1, geometry.programPerByte.microseconds)
                restore(write, from: Int((now - write.start).microseconds / perByte))
            }
        }
        unfinished.removeAll(keepingCapacity: true)
        overwritten.removeAll(keepingCapacity: true)
        busyUntil = now
    }

    private func restore(_ write: Write, from first: Int) {
        for index in min(first, write.count)..<write.count {
            bytes[write.address + index] = overwritten[write.saved + index]
        }
    }

    private func begin(_ now: Instant) -> Instant {
        if busyUntil <= now {
            unfinished.removeAll(keepingCapacity: true)
            overwritten.removeAll(keepingCapacity: true)
            return now
        }
        return busyUntil
    }
}
