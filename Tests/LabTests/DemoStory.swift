import Air
import Evidence
import Foundation
import Lab
import TestSupport
import Testing
import Wire

@Suite("The demo")
struct DemoStory {
    @Test("tells the rule: no PPMID or HCALCS update before the hub's own")
    func rule() throws {
        let folder = try TemporaryFolder()
        let result = try Demo.run(folder: folder.path)
        #expect(result.failure == nil)
        #expect(result.summary.outcome == .passed)
        let old: UInt32 = 0x0105_0200
        for device in result.summary.devices {
            let outcomes = device.attempts.map(\.outcome)
            switch device.role {
            case .communicationsHub, .esme, .gsme: #expect(outcomes == [.updated])
            case .ppmid, .hcalcs:
                #expect(outcomes == [.notOffered, .updated])
                #expect(device.attempts.map(\.reason) == ["hubLacksSupport", nil])
                #expect(device.attempts[0].hubFirmware == old)
                #expect(device.attempts[1].hubFirmware > old)
            }
            #expect(device.versionAfter != device.versionBefore)
        }
    }

    @Test("leaves a capture in which tshark finds every frame whole, decrypted and unremarkable")
    func judged() throws {
        let folder = try TemporaryFolder()
        let result = try Demo.run(folder: folder.path)
        let verdict = try Tshark.judge(
            capture: folder.path("trace.pcapng"),
            keys: folder.path("zigbee_pc_keys"))
        #expect(verdict.complaints.isEmpty)
        #expect(verdict.frames == Int(result.summary.frames))
        #expect(verdict.frames > 10_000)
    }

    @Test("gives the same bytes for the same seed, and others for another")
    func repeats() throws {
        let runs = try [1, 1, 2].map { (seed: UInt64) in
            let folder = try TemporaryFolder()
            _ = try Demo.run(seed: seed, folder: folder.path)
            return try ["trace.pcapng", "events.jsonl"].map {
                try Data(contentsOf: folder.url.appending(path: $0))
            }
        }
        #expect(runs[0] == runs[1])
        #expect(runs[0][0] != runs[2][0])
        #expect(runs[0][1] != runs[2][1])
    }

    @Test("takes virtual time honestly: a 48-byte block at 2.4 GHz about 10 ms")
    func pace() throws {
        let esme = Homes.device(.esme)
        let folder = try TemporaryFolder()
        let result = try Stories.run(
            Homes.home([esme]), images: [Homes.image(for: esme, size: 30_000)],
            Stories.update("ESME"), named: "pace", folder: folder.path)
        #expect(result.failure == nil)
        let rows = try Tshark.rows(
            capture: folder.path("trace.pcapng"),
            keys: folder.path("zigbee_pc_keys"),
            fields: ["frame.time_relative"],
            filter: "zbee_zcl_general.ota.cmd.srv_rx.id == 0x03")
        let times = rows.compactMap { Double($0["frame.time_relative"] ?? "") }
        let gaps = zip(times.dropFirst(), times).map { $0 - $1 }.sorted()
        let median = gaps[gaps.count / 2]
        #expect(0.0095 < median && median < 0.0125)
    }
}

@Suite("Losses")
struct LossStories {
    /// `Tools/test --long` sweeps over more of them.
    static let seeds = Command.environment("HAN_LONG") == nil ? 1...8 : 1...200

    private func run(seed: UInt64, folder: String) throws -> RunResult {
        try Self.runner(seed: seed, folder: folder).run { 0 }
    }

    static func runner(seed: UInt64, folder: String) throws -> Runner {
        let esme = Homes.device(.esme)
        let ppmid = Homes.device(.ppmid)
        var home = Homes.home([esme, ppmid], hub: Homes.hub(firmware: 0x0200_0000))
        home.commonLink = Link(rssi: -80, lossPerMillion: 50_000)
        return Stories.runner(
            home, images: [Homes.image(for: esme), Homes.image(for: ppmid)],
            [
                .join(devices: ["ESME", "PPMID"]), .deliver(image: "ESME", to: ["ESME"]),
                .deliver(image: "PPMID", to: ["PPMID"]),
                .await(.verified, devices: ["ESME", "PPMID"]), .activate(devices: ["ESME"]),
                .await(.updated, devices: ["ESME", "PPMID"]),
            ], named: "lossy", seed: seed, folder: folder)
    }

    @Test("a home that loses one frame in twenty is updated all the same", arguments: seeds)
    func lossy(_ seed: Int) throws {
        let folder = try TemporaryFolder()
        let result = try run(seed: UInt64(seed), folder: folder.path)
        #expect(result.failure == nil)
        let verdict = try Tshark.judge(
            capture: folder.path("trace.pcapng"),
            keys: folder.path("zigbee_pc_keys"))
        #expect(verdict.complaints.isEmpty)
    }

    @Test("losses repeat with their seed")
    func repeats() throws {
        let runs = try (0..<2).map { _ in
            let folder = try TemporaryFolder()
            _ = try run(seed: 5, folder: folder.path)
            return try ["trace.pcapng", "events.jsonl"].map {
                try Data(contentsOf: folder.url.appending(path: $0))
            }
        }
        #expect(runs[0] == runs[1])
    }
}

enum Demo {
    static func run(seed: UInt64? = nil, folder: String?) throws -> RunResult {
        try runner(seed: seed, folder: folder).run { 0 }
    }

    /// Of a sample scenario.
    static func runner(
        _ name: String = "demo", seed: UInt64? = nil, folder: String?,
        change: (inout Scenario) -> Void = { _ in }
    ) throws -> Runner {
        let root = Reference.project.path(percentEncoded: false)
        let library = ProfileLibrary(
            folder: root + "/Profiles", firmware: root + "/Firmware")
        var scenario = try library.scenario(name)
        change(&scenario)
        let home = try library.home(scenario.home)
        let manifest = try Manifest.load(folder: root + "/Firmware")
        var images: [String: RunImage] = [:]
        for entry in manifest.entries {
            let image = try manifest.image(for: entry)
            images[entry.id] = RunImage(
                name: entry.id, bytes: image.encoded(), version: entry.version,
                hash: image.manufacturerImageHash)
        }
        return Runner(
            home: home, scenario: scenario, images: images,
            options: RunOptions(seed: seed, folder: folder))
    }
}
