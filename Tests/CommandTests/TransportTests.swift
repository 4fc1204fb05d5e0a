import Foundation
import Testing

@Suite("Runs over ZeroMQ")
struct TransportTests {
    struct Process: Decodable {
        var role: String
        var eui64: String?
        var pid: Int32
    }

    struct Summary: Decodable {
        var transport: String
        var outcome: String
        var frames: Int
        var processes: [Process]?
    }

    private static func summary(_ folder: TemporaryFolder, _ name: String) throws -> Summary {
        try JSONDecoder().decode(
            Summary.self, from: Data(try folder.read("\(name)/summary.json")))
    }

    /// Runs a scenario both ways; its trace, events and keys must be the same to the byte.
    private func compare(_ scenario: String, seed: Int) throws {
        let folder = try TemporaryFolder()
        for transport in ["simulation", "zmq"] {
            let result = try Runs.han([
                "run", scenario, "--seed", "\(seed)", "--transport", transport, "--quiet",
                "--out", "\(folder.path)/\(transport)",
            ])
            #expect(result.code == 0, "\(transport): \(result.errors)")
        }
        for file in ["trace.pcapng", "events.jsonl", "zigbee_pc_keys"] {
            let expected = try folder.read("simulation/\(file)")
            #expect(expected.count > 100)
            #expect(expected == (try folder.read("zmq/\(file)")), "\(scenario), \(seed): \(file)")
        }
        let (one, many) = try (
            Self.summary(folder, "simulation"), Self.summary(folder, "zmq")
        )
        #expect(one.transport == "simulation" && one.processes == nil)
        #expect(many.transport == "zmq" && many.frames == one.frames)
    }

    @Test("the demo leaves the same bytes in one process and in one for each node")
    func demo() throws { try compare("demo", seed: 1) }

    @Test(
        "so do homes in which signed commands activate",
        arguments: ["cs06-now", "cs06-later", "change-of-supplier", "dcc"])
    func messages(_ scenario: String) throws { try compare(scenario, seed: 2) }

    @Test("so does a home that loses frames", arguments: 1...3)
    func lossy(_ seed: Int) throws { try compare("lossy", seed: seed) }

    @Test("the processes that the summary names are there while it runs, and gone afterwards")
    func processes() throws {
        let folder = try TemporaryFolder()
        let process = Foundation.Process()
        process.executableURL = URL(filePath: RunHan.binary)
        process.arguments = ["demo", "--transport", "zmq", "--quiet", "--out", folder.path]
        process.environment = ProcessInfo.processInfo.environment
            .merging(["HAN_HOME": RunHan.root]) { _, new in new }
        process.standardInput = FileHandle.nullDevice
        let ended = DispatchSemaphore(value: 0)
        process.terminationHandler = { _ in ended.signal() }
        try process.run()
        // Every child of the run that was seen, by what its command line says it plays.
        var seen: [Int32: [String]] = [:]
        while ended.wait(timeout: .now() + 0.02) == .timedOut {
            for pid in Self.children(of: process.processIdentifier) {
                let words = Self.commandLine(pid)
                if words.count > 1 { seen[pid] = words }
            }
        }
        #expect(process.terminationStatus == 0)
        let summary = try JSONDecoder().decode(
            Summary.self, from: Data(try folder.read("summary.json")))
        let processes = try #require(summary.processes)
        #expect(processes.map(\.role) == ["AIR", "CH", "ESME", "GSME", "PPMID", "HCALCS"])
        for process in processes {
            let words = seen[process.pid] ?? []
            #expect(words.contains(process.role == "AIR" ? "air" : "node"), "\(process)")
            #expect(process.role == "AIR" || words.contains(process.role), "\(process)")
            #expect((process.eui64 == nil) == (process.role == "AIR"))
            #expect(kill(process.pid, 0) != 0, "\(process.role) is still there")
        }
    }

    static func children(of parent: Int32) -> [Int32] {
        let text =
            (try? String(
                contentsOfFile: "/proc/\(parent)/task/\(parent)/children", encoding: .utf8)) ?? ""
        return text.split(separator: " ").compactMap { Int32($0) }
    }

    static func commandLine(_ pid: Int32) -> [String] {
        let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") ?? Data()
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }
}
