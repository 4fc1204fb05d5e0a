import Foundation
import TestSupport
import Testing

/// Nodes that are not ours, in a home whose other members are.
@Suite("Foreign nodes")
struct ForeignNodeTests {
    @Test("the Python example joins the PAN through the hub and fetches its next image")
    func python() throws {
        let run = try LiveRun(
            """
              - join: [ESME]
                within: 10 min
              - deliver: {image: esme-2, to: [ESME]}
              - await: {outcome: verified, devices: [ESME]}
                within: 1 h
            """, ["--without", "ESME"])
        let endpoint = try run.endpoint()
        let image = run.folder.path + "/image.ota"
        let node = try RunHan.run(
            RunHan.root + "/.build/venv/bin/python",
            ["Tools/python/example_node.py", endpoint, "--output", image], in: RunHan.root,
            timeout: 120)
        #expect(node.code == 0, "\(node.errors)")
        #expect(node.output.contains("joined PAN 0x"))
        #expect(node.output.contains("offered 0x03020001"))
        let result = run.wait()
        #expect(result.code == 0, "\(result.errors)")
        // An independent reading of what it fetched: the signature is the supplier's.
        let verdict = try RunHan.han([
            "image", "verify", image, "--certificate",
            RunHan.root + "/Firmware/keys/supplier-test.pem",
        ])
        #expect(verdict.code == 0, "\(verdict.errors)")
        let lines = RunHan.root + "/Tools/python/example_node.py"
        #expect(
            try String(contentsOfFile: lines, encoding: .utf8).split(separator: "\n").count < 200)
    }

    @Test("the C example takes the network key by its install code and announces itself")
    func c() throws {
        let run = try LiveRun(
            """
              - join: [ESME, PPMID]
                within: 10 min
              - wait: 3 min
            """, ["--without", "PPMID"])
        let program = run.folder.path + "/example_node"
        let swift = ProcessInfo.processInfo.environment["SWIFT"] ?? ""
        let compiler =
            swift.contains("/")
            ? URL(filePath: swift).deletingLastPathComponent().appending(path: "clang").path
            : "clang"
        let build = try RunHan.run(
            compiler,
            [
                "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror", "-O2", "-o",
                program, "Tools/c/example_node.c", "-lzmq", "-lcrypto",
            ], in: RunHan.root)
        try #require(build.code == 0, "\(build.errors)")
        let node = try RunHan.run(
            program,
            [
                try run.endpoint(), "PPMID", "0247420000000103",
                "D7DECF3ED55B2AFC922B4444D7A284469FA8",
            ], timeout: 120)
        #expect(node.code == 0, "\(node.errors)")
        #expect(node.output.contains("on channel 11") && node.output.contains("joined PAN 0x"))
        let result = run.wait()
        #expect(result.code == 0, "\(result.errors)")
        #expect(try run.events("associated").contains { $0.contains("PPMID") })
        // The hub has opened what it announced with the key that it sent it.
        let announced = try run.events("deviceAnnounced").filter {
            $0.contains(#""node":"CH""#) && $0.contains(#""device":"0247420000000103""#)
        }
        #expect(announced.count == 1)
        let verdict = try Tshark.judge(
            capture: run.folder.path + "/out/trace.pcapng", keys: run.folder.path + "/out")
        #expect(verdict.complaints == [])
        // An install code has 18 bytes.
        let other = try RunHan.run(program, ["ipc:///tmp/none", "PPMID", "0247420000000103", "D7"])
        #expect(other.code == 64 && other.errors.contains("INSTALL-CODE"))
        let source = try String(
            contentsOfFile: RunHan.root + "/Tools/c/example_node.c", encoding: .utf8)
        #expect(source.split(separator: "\n").count < 400)
    }

    @Test("--without must name a member, and needs processes")
    func names() throws {
        let unknown = try RunHan.han(["run", "demo", "--transport", "zmq", "--without", "ESME-9"])
        #expect(unknown.code == 66)
        #expect(unknown.errors.contains("CH, ESME, GSME, PPMID, HCALCS"))
        #expect(try RunHan.han(["run", "demo", "--without", "ESME"]).code == 64)
    }

    @Test("a node that falls silent is declared lost, and the run fails where it stands")
    func silence() throws {
        let run = try LiveRun(
            """
              - join: [ESME]
                within: 10 min
              - wait: 700 h
            """, ["--without", "ESME", "--patience", "2"])
        let node = try run.start(["node", "--name", "ESME", "--air", run.endpoint()])
        try run.await("step 2 of 2")
        kill(node.processIdentifier, SIGSTOP)
        let result = run.wait()
        kill(node.processIdentifier, SIGKILL)
        #expect(result.code == 1)
        #expect(
            result.errors.contains("step 2, 'wait' (line 9): ESME is lost: its process did not"),
            "\(result.errors)")
        let lost = try run.events("nodeLost")
        #expect(lost.count == 1 && lost[0].contains("\"unanswered\""))
    }

    @Test("with lostNode: continue a node that is lost comes back, and the run goes on")
    func comeback() throws {
        let run = try LiveRun(
            """
              - join: [ESME]
                within: 10 min
              - wait: 120 h
              - join: [ESME]
                within: 600 h
            """, ["--without", "ESME", "--patience", "2"], settings: "lostNode: continue\n")
        let flash = run.folder.path + "/flash"
        let arguments = [
            "node", "--name", "ESME", "--air", try run.endpoint(), "--flash", flash,
        ]
        let first = try run.start(arguments)
        try run.await("step 2 of 3")
        // The run cannot pass before it is back.
        kill(first.processIdentifier, SIGSTOP)
        try run.await("ESME is lost")
        kill(first.processIdentifier, SIGKILL)
        first.waitUntilExit()
        let second = try RunHan.han(arguments, timeout: 120)
        #expect(second.code == 0, "\(second.errors)")
        let result = run.wait()
        #expect(result.code == 0, "\(result.errors)")
        #expect(try run.events("nodeLost").count == 1)
        #expect(try run.events("poweredOn").count { $0.contains("ESME") } == 2)
    }

    @Test("a part that dies before the run begins fails it, and is named")
    func stillborn() throws {
        let run = try LiveRun("  - join: [ESME]", ["--without", "ESME"])
        _ = try run.endpoint()
        let part = try run.part("GSME")
        kill(part, SIGKILL)
        let result = run.wait()
        #expect(result.code == 69)
        #expect(
            result.errors.contains("the run never began: GSME was ended by signal 9"),
            "\(result.errors)")
    }
}

/// `han run` as a process, with its members, on a scenario of the standard home.
final class LiveRun {
    let folder: TemporaryFolder
    private let process = Process()
    private let ended = DispatchSemaphore(value: 0)

    init(_ steps: String, _ options: [String], settings: String = "") throws {
        folder = try TemporaryFolder()
        let scenario = try folder.write(
            Array(
                """
                kind: scenario
                title: A home with a node from elsewhere
                home: standard
                start: 2026-03-02T09:00:00Z
                \(settings)timeLimit: 720 h
                steps:
                \(steps)

                """.utf8), as: "foreign.yaml")
        let errors = try folder.write([], as: "errors")
        process.executableURL = URL(filePath: RunHan.binary)
        process.arguments =
            ["run", scenario, "--transport", "zmq", "--out", folder.path + "/out"] + options
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle(forWritingAtPath: errors)
        let ended = ended
        process.terminationHandler = { _ in ended.signal() }
        try process.run()
    }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    private var errors: String {
        (try? String(contentsOfFile: folder.path + "/errors", encoding: .utf8)) ?? ""
    }

    /// Until it says something, for two minutes at most.
    func await(_ words: String) throws {
        for _ in 0..<12_000 where !errors.contains(words) { usleep(10_000) }
        try #require(errors.contains(words), "\(errors)")
    }

    /// Where a node can join, as the run says it.
    func endpoint() throws -> String {
        try self.await("and waits for")
        let words = errors.split(whereSeparator: \.isWhitespace)
        return String(try #require(words.first { $0.hasPrefix("ipc://") }))
    }

    /// Starts another `han` that ends with its run.
    func start(_ arguments: [String]) throws -> Process {
        let other = Process()
        other.executableURL = URL(filePath: RunHan.binary)
        other.arguments = arguments
        other.standardInput = FileHandle.nullDevice
        other.standardOutput = FileHandle.nullDevice
        other.standardError = FileHandle.nullDevice
        try other.run()
        return other
    }

    /// The process of a member that the run has started.
    func part(_ name: String) throws -> pid_t {
        let own = process.processIdentifier
        for _ in 0..<12_000 {
            let children =
                (try? String(contentsOfFile: "/proc/\(own)/task/\(own)/children", encoding: .utf8))
                ?? ""
            for child in children.split(separator: " ").compactMap({ pid_t($0) }) {
                let command =
                    (try? String(contentsOfFile: "/proc/\(child)/cmdline", encoding: .utf8)) ?? ""
                if command.split(separator: "\0").contains(Substring(name)) { return child }
            }
            usleep(10_000)
        }
        return try #require(nil, "\(name) was not started")
    }

    func wait() -> (code: Int32, errors: String) {
        if ended.wait(timeout: .now() + 180) == .timedOut {
            kill(process.processIdentifier, SIGKILL)
            ended.wait()
            Issue.record("the run did not end")
        }
        ended.signal()
        let code = process.terminationStatus
        return (process.terminationReason == .uncaughtSignal ? 128 + code : code, errors)
    }

    /// Lines of events.jsonl with this kind.
    func events(_ kind: String) throws -> [String] {
        try String(contentsOfFile: folder.path + "/out/events.jsonl", encoding: .utf8)
            .split(separator: "\n").map(String.init).filter { $0.contains("\"\(kind)\"") }
    }
}
