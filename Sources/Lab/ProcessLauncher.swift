import Glibc

/// Starts a program as another process.
struct ProcessLauncher {
    private let executable: String

    /// How a process stands to the one that starts it.
    enum Standing {
        /// In a process group of its own: a Ctrl-C at the terminal reaches its keeper first.
        case ownGroup
        /// In a session of its own, which stays behind.
        case ownSession

        fileprivate var flag: Int16 {
            switch self {
            case .ownGroup: Int16(POSIX_SPAWN_SETPGROUP)
            // POSIX_SPAWN_SETSID, which the importer does not see.
            case .ownSession: 0x80
            }
        }
    }

    /// - Parameter program: nil is this very program.
    init(of program: String? = nil) throws(ChildError) {
        guard let path = realpath(program ?? "/proc/self/exe", nil) else {
            throw ChildError(
                program.map { "'\($0)' cannot be found" }
                    ?? "/proc is not mounted, so han cannot find itself to start its parts")
        }
        executable = String(cString: path)
        free(path)
    }

    /// Starts it as `name`; `files` says what it has open, which is nothing else of this process's.
    func start(
        _ name: String, _ arguments: [String], _ standing: Standing,
        files: (inout posix_spawn_file_actions_t) -> Void
    ) throws(ChildError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        files(&actions)
        Self.keepToItself()
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK) | standing.flag)
        var words = ([executable] + arguments).map { strdup($0) }
        words.append(nil)
        defer { words.forEach { free($0) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, executable, &actions, &attributes, words, environ)
        guard code == 0 else {
            throw ChildError("\(name) cannot be started: \(String(cString: strerror(code)))")
        }
        return pid
    }

    /// A pipe's two ends.
    static func pipe() throws(ChildError) -> (read: Int32, write: Int32) {
        var ends: (Int32, Int32) = (-1, -1)
        let result = withUnsafeMutableBytes(of: &ends) {
            Glibc.pipe($0.bindMemory(to: Int32.self).baseAddress)
        }
        guard result == 0 else { throw ChildError("no pipe: \(String(cString: strerror(errno)))") }
        return (ends.0, ends.1)
    }

    /// Nothing that this process has open is a child's business, and a lock must not outlive it.
    private static func keepToItself() {
        guard let folder = opendir("/proc/self/fd") else { return }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(cString: $0.bindMemory(to: CChar.self).baseAddress!)
            }
            if let number = Int32(name), number > 2 { _ = fcntl(number, F_SETFD, FD_CLOEXEC) }
        }
    }
}
