import Crypto
import Radio
import Testing
import Wire
import Zigbee

@Suite("What junk, replays and crowds do not change")
struct StandingTests {
    private func beaconRequest(_ sequence: UInt8) -> FrameBuffer {
        var header = MACHeader(
            kind: .command, sequence: sequence, destination: .short(.everyone), source: .none)
        header.destinationPAN = .broadcast
        var frame = FrameBuffer()
        header.encode(into: &frame)
        frame.append(7 as UInt8)
        return frame
    }

    private func hasRoom(_ world: World) throws -> Bool {
        let sent = world.tape.frames.count
        _ = world.attack(0, with: [beaconRequest(world.sequence)])
        for record in world.tape.frames[sent...] where record.sender == 0 {
            var reader = ByteReader(record.psdu.span)
            guard try MACHeader(parsing: &reader).kind == .beacon else { continue }
            let beacon = try Beacon(parsing: &reader)
            #expect(beacon.routerCapacity == beacon.endDeviceCapacity)
            return beacon.endDeviceCapacity
        }
        Issue.record("no beacon")
        return false
    }

    @Test("a full hub says so in its beacons, and takes nobody's frame twice")
    func full() throws {
        let world = World()
        world.start()
        #expect(try hasRoom(world))
        // More than there is room for.
        world.addChildren(0..<72)
        #expect(world.stack(0)?.neighbourTable.entries.count { $0.relation == .child } == 64)
        #expect(try !hasRoom(world))
        var frame = world.forge(world.header(to: .coordinator), world.apsData(counter: 1))
        #expect(world.attack(0, with: [frame]) == ([], 1))
        frame[2] &+= 100
        #expect(world.attack(0, with: [frame]) == ([.nwkReplayed], 0))
        #expect(world.stillWorks())
    }

    @Test("who cannot be remembered is not believed")
    func crowd() {
        let world = World()
        world.start()
        let frames = (0..<95).map { number in
            world.forge(
                world.header(to: .coordinator), world.apsData(counter: UInt8(number)),
                source: World.phantom(number))
        }
        #expect(world.attack(0, with: frames) == ([], 95))
        let last = world.forge(
            world.header(to: .coordinator), world.apsData(counter: 99),
            source: World.phantom(99))
        #expect(world.attack(0, with: [last]) == ([.queueFull], 0))
        #expect(world.stillWorks())
    }

    @Test("the highest counter there is may not be used, in NWK or APS")
    func highestCounter() {
        let world = World()
        world.start()
        let frame = world.forge(
            world.header(to: .coordinator), world.apsData(counter: 1), counter: .max)
        #expect(world.attack(0, with: [frame]) == ([.nwkMalformed], 0))
        var header = APSHeader(kind: .data, counter: 200)
        (header.destinationEndpoint, header.sourceEndpoint) = (1, 1)
        (header.cluster, header.profile) = (World.cluster, ProfileID.smartEnergy)
        let aps = world.apsSealed(
            header, [1], key: World.linkKey, source: World.deviceEUI64, named: true,
            counter: .max)
        #expect(
            world.attack(0, with: [world.forge(world.header(to: .coordinator), aps)])
                == ([.apsMalformed], 0))
        #expect(world.stillWorks())
    }

    @Test("junk with the parent's address and next sequence numbers costs no genuine frame")
    func junkSequences() {
        let world = World()
        world.start()
        world.send([1], from: 0)
        world.run(.seconds(2))
        let next = world.lastFrame(from: 0)[2]
        let junk = (1...8).map { step in
            var header = world.header(to: world.device)
            (header.source, header.isSecured) = (.coordinator, false)
            var frame = world.forge(header, [1, 2, 3], via: world.device)
            frame[2] = next &+ UInt8(step)
            return frame
        }
        let messages = world.desk.messages[1].count
        _ = world.attack(1, with: junk, for: .milliseconds(20))
        world.send([2], from: 0)
        // Before APS would try again.
        world.run(.milliseconds(500))
        #expect(world.desk.messages[1].count == messages + 1)
    }

    @Test("beacons of two PANs with one sequence number are two beacons")
    func beacons() {
        let world = World()
        world.desk.attacker = RadioConfiguration(
            channel: 11, pan: PANID(0x1111), shortAddress: .coordinator,
            eui64: World.attackerEUI64, isCoordinator: true, receiverOnWhenIdle: true)
        for count in 0..<60 {
            var header = MACHeader(
                kind: .beacon, sequence: 1, destination: .none, source: .short(.coordinator))
            header.sourcePAN = PANID(count % 2 == 0 ? 0x1111 : 0x2222)
            var beacon = FrameBuffer()
            header.encode(into: &beacon)
            Beacon(
                associationPermitted: false, isCoordinator: true, routerCapacity: false, depth: 0,
                endDeviceCapacity: false, extendedPAN: EUI64(7)
            ).encode(into: &beacon)
            world.desk.raw.append(beacon)
        }
        world.start()
        #expect(world.desk.joined == 1)
        for node in 0...1 { #expect(!world.drops(at: node, since: 0).contains(.macDuplicate)) }
    }

    @Test(
        "frames that claim a newer key make nobody leave a parent that answers",
        arguments: [StackConfiguration.Role.endDevice, .router])
    func newerKey(role: StackConfiguration.Role) {
        let world = World { if $0.role != .coordinator { $0.role = role } }
        world.start()
        let events = world.tape.events.count
        for _ in 0..<4 {
            let frames = (0..<6).map { _ in
                var header = world.header(to: world.device)
                header.source = .coordinator
                return world.forge(
                    header, world.apsData(counter: 1), via: world.device,
                    source: World.coordinatorEUI64, keySequence: 1, key: Key128(high: 1, low: 1))
            }
            let drops = world.attack(1, with: frames, for: .milliseconds(20)).drops
            #expect(drops.count { $0 == .nwkUnknownKey } == 6)
            world.run(.seconds(5))
        }
        let kinds = world.tape.events[events...].filter { $0.node == 1 }.map(\.kind)
        #expect(!kinds.contains(.rejoined) && !kinds.contains(.joinFailed))
        #expect(world.stillWorks())
    }

    @Test("two devices that announce themselves at once during a key update both get the key")
    func keyForBoth() {
        let world = World()
        world.start()
        world.addChildren(0..<2)
        world.updateKey()
        world.run(.seconds(10))
        let sent = world.tape.frames.count
        let announces = (0..<2).map {
            world.announce(World.phantom($0), at: World.phantomAddress($0))
        }
        _ = world.attack(0, with: announces, for: .milliseconds(20))
        world.run(.seconds(5))
        let ends = world.destinations(of: 0, since: sent)
        for number in 0..<2 {
            #expect(ends.contains(.short(World.phantomAddress(number))), "phantom \(number)")
        }
    }

    @Test("a device that announces itself again and again does not hold up the switch")
    func switchIsBounded() {
        let world = World()
        world.start()
        world.addChildren(0..<1)
        world.updateKey()
        for _ in 0..<9 {
            world.run(.seconds(10))
            world.desk.raw.append(world.announce(World.phantom(0), at: World.phantomAddress(0)))
        }
        #expect(world.tape.events.contains { $0.kind == .networkKeySwitched && $0.node == 0 })
    }

    @Test("once the new key is used, nobody is told to switch to the old one")
    func earlySwitch() throws {
        let world = World()
        world.start()
        world.updateKey()
        world.run(.seconds(5))
        let next = try #require(world.stack(0)?.otherNetworkKey)
        let sent = world.tape.frames.count
        let frame = world.forge(
            world.header(to: .coordinator), world.apsData(counter: 1), keySequence: 1, key: next)
        #expect(world.attack(0, with: [frame]) == ([], 1))
        #expect(world.networkKey == next)
        world.run(.minutes(1))
        func isSwitch(_ aps: [UInt8]) -> Bool {
            aps.count == 4 && aps[0] & 3 == 1 && aps[2] == 0x09
        }
        let switches = world.tape.frames[sent...].filter { $0.sender == 0 }
            .compactMap { record -> [UInt8]? in world.opened(record.psdu)?.payload }
            .filter(isSwitch)
        #expect(switches.isEmpty)
        #expect(world.networkKey == next)
    }

    @Test("the link status of a hub with 31 routers goes out in frames that fit")
    func linkStatus() throws {
        let world = World()
        world.start()
        let frames = (0..<31).map { number in
            var header = world.header(.command, to: .routers, radius: 1)
            header.source = World.phantomAddress(number)
            return world.forge(
                header, [0x08, 0x61, 0, 0, 0x11], source: World.phantom(number))
        }
        let events = world.tape.events.count
        _ = world.attack(0, with: frames, for: .milliseconds(50))
        world.run(.seconds(16))
        let sent = world.tape.frames.count
        world.run(.seconds(15))
        #expect(!world.drops(at: 0, since: events).contains(.tooLong))
        var statuses: [NWKCommand.LinkStatus] = []
        for record in world.tape.frames[sent...] where record.sender == 0 {
            guard let (header, payload) = world.opened(record.psdu), header.kind == .command
            else { continue }
            var reader = ByteReader(payload.span)
            if case .linkStatus(let status) = try NWKCommand(parsing: &reader) {
                statuses.append(status)
            }
        }
        #expect(statuses.map(\.flags) == [0x20, 0x40])
        #expect(statuses.map(\.entries.count) == [29, 3])
        #expect(statuses.first?.entries.last == statuses.last?.entries.first)
        let named = Set(statuses.flatMap(\.entries).map(\.neighbour))
        #expect(named == Set((0..<31).map(World.phantomAddress)))
    }

    @Test("what an end device has no use for is dropped with a reason")
    func noUse() {
        let world = World()
        world.start()
        let astray = world.forge(
            world.header(to: ShortAddress(0x7777)), world.apsData(counter: 1), via: world.device)
        #expect(world.attack(1, with: [astray]) == ([.nwkUnexpected], 0))
        let routers = world.forge(world.header(to: .routers), world.apsData(counter: 1))
        #expect(world.attack(1, with: [routers]).drops.contains(.nwkUnexpected))
        #expect(world.attack(1, with: [beaconRequest(7)]) == ([.macUnexpected], 0))
        #expect(world.stillWorks())
    }
}
