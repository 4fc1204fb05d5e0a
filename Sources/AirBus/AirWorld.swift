import Air
import Radio
import Wire

/// One home on an air: its members, its medium, and its own clock. Homes out of radio range of each
/// other share a process and its sockets, and nothing else.
public final class AirWorld {
    public let air: Air
    public let start: UTCTime
    public let seed: UInt64
    public let pace: Pace
    var seats: [Seat]
    var state = RunState.waiting
    /// By the machine's clock, when virtual time zero was.
    var origin = 0.0
    /// As people call the home.
    public let name: String
    /// Where its members begin when those of all homes of an air are counted through.
    var first = 0
    /// How many turns its members have been given.
    var turns: UInt64 = 0
    /// Orders of the control socket's that wait until nobody owes an answer.
    var orders: [(request: ControlRequest, peer: PeerName)] = []
    let tap: EvidenceTap
    /// The image that a client of the control socket is sending to the hub, and by the machine's
    /// clock when a part of it last came.
    var delivery: (number: UInt32, peer: PeerName, heard: Double)?

    /// - Parameters:
    ///   - name: what people call the home.
    ///   - seats: in roster order.
    ///   - sink: takes the evidence; the air also gives it to sniffers.
    ///   - makeAir: builds the air with the sink that it is given.
    public init(
        name: String = "", seats: [SeatPlan], start: UTCTime, seed: UInt64, pace: Pace,
        sink: EvidenceSink?,
        makeAir: (EvidenceSink, Timekeeping) -> Air
    ) {
        self.name = name
        self.seats = seats.map { Seat($0) }
        self.start = start
        self.seed = seed
        self.pace = pace
        tap = EvidenceTap(inner: sink)
        air = makeAir(tap, pace == .virtual ? .lockstep : .clock)
        tap.world = self
    }

    var bench: Int? { seats.lastIndex { $0.plan.isBench } }
    var isComplete: Bool { seats.allSatisfy(\.isTaken) }

    /// Whether nothing can happen here before a node has answered, or its socket says something.
    var awaitsAnswer: Bool { state == .running && pace == .virtual && !air.isSettled }

    /// Virtual time now, by the machine's clock.
    func time(at wall: Double) -> Instant {
        guard pace != .virtual else { return .distantFuture }
        let passed = max(0, wall - origin) * Double(pace.scale)
        return Instant(microseconds: Int64(min(passed, 9e18)))
    }

    /// Seconds of the machine's clock until `time`.
    func seconds(until time: Instant, from wall: Double) -> Double {
        guard pace != .virtual, time != .distantFuture else { return .infinity }
        return Double(time.microseconds) / Double(pace.scale) + origin - wall
    }

    /// In numbers: what a home's run came to.
    var account: String {
        let seconds = max(0, WallClock.seconds() - origin)
        return "\(turns) turns and \(air.frameCount) frames, \(tap.acknowledgements) of them "
            + "acknowledgements, in \(Int64(seconds * 1000)) ms"
    }

    func status() -> RunStatus {
        RunStatus(
            state: state, pace: pace, time: air.now, frames: air.frameCount, turns: turns,
            members: seats.enumerated().map { index, seat in
                RunStatus.Member(
                    index: UInt16(first + index), state: seat.plan.isBench ? .onAir : seat.state,
                    processID: seat.processID, eui64: seat.plan.eui64, firmware: seat.firmware,
                    offset: seat.offset, size: seat.size, role: seat.plan.role,
                    name: seat.plan.name)
            })
    }
}

/// Stands between an air and its evidence: follows the members, and feeds the sniffers.
final class EvidenceTap: EvidenceSink {
    private let inner: EvidenceSink?
    weak var world: AirWorld?
    /// The network and link keys so far, for sniffers that come later.
    private(set) var keys: [(key: Key128, time: Instant)] = []
    private static let keyLimit = 128
    /// Publishes a message to the sniffers, if there are any.
    var publish: (((inout MessageBuilder) -> Void) -> Void)?
    /// How many of the frames on the air were acknowledgements.
    private(set) var acknowledgements: UInt64 = 0

    init(inner: EvidenceSink?) { self.inner = inner }

    func record(frame: borrowing FrameRecord) {
        inner?.record(frame: frame)
        // Frame type 2 of IEEE 802.15.4-2006 7.2.1.1.1, which has five bytes.
        if frame.psdu.count == 5, frame.psdu[0] & 7 == 2 { acknowledgements += 1 }
        guard let publish else { return }
        var frame = copy frame
        if let first = world?.first, frame.sender != .max { frame.sender += UInt16(first) }
        publish { $0.feed(frame: frame) }
    }

    func record(event: EventRecord) {
        inner?.record(event: event)
        if event.kind.isMilestone, let world, Int(event.node) < world.seats.count {
            world.seats[Int(event.node)].observe(event)
        }
        guard let publish else { return }
        var event = event
        event.node += UInt16(world?.first ?? 0)
        publish { $0.feed(event: event) }
    }

    func record(message: MessageRecord) { inner?.record(message: message) }

    func record(networkKey: Key128, at time: Instant) {
        inner?.record(networkKey: networkKey, at: time)
        publish(key: networkKey, at: time)
    }

    func record(linkKey: Key128, of device: EUI64, at time: Instant) {
        inner?.record(linkKey: linkKey, of: device, at: time)
        publish(key: linkKey, at: time)
    }

    private func publish(key: Key128, at time: Instant) {
        if keys.contains(where: { $0.key == key }) { return }
        if keys.count == Self.keyLimit { keys.removeFirst() }
        keys.append((key, time))
        publish? { $0.feed(key: key, at: time) }
    }
}
