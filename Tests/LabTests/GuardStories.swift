import Crypto
import Devices
import GBCS
import Lab
import Radio
import Testing
import Wire
import Zigbee

/// Somebody who has every key that the hub has, and sends a device what no hub does.
private struct Impostor {
    /// How an APS frame goes to many.
    enum Address: CaseIterable, Sendable {
        case broadcast
        case broadcastToOne
        case group
    }

    private let crypto = CryptoEngine()
    private let live: LiveHome
    var counter: UInt32 = 0x0100_0000
    private var sequence: UInt8 = 0

    init(_ live: LiveHome) { self.live = live }

    private mutating func seal(
        _ payload: [UInt8], into frame: inout FrameBuffer, from start: Int,
        _ identifier: KeyIdentifier, _ key: Key128, as source: EUI64 = Homes.hub().eui64
    ) {
        counter += 1
        let auxiliary = AuxiliaryHeader(key: identifier, frameCounter: counter, source: source)
        let at = frame.count
        auxiliary.encodeForSealing(into: &frame)
        let from = frame.count
        frame.append(payload.span)
        crypto.seal(
            &frame, from: start, payload: from, key: key,
            nonce: CCMNonce(source: source, counter: counter, control: auxiliary.fullControl))
        frame[at] &= 0xF8
    }

    private var pan: PANID {
        get throws { PANID(UInt16(try #require(live.events(.panFormed).first).values[0])) }
    }

    /// Device 1 tells the hub that it leaves.
    mutating func leave() throws -> FrameBuffer {
        let device = try #require(live.stack(1))
        let address = device.address
        var frame = FrameBuffer()
        MACHeader.within(
            try pan, kind: .data, sequence: 1, to: .short(.coordinator), from: .short(address)
        ).encode(into: &frame)
        let start = frame.count
        var header = NWKHeader(
            kind: .command, destination: .coordinator, source: address, radius: 1, sequence: 1)
        header.sourceEUI64 = Homes.device(.esme).eui64
        header.encode(into: &frame)
        var command = FrameBuffer()
        NWKCommand.leave(rejoin: false, request: false, removeChildren: false).encode(
            into: &command)
        seal(
            command.bytes, into: &frame, from: start, .network,
            try #require(live.stack(0)?.networkKey), as: Homes.device(.esme).eui64)
        return frame
    }

    /// Sends device 1 a ZCL frame of a cluster, under `linkKey` if there is one.
    mutating func send(
        _ zcl: [UInt8], of cluster: UInt16, to address: Address, under linkKey: Key128?
    )
        throws
    {
        let hub = try #require(live.stack(0)), device = try #require(live.stack(1))
        sequence &+= 1
        var header = APSHeader(kind: .data, counter: sequence &+ 100)
        header.delivery = address == .group ? .group : .broadcast
        header.group = 1
        header.isSecured = linkKey != nil
        (header.cluster, header.profile) = (cluster, ProfileID.smartEnergy)
        (header.destinationEndpoint, header.sourceEndpoint) = (address == .group ? 0 : 1, 3)
        var inner = FrameBuffer()
        header.encode(into: &inner)
        if let linkKey {
            seal(zcl, into: &inner, from: 0, .data, linkKey)
        } else {
            inner.append(zcl.span)
        }
        let isToOne = address == .broadcastToOne
        var frame = FrameBuffer()
        MACHeader.within(
            try pan, kind: .data, sequence: sequence,
            to: .short(isToOne ? device.address : .everyone), from: .short(.coordinator)
        ).encode(into: &frame)
        let start = frame.count
        NWKHeader(
            kind: .data, destination: isToOne ? device.address : .receiversOn,
            source: .coordinator, radius: 1, sequence: sequence
        ).encode(into: &frame)
        seal(inner.bytes, into: &frame, from: start, .network, try #require(hub.networkKey))
        live.give(
            .received(Reception(frame: frame, rssi: -60, lqi: 200, number: 0)), to: 1)
    }
}

@Suite("What is between two and comes to many")
struct GuardStories {
    @Test(
        "a tunnel is not used, closed or asked for by a frame to many, whatever key it is under",
        arguments: [true, false])
    func tunnel(isSecured: Bool) throws {
        let live = LiveHome(
            Homes.home([Homes.device(.esme)]), images: [], [.join(devices: ["ESME"])])
        live.run(untilEvent: .tunnelOpened, of: 1)
        live.run(for: .minutes(1))
        let id = UInt16(live.events(.tunnelOpened).first { $0.node == 1 }!.values[1])
        var impostor = Impostor(live)
        let key = isSecured ? live.stack(0)?.establishedKey(with: Homes.device(.esme).eui64) : nil
        var office = Office()
        // It would be obeyed if the device took it.
        let bytes = office.read()
        let commands: [(TunnelCommand, [UInt8])] = [
            (.transferData(id, fromServer: false), Array(bytes.prefix(20))),
            (.closeTunnel(id), []),
            (.requestTunnel(.gbcs, flowControl: false, maximumIncoming: 1_500), []),
            (.getSupportedProtocols(offset: 0), []),
        ]
        let dropped = live.events(.dropped).count { $0.node == 1 }
        var expected: [DropReason] = []
        for address in Impostor.Address.allCases {
            for (command, data) in commands {
                try impostor.send(
                    command.frame(sequence: 1, data: data), of: ClusterID.tunneling, to: address,
                    under: key)
                expected.append(
                    address == .group
                        ? .apsNoEndpoint : isSecured ? .zclUnexpected : .apsUnsecured)
            }
        }
        let reasons = live.events(.dropped).filter { $0.node == 1 }.dropFirst(dropped)
        #expect(reasons.map { $0.values[0] } == expected.map { UInt64($0.rawValue) })
        #expect(live.events(.tunnelClosed).isEmpty)
        #expect(live.events(.tunnelOpened).count == 2)
        #expect(live.events(.tunnelMessageReceived).isEmpty)
        #expect(live.events(.messageDropped).isEmpty)
    }

    @Test(
        "an establishment of keys does not end by a frame to many",
        arguments: Impostor.Address.allCases)
    fileprivate func keyEstablishment(address: Impostor.Address) throws {
        let live = LiveHome(
            Homes.home([Homes.device(.esme)]), images: [], [.join(devices: ["ESME"])])
        live.run(untilEvent: .joined, of: 1)
        var impostor = Impostor(live)
        let terminate = KeyEstablishmentCommand.terminate(
            TerminateKeyEstablishment(
                status: .noResources, waitTime: 200, suites: KeyEstablishmentSuites(.two)))
        var sent = 0
        // Again and again, so that some come in the middle of it. The hub's next frame has the same
        // counter and is taken for a replay, so that all of it takes a while.
        while live.events(.linkKeyEstablished).isEmpty, live.events(.linkKeyRefused).isEmpty {
            live.run(for: .milliseconds(sent == 0 ? 60 : 3_100))
            guard let last = live.hubFrameCounter else { continue }
            impostor.counter = last
            try impostor.send(
                terminate.frame(fromServer: true, sequence: 1).bytes,
                of: ClusterID.keyEstablishment, to: address, under: nil)
            sent += 1
            try #require(sent < 1_000)
        }
        #expect(sent > 1)
        #expect(live.events(.linkKeyRefused).isEmpty)
        let reason: DropReason = address == .group ? .apsNoEndpoint : .zclUnexpected
        #expect(
            live.events(.dropped).count {
                $0.node == 1 && $0.values[0] == UInt64(reason.rawValue)
            } >= sent)
    }
}

@Suite("Messages for a device that has left")
struct GoneStories {
    @Test(
        "one for a device that left with its tunnel open waits, and is lost when its time is over"
    )
    func gone() throws {
        let esme = Homes.device(.esme)
        let hub = Homes.hub { $0.tunnel.deliveryTime = .minutes(3) }
        let live = LiveHome(
            Homes.home([esme], hub: hub), images: [], [.join(devices: ["ESME"])])
        live.run(untilEvent: .tunnelOpened, of: 0)
        live.run(for: .minutes(1))
        // It says that it leaves, and is not heard of any more.
        live.act(for: 2) { _, _, out in out.append(.power(of: 1, on: false)) }
        live.run(for: .seconds(1))
        var impostor = Impostor(live)
        let leave = try impostor.leave()
        live.give(.received(Reception(frame: leave, rssi: -60, lqi: 200, number: 0)), to: 0)
        #expect(live.stack(0)?.address(of: esme.eui64) == nil)
        live.give(.wan(.message(device: esme.eui64, bytes: [1, 2, 3])), to: 0)
        let began = live.now
        while live.events(.tunnelMessageLost).isEmpty, live.step(until: began + .minutes(10)) {
            #expect(!live.isOverdue(0))
        }
        let lost = live.events(.tunnelMessageLost)
        #expect(lost.count == 1 && lost[0].values[0] == esme.eui64.rawValue)
        #expect(lost[0].values[2] == UInt64(RefusalReason.notDelivered.rawValue))
    }

    @Test("one whose time is over while it is on its way is tried to the end, and wakes nobody")
    func underway() {
        let esme = Homes.device(.esme)
        let hub = Homes.hub { $0.tunnel.deliveryTime = .seconds(1) }
        let live = LiveHome(
            Homes.home([esme], hub: hub), images: [], [.join(devices: ["ESME"])])
        live.run(untilEvent: .tunnelOpened, of: 0)
        live.run(for: .minutes(1))
        live.power(of: 1, on: false)
        live.give(.wan(.message(device: esme.eui64, bytes: [1, 2, 3])), to: 0)
        let began = live.now
        while live.events(.tunnelMessageLost).isEmpty, live.step(until: began + .minutes(1)) {
            #expect(!live.isOverdue(0))
        }
        // It was long on its way by the time that it should have been there.
        #expect(live.events(.tunnelMessageLost).count == 1)
        #expect(live.now > began + .seconds(2))
    }
}

@Suite("Messages for a device that is about to restart")
struct FarewellStories {
    /// An ESME that holds an image, and its CS06.
    private static func home(
        farewell: Interval
    ) -> (live: LiveHome, office: Office, hash: Digest256) {
        let esme = Homes.device(.esme) { $0.farewell = farewell }
        let image = Homes.image(for: esme)
        let live = LiveHome(
            Homes.home([esme]), images: [image],
            [
                .join(devices: ["ESME"]), .wait(.minutes(1)),
                .deliver(image: "ESME", to: ["ESME"]), .await(.verified, devices: ["ESME"]),
            ])
        live.run(untilEvent: .otaAwaitingActivation, of: 1)
        live.run(for: .minutes(1))
        return (live, Office(), image.hash)
    }

    @Test(
        "one that comes before that is dropped with a reason, and obeyed when it comes again"
    )
    func again() throws {
        var (live, office, hash) = Self.home(farewell: .seconds(2))
        live.send(message: office.activate(hash), to: 1)
        live.run(untilEvent: .activated, of: 1)
        let read = office.read()
        live.send(message: read, to: 1)
        live.run(untilEvent: .restarting, of: 1)
        live.run(untilEvent: .messageDropped, of: 1)
        let dropped = live.events(.messageDropped)
        #expect(dropped.map { $0.values[0] } == [UInt64(DropReason.messageRestarting.rawValue)])
        let counter = try GBCSMessage(parsing: read).header.counter
        #expect(dropped.first?.values[5] == counter)
        live.run(untilEvent: .clockSet, of: 1, count: 2)
        // The hub has seen it acknowledged and is done with it; nobody answers.
        #expect(live.events(.tunnelMessageSent).count { $0.node == 0 } == 2)
        live.run(for: .minutes(2))
        #expect(!live.received.contains { $0.code == .readESMEFirmwareVersion })
        #expect(live.events(.tunnelMessageLost).isEmpty)
        // Its counter was not taken: the sender, who misses the answer, sends it again.
        live.send(message: read, to: 1)
        live.run(for: .minutes(1))
        #expect(live.received.count { $0.code == .readESMEFirmwareVersion } == 1)
        #expect(live.events(.messageDropped).count == 1)
    }

    @Test(
        "one that is half through by then stays with the hub, and comes whole afterwards")
    func half() throws {
        // Far more fragments than that has room for.
        var (live, office, hash) = Self.home(farewell: .milliseconds(60))
        live.send(message: office.activate(hash), to: 1)
        live.run(untilEvent: .activated, of: 1)
        let long = TunnelStories.message(1_500)
        live.give(.wan(.message(device: Homes.device(.esme).eui64, bytes: long)), to: 0)
        live.run(untilEvent: .poweredOn, of: 1, count: 2)
        #expect(live.events(.tunnelMessageSent).count { $0.node == 0 } == 1)
        live.run(for: .minutes(5))
        #expect(
            live.events(.tunnelMessageReceived).filter { $0.node == 1 }.map { $0.values[1] }.last
                == 1_500)
        // No GBCS message, and read as one by the new firmware.
        #expect(
            live.events(.messageDropped).map { $0.values[0] }
                == [UInt64(DropReason.messageMalformed.rawValue)])
        #expect(live.events(.tunnelMessageLost).isEmpty)
    }
}
