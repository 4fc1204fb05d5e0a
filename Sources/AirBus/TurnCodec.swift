import Radio
import Wire

/// One input for a node, as it comes from the air.
public struct BusTurn: Sendable {
    /// What the answer names.
    public var number: UInt32
    public var time: Instant
    /// Frames that have been on the air so far.
    public var frames: UInt64
    /// The number of the frame received, or 0.
    public var frame: UInt64
    public var input: Input
    /// With `powerOn`: when the node's power was cut last, or `.distantFuture` for never.
    public var cutAt: Instant

    public init() {
        number = 0
        time = .zero
        frames = 0
        frame = 0
        input = .tick
        cutAt = .distantFuture
    }
}

extension MessageBuilder {
    /// A node's turn number `number` at `time`, with `frames` on the air so far. `frame` is the
    /// number of a received frame, and `cutAt` goes with `powerOn`.
    public mutating func turn(
        number: UInt32, time: Instant, frames: UInt64, input: borrowing Input, frame: UInt64,
        cutAt: Instant = .distantFuture
    ) {
        begin(.turn)
        put(0 as UInt8)
        put(number)
        put(time)
        put(frames)
        switch copy input {
        case .powerOn:
            put(0 as UInt8)
            put(cutAt)
        case .tick: put(1 as UInt8)
        case .received(let reception):
            put(2 as UInt8)
            put(frame)
            put(reception.rssi)
            put(reception.lqi)
            put(reception.frame)
        case .transmitted(let result):
            put(3 as UInt8)
            put(result.handle)
            put(result.status.rawValue)
            put(result.framePending)
        case .energy(let channel, let level):
            put(4 as UInt8)
            put(channel)
            put(level)
        case .wan(let message):
            put(5 as UInt8)
            put(message)
        case .order(let order):
            put(6 as UInt8)
            put(order)
        case .observed(let event):
            put(7 as UInt8)
            put(event.time)
            put(event.node)
            put(event.kind.rawValue)
            for index in 0..<6 { put(event.values[index]) }
        }
    }
}

extension AirProtocol {
    /// Reads a turn into `turn`, which after an error holds nothing of use.
    public static func decodeTurn(
        _ bytes: Span<UInt8>, into turn: inout BusTurn
    ) throws(WireError) {
        var reader = ByteReader(bytes)
        guard try reader.u8("kind") == MessageKind.turn.rawValue else {
            throw WireError(.invalid, "kind", at: 0)
        }
        _ = try reader.flags("flags", known: 0)
        turn.number = try reader.u32("turn")
        turn.time = try reader.knownTime("time")
        turn.frames = try reader.u64("frames")
        turn.frame = 0
        turn.cutAt = .distantFuture
        try reader.readInput(into: &turn)
        try reader.end(after: "input")
    }
}

extension ByteReader {
    fileprivate mutating func readInput(into turn: inout BusTurn) throws(WireError) {
        let start = offset
        switch try u8("input") {
        case 0:
            let place = offset
            turn.cutAt = try time("cut")
            guard turn.cutAt <= turn.time || turn.cutAt == .distantFuture else {
                throw WireError(.invalid, "cut", at: place)
            }
            turn.input = .powerOn
        case 1: turn.input = .tick
        case 2:
            turn.frame = try u64("frame")
            let rssi = try i8("RSSI")
            let lqi = try u8("LQI")
            turn.input = .received(
                Reception(
                    frame: try psdu("PSDU", limit: AirProtocol.psduLimit), rssi: rssi, lqi: lqi,
                    number: turn.frame))
        case 3:
            turn.input = .transmitted(
                TransmitResult(
                    handle: try u8("handle"), status: try code(TransmitStatus.self, "status"),
                    framePending: try flag("frame pending")))
        case 4: turn.input = .energy(channel: try channel("channel"), level: try i8("level"))
        case 5: turn.input = .wan(try wanMessage())
        case 6: turn.input = .order(try order())
        case 7:
            var event = EventRecord(
                time: try knownTime("event time"), node: try u16("member"),
                kind: try eventKind())
            for index in 0..<6 { event.values[index] = try u64("event value") }
            turn.input = .observed(event)
        default: throw WireError(.invalid, "input", at: start)
        }
    }
}
