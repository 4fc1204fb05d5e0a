import Air
import Crypto
import Devices
import GBCS
import Lab
import Radio
import Testing
import Wire
import Zigbee

/// The remote parties of the test homes, who can also do what no honest one does.
struct Office {
    let parties = MessageParties(seed: Seed(1))
    var desk: MessageDesk

    static let meter = Homes.device(.esme).eui64
    static let supplier = MessageParties.supplier(1)

    init(entities: [EUI64] = [Office.meter]) {
        desk = MessageDesk(parties: parties, entities: entities)
    }

    mutating func activate(
        _ hash: Digest256, by party: EUI64 = Office.supplier, to device: EUI64 = Office.meter,
        innerCounter: UInt64? = nil
    ) -> [UInt8] {
        desk.command(.activateFirmware, by: party, to: device, at: Homes.start) {
            .activateFirmware(
                ActivateFirmware(hash: hash, originatorCounter: innerCounter ?? $0))
        }
    }

    mutating func read(_ device: EUI64 = Office.meter) -> [UInt8] {
        desk.command(
            .readESMEFirmwareVersion, by: Self.supplier, to: device, at: Homes.start
        ) {
            .readESMEFirmwareVersion(
                ReadESMEFirmwareVersion(invokeID: DLMSAPDU.invokeID(for: $0)))
        }
    }

    /// The message as `change` leaves it, with the MAC that the broker would give it.
    func altered(
        _ bytes: [UInt8], to device: EUI64 = Office.meter, _ change: (inout GBCSMessage) -> Void
    ) throws -> [UInt8] {
        var message = try GBCSMessage(parsing: bytes)
        change(&message)
        let secret = parties.agreementKey(of: MessageParties.broker).sharedSecret(
            with: parties.agreementKey(of: device).publicKey)
        return message.withMAC(message.mac(sharedSecret: secret)).encoded()
    }
}

@Suite("Messages that a device refuses")
struct RefusedMessageStories {
    /// A lie, and why it is not believed.
    enum Lie: String, CaseIterable, Sendable {
        case wrongSigner
        case noSignature
        case anotherDevice
        case replay
        case truncated
        case macOfAnother
        case noMAC
        case response
        case unknownSupplier
        case wrongRole
        case innerCounter
        case useCaseOfAnother

        var reason: DropReason {
            switch self {
            case .wrongSigner, .noSignature: .messageBadSignature
            case .anotherDevice: .messageNotForUs
            case .replay: .messageReplayed
            case .truncated: .messageMalformed
            case .macOfAnother, .noMAC: .messageBadMAC
            case .response, .useCaseOfAnother: .messageUnexpected
            case .unknownSupplier: .messageUnknownOriginator
            case .wrongRole: .messageWrongRole
            case .innerCounter: .messageBadContent
            }
        }

        func bytes(_ office: inout Office, _ hash: Digest256) throws -> [UInt8] {
            let honest = office.activate(hash)
            let parties = office.parties
            switch self {
            case .wrongSigner:
                return try office.altered(honest) {
                    $0 = $0.signed(by: parties.signingKey(of: MessageParties.broker))
                }
            case .noSignature: return try office.altered(honest) { $0.signature = .empty }
            case .anotherDevice:
                return office.activate(hash, to: Homes.device(.esme, number: 2).eui64)
            // Sent twice.
            case .replay: return office.read()
            case .truncated: return Array(honest.dropLast())
            case .macOfAnother:
                let (one, other) = (
                    try GBCSMessage(parsing: honest),
                    try GBCSMessage(parsing: office.activate(hash))
                )
                return one.withMAC(try #require(other.mac)).encoded()
            case .noMAC: return try GBCSMessage(parsing: honest).withoutMAC.encoded()
            case .response:
                return try office.altered(honest) {
                    $0.header.kind = .response
                    $0.payload = MessageContent.activateFirmwareResponse(.accepted).encoded()
                    $0 = $0.signed(by: parties.signingKey(of: Office.supplier))
                }
            case .unknownSupplier:
                return office.activate(hash, by: MessageParties.supplier(2))
            case .wrongRole: return office.activate(hash, by: MessageParties.broker)
            case .innerCounter: return office.activate(hash, innerCounter: 1)
            case .useCaseOfAnother:
                return office.desk.command(
                    .readGSMEFirmwareVersion, by: Office.supplier, to: Office.meter,
                    at: Homes.start
                ) { _ in .readGSMEFirmwareVersion(ReadGSMEFirmwareVersion()) }
            }
        }
    }

    @Test(
        "a lie is dropped for its own reason, gets no answer and changes nothing",
        arguments: Lie.allCases)
    func refusal(lie: Lie) throws {
        let esme = Homes.device(.esme)
        let image = Homes.image(for: esme)
        let home = LiveHome(
            Homes.home([esme]), images: [image],
            [.join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"])])
        home.run(untilEvent: .otaAwaitingActivation, of: 1)
        var office = Office(entities: [Office.meter, Homes.device(.esme, number: 2).eui64])
        let bytes = try lie.bytes(&office, image.hash)
        if lie == .replay {
            home.send(message: bytes, to: 1)
            home.run(for: .minutes(1))
        }
        let (before, logged) = (
            home.events(.messageSent).count, home.events(.securityLogged).count
        )
        home.send(message: bytes, to: 1)
        home.run(for: .minutes(1))
        let dropped = home.events(.messageDropped)
        #expect(dropped.map { $0.values[0] } == [UInt64(lie.reason.rawValue)])
        #expect(home.events(.messageSent).count == before)
        #expect(home.events(.activated).isEmpty)
        let isLogged = ![
            .messageNotForUs, .messageMalformed, .messageUnexpected, .messageBadContent,
        ].contains(lie.reason)
        #expect(home.events(.securityLogged).count - logged == (isLogged ? 1 : 0))
    }

    @Test("what was taken before a power cut is a replay after it")
    func replayAfterRestart() throws {
        let home = LiveHome(
            Homes.home([Homes.device(.esme)]), images: [], [.join(devices: ["ESME"])])
        home.run(untilEvent: .clockSet, of: 1)
        var office = Office()
        let (first, second) = (office.read(), office.read())
        home.send(message: second, to: 1)
        home.run(for: .minutes(1))
        #expect(home.events(.messageSent).count { $0.node == 1 } == 1)
        home.restart(1)
        home.run(untilEvent: .clockSet, of: 1, count: 2)
        for bytes in [second, first] { home.send(message: bytes, to: 1) }
        home.send(message: office.read(), to: 1)
        home.run(for: .minutes(1))
        #expect(
            home.events(.messageDropped).map { $0.values[0] }
                == [140 + 7, 140 + 7])
        #expect(home.events(.messageSent).count { $0.node == 1 } == 2)
    }
}

@Suite("Messages that devices and hub obey")
struct MessageStories {
    @Test(
        "a CS06 at once: the receipt before it, the answer with the new version, the log after it",
        arguments: [DeviceType.esme, .gsme, .hcalcs])
    func atOnce(type: DeviceType) throws {
        let device = Homes.device(type)
        let name = device.name
        let told = try Told(
            Homes.home([device], hub: Homes.hub(firmware: 0x0200_0000)),
            images: [Homes.image(for: device)],
            [
                .join(devices: [name]), .deliver(image: name, to: [name]),
                .await(.verified, devices: [name]),
                .awaitMessage(
                    members: [name], code: type == .gsme ? 0x00CF : 0x00CE, alert: 0x8F72),
                .command(devices: [name], .init(), expect: .activated),
                .await(.updated, devices: [name]),
                .awaitMessage(members: [name], code: 0x0012, alert: nil), .join(devices: [name]),
                .wait(.minutes(40)),
            ], named: "cs06-\(type.rawValue)")
        #expect(told.result.failure == nil)
        let logged = told.events("securityLogged").compactMap { $0["code"] as? String }
        #expect(logged == ["0x8F72", "0x8F43"])
        let answer = told.events("messageSent").last { $0["kind"] as? String == "response" }
        #expect(answer?["detail"] as? String == "0x0000")
        #expect(
            told.events("messageRead").allSatisfy { $0["verdict"] as? String == "valid" })
    }

    @Test("what cannot be done is answered with its result and the version that still runs")
    func results() throws {
        let esme = Homes.device(.esme)
        let image = Homes.image(for: esme)
        let home = LiveHome(
            Homes.home([esme]), images: [image],
            [.join(devices: ["ESME"]), .wait(.seconds(30)), .deliver(image: "ESME", to: ["ESME"])])
        home.run(untilEvent: .clockSet, of: 1)
        var office = Office()
        home.send(message: office.activate(image.hash), to: 1)
        home.run(untilEvent: .otaAwaitingActivation, of: 1)
        home.send(message: office.activate(SHA256.digest([])), to: 1)
        home.send(message: office.activate(image.hash), to: 1)
        home.run(for: .seconds(20))
        let responses = home.events(.messageSent).filter { $0.values[1] == 2 }
        #expect(responses.map { $0.values[5] } == [1, 2, 0])
        #expect(home.events(.activated).count == 1)
    }

    @Test("an image that fails its check is told of by 8F1C, and never activated")
    func badImage() throws {
        let esme = Homes.device(.esme)
        let told = try Told(
            Homes.home([esme]), images: [Homes.image(for: esme, by: Homes.key(9))],
            [
                .join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"]),
                .await(.rejected, devices: ["ESME"], reason: "badSignature"),
                .awaitMessage(members: ["ESME"], code: 0x00CE, alert: 0x8F1C),
                .command(
                    devices: ["ESME"], .init(), expect: .refused, reason: "noImageHeld"),
            ], named: "8f1c")
        #expect(told.result.failure == nil)
    }

    @Test("an image of one supplier is not activated by the next, and the old one is heard no more")
    func changeOfSupplier() throws {
        let esme = Homes.device(.esme)
        let told = try Told(
            Homes.home([esme]), images: [Homes.image(for: esme)],
            [
                .join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"]),
                .await(.verified, devices: ["ESME"]),
                .command(
                    devices: ["ESME"], .init(at: Homes.start.advanced(by: .hours(9))),
                    expect: .accepted),
                .changeSupplier(devices: ["ESME"], to: 2),
                .command(
                    devices: ["ESME"], .init(supplier: 1), expect: .dropped,
                    reason: "messageUnknownOriginator"),
                .command(
                    devices: ["ESME"], .init(supplier: 2), expect: .refused,
                    reason: "otherSupplier"),
                // It outlasts a power cut. By then the command has been acknowledged, or it comes
                // again.
                .wait(.seconds(2)), .power(device: "ESME", on: false, duration: .seconds(5)),
                .join(devices: ["ESME"]),
                .command(
                    devices: ["ESME"], .init(supplier: 1), expect: .dropped,
                    reason: "messageUnknownOriginator"),
                .wait(.hours(10)),
            ], named: "change-of-supplier")
        #expect(told.result.failure == nil)
        #expect(told.events("activationCancelled").count == 1)
        #expect(told.events("activated").isEmpty)
    }

    @Test(
        "versions are read by message, each in the use case of its kind",
        arguments: [DeviceType.esme, .gsme, .ppmid, .hcalcs])
    func versions(type: DeviceType) throws {
        let device = Homes.device(type)
        let home = LiveHome(
            Homes.home([device], hub: Homes.hub(firmware: 0x0200_0000)), images: [],
            [.join(devices: [device.name])])
        home.run(untilEvent: .clockSet, of: 1)
        var office = Office(entities: [device.eui64])
        let code: MessageCode =
            switch type {
            case .esme: .readESMEFirmwareVersion
            case .gsme: .readGSMEFirmwareVersion
            default: .readHANDeviceFirmwareVersion
            }
        let party = type == .ppmid ? MessageParties.broker : Office.supplier
        let bytes = office.desk.command(code, by: party, to: device.eui64, at: Homes.start) {
            switch type {
            case .esme:
                .readESMEFirmwareVersion(
                    ReadESMEFirmwareVersion(invokeID: DLMSAPDU.invokeID(for: $0)))
            case .gsme: .readGSMEFirmwareVersion(ReadGSMEFirmwareVersion())
            default: .readFirmwareVersion
            }
        }
        home.send(message: bytes, to: 1)
        home.run(for: .minutes(40))
        let answer = try #require(home.received.first { $0.code == code })
        switch answer.content {
        case .esmeFirmwareVersionResponse(let response): #expect(response.version == 0x0100_0000)
        case .gsmeFirmwareVersionResponse(let response): #expect(response.version == 0x0100_0000)
        case .firmwareVersionResponse(let response): #expect(response.version == 0x0100_0000)
        default: Issue.record("\(answer.content)")
        }
    }

    @Test("an image in flash that is spoilt after it was activated is told of at power on")
    func spoilt() throws {
        let esme = Homes.device(.esme)
        let image = Homes.image(for: esme)
        let home = LiveHome(
            Homes.home([esme]), images: [image],
            [
                .join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"]),
                .await(.verified, devices: ["ESME"]),
                .command(devices: ["ESME"], .init(), expect: .activated),
            ])
        home.run(untilEvent: .clockSet, of: 1, count: 2)
        home.restart(1)
        home.run(untilEvent: .clockSet, of: 1, count: 3)
        #expect(!home.events(.messageSent).contains { $0.values[0] == 0x1000 })
        // Behind the two areas of the journal.
        home.erase(page: 5, of: 1)
        home.run(for: .seconds(1))
        home.restart(1)
        home.run(untilEvent: .clockSet, of: 1, count: 4)
        let alert = try #require(home.events(.messageSent).last { $0.values[0] == 0x1000 })
        #expect(alert.values[5] == 0x8F1B)
    }
}

extension Told {
    /// A member's alerts, of which there are some, have counters that only ever rise.
    fileprivate func expectNewCounters(of name: String) {
        let alerts = events("messageSent", of: name).filter { $0["kind"] as? String == "alert" }
        let counters = alerts.compactMap { $0["counter"] as? Int }
        #expect(!counters.isEmpty)
        #expect(Set(counters).count == counters.count)
        #expect(counters == counters.sorted())
        #expect(!events("messageRead").contains { $0["verdict"] as? String == "replayed" })
    }
}

@Suite("Power cuts around a signed command")
struct CutMessageStories {
    @Test("at any instant of it they leave the old firmware or the new, and no counter used twice")
    func activation() throws {
        let esme = Homes.device(.esme)
        let images = [Homes.image(for: esme, size: 2_000)]
        var seen: Set<UInt32> = []
        for step in 0..<40 {
            let told = try Told(
                Homes.home([esme]), images: images,
                [
                    .join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"]),
                    .await(.verified, devices: ["ESME"]), .wait(.seconds(1)),
                    .command(devices: ["ESME"], .init(), expect: .nothing),
                    // From when the hub has it until after the answer is on its way.
                    .wait(.milliseconds(400) + .microseconds(Int64(step * 2_500))),
                    .power(device: "ESME", on: false, duration: .seconds(1)),
                    .join(devices: ["ESME"]), .wait(.seconds(10)),
                    .readVersions(devices: ["ESME"], version: nil),
                ], named: "cs06-cut-\(step)")
            #expect(told.result.failure == nil)
            let version = try #require(told.result.summary.devices[1].versionAfter)
            seen.insert(version)
            // A success is told of only by a device that runs the new version from then on.
            let responses = told.events("messageRead").filter {
                $0["kind"] as? String == "response"
            }
            if !responses.isEmpty { #expect(version == 0x0200_0000) }
            told.expectNewCounters(of: "ESME")
        }
        #expect(seen == [0x0100_0000, 0x0200_0000])
    }
}

@Suite("Sample scenarios with signed commands")
struct SampleMessageStories {
    @Test(
        "come out as they say, whatever the seed",
        arguments: ["cs06-now", "cs06-later", "cs06-cancelled", "change-of-supplier"],
        [1, 2, 3] as [UInt64])
    func pass(name: String, seed: UInt64) throws {
        let result = try Demo.runner(name, seed: seed, folder: nil).run { 0 }
        #expect(result.failure == nil)
    }
}

@Suite("Activation for later")
struct LaterStories {
    /// Activates at a certain second, with a power cut so many microseconds from 100 before it.
    private func later(
        cut: Int?, named name: String
    ) throws -> Told {
        let esme = Homes.device(.esme)
        let due = Homes.start.advanced(by: .seconds(600))
        var steps: [ScenarioStep.Action] = [
            .join(devices: ["ESME"]), .deliver(image: "ESME", to: ["ESME"]),
            .await(.verified, devices: ["ESME"]),
            .command(devices: ["ESME"], .init(at: due), expect: .accepted),
            .waitUntil(due.advanced(by: .seconds(-1))),
        ]
        if let cut {
            steps += [
                .wait(.microseconds(Int64(cut))),
                .power(device: "ESME", on: false, duration: .seconds(5)),
            ]
        }
        steps += [
            .awaitMessage(members: ["ESME"], code: 0x00CA, alert: 0x8F66),
            .await(.updated, devices: ["ESME"]),
        ]
        return try Told(
            Homes.home([esme]), images: [Homes.image(for: esme, size: 2_000)], steps,
            named: name)
    }

    @Test("a device activates in the second that it was told, and reports it after its restart")
    func onTime() throws {
        let told = try later(cut: nil, named: "later")
        #expect(told.result.failure == nil)
        let time = try #require(told.events("activated").first?["time"] as? Double)
        #expect((600.0..<602.0).contains(time))
        #expect(told.events("activationRefused").isEmpty)
    }

    @Test("a power cut at any instant of it leaves one activation, one alert and a new counter")
    func cutAnywhere() throws {
        // It is due within a second of the end of the wait, to the clock's own whole second.
        let told = try later(cut: nil, named: "later-when")
        let time = try #require(told.events("activated").first?["time"] as? Double)
        let began = Int((time - 599) * 1e6) - 1_100
        for step in 0..<40 {
            let told = try later(cut: began + step * 60, named: "later-cut-\(step)")
            #expect(told.result.failure == nil)
            #expect(told.events("activationRefused").isEmpty)
            told.expectNewCounters(of: "ESME")
            let alerts = told.events("messageSent").filter { $0["kind"] as? String == "alert" }
            #expect(alerts.count { $0["detail"] as? String == "0x8F66" } == 1)
        }
    }

    @Test("what is taken back is not done, and what has no image by then is told of by 8F67")
    func cancelled() throws {
        let esme = Homes.device(.esme)
        let told = try Told(
            Homes.home([esme]), images: [Homes.image(for: esme, size: 60_000)],
            [
                // Its clock is set.
                .join(devices: ["ESME"]), .wait(.seconds(5)),
                .deliver(image: "ESME", to: ["ESME"]),
                .command(
                    devices: ["ESME"], .init(at: Homes.start.advanced(by: .seconds(300))),
                    expect: .accepted),
                .link(a: "CH", b: "ESME", Link(rssi: -120)),
                .waitUntil(Homes.start.advanced(by: .seconds(301))),
                .link(a: "CH", b: "ESME", Link(rssi: -50)),
                .awaitMessage(members: ["ESME"], code: 0x00CA, alert: 0x8F67),
                .await(.verified, devices: ["ESME"]),
                .command(
                    devices: ["ESME"], .init(at: Homes.start.advanced(by: .hours(30))),
                    expect: .accepted),
                .command(
                    devices: ["ESME"], .init(isCancellation: true), expect: .accepted),
                .waitUntil(Homes.start.advanced(by: .hours(31))),
                .expect(.notActivated, devices: ["ESME"]),
            ], named: "cancelled")
        #expect(told.result.failure == nil)
    }
}

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
