import GBCS
import Wire

/// What the DCC puts out in one turn, in order. Whoever carries it out writes what is to be saved,
/// tracked and notified in one step, and only then lets the rest leave.
public struct DCCOutbox: Sendable {
    public var items: [DCCOutput] = []

    public init() {}
}

/// One thing that is to be done for the DCC.
public enum DCCOutput: Sendable {
    /// For a service user, later than the answer to its request.
    case notice(Notice)
    case track(TrackingRecord)
    /// An image for a hub, to be sent over the WAN from its beginning. Those before it for the same
    /// hub and delivery are void.
    case deliver(ImageDelivery)
    /// The image of that delivery is not to be sent on; a hub drops what it has of one that does
    /// not come to its end.
    case abandon(delivery: UInt32, hub: EUI64)
    /// A GBCS message for a hub: for a device of its log, or for itself.
    case message(hub: EUI64, device: EUI64, bytes: [UInt8])
    case save(DCCRecord)
    case remove(DCCRecord.Key)
    /// An image that requests refer to by its hash, once.
    case saveImage(ImageKey, [UInt8])
    case removeImage(ImageKey)
}

/// A message for a service user: made once, with one number, whatever becomes of it.
public struct Notice: Hashable, Sendable {
    /// From 1 on, in the order in which the causes happened.
    public var number: UInt64
    public var user: EUI64
    public var response: ServiceResponse
    /// What it tells of, for the tracking.
    public var request: RequestID?
    public var device: EUI64?
}

/// The request that brought the image: each keeps its own until it is done with.
public typealias ImageKey = String

/// An image on its way to a hub.
public struct ImageDelivery: Hashable, Sendable {
    public var number: UInt32
    public var hub: EUI64
    public var targets: [EUI64]
    public var image: ImageKey
    /// Versions of the targets that it may follow; none for any.
    public var installableFrom: [UInt32]
}

/// What comes to the DCC from a hub's WAN.
public enum HubMessage: Sendable {
    /// What the CSP is told of a delivery.
    case stored(delivery: UInt32)
    /// The hub does not keep the image: it has not taken it, or it throws it out again.
    case refused(delivery: UInt32, reason: String)
    /// There is no such hub, or it has no power.
    case unreachable(delivery: UInt32)
    /// All of the image has been sent. A hub that does not report says no more.
    case sent(delivery: UInt32)
    /// A GBCS message of a device's, or of the hub's own.
    case message([UInt8])
}

/// What a test bench sees of a device and no message tells.
public enum DeviceProgress: Hashable, Sendable {
    /// It has asked its hub and was offered the image.
    case offered(version: UInt32)
    /// Of a download, 0-100.
    case downloading(version: UInt32, percent: Int)
    case downloaded(version: UInt32)

    func isOfKind(of other: DeviceProgress) -> Bool {
        switch (self, other) {
        case (.offered, .offered), (.downloading, .downloading), (.downloaded, .downloaded): true
        default: false
        }
    }
}

/// What the tracking is told: a hop of a request's, or of one of its devices'.
public struct TrackingRecord: Hashable, Sendable {
    /// nil for what belongs to no request.
    public var request: RequestID?
    /// nil for the request as a whole.
    public var device: EUI64?
    public var status: TrackingStatus
    /// 0-100 of a download.
    public var percent: Int?
    /// For people, one sentence.
    public var detail: String
    public var time: UTCTime
    /// The GBCS message that says so, if one does.
    public var message: [UInt8]?
    /// The notice that tells its user.
    public var notice: UInt64?
    /// It stands there again: what stood in between has been taken back.
    public var isTakenBack = false

    public init(
        request: RequestID?, device: EUI64? = nil, status: TrackingStatus, percent: Int? = nil,
        detail: String, time: UTCTime, message: [UInt8]? = nil, notice: UInt64? = nil
    ) {
        self.request = request
        self.device = device
        self.status = status
        self.percent = percent
        self.detail = detail
        self.time = time
        self.message = message
        self.notice = notice
    }
}

/// How far an update has come.
public enum TrackingStatus: String, CaseIterable, Hashable, Sendable, Codable {
    case submitted
    /// By the DSP.
    case refused
    case validated
    case atCSP
    case delivering
    case deliveredToHub
    case deliveryFailed
    case offered
    case downloading
    /// The device has all of it (CCS08 or the bench).
    case transferred
    case transferFailed
    /// 8F72
    case verified
    /// 8F1C
    case rejected
    case activationOrdered
    /// Taken for later.
    case activationPending
    case activated
    case activationFailed
    /// The device has it, and does not run it: nobody has told it to in time, or another update
    /// has taken its place.
    case notActivated
    /// Its user has acknowledged what became of it.
    case reported
    /// A command to a device, sent.
    case commandSent
    /// Answered by the device.
    case answered
    /// Not answered in time.
    case unanswered
    /// By the DSP alone, in its inventory.
    case carriedOut

    /// Nothing more happens after it by itself.
    public var isFinal: Bool {
        switch self {
        case .refused, .deliveryFailed, .transferFailed, .rejected, .activated, .activationFailed,
            .notActivated, .reported, .answered, .unanswered, .carriedOut:
            true
        default: false
        }
    }
}
