import Air
import AirBus
import Devices
import Evidence
import Glibc
import Radio
import Wire

/// Runs one scenario in one home, each member a process of its own on an air that is one too.
///
/// This process keeps them and plays the director, who is given time like any node.
public final class BusRunner {
    public let scenario: Scenario
    public var roster: Roster { cast.roster }
    private let cast: HomeCast
    private let images: [String: RunImage]
    private let options: RunOptions
    private let seed: Seed
    /// Arguments of `han air` and of each member's `han node`, but for the air's endpoint.
    private let airArguments: [String]
    private let nodeArguments: (String) -> [String]
    /// Members who are left out: somebody else's process takes their place.
    private let absent: Set<String>

    public init(
        home: Home, scenario: Scenario, images: [String: RunImage], options: RunOptions,
        airArguments: [String], absent: Set<String> = [],
        nodeArguments: @escaping (String) -> [String]
    ) {
        cast = HomeCast(home)
        self.scenario = scenario
        self.images = images
        self.options = options
        seed = Seed(options.seed ?? scenario.seed)
        self.airArguments = airArguments
        self.nodeArguments = nodeArguments
        self.absent = absent
    }

    /// As `Runner.run`. `announce` is told the endpoint once the air is there.
    public func run(
        observer: RunObserver? = nil, isStopped: @escaping () -> Bool,
        wallClock: () -> Double, announce: (String) -> Void = { _ in }
    ) throws -> RunResult {
        let began = wallClock()
        var folder: OutputFolder?
        if let path = options.folder { folder = try OutputFolder(preparing: path) }
        defer { folder?.release() }
        let children = try Children()
        try HomeFolder.clearRuns()
        let place = try HomeFolder.makeRun()
        defer { place.remove() }
        defer { children.end() }
        let endpoint = "ipc://\(place.path)/air"
        try children.start(
            "AIR",
            airArguments + ["--bind", endpoint, "--clear", place.path] + evidence(in: folder),
            log: "\(place.path)/AIR.log")
        announce(endpoint)
        for index in 0..<cast.directorIndex where !absent.contains(roster.members[index].name) {
            let name = roster.members[index].name
            try children.start(
                name, nodeArguments(name) + ["--air", endpoint], log: "\(place.path)/\(name).log")
        }
        let processes = children.running
        try leaveWord(of: processes, in: place, endpoint)
        var (now, frames, hasBegun) = (Instant.zero, UInt64(0), false)
        let witness = DirectorWitness(observer: observer)
        let host = try NodeHost<ObservedDirector>(
            endpoints: AirEndpoints(parsing: endpoint),
            hello: Hello(
                processID: UInt32(getpid()), eui64: nil,
                name: roster.members[cast.directorIndex].name), tether: nil,
            isStopped: {
                children.reap()
                // Before the run begins, nobody's end leaves anything to wait for.
                return isStopped()
                    || children.ended.contains {
                        !hasBegun || !$0.isWell && $0.child.name == "AIR"
                    }
            }, flash: { FlashMemory(geometry: $0) },
            make: { [cast, scenario, images, seed] _ in
                ObservedDirector(
                    director: cast.makeDirector(of: scenario, images, seed: seed),
                    witness: witness)
            })
        var report = DirectorReport(cast: cast, scenario: scenario, seed: seed)
        host.afterTurn = { node, count in
            hasBegun = true
            (now, frames) = (node.now, count)
            if report.notices(node.director.changes) { report.note(count, in: &node.director) }
        }
        let end = try host.run()
        if !hasBegun, !isStopped() {
            children.reap()
            if let dead = children.ended.first { throw Self.neverBegan(dead) }
            if case .ended(let word) = end {
                throw ChildError("the run never began: \(word.text)")
            }
        }
        if case .ended(let word) = end { (now, frames) = (word.time, word.frames) }
        // It writes the evidence to its end.
        children.wait(for: "AIR", seconds: isStopped() ? 2 : 30)
        children.end()
        if let air = children.ended.first(where: { $0.child.name == "AIR" }), !air.isWell {
            throw ChildError("the air \(air.words)")
        }
        let director = host.node?.director
        let isInterrupted = director?.passed == nil && isStopped()
        var summary = report.summary(
            of: director, transport: "zmq", at: now, frames: frames,
            wallSeconds: wallClock() - began, isInterrupted: isInterrupted,
            lost: witness.lostOutput)
        if director?.passed == nil, !isInterrupted, case let reason = Self.words(for: end) {
            summary.outcome = .failed
            summary.failure = reason
        }
        summary.processes = processes.map { child in
            Summary.Process(
                role: Self.role(of: child, roster),
                eui64: roster.members.first { $0.name == child.name }?.eui64,
                processID: child.pid)
        }
        try folder?.write(Array(summary.json.utf8), to: .summary)
        return RunResult(summary: summary, isInterrupted: isInterrupted, folder: folder)
    }

    /// Who has been started, for whoever clears up if this process is killed: a process that is
    /// stopped does not see that.
    private func leaveWord(
        of processes: [Child], in place: HomeFolder, _ endpoint: String
    ) throws {
        guard let own = ProcessIdentity(running: getpid()) else { return }
        var run = HomeRun(
            name: scenario.name, home: scenario.home, pace: "virtual",
            start: scenario.start.secondsSince2000, endpoint: endpoint, supervisor: own, members: []
        )
        run.parts = processes.compactMap { child in
            ProcessIdentity(running: child.pid).map {
                HomeRun.Part(
                    name: child.name, role: Self.role(of: child, roster), eui64: nil, process: $0)
            }
        }
        try run.write(to: place.path)
    }

    private static func role(of child: Child, _ roster: Roster) -> String {
        roster.members.first { $0.name == child.name }?.role ?? "AIR"
    }

    private func evidence(in folder: OutputFolder?) -> [String] {
        folder.map { ["--evidence", $0.path] } ?? []
    }

    private static func neverBegan(
        _ dead: Children.End
    ) -> ChildError {
        let name = dead.child.name == "AIR" ? "the air" : dead.child.name
        return ChildError("the run never began: \(name) \(dead.words)")
    }

    private static func words(for end: NodeEnd) -> String {
        switch end {
        case .ended(let word): word.text
        case .refused(let notice): "the air refused the director: \(notice.text)"
        case .connectionLost, .unreachable: "the air is gone"
        case .stopped: "stopped"
        case .garbled(let error): "the air sent something strange: \(error)"
        }
    }
}

/// Hands what the director sees and says to whoever watches.
private final class DirectorWitness {
    private let observer: RunObserver?
    private(set) var lostOutput: EventRecord?

    init(observer: RunObserver?) { self.observer = observer }

    func take(_ event: EventRecord) {
        if event.kind == .outputLost { lostOutput = lostOutput ?? event }
        observer?.observe(event)
    }
}

/// The director, watched.
private struct ObservedDirector: Node {
    var director: Director
    let witness: DirectorWitness
    var now = Instant.zero

    init(director: Director, witness: DirectorWitness) {
        self.director = director
        self.witness = witness
    }

    mutating func handle(_ input: borrowing Input, at now: Instant, into out: inout Outbox) {
        self.now = now
        if case .observed(let event) = copy input { witness.take(event) }
        director.handle(input, at: now, into: &out)
        for action in out.actions {
            if case .event(let event) = action { witness.take(event) }
        }
    }

    var nextDeadline: Instant { director.nextDeadline }
}
