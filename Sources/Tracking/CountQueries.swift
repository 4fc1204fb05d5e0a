import DCC
internal import GRDB
import Wire

extension TrackingStore {
    /// How many requests that were received in the filter's period, and how many of their devices,
    /// stand where. Requests are counted by their own type, manufacturer, version and status; with
    /// a hub or a device in the filter, those that have such devices.
    public func counts(
        _ filter: TrackingFilter = TrackingFilter()
    ) throws(StoreError) -> TrackingCounts {
        try read { database in
            var counts = TrackingCounts()
            if filter.isOfTargets || filter.request != nil {
                try counts.addTargets(filter, database)
            } else {
                try counts.addStretches(filter, database)
            }
            return counts
        }
    }

    /// What there is to choose from in filters, whatever period.
    public func choices() throws(StoreError) -> TrackingChoices {
        try read { database in
            var choices = TrackingChoices()
            func all(_ column: String) throws -> [Row] {
                try database.rows(
                    "SELECT DISTINCT \(column) FROM tally WHERE span = 0 ORDER BY \(column)", [])
            }
            for row in try all("type") {
                var cells = Cells(row, "the counts")
                if let type: InventoryType = try cells.optionalWord() { choices.types.append(type) }
            }
            for row in try all("manufacturer") {
                var cells = Cells(row, "the counts")
                if let name = try cells.textOrNone() { choices.manufacturers.append(name) }
            }
            for row in try all("version") {
                var cells = Cells(row, "the counts")
                if let version = try cells.version() { choices.versions.append(version) }
            }
            for row in try all("user") {
                var cells = Cells(row, "the counts")
                choices.users.append(try cells.id())
            }
            for row in try all("status") {
                var cells = Cells(row, "the counts")
                choices.statuses.append(try cells.word())
            }
            choices.users.sort()
            choices.statuses.sort {
                ($0.stage, $0.rawValue) < ($1.stage, $1.rawValue)
            }
            return choices
        }
    }
}

extension TrackingCounts {
    private mutating func add(_ rows: [Row]) throws {
        for row in rows {
            var cells = Cells(row, "the counts")
            let isOfDevices = try cells.integer() == Counted.devices.rawValue
            let status: TrackingStatus = try cells.word()
            let count = try cells.count()
            guard count > 0 else { continue }
            if isOfDevices {
                devices[status, default: 0] += count
            } else {
                requests[status, default: 0] += count
            }
        }
    }

    /// Those of single devices, hubs or requests, which are few.
    fileprivate mutating func addTargets(_ filter: TrackingFilter, _ database: Database) throws {
        let all = filter.ofRequestOrTargets()
        try add(
            try database.rows(
                """
                SELECT \(Counted.requests.rawValue), r.status, count(*) FROM request r
                \(all.sql("WHERE")) GROUP BY r.status
                """, all.values))
        let request = filter.ofRequest()
        if filter.isOfTargets {
            let target = filter.ofTarget()
            try add(
                try database.rows(
                    """
                    SELECT \(Counted.devices.rawValue), t.status, count(*)
                    FROM target t CROSS JOIN request r ON r.number = t.request
                    \(target.sql("WHERE")) \(request.sql("AND")) GROUP BY t.status
                    """, target.values + request.values))
        } else {
            let traits = filter.traits(of: "s")
            try add(
                try database.rows(
                    """
                    SELECT \(Counted.devices.rawValue), s.status, sum(s.count)
                    FROM request r CROSS JOIN standing s ON s.request = r.number
                    \(request.sql("WHERE")) \(traits.sql("AND")) GROUP BY s.status
                    """, request.values + traits.values))
        }
    }

    /// From the counts that are kept for whole days and hours, and request by request for what is
    /// left at the period's ends.
    fileprivate mutating func addStretches(
        _ filter: TrackingFilter, _ database: Database
    ) throws {
        for stretch in Stretch.all(of: filter.period) {
            switch stretch {
            case .kept(let span, let buckets):
                var all = filter.traits(of: "k")
                if let user = filter.user { all.add("k.user = ?", user.key) }
                try add(
                    try database.rows(
                        """
                        SELECT k.what, k.status, sum(k.count) FROM tally k
                        WHERE k.span = ? AND k.bucket >= ? AND k.bucket < ? \(all.sql("AND"))
                        GROUP BY k.what, k.status
                        """,
                        [
                            span.rawValue.databaseValue, buckets.lowerBound.databaseValue,
                            buckets.upperBound.databaseValue,
                        ] + all.values))
            case .single(let range):
                try addSingly(filter, range, database)
            }
        }
    }

    private mutating func addSingly(
        _ filter: TrackingFilter, _ range: Range<Int64>, _ database: Database
    ) throws {
        var within = Conditions()
        within.add("r.\(filter.period.column) >= ?", range.lowerBound)
        within.add("r.\(filter.period.column) < ?", range.upperBound)
        if let user = filter.user { within.add("r.user = ?", user.key) }
        let own = filter.traits(of: "r", version: "fileVersion")
        try add(
            try database.rows(
                """
                SELECT \(Counted.requests.rawValue), r.status, count(*) FROM request r
                \(within.sql("WHERE")) \(own.sql("AND")) GROUP BY r.status
                """, within.values + own.values))
        let traits = filter.traits(of: "s")
        try add(
            try database.rows(
                """
                SELECT \(Counted.devices.rawValue), s.status, sum(s.count)
                FROM request r CROSS JOIN standing s ON s.request = r.number
                \(within.sql("WHERE")) \(traits.sql("AND")) GROUP BY s.status
                """, within.values + traits.values))
    }
}

/// A piece of a period.
enum Stretch: Equatable {
    case kept(Span, Range<Int64>)
    /// In the unit of the period's clock.
    case single(Range<Int64>)

    /// The pieces that a period is put together from, each moment in one of them: days, hours at
    /// its ends, and less than two hours in all that are gone through request by request.
    static func all(of period: TrackingPeriod) -> [Stretch] {
        let (since, until) = period.bounds
        if since == nil, until == nil { return [.kept(.always, 0..<1)] }
        let (day, hour, unit): (Span, Span, Int64) =
            switch period {
            case .virtual: (.day, .hour, 1)
            case .wall: (.wallDay, .wallHour, 1000)
            }
        // Far beyond any time and small enough to be multiplied.
        let far: Int64 = 1 << 53
        let (start, end) = (since ?? -far, until ?? far)
        guard start < end else { return [] }
        var stretches: [Stretch] = []
        func add(_ range: (Int64, Int64), _ make: (Range<Int64>) -> Stretch) {
            if range.0 < range.1 { stretches.append(make(range.0..<range.1)) }
        }
        func ceiling(_ value: Int64, _ unit: Int64) -> Int64 { -floor(-value, unit) }
        let hours = Span.secondsOfHour * unit
        let (firstHour, lastHour) = (ceiling(start, hours), floor(end, hours))
        guard firstHour < lastHour else { return [.single(start..<end)] }
        add((start, firstHour * hours)) { .single($0) }
        let (firstDay, lastDay) = (ceiling(firstHour, 24), floor(lastHour, 24))
        if firstDay < lastDay {
            add((firstHour, firstDay * 24)) { .kept(hour, $0) }
            add((firstDay, lastDay)) { .kept(day, $0) }
            add((lastDay * 24, lastHour)) { .kept(hour, $0) }
        } else {
            add((firstHour, lastHour)) { .kept(hour, $0) }
        }
        add((lastHour * hours, end)) { .single($0) }
        return stretches
    }
}
