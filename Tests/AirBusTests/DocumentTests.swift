import AirBus
import Foundation
import Radio
import TestSupport
import Testing
import Wire

/// docs/air-protocol.md is what others write nodes from: what it says is what the code does.
@Suite("The document of the air protocol")
struct DocumentTests {
    private static let text: String = {
        let file = Reference.project.appending(path: "docs/air-protocol.md")
        return (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    }()

    private static let lines = text.split(separator: "\n", omittingEmptySubsequences: false)

    /// The blocks that are marked as `hex` and a name; a line's comment begins with a semicolon.
    private static let blocks: [(name: String, bytes: [UInt8]?)] = {
        var blocks: [(name: String, bytes: [UInt8]?)] = []
        var digits: String?
        for line in lines {
            if line.hasPrefix("```hex ") {
                blocks.append((String(line.dropFirst(7)), nil))
                digits = ""
            } else if line == "```" {
                if let digits { blocks[blocks.count - 1].bytes = Hex.bytes(digits) }
                digits = nil
            } else {
                digits?.append(contentsOf: line.prefix { $0 != ";" }.filter { $0 != " " })
            }
        }
        return blocks
    }()

    /// The rows of the tables under a heading of the second order, cell by cell.
    private func rows(under heading: String) throws -> [[String]] {
        let first = try #require(Self.lines.firstIndex(of: "## \(heading)"[...]))
        let section = Self.lines[(first + 1)...].prefix { !$0.hasPrefix("## ") }
        return section.filter { $0.hasPrefix("| ") }.map { line in
            line.split(separator: "|", omittingEmptySubsequences: false)
                .dropFirst().dropLast().map { $0.trimmingCharacters(in: .whitespaces) }
        }
    }

    @Test("every example is in the document once, and it has no other")
    func names() {
        let names = Self.blocks.map(\.name)
        #expect(names.sorted() == Catalogue.examples.keys.sorted())
    }

    @Test("the encoder writes every example as the document has it", arguments: blocks.map(\.name))
    func encoded(name: String) throws {
        let block = try #require(Self.blocks.first { $0.name == name })
        let bytes = try #require(block.bytes, "the digits of \(name) are no bytes")
        #expect(Hex.string(bytes) == Catalogue.examples[name].map { Hex.string($0) })
    }

    @Test("every example can be read, and comes to the same again", arguments: blocks.map(\.name))
    func decoded(name: String) throws {
        let block = try #require(Self.blocks.first { $0.name == name })
        let message = Catalogue.message(around: try #require(block.bytes), name)
        #expect(try recode(message) == message)
    }

    @Test("there is an example of every kind of message, input, action, WAN message and order")
    func complete() {
        let whole = Self.blocks.filter { block in
            !["input-", "action-", "wan-", "order-"].contains { block.name.hasPrefix($0) }
                || block.name.hasSuffix("-request")
        }
        #expect(
            Set(whole.compactMap { $0.bytes?.first })
                == Set(MessageKind.allCases.map(\.rawValue)))
        // Each list of tags ends where `HostileTests` finds the first that is not known.
        for (prefix, last) in [("input", 7), ("action", 15), ("wan", 7), ("order", 8)] {
            let tags = Self.blocks.filter {
                $0.name.hasPrefix(prefix + "-") && !$0.name.hasSuffix("-request")
            }
            #expect(Set(tags.compactMap { $0.bytes?.first }) == Set(0...UInt8(last)), "\(prefix)")
        }
    }

    @Test("the dialogue's answers name its turns, and its node stays in time")
    func dialogue() throws {
        func bytes(_ step: Int) throws -> [UInt8] {
            try #require(Self.blocks.first { $0.name == "dialogue-\(step)" }?.bytes)
        }
        var turn = BusTurn()
        var out = Outbox()
        var deadline = Instant.zero
        for step in [3, 5, 7] {
            let (asked, answered) = (try bytes(step), try bytes(step + 1))
            try AirProtocol.decodeTurn(asked.span, into: &turn)
            let head = try AirProtocol.decodeAnswer(
                answered.span, into: &out, node: 1, now: turn.time)
            #expect(head.turn == turn.number)
            #expect(head.nextDeadline >= turn.time)
            if case .tick = turn.input { #expect(turn.time == deadline) }
            deadline = head.nextDeadline
        }
    }

    @Test("the document has every error with its number and name")
    func errors() throws {
        let rows = try rows(under: "Errors and limits")
        for code in AirErrorCode.allCases {
            let row = rows.first { $0.first == "\(code.rawValue)" }
            #expect(row?[1] == "`\(code.name)`")
        }
        let limits = rows.map { $0.joined(separator: " ") }.joined(separator: "\n")
        for limit in [
            AirProtocol.messageLimit, AirProtocol.actionLimit, AirProtocol.psduLimit,
            AirProtocol.targetLimit, AirProtocol.chunkLimit, AirProtocol.flashLimit,
            Int(AirProtocol.measurementLimit.microseconds),
        ] {
            #expect(limits.contains(limit.formatted(.number.locale(.init(identifier: "en_GB")))))
        }
    }

    @Test("the document has every kind of event with its number and the names of its values")
    func events() throws {
        let rows = try rows(under: "Events, reasons and their numbers")
        let wanted =
            EventKind.allCases.map { kind in
                let fields = kind.fields.map { "`\($0.name)`" }.joined(separator: " ")
                return ["\(kind.rawValue)", "`\(kind.name)`", fields]
            }
            + DropReason.allCases.map { ["\($0.rawValue)", "`\($0.name)`"] }
            + RefusalReason.allCases.map { ["\($0.rawValue)", "`\($0.name)`"] }
        let found = rows.filter { Int($0[0]) != nil }
        #expect(found.count == wanted.count)
        for (row, wanted) in zip(found, wanted) {
            #expect(row.count == 3 && Array(row.prefix(wanted.count)) == wanted)
        }
    }

    @Test("the document says of every kind of event whether it is a milestone")
    func milestones() throws {
        let start = try #require(Self.text.range(of: "All are milestones"))
        let sentence = Self.text[start.upperBound...].prefix { $0 != "." }
        let named = Set(sentence.matches(of: #/`(\w+)`/#).map { String($0.output.1) })
        #expect(named == Set(EventKind.allCases.filter { !$0.isMilestone }.map(\.name)))
    }

    @Test("every link within the document leads somewhere")
    func links() {
        let anchors = Self.lines.filter { $0.hasPrefix("#") }.map { line in
            let title = line.drop { $0 == "#" }.dropFirst().lowercased()
            return title.filter { $0.isLetter || $0.isNumber || " -_".contains($0) }
                .replacing(" ", with: "-")
        }
        #expect(Set(anchors).count == anchors.count)
        for link in Self.text.matches(of: #/\]\(#([^)]+)\)/#) {
            #expect(anchors.contains(String(link.output.1)), "\(link.output.1)")
        }
    }
}
