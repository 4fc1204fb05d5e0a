import Radio
import Wire

/// The air protocol: how a node, a sniffer or a command line speaks with an air over ZeroMQ.
///
/// `docs/air-protocol.md` is its specification, byte by byte. Integers are little-endian and
/// packed, the first byte of a message is its kind, and nothing may follow its last field.
public enum AirProtocol {
    /// What this code speaks, and all that it speaks.
    public static let version: UInt16 = 1

    /// Bytes of the longest message.
    public static let messageLimit = 131_072
    /// Actions of one answer.
    public static let actionLimit = Outbox.actionLimit
    /// Devices that an image is meant for, and versions that it can be installed from.
    public static let targetLimit = 64
    public static let installableFromLimit = 64
    /// Bytes of an image in one message.
    public static let chunkLimit = 65_535
    /// Bytes of a PSDU without its frame check sequence.
    public static let psduLimit = FrameBuffer.capacity - 2
    /// Bytes of a node's flash.
    public static let flashLimit = 256 << 20
    /// The longest energy measurement: aBaseSuperframeDuration * (2^14 + 1) symbols of 16 µs
    /// (IEEE 802.15.4-2006 7.5.2.1).
    public static let measurementLimit = Interval.microseconds(251_673_600)
    /// The longest time that anything can be put off: a hundred years of 365 days.
    public static let delayLimit = Interval.hours(100 * 365 * 24)

    /// The kind of a message; nil for none, or one that this version does not know.
    public static func kind(of message: Span<UInt8>) -> MessageKind? {
        message.isEmpty ? nil : MessageKind(rawValue: message[0])
    }
}

/// The first byte of every message.
public enum MessageKind: UInt8, CaseIterable, Sendable {
    // Node to air
    case hello = 0x01
    case answer = 0x02
    case wake = 0x03
    case leave = 0x04

    // Client to the control socket
    case statusRequest = 0x20
    case wan = 0x21
    case order = 0x22
    case power = 0x23
    case link = 0x24
    case inject = 0x25
    case end = 0x26
    case homeWAN = 0x27

    // Air to node; errors also to clients
    case welcome = 0x81
    case turn = 0x82
    case error = 0x83
    case ended = 0x84
    case ping = 0x85

    // The control socket's answers
    case status = 0xA0
    case done = 0xA1

    // Air to sniffers
    case frame = 0xC0
    case event = 0xC1
    case key = 0xC2
    case feedEnded = 0xC3
    case member = 0xC4
}

/// Why an air turned something down.
public enum AirErrorCode: UInt8, CaseIterable, Sendable {
    /// The bytes are no message of this protocol.
    case malformed = 1
    /// Longer than `AirProtocol.messageLimit`.
    case oversize = 2
    /// The text names the versions that the air speaks.
    case unsupportedVersion = 3
    /// Nobody in the roster has this EUI-64 or name.
    case unknownMember = 4
    /// Another peer has this place.
    case taken = 5
    /// An answer without its turn.
    case outOfTurn = 6
    /// A time that lies before the turn's.
    case outOfTime = 7
    /// Something else came before a hello.
    case notJoined = 8
    /// Only others may ask for this, or nobody at this pace.
    case notAllowed = 9
    /// The air's patience with the peer ran out.
    case unanswered = 10
    /// What was asked contradicts the home.
    case roster = 11
    /// The air cannot do it now; the same may be asked again.
    case busy = 12

    public var name: String { "\(self)" }
}

/// How an air's time runs.
public enum Pace: Equatable, Sendable {
    /// As fast as every node answers.
    case virtual
    /// With the clock.
    case real
    /// With the clock, so many microseconds of virtual time in a second; never 0.
    case scaled(UInt64)

    var code: UInt8 {
        switch self {
        case .virtual: 0
        case .real: 1
        case .scaled: 2
        }
    }

    /// Microseconds of virtual time in a second of real time; 0 where they have no relation.
    public var scale: UInt64 {
        switch self {
        case .virtual: 0
        case .real: 1_000_000
        case .scaled(let scale): scale
        }
    }

    init?(code: UInt8, scale: UInt64) {
        switch (code, scale) {
        case (0, 0): self = .virtual
        case (1, 1_000_000): self = .real
        case (2, 1...): self = .scaled(scale)
        default: return nil
        }
    }
}

/// Why there will be no more turns.
public enum EndReason: UInt8, CaseIterable, Sendable {
    /// The run came to its end.
    case runEnded = 0
    /// Somebody stopped the air.
    case airStopped = 1
    /// The air has put this peer off.
    case putOff = 2
}

/// Where a member of the roster is.
public enum MemberState: UInt8, CaseIterable, Sendable {
    /// Nobody has taken its place yet.
    case absent = 0
    case onAir = 1
    /// Its process is there; its power is cut.
    case powerOff = 2
    /// It left, or its process is dead.
    case gone = 3
    /// It misbehaved.
    case putOff = 4

    public var name: String { "\(self)" }
}

/// How far a run is.
public enum RunState: UInt8, CaseIterable, Sendable {
    /// The air waits for its roster.
    case waiting = 0
    case running = 1
    case ended = 2

    public var name: String { "\(self)" }
}
