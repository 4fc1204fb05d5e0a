import Radio
import Testing
import Wire
import Zigbee

@Suite("Children, how long they may be silent, and who may speak of them")
struct ChildrenTests {
    /// What an index of the End Device Timeout Request stands for, in seconds
    /// (ZigBee 3.4.11.3.1).
    static let timeouts: [Int64] = [
        10, 120, 240, 480, 960, 1_920, 3_840, 7_680, 15_360, 30_720, 61_440, 122_880, 245_760,
        491_520, 983_040,
    ]

    static func start(
        timeout: UInt8, sleepy: Bool = false, persists: Bool = false, limit: Int = 3
    ) -> World {
        let world = World(sleepy: sleepy, persists: persists) {
            $0.joining.endDeviceTimeout = timeout
            $0.joining.keepAliveLimit = limit
        }
        world.start()
        return world
    }

    /// When the device last sent something other than an acknowledgement.
    private func lastWord(_ world: World) throws -> Instant {
        try #require(world.tape.frames.last { $0.sender == 1 && $0.psdu.count > 5 }).end
    }

    private func aged(_ world: World) -> [EventRecord] {
        world.tape.events.filter { $0.kind == .childAged }
    }

    private func requests(_ world: World, since: Int = 0) -> [OpenedFrame] {
        world.opened(from: 1, since: since).filter { $0.payload.first == 0x0B && $0.aps == nil }
    }

    @Test("a child is forgotten once it has been silent for as long as it said", arguments: 0...14)
    func timeout(index: UInt8) throws {
        let world = Self.start(timeout: index)
        #expect(world.stillWorks())
        let request = try #require(requests(world).first)
        #expect(request.payload == [0x0B, index, 0x00])
        world.simulation.air.setPower(of: 1, on: false)
        let silent = try lastWord(world)
        world.desk.beat = .hours(1)
        let seconds = Self.timeouts[Int(index)]
        world.run(silent + .seconds(seconds) - world.limit - .milliseconds(5))
        #expect(aged(world).isEmpty)
        #expect(world.stack(0)?.neighbourTable[World.deviceEUI64]?.relation == .child)
        world.run(.milliseconds(10))
        let event = try #require(aged(world).first)
        #expect(event.node == 0 && event.values[0] == World.deviceEUI64.rawValue)
        #expect(world.stack(0)?.neighbourTable[World.deviceEUI64] == nil)
        world.run(.hours(2))
        #expect(aged(world).count == 1)
    }

    @Test("a parent that restarts keeps to what its children have said")
    func timeoutSurvives() {
        let world = Self.start(timeout: 0, persists: true)
        for node in 0...1 { world.simulation.air.setPower(of: node, on: false) }
        world.run(.seconds(1))
        world.simulation.air.setPower(of: 0, on: true)
        world.run(.seconds(9))
        #expect(world.stack(0)?.neighbourTable[World.deviceEUI64]?.relation == .child)
        world.run(.seconds(2))
        #expect(aged(world).count == 1)
    }

    @Test("a parent says that it counts polls and timeout requests as signs of life")
    func parentInformation() {
        let world = Self.start(timeout: 3)
        let answers = world.opened(from: 0).filter { $0.payload.first == 0x0C && $0.aps == nil }
        #expect(answers.map(\.payload) == [[0x0C, 0x00, 0x03]])
        #expect(answers.allSatisfy { $0.nwk.destination == world.device && $0.nwk.isSecured })
    }

    @Test("a timeout beyond the table is refused, and the one before it stays")
    func badTimeout() throws {
        let world = Self.start(timeout: 0)
        world.simulation.air.setPower(of: 1, on: false)
        let since = world.tape.frames.count
        // As the device would, but for the value.
        var header = world.header(.command, to: .coordinator, radius: 1)
        header.source = world.device
        world.tune(attackerAs: world.device)
        let frame = world.forge(
            header, [0x0B, 15, 0], source: World.deviceEUI64, counter: 100_000)
        _ = world.attack(0, with: [frame])
        let answers = world.opened(from: 0, since: since).filter { $0.nwk.kind == .command }
        #expect(answers.first?.payload == [0x0C, 0x01, 0x03])
        world.run(.seconds(9))
        #expect(aged(world).isEmpty)
        world.run(.seconds(2))
        #expect(aged(world).count == 1)
    }

    @Test("who is nobody's child cannot name a timeout")
    func strangersTimeout() {
        let world = Self.start(timeout: 3)
        world.attackerBecomesRouter()
        let since = world.tape.frames.count
        let frame = world.forge(
            world.header(.command, to: .coordinator, radius: 1), [0x0B, 0, 0])
        #expect(world.attack(0, with: [frame]) == ([.nwkUnexpected], 0))
        #expect(!world.opened(from: 0, since: since).contains { $0.payload.first == 0x0C })
    }

    @Test("a device that listens keeps itself known: three requests in each timeout")
    func keepsAlive() throws {
        let world = Self.start(timeout: 1)
        let since = world.tape.frames.count
        world.run(.minutes(20))
        #expect(aged(world).isEmpty)
        let requests = requests(world, since: since)
        #expect(requests.count == 30)
        for (one, next) in zip(requests, requests.dropFirst()) {
            let gap = (next.time - one.time).inSeconds
            #expect(abs(gap - 40) < 0.1)
        }
        #expect(!world.tape.events.contains { $0.kind == .rejoined })
    }

    @Test("a device that sleeps is known for as long as it polls")
    func polls() throws {
        let world = Self.start(timeout: 0, sleepy: true)
        for _ in 0..<10 {
            world.desk.tasks[1].append { stack, now, _ in stack.pollOnce(at: now) }
            world.run(.seconds(8))
        }
        #expect(aged(world).isEmpty)
        let silent = try lastWord(world)
        world.run(.seconds(11))
        let event = try #require(aged(world).first)
        #expect(abs((event.time - silent).inSeconds - 10) < 0.01)
    }

    @Test(
        "a parent that acknowledges but never answers is left: the device rejoins",
        arguments: [1, 3])
    func keepAliveRejoin(limit: Int) throws {
        let world = Self.start(timeout: 0, persists: true, limit: limit)
        world.run(.seconds(5))
        // Somebody without the key takes the hub's place: its chip acknowledges.
        world.simulation.air.setPower(of: 0, on: false)
        let (frames, events) = (world.tape.frames.count, world.tape.events.count)
        world.tune(attackerAs: .coordinator)
        world.run(.seconds(Int64(limit) * 4 + 4))
        let searches = world.tape.frames[frames...].filter { record in
            var reader = ByteReader(record.psdu.span)
            guard record.sender == 1, let mac = try? MACHeader(parsing: &reader),
                mac.kind == .command
            else { return false }
            return (try? MACCommand(parsing: &reader)) == .beaconRequest
        }
        let search = try #require(searches.first)
        let asked = requests(world, since: frames).filter { $0.time < search.end }
        #expect(asked.count == limit)
        #expect(search.start - (try #require(asked.last).time) > .seconds(3))
        #expect(!world.tape.events[events...].contains { $0.kind == .rejoined })
        // The true hub is back: the device finds it and is its child again.
        world.tune(attackerAs: World.attackerAddress)
        world.simulation.air.setPower(of: 0, on: true)
        world.run(.minutes(3))
        #expect(world.tape.events[events...].contains { $0.kind == .rejoined && $0.node == 1 })
        #expect(world.stack(0)?.neighbourTable[World.deviceEUI64]?.relation == .child)
        #expect(world.stillWorks())
    }

    @Test("a parent that has forgotten a child sends it to rejoin as soon as it speaks")
    func forgotten() throws {
        let world = Self.start(timeout: 0, persists: true)
        world.simulation.air.setPower(of: 1, on: false)
        world.run(.seconds(15))
        #expect(aged(world).count == 1)
        #expect(world.stack(0)?.neighbourTable[World.deviceEUI64] == nil)
        let (frames, events) = (world.tape.frames.count, world.tape.events.count)
        world.simulation.air.setPower(of: 1, on: true)
        world.run(.seconds(5))
        let leave = try #require(
            world.opened(from: 0, since: frames).first { $0.payload.first == 0x04 })
        #expect(leave.command == .leave(rejoin: true, request: true, removeChildren: false))
        #expect(leave.nwk.destination == world.device)
        #expect(world.tape.events[events...].contains { $0.kind == .rejoined && $0.node == 1 })
        #expect(world.stack(0)?.neighbourTable[World.deviceEUI64]?.relation == .child)
        world.run(.seconds(30))
        #expect(aged(world).count == 1)
        #expect(world.stillWorks())
    }

    // MARK: - Update Device

    /// Update Device of somebody new, unsecured (ZigBee 4.4.10.4).
    private func update(_ device: EUI64, _ address: ShortAddress, status: UInt8) -> [UInt8] {
        var command = FrameBuffer()
        APSCommand.updateDevice(device, address, status: status).encode(into: &command)
        return command.bytes
    }

    private func plain(_ world: World, _ command: [UInt8]) -> [UInt8] {
        var frame = FrameBuffer()
        APSHeader(kind: .command, counter: 3).encode(into: &frame)
        return frame.bytes + command
    }

    @Test("nobody who merely has the network key speaks of a device", arguments: 0...3)
    func strangersUpdate(status: UInt8) {
        let world = World()
        world.start()
        world.attackerBecomesRouter()
        let before = world.stack(0)?.neighbourTable[World.deviceEUI64]
        let frames = world.tape.frames.count
        for device in [World.deviceEUI64, World.attackerEUI64, EUI64(7)] {
            let command = update(device, World.attackerAddress, status: status)
            #expect(
                world.attack(
                    0,
                    with: [
                        world.forge(world.header(to: .coordinator), plain(world, command))
                    ]) == ([.apsUnexpected], 0))
            let guessed = world.apsSealed(
                APSHeader(kind: .command, counter: 4), command, key: Key128(high: 1, low: 2),
                source: World.attackerEUI64, named: true, counter: 1)
            #expect(
                world.attack(0, with: [world.forge(world.header(to: .coordinator), guessed)])
                    == ([.apsNoLinkKey], 0))
        }
        #expect(!world.tape.events.contains { $0.kind == .deviceUpdated })
        let after = world.stack(0)?.neighbourTable[World.deviceEUI64]
        #expect(after?.relation == .child && after?.address == before?.address)
        #expect(!world.opened(from: 0, since: frames).contains { $0.aps?.kind == .command })
        #expect(world.stillWorks())
    }

    @Test("an end device has a link key, but no children to speak of")
    func childsUpdate() {
        let world = World()
        world.start()
        world.desk.tasks[0].append { stack, _, _ in
            stack.setLinkKey(Key128(high: 3, low: 4), partner: World.attackerEUI64)
        }
        world.run(.milliseconds(50))
        let relation = world.stack(0)?.neighbourTable[World.deviceEUI64]?.relation
        #expect(relation == .child)
        for (count, status) in ([0, 1, 2, 3] as [UInt8]).enumerated() {
            #expect(
                speakAsDevice(
                    world, update(World.attackerEUI64, World.attackerAddress, status: status),
                    count: UInt32(count)) == [.apsUnexpected])
        }
        #expect(!world.tape.events.contains { $0.kind == .deviceUpdated })
        #expect(
            !world.desk.indications[0].contains { indication in
                if case .keySent(World.attackerEUI64, _) = indication { true } else { false }
            })
    }

    @Test("a router is believed: who is not in the device log is put out again through it")
    func routersUpdate() throws {
        let world = World { if $0.role == .endDevice { $0.role = .router } }
        world.start()
        let frames = world.tape.frames.count
        #expect(
            speakAsDevice(world, update(EUI64(7), ShortAddress(0x1234), status: 1), count: 0) == [])
        let event = try #require(world.tape.events.last { $0.kind == .deviceUpdated })
        #expect(event.node == 0 && event.values[0] == 7 && event.values[1] == 0x1234)
        #expect(world.tape.events.contains { $0.kind == .associationRefused && $0.values[0] == 7 })
        #expect(
            world.opened(from: 0, since: frames).contains {
                $0.aps?.kind == .command && $0.nwk.destination == world.device
            })
    }

    /// Sends the hub an APS command as the device itself would: under its link key, from its
    /// address.
    private func speakAsDevice(_ world: World, _ command: [UInt8], count: UInt32) -> [DropReason] {
        let aps = world.apsSealed(
            APSHeader(kind: .command, counter: 9), command, key: World.linkKey,
            source: World.deviceEUI64, named: false, counter: 200_000 + count)
        var header = world.header(to: .coordinator)
        header.source = world.device
        let frame = world.forge(
            header, aps, source: World.deviceEUI64, counter: 100_000 + count)
        let air: Set<DropReason> = [.receiverOff, .collision]
        return world.attack(0, with: [frame]).drops.filter { !air.contains($0) }
    }
}
