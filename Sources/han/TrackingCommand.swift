import ArgumentParser
import DCC
import Foundation
import Glibc
import Tracking
import Wire

struct TrackingCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tracking",
        abstract: "Show where the firmware updates of a DCC server are, also while it runs.",
        subcommands: [TrackingListCommand.self, TrackingShowCommand.self])
}

/// Which server's store is looked at.
struct StoreArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The store; that of a server's state folder unless given.", valueName: "file"),
        completion: .file())
    var store: String?

    @Option(
        help: ArgumentHelp(
            "The server's state folder; $XDG_STATE_HOME/han/serve, or ~/.local/state/han/serve, "
                + "unless given.", valueName: "dir"), completion: .directory)
    var state: String?

    func validate() throws {
        guard store == nil || state == nil else {
            throw ValidationError("--store and --state both say which store; give one of them.")
        }
    }

    func open() throws -> TrackingStore {
        try Failure.converting { try TrackingStore(path: try path(), readOnly: true) }
    }

    private func path() throws -> String {
        if let store { return store }
        let environment = ProcessInfo.processInfo.environment
        guard let folder = state ?? StateFolder.serve(environment: environment) else {
            throw Failure(
                .setting,
                "neither XDG_STATE_HOME nor HOME names a folder; name the store with --store")
        }
        return folder + "/" + StateFolder.store
    }
}

/// A time on the command line: itself, or so long before now.
enum TimeArgument: Sendable {
    /// Seconds since 1970.
    case at(Double)
    /// Seconds.
    case before(Double)

    private static let units: [Character: Double] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]

    static func read(_ text: String) throws -> TimeArgument {
        if let last = text.last, let unit = units[last], let count = UInt32(text.dropLast()) {
            return .before(Double(count) * unit)
        }
        let isDay = text.utf8.count == 10
        if let date = try? Date(isDay ? text + "T00:00:00Z" : text, strategy: .iso8601) {
            return .at(date.timeIntervalSince1970)
        }
        throw ValidationError(
            "expected a time like 2026-03-04 or 2026-03-04T05:06:07Z, or how long ago it is, like "
                + "90s, 15m, 24h or 7d")
    }

    func seconds(now: Double) -> Double {
        switch self {
        case .at(let time): time
        case .before(let length): now - length
        }
    }
}

extension TrackingStatus: ExpressibleByArgument {}

extension InventoryType: ExpressibleByArgument {
    public init?(argument: String) { self.init(rawValue: argument.uppercased()) }
}

extension RequestID: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

struct TrackingListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List requests with how far their devices have come, the last first.",
        discussion: """
            A request is listed when one of its devices is as the options say; one that is for no \
            device, or was refused as a whole, when it is so itself. A device that is not in the \
            inventory counts as what its request is for. --since and --until are about when it \
            was received, by the clock on the wall, or with --virtual by that of the emulated \
            world, where a duration counts back from where that is now.

            A device keeps the status that it has come to; that its user has acknowledged what \
            became of it ('reported') is told beside that.

            --json prints a list of objects with the keys request, user, variant, code, accepted, \
            refused, status (of the slowest device), processing (refused, inProgress, failed, \
            doneInPart or done), done, underWay and failed (so many devices), reportedDevices, \
            devices (an object: how many stand at which status), received, receivedWall, updated, \
            updatedWall, and where known version, image, manufacturer, model, type, reported and \
            reportedWall (when all of it was). --csv prints the same as RFC 4180 has it; a field \
            that a spreadsheet would take for a formula has a ' before it.
            """)

    @OptionGroup var from: StoreArguments

    @Option(
        help: ArgumentHelp(
            "Received from then on: 2026-03-04T05:06:07Z, 2026-03-04, or how long ago: 24h, 7d.",
            valueName: "time"), transform: TimeArgument.read)
    var since: TimeArgument?

    @Option(
        help: ArgumentHelp("Received before then.", valueName: "time"),
        transform: TimeArgument.read)
    var until: TimeArgument?

    @Flag(help: "--since and --until are virtual times.")
    var virtual = false

    @Option(
        help: ArgumentHelp(
            "At this status; may be given several times. 'reported' is the same as --reported.",
            valueName: "status"))
    var status: [TrackingStatus] = []

    @Flag(
        inversion: .prefixedNo,
        help: "Only what users have acknowledged, or only what they have not.")
    var reported: Bool?

    @Option(
        help: ArgumentHelp(
            "For devices of this type; may be given several times.", valueName: "type"))
    var type: [InventoryType] = []

    @Option(help: ArgumentHelp("For devices of this hub (the CHF's id).", valueName: "eui64"))
    var hub: EUI64?

    @Option(help: ArgumentHelp("For this device.", valueName: "eui64"))
    var device: EUI64?

    @Option(
        help: ArgumentHelp("For devices of this manufacturer, as in 10B2.", valueName: "code"))
    var manufacturer: String?

    @Option(
        name: .customLong("version"), parsing: .unconditional,
        help: ArgumentHelp(
            "To this firmware version, as in 0x01050200 or, as DUIS has it, 01050200.",
            valueName: "version"),
        transform: {
            // Eight digits are hex, whatever they look like.
            let isDUIS = $0.utf8.count == 8 && Hex.bytes($0) != nil
            return try CodeArgument<UInt32>.read(isDUIS ? "0x\($0)" : $0)
        })
    var firmware: CodeArgument<UInt32>?

    @Option(
        parsing: .unconditional, help: ArgumentHelp("At most so many.", valueName: "count"),
        transform: { try Numbers.read($0, in: 1...1_000_000) })
    var limit = 50

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Print CSV.")
    var csv = false

    func validate() throws {
        guard !json || !csv else {
            throw ValidationError("--json and --csv both say how; give one of them.")
        }
        guard reported != false || !status.contains(.reported) else {
            throw ValidationError("--status reported and --no-reported exclude each other.")
        }
    }

    func run() throws {
        let store = try from.open()
        try Failure.converting {
            let filter = try filter(store)
            if csv { return try printCSV(store, filter) }
            var rows: [RequestRow] = []
            let isCut = try each(store, filter) { rows += $0 }
            if json { return try Output.json(rows) }
            try show(rows, try store.counts(filter, ofRequests: false), isCut: isCut)
        }
    }

    private func filter(_ store: TrackingStore) throws -> TrackingFilter {
        var filter = TrackingFilter()
        filter.statuses = Set(status).subtracting([.reported])
        filter.isReported = status.contains(.reported) ? true : reported
        filter.types = Set(type)
        filter.hub = hub
        filter.device = device
        filter.manufacturer = manufacturer
        filter.version = firmware?.value
        if virtual {
            // UTCTime's seconds begin 30 years later.
            let epoch = 946_684_800.0
            let now = Double(try store.clock()?.secondsSince2000 ?? 0) + epoch
            func time(_ argument: TimeArgument?) -> UTCTime? {
                argument.map {
                    let seconds = ($0.seconds(now: now) - epoch).rounded(.up)
                    return UTCTime(
                        secondsSince2000: UInt32(max(0, min(seconds, Double(UInt32.max)))))
                }
            }
            filter.period = .virtual(since: time(since), until: time(until))
        } else {
            let now = Date().timeIntervalSince1970
            filter.period = .wall(
                since: since?.seconds(now: now), until: until?.seconds(now: now))
        }
        return filter
    }

    /// Page by page up to the limit; whether there are more.
    private func each(
        _ store: TrackingStore, _ filter: TrackingFilter, _ body: ([RequestRow]) throws -> Void
    ) throws -> Bool {
        var (left, key) = (limit, nil as PageKey?)
        repeat {
            let page = try store.requests(filter, after: key, limit: min(left, 1000))
            try body(page.rows)
            left -= page.rows.count
            key = page.next
        } while key != nil && left > 0
        return key != nil
    }

    private func printCSV(_ store: TrackingStore, _ filter: TrackingFilter) throws {
        try Output.write(TrackingCSV.requestHead)
        _ = try each(store, filter) { rows in
            try Output.write(rows.map { TrackingCSV.line($0) }.joined())
        }
    }

    private func show(_ rows: [RequestRow], _ counts: TrackingCounts, isCut: Bool) throws {
        guard !rows.isEmpty else {
            return Terminal(descriptor: STDERR_FILENO).write("han: there is no such request\n")
        }
        let style = Terminal(descriptor: STDOUT_FILENO).style
        let head = [
            "RECEIVED", "SERVICE", "TYPE", "MAKER", "VERSION", "STATUS", "DEVICES", "REQUEST",
        ]
        let table = rows.map { row in
            let cells = [
                row.received.iso8601, row.variant, row.type?.rawValue ?? "",
                row.manufacturer ?? "", row.fileVersion.map(Words.version) ?? row.version ?? "",
                row.processing.words, Self.words(row.counts, reported: row.reportedDevices),
                row.id.description,
            ]
            return (cells, row.processing.tone)
        }
        var text = Output.table(head, table, style)
        if isCut { text += "and more; --limit shows them\n" }
        let reported = counts.reported.values.reduce(0, +)
        text +=
            "devices in all: \(Self.words(counts.devices, reported: reported, none: "none"))\n"
        try Output.write(text)
    }

    /// `3 activated, 1 rejected (2 reported)`
    static func words(
        _ counts: [TrackingStatus: Int], reported: Int, none: String = ""
    ) -> String {
        let words = TrackingStatus.allCases.reversed().compactMap { status in
            counts[status].map { "\(Words.count(UInt64($0))) \(status.rawValue)" }
        }
        guard !words.isEmpty else { return none }
        return words.joined(separator: ", ")
            + (reported > 0 ? " (\(Words.count(UInt64(reported))) reported)" : "")
    }
}

extension TrackingOutcome {
    var tone: Tone {
        switch self {
        case .done: .good
        case .underWay: .plain
        case .failed, .refused: .bad
        }
    }
}

extension ProcessingStatus {
    var tone: Tone {
        switch self {
        case .done: .good
        case .inProgress: .plain
        case .refused, .failed, .doneInPart: .bad
        }
    }

    var words: String {
        switch self {
        case .refused: "refused"
        case .inProgress: "in progress"
        case .failed: "failed"
        case .doneInPart: "done in part"
        case .done: "done"
        }
    }
}

extension Output {
    /// What others wrote, without what would move a terminal's cursor.
    static func harmless(_ text: String) -> String {
        if text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return text }
        var clean = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            let isControl = scalar.properties.generalCategory == .control
            clean.append(isControl ? "\u{FFFD}" : scalar)
        }
        return String(clean)
    }
}

extension Completions {
    /// The requests received last by the usual server.
    static func requests(_ prefix: String) -> [String] {
        let environment = ProcessInfo.processInfo.environment
        guard let folder = StateFolder.serve(environment: environment),
            let store = try? TrackingStore(
                path: folder + "/" + StateFolder.store, readOnly: true),
            let page = try? store.requests(limit: 100)
        else { return [] }
        return page.rows.map(\.id.description).filter { $0.hasPrefix(prefix) }
    }
}
