import AirBus
import Evidence
import Glibc
import Radio
import Wire

/// A home to run, each member a process of its own.
public struct HomePlan {
    /// What the run is called.
    public var name: String
    /// As `han air` and `han node` are given it: a name, or a full path.
    public var home: String
    /// The hub and the devices.
    public var members: [Roster.Member]
    /// As `han air` is given it.
    public var pace: String
    /// At virtual time zero.
    public var start: UTCTime
    public var seed: UInt64?
    /// Where the evidence goes; nil for none.
    public var evidence: String?
    /// Where the flash files are and stay; nil for a folder that goes with the run.
    public var flash: String?
    /// Whether the disk is to confirm every write to flash.
    public var isDurable = false
    /// Members whose place somebody else's process takes.
    public var absent: Set<String> = []
    /// Whether they establish keys by certificates of their own, of an authority that this home's
    /// hub has been given a certificate of.
    public var absentHaveCertificates = false
    /// The folder with credentials of members; nil if all follow from the seed.
    public var credentials: String?
    /// How long all may take to join, in seconds of the machine's clock.
    public var patience = 60.0
    /// How long the air waits for a node that owes it an answer, in the same seconds.
    public var nodePatience = AirServiceSettings().patience

    public init(
        name: String, home: String, members: [Roster.Member], pace: String, start: UTCTime
    ) {
        self.name = name
        self.home = home
        self.members = members
        self.pace = pace
        self.start = start
    }
}

/// Why a home could not be started, or could not go on.
public enum HomeError: Error, Sendable, CustomStringConvertible {
    /// Somebody keeps it already.
    case isUp(String)
    /// One of its parts failed before all had joined: with this exit code, if it ended by itself.
    case start(String, code: Int32?)
    /// The air is gone.
    case air(String, logs: String)
    /// It has come to its end, without all of its evidence.
    case evidence(String)

    public var description: String {
        switch self {
        case .isUp(let name):
            "the home '\(name)' is up already: 'han ps \(name)' shows it, 'han down \(name)' ends "
                + "it, and --name starts another one under a name of its own"
        case .start(let cause, _): "the home did not come up: \(cause)"
        case .air(let cause, let logs):
            "the air \(cause); so the home has ended, and its logs are in '\(logs)' until "
                + "'han down' or the next 'han up'"
        case .evidence(let cause): "the evidence is incomplete: \(cause)"
        }
    }
}

/// Keeps a home: starts its air, its hub and its devices, starts again whom it is asked to, and
/// ends them all.
///
/// When this process ends, however it ends, the others see that and end too, and the air, as the
/// last one, removes the folder.
public final class HomeSupervisor {
    private let plan: HomePlan
    private let folder: HomeFolder
    private let children: Children
    private let keeper: KeeperSocket
    private let endpoint: AirEndpoints
    private var run: HomeRun
    /// Told of all that happens on the air, if somebody wants to see it.
    public var observer: RunObserver?
    /// Told of what happens to the processes, a line each.
    public var say: (String) -> Void = { _ in }
    /// Asked now and then whether it is to end.
    public var isStopped: () -> Bool = { false }
    private var isAskedToEnd = false

    /// Takes the home's folder. Throws `HomeError.isUp` if somebody has it.
    public init(_ plan: HomePlan) throws {
        self.plan = plan
        try HomeFolder.clearRuns()
        let path = try HomeRun.folder(of: plan.name)
        endpoint = try AirEndpoints(parsing: "ipc://\(path)/air")
        guard let folder = try HomeFolder.take(path) else { throw HomeError.isUp(plan.name) }
        self.folder = folder
        folder.clear()
        children = try Children()
        keeper = try KeeperSocket(binding: "\(path)/keeper")
        guard let identity = ProcessIdentity(running: getpid()) else {
            throw ChildError("/proc is not mounted, so han cannot tell its processes apart")
        }
        run = HomeRun(
            name: plan.name, home: plan.home, pace: plan.pace, start: plan.start.secondsSince2000,
            endpoint: endpoint.node, supervisor: identity,
            members: plan.members.map {
                HomeRun.Member(name: $0.name, role: $0.role, eui64: $0.eui64?.description)
            })
        run.patience = plan.nodePatience
    }

    public var path: String { folder.path }

    /// Starts everybody and keeps them until the run ends or is ended. `ready` is called once all
    /// have joined.
    public func run(ready: (HomeRun) throws -> Void) throws {
        do {
            let feed = try start()
            try awaitEverybody(feed)
            try ready(run)
            try keep(feed)
        } catch let error as HomeError {
            if case .air(let cause, _) = error {
                leaveLogs("the air \(cause)")
                throw error
            }
            end()
            throw error
        } catch {
            end()
            throw error
        }
        end()
        if let trouble = run.trouble { throw HomeError.evidence(trouble) }
    }

    private func end() {
        children.end()
        lookForTrouble()
        let air = children.ended.first { $0.child.name == Self.air }
        if run.trouble == nil, let air, air.code == Self.writeFailure {
            run.trouble = Children.lastLine(of: air.child.log)
        }
        folder.remove()
        keeper.answerWaiting(run.trouble.map { "no the evidence is incomplete: \($0)" } ?? "ok")
    }

    /// What `han air` ends with if it could not write (EX_IOERR of sysexits.h).
    private static let writeFailure: Int32 = 74

    /// Takes note of it when the air says that evidence is lost.
    private func lookForTrouble() {
        guard run.trouble == nil, plan.evidence != nil, let trouble = folder.trouble else { return }
        run.trouble = trouble
        say("the evidence is incomplete: \(trouble)")
    }

    /// The air has died: the nodes see that and end, each with a line in its log.
    private func leaveLogs(_ cause: String) {
        for _ in 0..<500 where !children.running.isEmpty {
            children.reap()
            usleep(10_000)
        }
        for end in children.ended where end.child.name != Self.air {
            say("\(end.child.name) \(end.words)")
        }
        children.end()
        for file in ["air", "air.sniff", "air.control", "keeper"] { unlink("\(path)/\(file)") }
        run.failure = cause
        run.parts = []
        try? run.write(to: path)
    }

    // MARK: - Starting

    private static let air = "AIR"

    private func start() throws -> FeedClient? {
        var arguments = [
            "air", "--bind", endpoint.node, "--home", plan.home, "--pace", plan.pace,
            "--start", "\(plan.start.secondsSince2000)", "--clear", path,
            "--patience", "\(plan.nodePatience)",
        ]
        if let seed = plan.seed { arguments += ["--seed", "\(seed)"] }
        if let evidence = plan.evidence { arguments += ["--out", evidence] }
        if let credentials = plan.credentials { arguments += ["--credentials", credentials] }
        try start(Self.air, role: Self.air, eui64: nil, arguments)
        var feed: FeedClient?
        if observer != nil {
            feed = try FeedClient(endpoints: endpoint)
            // It says who is in its roster as soon as somebody listens.
            try wait("has not answered") {
                if case .message = feed?.next(waiting: 0.05) { true } else { false }
            }
        }
        for member in plan.members where !plan.absent.contains(member.name) {
            try start(member)
        }
        return feed
    }

    private func start(_ member: Roster.Member) throws {
        let flash = plan.flash ?? "\(path)/flash"
        if plan.flash == nil { _ = try PrivateFolder(flash) }
        var arguments = [
            "node", "--name", member.name, "--home", plan.home, "--air", endpoint.node, "--flash",
            "\(flash)/\(member.name).flash",
        ]
        if plan.isDurable { arguments.append("--durable") }
        if let credentials = plan.credentials { arguments += ["--credentials", credentials] }
        // Somebody else's program has no certificate of this run's authority.
        if !plan.absentHaveCertificates {
            for name in plan.absent.sorted() { arguments += ["--install-code", name] }
        }
        try start(
            member.name, role: member.role, eui64: member.eui64?.description, arguments)
    }

    private func start(
        _ name: String, role: String, eui64: String?, _ arguments: [String]
    ) throws {
        let child = try children.start(name, arguments, log: "\(path)/\(name).log")
        run.parts.removeAll { $0.name == name }
        if let process = ProcessIdentity(running: child.pid) {
            run.parts.append(HomeRun.Part(name: name, role: role, eui64: eui64, process: process))
        }
        try run.write(to: path)
    }

    /// Until the air says that every node that was started is there and has power; until all of
    /// the home are, if no place was left to others.
    private func awaitEverybody(_ feed: FeedClient?) throws {
        let control = try ControlClient(endpoints: endpoint, patience: 1)
        var missing: [String] = []
        try wait(
            "has not joined the air", who: { missing },
            until: {
                if let feed { drain(feed, seconds: 0) }
                guard let status = try? control.status() else { return false }
                let isComplete = plan.absent.isEmpty
                missing = plan.members.filter { member in
                    !plan.absent.contains(member.name)
                        && !status.members.contains { other in
                            other.name == member.name && other.processID != 0
                                && (!isComplete || other.firmware != 0)
                        }
                }.map(\.name)
                return missing.isEmpty && (!isComplete || status.state == .running)
            })
    }

    /// Waits for something as long as all may take to join, and no longer than all of them live.
    private func wait(
        _ words: String, who: () -> [String] = { [HomeSupervisor.air] }, until isDone: () -> Bool
    ) throws {
        let limit = WallClock.seconds() + plan.patience
        while WallClock.seconds() < limit {
            children.reap()
            if let end = children.ended.first {
                throw HomeError.start("\(end.child.name) \(end.words)", code: end.code)
            }
            if isStopped() || isAskedToEnd { throw HomeError.start("it was stopped", code: nil) }
            answerKeeper(seconds: 0)
            if isDone() { return }
            usleep(20_000)
        }
        let late = who()
        let log = late.first.map { Children.lastLine(of: "\(path)/\($0).log") } ?? ""
        throw HomeError.start(
            "\(late.joined(separator: ", ")) \(words) within \(Int(plan.patience)) s"
                + (log.isEmpty ? "" : ": \(log)"), code: nil)
    }

    // MARK: - Keeping

    private func keep(_ feed: FeedClient?) throws {
        while !isStopped(), !isAskedToEnd {
            if let feed {
                drain(feed, seconds: 0.1)
                answerKeeper(seconds: 0)
            } else {
                answerKeeper(seconds: 0.2)
            }
            children.reap()
            let wasWhole = run.trouble == nil
            lookForTrouble()
            if wasWhole, run.trouble != nil { try run.write(to: path) }
            let ends = children.takeEnds()
            guard !ends.isEmpty else { continue }
            for end in ends {
                guard end.child.name != Self.air else {
                    // The run was ended at the air.
                    if end.isWell || end.code == Self.writeFailure { return }
                    throw HomeError.air(end.words, logs: path)
                }
                // Somebody may have started it again meanwhile.
                run.parts.removeAll { $0.process.pid == end.child.pid }
                say(
                    "\(end.child.name) \(end.words); 'han ctl start \(end.child.name)' starts it "
                        + "again")
            }
            try run.write(to: path)
        }
    }

    /// Hands on what has come from the air.
    private func drain(_ feed: FeedClient, seconds: Double) {
        var patience = seconds
        // Bounded, so that a busy air does not keep it from everything else.
        for _ in 0..<10_000 {
            guard case .message(let message) = feed.next(waiting: patience) else { return }
            patience = 0
            if case .event(let event) = message { observer?.observe(event) }
        }
    }

    private func answerKeeper(seconds: Double) {
        keeper.serve(seconds: seconds) { request in
            let words = request.split(separator: " ", maxSplits: 1).map(String.init)
            switch (words.first, words.count) {
            case ("end", 1):
                isAskedToEnd = true
                // Once it has ended, and it is known how.
                return nil
            case ("start", 2): return startAgain(words[1])
            default: return "no '\(request)' is nothing that a home's keeper knows"
            }
        }
    }

    private func startAgain(_ name: String) -> String {
        children.reap()
        if let child = children.running.first(where: { $0.name == name }) {
            return "no \(name) runs already (pid \(child.pid))"
        }
        guard let member = plan.members.first(where: { $0.name == name }) else {
            return "no the home has no '\(name)'"
        }
        do {
            try start(member)
        } catch {
            return "no \(error)"
        }
        let pid = children.running.first { $0.name == name }?.pid ?? 0
        say("\(name) was started again (pid \(pid))")
        return "ok \(pid)"
    }
}
