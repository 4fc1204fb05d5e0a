import Foundation
import Testing

@Suite("README")
struct RunReadmeTests {
    static let readme: String =
        (try? String(contentsOfFile: RunHan.root + "/README.md", encoding: .utf8)) ?? ""

    /// The lines of fenced blocks, each with the language of its block.
    static var blocks: [(language: String, lines: [String])] {
        var blocks: [(language: String, lines: [String])] = []
        var isInside = false
        for line in readme.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") {
                if !isInside { blocks.append((String(line.dropFirst(3)), [])) }
                isInside.toggle()
            } else if isInside {
                blocks[blocks.count - 1].lines.append(String(line))
            }
        }
        return blocks
    }

    /// The arguments of every call of `han` in the shell blocks, without comments and redirection.
    static var calls: [[String]] {
        blocks.filter { $0.language == "sh" }.flatMap(\.lines).compactMap { line in
            let words = line.split(separator: " ").map(String.init)
            guard let first = words.first, first == "han" || first == "Tools/han" else {
                return nil
            }
            return Array(words.dropFirst().prefix { $0 != "#" && $0 != ">" })
        }
    }

    /// What `han help COMMAND` prints.
    static func help(_ command: [String]) throws -> String {
        let result = try Runs.han(["help"] + command)
        #expect(result.code == 0, "\(command): \(result.errors)")
        return result.output
    }

    /// The commands that help text lists under a heading that holds `SUBCOMMANDS`.
    static func subcommands(_ help: String) -> [String] {
        guard let heading = help.range(of: "SUBCOMMANDS:\n") else { return [] }
        return help[heading.upperBound...].split(separator: "\n", omittingEmptySubsequences: false)
            .prefix { $0.hasPrefix("  ") }
            .filter { !$0.hasPrefix("   ") }
            .compactMap { $0.split(separator: " ").first.map(String.init) }
    }

    @Test("every call of han in the README names commands and options that there are")
    func calls() throws {
        #expect(Self.calls.count >= 15)
        for call in Self.calls {
            var command: [String] = []
            var help = try Self.help([])
            for word in call {
                guard Self.subcommands(help).contains(word) else { break }
                command.append(word)
                help = try Self.help(command)
            }
            #expect(!command.isEmpty || call.first?.hasPrefix("--") == true, "\(call)")
            for option in call where option.hasPrefix("-") && Int(option) == nil {
                let isKnown =
                    help.contains(
                        try Regex("(^|[ \\[])\(option)([ <\\]\n,]|$)").anchorsMatchLineEndings())
                    || option == "--generate-completion-script"
                #expect(isKnown, "\(call): \(option)")
            }
        }
    }

    @Test("every call of han in the README is accepted by the parser")
    func parsed() throws {
        // Files of the README do not exist, so that a call that parses ends with 66 at the worst.
        let folder = try TemporaryFolder()
        // The home that one starts and another ends.
        let homes = try RuntimeFolder()
        // A server only ends when it is told to; the console's stories have it.
        for call in Self.calls where call.first != "serve" {
            let result = try RunHan.han(
                call, in: folder.path,
                environment: [
                    "HAN_HOME": RunHan.root, "XDG_STATE_HOME": folder.path + "/state",
                ].merging(homes.environment) { $1 })
            // Here nobody waits until the device has what it is to activate.
            let isEarly =
                call.starts(with: ["ctl", "activate"]) && result.errors.contains("ESME refuses:")
            let expected: Set<Int32> = isEarly ? [1] : [0, 66]
            #expect(expected.contains(result.code), "\(call): \(result.errors)")
        }
    }

    @Test("every command and every option of a run is in the README")
    func complete() throws {
        let commands = Self.subcommands(try Self.help([])).filter { $0 != "help" }
        #expect(commands.contains("demo") && commands.contains("run"))
        var wanted = commands.map { "Tools/han \($0)" }
        for command in commands {
            for inner in Self.subcommands(try Self.help([command])) {
                wanted.append("Tools/han \(command) \(inner)")
            }
        }
        let options = try Self.help(["run"]).matches(of: /\n  (--[a-z-]+)/).map { $0.1 }
        #expect(options.count >= 7)
        wanted += options.map(String.init)
        #expect(wanted.filter { !Self.readme.contains($0) } == [])
    }

    @Test("the files that the README links to are there")
    func links() {
        let links = Self.readme.matches(of: /\]\(([^)#]+)\)/).map { String($0.1) }
        #expect(links.count >= 5)
        for link in links where !link.contains("://") {
            #expect(FileManager.default.fileExists(atPath: RunHan.root + "/" + link), "\(link)")
        }
    }

    @Test("the demo's output in the README is what the demo prints")
    func output() throws {
        // How long the machine took is its own affair.
        func settled(_ text: String) -> String {
            text.replacing(/in [\d.]+ s: [\d,]+ times/, with: "in … s: … times")
        }
        let shown = try #require(Self.blocks.first { $0.language == "text" }).lines
        let result = try Runs.han(["demo"], ["COLUMNS": "100"])
        let printed = result.output.trimmingCharacters(in: .newlines)
        #expect(
            settled(shown.joined(separator: "\n")) == settled(printed),
            "put the output of 'COLUMNS=100 Tools/han demo 2>/dev/null' into the block")
    }
}
