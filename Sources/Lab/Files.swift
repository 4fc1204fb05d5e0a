import Glibc

/// Why a file could not be read or written. The description names the file and what to do.
public enum FileError: Error, Hashable, Sendable, CustomStringConvertible {
    case missing(String)
    case isFolder(String)
    /// A device or a socket.
    case isNoFile(String)
    /// A pipe that nobody writes to.
    case silentPipe(String)
    case tooLarge(String, limit: Int)
    case unreadable(String, reason: String)
    case unwritable(String, reason: String)
    /// It is for something else than what it was given for.
    case unfit(String, reason: String)

    public var description: String {
        switch self {
        case .missing(let path): "'\(path)' does not exist; check the name and the folder"
        case .isFolder(let path): "'\(path)' is a folder; name a file in it"
        case .isNoFile(let path):
            "'\(path)' is a device or a socket; name a file, or a pipe that something writes to"
        case .silentPipe(let path):
            "'\(path)' is a pipe to which nothing was written for \(Files.patience) s; name a "
                + "file, or write to the pipe"
        case .tooLarge(let path, let limit):
            "'\(path)' has more than the \(limit) bytes that are read of such a file"
        case .unreadable(let path, let reason): "'\(path)' cannot be read: \(reason)"
        case .unwritable(let path, let reason): "'\(path)' cannot be written: \(reason)"
        case .unfit(let path, let reason): "'\(path)' \(reason)"
        }
    }
}

/// Whole files, read within a bound and written with their errors told apart.
public enum Files {
    /// How long a pipe may be silent before it is given up, in seconds.
    static let patience: Int32 = 10

    /// All bytes of a file or pipe; throws before more than `limit` bytes are held. What could
    /// block or never end is refused: a device, or a pipe that nobody writes to.
    public static func read(_ path: String, limit: Int) throws(FileError) -> [UInt8] {
        // Without O_NONBLOCK opening a pipe would wait for somebody to open its other end.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw readError(path) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw readError(path) }
        switch status.st_mode & S_IFMT {
        case S_IFREG, S_IFIFO: break
        case S_IFDIR: throw .isFolder(path)
        default: throw .isNoFile(path)
        }
        let isPipe = status.st_mode & S_IFMT == S_IFIFO
        guard status.st_size <= limit else { throw .tooLarge(path, limit: limit) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(status.st_size))
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            // An end of file means nothing before there was anybody at the other end.
            if isPipe { try awaitData(descriptor, path) }
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count >= 0 else { throw readError(path) }
            guard count > 0 else { return bytes }
            guard bytes.count + count <= limit else { throw .tooLarge(path, limit: limit) }
            bytes += chunk[..<count]
        }
    }

    private static func awaitData(_ descriptor: Int32, _ path: String) throws(FileError) {
        var waited = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while true {
            let ready = poll(&waited, 1, patience * 1000)
            if ready > 0 { return }
            guard ready == 0 || errno == EINTR else { throw readError(path) }
            if ready == 0 { throw .silentPipe(path) }
        }
    }

    /// All bytes of a small file that the system makes up as it is read, as in /proc.
    static func readVirtual(_ path: String) throws(FileError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw readError(path) }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count >= 0 else { throw readError(path) }
        return Array(bytes.prefix(count))
    }

    /// Replaces the content of a file at once: whoever reads it finds the old or the new, which has
    /// `mode` from the first moment. `isSafe` has the disk confirm it.
    public static func replace(
        _ bytes: [UInt8], at path: String, mode: mode_t = 0o644, isSafe: Bool = false
    ) throws(FileError) {
        let partial = "\(path).part"
        let descriptor = try openPartial(partial, mode: mode)
        do throws(FileError) {
            try write(bytes, to: descriptor, partial, isSafe: isSafe)
            guard rename(partial, path) == 0 else { throw writeError(path) }
        } catch {
            unlink(partial)
            close(descriptor)
            throw error
        }
        guard close(descriptor) == 0 else { throw writeError(path) }
        guard isSafe else { return }
        let slash = path.lastIndex(of: "/")
        let folder = open(
            slash.map { String(path[...$0]) } ?? ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { return }
        // Some file systems cannot; then the name is as safe as they make it.
        fsync(folder)
        close(folder)
    }

    /// An empty file of this process's alone, until it is closed. What a process left there that
    /// was killed is used again; whoever else is about the same file is waited for.
    private static func openPartial(_ path: String, mode: mode_t) throws(FileError) -> Int32 {
        while true {
            let descriptor = open(
                path, O_WRONLY | O_CLOEXEC | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode)
            guard descriptor >= 0 else { throw writeError(path) }
            var (mine, there) = (stat(), stat())
            var locked = flock(descriptor, LOCK_EX)
            while locked != 0, errno == EINTR { locked = flock(descriptor, LOCK_EX) }
            guard locked == 0, fstat(descriptor, &mine) == 0 else {
                let error = writeError(path)
                close(descriptor)
                throw error
            }
            // Whoever was waited for has given it its name, or removed it.
            guard lstat(path, &there) == 0, mine.st_ino == there.st_ino,
                mine.st_dev == there.st_dev
            else {
                close(descriptor)
                continue
            }
            guard mine.st_mode & S_IFMT == S_IFREG, mine.st_uid == geteuid(), mine.st_nlink == 1
            else {
                close(descriptor)
                throw .unwritable(
                    path, reason: "it is there and not a file of one's own; remove it")
            }
            // What was left may be open to more than this is for.
            guard fchmod(descriptor, mine.st_mode & mode) == 0, ftruncate(descriptor, 0) == 0 else {
                let error = writeError(path)
                close(descriptor)
                throw error
            }
            return descriptor
        }
    }

    /// Replaces the content of a file, or makes it.
    public static func write(_ bytes: [UInt8], to path: String) throws(FileError) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC | O_CREAT | O_TRUNC, 0o644)
        guard descriptor >= 0 else { throw writeError(path) }
        do throws(FileError) {
            try write(bytes, to: descriptor, path, isSafe: false)
        } catch {
            close(descriptor)
            throw error
        }
        guard close(descriptor) == 0 else { throw writeError(path) }
    }

    private static func write(
        _ bytes: [UInt8], to descriptor: Int32, _ path: String, isSafe: Bool
    ) throws(FileError) {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw writeError(path) }
            written += count
        }
        guard !isSafe || fsync(descriptor) == 0 else { throw writeError(path) }
    }

    /// Makes a folder, and those that it is in, where they are not there yet; only their owner can
    /// enter those that are made. Throws if files cannot be made in it, and then has made nothing.
    public static func makePrivateFolder(_ path: String) throws(FileError) {
        var made: [String] = []
        do throws(FileError) {
            var part = path.hasPrefix("/") ? "/" : ""
            for name in path.split(separator: "/") {
                part += (part.isEmpty || part.hasSuffix("/") ? "" : "/") + name
                let code = mkdir(part, 0o700) == 0 ? 0 : errno
                if code == 0 { made.append(part) }
                if code == 0 || isFolder(part) { continue }
                let subject = part == path ? "it" : "'\(part)'"
                throw .unwritable(
                    path,
                    reason: code == EEXIST
                        ? "\(subject) is no folder"
                        : "\(subject) cannot be made: \(String(cString: strerror(code)))")
            }
            // Only who tries knows: a file system may be read-only, or not be for files at all.
            var probe = Array("\(path)/.probe-XXXXXX".utf8CString)
            guard mkdtemp(&probe) != nil else { throw writeError(path) }
            rmdir(probe)
        } catch {
            for folder in made.reversed() { rmdir(folder) }
            throw error
        }
    }

    /// True if `path` is a folder.
    public static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    private static func readError(_ path: String) -> FileError {
        switch errno {
        case ENOENT, ENOTDIR: .missing(path)
        case EISDIR: .isFolder(path)
        // Opening a socket.
        case ENXIO: .isNoFile(path)
        default: .unreadable(path, reason: String(cString: strerror(errno)))
        }
    }

    private static func writeError(_ path: String) -> FileError {
        switch errno {
        case EISDIR: .isFolder(path)
        default: .unwritable(path, reason: String(cString: strerror(errno)))
        }
    }
}
