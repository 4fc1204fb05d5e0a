import DCC
import Wire

/// What the screen asks the tracking.
public protocol TrackingSource: Sendable {
    /// Newest first, those that follow the place `after`.
    func requests(
        _ query: TrackingQuery, after: String?, limit: Int
    ) async throws -> TrackedPage<TrackedRequest>
    /// How many devices of the requests that `query` lets through stand where.
    func counts(_ query: TrackingQuery) async throws -> [TrackingStatus: Int]
    func request(_ id: RequestID) async throws -> TrackedRequest?
    /// Of one request in its order, or of all that `query` lets through, newest first.
    func devices(
        _ query: TrackingQuery, after: String?, limit: Int
    ) async throws -> TrackedPage<TrackedDevice>
    /// In order; of the request as a whole where `device` is nil, and else with what was said of
    /// it.
    func timeline(
        of request: RequestID, device: EUI64?, limit: Int
    ) async throws -> TrackedPage<TrackedEvent>
    /// Newest first.
    func notices(after: String?, limit: Int) async throws -> TrackedPage<TrackedNotice>
    /// What a query can be set to.
    func choices() async throws -> FilterChoices
}

/// Some rows of many, and where those begin that follow; nil when there are no more.
public struct TrackedPage<Row: Sendable>: Sendable {
    public var rows: [Row]
    public var next: String?

    public init(rows: [Row], next: String? = nil) {
        self.rows = rows
        self.next = next
    }
}

/// Which requests, and which of their devices; all of it must hold, and nil lets everything
/// through.
public struct TrackingQuery: Sendable, Hashable {
    /// Received at this virtual time or later.
    public var since: UTCTime?
    public var status: TrackingStatus?
    public var type: InventoryType?
    public var hub: EUI64?
    public var manufacturer: String?
    /// The new one.
    public var version: UInt32?
    public var request: RequestID?
    public var device: EUI64?

    public init() {}
}

/// What filters can be set to, for lists to choose from.
public struct FilterChoices: Sendable, Hashable {
    public var manufacturers: [String]
    public var versions: [UInt32]

    public init(manufacturers: [String] = [], versions: [UInt32] = []) {
        self.manufacturers = manufacturers
        self.versions = versions
    }
}

/// A request as the screen lists it.
public struct TrackedRequest: Sendable, Hashable {
    public var id: RequestID
    public var user: EUI64
    /// `11.1`
    public var variant: String
    public var version: String?
    public var model: String?
    public var manufacturer: String?
    /// What was answered at once.
    public var code: ResponseCode
    public var received: UTCTime
    /// Seconds since 1970.
    public var wall: Double
    public var changed: UTCTime
    /// What came of its devices so far, those left out included.
    public var counts: [TrackingStatus: Int]

    public init(
        id: RequestID, user: EUI64, variant: String, version: String?, model: String? = nil,
        manufacturer: String? = nil, code: ResponseCode, received: UTCTime, wall: Double,
        changed: UTCTime, counts: [TrackingStatus: Int]
    ) {
        self.id = id
        self.user = user
        self.variant = variant
        self.version = version
        self.model = model
        self.manufacturer = manufacturer
        self.code = code
        self.received = received
        self.wall = wall
        self.changed = changed
        self.counts = counts
    }
}

/// A device of a request, and how far it has come.
public struct TrackedDevice: Sendable, Hashable {
    public var request: RequestID
    public var variant: String
    public var device: EUI64
    public var hub: EUI64?
    public var type: InventoryType?
    public var manufacturer: String?
    public var model: String?
    public var from: UInt32?
    public var to: UInt32?
    /// What came of it so far.
    public var status: TrackingStatus
    /// Its user has acknowledged that.
    public var isReported: Bool
    public var percent: Int?
    public var detail: String
    public var time: UTCTime
    public var wall: Double

    public init(
        request: RequestID, variant: String, device: EUI64, hub: EUI64?, type: InventoryType?,
        manufacturer: String?, model: String?, from: UInt32?, to: UInt32?,
        status: TrackingStatus, isReported: Bool = false, percent: Int? = nil, detail: String,
        time: UTCTime, wall: Double
    ) {
        self.request = request
        self.variant = variant
        self.device = device
        self.hub = hub
        self.type = type
        self.manufacturer = manufacturer
        self.model = model
        self.from = from
        self.to = to
        self.status = status
        self.isReported = isReported
        self.percent = percent
        self.detail = detail
        self.time = time
        self.wall = wall
    }
}

/// A step in the time line of a device.
public struct TrackedEvent: Sendable, Hashable {
    public var row: Int64
    public var status: TrackingStatus
    public var percent: Int?
    public var detail: String
    public var time: UTCTime
    public var wall: Double
    /// The GBCS message that says so.
    public var message: [UInt8]?
    public var notice: UInt64?

    public init(
        row: Int64, status: TrackingStatus, percent: Int? = nil, detail: String, time: UTCTime,
        wall: Double, message: [UInt8]? = nil, notice: UInt64? = nil
    ) {
        self.row = row
        self.status = status
        self.percent = percent
        self.detail = detail
        self.time = time
        self.wall = wall
        self.message = message
        self.notice = notice
    }
}

/// A notice, and whether its user has it.
public struct TrackedNotice: Sendable, Hashable {
    public var number: UInt64
    public var user: EUI64
    public var summary: String
    public var request: RequestID?
    public var device: EUI64?
    public var time: UTCTime
    public var wall: Double
    /// `pending`, `received` or `kept`.
    public var state: String
    public var attempts: Int

    public init(
        number: UInt64, user: EUI64, summary: String, request: RequestID?, device: EUI64?,
        time: UTCTime, wall: Double, state: String, attempts: Int
    ) {
        self.number = number
        self.user = user
        self.summary = summary
        self.request = request
        self.device = device
        self.time = time
        self.wall = wall
        self.state = state
        self.attempts = attempts
    }
}
