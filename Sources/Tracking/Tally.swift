import DCC
internal import GRDB
import Wire

/// What devices and requests are counted by.
struct CountKey: Hashable {
    /// '' and -1 where not known, as in the tables.
    var type: String
    var manufacturer: String
    var version: Int64
    var status: TrackingStatus
    /// Its user has acknowledged that.
    var isReported = false

    /// Of the tables that count by it, `request` or time before and `count` behind.
    static let columns = "type, manufacturer, version, status, reported"

    init(type: String, manufacturer: String, version: Int64, status: TrackingStatus) {
        self.type = type
        self.manufacturer = manufacturer
        self.version = version
        self.status = status
    }

    /// From `columns`.
    init(_ cells: inout Cells) throws {
        type = try cells.text()
        manufacturer = try cells.text()
        version = try cells.integer()
        status = try cells.word()
        isReported = try cells.flag()
    }

    /// For `columns`.
    var values: [DatabaseValue] {
        [
            type.databaseValue, manufacturer.databaseValue, version.databaseValue,
            status.rawValue.databaseValue, isReported.databaseValue,
        ]
    }
}

/// The stretches of time that counts are kept for, by when the request was received.
enum Span: Int64, CaseIterable {
    case always
    case day
    case hour
    case wallDay
    case wallHour
    case minute
    case wallMinute

    /// By the clock on the wall, in milliseconds; the others by the virtual one, in seconds.
    var isWall: Bool { self == .wallDay || self == .wallHour || self == .wallMinute }

    /// In the unit of its clock; nil for the one without end.
    var length: Int64? {
        switch self {
        case .always: nil
        case .day: 86_400
        case .hour: 3_600
        case .minute: 60
        case .wallDay: 86_400_000
        case .wallHour: 3_600_000
        case .wallMinute: 60_000
        }
    }

    /// Which one a request belongs to; `time` in seconds since 2000, `wall` in milliseconds.
    func bucket(time: Int64, wall: Int64) -> Int64 {
        length.map { floor(isWall ? wall : time, $0) } ?? 0
    }
}

/// `value / unit`, rounded down also below zero.
func floor(_ value: Int64, _ unit: Int64) -> Int64 {
    let quotient = value / unit
    return value % unit < 0 ? quotient - 1 : quotient
}

enum Counted: Int64 {
    case requests
    case devices
}

/// How the counts of a transaction change, gathered so that each row is written once.
struct TallyChanges {
    private struct Key: Hashable {
        var span: Span
        var bucket: Int64
        var what: Counted
        var user: Int64
        var key: CountKey
    }

    private var changes: [Key: Int64] = [:]

    mutating func add(
        _ count: Int64, _ what: Counted, _ key: CountKey, user: Int64, time: Int64, wall: Int64
    ) {
        for span in Span.allCases {
            let bucket = span.bucket(time: time, wall: wall)
            changes[
                Key(span: span, bucket: bucket, what: what, user: user, key: key), default: 0] +=
                count
        }
    }

    func write(to database: Database) throws {
        let add = try database.cachedStatement(
            sql: """
                INSERT INTO tally VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET count = count + excluded.count
                """)
        let remove = try database.cachedStatement(
            sql: """
                DELETE FROM tally WHERE span = ? AND bucket = ? AND what = ? AND user = ?
                AND type = ? AND manufacturer = ? AND version = ? AND status = ?
                AND reported = ? AND count = 0
                """)
        for (key, count) in changes where count != 0 {
            let names =
                [
                    key.span.rawValue.databaseValue, key.bucket.databaseValue,
                    key.what.rawValue.databaseValue, key.user.databaseValue,
                ] + key.key.values
            try add.execute(arguments: StatementArguments(names + [count.databaseValue]))
            if count < 0 { try remove.execute(arguments: StatementArguments(names)) }
        }
    }
}
