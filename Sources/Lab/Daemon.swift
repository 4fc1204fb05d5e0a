import Glibc

/// Starts this program again as a process that stays behind: a session of its own, and nothing of
/// its caller's open, so that neither a pipe nor a lock of the caller's waits for it.
public enum Daemon {
    /// The descriptor on which it reports, there.
    public static let reportDescriptor: Int32 = 3

    /// Starts it and waits for the first line of its report; nil if it ended without one.
    public static func start(
        _ arguments: [String], isStopped: () -> Bool
    ) throws(ChildError) -> String? {
        guard let path = realpath("/proc/self/exe", nil) else {
            throw ChildError("/proc is not mounted, so han cannot find itself to stay behind")
        }
        let executable = String(cString: path)
        free(path)
        var ends: (Int32, Int32) = (-1, -1)
        let made = withUnsafeMutableBytes(of: &ends) {
            pipe($0.bindMemory(to: Int32.self).baseAddress)
        }
        guard made == 0 else { throw ChildError("no pipe: \(String(cString: strerror(errno)))") }
        defer { close(ends.0) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for descriptor in Int32(0)...2 {
            posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
        }
        // Where both numbers are the same, this also takes the mark off that closes it.
        posix_spawn_file_actions_adddup2(&actions, ends.1, reportDescriptor)
        Children.keepToItself()
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        // POSIX_SPAWN_SETSID, which the importer does not see.
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK) | 0x80)
        var words = ([executable] + arguments).map { strdup($0) }
        words.append(nil)
        defer { words.forEach { free($0) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, executable, &actions, &attributes, words, environ)
        close(ends.1)
        guard code == 0 else {
            throw ChildError("han cannot be started: \(String(cString: strerror(code)))")
        }
        return line(from: ends.0, isStopped: isStopped)
    }

    private static func line(from descriptor: Int32, isStopped: () -> Bool) -> String? {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while bytes.count < 1 << 16 {
            var waited = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if poll(&waited, 1, 200) <= 0 {
                // The daemon sees that nobody reads its report, and ends.
                if isStopped() { return nil }
                continue
            }
            let count = read(descriptor, &chunk, chunk.count)
            guard count > 0 else { return nil }
            bytes += chunk[..<count]
            if let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
                return String(decoding: bytes[..<end], as: UTF8.self)
            }
        }
        return nil
    }

    /// Whether whoever waits for the report has gone.
    public static var isForsaken: Bool {
        var waited = pollfd(fd: reportDescriptor, events: 0, revents: 0)
        return poll(&waited, 1, 0) > 0 && waited.revents & Int16(POLLERR) != 0
    }

    /// Reports the one line that there is to report.
    public static func report(_ line: String) {
        let bytes = Array((line.replacing("\n", with: " ") + "\n").utf8)
        _ = write(reportDescriptor, bytes, bytes.count)
        close(reportDescriptor)
    }

    /// Has what goes to standard output and error go to the end of a file from now on.
    public static func keepLog(_ path: String) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        dup2(descriptor, 1)
        dup2(descriptor, 2)
        close(descriptor)
    }
}
