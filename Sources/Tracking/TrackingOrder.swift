import DCC

extension TrackingStatus {
    /// How far on it is; those of one number are each other's alternatives.
    var stage: Int {
        switch self {
        case .submitted: 0
        case .validated, .refused: 1
        case .atCSP, .commandSent: 2
        case .answered, .unanswered, .carriedOut: 3
        case .delivering: 4
        case .deliveredToHub, .deliveryFailed: 5
        case .offered: 6
        case .downloading: 7
        case .transferred, .transferFailed: 8
        case .verified, .rejected: 9
        case .activationOrdered: 10
        case .activationPending: 11
        case .activated, .activationFailed, .notActivated: 12
        case .reported: 13
        }
    }

    /// Whether who stands at `old` comes to stand here when it is told so.
    ///
    /// Word of a stage that lies behind comes late and changes nothing, unless a failure lies
    /// between: then it is another attempt. That a user has acknowledged it is no place to stand.
    func follows(_ old: TrackingStatus) -> Bool {
        if self == old { return true }
        switch self {
        case .refused: return old == .submitted || old == .validated
        case .reported: return false
        // A command, perhaps one that its device has taken for later.
        case .unanswered: return !old.isFinal
        default: break
        }
        switch old {
        case .refused, .reported: return false
        // It runs it, whatever becomes of a further order.
        case .activated: return false
        case .unanswered where self == .commandSent: return true
        case .deliveryFailed, .transferFailed, .rejected:
            if self == .delivering || self == .downloading { return true }
        case .activationFailed, .notActivated:
            if self == .activationOrdered { return true }
        default: break
        }
        return stage >= old.stage
    }

    /// Where a request stands whose devices stand as `counts` says: those left out only count if
    /// nobody was let in; nil when there is none.
    static func ofRequest(_ counts: [TrackingStatus: Int]) -> TrackingStatus? {
        let taken = counts.filter { $0.value > 0 && $0.key != .refused }.keys
        func isBefore(_ a: TrackingStatus, _ b: TrackingStatus) -> Bool {
            // Of two at one stage the better one, whatever order they come in.
            (a.stage, a.isFailure ? 0 : 1) < (b.stage, b.isFailure ? 0 : 1)
        }
        return taken.filter { !$0.isFinal }.min(by: isBefore) ?? taken.max(by: isBefore)
            ?? (counts[.refused, default: 0] > 0 ? .refused : nil)
    }

    fileprivate var isFailure: Bool { outcome == .failed || outcome == .refused }
}
