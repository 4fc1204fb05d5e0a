import Lab
import Testing

/// A change that breaks a shipped file, and what the message must say.
struct BrokenProfile: Sendable, CustomTestStringConvertible {
    var file: String
    var old: String
    var new: String
    /// `file:line:column: field`
    var place: String
    /// A part of the message.
    var message: String

    init(_ file: String, _ old: String, _ new: String, at place: String, _ message: String) {
        self.file = file
        self.old = old
        self.new = new
        self.place = place
        self.message = message
    }

    var testDescription: String { "\(file): \(new.debugDescription) for \(old.debugDescription)" }
}

@Suite("Broken profiles")
struct ProfileErrorTests {
    static let esme = "devices/esme.yaml"
    static let gsme = "devices/gsme.yaml"
    static let ppmid = "devices/ppmid.yaml"
    static let hub = "hubs/homehub-2.yaml"
    static let home = "homes/standard.yaml"
    static let far = "homes/far-meter.yaml"
    static let demo = "scenarios/demo.yaml"

    static let devices: [BrokenProfile] = [
        .init(esme, "kind: device\n", "", at: "1:1", "the field 'kind' is missing"),
        .init(esme, "kind: device", "kind: devise", at: "1:7: kind", "did you mean 'device'?"),
        .init(esme, "title: Elec", "titel: Elec", at: "2:1: titel", "did you mean 'title'?"),
        .init(
            esme, "type: ESME", "type: IHD", at: "3:7: type",
            "expected one of ESME, GSME, PPMID, HCALCS, found 'IHD'"),
        .init(esme, "type: ESME", "type: CH", at: "3:7: type", "expected one of ESME"),
        .init(
            esme, "0xFFF1", "0x1FFF1", at: "4:15: manufacturer",
            "a whole number from 0 to 65535"),
        .init(
            esme, "Electricity", "\"Electricity\\e[2J\" #", at: "2:8: title", "control characters"),
        .init(
            esme, "Electricity", String(repeating: "E", count: 200), at: "2:8: title",
            "at most 200 bytes, found 216"),
        .init(esme, "model: Volta 100\n", "", at: "1:1", "the field 'model' is missing"),
        .init(
            esme, "0x0001", "0xFFFF", at: "6:12: imageType", "a whole number from 0 to 65534"),
        .init(
            esme, "blockSize: 48", "blockSize: 57", at: "10:14: ota.blockSize", "from 1 to 56"),
        .init(esme, "blockSize: 48", "blockSize: 0", at: "10:14: ota.blockSize", "from 1 to 56"),
        .init(
            esme, "24 h", "24", at: "11:18: ota.queryInterval", "expected a duration such as"),
        .init(
            esme, "24 h", "0 s", at: "11:18: ota.queryInterval",
            "expected a duration from 1 us to 87600 h, found '0 s'"),
        .init(
            esme, "queryInterval", "queryintervall", at: "11:3: ota.queryintervall",
            "did you mean 'queryInterval'?"),
        .init(esme, "ota:", "otaClient:", at: "9:1: otaClient", "is not a known field"),
        .init(
            esme, "ota:", "flash: {size: 1 MB}\nota:", at: "9:15: flash.size", "expected a size"),
        .init(
            esme, "ota:", "flash: {size: 1025 KiB}\nota:", at: "9:8: flash",
            "the size, 1025 KiB, is not a whole number of pages of 4 KiB"),
        .init(
            esme, "ota:", "flash: {size: 64 KiB, pageSize: 64 KiB}\nota:", at: "9:8: flash",
            "less than 8 pages"),
        .init(
            esme, "ota:", "resume: never\nota:", at: "9:9: resume", "expected one of fromZero"),
        .init(
            esme, "ota:", "resume: {everyBlocks: 0}\nota:", at: "9:23: resume.everyBlocks",
            "from 1 to 65536"),
        .init(
            esme, "ota:", "stack: 3\nota:", at: "9:8: stack", "expected a map of fields"),
        .init(esme, "ota:", "router: yes\nota:", at: "9:9: router", "expected true or false"),
        .init(
            esme, "ota:", "endpoint: 241\nota:", at: "9:11: endpoint", "from 1 to 240"),
        .init(
            gsme, "mainsPowered: false", "router: true", at: "12:3: sleep",
            "a router listens all the time"),
        .init(
            gsme, "10 s", "31 min", at: "12:3: sleep",
            "maximumAwake, 31 min, is longer than interval, 30 min"),
        .init(
            ppmid, "to: 0x00FFFFFF", "to: 0x01000000", at: "13:5: firmware[1]",
            "0x01000000-0xFFFFFFFF overlaps 0x00000000-0x01000000 in line 11"),
        .init(
            ppmid, "from: 0x01000000", "from: 0x01000000\n    to: 0x00FFFFFF",
            at: "14:9: firmware[1].to", "0x00FFFFFF is below 'from', 0x01000000"),
        .init(
            ppmid, "to: 0x00FFFFFF\n", "to:\n", at: "11:5: firmware[0].to", "has no value"),
        .init(
            hub, "GSME]", "GSMA]", at: "12:22: firmware[0].delivers[1]",
            "did you mean 'GSME'?"),
        .init(
            hub, "768 KiB", "769000", at: "19:16: imageSlotSize",
            "not a whole number of flash pages of 4 KiB"),
        .init(
            hub, "768 KiB", "16 MiB", at: "1:1", "6 image slots of 16 MiB are more than 64 MiB"),
    ]

    static let homes: [BrokenProfile] = [
        .init(
            home, "homehub-2", "homehub", at: "6:12: hub.profile",
            "no hub is called 'homehub'"),
        .init(
            home, "profile: esme", "profile: esmee", at: "13:14: devices[0].profile",
            "no device is called 'esmee'"),
        .init(
            home, "profile: esme", "profile: ../none.yaml", at: "13:14: devices[0].profile",
            "homes/../none.yaml' does not exist"),
        .init(
            home, "profile: esme", "profile: standard.yaml", at: "2:1",
            "expected a device, found a home"),
        .init(
            home, "profile: esme", "profile: \"./\\e[2J\"", at: "13:14: devices[0].profile",
            "control characters"),
        .init(
            home, "00-01-02", "00-01-01", at: "20:12: devices[1].eui64",
            "0247420000000101 is the EUI-64 of ESME already"),
        .init(
            home, "00-01-01", "00-01-00", at: "14:12: devices[0].eui64",
            "is the EUI-64 of CH already"),
        .init(
            home, "02-47-42-00-00-00-01-00", "FFFFFFFFFFFFFFFF", at: "7:10: hub.eui64",
            "stands for no device"),
        .init(
            home, "02-47-42-00-00-00-01-00", "02-47-42-00-00-00-01", at: "7:10: hub.eui64",
            "expected an EUI-64 of 16 hex digits"),
        .init(
            home, "\"94C0", "\"94C1", at: "15:18: devices[0].installCode",
            "the CRC at the end is 1AA3 where the code's is"),
        .init(
            home, "\"94C0", "\"94", at: "15:18: devices[0].installCode", "34 hex digits"),
        .init(
            home, "\"94C0", "\"x4C0", at: "15:18: devices[0].installCode", "not a hex digit"),
        .init(
            home, "0x01050200", "0x00050200", at: "8:13: hub.firmware",
            "the profile 'homehub-2' says nothing of firmware 0x00050200"),
        .init(
            home, "name: GSME", "name: ESME", at: "18:11: devices[1].name",
            "expected 'GSME', or that and a number such as 'GSME-2'"),
        .init(
            home, "name: GSME\n    profile: gsme", "name: ESME\n    profile: esme",
            at: "18:11: devices[1].name", "called 'ESME' already; name this one 'ESME-2'"),
        .init(
            home, "    supplier: supplier-test.pem\n", "", at: "12:5: devices[0]",
            "the field 'supplier' is missing"),
        .init(
            home, "0x01000309\n", "0x01000309\n    supplier: supplier-test.pem\n",
            at: "29:15: devices[2].supplier", "a PPMID holds no supplier's credentials"),
        .init(
            home, "supplier: supplier-test.pem", "supplier: none.pem",
            at: "17:15: devices[0].supplier", "no key file 'none.pem'"),
        .init(
            home, "supplier: supplier-test.pem", "supplier: standard.yaml",
            at: "17:15: devices[0].supplier", "holds no usable P-256 key"),
        .init(home, "hub:\n", "channels: [10]\nhub:\n", at: "5:12: channels[0]", "from 11 to 26"),
        .init(
            home, "hub:\n", "channels: [27]\nhub:\n", at: "5:12: channels[0]", "from 11 to 26"),
        .init(
            home, "hub:\n", "channels: [11, 11]\nhub:\n", at: "5:16: channels[1]",
            "channel 11 stands in the list already"),
        .init(home, "hub:\n", "channels: []\nhub:\n", at: "5:11: channels", "at least one"),
        .init(
            home, "hub:\n", "commonLink: {loss: 101 %}\nhub:\n", at: "5:20: commonLink.loss",
            "from 0 % to 100 %"),
        .init(
            home, "hub:\n", "wan: {bytesPerSecond: 0}\nhub:\n", at: "5:23: wan.bytesPerSecond",
            "from 1 to 1000000"),
        .init(
            home, "hub:\n", "bench: {latency: 672 us}\nhub:\n", at: "5:8: bench",
            "bench.latency, 672 us, must be longer than"),
        .init(
            home, "hub:\n", "phy: {minimumBackoffExponent: 6}\nhub:\n", at: "5:6: phy",
            "minimumBackoffExponent, 6, is above maximumBackoffExponent, 5"),
        .init(
            far, "[CH, GSME]", "[CH, GSMA]", at: "25:19: links[0].between[1]",
            "no member is called 'GSMA' in this home; did you mean 'GSME'?"),
        .init(
            far, "[CH, GSME]", "[GSME, GSME]", at: "25:21: links[0].between[1]",
            "two different ends"),
        .init(
            far, "[CH, GSME]", "[CH]", at: "25:14: links[0].between",
            "expected two members such as [CH, ESME], found 1"),
        .init(
            far, "between: [CH, GSME]", "from: CH", at: "25:5: links[0]",
            "the field 'to' is missing"),
        .init(
            far, "between: [CH, GSME]", "between: [CH, GSME]\n    to: CH", at: "26:9: links[0].to",
            "stands beside 'between'"),
        .init(
            far, "loss: 8 %", "loss: 8 %\n  - between: [GSME, CH]", at: "28:5: links[1]",
            "the link from GSME to CH is given in line 25 already"),
        .init(
            far, "loss: 8 %", "loss: 8.00001 %", at: "27:11: links[0].loss",
            "a whole number per million"),
    ]

    static let scenarios: [BrokenProfile] = [
        .init(
            demo, "start: 2026-03-02T09:00:00Z", "start: 2136-02-07T00:00:00Z",
            at: "4:8: start", "beyond 2136-02-07T06:28:15Z"),
        .init(
            demo, "outcome: verified", "outcome: verified, offset: 1 KiB",
            at: "28:40: steps[5].await.offset", "goes with the outcome downloading"),
        .init(
            demo, "outcome: verified", "outcome: verified, reason: badSignatur",
            at: "28:40: steps[5].await.reason", "did you mean 'badSignature'?"),
        .init(
            demo, "join: all", "waitUntil: 2026-03-02T09:00:00Z", at: "10:16: steps[0].waitUntil",
            "a moment after the scenario's start and within its timeLimit, 168 h"),
        .init(
            demo, "join: all", "power: {device: CH, on: true, for: 1 s}",
            at: "10:40: steps[0].power.for", "goes with 'on: false'"),
        .init(
            demo, "home: standard", "home: standrad", at: "3:7: home",
            "did you mean 'standard'?"),
        .init(
            demo, "2026-03-02T09", "2026-02-30T09", at: "4:8: start", "expected a moment such as"),
        .init(demo, "seed: 1", "seed: -1", at: "5:7: seed", "a whole number from 0"),
        .init(
            demo, "image: esme-2", "image: esme-3", at: "15:22: steps[1].deliver.image",
            "no image is called 'esme-3'"),
        .init(
            demo, "to: [ESME]", "to: [ESNE]", at: "15:35: steps[1].deliver.to[0]",
            "no device is called 'ESNE' in the home 'standard'; did you mean 'ESME'?"),
        .init(
            demo, "to: [ESME]", "to: [CH]", at: "15:35: steps[1].deliver.to[0]",
            "no device is called 'CH'"),
        .init(
            demo, "to: [ESME]", "to: [ESME, ESME]", at: "15:41: steps[1].deliver.to[1]",
            "stands in the list already"),
        .init(
            demo, "join: all", "join: everybody", at: "10:11: steps[0].join",
            "expected one of all"),
        .init(
            demo, "join: all", "join: []", at: "10:11: steps[0].join", "at least one device"),
        .init(demo, "    join: all\n", "", at: "9:5: steps[0]", "the step has no action"),
        .init(
            demo, "join: all", "join: all\n    query: all", at: "11:5: steps[0].query",
            "a second action beside 'join'"),
        .init(
            demo, "within: 10 min", "within: 8 d", at: "11:13: steps[0].within",
            "192 h is longer than the scenario's timeLimit, 168 h"),
        .init(
            demo, "join: all", "wait: 200 h", at: "10:11: steps[0].wait", "from 1 ms to 168 h"),
        .init(
            demo, "join: all", "activate: [ESME]", at: "10:15: steps[0].activate",
            "no step above delivers an image to 'ESME'"),
        .init(
            demo, "outcome: verified", "outcome: verifed", at: "28:22: steps[5].await.outcome",
            "did you mean 'verified'?"),
        .init(
            demo, "join: all", "power: {device: ESME, off: true}",
            at: "10:27: steps[0].power.off", "known here: device, on"),
        .init(
            demo, "join: all", "link: {from: CH, to: ESME}", at: "10:12: steps[0].link.from",
            "is not a known field"),
        .init(
            demo, "join: all", "readVersions: {devices: all, version: 1.2.3}",
            at: "10:43: steps[0].readVersions.version", "a whole number from 0 to 4294967295"),
        .init(demo, "seed: 1", "seeds: 1", at: "5:1: seeds", "did you mean 'seed'?"),
        .init(demo, "timeLimit: 7 d", "timeLimit: [", at: "9:3", "not valid YAML"),
    ]

    @Test(
        "a mistake is named by file, line, column and field, with what was expected",
        arguments: devices + homes + scenarios)
    func mistakes(_ broken: BrokenProfile) throws {
        let text = try ProfileSamples.text(broken.file).changing(broken.old, to: broken.new)
        let verdict = ProfileSamples.verdict(on: text, as: broken.file)
        #expect(verdict.hasPrefix("\(broken.file):\(broken.place): "), "\(verdict)")
        #expect(verdict.contains(broken.message), "\(verdict)")
    }
}
