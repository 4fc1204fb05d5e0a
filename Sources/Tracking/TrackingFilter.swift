import DCC
import Wire

/// Which requests, and which of their devices, are looked at. All of it must hold.
///
/// A request is in when one of its devices is; one that is for no device, or was refused as a
/// whole, when it is itself. Of a device that is not in the inventory, type, manufacturer and
/// version are those of its request. The period is that in which the request was received.
public struct TrackingFilter: Hashable, Sendable {
    public var period = TrackingPeriod.always
    /// None for any, and so for the others.
    public var statuses: Set<TrackingStatus> = []
    /// Whether its user has acknowledged what became of it; nil for either.
    public var isReported: Bool?
    public var types: Set<InventoryType> = []
    public var hub: EUI64?
    public var device: EUI64?
    /// Capitals and small letters are the same.
    public var manufacturer: String?
    /// That devices are to run.
    public var version: UInt32?
    public var user: EUI64?
    public var request: RequestID?

    public init() {}
}

/// When a request was received, from a time on and before another; nil leaves that end open.
public enum TrackingPeriod: Hashable, Sendable {
    case virtual(since: UTCTime?, until: UTCTime?)
    /// Seconds since 1970.
    case wall(since: Double?, until: Double?)

    public static let always = TrackingPeriod.virtual(since: nil, until: nil)
}

/// Which notices are looked at.
public struct NoticeFilter: Hashable, Sendable {
    public var user: EUI64?
    public var request: RequestID?
    public var device: EUI64?
    /// None for any.
    public var states: Set<NoticeState> = []

    public init() {}
}

/// Some rows of many, and how to get those that follow them.
public struct Page<Row: Sendable>: Sendable {
    public var rows: [Row]
    /// nil when there are no more.
    public var next: PageKey?

    public init(rows: [Row], next: PageKey?) {
        self.rows = rows
        self.next = next
    }
}

/// Where the next page begins: after a row, wherever new ones have come since. Only good for the
/// query that gave it.
public struct PageKey: Hashable, Sendable, CustomStringConvertible {
    var places: [Int64]

    init(_ places: Int64...) { self.places = places }

    /// Parses what `description` gives, which may come from anywhere; nil for anything else.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...3).contains(parts.count) else { return nil }
        places = []
        for part in parts {
            guard let place = Int64(part) else { return nil }
            places.append(place)
        }
    }

    /// `845000000.17`: digits, points and minus signs, which a URL needs no escapes for.
    public var description: String { places.map(String.init).joined(separator: ".") }
}
