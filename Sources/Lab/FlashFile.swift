import Air
import Glibc
import Radio

/// A node's flash in a file, mapped into memory: whatever has been written is there after the
/// process is killed.
public enum FlashFile {
    /// Opens or makes the file. A new one is as erased flash is, and appears only once whole. It is
    /// this process's alone until it ends.
    public static func open(
        _ path: String, _ geometry: FlashGeometry, isDurable: Bool
    ) throws -> FlashMemory {
        func failed(_ what: String) -> FileError {
            .unwritable(path, reason: "\(what): \(String(cString: strerror(errno)))")
        }
        if access(path, F_OK) != 0 {
            let erased = [UInt8](repeating: 0xFF, count: geometry.size)
            try Files.replace(erased, at: path, mode: 0o600, isSafe: true)
        }
        let descriptor = Glibc.open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw failed("opening it") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw FileError.unwritable(path, reason: "another node has it; name another file")
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size == geometry.size else {
            close(descriptor)
            throw FileError.unwritable(
                path,
                reason: "it has \(status.st_size) bytes and the flash of this profile "
                    + "\(geometry.size): it is another node's; name another file, or remove it")
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
