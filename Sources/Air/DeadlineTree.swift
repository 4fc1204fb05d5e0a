import Radio
import Wire

/// The earliest of a fixed number of deadlines: a winner tree, so that moving one deadline costs
/// a walk to the root and nothing is ever queued twice or left behind. Ties go to the lower slot,
/// which is what makes the order of events total.
package struct DeadlineTree {
    private var times: ContiguousArray<Int64>
    /// `winners[k]` is the winning slot below inner node k; the root is 1.
    private var winners: ContiguousArray<Int32>
    private let leaves: Int

    package init(slots: Int) {
        var leaves = 2
        while leaves < slots { leaves *= 2 }
        self.leaves = leaves
        times = ContiguousArray(repeating: .max, count: leaves)
        winners = ContiguousArray(repeating: 0, count: leaves)
        for inner in stride(from: leaves - 1, through: 1, by: -1) {
            let left = 2 * inner
            winners[inner] = left >= leaves ? Int32(left - leaves) : winners[left]
        }
    }

    /// The slot whose deadline comes first.
    package var first: Int { Int(winners[1]) }
    package var firstTime: Instant { Instant(microseconds: times[Int(winners[1])]) }

    package subscript(slot: Int) -> Instant {
        get { Instant(microseconds: times[slot]) }
        set {
            guard times[slot] != newValue.microseconds else { return }
            times[slot] = newValue.microseconds
            var inner = (slot + leaves) / 2
            while inner >= 1 {
                let left = 2 * inner
                let a = left >= leaves ? left - leaves : Int(winners[left])
                let b = left >= leaves ? left + 1 - leaves : Int(winners[left + 1])
                let winner = Int32(times[b] < times[a] ? b : a)
                // Another slot wins here as before: nothing changes further up.
                if winner == winners[inner], winner != slot { return }
                winners[inner] = winner
                inner /= 2
            }
        }
    }
}
