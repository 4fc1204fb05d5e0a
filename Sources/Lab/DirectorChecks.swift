import Evidence
import Radio
import Wire

/// What the steps that check something still wait for.
extension Director {
    mutating func reached(
        _ milestone: ScenarioStep.Milestone, _ devices: [Int], offset: Int, _ reason: String?,
        at now: Instant
    ) -> String? {
        var late: [Int] = []
        for index in devices {
            guard let attempt = attempt(of: index), attempt.milestones.contains(milestone),
                attempt.offset >= UInt64(offset)
            else {
                late.append(index)
                continue
            }
            if let reason, attempt.reasonName != reason {
                return failing(
                    "\(standing(of: index)), where the reason was to be \(reason)", at: now)
            }
        }
        guard !late.isEmpty else { return nil }
        let message =
            "not '\(milestone.rawValue)'\(offset > 0 ? " to byte \(offset)" : ""): "
            + late.map { standing(of: $0) }.joined(separator: ", ")
        // A device that has found an image wanting does not come to like it, one that has all of it
        // gets no more, and what the hub has thrown away is offered to nobody.
        let last: ScenarioStep.Milestone = offset > 0 ? .verified : .rejected
        let needsImage = [.downloading, .verified, .updated].contains(milestone)
        let isLost = late.contains { index in
            guard let attempt = attempt(of: index) else { return false }
            return attempt.milestones.contains(last) || attempt.outcome == .rejected
                || needsImage && attempt.hubDiscarded && !attempt.milestones.contains(.downloading)
        }
        return isLost ? failing(message, at: now) : message
    }

    mutating func standing(
        _ outcome: AttemptOutcome, _ devices: [Int], _ reason: String?, at now: Instant
    ) -> String? {
        let others = devices.filter { index in
            guard let attempt = attempt(of: index), attempt.outcome == outcome else { return true }
            return reason != nil && attempt.reasonName != reason
        }
        guard !others.isEmpty else { return nil }
        let wanted = outcome.rawValue + (reason.map { ": \($0)" } ?? "")
        return failing(
            "not '\(wanted)': " + others.map { standing(of: $0) }.joined(separator: ", "), at: now)
    }

    mutating func answered(
        _ devices: [Int], _ expected: ScenarioStep.ActivationAnswer, _ reason: String?,
        at now: Instant
    ) -> String? {
        var late: [Int] = []
        for index in devices {
            switch answers[index] {
            case nil: continue
            case .awaited: late.append(index)
            case .activated where expected == .refused:
                return failing("\(members[index].name) did not refuse to activate", at: now)
            case .activated where expected != .activated && expected != .answered:
                return failing(
                    "\(members[index].name) activated, which was not expected", at: now)
            case .accepted where expected != .accepted:
                return failing("\(members[index].name) will activate later", at: now)
            case .accepted: break
            case .dropped(let why) where expected != .dropped:
                return failing(
                    "\(members[index].name) did not take the command: \(why.name)", at: now)
            case .dropped(let why):
                if let reason, why.name != reason {
                    return failing(
                        "\(members[index].name) dropped the command for another reason than "
                            + "\(reason): \(why.name)", at: now)
                }
            case .refused(let why) where expected != .refused && expected != .answered:
                return failing(
                    "\(members[index].name) refused to activate: \(why.name)", at: now)
            case .refused(let why):
                if let reason, why.name != reason {
                    return failing(
                        "\(members[index].name) refused to activate for another reason than "
                            + "\(reason): \(why.name)", at: now)
                }
            case .activated: break
            }
        }
        return late.isEmpty ? nil : "no answer to the order to activate: \(names(late))"
    }

    mutating func readBack(_ devices: [Int], _ wanted: UInt32?, at now: Instant) -> String? {
        let silent = devices.filter { members[$0].refusesRead }
        guard silent.isEmpty else {
            return failing("the version is not to be had of \(names(silent))", at: now)
        }
        let unread = devices.filter { members[$0].lastRead == nil }
        guard unread.isEmpty else { return "no answer from \(names(unread))" }
        for index in devices {
            let expected = wanted ?? members[index].firmware
            guard members[index].lastRead == expected else {
                let read = members[index].lastRead.map(hex) ?? "nothing"
                return failing(
                    "\(members[index].name) says \(read), not \(hex(expected))", at: now)
            }
        }
        return nil
    }

    mutating func logged(_ devices: [Int], at now: Instant) -> String? {
        let late = devices.filter { !members[$0].isLogged }
        if let index = late.first(where: { members[$0].logRefusal != nil }),
            let refusal = members[index].logRefusal
        {
            return failing(
                "the hub did not put \(members[index].name) in its device log: \(refusal.name)",
                at: now)
        }
        return late.isEmpty ? nil : "not in the hub's device log: \(names(late))"
    }

    mutating func hubUpdated(at now: Instant, into out: inout Outbox) -> String? {
        guard let image = orderedHub else { return "no such image" }
        if let reply = lastReply, reply.delivery + 1 == nextDelivery {
            if let refusal = reply.refusal {
                return failing("the hub refused its image: \(refusal.name)", at: now)
            }
            lastReply = nil
            hubUpdate = .ordered
            if case .updateHub(_, .cs06) = scenario.steps[step].action {
                answers[hub] = .awaited
                activate(hub, image.hash, by: activator, at: nil, now, into: &out)
            } else {
                out.send(.activateHub(hash: image.hash))
            }
        }
        if case .dropped(let why) = answers[hub] {
            return failing("the hub did not take the command: \(why.name)", at: now)
        }
        if hubUpdate == .back, members[hub].firmware == image.version { return nil }
        return "the hub does not run \(hex(image.version)) yet"
    }

    func names(_ indices: [Int]) -> String {
        indices.map { members[$0].name }.joined(separator: ", ")
    }

    func hex(_ version: UInt32) -> String { "0x" + Hex.string(UInt64(version), digits: 8) }

    func indices(_ names: [String]) -> [Int] {
        names.compactMap { name in members.firstIndex { $0.name == name } }
    }

    private func attempt(of device: Int) -> AttemptRecord? {
        attempts.last { $0.device == device }
    }

    /// `PPMID (notOffered: hubLacksSupport)`
    private func standing(of device: Int) -> String {
        guard let attempt = attempt(of: device) else {
            return "\(members[device].name) (no image was sent)"
        }
        let reason =
            attempt.outcome == .updated ? "" : attempt.reasonName.map { ": \($0)" } ?? ""
        return "\(members[device].name) (\(attempt.outcome.rawValue)\(reason))"
    }
}
