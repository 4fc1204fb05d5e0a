import Crypto
import Foundation
import GBCS
import Lab
import Radio
import Testing
import Wire

@Suite("Profiles")
struct ProfileTests {
    let library = ProfileSamples.library

    @Test("every shipped file is right", arguments: ProfileSamples.files)
    func shipped(file: String) throws {
        _ = try library.validate("\(ProfileSamples.folder)/\(file)")
    }

    @Test("the library lists every file that is in its folders, each with a title")
    func listing() throws {
        let listings = library.list()
        for kind in ProfileKind.allCases {
            let folder = "\(ProfileSamples.folder)/\(kind.folder)"
            let files = try FileManager.default.contentsOfDirectory(atPath: folder)
            let listed = listings.filter { $0.kind == kind }.map(\.name)
            #expect(Set(listed.map { $0 + ".yaml" }) == Set(files))
            #expect(listed == listed.sorted())
        }
        #expect(listings.allSatisfy { !$0.title.isEmpty && $0.problem == nil })
    }

    @Test("the standard home is an old hub with one device of each type and keys that fit")
    func standardHome() throws {
        let home = try library.home("standard")
        #expect(home.name == "standard")
        #expect(home.devices.map(\.name) == ["ESME", "GSME", "PPMID", "HCALCS"])
        #expect(home.devices.map(\.profile.type) == [.esme, .gsme, .ppmid, .hcalcs])
        #expect(home.hub.profile.capabilities(at: home.hub.firmware)?.delivers == [.esme, .gsme])
        #expect(home.hub.signer != nil)
        for device in home.devices {
            #expect((device.supplier == nil) == (device.profile.type == .ppmid))
            #expect(device.profile.capabilities(at: device.firmware)?.hasOTAClient == true)
        }
        let gsme = home.devices[1].profile
        #expect(gsme.sleep?.interval == .minutes(30))
        #expect(gsme.ota.queryInterval == .minutes(30))
        #expect(home.devices.map(\.profile.ota.blockSize) == [48, 40, 50, 48])
        #expect(home.devices.map(\.profile.ota.activationByOrderOnly) == [true, true, false, true])
    }

    @Test("what a hub delivers follows from its firmware version")
    func hubTable() throws {
        let hub = try library.hub("homehub-2")
        #expect(hub.capabilities(at: 0x01FF_FFFF)?.delivers == [.esme, .gsme])
        #expect(hub.capabilities(at: 0x0200_0000)?.delivers == [.esme, .gsme, .ppmid, .hcalcs])
        #expect(hub.capabilities(at: 0x00FF_FFFF) == nil)
    }

    @Test("a PPMID's firmware decides whether it asks for images")
    func ppmidTable() throws {
        let ppmid = try library.device("ppmid")
        #expect(ppmid.capabilities(at: 0x00FF_FFFF)?.hasOTAClient == false)
        #expect(ppmid.capabilities(at: 0x0100_0000)?.hasOTAClient == true)
    }

    @Test("every image that a shipped scenario delivers fits the device it is for")
    func imagesFit() throws {
        let manifest = try Manifest.load(folder: library.firmware)
        var delivered = 0
        for listing in library.list() where listing.kind == .scenario {
            let (scenario, home) = try library.story(listing.name)
            for step in scenario.steps {
                guard case .deliver(let image, let names) = step.action else { continue }
                let entry = try #require(manifest.entry(image))
                for device in home.devices where names.contains(device.name) {
                    let query = Manifest.Query(
                        manufacturerCode: device.profile.manufacturer,
                        imageType: ImageType(rawValue: device.profile.imageType),
                        hardwareVersion: device.profile.hardwareVersion,
                        deviceType: device.profile.type, model: device.profile.model)
                    #expect(manifest.entries(matching: query).contains { $0.id == image })
                    // What a device without an OTA client is sent, it never installs.
                    let abilities = device.profile.capabilities(at: device.firmware)
                    #expect(
                        abilities?.hasOTAClient == false
                            || entry.isInstallable(from: device.firmware))
                    delivered += 1
                }
            }
        }
        #expect(delivered >= 10)
    }

    @Test("the demo delivers to an old hub, updates it, and delivers the same two images again")
    func demo() throws {
        let scenario = try library.scenario("demo")
        var story: [String] = []
        for step in scenario.steps {
            switch step.action {
            case .deliver(let image, let devices): story.append("\(image) to \(devices)")
            case .updateHub(let image, _): story.append("hub to \(image)")
            default: break
            }
        }
        let again = [#"ppmid-2 to ["PPMID"]"#, #"hcalcs-2 to ["HCALCS"]"#]
        #expect(
            story == [#"esme-2 to ["ESME"]"#, #"gsme-2 to ["GSME"]"#] + again + ["hub to ch-2"]
                + again)
        // Only a signed command activates an HCALCS; a PPMID never gets one.
        let activated = scenario.steps.compactMap { step -> [String]? in
            if case .command(let devices, _, .activated, nil) = step.action {
                devices
            } else {
                nil
            }
        }
        #expect(activated == [["ESME"], ["GSME"], ["HCALCS"]])
        #expect(scenario.steps.map(\.line) == scenario.steps.map(\.line).sorted())
    }

    @Test("two device types of one maker share an image type in one of the homes")
    func sharedImageType() throws {
        let devices = try library.home("shared-image-type").devices.map(\.profile)
        let (ppmid, hcalcs) = (devices[1], devices[2])
        #expect(ppmid.type == .ppmid && hcalcs.type == .hcalcs)
        #expect(ppmid.imageType == hcalcs.imageType)
        #expect(ppmid.manufacturer == hcalcs.manufacturer)
        #expect(ppmid.hardwareVersion == hcalcs.hardwareVersion)
    }

    @Test("no address or install code is used twice in the shipped homes")
    func uniqueKeys() throws {
        var addresses: Set<EUI64> = []
        var codes: Set<InstallCode> = []
        for listing in library.list() where listing.kind == .home {
            let home = try library.home(listing.name)
            for address in [home.hub.eui64] + home.devices.map(\.eui64) {
                #expect(addresses.insert(address).inserted, "\(address) in \(listing.name)")
            }
            for device in home.devices {
                #expect(codes.insert(device.installCode).inserted)
            }
        }
    }

    // MARK: - Values

    @Test("links, radio, WAN and bench settings reach the home")
    func homeSettings() throws {
        let text =
            try ProfileSamples.text("homes/standard.yaml") + """
                channels: [25, 11]
                commonLink: {rssi: -70, loss: 0.5 %}
                links:
                  - {between: [CH, ESME], loss: 1500}
                  - {from: GSME, to: CH, rssi: -90}
                phy: {sensitivity: -100, capture: 6, maximumRetries: 1, backoff: 400 us}
                wan: {latency: 2 s, bytesPerSecond: 10000}
                bench: {latency: 5 ms}
                """
        let home = try Self.home(text)
        #expect(home.channels == [25, 11])
        #expect(home.commonLink.rssi == -70 && home.commonLink.lossPerMillion == 5_000)
        #expect(
            home.links == [
                HomeLink(from: "CH", to: "ESME", link: .init(rssi: -70, lossPerMillion: 1_500)),
                HomeLink(
                    from: "GSME", to: "CH", link: .init(rssi: -90, lossPerMillion: 5_000),
                    isOneWay: true),
            ])
        #expect(home.air.sensitivity == -100 && home.air.capture == 6)
        #expect(home.air.phy.maximumRetries == 1 && home.air.phy.backoff == .microseconds(400))
        #expect(home.air.wanLatency == .seconds(2))
        #expect(home.air.wanPerByte == .microseconds(100))
        #expect(home.air.benchLatency == .milliseconds(5))
    }

    @Test(
        "shares are exact to one in a million",
        arguments: [
            ("0 %", 0), ("100 %", 1_000_000), ("2%", 20_000), ("0.0001 %", 1), ("12.34 %", 123_400),
            ("1000000", 1_000_000), ("7", 7),
        ])
    func shares(text: String, perMillion: UInt32) throws {
        let home = try Self.home(
            ProfileSamples.text("homes/standard.yaml") + "commonLink: {loss: \(text)}\n")
        #expect(home.commonLink.lossPerMillion == perMillion)
    }

    @Test("a step of each kind is read with its devices and values")
    func steps() throws {
        let text = """
            kind: scenario
            title: All actions
            home: standard
            start: 2000-01-01T00:01:00Z
            timeLimit: 2 h
            steps:
              - join: [ESME, GSME]
              - deliver: {image: ppmid-2, to: all}
              - title: The hub
                updateHub: ch-2
                within: 1 h
              - await: {outcome: rejected, devices: [ESME]}
              - activate: [HCALCS]
              - activate: {devices: [ESME], by: order}
              - message: {to: ESME, hex: "DF 09 01"}
              - readVersions: {devices: [PPMID], version: 0x01000309}
              - query: all
              - power: {device: CH, on: false}
              - link: {between: [CH, PPMID], rssi: -80, loss: 3 %}
              - permitJoining: 0 s
              - wait: 90 min
            """
        try ProfileSamples.withFolder(["mine.yaml": text]) { folder in
            let scenario = try library.scenario("\(folder)/mine.yaml")
            let all = ["ESME", "GSME", "PPMID", "HCALCS"]
            #expect(scenario.start.secondsSince2000 == 60)
            #expect(scenario.name == "mine" && scenario.home == "standard")
            #expect(
                scenario.steps.map(\.action) == [
                    .join(devices: ["ESME", "GSME"]),
                    .deliver(image: "ppmid-2", to: all),
                    .updateHub(image: "ch-2", by: .cs06),
                    .await(.rejected, devices: ["ESME"]),
                    .command(devices: ["HCALCS"], .init(), expect: .activated),
                    .activate(devices: ["ESME"]),
                    .message(to: "ESME", [0xDF, 0x09, 0x01]),
                    .readVersions(devices: ["PPMID"], version: 0x0100_0309),
                    .query(devices: all),
                    .power(device: "CH", on: false),
                    .link(a: "CH", b: "PPMID", .init(rssi: -80, lossPerMillion: 30_000)),
                    .permitJoining(.zero),
                    .wait(.minutes(90)),
                ])
            #expect(scenario.steps[2].title == "The hub" && scenario.steps[2].line == 9)
            #expect(scenario.steps[2].within == .hours(1))
            #expect(scenario.steps[0].title == "join" && scenario.steps[0].within == .hours(2))
        }
    }

    // MARK: - Finding files

    @Test("what a file names is looked up beside it first, then in the library")
    func besideFirst() throws {
        let esme = try ProfileSamples.text("devices/esme.yaml")
            .changing("blockSize: 48", to: "blockSize: 33")
        let home = try ProfileSamples.text("homes/standard.yaml")
        let demo = try ProfileSamples.text("scenarios/demo.yaml")
        try ProfileSamples.withFolder(
            ["esme.yaml": esme, "standard.yaml": home, "story.yaml": demo]
        ) { folder in
            let (scenario, home) = try library.story("\(folder)/story.yaml")
            #expect(home.devices.map(\.profile.ota.blockSize) == [33, 40, 50, 48])
            // The scenario's home leads to the same file when it is asked for by itself.
            let again = try library.home(scenario.home)
            #expect(again.devices[0].profile.ota.blockSize == 33)
        }
    }

    @Test("a file of another kind beside is not what a name means")
    func sameNameOtherKind() throws {
        let demo = try ProfileSamples.text("scenarios/demo.yaml")
        try ProfileSamples.withFolder(["standard.yaml": demo]) { folder in
            let scenario = try library.scenario("\(folder)/standard.yaml")
            #expect(scenario.home == "standard")
        }
    }

    @Test("a key is found beside the home before it is looked for with the firmware")
    func keyBeside() throws {
        let key = try P256.PrivateKey.example
        let home = try ProfileSamples.text("homes/standard.yaml")
        try ProfileSamples.withFolder(
            ["home.yaml": home, "supplier-test.pem": key.publicKey.pem]
        ) { folder in
            let loaded = try library.home("\(folder)/home.yaml")
            #expect(loaded.devices[0].supplier == key.publicKey)
            let standard = try library.home("standard")
            #expect(standard.devices[0].supplier != key.publicKey)
        }
    }

    @Test("a name that the library does not have is an error that suggests one it has")
    func unknownNames() throws {
        #expect(throws: ProfileError.self) { try library.home("standart") }
        do {
            _ = try library.home("standart")
        } catch {
            #expect("\(error)".contains("did you mean 'standard'?"))
            guard case .unknownName = error else { throw error }
        }
        for name in ["", "..", "a\0b", String(repeating: "a", count: 10_000), "é"] {
            do {
                _ = try library.device(name)
                Issue.record("'\(name)' is no device")
            } catch {
                #expect("\(error)".utf8.count < 1_000)
            }
        }
    }

    @Test("a path that does not exist is told apart from a broken file")
    func missingPath() throws {
        #expect(throws: ProfileError.file(.missing("none/home.yaml"))) {
            try library.validate("none/home.yaml")
        }
        #expect(throws: ProfileError.file(.missing("none/home.yaml"))) {
            try library.home("none/home.yaml")
        }
    }

    @Test("a broken file is listed with its problem and does not hide the others")
    func brokenListing() throws {
        let esme = try ProfileSamples.text("devices/esme.yaml")
        try ProfileSamples.withFolder(
            ["devices/bad.yaml": "kind: [", "devices/esme.yaml": esme, "devices/notes.txt": "x"]
        ) { folder in
            let listings = ProfileLibrary(folder: folder).list()
            #expect(listings.map(\.name) == ["bad", "esme"])
            #expect(listings.map { $0.problem == nil } == [false, true])
        }
    }

    private static func home(_ text: String) throws -> Home {
        var home: Home?
        try ProfileSamples.withFolder(["home.yaml": text]) { folder in
            home = try ProfileSamples.library.home("\(folder)/home.yaml")
        }
        return try #require(home)
    }
}

extension P256.PrivateKey {
    /// A key that stands nowhere else.
    static var example: P256.PrivateKey {
        get throws { try #require(P256.PrivateKey(scalar: [UInt8](repeating: 0x11, count: 32))) }
    }
}
