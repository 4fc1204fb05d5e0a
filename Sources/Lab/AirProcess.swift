import Air
import AirBus
import Evidence
import Radio
import Wire

/// What an air that is a process of its own needs to know.
public struct AirPlan {
    public var cast: HomeCast
    /// At virtual time zero.
    public var start: UTCTime
    public var seed: Seed
    public var pace: Pace
    /// The titles of a scenario's steps, whose director is a member and plays the DCC; without one
    /// the control socket does.
    public var steps: [String]?
    /// Where the evidence goes, in a folder that somebody else has prepared; nil for none.
    public var folder: OutputFolder?
    public var settings = AirServiceSettings()

    public init(cast: HomeCast, start: UTCTime, seed: Seed, pace: Pace, steps: [String]?) {
        self.cast = cast
        self.start = start
        self.seed = seed
        self.pace = pace
        self.steps = steps
    }

    var seats: [SeatPlan] {
        cast.roster.members.enumerated().map { index, member in
            let isLast = index == cast.directorIndex
            return SeatPlan(
                name: member.name, role: member.role, eui64: member.eui64,
                flash: cast.flash(of: index), observes: isLast, isBench: isLast && steps == nil)
        }
    }
}

/// Runs an air as a service, with its evidence.
public final class AirProcess {
    private let recorder: Recorder
    private let keys: RunKeys
    private let service: AirService

    /// Binds the endpoints; from then on nodes can come.
    public init(
        _ plan: AirPlan, endpoints: AirEndpoints, tether: Tether?, isStopped: @escaping () -> Bool,
        log: ((String) -> Void)? = nil
    ) throws {
        recorder = try Recorder(
            roster: plan.cast.roster, start: plan.start, steps: plan.steps ?? [],
            folder: plan.folder)
        keys = RunKeys(home: plan.cast.home, folder: plan.folder)
        try keys.begin()
        let world = AirWorld(
            seats: plan.seats, start: plan.start, seed: plan.seed.rawValue, pace: plan.pace,
            sink: Witness(recorder: recorder, keys: keys)
        ) { sink, timekeeping in
            plan.cast.makeAir(seed: plan.seed, sink: sink, timekeeping: timekeeping)
        }
        service = try AirService(
            worlds: [world], endpoints: endpoints, settings: plan.settings, tether: tether,
            isStopped: isStopped)
        service.log = log
        // So that whoever looks into a home while it runs sees what has happened.
        if plan.pace != .virtual { service.pulse = { [recorder] in recorder.flush() } }
    }

    /// Until the run ends or the air is stopped.
    public func run() throws {
        service.run()
        try recorder.finish()
        if let trouble = keys.trouble { throw trouble }
    }
}

private final class Witness: EvidenceSink {
    private let recorder: Recorder
    private let keys: RunKeys

    init(recorder: Recorder, keys: RunKeys) {
        self.recorder = recorder
        self.keys = keys
    }

    func record(frame: borrowing FrameRecord) { recorder.record(frame: frame) }
    func record(event: EventRecord) { recorder.record(event: event) }
    func record(networkKey: Key128, at time: Instant) { keys.learn(networkKey) }
}
