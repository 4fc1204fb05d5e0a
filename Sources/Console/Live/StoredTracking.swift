import DCC
import Tracking
import Wire

/// What screen and control interface ask of the store, on threads that may wait for the disk.
public struct StoredTracking: Sendable {
    private let store: TrackingStore

    public init(_ store: TrackingStore) { self.store = store }

    /// The place that a page's address names.
    private static func key(_ after: String?) throws(ControlProblem) -> PageKey? {
        guard let after else { return nil }
        guard let key = PageKey(after) else {
            throw .invalid("'\(after)' is no place to go on at.")
        }
        return key
    }

    /// Newest first, those that follow the place `after`.
    func requests(
        _ filter: TrackingFilter, after: String?, limit: Int
    ) async throws -> Page<RequestRow> {
        let (store, key) = (store, try Self.key(after))
        return try await offload { try store.requests(filter, after: key, limit: limit) }
    }

    /// Of requests only where that is wanted: it may take longer.
    func counts(
        _ filter: TrackingFilter, ofRequests: Bool
    ) async throws -> TrackingCounts {
        let store = store
        return try await offload { try store.counts(filter, ofRequests: ofRequests) }
    }

    func request(_ id: RequestID) async throws -> RequestRow? {
        let store = store
        return try await offload { try store.request(id) }
    }

    /// Of one request in its order, or of all that the filter lets through, newest first.
    func devices(
        _ filter: TrackingFilter, after: String?, limit: Int
    ) async throws -> Page<TargetRow> {
        let (store, key) = (store, try Self.key(after))
        return try await offload { try store.targets(filter, after: key, limit: limit) }
    }

    /// In order; of the request as a whole where `device` is nil, and else with what was said of
    /// it.
    func timeline(
        of request: RequestID, device: EUI64?, after: String? = nil, limit: Int
    ) async throws -> Page<HopRow> {
        let (store, key) = (store, try Self.key(after))
        return try await offload {
            try store.timeline(of: request, device: device, after: key, limit: limit)
        }
    }

    /// Newest first.
    func notices(after: String?, limit: Int) async throws -> Page<StoredNotice> {
        let (store, key) = (store, try Self.key(after))
        return try await offload { try store.notices(after: key, limit: limit) }
    }

    /// What filters can be set to.
    func choices() async throws -> TrackingChoices {
        let store = store
        return try await offload { try store.choices() }
    }
}
