import DCC
import Foundation
import TestSupport
import Testing
import Tracking
import Wire

/// Counts are kept as things happen; here they are counted anew from the rows.
@Suite("Counts")
struct CountingStories {
    private static let types: [InventoryType] = [.esme, .gsme, .ppmid, .hcalcs, .chf]
    private static let manufacturers = ["10B2", "ABCD", "abcd"]

    /// Requests of many kinds over two weeks, each followed by whatever comes.
    private func fill(_ store: TrackingStore, seed: UInt64, turns: Int) throws {
        var stream = SeededStream(Seed(seed))
        var sent: [UInt64: Range<UInt64>] = [:]
        for turn in 0..<turns {
            let time = morning + Int(stream.below(14 * 86_400))
            let wall = morningWall + Double(stream.below(40 * 3_600_000)) / 1000
            if stream.below(4) == 0 || sent.isEmpty {
                let first = stream.below(50)
                let devices = first..<first + stream.below(9)
                let stranger = first + stream.below(9)
                let change = submission(
                    UInt64(turn), devices: devices, refused: [first + stream.below(9), stranger],
                    strangers: [stranger],
                    others: [
                        first + stream.below(9): Self.types.randomElement(using: &stream) ?? .esme
                    ],
                    type: Self.types.randomElement(using: &stream) ?? .esme,
                    manufacturer: Self.manufacturers.randomElement(using: &stream) ?? "",
                    version: UInt32(stream.below(3)), hub: 900 + stream.below(4), at: time,
                    wall: wall)
                sent[UInt64(turn)] = devices
                try store.commit(change)
                continue
            }
            var change = StoreChange(wall: wall)
            for _ in 0..<stream.below(6) {
                let counter = sent.keys.sorted().randomElement(using: &stream) ?? 0
                let devices = sent[counter] ?? 0..<0
                let isOfAll = stream.below(8) == 0
                change.tracks.append(
                    track(
                        counter, isOfAll ? nil : devices.lowerBound + stream.below(10),
                        TrackingStatus.allCases.randomElement(using: &stream) ?? .offered,
                        percent: Int(stream.below(101)), at: time))
            }
            try store.commit(change)
        }
    }

    private func recount(_ store: TrackingStore, _ filter: TrackingFilter) throws -> TrackingCounts
    {
        var counts = TrackingCounts()
        for row in try store.allTargets(filter) {
            counts.devices[row.status, default: 0] += 1
            if row.reported != nil { counts.reported[row.status, default: 0] += 1 }
        }
        for row in try store.allRequests(filter) { counts.requests[row.status, default: 0] += 1 }
        return counts
    }

    private func check(_ store: TrackingStore, _ filter: TrackingFilter) throws {
        let (kept, counted) = (try store.counts(filter), try recount(store, filter))
        #expect(kept.devices == counted.devices, "\(filter)")
        #expect(kept.reported == counted.reported, "\(filter)")
        #expect(kept.requests == counted.requests, "\(filter)")
        // Who is listed has such devices, or none at all.
        let withDevices = Set(try store.allTargets(filter).map(\.request))
        for row in try store.allRequests(filter) where !row.counts.isEmpty {
            #expect(withDevices.contains(row.id), "\(filter)")
        }
        let listed = Set(try store.allRequests(filter).map(\.id))
        #expect(withDevices.isSubset(of: listed), "\(filter)")
    }

    @Test("they equal a recount after any sequence of events, in any period", arguments: 1...4)
    func recounted(seed: UInt64) throws {
        let shelf = try Shelf()
        let store = try shelf.open()
        try fill(store, seed: seed, turns: 150)
        try check(store, TrackingFilter())
        var stream = SeededStream(Seed(seed).named("filters"))
        for _ in 0..<80 {
            var filter = TrackingFilter()
            switch stream.below(3) {
            case 0:
                let since = morning + (Int(stream.below(15 * 86_400)) - 43_200)
                filter.period = .virtual(
                    since: stream.below(4) == 0 ? nil : since,
                    until: stream.below(4) == 0 ? nil : since + Int(stream.below(400_000)))
            case 1:
                let since = morningWall + Double(stream.below(40 * 3600)) - 3000
                filter.period = .wall(
                    since: stream.below(4) == 0 ? nil : since,
                    until: stream.below(4) == 0 ? nil : since + Double(stream.below(200_000)))
            default: break
            }
            if stream.below(4) == 0 { filter.statuses = [.validated, .offered] }
            if stream.below(4) == 0 { filter.isReported = stream.below(2) == 0 }
            if stream.below(4) == 0 { filter.types = [.esme, .ppmid] }
            if stream.below(4) == 0 { filter.manufacturer = "aBcD" }
            if stream.below(4) == 0 { filter.version = UInt32(stream.below(3)) }
            if stream.below(6) == 0 { filter.hub = device(900 + stream.below(4)) }
            if stream.below(6) == 0 { filter.device = device(stream.below(50)) }
            if stream.below(6) == 0 { filter.user = stream.below(4) == 0 ? broker : supplier }
            try check(store, filter)
        }
    }

    @Test("they still do after old requests were pruned, and those under way stay")
    func pruned() throws {
        let shelf = try Shelf()
        var settings = StoreSettings()
        settings.retentionDays = 1
        let store = try shelf.open(settings)
        try fill(store, seed: 9, turns: 300)
        for row in try store.allRequests(TrackingFilter()) where row.id.counter % 3 == 0 {
            try store.tell(track(row.id.counter, nil, .activated))
        }
        try store.tell(
            TrackingRecord(
                request: nil, device: device(7), status: .activated, detail: "", time: morning))
        let before = try store.allRequests(TrackingFilter())
        let now = morningWall + 20 * 3600 + 86_400
        let gone = before.filter { row in
            row.updatedWall < now - 86_400
                && (row.status.isFinal || row.counts.allSatisfy { $0.key == .refused })
        }
        #expect(gone.count > 3)
        var requests = 0
        var calls = 0
        var result: Pruned
        repeat {
            result = try store.prune(now: now, limit: 10)
            requests += result.requests
            calls += 1
            try check(store, TrackingFilter())
        } while !result.isDone && calls < 10_000
        #expect(calls > 3)
        #expect(requests == gone.count)
        let after = try store.allRequests(TrackingFilter())
        #expect(after == before.filter { row in !gone.contains(row) })
        #expect(try store.timeline(of: nil, device: device(7)).rows.isEmpty)
        for row in gone.prefix(3) {
            #expect(try store.timeline(of: row.id, device: nil).rows.isEmpty)
        }
    }

    @Test("a device that is not in the inventory counts as what its request is for")
    func strangers() throws {
        let shelf = try Shelf()
        let store = try shelf.open()
        try store.commit(
            submission(1, devices: 0..<3, refused: [1, 2], strangers: [1], others: [2: .ihd]))
        // All of whose devices are something else than its image is for.
        try store.commit(submission(2, devices: 5..<6, refused: [5], others: [5: .gsme]))
        // Refused as a whole: it has no devices.
        try store.commit(submission(3, devices: 0..<0))
        func asked(_ type: InventoryType) throws -> ([UInt64], [TrackingStatus: Int], [EUI64]) {
            var filter = TrackingFilter()
            filter.types = [type]
            let counts = try store.counts(filter)
            let rows = try store.allRequests(filter)
            #expect(counts.requests.values.reduce(0, +) == rows.count)
            return (
                rows.map(\.id.counter), counts.devices, try store.allTargets(filter).map(\.device)
            )
        }
        #expect(
            try asked(.ppmid)
                == ([3, 1], [.validated: 1, .refused: 1], [device(0), device(1)]))
        #expect(try asked(.ihd) == ([1], [.refused: 1], [device(2)]))
        #expect(try asked(.gsme) == ([2], [.refused: 1], [device(5)]))
        #expect(try asked(.esme) == ([], [:], []))
        // What is known of it is shown, and no more.
        #expect(try store.target(1, 1)?.type == nil)
        var filter = TrackingFilter()
        (filter.types, filter.device) = ([.ppmid], device(1))
        #expect(try store.allRequests(filter).map(\.id.counter) == [1])
        #expect(try store.counts(filter).devices == [.refused: 1])
        // It stays counted so while things happen to it.
        try store.tell(track(1, 1, .validated), track(1, nil, .atCSP))
        filter.device = nil
        #expect(try store.counts(filter).devices == [.atCSP: 1, .refused: 1])
    }

    @Test("a page is filled however many hours have only requests whose devices are others")
    func emptyHours() throws {
        let shelf = try Shelf()
        let store = try shelf.open()
        for hour in 0..<30 as Range<UInt64> {
            try store.commit(
                submission(
                    hour, devices: hour..<hour + 1, refused: [hour],
                    others: hour < 3 ? [:] : [hour: .ihd], at: morning + Int(hour) * 3_600))
        }
        var filter = TrackingFilter()
        filter.types = [.ppmid]
        #expect(try store.requests(filter, limit: 2).rows.map(\.id.counter) == [2, 1])
        #expect(try store.allRequests(filter, pages: 2).map(\.id.counter) == [2, 1, 0])
    }

    @Test("nothing is pruned unless that is set")
    func unset() throws {
        let shelf = try Shelf()
        let store = try shelf.open()
        try store.commit(submission(1, devices: 0..<1))
        try store.tell(track(1, 0, .activated))
        #expect(try store.prune(now: morningWall + 1e9) == Pruned())
        #expect(try store.requests().rows.count == 1)
    }

    @Test("filters offer what there is")
    func choices() throws {
        let shelf = try Shelf()
        let store = try shelf.open()
        #expect(try store.choices() == TrackingChoices())
        try store.commit(submission(1, devices: 0..<2, refused: [1]))
        try store.commit(
            submission(
                2, devices: 0..<2, user: otherSupplier, type: .esme, manufacturer: "ABCD",
                version: 3))
        try store.tell(track(2, 0, .offered, user: otherSupplier))
        let choices = try store.choices()
        #expect(choices.types == [.esme, .ppmid])
        #expect(choices.manufacturers == ["10B2", "ABCD"])
        #expect(choices.versions == [3, 0x0105_0200])
        #expect(choices.users == [supplier, otherSupplier])
        #expect(choices.statuses == [.refused, .validated, .offered])
    }
}

@Suite("Pages")
struct PageStories {
    @Test("each row comes once while new ones arrive, whichever clock", arguments: [false, true])
    func once(byWall: Bool) throws {
        let shelf = try Shelf()
        let store = try shelf.open()
        // Ten at each moment, so that pages end among equals.
        for counter in 0..<200 as Range<UInt64> {
            try store.commit(
                submission(
                    counter, devices: 0..<3, at: morning + Int(counter / 10),
                    wall: morningWall + Double(counter / 10)))
        }
        var filter = TrackingFilter()
        if byWall { filter.period = .wall(since: nil, until: nil) }
        var requests: [RequestID] = []
        var targets: [String] = []
        var (requestKey, targetKey): (PageKey?, PageKey?)
        var next: UInt64 = 1000
        repeat {
            let page = try store.requests(filter, after: requestKey, limit: 7)
            requests += page.rows.map(\.id)
            requestKey = page.next.flatMap { PageKey("\($0)") }
            try store.commit(
                submission(next, devices: 0..<3, at: morning + 900, wall: morningWall + 900))
            next += 1
        } while requestKey != nil
        #expect(requests == (0..<200).reversed().map { requestID($0) })
        filter.period =
            byWall
            ? .wall(since: nil, until: morningWall + 100)
            : .virtual(since: nil, until: morning + 100)
        repeat {
            let page = try store.targets(filter, after: targetKey, limit: 11)
            targets += page.rows.filter { $0.request.counter < 200 }.map {
                "\($0.request.counter) \($0.position)"
            }
            targetKey = page.next.flatMap { PageKey("\($0)") }
            try store.commit(
                submission(next, devices: 0..<3, at: morning + 900, wall: morningWall + 900))
            next += 1
        } while targetKey != nil
        #expect(
            targets
                == (0..<200).reversed().flatMap { counter in (0..<3).map { "\(counter) \($0)" } }
        )
    }

    @Test("a time line comes in pages too")
    func timeline() throws {
        let shelf = try Shelf()
        let store = try shelf.open()
        try store.commit(submission(1, devices: 0..<2))
        for number in 0..<50 {
            try store.tell(track(1, number % 5 == 0 ? nil : UInt64(number % 2), .offered))
        }
        var numbers: [Int64] = []
        var key: PageKey?
        repeat {
            let page = try store.timeline(
                of: requestID(1), device: device(1), after: key, limit: 4)
            numbers += page.rows.map(\.number)
            key = page.next
        } while key != nil
        #expect(numbers.count == 2 + 10 + 20)
        #expect(numbers == Set(numbers).sorted())
    }

    @Test(
        "a key that is none is none", arguments: ["", ".", "1.", "a", "1.2.3.4", "1 .2", "1.2.x"])
    func oddKeys(text: String) {
        #expect(PageKey(text) == nil)
    }

    @Test("a key of another query does no harm")
    func foreignKeys() throws {
        let shelf = try Shelf()
        let store = try shelf.open()
        try store.commit(submission(1, devices: 0..<2))
        for text in ["1", "-9223372036854775808.1", "9223372036854775807.0.0", "1.2.3"] {
            let key = try #require(PageKey(text))
            _ = try store.requests(after: key)
            _ = try store.targets(TrackingFilter(), after: key)
            _ = try store.timeline(of: requestID(1), device: device(1), after: key)
            _ = try store.notices(after: key)
        }
        #expect(try store.requests(limit: 0).rows.count == 1)
        #expect(try store.requests(limit: .max).rows.count == 1)
    }
}
