import Glibc

/// The private folder of one run, of a home or of a scenario, held by a lock that ends with its
/// holder's process, however that ends. The lock is on a file in the folder, and goes with it.
public final class HomeFolder {
    public let path: String
    private let descriptor: Int32

    static let lockName = "lock"

    private init(path: String, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Makes the folder if need be and takes it; nil if somebody else has it.
    public static func take(_ path: String) throws(ChildError) -> HomeFolder? {
        // Whoever clears it away has it for a moment only.
        for _ in 0..<50 {
            _ = try PrivateFolder(path)
            if let folder = try existing(path) { return folder }
            usleep(10_000)
        }
        return nil
    }

    /// Takes a folder that is there; nil if there is none, or somebody else has it. `isForsaken` if
    /// its keeper is known to be on its way out.
    public static func takeExisting(_ path: String, isForsaken: Bool = false) -> HomeFolder? {
        // The lock of a process that was killed is free only a moment after the process is gone,
        // and that may be a moment after it has let go of its children.
        for _ in 0..<200 {
            if let folder = (try? existing(path)) ?? nil { return folder }
            guard let keeper = HomeRun.read(path)?.supervisor, isForsaken || !keeper.isRunning
            else { return nil }
            usleep(10_000)
        }
        return nil
    }

    private static func existing(_ path: String) throws(ChildError) -> HomeFolder? {
        let lock = "\(path)/\(lockName)"
        let descriptor = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw ChildError("'\(lock)' cannot be made: \(String(cString: strerror(errno)))")
        }
        var (held, named) = (stat(), stat())
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, fstat(descriptor, &held) == 0,
            stat(lock, &named) == 0, held.st_ino == named.st_ino, held.st_dev == named.st_dev
        else {
            // Somebody has it, or has cleared it away in the meantime.
            close(descriptor)
            return nil
        }
        return HomeFolder(path: path, descriptor: descriptor)
    }

    private static let runPrefix = "run"

    /// A new folder for the run of a scenario.
    public static func makeRun() throws(ChildError) -> HomeFolder {
        let path = try PrivateFolder.root().makeUnique(runPrefix).path
        guard let folder = try take(path) else { throw ChildError("'\(path)' was taken") }
        return folder
    }

    /// Removes the folders of scenarios' runs whose runner was killed, and its air with it; ends
    /// what still runs of them. Leaves those of runs that go on. How many it removed.
    @discardableResult
    public static func clearRuns() throws(ChildError) -> Int {
        let root = try PrivateFolder.root().path
        var count = 0
        for name in PrivateFolder.names(in: root) where name.hasPrefix(runPrefix + "-") {
            guard let folder = takeExisting("\(root)/\(name)") else { continue }
            folder.clear()
            folder.remove()
            count += 1
        }
        return count
    }

    private static let troubleName = "trouble"

    /// Leaves word for whoever keeps the run in this folder that its evidence is incomplete.
    public static func note(trouble: String, in path: String) {
        try? Files.replace(Array(trouble.utf8), at: "\(path)/\(troubleName)")
    }

    /// Why the evidence of the run is incomplete; nil if it is not.
    var trouble: String? {
        guard let bytes = try? Files.read("\(path)/\(Self.troubleName)", limit: 1 << 12) else {
            return nil
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Ends what a run has left running, but for this process, and removes its files.
    public func clear() {
        if let run = HomeRun.read(path) {
            ProcessIdentity.end(run.parts.map(\.process).filter { $0.pid != getpid() })
        }
        PrivateFolder.removeContents(of: path, keeping: Self.lockName)
    }

    /// Removes the folder. It first gets another name, so that nobody who is on the way out can
    /// still make files in it, and somebody else can have a new one.
    public func remove() {
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        let gone = "\(path.dropLast(name.count)).\(name)-\(getpid())"
        guard rename(path, gone) == 0 else { return }
        PrivateFolder.removeContents(of: gone)
        rmdir(gone)
    }
}
