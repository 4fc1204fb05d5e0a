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
    public let home: Home
    public let scenario: Scenario
    public let roster: Roster
    private let images: [String: RunImage]
    private let options: RunOptions
    private let seed: Seed

    public init(
        home: Home, scenario: Scenario, images: [String: RunImage], options: RunOptions
    ) {
        self.home = home
        self.scenario = scenario
        self.images = images
        self.options = options
        seed = Seed(options.seed ?? scenario.seed)
        var members = [
            Roster.Member(name: home.hub.name, role: "CH", eui64: home.hub.eui64)
        ]
        for device in home.devices {
            members.append(
                Roster.Member(
                    name: device.name, role: device.profile.type.rawValue, eui64: device.eui64))
        }
        members.append(Roster.Member(name: "director", role: "director", eui64: nil))
        roster = Roster(members: members)
    }

    /// The director's place in the roster: last.
    private var directorIndex: Int { home.devices.count + 1 }

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
            folder: folder)
        let sink = EvidenceTee(recorder: recorder, observer: observer)
        let simulation = makeSimulation(sink: sink)
        var seen = 0
        var noted = 0
        let keys = RunKeys(home: home, folder: folder)
        try keys.begin()
        sink.keys = keys
        // The director ends the run itself when its time is up.
        while !isStopped(), simulation.step() {
            // Only then, because looking at a node's state copies the node.
            guard simulation.lastNode == directorIndex,
                let changes = simulation.nodes[directorIndex].director?.changes, changes != seen
            else { continue }
            seen = changes
            simulation.change(directorIndex) { node in
                note(simulation.air.frameCount, in: &node, from: &noted)
            }
        }
        simulation.air.finishEvidence()
        try recorder.finish()
        if let trouble = keys.trouble { throw trouble }
        let director = simulation.nodes[directorIndex].director
        let isInterrupted = director?.passed == nil && isStopped()
        var summary = summarise(simulation, recorder, wallSeconds: wallClock() - began)
        summary.failure = failure(
            director, isInterrupted: isInterrupted, lost: sink.lostOutput, at: simulation.now)
        summary.outcome = summary.failure == nil ? .passed : .failed
        try folder?.write(Array(summary.json.utf8), to: .summary)
        return RunResult(summary: summary, isInterrupted: isInterrupted, folder: folder)
    }

    /// The home on its air, before anything has happened; without a sink nothing is recorded.
    package func makeSimulation(sink: EvidenceSink?) -> Simulation<HomeNode> {
        Simulation(
            air: makeAir(sink: sink), members: roster.members.count, seed: seed, make: makeNode)
    }

    package func makeAir(sink: EvidenceSink?) -> Air {
        Air(members: members, settings: home.air, links: links, seed: seed, sink: sink)
    }

    /// Writes the air's frame count beside attempts that have just begun or ended.
    private func note(_ frames: UInt64, in node: inout HomeNode, from noted: inout Int) {
        guard let attempts = node.director?.attempts else { return }
        for index in attempts.indices {
            if index >= noted {
                node.director?.setFrames(attempt: index, before: frames, after: nil)
            }
            if attempts[index].ended != nil, attempts[index].framesAfter == 0 {
                node.director?.setFrames(attempt: index, before: nil, after: frames)
            }
        }
        noted = attempts.count
    }

    // MARK: - The cast

    private var members: [AirMember] {
        var members = [AirMember(flash: home.hub.profile.flash, wanPeer: directorIndex)]
        for device in home.devices { members.append(AirMember(flash: device.profile.flash)) }
        members.append(
            AirMember(flash: FlashGeometry(size: 4096), wanPeer: 0, observes: true))
        return members
    }

    private var links: LinkTable {
        var table = LinkTable(members: roster.members.count, common: home.commonLink)
        for link in home.links {
            guard let from = roster.members.firstIndex(where: { $0.name == link.from }),
                let to = roster.members.firstIndex(where: { $0.name == link.to })
            else { continue }
            if link.isOneWay {
                table[from, to] = link.link
            } else {
                table.set(from, to, link.link)
            }
        }
        return table
    }

    package func makeNode(_ index: Int) -> HomeNode {
        if index == 0 { return HomeNode(makeHub()) }
        if index == directorIndex { return HomeNode(makeDirector()) }
        let device = home.devices[index - 1]
        return HomeNode(
            HANDevice(
                profile: device.profile,
                identity: DeviceIdentity(
                    eui64: device.eui64, linkKey: device.installCode.linkKey,
                    firmware: device.firmware, supplier: device.supplier,
                    channels: home.channels), crypto: crypto, seed: seed))
    }

    /// One engine for the whole world: it keeps key schedules, not state.
    private let crypto = CryptoEngine()

    private func makeHub() -> CommunicationsHub {
        CommunicationsHub(
            profile: home.hub.profile,
            identity: HubIdentity(
                eui64: home.hub.eui64, firmware: home.hub.firmware, signer: home.hub.signer,
                channels: home.channels,
                deviceLog: home.devices.map {
                    DeviceLogEntry(
                        eui64: $0.eui64, type: $0.profile.type, linkKey: $0.installCode.linkKey)
                }, start: scenario.start), crypto: crypto, seed: seed)
    }

    private func makeDirector() -> Director {
        var members: [(name: String, eui64: EUI64, linkKey: Key128?, firmware: UInt32)] = [
            (home.hub.name, home.hub.eui64, nil, home.hub.firmware)
        ]
        for device in home.devices {
            members.append(
                (device.name, device.eui64, device.installCode.linkKey, device.firmware))
        }
        return Director(
            scenario: scenario, images: images, members: members, wanPerByte: home.air.wanPerByte,
            wanChunk: home.air.wanChunk)
    }

    // MARK: - The outcome

    /// Why the run failed; nil if it passed.
    private func failure(
        _ director: Director?, isInterrupted: Bool, lost: EventRecord?, at now: Instant
    ) -> String? {
        guard let director else { return "the director is missing" }
        if let failure = director.failure {
            return "\(words(forStep: failure.step)): \(failure.message)"
        }
        if isInterrupted {
            return "stopped in \(words(forStep: director.step))"
        }
        // What the director was not told of any more, or lost itself.
        if let lost {
            return Director.loss(
                of: lost.values[0], by: roster.name(of: lost.node), at: lost.time)
        }
        return director.passed == true ? nil : "the scenario's time limit ran out"
    }

    private func words(forStep index: Int) -> String {
        guard scenario.steps.indices.contains(index) else { return "the last step" }
        let step = scenario.steps[index]
        return "step \(index + 1), '\(step.title)' (line \(step.line))"
    }

    private func summarise(
        _ simulation: Simulation<HomeNode>, _ recorder: Recorder, wallSeconds: Double
    ) -> Summary {
        let director = simulation.nodes[directorIndex].director
        let versions = director?.versions ?? []
        let read = director?.versionsRead ?? []
        var devices = [
            Summary.Device(
                name: home.hub.name, role: .communicationsHub, eui64: home.hub.eui64,
                versionBefore: home.hub.firmware, versionAfter: versions.first,
                attempts: attempts(of: 0, simulation))
        ]
        for (offset, device) in home.devices.enumerated() {
            let index = offset + 1
            devices.append(
                Summary.Device(
                    name: device.name,
                    role: DeviceRole(rawValue: device.profile.type.rawValue) ?? .esme,
                    eui64: device.eui64, versionBefore: device.firmware,
                    versionAfter: read[index] ?? versions[index],
                    attempts: attempts(of: index, simulation)))
        }
        return Summary(
            scenario: scenario.name, seed: seed.rawValue, transport: "simulation",
            outcome: director?.passed == true ? .passed : .failed,
            virtualTime: simulation.now - .zero, wallSeconds: wallSeconds,
            frames: recorder.frames, devices: devices)
    }

    private func attempts(
        of device: Int, _ simulation: Simulation<HomeNode>
    ) -> [Summary.Attempt] {
        let attempts = simulation.nodes[directorIndex].director?.attempts ?? []
        return attempts.filter { $0.device == device }.map { attempt in
            let outcome = attempt.outcome
            // A run that was stopped leaves some open.
            let frames = attempt.ended == nil ? simulation.air.frameCount : attempt.framesAfter
            return Summary.Attempt(
                hubFirmware: attempt.hubFirmware, outcome: outcome,
                reason: outcome == .updated ? nil : attempt.reasonName, blocks: attempt.blocks,
                frames: frames - min(attempt.framesBefore, frames),
                virtualTime: (attempt.ended ?? simulation.now) - attempt.began)
        }
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

    func record(networkKey: Key128, at time: Instant) { keys?.learn(networkKey) }
}
