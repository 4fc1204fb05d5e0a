import Crypto
import Radio
import Testing
import Wire
import Zigbee

@Suite("Devices that are not who they say")
struct ImpostorTests {
    private func router() -> World {
        World { if $0.role == .endDevice { $0.role = .router } }
    }

    /// The attacker is a router that has spoken of a device of the log behind it.
    private func behindRouter() -> (world: World, device: EUI64, address: ShortAddress) {
        let world = World()
        world.start()
        world.becomeRouter()
        let (device, address) = (World.phantom(1), World.phantomAddress(1))
        world.log([device])
        _ = world.attack(0, with: [world.updateDevice(device, address, status: 1)])
        return (world, device, address)
    }

    @Test("somebody who claims to be a router's parent does not become its child")
    func parent() {
        let world = router()
        world.start()
        let frame = world.unsecuredRejoin(
            World.coordinatorEUI64, from: World.attackerAddress, to: world.device)
        #expect(world.attack(1, with: [frame]) == ([.nwkUnsecured], 0))
        let parent = world.stack(1)?.neighbourTable[World.coordinatorEUI64]
        #expect(parent?.relation == .parent && parent?.isAuthenticated == true)
        #expect(world.stillWorks())
    }

    @Test("an impostor at a router does not move a device, which moves when it is heard there")
    func throughRouter() {
        let world = World()
        world.start()
        world.becomeRouter()
        world.send([1], from: 1)
        world.run(.seconds(1))
        var old = world.lastFrame(from: 1, longerThan: 40)
        let (address, elsewhere) = (world.device, ShortAddress(0x4444))
        for status in [1, 3] as [UInt8] {
            let sent = world.tape.frames.count
            _ = world.attack(
                0, with: [world.updateDevice(World.deviceEUI64, elsewhere, status: status)])
            // The key goes there, in a tunnel; that is all.
            #expect(
                world.destinations(of: 0, since: sent).contains(.short(World.attackerAddress)))
            #expect(world.stack(0)?.neighbourTable[World.deviceEUI64]?.relation == .child)
            #expect(world.stack(0)?.address(of: World.deviceEUI64) == address)
            #expect(world.stillWorks())
        }
        let announce = world.announce(
            World.deviceEUI64, at: elsewhere, sealedBy: World.attackerEUI64,
            sender: World.attackerAddress)
        _ = world.attack(0, with: [announce])
        #expect(world.stack(0)?.neighbourTable[World.deviceEUI64] == nil)
        #expect(world.stack(0)?.address(of: World.deviceEUI64) == elsewhere)
        // What it has sent before is still old.
        old[2] &+= 100
        #expect(world.attack(0, with: [old]) == ([.nwkReplayed], 0))
    }

    @Test(
        "an impostor at the hub does not move a device from its router, which it can leave",
        arguments: [false, true])
    func straight(isLinkSecured: Bool) {
        let (world, device, address) = behindRouter()
        #expect(world.stack(0)?.address(of: device) == address)
        let sent = world.tape.frames.count
        _ = world.attack(
            0, with: [world.unsecuredRejoin(device, from: address, to: .coordinator)])
        #expect(world.stack(0)?.neighbourTable[device] == nil)
        // The answer and the key, neither by way of the router.
        #expect(world.destinations(of: 0, since: sent).contains(.short(address)))
        // What it has once sent to its router may come from anybody.
        var header = world.header(to: .coordinator)
        header.source = address
        let recorded = world.forge(header, world.apsData(counter: 1), source: device)
        #expect(world.attack(0, with: [recorded]).messages == 1)
        #expect(world.stack(0)?.neighbourTable[device]?.relation != .child)
        #expect(world.stack(0)?.address(of: device) == address)
        // What it says to its parent alone, or under its link key, it says as a child.
        var keepAlive = world.header(.command, to: .coordinator)
        keepAlive.source = address
        let toRouter = {
            var header = keepAlive
            header.destination = World.attackerAddress
            return header
        }()
        let elsewhere = world.forge(toRouter, [0x0B, 0x08, 0x00], source: device)
        _ = world.attack(0, with: [elsewhere])
        #expect(world.stack(0)?.neighbourTable[device]?.relation != .child)
        let here =
            isLinkSecured
            ? world.forge(
                header,
                world.apsSealed(
                    world.apsHeader(counter: 2), [0x01], key: World.strangerKey,
                    source: device, named: false, counter: 7_000), source: device)
            : world.forge(keepAlive, [0x0B, 0x08, 0x00], source: device)
        _ = world.attack(0, with: [here])
        #expect(world.stack(0)?.neighbourTable[device]?.relation == .child)
        #expect(world.stillWorks())
    }

    @Test("an end device behind a router does not speak for others")
    func endDeviceSpeaks() {
        let (world, device, address) = behindRouter()
        _ = world.attack(
            0,
            with: [
                world.announce(
                    device, at: address, sealedBy: World.attackerEUI64,
                    sender: World.attackerAddress)
            ])
        let frame = world.updateDevice(
            World.deviceEUI64, ShortAddress(0x4444), status: 0, by: device, from: address)
        #expect(world.attack(0, with: [frame]) == ([.apsUnexpected], 0))
        #expect(world.stack(0)?.neighbourTable[World.deviceEUI64]?.relation == .child)
        #expect(world.stillWorks())
    }

    @Test("an announcement or a rejoin in another device's name is dropped")
    func otherNames() {
        let world = World()
        world.start()
        let address = world.device
        let announce = world.announce(
            World.deviceEUI64, at: ShortAddress(0x4444), from: World.attackerAddress,
            sealedBy: World.attackerEUI64)
        #expect(world.attack(0, with: [announce]) == ([.zdoUnexpected], 0))
        var header = world.header(.command, to: .coordinator, radius: 1)
        header.sourceEUI64 = World.deviceEUI64
        let rejoin = world.forge(header, [0x06, 0x80])
        #expect(world.attack(0, with: [rejoin]) == ([.nwkUnexpected], 0))
        #expect(world.stack(0)?.address(of: World.deviceEUI64) == address)
        #expect(world.stack(0)?.neighbourTable[World.deviceEUI64]?.isSleepyChild == false)
        #expect(world.stillWorks())
    }

    @Test("a network key under the plain link key is not taken")
    func plainLinkKey() {
        let world = World()
        world.start()
        var command = FrameBuffer()
        APSCommand.transportNetworkKey(
            Key128(high: 0xBAD, low: 1), sequence: 1, destination: World.deviceEUI64,
            source: World.coordinatorEUI64
        ).encode(into: &command)
        let cases: [(KeyIdentifier, Key128)] = [
            (.data, World.linkKey), (.keyLoad, World.linkKey.keyLoadKey),
        ]
        for (index, (identifier, key)) in cases.enumerated() {
            let aps = world.apsSealed(
                APSHeader(kind: .command, counter: 7), command.bytes, identifier: identifier,
                key: key, source: World.coordinatorEUI64, named: true,
                counter: 5_000 + UInt32(index))
            let frame = world.forge(world.header(to: world.device), aps, via: world.device)
            #expect(world.attack(1, with: [frame]) == ([.apsUnexpected], 0))
        }
        #expect(world.stack(1)?.otherNetworkKey == nil)
    }

    @Test("a leave goes one hop, and one that somebody relays is not obeyed")
    func leave() {
        let world = World()
        world.start()
        var header = world.header(.command, to: world.device)
        header.source = .coordinator
        let forged = world.forge(
            header, [0x04, 0x40], via: world.device, sender: World.attackerAddress)
        #expect(world.attack(1, with: [forged]) == ([.nwkUnexpected], 0))
        #expect(!world.tape.events.contains { $0.kind == .left })
        let sent = world.tape.frames.count
        world.desk.tasks[0].append { stack, now, out in
            stack.removeDevice(World.deviceEUI64, at: now, into: &out)
        }
        world.run(.seconds(1))
        let radii = world.tape.frames[sent...].filter { $0.sender == 1 }
            .compactMap { world.opened($0.psdu) }
            .filter { $0.header.kind == .command && $0.payload.first == 0x04 }
            .map(\.header.radius)
        #expect(Set(radii) == [1])
        #expect(world.stack(0)?.neighbourTable[World.deviceEUI64] == nil)
    }
}
