import Foundation
import Testing

@Test("the top level holds the agreed entries and nothing else")
func topLevel() {
    let agreed: Set = [
        "Package.swift", "Sources", "Tests", "Profiles", "Firmware", "Tools", "README.md",
        "LICENSE", "docs", ".ci", ".gitignore", ".swift-format",
    ]
    let found = Set(Checkout.files.map(Checkout.topLevel))
    #expect(found.subtracting(agreed).sorted() == [])
}

@Test("no source file is longer than 600 lines")
func fileLength() throws {
    for path in Checkout.sources {
        let text = try #require(try Checkout.text(of: path), "\(path) is not UTF-8 text")
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).count - 1
        #expect(lines <= 600, "\(path) has \(lines) lines; it is two files")
    }
}

@Test("every Swift file is compiled: it lies in the folder of a target of Package.swift")
func noDeadFiles() throws {
    let manifest = try #require(try Checkout.text(of: "Package.swift"))
    for path in Checkout.files where path.hasSuffix(".swift") && path != "Package.swift" {
        let inTree = ["Sources/", "Tests/", "Tools/benchmarks/", "Tools/fuzzing/"]
            .contains(where: path.hasPrefix)
        let target = Checkout.target(of: path) ?? ""
        #expect(
            inTree
                && (manifest.contains("name: \"\(target)\"")
                    || manifest.contains("path: \"Sources/\(target)\"")),
            "no target compiles \(path)")
    }
}

/// Words that mark work left undone, and folders that exist on one machine only. Put together
/// here from pieces, or this file would be the first to be found.
private let unfinished = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]
private let homes = ["work", "root", "farm", "home", "Users"].map { "/" + $0 + "/" }

func unfinishedWords(in text: String, path: String) -> [Breach] {
    text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().flatMap {
        index, line in
        line.split { !($0.isLetter || $0.isNumber || $0 == "_") }.compactMap { word in
            unfinished.contains(String(word))
                ? Breach(path: path, line: index + 1, message: "\(word) marks unfinished work")
                : nil
        }
    }
}

/// Absolute paths of a machine: a known folder's name where a path begins.
func machinePaths(in text: String, path: String) -> [Breach] {
    var breaches: [Breach] = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    where line.utf8.contains(UInt8(ascii: "/")) {
        for home in homes {
            for range in line.ranges(of: home) {
                let before =
                    range.lowerBound == line.startIndex
                    ? " " : line[line.index(before: range.lowerBound)]
                // In the middle of a longer path or address it is only a name.
                guard !(before.isLetter || before.isNumber || "._-/~}*".contains(before)) else {
                    continue
                }
                breaches.append(
                    Breach(
                        path: path, line: index + 1,
                        message: "\(home) is a folder of one machine"))
            }
        }
    }
    return breaches
}

@Test("nothing in the tree is marked unfinished or names a folder of one machine")
func noTraces() throws {
    #expect(Checkout.files.count > 30)
    for path in Checkout.files {
        guard let text = try Checkout.text(of: path) else { continue }
        let found = unfinishedWords(in: text, path: path) + machinePaths(in: text, path: path)
        for breach in found { Issue.record("\(breach)") }
    }
}

@Test("marks of unfinished work and paths of a machine are found")
func plantedTraces() {
    let marked = "fine\n// " + unfinished[0] + ": later"
    #expect(unfinishedWords(in: marked, path: "a").map(\.line) == [2])
    #expect(unfinishedWords(in: unfinished[0] + "_LIST " + unfinished[1] + "S", path: "a") == [])
    for home in homes {
        #expect(machinePaths(in: "open(\"\(home)han\")", path: "a").count == 1)
        #expect(machinePaths(in: "\(home)han", path: "a").count == 1)
    }
    #expect(machinePaths(in: "https://example.org" + homes[0] + "a  x" + homes[1], path: "a") == [])
}

/// What `.swift-format` sets for code it does not hold comments and long texts to.
private let columns = 100

private func longLines(in text: String, path: String) -> [Breach] {
    let lines: [Substring] = text.split(separator: "\n", omittingEmptySubsequences: false)
    return lines.indices.filter { lines[$0].count > columns }.map {
        Breach(path: path, line: $0 + 1, message: "longer than \(columns) columns")
    }
}

@Test("no line of code or of a comment is longer than 100 columns")
func lineLength() throws {
    // Templates of pages are HTML.
    for path in Checkout.files
    where path.hasSuffix(".swift") && !path.hasPrefix("Sources/Console/Pages/") {
        guard let text = try Checkout.text(of: path) else { continue }
        for breach in longLines(in: text, path: path) { Issue.record("\(breach)") }
    }
    let planted = "short\n/// " + String(repeating: "x", count: columns)
    #expect(longLines(in: planted, path: "a").map(\.line) == [2])
}

/// Prose is what is neither in a table nor in a block of code.
private func longProse(in text: String, path: String) -> [Breach] {
    let lines: [Substring] = text.split(separator: "\n", omittingEmptySubsequences: false)
    var isCode = false
    return lines.indices.compactMap { index in
        let line = lines[index].drop { $0 == " " }
        if line.hasPrefix("```") { isCode.toggle() }
        guard !isCode, !line.hasPrefix("|"), lines[index].count > columns else { return nil }
        return Breach(path: path, line: index + 1, message: "longer than \(columns) columns")
    }
}

@Test("no line of a document's prose is longer than 100 columns")
func proseLength() throws {
    let documents = Checkout.files.filter { $0.hasSuffix(".md") }
    #expect(documents.count > 5)
    for path in documents {
        let text = try #require(try Checkout.text(of: path), "\(path) is not UTF-8 text")
        for breach in longProse(in: text, path: path) { Issue.record("\(breach)") }
    }
    let long = String(repeating: "x", count: columns)
    let planted = "\(long)\n| \(long)\n```\n\(long) y\n```\n- \(long)"
    #expect(longProse(in: planted, path: "a").map(\.line) == [6])
}

@Test("every public type at the top level of a file says what it is in a doc comment")
func documentedTypes() throws {
    for path in Checkout.sources where path.hasSuffix(".swift") {
        let text = try #require(try Checkout.text(of: path), "\(path) is not UTF-8 text")
        for breach in undocumentedTypes(in: text, path: path) { Issue.record("\(breach)") }
    }
}

func undocumentedTypes(in text: String, path: String) -> [Breach] {
    let kinds: Set = ["struct", "enum", "class", "actor", "protocol"]
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    return lines.indices.compactMap { index in
        let words = lines[index].split(separator: " ").map(String.init)
        guard !lines[index].hasPrefix(" "), words.contains("public"),
            let kind = words.firstIndex(where: kinds.contains),
            words[..<kind].allSatisfy({ $0.allSatisfy(\.isLetter) || $0.hasPrefix("@") }),
            words[kind...].count > 1
        else { return nil }
        var above = index - 1
        while above >= 0 && lines[above].hasPrefix("@") { above -= 1 }
        if above >= 0 && (lines[above].hasPrefix("///") || lines[above].hasSuffix("*/")) {
            return nil
        }
        return Breach(path: path, line: index + 1, message: "no doc comment: \(lines[index])")
    }
}

@Test("a public type without a doc comment is found")
func plantedType() {
    let text = """
        /// Documented.
        @frozen
        public struct A {
            public enum B {}
            public var classes: [Int]
        }

        public final class C {}
        enum D {}
        """
    #expect(undocumentedTypes(in: text, path: "a").map(\.line) == [8])
}
