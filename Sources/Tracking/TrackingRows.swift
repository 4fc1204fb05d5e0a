import DCC
import Wire

/// A request and how far it has come.
public struct RequestRow: Hashable, Sendable {
    public var id: RequestID
    public var user: EUI64
    /// `11.1`
    public var variant: String
    public var version: String?
    public var fileVersion: UInt32?
    public var image: ImageKey?
    public var manufacturer: String?
    public var model: String?
    public var type: InventoryType?
    /// `I0`, `E5`, `W110101`
    public var code: ResponseCode
    public var accepted: Int
    public var refused: Int
    /// Where the slowest of its devices is that is still under way; when none is, where that one
    /// has got to that came furthest. Without devices, what was said of the request itself.
    public var status: TrackingStatus
    public var received: UTCTime
    /// Seconds since 1970.
    public var receivedWall: Double
    /// Of the last that was heard of it.
    public var updated: UTCTime
    public var updatedWall: Double
    /// When its user had acknowledged what became of all its devices that were let in; without
    /// devices, what became of the request itself.
    public var reported: UTCTime?
    public var reportedWall: Double?
    /// How many of its devices, those left out included, have come how far.
    public var counts: [TrackingStatus: Int]
    /// Of how many of them its user has acknowledged what became.
    public var reportedDevices: Int
}

/// A device of a request and how far it has come.
public struct TargetRow: Hashable, Sendable {
    public var request: RequestID
    public var variant: String
    public var user: EUI64
    /// In the request, from 0 on.
    public var position: Int
    public var device: EUI64
    public var hub: EUI64?
    public var type: InventoryType?
    public var manufacturer: String?
    public var model: String?
    public var fromVersion: UInt32?
    public var toVersion: UInt32?
    /// Never `reported`.
    public var status: TrackingStatus
    /// 0-100 of a download.
    public var percent: Int?
    /// Why it was refused, or what was last said of it.
    public var detail: String
    public var updated: UTCTime
    /// Seconds since 1970.
    public var updatedWall: Double
    /// When its user acknowledged what became of it.
    public var reported: UTCTime?
    /// Seconds since 1970.
    public var reportedWall: Double?
}

/// Something that was said of a request or of a device.
public struct HopRow: Hashable, Sendable {
    /// In the order of their happening.
    public var number: Int64
    public var request: RequestID?
    /// nil for the request as a whole.
    public var device: EUI64?
    /// `reported` for an acknowledgement.
    public var status: TrackingStatus
    public var percent: Int?
    public var detail: String
    /// The GBCS message that says so.
    public var message: [UInt8]?
    public var notice: UInt64?
    public var time: UTCTime
    /// Seconds since 1970.
    public var wall: Double
}

/// How many there are at each status; those without any are left out.
public struct TrackingCounts: Hashable, Sendable {
    public var requests: [TrackingStatus: Int] = [:]
    public var devices: [TrackingStatus: Int] = [:]
    /// Those of `devices` of which their users have acknowledged what became.
    public var reported: [TrackingStatus: Int] = [:]

    public init() {}
}

/// What there is to choose from in filters.
public struct TrackingChoices: Hashable, Sendable {
    public var types: [InventoryType] = []
    public var manufacturers: [String] = []
    public var versions: [UInt32] = []
    public var users: [EUI64] = []
    public var statuses: [TrackingStatus] = []

    public init() {}
}
