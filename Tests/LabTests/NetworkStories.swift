import Air
import Devices
import Evidence
import Foundation
import GBCS
import Lab
import Radio
import TestSupport
import Testing
import Wire

/// A run with its evidence.
struct Played {
    var result: RunResult
    var folder: TemporaryFolder
    var events: [String]

    init(
        _ home: Home, images: [RunImage] = [], _ steps: [ScenarioStep.Action], named name: String,
        within: Interval = .hours(48)
    ) throws {
        folder = try TemporaryFolder()
        result = try Stories.run(
            home, images: images, steps, named: name, within: within, folder: folder.path)
        events = try String(
            contentsOf: folder.url.appending(path: "events.jsonl"), encoding: .utf8
        ).split(separator: "\n").map(String.init)
        if let kept = Captures.folder(named: name) {
            try FileManager.default.copyItem(atPath: folder.path, toPath: kept)
        }
    }

    /// What `node` had happen to it of this kind.
    func events(_ kind: String, at node: String? = nil) -> [String] {
        events.filter { line in
            line.contains("\"event\":\"\(kind)\"")
                && (node == nil || line.contains("\"node\":\"\(node ?? "")\""))
        }
    }

    func rows(_ fields: [String], _ filter: String) throws -> [Tshark.Row] {
        try Tshark.rows(
            capture: folder.path("trace.pcapng"), keys: folder.path("zigbee_pc_keys"),
            fields: fields, filter: filter)
    }

    func complaints() throws -> [Tshark.Complaint] {
        try Tshark.judge(
            capture: folder.path("trace.pcapng"), keys: folder.path("zigbee_pc_keys")
        ).complaints
    }
}

@Suite("Ways through a mesh")
struct MeshStories {
    static let deaf = Link(rssi: -110)

    private func router(_ number: UInt64) -> HomeDevice {
        Homes.device(.hcalcs, name: "HCALCS-\(number)", number: number) { $0.isRouter = true }
    }

    private func cut(_ pairs: [(String, String)]) -> [HomeLink] {
        pairs.map { HomeLink(from: $0.0, to: $0.1, link: Self.deaf) }
    }

    /// CH - HCALCS-1 - HCALCS-2 - PPMID, each in reach of its neighbours in this row alone.
    private func row() -> (home: Home, ppmid: HomeDevice) {
        let ppmid = Homes.device(.ppmid)
        var home = Homes.home(
            [router(1), router(2), ppmid], hub: Homes.hub(firmware: 0x0200_0000))
        home.links = cut([("CH", "HCALCS-2"), ("CH", "PPMID"), ("HCALCS-1", "PPMID")])
        return (home, ppmid)
    }

    @Test("a device behind two routers joins and is updated over a route that was discovered")
    func twoRouters() throws {
        let (home, ppmid) = row()
        let played = try Played(
            home, images: [Homes.image(for: ppmid)],
            [
                .join(devices: ["HCALCS-1", "HCALCS-2", "PPMID"]),
                .deliver(image: "PPMID", to: ["PPMID"]), .await(.updated, devices: ["PPMID"]),
                .join(devices: ["PPMID"]),
                .readVersions(devices: ["PPMID"], version: 0x0200_0000),
            ], named: "two-routers")
        #expect(played.result.failure == nil)
        #expect(try played.complaints().isEmpty)
        // The hub asked for the way, and the far router answered for its child.
        #expect(!(try played.rows(["wpan.seq_no"], "zbee_nwk.cmd.id == 0x01")).isEmpty)
        #expect(!(try played.rows(["wpan.seq_no"], "zbee_nwk.cmd.id == 0x02")).isEmpty)
        let found = played.events("routeFound", at: "CH")
        #expect(found.contains { $0.contains("\"cost\":2") })
        // Every block takes three hops.
        let blocks = try played.rows(
            ["wpan.src16"], "zbee_zcl_general.ota.cmd.srv_tx.id == 0x05")
        let senders = Set(blocks.compactMap { $0["wpan.src16"] })
        #expect(senders.count == 3 && senders.contains("0x0000"))
    }

    @Test("when a link on the way breaks, its router says so and another way is found")
    func brokenLink() throws {
        let ppmid = Homes.device(.ppmid) {
            $0.ota.responseTimeout = .seconds(3)
            $0.ota.blockRetries = 20
        }
        var home = Homes.home(
            [router(1), router(2), router(3), ppmid], hub: Homes.hub(firmware: 0x0200_0000))
        // Two ways from the hub to HCALCS-2; the one through HCALCS-3 is the worse.
        home.links =
            cut([
                ("CH", "HCALCS-2"), ("CH", "PPMID"), ("HCALCS-1", "PPMID"), ("HCALCS-3", "PPMID"),
            ]) + [
                HomeLink(from: "HCALCS-2", to: "HCALCS-3", link: Link(rssi: -88)),
                HomeLink(from: "CH", to: "HCALCS-3", link: Link(rssi: -88)),
            ]
        let played = try Played(
            home, images: [Homes.image(for: ppmid, size: 30_000)],
            [
                // One after another, so that each has the parent that is meant.
                .power(device: "HCALCS-2", on: false), .power(device: "HCALCS-3", on: false),
                .power(device: "PPMID", on: false), .join(devices: ["HCALCS-1"]),
                .power(device: "HCALCS-2", on: true), .join(devices: ["HCALCS-2"]),
                .power(device: "HCALCS-3", on: true), .join(devices: ["HCALCS-3"]),
                .power(device: "PPMID", on: true), .join(devices: ["PPMID"]),
                .wait(.minutes(1)), .deliver(image: "PPMID", to: ["PPMID"]),
                .await(.downloading, devices: ["PPMID"]), .wait(.seconds(3)),
                .link(a: "HCALCS-1", b: "HCALCS-2", Self.deaf),
                .await(.updated, devices: ["PPMID"]), .join(devices: ["PPMID"]),
                .readVersions(devices: ["PPMID"], version: 0x0200_0000),
            ], named: "broken-link")
        #expect(played.result.failure == nil)
        #expect(try played.complaints().isEmpty)
        #expect(!(try played.rows(["wpan.seq_no"], "zbee_nwk.cmd.id == 0x03")).isEmpty)
        #expect(!played.events("routeLost", at: "CH").isEmpty)
        // The better way first, at cost 2; then the worse.
        let costs = played.events("routeFound", at: "CH").compactMap {
            $0.components(separatedBy: "\"cost\":").last?.prefix { $0.isNumber }
        }
        #expect(costs.contains("2"))
        #expect(costs.contains { (Int($0) ?? 0) > 4 })
    }

    @Test("a broadcast is sent once by each router that hears its neighbours relay it")
    func passiveAcknowledgement() throws {
        let (home, _) = row()
        let played = try Played(
            home,
            [
                .join(devices: ["HCALCS-1", "HCALCS-2", "PPMID"]), .wait(.minutes(1)),
                .permitJoining(.minutes(1)), .wait(.seconds(20)),
                .power(device: "HCALCS-2", on: false), .permitJoining(.minutes(2)),
                .wait(.seconds(20)),
            ], named: "passive-acknowledgement")
        #expect(played.result.failure == nil)
        let sent = try played.rows(
            ["wpan.src16", "zbee_nwk.seqno", "frame.time_relative"],
            "zbee_nwk.src == 0x0000 && zbee_aps.zdp_cluster == 0x0036")
        // The last two requests to permit joining: one with everybody there, one without.
        let sequences = sent.compactMap { $0["zbee_nwk.seqno"] }
        let orders = sequences.indices.filter { $0 == 0 || sequences[$0 - 1] != sequences[$0] }
            .map { sequences[$0] }
        let whole = sent.filter { $0["zbee_nwk.seqno"] == orders[orders.count - 2] }
        #expect(whole.count == 3)
        #expect(Set(whole.compactMap { $0["wpan.src16"] }).count == 3)
        // Relays are spread over the jitter.
        let times = whole.compactMap { $0["frame.time_relative"].flatMap(Double.init) }
        #expect(times.count == 3 && times[2] - times[0] < 0.150)
        // HCALCS-1 hears nobody behind it and tries nwkMaxBroadcastRetries times more.
        let alone = sent.filter { $0["zbee_nwk.seqno"] == orders.last }
        #expect(alone.filter { $0["wpan.src16"] == "0x0000" }.count == 1)
        #expect(alone.filter { $0["wpan.src16"] != "0x0000" }.count == 4)
    }

    @Test("two routers in a row serve whatever the dice, also when keys change meanwhile")
    func seeds() throws {
        let (home, ppmid) = row()
        let names = home.devices.map(\.name)
        for seed in 1...40 as ClosedRange<UInt64> {
            let result = try Stories.run(
                home, images: [Homes.image(for: ppmid, size: 3_000)],
                [
                    .join(devices: names), .deliver(image: "PPMID", to: ["PPMID"]),
                    .await(.downloading, devices: ["PPMID"]), .updateNetworkKey,
                    .await(.updated, devices: ["PPMID"]), .join(devices: ["PPMID"]),
                    .readVersions(devices: ["PPMID"], version: 0x0200_0000),
                    .updateNetworkKey, .readVersions(devices: names, version: nil),
                    .remove(devices: ["PPMID"]),
                ], named: "row-\(seed)", seed: seed, within: .hours(25))
            #expect(result.failure == nil, "seed \(seed)")
        }
    }

    @Test("a destination that is nowhere is asked for, given up, and costs no more than that")
    func nowhere() throws {
        let (home, ppmid) = row()
        let played = try Played(
            home, images: [Homes.image(for: ppmid)],
            [
                .join(devices: ["HCALCS-1", "HCALCS-2", "PPMID"]), .wait(.minutes(1)),
                .power(device: "HCALCS-2", on: false), .power(device: "PPMID", on: false),
                .deliver(image: "PPMID", to: ["PPMID"]), .wait(.minutes(30)),
                .power(device: "HCALCS-2", on: true), .power(device: "PPMID", on: true),
                .join(devices: ["PPMID"]), .await(.updated, devices: ["PPMID"]),
            ], named: "nowhere")
        #expect(played.result.failure == nil)
        #expect(played.events("outputLost").isEmpty)
    }
}

@Suite("Keys that change and devices that go")
struct KeyStories {
    @Test(
        "a new network key reaches everybody who listens, and who sleeps through it rejoins",
        arguments: [false, true])
    func update(isBroadcast: Bool) throws {
        var hub = Homes.hub(firmware: 0x0200_0000)
        hub.profile.keyUpdate.isBroadcast = isBroadcast
        let devices = [Homes.device(.esme), Homes.device(.gsme), Homes.device(.ppmid)]
        let names = devices.map(\.name)
        let played = try Played(
            Homes.home(devices, hub: hub), images: [Homes.image(for: devices[1], size: 2_000)],
            [
                .join(devices: names), .wait(.minutes(10)), .updateNetworkKey,
                .deliver(image: "GSME", to: ["GSME"]), .await(.verified, devices: ["GSME"]),
                .readVersions(devices: names, version: 0x0100_0000),
            ], named: "key-update-\(isBroadcast)")
        #expect(played.result.failure == nil)
        #expect(try played.complaints().isEmpty)
        for name in ["CH", "ESME", "PPMID"] {
            #expect(played.events("networkKeySwitched", at: name).count == 1)
        }
        for name in ["ESME", "PPMID"] { #expect(played.events("rejoined", at: name).isEmpty) }
        // The sleeper: rejoined once, without the network's security, and kept its address.
        #expect(played.events("rejoined", at: "GSME").count == 1)
        let keys = played.events("networkKeyReceived", at: "GSME")
        #expect(keys.count == 2 && keys.last?.contains("\"sequence\":1") == true)
        let first = played.events("joined", at: "GSME").first?.components(separatedBy: "address")
        let again = played.events("rejoined", at: "GSME").first?.components(separatedBy: "address")
        #expect(first?.last?.prefix(10) == again?.last?.prefix(10))
        #expect(
            !(try played.rows(["wpan.seq_no"], "zbee_nwk.cmd.id == 0x06 && zbee_nwk.security == 0"))
                .isEmpty)
    }

    @Test("a device that was off for two changes of the network key comes back by itself")
    func twoUpdates() throws {
        let devices = [Homes.device(.esme), Homes.device(.hcalcs) { $0.isRouter = true }]
        let names = devices.map(\.name)
        let played = try Played(
            Homes.home(devices),
            [
                .join(devices: names), .power(device: "ESME", on: false), .updateNetworkKey,
                .wait(.minutes(1)), .updateNetworkKey, .wait(.minutes(1)),
                .power(device: "ESME", on: true), .join(devices: ["ESME"]),
                .readVersions(devices: names, version: 0x0100_0000),
            ], named: "two-key-updates")
        #expect(played.result.failure == nil)
        #expect(played.events("rejoined", at: "ESME").count == 1)
        #expect(
            played.events("networkKeyReceived", at: "ESME").last?.contains("\"sequence\":2")
                == true)
        #expect(played.events("networkKeySwitched", at: "HCALCS").count == 2)
    }

    @Test("a device that is removed leaves, and is refused when it comes again")
    func removal() throws {
        let devices = [Homes.device(.esme), Homes.device(.gsme)]
        let played = try Played(
            Homes.home(devices),
            [
                .join(devices: ["ESME", "GSME"]), .remove(devices: ["ESME", "GSME"]),
                .permitJoining(.minutes(30)), .wait(.minutes(10)),
            ], named: "removal")
        #expect(played.result.failure == nil)
        #expect(try played.complaints().isEmpty)
        for device in devices {
            let name = device.name
            #expect(played.events("left", at: name).count == 1)
            #expect(played.events("joined", at: name).count == 1)
            #expect(played.events("restarting", at: name).count == 1)
            let eui64 = "\(device.eui64)"
            #expect(played.events("deviceRemoved", at: "CH").contains { $0.contains(eui64) })
            #expect(
                played.events("associationRefused", at: "CH").contains {
                    $0.contains(eui64) && $0.contains("notInDeviceLog")
                })
        }
    }

    @Test("a device whose power goes while it leaves has left all the same")
    func cutWhileLeaving() throws {
        let played = try Played(
            Homes.home([Homes.device(.esme)]),
            [
                .join(devices: ["ESME"]), .remove(devices: ["ESME"]),
                .power(device: "ESME", on: false, duration: .seconds(1)), .wait(.minutes(10)),
            ], named: "cutWhileLeaving")
        #expect(played.result.failure == nil)
        #expect(played.events("left", at: "ESME").count == 1)
        #expect(played.events("restarting", at: "ESME").isEmpty)
        #expect(played.events("networkResumed", at: "ESME").isEmpty)
        #expect(played.events("rejoined", at: "ESME").isEmpty)
        #expect(!played.events("joinFailed", at: "ESME").isEmpty)
    }

    @Test("a device behind a router is removed through that router")
    func removalThroughRouter() throws {
        let router = Homes.device(.hcalcs) { $0.isRouter = true }
        var home = Homes.home([router, Homes.device(.ppmid)])
        home.links = [HomeLink(from: "CH", to: "PPMID", link: Link(rssi: -110))]
        let played = try Played(
            home,
            [
                .join(devices: ["HCALCS", "PPMID"]), .remove(devices: ["PPMID"]),
                .permitJoining(.minutes(30)), .wait(.minutes(10)),
                .readVersions(devices: ["HCALCS"], version: 0x0100_0000),
            ], named: "removal-router")
        #expect(played.result.failure == nil)
        #expect(try played.complaints().isEmpty)
        #expect(played.events("left", at: "PPMID").count == 1)
        #expect(played.events("joined", at: "PPMID").count == 1)
        // Remove Device went to the router, Leave from there, Update Device back: it has left.
        #expect(!(try played.rows(["wpan.seq_no"], "zbee_aps.cmd.id == 0x07")).isEmpty)
        #expect(!(try played.rows(["wpan.seq_no"], "zbee_nwk.cmd.id == 0x04")).isEmpty)
        #expect(
            played.events("deviceUpdated", at: "CH").contains { $0.contains("\"status\":2") })
        #expect(
            played.events("associationRefused", at: "CH").contains {
                $0.contains("notInDeviceLog")
            })
    }
}
