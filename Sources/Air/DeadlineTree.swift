import Radio
import Wire

/// The earliest of a fixed number of deadlines: a winner tree, so that moving one deadline costs
/// a walk to the root and nothing is ever queued twice or left behind. Ties go to the lower slot,
/// which is what makes the order of events total.
package struct DeadlineTree: ~Copyable {
    private let leaves: Int
    /// Microseconds by slot. Plain memory here and below: this is the air's innermost loop.
    private let times: UnsafeMutablePointer<Int64>
    /// `winners[k]` is the winning slot below node k: the root is 1, the leaf of a slot is
    /// `leaves` + slot.
    private let winners: UnsafeMutablePointer<Int>

    package init(slots: Int) {
        var leaves = 2
        while leaves < slots { leaves *= 2 }
        self.leaves = leaves
        times = .allocate(capacity: leaves)
        times.initialize(repeating: .max, count: leaves)
        winners = .allocate(capacity: 2 * leaves)
        winners.initialize(repeating: 0, count: 2 * leaves)
        for slot in 0..<leaves { winners[leaves + slot] = slot }
        for inner in stride(from: leaves - 1, through: 1, by: -1) {
            winners[inner] = winners[2 * inner]
        }
    }

    deinit {
        times.deallocate()
        winners.deallocate()
    }

    /// The slot whose deadline comes first.
    package var first: Int { winners[1] }
    package var firstTime: Instant { Instant(microseconds: times[winners[1]]) }

    package subscript(slot: Int) -> Instant {
        get {
            precondition(slot >= 0 && slot < leaves)
            return Instant(microseconds: times[slot])
        }
        set {
            precondition(slot >= 0 && slot < leaves)
            guard times[slot] != newValue.microseconds else { return }
            times[slot] = newValue.microseconds
            var node = (leaves + slot) >> 1
            while node > 0 {
                let (left, right) = (winners[2 &* node], winners[2 &* node &+ 1])
                let winner = times[right] < times[left] ? right : left
                // Another slot wins here as before: nothing changes further up.
                if winner != slot, winner == winners[node] { return }
                winners[node] = winner
                node >>= 1
            }
        }
    }
}
