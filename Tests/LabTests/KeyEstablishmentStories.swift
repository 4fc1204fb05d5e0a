import Air
import Crypto
import Devices
import Evidence
import Foundation
import Lab
import TestSupport
import Testing
import Wire
import Zigbee

@Suite("Homes whose devices establish their link keys")
struct KeyEstablishmentStories {
    private static func home(
        _ devices: [HomeDevice], change: (inout Home) -> Void = { _ in }
    ) -> Home {
        var home = Homes.home(devices, hub: Homes.hub(firmware: 0x0200_0000))
        change(&home)
        return home
    }

    private static let all = [
        Homes.device(.esme), Homes.device(.gsme), Homes.device(.ppmid), Homes.device(.hcalcs),
    ]

    @Test(
        "every device establishes a key before anything else, and tshark reads each step of it",
        arguments: [HomeKeyEstablishment.suite2, .suite1])
    func everybody(suite: HomeKeyEstablishment) throws {
        let home = Self.home(Self.all) { $0.keyEstablishment = suite }
        let image = Homes.image(for: home.devices[0])
        let names = home.devices.map(\.name)
        let played = try Played(
            home, images: [image],
            [.join(devices: names), .wait(.minutes(5))] + Stories.update("ESME")
                + [.readVersions(devices: ["ESME"], version: 0x0200_0000)],
            named: "key-establishment-\(suite.rawValue)")
        #expect(played.result.failure == nil)
        #expect(try played.complaints().isEmpty)
        for name in names {
            // Once, also where it has restarted since.
            #expect(played.events("linkKeyEstablished", at: name).count == 1)
            let own = played.events.filter { $0.contains("\"node\":\"\(name)\"") }
            let established = try #require(
                own.firstIndex { $0.contains("\"linkKeyEstablished\"") })
            let found = own.firstIndex { $0.contains("\"otaServerFound\"") }
            #expect(try #require(found) > established)
            let keys = try String(
                contentsOf: played.folder.url.appending(path: "zigbee_pc_keys"), encoding: .utf8)
            #expect(keys.contains("\(name) established link key"))
        }
        #expect(played.events("linkKeyEstablished", at: "CH").count == 4)
        #expect(played.events("linkKeyRefused").isEmpty)
        let server = "zbee_zcl_se.ke.cmd.srv_tx.id", client = "zbee_zcl_se.ke.cmd.srv_rx.id"
        let fields = [
            server, client, "zbee_zcl_se.ke.attr.suite", "zbee_zcl_se.ke.cert.subject",
            "zbee_zcl_se.ke.qeu", "zbee_zcl_se.ke.qev", "zbee_zcl_se.ke.macu",
            "zbee_zcl_se.ke.macv", "frame.len", "zbee_aps.security",
        ]
        let rows = try played.rows(fields, "zbee_aps.cluster == 0x0800 && zbee_aps.type == 0")
        var commands: [String] = []
        for row in rows {
            #expect(row["zbee_aps.security"] == "0")
            if row["zbee_zcl_se.ke.cert.subject"] != nil {
                #expect(
                    row["zbee_zcl_se.ke.attr.suite"].flatMap { Int($0.dropFirst(2), radix: 16) }
                        == (suite == .suite2 ? 2 : 1))
                // 60 bytes are the capture's own: 126 of the 127 that a frame may have.
                #expect(row["frame.len"] == (suite == .suite2 ? "186" : "160"))
            }
            commands.append(row[server].map { "S\($0)" } ?? row[client].map { "C\($0)" } ?? "?")
        }
        #expect(commands.count >= 24 && !commands.contains("?"))
        for field in ["qeu", "qev", "macu", "macv"] {
            #expect(rows.contains { $0["zbee_zcl_se.ke.\(field)"] != nil }, "\(field)")
        }
    }

    /// An ESME that waits with its key, and asks for an image two seconds after it has joined.
    private static func earlyQuery(isRequired: Bool) -> LiveHome {
        let late = Homes.device(.esme) { $0.keyEstablishment.afterJoining = .seconds(5) }
        let home = home([late]) { $0.hub.profile.requiresEstablishedKeys = isRequired }
        let live = LiveHome(home, images: [], [.join(devices: ["ESME"])])
        live.run(untilEvent: .joined, of: 1)
        live.run(for: .seconds(2))
        let query = ZCLHeader(
            isClusterSpecific: true, fromServer: false, disableDefaultResponse: true, sequence: 1,
            command: 1)
        live.send(query, [0, 0xF1, 0xFF, 1, 0, 0, 0, 0, 1], from: 1, to: 0)
        return live
    }

    @Test("what a device says of firmware before it has established a key is dropped")
    func tooEarly() throws {
        let live = Self.earlyQuery(isRequired: true)
        live.run(for: .seconds(1))
        let reasons = live.events(.dropped).filter { $0.node == 0 }.map { $0.values[0] }
        #expect(reasons.contains(UInt64(DropReason.keyNotEstablished.rawValue)))
        #expect(live.events(.imageWithheld).isEmpty)
        live.run(untilEvent: .imageWithheld, of: 0)
        #expect(live.events(.linkKeyEstablished).count == 2)
    }

    @Test("a hub that does not require established keys answers under the install code's till then")
    func notRequired() throws {
        let live = Self.earlyQuery(isRequired: false)
        live.run(untilEvent: .imageWithheld, of: 0)
        #expect(live.events(.linkKeyEstablished).isEmpty)
    }

    @Test("a device that is listed stays on its install code's key, and is updated under it")
    func listed() throws {
        let home = Self.home(Self.all) {
            $0.installCodeDevices = [Self.all[2].eui64]
        }
        let played = try Played(
            home, images: [Homes.image(for: home.devices[2])],
            [
                .join(devices: ["PPMID", "ESME"]), .deliver(image: "PPMID", to: ["PPMID"]),
                .await(.updated, devices: ["PPMID"]),
            ], named: "key-establishment-listed")
        #expect(played.result.failure == nil)
        #expect(try played.complaints().isEmpty)
        #expect(played.events("linkKeyEstablished", at: "PPMID").isEmpty)
        #expect(played.events("linkKeyEstablished", at: "ESME").count == 1)
    }

    @Test(
        "a power cut of either side at any moment leaves both with the same key, old or new",
        arguments: [0, 1])
    func powerCuts(side: Int) throws {
        let device = Homes.device(.esme) {
            if side == 0 { $0.keyEstablishment.retryInterval = .seconds(40) }
        }
        var seen: Set<Bool> = []
        for moment in stride(from: 40, through: 160, by: 6) {
            let home = Self.home([device])
            let live = LiveHome(home, images: [], [.join(devices: ["ESME"])])
            live.run(untilEvent: .joined, of: 1)
            live.run(for: .milliseconds(Int64(moment)))
            live.restart(side)
            let hadKey = live.events(.linkKeyEstablished).contains { $0.node == side }
            seen.insert(hadKey)
            live.run(untilEvent: .otaServerFound, of: 1)
            let hubs = try #require(live.stack(0)?.establishedKey(with: device.eui64))
            #expect(live.stack(1)?.establishedKey(with: home.hub.eui64) == hubs)
            // It has asked, and was answered, under that key.
            live.run(untilEvent: .imageWithheld, of: 0)
        }
        #expect(seen == [false, true])
    }

    @Test("a key stays through a restart of either side; one that was put back establishes another")
    func kept() throws {
        let home = Self.home([Homes.device(.esme), Homes.device(.gsme)])
        let played = try Played(
            home, images: [Homes.image(for: home.devices[0])],
            [
                .join(devices: ["ESME", "GSME"]), .wait(.minutes(5)),
                .power(device: "ESME", on: false, duration: .minutes(1)),
                .power(device: "CH", on: false, duration: .minutes(1)), .wait(.minutes(5)),
                .remove(devices: ["ESME"]), .add(devices: ["ESME"]), .join(devices: ["ESME"]),
                .wait(.minutes(5)),
            ] + Stories.update("ESME"), named: "key-establishment-kept")
        #expect(played.result.failure == nil)
        #expect(try played.complaints().isEmpty)
        #expect(played.events("linkKeyEstablished", at: "ESME").count == 2)
        #expect(played.events("linkKeyEstablished", at: "GSME").count == 1)
    }

    @Test("a device that has lost everything joins again once it is put in the device log anew")
    func lostEverything() throws {
        let device = Homes.device(.esme)
        let home = Self.home([device])
        let live = LiveHome(home, images: [], [.join(devices: ["ESME"])])
        live.run(untilEvent: .otaServerFound, of: 1)
        let first = try #require(live.stack(0)?.establishedKey(with: device.eui64))
        // Both areas of its journal.
        for page in 0..<4 { live.erase(page: page, of: 1) }
        live.run(for: .seconds(1))
        live.restart(1)
        live.run(for: .seconds(1))
        live.give(.order(.permitJoining(.hours(1))), to: 0)
        live.run(for: .hours(1))
        // Nobody who only has its install code is let in for that.
        #expect(live.events(.joined).count { $0.node == 1 } == 1)
        let reasons = live.events(.dropped).filter { $0.node == 1 }.map { $0.values[0] }
        #expect(reasons.contains(UInt64(DropReason.apsBadMIC.rawValue)))

        live.give(.order(.removeDevice(device.eui64)), to: 0)
        live.give(.order(.addDevice(device.eui64, linkKey: device.installCode.linkKey)), to: 0)
        // Its key from before is not taken away for somebody's claim to be it.
        #expect(live.stack(0)?.establishedKey(with: device.eui64) == first)
        live.run(untilEvent: .joined, of: 1, count: 2)
        live.run(untilEvent: .linkKeyEstablished, of: 0, count: 2)
        live.run(untilEvent: .otaServerFound, of: 1, count: 2)
        let second = try #require(live.stack(0)?.establishedKey(with: device.eui64))
        #expect(second != first)
        #expect(live.stack(1)?.establishedKey(with: home.hub.eui64) == second)
        live.run(untilEvent: .imageWithheld, of: 0, count: 2)
    }

    @Test("a hub that is busy says so, and everybody comes to a key after a while")
    func busy() throws {
        let devices = (1...4 as ClosedRange<UInt64>).map { number in
            Homes.device(.hcalcs, name: number == 1 ? "HCALCS" : "HCALCS-\(number)", number: number)
            {
                // All of them have joined by then.
                $0.keyEstablishment.afterJoining = .minutes(10)
            }
        }
        let home = Self.home(devices) { $0.hub.profile.keyEstablishment.sessions = 1 }
        let names = devices.map(\.name)
        let played = try Played(
            home,
            [.wait(.minutes(5))] + names.map { .power(device: $0, on: false) }
                // They begin at the same time.
                + [.wait(.seconds(5))] + names.map { .power(device: $0, on: true) }
                + [.join(devices: names), .wait(.hours(1))], named: "key-establishment-busy")
        #expect(played.result.failure == nil)
        #expect(try played.complaints().isEmpty)
        #expect(played.events("linkKeyEstablished", at: "CH").count == 4)
        let refused = played.events("linkKeyRefused")
        #expect(!refused.isEmpty)
        for line in refused {
            #expect(line.contains("\"noResources\""))
        }
    }

    @Test("on a bad link commands are lost and come again, and the key is established in the end")
    func lossy() throws {
        let home = Self.home(Self.all) { $0.commonLink = Link(rssi: -60, lossPerMillion: 200_000) }
        let names = home.devices.map(\.name)
        let played = try Played(
            home, [.join(devices: names), .wait(.hours(12))], named: "key-establishment-lossy")
        #expect(played.result.failure == nil)
        #expect(try played.complaints().isEmpty)
        for name in names {
            #expect(!played.events("linkKeyEstablished", at: name).isEmpty, "\(name)")
        }
    }
}
