import Hummingbird
import Synchronization

/// Bodies in memory, bounded all together, and how many requests are worked on.
///
/// A body takes memory as its bytes arrive and a turn only once it is whole, so whoever sends
/// slowly takes nobody's turn.
final class Intake: Sendable {
    enum Refusal: Error {
        case tooLarge
        /// No memory, or too many wait already.
        case busy
    }

    private let maximumBody: Int
    private let memory: Int
    private let turns: Turns
    private let held = Mutex(0)

    init(_ settings: ConsoleSettings) {
        maximumBody = settings.maximumBody
        memory = settings.bodyMemory
        turns = Turns(settings.concurrentRequests, queue: settings.waitingRequests)
    }

    /// Runs `work` with a request's whole body when it is its turn.
    func take<Result: Sendable>(
        _ request: Request, _ work: ([UInt8]) async throws -> Result
    ) async throws -> Result {
        if let length = request.headers[.contentLength].flatMap({ Int($0) }) {
            guard length <= maximumBody else { throw Refusal.tooLarge }
        }
        var own = 0
        defer { held.withLock { $0 -= own } }
        var body: [UInt8] = []
        for try await piece in request.body {
            let size = piece.readableBytes
            guard body.count + size <= maximumBody else { throw Refusal.tooLarge }
            try held.withLock { held throws(Refusal) in
                guard held + size <= memory else { throw .busy }
                held += size
            }
            own += size
            body.append(contentsOf: piece.readableBytesView)
        }
        guard await turns.take() else { throw Refusal.busy }
        defer { turns.give() }
        return try await work(body)
    }
}
