import Crypto
import Radio
import Testing
import Wire
import Zigbee

@Suite("The trust centre, and who comes back to it")
struct TrustCentreTests {
    /// Where a snapshot has the active network key.
    static let keyOffset = 15

    /// The device comes back from its snapshot without the network key.
    private func loseKey(_ world: World) {
        world.desk.tasks[1].append { stack, now, out in
            var builder = ByteBuilder()
            stack.snapshot(into: &builder)
            var bytes = builder.bytes
            for index in Self.keyOffset..<Self.keyOffset + 16 { bytes[index] = 0 }
            #expect((try? stack.restore(bytes)) != nil)
            #expect(stack.networkKey == nil)
            stack.resume(at: now, into: &out)
        }
    }

    @Test(
        "a device that has lost the network key gets it anew and keeps its address",
        arguments: [false, true])
    func lostKey(sleepy: Bool) {
        let world = World(sleepy: sleepy)
        world.start()
        let (address, key) = (world.device, world.networkKey)
        let events = world.tape.events.count
        loseKey(world)
        world.run(.seconds(10))
        #expect(world.stack(1)?.networkKey == key)
        #expect(world.device == address)
        let kinds = world.tape.events[events...].filter { $0.node == 1 }.map(\.kind)
        #expect(kinds.contains(.networkKeyReceived) && kinds.contains(.rejoined))
        #expect(!kinds.contains(.associated))
        if !sleepy { #expect(world.stillWorks()) }
        #expect(!world.drops(at: 0, since: events).contains(.nwkReplayed))
    }

    @Test("a stranger who asks to rejoin without security is refused and gets no key")
    func stranger() throws {
        let world = World()
        world.start()
        let sent = world.tape.frames.count
        let events = world.tape.events.count
        var header = world.header(.command, to: .coordinator, radius: 1)
        header.isSecured = false
        header.sourceEUI64 = World.attackerEUI64
        #expect(
            world.attack(0, with: [world.forge(header, [0x06, 0x8C])], for: .seconds(2)).messages
                == 0)
        let refusals = world.tape.events[events...].filter { $0.kind == .associationRefused }
        #expect(refusals.map { $0.values[0] } == [World.attackerEUI64.rawValue])
        let answers = world.tape.frames[sent...].filter { $0.sender == 0 && $0.psdu.count > 5 }
        // A rejoin response that says no, and nothing else.
        #expect(answers.count == 1)
        var reader = ByteReader(try #require(answers.first).psdu.span)
        _ = try MACHeader(parsing: &reader)
        #expect(try !NWKHeader(parsing: &reader).isSecured)
        #expect(
            try NWKCommand(parsing: &reader) == .rejoinResponse(.everyone, status: 2))
        #expect(world.stillWorks())
    }

    @Test("who knows the network key but is not in the device log cannot rejoin with it")
    func insider() {
        let world = World()
        world.start()
        var header = world.header(.command, to: .coordinator, radius: 1)
        header.sourceEUI64 = World.attackerEUI64
        let events = world.tape.events.count
        _ = world.attack(0, with: [world.forge(header, [0x06, 0x8E])], for: .seconds(2))
        #expect(
            world.tape.events[events...].contains {
                $0.kind == .associationRefused && $0.node == 0
            })
        #expect(world.stack(0)?.neighbourTable[World.attackerEUI64]?.relation != .child)
        #expect(world.stillWorks())
    }

    @Test("who is not in the device log gets no answer, and is told to leave now and then")
    func turnedAway() throws {
        let world = World {
            $0.admission =
                $0.role == .coordinator
                ? AdmissionSettings(leaveRetry: .seconds(30), refusesAssociation: true) : nil
        }
        world.start()
        let sent = world.tape.frames.count
        let events = world.tape.events.count
        // Five questions in ten seconds, for two minutes.
        for round in 0..<60 as Range<UInt8> {
            let question = world.forge(
                world.header(to: .coordinator), world.apsData(counter: round, acknowledged: true))
            #expect(world.attack(0, with: [question], for: .seconds(2)) == ([.notInDeviceLog], 0))
        }
        let told = world.tape.events[events...].filter { $0.kind == .deviceRemoved }
        #expect(told.count == 4)
        #expect(told.allSatisfy { $0.values[0] == World.attackerEUI64.rawValue })
        #expect(!world.tape.events[events...].contains { $0.kind == .apsGaveUp })
        // A Leave each time, held a moment for one that may sleep: nothing else, no answer.
        let answers = world.tape.frames[sent...].filter { frame in
            var reader = ByteReader(frame.psdu.span)
            return frame.sender == 0
                && (try? MACHeader(parsing: &reader))?.destination
                    == .short(World.attackerAddress)
        }
        #expect(answers.count == 4)
        // What it relays for a device of the log is that device's, and taken.
        var relayed = world.header(to: .coordinator)
        relayed.source = world.device
        let frame = world.forge(
            relayed, world.apsData(counter: 99), sender: World.attackerAddress)
        #expect(world.attack(0, with: [frame]) == ([], 1))
        #expect(world.stillWorks())
    }

    @Test("somebody who claims to be a device changes nothing for that device")
    func impostor() {
        let world = World()
        world.start()
        let address = world.device
        for capability in [0x80, 0x8C, 0x8E] as [UInt8] {
            var header = world.header(.command, to: .coordinator, radius: 1)
            header.isSecured = false
            header.sourceEUI64 = World.deviceEUI64
            _ = world.attack(0, with: [world.forge(header, [0x06, capability])], for: .seconds(2))
        }
        #expect(world.stack(0)?.neighbourTable[World.deviceEUI64]?.address == address)
        #expect(world.stack(0)?.neighbourTable[World.deviceEUI64]?.isSleepyChild == false)
        #expect(world.stillWorks())
    }

    @Test("the network switches to a new key, counters begin again, and old frames stay old")
    func keyUpdate() {
        let world = World()
        world.start()
        let old = world.networkKey
        world.send([1], from: 1)
        world.run(.seconds(1))
        let before = world.lastFrame(from: 1, longerThan: 40)
        world.updateKey()
        world.run(.seconds(20))
        // Everybody has it, nobody uses it yet.
        #expect(world.networkKey == old)
        #expect(world.stack(1)?.otherNetworkKey == world.stack(0)?.otherNetworkKey)
        let oldFrame = world.forge(
            world.header(to: .coordinator), world.apsData(counter: 1), counter: 7, key: old)
        #expect(world.attack(0, with: [oldFrame]) == ([], 1))
        world.run(.seconds(25))
        #expect(world.networkKey != old && world.networkKey == world.stack(1)?.networkKey)
        let switched = world.tape.events.filter { $0.kind == .networkKeySwitched }
        #expect(Set(switched.map(\.node)) == [0, 1] && switched.allSatisfy { $0.values[0] == 1 })
        #expect(world.stillWorks())
        var replay = before
        replay[2] &+= 77
        #expect(world.attack(0, with: [replay]) == ([.nwkReplayed], 0))
        // The old key still opens frames of those who have not switched, by their old counter.
        func under(_ key: Key128, _ sequence: UInt8, _ counter: UInt32) -> FrameBuffer {
            world.forge(
                world.header(to: .coordinator), world.apsData(counter: 2), counter: counter,
                keySequence: sequence, key: key)
        }
        #expect(world.attack(0, with: [under(old, 0, 7)]) == ([.nwkReplayed], 0))
        #expect(world.attack(0, with: [under(old, 0, 8)]) == ([], 1))
        // Once it has used the new key, from counter 0 on, there is no way back.
        #expect(world.attack(0, with: [under(world.networkKey, 1, 0)]) == ([], 1))
        #expect(world.attack(0, with: [under(world.networkKey, 1, 0)]) == ([.nwkReplayed], 0))
        #expect(world.attack(0, with: [under(old, 0, 9)]) == ([.nwkReplayed], 0))
        #expect(world.attack(0, with: [under(old, 2, 9)]) == ([.nwkUnknownKey], 0))
        #expect(world.stillWorks())
    }

    @Test(
        "a change of the network key that a power cut interrupts is finished after it",
        arguments: [1, 100, 10_000, 29_900, 30_010, 33_000, 39_500])
    func interrupted(milliseconds: Int64) {
        for node in 0...1 {
            let world = World(persists: true)
            world.start()
            let old = world.networkKey
            world.updateKey()
            world.run(.milliseconds(milliseconds))
            world.simulation.air.setPower(of: node, on: false)
            world.run(.milliseconds(300))
            world.simulation.air.setPower(of: node, on: true)
            world.run(.minutes(2))
            #expect(world.networkKey != old && world.networkKey == world.stack(1)?.networkKey)
            #expect(world.stack(0)?.otherNetworkKey == old)
            #expect(world.stillWorks())
        }
    }

    @Test("a command to switch to a key that nobody has, or from somebody else, changes nothing")
    func forgedSwitch() {
        let world = World()
        world.start()
        let key = world.networkKey
        for source in [World.attackerAddress, .coordinator] {
            var header = world.header(to: world.device)
            header.source = source
            let frame = world.forge(
                header, [0x01, 9, 0x09, 1], via: world.device,
                source: source == .coordinator ? World.coordinatorEUI64 : World.attackerEUI64,
                counter: source == .coordinator ? 900_000 : nil)
            _ = world.attack(1, with: [frame])
        }
        #expect(world.stack(1)?.networkKey == key)
        #expect(!world.tape.events.contains { $0.kind == .networkKeySwitched })
    }

    @Test("no counter is used twice under one key, however often the power fails and keys change")
    func counters() throws {
        let world = World(persists: true) {
            $0.keyUpdate.switchAfter = .seconds(2)
            $0.network.broadcastDelivery = .seconds(1)
        }
        world.start()
        var stream = SeededStream(Seed(8))
        var keys: Set<Key128> = [world.networkKey]
        for round in 0..<60 {
            if round % 10 == 3 { world.updateKey() }
            let node = round % 2
            world.simulation.air.setPower(of: node, on: false)
            world.run(.milliseconds(5))
            world.simulation.air.setPower(of: node, on: true)
            world.send([UInt8(round)], from: node, token: 0)
            world.run(.microseconds(Int64(2_000 + stream.below(9_000_000))))
            keys.insert(world.networkKey)
        }
        world.run(.minutes(3))
        #expect(keys.count > 3)
        #expect(world.stillWorks())
        var seen: [String: FrameBuffer] = [:]
        for record in world.tape.frames where record.psdu.count > 30 {
            var reader = ByteReader(record.psdu.span)
            guard try MACHeader(parsing: &reader).kind == .data else { continue }
            guard try NWKHeader(parsing: &reader).isSecured else { continue }
            let auxiliary = try AuxiliaryHeader(parsing: &reader)
            let name =
                "\(auxiliary.source?.description ?? "") \(auxiliary.keySequence) "
                + "\(auxiliary.frameCounter)"
            if let before = seen[name] { #expect(before == record.psdu, "used twice: \(name)") }
            seen[name] = record.psdu
        }
        #expect(seen.count > 100)
    }

    @Test("a flood of route requests, replies and reports costs a coordinator nothing that lasts")
    func routingFlood() throws {
        let world = World()
        world.start()
        // Its link status makes a router of the attacker, which the coordinator may then ask.
        let status = world.forge(
            world.header(.command, to: .routers, radius: 1), [0x08, 0x61, 0, 0, 0x11])
        _ = world.attack(0, with: [status])
        #expect(
            world.stack(0)?.neighbourTable[World.attackerEUI64]?.capability.isRouter == true)
        let sent = world.tape.frames.count
        for round in 0..<400 {
            let number = UInt8(truncatingIfNeeded: round)
            let payload: [UInt8] =
                switch round % 4 {
                case 0: [0x01, 0, number, number, 0x77, 0]
                case 1: [0x02, 0, number, 0, 0, number, 0x77, 0]
                case 2: [0x03, number, number, 0x77]
                default: [0x01, 0, number, 0, 0, 0]
                }
            let target: ShortAddress = round % 2 == 0 && round % 4 == 0 ? .routers : .coordinator
            world.desk.raw.append(
                world.forge(world.header(.command, to: target), payload))
        }
        world.run(.seconds(30))
        #expect(world.desk.raw.isEmpty)
        // At most 16 discoveries at a time, each of its requests sent three times.
        let answers = world.tape.frames[sent...].filter { $0.sender == 0 && $0.psdu.count > 5 }
        #expect(answers.count < 3 * 16 * 4)
        world.run(.seconds(30))
        #expect(world.stillWorks())
        #expect(!world.tape.events.contains { $0.kind == .outputLost })
    }

    @Test("a frame for nobody waits for a route, then its sender is told that there is none")
    func noRoute() throws {
        let world = World()
        world.start()
        let status = world.forge(
            world.header(.command, to: .routers, radius: 1), [0x08, 0x61, 0, 0, 0x11])
        _ = world.attack(0, with: [status])
        var header = world.header(to: ShortAddress(0x7777))
        header.discoverRoute = true
        let events = world.tape.events.count
        let sent = world.tape.frames.count
        _ = world.attack(0, with: [world.forge(header, world.apsData(counter: 1))])
        world.run(.seconds(9))
        #expect(world.drops(at: 0, since: events) == [])
        world.run(.seconds(2))
        #expect(world.drops(at: 0, since: events) == [.nwkNoRoute])
        let frames = world.tape.frames[sent...].filter { $0.sender == 0 && $0.psdu.count > 5 }
        // Three route requests, then one network status for the sender.
        var ends: [MACAddress] = []
        for frame in frames {
            var reader = ByteReader(frame.psdu.span)
            ends.append(try MACHeader(parsing: &reader).destination)
        }
        #expect(ends.filter { $0 == .short(World.attackerAddress) }.count >= 1)
        #expect(ends.filter { $0 == .short(.everyone) }.count >= 3)
        #expect(world.stillWorks())
    }

    @Test("a coordinator does not take a PAN identifier that it has heard")
    func panIdentifiers() throws {
        let first = World()
        first.start()
        let taken = first.pan
        let world = World()
        world.desk.attacker = RadioConfiguration(
            channel: 11, pan: taken, shortAddress: .coordinator, eui64: World.attackerEUI64,
            isCoordinator: true, receiverOnWhenIdle: true)
        for count in 0..<60 {
            var header = MACHeader(
                kind: .beacon, sequence: UInt8(count), destination: .none,
                source: .short(.coordinator))
            header.sourcePAN = taken
            var beacon = FrameBuffer()
            header.encode(into: &beacon)
            Beacon(
                associationPermitted: false, isCoordinator: true, routerCapacity: false, depth: 0,
                endDeviceCapacity: false, extendedPAN: EUI64(7)
            ).encode(into: &beacon)
            world.desk.raw.append(beacon)
        }
        world.start()
        let formed = try #require(world.tape.events.first { $0.kind == .panFormed })
        #expect(formed.values[0] != UInt64(taken.rawValue))
        #expect(world.desk.joined == 1)
        // It asked who is there before it opened its network.
        let asked = world.tape.frames.filter { $0.sender == 0 && $0.end < formed.time }
        #expect(asked.count == 1)
    }
}
