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

    @Test("who is refused when it comes back waits, however often it is told to rejoin")
    func refused() {
        let world = oversleep(persists: true) {
            $0.desk.tasks[0].append { stack, now, out in
                stack.removeDevice(World.deviceEUI64, at: now, into: &out)
            }
        }
        // After a restart the hub no longer knows whom it has struck off.
        world.simulation.air.setPower(of: 0, on: false)
        world.run(.seconds(1))
        world.simulation.air.setPower(of: 0, on: true)
        world.run(.seconds(2))
        let since = world.tape.frames.count
        for _ in 0..<40 {
            pollOnce(world)
            world.run(.seconds(1))
        }
        #expect(leaves(world, since: since).count > 1)
        #expect(searches(world, since: since) == 1)
        #expect(count(world, .rejoined, at: 1) == 0)
        let refusals = world.tape.events.filter { $0.kind == .associationRefused }
        #expect(refusals.map { $0.values[0] } == [World.deviceEUI64.rawValue])
        world.run(.seconds(60))
        #expect(searches(world, since: since) > 1)
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
