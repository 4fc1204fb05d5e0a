import Evidence
import Wire

/// What a director has to tell of its run, whatever carried it.
struct DirectorReport {
    let cast: HomeCast
    let scenario: Scenario
    let seed: Seed
    private var seen = 0
    private var noted = 0

    init(cast: HomeCast, scenario: Scenario, seed: Seed) {
        self.cast = cast
        self.scenario = scenario
        self.seed = seed
    }

    /// Whether the director's attempts have changed since the last time.
    mutating func notices(_ changes: Int) -> Bool {
        defer { seen = changes }
        return changes != seen
    }

    /// Writes the air's frame count beside attempts that have just begun or ended.
    mutating func note(_ frames: UInt64, in director: inout Director) {
        let attempts = director.attempts
        for index in attempts.indices {
            if index >= noted { director.setFrames(attempt: index, before: frames, after: nil) }
            if attempts[index].ended != nil, attempts[index].framesAfter == 0 {
                director.setFrames(attempt: index, before: nil, after: frames)
            }
        }
        noted = attempts.count
    }

    /// The summary of a run that stands at `now` with so many frames on the air so far.
    func summary(
        of director: Director?, transport: String, at now: Instant, frames: UInt64,
        wallSeconds: Double, isInterrupted: Bool, lost: EventRecord?
    ) -> Summary {
        let home = cast.home
        let versions = director?.versions ?? []
        let read = director?.versionsRead ?? []
        var devices = [
            Summary.Device(
                name: home.hub.name, role: .communicationsHub, eui64: home.hub.eui64,
                versionBefore: home.hub.firmware, versionAfter: versions.first,
                attempts: attempts(of: 0, director, now, frames))
        ]
        for (offset, device) in home.devices.enumerated() {
            let index = offset + 1
            devices.append(
                Summary.Device(
                    name: device.name,
                    role: DeviceRole(rawValue: device.profile.type.rawValue) ?? .esme,
                    eui64: device.eui64, versionBefore: device.firmware,
                    versionAfter: index < read.count ? read[index] ?? versions[index] : nil,
                    attempts: attempts(of: index, director, now, frames)))
        }
        let failure = failure(director, isInterrupted: isInterrupted, lost: lost)
        return Summary(
            scenario: scenario.name, seed: seed.rawValue, transport: transport,
            outcome: failure == nil ? .passed : .failed, failure: failure,
            virtualTime: now - .zero, wallSeconds: wallSeconds, frames: frames, devices: devices)
    }

    /// Why the run failed; nil if it passed.
    private func failure(
        _ director: Director?, isInterrupted: Bool, lost: EventRecord?
    ) -> String? {
        guard let director else { return "the director is missing" }
        if let failure = director.failure {
            return "\(words(forStep: failure.step)): \(failure.message)"
        }
        if isInterrupted { return "stopped in \(words(forStep: director.step))" }
        // What the director was not told of any more, or lost itself.
        if let lost {
            return Director.loss(
                of: lost.values[0], by: cast.roster.name(of: lost.node), at: lost.time)
        }
        return director.passed == true ? nil : "the scenario's time limit ran out"
    }

    func words(forStep index: Int) -> String {
        guard scenario.steps.indices.contains(index) else { return "the last step" }
        let step = scenario.steps[index]
        return "step \(index + 1), '\(step.title)' (line \(step.line))"
    }

    private func attempts(
        of device: Int, _ director: Director?, _ now: Instant, _ total: UInt64
    ) -> [Summary.Attempt] {
        let attempts = director?.attempts ?? []
        return attempts.filter { $0.device == device }.map { attempt in
            let outcome = attempt.outcome
            // A run that was stopped leaves some open.
            let frames = attempt.ended == nil ? total : attempt.framesAfter
            return Summary.Attempt(
                hubFirmware: attempt.hubFirmware, outcome: outcome,
                reason: outcome == .updated ? nil : attempt.reasonName, blocks: attempt.blocks,
                frames: frames - min(attempt.framesBefore, frames),
                virtualTime: (attempt.ended ?? now) - attempt.began)
        }
    }
}
