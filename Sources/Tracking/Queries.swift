import DCC
internal import GRDB
import Wire

/// Conditions of a query, and what stands in their places.
struct Conditions {
    private var clauses: [String] = []
    private(set) var values: [DatabaseValue] = []

    mutating func add(_ clause: String, _ values: (any DatabaseValueConvertible)?...) {
        clauses.append(clause)
        self.values += values.map { $0?.databaseValue ?? .null }
    }

    mutating func add(_ column: String, isOneOf words: some Sequence<String>) {
        let words = words.sorted()
        clauses.append(
            "\(column) IN (" + Array(repeating: "?", count: words.count).joined(separator: ", ")
                + ")")
        values += words.map(\.databaseValue)
    }

    /// `word` them, as `WHERE a AND b`; empty where there are none.
    func sql(_ word: String) -> String {
        clauses.isEmpty ? "" : "\(word) " + clauses.joined(separator: " AND ")
    }

    /// One clause that holds if all of either do.
    static func or(_ a: Conditions, _ b: Conditions, into all: inout Conditions) {
        func text(_ one: Conditions) -> String {
            one.clauses.isEmpty ? "1" : "(" + one.clauses.joined(separator: " AND ") + ")"
        }
        all.clauses.append("(\(text(a)) OR \(text(b)))")
        all.values += a.values + b.values
    }

    var isEmpty: Bool { clauses.isEmpty }

    func followed(by others: Conditions) -> Conditions {
        var all = self
        all.clauses += others.clauses
        all.values += others.values
        return all
    }

    mutating func addExists(_ select: String, _ inner: Conditions) {
        clauses.append("EXISTS (\(select) \(inner.sql("AND")))")
        values += inner.values
    }
}

/// What has type, manufacturer, version and status, and by which name.
enum TraitTable {
    case requests
    case targets
    /// `standing` or `tally`.
    case counts(String)

    var name: String {
        switch self {
        case .requests: "r"
        case .targets: "t"
        case .counts(let name): name
        }
    }

    /// Of a device, also of one that is not in the inventory, as `OpenRequest.counted` has it; the
    /// request is `r` then.
    var type: String {
        if case .targets = self { return "coalesce(nullif(t.type, ''), r.type)" }
        return "\(name).type"
    }

    var manufacturer: String {
        guard case .targets = self else { return "\(name).manufacturer" }
        return "coalesce(nullif(t.manufacturer, ''), r.manufacturer) COLLATE NOCASE"
    }

    var version: String {
        switch self {
        case .requests: "r.fileVersion"
        case .targets: "iif(t.version = -1, r.fileVersion, t.version)"
        case .counts(let name): "\(name).version"
        }
    }

    func condition(isReported: Bool) -> String {
        if case .counts = self { return "\(name).reported = \(isReported ? 1 : 0)" }
        return "\(name).reported IS \(isReported ? "NOT " : "")NULL"
    }
}

extension TrackingPeriod {
    var isWall: Bool { if case .wall = self { true } else { false } }

    /// The column of `request` that it is about.
    var column: String { isWall ? "wall" : "time" }

    /// In the column's unit; from the first on and before the second.
    var bounds: (since: Int64?, until: Int64?) {
        switch self {
        case .virtual(let since, let until):
            (since.map { Int64($0.secondsSince2000) }, until.map { Int64($0.secondsSince2000) })
        case .wall(let since, let until):
            (since.map { milliseconds($0) }, until.map { milliseconds($0) })
        }
    }
}

extension TrackingFilter {
    /// Whether it asks for single devices.
    var isOfTargets: Bool { hub != nil || device != nil }

    /// Whether counts are kept of what it asks for.
    var isKept: Bool { !isOfTargets && request == nil }

    /// Whether the counts tell where there is something to be found.
    var isCounted: Bool { hasTraits && isKept }

    var hasTraits: Bool {
        !statuses.isEmpty || isReported != nil || !types.isEmpty || manufacturer != nil
            || version != nil
    }

    /// What requests must be by their own row `r`.
    func ofRequest() -> Conditions {
        var all = Conditions()
        let bounds = period.bounds
        if let since = bounds.since { all.add("r.\(period.column) >= ?", since) }
        if let until = bounds.until { all.add("r.\(period.column) < ?", until) }
        if let user { all.add("r.user = ?", user.key) }
        if let request { all.add("r.id = ?", request.description) }
        return all
    }

    /// What the columns of `table` must be.
    func traits(of table: TraitTable) -> Conditions {
        var all = Conditions()
        let name = table.name
        if !statuses.isEmpty { all.add("\(name).status", isOneOf: statuses.map(\.rawValue)) }
        if let isReported { all.add(table.condition(isReported: isReported)) }
        if !types.isEmpty { all.add(table.type, isOneOf: types.map(\.rawValue)) }
        if let manufacturer {
            // As images and profiles have it, too: 0x10B2.
            let code = manufacturer.lowercased().hasPrefix("0x") ? 2 : 0
            all.add("\(table.manufacturer) = ?", String(manufacturer.dropFirst(code)))
        }
        if let version { all.add("\(table.version) = ?", Int64(version)) }
        return all
    }

    /// What a target `t` of a request `r` must be.
    func ofTarget() -> Conditions {
        var all = traits(of: .targets)
        if let device { all.add("t.device = ?", device.key) }
        if let hub { all.add("t.hub = ?", hub.key) }
        return all
    }

    /// What requests `r` must be: by one of their devices, and where they have none by themselves.
    func ofRequestOrTargets() -> Conditions {
        var all = ofRequest()
        if isOfTargets {
            all.addIn(
                """
                r.number IN (SELECT t.request FROM target t
                CROSS JOIN request r ON r.number = t.request
                """, ofTarget())
        } else if hasTraits {
            let devices = "SELECT 1 FROM standing s WHERE s.request = r.number"
            var (ofDevices, own) = (Conditions(), traits(of: .requests))
            ofDevices.addExists(devices, traits(of: .counts("s")))
            own.add("NOT EXISTS (\(devices))")
            Conditions.or(ofDevices, own, into: &all)
        }
        return all
    }

    /// Requests `r` that have devices which may fit.
    func ofRequestWithTargets() -> Conditions {
        var all = ofRequest()
        if hasTraits, !isOfTargets {
            all.addExists(
                "SELECT 1 FROM standing s WHERE s.request = r.number", traits(of: .counts("s")))
        }
        return all
    }
}

extension Conditions {
    fileprivate mutating func addIn(_ select: String, _ inner: Conditions) {
        clauses.append("\(select) \(inner.sql("WHERE")))")
        values += inner.values
    }
}

/// Rows of one more than a page holds tell that there is a next one.
func page<Row>(
    _ rows: [(row: Row, key: PageKey)], limit: Int
) -> Page<Row> {
    let shown = rows.prefix(limit)
    return Page(rows: shown.map(\.row), next: rows.count > limit ? shown.last?.key : nil)
}

extension Int {
    /// Of a page: at least one row, and not so many that they fill the memory.
    var asLimit: Int { Swift.min(Swift.max(self, 1), 10_000) }
}

extension Database {
    func rows(_ sql: String, _ values: [DatabaseValue]) throws -> [Row] {
        try Row.fetchAll(
            try cachedStatement(sql: sql), arguments: StatementArguments(values))
    }
}
