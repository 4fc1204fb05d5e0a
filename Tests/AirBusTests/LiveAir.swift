import Air
import AirBus
import Foundation
import Radio
import Synchronization
import TestSupport
import Testing
import Wire

/// An air in a thread of this process, in virtual pace: two honest nodes that talk to each other, X
/// whose place a test takes, and a director that ends the run.
final class LiveAir: @unchecked Sendable {
    static let names = ["A", "B", "X", "director"]
    static let strangerEUI64 = EUI64(0x1002)

    /// For a machine on which threads may stand still for long.
    static var patient: AirServiceSettings {
        var settings = AirServiceSettings()
        settings.patience = 300
        return settings
    }

    let endpoints: AirEndpoints
    let tape = LineTape()
    /// What the air says to a person.
    let log = Lines()
    let service: AirService
    private let folder: TemporaryFolder
    private let stopping = Flag()
    private let mayEnd = Flag()
    private let isDone = DispatchSemaphore(value: 0)
    private var nodes: [HonestNode] = []

    init(
        _ settings: AirServiceSettings = LiveAir.patient, endpoint: String? = nil,
        flash: Int = 4_096
    ) throws {
        folder = try TemporaryFolder()
        endpoints = try AirEndpoints(parsing: endpoint ?? "ipc://\(folder.path("air"))")
        let seats = Self.names.enumerated().map { index, name in
            SeatPlan(
                name: name, role: name, eui64: index == 3 ? nil : EUI64(0x1000 + UInt64(index)),
                flash: FlashGeometry(size: flash), observes: index == 3)
        }
        let world = AirWorld(
            seats: seats, start: UTCTime(secondsSince2000: 0), seed: 1, pace: .virtual, sink: tape
        ) { sink, timekeeping in
            // X is out of everybody's reach.
            var links = LinkTable(members: 4, common: Link(rssi: -50))
            for other in [0, 1, 3] { links.set(2, other, Link(rssi: -120)) }
            return Air(
                members: (0..<4).map {
                    AirMember(
                        flash: seats[$0].flash, wanPeer: $0 == 2 ? 3 : $0 == 3 ? 2 : nil,
                        observes: $0 == 3)
                }, settings: AirSettings(), links: links, seed: Seed(1), sink: sink,
                timekeeping: timekeeping)
        }
        service = try AirService(
            worlds: [world], endpoints: endpoints, settings: settings, tether: nil,
            isStopped: { [stopping] in stopping.isSet })
        let log = log
        service.log = { log.append($0) }
        Thread.detachNewThread { [self] in
            service.run()
            isDone.signal()
        }
    }

    /// Lets honest nodes take their places.
    func join(_ names: [String] = ["A", "B", "X", "director"], keys: AirKeys? = nil) {
        for name in names {
            nodes.append(HonestNode(name, endpoints, mayEnd: mayEnd, keys: keys))
        }
    }

    /// Waits until the air knows that a member is gone: its place is free.
    func awaitLoss(of name: String) {
        for _ in 0..<60_000 {
            if log.all.contains(where: { $0.hasPrefix("\(name) is gone") }) { return }
            usleep(2_000)
        }
        Issue.record("\(name) is not gone")
    }

    /// Lets a stranger leave the place of X to an honest node, and the run come to its end: the
    /// evidence of A and B.
    func finish(after stranger: RawPeer) -> [String] {
        stranger.send { $0.leave() }
        awaitLoss(of: "X")
        join()
        return finish()
    }

    /// Lets the run end and waits for that: the evidence of A and B.
    func finish() -> [String] {
        mayEnd.set()
        isDone.wait()
        isDone.signal()
        for node in nodes { node.finish() }
        return tape.lines
    }

    func stop() -> [String] {
        stopping.set()
        return finish()
    }

    /// The evidence when nobody disturbs.
    static let undisturbed: [String] = {
        guard let air = try? LiveAir() else { return [] }
        air.join()
        return air.finish()
    }()
}

/// What one thread asks for and another sees.
final class Flag: Sendable {
    private let value = Atomic(false)

    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}

/// Lines that one thread writes and another reads.
final class Lines: Sendable {
    private let lines = Mutex<[String]>([])

    func append(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
}

/// The evidence of A and B, a line a record. Frames are without their number, which counts X's too.
final class LineTape: EvidenceSink, @unchecked Sendable {
    var lines: [String] = []
    var lost: [EventRecord] = []
    /// Outputs that X lost.
    var lostOutputs = 0

    func record(frame: borrowing FrameRecord) {
        guard frame.sender < 2 else { return }
        lines.append(
            "\(frame.start) \(frame.end) \(frame.sender) \(Hex.string(frame.psdu.bytes))")
    }

    func record(event: EventRecord) {
        if event.kind == .nodeLost { lost.append(event) }
        if event.kind == .outputLost { lostOutputs += 1 }
        guard event.node < 2 else { return }
        lines.append("\(event.time) \(event.node) \(event.kind) \(event.values[0])")
    }
}

/// A node of an honest process, here in a thread.
final class HonestNode: @unchecked Sendable {
    private let isDone = DispatchSemaphore(value: 0)
    private(set) var end: NodeEnd?

    init(_ name: String, _ endpoints: AirEndpoints, mayEnd: Flag, keys: AirKeys? = nil) {
        Thread.detachNewThread { [self] in
            let host = try? NodeHost<HonestMachine>(
                endpoints: endpoints, hello: Hello(processID: 2, eui64: nil, name: name),
                keys: keys, tether: nil, isStopped: { false },
                flash: { FlashMemory(geometry: $0) },
                make: { HonestMachine(index: Int($0.index), mayEnd: mayEnd) })
            end = try? host?.run()
            isDone.signal()
        }
    }

    @discardableResult
    func finish() -> NodeEnd? {
        isDone.wait()
        isDone.signal()
        return end
    }
}

/// A and B send each other frames for nine seconds of virtual time, X is quiet, and the director
/// ends the run some time after that, when the test lets it.
struct HonestMachine: Node {
    let index: Int
    private let mayEnd: Flag
    private var sequence: UInt8 = 0
    private(set) var nextDeadline = Instant.distantFuture
    private static let silence = Instant.zero + .seconds(9)
    private static let end = Instant.zero + .seconds(10)

    init(index: Int, mayEnd: Flag) {
        self.index = index
        self.mayEnd = mayEnd
    }

    mutating func handle(_ input: borrowing Input, at now: Instant, into out: inout Outbox) {
        switch copy input {
        case .powerOn:
            guard index < 2 else {
                nextDeadline = index == 3 ? Self.end : .distantFuture
                return
            }
            out.append(
                .configure(
                    RadioConfiguration(
                        channel: 11, pan: PANID(0x1234), shortAddress: ShortAddress(UInt16(index)),
                        eui64: EUI64(0x1000 + UInt64(index)), isCoordinator: index == 0,
                        receiverOnWhenIdle: true)))
            nextDeadline = now + .milliseconds(Int64(7 + index))
        case .tick:
            guard nextDeadline <= now else { return }
            if index == 3 {
                if mayEnd.isSet { out.append(.endRun) }
                nextDeadline = mayEnd.isSet ? .distantFuture : now + .seconds(1)
                return
            }
            sequence &+= 1
            let frame = FrameBuffer(
                [0x61, 0x88, sequence, 0x34, 0x12, UInt8(1 - index), 0, UInt8(index), 0, 0xAB])
            out.transmit(frame, handle: sequence)
            nextDeadline = now + .milliseconds(20)
            // Before the director could end the run, so that it does not matter when it does.
            if now >= Self.silence { nextDeadline = .distantFuture }
        case .received(let reception):
            out.note(.routeFound, UInt64(reception.frame[2]))
        default: break
        }
    }
}
