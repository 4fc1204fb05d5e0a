import DCC
internal import GRDB
import Wire

// What is rare is not looked for in all requests: the counts tell in which hours there is any.

extension TrackingFilter {
    /// Must come first among the conditions: `Database.newest` gives it its values.
    func addHours(to all: inout Conditions) {
        guard isCounted else { return }
        var hour = Conditions()
        hour.add("r.\(period.column) >= ?")
        hour.add("r.\(period.column) < ?")
        all = hour.followed(by: all)
    }

    /// At most `count` hours in which there may be something, the last first.
    fileprivate func hours(
        _ count: Int, counted: Counted?, to place: Int64?, _ database: Database
    ) throws -> [Range<Int64>] {
        let span = period.isWall ? Span.wallHour : .hour
        guard let length = span.length else { return [] }
        var all = traits(of: .counts("k"))
        if let user { all.add("k.user = ?", user.key) }
        if let counted { all.add("k.what = ?", counted.rawValue) }
        let bounds = period.bounds
        if let since = bounds.since { all.add("k.bucket >= ?", floor(since, length)) }
        if let until = bounds.until { all.add("k.bucket <= ?", floor(until, length)) }
        if let place { all.add("k.bucket <= ?", floor(place, length)) }
        return try database.rows(
            """
            SELECT DISTINCT k.bucket FROM tally k WHERE k.span = ? \(all.sql("AND"))
            ORDER BY k.bucket DESC LIMIT ?
            """, [span.rawValue.databaseValue] + all.values + [count.databaseValue]
        ).map { row in
            var cells = Cells(row, "the counts")
            let hour = try cells.integer()
            guard (-1 << 40..<1 << 40).contains(hour) else { throw cells.unfit("not an hour") }
            return hour * length..<(hour + 1) * length
        }
    }
}

extension Database {
    /// The first `count` rows of a query whose last place is for their number, and whose first two,
    /// if the filter is one that counts tell about, are for an hour.
    func newest(
        _ count: Int, _ sql: String, _ values: [DatabaseValue], of filter: TrackingFilter,
        counted: Counted?, from key: PageKey?
    ) throws -> [Row] {
        guard filter.isCounted else { return try rows(sql, values + [count.databaseValue]) }
        var (found, place) = ([] as [Row], key?.places.first)
        // Most have a row; one of a request that counts for itself and whose devices do not fit,
        // or that the period or the page's beginning cuts, may have none.
        let most = count + 2
        while true {
            let hours = try filter.hours(most, counted: counted, to: place, self)
            for hour in hours {
                found += try rows(
                    sql,
                    [hour.lowerBound.databaseValue, hour.upperBound.databaseValue] + values
                        + [(count - found.count).databaseValue])
                if found.count >= count { return found }
            }
            guard hours.count == most, let last = hours.last else { return found }
            place = last.lowerBound - 1
        }
    }
}
