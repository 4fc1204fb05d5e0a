import AirBus
import Foundation
import Testing
import Wire

@Suite("han air with several homes")
struct SeveralHomesTests {
    /// Processes of a test's own, which it leaves none of behind.
    private final class Processes {
        private(set) var all: [Process] = []
        let folder: TemporaryFolder

        init(_ folder: TemporaryFolder) { self.folder = folder }

        deinit { for process in all where process.isRunning { kill(process.processIdentifier, 9) } }

        func start(_ arguments: [String]) throws -> Process {
            let process = Process()
            process.executableURL = URL(filePath: RunHan.binary)
            process.arguments = arguments
            process.environment = ProcessInfo.processInfo.environment
                .merging(["HAN_HOME": RunHan.root]) { _, new in new }
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            let log = try folder.write([], as: "log-\(all.count)")
            process.standardError = FileHandle(forWritingAtPath: log)
            try process.run()
            all.append(process)
            return process
        }
    }

    @Test("two homes share an air, each with its own network, and are counted through")
    func shared() throws {
        let folder = try TemporaryFolder()
        let endpoint = "ipc://\(folder.path)/air"
        let processes = Processes(folder)
        let homes = ["standard", "new-hub"]
        _ = try processes.start(
            ["air", "--bind", endpoint, "--pace", "virtual"]
                + homes.flatMap { ["--home", $0] })
        let names = ["CH", "ESME", "GSME", "PPMID", "HCALCS"]
        var places: [Int32: Int] = [:]
        for (number, home) in homes.enumerated() {
            for (index, name) in names.enumerated() {
                let node = try processes.start(
                    ["node", "--home", home, "--name", name, "--air", endpoint])
                places[node.processIdentifier] = number * (names.count + 1) + index
            }
        }
        let control = try ControlClient(endpoints: AirEndpoints(parsing: endpoint), patience: 60)
        func status(until isThere: (RunStatus) -> Bool) throws -> RunStatus {
            for _ in 0..<3000 {
                let status = try control.status()
                if isThere(status) { return status }
                let goOn = processes.all.allSatisfy(\.isRunning)
                try #require(goOn)
                usleep(20_000)
            }
            throw CancellationError()
        }
        let running = try status {
            $0.state == .running && $0.members.allSatisfy { $0.firmware != 0 || $0.eui64 == nil }
        }
        #expect(running.members.map(\.index) == Array(0..<12))
        #expect(running.members.map(\.name) == (names + ["bench"]) + (names + ["bench"]))
        for member in running.members where member.eui64 != nil {
            #expect(places[Int32(member.processID)] == Int(member.index))
        }
        #expect(running.turns >= 10)
        // The second home's ESME, and nobody of the first.
        try control.order(.power(of: 7, on: false))
        let off = try status { $0.members[7].state == .powerOff }
        #expect(off.members.filter { $0.state == .onAir }.count == 11)
        #expect(throws: ControlError.self) { try control.order(.power(of: 12, on: false)) }
        // Nobody of one home hears anybody of the other.
        #expect(throws: ControlError.self) {
            try control.order(.link(a: 1, b: 7, rssi: -60, lossPerMillion: 0))
        }
        try control.order(.end)
        for process in processes.all {
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
        }
    }

    @Test("two homes with an EUI-64 in common are refused, and the message names both")
    func clash() throws {
        let folder = try TemporaryFolder()
        let standard = RunHan.root + "/Profiles/homes/standard.yaml"
        try FileManager.default.copyItem(atPath: standard, toPath: folder.path + "/copy.yaml")
        let result = try Runs.han([
            "air", "--bind", "ipc://\(folder.path)/air", "--home", "standard", "--home",
            folder.path + "/copy.yaml",
        ])
        #expect(result.code == 65)
        #expect(
            result.errors == """
                han: the homes 'standard' and 'copy' both have 0247420000000100: on one air every \
                EUI-64 is one device's, so give one of the two another in its home file

                """)
    }

    @Test("the evidence of several homes has no place in one folder")
    func evidence() throws {
        let result = try Runs.han([
            "air", "--bind", "ipc:///tmp/air", "--home", "standard", "--home", "new-hub", "--out",
            "evidence",
        ])
        #expect(result.code == 64)
        #expect(result.errors.contains("--out takes the evidence of one home: give --home once."))
    }
}
