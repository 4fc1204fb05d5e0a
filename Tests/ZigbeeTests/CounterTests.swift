import Crypto
import Radio
import Testing
import Wire
import Zigbee

@Suite("Frame counters that come to their end")
struct CounterTests {
    /// Where a device's snapshot has the counters that are next: of the network key, and of the
    /// link key, with its parent the only neighbour.
    private static let network = 53
    private static let link = 109

    /// A world whose device has so many counters left.
    private func start(left: UInt32, at offset: Int) -> World {
        let world = World { $0.network.counterReserve = 0x10_0000 }
        world.start()
        world.desk.tasks[1].append { stack, now, out in
            var builder = ByteBuilder()
            stack.snapshot(into: &builder)
            var bytes = builder.bytes
            let next = UInt32.max - left
            for index in 0..<4 {
                bytes[offset + index] = UInt8(truncatingIfNeeded: next >> (8 * UInt32(index)))
            }
            #expect((try? stack.restore(bytes)) != nil)
            stack.resume(at: now, into: &out)
        }
        world.run(.seconds(1))
        return world
    }

    @Test("no frame is sent under 0xFFFFFFFF, and none after it until there is a new network key")
    func network() throws {
        let world = start(left: 12, at: Self.network)
        let events = world.tape.events.count
        for round in 0..<20 as Range<UInt8> {
            world.send([round], from: 1, options: .linkSecured)
            world.run(.milliseconds(100))
        }
        #expect(world.drops(at: 1, since: events).contains(.counterSpent))
        #expect((1..<12).contains(world.desk.messages[0].count))
        let used = try DeliveryTests.sealed(world.tape).keys.filter {
            $0.hasPrefix(World.deviceEUI64.description)
        }
        #expect(!used.contains { $0.hasSuffix(" \(UInt32.max)") })
        #expect(used.contains { $0.hasSuffix(" \(UInt32.max - 1)") })
        // It stays in touch as far as it can, and a new key makes it whole.
        world.updateKey()
        world.run(.minutes(2))
        #expect(world.tape.events.contains { $0.kind == .networkKeySwitched && $0.node == 1 })
        #expect(world.stillWorks())
    }

    @Test("a link key whose counters are spent seals nothing any more; others go on")
    func link() {
        let world = start(left: 1, at: Self.link)
        let events = world.tape.events.count
        for round in 0..<3 as Range<UInt8> {
            world.send([round], from: 1, options: .linkSecured)
            world.run(.milliseconds(100))
        }
        #expect(world.desk.messages[0].count == 1)
        #expect(world.drops(at: 1, since: events) == [.counterSpent, .counterSpent])
        world.send([9], from: 1, options: [])
        world.run(.milliseconds(100))
        #expect(world.desk.messages[0].count == 2)
    }

    @Test("who has used up its counters takes up its network again, and does not begin at 0")
    func restart() {
        let world = start(left: 0, at: Self.network)
        #expect(world.stack(1)?.isJoined == true)
        let resumed = world.tape.events.last { $0.kind == .networkResumed }
        #expect(resumed?.values[2] == UInt64(UInt32.max))
        let frames = world.tape.frames.count
        world.send([1], from: 1, options: .linkSecured)
        world.run(.seconds(1))
        #expect(world.opened(from: 1, since: frames).isEmpty)
    }
}
