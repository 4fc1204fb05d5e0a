import Devices
import GBCS
import Lab
import TestSupport
import Testing
import Wire

@Suite("Device-specific files, upgrades of several files, and downloads called off")
struct DeviceFileStories {
    static let fileType: UInt16 = 0xFFC1

    static func file(for device: HomeDevice, named name: String = "file") throws -> RunImage {
        try Homes.image(named: name, for: device, version: 9, size: 700) {
            $0.imageType = ImageType(rawValue: fileType)
            $0.destination = device.eui64
        }
    }

    @Test("a device fetches the file that names it, and nobody else gets it")
    func file() throws {
        let devices = [1, 2].map { number in
            Homes.device(.esme, name: "ESME-\(number)", number: number) {
                $0.ota.deviceFile = Self.fileType
            }
        }
        let told = try Told(
            Homes.home(devices), images: [try Self.file(for: devices[0])],
            [
                .join(devices: ["ESME-1", "ESME-2"]),
                .deliver(image: "file", to: ["ESME-1", "ESME-2"]),
                // They ask when they have found their server again.
                .power(device: "ESME-1", on: false), .power(device: "ESME-2", on: false),
                .wait(.seconds(1)), .power(device: "ESME-1", on: true),
                .power(device: "ESME-2", on: true), .await(.verified, devices: ["ESME-1"]),
                .wait(.minutes(5)),
            ], named: "device-file")
        #expect(told.result.failure == nil)
        let files = told.events("otaFileReceived")
        #expect(files.map { $0["node"] as? String } == ["ESME-1"])
        #expect(files.first?["imageType"] as? String == "0xFFC1")
        #expect(told.events("downloadServed").count == 1)
        #expect(told.events("otaAwaitingActivation").isEmpty)
        #expect(told.events("imageOffered").count == 1)
        // Then it asks for firmware, as it would have done without the file.
        let received = try told.time("otaFileReceived")
        let later = told.events("otaQueried", of: "ESME-1").filter {
            $0["imageType"] as? String == "0x0001" && ($0["time"] as? Double ?? 0) > received
        }
        #expect(later.count == 1)
        #expect(try told.frames(8).count >= 3)
        let statuses = try told.frames(
            9, fromServer: true, fields: ["zbee_zcl_general.ota.status"]
        ).compactMap { $0["zbee_zcl_general.ota.status"] }
        #expect(Set(statuses) == ["0x00", "0x98"])
        #expect(try told.complaints().isEmpty)
    }

    @Test("a hub without that service refuses, and the device goes on to ask for firmware")
    func noService() throws {
        let esme = Homes.device(.esme) { $0.ota.deviceFile = Self.fileType }
        let hub = Homes.newHub { $0.firmware[1].value.servesDeviceFiles = false }
        let told = try Told(
            Homes.home([esme], hub: hub), images: [Homes.image(for: esme)], Stories.update("ESME"),
            named: "no-device-files")
        #expect(told.result.failure == nil)
        #expect(
            told.events("otaNotOffered").contains {
                $0["status"] as? String == "UNSUP_CLUSTER_COMMAND"
            })
    }

    @Test("an upgrade of two files runs when both are there, and not before")
    func twoFiles() throws {
        let esme = Homes.device(.esme) {
            $0.ota.furtherImageTypes = [7]
            $0.ota.retryInterval = .minutes(2)
        }
        let images = [
            try Homes.image(named: "main", for: esme, size: 9_000),
            try Homes.image(named: "radio", for: esme, size: 3_000) {
                $0.imageType = ImageType(rawValue: 7)
            },
        ]
        let told = try Told(
            Homes.home([esme], hub: Homes.hub(firmware: 0x0200_0000)), images: images,
            [
                .join(devices: ["ESME"]), .deliver(image: "main", to: ["ESME"]),
                .wait(.minutes(30)), .deliver(image: "radio", to: ["ESME"]),
                .await(.verified, devices: ["ESME"]), .wait(.minutes(1)),
            ], named: "two-files")
        #expect(told.result.failure == nil)
        #expect(
            told.events("downloadServed").map { $0["status"] as? String }
                == ["REQUIRE_MORE_IMAGE", "SUCCESS"])
        #expect(told.events("otaVerified").count == 2)
        // That a part has come is neither a success nor a failure.
        let alerts = told.events("messageSent").filter { $0["code"] as? String == "0x0128" }
        #expect(alerts.map { $0["detail"] as? String } == ["0x8F8A"])
        // What an order must name is the first file's hash.
        let live = LiveHome(
            Homes.home([esme]), images: images,
            [
                .join(devices: ["ESME"]), .deliver(image: "main", to: ["ESME"]),
                .deliver(image: "radio", to: ["ESME"]),
            ])
        live.run(untilEvent: .otaAwaitingActivation, of: 1)
        live.give(.order(.activate(hash: images[1].hash)), to: 1)
        #expect(live.events(.activated).isEmpty)
        live.give(.order(.activate(hash: images[0].hash)), to: 1)
        #expect(live.events(.activated).count == 1)
    }

    @Test(
        "a download that is called off is told the hub, and begins again later",
        arguments: [0, 900])
    func cancelled(_ pageSize: Int) throws {
        let esme = Homes.device(.esme) { $0.ota.pageSize = UInt16(pageSize) }
        let live = LiveHome(
            Homes.home([esme]), images: [Homes.image(for: esme, size: 30_000)],
            [.join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"])])
        live.run(untilEvent: .otaDownloadStarted, of: 1)
        live.run(for: .seconds(2))
        live.give(.order(.cancelDownload), to: 1)
        live.run(for: .seconds(1))
        #expect(live.events(.downloadServed).map { $0.values[2] } == [0x95])
        #expect(live.events(.otaAborted).count == 1)
        live.run(untilEvent: .otaVerified, of: 1)
        #expect(live.events(.otaDownloadStarted).count == 2)
    }

    @Test("a scenario can call a download off, and have a device ask for its file")
    func steps() throws {
        let esme = Homes.device(.esme) { $0.ota.retryInterval = .minutes(5) }
        let told = try Told(
            Homes.home([esme]),
            images: [Homes.image(for: esme, size: 30_000), try Self.file(for: esme)],
            [
                .join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"]),
                .await(.downloading, devices: ["ESME"], offset: 3_000), .cancel(devices: ["ESME"]),
                .await(.gaveUp, devices: ["ESME"]), .deliver(image: "file", to: ["ESME"]),
                .queryFile(devices: ["ESME"], imageType: Self.fileType),
                .await(.verified, devices: ["ESME"]),
            ], named: "cancel-and-file")
        #expect(told.result.failure == nil)
        #expect(told.events("otaAborted").count == 1)
        #expect(told.events("downloadServed").first?["status"] as? String == "ABORT")
        #expect(told.events("otaFileReceived").count == 1)
    }

    @Test("these steps are read from a file")
    func stepsInFiles() throws {
        let demo = try ProfileSamples.text("scenarios/demo.yaml")
        let head = demo[..<(try #require(demo.range(of: "steps:"))).lowerBound]
        let text =
            head + "steps:\n  - cancel: all\n  - queryFile: {devices: all, imageType: 0xFFC1}\n"
        try ProfileSamples.withFolder(["story.yaml": String(text)]) { folder in
            let (scenario, home) = try ProfileSamples.library.story("\(folder)/story.yaml")
            let all = home.devices.map(\.name)
            #expect(
                scenario.steps.map(\.action)
                    == [.cancel(devices: all), .queryFile(devices: all, imageType: 0xFFC1)])
        }
        let broken = head + "steps:\n  - queryFile: {devices: all}\n"
        #expect(
            ProfileSamples.verdict(on: String(broken), as: "scenarios/demo.yaml")
                .contains("imageType"))
    }

    @Test("an image that is no longer what was checked is not put into use")
    func damaged() throws {
        let esme = Homes.device(.esme)
        let image = Homes.image(for: esme)
        let live = LiveHome(
            Homes.home([esme]), images: [image],
            [.join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"])])
        live.run(untilEvent: .otaAwaitingActivation, of: 1)
        // The page behind the journal, where the image begins.
        live.erase(page: 4, of: 1)
        live.run(for: .seconds(1))
        live.give(.order(.activate(hash: image.hash)), to: 1)
        let refusals = live.events(.activationRefused)
        #expect(
            refusals.map { $0.values[0] } == [UInt64(RefusalReason.activationFailure.rawValue)])
        #expect(live.events(.activated).isEmpty)
        // It is gone, and can be had again.
        live.run(for: .seconds(1))
        live.give(.order(.queryNextImage), to: 1)
        live.run(untilEvent: .otaVerified, of: 1, count: 2)
        live.give(.order(.activate(hash: image.hash)), to: 1)
        #expect(live.events(.activated).count == 1)
    }
}
