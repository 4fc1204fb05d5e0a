import Radio
import Wire

/// The earliest of a fixed number of deadlines: a winner tree, so that moving one deadline costs
/// a walk to the root and nothing is ever queued twice or left behind. Ties go to the lower slot,
/// which is what makes the order of events total.
package struct DeadlineTree: ~Copyable {
    private struct Entry: Equatable {
        var time: Int64
        var slot: Int
    }

    /// The leaves are the slots, from `leaves` on; above them each node k has the winner of 2k and
    /// 2k + 1, the root is 1.
    private let entries: Slots<Entry>
    private let leaves: Int

    package init(slots: Int) {
        var leaves = 2
        while leaves < slots { leaves *= 2 }
        self.leaves = leaves
        entries = Slots(repeating: Entry(time: .max, slot: 0), count: 2 * leaves)
        for slot in 0..<leaves { entries[leaves + slot].slot = slot }
        for inner in stride(from: leaves - 1, through: 1, by: -1) {
            entries[inner] = entries[2 * inner]
        }
    }

    /// The slot whose deadline comes first.
    package var first: Int { entries[1].slot }
    package var firstTime: Instant { Instant(microseconds: entries[1].time) }

    package subscript(slot: Int) -> Instant {
        get { Instant(microseconds: entries[leaves + slot].time) }
        set {
            var node = leaves + slot
            guard entries[node].time != newValue.microseconds else { return }
            entries[node].time = newValue.microseconds
            while node > 1 {
                node /= 2
                let right = entries[unchecked: 2 * node + 1]
                var winner = entries[unchecked: 2 * node]
                if right.time < winner.time { winner = right }
                // Another slot wins here as before: nothing changes further up.
                if winner == entries[unchecked: node] { return }
                entries[unchecked: node] = winner
            }
        }
    }
}
