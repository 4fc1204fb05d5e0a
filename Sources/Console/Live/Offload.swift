import Dispatch

/// Runs what blocks, or computes for long, on threads that no task waits for: the few on which
/// tasks run stay free for connections.
func offload<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
        Offload.queue.async { continuation.resume(returning: body()) }
    }
}

func offload<Result: Sendable>(
    _ body: @escaping @Sendable () throws -> Result
) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        Offload.queue.async { continuation.resume(with: Swift.Result { try body() }) }
    }
}

private enum Offload {
    static let queue = DispatchQueue(label: "console", attributes: .concurrent)
}
