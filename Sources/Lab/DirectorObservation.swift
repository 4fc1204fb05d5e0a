import Radio
import Wire

extension Director {
    // MARK: - What the others do

    mutating func observe(_ event: EventRecord, at now: Instant) {
        let node = Int(event.node)
        guard members.indices.contains(node) else { return }
        switch event.kind {
        case .outputLost:
            loss = loss ?? Self.loss(of: event.values[0], by: members[node].name, at: event.time)
        case .poweredOn:
            let running = UInt32(truncatingIfNeeded: event.values[0])
            members[node].firmware = running
            if node != hub {
                reach(
                    .updated, node, at: now,
                    if: { $0.version == running && $0.milestones.contains(.verified) })
            }
            members[node].isInNetwork = false
            members[node].knowsServer = false
            members[node].hasNoClient = false
            members[node].power = .starting
        case .booted: members[node].power = .running
        case .nodeLost:
            members[node].power = .off
            if scenario.lostNode == .fail {
                loss =
                    loss ?? "\(members[node].name) is lost: "
                    + Self.reason(event.values[0]).lossWords
            }
        case .poweredOff, .restarting:
            if event.kind == .restarting {
                members[node].power = .starting
            } else if members[node].power == .running {
                members[node].power = .off
            }
            members[node].isInNetwork = false
            if node == hub, hubUpdate == .back { hubUpdate = .activated }
        case .panFormed, .networkResumed, .joined, .rejoined:
            members[node].isInNetwork = true
            note(node) { if $0.reason == .notInDeviceLog { $0.reason = .none } }
            if node == hub, hubUpdate == .activated {
                hubUpdate = .back
                let running = members[hub].firmware
                reach(.updated, hub, at: now, if: { $0.version == running })
            }
        case .left: if event.values[0] == members[node].eui64.rawValue { isGone(node) }
        case .networkKeySwitched: if node == hub { hubHasSwitchedKey = true }
        case .otaServerFound: members[node].knowsServer = true
        case .otaClientAbsent: members[node].hasNoClient = true
        case .otaDownloadStarted, .otaDownloadResumed:
            reach(
                .downloading, node, at: now, of: event.values[0],
                goesOn: event.kind == .otaDownloadResumed)
            if let index = attempt(on: node, of: event.values[0]) {
                attempts[index].offset = event.values[2]
            }
        case .otaProgress:
            if let index = attempt(on: node, of: event.values[3]) {
                attempts[index].offset = event.values[0]
                attempts[index].blocks = attempts[index].earlierBlocks + event.values[2]
            }
        case .otaNotOffered:
            // What it has fetched already is not taken from it by that.
            reach(
                .notOffered, node, at: now,
                if: { $0.hasArrived && !$0.milestones.contains(.verified) })
        case .imageStored:
            underway.remove(UInt32(truncatingIfNeeded: event.values[0]))
            for index in attempts.indices
            where UInt64(attempts[index].delivery) == event.values[0] {
                attempts[index].hasArrived = true
            }
        case .otaFileReceived: reach(.verified, node, at: now)
        case .otaVerified:
            if let index = attempt(on: node, of: event.values[0]) {
                attempts[index].blocks = attempts[index].earlierBlocks + event.values[1]
                // What it refused before, it refused for the want of this.
                attempts[index].activationRefusal = .none
            }
        case .otaAwaitingActivation, .otaCountingDown:
            // Checked, and the hub has heard of it: only now would anybody order the activation.
            reach(.verified, node, at: now, of: event.values[0])
        case .otaRejected:
            reach(
                .rejected, node, at: now, of: event.values[0], reason: event.values[1],
                blocks: event.values[2])
        case .otaGaveUp, .otaAborted:
            reach(.gaveUp, node, at: now, of: event.values[0], blocks: event.values[2])
        case .activated:
            if node == hub, hubUpdate == .ordered { hubUpdate = .activated }
            answer(node, .activated)
        case .activationRefused: activationRefused(node, Self.reason(event.values[0]))
        case .imageWithheld:
            guard let device = members.firstIndex(where: { $0.eui64.rawValue == event.values[0] })
            else { return }
            note(device) { attempt in
                if attempt.hasArrived, !attempt.hubDiscarded,
                    !attempt.milestones.contains(.verified)
                {
                    attempt.reason = Self.reason(event.values[1])
                }
            }
        case .imageDiscarded:
            discard(
                UInt32(truncatingIfNeeded: event.values[0]), Self.reason(event.values[1]), at: now)
        case .versionRead:
            guard let device = members.firstIndex(where: { $0.eui64.rawValue == event.values[0] })
            else { return }
            members[device].lastRead = UInt32(truncatingIfNeeded: event.values[1])
        case .deviceLogged, .deviceNotLogged:
            guard let device = members.firstIndex(where: { $0.eui64.rawValue == event.values[0] })
            else { return }
            members[device].isLogged = event.kind == .deviceLogged
            members[device].logRefusal =
                event.kind == .deviceLogged ? nil : Self.reason(event.values[1])
        case .joinFailed:
            if Self.reason(event.values[0]) == .notInDeviceLog { notLogged(node) }
        case .associationRefused:
            // A router's word is not the trust centre's.
            guard node == hub, Self.reason(event.values[1]) == .notInDeviceLog,
                let device = members.firstIndex(where: { $0.eui64.rawValue == event.values[0] })
            else { return }
            notLogged(device)
        case .deviceRemoved:
            guard let device = members.firstIndex(where: { $0.eui64.rawValue == event.values[0] })
            else { return }
            notLogged(device)
        case .versionNotRead:
            guard let device = members.firstIndex(where: { $0.eui64.rawValue == event.values[0] })
            else { return }
            members[device].refusesRead = true
        default: break
        }
    }

    /// Nothing comes of its present attempt as long as the hub has nothing to do with it.
    private mutating func notLogged(_ device: Int) {
        note(device) { if !$0.hubDiscarded { $0.reason = .notInDeviceLog } }
        changes += 1
    }

    /// It has left, and starts anew: what is asked of it from here on waits for that.
    private mutating func isGone(_ node: Int) {
        members[node].isInNetwork = false
        members[node].knowsServer = false
        if members[node].power == .running { members[node].power = .starting }
    }

    /// Only for an image that the device has and does not put into use is it the reason.
    private mutating func activationRefused(_ node: Int, _ reason: RefusalReason) {
        note(node) { attempt in
            // That it holds none any more only follows from having found it spoilt.
            let follows = attempt.activationRefusal == .activationFailure && reason == .noImageHeld
            if !follows { attempt.activationRefusal = reason }
        }
        changes += 1
        answer(node, .refused(reason))
        if node == hub, hubUpdate == .ordered {
            obstacle = "the hub refused to activate its image: \(reason.name)"
        }
    }

    private mutating func answer(_ device: Int, _ answer: OrderAnswer) {
        if answers[device] == .awaited { answers[device] = answer }
    }

    /// Why nothing that comes after it can be believed.
    static func loss(of count: UInt64, by name: String, at time: Instant) -> String {
        "\(name) lost \(count) of its outputs at \(time.microseconds) us (event outputLost): it "
            + "had more to put out in one turn than a turn takes, more to promise to sleepers than "
            + "its chip can, or more to keep than its flash holds, so the run is not what a home "
            + "would do; this is a fault of han, please report it with the seed"
    }

    private static func reason(_ value: UInt64) -> RefusalReason {
        RefusalReason(rawValue: UInt8(truncatingIfNeeded: value)) ?? .none
    }

    /// Changes a device's current attempt, if it has one that has not ended.
    private mutating func note(_ device: Int, _ change: (inout AttemptRecord) -> Void) {
        guard
            let index = attempts.lastIndex(where: { $0.device == device && $0.ended == nil })
        else { return }
        change(&attempts[index])
    }

    /// A device's latest attempt with an image of this version: the download of an earlier image
    /// may end only after the next has been sent.
    private func attempt(on device: Int, of version: UInt64) -> Int? {
        attempts.lastIndex { $0.device == device && UInt64($0.version) == version }
    }

    private mutating func reach(
        _ milestone: ScenarioStep.Milestone, _ device: Int, at now: Instant,
        of version: UInt64? = nil, reason: UInt64? = nil, blocks: UInt64? = nil,
        goesOn: Bool = false, if condition: (AttemptRecord) -> Bool = { _ in true }
    ) {
        guard let latest = attempts.lastIndex(where: { $0.device == device }) else { return }
        let index = version.map { attempt(on: device, of: $0) } ?? latest
        guard let index, condition(attempts[index]) else { return }
        if index != latest {
            // Another image has been sent since: only what was fetched of this one still counts.
            if let blocks { attempts[index].blocks = attempts[index].earlierBlocks + blocks }
            changes += 1
            return
        }
        if milestone == .downloading, attempts[index].isReopened {
            // It asks again after giving up, or is offered later what was not there before.
            attempts[index].milestones.subtract([.gaveUp, .notOffered])
            attempts[index].ended = nil
            attempts[index].framesAfter = 0
            // A download that goes on counts on.
            if !goesOn { attempts[index].earlierBlocks = attempts[index].blocks }
        }
        guard attempts[index].ended == nil else { return }
        if milestone == .downloading, attempts[index].reason != .notInDeviceLog,
            !attempts[index].hubDiscarded
        {
            // Why it was not offered before is no reason any more.
            attempts[index].reason = .none
        }
        attempts[index].milestones.insert(milestone)
        if let reason { attempts[index].reason = Self.reason(reason) }
        if let blocks { attempts[index].blocks = attempts[index].earlierBlocks + blocks }
        switch milestone {
        case .updated, .notOffered, .rejected, .gaveUp: attempts[index].ended = now
        case .verified, .downloading: break
        }
        changes += 1
    }
}
