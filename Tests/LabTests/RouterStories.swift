import Air
import Devices
import Evidence
import Foundation
import GBCS
import Lab
import TestSupport
import Testing
import Wire

@Suite("Routers and rejoining")
struct RouterStories {
    /// A PPMID that hears an HCALCS which routes well, and the hub badly or not at all.
    private func home(ppmidHearsHub rssi: Int8) -> (home: Home, ppmid: HomeDevice) {
        let router = Homes.device(.hcalcs) { $0.isRouter = true }
        let ppmid = Homes.device(.ppmid) {
            $0.ota.responseTimeout = .seconds(2)
            $0.ota.blockRetries = 20
        }
        var home = Homes.home([router, ppmid], hub: Homes.hub(firmware: 0x0200_0000))
        home.links = [
            HomeLink(from: "CH", to: "PPMID", link: Link(rssi: rssi)),
            HomeLink(from: "HCALCS", to: "PPMID", link: Link(rssi: -50)),
        ]
        return (home, ppmid)
    }

    @Test("a device out of the hub's reach joins and is updated through a router")
    func throughRouter() throws {
        let (home, ppmid) = home(ppmidHearsHub: -110)
        let folder = try TemporaryFolder()
        let result = try Stories.run(
            home, images: [Homes.image(for: ppmid)],
            [
                .join(devices: ["HCALCS", "PPMID"]), .deliver(image: "PPMID", to: ["PPMID"]),
                .await(.updated, devices: ["PPMID"]), .join(devices: ["PPMID"]),
                .readVersions(devices: ["PPMID"], version: 0x0200_0000),
            ], named: "through-router", folder: folder.path)
        #expect(result.failure == nil)
        let capture = folder.path("trace.pcapng")
        let keys = folder.path("zigbee_pc_keys")
        #expect(try Tshark.judge(capture: capture, keys: keys).complaints.isEmpty)
        // The router sealed the same NWK frame anew: same source and sequence number, another
        // sender and counter.
        let hops = try Tshark.rows(
            capture: capture, keys: keys,
            fields: ["wpan.src16", "zbee_nwk.src", "zbee_nwk.seqno", "zbee.sec.counter"],
            filter: "zbee_zcl_general.ota.cmd.srv_rx.id == 0x03")
        func sequences(relayed: Bool) -> Set<String> {
            Set(
                hops.filter { ($0["wpan.src16"] != $0["zbee_nwk.src"]) == relayed }
                    .compactMap { $0["zbee_nwk.seqno"] })
        }
        #expect(sequences(relayed: true).count > 100)
        #expect(sequences(relayed: true) == sequences(relayed: false))
        // Update Device went up, and the network key came down through a tunnel.
        let commands = try Tshark.rows(
            capture: capture, keys: keys, fields: ["zbee_aps.cmd.id"], filter: "zbee_aps.cmd.id")
        let seen = Set(commands.flatMap { $0.all("zbee_aps.cmd.id") })
        #expect(seen.isSuperset(of: ["0x05", "0x06", "0x0e"]))
    }

    @Test("when its router dies, a device rejoins through the hub and its update goes on")
    func routerDies() throws {
        let (home, ppmid) = home(ppmidHearsHub: -85)
        let folder = try TemporaryFolder()
        let result = try Stories.run(
            home, images: [Homes.image(for: ppmid, size: 30_000)],
            [
                .power(device: "PPMID", on: false), .join(devices: ["HCALCS"]),
                .power(device: "PPMID", on: true), .join(devices: ["PPMID"]),
                .deliver(image: "PPMID", to: ["PPMID"]),
                .await(.downloading, devices: ["PPMID"]), .wait(.seconds(3)),
                .power(device: "HCALCS", on: false), .await(.updated, devices: ["PPMID"]),
                .join(devices: ["PPMID"]),
                .readVersions(devices: ["PPMID"], version: 0x0200_0000),
            ], named: "router-dies", folder: folder.path)
        #expect(result.failure == nil)
        let events = try String(
            contentsOf: folder.url.appending(path: "events.jsonl"), encoding: .utf8)
        #expect(events.contains("\"rejoined\""))
        #expect(
            try Tshark.judge(
                capture: folder.path("trace.pcapng"), keys: folder.path("zigbee_pc_keys")
            ).complaints.isEmpty)
    }
}
