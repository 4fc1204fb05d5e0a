import Air
import Devices
import Lab
import TestSupport
import Testing
import Wire

@Suite("The hub's OTA server")
struct OTAServerStories {
    static let update: [ScenarioStep.Action] = Stories.update("ESME")

    static func paged(_ name: String = "ESME", number: UInt64 = 1) -> HomeDevice {
        Homes.device(.esme, name: name, number: number) {
            $0.ota.pageSize = 1_500
            $0.ota.pageSpacing = .milliseconds(20)
            $0.ota.responseTimeout = .milliseconds(500)
        }
    }

    @Test("an image comes in pages: one request for each, its blocks as far apart as it says")
    func pages() throws {
        let esme = Self.paged()
        // No tunnel is opened between its blocks.
        var hub = Homes.hub()
        hub.profile.tunnel.afterJoining = .hours(1_000)
        let told = try Told(
            Homes.home([esme], hub: hub), images: [Homes.image(for: esme)], Self.update,
            named: "pages")
        #expect(told.result.failure == nil)
        #expect(told.result.summary.devices[1].attempts[0].outcome == .updated)
        #expect(told.result.summary.devices[1].attempts[0].blocks == 110)
        #expect(try told.complaints().isEmpty)
        // 5,129 bytes: three whole pages and a rest.
        #expect(try told.frames(4).count == 4)
        #expect(try told.frames(3).isEmpty)
        let blocks = try told.frames(5, fromServer: true)
        #expect(blocks.count == 110)
        let times = blocks.compactMap { Double($0["frame.time_relative"] ?? "") }
        // Only the next page's first block comes sooner: its request went out at once.
        #expect(zip(times, times.dropFirst()).count { $1 - $0 < 0.015 } == 3)
    }

    @Test("what the air loses of a page is fetched block by block, and the image is right")
    func lossyPages() throws {
        let esme = Self.paged()
        let home = Homes.home([esme])
        let told = try Told(
            home, images: [Homes.image(for: esme, size: 20_000)],
            [
                .join(devices: ["ESME"]),
                .link(a: "CH", b: "ESME", Link(rssi: -60, lossPerMillion: 450_000)),
            ] + Self.update, named: "lossy-pages")
        #expect(told.result.failure == nil)
        #expect(told.result.summary.devices[1].attempts[0].outcome == .updated)
        #expect(try told.frames(3).count > 0)
        #expect(told.drops("otaWrongOffset") < 100)
    }

    @Test("a hub whose firmware has no pages says so, and the image comes block by block")
    func noPages() throws {
        let esme = Self.paged()
        let hub = Homes.newHub { $0.firmware[1].value.servesPages = false }
        let told = try Told(
            Homes.home([esme], hub: hub), images: [Homes.image(for: esme)], Self.update,
            named: "no-pages")
        #expect(told.result.failure == nil)
        #expect(told.result.summary.devices[1].attempts[0].outcome == .updated)
        #expect(try told.frames(4).count == 1)
        #expect(try told.frames(3).count == 107)
        #expect(try told.complaints().isEmpty)
    }

    @Test("with one page at a time, whoever comes second waits for as long as it is told")
    func pageLimit() throws {
        let names = ["ESME-1", "ESME-2"]
        let devices = names.enumerated().map { Self.paged($1, number: UInt64($0 + 1)) }
        let hub = Homes.newHub {
            $0.ota.pageLimit = 1
            $0.ota.waitTime = .seconds(3)
        }
        var image = Homes.image(for: devices[0])
        image.name = "all"
        let told = try Told(
            Homes.home(devices, hub: hub), images: [image],
            [.join(devices: names), .deliver(image: "all", to: names)]
                + [.await(.verified, devices: names)], named: "page-limit")
        #expect(told.result.failure == nil)
        let waits = told.events("otaWaiting")
        #expect(!waits.isEmpty)
        for wait in waits { #expect(wait["delay"] as? Double == 3) }
    }

    @Test(
        "with one download at a time the second device waits until the first is done",
        arguments: [OTATimeForm.relative, .absolute])
    func downloadLimit(_ form: OTATimeForm) throws {
        let names = ["ESME-1", "ESME-2", "ESME-3"]
        let devices = names.enumerated().map {
            Homes.device(.esme, name: $1, number: UInt64($0 + 1))
        }
        let hub = Homes.newHub {
            $0.ota.downloadLimit = 1
            $0.ota.waitTime = .milliseconds(1_500)
            $0.ota.times = form
        }
        var image = Homes.image(for: devices[0], size: 20_000)
        image.name = "all"
        let told = try Told(
            Homes.home(devices, hub: hub), images: [image],
            [
                .join(devices: names), .deliver(image: "all", to: names),
                .await(.verified, devices: names),
            ], named: "download-limit-\(form.rawValue)")
        #expect(told.result.failure == nil)
        #expect(told.events("otaWaiting").allSatisfy { $0["delay"] as? Double == 2 })
        // Blocks of one device, then of the next: as many changes of owner as there are devices.
        let owners = try told.frames(
            5, fromServer: true, fields: ["zbee_nwk.dst", "zbee_zcl_general.ota.file.offset"]
        ).filter { $0["zbee_zcl_general.ota.file.offset"] != nil }.compactMap { $0["zbee_nwk.dst"] }
        let turns = zip(owners, owners.dropFirst()).count { $0 != $1 }
        #expect(turns == 2)
        #expect(try told.complaints().isEmpty)
    }

    @Test("devices keep to the hub's MinimumBlockPeriod, of which they are told once")
    func blockPeriod() throws {
        let esme = Homes.device(.esme)
        let old = Homes.device(.esme, name: "old", number: 2) { $0.ota.supportsBlockPeriod = false }
        let hub = Homes.newHub { $0.ota.blockPeriod = .milliseconds(150) }
        var image = Homes.image(for: esme)
        image.name = "all"
        let told = try Told(
            Homes.home([esme, old], hub: hub), images: [image],
            [
                .join(devices: ["ESME", "old"]), .deliver(image: "all", to: ["ESME", "old"]),
                .await(.verified, devices: ["ESME", "old"]),
            ], named: "block-period")
        #expect(told.result.failure == nil)
        let waits = told.events("otaWaiting")
        #expect(waits.count == 1)
        #expect(waits.first?["minimumBlockPeriod"] as? Int == 150)
        #expect(waits.first?["delay"] as? Double == 0)
        let started = try told.time("otaDownloadStarted", of: "ESME")
        let verified = try told.time("otaVerified", of: "ESME")
        #expect(verified - started > 106 * 0.15)
        // Whoever cannot keep to a period is not held up by it.
        let other = try told.time("otaVerified", of: "old")
        #expect(other - started < 10)
    }

    @Test(
        "a PPMID is activated by Upgrade End Response, in every form of time; an ESME never",
        arguments: [OTATimeForm.relative, .absolute], [0, 90] as [Int64])
    func upgradeTimes(_ form: OTATimeForm, _ delay: Int64) throws {
        let ppmid = Homes.device(.ppmid)
        let esme = Homes.device(.esme)
        let hub = Homes.newHub {
            $0.ota.times = form
            $0.ota.upgradeDelay = .seconds(delay)
        }
        let told = try Told(
            Homes.home([ppmid, esme], hub: hub),
            images: [Homes.image(for: ppmid), Homes.image(for: esme)],
            [
                .join(devices: ["PPMID", "ESME"]), .deliver(image: "PPMID", to: ["PPMID"]),
                .deliver(image: "ESME", to: ["ESME"]), .await(.updated, devices: ["PPMID"]),
                .wait(.hours(5)),
                .readVersions(devices: ["ESME"], version: 0x0100_0000),
            ], named: "upgrade-\(form.rawValue)-\(delay)")
        #expect(told.result.failure == nil)
        #expect(told.events("otaCountingDown").map { $0["node"] as? String } == ["PPMID"])
        #expect(told.events("otaCountingDown").first?["delay"] as? Int == Int(delay))
        let span = try told.time("activated") - told.time("otaCountingDown")
        #expect(abs(span - Double(delay)) < 0.01)
        #expect(told.events("otaAwaitingActivation", of: "ESME").count >= 4)
        let times = try told.frames(
            7, fromServer: true,
            fields: ["zbee_zcl_general.ota.current_time", "zbee_zcl_general.ota.upgrade_time"])
        #expect(times.count > 4)
        #expect(try told.complaints().isEmpty)
    }

    @Test("a hub on an old stack counts MinimumBlockPeriod in seconds, rounded up")
    func periodInSeconds() throws {
        let esme = Homes.device(.esme) { $0.ota.blockPeriodInSeconds = true }
        let hub = Homes.newHub {
            $0.ota.blockPeriod = .milliseconds(1_500)
            $0.ota.blockPeriodInSeconds = true
        }
        let told = try Told(
            Homes.home([esme], hub: hub), images: [Homes.image(for: esme, size: 300)],
            Self.update, named: "period-in-seconds")
        #expect(told.result.failure == nil)
        #expect(told.events("otaWaiting").map { $0["minimumBlockPeriod"] as? Int } == [2])
        let span =
            try told.time("otaVerified") - told.time("otaDownloadStarted")
        // Nine blocks.
        #expect(span > 16 && span < 20)
    }

    @Test("WAIT_FOR_DATA of an old stack has no MinimumBlockPeriod, and is understood")
    func noPeriod() throws {
        let names = ["ESME-1", "ESME-2"]
        let devices = names.enumerated().map {
            Homes.device(.esme, name: $1, number: UInt64($0 + 1))
        }
        var frames: [Int] = []
        for sends in [true, false] {
            let hub = Homes.newHub {
                $0.ota.downloadLimit = 1
                $0.ota.waitTime = .seconds(3)
                $0.ota.blockPeriod = .milliseconds(40)
                $0.ota.sendsBlockPeriod = sends
            }
            var image = Homes.image(for: devices[0])
            image.name = "all"
            let told = try Told(
                Homes.home(devices, hub: hub), images: [image],
                [
                    .join(devices: names), .deliver(image: "all", to: names),
                    .await(.verified, devices: names),
                ], named: "no-period-\(sends)")
            #expect(told.result.failure == nil)
            let waits = try told.frames(
                5, fromServer: true,
                fields: [
                    "zbee_zcl_general.ota.status", "zbee_zcl_general.ota.min_block_period",
                    "zbee_zcl_general.ota.request_time", "frame.len",
                ]
            ).filter { $0["zbee_zcl_general.ota.status"] == "0x97" }
            #expect(!waits.isEmpty)
            let lengths = Set(waits.compactMap { Int($0["frame.len"] ?? "") })
            #expect(lengths.count == 1)
            frames.append(lengths.first ?? 0)
            #expect(
                told.events("otaWaiting").contains { $0["minimumBlockPeriod"] as? Int == 40 }
                    == sends)
        }
        #expect(frames[0] == frames[1] + 2)
    }

    @Test("an image that is gone from the hub ends a download, whichever way the hub says so")
    func unknownImage() throws {
        for answer in UnknownImageAnswer.allCases {
            let esme = Homes.device(.esme)
            let hub = Homes.newHub { $0.ota.unknownImage = answer }
            let images = [
                try Homes.image(named: "old", for: esme, size: 60_000),
                try Homes.image(named: "new", for: esme, version: 0x0300_0000, forceReplace: true),
            ]
            let told = try Told(
                Homes.home([esme], hub: hub), images: images,
                [
                    .join(devices: ["ESME"]), .deliver(image: "old", to: ["ESME"]),
                    .await(.downloading, devices: ["ESME"]), .wait(.seconds(1)),
                    .deliver(image: "new", to: ["ESME"]), .wait(.minutes(1)),
                ], named: "unknown-image-\(answer.rawValue)")
            #expect(told.result.failure == nil)
            #expect(told.events("otaAborted").count == 1)
            let answers = try DefaultResponseStories.answers(told, from: "== 0x0000")
            #expect(
                answers.map { [$0.command, $0.status] }
                    == (answer == .noImageAvailable ? [[3, 0x98]] : []))
        }
    }

    @Test("a PPMID that fetches the same version again is told to wait again")
    func heldAgain() {
        let ppmid = Homes.device(.ppmid)
        let hub = Homes.newHub { $0.ota.upgradeHold = .minutes(30) }
        let live = LiveHome(
            Homes.home([ppmid], hub: hub), images: [Homes.image(for: ppmid)],
            [.join(devices: ["PPMID"]), .deliver(image: "PPMID", to: ["PPMID"])])
        live.run(untilEvent: .otaAwaitingActivation, of: 1)
        // The image is spoilt meanwhile, behind the journal of four pages.
        live.erase(page: 4, of: 1)
        live.run(untilEvent: .activationRefused, of: 1)
        live.run(for: .seconds(1))
        live.give(.order(.queryNextImage), to: 1)
        live.run(untilEvent: .otaVerified, of: 1, count: 2)
        live.run(for: .minutes(1))
        #expect(live.events(.activated).isEmpty)
        #expect(live.events(.otaAwaitingActivation).count == 2)
        live.run(for: .minutes(31))
        #expect(live.events(.activated).count == 1)
    }

    @Test("a PPMID that is first told to wait is told more when the time has come, unasked")
    func upgradeHold() throws {
        let ppmid = Homes.device(.ppmid)
        let hub = Homes.newHub { $0.ota.upgradeHold = .minutes(90) }
        let told = try Told(
            Homes.home([ppmid], hub: hub), images: [Homes.image(for: ppmid)],
            [
                .join(devices: ["PPMID"]), .deliver(image: "PPMID", to: ["PPMID"]),
                .await(.updated, devices: ["PPMID"]),
            ], named: "upgrade-hold")
        #expect(told.result.failure == nil)
        #expect(told.events("otaAwaitingActivation").count == 2)
        let held = try told.time("activated") - told.time("otaAwaitingActivation")
        #expect(abs(held - 5_400) < 1)
    }

    @Test(
        "a broadcast notification makes those ask whom it speaks of",
        arguments: NotifyPayload.allCases)
    func broadcast(_ payload: NotifyPayload) throws {
        let esme = Homes.device(.esme)
        let other = Homes.device(.hcalcs)
        let hub = Homes.newHub {
            $0.ota.notify = .broadcast
            $0.ota.notifyPayload = payload
        }
        let told = try Told(
            Homes.home([esme, other], hub: hub), images: [Homes.image(for: esme)],
            [
                .join(devices: ["ESME", "HCALCS"]), .wait(.seconds(30)),
                .deliver(image: "ESME", to: ["ESME"]), .await(.verified, devices: ["ESME"]),
            ], named: "broadcast-\(payload)", within: .minutes(5))
        #expect(told.result.failure == nil)
        #expect(told.events("imageNotified").count == 1)
        let asked = told.events("otaQueried", of: "HCALCS").count
        #expect(asked == (payload == .jitter || payload == .manufacturer ? 2 : 1))
        #expect(try told.complaints().isEmpty)
    }

    @Test("forty devices are notified a few at a time: no queue runs over")
    func manyNotified() throws {
        let devices = (1...40).map {
            Homes.device(.esme, name: "ESME-\($0)", number: UInt64($0))
        }
        let names = devices.map(\.name)
        // Forty downloads at once would be too much for the air itself.
        let hub = Homes.newHub {
            $0.ota.downloadLimit = 4
            $0.ota.waitTime = .seconds(10)
        }
        var image = Homes.image(for: devices[0], size: 300)
        image.name = "all"
        let told = try Told(
            Homes.home(devices, hub: hub), images: [image],
            [
                .join(devices: names), .wait(.minutes(1)), .deliver(image: "all", to: names),
                .await(.verified, devices: names),
            ], named: "forty", within: .hours(2))
        #expect(told.result.failure == nil)
        #expect(told.events("imageNotified").count == 40)
        let delivered = try told.time("imageStored")
        let late = told.events("dropped").filter {
            $0["reason"] as? String == "queueFull" && ($0["time"] as? Double ?? 0) > delivered
        }
        #expect(late.isEmpty)
        #expect(told.events("otaQueried").count >= 80)
    }
}
