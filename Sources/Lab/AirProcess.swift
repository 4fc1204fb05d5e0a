import Air
import AirBus
import Evidence
import GBCS
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

extension AirPlan {
    /// Two homes of one air that could not be told apart: an EUI-64 that is in both; nil if there
    /// is none.
    public static func clash(_ homes: [Home]) -> (address: EUI64, first: String, second: String)? {
        var owners: [EUI64: Int] = [:]
        for (index, home) in homes.enumerated() {
            for address in [home.hub.eui64] + home.devices.map(\.eui64) {
                if let owner = owners[address], owner != index {
                    return (address, homes[owner].name, home.name)
                }
                owners[address] = index
            }
        }
        return nil
    }
}

/// Runs an air as a service, with its evidence.
public final class AirProcess {
    private let witnesses: [Witness]
    private let service: AirService
    private var isTroubled = false
    /// Told once, if the evidence cannot be written any more; the run goes on without it.
    public var evidenceFailed: ((EvidenceError) -> Void)?

    /// Binds the endpoints; from then on nodes can come.
    public convenience init(
        _ plan: AirPlan, endpoints: AirEndpoints, tether: Tether?, isStopped: @escaping () -> Bool,
        log: ((String) -> Void)? = nil
    ) throws {
        try self.init(
            [plan], endpoints: endpoints, tether: tether, isStopped: isStopped, log: log)
    }

    /// Several homes that share the sockets and nothing else, each with a clock of its own; the
    /// service's settings are the first one's. No EUI-64 may be in two of them
    /// (`AirPlan.clash`).
    public init(
        _ plans: [AirPlan], endpoints: AirEndpoints, tether: Tether?,
        isStopped: @escaping () -> Bool, log: ((String) -> Void)? = nil
    ) throws {
        var witnesses: [Witness] = []
        let worlds = try plans.map { plan in
            let witness = try Witness(plan)
            witnesses.append(witness)
            return AirWorld(
                name: plan.cast.home.name, seats: plan.seats, start: plan.start,
                seed: plan.seed.rawValue, pace: plan.pace, sink: witness
            ) { sink, timekeeping in
                plan.cast.makeAir(seed: plan.seed, sink: sink, timekeeping: timekeeping)
            }
        }
        let all = witnesses
        self.witnesses = all
        service = try AirService(
            worlds: worlds, endpoints: endpoints, settings: plans[0].settings, tether: tether,
            isStopped: isStopped)
        service.log = log
        let isTimed = plans[0].pace != .virtual
        service.pulse = { [unowned self] in
            // So that whoever looks into a home while it runs sees what has happened.
            if isTimed { for witness in self.witnesses { witness.flush() } }
            lookForTrouble()
        }
    }

    /// Says at once that evidence is lost, which the end of the run would be late for.
    private func lookForTrouble() {
        guard !isTroubled, let trouble = witnesses.lazy.compactMap(\.trouble).first else { return }
        isTroubled = true
        evidenceFailed?(trouble)
    }

    /// Until the run ends or the air is stopped; why it could not go on, if it could not.
    public func run() throws -> String? {
        service.run()
        for witness in witnesses { try witness.finish() }
        return service.failure
    }
}

private final class Witness: EvidenceSink {
    private let recorder: Recorder
    private let keys: RunKeys

    init(_ plan: AirPlan) throws {
        recorder = try Recorder(
            roster: plan.cast.roster, start: plan.start, steps: plan.steps ?? [],
            folder: plan.folder, useCases: { MessageCode(rawValue: $0).useCase },
            read: { MessageAccount(of: $0) })
        keys = RunKeys(home: plan.cast.home, folder: plan.folder)
        try keys.begin()
    }

    func flush() { recorder.flush() }

    var trouble: EvidenceError? { recorder.error ?? keys.trouble }

    func finish() throws {
        try recorder.finish()
        if let trouble = keys.trouble { throw trouble }
    }

    func record(frame: borrowing FrameRecord) { recorder.record(frame: frame) }
    func record(event: EventRecord) { recorder.record(event: event) }
    func record(message: MessageRecord) { recorder.record(message: message) }
    func record(networkKey: Key128, at time: Instant) { keys.learn(networkKey) }
    func record(linkKey: Key128, of device: EUI64, at time: Instant) {
        keys.learn(linkKey, of: device)
    }
}
