import BenchmarkReport
import Foundation
import Testing

@Suite("What Tools/bench prints")
struct ReportTests {
    /// Figures as one run gave them, and two that cannot be: a target missed, nothing measured.
    static let rows: [Row] = {
        var ns3 = Rounds()
        for (ours, reference) in [(900_000, 200_000), (800_000, 250_000), (1_000_000, 200_000)] {
            ns3.add(Double(ours), against: Double(reference))
        }
        return [
            ns3.row("ns3", target: 3, .higher, title: "MAC frames/s"),
            Rounds().row("zigpy", target: 60, .higher, title: "not taken"),
            Row(
                name: "crypto", ours: 3.5, reference: 1, ratio: 3.5, target: 3, better: .lower,
                title: "µs a frame"),
            Row(
                name: "allocations", ours: 0, reference: nil, ratio: 0, target: 0, better: .lower,
                title: "a frame"),
            Row(
                name: "block-ms", ours: 10.4, reference: nil, ratio: 10.4, target: nil,
                better: .lower, title: "virtual ms"),
        ].compactMap(\.self)
    }()

    private func list() throws -> [[String: Any]] {
        let json = try JSONSerialization.jsonObject(with: Data(try Report.json(Self.rows).utf8))
        return try #require(json as? [[String: Any]])
    }

    @Test("the JSON is a list of rows with the same seven keys, null where there is nothing")
    func keys() throws {
        let list = try list()
        #expect(list.map { $0["name"] as? String } == ["ns3", "crypto", "allocations", "block-ms"])
        for row in list {
            #expect(
                Set(row.keys) == ["name", "ours", "reference", "ratio", "target", "better", "met"])
            #expect(["higher", "lower"].contains(row["better"] as? String))
            #expect(row["ours"] is Double && row["ratio"] is Double && row["met"] is Bool)
        }
        #expect(list[2]["reference"] is NSNull && list[3]["target"] is NSNull)
    }

    @Test("a ratio is the median of the rounds' ratios; without a reference it is ours")
    func ratios() throws {
        let list = try list()
        #expect(list[0]["ratio"] as? Double == 4.5)
        #expect(list[0]["ours"] as? Double == 900_000)
        #expect(list[0]["reference"] as? Double == 200_000)
        #expect(list[3]["ratio"] as? Double == 10.4)
    }

    @Test("met follows from ratio, target and what is better; without a target nothing is missed")
    func met() throws {
        #expect(try list().map { $0["met"] as? Bool } == [true, false, true, true])
    }

    @Test("the table has a line for each row, and says of no target that it is met")
    func table() {
        let lines = Report.table(Self.rows).split(separator: "\n").map(String.init)
        #expect(lines.count == Self.rows.count + 1)
        #expect(lines[0].hasPrefix("name"))
        #expect(lines[1].contains("≥ 3") && lines[1].contains("yes"))
        #expect(lines[2].contains("≤ 3") && lines[2].contains("NO"))
        #expect(lines[4].contains("10.4") && !lines[4].contains("yes"))
    }
}

@Suite("Tools/bench")
struct BenchScriptTests {
    @Test("an unknown benchmark exits 64 and names those that there are, before anything is built")
    func unknown() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let process = Process()
        process.executableURL = root.appending(path: "Tools/bench")
        process.arguments = ["frame"]
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let message = String(
            decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 64)
        #expect(
            message == "han: there is no benchmark 'frame'; there are: frames, air, gbcs, dcc\n")
        #expect(try output.fileHandleForReading.readToEnd() == nil)
    }
}
