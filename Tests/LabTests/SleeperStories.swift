import Air
import Devices
import Lab
import TestSupport
import Testing
import Wire

@Suite("Sleepers that their parent has given up")
struct SleeperStories {
    @Test("a meter cut off for longer than its parent keeps it rejoins and goes on downloading")
    func cutOff() throws {
        let gsme = Homes.device(.gsme) {
            // Kept for 32 minutes; slow to give up its parent, or it would look for it by itself.
            $0.stack.endDeviceTimeout = 5
            $0.stack.parentFailures = 1_000
            $0.ota.blockRetries = 1_000
        }
        let played = try Played(
            Homes.home([gsme]), images: [Homes.image(for: gsme, size: 12_000)],
            [
                .join(devices: ["GSME"]), .deliver(image: "GSME", to: ["GSME"]),
                .await(.downloading, devices: ["GSME"]), .wait(.minutes(1)),
                .link(a: "CH", b: "GSME", Link(rssi: -110)), .wait(.minutes(70)),
                .link(a: "CH", b: "GSME", Link(rssi: -60)),
                .await(.verified, devices: ["GSME"]), .activate(devices: ["GSME"]),
                .await(.updated, devices: ["GSME"]), .join(devices: ["GSME"]),
                .readVersions(devices: ["GSME"], version: 0x0200_0000),
            ], named: "cut-off-sleeper")
        #expect(played.result.failure == nil)
        #expect(try played.complaints().isEmpty)
        #expect(played.events("childAged", at: "CH").count == 1)
        #expect(played.events("rejoined", at: "GSME").count == 1)
        #expect(played.events("otaDownloadStarted", at: "GSME").count == 1)
        #expect(played.events("otaDownloadResumed", at: "GSME").isEmpty)
        #expect(played.events("otaGaveUp", at: "GSME").isEmpty)
        // One Leave, with rejoin and request, from the hub; then one rejoin, secured.
        let leaves = try played.rows(
            ["wpan.src16", "zbee_nwk.cmd.leave.rejoin", "zbee_nwk.cmd.leave.request"],
            "zbee_nwk.cmd.id == 0x04")
        #expect(leaves.map { $0["wpan.src16"] } == ["0x0000"])
        for field in ["zbee_nwk.cmd.leave.rejoin", "zbee_nwk.cmd.leave.request"] {
            #expect(["1", "True"].contains(leaves.first?[field]))
        }
        let rejoins = try played.rows(["zbee_nwk.security"], "zbee_nwk.cmd.id == 0x06")
        #expect(rejoins.count == 1)
        #expect(["1", "True"].contains(rejoins.first?["zbee_nwk.security"]))
        #expect(played.events("networkKeyReceived", at: "GSME").count == 1)
    }

    @Test(
        "a meter behind a router is read when it is next heard of, by one question",
        arguments: [false, true])
    func behindRouter(restarts: Bool) throws {
        let router = Homes.device(.hcalcs) { $0.isRouter = true }
        // No tunnel: it would keep the meter awake for longer.
        let gsme = Homes.device(.gsme) { $0.tunnel.afterJoining = .hours(1_000) }
        var home = Homes.home([router, gsme])
        home.links = [HomeLink(from: "CH", to: "GSME", link: Link(rssi: -110))]
        let restart: [ScenarioStep.Action] = [
            .power(device: "CH", on: false), .wait(.seconds(5)), .power(device: "CH", on: true),
            .wait(.minutes(1)),
        ]
        let played = try Played(
            home,
            [.join(devices: ["HCALCS", "GSME"]), .wait(.minutes(95))] + (restarts ? restart : [])
                + [.readVersions(devices: ["GSME"], version: 0x0100_0000)],
            named: "read-behind-router-\(restarts)", within: .hours(3))
        #expect(played.result.failure == nil)
        #expect(try played.complaints().isEmpty)
        // It wakes every half hour.
        #expect(played.result.summary.virtualTime < .minutes(128))
        #expect(played.events("indirectExpired").isEmpty)
        #expect(played.events("apsRetry", at: "CH").isEmpty)
        // Read Attributes of the OTA cluster, on its first hop.
        let questions = try played.rows(
            ["zbee_nwk.seqno"],
            "wpan.src16 == 0x0000 && zbee_aps.cluster == 0x0019 && zbee_zcl.cmd.id == 0x00")
        #expect(Set(questions.compactMap { $0["zbee_nwk.seqno"] }).count == 1)
    }

    @Test("a meter that always sleeps for longer than it is kept gets its image all the same")
    func oversleeps() throws {
        let gsme = Homes.device(.gsme) { $0.stack.endDeviceTimeout = 4 }
        let played = try Played(
            Homes.home([gsme]), images: [Homes.image(for: gsme)],
            Stories.update("GSME") + [
                .readVersions(devices: ["GSME"], version: 0x0200_0000)
            ], named: "oversleeper")
        #expect(played.result.failure == nil)
        #expect(try played.complaints().isEmpty)
        let aged = played.events("childAged", at: "CH").count
        #expect(aged > 1)
        // Each time it is back at its next wake.
        let rejoined = played.events("rejoined", at: "GSME").count
        #expect(rejoined == aged || rejoined == aged - 1)
        #expect(played.events("otaGaveUp", at: "GSME").isEmpty)
    }

    @Test("a device asks for an image as soon as its profile says, once it has found its server")
    func firstQuery() throws {
        for wait in [Interval.milliseconds(1), .seconds(1), .seconds(7)] {
            let esme = Homes.device(.esme) { $0.ota.firstQuery = wait }
            let told = try Told(
                Homes.home([esme]), images: [], [.join(devices: ["ESME"]), .wait(.seconds(20))],
                named: "first-query")
            #expect(told.result.failure == nil)
            let found = try told.time("otaServerFound", of: "ESME")
            let asked = try told.time("otaQueried", of: "ESME")
            #expect(abs(asked - found - Double(wait.microseconds) / 1e6) < 0.001)
        }
    }

    @Test("a sleeper that has answered listens for what comes of it for as long as it is to")
    func answerWait() throws {
        func polls(_ wait: Interval) throws -> Int {
            let gsme = Homes.device(.gsme) {
                // Long enough awake for it to show.
                $0.sleep?.linger = .milliseconds(9_500)
                $0.sleep?.answerWait = wait
                $0.tunnel.afterJoining = .hours(1_000)
                $0.ota.responseTimeout = .seconds(1)
            }
            let played = try Played(
                Homes.home([gsme]),
                [
                    .join(devices: ["GSME"]), .wait(.minutes(1)),
                    .readVersions(devices: ["GSME"], version: 0x0100_0000), .wait(.minutes(1)),
                ], named: "answer-wait")
            #expect(played.result.failure == nil)
            return try played.rows(["wpan.seq_no"], "wpan.cmd == 4").count
        }
        let (few, many) = (try polls(.milliseconds(100)), try polls(.seconds(9)))
        #expect(many > few + 40)
    }
}
