import DCC
import Foundation
import TestSupport
import Testing
import Tracking
import Wire

@Suite("A store is opened again")
struct RestartStories {
    private static func record<Record: Decodable>(_ json: String) throws -> Record {
        try JSONDecoder().decode(Record.self, from: Data(json.utf8))
    }

    /// One of each kind.
    private static func records() throws -> [DCCRecord] {
        var meter = InventoryDevice(
            id: device(1), type: .esme, status: .commissioned, manufacturer: "10B2", model: "E1")
        meter.firmware = 0x0105_0100
        meter.hub = device(900)
        var counters = Counters()
        counters.notice = .max
        counters.broker = 7
        let id = requestID(1000)
        return [
            .device(meter), .counters(counters),
            .update(
                try record(
                    """
                    {"id":"\(id)","variant":"11.1","image":"aa","version":"1050200",
                    "fileVersion":17105408,"hash":"bb","installableFrom":[1,2],
                    "devices":"\(device(1))\(device(2))","accepted":825915967}
                    """)),
            .progress(try record(#"{"id":"\#(id)","isDispatched":true,"finished":1}"#)),
            .target(
                try record(
                    """
                    {"device":"\(device(1))","request":"\(id)","status":"downloading",
                    "percent":42,"isDone":false,"isTransferTold":false,"deadline":825999999}
                    """)),
            .former(
                try record(
                    """
                    {"device":"\(device(2))","request":"\(id)","fileVersion":17105408,
                    "hash":"bb","status":"activationOrdered","deadline":825999999}
                    """)),
            .delivery(
                try record(
                    """
                    {"number":3,"request":"\(id)","hub":"\(device(900))",
                    "targets":["\(device(1))"],"region":"north","state":"sending",
                    "due":825999999,"attempts":2}
                    """)),
            .command(
                try record(
                    """
                    {"id":"\(id)","variant":"11.3","counter":18446744073709551615,
                    "originator":"\(supplier)","device":"\(device(1))","deadline":825999999,
                    "isPending":true}
                    """)),
            .seen(try record(#"{"number":9,"id":"\#(id)","commandVariant":1}"#)),
            .answer(
                try record(
                    """
                    {"id":"\(id)","commandVariant":8,"digest":"cc","reference":"11.1",
                    "variant":"11.1","code":"W110101","time":825915967,
                    "warning":["\(device(1))","","","",""]}
                    """)),
        ]
    }

    @Test("everything that was committed is there again, to the byte")
    func kept() throws {
        let shelf = try Shelf()
        var change = submission(1000, devices: 1..<4, refused: [3])
        for record in try Self.records() { change.save(record) }
        change.images = [("aa", [1, 2, 3]), ("bb", Array(repeating: 7, count: 700_000))]
        let page = FlashPage(
            home: "standard", member: "PPMID", page: 3, bytes: (0..<4096).map { UInt8($0 & 0xFF) })
        change.flash = [page]
        change.notices = [
            StoredNotice(
                number: 1, user: supplier, bytes: Array("<Response/>".utf8), summary: "N60",
                request: requestID(1000), device: device(1), time: morning, wall: morningWall)
        ]
        let first = try shelf.open()
        try first.commit(change)
        let target = try first.target(1000, 3)
        try first.close()

        let store = try shelf.open()
        let world = try store.load()
        #expect(Set(world.records) == Set(try Self.records()))
        #expect(world.records.count == DCCRecord.Kind.allCases.count)
        #expect(world.images == ["aa", "bb"])
        #expect(try store.image("bb")?.count == 700_000)
        #expect(try store.image("cc") == nil)
        #expect(world.flash == [page])
        #expect(world.clock == morning)
        #expect(world.wall == morningWall)
        #expect(try store.pendingNotices(limit: 10) == change.notices)
        #expect(try store.target(1000, 3) == target)
        #expect(target?.detail == "its hub's GBCS version is 3.2")
        let request = try #require(try store.request(requestID(1000)))
        #expect(request.counts == [.validated: 2, .refused: 1])
    }

    @Test("what is saved again replaces what was, and what is removed is gone")
    func replaced() throws {
        let shelf = try Shelf()
        let store = try shelf.open()
        var meter = InventoryDevice(
            id: device(1), type: .esme, status: .commissioned, manufacturer: "10B2", model: "E1")
        var change = StoreChange(wall: 0)
        change.save(.device(meter))
        change.images = [("aa", [1]), ("bb", [2])]
        change.flash = [FlashPage(home: "h", member: "m", page: 0, bytes: [1])]
        try store.commit(change)

        meter.status = .suspended
        var next = StoreChange(wall: 1)
        next.save(.counters(Counters()))
        next.remove(DCCRecord.counters(Counters()).key)
        next.save(.device(meter))
        next.images = [("bb", [3, 3])]
        next.removedImages = ["aa"]
        next.flash = [FlashPage(home: "h", member: "m", page: 0, bytes: [2])]
        try store.commit(next)
        let world = try store.load()
        #expect(world.records == [.device(meter)])
        #expect(world.images == ["bb"])
        #expect(try store.image("bb") == [3, 3])
        #expect(world.flash.map(\.bytes) == [[2]])
        #expect(world.clock == nil)
    }

    /// Commit `n` writes n in five tables.
    private static func change(_ number: Int) -> StoreChange {
        var change = StoreChange(wall: morningWall)
        var counters = Counters()
        counters.notice = UInt64(number)
        change.save(.counters(counters))
        change.clock = UTCTime(secondsSince2000: UInt32(number))
        change.flash = [
            FlashPage(
                home: "h", member: "m", page: 0,
                bytes: Array(repeating: UInt8(number & 0xFF), count: 4096))
        ]
        change.notices = [
            StoredNotice(
                number: UInt64(number), user: supplier, bytes: Array("\(number)".utf8),
                summary: "", time: morning, wall: morningWall)
        ]
        change.tracks = [track(1, UInt64(number), .offered, detail: "\(number)")]
        return change
    }

    @Test(
        "a writer that is killed at any moment leaves whole commits only, and the last of them",
        arguments: 1...3)
    func killed(round: Int) async throws {
        let shelf = try Shelf()
        let (path, told) = (shelf.path, shelf.folder.path("told"))
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [path = path as String, told = told as String, round = round as Int] in
            let store = try TrackingStore(path: path)
            let file = open(told, O_RDWR | O_CREAT, 0o600)
            // Somewhere within a commit, once there have been enough of them.
            let thread = Thread {
                var count: Int64 = 0
                while count < 40 * round { pread(file, &count, 8, 0) }
                usleep(UInt32(137 * round))
                kill(getpid(), SIGKILL)
            }
            thread.start()
            for number in 1... {
                try store.commit(RestartStories.change(number))
                var bytes = Int64(number)
                pwrite(file, &bytes, 8, 0)
            }
        }
        let bytes = try Data(contentsOf: URL(filePath: told))
        let last = bytes.withUnsafeBytes { Int($0.loadUnaligned(as: Int64.self)) }
        #expect(last >= 40 * round)

        let store = try shelf.open()
        let world = try store.load()
        guard case .counters(let counters) = world.records.first else {
            Issue.record("no counters")
            return
        }
        let count = Int(counters.notice)
        // Whoever was killed may not have got to saying so.
        #expect(count == last || count == last + 1)
        #expect(world.clock == UTCTime(secondsSince2000: UInt32(count)))
        #expect(world.flash.map(\.bytes.first) == [UInt8(count & 0xFF)])
        #expect(try store.notices(limit: 1).rows.first?.number == UInt64(count))
        #expect(try store.pendingNotices(limit: 10_000).count == min(count, 10_000))
        let request = try #require(try store.request(requestID(1)))
        #expect(request.counts == [.offered: count])
        #expect(try store.counts().devices == [.offered: count])
        #expect(try store.target(1, UInt64(count))?.detail == "\(count)")
        #expect(try store.target(1, UInt64(count + 1)) == nil)
        try store.commit(Self.change(count + 1))
    }
}

@Suite("Who may open a store")
struct AccessStories {
    @Test("a second server is turned away with the first one's number, until that is gone")
    func twoWriters() throws {
        let shelf = try Shelf()
        let first = try shelf.open()
        let error = try #require(shelf.failure())
        #expect(error.kind == .inUse)
        #expect(error.description.contains("process \(getpid())"))
        #expect(error.description.contains(shelf.path))
        try first.close()
        #expect(shelf.failure() == nil)
    }

    @Test("a reader beside the server sees each commit, and can change nothing")
    func readerBesideWriter() throws {
        let shelf = try Shelf()
        let writer = try shelf.open()
        let reader = try shelf.open(readOnly: true)
        #expect(try reader.requests().rows.isEmpty)
        for counter in 1...20 as ClosedRange<UInt64> {
            try writer.commit(submission(counter, devices: 0..<3))
            #expect(try reader.requests().rows.count == Int(counter))
            #expect(try reader.counts().devices == [.validated: 3 * Int(counter)])
        }
        let error = #expect(throws: StoreError.self) {
            try reader.commit(submission(99, devices: 0..<1))
        }
        #expect(error?.kind == .readOnly)
        #expect(try writer.requests().rows.count == 20)
    }

    @Test("a store of the server's own is nobody else's to read")
    func privateFile() throws {
        let shelf = try Shelf()
        let store = try shelf.open()
        try store.commit(submission(1, devices: 0..<1))
        for name in ["", "-wal", "-shm", ".lock"] {
            let attributes = try FileManager.default.attributesOfItem(atPath: shelf.path + name)
            #expect(attributes[.posixPermissions] as? Int == 0o600, "\(name)")
        }
    }
}
