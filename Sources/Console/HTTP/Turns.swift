import Synchronization

/// A number of turns that are taken at a time, in the order in which they were asked for.
final class Turns: Sendable {
    private struct State {
        var taken = 0
        var waiting: [CheckedContinuation<Bool, Never>] = []
    }

    private let limit: Int
    private let queue: Int
    private let state = Mutex(State())

    /// At most `queue` wait.
    init(_ limit: Int, queue: Int = .max) {
        self.limit = max(1, limit)
        self.queue = queue
    }

    /// Waits for a turn; false if too many do already.
    func take() async -> Bool {
        await withCheckedContinuation { (waiter: CheckedContinuation<Bool, Never>) in
            let now: Bool? = state.withLock { state in
                if state.taken < limit {
                    state.taken += 1
                    return true
                }
                guard state.waiting.count < queue else { return false }
                state.waiting.append(waiter)
                return nil
            }
            if let now { waiter.resume(returning: now) }
        }
    }

    func give() {
        let next = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            guard !state.waiting.isEmpty else {
                state.taken -= 1
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume(returning: true)
    }
}
