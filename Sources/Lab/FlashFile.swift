import Air
import Glibc
import Radio
import Wire

/// A node's flash in a file, mapped into memory: whatever has been written is there after the
/// process is killed.
public enum FlashFile {
    /// What stands behind the flash in its file: whose it is. Layout: `HANFLASH`, then the EUI-64
    /// with its first byte first.
    private static func mark(of owner: EUI64) -> [UInt8] {
        Array("HANFLASH".utf8)
            + stride(from: 56, through: 0, by: -8).map {
                UInt8(truncatingIfNeeded: owner.rawValue >> UInt64($0))
            }
    }

    /// Opens or makes the file. A new one is as erased flash is, and appears only once whole. It is
    /// this process's alone until it ends. One that does not say yet whose it is becomes `owner`'s.
    ///
    /// - Throws: `FileError.unfit` if it is another node's.
    public static func open(
        _ path: String, _ geometry: FlashGeometry, of owner: EUI64, isDurable: Bool
    ) throws -> FlashMemory {
        let mark = mark(of: owner)
        func failed(_ what: String) -> FileError {
            .unwritable(path, reason: "\(what): \(String(cString: strerror(errno)))")
        }
        if access(path, F_OK) != 0 {
            let erased = [UInt8](repeating: 0xFF, count: geometry.size) + mark
            try Files.replace(erased, at: path, mode: 0o600, isSafe: true)
        }
        let descriptor = Glibc.open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw failed("opening it") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw FileError.unwritable(path, reason: "another node has it; name another file")
        }
        do {
            try check(descriptor, path, geometry, mark)
        } catch {
            close(descriptor)
            throw error
        }
        let base = mmap(nil, geometry.size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard base != MAP_FAILED, let base else {
            close(descriptor)
            throw failed("mapping it")
        }
        // The descriptor stays open for its lock, and the map for the flash, as long as this lives.
        let bytes = UnsafeMutableRawBufferPointer(start: base, count: geometry.size)
        return FlashMemory(
            geometry: geometry, mapped: bytes,
            sync: isDurable ? { msync(base, geometry.size, MS_SYNC) } : nil)
    }

    private static func check(
        _ descriptor: Int32, _ path: String, _ geometry: FlashGeometry, _ mark: [UInt8]
    ) throws(FileError) {
        let advice = "name another file, or remove it"
        var status = stat()
        let whole = geometry.size + mark.count
        guard fstat(descriptor, &status) == 0, (geometry.size...whole).contains(status.st_size)
        else {
            let size = max(0, status.st_size - mark.count)
            throw .unfit(
                path,
                reason: "is another node's: it has \(size) bytes of flash, and this profile "
                    + "\(geometry.size); \(advice)")
        }
        guard status.st_size == whole else {
            guard pwrite(descriptor, mark, mark.count, geometry.size) == mark.count else {
                throw .unwritable(path, reason: String(cString: strerror(errno)))
            }
            return
        }
        var found = [UInt8](repeating: 0, count: mark.count)
        guard pread(descriptor, &found, found.count, geometry.size) == found.count else {
            throw .unreadable(path, reason: String(cString: strerror(errno)))
        }
        guard found != mark else { return }
        let isMarked = found.prefix(8) == mark.prefix(8)
        let owner = isMarked ? "is the flash of \(address(in: found))" : "is no flash file of han"
        throw .unfit(path, reason: "\(owner), and not of \(address(in: mark)); \(advice)")
    }

    private static func address(in mark: [UInt8]) -> EUI64 {
        EUI64(mark[8...].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }

    /// A part in memory, erased, which the process keeps for as long as it runs. What is still
    /// erased of it costs nothing: every part of it is the same memory until it is written.
    public static func inMemory(_ geometry: FlashGeometry) throws -> FlashMemory {
        func failed(_ what: String) -> FileError {
            .unwritable("flash", reason: "\(what): \(String(cString: strerror(errno)))")
        }
        let erased = [UInt8](repeating: 0xFF, count: 64 * 1024)
        var path = Array((try PrivateFolder.root().path + "/erased-XXXXXX").utf8CString)
        let descriptor = mkstemp(&path)
        guard descriptor >= 0 else { throw failed("making a file for it") }
        defer { close(descriptor) }
        // Its name is for nobody, and the file goes with the process.
        unlink(path)
        guard write(descriptor, erased, erased.count) == erased.count else {
            throw failed("erasing it")
        }
        let access = PROT_READ | PROT_WRITE
        let base = mmap(nil, geometry.size, access, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard base != MAP_FAILED, let base else { throw failed("reserving memory for it") }
        for offset in stride(from: 0, to: geometry.size, by: erased.count) {
            let part = mmap(
                base + offset, min(erased.count, geometry.size - offset), access,
                MAP_PRIVATE | MAP_FIXED, descriptor, 0)
            guard part != MAP_FAILED else { throw failed("mapping it") }
        }
        return FlashMemory(
            geometry: geometry,
            mapped: UnsafeMutableRawBufferPointer(start: base, count: geometry.size))
    }
}
