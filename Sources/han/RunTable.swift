import Evidence
import Foundation
import Lab
import Wire

/// What `han run` prints when a run has ended: what became of each image, how fast that was, and
/// where the evidence is.
struct RunTable {
    let result: RunResult
    let scenario: Scenario
    let home: Home
    /// Columns there are.
    let width: Int
    let style: Terminal.Style

    private var summary: Summary { result.summary }

    var text: String {
        var parts = [heading, table]
        let findings = RunFindings(summary).sentences
        if !findings.isEmpty { parts.append(wrapped(findings.joined(separator: " "))) }
        parts.append(closing)
        if let folder = result.folder { parts.append(evidence(in: folder)) }
        return "\n" + parts.joined(separator: "\n")
    }

    private var heading: String {
        let verdict = summary.outcome == .passed ? "passed" : "FAILED"
        let start = Date(
            timeIntervalSinceReferenceDate: TimeInterval(scenario.start.secondsSince2000)
                - Self.referenceDate)
        let facts =
            "Scenario \(scenario.name) in the home \(home.name), seed \(summary.seed), "
            + "from \(start.formatted(.iso8601)): "
        // The verdict is the last word, so it ends the last line.
        return wrapped(facts + verdict).dropLast(verdict.count + 1)
            + style.paint(verdict, summary.outcome == .passed ? .good : .bad) + "\n"
    }

    /// From 2000-01-01, where UTCTime counts from, to 2001-01-01, where Foundation does.
    private static let referenceDate: TimeInterval = 366 * 86_400

    // MARK: - The table

    private struct Cell {
        var text: String
        var tone = Tone.plain

        init(_ text: String, _ tone: Tone = .plain) {
            self.text = text
            self.tone = tone
        }
    }

    /// A row of the table and, where there is something to explain, the line below it.
    private struct Row {
        var cells: [Cell]
        var note: String?
    }

    private static let headings = [
        "DEVICE", "BEFORE", "AFTER", "HUB RAN", "OUTCOME", "BLOCKS", "FRAMES", "TIME",
    ]
    /// The columns from here on hold numbers.
    private static let firstNumber = 5
    /// The column under which notes begin.
    private static let noteColumn = 4

    private var table: String {
        // Where it is narrow the hexadecimal prefix goes first.
        var rows = rows(prefix: true)
        if !fits(rows) { rows = self.rows(prefix: false) }
        if !fits(rows) { return paragraphs }
        let widths = columns(of: rows)
        let indentation = widths[..<Self.noteColumn].reduce(0) { $0 + $1 + 2 }
        var text = line(Self.headings.map { Cell($0, .strong) }, widths)
        for row in rows {
            text += line(row.cells, widths)
            guard let note = row.note else { continue }
            for part in Self.wrap(note, width: max(24, width - indentation)) {
                text +=
                    String(repeating: " ", count: indentation) + style.paint(part, .quiet) + "\n"
            }
        }
        return text
    }

    private func fits(_ rows: [Row]) -> Bool {
        columns(of: rows).reduce(0, +) + 2 * (Self.headings.count - 1) <= width
    }

    /// What the table says, for a terminal that is too narrow for its columns: a line for each
    /// device, and below it what became of each image.
    private var paragraphs: String {
        func indented(_ text: String) -> [String] {
            Self.wrap(text, width: max(8, width - 2)).map { "  " + $0 }
        }
        var lines: [String] = []
        for device in summary.devices {
            let after = device.versionAfter.map(Words.version) ?? "unknown"
            let versions = "\(Words.version(device.versionBefore)) -> \(after)"
            lines += Self.wrap("\(device.name) \(versions)", width: width)
            if device.attempts.isEmpty { lines += indented("no image sent") }
            for attempt in device.attempts {
                let reason = attempt.reason.map { ": " + Words.reason($0) } ?? ""
                lines += indented(
                    attempt.outcome.words + " (the hub ran \(Words.version(attempt.hubFirmware)))"
                        + reason)
                lines += indented(
                    "\(Words.count(attempt.blocks)) blocks, \(Words.count(attempt.frames)) frames, "
                        + Words.clock(attempt.virtualTime))
            }
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private func rows(prefix: Bool) -> [Row] {
        let version = { (version: UInt32?) in
            guard let version else { return "unknown" }
            return prefix ? Words.version(version) : Hex.string(UInt64(version), digits: 8)
        }
        return summary.devices.flatMap { device -> [Row] in
            let name = Cell(device.name, .strong)
            guard !device.attempts.isEmpty else {
                return [
                    Row(
                        cells: [
                            name, Cell(version(device.versionBefore)),
                            Cell(version(device.versionAfter)), Cell("-"), Cell("no image sent"),
                        ])
                ]
            }
            return device.attempts.enumerated().map { index, attempt in
                let isFirst = index == 0
                let isLast = index + 1 == device.attempts.count
                let hasBlocks = device.role != .communicationsHub
                return Row(
                    cells: [
                        isFirst ? name : Cell(""),
                        Cell(isFirst ? version(device.versionBefore) : ""),
                        Cell(isLast ? version(device.versionAfter) : ""),
                        Cell(version(attempt.hubFirmware)),
                        Cell(attempt.outcome.words, attempt.outcome.tone),
                        Cell(hasBlocks ? Words.count(attempt.blocks) : "-"),
                        Cell(Words.count(attempt.frames)), Cell(Words.clock(attempt.virtualTime)),
                    ], note: attempt.reason.map(Words.reason))
            }
        }
    }

    private func columns(of rows: [Row]) -> [Int] {
        Self.headings.indices.map { column in
            rows.reduce(Self.headings[column].count) { widest, row in
                row.cells.indices.contains(column)
                    ? max(widest, row.cells[column].text.count) : widest
            }
        }
    }

    private func line(_ cells: [Cell], _ widths: [Int]) -> String {
        var line = ""
        var pending = ""
        for (column, cell) in cells.enumerated() {
            let blanks = String(repeating: " ", count: widths[column] - cell.text.count)
            let isNumber = column >= Self.firstNumber
            if isNumber { pending += blanks }
            // Blanks are kept back until something follows them.
            if !cell.text.isEmpty {
                line += pending + style.paint(cell.text, cell.tone)
                pending = ""
            }
            pending += (isNumber ? "" : blanks) + "  "
        }
        return line + "\n"
    }

    // MARK: - The rest

    private var closing: String {
        let virtual = summary.virtualTime
        var text =
            "\(Words.duration(virtual)) of virtual time and \(Words.count(summary.frames)) frames "
            + "in \(Words.decimal(summary.wallSeconds, places: 2)) s"
        if summary.wallSeconds > 0 {
            let factor = (virtual.inSeconds / summary.wallSeconds).rounded()
            text +=
                ": \(Words.count(UInt64(max(0, min(factor, 1e15))))) times faster than real time"
        }
        return wrapped(text + ".")
    }

    private func evidence(in folder: OutputFolder) -> String {
        let contents: [(OutputFolder.File, String)] = [
            (.trace, "every frame as it was sent"),
            (.events, "everything that happened, an event a line"),
            (.summary, "what is said above"),
            (.keys, "the run's keys in Wireshark's format"),
        ]
        let rows = contents.map { ["  " + folder.path(of: $0.0), $0.1] }
        let columns = Output.columns(rows)
        let fits = columns.split(separator: "\n").allSatisfy { $0.count <= width }
        return "Evidence:\n" + (fits ? columns : Output.columns(rows.map { [$0[0]] }))
            + "\nOpen the capture decrypted with:\n  "
            + WiresharkKeys.openCommand(folder: folder) + "\n"
    }

    private func wrapped(_ text: String) -> String {
        Self.wrap(text, width: width).map { $0 + "\n" }.joined()
    }

    /// Breaks text between words, so that no line is longer than `width` unless a word is.
    static func wrap(_ text: String, width: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty, line.count + 1 + word.count > width {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        return line.isEmpty ? lines : lines + [line]
    }
}

/// What a run shows about hub firmware and updates, found by grouping the devices' attempts by the
/// firmware that their hub ran.
struct RunFindings {
    /// Attempts under one hub firmware.
    private struct Group {
        var hub: UInt32
        /// Devices by how their attempts ended.
        var devices: [AttemptOutcome: [String]] = [:]
        var updated: [String] { devices[.updated] ?? [] }
    }

    let sentences: [String]

    init(_ summary: Summary) {
        let devices = summary.devices.filter { $0.role != .communicationsHub }
        let groups = Self.hubVersions(summary, devices).map { version in
            var group = Group(hub: version)
            for device in devices {
                for attempt in device.attempts where attempt.hubFirmware == version {
                    group.devices[attempt.outcome, default: []].append(device.name)
                }
            }
            return group
        }
        sentences =
            groups.compactMap(Self.sentence) + (Self.rule(groups, devices).map { [$0] } ?? [])
    }

    private static func sentence(_ group: Group) -> String? {
        let clauses = AttemptOutcome.allCases.compactMap { outcome -> String? in
            guard let names = group.devices[outcome], let first = names.first else { return nil }
            let isOne = names == [first]
            let verb =
                switch outcome {
                case .updated: isOne ? "was updated" : "were updated"
                case .notOffered: isOne ? "was offered nothing" : "were offered nothing"
                case .rejected: isOne ? "rejected its image" : "rejected their images"
                case .gaveUp: "gave up downloading"
                case .notActivated: isOne ? "did not run its image" : "did not run their images"
                case .discarded:
                    isOne ? "had its image discarded" : "had their images discarded"
                case .incomplete: "did not finish"
                }
            return "\(Words.list(names)) \(verb)"
        }
        guard !clauses.isEmpty else { return nil }
        return "Behind hub firmware \(Words.version(group.hub)), "
            + clauses.joined(separator: "; ") + "."
    }

    /// The hub's versions in the order in which it ran them, as its own attempts and those of the
    /// devices show them.
    private static func hubVersions(
        _ summary: Summary, _ devices: [Summary.Device]
    ) -> [UInt32] {
        var versions: [UInt32] = []
        let hub = summary.devices.first { $0.role == .communicationsHub }
        if let hub { versions = [hub.versionBefore] + hub.attempts.map(\.hubFirmware) }
        for device in devices { versions += device.attempts.map(\.hubFirmware) }
        var seen: Set<UInt32> = []
        return versions.filter { seen.insert($0).inserted }
    }

    /// If some devices were refused by the hub's old firmware and updated by a later one: that.
    private static func rule(_ groups: [Group], _ devices: [Summary.Device]) -> String? {
        for (index, old) in groups.enumerated() {
            for new in groups[(index + 1)...] {
                let held = devices.filter { device in
                    new.updated.contains(device.name)
                        && device.attempts.contains {
                            $0.hubFirmware == old.hub
                                && $0.reason == RefusalReason.hubLacksSupport.name
                        }
                }
                guard !held.isEmpty else { continue }
                let names = held.map(\.name)
                var text =
                    "So \(Words.list(names)) could be updated only once the hub itself ran "
                    + Words.version(new.hub)
                let free = old.updated.filter { !names.contains($0) }
                if !free.isEmpty { text += "; \(Words.list(free)) did not need that" }
                return text + "."
            }
        }
        return nil
    }
}
