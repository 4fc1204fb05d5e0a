import AirBus
import Foundation
import Lab
import Radio
import Wire

extension FuzzTarget {
    /// What other processes send to an air, and an air to them: what is read must, written again,
    /// be the same bytes.
    static func air(_ place: Place) -> [FuzzTarget] {
        [
            message(place, "air-answer", limit: 4096) { (bytes, bench) throws(WireError) in
                let (turn, next) = try AirProtocol.decodeAnswer(
                    bytes.span, into: &bench.out, node: 1, now: .zero)
                bench.builder.answer(turn: turn, nextDeadline: next, from: bench.out)
            },
            message(place, "air-turn", limit: 2048) { (bytes, bench) throws(WireError) in
                try AirProtocol.decodeTurn(bytes.span, into: &bench.turn)
                bench.builder.turn(
                    number: bench.turn.number, time: bench.turn.time, frames: bench.turn.frames,
                    input: bench.turn.input, frame: bench.turn.frame, cutAt: bench.turn.cutAt)
            },
            message(place, "air-message", limit: 512, recodeNodeMessage),
            message(place, "sniffer-message", limit: 1024, recodeFeed),
            message(place, "control-message", limit: 2048, recodeControl),
        ]
    }

    private typealias Recode = ([UInt8], AirBench) throws(WireError) -> Void

    private static func message(
        _ place: Place, _ name: String, limit: Int, _ recode: @escaping Recode
    ) -> FuzzTarget {
        FuzzTarget(name, maximumLength: limit) {
            let bench = AirBench()
            return Prepared(seeds: try AirExamples.of(name, in: place)) { bytes in
                do throws(WireError) {
                    try recode(bytes, bench)
                } catch {
                    if error.offset > bytes.count { found("an error behind the end: \(error)") }
                    return
                }
                guard !bench.isUnread else { return }
                if bench.builder.isOverflowed { found("what was read is too long to be written") }
                if !bytes.elementsEqual(bench.builder.message) {
                    found("a message is written differently from how it was read")
                }
            }
        }
    }

    private static func recodeNodeMessage(
        _ bytes: [UInt8], _ bench: AirBench
    ) throws(WireError) {
        bench.isUnread = false
        if let first = bytes.first, first < 0x80 {
            switch try FromNode(parsing: bytes.span) {
            case .hello(let hello):
                // Another version's is not read to its end.
                bench.isUnread = hello.version != AirProtocol.version
                bench.builder.hello(hello)
            case .wake: bench.builder.wake()
            case .leave: bench.builder.leave()
            case .answer: bench.isUnread = true
            }
        } else {
            switch try FromAir(parsing: bytes.span) {
            case .welcome(let welcome): bench.builder.welcome(welcome)
            case .error(let notice): bench.builder.error(notice)
            case .ended(let ended): bench.builder.ended(ended)
            case .ping: bench.builder.ping()
            case .turn: bench.isUnread = true
            }
        }
    }

    private static func recodeFeed(_ bytes: [UInt8], _ bench: AirBench) throws(WireError) {
        switch try FeedMessage(parsing: bytes.span) {
        case .frame(let frame): bench.builder.feed(frame: frame)
        case .event(let event): bench.builder.feed(event: event)
        case .key(let key, let time): bench.builder.feed(key: key, at: time)
        case .ended(let ended): bench.builder.feed(ended: ended)
        case .member(let member): bench.builder.feed(member: member)
        }
    }

    private static func recodeControl(_ bytes: [UInt8], _ bench: AirBench) throws(WireError) {
        if let first = bytes.first, first < 0x80 {
            bench.builder.request(try ControlRequest(parsing: bytes.span))
        } else {
            switch try ControlAnswer(parsing: bytes.span) {
            case .status(let status, let request):
                bench.builder.status(status, request: request)
            case .done(let request, let time): bench.builder.done(request: request, time: time)
            case .error(let notice): bench.builder.error(notice)
            }
        }
    }
}

/// What stays from input to input, as in a process that speaks the protocol.
private final class AirBench {
    var builder = MessageBuilder()
    var out = Outbox()
    var turn = BusTurn()
    /// The message was told by its kind only.
    var isUnread = false
}

/// The examples of docs/air-protocol.md, which a test holds against the encoder.
private enum AirExamples {
    static func of(_ target: String, in place: Place) throws -> [[UInt8]] {
        let text = String(
            decoding: try Files.read("\(place.root)/docs/air-protocol.md", limit: 1 << 20),
            as: UTF8.self)
        let blocks = text.components(separatedBy: "\n```hex ").dropFirst().compactMap { block in
            let lines = block.components(separatedBy: "\n```")[0].split(separator: "\n")
            let digits = lines.dropFirst().map { $0.prefix { $0 != ";" }.filter { $0 != " " } }
            return Hex.bytes(digits.joined()).map { (name: String(lines[0]), bytes: $0) }
        }
        guard blocks.count > 60 else { found("docs/air-protocol.md has too few examples") }
        return blocks.compactMap { whole($0.bytes, $0.name) }.filter { bytes in
            switch MessageKind(rawValue: bytes.first ?? 0) {
            case .answer: target == "air-answer"
            case .turn: target == "air-turn"
            case .hello, .wake, .leave, .welcome, .ended, .ping: target == "air-message"
            case .error: target == "air-message" || target == "control-message"
            case .frame, .event, .key, .feedEnded, .member: target == "sniffer-message"
            case .statusRequest, .wan, .homeWAN, .order, .power, .link, .inject, .end, .status,
                .done:
                target == "control-message"
            case nil: false
            }
        }
    }

    /// The message that an example is a part of.
    private static func whole(_ bytes: [UInt8], _ name: String) -> [UInt8]? {
        let turn: [UInt8] = [0x82, 0, 1, 0, 0, 0] + [UInt8](repeating: 0, count: 16)
        let answer: [UInt8] = [0x02, 0, 1, 0, 0, 0] + [UInt8](repeating: 0, count: 10) + [1, 0]
        guard !name.hasSuffix("-request") else { return bytes }
        switch name.prefix(while: { $0 != "-" }) {
        case "input": return turn + bytes
        case "action": return answer + bytes
        case "wan": return turn + [5] + bytes
        case "order": return turn + [6] + bytes
        default: return bytes
        }
    }
}
