import Air
import Radio
import Testing
import Wire

@Suite("An air whose time runs with the clock")
struct ClockTests {
    /// An air of two, both listening, with what its chips and nodes recorded.
    private func begin(_ timekeeping: Timekeeping = .clock) -> (air: Air, tape: Tape) {
        let tape = Tape()
        let member = AirMember(flash: FlashGeometry(size: 4_096))
        let air = Air(
            members: [member, member], settings: AirSettings(),
            links: LinkTable(members: 2, common: Link(rssi: -60)), seed: Seed(1), sink: tape,
            timekeeping: timekeeping)
        var turn = Turn()
        while air.next(until: .zero, into: &turn) == .turn {
            var out = Outbox()
            out.append(
                .configure(
                    RadioConfiguration(
                        channel: 11, pan: Play.pan, shortAddress: Play.address(turn.node),
                        eui64: Play.eui64(turn.node), isCoordinator: turn.node == 0,
                        receiverOnWhenIdle: true)))
            air.accept(out, from: turn.node, nextDeadline: .distantFuture)
        }
        return (air, tape)
    }

    private func broadcast(_ number: Int) -> Outbox {
        var out = Outbox()
        out.transmit(Frames.data(UInt8(number), from: 0, to: nil), handle: 1)
        return out
    }

    @Test("a chip keeps 64 frames for a node that does not answer, and drops what comes then")
    func overrun() {
        let (air, tape) = begin()
        var turn = Turn()
        var taken = 0
        // Node 1 gets the first frame and never answers; node 0 sends another after each result.
        air.act(broadcast(0), from: 0)
        for number in 1..<80 {
            var isSent = false
            while !isSent {
                guard air.next(until: air.nextTime, into: &turn) == .turn else { continue }
                if turn.node == 1 { taken += 1 } else { isSent = true }
            }
            air.accept(broadcast(number), from: 0, nextDeadline: .distantFuture)
        }
        #expect(taken == 1)
        #expect(tape.frames.count >= 79)
        #expect(tape.drops(.receiverOverrun).count == tape.frames.count - 65)

        // It then gets those that were kept, late and in order.
        var late: [UInt64] = []
        air.accept(Outbox(), from: 1, nextDeadline: .distantFuture)
        while air.next(until: air.now, into: &turn) == .turn, turn.node == 1 {
            late.append(turn.frame)
            #expect(turn.time == air.now)
            air.accept(Outbox(), from: 1, nextDeadline: .distantFuture)
        }
        #expect(late == Array(2...65))
    }

    @Test(
        "what is asked for after ten thousand years never comes",
        arguments: [Timekeeping.clock, .lockstep])
    func horizon(_ timekeeping: Timekeeping) {
        let (air, tape) = begin(timekeeping)
        var turn = Turn()
        let late = Instant(microseconds: Air.horizon.microseconds - 1_000_000)
        air.act(broadcast(0), from: 0)
        while air.next(until: .zero + .seconds(1), into: &turn) == .turn {
            air.accept(Outbox(), from: turn.node, nextDeadline: late)
        }
        // At the last moment one sends a frame and asks for more.
        for node in 0...1 {
            #expect(air.next(until: .distantFuture, into: &turn) == .turn && turn.node == node)
            #expect(turn.time == late)
            air.accept(
                broadcast(1), from: node,
                nextDeadline: node == 0 ? Instant(microseconds: .max - 1) : late + .seconds(2))
        }
        while air.next(until: .distantFuture, into: &turn) == .turn {
            #expect(turn.time < late + .seconds(1))
            air.accept(Outbox(), from: turn.node, nextDeadline: late + .seconds(2))
        }
        #expect(air.next(until: .distantFuture, into: &turn) == .rest)
        #expect(tape.frames.count == 3 && air.now < Air.horizon)
    }

    @Test("a node that is lost while others have gone ahead of its turn is off, and time goes on")
    func lost() {
        let (air, tape) = begin(.lockstep)
        var turn = Turn()
        let due = Instant.zero + .seconds(1)
        for (node, wake) in [due, due + .microseconds(50)].enumerated() {
            air.wake(node)
            #expect(air.next(until: due, into: &turn) == .turn && turn.node == node)
            air.accept(Outbox(), from: node, nextDeadline: wake)
        }
        // Node 1 has its turn, 50 µs after node 0's, which is never answered.
        #expect(air.next(until: .distantFuture, into: &turn) == .turn && turn.node == 0)
        #expect(air.next(until: .distantFuture, into: &turn) == .turn && turn.node == 1)
        air.accept(Outbox(), from: 1, nextDeadline: due + .seconds(1))
        air.takeBack(from: 0)
        air.lose(0, .connectionLost)
        #expect(air.next(until: .distantFuture, into: &turn) == .turn && turn.node == 1)
        #expect(turn.time == due + .seconds(1) && !air.isOn(0))
        air.accept(Outbox(), from: 1, nextDeadline: .distantFuture)
        #expect(air.next(until: .distantFuture, into: &turn) == .rest)
        #expect(tape.events(.nodeLost).count == 1 && tape.events(.poweredOff).count == 1)
    }

    @Test("what is recorded never lies before what was recorded already, however late answers are")
    func order() {
        let (air, tape) = begin()
        var turn = Turn()
        air.act(broadcast(0), from: 0)
        while air.next(until: air.nextTime, into: &turn) == .turn || tape.frames.isEmpty {}
        // Both owe an answer; the clock goes on for a second before the first comes.
        air.advance(to: Instant(microseconds: 1_000_000))
        for node in [1, 0] {
            var out = Outbox()
            out.now = air.now
            out.node = UInt16(node)
            out.note(.booted)
            air.accept(out, from: node, nextDeadline: .distantFuture)
            air.advance(to: air.now + .milliseconds(5))
        }
        let times = tape.events(.booted).map(\.time)
        #expect(times == [Instant(microseconds: 1_000_000), Instant(microseconds: 1_005_000)])
        #expect(tape.events.map(\.time) == tape.events.map(\.time).sorted())
    }
}
