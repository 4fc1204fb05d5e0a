import Foundation

/// One figure of a benchmark.
package struct Row: Encodable {
    package enum Better: String, Encodable { case higher, lower }

    package var name: String
    package var ours: Double
    /// Nil where there is nothing to compare to.
    package var reference: Double?
    /// Ours by the reference; without one, ours in the unit that the name says.
    package var ratio: Double
    /// Nil for a figure that only informs.
    package var target: Double?
    package var better: Better
    /// What is measured, in what unit, against what.
    package var title: String

    package init(
        name: String, ours: Double, reference: Double?, ratio: Double, target: Double?,
        better: Better, title: String
    ) {
        self.name = name
        self.ours = ours
        self.reference = reference
        self.ratio = ratio
        self.target = target
        self.better = better
        self.title = title
    }

    /// A figure without a target has nothing to miss.
    package var met: Bool {
        guard let target else { return true }
        return better == .higher ? ratio >= target : ratio <= target
    }

    private enum Key: CodingKey { case name, ours, reference, ratio, target, better, met }

    package func encode(to encoder: any Encoder) throws {
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
package struct Rounds {
    package private(set) var ours: [Double] = []
    package private(set) var references: [Double] = []

    package init() {}

    package mutating func add(_ ours: Double, against reference: Double) {
        self.ours.append(ours)
        references.append(reference)
    }

    /// Nil if it was not taken.
    package func row(
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

package func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/// The rows as a program or a person reads them.
package enum Report {
    package static func json(_ rows: [Row]) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(rows), as: UTF8.self)
    }

    package static func table(_ rows: [Row]) -> String {
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
