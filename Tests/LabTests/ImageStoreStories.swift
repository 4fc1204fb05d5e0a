import Devices
import Evidence
import GBCS
import Lab
import TestSupport
import Testing
import Wire

@Suite("The hub's image store")
struct ImageStoreStories {
    let first = Homes.device(.esme, name: "ESME-1", number: 1)
    let second = Homes.device(.esme, name: "ESME-2", number: 2)

    static func broken(_ image: RunImage) -> RunImage {
        var image = image
        image.name = "broken"
        // The header's total size no longer fits.
        image.bytes[52] ^= 1
        return image
    }

    @Test("a full store keeps its oldest image until a new one is whole and accepted")
    func eviction() throws {
        let hub = Homes.newHub {
            $0.imageSlots = 1
            $0.notifiesImages = false
        }
        let images = [
            try Homes.image(named: "one", for: first), try Homes.image(named: "two", for: second),
            Self.broken(Homes.image(for: second)),
        ]
        let told = try Told(
            Homes.home([first, second], hub: hub), images: images,
            [
                .join(devices: ["ESME-1", "ESME-2"]), .deliver(image: "one", to: ["ESME-1"]),
                .deliver(image: "broken", to: ["ESME-2"]), .query(devices: ["ESME-1"]),
                .await(.verified, devices: ["ESME-1"]), .deliver(image: "two", to: ["ESME-2"]),
                .query(devices: ["ESME-2"]), .await(.verified, devices: ["ESME-2"]),
                // The first one's image is gone, and with it the answer to its hourly question.
                .wait(.hours(3)), .activate(devices: ["ESME-1"]),
                .await(.updated, devices: ["ESME-1"]),
            ], named: "eviction")
        #expect(told.result.failure == nil)
        #expect(told.events("imageDiscarded").map { $0["reason"] as? String } == ["sizeMismatch"])
        let stopped = told.events("otaStoppedAsking")
        #expect(stopped.map { $0["node"] as? String } == ["ESME-1"])
        #expect(stopped.first?["status"] as? String == "NO_IMAGE_AVAILABLE")
    }

    private func transfers(_ told: Told) throws -> [(device: String, result: String)] {
        try told.events("message").filter { $0["useCase"] as? String == "CCS08" }.map { alert in
            let fields = try #require(alert["fields"] as? [[String: String]])
            let hex = fields.compactMap { $0["hex"]?.uppercased() }
            let device = [first, second].first { device in
                hex.contains("\(device.eui64)".uppercased())
            }
            let result = try #require(fields.first { $0["name"] == "result" })
            return (device?.name ?? "", result["hex"] ?? "")
        }
    }

    @Test(
        "whose image is pushed out of a full store before it was fetched is told of",
        arguments: [
            false, true,
        ])
    func pushedOut(isFetched: Bool) throws {
        let hub = Homes.hub(firmware: 0x0200_0000) {
            $0.imageSlots = 1
            $0.notifiesImages = false
        }
        let images = [
            try Homes.image(named: "one", for: first), try Homes.image(named: "two", for: second),
        ]
        let told = try Told(
            Homes.home([first, second], hub: hub), images: images,
            [
                .join(devices: ["ESME-1", "ESME-2"]), .deliver(image: "one", to: ["ESME-1"]),
            ]
                + (isFetched
                    ? [.query(devices: ["ESME-1"]), .await(.verified, devices: ["ESME-1"])] : [])
                + [.deliver(image: "two", to: ["ESME-2"]), .wait(.minutes(1))],
            named: "pushed-out-\(isFetched)")
        #expect(told.result.failure == nil)
        let transfers = try transfers(told)
        #expect(transfers.map(\.device) == ["ESME-1"])
        // Success, or discarded.
        #expect(transfers.map(\.result) == [isFetched ? "00" : "01"])
    }

    @Test(
        "an image that a device has refused is only offered to it again when it is delivered anew",
        arguments: [false, true])
    func refused(offersRefused: Bool) throws {
        let esme = Homes.device(.esme) { $0.ota.queryInterval = .hours(1) }
        let hub = Homes.hub(firmware: 0x0200_0000) { $0.ota.offersRefused = offersRefused }
        var bad = Homes.image(for: esme, by: Homes.key(2))
        bad.name = "bad"
        let told = try Told(
            Homes.home([esme], hub: hub), images: [bad],
            [
                .join(devices: ["ESME"]), .deliver(image: "bad", to: ["ESME"]),
                .await(.rejected, devices: ["ESME"]), .wait(.hours(3)),
                .power(device: "CH", on: false), .wait(.minutes(1)),
                .power(device: "CH", on: true), .wait(.hours(3)),
                .deliver(image: "bad", to: ["ESME"]), .wait(.minutes(30)),
            ], named: "refused-\(offersRefused)")
        #expect(told.result.failure == nil)
        let rejected = told.events("otaRejected").count
        #expect(offersRefused ? rejected > 4 : rejected == 2)
    }

    @Test("an image that is refused at its beginning is refused once, whatever follows of it")
    func oneRefusal() throws {
        let hub = Homes.newHub { $0.imageSlotSize = 4_096 }
        let told = try Told(
            Homes.home([first], hub: hub), images: [Homes.image(for: first, size: 60_000)],
            [.join(devices: ["ESME-1"]), .deliver(image: "ESME-1", to: ["ESME-1"])],
            named: "one-refusal")
        #expect(told.result.failure == nil)
        #expect(told.events("imageDiscarded").map { $0["reason"] as? String } == ["imageTooLarge"])
        #expect(told.events("wanMessageRefused").isEmpty)

        let live = LiveHome(Homes.home([first]), images: [], [.join(devices: ["ESME-1"])])
        live.run(untilEvent: .otaServerFound, of: 1)
        for chunk in 0..<5 as Range<UInt32> {
            live.give(
                .wan(.imageChunk(delivery: 9, offset: chunk * 4, bytes: [1, 2, 3, 4])), to: 0)
        }
        #expect(live.events(.wanMessageRefused).count == 1)
        live.give(.wan(.endImage(delivery: 9)), to: 0)
        #expect(
            live.events(.imageDiscarded).map { $0.values[1] }
                == [UInt64(RefusalReason.incomplete.rawValue)])
    }

    @Test("a hub that loses power at any instant of a delivery has the old image or both after it")
    func powerCut() throws {
        let hub = Homes.newHub {
            $0.imageSlots = 1
            $0.bootTime = .seconds(1)
        }
        let images = [
            try Homes.image(named: "one", for: first), try Homes.image(named: "two", for: second),
        ]
        var stored: Set<Int> = []
        for delay in stride(from: 0, to: 600, by: 40) {
            // "two" is on its way when the power goes; its delivery is sent again afterwards.
            let live = LiveHome(
                Homes.home([first, second], hub: hub), images: images,
                [
                    .join(devices: ["ESME-1", "ESME-2"]), .deliver(image: "one", to: ["ESME-1"]),
                    .deliver(image: "two", to: ["ESME-2"]),
                ])
            live.run(untilEvent: .imageArriving, of: 0, count: 2)
            live.run(for: .milliseconds(Int64(delay)))
            live.restart(0)
            live.run(for: .seconds(10))
            live.give(.order(.queryNextImage), to: 1)
            live.give(.order(.queryNextImage), to: 2)
            live.run(for: .seconds(5))
            let offers = Set(live.events(.imageOffered).map { $0.values[0] })
            stored.insert(live.events(.imageStored).count)
            let isWhole = live.events(.imageStored).count == 2
            #expect(offers.contains((isWhole ? second : first).eui64.rawValue))
        }
        #expect(stored.contains(1))
    }

    @Test("an image is only offered to a device that runs a version it may follow")
    func installableFrom() throws {
        for (versions, checks, outcome) in [
            ([0x0BAD_F00D], true, AttemptOutcome.notOffered), ([0x0BAD_F00D], false, .updated),
            ([0x0BAD_F00D, 0x0100_0000], true, .updated), ([], true, .updated),
        ] as [([UInt32], Bool, AttemptOutcome)] {
            let esme = Homes.device(.esme) { $0.ota.queryInterval = .hours(1) }
            let hub = Homes.newHub { $0.ota.checksInstallableFrom = checks }
            let image = try Homes.image(named: "ESME", for: esme, installableFrom: versions)
            let ends: [ScenarioStep.Action] =
                outcome == .updated
                ? [
                    .await(.verified, devices: ["ESME"]), .activate(devices: ["ESME"]),
                    .await(.updated, devices: ["ESME"]),
                ] : [.await(.notOffered, devices: ["ESME"])]
            let told = try Told(
                Homes.home([esme], hub: hub), images: [image],
                [
                    .join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"]),
                    // What the hub was told of the image outlives a restart.
                    .wait(.seconds(1)), .power(device: "CH", on: false), .wait(.seconds(1)),
                    .power(device: "CH", on: true), .wait(.minutes(1)), .query(devices: ["ESME"]),
                ] + ends, named: "installable")
            #expect(told.result.failure == nil)
            let attempt = told.result.summary.devices[1].attempts[0]
            #expect(attempt.outcome == outcome)
            #expect(attempt.reason == (outcome == .updated ? nil : "notInstallableFrom"))
        }
    }

    @Test("the hub does not take an image of its own that may not follow what it runs")
    func ownImage() throws {
        var image = Homes.image(for: Homes.hub())
        image.installableFrom = [0x0BAD_F00D]
        let told = try Told(
            Homes.home([first]), images: [image],
            [.join(devices: ["ESME-1"]), .updateHub(image: "CH")], named: "own-not-installable",
            within: .minutes(10))
        #expect(told.result.failure?.contains("notInstallableFrom") == true)
    }

    @Test("the hub keeps the image of its own that it holds until another one is whole")
    func ownImageHeld() {
        let hub = Homes.hub()
        let (one, two) = (
            Homes.image(for: hub), Homes.image(for: hub, version: 0x0300_0000)
        )
        for isWhole in [false, true] {
            let live = LiveHome(
                Homes.home([first], hub: hub), images: [], [.join(devices: ["ESME-1"])])
            live.run(untilEvent: .otaServerFound, of: 1)
            func send(_ image: RunImage, _ delivery: UInt32, isWhole: Bool) {
                let bytes = isWhole ? image.bytes : Array(image.bytes.prefix(1_000))
                live.give(
                    .wan(
                        .beginImage(
                            delivery: delivery, targets: [hub.eui64],
                            size: UInt32(image.bytes.count), installableFrom: [])), to: 0)
                live.give(.wan(.imageChunk(delivery: delivery, offset: 0, bytes: bytes)), to: 0)
                live.run(for: .seconds(1))
                if isWhole { live.give(.wan(.endImage(delivery: delivery)), to: 0) }
                live.run(for: .seconds(1))
            }
            send(one, 1, isWhole: true)
            send(two, 2, isWhole: isWhole)
            // What it holds outlives a restart, too.
            live.restart(0)
            live.run(for: .minutes(1))
            live.give(.wan(.activateHub(hash: (isWhole ? one : two).hash)), to: 0)
            #expect(live.events(.activated).isEmpty)
            live.give(.wan(.activateHub(hash: (isWhole ? two : one).hash)), to: 0)
            #expect(
                live.events(.activated).map { $0.values[1] }
                    == [UInt64((isWhole ? two : one).version)])
        }
    }

    @Test("Force Replace ends a download of what was there before; without it that goes on")
    func forceReplace() throws {
        for (force, obeys) in [(true, true), (true, false), (false, true)] {
            let esme = Homes.device(.esme)
            let hub = Homes.newHub { $0.ota.obeysForceReplace = obeys }
            let images = [
                try Homes.image(named: "old", for: esme, size: 60_000),
                try Homes.image(named: "new", for: esme, version: 0x0300_0000, forceReplace: force),
            ]
            let told = try Told(
                Homes.home([esme], hub: hub), images: images,
                [
                    .join(devices: ["ESME"]), .deliver(image: "old", to: ["ESME"]),
                    .await(.downloading, devices: ["ESME"]), .wait(.seconds(1)),
                    .deliver(image: "new", to: ["ESME"]), .wait(.minutes(30)),
                    .query(devices: ["ESME"]), .wait(.minutes(5)),
                ], named: "force-\(force)-\(obeys)")
            #expect(told.result.failure == nil)
            let isForced = force && obeys
            #expect(told.events("otaAborted").count == (isForced ? 1 : 0))
            #expect(told.events("otaVerified").count == (isForced ? 1 : 2))
        }
    }

    @Test("an image that would fit a device but is for another is withheld as not targeted")
    func notTargeted() throws {
        let told = try Told(
            Homes.home([first, second]), images: [Homes.image(for: second)],
            [
                .join(devices: ["ESME-1", "ESME-2"]), .deliver(image: "ESME-2", to: ["ESME-2"]),
                .query(devices: ["ESME-1"]), .wait(.seconds(10)),
            ], named: "not-targeted")
        #expect(told.result.failure == nil)
        #expect(told.events("imageWithheld").last?["reason"] as? String == "notTargeted")
    }

    @Test("a hub's flash pages may be of another size")
    func flashPages() throws {
        let hub = Homes.newHub {
            $0.flashPart.pageSize = 8_192
            $0.flashPart.erasePage = .milliseconds(90)
            $0.imageSlotSize = 10 * 8_192
        }
        let told = try Told(
            Homes.home([first], hub: hub), images: [Homes.image(for: first, size: 70_000)],
            Stories.update("ESME-1"), named: "flash-pages")
        #expect(told.result.failure == nil)
    }
}
