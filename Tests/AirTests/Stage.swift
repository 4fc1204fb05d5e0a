import Air
import Radio
import Simulation
import Wire

/// Writes down everything that a run gives as evidence.
final class Tape: EvidenceSink {
    var frames: [FrameRecord] = []
    var events: [EventRecord] = []
    var messages: [MessageRecord] = []
    /// Of events and messages, in the order in which they came.
    var times: [Instant] = []

    func record(frame: borrowing FrameRecord) { frames.append(copy frame) }

    func record(event: EventRecord) {
        events.append(event)
        times.append(event.time)
    }

    func record(message: MessageRecord) {
        messages.append(message)
        times.append(message.time)
    }

    func events(_ kind: EventKind) -> [EventRecord] { events.filter { $0.kind == kind } }

    func drops(_ reason: DropReason) -> [EventRecord] {
        events(.dropped).filter { $0.values[0] == UInt64(reason.rawValue) }
    }

    /// One line a record, to compare runs.
    var text: [String] {
        frames.map {
            "\($0.number) \($0.start) \($0.end) \($0.sender) \(Hex.string($0.psdu.bytes))"
        }
            + events.map { "\($0.time) \($0.node) \($0.kind) \($0.values[0]) \($0.values[2])" }
    }
}

/// What a puppet was told, in the order of telling.
struct Note {
    var time: Instant
    var node: Int
    var what: What

    enum What {
        case powerOn
        case tick
        case received(Reception)
        case transmitted(TransmitResult)
        case energy(UInt8, Int8)
        case wan(WANMessage)
        case order(Order)
        case observed(EventRecord)
    }
}

/// What all puppets of a play share: their parts and their diary.
final class Play {
    typealias Act = (inout Outbox) -> Void

    var parts: [[(time: Instant, act: Act)]]
    var notes: [Note] = []
    /// Nodes whose receiver is off when idle.
    var sleepers: Set<Int> = []
    var channels: [UInt8]
    var coordinator = 0
    /// Called for every input, to answer at once.
    var react: ((Note, inout Outbox) -> Void)?
    /// Nodes that always say they are due at this instant.
    var impatient: [Int: Instant] = [:]

    init(_ count: Int) {
        parts = Array(repeating: [], count: count)
        channels = Array(repeating: 11, count: count)
    }

    /// `node` does `act` at `time`.
    func at(_ time: Interval, _ node: Int, _ act: @escaping Act) {
        parts[node].append((Instant.zero + time, act))
        parts[node].sort { $0.time < $1.time }
    }

    func receptions(_ node: Int) -> [(time: Instant, frame: Reception)] {
        notes.compactMap { note in
            guard note.node == node, case .received(let reception) = note.what else { return nil }
            return (note.time, reception)
        }
    }

    func results(_ node: Int) -> [(time: Instant, result: TransmitResult)] {
        notes.compactMap { note in
            guard note.node == node, case .transmitted(let result) = note.what else { return nil }
            return (note.time, result)
        }
    }

    static func address(_ node: Int) -> ShortAddress { ShortAddress(UInt16(node)) }
    static func eui64(_ node: Int) -> EUI64 { EUI64(0x1000 + UInt64(node)) }
    static let pan = PANID(0x1234)
}

/// A node that does what its part says and writes down what it is told.
struct Puppet: Node {
    let index: Int
    let play: Play

    func handle(_ input: borrowing Input, at now: Instant, into out: inout Outbox) {
        let what: Note.What
        switch copy input {
        case .powerOn:
            what = .powerOn
            out.append(
                .configure(
                    RadioConfiguration(
                        channel: play.channels[index], pan: Play.pan,
                        shortAddress: Play.address(index), eui64: Play.eui64(index),
                        isCoordinator: index == play.coordinator,
                        receiverOnWhenIdle: !play.sleepers.contains(index))))
        case .tick: what = .tick
        case .received(let reception): what = .received(reception)
        case .transmitted(let result): what = .transmitted(result)
        case .energy(let channel, let level): what = .energy(channel, level)
        case .wan(let message): what = .wan(message)
        case .order(let order): what = .order(order)
        case .observed(let event): what = .observed(event)
        }
        let note = Note(time: now, node: index, what: what)
        play.notes.append(note)
        play.react?(note, &out)
        while let first = play.parts[index].first, first.time <= now {
            play.parts[index].removeFirst()
            first.act(&out)
        }
    }

    var nextDeadline: Instant {
        play.impatient[index] ?? play.parts[index].first?.time ?? .distantFuture
    }
}

/// A play on an air.
struct Stage {
    let play: Play
    let tape = Tape()
    let simulation: Simulation<Puppet>

    init(
        _ play: Play, seed: UInt64 = 1, settings: AirSettings = AirSettings(),
        flash: FlashGeometry = FlashGeometry(size: 8192), wanPeers: [Int: Int] = [:],
        observers: Set<Int> = [], links change: (inout LinkTable) -> Void = { _ in }
    ) {
        self.play = play
        let count = play.parts.count
        var links = LinkTable(members: count, common: Link(rssi: -60))
        change(&links)
        let air = Air(
            members: (0..<count).map {
                AirMember(
                    flash: flash, wanPeer: wanPeers[$0], observes: observers.contains($0))
            }, settings: settings, links: links, seed: Seed(seed), sink: tape)
        simulation = Simulation(air: air, members: count, seed: Seed(seed)) {
            Puppet(index: $0, play: play)
        }
    }

    func run(_ time: Interval = .seconds(60)) { simulation.run(until: .zero + time) }
}

extension Link {
    static let deaf = Link(rssi: -128)
}

/// Frames for puppets.
enum Frames {
    /// A data frame of `size` bytes, its check sequence included.
    static func data(
        _ sequence: UInt8, from: Int, to: Int?, size: Int = 40, pending: Bool = false
    ) -> FrameBuffer {
        var frame = FrameBuffer()
        frame.append((to == nil ? 0x8841 : 0x8861) as UInt16 | (pending ? 0x10 : 0))
        frame.append(sequence)
        frame.append(Play.pan)
        frame.append(to.map(Play.address) ?? .everyone)
        frame.append(Play.address(from))
        frame.appendZeros(size - 2 - frame.count)
        return frame
    }

    /// A data request, from a short or an extended address.
    static func poll(_ sequence: UInt8, from: Int, to: Int, extended: Bool = false) -> FrameBuffer {
        var frame = FrameBuffer()
        frame.append((extended ? 0xC863 : 0x8863) as UInt16)
        frame.append(sequence)
        frame.append(Play.pan)
        frame.append(Play.address(to))
        if extended { frame.append(Play.eui64(from)) } else { frame.append(Play.address(from)) }
        frame.append(4 as UInt8)
        return frame
    }
}
