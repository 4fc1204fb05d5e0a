import Radio
import Testing
import Wire
import Zigbee

@Suite("Devices that take a node for their parent, and are no children of it")
struct StrayTests {
    private func pollOnce(_ world: World) {
        world.desk.tasks[1].append { stack, now, _ in stack.pollOnce(at: now) }
    }

    private func leaves(_ world: World, since: Int) -> [OpenedFrame] {
        world.opened(from: 0, since: since).filter { $0.payload.first == 0x04 && $0.aps == nil }
    }

    private func count(_ world: World, _ kind: EventKind, at node: UInt16) -> Int {
        world.tape.events.count { $0.kind == kind && $0.node == node }
    }

    /// How often the device has asked for beacons.
    private func searches(_ world: World, since: Int) -> Int {
        world.tape.frames[since...].count { record in
            var reader = ByteReader(record.psdu.span)
            guard record.sender == 1, let mac = try? MACHeader(parsing: &reader),
                mac.kind == .command
            else { return false }
            return (try? MACCommand(parsing: &reader)) == .beaconRequest
        }
    }

    /// A world whose device has slept for longer than the ten seconds for which it is kept.
    private func oversleep(
        persists: Bool = false, before: (World) -> Void = { _ in }
    ) -> World {
        let world = ChildrenTests.start(timeout: 0, sleepy: true, persists: persists)
        before(world)
        world.run(.seconds(15))
        #expect(count(world, .childAged, at: 0) == 1)
        #expect(world.stack(0)?.neighbourTable[World.deviceEUI64]?.relation != .child)
        return world
    }

    private func expectHome(_ world: World) {
        #expect(count(world, .rejoined, at: 1) == 1)
        #expect(world.stack(0)?.neighbourTable[World.deviceEUI64]?.relation == .child)
        #expect(world.stack(1)?.isRejoining == false)
        world.desk.tasks[1].append { stack, now, _ in
            stack.expectAnswers(until: now + .seconds(2), at: now)
        }
        #expect(world.stillWorks())
    }

    @Test("who overslept is told so by its next poll, and rejoins with the key that it has")
    func overslept() throws {
        let world = oversleep()
        let (since, address) = (world.tape.frames.count, world.device)
        pollOnce(world)
        world.run(.seconds(3))
        let leave = try #require(leaves(world, since: since).first)
        #expect(leaves(world, since: since).count == 1)
        #expect(leave.command == .leave(rejoin: true, request: true, removeChildren: false))
        #expect(leave.nwk.destination == address && leave.nwk.radius == 1)
        // The acknowledgement of the poll had promised it.
        let frames = world.tape.frames[since...]
        let promise = try #require(frames.first { $0.sender == 0 && $0.psdu.count == 5 })
        #expect(promise.psdu[0] & 0x10 != 0)
        #expect(world.device == address)
        // Secured: the trust centre had no key to send.
        let secured = world.opened(from: 1, since: since)
        #expect(secured.contains { $0.payload.first == 0x06 && $0.aps == nil })
        #expect(count(world, .networkKeyReceived, at: 1) == 1)
        expectHome(world)
        // A child again: its polls are promised nothing.
        let later = world.tape.frames.count
        pollOnce(world)
        world.run(.seconds(1))
        let acks = world.tape.frames[later...].filter { $0.sender == 0 && $0.psdu.count == 5 }
        #expect(!acks.isEmpty && acks.allSatisfy { $0.psdu[0] & 0x10 == 0 })
        #expect(count(world, .rejoined, at: 1) == 1)
    }

    @Test("who speaks first, and then polls, is told by the poll: its receiver was off before")
    func speaksFirst() {
        let world = oversleep()
        let since = world.tape.frames.count
        world.send([1, 2, 3], from: 1, options: .linkSecured)
        world.desk.tasks[1].append { stack, now, _ in
            stack.expectAnswers(until: now + .seconds(1), at: now)
        }
        world.run(.seconds(4))
        #expect(leaves(world, since: since).count == 1)
        #expect(count(world, .transmitFailed, at: 0) == 0)
        #expect(world.desk.messages[0].count == 1)
        expectHome(world)
    }

    @Test("a parent that has been restarted meanwhile knows nothing of it: the second poll tells")
    func restarted() {
        let world = oversleep(persists: true)
        world.simulation.air.setPower(of: 0, on: false)
        world.run(.seconds(1))
        world.simulation.air.setPower(of: 0, on: true)
        world.run(.seconds(2))
        let since = world.tape.frames.count
        pollOnce(world)
        world.run(.seconds(2))
        #expect(leaves(world, since: since).isEmpty)
        pollOnce(world)
        world.run(.seconds(3))
        #expect(leaves(world, since: since).count == 1)
        expectHome(world)
    }

    @Test("who was removed while it overslept is told to leave, not to come back")
    func removed() {
        let world = oversleep {
            $0.desk.tasks[0].append { stack, now, out in
                stack.removeDevice(World.deviceEUI64, at: now, into: &out)
            }
        }
        let since = world.tape.frames.count
        pollOnce(world)
        world.run(.seconds(3))
        #expect(
            leaves(world, since: since).map(\.command) == [
                .leave(rejoin: false, request: true, removeChildren: false)
            ])
        #expect(count(world, .left, at: 1) == 1 && count(world, .rejoined, at: 1) == 0)
    }

    private func restartHub(_ world: World) {
        world.simulation.air.setPower(of: 0, on: false)
        world.run(.seconds(1))
        world.simulation.air.setPower(of: 0, on: true)
        world.run(.seconds(2))
    }

    @Test("who was removed while it overslept is told to leave also by a hub that has restarted")
    func removedAndRestarted() {
        let world = oversleep(persists: true) {
            $0.desk.tasks[0].append { stack, now, out in
                stack.removeDevice(World.deviceEUI64, at: now, into: &out)
            }
        }
        restartHub(world)
        let since = world.tape.frames.count
        for _ in 0..<2 {
            pollOnce(world)
            world.run(.seconds(2))
        }
        #expect(
            leaves(world, since: since).map(\.command) == [
                .leave(rejoin: false, request: true, removeChildren: false)
            ])
        #expect(count(world, .left, at: 1) == 1 && searches(world, since: since) == 0)
    }

    @Test("who is put back before it polls is told to rejoin, not to leave")
    func putBack() {
        let world = World(sleepy: true) {
            $0.joining.endDeviceTimeout = 0
            guard $0.role == .coordinator else { return }
            $0.admission = AdmissionSettings(leaveRetry: .seconds(30), refusesAssociation: true)
        }
        world.start()
        world.run(.seconds(15))
        #expect(count(world, .childAged, at: 0) == 1)
        world.desk.tasks[0].append { stack, now, out in
            stack.removeDevice(World.deviceEUI64, at: now, into: &out)
        }
        world.run(.seconds(31))
        // It is heard: a Leave is held for it, which it does not fetch yet.
        let events = world.tape.events.count
        world.send([1], from: 1, options: .linkSecured)
        world.run(.seconds(1))
        #expect(world.drops(at: 0, since: events).contains(.notInDeviceLog))
        world.desk.tasks[0].append { stack, _, out in
            stack.admitDevice(World.deviceEUI64, key: World.linkKey, into: &out)
        }
        world.run(.seconds(1))
        for _ in 0..<2 {
            pollOnce(world)
            world.run(.seconds(3))
        }
        #expect(count(world, .left, at: 1) == 0)
        expectHome(world)
    }

    @Test("who is refused when it comes back waits, however often it is told to rejoin")
    func refused() {
        let world = ChildrenTests.start(timeout: 0, persists: true)
        world.simulation.air.setPower(of: 1, on: false)
        world.run(.seconds(15))
        let since = world.tape.frames.count
        world.simulation.air.setPower(of: 1, on: true)
        // Struck off between the Leave and the request to rejoin.
        for _ in 0..<1_000 where leaves(world, since: since).isEmpty { world.run(.milliseconds(5)) }
        world.desk.tasks[0].append { stack, now, out in
            stack.removeDevice(World.deviceEUI64, at: now, into: &out)
        }
        world.run(.seconds(2))
        let refusals = world.tape.events.filter { $0.kind == .associationRefused }
        #expect(refusals.map { $0.values[0] } == [World.deviceEUI64.rawValue])
        for round in 0..<40 as Range<UInt32> {
            var header = world.header(.command, to: world.device, radius: 1)
            header.source = .coordinator
            let leave = world.forge(
                header, [0x04, 0x60], via: world.device, source: World.coordinatorEUI64,
                counter: 0x10_0000 + round)
            _ = world.attack(1, with: [leave], for: .seconds(1))
        }
        #expect(searches(world, since: since) == 1)
        #expect(count(world, .rejoined, at: 1) == 0)
        world.run(.seconds(60))
        #expect(searches(world, since: since) > 1)
    }

    /// How a node comes to know that a device has another parent.
    enum Word: CaseIterable {
        case updateDevice
        case announcement
    }

    @Test("who has found another parent is no stray any more", arguments: Word.allCases)
    func elsewhere(word: Word) {
        let world = oversleep()
        world.becomeRouter()
        #expect(world.stack(0)?.isStray(World.deviceEUI64) == true)
        let frame =
            switch word {
            case .updateDevice:
                world.updateDevice(World.deviceEUI64, world.device, status: 0)
            case .announcement:
                world.announce(
                    World.deviceEUI64, at: world.device, capability: 0x80,
                    sealedBy: World.attackerEUI64, sender: World.attackerAddress)
            }
        _ = world.attack(0, with: [frame])
        #expect(world.stack(0)?.isStray(World.deviceEUI64) == false)
        // Somebody polls in its name.
        let since = world.tape.frames.count
        for _ in 0..<(word == .updateDevice ? 3 : 1) {
            _ = world.attack(0, with: [poll(world, from: world.device)])
            #expect(world.desk.results.last?.framePending == false)
        }
        #expect(leaves(world, since: since).isEmpty)
    }

    @Test("who rejoins here by itself is no stray from then on, not only from its next poll")
    func rejoinsHere() {
        let world = World { $0.network.childTimeout = 0 }
        world.start()
        world.addChildren(1..<2, capability: 0x80)
        #expect(world.stack(0)?.isStray(World.phantom(1)) == true)
        var header = world.header(.command, to: .coordinator, radius: 1)
        header.source = World.phantomAddress(1)
        header.sourceEUI64 = World.phantom(1)
        _ = world.attack(0, with: [world.forge(header, [0x06, 0x80], source: World.phantom(1))])
        #expect(world.stack(0)?.isStray(World.phantom(1)) == false)
    }

    @Test(
        "a frame of another parent's child, sent again to the hub, sends nobody away",
        arguments: [true, false])
    func replayed(isKnown: Bool) {
        let world = World()
        world.start()
        world.becomeRouter()
        let (device, address) = (World.phantom(1), World.phantomAddress(1))
        world.log([device])
        if isKnown {
            _ = world.attack(0, with: [world.updateDevice(device, address, status: 0)])
        }
        func recorded(_ kind: NWKHeader.Kind, to end: ShortAddress, _ payload: [UInt8])
            -> FrameBuffer
        {
            var header = world.header(kind, to: end)
            header.source = address
            header.endDeviceInitiator = true
            return world.forge(header, payload, source: device)
        }
        let keepAlive: [UInt8] = [0x0B, 3, 0]
        let since = world.tape.frames.count
        // To the hub through its router, and to that router itself.
        _ = world.attack(
            0,
            with: [
                recorded(.data, to: .coordinator, world.apsData(counter: 1)),
                recorded(.command, to: World.attackerAddress, keepAlive),
            ])
        #expect(leaves(world, since: since).isEmpty)
        #expect(world.stack(0)?.isStray(device) == false)
        // Who asks the hub to keep it takes it for its parent; if it is known to be another's, that
        // was once.
        _ = world.attack(0, with: [recorded(.command, to: .coordinator, keepAlive)])
        #expect(leaves(world, since: since).isEmpty == isKnown)
        #expect(world.stillWorks())
    }

    @Test("an end device goes where its parent asks it to, and nobody else, not even the hub")
    func ownParent() {
        let world = World()
        world.start()
        // Its parent is the attacker.
        world.desk.tasks[1].append { stack, now, out in
            var builder = ByteBuilder()
            stack.snapshot(into: &builder)
            var bytes = builder.bytes
            for index in 0..<8 {
                bytes[66 + index] =
                    UInt8(truncatingIfNeeded: World.attackerEUI64.rawValue >> (8 * UInt64(index)))
            }
            bytes[74] = UInt8(truncatingIfNeeded: World.attackerAddress.rawValue)
            bytes[75] = UInt8(World.attackerAddress.rawValue >> 8)
            #expect((try? stack.restore(bytes)) != nil)
            stack.resume(at: now, into: &out)
        }
        world.run(.seconds(1))
        #expect(
            world.stack(1)?.neighbourTable[World.attackerEUI64]?.relation == .parent)
        let since = world.tape.frames.count
        func leave(from source: ShortAddress, _ eui64: EUI64) -> [DropReason] {
            var header = world.header(.command, to: world.device, radius: 1)
            header.source = source
            let frame = world.forge(
                header, [0x04, 0x60], via: world.device, source: eui64,
                counter: world.counter + 0x10_0000)
            return world.attack(1, with: [frame], for: .seconds(1)).drops
        }
        #expect(leave(from: .coordinator, World.coordinatorEUI64) == [.nwkUnexpected])
        // In the parent's name, by somebody else.
        #expect(leave(from: World.attackerAddress, World.phantom(1)) == [.nwkUnexpected])
        #expect(searches(world, since: since) == 0)
        #expect(!leave(from: World.attackerAddress, World.attackerEUI64).contains(.nwkUnexpected))
        #expect(searches(world, since: since) == 1)
    }

    @Test("a hub promises frames to a full house of sleepers, and to strays besides")
    func fullHouse() {
        let world = World()
        world.start()
        let numbers = 0..<60
        world.addChildren(numbers, capability: 0x80)
        world.desk.tasks[0].append { stack, _, out in
            for number in numbers { stack.awaitWake(of: World.phantom(number), true, into: &out) }
        }
        let strays = (0..<32 as Range<UInt16>).map { ShortAddress(0x2000 + $0) }
        func promised(_ addresses: [ShortAddress]) -> [Bool] {
            let before = world.desk.results.count
            _ = world.attack(
                0, with: addresses.map { poll(world, from: $0) }, for: .milliseconds(20))
            return world.desk.results[before...].map(\.framePending)
        }
        #expect(promised(strays).allSatisfy { !$0 })
        #expect(promised(strays).allSatisfy { $0 })
        #expect(promised(numbers.map(World.phantomAddress)).allSatisfy { $0 })
        // It was promised once.
        #expect(promised(numbers.map(World.phantomAddress)).allSatisfy { !$0 })
        #expect(!world.tape.events.contains { $0.kind == .outputLost })
    }

    /// A poll from `address`, as anybody can send it.
    private func poll(_ world: World, from address: ShortAddress) -> FrameBuffer {
        world.sequence &+= 1
        var frame = FrameBuffer()
        MACHeader.within(
            world.pan, kind: .command, sequence: world.sequence, to: .short(.coordinator),
            from: .short(address)
        ).encode(into: &frame)
        MACCommand.dataRequest.encode(into: &frame)
        return frame
    }

    @Test("polls of anybody cost no more than a few frames, and no child its place")
    func forged() {
        let world = World(sleepy: true)
        world.start()
        let since = world.tape.frames.count
        let flood = (0..<100 as Range<UInt16>).flatMap { number in
            Array(repeating: ShortAddress(0x2000 + number), count: 3).map { poll(world, from: $0) }
        }
        let child = [world.device, .coordinator, .everyone, .receiversOn].map {
            poll(world, from: $0)
        }
        world.desk.raw += flood + child + child
        world.run(.seconds(30))
        #expect(world.desk.raw.isEmpty)
        // One sent for each second and third poll at most, and none to whom it does not concern.
        let told = leaves(world, since: since)
        #expect(!told.isEmpty && told.count <= 200)
        #expect(told.allSatisfy { $0.nwk.destination.rawValue & 0xFF00 == 0x2000 })
        #expect(!world.tape.events.contains { $0.kind == .outputLost })
        // It has all gone by, and the child is served as before.
        #expect(count(world, .rejoined, at: 1) == 0)
        world.desk.tasks[1].append { stack, now, _ in
            stack.expectAnswers(until: now + .seconds(2), at: now)
        }
        #expect(world.stillWorks())
    }
}
