import DCC
import Hummingbird
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
            self.status = status
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
        period != .month || status != nil || type != nil || hub != nil || manufacturer != nil
            || version != nil
    }

    func query(at now: UTCTime) -> TrackingQuery {
        var filter = TrackingQuery()
        if let seconds = period.seconds {
            let since = now.secondsSince2000 > seconds ? now.secondsSince2000 - seconds : 0
            filter.since = UTCTime(secondsSince2000: since)
        }
        filter.status = status
        filter.type = type
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
        if let type { items.append(("type", type.rawValue)) }
        if let hub { items.append(("hub", hub.text)) }
        if let manufacturer { items.append(("manufacturer", manufacturer)) }
        if let version { items.append(("version", Words.version(version))) }
        items += further
        guard !items.isEmpty else { return path }
        return path + "?"
            + items.map { "\($0.0)=\(Words.percentEncoded($0.1))" }.joined(separator: "&")
    }

    static func selected(_ chosen: TrackingStatus?) -> [Choice] {
        [Choice(value: "", words: "Any", isChosen: chosen == nil)]
            + TrackingStatus.allCases.map {
                Choice(value: $0.rawValue, words: $0.words, isChosen: $0 == chosen)
            }
    }

    static func selected(_ chosen: InventoryType?) -> [Choice] {
        [Choice(value: "", words: "Any", isChosen: chosen == nil)]
            + InventoryType.allCases.map {
                Choice(value: $0.rawValue, words: $0.rawValue, isChosen: $0 == chosen)
            }
    }

    static func selected(_ chosen: String?, of all: [String]) -> [Choice] {
        var all = all
        if let chosen, !all.contains(chosen) { all.append(chosen) }
        return [Choice(value: "", words: "Any", isChosen: chosen == nil)]
            + all.map { Choice(value: $0, words: $0, isChosen: $0 == chosen) }
    }

    /// A link for each status that any device has, in the order of an update's way.
    func counts(_ counts: [TrackingStatus: Int], path: String) -> [StatusCount] {
        var all = self
        all.status = nil
        let total = counts.values.reduce(0, +)
        var links = [
            StatusCount(
                words: "All", mark: "", class: "all", count: Words.count(total),
                link: all.link(path), isChosen: status == nil)
        ]
        for status in TrackingStatus.allCases {
            guard let count = counts[status], count > 0 || status == self.status else { continue }
            var filter = self
            filter.status = status
            links.append(
                StatusCount(
                    words: status.words, mark: status.group.mark, class: status.group.rawValue,
                    count: Words.count(count), link: filter.link(path),
                    isChosen: status == self.status))
        }
        return links
    }
}
