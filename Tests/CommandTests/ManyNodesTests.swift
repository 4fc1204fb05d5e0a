import Foundation
import Testing

/// Twenty homes of five nodes at once, every one of the hundred a process.
@Suite("A hundred nodes")
struct ManyNodesTests {
    private static let homes = 20
    /// Of the standard home, but for the hub: role, manufacturer code, image type, its new version.
    private static let devices = [
        ("ESME", "0xFFF1", "0x0001", "0x03020009"), ("GSME", "0xFFF1", "0x0002", "0x02050009"),
        ("PPMID", "0xFFF2", "0x0084", "0x02000009"), ("HCALCS", "0xFFF2", "0x0085", "0x02020009"),
    ]

    private static let scenario = """
        kind: scenario
        title: Hub and devices are updated
        home: standard
        start: 2026-03-02T09:00:00Z
        timeLimit: 7 d
        steps:
          - join: all
            within: 10 min
          - updateHub: ch-2
            within: 1 h
          - deliver: {image: esme-2, to: [ESME]}
          - deliver: {image: gsme-2, to: [GSME]}
          - deliver: {image: ppmid-2, to: [PPMID]}
          - deliver: {image: hcalcs-2, to: [HCALCS]}
          - await: {outcome: verified, devices: all}
            within: 50 h
          - activate: [ESME, GSME, HCALCS]
            within: 2 h
          - await: {outcome: updated, devices: all}
            within: 2 h
          - readVersions: all
            within: 2 h

        """

    private struct Summary: Decodable {
        struct Device: Decodable {
            struct Attempt: Decodable { var outcome: String }
            var role: String
            var versionBefore: String
            var versionAfter: String
            var attempts: [Attempt]
        }
        struct Process: Decodable {
            var role: String
            var pid: Int
        }
        var outcome: String
        var transport: String
        var devices: [Device]
        var processes: [Process]
    }

    @Test("in twenty homes at once complete an update each")
    func updates() async throws {
        let folder = try TemporaryFolder()
        try folder.write(Array(Self.scenario.utf8), as: "update.yaml")
        var images: [String] = []
        for (role, manufacturer, type, version) in Self.devices {
            let key =
                role == "PPMID"
                ? [] : ["--key", RunHan.root + "/Firmware/keys/supplier-test.key.pem"]
            let made = try RunHan.han(
                [
                    "image", "build", "--size", "1500", "--seed", "1", "--output",
                    folder.path + "/\(role).ota", "--manufacturer-code", manufacturer,
                    "--image-type", type, "--file-version", version,
                ] + key)
            try #require(made.code == 0, "\(made.errors)")
            images += ["--image", "\(role)=\(folder.path)/\(role).ota"]
        }
        let arguments =
            ["run", folder.path + "/update.yaml", "--transport", "zmq", "--json", "--quiet"]
            + images
        let summaries = try await withThrowingTaskGroup(of: Summary.self) { group in
            for home in 1...Self.homes {
                group.addTask {
                    let run = try await Self.run(arguments + ["--seed", "\(home)"])
                    try #require(run.code == 0, "home \(home): \(run.errors)")
                    return try JSONDecoder().decode(Summary.self, from: Data(run.output.utf8))
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        var nodes: Set<Int> = []
        for summary in summaries {
            #expect(summary.outcome == "passed")
            #expect(summary.transport == "zmq")
            #expect(summary.devices.map(\.role) == ["CH", "ESME", "GSME", "PPMID", "HCALCS"])
            for device in summary.devices {
                #expect(device.attempts.map(\.outcome) == ["updated"], "\(device.role)")
                #expect(device.versionAfter != device.versionBefore)
            }
            for (role, _, _, version) in Self.devices {
                let device = summary.devices.first { $0.role == role }
                #expect(device?.versionAfter == version)
            }
            nodes.formUnion(summary.processes.filter { $0.role != "AIR" }.map(\.pid))
        }
        #expect(summaries.count == Self.homes)
        #expect(nodes.count == 100)
    }

    /// Runs `han` on a thread of its own, because waiting for it blocks one.
    private static func run(_ arguments: [String]) async throws -> RunHan.Result {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result {
                        try RunHan.han(
                            arguments, environment: ["HAN_HOME": RunHan.root], timeout: 300)
                    })
            }
        }
    }
}
