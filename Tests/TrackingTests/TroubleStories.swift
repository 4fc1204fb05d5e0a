import DCC
import Foundation
import GRDB
import TestSupport
import Testing
import Tracking
import Wire

@Suite("A store that is not as it should be")
struct TroubleStories {
    /// Changes a store's tables behind its back.
    private func meddle(_ path: String, _ sql: String) throws {
        let queue = try DatabaseQueue(path: path)
        try queue.writeWithoutTransaction { try $0.execute(sql: sql) }
        try queue.close()
    }

    @Test("a file that is not there is one clear line to a reader, and made for a server")
    func missing() throws {
        let shelf = try Shelf()
        let error = try #require(shelf.failure(readOnly: true))
        #expect(error.kind == .missing)
        #expect(error.description == "there is no tracking store '\(shelf.path)'")
        #expect(!FileManager.default.fileExists(atPath: shelf.path))
        #expect(shelf.failure() == nil)
        #expect(shelf.failure(readOnly: true) == nil)
    }

    @Test("a folder, a text, another program's database and an empty file are no stores")
    func foreign() throws {
        let folder = try Shelf()
        try FileManager.default.createDirectory(
            atPath: folder.path, withIntermediateDirectories: false)
        #expect(folder.failure()?.kind == .isFolder)
        #expect(folder.failure(readOnly: true)?.kind == .isFolder)

        let text = try Shelf()
        try Data(String(repeating: "profile: standard\n", count: 500).utf8)
            .write(to: URL(filePath: text.path))
        #expect(text.failure()?.kind == .foreign)
        #expect(text.failure(readOnly: true)?.kind == .foreign)

        let other = try Shelf()
        try meddle(other.path, "CREATE TABLE music (title TEXT)")
        let before = try Data(contentsOf: URL(filePath: other.path))
        #expect(other.failure()?.kind == .foreign)
        #expect(other.failure(readOnly: true)?.kind == .foreign)
        #expect(try Data(contentsOf: URL(filePath: other.path)) == before)

        let empty = try Shelf()
        try Data().write(to: URL(filePath: empty.path))
        #expect(empty.failure(readOnly: true)?.kind == .foreign)
        // A server that was killed at once leaves one.
        #expect(empty.failure() == nil)
    }

    @Test("a store in a folder that is not there cannot be made, and that is said")
    func noFolder() throws {
        let shelf = try Shelf()
        let error = #expect(throws: StoreError.self) {
            _ = try TrackingStore(path: shelf.folder.path("no/such/tracking.sqlite"))
        }
        #expect(error?.kind == .failed)
        #expect(error?.description.contains("No such file or directory") == true)
    }

    @Test("the store of a later version is left alone")
    func newer() throws {
        let shelf = try Shelf()
        try shelf.open().close()
        try meddle(shelf.path, "INSERT INTO grdb_migrations VALUES ('of a later version')")
        let before = try Data(contentsOf: URL(filePath: shelf.path))
        #expect(shelf.failure()?.kind == .newer)
        #expect(shelf.failure(readOnly: true)?.kind == .newer)
        #expect(try Data(contentsOf: URL(filePath: shelf.path)) == before)
    }

    @Test("a reader does not take a store of an earlier version for this one's")
    func older() throws {
        let shelf = try Shelf()
        try shelf.open().close()
        try meddle(shelf.path, "DELETE FROM grdb_migrations")
        #expect(shelf.failure(readOnly: true)?.kind == .older)
    }

    @Test("a store whose pages were overwritten is damaged, and nothing traps")
    func damaged() throws {
        let shelf = try Shelf()
        let store = try shelf.open()
        for counter in 0..<40 as Range<UInt64> {
            try store.commit(submission(counter, devices: 0..<50))
        }
        try store.close()
        let whole = try Data(contentsOf: URL(filePath: shelf.path))
        var kinds: Set<StoreError.Kind> = []
        var stream = SeededStream(Seed(4))
        for _ in 0..<40 {
            var bytes = whole
            let page = Int(stream.below(UInt64(whole.count / 4096)))
            let noise = stream.bytes(4096)
            bytes.replaceSubrange(page * 4096..<page * 4096 + 4096, with: noise)
            try bytes.write(to: URL(filePath: shelf.path))
            let error = shelf.failure { store in
                _ = try store.load()
                _ = try store.allRequests(TrackingFilter())
                _ = try store.allTargets(TrackingFilter())
                _ = try store.counts()
                _ = try store.timeline(of: requestID(7), device: device(3))
                try store.commit(submission(1000, devices: 0..<50))
            }
            if let error {
                kinds.insert(error.kind)
                #expect(error.description.contains(shelf.path))
            }
        }
        #expect(kinds.contains(.damaged))
        #expect(kinds.isSubset(of: [.damaged, .foreign, .badRow, .failed]), "\(kinds)")
    }

    @Test("a file that was cut short is damaged")
    func cut() throws {
        let shelf = try Shelf()
        let store = try shelf.open()
        try store.commit(submission(1, devices: 0..<500))
        try store.close()
        let whole = try Data(contentsOf: URL(filePath: shelf.path))
        try whole.prefix(whole.count / 2).write(to: URL(filePath: shelf.path))
        let error = shelf.failure { _ = try $0.allTargets(TrackingFilter()) }
        #expect(error?.kind == .damaged)
    }

    @Test("a full disk is reported, nothing of the change is stored, and the store goes on")
    func full() throws {
        let shelf = try Shelf()
        var settings = StoreSettings()
        settings.maximumSize = 400 * 1024
        let store = try shelf.open(settings)
        try store.commit(submission(1, devices: 0..<10))
        var change = submission(2, devices: 0..<10)
        change.save(.counters(Counters()))
        change.images = [("aa", Array(repeating: 1, count: 2_000_000))]
        let error = #expect(throws: StoreError.self) { try store.commit(change) }
        #expect(error?.kind == .full)
        #expect(error?.description.contains("the disk is full") == true)
        #expect(try store.request(requestID(2)) == nil)
        #expect(try store.load().records.isEmpty)
        #expect(try store.counts().devices == [.validated: 10])

        change.images = []
        try store.commit(change)
        #expect(try store.counts().devices == [.validated: 20])
        // Until there is no room for even that, and then some is made.
        var counter: UInt64 = 3
        var last: StoreError?
        while last == nil, counter < 1000 {
            do {
                try store.commit(submission(counter, devices: 0..<50))
                counter += 1
            } catch {
                last = error
            }
        }
        #expect(last?.kind == .full)
        #expect(try store.allRequests(TrackingFilter()).count == Int(counter - 1))
        try store.close()
        settings.maximumSize = nil
        let larger = try shelf.open(settings)
        try larger.commit(submission(counter, devices: 0..<50))
        #expect(try larger.allRequests(TrackingFilter()).count == Int(counter))
    }

    @Test(
        "a record whose JSON is garbage is named",
        arguments: [
            ("", "JSON"), ("{", "JSON"), ("[]", ""), ("{}", "notice"),
            (#"{"notice":"many","delivery":0,"seen":0,"broker":0}"#, "notice"),
            (#"{"notice":-1,"delivery":0,"seen":0,"broker":0}"#, ""), ("\u{0}", "JSON"),
        ])
    func garbage(json: String, word: String) throws {
        let shelf = try Shelf()
        let store = try shelf.open()
        var change = submission(1, devices: 0..<3)
        change.save(.counters(Counters()))
        try store.commit(change)
        try store.close()
        let queue = try DatabaseQueue(path: shelf.path)
        try queue.write { database in
            try database.execute(
                sql: "UPDATE state SET json = ? WHERE kind = 'counters'", arguments: [json])
        }
        try queue.close()
        let error = try #require(shelf.failure { _ = try $0.load() })
        #expect(error.kind == .badRow)
        #expect(error.description.contains("record 'counters'"), "\(error)")
        #expect(word.isEmpty || error.description.contains(word), "\(error)")
        #expect(!error.description.contains("\n"))
        // What has nothing to do with it is there.
        #expect(try shelf.open().counts().devices == [.validated: 3])
    }

    @Test("any column that holds what it should not gives an error that names its row")
    func oddColumns() throws {
        let shelf = try Shelf()
        let store = try shelf.open()
        var change = submission(1, devices: 0..<3)
        change.tracks.append(track(1, 0, .offered))
        change.notices = [
            StoredNotice(
                number: 5, user: supplier, bytes: [1], summary: "", time: morning,
                wall: morningWall)
        ]
        change.flash = [FlashPage(home: "h", member: "m", page: 1, bytes: [1])]
        change.save(.counters(Counters()))
        try store.commit(change)
        try store.close()
        let whole = try Data(contentsOf: URL(filePath: shelf.path))
        let columns = try {
            let queue = try DatabaseQueue(path: shelf.path)
            defer { try? queue.close() }
            return try queue.read { database in
                try ["request", "target", "hop", "notice", "flash", "state", "standing", "world"]
                    .flatMap { table in
                        try database.columns(in: table).map { (table, $0.name) }
                    }
            }
        }()
        #expect(columns.count > 50)
        var named = 0
        for (table, column) in columns {
            for value in ["NULL", "'?'", "9223372036854775807", "-7"] {
                try whole.write(to: URL(filePath: shelf.path))
                // The table itself refuses some.
                guard (try? meddle(shelf.path, "UPDATE \(table) SET \(column) = \(value)")) != nil
                else { continue }
                let error = shelf.failure { store in
                    _ = try store.load()
                    _ = try store.allRequests(TrackingFilter())
                    _ = try store.allTargets(TrackingFilter())
                    _ = try store.notices()
                    _ = try store.timeline(of: requestID(1), device: device(0))
                    try store.tell(track(1, 1, .transferred))
                }
                guard let error else { continue }
                #expect(error.kind == .badRow, "\(table).\(column) = \(value): \(error)")
                named += 1
            }
        }
        #expect(named > 80)
    }
}
