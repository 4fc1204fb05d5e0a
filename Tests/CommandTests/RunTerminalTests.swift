import Foundation
import TestSupport
import Testing

/// Programs run with a terminal of their own, made by Python's `pty`.
enum PseudoTerminal {
    /// Runs a program with standard input and error, and unless `keepOutput` is false output, on a
    /// terminal of the given size. `interruptAfter` sends `signal` once that text has been seen.
    private static let script = """
        import fcntl, os, pty, signal, struct, sys, termios
        columns, rows, keep, after = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
        number = getattr(signal, sys.argv[5])
        pid, terminal = pty.fork()
        if pid == 0:
            fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
            signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
            if keep != 'yes':
                os.dup2(os.open('/dev/null', os.O_WRONLY), 1)
            os.execv(sys.argv[6], sys.argv[6:])
        seen = b''
        while True:
            try:
                part = os.read(terminal, 65536)
            except OSError:
                break
            if not part:
                break
            seen += part
            if after and after.encode() in seen:
                # As `timeout` does, which sends to its child and to its group.
                os.kill(pid, number)
                os.kill(pid, number)
                after = ''
        status = os.waitpid(pid, 0)[1]
        sys.stdout.buffer.write(seen)
        code = os.waitstatus_to_exitcode(status)
        sys.exit(code if code >= 0 else 128 - code)
        """

    static func han(
        _ arguments: [String], columns: Int = 100, rows: Int = 40, keepOutput: Bool = false,
        interruptAfter: String = "", signal: String = "SIGINT",
        _ environment: [String: String] = [:]
    ) throws -> RunHan.Result {
        try RunHan.run(
            "/usr/bin/python3",
            ["-c", script, "\(columns)", "\(rows)", keepOutput ? "yes" : "no", interruptAfter]
                + [signal]
                + [RunHan.binary] + arguments, in: RunHan.root,
            environment: Runs.neutral.merging(environment) { _, new in new })
    }

    /// Text without its control sequences; nil if there are others than of colour, moving up and
    /// clearing what is below.
    static func plain(_ text: String) -> String? {
        var rest = text[...]
        var plain = ""
        while let escape = rest.firstIndex(of: "\u{1B}") {
            plain += rest[..<escape]
            let sequence = rest[escape...].prefix(8)
            guard let match = sequence.firstMatch(of: /^\u{1B}\[([0-9;]*)([mAJ])/) else {
                return nil
            }
            rest = rest[match.range.upperBound...]
        }
        return plain + rest
    }
}

@Suite("Progress of han run")
struct RunTerminalTests {
    typealias TemporaryFolder = CommandTests.TemporaryFolder

    static var colour: Regex<Substring> { /\u{1B}\[[0-9;]*m/ }

    @Test("without a terminal each milestone has a line with its time, and no control character")
    func plainLines() throws {
        let result = try Runs.han(["demo"])
        for text in [result.output, result.errors] {
            #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || $0.value >= 0x20 })
        }
        let lines = result.errors.split(separator: "\n").dropFirst()
        #expect(lines.count > 40 && lines.count < 150)
        #expect(lines.allSatisfy { $0.contains(/^ *\d+:\d\d:\d\d  [^ ]|^ *\d+:\d\d:\d\d    [^ ]/) })
        for step in 1...25 { #expect(lines.contains { $0.contains("step \(step) of 25: ") }) }
        for words in [
            "CH has formed a network", "ESME has joined", "GSME has verified",
            "CH drops the image for PPMID: the hub's own firmware cannot update",
            "PPMID has asked: nothing is offered", "CH activates 0x02000100",
            "ESME takes a command: CS06, activate firmware",
            "HCALCS reports 8F72: firmware verification successful",
            "PPMID reports 8F8B: PPMID firmware activation",
            "CH is back in its network", "CH reads back 0x01010204 from PPMID",
        ] { #expect(result.errors.contains(words), "\(words)") }
    }

    @Test("a device that is struck off leaves, is refused, and comes back once it is added")
    func deviceLog() throws {
        let folder = try TemporaryFolder()
        let story = try Runs.scenario(
            """
              - join: all
              - remove: [PPMID]
              - permitJoining: 30 min
              - wait: 10 min
              - add: [PPMID]
              - join: [PPMID]
            """, in: folder)
        let result = try Runs.han(["run", story])
        #expect(result.code == 0, "\(result.errors)")
        for words in [
            "PPMID has left the network",
            "PPMID cannot join yet: it is not in the hub's device log",
            "CH has put PPMID in its device log",
        ] { #expect(result.errors.contains(words), "\(words)") }
        #expect(!result.errors.contains("is off\n"))
        #expect(!result.errors.contains("the network key did not arrive"))
        #expect(result.errors.components(separatedBy: "PPMID has joined").count == 3)
    }

    @Test("--quiet says nothing at all when all is well, on a terminal or not")
    func quiet() throws {
        let result = try Runs.han(["demo", "--quiet"])
        #expect(result.output.isEmpty && result.errors.isEmpty)
        #expect(try PseudoTerminal.han(["demo", "--quiet"], keepOutput: true).output.isEmpty)
    }

    @Test("on a terminal there are bars, redrawn in place, and colours")
    func bars() throws {
        let result = try PseudoTerminal.han(["demo"])
        #expect(result.code == 0)
        #expect(result.output.contains("█"))
        #expect(result.output.contains(Self.colour))
        #expect(result.output.contains(/\u{1B}\[\dA\u{1B}\[J/))
        let text = try #require(PseudoTerminal.plain(result.output))
        for name in ["ESME", "GSME", "PPMID", "HCALCS"] {
            #expect(
                text.contains(
                    try Regex("  \(name) +0x[0-9A-F]{8}  runs its new firmware +█+ +100 % .*KiB")))
        }
        #expect(text.contains("✓ PPMID and HCALCS run their new firmware"))
    }

    @Test("with NO_COLOR there are bars but no colours")
    func noColour() throws {
        let result = try PseudoTerminal.han(["demo"], keepOutput: true, ["NO_COLOR": "1"])
        #expect(result.output.contains("█"))
        #expect(!result.output.contains(Self.colour))
        #expect(result.output.contains("DEVICE"))
    }

    @Test("a dumb terminal gets plain lines")
    func dumb() throws {
        let result = try PseudoTerminal.han(["demo"], keepOutput: true, ["TERM": "dumb"])
        #expect(result.code == 0)
        #expect(!result.output.contains(Runs.escape))
        #expect(result.output.contains("step 25 of 25"))
    }

    @Test("a locale without UTF-8 gets ASCII only")
    func ascii() throws {
        let result = try PseudoTerminal.han(["demo"], keepOutput: true, ["LC_ALL": "C"])
        #expect(result.output.utf8.allSatisfy { $0 < 0x80 })
        #expect(result.output.contains("######"))
    }

    @Test("no line of progress is wider than the terminal", arguments: [24, 40, 60, 80, 132])
    func width(columns: Int) throws {
        let result = try PseudoTerminal.han(["demo"], columns: columns)
        #expect(result.code == 0)
        let text = try #require(PseudoTerminal.plain(result.output))
        for line in text.split(whereSeparator: \.isNewline) {
            #expect(line.count < columns, "\(line)")
        }
    }

    @Test("a terminal with few rows is not scrolled by drawing")
    func fewRows() throws {
        let result = try PseudoTerminal.han(["demo"], rows: 4)
        #expect(result.code == 0)
        for match in result.output.matches(of: /\u{1B}\[(\d+)A/) {
            #expect(try #require(Int(match.1)) < 4)
        }
    }

    @Test(
        "a signal stops a run, whose evidence reaches so far",
        arguments: [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)] as [(String, Int32)])
    func stopped(signal: String, code: Int32) throws {
        let folder = try TemporaryFolder()
        let story = try Runs.scenario(
            "  - join: all\n  - title: It waits\n    wait: 2999 d", in: folder)
        let out = folder.path + "/out"
        let result = try PseudoTerminal.han(
            ["run", story, "--out", out], interruptAfter: "It waits", signal: signal)
        #expect(result.code == code)
        let text = try #require(PseudoTerminal.plain(result.output))
        #expect(text.contains("han: \(signal) after "), "\(text.suffix(300))")
        #expect(text.contains("stopped in step 2, 'It waits' (line 8)"))
        let summary = try Runs.summary(
            String(decoding: try folder.read("out/summary.json"), as: UTF8.self))
        #expect(summary.outcome == "failed")
        let verdict = try Tshark.judge(
            capture: out + "/trace.pcapng", keys: out + "/zigbee_pc_keys")
        #expect(verdict.complaints.prefix(3) == [] && verdict.frames == summary.frames)
        #expect(
            String(decoding: try folder.read("out/events.jsonl"), as: UTF8.self).hasSuffix("}\n"))
    }

    @Test("SIGINT ends a run at once and leaves the terminal as it was")
    func interrupt() throws {
        let folder = try TemporaryFolder()
        let story = try Runs.scenario("  - join: all\n  - wait: 2999 d", in: folder)
        let result = try PseudoTerminal.han(["run", story], interruptAfter: "\u{1B}[J")
        #expect(result.code == 130)
        // Nothing but colours and moves that were undone: no hidden cursor, no other screen.
        let text = try #require(PseudoTerminal.plain(result.output))
        #expect(text.last?.isNewline == true)
        let opened = result.output.matches(of: Self.colour).map { String($0.output) }
        #expect(opened.last.map { $0 == "\u{1B}[0m" } ?? true)
    }
}

@Suite("Output that cannot be written")
struct RunOutputTests {
    typealias TemporaryFolder = CommandTests.TemporaryFolder

    /// Runs han through a shell, which connects its streams.
    private func shell(_ line: String) throws -> RunHan.Result {
        try RunHan.run(
            "bash", ["-c", line, "bash", RunHan.binary], in: RunHan.root,
            environment: Runs.neutral)
    }

    @Test(
        "a full disk under standard output exits 74 and says so",
        arguments: [
            "demo", "demo --json", "image list", "profile list", "--help", "--version",
            "--generate-completion-script bash",
        ])
    func full(arguments: String) throws {
        let result = try shell("exec \"$1\" \(arguments) >/dev/full")
        #expect(result.code == 74)
        #expect(
            result.errors.hasSuffix(
                "han: standard output cannot be written: No space left on device\n"))
    }

    @Test("messages that cannot be written change no exit code")
    func noErrors() throws {
        #expect(try shell("exec \"$1\" run nosuch 2>/dev/full").code == 66)
        #expect(try shell("exec \"$1\" demo --json 2>/dev/full >/dev/null").code == 0)
        #expect(try shell("exec \"$1\" run nosuch 2>&-").code == 66)
    }

    @Test("a reader that goes away ends it quietly, and the evidence is whole all the same")
    func brokenPipe() throws {
        let folder = try TemporaryFolder()
        let result = try shell(
            "\"$1\" demo --out '\(folder.path)' 2>&1 | head -n 1; exit ${PIPESTATUS[0]}")
        #expect(result.code == 141)
        #expect(result.output.split(separator: "\n").count == 1 && result.errors.isEmpty)
        let summary = try folder.read("summary.json")
        #expect(try Runs.summary(String(decoding: summary, as: UTF8.self)).outcome == "passed")
    }

    @Test(
        "what would block or never end is no input file: 74", arguments: ["/dev/zero", "/dev/tty"])
    func devices(path: String) throws {
        let result = try Runs.han(["image", "inspect", path])
        #expect(result.code == 74)
        #expect(result.errors.hasPrefix("han: '\(path)' "))
    }

    @Test("a pipe that somebody writes to is read like a file")
    func pipe() throws {
        let result = try shell("\"$1\" profile validate <(cat Profiles/homes/standard.yaml)")
        #expect(result.code == 65 || result.code == 0)
        #expect((result.output + result.errors).contains("/dev/fd/"))
        let scenario = try shell("\"$1\" run --quiet <(cat Profiles/scenarios/demo.yaml)")
        #expect(scenario.code == 0, "\(scenario.errors)")
    }
}

@Suite("Completion")
struct RunCompletionTests {
    typealias TemporaryFolder = CommandTests.TemporaryFolder

    @Test("each shell's script names the commands", arguments: ["bash", "zsh", "fish"])
    func scripts(shell: String) throws {
        let result = try Runs.han(["--generate-completion-script", shell])
        #expect(result.code == 0)
        for word in ["demo", "run", "profile", "image", "keep-identity"] {
            #expect(result.output.contains(word), "\(word)")
        }
    }

    @Test("bash completes the names of scenarios and roles")
    func bash() throws {
        let folder = try TemporaryFolder()
        let script = try folder.write(
            Array(try Runs.han(["--generate-completion-script", "bash"]).output.utf8),
            as: "han.bash")
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/han", withDestinationPath: RunHan.binary)
        func complete(_ line: String) throws -> [String] {
            let words = line.split(separator: " ", omittingEmptySubsequences: false)
            let result = try RunHan.run(
                "bash",
                [
                    "-c",
                    """
                    source '\(script)'
                    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
                    function=$(complete -p han | sed 's/.*-F \\([^ ]*\\).*/\\1/')
                    "$function" han "${@: -1}" "${@: -2:1}"
                    printf '%s\\n' "${COMPREPLY[@]}"
                    """, "bash",
                ] + words.map(String.init), in: RunHan.root,
                environment: ["PATH": folder.path + ":/usr/bin:/bin"])
            #expect(result.code == 0, "\(result.errors)")
            return result.output.split(separator: "\n").map {
                $0.trimmingCharacters(in: .whitespaces)
            }
        }
        #expect(try complete("han run ").contains("new-hub"))
        #expect(try complete("han run de") == ["demo"])
        #expect(try complete("han de").contains("demo"))
        #expect(try complete("han demo --image G") == ["GSME="])
    }
}
