import Air
import Crypto
import Radio
import Simulation
import Wire
import Zigbee

/// Writes down everything that a run gives as evidence.
final class Tape: EvidenceSink {
    var frames: [FrameRecord] = []
    var events: [EventRecord] = []

    func record(frame: borrowing FrameRecord) { frames.append(copy frame) }
    func record(event: EventRecord) { events.append(event) }
}

/// What the nodes of a world share with the test: tasks to do, and what they were told.
final class Desk {
    typealias Task = (inout ZigbeeStack, Instant, inout Outbox) -> Void

    var tasks: [[Task]] = [[], [], []]
    var messages: [[APSMessage]] = [[], [], []]
    /// Messages that came in fragments.
    var long: [[LongMessage]] = [[], [], []]
    /// What the coordinator and the device shall hear of each other from now on: frames lost of a
    /// million.
    var loss: UInt32?
    var sent: [[(token: UInt16, delivered: Bool)]] = [[], [], []]
    var formed = false
    var joined = 0
    /// What the attacker sends, one frame after another.
    var raw: [FrameBuffer] = []
    var attacker: RadioConfiguration?
    var results: [TransmitResult] = []
    /// Everything else that the stacks told their applications.
    var indications: [[Indication]] = [[], [], []]
    /// How often nodes look for what the test gives them to do.
    var beat = Interval.milliseconds(5)
    /// Whether stacks keep their state in flash.
    var persists = false
}

/// A ZigBee stack with next to nothing above it.
struct StackNode: Node {
    let index: Int
    let desk: Desk
    var stack: ZigbeeStack
    var beat = Instant.zero
    var nextSlot = 0

    mutating func handle(_ input: borrowing Input, at now: Instant, into out: inout Outbox) {
        switch copy input {
        case .powerOn:
            if desk.persists, restore(out.flash) {
                stack.resume(at: now, into: &out)
                save(&out)
            } else if index == 0 {
                stack.setLinkKey(World.linkKey, partner: World.deviceEUI64)
                stack.form(at: now, into: &out)
                stack.permitJoining(.hours(1), at: now, into: &out)
            } else {
                stack.setLinkKey(World.linkKey, partner: .unknown)
                stack.join(at: now, into: &out)
            }
        case .tick: stack.tick(at: now, into: &out)
        case .received(let reception): stack.received(reception, at: now, into: &out)
        case .transmitted(let result): stack.transmitted(result, at: now, into: &out)
        case .energy(let channel, let level):
            stack.energy(channel: channel, level: level, at: now, into: &out)
        case .wan, .order, .observed: break
        }
        let tasks = desk.tasks[index]
        desk.tasks[index] = []
        for task in tasks { task(&stack, now, &out) }
        while let indication = stack.takeIndication() {
            switch indication {
            case .message(let message): desk.messages[index].append(message)
            case .reassembled:
                if let message = stack.takeLongMessage() { desk.long[index].append(message) }
            case .sent(let token, let delivered): desk.sent[index].append((token, delivered))
            case .formed: desk.formed = true
            case .joined: desk.joined += 1
            default: desk.indications[index].append(indication)
            }
        }
        save(&out)
        stack.goOn(at: now, into: &out)
        if beat <= now { beat = now + desk.beat }
    }

    var nextDeadline: Instant { min(beat, stack.nextDeadline) }

    // MARK: - What survives: snapshots in slots of 512 bytes, each {length u16, CRC u32, bytes}

    static let slot = 512

    private mutating func save(_ out: inout Outbox) {
        guard stack.takeSaveRequest(), desk.persists, stack.isJoined else { return }
        var builder = ByteBuilder()
        stack.snapshot(into: &builder)
        let snapshot = builder.bytes
        var record = ByteBuilder()
        record.put(UInt64(snapshot.count), 2)
        record.put(UInt64(CRC32.checksum(snapshot.span)), 4)
        record.put(snapshot)
        out.program(record.bytes.span, at: nextSlot * Self.slot)
        nextSlot += 1
    }

    /// Puts back the newest whole snapshot; false if there is none.
    private mutating func restore(_ flash: FlashView) -> Bool {
        var newest: [UInt8]?
        nextSlot = 0
        while flash[nextSlot * Self.slot] != 0xFF || flash[nextSlot * Self.slot + 1] != 0xFF {
            let head = flash.read(nextSlot * Self.slot, count: 6)
            let length = Int(head[0]) | Int(head[1]) << 8
            let check = (0..<4).reduce(UInt32(0)) { $0 | UInt32(head[2 + $1]) << UInt32(8 * $1) }
            let bytes = flash.read(nextSlot * Self.slot + 6, count: min(length, Self.slot))
            if CRC32.checksum(bytes.span) == check { newest = bytes }
            nextSlot += 1
        }
        guard let newest else { return false }
        return (try? stack.restore(newest)) != nil && stack.isJoined
    }
}

/// A radio without a stack that sends what the test gives it.
struct RawNode: Node {
    let desk: Desk
    var beat = Instant.zero
    var isBusy = false

    mutating func handle(_ input: borrowing Input, at now: Instant, into out: inout Outbox) {
        if case .transmitted(let result) = copy input {
            isBusy = false
            desk.results.append(result)
        }
        if let configuration = desk.attacker {
            desk.attacker = nil
            out.append(.configure(configuration))
        }
        if let loss = desk.loss {
            desk.loss = nil
            out.append(.link(a: 0, b: 1, rssi: -60, lossPerMillion: loss))
        }
        if !isBusy, !desk.raw.isEmpty {
            isBusy = true
            out.transmit(desk.raw.removeFirst(), handle: 1)
        }
        if beat <= now { beat = now + desk.beat }
    }

    var nextDeadline: Instant { beat }
}

enum WorldNode: Node {
    case stack(StackNode)
    case raw(RawNode)

    mutating func handle(_ input: borrowing Input, at now: Instant, into out: inout Outbox) {
        switch self {
        case .stack(var node):
            node.handle(input, at: now, into: &out)
            self = .stack(node)
        case .raw(var node):
            node.handle(input, at: now, into: &out)
            self = .raw(node)
        }
    }

    var nextDeadline: Instant {
        switch self {
        case .stack(let node): node.nextDeadline
        case .raw(let node): node.nextDeadline
        }
    }
}

/// A coordinator (0), a device (1) that joins it, and an attacker (2) within reach of both.
final class World {
    static let coordinatorEUI64 = EUI64(0x00AA_0000_0000_0001)
    static let deviceEUI64 = EUI64(0x00BB_0000_0000_0002)
    static let attackerEUI64 = EUI64(0x00CC_0000_0000_0003)
    static let attackerAddress = ShortAddress(0xBEEF)
    static let linkKey = Key128(high: 0x0123_4567_89AB_CDEF, low: 0x0011_2233_4455_6677)
    static let cluster: UInt16 = 0x0019

    let desk = Desk()
    let tape = Tape()
    let crypto = CryptoEngine()
    let simulation: Simulation<WorldNode>
    private(set) var limit = Instant.zero
    /// The attacker's next NWK counter, MAC and NWK sequence numbers.
    var counter: UInt32 = 0x0001_0000
    var sequence: UInt8 = 0
    /// The number of the last ZDO request that a test put to somebody.
    var transaction: UInt8 = 0x40

    init(
        sleepy: Bool = false, persists: Bool = false, seed: UInt64 = 1,
        configure: @escaping (inout StackConfiguration) -> Void = { _ in }
    ) {
        desk.persists = persists
        let desk = desk
        let crypto = crypto
        let air = Air(
            members: Array(
                repeating: AirMember(
                    // Slow to program, so that a frame can overtake the write that covers it.
                    flash: FlashGeometry(size: 512 * 512, programPerByte: .microseconds(100))),
                count: 3),
            settings: AirSettings(), links: LinkTable(members: 3, common: Link(rssi: -60)),
            seed: Seed(seed), sink: tape)
        simulation = Simulation<WorldNode>(air: air, members: 3, seed: Seed(seed)) { index in
            guard index < 2 else { return .raw(RawNode(desk: desk)) }
            var configuration = StackConfiguration(
                role: index == 0 ? .coordinator : .endDevice,
                eui64: index == 0 ? World.coordinatorEUI64 : World.deviceEUI64,
                receiverOnWhenIdle: index == 0 || !sleepy, isMainsPowered: true,
                manufacturer: 0xFFF1,
                endpoints: [
                    SimpleDescriptor(
                        endpoint: 1, profile: ProfileID.smartEnergy, device: 0x0500,
                        inputClusters: [World.cluster], outputClusters: [])
                ], channels: [11])
            configure(&configuration)
            return .stack(
                StackNode(
                    index: index, desk: desk,
                    stack: ZigbeeStack(
                        configuration: configuration, crypto: crypto,
                        seed: Seed(seed).indexed(UInt64(index)))))
        }
    }

    func stack(_ index: Int) -> ZigbeeStack? {
        if case .stack(let node) = simulation.nodes[index] { node.stack } else { nil }
    }

    var pan: PANID {
        var reader = ByteReader(lastFrame(from: 0).span)
        return (try? MACHeader(parsing: &reader))?.sourcePAN ?? .broadcast
    }
    var networkKey: Key128 { stack(0)?.networkKey ?? Key128(high: 0, low: 0) }
    var device: ShortAddress { stack(1)?.address ?? .unassigned }

    func run(_ time: Interval) {
        limit = limit + time
        simulation.run(until: limit)
    }

    /// Runs until the device is in, and turns the attacker's radio on.
    func start(attackerAs address: ShortAddress = attackerAddress) {
        for _ in 0..<120 where desk.joined == 0 || limit < .zero + .seconds(3) { run(.seconds(1)) }
        run(.seconds(2))
        tune(attackerAs: address)
    }

    func tune(attackerAs address: ShortAddress) {
        desk.attacker = RadioConfiguration(
            channel: 11, pan: pan, shortAddress: address, eui64: World.attackerEUI64,
            isCoordinator: false, receiverOnWhenIdle: true)
        run(.milliseconds(20))
    }

    /// Lets a stack send to the other's endpoint 1.
    func send(
        _ bytes: [UInt8], from index: Int, options: SendOptions = [.acknowledged, .linkSecured],
        token: UInt16 = 1
    ) {
        let target = index == 0 ? device : .coordinator
        desk.tasks[index].append { stack, now, out in
            stack.send(
                FrameBuffer(bytes), to: target, endpoint: 1, from: 1, cluster: World.cluster,
                profile: ProfileID.smartEnergy, options: options, token: token, at: now,
                into: &out)
        }
    }

    /// Has the coordinator bring in a new network key.
    func updateKey() {
        desk.tasks[0].append { stack, now, out in stack.updateNetworkKey(at: now, into: &out) }
    }

    /// The reasons for which `node` dropped something from the tape's event number `since` on.
    func drops(at node: Int, since: Int) -> [DropReason] {
        tape.events[since...].compactMap { event in
            guard event.kind == .dropped, Int(event.node) == node else { return nil }
            return DropReason(rawValue: UInt8(truncatingIfNeeded: event.values[0]))
        }
    }

    /// What `node` drops, and how many messages it takes, while the attacker sends `frames`.
    func attack(
        _ node: Int, with frames: [FrameBuffer], for time: Interval = .milliseconds(200)
    ) -> (drops: [DropReason], messages: Int) {
        let events = tape.events.count
        let messages = desk.messages[node].count
        desk.raw += frames
        run(time * max(1, frames.count))
        return (drops(at: node, since: events), desk.messages[node].count - messages)
    }

    /// The last frame of `sender` that is not an acknowledgement, without its check sequence.
    func lastFrame(from sender: Int, longerThan size: Int = 5) -> FrameBuffer {
        guard
            var frame = tape.frames.last(where: {
                Int($0.sender) == sender && $0.psdu.count > size
            })?.psdu
        else { return FrameBuffer() }
        frame.truncate(to: frame.count - 2)
        return frame
    }

    /// Both stacks still get messages through to each other, once each.
    func stillWorks() -> Bool {
        let before = (desk.messages[0].count, desk.messages[1].count)
        send([1, 2, 3], from: 1, token: 901)
        send([4, 5, 6], from: 0, token: 902)
        run(.seconds(1))
        return desk.messages[0].count == before.0 + 1 && desk.messages[1].count == before.1 + 1
            && desk.sent[1].contains { $0 == (901, true) }
            && desk.sent[0].contains { $0 == (902, true) }
    }
}
