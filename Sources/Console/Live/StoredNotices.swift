import DCC
import Glibc
import HeadEnd
import Tracking
import Wire

/// The store's notices, for whoever delivers them.
public struct StoredNotices: NoticeOutlet {
    private let store: TrackingStore
    private let headEnd: HeadEnd
    public let recipients: [NoticeRecipient]

    public init(_ store: TrackingStore, headEnd: HeadEnd) {
        self.store = store
        self.headEnd = headEnd
        recipients = headEnd.plan.settings.users.values.compactMap { user in
            user.responseURL.map { NoticeRecipient(user: user.id, url: $0) }
        }.sorted { $0.user < $1.user }
    }

    public func notice(
        for user: EUI64, isKept: Bool, after: UInt64
    ) async throws -> OutgoingNotice? {
        let store = store
        let found = try await offload {
            try store.pendingNotices(
                for: user, limit: 1, states: [isKept ? .kept : .pending], after: after)
        }
        return found.first.map {
            OutgoingNotice(
                number: $0.number, user: $0.user, bytes: $0.bytes, request: $0.request,
                device: $0.device, attempts: $0.attempts)
        }
    }

    /// In one step with what the tracking says of it. Should the server be killed before that, the
    /// user gets it once more with the same bytes.
    public func received(_ notice: OutgoingNotice, attempts: Int) async throws {
        try await headEnd.acknowledge(
            NoticeReceipt(
                number: notice.number, request: notice.request, device: notice.device,
                attempts: attempts))
    }

    public func tried(_ notice: OutgoingNotice, attempts: Int) async throws {
        try await mark(notice, .pending, attempts)
    }

    public func kept(_ notice: OutgoingNotice, attempts: Int) async throws {
        try await mark(notice, .kept, attempts)
    }

    private func mark(
        _ notice: OutgoingNotice, _ state: NoticeState, _ attempts: Int
    ) async throws {
        let store = store
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let wall = Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
        try await offload {
            try store.mark(notice: notice.number, state, attempts: attempts, wall: wall)
        }
    }
}
