import Air
import Radio
import Testing
import Wire

@Suite("Time on the air")
struct TimingTests {
    @Test(
        "a frame lasts 192 µs and 32 µs a byte, its acknowledgement begins 192 µs later",
        arguments: [(127, 4_256), (40, 1_472), (13, 608)])
    func airtime(size: Int, microseconds: Int64) throws {
        let play = Play(2)
        play.at(.seconds(1), 0) {
            $0.transmit(Frames.data(7, from: 0, to: 1, size: size), handle: 3)
        }
        let stage = Stage(play)
        stage.run()
        let frames = stage.tape.frames
        try #require(frames.count == 2)
        #expect(frames[0].psdu.count == size)
        #expect(frames[0].end - frames[0].start == .microseconds(microseconds))
        #expect(CRC16.frameCheckSequence(frames[0].psdu.span) == 0)
        #expect(frames[1].start - frames[0].end == .microseconds(192))
        #expect(frames[1].end - frames[1].start == .microseconds(352))
        #expect(Hex.string(frames[1].psdu.bytes.prefix(3)) == "020007")
        #expect(CRC16.frameCheckSequence(frames[1].psdu.span) == 0)
        #expect(frames[1].sender == 1)
        // 0-7 back-offs of 320 µs, 128 µs to assess the channel, 192 µs to turn round.
        let wait = (frames[0].start - Instant.zero - .seconds(1)).microseconds - 320
        #expect(wait >= 0 && wait <= 7 * 320 && wait % 320 == 0)
        // The frame is there when it has ended, the result when the acknowledgement has.
        #expect(play.receptions(1).map(\.time) == [frames[0].end])
        #expect(play.receptions(1)[0].frame.frame.count == size - 2)
        let results = play.results(0)
        #expect(results.map(\.time) == [frames[1].end])
        #expect(results[0].result.handle == 3 && results[0].result.status == .success)
    }

    @Test("nobody answers: four tries, 864 µs of waiting after each, then no acknowledgement")
    func noAck() throws {
        let play = Play(2)
        play.at(.seconds(1), 0) { $0.transmit(Frames.data(7, from: 0, to: 5), handle: 1) }
        let stage = Stage(play)
        stage.run()
        let frames = stage.tape.frames
        try #require(frames.count == 4)
        #expect(frames.allSatisfy { $0.psdu == frames[0].psdu })
        for (before, after) in zip(frames, frames.dropFirst()) {
            let gap = (after.start - before.end).microseconds - 864 - 320
            #expect(gap >= 0 && gap <= 7 * 320 && gap % 320 == 0)
        }
        #expect(play.results(0).map(\.result.status) == [.noAck])
        #expect(play.results(0)[0].time == frames[3].end + .microseconds(864))
        #expect(play.receptions(1).isEmpty)
    }

    @Test("the back-off takes each of its eight values, and others as seeds and counters change")
    func backoffs() {
        var waits: [Int64: Int] = [:]
        for seed in 0..<400 as Range<UInt64> {
            let play = Play(2)
            play.at(.seconds(1), 0) { $0.transmit(Frames.data(7, from: 0, to: 1), handle: 1) }
            let stage = Stage(play, seed: seed)
            stage.run()
            waits[(stage.tape.frames[0].start - .zero).microseconds - 1_000_320, default: 0] += 1
        }
        #expect(waits.keys.sorted() == (0..<8).map { $0 * 320 })
        #expect(waits.values.allSatisfy { $0 > 20 })
    }

    @Test("a channel in use makes a sender back off until it is free")
    func busy() {
        for seed in 0..<100 as Range<UInt64> {
            let play = Play(3)
            play.at(.seconds(1), 0) {
                $0.transmit(Frames.data(1, from: 0, to: nil, size: 127), handle: 1)
            }
            // 320 µs and at most seven back-offs later the first is certainly on the air.
            play.at(.microseconds(1_002_700), 1) {
                $0.transmit(Frames.data(2, from: 1, to: nil, size: 20), handle: 1)
            }
            let stage = Stage(play, seed: seed)
            stage.run()
            let frames = stage.tape.frames
            #expect(frames.map(\.sender) == [0, 1])
            #expect(frames[1].start >= frames[0].end)
            #expect(stage.tape.drops(.collision).isEmpty)
            #expect(play.receptions(2).count == 2)
        }
    }

    @Test("under jammers that never pause a sender reports that it found no clear channel")
    func jammed() {
        let jammers = 10
        let play = Play(2 + jammers)
        play.react = { note, out in
            guard note.node >= 2 else { return }
            switch note.what {
            case .powerOn, .transmitted:
                out.transmit(Frames.data(1, from: note.node, to: nil, size: 127), handle: 1)
            default: break
            }
        }
        for k in 0..<10 {
            play.at(.milliseconds(Int64(100 + 50 * k)), 0) {
                $0.transmit(Frames.data(2, from: 0, to: 1), handle: UInt8(k))
            }
        }
        // The jammers do not hear one another, so none of them ever waits.
        let stage = Stage(play) { links in
            for a in 2..<2 + jammers {
                for b in 2..<2 + jammers { links[a, b] = .deaf }
            }
        }
        stage.run(.seconds(1))
        let statuses = play.results(0).map(\.result.status)
        #expect(statuses.count == 10)
        #expect(statuses.filter { $0 == .channelAccessFailure }.count >= 8)
    }

    @Test("after a long frame a sender leaves 640 µs, after a short one 192 µs")
    func spacing() throws {
        for (size, spacing) in [(19, 640), (18, 192)] {
            var shortest = Int64.max
            for seed in 0..<60 as Range<UInt64> {
                let play = Play(2)
                play.react = { note, out in
                    guard note.node == 0, note.time < .zero + .seconds(2) else { return }
                    if case .transmitted = note.what {
                        out.transmit(Frames.data(2, from: 0, to: 1, size: size), handle: 2)
                    }
                }
                play.at(.seconds(1), 0) {
                    $0.transmit(Frames.data(1, from: 0, to: 1, size: size), handle: 1)
                }
                let stage = Stage(play, seed: seed)
                stage.run(.milliseconds(1_010))
                let frames = stage.tape.frames
                try #require(frames.count >= 3)
                shortest = min(shortest, (frames[2].start - frames[1].end).microseconds)
            }
            #expect(shortest == Int64(spacing) + 320)
        }
    }
}

@Suite("Who hears whom")
struct ReachTests {
    @Test("senders that do not hear each other collide at the one who hears both")
    func hidden() {
        var collisions = 0
        for seed in 0..<50 as Range<UInt64> {
            let play = Play(3)
            for (node, sequence) in [(0, 1), (2, 2)] {
                play.at(.seconds(1), node) {
                    $0.transmit(
                        Frames.data(UInt8(sequence), from: node, to: 1, size: 120), handle: 1)
                }
            }
            let stage = Stage(play, seed: seed) { $0.set(0, 2, .deaf) }
            stage.run()
            let frames = stage.tape.frames.filter { $0.psdu.count > 5 }
            collisions += stage.tape.drops(.collision).filter { $0.node == 1 }.count
            // What overlapped was not taken, what did not overlap was.
            for frame in frames {
                let overlaps = stage.tape.frames.contains {
                    $0.sender != frame.sender && $0.sender != 1 && $0.start < frame.end
                        && $0.end > frame.start
                }
                let taken = play.receptions(1).contains { $0.frame.number == frame.number }
                #expect(taken == !overlaps)
            }
        }
        #expect(collisions > 50)
    }

    @Test("a frame ten decibels stronger than the one it overlaps is taken all the same")
    func capture() {
        for (level, survives) in [(-75, true), (-70, true), (-69, false), (-60, false)] {
            let play = Play(3)
            for node in [0, 2] {
                play.at(.seconds(1), node) {
                    $0.transmit(Frames.data(1, from: node, to: nil, size: 127), handle: 1)
                }
            }
            let stage = Stage(play) {
                $0.set(0, 2, .deaf)
                $0[2, 1] = Link(rssi: Int8(level))
            }
            stage.run()
            let fromZero = play.receptions(1).contains {
                $0.frame.rssi == -60 && $0.frame.frame[7] == 0
            }
            #expect(fromZero == survives)
            #expect(!play.receptions(1).contains { $0.frame.frame[7] == 2 })
        }
    }

    @Test("nobody takes a frame while sending one")
    func halfDuplex() {
        var overlaps = 0
        for seed in 0..<100 as Range<UInt64> {
            let play = Play(2)
            for node in [0, 1] {
                play.at(.seconds(1), node) {
                    $0.transmit(Frames.data(1, from: node, to: 1 - node, size: 60), handle: 1)
                }
            }
            let stage = Stage(play, seed: seed)
            stage.run()
            for frame in stage.tape.frames {
                let other = 1 - Int(frame.sender)
                let isSending = stage.tape.frames.contains {
                    Int($0.sender) == other && $0.start < frame.end && $0.end > frame.start
                }
                guard isSending else { continue }
                overlaps += 1
                #expect(!play.receptions(other).contains { $0.frame.number == frame.number })
            }
            #expect(play.results(0).map(\.result.status) == [.success])
            #expect(play.results(1).map(\.result.status) == [.success])
        }
        #expect(overlaps > 10)
    }

    @Test("a link can work one way only: frames arrive, acknowledgements do not")
    func oneWay() {
        let play = Play(2)
        play.at(.seconds(1), 0) { $0.transmit(Frames.data(1, from: 0, to: 1), handle: 1) }
        let stage = Stage(play) { $0[1, 0] = .deaf }
        stage.run()
        #expect(play.receptions(1).count == 4)
        #expect(play.results(0).map(\.result.status) == [.noAck])
    }

    @Test("a receiver that is off, on another channel, or turned on too late hears nothing")
    func deaf() {
        let play = Play(4)
        play.sleepers = [1, 3]
        play.channels[2] = 15
        play.at(.milliseconds(1_003), 3) { $0.append(.receiver(on: true)) }
        play.at(.seconds(1), 0) {
            $0.transmit(Frames.data(1, from: 0, to: nil, size: 127), handle: 1)
        }
        let stage = Stage(play)
        stage.run(.seconds(2))
        #expect(stage.tape.frames.count == 1)
        for node in 1...3 { #expect(play.receptions(node).isEmpty) }
        #expect(stage.tape.frames[0].start < .zero + .milliseconds(1_003))
        #expect(stage.tape.frames[0].end > .zero + .milliseconds(1_003))
    }

    @Test("a sleeper that turns its receiver on hears, until it turns it off again")
    func switched() {
        let play = Play(2)
        play.sleepers = [1]
        play.at(.milliseconds(900), 1) { $0.append(.receiver(on: true)) }
        play.at(.milliseconds(1_500), 1) { $0.append(.receiver(on: false)) }
        for (time, sequence) in [(500, 1), (1_000, 2), (2_000, 3)] {
            play.at(.milliseconds(Int64(time)), 0) {
                $0.transmit(Frames.data(UInt8(sequence), from: 0, to: 1), handle: 1)
            }
        }
        Stage(play).run()
        #expect(play.receptions(1).map { $0.frame.frame[2] } == [2])
        #expect(play.results(0).map(\.result.status) == [.noAck, .success, .noAck])
    }

    @Test("the same seed loses the same frames; loss elsewhere does not shift the dice")
    func loss() {
        func heard(_ seed: UInt64, elsewhere: Bool) -> [UInt8] {
            let play = Play(4)
            for k in 0..<200 {
                play.at(.milliseconds(Int64(100 + 20 * k)), 0) {
                    $0.transmit(Frames.data(UInt8(k), from: 0, to: nil), handle: UInt8(k))
                }
                play.at(.milliseconds(Int64(110 + 20 * k)), 2) {
                    $0.transmit(Frames.data(UInt8(k), from: 2, to: nil), handle: UInt8(k))
                }
            }
            let stage = Stage(play, seed: seed) {
                $0[0, 1] = Link(rssi: -60, lossPerMillion: 300_000)
                guard elsewhere else { return }
                $0[0, 3] = Link(rssi: -60, lossPerMillion: 500_000)
                $0[2, 1] = Link(rssi: -60, lossPerMillion: 500_000)
            }
            stage.run()
            #expect(stage.tape.frames.count == 400)
            return play.receptions(1).filter { $0.frame.frame[7] == 0 }.map { $0.frame.frame[2] }
        }
        let first = heard(1, elsewhere: false)
        #expect(first == heard(1, elsewhere: false))
        #expect(first == heard(1, elsewhere: true))
        #expect(first != heard(2, elsewhere: false))
        // 140 expected, standard deviation 6.5.
        #expect(110...170 ~= first.count)
    }

    @Test("an acknowledgement can be lost too: the frame comes again under the same number")
    func lostAck() {
        let play = Play(2)
        play.at(.seconds(1), 0) { $0.transmit(Frames.data(9, from: 0, to: 1), handle: 1) }
        let stage = Stage(play) { $0[1, 0] = Link(rssi: -60, lossPerMillion: 1_000_000) }
        stage.run()
        #expect(play.receptions(1).map { $0.frame.frame[2] } == [9, 9, 9, 9])
        #expect(play.results(0).map(\.result.status) == [.noAck])
        #expect(stage.tape.drops(.linkLoss).count == 4)
    }
}
