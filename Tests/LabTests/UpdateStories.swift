import Devices
import Evidence
import GBCS
import Lab
import TestSupport
import Testing
import Wire

@Suite("Who is updated, and who is not")
struct UpdateStories {
    let newHub = Homes.hub(firmware: 0x0200_0000)

    @Test("an ESME joins, downloads, verifies, activates on order and says so over the air")
    func esme() throws {
        let esme = Homes.device(.esme)
        let result = try Stories.run(
            Homes.home([esme]), images: [Homes.image(for: esme)],
            Stories.update("ESME") + [.readVersions(devices: ["ESME"], version: 0x0200_0000)],
            named: "esme")
        #expect(result.failure == nil)
        let attempt = try #require(result.summary.devices[1].attempts.first)
        #expect(attempt.outcome == .updated)
        // 60 bytes of header, 5003 of image, 66 of trailer, in blocks of 48.
        #expect(attempt.blocks == UInt64((60 + 5_003 + 66 + 47) / 48))
    }

    @Test("a sleepy GSME takes many wakes, and no more blocks in one than its battery allows")
    func gsme() throws {
        let gsme = Homes.device(.gsme) { $0.sleep?.blocksPerWake = 20 }
        let result = try Stories.run(
            Homes.home([gsme]), images: [Homes.image(for: gsme)], Stories.update("GSME"),
            named: "gsme")
        #expect(result.failure == nil)
        let attempt = try #require(result.summary.devices[1].attempts.first)
        #expect(attempt.outcome == .updated)
        let wakes = attempt.blocks / 20
        #expect(attempt.virtualTime >= .minutes(30) * Int(wakes))
    }

    @Test("of two ESMEs only the one the image is meant for is offered it")
    func twoESMEs() throws {
        let first = Homes.device(.esme, name: "ESME-1", number: 1)
        let second = Homes.device(.esme, name: "ESME-2", number: 2)
        let result = try Stories.run(
            Homes.home([first, second]), images: [Homes.image(for: second)],
            [.join(devices: ["ESME-1", "ESME-2"])] + Stories.update("ESME-2") + [
                .query(devices: ["ESME-1"]), .wait(.minutes(1)),
                .readVersions(devices: ["ESME-1"], version: 0x0100_0000),
                .readVersions(devices: ["ESME-2"], version: 0x0200_0000),
            ], named: "two-esmes")
        #expect(result.failure == nil)
        #expect(result.summary.devices[1].attempts.isEmpty)
    }

    @Test(
        "an image meant for several devices of a kind reaches each of them",
        arguments: [(DeviceType.ppmid, 2), (.hcalcs, 3), (.esme, 2)])
    func several(_ type: DeviceType, _ count: Int) throws {
        let devices = (1...count).map {
            Homes.device(type, name: "\(type.rawValue)-\($0)", number: UInt64($0))
        }
        let names = devices.map(\.name)
        var image = Homes.image(for: devices[0])
        image.name = "all"
        var steps: [ScenarioStep.Action] = [
            .join(devices: names), .deliver(image: "all", to: names),
            .await(.verified, devices: names),
        ]
        if type != .ppmid { steps.append(.activate(devices: names)) }
        steps += [
            .await(.updated, devices: names),
            .readVersions(devices: names, version: 0x0200_0000),
        ]
        let result = try Stories.run(
            Homes.home(devices, hub: newHub), images: [image], steps,
            named: "several-\(type.rawValue)")
        #expect(result.failure == nil)
        #expect(
            result.summary.devices.dropFirst().allSatisfy { $0.attempts[0].outcome == .updated })
    }

    @Test("two kinds of device that share an image type do not get each other's images")
    func sharedImageType() throws {
        let esme = Homes.device(.esme)
        let hcalcs = Homes.device(.hcalcs) { $0.imageType = 1 }
        let result = try Stories.run(
            Homes.home([esme, hcalcs], hub: newHub), images: [Homes.image(for: esme)],
            [.join(devices: ["HCALCS"])] + Stories.update("ESME") + [
                .query(devices: ["HCALCS"]), .wait(.minutes(1)),
                .readVersions(devices: ["HCALCS"], version: 0x0100_0000),
            ], named: "shared-image-type")
        #expect(result.failure == nil)
    }

    @Test("behind an old hub a PPMID and an HCALCS ask in vain; behind a new one they are updated")
    func rule() throws {
        for (firmware, expected) in [
            (0x0100_0000 as UInt32, AttemptOutcome.notOffered), (0x0200_0000, .updated),
        ] {
            for type in [DeviceType.ppmid, .hcalcs] {
                let device = Homes.device(type) { $0.ota.queryInterval = .hours(1) }
                let wanted: ScenarioStep.Milestone = expected == .updated ? .verified : .notOffered
                let result = try Stories.run(
                    Homes.home([device], hub: Homes.hub(firmware: firmware)),
                    images: [Homes.image(for: device)],
                    [
                        .join(devices: [device.name]),
                        .deliver(image: device.name, to: [device.name]),
                        .await(wanted, devices: [device.name]),
                        .activate(devices: [device.name], expect: .answered),
                        .wait(.minutes(2)),
                    ], named: "rule-\(type.rawValue)-\(firmware >> 24)")
                #expect(result.failure == nil)
                #expect(result.summary.devices[1].attempts.map(\.outcome) == [expected])
            }
        }
    }

    @Test("a PPMID too old to have an OTA client never asks")
    func oldPPMID() throws {
        let ppmid = Homes.device(.ppmid) {
            $0.ota.queryInterval = .hours(1)
            $0.firmware = [FirmwareRange(0...UInt32.max, DeviceCapabilities(hasOTAClient: false))]
        }
        let result = try Stories.run(
            Homes.home([ppmid], hub: newHub), images: [Homes.image(for: ppmid)],
            [
                .join(devices: ["PPMID"]), .deliver(image: "PPMID", to: ["PPMID"]),
                .query(devices: ["PPMID"]), .wait(.hours(30)),
            ], named: "old-ppmid")
        #expect(result.failure == nil)
        #expect(result.summary.devices[1].attempts.map(\.outcome) == [.notOffered])
        #expect(result.summary.devices[1].attempts.map(\.reason) == ["noOTAClient"])
        #expect(result.summary.devices[1].versionAfter == 0x0100_0000)
    }

    @Test("an image signed by somebody else is fetched, refused and never runs")
    func wrongSigner() throws {
        let esme = Homes.device(.esme)
        let forged = Homes.image(for: esme, by: Homes.key(2))
        let result = try Stories.run(
            Homes.home([esme]), images: [forged],
            [
                .join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"]),
                .await(.rejected, devices: ["ESME"], reason: "badSignature"),
                .activate(devices: ["ESME"], expect: .refused, reason: "noImageHeld"),
                .wait(.minutes(1)), .readVersions(devices: ["ESME"], version: 0x0100_0000),
            ], named: "wrong-signer")
        #expect(result.failure == nil)
        #expect(result.summary.devices[1].attempts.map(\.reason) == ["badSignature"])
    }

    @Test(
        "an image that does not fit the device's header fields is withheld, with the reason",
        arguments: ["wrongManufacturer", "wrongImageType", "wrongHardware", "versionInstalled"])
    func misfit(_ reason: String) throws {
        let esme = Homes.device(.esme) { $0.ota.queryInterval = .hours(1) }
        let profile = esme.profile
        let image = Homes.image(
            "ESME", type: .esme,
            manufacturer: reason == "wrongManufacturer" ? 0x1234 : profile.manufacturer,
            imageType: reason == "wrongImageType" ? 0x1234 : profile.imageType,
            hardware: reason == "wrongHardware" ? 0x0300 : profile.hardwareVersion,
            version: reason == "versionInstalled" ? esme.firmware : 0x0200_0000, size: 2_000,
            by: Homes.supplier)
        let result = try Stories.run(
            Homes.home([esme]), images: [image],
            [
                .join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"]),
                .await(.notOffered, devices: ["ESME"]),
                .readVersions(devices: ["ESME"], version: 0x0100_0000),
            ], named: reason)
        #expect(result.failure == nil)
        #expect(result.summary.devices[1].attempts.map(\.reason) == [reason])
    }

    @Test("an image too large for the device is refused before a byte of it is fetched")
    func tooLarge() throws {
        let esme = Homes.device(.esme) { $0.flash = .init(size: 16 * 4096) }
        let result = try Stories.run(
            Homes.home([esme]), images: [Homes.image(for: esme, size: 60_000)],
            [
                .join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"]),
                .await(.rejected, devices: ["ESME"]),
            ], named: "too-large")
        #expect(result.failure == nil)
        #expect(result.summary.devices[1].attempts.map(\.reason) == ["imageTooLarge"])
        #expect(result.summary.devices[1].attempts.map(\.blocks) == [0])
    }

    @Test("a newer image for the same device takes the place of the one before")
    func replaced() throws {
        let esme = Homes.device(.esme)
        var later = Homes.image(for: esme, version: 0x0300_0000)
        later.name = "later"
        let result = try Stories.run(
            Homes.home([esme]), images: [Homes.image(for: esme), later],
            [
                .join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"]),
                .await(.verified, devices: ["ESME"]),
                .deliver(image: "later", to: ["ESME"]), .await(.verified, devices: ["ESME"]),
                .activate(devices: ["ESME"]), .await(.updated, devices: ["ESME"]),
            ], named: "replaced")
        #expect(result.failure == nil)
        #expect(result.summary.devices[1].attempts.map(\.outcome) == [.notActivated, .updated])
        #expect(result.summary.devices[1].versionAfter == 0x0300_0000)
    }

    @Test("the hub refuses its own image if it is not its maker's, and keeps its firmware")
    func hubImageForged() throws {
        var forged = Homes.image(for: Homes.hub())
        let middle = forged.bytes.count / 2
        forged.bytes[middle] ^= 1
        let result = try Stories.run(
            Homes.home([Homes.device(.esme)]), images: [forged],
            [.join(devices: ["ESME"]), .updateHub(image: "CH")], named: "hub-forged",
            within: .minutes(10))
        #expect(result.failure?.contains("badSignature") == true)
        #expect(result.summary.outcome == .failed)
        #expect(result.summary.devices[0].versionAfter == 0x0100_0000)
    }

    @Test("an image that names another device in its header is for nobody else")
    func deviceSpecific() throws {
        let esme = Homes.device(.esme) { $0.ota.queryInterval = .hours(1) }
        var header = OTAHeader(
            manufacturerCode: esme.profile.manufacturer, imageType: ImageType(rawValue: 1),
            fileVersion: 0x0200_0000)
        header.destination = EUI64(0x00BB_0000_0000_9999)
        let image = try FirmwareImage.signed(
            header: header, manufacturerImage: FirmwareImage.samplePayload(size: 900, seed: 1),
            forceReplace: false, by: Homes.supplier)
        let result = try Stories.run(
            Homes.home([esme]),
            images: [
                RunImage(
                    name: "ESME", bytes: image.encoded(), version: 0x0200_0000,
                    hash: image.manufacturerImageHash)
            ],
            [
                .join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"]),
                .await(.notOffered, devices: ["ESME"]),
            ], named: "device-specific")
        #expect(result.failure == nil)
    }

    @Test("after a badly signed image a good one of the same version is what the device gets")
    func redelivered() throws {
        let esme = Homes.device(.esme)
        var forged = Homes.image(for: esme, by: Homes.key(2))
        forged.name = "forged"
        let result = try Stories.run(
            Homes.home([esme]), images: [forged, Homes.image(for: esme)],
            [
                .join(devices: ["ESME"]), .deliver(image: "forged", to: ["ESME"]),
                .await(.rejected, devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"]),
                .query(devices: ["ESME"]), .await(.verified, devices: ["ESME"]),
            ], named: "redelivered")
        #expect(result.failure == nil)
    }
}
