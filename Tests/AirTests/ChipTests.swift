import Air
import Radio
import Testing
import Wire

@Suite("Virtual radio chips")
struct ChipTests {
    @Test("the acknowledgement of a poll says whether the table holds the child's address")
    func pending() throws {
        let play = Play(3)
        play.sleepers = [1, 2]
        play.at(.seconds(1), 0) {
            $0.append(.pending(.short(Play.address(1)), true))
            $0.append(.pending(.extended(Play.eui64(2)), true))
        }
        play.at(.seconds(6), 0) { $0.append(.pending(.short(Play.address(1)), false)) }
        let polls: [(Int64, Int, Bool)] = [
            (2, 1, false), (3, 2, false), (4, 2, true), (5, 1, true), (7, 1, false),
        ]
        for (time, node, extended) in polls {
            play.at(.seconds(time), node) {
                $0.transmit(
                    Frames.poll(UInt8(time), from: node, to: 0, extended: extended), handle: 1)
            }
        }
        // A data frame's acknowledgement never has the bit.
        play.at(.milliseconds(2_500), 1) { $0.transmit(Frames.data(9, from: 1, to: 0), handle: 2) }
        let stage = Stage(play)
        stage.run()
        let results = (play.results(1) + play.results(2)).sorted { $0.time < $1.time }
        #expect(results.allSatisfy { $0.result.status == .success })
        #expect(
            results.map(\.result.framePending) == [true, false, false, true, false, false])
        let acks = stage.tape.frames.filter { $0.psdu.count == 5 }
        #expect(acks.map { $0.psdu[0] } == [0x12, 0x02, 0x02, 0x12, 0x02, 0x02])
        #expect(acks.allSatisfy { CRC16.frameCheckSequence($0.psdu.span) == 0 })
    }

    @Test("a frame-pending table that is full says so")
    func fullTable() {
        let play = Play(1)
        for round in 0..<5 as Range<UInt16> {
            play.at(.seconds(1 + Int64(round)), 0) {
                for number in 0..<30 as Range<UInt16> {
                    $0.append(.pending(.short(ShortAddress(round * 30 + number)), true))
                }
            }
        }
        let stage = Stage(play)
        stage.run()
        let lost = stage.tape.events.filter { $0.kind == .outputLost }
        #expect(lost.count == 150 - PendingAddress.tableSize)
    }

    @Test("a chip takes what is for its PAN and its addresses, and broadcasts, and no more")
    func filter() {
        let play = Play(2)
        var frames: [FrameBuffer] = []
        func frame(_ control: UInt16, _ fields: (inout FrameBuffer) -> Void) {
            var frame = FrameBuffer()
            frame.append(control)
            frame.append(UInt8(frames.count))
            fields(&frame)
            frames.append(frame)
        }
        let taken: Set<UInt8> = [0, 1, 3, 4, 6]
        for (pan, address) in [(0x1234, 1), (0xFFFF, 1), (0x4321, 1), (0x1234, 0xFFFF)] {
            frame(0x8841) {
                $0.append(UInt16(pan))
                $0.append(UInt16(address))
                $0.append(Play.address(0))
            }
        }
        for (pan, eui64) in [(0x1234, Play.eui64(1)), (0x1234, Play.eui64(0))] {
            frame(0x8C41) {
                $0.append(UInt16(pan))
                $0.append(eui64)
                $0.append(Play.address(0))
            }
        }
        // A beacon is for everybody; a command without a destination is for the coordinator.
        frame(0x8000) {
            $0.append(Play.pan)
            $0.append(Play.address(0))
        }
        frame(0x8003) {
            $0.append(Play.pan)
            $0.append(Play.address(0))
        }
        frame(0x8841) {
            $0.append(Play.pan)
            $0.append(2 as UInt16)
            $0.append(Play.address(0))
        }
        for (index, frame) in frames.enumerated() {
            play.at(.milliseconds(Int64(1_000 + 50 * index)), 0) { $0.transmit(frame, handle: 1) }
        }
        Stage(play).run()
        #expect(Set(play.receptions(1).map { $0.frame.frame[2] }) == taken)
        #expect(play.results(0).allSatisfy { $0.result.status == .success })
    }

    @Test("a request is refused while another is under way, and if it is too long or no frame")
    func refused() {
        let play = Play(2)
        play.at(.seconds(1), 0) {
            $0.transmit(Frames.data(1, from: 0, to: 1), handle: 1)
            $0.transmit(Frames.data(2, from: 0, to: 1), handle: 2)
        }
        play.at(.seconds(2), 0) { $0.transmit(FrameBuffer([0x41, 0x88]), handle: 3) }
        play.at(.seconds(3), 0) {
            var frame = Frames.data(4, from: 0, to: 1, size: 127)
            frame.append(0 as UInt8)
            $0.transmit(frame, handle: 4)
        }
        play.at(.seconds(4), 0) { $0.transmit(FrameBuffer([0x41, 0x44, 1, 2, 3]), handle: 5) }
        play.at(.seconds(5), 0) { $0.transmit(Frames.data(6, from: 0, to: 1), handle: 6) }
        Stage(play).run()
        let results = play.results(0).map { ($0.result.handle, $0.result.status) }
        #expect(results.map(\.0) == [2, 1, 3, 4, 5, 6])
        #expect(results.map(\.1) == [.refused, .success, .refused, .refused, .refused, .success])
        #expect(play.receptions(1).map { $0.frame.frame[2] } == [1, 6])
    }

    @Test("a power cut takes a frame off the air, and its sender is told nothing afterwards")
    func cut() throws {
        for cut in [1_000_100, 1_003_000, 1_004_500] as [Int64] {
            let play = Play(3)
            play.at(.seconds(1), 0) {
                $0.transmit(Frames.data(1, from: 0, to: 1, size: 127), handle: 1)
            }
            play.at(.microseconds(cut) - .milliseconds(1), 2) {
                $0.append(.power(of: 0, on: false))
            }
            play.at(.seconds(2), 2) { $0.append(.power(of: 0, on: true)) }
            play.at(.seconds(3), 0) { $0.transmit(Frames.data(2, from: 0, to: 1), handle: 2) }
            let stage = Stage(play, seed: 3)
            stage.run()
            #expect(play.receptions(1).map { $0.frame.frame[2] } == [2])
            #expect(play.results(0).map(\.result.handle) == [2])
            #expect(stage.tape.events(.poweredOff).map(\.time) == [.zero + .microseconds(cut)])
            #expect(stage.tape.frames.filter { $0.psdu.count > 5 }.count == 1)
        }
    }

    @Test("a node without power hears and acknowledges nothing, and keeps its place in the dice")
    func off() {
        let play = Play(3)
        play.at(.milliseconds(500), 2) { $0.append(.power(of: 1, on: false)) }
        play.at(.seconds(2), 2) { $0.append(.power(of: 1, on: true)) }
        play.at(.seconds(1), 0) { $0.transmit(Frames.data(1, from: 0, to: 1), handle: 1) }
        play.at(.seconds(3), 0) { $0.transmit(Frames.data(2, from: 0, to: 1), handle: 2) }
        Stage(play).run()
        #expect(play.results(0).map(\.result.status) == [.noAck, .success])
        #expect(play.receptions(1).map { $0.frame.frame[2] } == [2])
    }

    @Test("energy on a channel is the strongest that was sent while it was measured")
    func energy() {
        let play = Play(4)
        play.channels = [11, 11, 15, 11]
        play.at(.seconds(1), 0) {
            $0.append(.measureEnergy(channel: 11, duration: .milliseconds(138)))
        }
        // Early on channel 11, then a lot on channel 15.
        play.at(.milliseconds(1_010), 1) {
            $0.transmit(Frames.data(1, from: 1, to: nil), handle: 1)
        }
        for k in 0..<4 {
            play.at(.milliseconds(Int64(1_030 + 20 * k)), 2) {
                $0.transmit(Frames.data(2, from: 2, to: nil), handle: 1)
            }
        }
        play.at(.seconds(2), 0) {
            $0.append(.measureEnergy(channel: 11, duration: .milliseconds(138)))
        }
        let stage = Stage(play) { $0.set(0, 1, Link(rssi: -45)) }
        stage.run()
        let levels = play.notes.compactMap { note -> Int8? in
            if case .energy(11, let level) = note.what { return level }
            return nil
        }
        #expect(levels == [-45, -97])
    }
}

@Suite("The order of the world")
struct OrderTests {
    @Test("at one instant nodes have their turns in the roster's order, chips before them")
    func roster() {
        let play = Play(7)
        for node in [4, 2, 6, 0, 5, 1, 3] {
            play.at(.seconds(1), node) { _ in }
            play.at(.seconds(2), node) { $0.note(.stepStarted, UInt64(node)) }
        }
        let stage = Stage(play)
        stage.run()
        let ticks = play.notes.filter { if case .tick = $0.what { true } else { false } }
        #expect(ticks.map(\.node) == [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6])
        #expect(stage.tape.events.map(\.node) == [0, 1, 2, 3, 4, 5, 6])
        #expect(play.notes.prefix(7).map(\.node) == [0, 1, 2, 3, 4, 5, 6])
    }

    @Test("time never goes back, for anybody, and the same play is the same to the last byte")
    func monotonic() {
        func run(_ seed: UInt64) -> [String] {
            let play = Play(6)
            var stream = SeededStream(Seed(8))
            for k in 0..<300 {
                let node = Int(stream.below(6))
                let to = Int(stream.below(6))
                play.at(.microseconds(Int64(stream.below(2_000_000))), node) {
                    $0.transmit(
                        Frames.data(UInt8(k & 255), from: node, to: to == node ? nil : to),
                        handle: UInt8(k & 255))
                }
            }
            let stage = Stage(play, seed: seed) {
                $0[1, 2] = Link(rssi: -60, lossPerMillion: 50_000)
            }
            stage.run()
            for (a, b) in zip(play.notes, play.notes.dropFirst()) { #expect(a.time <= b.time) }
            for (a, b) in zip(stage.tape.frames, stage.tape.frames.dropFirst()) {
                #expect(a.end <= b.end && a.number + 1 == b.number)
            }
            for (a, b) in zip(stage.tape.events, stage.tape.events.dropFirst()) {
                #expect(a.time <= b.time)
            }
            return stage.tape.text
        }
        let first = run(1)
        #expect(first == run(1))
        #expect(first != run(2))
    }

    @Test(
        "a node that always wants its turn at once, or long ago, does not stop the world",
        arguments: [Instant.zero, Instant(microseconds: -5), Instant(microseconds: .min)])
    func impatient(wish: Instant) {
        let play = Play(2)
        play.impatient[0] = wish
        play.at(.milliseconds(5), 1) { _ in }
        let stage = Stage(play)
        var steps = 0
        while steps < 50_000, stage.simulation.step(until: .zero + .milliseconds(10)) { steps += 1 }
        #expect(steps < 20_000)
        #expect(play.notes.contains { $0.node == 1 && $0.time == .zero + .milliseconds(5) })
    }

    @Test("answers that do not fit are reported as lost, the rest is carried out")
    func overflow() {
        let play = Play(2)
        play.at(.seconds(1), 0) { out in
            for _ in 0..<Outbox.actionLimit + 7 { out.note(.stepStarted) }
        }
        play.at(.seconds(2), 0) { out in
            let bytes = [UInt8](repeating: 0, count: Outbox.arenaLimit / 2 + 1)
            out.program(bytes.span, at: 0)
            out.program(bytes.span, at: 0)
        }
        let stage = Stage(play)
        stage.run()
        #expect(stage.tape.events(.stepStarted).count == Outbox.actionLimit)
        #expect(stage.tape.events(.outputLost).map { $0.values[0] } == [7, 1])
    }

    @Test("messages over the WAN keep their order and take their time, one after another")
    func wan() {
        let play = Play(2)
        play.at(.seconds(1), 0) { out in
            for delivery in 1...3 as ClosedRange<UInt32> {
                out.send(
                    .imageChunk(
                        delivery: delivery, offset: 0, bytes: [UInt8](repeating: 1, count: 984)))
            }
        }
        let stage = Stage(play, wanPeers: [0: 1, 1: 0])
        stage.run()
        let arrivals = play.notes.compactMap { note -> (UInt32, Instant)? in
            guard case .wan(.imageChunk(let delivery, _, _)) = note.what else { return nil }
            return (delivery, note.time)
        }
        #expect(arrivals.map(\.0) == [1, 2, 3])
        // 1,000 bytes at 40 µs a byte, and 400 ms on the way.
        #expect(arrivals.map(\.1) == [1_440, 1_480, 1_520].map { .zero + .milliseconds($0) })
    }

    @Test("a message is in the evidence when it leaves: once the flash is written, or never")
    func messageLeaves() {
        let play = Play(3)
        // 3 ms of writing, in the middle of which others do something.
        let lengths = [0, 1_000, 1_000, 1_000]
        for (round, length) in lengths.enumerated() {
            let start = Interval.seconds(Int64(10 * round + 1))
            play.at(start, 0) { out in
                if length > 0 { out.program([UInt8](repeating: 0, count: length).span, at: 0) }
                out.send(.message(device: EUI64(7), bytes: [UInt8(round)]))
            }
            play.at(start + .milliseconds(2), 2) { $0.note(.stepStarted, UInt64(round), 0) }
            play.at(start + .milliseconds(3), 2) { $0.note(.stepStarted, UInt64(round), 0) }
            play.at(start + .milliseconds(4), 2) { $0.note(.stepStarted, UInt64(round), 0) }
        }
        // Cut 2 ms after the second was sent, and just as the third leaves.
        for (round, cut) in [(1, 2), (2, 3)] as [(Int64, Int64)] {
            let start = Interval.seconds(10 * round + 1)
            play.at(start + .milliseconds(cut - 1), 2) { $0.append(.power(of: 0, on: false)) }
            play.at(start + .seconds(2), 2) { $0.append(.power(of: 0, on: true)) }
        }
        let stage = Stage(play, wanPeers: [0: 1, 1: 0])
        stage.run()
        let left = stage.tape.messages
        #expect(left.map(\.bytes) == [[0], [2], [3]])
        #expect(
            left.map(\.time)
                == [1_000, 21_003, 31_003].map { .zero + .milliseconds($0) })
        #expect(left.allSatisfy { $0.node == 0 && $0.peer == 1 && $0.device == EUI64(7) })
        #expect(stage.tape.times == stage.tape.times.sorted())
        let arrived = play.notes.compactMap { note -> [UInt8]? in
            guard note.node == 1, case .wan(.message(_, let bytes)) = note.what else { return nil }
            return bytes
        }
        #expect(arrived == left.map(\.bytes))
    }

    @Test("mail of one instant arrives as posted; mail for a node without power is gone")
    func mail() {
        let play = Play(3)
        play.at(.seconds(1), 2) { out in
            for minutes in 1...4 as ClosedRange<Int64> {
                out.send(.permitJoining(.minutes(minutes)), to: 0)
            }
            out.append(.power(of: 1, on: false))
            out.send(.queryNextImage, to: 1)
        }
        play.at(.seconds(2), 2) { out in
            out.append(.power(of: 1, on: true))
            out.send(.permitJoining(.minutes(9)), to: 1)
        }
        Stage(play).run()
        let orders = play.notes.compactMap { note -> String? in
            guard case .order(let order) = note.what else { return nil }
            return "\(note.node) \(order)"
        }
        #expect(orders.count == 5)
        #expect(orders.prefix(4).allSatisfy { $0.hasPrefix("0 ") })
        #expect(orders[0].contains("60000000") && orders[3].contains("240000000"))
        #expect(orders[4].hasPrefix("1 ") && orders[4].contains("540000000"))
    }

    @Test("a run that somebody ends takes no more turns once word of that has gone round")
    func ended() {
        let play = Play(3)
        for node in 0..<3 {
            play.at(.seconds(1), node) { if node == 1 { $0.append(.endRun) } }
            play.at(.seconds(1) + .milliseconds(1), node) { _ in }
            play.at(.seconds(2), node) { _ in }
        }
        let stage = Stage(play)
        stage.run()
        #expect(stage.simulation.air.hasEnded)
        #expect(play.notes.filter { $0.time > .zero }.map(\.node) == [0, 1, 2, 0])
    }

    @Test("an observer is told of everybody else's milestones, a millisecond later")
    func observer() {
        let play = Play(3)
        play.at(.seconds(1), 0) { $0.note(.joined, 5, 0) }
        play.at(.seconds(1), 2) { $0.note(.joined, 6, 0) }
        play.at(.seconds(2), 0) { $0.note(.otaWaiting, 5, 10) }
        Stage(play, observers: [2]).run()
        let seen = play.notes.compactMap { note -> (Int, Instant, UInt64)? in
            guard case .observed(let event) = note.what else { return nil }
            return (note.node, note.time, event.values[0])
        }
        #expect(seen.count == 1)
        #expect(seen.first.map { $0 == (2, .zero + .milliseconds(1_001), 5) } == true)
    }

    @Test("an order after a restart has begun does not undo a cut of the power")
    func restartAndCut() {
        let play = Play(2)
        play.at(.seconds(1), 0) { $0.append(.restart(after: .seconds(2))) }
        play.at(.seconds(2), 1) { $0.append(.power(of: 0, on: false)) }
        play.at(.seconds(5), 0) { _ in }
        let stage = Stage(play)
        stage.run(.seconds(4))
        let starts = play.notes.filter {
            if case .powerOn = $0.what { return $0.node == 0 } else { return false }
        }
        #expect(starts.count == 1)
    }
}

@Suite("Deadlines")
struct DeadlineTests {
    @Test("the tree always names the earliest slot, and of equals the lowest", arguments: 1...40)
    func againstNaive(slots: Int) {
        var tree = DeadlineTree(slots: slots)
        var naive = [Int64](repeating: .max, count: slots)
        var stream = SeededStream(Seed(UInt64(slots)))
        for _ in 0..<2_000 {
            let slot = Int(stream.below(UInt64(slots)))
            // Few values, so that ties are common; now and then "never".
            let value = stream.below(8) == 0 ? Int64.max : Int64(stream.below(20))
            tree[slot] = Instant(microseconds: value)
            naive[slot] = value
            let first = naive.indices.min { (naive[$0], $0) < (naive[$1], $1) }
            #expect(tree.first == first)
            #expect(tree.firstTime.microseconds == naive.min())
            #expect(tree[slot].microseconds == value)
        }
    }

    @Test("the order in which deadlines are set does not matter")
    func order() {
        var stream = SeededStream(Seed(3))
        let times = (0..<33).map { _ in Int64(stream.below(10)) }
        var results: [[Int]] = []
        for _ in 0..<20 {
            var tree = DeadlineTree(slots: times.count)
            for slot in times.indices.shuffled(using: &stream) {
                tree[slot] = Instant(microseconds: times[slot])
            }
            var order: [Int] = []
            while tree.firstTime != .distantFuture {
                order.append(tree.first)
                tree[tree.first] = .distantFuture
            }
            results.append(order)
        }
        #expect(results.allSatisfy { $0 == results[0] })
        #expect(results[0] == times.indices.sorted { (times[$0], $0) < (times[$1], $1) })
    }
}
