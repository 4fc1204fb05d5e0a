import Glibc

/// A process, told apart from any other that may get its number after it.
public struct ProcessIdentity: Codable, Hashable, Sendable {
    public var pid: Int32
    /// When it began, in clock ticks since the machine's start (field 22 of /proc/PID/stat).
    public var started: UInt64

    public init(pid: Int32, started: UInt64) {
        self.pid = pid
        self.started = started
    }

    /// The process that has this number now; nil if there is none, or it has ended already and
    /// nobody has asked how.
    public init?(running pid: Int32) {
        guard pid > 0, let bytes = try? Files.readVirtual("/proc/\(pid)/stat") else { return nil }
        // The program's name, in brackets, may have anything in it.
        guard let end = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = String(decoding: bytes[(end + 1)...], as: UTF8.self).split(separator: " ")
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X",
            let started = UInt64(fields[19])
        else { return nil }
        self.init(pid: pid, started: started)
    }

    public var isRunning: Bool { ProcessIdentity(running: pid) == self }

    /// Sends a signal to this process, and to no other that has its number by now.
    public func send(_ signal: Int32) { if isRunning { kill(pid, signal) } }

    /// Ends processes: by request, and after `seconds` for certain.
    public static func end(_ processes: [ProcessIdentity], seconds: Double = 3) {
        for process in processes { process.send(SIGTERM) }
        for _ in 0..<Int(seconds * 100) {
            guard processes.contains(where: \.isRunning) else { return }
            usleep(10_000)
        }
        for process in processes { process.send(SIGKILL) }
        for _ in 0..<200 where processes.contains(where: \.isRunning) { usleep(10_000) }
    }
}
