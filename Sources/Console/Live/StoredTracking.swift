import DCC
import Tracking
import Wire

/// The screen's questions, asked of the store.
public struct StoredTracking: TrackingSource {
    private let store: TrackingStore

    public init(_ store: TrackingStore) { self.store = store }

    private static func filter(_ query: TrackingQuery) -> TrackingFilter {
        var filter = TrackingFilter()
        filter.period = .virtual(since: query.since, until: nil)
        if let status = query.status { filter.statuses = [status] }
        if let type = query.type { filter.types = [type] }
        filter.hub = query.hub
        filter.device = query.device
        filter.manufacturer = query.manufacturer
        filter.version = query.version
        filter.request = query.request
        return filter
    }

    private static func key(_ after: String?) throws(ControlProblem) -> PageKey? {
        guard let after else { return nil }
        guard let key = PageKey(after) else {
            throw .invalid("'\(after)' is no place to go on at.")
        }
        return key
    }

    private static func page<Row, Item>(
        _ page: Page<Row>, _ make: (Row) -> Item
    ) -> TrackedPage<Item> {
        TrackedPage(rows: page.rows.map(make), next: page.next?.description)
    }

    public func requests(
        _ query: TrackingQuery, after: String?, limit: Int
    ) async throws -> TrackedPage<TrackedRequest> {
        let (store, key) = (store, try Self.key(after))
        return try await offload {
            Self.page(
                try store.requests(Self.filter(query), after: key, limit: limit),
                TrackedRequest.init)
        }
    }

    public func counts(_ query: TrackingQuery) async throws -> [TrackingStatus: Int] {
        let store = store
        return try await offload { try store.counts(Self.filter(query)).devices }
    }

    public func request(_ id: RequestID) async throws -> TrackedRequest? {
        let store = store
        return try await offload { try store.request(id).map(TrackedRequest.init) }
    }

    public func devices(
        _ query: TrackingQuery, after: String?, limit: Int
    ) async throws -> TrackedPage<TrackedDevice> {
        let (store, key) = (store, try Self.key(after))
        return try await offload {
            Self.page(
                try store.targets(Self.filter(query), after: key, limit: limit),
                TrackedDevice.init)
        }
    }

    public func timeline(
        of request: RequestID, device: EUI64?, limit: Int
    ) async throws -> TrackedPage<TrackedEvent> {
        let store = store
        return try await offload {
            Self.page(
                try store.timeline(of: request, device: device, limit: limit), TrackedEvent.init)
        }
    }

    public func notices(after: String?, limit: Int) async throws -> TrackedPage<TrackedNotice> {
        let (store, key) = (store, try Self.key(after))
        return try await offload {
            Self.page(try store.notices(after: key, limit: limit), TrackedNotice.init)
        }
    }

    public func choices() async throws -> FilterChoices {
        let store = store
        return try await offload {
            let choices = try store.choices()
            return FilterChoices(
                manufacturers: choices.manufacturers, versions: choices.versions)
        }
    }
}

extension TrackedRequest {
    fileprivate init(_ row: RequestRow) {
        self.init(
            id: row.id, user: row.user, variant: row.variant, version: row.version,
            model: row.model, manufacturer: row.manufacturer, code: row.code,
            received: row.received, wall: row.receivedWall, changed: row.updated,
            counts: row.counts)
    }
}

extension TrackedDevice {
    fileprivate init(_ row: TargetRow) {
        self.init(
            request: row.request, variant: row.variant, device: row.device, hub: row.hub,
            type: row.type, manufacturer: row.manufacturer, model: row.model,
            from: row.fromVersion, to: row.toVersion, status: row.outcome,
            isReported: row.status == .reported, percent: row.percent, detail: row.detail,
            time: row.updated, wall: row.updatedWall)
    }
}

extension TrackedEvent {
    fileprivate init(_ row: HopRow) {
        self.init(
            row: row.number, status: row.status, percent: row.percent, detail: row.detail,
            time: row.time, wall: row.wall, message: row.message, notice: row.notice)
    }
}

extension TrackedNotice {
    fileprivate init(_ notice: StoredNotice) {
        self.init(
            number: notice.number, user: notice.user, summary: notice.summary,
            request: notice.request, device: notice.device, time: notice.time,
            wall: notice.wall, state: notice.state.rawValue, attempts: notice.attempts)
    }
}
