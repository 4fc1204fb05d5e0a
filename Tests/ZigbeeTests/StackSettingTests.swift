import Radio
import Testing
import Wire
import Zigbee

@Suite("What a profile sets of the stack shows on the air")
struct StackSettingTests {
    private func start(
        sleepy: Bool = false, persists: Bool = false,
        _ change: @escaping (inout StackConfiguration) -> Void
    ) -> World {
        let world = World(sleepy: sleepy, persists: persists, configure: change)
        world.start()
        return world
    }

    @Test("a frame sets out with the radius that is set", arguments: [1, 5, 255] as [UInt8])
    func radius(radius: UInt8) {
        let world = start { $0.network.radius = radius }
        let since = world.tape.frames.count
        #expect(world.stillWorks())
        let data = world.opened(from: 1, since: since).filter { $0.nwk.kind == .data }
        #expect(!data.isEmpty && data.allSatisfy { $0.nwk.radius == radius })
    }

    @Test("a restart leaves out no more counters than are reserved", arguments: [16, 4096])
    func counterReserve(reserve: UInt32) throws {
        let world = start(persists: true) { $0.network.counterReserve = reserve }
        for _ in 0..<3 { #expect(world.stillWorks()) }
        let sent = world.opened(from: 1).count
        world.simulation.air.setPower(of: 1, on: false)
        world.run(.seconds(1))
        world.simulation.air.setPower(of: 1, on: true)
        world.run(.seconds(2))
        let resumed = try #require(world.tape.events.last { $0.kind == .networkResumed })
        #expect(resumed.values[2] >= UInt64(sent))
        #expect(resumed.values[2] <= UInt64(sent) + 16 + UInt64(reserve))
        #expect(reserve == 16 || resumed.values[2] >= 4096)
        #expect(world.stillWorks())
    }

    @Test("a request to associate is waited for as long as is set", arguments: [0, 5] as [Int64])
    func requestWait(seconds: Int64) {
        let world = World { $0.joining.requestWait = .seconds(seconds) }
        world.run(.minutes(2))
        #expect(world.desk.joined == (seconds == 0 ? 0 : 1))
        let failures = world.tape.events.filter {
            $0.kind == .joinFailed && $0.values[0] == UInt64(RefusalReason.noResponse.rawValue)
        }
        #expect(failures.isEmpty == (seconds > 0))
    }

    @Test(
        "routers are told as often as is set that joining is open", arguments: [50, 200] as [Int64])
    func permitRenewal(seconds: Int64) {
        let world = start {
            if $0.role == .endDevice { $0.role = .router }
            $0.permitRenewal = .seconds(seconds)
        }
        let since = world.tape.frames.count
        world.run(.seconds(400))
        let told = world.opened(from: 0, since: since).filter {
            $0.aps?.cluster == ZDOCluster.managementPermitJoiningRequest
        }
        let sequences = Set(told.map(\.nwk.sequence))
        #expect(sequences.count == Int(400 / seconds))
    }

    @Test("a child that has not said how long it may be silent is kept for as long as is set")
    func childTimeout() throws {
        let world = start { $0.network.childTimeout = 0 }
        let began = world.limit
        world.addChildren(1..<2)
        let aged = try #require(
            world.tape.events.first {
                $0.kind == .childAged && $0.values[0] == World.phantom(1).rawValue
            })
        #expect(aged.time - began >= .seconds(10) && aged.time - began < .seconds(11))
        // The device has asked for 256 minutes.
        #expect(world.stack(0)?.neighbourTable[World.deviceEUI64]?.relation == .child)
    }

    @Test("the MAC takes a frame again once it has forgotten it", arguments: [1, 4] as [Int64])
    func macMemory(seconds: Int64) {
        let world = start { $0.network.macDuplicateMemory = .seconds(seconds) }
        var poll = FrameBuffer()
        MACHeader.within(
            world.pan, kind: .command, sequence: 200, to: .short(.coordinator),
            from: .short(ShortAddress(0x4321))
        ).encode(into: &poll)
        MACCommand.dataRequest.encode(into: &poll)
        #expect(world.attack(0, with: [poll]).drops == [])
        #expect(world.attack(0, with: [poll]).drops == [.macDuplicate])
        world.run(.seconds(2))
        #expect(world.attack(0, with: [poll]).drops == (seconds == 1 ? [] : [.macDuplicate]))
    }

    @Test("the APS layer takes a counter again once it has forgotten it", arguments: [1, 12])
    func apsMemory(seconds: Int64) {
        let world = start { $0.network.apsDuplicateMemory = .seconds(seconds) }
        func send() -> Int {
            world.attack(
                0,
                with: [
                    world.forge(
                        world.header(to: .coordinator),
                        world.apsData(counter: 7, acknowledged: true))
                ]
            ).messages
        }
        #expect(send() == 1 && send() == 0)
        world.run(.seconds(3))
        #expect(send() == (seconds == 1 ? 1 : 0))
    }

    @Test("a sleeper polls for the answer to its timeout request for as long as is set")
    func keepAliveWait() {
        func polls(_ wait: Interval) -> Int {
            let world = start(sleepy: true) {
                $0.joining.keepAliveWait = wait
                // Nothing else is expected for long.
                $0.joining.keyWait = .seconds(1)
            }
            world.run(.seconds(10))
            return world.tape.frames.count { record in
                var reader = ByteReader(record.psdu.span)
                guard record.sender == 1, let mac = try? MACHeader(parsing: &reader),
                    mac.kind == .command
                else { return false }
                return (try? MACCommand(parsing: &reader)) == .dataRequest
            }
        }
        let (few, many) = (polls(.milliseconds(100)), polls(.seconds(3)))
        #expect(many >= few + 25)
    }
}
