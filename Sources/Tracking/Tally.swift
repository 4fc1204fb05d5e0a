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
}

/// The stretches of time that counts are kept for, by when the request was received.
enum Span: Int64, CaseIterable {
    case always
    case day
    case hour
    case wallDay
    case wallHour

    static let secondsOfHour: Int64 = 3_600
    static let secondsOfDay: Int64 = 86_400

    /// Which one a request belongs to; `time` in seconds since 2000, `wall` in milliseconds.
    func bucket(time: Int64, wall: Int64) -> Int64 {
        switch self {
        case .always: 0
        case .day: floor(time, Self.secondsOfDay)
        case .hour: floor(time, Self.secondsOfHour)
        case .wallDay: floor(wall, Self.secondsOfDay * 1000)
        case .wallHour: floor(wall, Self.secondsOfHour * 1000)
        }
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
                INSERT INTO tally VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET count = count + excluded.count
                """)
        let remove = try database.cachedStatement(
            sql: """
                DELETE FROM tally WHERE span = ? AND bucket = ? AND what = ? AND user = ?
                AND type = ? AND manufacturer = ? AND version = ? AND status = ? AND count = 0
                """)
        for (key, count) in changes where count != 0 {
            let names: [DatabaseValue] = [
                key.span.rawValue.databaseValue, key.bucket.databaseValue,
                key.what.rawValue.databaseValue, key.user.databaseValue,
                key.key.type.databaseValue, key.key.manufacturer.databaseValue,
                key.key.version.databaseValue, key.key.status.rawValue.databaseValue,
            ]
            try add.execute(arguments: StatementArguments(names + [count.databaseValue]))
            if count < 0 { try remove.execute(arguments: StatementArguments(names)) }
        }
    }
}
