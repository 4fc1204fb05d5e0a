import Air
import Crypto
import Devices
import GBCS
import Lab
import Radio
import Testing
import Wire
import Zigbee

@Suite("The hub's messages")
struct HubMessageStories {
    private let chf = Homes.hub().chf

    @Test("the WAN provider has the hub activate its own image, and nobody else")
    func ownImage() throws {
        let hub = Homes.hub()
        let image = Homes.image(for: hub)
        let told = try Told(
            Homes.home([Homes.device(.esme)]), images: [image],
            [.join(devices: ["ESME"]), .updateHub(image: "CH", by: .cs06)], named: "hub-cs06")
        #expect(told.result.failure == nil)
        // CHF and GPF.
        let logged = told.events("securityLogged").filter { $0["code"] as? String == "0x8F43" }
        #expect(logged.count == 2)

        let home = LiveHome(Homes.home([Homes.device(.esme)]), images: [], [.wait(.hours(1))])
        home.run(untilEvent: .booted, of: 0)
        var office = Office(entities: [chf])
        home.send(message: office.activate(image.hash, to: chf), to: 0)
        home.send(
            message: office.activate(image.hash, by: MessageParties.broker, to: chf), to: 0)
        home.run(for: .seconds(1))
        let reasons: [DropReason] = [.messageUnknownOriginator, .messageWrongRole]
        #expect(
            home.events(.messageDropped).map { $0.values[0] }
                == reasons.map { UInt64($0.rawValue) })
    }

    @Test(
        "transfers are reported by a hub with SECMP0007, and by one without not at all",
        arguments: [UInt32(0x0100_0000), 0x0200_0000])
    func transfers(firmware: UInt32) throws {
        let esme = Homes.device(.esme)
        let told = try Told(
            Homes.home([esme], hub: Homes.hub(firmware: firmware)),
            images: [
                Homes.image(for: esme),
                Homes.image(
                    "other", type: .esme, manufacturer: 0xFFF1, imageType: 1, hardware: 0x0777,
                    version: 0x0300_0000, size: 900, by: Homes.supplier),
                Homes.image(
                    "forged", type: .esme, manufacturer: 0xFFF1, imageType: 1, hardware: 0x0200,
                    version: 0x0400_0000, size: 900, by: Homes.key(9)),
            ],
            [
                .join(devices: ["ESME"]), .deliver(image: "other", to: ["ESME"]),
                .await(.notOffered, devices: ["ESME"]),
                .deliver(image: "ESME", to: ["ESME"]), .query(devices: ["ESME"]),
                .await(.verified, devices: ["ESME"]),
                .deliver(image: "forged", to: ["ESME"]), .query(devices: ["ESME"]),
                .await(.rejected, devices: ["ESME"]), .wait(.minutes(1)),
            ], named: "ccs08-\(firmware)")
        #expect(told.result.failure == nil)
        let alerts = told.events("messageSent").filter { $0["code"] as? String == "0x0128" }
        let details = alerts.compactMap { $0["detail"] as? String }
        #expect(
            details == (firmware < 0x0200_0000 ? [] : ["0x8F89", "0x8F8A", "0x8F89"]))
    }

    @Test("CCS01 and CCS02 change the device log, are answered, and 8F12 tells what it has come to")
    func deviceLog() throws {
        let esme = Homes.device(.esme)
        let home = LiveHome(Homes.home([esme]), images: [], [.join(devices: ["ESME"])])
        home.run(untilEvent: .joined, of: 1)
        var office = Office(entities: [chf])
        let removal = office.desk.command(
            .removeDevice, by: MessageParties.broker, to: chf, at: Homes.start
        ) {
            .removeDevice(
                RemoveDevice(invokeID: DLMSAPDU.invokeID(for: $0), device: esme.eui64))
        }
        home.send(message: removal, to: 0)
        home.run(untilEvent: .left, of: 1)
        let addition = office.desk.command(
            .addDevice, by: MessageParties.broker, to: chf, at: Homes.start
        ) {
            .addDevice(
                AddDevice(
                    invokeID: DLMSAPDU.invokeID(for: $0), device: esme.eui64,
                    installCode: Array(esme.installCode.bytes.prefix(16)), joinTime: 90))
        }
        home.send(message: addition, to: 0)
        home.run(untilEvent: .joined, of: 1, count: 2)
        let sent = home.events(.messageSent).filter { $0.node == 0 }
        #expect(sent.map { $0.values[0] } == [0x18, 0x02, 0x18, 0x01])
        #expect(sent.map { $0.values[5] } == [0x8F12, 0, 0x8F12, 0])
        home.run(untilEvent: .linkKeyEstablished, of: 0)
        home.run(for: .seconds(1))
        let key = try #require(home.stack(0)?.establishedKey(with: esme.eui64))
        let logs: [[DeviceLogAlert.Entry]] = home.received.compactMap {
            guard case .deviceLogAlert(let alert) = $0.content else { return nil }
            return alert.entries
        }
        #expect(
            logs == [
                [], [DeviceLogAlert.Entry(device: esme.eui64)],
                [
                    DeviceLogAlert.Entry(
                        device: esme.eui64, hashedLinkKey: AESMMO.hash(key.bytes).bytes)
                ],
            ])
    }

    private func addition(
        of device: HomeDevice, joinTime: UInt16, joining: UInt8 = 0xFF, by office: inout Office
    ) -> [UInt8] {
        office.desk.command(.addDevice, by: MessageParties.broker, to: chf, at: Homes.start) {
            var command = AddDevice(
                invokeID: DLMSAPDU.invokeID(for: $0), device: device.eui64,
                installCode: Array(device.installCode.bytes.prefix(16)), joinTime: joinTime)
            command.joiningByte = joining
            return .addDevice(command)
        }
    }

    @Test(
        "a device that the hub has never heard of is let in by CCS01, and says itself what it is",
        arguments: [DeviceType.esme, .gsme, .hcalcs, .ppmid])
    func newDevice(type: DeviceType) throws {
        var device = Homes.device(type)
        device.isLogged = false
        let home = LiveHome(Homes.home([device]), images: [], [.wait(.hours(1))])
        home.run(untilEvent: .joinFailed, of: 1, count: 2)
        #expect(home.events(.deviceLogged).isEmpty)
        #expect(home.events(.joined).isEmpty)
        var office = Office(entities: [chf])
        home.send(message: addition(of: device, joinTime: 3_600, by: &office), to: 0)
        home.run(untilEvent: .linkKeyEstablished, of: 0)
        home.run(untilEvent: .deviceDescribed, of: 0)
        home.run(untilEvent: .tunnelOpened, of: 0)
        #expect(
            home.events(.deviceDescribed).map { $0.values[1] }
                == [UInt64(device.profile.applicationDevice)])
        // What it has learned it knows for good.
        home.restart(0)
        home.run(untilEvent: .networkResumed, of: 0)
        home.run(for: .minutes(10))
        #expect(home.events(.deviceDescribed).count == 1)
    }

    @Test("CCS01 opens joining for as long as it says, and closes it if it says so")
    func joinTime() throws {
        let device = Homes.device(.hcalcs)
        let hub = Homes.hub { $0.permitJoining = .zero }
        let home = LiveHome(Homes.home([device], hub: hub), images: [], [.wait(.hours(1))])
        var office = Office(entities: [chf])
        func isOpen() -> Bool { home.stack(0)?.permitsJoining(at: home.now) == true }
        home.run(untilEvent: .booted, of: 0)
        home.run(for: .minutes(1))
        #expect(!isOpen())
        home.send(message: addition(of: device, joinTime: 90, by: &office), to: 0)
        let began = home.now
        home.run(until: { $0.now > began + .seconds(80) })
        #expect(home.now < began + .seconds(90))
        #expect(isOpen())
        home.run(until: { $0.now > began + .seconds(90) })
        #expect(!isOpen())
        home.send(message: addition(of: device, joinTime: 3_600, by: &office), to: 0)
        home.run(for: .seconds(1))
        #expect(isOpen())
        home.send(message: addition(of: device, joinTime: 60, by: &office), to: 0)
        home.run(for: .seconds(120))
        #expect(isOpen(), "joining that is open for longer stays open")
        home.send(message: addition(of: device, joinTime: 60, joining: 0, by: &office), to: 0)
        #expect(!isOpen())
        home.send(message: addition(of: device, joinTime: 600, by: &office), to: 0)
        home.send(message: addition(of: device, joinTime: 0, by: &office), to: 0)
        #expect(!isOpen())
    }

    @Test("a full device log refuses CCS01 whole, and opens nothing")
    func fullLog() throws {
        let (one, other) = (Homes.device(.esme), Homes.device(.hcalcs))
        let hub = Homes.hub {
            $0.permitJoining = .zero
            $0.deviceLogLimit = 1
        }
        let home = LiveHome(Homes.home([one, other], hub: hub), images: [], [.wait(.hours(1))])
        home.run(untilEvent: .booted, of: 0)
        var office = Office(entities: [chf])
        home.send(message: addition(of: other, joinTime: 90, by: &office), to: 0)
        #expect(home.stack(0)?.permitsJoining(at: home.now) == false)
        home.give(.order(.addDevice(other.eui64, linkKey: other.installCode.linkKey)), to: 0)
        #expect(home.stack(0)?.permitsJoining(at: home.now) == false)
        home.run(for: .seconds(5))
        let results: [[UInt8]] = home.received.compactMap {
            guard case .deviceLogResponse(let answer) = $0.content else { return nil }
            return answer.response.results.map(\.result)
        }
        #expect(results == [[250, 250, 250]])
    }

    @Test("CCS01 of nobody, of everybody or of the hub itself is refused, and logs nothing")
    func nobody() throws {
        var device = Homes.device(.esme)
        let home = LiveHome(Homes.home([device]), images: [], [.wait(.hours(1))])
        home.run(untilEvent: .booted, of: 0)
        var office = Office(entities: [chf])
        let logged = home.events(.deviceLogged).count
        let odd = [EUI64(0), EUI64(.max), Homes.hub().eui64, chf]
        for eui64 in odd {
            device.eui64 = eui64
            home.send(message: addition(of: device, joinTime: 90, by: &office), to: 0)
        }
        home.run(for: .seconds(5))
        #expect(home.events(.deviceLogged).count == logged)
        let results: [[UInt8]] = home.received.compactMap {
            guard case .deviceLogResponse(let answer) = $0.content else { return nil }
            return answer.response.results.map(\.result)
        }
        #expect(results == Array(repeating: [250, 250, 250], count: odd.count))
    }

    @Test("an image for a device of which only its EUI-64 is known waits for nobody, and says why")
    func typeUnknown() throws {
        var device = Homes.device(.hcalcs)
        device.isLogged = false
        let home = LiveHome(
            Homes.home([device], hub: Homes.hub(firmware: 0x0200_0000)),
            images: [Homes.image(for: device)],
            [.wait(.hours(2)), .deliver(image: "HCALCS", to: ["HCALCS"]), .wait(.hours(1))])
        home.run(untilEvent: .booted, of: 0)
        home.act(for: 1) { _, _, out in out.append(.power(of: 1, on: false)) }
        var office = Office(entities: [chf])
        home.send(message: addition(of: device, joinTime: 90, by: &office), to: 0)
        home.run(untilEvent: .imageDiscarded, of: 0)
        #expect(
            home.events(.imageDiscarded).map { $0.values[1] }
                == [UInt64(RefusalReason.typeUnknown.rawValue)])
    }

    @Test("an image that the hub has no room for is reported as discarded each time it is sent")
    func tooLarge() throws {
        let hub = Homes.hub(firmware: 0x0200_0000) { $0.imageSlotSize = 4 << 10 }
        let esme = Homes.device(.esme)
        let told = try Told(
            Homes.home([esme], hub: hub),
            images: [Homes.image(for: esme, size: 9_000)],
            [
                .join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"]),
                .wait(.minutes(5)),
                .deliver(image: "ESME", to: ["ESME"]), .wait(.minutes(5)),
            ], named: "ccs08-too-large")
        let alerts = told.events("message").filter { $0["useCase"] as? String == "CCS08" }
        #expect(alerts.count == 2)
        for alert in alerts {
            let fields = try #require(alert["fields"] as? [[String: String]])
            let result = try #require(fields.first { $0["name"] == "result" })
            #expect(result["hex"] == "01")
            #expect(
                fields.contains { $0["hex"]?.uppercased() == esme.eui64.description.uppercased() })
        }
    }

    @Test("who activates the hub is as its profile says; the director is it, others are refused")
    func activator() throws {
        let image = Homes.image(for: Homes.hub())
        for activator in MessageSettings.Activator.allCases {
            let hub = Homes.hub { $0.messages.activator = activator }
            let told = try Told(
                Homes.home([Homes.device(.esme)], hub: hub), images: [image],
                [.join(devices: ["ESME"]), .updateHub(image: "CH", by: .cs06)],
                named: "hub-cs06-\(activator.rawValue)")
            #expect(told.result.failure == nil)
            #expect(told.events("messageDropped").isEmpty)

            let home = LiveHome(
                Homes.home([Homes.device(.esme)], hub: hub), images: [], [.wait(.hours(1))])
            home.run(untilEvent: .booted, of: 0)
            var office = Office(entities: [chf])
            for other in MessageSettings.Activator.allCases where other != activator {
                home.send(
                    message: office.activate(
                        image.hash, by: MessageParties.party(of: other), to: chf), to: 0)
            }
            let dropped = home.events(.messageDropped).map { $0.values[0] }
            #expect(dropped.count == 2)
            let reasons: [DropReason] = [.messageUnknownOriginator, .messageWrongRole]
            #expect(dropped.allSatisfy { reasons.map { UInt64($0.rawValue) }.contains($0) })
            #expect(home.events(.activationOrdered).isEmpty)
        }
    }

    @Test("a hub that drops its CS06 fails the step at once, and says why")
    func dropped() throws {
        let hub = Homes.hub()
        let image = Homes.image(for: hub)
        // What its keeper signs with is not what the hub knows.
        let home = LiveHome(
            Homes.home([Homes.device(.esme)], hub: hub), images: [image],
            [.join(devices: ["ESME"]), .updateHub(image: "CH", by: .cs06)])
        home.run(untilEvent: .imageStored, of: 0)
        // A command with a far higher counter has come first: the director's is a replay.
        var office = Office(entities: [chf])
        let bytes = office.desk.command(
            .activateFirmware, by: MessageParties.wanProvider, to: chf,
            at: Homes.start.advanced(by: .hours(100))
        ) {
            .activateFirmware(
                ActivateFirmware(hash: SHA256.digest([]), originatorCounter: $0))
        }
        home.send(message: bytes, to: 0)
        home.run(for: .minutes(1))
        #expect(home.events(.stepFailed).count == 1)
        #expect(
            home.events(.messageDropped).map { $0.values[0] }
                == [UInt64(DropReason.messageReplayed.rawValue)])
    }

    @Test("the GPF is asked for the hub's version too")
    func gasProxy() throws {
        let hub = Homes.hub()
        let home = LiveHome(Homes.home([Homes.device(.esme)]), images: [], [.wait(.hours(1))])
        home.run(untilEvent: .booted, of: 0)
        var office = Office(entities: [hub.eui64, chf])
        home.send(message: office.read(hub.eui64), to: 0)
        home.run(for: .seconds(1))
        let answer = try #require(home.received.first { $0.code == .readESMEFirmwareVersion })
        guard case .esmeFirmwareVersionResponse(let response) = answer.content else {
            Issue.record("\(answer.content)")
            return
        }
        #expect(response.version == hub.firmware)
        let sent = try #require(home.events(.messageSent).first)
        #expect(sent.values[2] == hub.eui64.rawValue)
    }

    @Test("what comes for a hub that starts is dropped, with a word")
    func starting() throws {
        let home = LiveHome(Homes.home([Homes.device(.esme)]), images: [], [.wait(.hours(1))])
        home.run(untilEvent: .poweredOn, of: 0)
        var office = Office(entities: [chf])
        home.send(message: office.activate(SHA256.digest([]), to: chf), to: 0)
        let dropped = try #require(home.events(.messageDropped).first)
        #expect(dropped.values[0] == UInt64(DropReason.messageRestarting.rawValue))
        #expect(dropped.values[4] == chf.rawValue)
    }

    /// A hub that runs an image it was sent, and that image.
    private static func updatedHub() -> (live: LiveHome, hub: HomeHub) {
        let hub = Homes.hub()
        let live = LiveHome(
            Homes.home([Homes.device(.esme)], hub: hub), images: [Homes.image(for: hub)],
            [.updateHub(image: "CH", by: .order)])
        live.run(untilEvent: .stepPassed, of: 2)
        return (live, hub)
    }

    /// What the hub has told of at its latest start.
    private static func alerts(_ live: LiveHome) -> [UInt64] {
        live.events(.messageSent).filter { $0.values[0] == 0x1000 }.map { $0.values[5] }
    }

    private static func restart(_ live: LiveHome) {
        let booted = live.events(.booted).count { $0.node == 0 }
        live.restart(0)
        live.run(untilEvent: .booted, of: 0, count: booted + 1)
    }

    private static func give(_ image: RunImage, _ delivery: UInt32, to live: LiveHome, whole: Bool)
    {
        let size = UInt32(image.bytes.count)
        live.give(
            .wan(
                .beginImage(
                    delivery: delivery, targets: [Homes.hub().eui64], size: size,
                    installableFrom: [])), to: 0)
        let bytes = whole ? image.bytes : Array(image.bytes.prefix(500))
        live.give(.wan(.imageChunk(delivery: delivery, offset: 0, bytes: bytes)), to: 0)
        if whole { live.give(.wan(.endImage(delivery: delivery)), to: 0) }
        live.run(for: .seconds(1))
    }

    @Test("8F1B tells of a running image that is spoilt, not of one whose place another takes")
    func spoilt() throws {
        let (live, hub) = Self.updatedHub()
        Self.restart(live)
        #expect(Self.alerts(live).isEmpty)
        // The next goes to the other place, and what runs stays whole.
        Self.give(Homes.image(for: hub, version: 0x0300_0000), 900, to: live, whole: true)
        #expect(live.events(.imageStored).contains { $0.values[0] == 900 })
        Self.restart(live)
        #expect(Self.alerts(live).isEmpty)
        // One more only has the place of what runs; a cut in the middle of it is no spoilt image.
        Self.give(Homes.image(for: hub, version: 0x0400_0000), 901, to: live, whole: false)
        Self.restart(live)
        #expect(Self.alerts(live).isEmpty)

        let (other, _) = Self.updatedHub()
        // The first of the two places at the end of its flash.
        let flash = hub.profile.flash
        other.erase(
            page: (flash.size - 2 * hub.profile.imageSlotSize) / flash.pageSize, of: 0)
        other.run(for: .seconds(1))
        Self.restart(other)
        #expect(Self.alerts(other) == [0x8F1B])
    }

    @Test("a hub looks at its image again before it puts it into use")
    func spoiltBeforeUse() throws {
        let hub = Homes.hub()
        let image = Homes.image(for: hub)
        let live = LiveHome(
            Homes.home([Homes.device(.esme)], hub: hub), images: [], [.wait(.hours(1))])
        live.run(untilEvent: .booted, of: 0)
        Self.give(image, 900, to: live, whole: true)
        let flash = hub.profile.flash
        live.erase(page: (flash.size - 2 * hub.profile.imageSlotSize) / flash.pageSize, of: 0)
        live.run(for: .seconds(1))
        live.give(.wan(.activateHub(hash: image.hash)), to: 0)
        live.give(.wan(.activateHub(hash: image.hash)), to: 0)
        let reasons: [RefusalReason] = [.activationFailure, .noImageHeld]
        #expect(
            live.events(.activationRefused).map { $0.values[0] }
                == reasons.map { UInt64($0.rawValue) })
        #expect(live.events(.activated).isEmpty)
    }

    @Test("of an image that the hub never had it tells nothing, whatever a device says")
    func neverServed() throws {
        let live = LiveHome(
            Homes.home([Homes.device(.esme)], hub: Homes.hub(firmware: 0x0200_0000)), images: [],
            [.join(devices: ["ESME"])])
        live.run(untilEvent: .imageWithheld, of: 0)
        live.run(for: .seconds(10))
        let end = ZCLHeader(
            isClusterSpecific: true, fromServer: false, disableDefaultResponse: true, sequence: 1,
            command: OTACommandID.upgradeEndRequest)
        live.send(end, [0, 0xF1, 0xFF, 1, 0, 0, 0, 0, 9], from: 1, to: 0)
        live.run(for: .seconds(1))
        #expect(live.events(.downloadServed).count == 1)
        #expect(!live.events(.messageSent).contains { $0.values[0] == 0x128 })
    }
}
