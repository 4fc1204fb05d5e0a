import Foundation
import Testing

/// What the tests about runs share.
enum Runs {
    /// `summary.json`, as far as tests look into it.
    struct Summary: Decodable, Equatable {
        struct Device: Decodable, Equatable {
            var name: String
            var role: String
            var versionBefore: String
            var versionAfter: String?
            var attempts: [Attempt]
        }
        struct Attempt: Decodable, Equatable {
            var hubFirmware: String
            var outcome: String
            var reason: String?
            var blocks: Int
        }
        var scenario: String
        var seed: UInt64
        var transport: String
        var outcome: String
        var virtualSeconds: Double
        var wallSeconds: Double
        var frames: Int
        var devices: [Device]

        func attempts(_ name: String) -> [String] {
            devices.first { $0.name == name }?.attempts.map(\.outcome) ?? []
        }
    }

    static func summary(_ text: String) throws -> Summary {
        try JSONDecoder().decode(Summary.self, from: Data(text.utf8))
    }

    /// A short story: the hub of the standard home forms its network and everybody joins.
    static func scenario(
        _ steps: String, home: String = "standard", in folder: TemporaryFolder
    ) throws -> String {
        try folder.write(
            Array(
                """
                kind: scenario
                title: A story of a test
                home: \(home)
                start: 2026-03-02T09:00:00Z
                timeLimit: 3000 d
                steps:
                \(steps)

                """.utf8), as: "story.yaml")
    }

    /// Control sequences begin with it.
    static let escape = "\u{1B}"
    /// What could change the outcome of a test from outside, set to nothing.
    static let neutral = [
        "NO_COLOR": "", "COLUMNS": "", "TERM": "xterm-256color", "LC_ALL": "C.UTF-8",
    ]

    static func han(_ arguments: [String], _ environment: [String: String] = [:]) throws
        -> RunHan.Result
    {
        try RunHan.han(
            arguments, in: RunHan.root,
            environment: neutral.merging(environment) { _, new in new })
    }
}

@Suite("han demo and han run")
struct RunCommandTests {
    @Test("the demo passes and shows that the hub's firmware decides about PPMID and HCALCS")
    func demo() throws {
        let result = try Runs.han(["demo", "--json", "--quiet"])
        #expect(result.code == 0, "\(result.errors)")
        #expect(result.errors.isEmpty)
        let summary = try Runs.summary(result.output)
        #expect(summary.scenario == "demo")
        #expect(summary.transport == "simulation")
        #expect(summary.outcome == "passed")
        #expect(summary.virtualSeconds > 3600)
        #expect(summary.frames > 10_000)
        #expect(summary.devices.map(\.role) == ["CH", "ESME", "GSME", "PPMID", "HCALCS"])
        for name in ["ESME", "GSME"] { #expect(summary.attempts(name) == ["updated"]) }
        for name in ["PPMID", "HCALCS"] {
            #expect(summary.attempts(name) == ["notOffered", "updated"])
            let device = try #require(summary.devices.first { $0.name == name })
            #expect(device.attempts.map(\.reason) == ["hubLacksSupport", nil])
            #expect(device.attempts[0].hubFirmware < device.attempts[1].hubFirmware)
            #expect(device.attempts[0].blocks == 0 && device.attempts[1].blocks > 500)
        }
        for device in summary.devices {
            #expect(try device.versionBefore < #require(device.versionAfter), "\(device.name)")
        }
    }

    @Test("the demo passes whatever the seed", arguments: 1...30)
    func everySeed(seed: Int) throws {
        let result = try Runs.han(["demo", "--quiet", "--seed", "\(seed)"])
        #expect(result.code == 0, "\(result.errors)")
        #expect(result.output.isEmpty && result.errors.isEmpty)
    }

    @Test("every scenario of the library passes")
    func library() throws {
        let folder = RunHan.root + "/Profiles/scenarios"
        let files = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        #expect(files.contains("demo.yaml"))
        for file in files {
            let result = try Runs.han(["run", "Profiles/scenarios/" + file, "--quiet"])
            #expect(result.code == 0, "\(file): \(result.errors)")
        }
    }

    @Test("'han demo' is 'han run demo'")
    func same() throws {
        var demo = try Runs.summary(try Runs.han(["demo", "--json"]).output)
        var run = try Runs.summary(try Runs.han(["run", "demo", "--json"]).output)
        (demo.wallSeconds, run.wallSeconds) = (0, 0)
        #expect(demo == run)
    }

    @Test("the table says what the summary says, and the rule that follows")
    func table() throws {
        let result = try Runs.han(["demo"])
        let lines = result.output.split(separator: "\n").map(String.init)
        let heading = try #require(lines.firstIndex { $0.hasPrefix("DEVICE") })
        #expect(lines[..<heading].contains { $0.contains("seed 1") && $0.hasSuffix("passed") })
        let cells = lines[(heading + 1)...].map { $0.split(separator: " ").map(String.init) }
        let summary = try Runs.summary(try Runs.han(["demo", "--json"]).output)
        for device in summary.devices {
            let row = try #require(cells.firstIndex { $0.first == device.name })
            #expect(cells[row].contains(device.versionBefore))
            #expect(cells[row].contains(device.attempts[0].hubFirmware))
            let last = cells[row...].first { $0.contains(device.versionAfter ?? "?") }
            #expect(last?.contains("updated") == true, "\(device.name)")
        }
        let text = lines.joined(separator: " ")
        #expect(text.contains("the hub's own firmware cannot update this type of device"))
        #expect(
            text.contains(
                "So PPMID and HCALCS could be updated only once the hub itself ran 0x02000100; "
                    + "ESME and GSME did not need that."))
        #expect(text.contains("times faster than real time"))
        #expect(lines.allSatisfy { $0.count <= 100 && !$0.hasSuffix(" ") })
    }

    @Test("the rule is read from the run: where nobody was refused, nothing is said of it")
    func noRule() throws {
        let folder = try TemporaryFolder()
        let story = try Runs.scenario(
            """
              - join: [PPMID]
              - wait: 2 min
              - deliver: {image: ppmid-2, to: [PPMID]}
                within: 5 min
              - await: {outcome: updated, devices: [PPMID]}
                within: 25 h
            """, home: "new-hub", in: folder)
        let result = try Runs.han(["run", story])
        #expect(result.code == 0, "\(result.errors)")
        #expect(result.output.contains("Behind hub firmware 0x02000100, PPMID was updated."))
        #expect(!result.output.contains("only once the hub"))
    }

    @Test(
        "where the table's columns do not fit, each attempt has its lines", arguments: [24, 40, 60])
    func paragraphs(columns: Int) throws {
        let result = try Runs.han(["demo"], ["COLUMNS": "\(columns)"])
        #expect(result.code == 0)
        let lines = result.output.split(separator: "\n")
        #expect(lines.allSatisfy { $0.count <= columns })
        let text = lines.joined(separator: " ").split(separator: " ").joined(separator: " ")
        #expect(
            text.contains(
                "PPMID 0x01000309 -> 0x01010204 not offered (the hub ran 0x01050200): the hub's "
                    + "own firmware cannot update this type of device 0 blocks, "))
        #expect(text.contains(" updated (the hub ran 0x02000100) 1,271 blocks, "))
    }

    @Test("the table fits 80 columns")
    func narrow() throws {
        let result = try Runs.han(["demo"], ["COLUMNS": "80"])
        #expect(result.code == 0)
        let lines = result.output.split(separator: "\n")
        #expect(lines.allSatisfy { $0.count <= 80 })
        #expect(lines.contains { $0.hasPrefix("PPMID") && $0.contains("not offered") })
    }

    @Test("a failed run exits 1 and names the step, its line and what was missing")
    func failed() throws {
        let folder = try TemporaryFolder()
        let story = try Runs.scenario(
            """
              - join: all
              - title: The PPMID is updated
                deliver: {image: ppmid-2, to: [PPMID]}
              - title: It runs its new firmware
                await: {outcome: updated, devices: [PPMID]}
                within: 1 h
            """, in: folder)
        let result = try Runs.han(["run", story, "--out", folder.path + "/out"])
        #expect(result.code == 1)
        #expect(
            result.errors.hasSuffix(
                "han: the run failed: step 3, 'It runs its new firmware' (line 10): not 'updated': "
                    + "PPMID (discarded: hubLacksSupport)\n"), "\(result.errors)")
        #expect(result.output.contains("FAILED"))
        #expect(!result.output.contains("only once the hub"))
        let summary = try Runs.summary(
            String(decoding: try folder.read("out/summary.json"), as: UTF8.self))
        #expect(summary.outcome == "failed")
        let quiet = try Runs.han(["run", story, "--quiet"])
        #expect(quiet.code == 1 && quiet.output.isEmpty)
        #expect(quiet.errors.hasPrefix("han: the run failed: "))
        #expect(quiet.errors.split(separator: "\n").count == 1)
    }

    @Test("--json prints the summary and nothing else, with progress on standard error")
    func json() throws {
        let result = try Runs.han(["demo", "--json"])
        #expect(result.output.hasPrefix("{") && result.output.hasSuffix("}\n"))
        #expect(result.errors.contains("step 25 of 25"))
        _ = try Runs.summary(result.output)
    }
}

@Suite("Bad input to han run")
struct RunBadInputTests {
    static let key = "Firmware/keys/supplier-test.pem"

    @Test(
        "arguments that do not fit exit 64 and say why",
        arguments: [
            (["run"], "scenario"),
            (["demo", "extra"], "extra"),
            (["demo", "--seed", "x"], "'x' is invalid"),
            (["demo", "--seed", "18446744073709551616"], "invalid"),
            (["demo", "--seed", "-1"], "The value '-1' is invalid for '--seed <seed>'"),
            (["demo", "--seed=-1"], "a whole number from 0 to 18446744073709551615"),
            (["demo", "--seed"], "Missing value for '--seed <seed>'"),
            (["demo", "--out", ""], "--out"),
            (["demo", "--out"], "--out"),
            (["demo", "--image", "ESME"], "'ESME' is invalid"),
            (["demo", "--image", "ESME"], "'=' and a file, as in ESME=my.ota"),
            (["demo", "--image", "=a.ota"], "as in ESME=my.ota"),
            (["demo", "--image", "ESME="], "as in ESME=my.ota"),
            (["demo", "--certificate", "="], "as in ESME=my.ota"),
            (["up", "--pace", "fast"], "expected real, virtual, or x and a number from 0.001"),
            (["up", "--pace", "x0"], "expected real, virtual, or x and a number from 0.001"),
            (["air", "--bind", "ipc:///tmp/a", "--pace", "xnan"], "to 10000, as in x10"),
            (["ctl", "link", "ESME", "CH", "--rssi", "abc"], "a whole number from -127 to 20"),
            (["ctl", "link", "ESME", "CH", "--rssi", "-128"], "a whole number from -127 to 20"),
            (["ps", "standard", "--air", "ipc:///tmp/a"], "both say which air"),
            (["demo", "--image", "ESME=a", "--image", "ESME=b"], "twice"),
            (["demo", "--image", "ESME=a", "--image", "esme=b"], "twice"),
            (["demo", "--keep-identity"], "--image"),
            (["demo", "--certificate", "PPMID=\(key)"], "no signature"),
            (["run", "one-of-two-esmes", "--image", "ESME-2=a"], "only to ESME"),
        ])
    func usage(arguments: [String], message: String) throws {
        let result = try Runs.han(arguments)
        #expect(result.code == 64)
        #expect(result.errors.contains(message), "\(result.errors)")
        #expect(result.output.isEmpty)
    }

    @Test(
        "what does not exist exits 66 and is named",
        arguments: [
            (["run", "nosuch"], "'nosuch'"),
            (["run", "demoo"], "did you mean 'demo'?"),
            (["run", "./nosuch.yaml"], "'./nosuch.yaml' does not exist"),
            (["demo", "--image", "ESME=nosuch.ota"], "'nosuch.ota' does not exist"),
            (["demo", "--certificate", "ESME=nosuch.pem"], "'nosuch.pem' does not exist"),
            (["demo", "--image", "EMSE=a.ota"], "did you mean 'ESME'?"),
            (["demo", "--image", "IHD=a.ota"], "there are CH, ESME, GSME, PPMID and HCALCS"),
            (["demo", "--transport", "zmq", "--without", "NOPE"], "--without NOPE: the home"),
            (["node", "--profile", "nosuch", "--air", "ipc:///tmp/a"], "homehub-2"),
            (["node", "--profile", "esmee", "--air", "ipc:///tmp/a"], "did you mean 'esme'?"),
        ])
    func missing(arguments: [String], message: String) throws {
        let result = try Runs.han(arguments)
        #expect(result.code == 66)
        #expect(result.errors.hasPrefix("han: ") && result.errors.contains(message))
        // Nothing else is said, such as what would have been run.
        #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
        #expect(result.output.isEmpty)
    }

    @Test(
        "broken files exit 65 and say where they are broken",
        arguments: [
            (["run", "Profiles/homes/standard.yaml"], "expected a scenario, found a home"),
            (["run", "README.md"], "README.md"),
            (
                ["demo", "--image", "ESME=README.md"],
                "README.md: offset 0, file identifier: found 0x"
            ),
            (["demo", "--certificate", "ESME=README.md"], "README.md: no usable P-256"),
        ])
    func broken(arguments: [String], message: String) throws {
        // A name without a slash is the library's; with one it is a file.
        let arguments = arguments.map { $0 == "README.md" ? "./README.md" : $0 }
        let result = try Runs.han(arguments)
        #expect(result.code == 65, "\(result.errors)")
        #expect(result.errors.contains(message), "\(result.errors)")
        #expect(result.output.isEmpty)
    }

    @Test("a broken scenario is refused with its line and field")
    func brokenScenario() throws {
        let folder = try TemporaryFolder()
        let story = try Runs.scenario("  - join: [EMSE]", in: folder)
        let result = try Runs.han(["run", story])
        #expect(result.code == 65)
        #expect(result.errors.contains("story.yaml:7:"), "\(result.errors)")
        #expect(result.errors.contains("ESME"))
    }

    @Test("an image cut short is refused with the offset and what was expected")
    func brokenImage() throws {
        let folder = try TemporaryFolder()
        let whole = folder.path + "/whole.ota"
        let build = try Runs.han(
            ["image", "build", "--size", "500", "--seed", "1", "--output", whole]
                + ["--manufacturer-code", "1", "--image-type", "1", "--file-version", "9"])
        try #require(build.code == 0, "\(build.errors)")
        let bytes = try folder.read("whole.ota")
        let cut = try folder.write(Array(bytes.dropLast(10)), as: "cut.ota")
        let result = try Runs.han(["demo", "--image", "PPMID=\(cut)"])
        #expect(result.code == 65)
        #expect(result.errors.contains("cut.ota: offset 52, total image size"))
        #expect(result.errors.contains("expected the file's \(bytes.count - 10)"))
        // An image without a signature is none for a meter.
        let unsigned = try Runs.han(["demo", "--image", "ESME=\(whole)"])
        #expect(unsigned.code == 65)
        #expect(unsigned.errors.contains("signature length"), "\(unsigned.errors)")
    }

    @Test("a folder that cannot be made exits 74, and a home without the folders 78")
    func inputOutput() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write([1], as: "file")
        let result = try Runs.han(["demo", "--quiet", "--out", file + "/out"])
        #expect(result.code == 74)
        #expect(result.errors.contains("cannot create the folder"))
        #expect(try Runs.han(["demo", "--image", "ESME=\(folder.path)"]).code == 74)
        let setting = try Runs.han(["demo"], ["HAN_HOME": folder.path])
        #expect(setting.code == 78)
        #expect(setting.errors.contains("HAN_HOME"))
    }
}
