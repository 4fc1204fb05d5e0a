import Crypto
import Radio
import Testing
import Wire
import Zigbee

@Suite("Frames that must not be believed")
struct SecurityTests {
    @Test("two stacks that met by themselves exchange secured, acknowledged messages")
    func honest() {
        let world = World()
        world.start()
        #expect(world.desk.joined == 1)
        #expect(world.stillWorks())
        #expect(world.desk.messages[0][0].isLinkSecured)
        #expect(world.desk.messages[0][0].sourceEUI64 == World.deviceEUI64)
        // Two radios may talk at once; the MAC tries such frames again.
        let air: Set<DropReason> = [.receiverOff, .collision]
        #expect(world.drops(at: 0, since: 0).filter { !air.contains($0) } == [])
        // The coordinator's beacon request, as it formed its network, is nothing for an end device.
        #expect(world.drops(at: 1, since: 0).filter { !air.contains($0) } == [.macUnexpected])
    }

    @Test("a frame sent again by somebody else is a replay")
    func replay() {
        let world = World()
        world.start()
        world.send([1], from: 1)
        world.run(.seconds(1))
        var frame = world.lastFrame(from: 1, longerThan: 40)
        frame[2] &+= 100
        #expect(world.attack(0, with: [frame]) == ([.nwkReplayed], 0))
        #expect(world.stillWorks())
    }

    @Test("every byte of a frame is protected: with any one changed it is not taken")
    func integrity() {
        let world = World()
        world.start()
        var layout = World.Layout()
        let good = world.forge(
            world.header(to: .coordinator), world.apsData(counter: 1), layout: &layout)
        for index in layout.network..<good.count {
            var bad = good
            bad[index] ^= 0x80
            bad[2] = UInt8(index)
            let expected: DropReason =
                index == layout.payload - 1 ? .nwkUnknownKey : .nwkBadMIC
            #expect(world.attack(0, with: [bad]) == ([expected], 0), "byte \(index)")
        }
        // None of that has cost the true frame its place: the counter moves for good frames only.
        #expect(world.attack(0, with: [good]) == ([], 1))
        #expect(world.stillWorks())
    }

    @Test("every bit of the integrity code counts")
    func integrityCode() {
        let world = World()
        world.start()
        let good = world.forge(world.header(to: .coordinator), world.apsData(counter: 1))
        for bit in 0..<32 {
            var bad = good
            bad[good.count - 4 + bit / 8] ^= 1 << UInt8(bit % 8)
            bad[2] = UInt8(bit)
            #expect(world.attack(0, with: [bad]) == ([.nwkBadMIC], 0))
        }
        for length in 1...4 {
            var short = good
            short.truncate(to: good.count - length)
            short[2] = UInt8(100 + length)
            #expect(world.attack(0, with: [short]) == ([.nwkBadMIC], 0))
        }
        #expect(world.stillWorks())
    }

    @Test("a key sequence number that is not in use is not searched for")
    func keySequence() {
        let world = World()
        world.start()
        let frame = world.forge(
            world.header(to: .coordinator), world.apsData(counter: 1), keySequence: 1)
        #expect(world.attack(0, with: [frame]) == ([.nwkUnknownKey], 0))
        #expect(world.stillWorks())
    }

    @Test("data and commands without NWK security are refused, by a coordinator and a device")
    func unsecured() {
        let world = World()
        world.start()
        for (node, target) in [(0, ShortAddress.coordinator), (1, world.device)] {
            for kind in [NWKHeader.Kind.data, .command] {
                var header = world.header(kind, to: target)
                header.isSecured = false
                let payload = kind == .data ? world.apsData(counter: 1) : [0x04, 0x40]
                let frame = world.forge(header, payload, via: target)
                #expect(world.attack(node, with: [frame]) == ([.nwkUnsecured], 0))
            }
        }
        #expect(world.stillWorks())
    }

    @Test("a link-secured message from somebody without a link key is refused")
    func noLinkKey() {
        let world = World()
        world.start()
        var header = APSHeader(kind: .data, counter: 3)
        (header.destinationEndpoint, header.sourceEndpoint) = (1, 1)
        for named in [false, true] {
            let aps = world.apsSealed(
                header, [1], key: World.linkKey, source: World.attackerEUI64, named: named,
                counter: 5)
            let frame = world.forge(world.header(to: .coordinator), aps)
            #expect(world.attack(0, with: [frame]) == ([.apsNoLinkKey], 0))
        }
        #expect(world.stillWorks())
    }

    @Test("a link-secured message is refused under a wrong key, changed, or sent again")
    func linkSecurity() {
        let world = World()
        world.start()
        var header = APSHeader(kind: .data, counter: 200)
        (header.destinationEndpoint, header.sourceEndpoint) = (1, 1)
        (header.cluster, header.profile) = (World.cluster, ProfileID.smartEnergy)
        func inject(_ aps: [UInt8]) -> (drops: [DropReason], messages: Int) {
            world.attack(0, with: [world.forge(world.header(to: .coordinator), aps)])
        }
        let wrong = Key128(high: 1, low: 2)
        let forged = world.apsSealed(
            header, [1, 2, 3], key: wrong, source: World.deviceEUI64, named: true, counter: 9_000)
        #expect(inject(forged) == ([.apsBadMIC], 0))
        let good = world.apsSealed(
            header, [1, 2, 3], key: World.linkKey, source: World.deviceEUI64, named: true,
            counter: 200)
        for index in good.indices where index != 0 {
            var bad = good
            bad[index] ^= 0x80
            let isSource = (13..<21).contains(index)
            let expected: DropReason = isSource ? .apsNoLinkKey : .apsBadMIC
            #expect(inject(bad) == ([expected], 0), "byte \(index)")
        }
        #expect(inject(good) == ([], 1))
        #expect(inject(good) == ([.apsReplayed], 0))
        // A key-load or transport key does not pass for the data key.
        let transport = world.apsSealed(
            header, [1], identifier: .data, key: World.linkKey.keyTransportKey,
            source: World.deviceEUI64, named: true, counter: 9_001)
        #expect(inject(transport) == ([.apsBadMIC], 0))
    }

    @Test(
        "a network key for somebody else, from somebody else or under another key changes nothing")
    func transportKey() {
        let world = World()
        world.start()
        let key = world.networkKey
        func inject(_ aps: [UInt8], secured: Bool = true) -> [DropReason] {
            var header = world.header(to: world.device)
            header.isSecured = secured
            let frame = world.forge(header, aps, via: world.device)
            return world.attack(1, with: [frame]).drops
        }
        let other = EUI64(0x99)
        #expect(
            inject(
                world.transportKey(
                    to: World.deviceEUI64, from: World.coordinatorEUI64,
                    linkKey: Key128(high: 5, low: 5), counter: 5_000)) == [.apsBadMIC])
        #expect(
            inject(world.transportKey(to: World.deviceEUI64, from: other, counter: 1))
                == [.apsNoLinkKey])
        #expect(
            inject(
                world.transportKey(to: World.deviceEUI64, from: World.coordinatorEUI64, counter: 0))
                == [.apsReplayed])
        // Without APS security, even inside NWK security; without any once it has joined.
        var plain = FrameBuffer()
        APSHeader(kind: .command, counter: 1).encode(into: &plain)
        APSCommand.transportNetworkKey(
            Key128(high: 0xBAD, low: 1), sequence: 0, destination: World.deviceEUI64,
            source: World.coordinatorEUI64
        ).encode(into: &plain)
        #expect(inject(plain.bytes) == [.apsUnexpected])
        #expect(inject(plain.bytes, secured: false) == [.nwkUnsecured])
        #expect(world.stillWorks())
        // The last is genuine but for its addressee.
        #expect(
            inject(world.transportKey(to: other, from: World.coordinatorEUI64, counter: 5_000))
                == [.apsUnexpected])
        #expect(world.stack(1)?.networkKey == key)
    }

    @Test("an acknowledgement counts only under the right link key")
    func acknowledgement() {
        let world = World()
        world.start()
        world.simulation.air.setPower(of: 0, on: false)
        world.run(.milliseconds(20))
        // The attacker answers in the coordinator's place, with the coordinator's network key.
        world.tune(attackerAs: .coordinator)
        world.send([7], from: 1, token: 33)
        world.run(.milliseconds(100))
        let sent = world.tape.events.count
        #expect(world.desk.sent[1].isEmpty)
        let counter = apsCounter(world)
        var ack = APSHeader(kind: .acknowledgement, counter: counter)
        (ack.destinationEndpoint, ack.sourceEndpoint) = (1, 1)
        (ack.cluster, ack.profile) = (World.cluster, ProfileID.smartEnergy)
        func inject(_ aps: [UInt8]) -> [DropReason] {
            var header = world.header(to: world.device)
            header.source = .coordinator
            let frame = world.forge(
                header, aps, via: world.device, source: World.coordinatorEUI64)
            return world.attack(1, with: [frame], for: .milliseconds(60)).drops
        }
        let wrong = world.apsSealed(
            ack, [], key: Key128(high: 9, low: 9), source: World.coordinatorEUI64, named: false,
            counter: 4_000)
        #expect(inject(wrong) == [.apsBadMIC])
        var plain = FrameBuffer()
        ack.encode(into: &plain)
        #expect(inject(plain.bytes) == [.apsUnsecured])
        var other = ack
        other.counter &+= 1
        let stray = world.apsSealed(
            other, [], key: World.linkKey, source: World.coordinatorEUI64, named: false,
            counter: 4_001)
        #expect(inject(stray) == [.apsUnexpected])
        #expect(world.desk.sent[1].isEmpty)
        let right = world.apsSealed(
            ack, [], key: World.linkKey, source: World.coordinatorEUI64, named: false,
            counter: 4_002)
        #expect(inject(right) == [])
        #expect(world.desk.sent[1].count == 1)
        #expect(world.desk.sent[1].first.map { $0 == (33, true) } == true)
        #expect(world.tape.events[sent...].allSatisfy { $0.kind != .apsGaveUp })
    }

    /// The APS counter of the device's last frame, read with the network key.
    private func apsCounter(_ world: World) -> UInt8 {
        var frame = world.lastFrame(from: 1, longerThan: 40)
        do {
            var reader = ByteReader(frame.span)
            _ = try MACHeader(parsing: &reader)
            let start = reader.offset
            _ = try NWKHeader(parsing: &reader)
            let auxiliaryStart = reader.offset
            let auxiliary = try AuxiliaryHeader(parsing: &reader)
            let payload = reader.offset
            frame[auxiliaryStart] |= AuxiliaryHeader.securityLevel
            let isGenuine = world.crypto.open(
                &frame, from: start, payload: payload, key: world.networkKey,
                nonce: CCMNonce(
                    source: World.deviceEUI64, counter: auxiliary.frameCounter,
                    control: auxiliary.fullControl))
            #expect(isGenuine)
            var aps = ByteReader(frame.span.extracting(payload...))
            return try APSHeader(parsing: &aps).counter
        } catch {
            Issue.record("the device's frame is not readable: \(error)")
            return 0
        }
    }
}
