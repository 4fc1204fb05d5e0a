import Air
import Crypto
import Devices
import Evidence
import GBCS
import Radio
import Simulation
import Wire

/// What a run needs beside its home and scenario.
public struct RunOptions: Sendable {
    /// Takes the place of the scenario's seed.
    public var seed: UInt64?
    /// Where the evidence goes; nil for none.
    public var folder: String?

    public init(seed: UInt64? = nil, folder: String? = nil) {
        self.seed = seed
        self.folder = folder
    }
}

/// Is told of a run's events as they happen, to show progress.
public protocol RunObserver: AnyObject {
    func observe(_ event: EventRecord)
}

/// What a run came to.
public struct RunResult: Sendable {
    public var summary: Summary
    /// Why it failed, for people; also in the summary.
    public var failure: String? { summary.failure }
    /// It was stopped before its end.
    public var isInterrupted: Bool
    /// Bytes and folder of the evidence, if any was asked for.
    public var folder: OutputFolder?
}

/// Runs one scenario in one home, in one process and in virtual time.
public final class Runner {
    public let scenario: Scenario
    public var home: Home { cast.home }
    public var roster: Roster { cast.roster }
    private let cast: HomeCast
    private let images: [String: RunImage]
    private let options: RunOptions
    private let seed: Seed

    public init(
        home: Home, scenario: Scenario, images: [String: RunImage], options: RunOptions
    ) {
        cast = HomeCast(home)
        self.scenario = scenario
        self.images = images
        self.options = options
        seed = Seed(options.seed ?? scenario.seed)
    }

    private var directorIndex: Int { cast.directorIndex }

    /// Runs to the end, or until `isStopped` says so, which is asked between any two turns.
    /// `wallClock` gives seconds from any fixed point; it is only read for the summary.
    ///
    /// The keys are written as soon as they are known, so that the capture of a run that is killed
    /// can be read.
    public func run(
        observer: RunObserver? = nil, isStopped: () -> Bool = { false }, wallClock: () -> Double
    ) throws(EvidenceError) -> RunResult {
        let began = wallClock()
        var folder: OutputFolder?
        if let path = options.folder { folder = try OutputFolder(preparing: path) }
        defer { folder?.release() }
        let recorder = try Recorder(
            roster: roster, start: scenario.start, steps: scenario.steps.map(\.title),
            folder: folder, useCases: { MessageCode(rawValue: $0).useCase },
            read: { MessageAccount(of: $0) })
        let sink = EvidenceTee(recorder: recorder, observer: observer)
        let simulation = makeSimulation(sink: sink)
        let keys = RunKeys(home: home, folder: folder)
        try keys.begin()
        sink.keys = keys
        var report = DirectorReport(cast: cast, scenario: scenario, seed: seed)
        // The director ends the run itself when its time is up.
        while !isStopped(), simulation.step() {
            // Only then, because looking at a node's state copies the node.
            guard simulation.lastNode == directorIndex,
                let changes = simulation.nodes[directorIndex].director?.changes
            else { continue }
            guard report.notices(changes) else { continue }
            simulation.change(directorIndex) { node in
                report.note(simulation.air.frameCount, in: &node.director!)
            }
        }
        simulation.air.finishEvidence()
        try recorder.finish()
        if let trouble = keys.trouble { throw trouble }
        let isInterrupted = simulation.nodes[directorIndex].director?.passed == nil && isStopped()
        let summary = report.summary(
            of: simulation.nodes[directorIndex].director, transport: "simulation",
            at: simulation.now, frames: recorder.frames, wallSeconds: wallClock() - began,
            isInterrupted: isInterrupted, lost: sink.lostOutput)
        try folder?.write(Array(summary.json.utf8), to: .summary)
        return RunResult(summary: summary, isInterrupted: isInterrupted, folder: folder)
    }

    /// The home on its air, before anything has happened; without a sink nothing is recorded.
    package func makeSimulation(sink: EvidenceSink?) -> Simulation<HomeNode> {
        Simulation(
            air: makeAir(sink: sink), members: roster.members.count, seed: seed, make: makeNode)
    }

    package func makeAir(sink: EvidenceSink?) -> Air { cast.makeAir(seed: seed, sink: sink) }

    package func makeNode(_ index: Int) -> HomeNode {
        index == directorIndex
            ? HomeNode(cast.makeDirector(of: scenario, images, seed: seed))
            : cast.makeMember(index, start: scenario.start, seed: seed)
    }
}

/// Hands a run's evidence to the recorder and its events to whoever watches.
private final class EvidenceTee: EvidenceSink {
    private let recorder: Recorder
    private let observer: RunObserver?
    var keys: RunKeys?
    /// The first time that a machine lost something it put out.
    private(set) var lostOutput: EventRecord?

    init(recorder: Recorder, observer: RunObserver?) {
        self.recorder = recorder
        self.observer = observer
    }

    func record(frame: borrowing FrameRecord) { recorder.record(frame: frame) }

    func record(event: EventRecord) {
        recorder.record(event: event)
        if event.kind == .outputLost { lostOutput = lostOutput ?? event }
        observer?.observe(event)
    }

    func record(message: MessageRecord) { recorder.record(message: message) }
    func record(networkKey: Key128, at time: Instant) { keys?.learn(networkKey) }
    func record(linkKey: Key128, of device: EUI64, at time: Instant) {
        keys?.learn(linkKey, of: device)
    }
}
