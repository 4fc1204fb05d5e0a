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
    /// Why it failed, for people.
    public var failure: String?
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

    /// Runs to the end. `wallClock` gives seconds from any fixed point; it is only read for the
    /// summary.
    public func run(
        observer: RunObserver? = nil, wallClock: () -> Double
    ) throws(EvidenceError) -> RunResult {
        let began = wallClock()
        var folder: OutputFolder?
        if let path = options.folder { folder = try OutputFolder(preparing: path) }
        let recorder = try Recorder(
            roster: roster, start: scenario.start, steps: scenario.steps.map(\.title),
            folder: folder)
        let sink = EvidenceTee(recorder: recorder, observer: observer)
        let simulation = makeSimulation(sink: sink)
        var seen = 0
        var noted = 0
        while simulation.step(until: .zero + scenario.timeLimit) {
            // Only then, because looking at a node's state copies the node.
            guard simulation.lastNode == directorIndex,
                let changes = simulation.nodes[directorIndex].director?.changes, changes != seen
            else { continue }
            seen = changes
            simulation.change(directorIndex) { node in
                note(simulation.air.frameCount, in: &node, from: &noted)
            }
        }
        try recorder.finish()
        let summary = summarise(simulation, recorder, wallSeconds: wallClock() - began)
        if let folder {
            try folder.write(WiresharkKeys.table(keys(simulation)), to: .keys)
            try folder.write(Array(summary.json.utf8), to: .summary)
        }
        return RunResult(
            summary: summary, failure: failure(simulation.nodes[directorIndex].director),
            folder: folder)
    }

    /// The home on its air, before anything has happened; without a sink nothing is recorded.
    package func makeSimulation(sink: EvidenceSink?) -> Simulation<HomeNode> {
        let air = Air(
            members: members, settings: home.air, links: links, seed: seed, sink: sink)
        return Simulation(air: air, members: roster.members.count, make: makeNode)
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

    private func makeNode(_ index: Int) -> HomeNode {
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
        var members = [(home.hub.name, home.hub.eui64, home.hub.firmware)]
        for device in home.devices { members.append((device.name, device.eui64, device.firmware)) }
        return Director(
            scenario: scenario, images: images,
            members: members.map { (name: $0.0, eui64: $0.1, firmware: $0.2) },
            wanPerByte: home.air.wanPerByte)
    }

    // MARK: - The outcome

    private func keys(_ simulation: Simulation<HomeNode>) -> [(key: Key128, label: String)] {
        var keys: [(key: Key128, label: String)] = []
        if let key = simulation.nodes[0].hub?.stack.networkKey {
            keys.append((key, "network key"))
        }
        if let key = simulation.nodes[0].hub?.stack.otherNetworkKey {
            keys.append((key, "network key before or after it"))
        }
        for device in home.devices {
            keys.append((device.installCode.linkKey, "\(device.name) install code link key"))
        }
        return keys
    }

    private func failure(_ director: Director?) -> String? {
        guard let director else { return "the director is missing" }
        if let failure = director.failure {
            let step = scenario.steps[failure.step]
            return
                "step \(failure.step + 1), '\(step.title)' (line \(step.line)): \(failure.message)"
        }
        return director.passed == true ? nil : "the scenario's time limit ran out"
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
                attempts: attempts(of: 0, director))
        ]
        for (offset, device) in home.devices.enumerated() {
            let index = offset + 1
            devices.append(
                Summary.Device(
                    name: device.name,
                    role: DeviceRole(rawValue: device.profile.type.rawValue) ?? .esme,
                    eui64: device.eui64, versionBefore: device.firmware,
                    versionAfter: read[index] ?? versions[index],
                    attempts: attempts(of: index, director)))
        }
        return Summary(
            scenario: scenario.name, seed: seed.rawValue, transport: "simulation",
            outcome: director?.passed == true ? .passed : .failed,
            virtualTime: simulation.now - .zero, wallSeconds: wallSeconds,
            frames: recorder.frames, devices: devices)
    }

    private func attempts(of device: Int, _ director: Director?) -> [Summary.Attempt] {
        (director?.attempts ?? []).filter { $0.device == device }.map { attempt in
            let outcome = attempt.outcome
            return Summary.Attempt(
                hubFirmware: attempt.hubFirmware, outcome: outcome,
                reason: outcome == .updated ? nil : attempt.reasonName, blocks: attempt.blocks,
                frames: attempt.framesAfter - min(attempt.framesBefore, attempt.framesAfter),
                virtualTime: (attempt.ended ?? attempt.began) - attempt.began)
        }
    }
}

extension AttemptRecord {
    /// How the attempt ended, in the summary's words.
    public var outcome: AttemptOutcome {
        if milestones.contains(.updated) { return .updated }
        if milestones.contains(.rejected) { return .rejected }
        if milestones.contains(.gaveUp) { return .gaveUp }
        if milestones.contains(.verified) { return .notActivated }
        if milestones.contains(.notOffered) { return .notOffered }
        if hubDiscarded { return .discarded }
        if hasNoClient { return .notOffered }
        return .incomplete
    }

    var reasonName: String? {
        if reason != .none { return reason.name }
        return hasNoClient ? "noOTAClient" : nil
    }
}

/// Hands a run's evidence to the recorder and its events to whoever watches.
private final class EvidenceTee: EvidenceSink {
    private let recorder: Recorder
    private let observer: RunObserver?

    init(recorder: Recorder, observer: RunObserver?) {
        self.recorder = recorder
        self.observer = observer
    }

    func record(frame: borrowing FrameRecord) { recorder.record(frame: frame) }

    func record(event: EventRecord) {
        recorder.record(event: event)
        observer?.observe(event)
    }
}
