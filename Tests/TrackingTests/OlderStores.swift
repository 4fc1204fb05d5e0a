import DCC
import Foundation
import GBCS
import GRDB
import TestSupport
import Testing
import Tracking
import Wire

/// Stores as versions before this one wrote them.
@Suite("Older stores")
struct OlderStores {
    /// The tables of the first version.
    private static let first = """
        CREATE TABLE state (
            kind TEXT NOT NULL, name TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (kind, name));
        CREATE TABLE image (key TEXT NOT NULL PRIMARY KEY, bytes BLOB NOT NULL);
        CREATE TABLE flash (
            home TEXT NOT NULL, member TEXT NOT NULL, page INTEGER NOT NULL, bytes BLOB NOT NULL,
            PRIMARY KEY (home, member, page));
        CREATE TABLE world (one INTEGER PRIMARY KEY CHECK (one = 1), clock INTEGER, wall INTEGER);

        CREATE TABLE request (
            number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, user INTEGER NOT NULL,
            variant TEXT NOT NULL, version TEXT, fileVersion INTEGER NOT NULL, image TEXT,
            manufacturer TEXT NOT NULL COLLATE NOCASE, model TEXT, type TEXT NOT NULL,
            code TEXT NOT NULL, accepted INTEGER NOT NULL, refused INTEGER NOT NULL,
            said TEXT NOT NULL, status TEXT NOT NULL, time INTEGER NOT NULL, wall INTEGER NOT NULL,
            updated INTEGER NOT NULL, updatedWall INTEGER NOT NULL);
        CREATE INDEX requestByTime ON request (time, number);
        CREATE INDEX requestByWall ON request (wall, number);

        CREATE TABLE target (
            request INTEGER NOT NULL, position INTEGER NOT NULL, device INTEGER NOT NULL,
            hub INTEGER, type TEXT NOT NULL, manufacturer TEXT NOT NULL COLLATE NOCASE, model TEXT,
            fromVersion INTEGER, version INTEGER NOT NULL, status TEXT NOT NULL,
            outcome TEXT NOT NULL, percent INTEGER, detail TEXT NOT NULL, updated INTEGER NOT NULL,
            updatedWall INTEGER NOT NULL, PRIMARY KEY (request, position)) WITHOUT ROWID;
        CREATE UNIQUE INDEX targetByDevice ON target (device, request);
        CREATE INDEX targetByHub ON target (hub) WHERE hub IS NOT NULL;

        CREATE TABLE hop (
            number INTEGER PRIMARY KEY AUTOINCREMENT, request INTEGER, device INTEGER,
            status TEXT NOT NULL, percent INTEGER, detail TEXT NOT NULL, message BLOB,
            notice INTEGER, time INTEGER NOT NULL, wall INTEGER NOT NULL);
        CREATE INDEX hopByRequest ON hop (request, device);
        CREATE INDEX hopByDevice ON hop (device) WHERE request IS NULL;

        CREATE TABLE notice (
            number INTEGER PRIMARY KEY, user INTEGER NOT NULL, bytes BLOB NOT NULL,
            summary TEXT NOT NULL, request TEXT, device INTEGER, state TEXT NOT NULL,
            attempts INTEGER NOT NULL, time INTEGER NOT NULL, wall INTEGER NOT NULL,
            tried INTEGER);
        CREATE INDEX noticeByUser ON notice (user);
        CREATE INDEX noticeToSend ON notice (user) WHERE state <> 'received';
        CREATE INDEX noticeByRequest ON notice (request) WHERE request IS NOT NULL;
        CREATE INDEX noticeByDevice ON notice (device) WHERE device IS NOT NULL;

        CREATE TABLE standing (
            request INTEGER NOT NULL, type TEXT NOT NULL,
            manufacturer TEXT NOT NULL COLLATE NOCASE, version INTEGER NOT NULL,
            status TEXT NOT NULL, count INTEGER NOT NULL,
            PRIMARY KEY (request, type, manufacturer, version, status)) WITHOUT ROWID;

        CREATE TABLE tally (
            span INTEGER NOT NULL, bucket INTEGER NOT NULL, what INTEGER NOT NULL,
            user INTEGER NOT NULL, type TEXT NOT NULL, manufacturer TEXT NOT NULL COLLATE NOCASE,
            version INTEGER NOT NULL, status TEXT NOT NULL, count INTEGER NOT NULL,
            PRIMARY KEY (span, bucket, what, user, type, manufacturer, version, status)
            ) WITHOUT ROWID;
        """

    private static let requests = """
        INSERT INTO request (number, id, user, variant, fileVersion, manufacturer, type, code,
            accepted, refused, said, status, time, wall, updated, updatedWall) VALUES
            (1, '\(requestID(1))', \(user), '11.4', 7, '10B2', 'PPMID', 'W110401', 3, 1,
            'validated', 'offered', 825915967, 1772600767000, 825915999, 1772600800000),
            (2, '\(requestID(2))', \(user), '11.1', 8, 'ABCD', 'ESME', 'I0', 2, 0,
            'validated', 'reported', 825999967, 1772700767000, 825999999, 1772700800000),
            (3, '\(requestID(3))', \(user), '8.2', -1, '', '', 'I0', 0, 0,
            'reported', 'reported', 825999968, 1772700768000, 826000000, 1772700801000);
        INSERT INTO hop (request, device, status, detail, time, wall) VALUES
            (3, NULL, 'answered', '', 825999968, 1772700768000),
            (3, NULL, 'reported', '', 826000000, 1772700801000);
        """

    private static let user = Int64(bitPattern: supplier.rawValue)

    /// Request, place, type, version, status, what came of it before it was acknowledged.
    private static let targets: [(Int, Int, String, Int, String, String)] = [
        (1, 0, "PPMID", 7, "reported", "activated"), (1, 1, "PPMID", 7, "offered", "offered"),
        (1, 2, "PPMID", 7, "reported", "rejected"), (1, 3, "HCALCS", 7, "refused", "refused"),
        (2, 0, "ESME", 8, "reported", "deliveryFailed"), (2, 1, "", 8, "reported", "reported"),
    ]

    /// A store of the first version with what it counted.
    private func make(_ path: String) throws {
        let queue = try DatabaseQueue(path: path)
        try queue.writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA application_id = 1212239444")
            try database.execute(sql: Self.first)
            try database.execute(sql: Self.requests)
            for (request, position, type, version, status, outcome) in Self.targets {
                try database.execute(
                    sql: """
                        INSERT INTO target VALUES (?, ?, ?, 900, ?, '10B2', NULL, 1, ?, ?, ?, NULL,
                            '', 825915999, 1772600800000)
                        """,
                    arguments: [
                        request, position, Int64(bitPattern: device(UInt64(position)).rawValue),
                        type, version, status, outcome,
                    ])
            }
            try database.execute(
                sql: """
                    INSERT INTO standing SELECT request, type, manufacturer, version, status,
                        count(*) FROM target GROUP BY 1, 2, 3, 4, 5;
                    INSERT INTO tally VALUES (0, 0, 1, 1, 'PPMID', '10B2', 7, 'reported', 5);
                    CREATE TABLE grdb_migrations (identifier TEXT NOT NULL PRIMARY KEY);
                    INSERT INTO grdb_migrations VALUES ('1');
                    """)
        }
        try queue.close()
    }

    @Test("one of the first version opens, and what it hid behind 'reported' is seen again")
    func first() throws {
        let shelf = try Shelf()
        try make(shelf.path)
        #expect(shelf.failure(readOnly: true)?.kind == .older)
        let store = try shelf.open()
        func statuses(_ counter: UInt64) throws -> [String] {
            var filter = TrackingFilter()
            filter.request = requestID(counter)
            return try store.targets(filter).rows.map {
                $0.status.rawValue + ($0.reported == nil ? "" : " told")
            }
        }
        #expect(try statuses(1) == ["activated told", "offered", "rejected told", "refused told"])
        #expect(try statuses(2) == ["deliveryFailed told", "submitted told"])
        let rows = try store.allRequests(TrackingFilter())
        #expect(rows.map(\.status) == [.answered, .submitted, .offered])
        #expect(rows.map { $0.reported?.secondsSince2000 } == [826_000_000, 825_915_999, nil])
        // Of who was refused its user was told in the answer.
        #expect(rows.map(\.reportedDevices) == [0, 2, 3])
        #expect(
            rows.map(\.counts) == [
                [:], [.deliveryFailed: 1, .submitted: 1],
                [.activated: 1, .offered: 1, .rejected: 1, .refused: 1],
            ])
        #expect(try store.target(1, 0)?.reportedWall == 1_772_600_800)
        // Whichever stretches of time they are put together from.
        let moment = UTCTime(secondsSince2000: 825_915_967)
        for period in [
            TrackingPeriod.always, .virtual(since: moment, until: nil),
            .virtual(since: moment + -100_000, until: moment + 200_000),
            .wall(since: 1_772_600_766.5, until: 1_772_800_000),
        ] {
            var filter = TrackingFilter()
            filter.period = period
            let counts = try store.counts(filter)
            #expect(
                counts.devices == [
                    .activated: 1, .offered: 1, .rejected: 1, .refused: 1, .deliveryFailed: 1,
                    .submitted: 1,
                ])
            #expect(
                counts.reported == [
                    .activated: 1, .rejected: 1, .refused: 1, .deliveryFailed: 1, .submitted: 1,
                ])
            #expect(counts.requests == [.answered: 1, .submitted: 1, .offered: 1])
        }
        // One whose type nobody knew counts as its request's.
        var filter = TrackingFilter()
        filter.types = [.esme]
        #expect(try store.counts(filter).devices == [.deliveryFailed: 1, .submitted: 1])
        #expect(try store.counts(filter).requests == [.submitted: 1])
        // And it goes on as if it had never been another.
        try store.tell(track(1, 1, .activated), track(1, 1, .reported))
        #expect(try store.counts().devices[.activated] == 2)
        #expect(try store.request(requestID(1))?.reported == morning)
        try store.close()
        #expect(shelf.failure(readOnly: true) == nil)
    }

    // MARK: - Commands

    /// An 11.3 as the first version kept it, without a word of when it is to be, and what was sent.
    private func put(
        _ counter: UInt64, _ number: UInt64, at time: GeneralizedTime?, isPending: Bool,
        hasMessage: Bool = true, into database: Database
    ) throws {
        let id = requestID(counter)
        try database.execute(
            sql: "INSERT INTO state VALUES ('command', ?, ?)",
            arguments: [
                "\(id)",
                """
                {"counter":\(counter),"deadline":\(isPending ? UInt32.max : 825_999_999),\
                "device":"\(device(number))","id":"\(id)","isPending":\(isPending),\
                "originator":"\(supplier)","variant":"11.3"}
                """,
            ])
        guard hasMessage else { return }
        let message = GBCSMessage(
            header: GroupingHeader(
                kind: .command, counter: counter, originator: supplier, recipient: device(number),
                otherInformation: OtherInformation(.activateFirmware)),
            payload: MessageContent.activateFirmware(
                ActivateFirmware(
                    hash: Digest256(Array(repeating: 7, count: 32))!, originatorCounter: counter,
                    executionTime: time)
            ).encoded(), signature: .empty)
        try database.execute(
            sql: """
                INSERT INTO request (number, id, user, variant, fileVersion, manufacturer, type,
                    code, accepted, refused, said, status, time, wall, updated, updatedWall)
                    VALUES (?, ?, \(Self.user), '11.3', -1, '', '', 'I99', 0, 0, 'commandSent',
                    'commandSent', 825915967, 1772600767000, 825915999, 1772600800000);
                """, arguments: [Int64(counter), "\(id)"])
        try database.execute(
            sql: """
                INSERT INTO hop (request, device, status, detail, message, time, wall)
                    VALUES (?, ?, 'commandSent', '', ?, 825915967, 1772600767000);
                """,
            arguments: [
                Int64(counter), Int64(bitPattern: device(number).rawValue),
                Data(message.encoded()),
            ])
    }

    @Test("one that does not say when an activation is to be learns it from what was sent")
    func activations() throws {
        let shelf = try Shelf()
        try make(shelf.path)
        let later = try #require(GeneralizedTime(secondsSince2000: 826_500_000))
        let queue = try DatabaseQueue(path: shelf.path)
        try queue.write { database in
            // Sent, and not answered yet: for later, at once, and to be taken back.
            try put(101, 1, at: later, isPending: false, into: database)
            try put(102, 2, at: nil, isPending: false, into: database)
            try put(103, 3, at: .never, isPending: false, into: database)
            // Taken: for later; for later and then taken back; for later, twice.
            try put(104, 4, at: later, isPending: true, into: database)
            try put(105, 5, at: later, isPending: true, into: database)
            try put(106, 5, at: .never, isPending: true, into: database)
            try put(107, 6, at: later, isPending: true, into: database)
            try put(108, 6, at: later, isPending: true, into: database)
            // Nobody knows when that is to be.
            try put(109, 7, at: later, isPending: true, hasMessage: false, into: database)
        }
        try queue.close()
        let store = try shelf.open()
        var commands: [UInt64: CommandRecord] = [:]
        for case .command(let command) in try store.load().records {
            commands[command.counter] = command
        }
        #expect(commands.keys.sorted() == [101, 102, 103, 104, 108, 109])
        #expect(
            [101, 104, 108].map { commands[$0]?.execution?.secondsSince2000 }
                == [826_500_000, 826_500_000, 826_500_000])
        #expect([102, 103, 109].allSatisfy { commands[$0]?.execution == nil })
        let end = 826_500_000 + DCCSettings().commandTimeout
        #expect(
            [101, 102, 103, 104, 108, 109].map { commands[$0]?.deadline.secondsSince2000 }
                == [825_999_999, 825_999_999, 825_999_999, end, end, UInt32.max])
        #expect(commands.values.filter(\.isPending).map(\.counter).sorted() == [104, 108, 109])
        try store.close()
        // The next start finds it so.
        let again = try shelf.open()
        #expect(
            try again.load().records.filter { $0.key.kind == .command }.count == commands.count)
        try again.close()
    }
}
