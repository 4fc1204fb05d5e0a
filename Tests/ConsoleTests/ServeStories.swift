import Foundation
import TestSupport
import Testing

/// `han serve` as a process of its own, asked over HTTP as a service user would.
@Suite struct ServeStories {
    /// A server that is ended with the test, and where it listens.
    final class Served: @unchecked Sendable {
        let process = Process()
        let folder: TemporaryFolder
        let log: URL
        private(set) var port = 0

        static let binary: String = {
            let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") }
                .map { URL(filePath: $0).deletingLastPathComponent().appending(path: "han") }
            let usual = Reference.project.appending(path: ".build/release/han")
            return [bundle, usual].compactMap { $0?.path }
                .first { FileManager.default.isExecutableFile(atPath: $0) } ?? usual.path
        }()

        init(_ folder: TemporaryFolder, _ arguments: [String], run: Int = 1) async throws {
            self.folder = folder
            log = folder.url.appending(path: "log\(run)")
            try Data().write(to: log)
            process.executableURL = URL(filePath: Self.binary)
            process.arguments =
                ["serve", "--port", "0", "--state", folder.path("state")] + arguments
            process.environment = ProcessInfo.processInfo.environment
                .merging(["HAN_HOME": Reference.project.path]) { $1 }
            process.standardInput = FileHandle.nullDevice
            let file = try FileHandle(forWritingTo: log)
            process.standardOutput = file
            process.standardError = file
            try process.run()
            let isUp = await eventually {
                guard let line = said.first(where: { $0.contains("listening at") }) else {
                    return !process.isRunning
                }
                port = Int(line.split(separator: ":").last ?? "") ?? 0
                return port > 0
            }
            guard isUp, port > 0 else {
                throw HTTPClient.Failure(description: said.joined(separator: "\n"))
            }
        }

        deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

        var said: [String] {
            ((try? String(contentsOf: log, encoding: .utf8)) ?? "").components(separatedBy: "\n")
        }

        var client: HTTPClient { HTTPClient(port: port) }

        /// A signed 11.4 for a PPMID, the standard home's unless given.
        func request(
            _ counter: Int, user: String = "90B3D51F30010000", device: String = "0247420000000103"
        ) async throws -> [UInt8] {
            let keys = folder.path("state") + "/keys"
            let made = try await blocking {
                try Command.run(
                    Self.binary,
                    [
                        "duis", "request", "11.4", "--image", "ppmid-2", "--device",
                        device, "--keystore", keys, "--user", user, "--counter",
                        "\(counter)",
                    ], environment: ["HAN_HOME": Reference.project.path])
            }
            #expect(made.status == 0, "\(made.errors)")
            return Array(made.output.utf8)
        }

        func post(_ bytes: [UInt8]) async throws -> String {
            let answer = try await client.ask(
                "POST", "/api/v1/serviceD", GatewayTests.xml, body: bytes)
            #expect(answer.status == 200)
            return answer.text
        }

        func end() async -> Int32 {
            process.terminate()
            _ = await eventually { !process.isRunning }
            return process.terminationStatus
        }
    }

    static func code(_ response: String) -> String? {
        response.components(separatedBy: "ResponseCode>").dropFirst().first?
            .components(separatedBy: "<").first
    }

    /// The standard DCC, but for where results go and how long images take to the hub.
    static func profile(
        _ url: String, in folder: TemporaryFolder, notices: String = "{}"
    ) throws -> String {
        let path = folder.path("dcc.yaml")
        let text = """
            kind: dcc
            title: A DCC that delivers at once
            users:
              - id: 90-B3-D5-1F-30-01-00-00
                name: Supplier One
                roles: [IS, GS]
                responseURL: \(url)
            defaultRegion:
              delay: 1 min
            notices: \(notices)
            """
        try Data(text.utf8).write(to: URL(filePath: path))
        return path
    }

    @Test("a PPMID is refused an update behind an old hub, and gets it once the hub is updated")
    func campaign() async throws {
        let receiver = try NoticeTests.Receiver()
        defer { receiver.stop() }
        let folder = try TemporaryFolder()
        let served = try await Served(
            folder,
            ["--pace", "x20000", "--dcc", try Self.profile(receiver.url, in: folder)])
        let first = try await served.post(try await served.request(1_001))
        #expect(Self.code(first) == "W110401")
        #expect(first.contains("InvalidGBCSVersionList"))
        #expect(first.contains("90-B3-D5-1F-30-01-00-00:90-B3-D5-1F-30-00-00-02:1001"))
        let replayed = try await served.post(try await served.request(1_001))
        #expect(Self.code(replayed)?.hasPrefix("E") == true)
        let torn = try await served.post(Array("<Request>".utf8))
        #expect(Self.code(torn) == "E40")

        let run = try await served.client.ask("POST", "/api/control/v1/runs", body: [])
        #expect(run.status == 201)
        let isDone = try await eventually {
            let run = try await served.client.get("/api/control/v1/runs/1")
            return run.text.contains("\"number\":1,\"started\"")
                && run.text.contains("\"state\":\"done\",\"steps\"")
                || !run.text.contains("running")
        }
        let last = try await served.client.get("/api/control/v1/runs/1").text
        #expect(
            isDone && last.contains("\"state\":\"done\",") && !last.contains("failed"), "\(last)")
        let arrived = await eventually {
            receiver.bodies.contains { $0.contains(">N60<") }
                && receiver.bodies.contains { $0.contains("FirmwareTransferAlert") }
                && receiver.bodies.contains { $0.contains("PPMIDFirmwareUpgradeAlert") }
        }
        #expect(arrived, "\(receiver.bodies)")
        let page = try await served.client.get("/")
        #expect(page.status == 200 && page.text.contains("11.4"))
        let export = try await served.client.get("/requests.csv?period=all")
        #expect(export.text.contains(",refused,") && export.text.contains(",activated,"))
        #expect(await served.end() == 0)
    }

    @Test("how often and how long notices are tried is a setting, and how often they were is seen")
    func notices() async throws {
        let receiver = try NoticeTests.Receiver([String?](repeating: "503 Busy", count: 4))
        defer { receiver.stop() }
        let folder = try TemporaryFolder()
        let rules = "{retryInterval: 1 s, keptAfter: 2 s, redeliveryInterval: 1 h}"
        let served = try await Served(
            folder,
            [
                "--pace", "x20000", "--dcc",
                try Self.profile(receiver.url, in: folder, notices: rules),
            ])
        let run = try await served.client.ask("POST", "/api/control/v1/runs", body: [])
        #expect(run.status == 201)
        func states() async throws -> [(number: Int, state: String, attempts: Int)] {
            let list = try await served.client.get("/api/control/v1/notices?limit=200").text
            let object = try JSONSerialization.jsonObject(with: Data(list.utf8)) as? [String: Any]
            let notices = object?["items"] as? [[String: Any]] ?? []
            return notices.compactMap { notice in
                guard let number = notice["number"] as? Int, let state = notice["state"] as? String,
                    let attempts = notice["attempts"] as? Int
                else { return nil }
                return (number, state, attempts)
            }.sorted { $0.number < $1.number }
        }
        // The first is kept, a later one is taken, and then the first is.
        let areTaken = try await eventually {
            let states = try await states()
            return states.count > 3 && states.allSatisfy { $0.state == "received" }
                && receiver.bodies.count == states.map(\.attempts).reduce(0, +)
        }
        #expect(areTaken, "\(receiver.bodies.count)")
        let bodies = receiver.bodies
        let first = try #require(bodies.first)
        #expect(bodies.dropFirst(4).contains(first) && bodies[4] != first)
        #expect(try await states().first?.attempts == bodies.count { $0 == first })
        #expect(await served.end() == 0)
    }

    @Test("what has happened is there again after kill -9, and no id is taken twice")
    func restart() async throws {
        let folder = try TemporaryFolder()
        let served = try await Served(folder, ["--pace", "real"])
        let request = try await served.request(2_001)
        #expect(Self.code(try await served.post(request)) == "W110401")
        kill(served.process.processIdentifier, SIGKILL)
        #expect(await eventually { !served.process.isRunning })
        let again = try await Served(folder, ["--pace", "real"], run: 2)
        let list = try await again.client.get("/api/control/v1/requests").text
        #expect(list.contains(":2001\""))
        // Killed before it had stored that the answer was given, it gives that once more.
        let first = Self.code(try await again.post(request))
        #expect(first == "W110401" || first == "E49")
        #expect(Self.code(try await again.post(request)) == "E49")
        #expect(await again.end() == 0)
    }

    @Test("whoever cannot begin says why in a line, with the exit code for it")
    func troubles() async throws {
        let folder = try TemporaryFolder()
        let served = try await Served(folder, [])
        let other = try TemporaryFolder()
        let tries: [([String], Int32, String)] = [
            (["--state", folder.path("state"), "--port", "0"], 69, "in use"),
            (["--state", other.path("state"), "--port", "\(served.port)"], 69, "--port"),
            (["--state", other.path("state"), "--home", "nowhere"], 66, "nowhere"),
            (["--state", other.path("state"), "--pace", "fast"], 64, "--pace"),
            (["--state", "/proc/nothing"], 74, "--state"),
        ]
        for (arguments, code, words) in tries {
            let result = try await blocking {
                try Command.run(
                    Served.binary, ["serve"] + arguments,
                    environment: ["HAN_HOME": Reference.project.path])
            }
            #expect(result.status == code, "\(arguments): \(result.errors)")
            #expect(result.errors.contains(words), "\(arguments): \(result.errors)")
        }
        #expect(await served.end() == 0)
    }
}
