import DCC
import Logging
import Synchronization
import Wire

/// POSTs notices to service users: for each user in order and one at a time, whatever becomes of
/// those of others; again with the same bytes until a 2xx comes; and what nobody took in time is
/// kept and tried again later.
final class NoticeDeliverer: Sendable {
    typealias Post =
        @Sendable (_ bytes: [UInt8], _ url: String, _ timeLimit: Double) async ->
        NoticePost.Outcome

    private let outlet: any NoticeOutlet
    private let settings: NoticeSettings
    private let logger: Logger
    private let post: Post
    private let turns: Turns
    private let bells: [EUI64: Bell]

    init(
        _ outlet: any NoticeOutlet, _ settings: NoticeSettings, logger: Logger,
        post: @escaping Post = { await NoticePost.send($0, to: $1, timeLimit: $2) }
    ) {
        self.outlet = outlet
        self.settings = settings
        self.logger = logger
        self.post = post
        turns = Turns(settings.concurrent)
        bells = Dictionary(
            outlet.recipients.map { ($0.user, Bell()) }, uniquingKeysWith: { first, _ in first })
    }

    /// There is something new for `user`, or perhaps for anybody.
    func ring(_ user: EUI64? = nil) {
        if let user { return bells[user]?.ring() ?? () }
        for bell in bells.values { bell.ring() }
    }

    /// Until its task is cancelled; a POST that is under way is then waited for.
    func run() async {
        await withDiscardingTaskGroup { group in
            for recipient in outlet.recipients {
                guard let bell = bells[recipient.user] else { continue }
                group.addTask { await self.serve(recipient, bell) }
            }
        }
    }

    private func serve(_ recipient: NoticeRecipient, _ bell: Bell) async {
        var redelivery = ContinuousClock.now
        while !Task.isCancelled {
            do {
                if ContinuousClock.now >= redelivery {
                    try await redeliver(to: recipient)
                    redelivery = .now + .seconds(settings.redeliveryInterval)
                }
                let next = try await outlet.notice(
                    for: recipient.user, isKept: false, after: 0)
                guard let notice = next else {
                    await bell.wait(until: redelivery)
                    continue
                }
                if try await deliver(notice, to: recipient) {
                    try await redeliver(to: recipient)
                }
            } catch is CancellationError {
                return
            } catch {
                logger.error("notices of \(recipient.user.text) wait: \(error)")
                try? await Task.sleep(for: .seconds(settings.retryInterval))
            }
        }
    }

    /// Tries until it is received, which is true, or the time for it is over.
    private func deliver(
        _ notice: OutgoingNotice, to recipient: NoticeRecipient
    ) async throws -> Bool {
        let end = ContinuousClock.now + .seconds(settings.window)
        var attempts = notice.attempts
        while true {
            attempts += 1
            let outcome = await send(notice, to: recipient)
            if outcome.isReceived {
                try await insist { try await self.outlet.received(notice, attempts: attempts) }
                return true
            }
            let next = ContinuousClock.now + .seconds(settings.retryInterval)
            if next > end {
                logger.warning(
                    "notice \(notice.number) is kept for \(recipient.user.text): \(outcome.words)"
                )
                try await insist { try await self.outlet.kept(notice, attempts: attempts) }
                return false
            }
            // For people only: where it cannot be stored, the next attempt says it.
            try? await outlet.tried(notice, attempts: attempts)
            if attempts == notice.attempts + 1 {
                logger.notice(
                    "notice \(notice.number) to \(recipient.url): \(outcome.words); trying again")
            }
            try await Task.sleep(until: next, clock: .continuous)
        }
    }

    /// Tries each that was kept once, in order; where nobody answers, the others can wait.
    private func redeliver(to recipient: NoticeRecipient) async throws {
        var after: UInt64 = 0
        while !Task.isCancelled,
            let notice = try await outlet.notice(
                for: recipient.user, isKept: true, after: after)
        {
            after = notice.number
            let outcome = await send(notice, to: recipient)
            let attempts = notice.attempts + 1
            if outcome.isReceived {
                try await insist { try await self.outlet.received(notice, attempts: attempts) }
            } else {
                try await insist { try await self.outlet.kept(notice, attempts: attempts) }
                if case .failed = outcome { return }
            }
        }
    }

    private func send(
        _ notice: OutgoingNotice, to recipient: NoticeRecipient
    ) async -> NoticePost.Outcome {
        _ = await turns.take()
        defer { turns.give() }
        return await post(notice.bytes, recipient.url, settings.timeLimit)
    }

    /// What has happened must be stored before anything else is sent to that user: not sent again,
    /// but stored again.
    private func insist(_ store: () async throws -> Void) async throws {
        while true {
            do {
                return try await store()
            } catch {
                logger.error("what became of a notice cannot be stored: \(error)")
                try await Task.sleep(for: .seconds(settings.retryInterval))
            }
        }
    }
}

extension NoticePost.Outcome {
    var words: String {
        switch self {
        case .status(let status): "answered \(status)"
        case .failed(let reason): reason
        }
    }
}

/// Wakes one who waits; rung before that, the wait is short.
final class Bell: Sendable {
    private struct State {
        var isRung = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    func ring() {
        let waiter = state.withLock { state in
            state.isRung = state.waiter == nil
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// At most until `end`, or until the task is cancelled.
    func wait(until end: ContinuousClock.Instant) async {
        let alarm = Task {
            try await Task.sleep(until: end, clock: .continuous)
            self.ring()
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isNow = state.withLock { state in
                    if state.isRung || Task.isCancelled {
                        state.isRung = false
                        return true
                    }
                    state.waiter = continuation
                    return false
                }
                if isNow { continuation.resume() }
            }
        } onCancel: {
            self.ring()
        }
        alarm.cancel()
    }
}
