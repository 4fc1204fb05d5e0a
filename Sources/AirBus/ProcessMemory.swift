import Glibc

/// What processes hold in memory.
public enum ProcessMemory {
    /// Resident bytes of a process; nil where /proc does not tell.
    public static func resident(of pid: pid_t) -> UInt64? {
        resident(open("/proc/\(pid)/statm", O_RDONLY | O_CLOEXEC))
    }

    /// Resident bytes of this process. Allocates nothing: an air looks many times a second.
    static var resident: UInt64? {
        let path: StaticString = "/proc/self/statm"
        return path.withUTF8Buffer { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                resident(open($0.baseAddress!, O_RDONLY | O_CLOEXEC))
            }
        }
    }

    /// The second number of a `statm`, which counts pages; closes the file.
    private static func resident(_ file: Int32) -> UInt64? {
        guard file >= 0 else { return nil }
        defer { close(file) }
        return withUnsafeTemporaryAllocation(byteCount: 128, alignment: 1) { buffer in
            let count = read(file, buffer.baseAddress, buffer.count)
            var (pages, blanks, digits) = (UInt64(0), 0, 0)
            for byte in buffer.prefix(max(0, count)) {
                switch byte {
                case UInt8(ascii: " "): blanks += 1
                case UInt8(ascii: "0")...UInt8(ascii: "9") where blanks == 1 && digits < 15:
                    pages = pages * 10 + UInt64(byte - UInt8(ascii: "0"))
                    digits += 1
                default: break
                }
            }
            guard blanks > 1, digits > 0 else { return nil }
            return pages * UInt64(sysconf(Int32(_SC_PAGESIZE)))
        }
    }
}
