import DCC
import Hummingbird
import Tracking
import Wire

/// The filter of a page's address, and addresses that change a piece of it.
struct ScreenFilter {
    /// Of virtual time.
    enum Period: String, CaseIterable {
        case hour, day, week, month, all

        var words: String {
            switch self {
            case .hour: "Last hour"
            case .day: "Last 24 hours"
            case .week: "Last 7 days"
            case .month: "Last 30 days"
            case .all: "Any time"
            }
        }

        var seconds: UInt32? {
            switch self {
            case .hour: 3_600
            case .day: 86_400
            case .week: 7 * 86_400
            case .month: 30 * 86_400
            case .all: nil
            }
        }
    }

    var period = Period.month
    var status: TrackingStatus?
    /// Whether users have acknowledged what became of devices.
    var isReported: Bool?
    var type: InventoryType?
    var hub: EUI64?
    var manufacturer: String?
    /// Of what devices are to run.
    var version: UInt32?

    init() {}

    /// Throws for a value that is none; what is left empty filters nothing.
    init(_ request: Request) throws(Problem) {
        if let text = request.query("period") {
            guard let period = Period(rawValue: text) else {
                throw Problem(.badRequest, "There is no period '\(text)'.")
            }
            self.period = period
        }
        if let text = request.query("status") {
            guard let status = TrackingStatus(rawValue: text) else {
                throw Problem(.badRequest, "There is no status '\(text)'.")
            }
            // It is told beside each status.
            if status == .reported { isReported = true } else { self.status = status }
        }
        if let text = request.query("reported") {
            guard text == "yes" || text == "no" else {
                throw Problem(.badRequest, "reported is yes or no.")
            }
            isReported = text == "yes"
        }
        if let text = request.query("type") {
            guard let type = InventoryType(rawValue: text) else {
                throw Problem(.badRequest, "There is no device type '\(text)'.")
            }
            self.type = type
        }
        if let text = request.query("hub") {
            guard let hub = EUI64(text) else {
                throw Problem(.badRequest, "'\(text)' is not the id of a hub.")
            }
            self.hub = hub
        }
        manufacturer = request.query("manufacturer").map { String($0.prefix(64)) }
        if let text = request.query("version") {
            let digits = text.lowercased().hasPrefix("0x") ? text.dropFirst(2) : text[...]
            guard digits.utf8.count <= 8, let version = UInt32(digits, radix: 16) else {
                throw Problem(.badRequest, "'\(text)' is no firmware version: up to 8 hex digits.")
            }
            self.version = version
        }
    }

    var isFiltering: Bool {
        period != .month || status != nil || isReported != nil || type != nil || hub != nil
            || manufacturer != nil
            || version != nil
    }

    func query(at now: UTCTime) -> TrackingFilter {
        var filter = query
        if let seconds = period.seconds {
            let since = now.secondsSince2000 > seconds ? now.secondsSince2000 - seconds : 0
            // From a whole minute on: counts are kept for those.
            filter.period = .virtual(
                since: UTCTime(secondsSince2000: since / 60 * 60), until: nil)
        }
        return filter
    }

    /// Whatever the period.
    var query: TrackingFilter {
        var filter = TrackingFilter()
        if let status { filter.statuses = [status] }
        filter.isReported = isReported
        if let type { filter.types = [type] }
        filter.hub = hub
        filter.manufacturer = manufacturer
        filter.version = version
        return filter
    }

    /// `path` with this filter and `further` in its query.
    func link(_ path: String, _ further: [(String, String)] = []) -> String {
        var items: [(String, String)] = []
        if period != .month { items.append(("period", period.rawValue)) }
        if let status { items.append(("status", status.rawValue)) }
        if let isReported { items.append(("reported", isReported ? "yes" : "no")) }
        if let type { items.append(("type", type.rawValue)) }
        if let hub { items.append(("hub", hub.text)) }
        if let manufacturer { items.append(("manufacturer", manufacturer)) }
        if let version { items.append(("version", Words.version(version))) }
        items += further
        guard !items.isEmpty else { return path }
        return path + "?"
            + items.map { "\($0.0)=\(Words.percentEncoded($0.1))" }.joined(separator: "&")
    }

    var statusChoices: [Choice] {
        Choice.list(
            TrackingStatus.allCases.filter { $0 != .reported }.map { ($0.rawValue, $0.words) },
            chosen: status?.rawValue)
    }

    var reportedChoices: [Choice] {
        Choice.list(
            [("yes", "Yes"), ("no", "Not yet")], chosen: isReported.map { $0 ? "yes" : "no" })
    }

    var typeChoices: [Choice] {
        Choice.list(
            InventoryType.allCases.map { ($0.rawValue, $0.rawValue) }, chosen: type?.rawValue)
    }

    func manufacturerChoices(of all: [String]) -> [Choice] {
        var all = all
        if let manufacturer, !all.contains(manufacturer) { all.append(manufacturer) }
        return Choice.list(all.map { ($0, $0) }, chosen: manufacturer)
    }

    /// A link for each status that any device has, in the order of an update's way, and one for
    /// those of which users have acknowledged what became; `counts` of whatever status, reported or
    /// not.
    func links(_ counts: TrackingCounts, path: String) -> [StatusCount] {
        func count(_ status: TrackingStatus) -> Int {
            let (all, reported) = (counts.devices[status] ?? 0, counts.reported[status] ?? 0)
            return isReported.map { $0 ? reported : all - reported } ?? all
        }
        func link(
            _ badge: Badge, _ count: Int, isChosen: Bool, _ change: (inout ScreenFilter) -> Void
        ) -> StatusCount {
            var filter = self
            change(&filter)
            return StatusCount(
                badge: badge, count: Words.count(count), link: filter.link(path),
                isChosen: isChosen)
        }
        let statuses = TrackingStatus.allCases.filter { count($0) > 0 || $0 == status }
        let all = Badge(words: "All", mark: "", class: "all")
        let told = Badge(words: "Reported", mark: "✉", class: "told")
        return [
            link(all, statuses.map(count).reduce(0, +), isChosen: status == nil) { $0.status = nil }
        ]
            + statuses.map { status in
                link(status.badge, count(status), isChosen: status == self.status) {
                    $0.status = status
                }
            } + [
                link(
                    told,
                    status.map { counts.reported[$0] ?? 0 }
                        ?? counts.reported.values.reduce(0, +), isChosen: isReported == true
                ) { $0.isReported = isReported == true ? nil : true }
            ]
    }
}
