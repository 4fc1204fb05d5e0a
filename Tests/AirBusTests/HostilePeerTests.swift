import AirBus
import CZeroMQ
import Radio
import Testing
import Wire

@Suite("Hostile peers of a live air")
struct HostilePeerTests {
    /// A stranger's message and what the air says to it.
    static let strangers: [(what: String, message: [UInt8], code: AirErrorCode)] = [
        ("garbage", [0xDE, 0xAD, 0xBE, 0xEF], .malformed),
        ("nothing", [], .malformed),
        ("a hello of which the end is missing", Array(hello.prefix(12)), .malformed),
        ("a hello with a byte too many", hello + [0], .malformed),
        ("a message of 131,073 bytes", [UInt8](repeating: 2, count: 131_073), .oversize),
        ("a message of a mebibyte", [UInt8](repeating: 2, count: 1 << 20), .oversize),
        ("an answer before a hello", Catalogue.answer { _ in }, .notJoined),
        ("a leave before a hello", Catalogue.build { $0.leave() }, .notJoined),
        ("somebody else's name", named("nobody"), .unknownMember),
        ("the director's place by a radio's address", addressed(0x9999), .unknownMember),
    ]

    private static let hello = named("X")

    private static func named(_ name: String) -> [UInt8] {
        Catalogue.build { $0.hello(Hello(processID: 1, eui64: nil, name: name)) }
    }

    private static func addressed(_ address: UInt64) -> [UInt8] {
        Catalogue.build {
            $0.hello(Hello(processID: 1, eui64: EUI64(address), name: "director"))
        }
    }

    @Test("a stranger is told what is wrong eight times, then put off, and nobody else notices")
    func strangers() throws {
        let air = try LiveAir()
        for (what, message, code) in Self.strangers {
            let stranger = RawPeer(air.endpoints.node)
            for _ in 0..<8 {
                stranger.send(message)
                let error = stranger.error()
                #expect(error?.code == code, "\(what)")
                #expect(error?.isFatal == false && error?.text.isEmpty == false, "\(what)")
            }
            stranger.send(message)
            let last = stranger.dismissal()
            #expect(last?.code == code && last?.isFatal == true, "\(what)")
        }
        // Put off is put off: a good hello comes too late.
        let late = RawPeer(air.endpoints.node)
        for _ in 0..<9 { late.send([0xFF]) }
        #expect(late.dismissal() != nil)
        late.hello("X")
        for _ in 0..<12 {
            late.send(Self.hello, [])
            late.send([UInt8](repeating: 2, count: 131_073))
        }
        let next = RawPeer(air.endpoints.node)
        next.send([0xFF])
        #expect(next.error()?.code == .malformed)
        air.join()
        #expect(air.finish() == LiveAir.undisturbed)
        #expect(LiveAir.undisturbed.count > 1_000)
        late.set(ZMQ_RCVTIMEO, 0)
        #expect(late.next(turns: true) == nil)
        #expect(air.tape.lost.isEmpty)
    }

    @Test("a message of several parts is turned down whole, however many there are")
    func parts() throws {
        let air = try LiveAir()
        let stranger = RawPeer(air.endpoints.node)
        stranger.send(Self.hello, [])
        #expect(stranger.error()?.code == .malformed)
        stranger.send([], Self.hello)
        #expect(stranger.error()?.code == .malformed)
        stranger.send(Self.hello, Self.hello, Self.hello, Self.hello)
        #expect(stranger.error()?.text.contains("several") == true)
        // What follows is read from its beginning again.
        stranger.send(Self.hello)
        #expect(stranger.welcome()?.index == 2)
        #expect(air.finish(after: stranger) == LiveAir.undisturbed)
    }

    @Test("more than a mebibyte at once loses its connection, and the air goes on")
    func flood() throws {
        let air = try LiveAir()
        let stranger = RawPeer(air.endpoints.node)
        stranger.set(ZMQ_RECONNECT_IVL, -1)
        stranger.send([UInt8](repeating: 1, count: 2 << 20))
        let other = RawPeer(air.endpoints.node)
        other.send([0xFF])
        #expect(other.error()?.code == .malformed)
        stranger.set(ZMQ_RCVTIMEO, 0)
        #expect(stranger.receive() == nil)
        air.join()
        #expect(air.finish() == LiveAir.undisturbed)
    }

    @Test("a peer of another version is told which one the air speaks, and nothing after that")
    func versions() throws {
        let air = try LiveAir()
        let newer = RawPeer(air.endpoints.node)
        var bytes = Self.hello
        bytes[4] = 2
        newer.send(bytes + [1, 2, 3])
        let error = newer.dismissal()
        #expect(error?.code == .unsupportedVersion && error?.isFatal == true)
        #expect(error?.text.contains("version 1 ") == true)
        // Anew, it may speak the older one.
        let again = RawPeer(air.endpoints.node)
        again.send(Self.hello)
        #expect(again.welcome() != nil)
        #expect(air.finish(after: again) == LiveAir.undisturbed)
    }

    @Test("a name for itself that is too long is told so, and a short one will do")
    func names() throws {
        let air = try LiveAir()
        for count in [33, 255] {
            let long = RawPeer(
                air.endpoints.node, name: String(repeating: "n", count: count))
            long.send(Self.hello)
            let error = long.error()
            #expect(error?.code == .malformed && error?.isFatal == true)
            #expect(error?.text.contains("\(count) bytes") == true)
        }
        let short = RawPeer(air.endpoints.node, name: String(repeating: "n", count: 32))
        short.send(Self.hello)
        #expect(short.welcome() != nil)
        #expect(air.finish(after: short) == LiveAir.undisturbed)
    }

    /// What a member who has a turn may not say, and what the air says to that.
    static let members: [(what: String, message: @Sendable (BusTurn) -> [UInt8], AirErrorCode)] = [
        ("an answer to another turn", { answer($0.number &+ 1, $0.time) }, .outOfTurn),
        ("an answer to no turn", { answer(0, $0.time) }, .outOfTurn),
        ("a deadline before the turn", { answer($0.number, .zero) }, .outOfTime),
        ("an end of the run", { answer($0.number, $0.time) { $0.append(.endRun) } }, .notAllowed),
        (
            "another's power",
            { answer($0.number, $0.time) { $0.append(.power(of: 0, on: false)) } }, .notAllowed
        ),
        (
            "a link",
            {
                answer($0.number, $0.time) {
                    $0.append(.link(a: 0, b: 1, rssi: -120, lossPerMillion: 0))
                }
            }, .notAllowed
        ),
        (
            "an order",
            { answer($0.number, $0.time) { $0.send(.queryNextImage, to: 0) } }, .notAllowed
        ),
        ("a wake in virtual pace", { _ in Catalogue.build { $0.wake() } }, .notAllowed),
        ("another hello", { _ in hello }, .notAllowed),
        ("garbage", { _ in [0x77] }, .malformed),
        ("half an answer", { Array(answer($0.number, $0.time).dropLast()) }, .malformed),
        ("too much", { _ in [UInt8](repeating: 2, count: 200_000) }, .oversize),
        ("a request to the control socket", { _ in [0x26, 0, 0, 0, 0] }, .malformed),
    ]

    private static func answer(
        _ turn: UInt32, _ deadline: Instant, _ fill: (inout Outbox) -> Void = { _ in }
    ) -> [UInt8] {
        var out = Outbox()
        fill(&out)
        return Catalogue.build {
            $0.answer(turn: turn, nextDeadline: deadline, from: out)
        }
    }

    @Test("a member that breaks the rules is told so, put off, and its place is free again")
    func members() throws {
        let air = try LiveAir()
        air.join(["A", "B", "director"])
        for (number, (what, message, code)) in Self.members.enumerated() {
            let member = RawPeer(air.endpoints.node)
            member.hello("X")
            #expect(member.welcome()?.rejoins == (number > 0), "\(what)")
            var turn = try #require(member.turn(), "\(what)")
            if case .powerOn = turn.input {} else { Issue.record("\(what): no power") }
            #expect((turn.cutAt != .distantFuture) == (number > 0), "\(what)")
            // A turn that does not lie at time zero.
            member.answer(turn, next: turn.time + .milliseconds(1))
            turn = try #require(member.turn(), "\(what)")
            for _ in 0..<8 {
                member.send(message(turn))
                let error = member.error()
                #expect(error?.code == code && error?.isFatal == false, "\(what)")
                #expect(error?.request == turn.number, "\(what)")
            }
            member.send(message(turn))
            #expect(member.dismissal()?.code == code, "\(what)")
        }
        #expect(air.tape.lost.isEmpty == false)
        // The run waits for X no longer.
        #expect(air.finish() == LiveAir.undisturbed)
        #expect(air.tape.lost.count == Self.members.count)
        #expect(
            air.tape.lost.allSatisfy {
                $0.node == 2 && $0.values[0] == UInt64(RefusalReason.misbehaved.rawValue)
            })
    }

    @Test("what is turned down changes nothing, and a good answer to the same turn is taken")
    func repentance() throws {
        let air = try LiveAir()
        air.join(["A", "B", "director"])
        let member = RawPeer(air.endpoints.node)
        member.hello("X")
        #expect(member.welcome() != nil)
        let turn = try #require(member.turn())
        member.send(Self.answer(turn.number, turn.time) { $0.append(.endRun) })
        #expect(member.error()?.code == .notAllowed)
        member.answer(turn)
        // What has been answered is not to be answered again.
        member.answer(turn)
        #expect(member.error()?.code == .outOfTurn)
        #expect(air.finish() == LiveAir.undisturbed)
        #expect(air.tape.lost.isEmpty)
    }

    @Test("a second node in a place is refused while the first lives, and let in when it has gone")
    func taken() throws {
        let air = try LiveAir()
        air.join(["A", "B", "director"])
        let first = RawPeer(air.endpoints.node)
        first.hello("X", eui64: LiveAir.strangerEUI64)
        #expect(first.welcome()?.rejoins == false)
        let turn = try #require(first.turn())
        let second = RawPeer(air.endpoints.node)
        for hello in [
            ("X", EUI64?.none), ("X", LiveAir.strangerEUI64), ("", LiveAir.strangerEUI64),
        ] {
            second.hello(hello.0, eui64: hello.1)
            #expect(second.error()?.code == .taken)
        }
        first.answer(turn, next: turn.time + .milliseconds(300))
        let later = try #require(first.turn())
        #expect(later.time == turn.time + .milliseconds(300))
        // Whoever waits for the place is not put off for asking again.
        for _ in 0..<20 {
            second.hello("X")
            let refusal = second.error()
            #expect(refusal?.code == .taken && refusal?.isFatal == false)
        }
        first.close()
        // The connection ends when it does; until then the place is taken.
        let third = RawPeer(air.endpoints.node)
        var welcome: Welcome?
        while welcome == nil {
            third.hello("X")
            switch third.next() {
            case .welcome(let new): welcome = new
            case .error(let notice):
                #expect(notice.code == .taken && !notice.isFatal)
            default:
                Issue.record("neither welcome nor error")
                return
            }
        }
        #expect(welcome?.rejoins == true && welcome?.index == 2)
        let back = try #require(third.turn())
        if case .powerOn = back.input {} else { Issue.record("no power") }
        #expect(back.cutAt >= later.time && back.cutAt != .distantFuture)
        third.answer(back)
        #expect(air.finish() == LiveAir.undisturbed)
        #expect(air.log.all.contains("X is gone: the connection to its process is gone"))
    }

    @Test("a sniffer that takes back what it never asked for takes nothing from the others")
    func unsubscription() throws {
        let air = try LiveAir()
        let sniffer = RawPeer(air.endpoints.sniffer, kind: ZMQ_SUB)
        // Who is in the roster: it is connected.
        #expect(sniffer.receive() != nil)
        let spoiler = RawPeer(air.endpoints.sniffer, kind: ZMQ_XSUB)
        for _ in 0..<5 { spoiler.send([0]) }
        spoiler.send([2])
        spoiler.send([1, 0x77])
        // It was heard: the roster is published once more.
        for _ in 0..<LiveAir.names.count + 1 { #expect(sniffer.receive() != nil) }
        air.join()
        #expect(air.finish() == LiveAir.undisturbed)
        var frames = 0
        while let bytes = sniffer.receive() {
            switch try FeedMessage(parsing: bytes.span) {
            case .frame: frames += 1
            case .ended:
                #expect(frames > 100)
                return
            default: break
            }
        }
        Issue.record("the feed did not end")
    }

    @Test("a node that does not answer is put off when the air's patience is over")
    func patience() throws {
        var settings = AirServiceSettings()
        settings.patience = 5
        let air = try LiveAir(settings)
        air.join(["A", "B", "director"])
        let member = RawPeer(air.endpoints.node)
        member.hello("X")
        #expect(member.welcome() != nil && member.turn() != nil)
        #expect(member.dismissal()?.code == .unanswered)
        #expect(air.finish() == LiveAir.undisturbed)
        #expect(
            air.tape.lost.map { $0.values[0] } == [UInt64(RefusalReason.unanswered.rawValue)])
        #expect(air.log.all.contains { $0.hasPrefix("X is gone: no answer for") })
    }

    /// As it is already.
    private static let link = ControlRequest.Body.link(a: 2, b: 3, rssi: -120, lossPerMillion: 0)

    @Test("an order waits for a node as long as the air does, and is carried out")
    func order() throws {
        var settings = AirServiceSettings()
        settings.patience = 3
        let air = try LiveAir(settings)
        air.join(["A", "B", "director"])
        let member = RawPeer(air.endpoints.node)
        member.hello("X")
        #expect(member.welcome() != nil && member.turn() != nil)
        // Longer than anything else may take to be answered.
        let client = try ControlClient(endpoints: air.endpoints, patience: 1)
        #expect(throws: Never.self) { try client.order(Self.link) }
        #expect(air.finish() == LiveAir.undisturbed)
        #expect(air.tape.lost.count == 1)
    }

    @Test("an order that is not answered in time is said to be open, not to have failed")
    func openOrder() throws {
        let air = try LiveAir()
        air.join(["A", "B", "director"])
        let member = RawPeer(air.endpoints.node)
        member.hello("X")
        #expect(member.welcome() != nil)
        let turn = try #require(member.turn())
        let client = try ControlClient(
            endpoints: air.endpoints, patience: 120, orderPatience: 0.3)
        // X owes an answer, so that no order can be carried out.
        let error = #expect(throws: ControlError.self) {
            try client.order(Self.link)
        }
        #expect(error?.description.contains("the order may still be carried out") == true)
        #expect(error?.description.contains("has not answered within 1 s") == true)
        // A question about how it stands is answered at once.
        let status = try client.status()
        #expect(status.state == .running && status.members.count == 4)
        member.answer(turn)
        #expect(air.finish() == LiveAir.undisturbed)
    }

    @Test("who never comes is named when the air's patience with its roster is over")
    func absence() throws {
        var settings = AirServiceSettings()
        settings.joinPatience = 0.2
        let air = try LiveAir(settings)
        let member = RawPeer(air.endpoints.node)
        member.hello("A")
        #expect(member.welcome() != nil)
        guard case .ended(let word) = member.next() else {
            Issue.record("the air still waits")
            return
        }
        #expect(word.reason == .airStopped)
        #expect(word.text.contains("B, X, director"))
        #expect(air.finish().isEmpty)
    }

    @Test("a node that keeps time from going on is put off, in whatever way it does so")
    func standstill() throws {
        let tricks: [@Sendable (inout Outbox) -> Void] = [
            { $0.append(.measureEnergy(channel: 11, duration: .zero)) },
            { $0.transmit(FrameBuffer([]), handle: 1) },
            { $0.append(.restart(after: .zero)) },
        ]
        let air = try LiveAir()
        air.join(["A", "B", "director"])
        for (number, trick) in tricks.enumerated() {
            let member = RawPeer(air.endpoints.node)
            member.hello("X")
            #expect(member.welcome() != nil)
            var turns = 0
            // A microsecond later each time, if at all.
            while let turn = member.turn() {
                turns += 1
                member.answer(turn, next: turn.time + .microseconds(1), trick)
                guard turns < 25_000 else { break }
            }
            // The last trick costs so much time that it does no harm.
            #expect(number == 2 || turns <= 20_001)
            #expect(turns > 100)
            member.close()
        }
        #expect(air.finish() == LiveAir.undisturbed)
    }

    @Test("a WAN that is given more than it can carry loses it, and says so")
    func wanFlood() throws {
        let air = try LiveAir()
        air.join(["A", "B", "director"])
        let member = RawPeer(air.endpoints.node)
        member.hello("X")
        #expect(member.welcome() != nil)
        let chunk = [UInt8](repeating: 0, count: 65_000)
        for _ in 0..<400 {
            guard let turn = member.turn() else { break }
            member.answer(turn, next: turn.time + .milliseconds(1)) { out in
                for _ in 0..<2 {
                    out.send(.imageChunk(delivery: 1, offset: 0, bytes: chunk))
                }
            }
        }
        member.send { $0.leave() }
        #expect(air.finish() == LiveAir.undisturbed)
        // 52 MB were given; the first 16 MiB and a little fit.
        #expect(air.tape.lostOutputs > 400)
    }
}
