import Radio
import Wire

/// The bytes behind one node's flash port, kept in memory across its power cycles.
///
/// A write is readable at once but not safe until its time has passed: a power cut before that
/// takes it back, wholly or in part, as NOR flash would.
final class FlashMemory {
    let geometry: FlashGeometry
    private let bytes: UnsafeMutableRawBufferPointer
    /// When the last write ordered so far is done.
    private(set) var busyUntil = Instant.zero
    private var unfinished: ContiguousArray<Write> = []
    /// What unfinished writes overwrote, one after another.
    private var overwritten: ContiguousArray<UInt8> = []

    private struct Write {
        var address: Int
        var count: Int
        var start: Instant
        var end: Instant
        var saved: Int
        var isErase: Bool
    }

    init(geometry: FlashGeometry) {
        self.geometry = geometry
        bytes = .allocate(byteCount: geometry.size, alignment: 16)
        bytes.initializeMemory(as: UInt8.self, repeating: 0xFF)
        // For what a journal erases and writes at once, so that it need not be found in mid-run.
        unfinished.reserveCapacity(32)
        overwritten.reserveCapacity(8 * geometry.pageSize)
    }

    deinit { bytes.deallocate() }

    var view: FlashView { FlashView(base: UnsafeRawBufferPointer(bytes), geometry: geometry) }

    /// Programs `data`: bits can only be cleared. What lies outside the part is ignored.
    func program(
        _ data: borrowing ContiguousArray<UInt8>, from: Int, count: Int, at address: Int,
        now: Instant
    ) {
        let start = begin(now)
        guard address >= 0, count > 0, address + count <= geometry.size else { return }
        let end = start + geometry.programPerByte * count
        unfinished.append(
            Write(
                address: address, count: count, start: start, end: end,
                saved: overwritten.count, isErase: false))
        keep(address, count)
        data.withUnsafeBufferPointer { data in
            for index in 0..<count { bytes[address + index] &= data[from + index] }
        }
        busyUntil = end
    }

    /// Erases page number `page`. A page outside the part is ignored.
    func erase(page: Int, now: Instant) {
        let start = begin(now)
        let address = page * geometry.pageSize
        guard page >= 0, address + geometry.pageSize <= geometry.size else { return }
        let end = start + geometry.erasePage
        unfinished.append(
            Write(
                address: address, count: geometry.pageSize, start: start, end: end,
                saved: overwritten.count, isErase: true))
        keep(address, geometry.pageSize)
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
    func cutPower(at now: Instant, dice: Seed) {
        for write in unfinished.reversed() where write.end > now {
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
