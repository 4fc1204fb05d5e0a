import Evidence
import Foundation
import TestSupport
import Testing
import Wire

/// What `docs/` says of the files is what the code writes.
@Suite("The documents of the evidence")
struct DocumentTests {
    /// The rows of the table under a heading, cell by cell, without its head.
    private func table(_ document: String, under heading: String) throws -> [[String]] {
        let file = Reference.project.appending(path: "docs/\(document)")
        let text = try String(contentsOf: file, encoding: .utf8)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let first = try #require(lines.firstIndex(of: "## \(heading)"[...]))
        let section = lines[(first + 1)...].prefix { !$0.hasPrefix("## ") }
        return section.filter { $0.hasPrefix("| `") }.map { line in
            line.split(separator: "|", omittingEmptySubsequences: false)
                .dropFirst().dropLast().map { $0.trimmingCharacters(in: .whitespaces) }
        }
    }

    private func code(_ names: [String]) -> [String] { names.map { "`\($0)`" } }

    @Test("docs/events.md has every kind of event with its fields, in order, and no other")
    func events() throws {
        let rows = try table("events.md", under: "Events")
        #expect(rows.map { $0[0] } == code(EventKind.allCases.map(\.name)))
        for (kind, row) in zip(EventKind.allCases, rows) {
            #expect(row[1] == code(kind.fields.map(\.name)).joined(separator: " "))
            #expect(row.count == 3 && !row[2].isEmpty)
        }
    }

    @Test("docs/events.md has every reason to drop a frame, in the words of the capture")
    func dropReasons() throws {
        let rows = try table("events.md", under: "Drop reasons")
        #expect(rows == DropReason.allCases.map { ["`\($0.name)`", $0.words] })
    }

    @Test("docs/events.md has every order of the bench")
    func orders() throws {
        let rows = try table("events.md", under: "Orders of the bench")
        #expect(rows.map { $0[0] } == code(BenchOrder.allCases.map(\.name)))
        #expect(rows.allSatisfy { $0.count == 2 && !$0[1].isEmpty })
    }

    @Test("docs/events.md has every refusal")
    func refusals() throws {
        let rows = try table("events.md", under: "Refusals")
        #expect(rows.map { $0[0] } == code(RefusalReason.allCases.map(\.name)))
        #expect(rows.allSatisfy { $0.count == 2 && !$0[1].isEmpty })
    }

    @Test("docs/summary.md has every outcome of an attempt")
    func outcomes() throws {
        let rows = try table("summary.md", under: "Outcomes of an attempt")
        #expect(rows.map { $0[0] } == code(AttemptOutcome.allCases.map(\.rawValue)))
    }

    @Test("docs/summary.md has every field of the summary, in order")
    func summaryFields() throws {
        let attempt = Summary.Attempt(
            hubFirmware: 1, outcome: .updated, reason: nil, blocks: 1, frames: 1,
            virtualTime: .zero)
        let device = Summary.Device(
            name: "CH", role: .communicationsHub, eui64: EUI64(1), versionBefore: 1,
            versionAfter: 2, attempts: [attempt])
        var summary = Summary(
            scenario: "s", seed: 1, transport: "t", outcome: .passed, virtualTime: .zero,
            wallSeconds: 0, frames: 0, devices: [device])
        summary.processes = [.init(role: "AIR", eui64: nil, processID: 1)]
        let written = summary.json.matches(of: #/"(\w+)": /#).map { "`\($0.output.1)`" }
        let file = Reference.project.appending(path: "docs/summary.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let fields = try #require(text.components(separatedBy: "## Outcomes").first)
        let documented = fields.split(separator: "\n").filter { $0.hasPrefix("| `") }
            .map { $0.split(separator: "|")[0].trimmingCharacters(in: .whitespaces) }
        #expect(documented == written)
        for role in DeviceRole.allCases { #expect(fields.contains("`\(role.rawValue)`")) }
    }
}
