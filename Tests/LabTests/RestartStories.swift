import Air
import Devices
import Evidence
import Foundation
import Lab
import Radio
import TestSupport
import Testing
import Wire

@Suite("Restarts and power cuts")
struct RestartStories {
    /// Long enough that a power cut of a few seconds falls into the download.
    static let size = 30_000

    private func cutDuringDownload(
        _ resume: ResumePolicy, named name: String
    ) throws -> (blocks: UInt64, events: [String]) {
        let esme = Homes.device(.esme) { $0.resume = resume }
        let folder = try TemporaryFolder()
        let result = try Stories.run(
            Homes.home([esme]), images: [Homes.image(for: esme, size: Self.size)],
            [
                .join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"]),
                .await(.downloading, devices: ["ESME"]), .wait(.seconds(4)),
                .power(device: "ESME", on: false), .wait(.seconds(30)),
                .power(device: "ESME", on: true), .join(devices: ["ESME"]),
                .await(.verified, devices: ["ESME"]), .activate(devices: ["ESME"]),
                .await(.updated, devices: ["ESME"]), .join(devices: ["ESME"]),
                .readVersions(devices: ["ESME"], version: 0x0200_0000),
            ], named: name, folder: folder.path)
        #expect(result.failure == nil)
        let events = try String(
            contentsOf: folder.url.appending(path: "events.jsonl"), encoding: .utf8)
        return (
            result.summary.devices[1].attempts[0].blocks,
            events.split(separator: "\n").map(String.init)
        )
    }

    @Test("a restart takes as long as the profile says")
    func restartDelay() throws {
        let esme = Homes.device(.esme) { $0.restartDelay = .seconds(7) }
        let hub = Homes.newHub { $0.restartDelay = .seconds(9) }
        let told = try Told(
            Homes.home([esme], hub: hub),
            images: [Homes.image(for: esme), Homes.image(for: hub, version: 0x0300_0000)],
            // With a tunnel there already: otherwise it waits until its receipt is told.
            [.join(devices: ["ESME"]), .wait(.minutes(1))] + Stories.update("ESME")
                + [.updateHub(image: "CH")], named: "restart-delay")
        #expect(told.result.failure == nil)
        for (node, delay) in [("ESME", 7.5), ("CH", 9)] {
            let on = try #require(told.events("poweredOn", of: node).last?["time"] as? Double)
            #expect(abs(on - (try told.time("activated", of: node)) - delay) < 0.1, "\(node)")
        }
    }

    @Test("a device that loses power in a download goes on from its saved offset")
    func resumes() throws {
        let (blocks, events) = try cutDuringDownload(.offset(everyBlocks: 16), named: "resume")
        #expect(events.contains { $0.contains("otaDownloadResumed") })
        // All of them count, also those from before the cut.
        #expect(blocks == UInt64((60 + Self.size + 66 + 47) / 48))
        #expect(
            events.contains { $0.contains("otaDownloadResumed") && !$0.contains("\"offset\":0") })
    }

    @Test("a device whose profile says so begins its download again after a power cut")
    func beginsAgain() throws {
        let (blocks, events) = try cutDuringDownload(.fromZero, named: "from-zero")
        #expect(!events.contains { $0.contains("otaDownloadResumed") })
        #expect(events.filter { $0.contains("otaDownloadStarted") }.count == 2)
        #expect(blocks == UInt64((60 + Self.size + 66 + 47) / 48))
    }

    @Test(
        "a download that is given up for want of answers goes on later, or begins again",
        arguments: [ResumePolicy.offset(everyBlocks: 32), .fromZero])
    func givesUp(_ resume: ResumePolicy) throws {
        let esme = Homes.device(.esme) {
            $0.resume = resume
            $0.ota.retryInterval = .minutes(2)
        }
        let told = try Told(
            Homes.home([esme]), images: [Homes.image(for: esme, size: Self.size)],
            [
                .join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"]),
                .await(.downloading, devices: ["ESME"], offset: 9_000),
                .link(a: "CH", b: "ESME", Link(rssi: -120)),
                .await(.gaveUp, devices: ["ESME"]),
                .link(a: "CH", b: "ESME", Link(rssi: -50)),
                .await(.verified, devices: ["ESME"]), .activate(devices: ["ESME"]),
                .await(.updated, devices: ["ESME"]),
            ], named: "gives-up-\(resume == .fromZero)")
        #expect(told.result.failure == nil)
        let lost = try #require(told.events("otaGaveUp").first?["offset"] as? Int)
        #expect(lost >= 9_000 && told.events("otaGaveUp").count == 1)
        let resumed = told.events("otaDownloadResumed").compactMap { $0["offset"] as? Int }
        #expect(resumed == (resume == .fromZero ? [] : [lost]))
        #expect(told.events("otaDownloadStarted").count == (resume == .fromZero ? 2 : 1))
        // What was fetched twice is counted twice.
        let whole = (60 + Self.size + 66 + 47) / 48
        let again = resume == .fromZero ? (lost + 47) / 48 : 0
        #expect(told.result.summary.devices[1].attempts[0].blocks == UInt64(whole + again))
    }

    @Test("frame counters never go back over a restart")
    func counters() throws {
        let (_, events) = try cutDuringDownload(.offset(everyBlocks: 16), named: "counters")
        let resumed = try #require(events.first { $0.contains("networkResumed") })
        let counter = try #require(resumed.split(separator: "\"frameCounter\":").last)
        #expect(Int(counter.prefix { $0.isNumber }) ?? 0 > 300)
        #expect(!events.contains { $0.contains("nwkReplayed") })
    }

    @Test("a hub that loses power keeps PAN, keys, device log and images; devices carry on")
    func hub() throws {
        let esme = Homes.device(.esme)
        let gsme = Homes.device(.gsme)
        let folder = try TemporaryFolder()
        let result = try Stories.run(
            Homes.home([esme, gsme]),
            images: [
                Homes.image(for: esme, size: Self.size), Homes.image(for: gsme, size: 3_000),
            ],
            [
                .join(devices: ["ESME", "GSME"]), .deliver(image: "GSME", to: ["GSME"]),
                .deliver(image: "ESME", to: ["ESME"]), .await(.downloading, devices: ["ESME"]),
                .wait(.seconds(3)), .power(device: "CH", on: false), .wait(.seconds(5)),
                .power(device: "CH", on: true), .await(.verified, devices: ["ESME", "GSME"]),
                .readVersions(devices: ["ESME", "GSME"], version: 0x0100_0000),
            ], named: "hub-power", folder: folder.path)
        #expect(result.failure == nil)
        let events = try String(
            contentsOf: folder.url.appending(path: "events.jsonl"), encoding: .utf8)
        // Formed once, then resumed; nobody joined twice.
        #expect(events.components(separatedBy: "\"panFormed\"").count == 2)
        #expect(events.components(separatedBy: "\"joined\"").count == 3)
    }

    @Test("power cut at any instant of an activation leaves the old firmware or the new, bootable")
    func activation() throws {
        let esme = Homes.device(.esme)
        let images = [Homes.image(for: esme, size: 2_000)]
        var seen: Set<UInt32> = []
        for delay in stride(from: 0, through: 1_200, by: 25) {
            let result = try Stories.run(
                Homes.home([esme]), images: images,
                [
                    .join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"]),
                    .await(.verified, devices: ["ESME"]), .wait(.seconds(1)),
                    .activate(devices: ["ESME"], expect: .nothing),
                    .wait(.microseconds(Int64(delay))),
                    .power(device: "ESME", on: false), .wait(.seconds(1)),
                    .power(device: "ESME", on: true), .wait(.seconds(10)),
                    .join(devices: ["ESME"]),
                ], named: "activation-\(delay)")
            #expect(result.failure == nil)
            seen.insert(result.summary.devices[1].versionAfter ?? 0)
        }
        #expect(seen == [0x0100_0000, 0x0200_0000])
    }

    @Test("power cut at any instant while a device joins leaves one that finds its way back")
    func joining() throws {
        let esme = Homes.device(.esme)
        for tenth in stride(from: 340, through: 380, by: 4) {
            let result = try Stories.run(
                Homes.home([esme]), images: [],
                [
                    .wait(.milliseconds(Int64(tenth) * 100)), .power(device: "ESME", on: false),
                    .wait(.seconds(1)), .power(device: "ESME", on: true),
                    .join(devices: ["ESME"]),
                ], named: "joining-\(tenth)", within: .hours(2))
            #expect(result.failure == nil, "cut at \(tenth) tenths of a second")
        }
    }

    @Test("a hub of sixty devices that loses power finds them all again")
    func manyDevices() throws {
        let devices = (1...60).map { number in
            Homes.device(.esme, name: "ESME-\(number)", number: UInt64(number)) {
                $0.stack.joinRetry = .seconds(60)
            }
        }
        let names = devices.map(\.name)
        let result = try Stories.run(
            Homes.home(devices), images: [],
            [
                .join(devices: names), .power(device: "CH", on: false), .wait(.seconds(5)),
                .power(device: "CH", on: true), .wait(.minutes(1)),
                .readVersions(devices: names, version: 0x0100_0000),
            ], named: "sixty")
        #expect(result.failure == nil)
    }
}
