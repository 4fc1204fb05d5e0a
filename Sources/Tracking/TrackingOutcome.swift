import DCC

/// What has come of a device's update, or of a command to it, so far.
public enum TrackingOutcome: String, CaseIterable, Hashable, Sendable, Codable {
    case done
    case underWay
    case failed
    /// The DSP does not carry it out.
    case refused
}

/// Where a request stands as a whole, which follows from its answer and its devices.
public enum ProcessingStatus: String, CaseIterable, Hashable, Sendable, Codable {
    /// All of it.
    case refused
    /// A device, or the request itself, is under way.
    case inProgress
    /// None of the devices that were let in has got there.
    case failed
    /// Some of its devices have, others failed or were left out.
    case doneInPart
    case done
}

extension TrackingStatus {
    public var outcome: TrackingOutcome {
        switch self {
        case .refused: .refused
        case .deliveryFailed, .transferFailed, .rejected, .activationFailed, .notActivated,
            .unanswered:
            .failed
        case .activated, .answered, .carriedOut, .reported: .done
        case .submitted, .validated, .atCSP, .delivering, .deliveredToHub, .offered, .downloading,
            .transferred, .verified, .activationOrdered, .activationPending, .commandSent:
            .underWay
        }
    }
}

extension [TrackingStatus: Int] {
    /// How many have come to what.
    public var outcomes: [TrackingOutcome: Int] {
        var outcomes: [TrackingOutcome: Int] = [:]
        for (status, count) in self where count > 0 {
            outcomes[status.outcome, default: 0] += count
        }
        return outcomes
    }
}

extension RequestRow {
    public var processing: ProcessingStatus {
        let outcomes = counts.outcomes
        if code.isError { return .refused }
        switch (outcomes[.done] != nil, outcomes[.failed] != nil, outcomes[.refused] != nil) {
        case _ where outcomes[.underWay] != nil: return .inProgress
        case (true, false, false): return .done
        case (true, _, _): return .doneInPart
        case (false, true, _): return .failed
        case (false, false, true): return .refused
        case (false, false, false): break
        }
        // Without devices: what was said of the request itself. One that the DSP has answered, and
        // of which it has nothing more to say, is done.
        switch status {
        case .submitted, .validated: return .done
        default: break
        }
        return switch status.outcome {
        case .done: .done
        case .underWay: .inProgress
        case .failed: .failed
        case .refused: .refused
        }
    }
}
