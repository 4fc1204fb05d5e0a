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
}
