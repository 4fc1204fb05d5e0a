import Foundation
import TestSupport
import Testing

/// A page as libxml2's parser of HTML sees it, asked with XPath by `xmllint`.
struct Page {
    /// What the parser complains of, but for elements that it is too old to know.
    let complaints: [String]
    private let text: String
    private let folder: TemporaryFolder

    init(_ text: String) throws {
        self.text = text
        folder = try TemporaryFolder()
        try Data(text.utf8).write(to: folder.url.appending(path: "page.html"))
        let checked = try Command.run(
            "xmllint", ["--html", "--noout", folder.path("page.html")])
        complaints = checked.errors.split(separator: "\n").map(String.init).filter {
            $0.contains("error") && !$0.contains("Tag ") && !$0.isEmpty
        }
    }

    private func ask(_ path: String) -> String {
        let answer = try? Command.run(
            "xmllint", ["--html", "--nowarning", "--xpath", path, folder.path("page.html")])
        return answer?.output ?? ""
    }

    func count(_ path: String) -> Int {
        Int(ask("count(\(path))").trimmingCharacters(in: .whitespacesAndNewlines)) ?? -1
    }

    /// Of attributes.
    func values(_ path: String) -> [String] {
        ask(path).split(separator: "\n").compactMap { line in
            guard let start = line.firstIndex(of: "\""), let end = line.lastIndex(of: "\""),
                start < end
            else { return nil }
            return String(line[line.index(after: start)..<end])
                .replacingOccurrences(of: "&amp;", with: "&")
        }
    }

    /// Of the first that is found, with single blanks.
    func text(_ path: String) -> String {
        ask("normalize-space(\(path))").trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
