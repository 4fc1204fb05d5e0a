import AirBus
import Radio
import Testing
import Wire

@Suite("Messages of the air protocol")
struct RoundTripTests {
    @Test("any message, read and written again, stays the same to the byte")
    func messages() throws {
        var samples = Samples(seed: 1)
        for _ in 0..<4000 {
            let bytes = samples.message()
            #expect(!bytes.isEmpty)
            #expect(try recode(bytes) == bytes)
        }
    }

    @Test("an answer comes back as the outbox that it was written from")
    func answers() throws {
        var samples = Samples(seed: 2)
        var builder = MessageBuilder()
        var again = Outbox()
        for round in 0..<500 {
            var out = Outbox()
            (out.node, out.now) = (3, Instant(microseconds: Int64(round)))
            for _ in 0..<samples.below(40) { samples.act(in: &out) }
            builder.answer(turn: UInt32(round), nextDeadline: .distantFuture, from: out)
            let head = try AirProtocol.decodeAnswer(
                builder.bytes.span, into: &again, node: out.node, now: out.now)
            #expect(head.turn == round)
            #expect(head.nextDeadline == .distantFuture)
            #expect(again.lost == 0)
            #expect(described(again) == described(out))
        }
    }

    /// Everything that an outbox says, but where the bytes to be programmed are.
    private func described(_ out: borrowing Outbox) -> [String] {
        var texts = out.messages.map { "\($0)" } + out.orders.map { "\($0)" }
        for action in out.actions {
            switch action {
            case .transmit(let handle, let frame, let isIndirect):
                texts.append("\(handle) \(frame.bytes) \(isIndirect)")
            case .program(let address, _, let count): texts.append("\(address) \(count)")
            case .event(let event):
                texts.append("\(event.time) \(event.node) \(event.kind) \(values(event))")
            default: texts.append("\(action)")
            }
        }
        return texts
    }

    private func values(_ event: EventRecord) -> [UInt64] { (0..<6).map { event.values[$0] } }

    @Test("a turn comes back with its input, and the frame's number beside it")
    func turns() throws {
        let reception = Reception(frame: Catalogue.psdu, rssi: -71, lqi: 9, number: 77)
        var turn = BusTurn()
        try AirProtocol.decodeTurn(Catalogue.turn(.received(reception)).span, into: &turn)
        #expect(turn.number == 7)
        #expect(turn.time == Catalogue.second)
        #expect(turn.frames == 42)
        #expect(turn.frame == 77)
        guard case .received(let again) = turn.input else {
            Issue.record("\(turn.input)")
            return
        }
        #expect(again.frame == reception.frame)
        #expect((again.rssi, again.lqi, again.number) == (-71, 9, 77))
        try AirProtocol.decodeTurn(Catalogue.turn(.powerOn).span, into: &turn)
        #expect(turn.frame == 0)
        #expect(turn.cutAt == Instant(microseconds: 900_000))
        try AirProtocol.decodeTurn(Catalogue.turn(.tick).span, into: &turn)
        #expect(turn.cutAt == .distantFuture)
    }

    @Test("what nodes, sniffers and clients are told comes back field by field")
    func values() throws {
        var samples = Samples(seed: 3)
        for _ in 0..<300 {
            let (hello, welcome, notice) = (samples.hello(), samples.welcome(), samples.notice())
            let (ended, member, status) = (samples.ended(), samples.member(), samples.status())
            #expect(
                try FromNode(Catalogue.build { $0.hello(hello) }) == .hello(hello))
            #expect(
                try FromAir(Catalogue.build { $0.welcome(welcome) })
                    == .welcome(welcome))
            let error = Catalogue.build { $0.error(notice) }
            #expect(try FromAir(error) == .error(notice))
            #expect(try ControlAnswer(error) == .error(notice))
            #expect(
                try FromAir(Catalogue.build { $0.ended(ended) }) == .ended(ended))
            #expect(
                try ControlAnswer(Catalogue.build { $0.status(status, request: 5) })
                    == .status(status, request: 5))
            guard
                case .member(member) = try FeedMessage(Catalogue.build { $0.feed(member: member) }),
                case .ended(ended) = try FeedMessage(Catalogue.build { $0.feed(ended: ended) })
            else {
                Issue.record("\(member) \(ended)")
                continue
            }
        }
    }

    @Test("a node's events are its own and happen now, whatever it writes")
    func ownEvents() throws {
        var out = Outbox()
        (out.node, out.now) = (4, Instant(microseconds: 5))
        out.note(.joined, 1, 2)
        let bytes = Catalogue.build {
            $0.answer(turn: 1, nextDeadline: .distantFuture, from: out)
        }
        var again = Outbox()
        _ = try AirProtocol.decodeAnswer(
            bytes.span, into: &again, node: 9, now: Instant(microseconds: 70))
        guard case .event(let event) = again.actions[0] else {
            Issue.record("\(again.actions[0])")
            return
        }
        #expect(event.node == 9)
        #expect(event.time == Instant(microseconds: 70))
    }

    @Test("what has no room in an answer counts as lost, and the answer stays one that can be sent")
    func overfull() throws {
        var out = Outbox()
        for index in 0..<200 {
            out.send(
                .imageChunk(
                    delivery: 1, offset: UInt32(index), bytes: [UInt8](repeating: 7, count: 1024)))
        }
        out.append(.endRun)
        var builder = MessageBuilder()
        builder.answer(turn: 1, nextDeadline: .distantFuture, from: out)
        let (isOverflowed, count) = (builder.isOverflowed, builder.count)
        #expect(!isOverflowed)
        #expect(count <= AirProtocol.messageLimit)
        var again = Outbox()
        _ = try AirProtocol.decodeAnswer(builder.bytes.span, into: &again, node: 0, now: .zero)
        #expect(again.messages.count > 100)
        #expect(again.lost > 50)
        #expect(again.actions.count + again.lost == 201)
        guard case .endRun = again.actions[again.actions.count - 1] else {
            Issue.record("what came after and had room is gone")
            return
        }
    }

    @Test("a message that is too long says so, and the next one in the same memory is whole")
    func overflow() {
        var builder = MessageBuilder()
        let chunk = [UInt8](repeating: 1, count: AirProtocol.chunkLimit + 1)
        builder.turn(
            number: 1, time: .zero, frames: 0,
            input: .wan(.imageChunk(delivery: 1, offset: 0, bytes: chunk)), frame: 0)
        let isChunkTooLong = builder.isOverflowed
        #expect(isChunkTooLong)
        let many = [EUI64](repeating: EUI64(1), count: AirProtocol.targetLimit + 1)
        builder.request(
            ControlRequest(
                number: 1,
                .wan(.beginImage(delivery: 1, targets: many, size: 1, installableFrom: []))))
        let areTooMany = builder.isOverflowed
        #expect(areTooMany)
        builder.ping()
        let (isStill, bytes) = (builder.isOverflowed, builder.bytes)
        #expect(!isStill)
        #expect(bytes == [0x85])
    }

    @Test("a frame that is not what was meant goes without bytes, and the chip refuses it")
    func overflowedFrame() throws {
        var frame = Catalogue.psdu
        frame.append([UInt8](repeating: 0, count: 127).span)
        let bytes = Catalogue.answer { $0.transmit(frame, handle: 1) }
        var out = Outbox()
        _ = try AirProtocol.decodeAnswer(bytes.span, into: &out, node: 1, now: .zero)
        guard case .transmit(1, let again, false) = out.actions[0] else {
            Issue.record("\(out.actions[0])")
            return
        }
        #expect(again.isEmpty)
    }

    @Test("text is cut between two characters, and cannot move a terminal's cursor")
    func text() throws {
        func sent(_ text: String) throws -> String? {
            let bytes = Catalogue.build {
                $0.error(ErrorNotice(isFatal: false, request: 0, code: .busy, text: text))
            }
            guard case .error(let notice) = try FromAir(bytes) else { return nil }
            return notice.text
        }
        #expect(try sent("a\u{1B}[2J\nb\u{9B}c") == "a [2J b c")
        let long = String(repeating: "a", count: 65_534) + "é"
        #expect(try sent(long) == String(repeating: "a", count: 65_534))
        let name = String(repeating: "ß", count: 200)
        let hello = Hello(processID: 1, eui64: nil, name: name)
        let bytes = Catalogue.build { $0.hello(hello) }
        guard case .hello(let again) = try FromNode(bytes) else { return }
        #expect(again.name == String(repeating: "ß", count: 127))
    }
}
