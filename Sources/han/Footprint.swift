import Glibc
import Lab

/// What a process that runs for long holds of the memory that only its start needed.
enum Footprint {
    /// Gives back the code that has been run so far. What of that is needed again is mapped again
    /// from the page cache, some 64 KiB at a time.
    ///
    /// A home may have many nodes, and reading its files takes far more code than playing one.
    static func shrink() {
        // It is only a favour: whatever cannot be found out stays as it is.
        guard let maps = try? Files.read("/proc/self/maps", limit: 1 << 20) else { return }
        for line in String(decoding: maps, as: UTF8.self).split(separator: "\n") {
            // 55d0c0a00000-55d0c2178000 r-xp 00000000 08:01 1234  /usr/bin/han
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            // Code alone is sure to be in its file as it is in memory.
            guard fields.count == 6, fields[1] == "r-xp", fields[5].hasPrefix("/") else { continue }
            let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard ends.count == 2, ends[1] > ends[0] else { continue }
            madvise(
                UnsafeMutableRawPointer(bitPattern: ends[0]), Int(ends[1] - ends[0]),
                MADV_DONTNEED)
        }
    }
}
