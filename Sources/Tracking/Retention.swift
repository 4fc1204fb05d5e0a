import DCC
internal import GRDB
import Wire

/// What a call of `prune` did.
public struct Pruned: Hashable, Sendable {
    /// Requests that are gone, with their devices and all that was said of them.
    public var requests = 0
    /// Nothing more is too old.
    public var isDone = true

    public init() {}
}

extension TrackingStore {
    /// Forgets what is older than the settings' `retentionDays`, if there are any: requests of
    /// which nothing has been heard since and none of whose devices is under way, what was said
    /// outside requests, and notices that their users have. The DCC's records stay as they are.
    ///
    /// `wall` is the time in seconds since 1970. Takes away about `limit` rows at most, so that
    /// whoever waits for the store waits little; is to be called again while it is not done.
    public func prune(now wall: Double, limit: Int = 20_000) throws(StoreError) -> Pruned {
        guard let days = settings.retentionDays else { return Pruned() }
        let before =
            milliseconds(wall) - Int64(min(max(days, 0), 1_000_000)) * 86_400_000
        return try write { try Pruning($0, before: before, limit: max(1, limit)).run() }
    }
}

/// Takes old rows away within a transaction.
private final class Pruning {
    private let database: Database
    /// Milliseconds since 1970.
    private let before: Int64
    private var left: Int
    private var pruned = Pruned()
    private var tally = TallyChanges()

    init(_ database: Database, before: Int64, limit: Int) {
        self.database = database
        self.before = before
        left = limit
    }

    func run() throws -> Pruned {
        try removeOld(
            "hop WHERE number IN (SELECT number FROM hop WHERE request IS NULL AND wall < ?")
        try removeOld(
            """
            notice WHERE number IN (SELECT number FROM notice WHERE state = 'received'
            AND wall < ?
            """)
        let ends = TrackingStatus.allCases.filter(\.isFinal).map { "'\($0.rawValue)'" }
            .joined(separator: ", ")
        while left > 0 {
            let row = try Row.fetchOne(
                database,
                sql: """
                    SELECT number, id, user, time, wall, type, manufacturer, fileVersion, status,
                    reported IS NOT NULL FROM request r
                    WHERE updatedWall < ? AND (status IN (\(ends)) OR NOT EXISTS (
                    SELECT 1 FROM standing s WHERE s.request = r.number AND s.status <> 'refused'))
                    ORDER BY number LIMIT 1
                    """, arguments: [before])
            guard let row else { break }
            try remove(row)
        }
        pruned.isDone = left > 0
        try tally.write(to: database)
        return pruned
    }

    private func removeOld(_ what: String) throws {
        guard left > 0 else { return }
        try database.execute(sql: "DELETE FROM \(what) LIMIT ?)", arguments: [before, left])
        left -= database.changesCount
    }

    /// What was said of it first, as no count depends on that, and the rest when that is gone.
    private func remove(_ row: Row) throws {
        var cells = Cells(row, "request \(Cells.quoted(row, 1))")
        let number = try cells.integer()
        _ = try cells.text()
        let (user, time, wall) = (try cells.integer(), try cells.integer(), try cells.integer())
        let own = try CountKey(&cells)
        try database.execute(
            sql: """
                DELETE FROM hop WHERE number IN (SELECT number FROM hop WHERE request = ? LIMIT ?)
                """, arguments: [number, left])
        left -= database.changesCount
        guard left > 0 else { return }
        let standing = try Row.fetchAll(
            database,
            sql: """
                SELECT \(CountKey.columns), count FROM standing WHERE request = ?
                """, arguments: [number])
        for row in standing {
            var cells = Cells(row, "the counts of request \(number)")
            let key = try CountKey(&cells)
            tally.add(
                -Int64(try cells.count()), .devices, key, user: user, time: time, wall: wall)
        }
        tally.add(-1, .requests, own, user: user, time: time, wall: wall)
        try database.execute(
            sql: "DELETE FROM target WHERE request = ?", arguments: [number])
        left -= database.changesCount
        try database.execute(
            sql: "DELETE FROM standing WHERE request = ?", arguments: [number])
        try database.execute(sql: "DELETE FROM request WHERE number = ?", arguments: [number])
        left -= 1
        pruned.requests += 1
    }
}
