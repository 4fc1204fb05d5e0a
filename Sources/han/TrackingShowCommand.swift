import ArgumentParser
import Console
import DCC
import Glibc
import Tracking
import Wire

struct TrackingShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show a request, its devices, and what happened, with every message explained.",
        discussion: """
            What happened is told of the request as a whole, or with --device of one of its \
            devices too; of a request with one device it is told of that.

            --json prints an object with the keys request (as in 'han tracking list'), devices (a \
            list of objects with the keys request, user, variant, device, status, outcome (done, \
            underWay, failed or refused), detail, updated, updatedWall, and where known hub, \
            type, manufacturer, model, fromVersion, toVersion, percent, reported and reportedWall \
            (when its user acknowledged what became of it)) and timeline, a list of objects \
            with status, detail, time, wall, and where there is one device, percent, notice, \
            message (in hex) and explanation: an object with the keys title, caption, fields (a \
            list of objects with name, hex and meaning), and of what is a GBCS message kind and, \
            where known, useCase.
            """)

    @Argument(
        help: ArgumentHelp(
            "As in 90-B3-D5-1F-30-01-00-00:90-B3-D5-1F-30-00-00-02:1000.",
            valueName: "request-id"),
        completion: .custom { _, _, prefix in Completions.requests(prefix) })
    var request: RequestID

    @OptionGroup var from: StoreArguments

    @Option(help: ArgumentHelp("Only this device, and what became of it.", valueName: "eui64"))
    var device: EUI64?

    @Flag(help: "Print JSON.")
    var json = false

    /// More than fifty thousand devices are in no request, and a device has some dozens of hops.
    private static let most = 100_000

    func run() throws {
        let store = try from.open()
        try Failure.converting {
            guard let row = try store.request(request) else {
                throw Failure(.missing, "there is no request \(request) in '\(store.path)'")
            }
            var filter = TrackingFilter()
            filter.request = request
            filter.device = device
            let targets = try all { try store.targets(filter, after: $0, limit: 1000) }
            if let device, targets.isEmpty {
                throw Failure(.missing, "the request \(request) is not for the device \(device)")
            }
            let single = targets.count == 1 ? targets.first?.device : nil
            let hops = try all {
                try store.timeline(of: request, device: device ?? single, after: $0, limit: 1000)
            }
            let story = Story(
                request: row, devices: targets, timeline: hops.map { ExplainedHop($0) })
            if json {
                try Output.json(story)
            } else {
                try Output.write(story.text(Terminal(descriptor: STDOUT_FILENO).style))
            }
        }
    }

    private func all<Row>(_ page: (PageKey?) throws -> Page<Row>) throws -> [Row] {
        var (rows, key) = ([] as [Row], nil as PageKey?)
        repeat {
            let next = try page(key)
            rows += next.rows
            key = next.next
        } while key != nil && rows.count < Self.most
        return rows
    }
}

/// What is told of a request, in the shape of the JSON.
private struct Story: Encodable {
    var request: RequestRow
    var devices: [TargetRow]
    var timeline: [ExplainedHop]

    func text(_ style: Terminal.Style) -> String {
        var facts = [
            ["request", request.id.description],
            ["user", request.user.description],
            ["service", request.variant],
        ]
        func add(_ name: String, _ value: String?) {
            if let value { facts.append([name, Output.harmless(value)]) }
        }
        add("version", request.fileVersion.map(Words.version) ?? request.version)
        add("for", [request.manufacturer, request.model].compactMap(\.self).joined(separator: " "))
        add("received", "\(request.received.iso8601), at \(iso8601(wall: request.receivedWall))")
        add("answered", request.code.rawValue)
        add("status", "\(request.processing.words) (\(request.status.rawValue))")
        add(
            "devices",
            TrackingListCommand.words(
                request.counts, reported: request.reportedDevices, none: "none"))
        add("reported", request.reported?.iso8601)
        var text = Output.columns(facts.filter { !$0[1].isEmpty })
        if !devices.isEmpty { text += "\n" + table(style) }
        text += "\n"
        for event in timeline { text += event.text(style) }
        return text
    }

    private func table(_ style: Terminal.Style) -> String {
        let head = ["DEVICE", "TYPE", "HUB", "FROM", "TO", "STATUS", "SINCE", "REPORTED", ""]
        let rows = devices.map { row in
            var status = row.status.rawValue
            if row.status == .downloading, let percent = row.percent { status += " \(percent) %" }
            let cells = [
                row.device.description, row.type?.rawValue ?? "", row.hub?.description ?? "",
                row.fromVersion.map(Words.version) ?? "", row.toVersion.map(Words.version) ?? "",
                status, row.updated.iso8601, row.reported?.iso8601 ?? "-", row.detail,
            ]
            return (cells, row.status.outcome.tone)
        }
        return Output.table(head, rows, style)
    }
}

extension ExplainedHop {
    /// How many bytes are shown in a line.
    private static let lineLength = 16

    fileprivate func text(_ style: Terminal.Style) -> String {
        var line =
            "\(hop.time.iso8601)  \(style.paint(hop.status.rawValue, hop.status.outcome.tone))"
        if let percent = hop.percent { line += " \(percent) %" }
        if !hop.detail.isEmpty { line += ": \(Output.harmless(hop.detail))" }
        if let notice = hop.notice { line += " (notice \(notice))" }
        guard let message = hop.message else { return line + "\n" }
        guard let explanation, let kind = explanation.kind else {
            return line + "\n    no GBCS message: \(Hex.string(message))\n"
        }
        line +=
            "\n    \(explanation.useCase ?? "unknown") \(kind), \(Output.size(message.count))\n"
        var rows: [[String]] = []
        for field in explanation.fields {
            var hex = Hex.string(field.bytes)[...]
            var lines: [String] = []
            repeat {
                lines.append(String(hex.prefix(2 * Self.lineLength)))
                hex = hex.dropFirst(2 * Self.lineLength)
            } while !hex.isEmpty
            rows.append(["      " + field.name, lines[0], Output.harmless(field.meaning)])
            rows += lines.dropFirst().map { ["", $0] }
        }
        return line + Output.columns(rows)
    }
}
