import Radio
import Wire

/// What may happen while answers are outstanding.
///
/// A node that got a turn at t can change, from t on, what its own chip does, and nothing else
/// before the end of the first clear channel assessment that it can ask for (t + 128 µs at the
/// least; later while its chip is spacing, acknowledging or waiting for the flash), or before the
/// bench or the WAN could carry word of it. So everything that lies before and does not ask that
/// chip may go ahead, and comes out as if the answer had been there.
extension Air {
    /// Whether the first thing due, at `time` in `slot`, is the same whatever the outstanding
    /// answers say.
    func mayHappen(_ slot: Int, at time: Instant) -> Bool {
        for node in owing where time >= reach(of: node) { return false }
        guard slot < chips.count else {
            // The end of the run is the end of everybody's evidence.
            return !members[slot - chips.count].observes
        }
        if chips[slot].ackEnds <= time {
            return !owing.contains { chips[$0].phase == .awaitingAck }
        }
        guard !owing.contains(slot) else { return false }
        guard chips[slot].phase == .sending else { return true }
        return !owing.contains { node in
            !members[node].observes && links[slot, node].rssi >= settings.sensitivity
        }
    }

    /// The first instant at which the outstanding answer of `node` could change anything but
    /// what its own chip hears.
    private func reach(of node: Int) -> Instant {
        let turn = mailboxes[node].owedSince
        let word = min(turn + shortestWord, mailboxes[node].firstLetter)
        guard chips[node].phase == .idle, !members[node].observes else { return word }
        let chip = max(
            max(turn, chips[node].spacedUntil), max(flash[node].busyUntil, chips[node].ackedUntil))
        return min(word, chip + settings.phy.assessment)
    }

    /// How soon anything but a frame can get from one node to another.
    private var shortestWord: Interval { min(settings.benchLatency, settings.wanLatency) }
}
