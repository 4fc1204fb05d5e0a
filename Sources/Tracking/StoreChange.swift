import DCC
import Wire

/// What one turn of the world changes: written in one transaction, or not at all.
public struct StoreChange: Sendable {
    /// In the order of their happening; what is saved and then removed is gone.
    public var records: [RecordChange] = []
    public var images: [(key: ImageKey, bytes: [UInt8])] = []
    public var removedImages: [ImageKey] = []
    /// Requests as they came in, before `targets` and `tracks`.
    public var submitted: [SubmittedRequest] = []
    /// The devices of requests, before `tracks`.
    public var targets: [SubmittedTarget] = []
    /// Notices that their users have received, before `tracks`.
    public var receipts: [NoticeReceipt] = []
    /// In the order of their happening.
    public var tracks: [TrackingRecord] = []
    public var notices: [StoredNotice] = []
    /// What became of notices, these or earlier ones.
    public var marks: [NoticeMark] = []
    public var flash: [FlashPage] = []
    /// The world's virtual time after the turn; nil leaves what is stored.
    public var clock: UTCTime?
    /// When the turn was, in seconds since 1970.
    public var wall: Double

    public init(wall: Double) { self.wall = wall }

    public enum RecordChange: Sendable {
        case save(DCCRecord)
        case remove(DCCRecord.Key)
    }

    public mutating func save(_ record: DCCRecord) { records.append(.save(record)) }
    public mutating func remove(_ key: DCCRecord.Key) { records.append(.remove(key)) }

    /// Nothing but the time of it.
    public var isEmpty: Bool {
        records.isEmpty && images.isEmpty && removedImages.isEmpty && submitted.isEmpty
            && targets.isEmpty && receipts.isEmpty && tracks.isEmpty && notices.isEmpty
            && marks.isEmpty && flash.isEmpty && clock == nil
    }
}

/// A request as the tracking knows it from the moment when it came in.
///
/// A second one with the same id (a signed pre-command has that of its transform) changes response
/// code and warnings, unless its code is an error: then the first one stands as it was.
public struct SubmittedRequest: Hashable, Sendable {
    public var id: RequestID
    /// Who sent it.
    public var user: EUI64
    /// `11.1`
    public var variant: String
    /// Of the image, as the user wrote it.
    public var version: String?
    /// Of the image's header.
    public var fileVersion: UInt32?
    public var image: ImageKey?
    /// As the inventory writes it.
    public var manufacturer: String?
    public var model: String?
    /// Of the devices that it is for.
    public var type: InventoryType?
    /// Devices that were let in, and that were left out. What stands in `StoreChange.targets` is
    /// not added to them.
    public var accepted: Int
    public var refused: Int
    public var code: ResponseCode
    /// Virtual.
    public var received: UTCTime
    /// Seconds since 1970.
    public var receivedWall: Double
    /// Its id is used by it. One that is refused before that may come again, and this tells nothing
    /// of what came under its id before.
    public var isTaken = true

    public init(
        id: RequestID, user: EUI64, variant: String, version: String? = nil,
        fileVersion: UInt32? = nil, image: ImageKey? = nil, manufacturer: String? = nil,
        model: String? = nil, type: InventoryType? = nil, accepted: Int = 0, refused: Int = 0,
        code: ResponseCode, received: UTCTime, receivedWall: Double
    ) {
        self.id = id
        self.user = user
        self.variant = variant
        self.version = version
        self.fileVersion = fileVersion
        self.image = image
        self.manufacturer = manufacturer
        self.model = model
        self.type = type
        self.accepted = accepted
        self.refused = refused
        self.code = code
        self.received = received
        self.receivedWall = receivedWall
    }
}

/// A device of a request, as the request found it.
public struct SubmittedTarget: Hashable, Sendable {
    public var request: RequestID
    public var device: EUI64
    public var hub: EUI64?
    /// nil for a device that is not in the inventory; so are what stands below.
    public var type: InventoryType?
    public var manufacturer: String?
    public var model: String?
    /// What it is held to run before.
    public var fromVersion: UInt32?
    /// What it is to run.
    public var toVersion: UInt32?
    /// `validated` or `refused`.
    public var status: TrackingStatus
    /// Why it was refused, for people.
    public var reason: String?
    /// Virtual.
    public var time: UTCTime

    public init(
        request: RequestID, device: EUI64, hub: EUI64? = nil, type: InventoryType? = nil,
        manufacturer: String? = nil, model: String? = nil, fromVersion: UInt32? = nil,
        toVersion: UInt32? = nil, status: TrackingStatus, reason: String? = nil, time: UTCTime
    ) {
        self.request = request
        self.device = device
        self.hub = hub
        self.type = type
        self.manufacturer = manufacturer
        self.model = model
        self.fromVersion = fromVersion
        self.toVersion = toVersion
        self.status = status
        self.reason = reason
        self.time = time
    }
}

/// A message for a service user, made and signed once.
public struct StoredNotice: Hashable, Sendable {
    public var number: UInt64
    public var user: EUI64
    /// Signed XML.
    public var bytes: [UInt8]
    /// For people, one line.
    public var summary: String
    public var request: RequestID?
    public var device: EUI64?
    /// Virtual.
    public var time: UTCTime
    /// When it was made, in seconds since 1970.
    public var wall: Double
    public var state: NoticeState
    public var attempts: Int
    /// When it was last sent, or received, in seconds since 1970.
    public var tried: Double?

    public init(
        number: UInt64, user: EUI64, bytes: [UInt8], summary: String, request: RequestID? = nil,
        device: EUI64? = nil, time: UTCTime, wall: Double, state: NoticeState = .pending,
        attempts: Int = 0, tried: Double? = nil
    ) {
        self.number = number
        self.user = user
        self.bytes = bytes
        self.summary = summary
        self.request = request
        self.device = device
        self.time = time
        self.wall = wall
        self.state = state
        self.attempts = attempts
        self.tried = tried
    }
}

/// Whether its user has a notice.
public enum NoticeState: String, CaseIterable, Hashable, Sendable, Codable {
    /// To be sent.
    case pending
    /// Its user has it.
    case received
    /// Not taken within the time for it; sent again when the user is there again.
    case kept
}

/// What became of a notice.
public struct NoticeMark: Hashable, Sendable {
    public var number: UInt64
    public var state: NoticeState
    /// In all.
    public var attempts: Int

    public init(number: UInt64, state: NoticeState, attempts: Int) {
        self.number = number
        self.state = state
        self.attempts = attempts
    }
}

/// A notice that its user has received: the notice's new state and what the tracking says of it are
/// stored together or not at all, and once, however often it is said.
public struct NoticeReceipt: Hashable, Sendable {
    public var number: UInt64
    /// What it told of, as the notice has it.
    public var request: RequestID?
    public var device: EUI64?
    /// How often it was sent, in all.
    public var attempts: Int
    /// What the tracking is told, unless the notice had been received before.
    public var tracks: [TrackingRecord] = []
    /// How many of the change's own tracks came before it.
    public var position = 0

    public init(number: UInt64, request: RequestID?, device: EUI64?, attempts: Int) {
        self.number = number
        self.request = request
        self.device = device
        self.attempts = attempts
    }
}

/// A page of a node's flash memory.
public struct FlashPage: Hashable, Sendable {
    public var home: String
    public var member: String
    /// From 0 on; of far higher numbers is what a head end keeps beside the flash.
    public var page: Int
    public var bytes: [UInt8]

    public init(home: String, member: String, page: Int, bytes: [UInt8]) {
        self.home = home
        self.member = member
        self.page = page
        self.bytes = bytes
    }
}

/// What the world begins again with.
public struct StoredWorld: Sendable {
    /// By kind, then in no order that means anything.
    public var records: [DCCRecord] = []
    public var images: [ImageKey] = []
    /// By home, member and page.
    public var flash: [FlashPage] = []
    /// nil in a store that is new.
    public var clock: UTCTime?
    /// Of the last commit, in seconds since 1970.
    public var wall: Double?
}
