import Radio
import Testing
import Wire
import Zigbee

@Suite("Devices that are heard of while a way to them is looked for")
struct ReappearingTests {
    private let address = World.phantomAddress(7)

    /// A hub with a router in reach that looks for a phantom in vain.
    private func start() -> World {
        let world = World()
        world.start()
        world.becomeRouter()
        world.attackerBecomesRouter()
        world.log([World.phantom(7)])
        let target = address
        world.desk.tasks[0].append { stack, now, out in
            stack.send(
                FrameBuffer([1, 2, 3]), to: target, endpoint: 1, from: 1, cluster: World.cluster,
                profile: ProfileID.smartEnergy, options: [], token: 0, at: now, into: &out)
        }
        world.run(.seconds(2))
        return world
    }

    /// The identifiers of the hub's requests for a way to the phantom.
    private func requests(_ world: World, since: Int = 0) -> [UInt8] {
        world.opened(from: 0, since: since).compactMap {
            guard case .routeRequest(let request) = $0.command, request.destination == address
            else { return nil }
            return request.identifier
        }
    }

    private func announcement(_ world: World) -> FrameBuffer {
        world.announce(
            World.phantom(7), at: address, sealedBy: World.attackerEUI64,
            sender: World.attackerAddress)
    }

    @Test("a device that announces itself is asked for anew at once, with a request of its own")
    func announced() throws {
        let world = start()
        let before = Set(requests(world))
        #expect(before.count == 1 && requests(world).count == 3)
        let since = world.tape.frames.count
        // The second comes too soon after the first.
        _ = world.attack(
            0, with: [announcement(world), announcement(world)], for: .milliseconds(50))
        let soon = requests(world, since: since)
        #expect(soon.count == 1 && before.isDisjoint(with: soon))
        world.run(.seconds(3))
        #expect(Set(requests(world, since: since)).count == 1)
        #expect(requests(world, since: since).count == 3)
        // For whom nothing waits any more, there is nothing to ask.
        world.run(.seconds(10))
        let later = world.tape.frames.count
        _ = world.attack(0, with: [announcement(world)])
        world.run(.seconds(1))
        #expect(requests(world, since: later).isEmpty)
    }

    @Test("who becomes a child gets what has waited for a way to it")
    func becomesChild() throws {
        let world = start()
        let since = world.tape.frames.count
        var header = world.header(.command, to: .coordinator, radius: 1)
        header.source = address
        header.sourceEUI64 = World.phantom(7)
        // Its receiver is always on.
        _ = world.attack(
            0, with: [world.forge(header, [0x06, 0x8C], source: World.phantom(7))])
        world.run(.seconds(1))
        let frames = world.opened(from: 0, since: since)
        let answer = try #require(frames.firstIndex { $0.payload.first == 0x07 && $0.aps == nil })
        let message = try #require(frames.firstIndex { $0.payload == [1, 2, 3] })
        #expect(answer < message && frames[message].nwk.destination == address)
        #expect(requests(world, since: since).isEmpty)
    }
}
