import Wire

/// What the DCC remembers, in pieces that change one at a time.
public enum DCCRecord: Hashable, Sendable {
    case device(InventoryDevice)
    case update(UpdateRecord)
    case progress(UpdateProgress)
    case target(TargetRecord)
    case former(FormerUpdate)
    case delivery(DeliveryRecord)
    case command(CommandRecord)
    case seen(SeenRequest)
    case answer(AnswerRecord)
    case counters(Counters)

    /// What a piece is kept under: its kind and a name that is its own within the kind.
    public struct Key: Hashable, Sendable {
        public var kind: Kind
        public var name: String
    }

    public enum Kind: String, CaseIterable, Hashable, Sendable {
        case device, update, progress, target, former, delivery, command, seen, answer, counters
    }

    public var key: Key {
        switch self {
        case .device(let record): Key(kind: .device, name: "\(record.id)")
        case .update(let record): Key(kind: .update, name: "\(record.id)")
        case .progress(let record): Key(kind: .progress, name: "\(record.id)")
        case .target(let record): Key(kind: .target, name: "\(record.device)")
        case .former(let record): Key(kind: .former, name: "\(record.device)")
        case .delivery(let record): Key(kind: .delivery, name: "\(record.number)")
        case .command(let record): Key(kind: .command, name: "\(record.id)")
        case .seen(let record): Key(kind: .seen, name: "\(record.number)")
        case .answer(let record):
            Key(kind: .answer, name: "\(record.id) \(record.commandVariant)")
        case .counters: Key(kind: .counters, name: "")
        }
    }
}

/// An 11.1 or 11.4 that was let in, while any of its devices is under way. Its devices may be many,
/// so it is written once; how far it has come is a record of its own.
public struct UpdateRecord: Hashable, Sendable, Codable {
    public var id: RequestID
    /// `11.1`, `11.4`
    public var variant: String
    public var image: ImageKey
    /// As the user wrote it.
    public var version: String
    public var fileVersion: UInt32
    /// SHA-256 of the manufacturer image, in hex.
    public var hash: String
    public var installableFrom: [UInt32]
    /// Those of its devices that were let in, in the request's order.
    public var devices: PackedIDs
    public var accepted: UTCTime
}

/// How far an update has come.
public struct UpdateProgress: Hashable, Sendable, Codable {
    public var id: RequestID
    /// All of its devices have been handed to the CSP.
    public var isDispatched = false
    /// How many of them are done with.
    public var finished = 0
}

/// A device of an update, once it has been handed to the CSP. It stays when it is done with, until
/// the whole update is.
public struct TargetRecord: Hashable, Sendable, Codable {
    public var device: EUI64
    public var request: RequestID
    public var status: TrackingStatus
    public var percent: Int?
    public var isDone: Bool
    /// The hub has said that the device has the image, and the user was told so. A hub that has
    /// lost its memory says it again.
    public var isTransferTold = false
    /// By when it is done with, one way or the other.
    public var deadline: UTCTime
    /// The delivery that brings its image to the hub; nil where there is none.
    public var delivery: UInt32?
    /// How far the device has come with the image, whatever has been ordered meanwhile: where it
    /// stands again when an activation is taken back.
    public var held: TrackingStatus?
}

/// The last update of a device that ended without the device running its image. What the device
/// does with that later all the same still belongs to its request.
public struct FormerUpdate: Hashable, Sendable, Codable {
    public var device: EUI64
    public var request: RequestID
    public var fileVersion: UInt32
    /// SHA-256 of the manufacturer image, in hex.
    public var hash: String
    public var status: TrackingStatus
    /// By when it is at an end again; nil where it is.
    public var deadline: UTCTime?
    /// The delivery that was to bring the image to the hub; nil where there was none.
    public var delivery: UInt32?
    /// As `TargetRecord.held`.
    public var held: TrackingStatus?
}

/// An image on its way to one hub.
public struct DeliveryRecord: Hashable, Sendable, Codable {
    public enum State: String, Hashable, Sendable, Codable {
        /// Until `due`.
        case waiting
        /// Until `due` at the latest.
        case sending
    }

    public var number: UInt32
    public var request: RequestID
    public var hub: EUI64
    public var targets: [EUI64]
    public var region: String
    public var state: State
    public var due: UTCTime
    public var attempts: Int
}

/// A command that is under way to a device.
public struct CommandRecord: Hashable, Sendable, Codable {
    /// The request's, whose counter is the command's, unless the DCC sent it in its own name.
    public var id: RequestID
    public var variant: String
    /// Of the message, with `originator` and the device.
    public var counter: UInt64
    public var originator: EUI64
    public var device: EUI64
    public var deadline: UTCTime
    /// An activation for later: its alert is still to come.
    public var isPending: Bool
    /// When that is to be.
    public var execution: UTCTime?
    /// A device that is to be put in, or struck off, the hub's log.
    public var subject: EUI64?
    /// Of an activation: the image that it names, SHA-256 in hex; nil in older stores.
    public var hash: String?
}

/// A request that has been answered.
public struct SeenRequest: Hashable, Sendable, Codable {
    /// In order of arrival; the number is the record's name.
    public var number: UInt64
    public var id: RequestID
    /// Its command variant: a signed pre-command has the id of the request that it came from.
    public var commandVariant: UInt8
}

/// Numbers that only grow.
public struct Counters: Hashable, Sendable, Codable {
    public var notice: UInt64 = 0
    public var delivery: UInt32 = 0
    public var seen: UInt64 = 0
    /// The originator counter of the DCC's own last command.
    public var broker: UInt64 = 0

    public init() {}
}

/// Ids in one string, so that fifty thousand of them cost little.
public struct PackedIDs: Hashable, Sendable, Codable {
    public var ids: [EUI64]

    public init(_ ids: [EUI64]) { self.ids = ids }

    public init(from decoder: any Decoder) throws {
        ids = try decoder.value("a list of ids") { text in
            guard let bytes = Hex.bytes(text), bytes.count % 8 == 0 else { return nil }
            return stride(from: 0, to: bytes.count, by: 8).map { at in
                EUI64(bytes[at..<at + 8].reduce(0) { $0 << 8 | UInt64($1) })
            }
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(ids.count * 8)
        for id in ids { withUnsafeBytes(of: id.rawValue.bigEndian) { bytes += $0 } }
        var container = encoder.singleValueContainer()
        try container.encode(Hex.string(bytes))
    }
}

extension EUI64: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decoder.value("an EUI-64", EUI64.init(_:))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension UTCTime: Codable {
    public init(from decoder: any Decoder) throws {
        self.init(secondsSince2000: try decoder.singleValueContainer().decode(UInt32.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(secondsSince2000)
    }
}
