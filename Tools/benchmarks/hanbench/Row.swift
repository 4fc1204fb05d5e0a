import Foundation

/// One figure of a benchmark.
struct Row: Encodable {
    enum Better: String, Encodable { case higher, lower }

    var name: String
    var ours: Double
    /// Nil where there is nothing to compare to.
    var reference: Double?
    /// Ours by the reference; without one, ours in the unit that the name says.
    var ratio: Double
    /// Nil for a figure that only informs.
    var target: Double?
    var better: Better
    /// What is measured, in what unit, against what.
    var title: String

    /// A figure without a target has nothing to miss.
    var met: Bool {
        guard let target else { return true }
        return better == .higher ? ratio >= target : ratio <= target
    }

    private enum Key: CodingKey { case name, ours, reference, ratio, target, better, met }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(name, forKey: .name)
        try container.encode(ours, forKey: .ours)
        // `encode` and not `encodeIfPresent`: the key is always there, with null for none.
        try container.encode(reference, forKey: .reference)
        try container.encode(ratio, forKey: .ratio)
        try container.encode(target, forKey: .target)
        try container.encode(better, forKey: .better)
        try container.encode(met, forKey: .met)
    }
}

/// The same figure taken several times, ours and the reference's in turn.
struct Rounds {
    private(set) var ours: [Double] = []
    private(set) var references: [Double] = []

    mutating func add(_ ours: Double, against reference: Double) {
        self.ours.append(ours)
        references.append(reference)
    }

    /// Nil if it was not taken.
    func row(
        _ name: String, target: Double?, _ better: Row.Better, title: String
    ) -> Row? {
        ours.isEmpty
            ? nil
            : Row(
                name: name, ours: median(ours), reference: median(references),
                ratio: median(zip(ours, references).map { $0 / $1 }), target: target,
                better: better, title: title)
    }
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

enum Report {
    static func json(_ rows: [Row]) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(rows), as: UTF8.self)
    }

    static func table(_ rows: [Row]) -> String {
        var lines = [["name", "ours", "reference", "ratio", "target", "met", "what"]]
        for row in rows {
            let limit = row.better == .higher ? "≥" : "≤"
            lines.append([
                row.name, number(row.ours), row.reference.map(number) ?? "-", number(row.ratio),
                row.target.map { "\(limit) \(number($0))" } ?? "-",
                row.target == nil ? "-" : row.met ? "yes" : "NO", row.title,
            ])
        }
        let widths = (0..<lines[0].count).map { column in
            lines.map { $0[column].count }.max() ?? 0
        }
        return lines.map { line in
            line.enumerated().map { column, text in
                let padding = String(repeating: " ", count: widths[column] - text.count)
                // Figures stand to the right, words to the left.
                return (1...4).contains(column) ? padding + text : text + padding
            }.joined(separator: "  ").trimmingCharacters(in: .whitespaces)
        }.joined(separator: "\n")
    }

    /// Three significant digits at least, no exponent.
    static func number(_ value: Double) -> String {
        switch abs(value) {
        case 0: "0"
        case 1000...: String(format: "%.0f", value)
        case 100...: String(format: "%.1f", value)
        default: String(format: "%.3g", value)
        }
    }
}
