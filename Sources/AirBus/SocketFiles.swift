import CZeroMQ
import Glibc

/// The files of an air's ipc sockets: nothing of anybody else's is in their place, and they go with
/// the air. ZeroMQ itself removes whatever is there before it binds, and leaves its own behind.
final class SocketFiles {
    private var made: [(path: String, device: dev_t, number: ino_t)] = []
    /// The folder, locked, so that of two airs that come at the same time one sees the other; -1
    /// where that cannot be.
    private var folder: Int32 = -1

    init() {}

    deinit {
        letOthers()
        remove()
    }

    /// Makes sure that a socket can be bound at each of these paths. One that nobody listens at any
    /// more is removed.
    ///
    /// - Throws: if another process listens at one of them, or something else is there.
    func claim(_ paths: [String]) throws(SocketError) {
        lockFolder(of: paths.first ?? "")
        for path in paths { try Self.free(path) }
    }

    /// Notes what was made at a path that was claimed, to remove that, and nothing else, later on.
    func keep(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        made.append((path, status.st_dev, status.st_ino))
    }

    /// All are bound: another air would see them.
    func letOthers() {
        if folder >= 0 { close(folder) }
        folder = -1
    }

    /// Removes the files, unless others have taken their place.
    func remove() {
        for file in made {
            var status = stat()
            if lstat(file.path, &status) == 0, status.st_dev == file.device,
                status.st_ino == file.number
            {
                unlink(file.path)
            }
        }
        made.removeAll()
    }

    private func lockFolder(of path: String) {
        let end = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
        let name = String(path[..<end])
        folder = open(name.isEmpty ? "." : name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { return }
        // Whoever has it for longer is no air that binds.
        for _ in 0..<100 {
            if flock(folder, LOCK_EX | LOCK_NB) == 0 { return }
            usleep(10_000)
        }
        letOthers()
    }

    private static func free(_ path: String) throws(SocketError) {
        // No socket has a longer path; to bind it says so.
        guard path.utf8.count < MemoryLayout.size(ofValue: sockaddr_un().sun_path) else { return }
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw SocketError(
                "bind", "ipc://\(path)", code: EEXIST,
                "something that is no socket is at that path; move it away, or name another path")
        }
        guard !isHeard(path) else {
            throw SocketError(
                "bind", "ipc://\(path)", code: EADDRINUSE,
                "Address already in use: another process listens there; end it, or name another "
                    + "path")
        }
        unlink(path)
    }

    /// Whether a process listens at a socket, busy or not.
    private static func isHeard(_ path: String) -> Bool {
        let peer = socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue),
            0)
        guard peer >= 0 else { return true }
        defer { close(peer) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(peer, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        return result == 0 || errno != ECONNREFUSED && errno != ENOENT
    }
}
