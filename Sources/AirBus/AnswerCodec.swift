import Radio
import Wire

/// The fields of an answer before its actions.
public struct AnswerHeader: Equatable, Sendable {
    /// The number of the turn that it answers.
    public var turn: UInt32
    /// When the node next wants a tick; `.distantFuture` for never.
    public var nextDeadline: Instant
    /// How many actions did not fit.
    public var lost: UInt16
    /// How many actions follow.
    public var count: UInt16

    /// Offset of `lost`: after kind, flags, turn and deadline.
    static let lostOffset = 14
    static let countOffset = 16

    /// Reads the whole header, its kind included.
    public init(parsing reader: inout ByteReader) throws(WireError) {
        let start = reader.offset
        guard try reader.u8("kind") == MessageKind.answer.rawValue else {
            throw WireError(.invalid, "kind", at: start)
        }
        _ = try reader.flags("flags", known: 0)
        turn = try reader.u32("turn")
        nextDeadline = try reader.time("next deadline")
        lost = try reader.u16("lost")
        count = UInt16(
            try reader.count("action count", of: 1, limit: AirProtocol.actionLimit))
    }
}

extension MessageBuilder {
    /// What a node answers turn number `turn`. What does not fit one message counts as lost, and a
    /// deadline that has passed as due at once.
    public mutating func answer(
        turn: UInt32, nextDeadline: Instant, from out: borrowing Outbox
    ) {
        begin(.answer)
        put(0 as UInt8)
        put(turn)
        put(max(nextDeadline, out.now))
        put(0 as UInt16)
        put(0 as UInt16)
        var lost = out.lost
        var written: UInt16 = 0
        // An array would hand out copies, and some actions are as big as a frame.
        out.actions.withUnsafeBufferPointer { actions in
            for index in actions.indices {
                let mark = count
                put(actions[index], of: out)
                if isOverflowed {
                    goBack(to: mark)
                    lost += 1
                } else {
                    written += 1
                }
            }
        }
        put(UInt16(clamping: lost), at: AnswerHeader.lostOffset)
        put(written, at: AnswerHeader.countOffset)
    }

    private mutating func put(_ action: Action, of out: borrowing Outbox) {
        switch action {
        case .configure(let configuration): put(configuration)
        case .receiver(let on):
            put(1 as UInt8)
            put(on)
        case .pending(let address, let isPending):
            put(2 as UInt8)
            put(isPending)
            switch address {
            case .short(let short):
                put(2 as UInt8)
                put(short.rawValue)
            case .extended(let eui64):
                put(3 as UInt8)
                put(eui64)
            }
        case .transmit(let handle, let frame, let isIndirect):
            put(3 as UInt8)
            put(handle)
            put(isIndirect)
            put(frame)
        case .measureEnergy(let channel, let duration):
            put(4 as UInt8)
            put(channel)
            put(duration.microseconds)
        case .program(let address, _, let count):
            // What lies outside any part stays outside.
            put(5 as UInt8)
            put(UInt32(truncatingIfNeeded: address))
            put(UInt32(truncatingIfNeeded: count))
        case .erase(let page):
            put(6 as UInt8)
            put(UInt32(truncatingIfNeeded: page))
        case .wan(let index):
            put(7 as UInt8)
            put(out.messages[index])
        case .order(let target, let index):
            put(8 as UInt8)
            put(target)
            put(out.orders[index])
        case .power(let target, let on):
            put(9 as UInt8)
            put(target)
            put(on)
        case .link(let a, let b, let rssi, let loss):
            put(10 as UInt8)
            put(link: a, b, rssi: rssi, lossPerMillion: loss)
        case .event(let event):
            put(11 as UInt8)
            put(event)
        case .restart(let delay):
            put(12 as UInt8)
            put(delay.microseconds)
        case .endRun: put(13 as UInt8)
        case .networkKey(let key):
            put(14 as UInt8)
            put(key)
        case .linkKey(let key, let partner):
            put(15 as UInt8)
            put(key)
            put(partner)
        }
    }

    private mutating func put(_ configuration: RadioConfiguration) {
        put(0 as UInt8)
        put(configuration.channel)
        put(configuration.pan.rawValue)
        put(configuration.shortAddress.rawValue)
        put(configuration.eui64)
        put(
            (configuration.isCoordinator ? 1 : 0) | (configuration.receiverOnWhenIdle ? 2 : 0)
                as UInt8)
    }

    mutating func put(link a: UInt16, _ b: UInt16, rssi: Int8, lossPerMillion: UInt32) {
        put(a)
        put(b)
        put(rssi)
        put(min(lossPerMillion, 1_000_000))
    }
}

extension AirProtocol {
    /// Reads an answer into `out`, which it empties first, as the answer of `node` at `now`: a node
    /// cannot speak for another or date its events. The programmed bytes stay with the node, so
    /// `program` has nothing in the arena. After an error `out` is empty.
    public static func decodeAnswer(
        _ bytes: Span<UInt8>, into out: inout Outbox, node: UInt16, now: Instant
    ) throws(WireError) -> (turn: UInt32, nextDeadline: Instant) {
        out.removeAll()
        out.node = node
        out.now = now
        do {
            var reader = ByteReader(bytes)
            let header = try AnswerHeader(parsing: &reader)
            out.countLosses(Int(header.lost))
            for _ in 0..<header.count { try reader.appendAction(to: &out) }
            try reader.end(after: "actions")
            return (header.turn, header.nextDeadline)
        } catch {
            out.removeAll()
            throw error
        }
    }
}

extension ByteReader {
    fileprivate mutating func appendAction(to out: inout Outbox) throws(WireError) {
        let start = offset
        switch try u8("action") {
        case 0: out.append(.configure(try configuration()))
        case 1: out.append(.receiver(on: try flag("receiver")))
        case 2: out.append(try pending())
        case 3:
            let handle = try u8("handle")
            let isIndirect = try flags("transmit flags", known: 1) == 1
            // The chip itself refuses what is too long for its FCS.
            out.transmit(
                try psdu("PSDU", limit: FrameBuffer.capacity), handle: handle,
                isIndirect: isIndirect)
        case 4:
            out.append(
                .measureEnergy(
                    channel: try channel("channel"),
                    duration: try duration("duration", limit: AirProtocol.measurementLimit)))
        case 5:
            out.append(
                .program(
                    address: Int(try u32("flash address")), from: 0,
                    count: Int(try u32("flash count"))))
        case 6: out.append(.erase(page: Int(try u32("flash page"))))
        case 7: out.send(try wanMessage())
        case 8:
            let target = try u16("member")
            out.send(try order(), to: target)
        case 9: out.append(.power(of: try u16("member"), on: try flag("power")))
        case 10:
            out.append(
                .link(
                    a: try u16("member"), b: try u16("member"), rssi: try i8("RSSI"),
                    lossPerMillion: try loss()))
        case 11: out.append(.event(try event(time: out.now, node: out.node)))
        case 12:
            out.append(.restart(after: try duration("delay", limit: AirProtocol.delayLimit)))
        case 13: out.append(.endRun)
        case 14: out.append(.networkKey(try key("network key")))
        case 15:
            out.append(.linkKey(try key("link key"), partner: try eui64("partner")))
        default: throw WireError(.invalid, "action", at: start)
        }
    }

    private mutating func configuration() throws(WireError) -> RadioConfiguration {
        let channel = try channel("channel")
        let pan = PANID(try u16("PAN"))
        let short = try shortAddress("short address")
        let eui64 = try eui64("EUI-64")
        let flags = try flags("configuration flags", known: 3)
        return RadioConfiguration(
            channel: channel, pan: pan, shortAddress: short, eui64: eui64,
            isCoordinator: flags & 1 != 0, receiverOnWhenIdle: flags & 2 != 0)
    }

    private mutating func pending() throws(WireError) -> Action {
        let isPending = try flag("pending")
        let start = offset
        switch try u8("address mode") {
        case 2: return .pending(.short(try shortAddress("short address")), isPending)
        case 3: return .pending(.extended(try eui64("EUI-64")), isPending)
        default: throw WireError(.invalid, "address mode", at: start)
        }
    }
}
