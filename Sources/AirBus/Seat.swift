import Air
import Radio
import Wire

/// A member of a roster as an air's home file has it.
public struct SeatPlan: Sendable {
    public var name: String
    /// `CH`, `ESME` and so on.
    public var role: String
    /// Nil for one without a radio.
    public var eui64: EUI64?
    public var flash: FlashGeometry
    /// Whether it may order what the bench may: it observes.
    public var observes: Bool
    /// Nobody takes this place: the air's own control socket acts from it.
    public var isBench: Bool

    public init(
        name: String, role: String, eui64: EUI64?, flash: FlashGeometry, observes: Bool = false,
        isBench: Bool = false
    ) {
        self.name = name
        self.role = role
        self.eui64 = eui64
        self.flash = flash
        self.observes = observes
        self.isBench = isBench
    }
}

/// What ZeroMQ calls a peer: up to 255 bytes, of which its own are five.
struct PeerName: Hashable {
    private var bytes = InlineArray<32, UInt8>(repeating: 0)
    private(set) var count: UInt8 = 0
    /// Whether its answers begin with an empty part, as its requests do.
    var isREQ = false

    static let limit = 32

    /// Nil if it is longer than any that this air takes.
    init?(_ name: UnsafeRawBufferPointer) {
        guard name.count <= Self.limit else { return nil }
        count = UInt8(name.count)
        for index in 0..<name.count { bytes[index] = name[index] }
    }

    static func == (a: PeerName, b: PeerName) -> Bool {
        guard a.count == b.count else { return false }
        for index in 0..<Int(a.count) where a.bytes[index] != b.bytes[index] { return false }
        return true
    }

    func hash(into hasher: inout Hasher) {
        withBytes { hasher.combine(bytes: $0) }
    }

    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeBytes(of: bytes) { body(UnsafeRawBufferPointer(rebasing: $0[..<Int(count)])) }
    }
}

/// A place in a roster and who has it.
struct Seat {
    let plan: SeatPlan
    var state = MemberState.absent
    var peer: PeerName?
    var processID: UInt32 = 0
    /// The number of its latest turn.
    var turn: UInt32 = 0
    var turnTime = Instant.zero
    /// By the machine's clock, when the turn was given that it still owes.
    var owedSince: Double?
    /// Messages of its that were turned down.
    var strikes = 0
    /// It has said that its power came on, and not yet that its software runs.
    var isStarting = false
    /// By the machine's clock, when its connection was last asked for by somebody who wants its
    /// place.
    var asked = 0.0
    /// Its turns in the present second of virtual time, and in the present instant.
    private var second = Instant.zero
    private var turnsOfSecond = 0
    private var turnsOfInstant = 0
    var firmware: UInt32 = 0
    var offset: UInt32 = 0
    var size: UInt32 = 0

    init(_ plan: SeatPlan) { self.plan = plan }

    /// No radio and no tick of a millisecond comes near; a node that goes on at one instant, or
    /// nearly, would keep the others' time from going on.
    static let turnsPerSecond = 20_000
    static let turnsPerInstant = 1_000

    /// Counts a turn; false if it is one too many.
    mutating func hasRoom(forTurnAt time: Instant) -> Bool {
        // Whoever observes is told what the others do, however much that is.
        guard !plan.observes else { return true }
        turnsOfInstant = time == turnTime ? turnsOfInstant + 1 : 0
        if time - second >= .seconds(1) { (second, turnsOfSecond) = (time, 0) }
        turnsOfSecond += 1
        return turnsOfSecond <= Self.turnsPerSecond && turnsOfInstant <= Self.turnsPerInstant
    }

    var isTaken: Bool { plan.isBench || state == .onAir || state == .powerOff }

    /// Follows what is known of its firmware and download.
    mutating func observe(_ event: EventRecord) {
        switch event.kind {
        case .poweredOn:
            firmware = UInt32(truncatingIfNeeded: event.values[0])
            if state == .powerOff { state = .onAir }
            isStarting = true
        case .booted: isStarting = false
        case .poweredOff: if state == .onAir { state = .powerOff }
        case .otaDownloadStarted, .otaDownloadResumed:
            size = UInt32(truncatingIfNeeded: event.values[1])
            offset = UInt32(truncatingIfNeeded: event.values[2])
        case .otaProgress:
            offset = UInt32(truncatingIfNeeded: event.values[0])
            size = UInt32(truncatingIfNeeded: event.values[1])
        case .otaVerified: offset = size
        case .otaGaveUp, .otaAborted, .otaRejected, .activated: (offset, size) = (0, 0)
        default: break
        }
    }
}
