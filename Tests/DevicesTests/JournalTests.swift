import Air
import Devices
import Radio
import Simulation
import Testing
import Wire

/// A life of a journal: when what is written, when the power goes, what each start finds.
final class Life {
    struct Entry {
        var time: Instant
        var key: UInt8
        var bytes: [UInt8]
    }

    var entries: [Entry] = []
    var cuts: [Instant] = []
    /// How long the power stays off after each cut.
    var dark = Interval.milliseconds(2)
    /// What every start found under the keys 0-7.
    var found: [[UInt8: [UInt8]]] = []
    /// Whether each write was taken.
    var taken: [Bool] = []
    /// What the outbox counted as lost during each write.
    var lost: [Int] = []
    /// Actions that each start asked for.
    var startActions: [Int] = []
    /// Whether each start found the journal damaged.
    var damaged: [Bool] = []
    var pagesPerArea = 2
    var prepare: ((inout Outbox) -> Void)?
    /// How much of the outbox other things have taken when a write comes, by its number.
    var clutter: [Int: Int] = [:]
}

struct Keeper: Node {
    let life: Life
    var journal: Journal
    var next = 0

    init(_ life: Life, _ geometry: FlashGeometry) {
        self.life = life
        journal = Journal(firstPage: 0, pagesPerArea: life.pagesPerArea, geometry: geometry)
    }

    mutating func handle(_ input: borrowing Input, at now: Instant, into out: inout Outbox) {
        if case .powerOn = copy input {
            life.prepare?(&out)
            life.prepare = nil
            let before = out.actions.count
            journal.open(&out)
            life.startActions.append(out.actions.count - before)
            life.found.append(contents)
            life.damaged.append(journal.isDamaged)
            next = life.entries.firstIndex { $0.time > now } ?? life.entries.count
        }
        while next < life.entries.count, life.entries[next].time <= now {
            let entry = life.entries[next]
            if let count = life.clutter[next] {
                out.program([UInt8](repeating: 0, count: count).span, at: 1 << 20)
            }
            let lost = out.lost
            life.taken.append(journal.write(entry.key, entry.bytes, &out))
            life.lost.append(out.lost - lost)
            next += 1
        }
    }

    var contents: [UInt8: [UInt8]] {
        var all: [UInt8: [UInt8]] = [:]
        for key in 0..<8 as Range<UInt8> { all[key] = journal[key] }
        return all
    }

    var nextDeadline: Instant {
        next < life.entries.count ? life.entries[next].time : .distantFuture
    }
}

/// Switches node 0 off at every cut and on again after the dark time.
struct Switcher: Node {
    var steps: [(time: Instant, on: Bool)]
    var next = 0

    init(_ life: Life) {
        steps = life.cuts.flatMap { [($0, false), ($0 + life.dark, true)] }
    }

    mutating func handle(_ input: borrowing Input, at now: Instant, into out: inout Outbox) {
        while next < steps.count, steps[next].time - .milliseconds(1) <= now {
            out.append(.power(of: 0, on: steps[next].on))
            next += 1
        }
    }

    var nextDeadline: Instant {
        next < steps.count ? steps[next].time - .milliseconds(1) : .distantFuture
    }
}

enum Actor: Node {
    case keeper(Keeper)
    case switcher(Switcher)

    mutating func handle(_ input: borrowing Input, at now: Instant, into out: inout Outbox) {
        switch self {
        case .keeper(var keeper):
            keeper.handle(input, at: now, into: &out)
            self = .keeper(keeper)
        case .switcher(var switcher):
            switcher.handle(input, at: now, into: &out)
            self = .switcher(switcher)
        }
    }

    var nextDeadline: Instant {
        switch self {
        case .keeper(let keeper): keeper.nextDeadline
        case .switcher(let switcher): switcher.nextDeadline
        }
    }
}

extension Instant {
    static func - (a: Instant, b: Interval) -> Instant {
        Instant(microseconds: a.microseconds - b.microseconds)
    }
}

@Suite("The journal in flash")
struct JournalTests {
    /// Small pages and quick erasing, so that every instant of a long history can be tried.
    static let geometry = FlashGeometry(
        size: 2048, pageSize: 128, programPerByte: .microseconds(3), erasePage: .microseconds(60))

    /// Runs a life to its end and returns what the journal holds then.
    @discardableResult
    static func run(_ life: Life, seed: UInt64 = 1) -> [UInt8: [UInt8]] {
        let air = Air(
            members: [AirMember(flash: geometry), AirMember(flash: FlashGeometry(size: 4096))],
            settings: AirSettings(), links: LinkTable(members: 2, common: Link(rssi: -60)),
            seed: Seed(seed), sink: nil)
        let simulation = Simulation<Actor>(air: air, members: 2, seed: Seed(seed)) { index in
            index == 0 ? .keeper(Keeper(life, geometry)) : .switcher(Switcher(life))
        }
        simulation.run(until: .zero + .seconds(2))
        guard case .keeper(let keeper) = simulation.nodes[0] else { return [:] }
        return keeper.contents
    }

    /// A random history of writes from 3 ms on; some come while others are still being written.
    static func history(seed: UInt64, count: Int, keys: UInt64 = 3) -> [Life.Entry] {
        var stream = SeededStream(Seed(seed))
        var time = Instant.zero + .milliseconds(3)
        return (0..<count).map { index in
            time = time + .microseconds(Int64(stream.below(120)))
            var bytes = stream.bytes(Int(stream.below(40)))
            bytes.append(UInt8(index))
            return Life.Entry(time: time, key: UInt8(stream.below(keys)), bytes: bytes)
        }
    }

    /// What is in the journal after the first 0, 1, 2... of `entries`.
    static func states(_ entries: [Life.Entry]) -> [[UInt8: [UInt8]]] {
        var state: [UInt8: [UInt8]] = [:]
        var all = [state]
        for entry in entries {
            state[entry.key] = entry.bytes
            all.append(state)
        }
        return all
    }

    @Test("what was written is there after a restart, and opening again changes nothing")
    func reopen() {
        let life = Life()
        life.entries = Self.history(seed: 4, count: 60)
        life.cuts = [.zero + .milliseconds(60), .zero + .milliseconds(64)]
        life.dark = .milliseconds(3)
        Self.run(life)
        let final = Self.states(life.entries).last
        #expect(life.taken.allSatisfy { $0 })
        #expect(life.found.first == [:])
        #expect(life.found.last == final)
        #expect(life.startActions.dropFirst().allSatisfy { $0 == 0 })
    }

    @Test(
        "cut at any instant, it holds exactly the first so many writes, and goes on from there",
        arguments: 1...4 as ClosedRange<UInt64>)
    func tornAnywhere(seed: UInt64) throws {
        let entries = Self.history(seed: seed, count: 40)
        let states = Self.states(entries)
        let end = try #require(entries.last).time + .milliseconds(4)
        var compactionsSeen = false
        var previous = 0
        var cut = Instant.zero + .milliseconds(2)
        while cut < end {
            let life = Life()
            life.entries = entries.filter { $0.time < cut }
            let before = life.entries.count
            life.cuts = [cut]
            // Life goes on after the cut: enough to compact again.
            for index in 0..<20 {
                life.entries.append(
                    Life.Entry(
                        time: cut + .milliseconds(5) + .microseconds(Int64(index * 400)),
                        key: UInt8(index % 3), bytes: [UInt8](repeating: UInt8(index), count: 33)))
            }
            let contents = Self.run(life, seed: UInt64(cut.microseconds))
            try #require(life.found.count == 2, "cut at \(cut)")
            let match = states.prefix(before + 1).lastIndex { $0 == life.found[1] }
            guard let match else {
                Issue.record("cut at \(cut): not the old and not the new: \(life.found[1])")
                return
            }
            #expect(match >= previous, "cut at \(cut): an earlier cut had kept more")
            previous = max(previous, match)
            #expect(life.taken.allSatisfy { $0 })
            #expect(contents[19 % 3] == [UInt8](repeating: 19, count: 33))
            compactionsSeen = compactionsSeen || before > 20
            cut = cut + .microseconds(1)
        }
        #expect(previous == entries.count)
        #expect(compactionsSeen)
    }

    @Test("cut twice, the second time while it recovers, it still holds a whole history")
    func tornTwice() {
        var stream = SeededStream(Seed(12))
        for round in 0..<1_500 as Range<UInt64> {
            let entries = Self.history(seed: round % 7, count: 40)
            let first = Instant.zero + .microseconds(3_000 + Int64(stream.below(3_000)))
            let life = Life()
            life.dark = .milliseconds(2)
            let before = entries.filter { $0.time < first }
            let restart = first + .milliseconds(2)
            var after: [Life.Entry] = []
            for index in 0..<25 {
                after.append(
                    Life.Entry(
                        time: restart + .microseconds(Int64(100 + index * 150)),
                        key: UInt8(index % 3),
                        bytes: [UInt8](repeating: UInt8(index + 1), count: 30)))
            }
            let second = restart + .microseconds(1_500 + Int64(stream.below(4_000)))
            life.entries = before + after.filter { $0.time < second }
            life.cuts = [first, second]
            Self.run(life, seed: round)
            let found = life.found
            guard found.count == 3 else {
                Issue.record("round \(round): \(found.count) starts")
                continue
            }
            let early = Self.states(before)
            #expect(early.contains { $0 == found[1] }, "round \(round), first start")
            var state = found[1]
            var late = [state]
            for entry in after where entry.time < second {
                state[entry.key] = entry.bytes
                late.append(state)
            }
            #expect(late.contains { $0 == found[2] }, "round \(round), second start")
        }
    }

    @Test("cut at any instant of a compaction, it reports no damage, and holds the old or the new")
    func tornCompaction() throws {
        // Each area has room for six records; so the seventh write is a compaction, and of those
        // after it every fourth: the last one here erases an area that has been full.
        let entries = (1...15).map { number in
            Life.Entry(
                time: .zero + .milliseconds(Int64(2 + number)), key: UInt8(number % 3),
                bytes: [UInt8](repeating: UInt8(number), count: 33))
        }
        let states = Self.states(entries)
        let begin = try #require(entries.last).time
        var finished = 0
        for microsecond in 1...600 {
            let life = Life()
            life.cuts = [begin + .microseconds(Int64(microsecond))]
            life.entries =
                entries
                + (0..<20).map { index in
                    Life.Entry(
                        time: begin + .milliseconds(Int64(5 + index)), key: UInt8(index % 3),
                        bytes: [UInt8](repeating: UInt8(index), count: 33))
                }
            let contents = Self.run(life, seed: UInt64(microsecond))
            try #require(life.found.count == 2)
            #expect(life.damaged == [false, false], "after \(microsecond) µs")
            let isNew = life.found[1] == states[15]
            #expect(isNew || life.found[1] == states[14], "after \(microsecond) µs")
            // Once it is new it stays so, and the start does at most what was left to do.
            #expect(isNew || finished == 0)
            finished += isNew ? 1 : 0
            #expect(life.startActions[1] <= (isNew ? 1 : 0))
            #expect(contents[19 % 3] == [UInt8](repeating: 19, count: 33))
        }
        #expect(finished > 0 && finished < 600)
    }

    /// What befalls the newest area.
    enum Loss: CaseIterable {
        case header
        case firstPage
        case everything
    }

    @Test(
        "an area that has lost its header is missed; what is whole in it and the other one counts",
        arguments: Loss.allCases)
    func lostHeader(_ loss: Loss) throws {
        let flash = FlashMemory(geometry: Self.geometry)
        func use<T>(_ body: (inout Journal, inout Outbox) -> T) -> T {
            var journal = Journal(firstPage: 0, pagesPerArea: 2, geometry: Self.geometry)
            var out = Outbox()
            out.flash = flash.view
            journal.open(&out)
            flash.carryOut(out, at: .zero)
            out.removeAll()
            out.flash = flash.view
            defer { flash.carryOut(out, at: .zero) }
            return body(&journal, &out)
        }
        // Each area has room for six records; the eleventh and the fifteenth write are compactions,
        // into the first and into the second area.
        for number in 1...17 as ClosedRange<UInt8> {
            use { journal, out in
                let bytes = [UInt8](repeating: number, count: 33)
                #expect(journal.write(number % 3, bytes, &out))
                #expect(!journal.isDamaged && journal.missing(recordsOf: 33) == 0)
            }
        }
        use { _, out in
            #expect(out.flash.read(0, count: 4) == [0x48, 0x41, 0x4E, 0])
            #expect(out.flash.read(256, count: 4) == [0x48, 0x41, 0x4E, 0x4A])
            switch loss {
            case .header: out.program([UInt8(0)].span, at: 256 + 8)
            case .firstPage: out.erase(page: 2)
            case .everything:
                out.erase(page: 2)
                out.erase(page: 3)
            }
        }
        use { journal, out in
            #expect(journal.isDamaged)
            // Of two areas of 256 bytes, with 40 a record.
            #expect(journal.missing(recordsOf: 33) == 12)
            let found = (0..<3 as Range<UInt8>).map { journal[$0]?.first }
            // The other area has the writes up to the fourteenth.
            switch loss {
            case .header: #expect(found == [15, 16, 17])
            case .firstPage: #expect(found == [12, 16, 17])
            case .everything: #expect(found == [12, 13, 14])
            }
            #expect(journal.write(0, [99], &out))
        }
        use { journal, _ in
            #expect(!journal.isDamaged)
            #expect(journal[0] == [99])
        }
    }

    @Test("what does not fit is refused and counted as lost, and what was there stays")
    func full() {
        let life = Life()
        let time = Instant.zero + .milliseconds(3)
        // An area of 256 bytes: 12 of header, 7 a record.
        let sizes = [100, 100, 23, 1, 24, 22]
        for (index, size) in sizes.enumerated() {
            life.entries.append(
                Life.Entry(
                    time: time + .milliseconds(Int64(index)), key: UInt8(min(index, 2)),
                    bytes: [UInt8](repeating: UInt8(index), count: size)))
        }
        life.entries.append(
            Life.Entry(
                time: time + .milliseconds(9), key: 3,
                bytes: [UInt8](repeating: 0, count: Journal.recordLimit + 1)))
        life.entries.append(Life.Entry(time: time + .milliseconds(10), key: 4, bytes: []))
        let contents = Self.run(life)
        // 12 + 107 + 107 + 30 = 256 exactly; one byte more is refused.
        #expect(life.taken == [true, true, true, true, false, true, false, false])
        #expect(life.lost == life.taken.map { $0 ? 0 : 1 })
        #expect(contents[2] == [UInt8](repeating: 5, count: 22))
        #expect(contents[0]?.count == 100)
        #expect(contents[4] == nil)
    }

    @Test("a write that the outbox has no room for is refused, and spoils nothing")
    func crowded() {
        for (number, clutter) in [(2, Outbox.arenaLimit - 5), (5, Outbox.arenaLimit - 90)] {
            let life = Life()
            for index in 0..<8 {
                life.entries.append(
                    Life.Entry(
                        time: .zero + .milliseconds(Int64(3 + index)), key: UInt8(index % 2),
                        bytes: [UInt8](repeating: UInt8(index), count: 40)))
            }
            life.clutter[number] = clutter
            life.cuts = [.zero + .milliseconds(40)]
            Self.run(life)
            #expect(life.taken == (0..<8).map { $0 != number })
            #expect(life.lost == (0..<8).map { $0 == number ? 1 : 0 })
            #expect(
                life.found[1] == [
                    0: [UInt8](repeating: 6, count: 40), 1: [UInt8](repeating: 7, count: 40),
                ])
        }
    }

    @Test("the same bytes again cost nothing")
    func unchanged() {
        let life = Life()
        life.pagesPerArea = 1
        for index in 0..<100 {
            life.entries.append(
                Life.Entry(
                    time: .zero + .milliseconds(Int64(3 + index)), key: 1,
                    bytes: [UInt8](repeating: 7, count: 90)))
        }
        let contents = Self.run(life)
        #expect(life.taken.allSatisfy { $0 })
        #expect(contents[1]?.count == 90)
    }

    @Test("a record whose head never became safe, and its rest did, spoils no later record")
    func headless() {
        let geometry = FlashGeometry(size: 2_048, pageSize: 256)
        let flash = FlashMemory(geometry: geometry)
        func use(_ body: (inout Journal, inout Outbox) -> Void) {
            var journal = Journal(firstPage: 0, pagesPerArea: 2, geometry: geometry)
            var out = Outbox()
            out.flash = flash.view
            journal.open(&out)
            flash.carryOut(out, at: .zero)
            out.removeAll()
            out.flash = flash.view
            body(&journal, &out)
            flash.carryOut(out, at: .zero)
        }
        use { journal, out in
            #expect(journal.write(1, [1, 1, 1, 1], &out))
            // The next record begins after the area's header and this one; its head is 7 bytes.
            out.program([0x10, 0x20, 0x30].span, at: 12 + 11 + 7)
        }
        for round in 1...3 as ClosedRange<UInt8> {
            use { journal, out in
                #expect(journal[1] == (round == 1 ? [1, 1, 1, 1] : [round - 1, 0xA5]))
                #expect(journal.write(1, [round, 0xA5], &out))
                #expect(journal.write(2, [0x5A, round, 0x5A, 0x5A], &out))
            }
        }
        use { journal, _ in
            #expect(journal[1] == [3, 0xA5] && journal[2] == [0x5A, 3, 0x5A, 0x5A])
        }
    }

    @Test("flash full of noise, or of nearly a journal, opens as something sane that works")
    func garbage() {
        for seed in 0..<300 as Range<UInt64> {
            let life = Life()
            life.prepare = { out in
                var stream = SeededStream(Seed(seed))
                var bytes = stream.bytes(512)
                if seed % 2 == 0 {
                    // A true header in front of the noise of each area.
                    for (area, generation) in [(0, 7), (256, UInt8(truncatingIfNeeded: seed))] {
                        var header: [UInt8] = [0x48, 0x41, 0x4E, 0x4A, generation, 0, 0, 0]
                        let check = CRC32.checksum(header.span)
                        for place in 0..<4 {
                            header.append(UInt8(truncatingIfNeeded: check >> UInt32(8 * place)))
                        }
                        bytes.replaceSubrange(area..<area + 12, with: header)
                    }
                }
                out.program(bytes.span, at: 0)
            }
            for index in 0..<12 {
                life.entries.append(
                    Life.Entry(
                        time: .zero + .milliseconds(Int64(5 + index)), key: UInt8(index % 4),
                        bytes: [UInt8](repeating: UInt8(index), count: 40)))
            }
            life.cuts = [.zero + .milliseconds(40)]
            Self.run(life, seed: seed)
            // The first start sees the flash as it was before the noise was programmed.
            #expect(life.found.count == 2)
            #expect(life.taken.allSatisfy { $0 })
            for key in 0..<4 as Range<UInt8> {
                #expect(life.found[1][key] == [UInt8](repeating: 8 + key, count: 40))
            }
        }
    }
}
