import DCC
internal import GRDB

/// The tables, and how they came about.
enum StoreSchema {
    /// `HANT`, in the file's header (SQLite `application_id`).
    static let application = 0x4841_4E54

    /// Whether the file is a store that this version knows.
    static func check(_ database: Database, path: String, readOnly: Bool) throws {
        let application = try Int.fetchOne(database, sql: "PRAGMA application_id")
        let tables = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master") ?? 0
        guard application == Self.application else {
            // One that a server began to make and did not finish.
            if application == 0, tables == 0, !readOnly { return }
            throw StoreError(
                .foreign, path,
                detail: tables == 0 ? "it is empty" : "it is another program's SQLite database")
        }
        if try migrator.hasBeenSuperseded(database) { throw StoreError(.newer, path) }
        if readOnly, try !migrator.hasCompletedMigrations(database) {
            throw StoreError(.older, path)
        }
    }

    static var migrator: DatabaseMigrator {
        // There are no foreign keys to check.
        var migrator = DatabaseMigrator().disablingDeferredForeignKeyChecks()
        migrator.registerMigration("1") { database in
            try database.execute(sql: "PRAGMA application_id = \(application)")
            try database.execute(sql: first)
        }
        migrator.registerMigration("2") { database in
            try database.execute(sql: second)
            try standAnew(database)
            try database.execute(sql: reportedRequests)
        }
        migrator.registerMigration("3") { database in
            try database.execute(sql: third)
            for (minute, coarser) in [
                (Span.minute, [Span.hour, .day, .always]), (.wallMinute, [.wallHour, .wallDay]),
            ] {
                try database.execute(sql: minute.counting)
                var finer = minute
                for span in coarser {
                    try database.execute(sql: span.counting(from: finer))
                    finer = span
                }
            }
        }
        migrator.registerMigration("4") { database in
            try database.execute(
                sql: "CREATE INDEX hopByNotice ON hop (notice) WHERE notice IS NOT NULL")
            try OlderCommands.complete(database)
        }
        return migrator
    }

    /// Ids of devices and users are EUI-64s as signed 64-bit numbers; `time` is virtual, in seconds
    /// since 2000, `wall` in milliseconds since 1970. Where a column that counts are kept by is not
    /// known, it is '' or -1.
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

    /// That a user has acknowledged what became of a device stands beside that, no longer in its
    /// place; counts know both, and minutes.
    private static let second = """
        ALTER TABLE target ADD COLUMN reported INTEGER;
        ALTER TABLE target ADD COLUMN reportedWall INTEGER;
        UPDATE target SET reported = updated, reportedWall = updatedWall,
            status = CASE outcome WHEN 'reported' THEN 'submitted' ELSE outcome END
            WHERE status = 'reported';
        ALTER TABLE target DROP COLUMN outcome;

        ALTER TABLE request ADD COLUMN reported INTEGER;
        ALTER TABLE request ADD COLUMN reportedWall INTEGER;
        UPDATE request SET reported = updated, reportedWall = updatedWall
            WHERE said = 'reported'
            AND NOT EXISTS (SELECT 1 FROM target t WHERE t.request = request.number);
        UPDATE request SET said = coalesce(
            (SELECT h.status FROM hop h WHERE h.request = request.number AND h.device IS NULL
            AND h.status <> 'reported' ORDER BY h.number DESC LIMIT 1), 'submitted')
            WHERE said = 'reported';

        DROP TABLE standing;
        CREATE TABLE standing (
            request INTEGER NOT NULL, type TEXT NOT NULL,
            manufacturer TEXT NOT NULL COLLATE NOCASE, version INTEGER NOT NULL,
            status TEXT NOT NULL, reported INTEGER NOT NULL, count INTEGER NOT NULL,
            PRIMARY KEY (request, type, manufacturer, version, status, reported)) WITHOUT ROWID;
        INSERT INTO standing
            SELECT request, type, manufacturer, version, status, reported IS NOT NULL, count(*)
            FROM target GROUP BY 1, 2, 3, 4, 5, 6;

        DROP TABLE tally;
        CREATE TABLE tally (
            span INTEGER NOT NULL, bucket INTEGER NOT NULL, what INTEGER NOT NULL,
            user INTEGER NOT NULL, type TEXT NOT NULL, manufacturer TEXT NOT NULL COLLATE NOCASE,
            version INTEGER NOT NULL, status TEXT NOT NULL, reported INTEGER NOT NULL,
            count INTEGER NOT NULL,
            PRIMARY KEY (span, bucket, what, user, type, manufacturer, version, status, reported)
            ) WITHOUT ROWID;
        """

    private static let reportedRequests = """
        UPDATE request SET
            reported = (SELECT max(t.reported) FROM target t WHERE t.request = number),
            reportedWall = (SELECT max(t.reportedWall) FROM target t WHERE t.request = number)
            WHERE EXISTS (SELECT 1 FROM standing s WHERE s.request = number AND s.reported = 1)
            AND NOT EXISTS (SELECT 1 FROM standing s WHERE s.request = number AND s.reported = 0
            AND s.status <> 'refused')
        """

    /// What the inventory does not know of a device counts as its request has it. All is counted
    /// anew.
    private static let third = """
        UPDATE target SET reported = updated, reportedWall = updatedWall
            WHERE status IN ('refused', 'carriedOut') AND reported IS NULL;
        DELETE FROM standing;
        INSERT INTO standing
            SELECT t.request, coalesce(nullif(t.type, ''), r.type),
            coalesce(nullif(t.manufacturer, ''), r.manufacturer) COLLATE NOCASE,
            iif(t.version = -1, r.fileVersion, t.version), t.status, t.reported IS NOT NULL,
            count(*) FROM target t JOIN request r ON r.number = t.request GROUP BY 1, 2, 3, 4, 5, 6;
        \(reportedRequests) AND reported IS NULL;
        UPDATE request SET reported = updated, reportedWall = updatedWall
            WHERE status = 'refused' AND reported IS NULL
            AND NOT EXISTS (SELECT 1 FROM target t WHERE t.request = number);
        DELETE FROM tally;
        """

    /// Requests stand where their devices do.
    private static func standAnew(_ database: Database) throws {
        let rows = try Row.fetchAll(
            database, sql: "SELECT number, said FROM request WHERE status = 'reported'")
        for row in rows {
            var cells = Cells(row, "request number \(Cells.quoted(row, 0))")
            let number = try cells.integer()
            let said: TrackingStatus = try cells.word()
            var counts: [TrackingStatus: Int] = [:]
            let standing = try database.rows(
                "SELECT status, sum(count) FROM standing WHERE request = ? GROUP BY status",
                [number.databaseValue])
            for row in standing {
                var cells = Cells(row, "the counts of request number \(number)")
                counts[try cells.word()] = try cells.count()
            }
            try database.execute(
                sql: "UPDATE request SET status = ? WHERE number = ?",
                arguments: [(TrackingStatus.ofRequest(counts) ?? said).rawValue, number])
        }
    }
}

extension Span {
    /// `value / unit` in whole numbers, rounded down also below zero.
    private static func floor(_ value: String, _ unit: Int64) -> String {
        "(\(value) - CASE WHEN \(value) < 0 THEN \(unit - 1) ELSE 0 END) / \(unit)"
    }

    /// Counts all that there is, from the rows.
    fileprivate var counting: String {
        let bucket = length.map { Self.floor(isWall ? "r.wall" : "r.time", $0) } ?? "0"
        return """
            INSERT INTO tally
                SELECT \(rawValue), \(bucket), \(Counted.requests.rawValue), r.user, r.type,
                r.manufacturer, r.fileVersion, r.status, r.reported IS NOT NULL, count(*)
                FROM request r GROUP BY 2, 4, 5, 6, 7, 8, 9;
            INSERT INTO tally
                SELECT \(rawValue), \(bucket), \(Counted.devices.rawValue), r.user, s.type,
                s.manufacturer, s.version, s.status, s.reported, sum(s.count)
                FROM standing s JOIN request r ON r.number = s.request
                GROUP BY 2, 4, 5, 6, 7, 8, 9;
            """
    }

    /// The same from the counts of a span that makes up this one.
    fileprivate func counting(from finer: Span) -> String {
        let bucket =
            if let length, let piece = finer.length {
                Self.floor("k.bucket", length / piece)
            } else { "0" }
        return """
            INSERT INTO tally
                SELECT \(rawValue), \(bucket), k.what, k.user, k.type, k.manufacturer, k.version,
                k.status, k.reported, sum(k.count)
                FROM tally k WHERE k.span = \(finer.rawValue) GROUP BY 2, 3, 4, 5, 6, 7, 8, 9
            """
    }
}
