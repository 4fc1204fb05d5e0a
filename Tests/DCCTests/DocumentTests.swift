import DCC
import Foundation
import Testing

/// The rows of the tables of docs/dcc.md whose first or second cell is a name in code type.
private func rows() throws -> [[String]] {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../docs/dcc.md")
    return try String(contentsOf: path, encoding: .utf8).split(separator: "\n")
        .filter { $0.hasPrefix("| ") }
        .map { line in
            line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
}

@Suite("docs/dcc.md")
struct DocumentTests {
    @Test("names each situation with its usual response code, in the code's order")
    func codes() throws {
        let rows = try rows()
        let start = try #require(rows.firstIndex { $0.first == "`codes`" })
        let written = rows[(start + 1)...].prefix { $0.count == 3 && $0[0].hasPrefix("`") }
        #expect(
            written.map { "\($0[0]) \($0[1])" }
                == ResponseCodes.Situation.allCases.map { "`\($0.rawValue)` \($0.usual)" })
    }

    @Test("names each cause of an alert with its usual code", arguments: AlertCodes.Cause.allCases)
    func alerts(cause: AlertCodes.Cause) throws {
        let row = try #require(
            try rows().first { $0.count == 4 && $0[1] == "`\(cause.rawValue)`" },
            "no row for \(cause)")
        #expect(row[2].split(separator: " ").first.map(String.init) == cause.usual)
    }
}
