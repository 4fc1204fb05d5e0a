import DCC
internal import GRDB
import Wire

extension TrackingStore {
    /// How many requests that were received in the filter's period, and how many of their devices,
    /// stand where: those that `requests` and `targets` list. With a filter by more than period and
    /// user each request of the period is looked at, so whoever needs only devices says so.
    public func counts(
        _ filter: TrackingFilter = TrackingFilter(), ofRequests: Bool = true
    ) throws(StoreError) -> TrackingCounts {
        try read { database in
            var counts = TrackingCounts()
            if ofRequests, filter.hasTraits || !filter.isKept {
                try counts.addRequests(filter, database)
            }
            if filter.isKept {
                try counts.addStretches(filter, database)
            } else {
                try counts.addTargets(filter, database)
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
            let isReported = try cells.flag()
            let count = try cells.count()
            guard count > 0 else { continue }
            if isOfDevices {
                devices[status, default: 0] += count
                if isReported { reported[status, default: 0] += count }
            } else {
                requests[status, default: 0] += count
            }
        }
    }

    /// One by one.
    fileprivate mutating func addRequests(_ filter: TrackingFilter, _ database: Database) throws {
        let all = filter.ofRequestOrTargets()
        try add(
            try database.rows(
                """
                SELECT \(Counted.requests.rawValue), r.status, 0, count(*) FROM request r
                \(all.sql("WHERE")) GROUP BY r.status
                """, all.values))
    }

    /// Those of single devices, hubs or requests, which are few.
    fileprivate mutating func addTargets(_ filter: TrackingFilter, _ database: Database) throws {
        let request = filter.ofRequest()
        if filter.isOfTargets {
            let target = filter.ofTarget()
            try add(
                try database.rows(
                    """
                    SELECT \(Counted.devices.rawValue), t.status, t.reported IS NOT NULL, count(*)
                    FROM target t CROSS JOIN request r ON r.number = t.request
                    \(target.sql("WHERE")) \(request.sql("AND")) GROUP BY 2, 3
                    """, target.values + request.values))
        } else {
            try addStanding(filter, of: request, database)
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
                var all = filter.traits(of: .counts("k"))
                if let user = filter.user { all.add("k.user = ?", user.key) }
                // By their own traits requests are not listed.
                if filter.hasTraits { all.add("k.what = ?", Counted.devices.rawValue) }
                try add(
                    try database.rows(
                        """
                        SELECT k.what, k.status, k.reported, sum(k.count) FROM tally k
                        WHERE k.span = ? AND k.bucket >= ? AND k.bucket < ? \(all.sql("AND"))
                        GROUP BY 1, 2, 3
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
        if !filter.hasTraits {
            try add(
                try database.rows(
                    """
                    SELECT \(Counted.requests.rawValue), r.status, 0, count(*) FROM request r
                    \(within.sql("WHERE")) GROUP BY r.status
                    """, within.values))
        }
        try addStanding(filter, of: within, database)
    }

    /// The devices of requests, as these count them.
    private mutating func addStanding(
        _ filter: TrackingFilter, of requests: Conditions, _ database: Database
    ) throws {
        let traits = filter.traits(of: .counts("s"))
        try add(
            try database.rows(
                """
                SELECT \(Counted.devices.rawValue), s.status, s.reported, sum(s.count)
                FROM request r CROSS JOIN standing s ON s.request = r.number
                \(requests.sql("WHERE")) \(traits.sql("AND")) GROUP BY 2, 3
                """, requests.values + traits.values))
    }
}

/// A piece of a period.
enum Stretch: Equatable {
    case kept(Span, Range<Int64>)
    /// In the unit of the period's clock.
    case single(Range<Int64>)

    /// The pieces that a period is put together from, each moment in one of them: days, hours and
    /// minutes at its ends, and less than two minutes in all that are gone through request by
    /// request.
    static func all(of period: TrackingPeriod) -> [Stretch] {
        let (since, until) = period.bounds
        if since == nil, until == nil { return [.kept(.always, 0..<1)] }
        let spans: [Span] =
            period.isWall ? [.wallDay, .wallHour, .wallMinute] : [.day, .hour, .minute]
        // Far beyond any time, small enough to be multiplied, and where a day ends.
        let far: Int64 = 86_400_000 << 30
        let (start, end) = (since ?? -far, until ?? far)
        return start < end ? pieces(of: start..<end, spans[...]) : []
    }

    private static func pieces(of range: Range<Int64>, _ spans: ArraySlice<Span>) -> [Stretch] {
        guard !range.isEmpty else { return [] }
        guard let span = spans.first, let length = span.length else { return [.single(range)] }
        let finer = spans.dropFirst()
        let first = -floor(-range.lowerBound, length)
        let last = floor(range.upperBound, length)
        guard first < last else { return pieces(of: range, finer) }
        return pieces(of: range.lowerBound..<first * length, finer) + [.kept(span, first..<last)]
            + pieces(of: last * length..<range.upperBound, finer)
    }
}
