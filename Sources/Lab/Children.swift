import Glibc

/// Why a process could not be started or ended badly.
public struct ChildError: Error, Sendable, CustomStringConvertible {
    public let description: String
    /// It is how the user has set up the machine that is wrong.
    public let isSetting: Bool

    public init(_ description: String, isSetting: Bool = false) {
        self.description = description
        self.isSetting = isSetting
    }
}

/// A process that this one has started.
public struct Child: Sendable {
    public let name: String
    public let pid: pid_t
    /// Where its standard output and error go.
    public let log: String
}

/// The processes that this one keeps. Each holds the read end of a pipe whose write end only this
/// process has: when it ends, however it ends, they see that and end too.
public final class Children {
    public private(set) var running: [Child] = []
    /// How one has ended: in words, with the last line of its log, and its exit code, which is nil
    /// if a signal ended it.
    public typealias End = (child: Child, words: String, code: Int32?, isWell: Bool)

    /// Those that have ended and were not started again.
    public private(set) var ended: [End] = []
    private var untold: [End] = []
    private let launcher: ProcessLauncher
    private let readEnd: Int32
    private let writeEnd: Int32

    /// What a child's end of the tether is called there.
    public static let tetherDescriptor: Int32 = 3

    /// - Parameter program: what is started; nil is this very program.
    public init(of program: String? = nil) throws(ChildError) {
        launcher = try ProcessLauncher(of: program)
        (readEnd, writeEnd) = try ProcessLauncher.pipe()
    }

    deinit {
        close(readEnd)
        close(writeEnd)
    }

    /// Starts the program with these arguments and the tether.
    @discardableResult
    public func start(_ name: String, _ arguments: [String], log: String) throws(ChildError)
        -> Child
    {
        let tether = ["--tether", "\(Self.tetherDescriptor)"]
        let pid = try launcher.start("'\(name)'", arguments + tether, .ownGroup) { actions in
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
            posix_spawn_file_actions_addopen(
                &actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
            posix_spawn_file_actions_adddup2(&actions, 1, 2)
            posix_spawn_file_actions_adddup2(&actions, readEnd, Self.tetherDescriptor)
        }
        let child = Child(name: name, pid: pid, log: log)
        running.append(child)
        // One that is started again: how it ended before is over.
        ended.removeAll { $0.child.name == name }
        return child
    }

    /// Notes who has ended since the last time; whether anybody has.
    @discardableResult
    public func reap() -> Bool {
        var status: Int32 = 0
        let before = ended.count
        for child in running where waitpid(child.pid, &status, WNOHANG) == child.pid {
            note(child, status)
        }
        return ended.count > before
    }

    /// Those that have ended since the last time this was asked, whoever reaped them.
    func takeEnds() -> [End] {
        defer { untold.removeAll() }
        return untold
    }

    /// Waits until one has ended, so many seconds at most; whether it has.
    @discardableResult
    public func wait(for name: String, seconds: Double) -> Bool {
        let steps = max(1, Int(seconds * 100))
        for _ in 0..<steps {
            reap()
            if !running.contains(where: { $0.name == name }) { return true }
            usleep(10_000)
        }
        return false
    }

    /// Ends all that are left: by request, and after two seconds for certain.
    public func end() {
        for child in running { kill(child.pid, SIGTERM) }
        for _ in 0..<200 {
            reap()
            if running.isEmpty { return }
            usleep(10_000)
        }
        for child in running {
            // A stopped process would not see anything else.
            kill(child.pid, SIGKILL)
            var status: Int32 = 0
            if waitpid(child.pid, &status, 0) == child.pid { note(child, status) }
        }
    }

    private func note(_ child: Child, _ status: Int32) {
        running.removeAll { $0.pid == child.pid }
        let signal = status & 0x7F
        let code = status >> 8 & 0xFF
        let line = Self.lastLine(of: child.log)
        var words = signal != 0 ? "was ended by signal \(signal)" : "ended with exit code \(code)"
        // Who is killed from outside has had nothing to say about it.
        let isKilled = signal == SIGKILL || signal == SIGTERM
        if !line.isEmpty, !isKilled { words += ": \(line)" }
        let end: End = (child, words, signal == 0 ? code : nil, signal == 0 && code == 0)
        ended.append(end)
        untold.append(end)
    }

    /// The last line of a log, without the program's own name before it.
    static func lastLine(of path: String) -> String {
        guard let bytes = try? Files.read(path, limit: 1 << 20) else { return "" }
        let text = String(decoding: bytes, as: UTF8.self)
        let line = text.split(separator: "\n").last.map(String.init) ?? ""
        return line.hasPrefix("han: ") ? String(line.dropFirst(5)) : line
    }
}
