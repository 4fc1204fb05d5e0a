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
