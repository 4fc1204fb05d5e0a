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
        let launcher = try ProcessLauncher()
        let ends = try ProcessLauncher.pipe()
        defer { close(ends.read) }
        do {
            defer { close(ends.write) }
            _ = try launcher.start("han", arguments, .ownSession) { actions in
                for descriptor in Int32(0)...2 {
                    posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
                }
                // Where both numbers are the same, this also takes the mark off that closes it.
                posix_spawn_file_actions_adddup2(&actions, ends.write, reportDescriptor)
            }
        }
        return line(from: ends.read, isStopped: isStopped)
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
