import Evidence
import GBCS
import Lab
import Radio
import Testing
import Wire

@Suite("What counts as done, and for what reason")
struct CountingStories {
    private let esme = Homes.device(.esme)

    @Test("a hub that runs the version of its image from the start is not updated by booting")
    func ownVersion() throws {
        let hub = Homes.hub(firmware: 0x0200_0000)
        var image = Homes.image(for: hub)
        let free = try Told(
            Homes.home([esme], hub: hub), images: [image], [.updateHub(image: "CH")],
            named: "own-version")
        #expect(free.result.failure == nil)
        #expect(free.events("imageStored", of: "CH").count == 1)
        #expect(free.events("activated", of: "CH").count == 1)
        #expect(free.events("poweredOn", of: "CH").count == 2)
        #expect(free.result.summary.devices[0].attempts.map(\.outcome) == [.updated])

        image.installableFrom = [0x0100_0000]
        let told = try Told(
            Homes.home([esme], hub: hub), images: [image], [.updateHub(image: "CH")],
            named: "own-version-refused")
        #expect(
            told.result.failure?.hasSuffix("the hub refused its image: notInstallableFrom") == true)
        let attempts = told.result.summary.devices[0].attempts
        #expect(attempts.map(\.outcome) == [.discarded])
        #expect(attempts.map(\.reason) == ["notInstallableFrom"])
    }

    @Test("an activation refused for the want of an image is no reason once the image is there")
    func earlierRefusal() throws {
        var running = Homes.image(for: esme, version: 0x0100_0000)
        running.name = "running"
        let told = try Told(
            Homes.home([esme]), images: [Homes.image(for: esme), running],
            [
                .join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"]),
                .activate(devices: ["ESME"], expect: .refused, reason: "noImageHeld"),
                .await(.verified, devices: ["ESME"]), .expect(.notActivated, devices: ["ESME"]),
                .deliver(image: "running", to: ["ESME"]),
                .activate(devices: ["ESME"], expect: .refused, reason: "hashMismatch"),
                .await(.notOffered, devices: ["ESME"]),
            ], named: "earlier-refusal")
        #expect(told.result.failure == nil)
        let attempts = told.result.summary.devices[1].attempts
        #expect(attempts.map(\.outcome) == [.notActivated, .notOffered])
        #expect(attempts.first?.reason == nil)
        #expect(attempts.last?.reason != "hashMismatch")
    }

    @Test("an image found spoilt when it was to be activated stays the reason, whatever follows")
    func lastingRefusal() throws {
        let image = Homes.image(for: esme)
        var director = Director(
            scenario: Homes.scenario([
                .deliver(image: "ESME", to: ["ESME"]), .wait(.hours(1)),
            ]), images: ["ESME": image],
            members: [
                ("CH", Homes.hub().eui64, nil, 0x0100_0000),
                ("ESME", esme.eui64, nil, 0x0100_0000),
            ], wanPerByte: .microseconds(1), wanChunk: 1_024)
        var out = Outbox()
        director.handle(.powerOn, at: .zero, into: &out)
        func observe(_ kind: EventKind, _ first: UInt64) {
            director.handle(
                .observed(EventRecord(time: .zero, node: 1, kind: kind, first)), at: .zero,
                into: &out)
        }
        observe(.otaAwaitingActivation, UInt64(image.version))
        #expect(director.attempts[0].outcome == .notActivated)
        #expect(director.attempts[0].reasonName == nil)
        let refusals: [(RefusalReason, String)] = [
            (.hashMismatch, "hashMismatch"), (.activationFailure, "activationFailure"),
            (.noImageHeld, "activationFailure"),
        ]
        for (reason, name) in refusals {
            observe(.activationRefused, UInt64(reason.rawValue))
            #expect(director.attempts[0].reasonName == name)
        }
        observe(.otaVerified, UInt64(image.version))
        #expect(director.attempts[0].reasonName == nil)
    }

    @Test("an order to a device that is leaving is held until it has started anew")
    func orderWhileLeaving() throws {
        for type in [.esme, .gsme] as [DeviceType] {
            let device = Homes.device(type)
            let name = device.name
            let told = try Told(
                Homes.home([device]), images: [Homes.image(for: device)],
                [
                    .join(devices: [name]), .deliver(image: name, to: [name]),
                    .await(.verified, devices: [name]), .remove(devices: [name]),
                    .activate(devices: [name], expect: .nothing), .add(devices: [name]),
                    .await(.updated, devices: [name]), .join(devices: [name]),
                    .readVersions(devices: [name], version: 0x0200_0000),
                ], named: "order-while-leaving-\(name)")
            #expect(told.result.failure == nil)
            #expect(told.events("activationOrdered", of: name).count == 1)
            #expect(told.events("activated", of: name).count == 1)
            let left = try told.time("left", of: name)
            #expect(try told.time("activationOrdered", of: name) > left + 0.5)
        }
    }

    @Test("a device that is given an order as it leaves refuses it, since it is about to restart")
    func orderCrossesLeave() {
        let live = LiveHome(Homes.home([esme]), images: [], [.join(devices: ["ESME"])])
        live.run(untilEvent: .otaServerFound, of: 1)
        live.give(.order(.removeDevice(esme.eui64)), to: 0)
        live.run(untilEvent: .left, of: 1)
        live.give(.order(.activate(hash: Homes.image(for: esme).hash)), to: 1)
        live.run(for: .seconds(1))
        #expect(live.events(.activationOrdered).count == 1)
        #expect(
            live.events(.activationRefused).map { $0.values[0] }
                == [UInt64(RefusalReason.restarting.rawValue)])
    }
}
