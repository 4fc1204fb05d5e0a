import Crypto
import Radio
import Testing
import Wire
import Zigbee

@Suite("Frames that go no further")
struct DeliveryTests {
    @Test("a repeated APS frame is acknowledged again but delivered once")
    func duplicate() {
        let world = World()
        world.start()
        let sent = world.tape.frames.count
        let events = world.tape.events.count
        for (round, expected) in [([], 1), ([DropReason.apsDuplicate], 0)].enumerated() {
            // As if from the device, which does not know these counters.
            var header = world.header(to: .coordinator)
            header.source = world.device
            let frame = world.forge(
                header, world.apsData(counter: 250, acknowledged: true),
                source: World.deviceEUI64)
            #expect(world.attack(0, with: [frame]) == (expected.0, expected.1), "round \(round)")
        }
        let answers = world.tape.frames[sent...].filter { $0.sender == 0 && $0.psdu.count > 5 }
        #expect(answers.count == 2)
        let target = world.device.rawValue
        #expect(
            answers.allSatisfy {
                $0.psdu[5] == UInt8(target & 255) && $0.psdu[6] == UInt8(target >> 8)
            })
        // The device cannot tell what these acknowledge.
        #expect(world.drops(at: 1, since: events) == [.apsUnexpected, .apsUnexpected])
    }

    @Test("a frame that says something else under an APS counter that has come round is taken")
    func sameCounter() {
        let world = World()
        world.start()
        var header = world.header(to: .coordinator)
        header.source = world.device
        for (bytes, expected) in [([1, 2], 1), ([1, 3], 1), ([1, 2], 0)] as [([UInt8], Int)] {
            let frame = world.forge(
                header, world.apsData(counter: 250, bytes, acknowledged: true),
                source: World.deviceEUI64)
            #expect(world.attack(0, with: [frame]).messages == expected, "\(bytes)")
        }
    }

    @Test("two frames under one counter are two, also if they differ in the same bit of two words")
    func twoBits() {
        let world = World()
        world.start()
        var header = world.header(to: .coordinator)
        header.source = world.device
        for place in -1..<8 {
            var bytes = [UInt8](repeating: 0x5A, count: 16)
            if place >= 0 {
                bytes[place] ^= 0x80
                bytes[place + 8] ^= 0x80
            }
            let frame = world.forge(
                header, world.apsData(counter: 250, bytes, acknowledged: true),
                source: World.deviceEUI64)
            #expect(world.attack(0, with: [frame]).messages == 1, "\(place)")
        }
    }

    @Test("a frame that the MAC sends twice is taken once")
    func macDuplicate() {
        let world = World()
        world.start()
        let frame = world.forge(world.header(to: .coordinator), world.apsData(counter: 1))
        #expect(
            world.attack(0, with: [frame, frame], for: .milliseconds(20)) == ([.macDuplicate], 1))
        #expect(world.stillWorks())
    }

    @Test("a broadcast is taken once, by whichever way it comes")
    func broadcast() {
        let world = World()
        world.start()
        let header = world.header(to: .receiversOn)
        for round in 0..<2 {
            let frame = world.forge(header, world.apsData(counter: 1))
            let events = world.tape.events.count
            _ = world.attack(0, with: [frame])
            #expect(world.desk.messages.map(\.count) == [1, 1, 0])
            // The device hears the coordinator's relay as well.
            #expect(
                world.drops(at: 0, since: events) == (round == 0 ? [] : [.nwkDuplicateBroadcast]))
            #expect(world.drops(at: 1, since: events) == [.nwkDuplicateBroadcast])
        }
        #expect(world.stillWorks())
    }

    @Test("a frame for elsewhere ends here when its radius is spent or nobody knows the way")
    func radius() {
        let world = World()
        world.start()
        let elsewhere = ShortAddress(0x7777)
        let spent = world.forge(
            world.header(to: elsewhere, radius: 1), world.apsData(counter: 1))
        #expect(world.attack(0, with: [spent]) == ([.nwkRadiusSpent], 0))
        let zero = world.forge(world.header(to: elsewhere, radius: 0), world.apsData(counter: 1))
        #expect(world.attack(0, with: [zero]) == ([.nwkRadiusSpent], 0))
        #expect(world.stillWorks())
    }

    @Test("what comes for no endpoint, or in pieces, or malformed, is dropped by its reason")
    func malformed() {
        let world = World()
        world.start()
        let cases: [([UInt8], DropReason)] = [
            (world.apsData(counter: 1, endpoint: 99), .apsNoEndpoint),
            ([], .apsMalformed), ([0x00], .apsMalformed), ([0x03], .apsMalformed),
            ([0x04, 1, 2, 3, 4, 5, 6, 7], .apsMalformed), ([0x01, 5], .apsMalformed),
            ([0x01, 5, 0x05, 2], .apsMalformed), ([0x20, 1, 0x19, 0, 9, 1, 1, 5], .apsMalformed),
            // An acknowledgement nobody waits for.
            ([0x02, 1, 0x19, 0, 9, 1, 1, 5], .apsUnexpected),
            // ZDO: no transaction number; a match request cut short.
            ([0x00, 0, 6, 0, 0, 0, 0, 60], .zdoMalformed),
            ([0x00, 0, 6, 0, 0, 0, 0, 61, 1, 0, 0, 9, 1, 5], .zdoMalformed),
        ]
        for (payload, reason) in cases {
            let frame = world.forge(world.header(to: .coordinator), payload)
            #expect(world.attack(0, with: [frame]) == ([reason], 0), "\(payload)")
        }
        let empty = world.forge(world.header(.command, to: .coordinator), [])
        #expect(world.attack(0, with: [empty]) == ([.nwkMalformed], 0))
        // NWK headers and MAC frames that are none.
        var header = MACHeader.within(
            world.pan, kind: .data, sequence: 1, to: .short(.coordinator),
            from: .short(World.attackerAddress))
        for (count, bytes) in [[UInt8]([0x48]), [0x48, 0x02, 0, 0], [0x4B, 2, 0, 0, 1, 1, 1, 1]]
            .enumerated()
        {
            header.sequence = UInt8(200 + count)
            var frame = FrameBuffer()
            header.encode(into: &frame)
            frame.append(bytes.span)
            #expect(world.attack(0, with: [frame]) == ([.nwkMalformed], 0))
        }
        var secured = FrameBuffer()
        header.sequence = 210
        header.encode(into: &secured)
        secured[0] |= 0x08
        #expect(world.attack(0, with: [secured]) == ([.macMalformed], 0))
        var command = FrameBuffer()
        header.kind = .command
        header.sequence = 211
        header.encode(into: &command)
        #expect(world.attack(0, with: [command]) == ([.macMalformed], 0))
        command.append(3 as UInt8)
        command.append(1 as UInt8)
        command[2] = 212
        #expect(world.attack(0, with: [command]) == ([.macUnexpected], 0))
        #expect(world.stillWorks())
    }

    @Test("whatever bytes come over the air, the stack stays up and takes none of them")
    func noise() {
        let world = World()
        world.start()
        var stream = SeededStream(Seed(99))
        let good = world.forge(world.header(to: .coordinator), world.apsData(counter: 1))
        for round in 0..<3_000 {
            var frame: FrameBuffer
            if round % 3 == 0 {
                frame = FrameBuffer(stream.bytes(5 + Int(stream.below(120))))
                // A header that the chip lets through.
                let header = MACHeader.within(
                    world.pan, kind: [.data, .command, .beacon][Int(stream.below(3))],
                    sequence: UInt8(truncatingIfNeeded: round),
                    to: .short(.coordinator), from: .short(World.attackerAddress))
                var whole = FrameBuffer()
                header.encode(into: &whole)
                whole.append(frame.span.extracting(0..<min(frame.count, whole.room - 2)))
                frame = whole
            } else {
                // A secured frame whose inside is noise: what an insider could send.
                let kind: NWKHeader.Kind = round % 3 == 1 ? .data : .command
                var header = world.header(kind, to: .coordinator)
                if stream.below(4) == 0 { header.destination = .receiversOn }
                var payload = stream.bytes(Int(stream.below(70)))
                if round % 3 == 1, !payload.isEmpty, stream.below(2) == 0 {
                    payload[0] = 0x40
                    if payload.count > 8 { payload[1] = 0 }
                    if payload.count > 8 { (payload[4], payload[5]) = (0, 0) }
                }
                frame = world.forge(header, payload)
            }
            if frame == good { continue }
            world.desk.raw.append(frame)
        }
        world.run(.seconds(60))
        #expect(world.desk.raw.isEmpty)
        #expect(world.stack(0)?.isJoined == true)
        #expect(world.tape.events.contains { $0.kind == .dropped })
    }

    @Test("a sleeping child's frame waits 7.68 s at its parent, to the microsecond, and is gone")
    func expiry() throws {
        let world = World(sleepy: true)
        world.start()
        let events = world.tape.events.count
        world.desk.tasks[0].append { stack, now, out in
            out.note(.stepStarted, UInt64(now.microseconds))
            guard let child = stack.address(of: World.deviceEUI64) else { return }
            stack.send(
                FrameBuffer([1]), to: child, endpoint: 1, from: 1, cluster: World.cluster,
                profile: ProfileID.smartEnergy, options: [.linkSecured], at: now, into: &out)
        }
        world.run(.seconds(20))
        let since = world.tape.events[events...]
        let start = try #require(since.first { $0.kind == .stepStarted })
        let expired = since.filter { $0.kind == .indirectExpired }
        #expect(expired.map(\.time) == [start.time + .milliseconds(7_680)])
        #expect(world.desk.messages[1].isEmpty)
        // The next one is fetched in time.
        world.send([2], from: 0, options: [.linkSecured])
        world.run(.seconds(3))
        world.desk.tasks[1].append { stack, now, out in stack.pollOnce(at: now) }
        world.run(.seconds(1))
        #expect(world.desk.messages[1].count == 1)
        // Nothing is pending any more: the next poll is told so.
        let frames = world.tape.frames.count
        world.desk.tasks[1].append { stack, now, out in stack.pollOnce(at: now) }
        world.run(.seconds(1))
        #expect(world.tape.frames[frames...].map(\.psdu.count).contains(5))
        #expect(world.tape.frames[frames...].count == 2)
        #expect(world.tape.frames.last?.psdu[0] == 0x02)
    }

    @Test("no two frames of a network are ever sealed with the same counter")
    func nonces() throws {
        let world = World()
        world.start()
        for round in 0..<20 {
            world.send([UInt8(round)], from: round % 2)
            world.run(.milliseconds(200))
        }
        #expect(try Self.sealed(world.tape).count > 40)
    }

    @Test("nor after a power cut, however soon after a restart it comes")
    func noncesAfterCuts() throws {
        let world = World(persists: true)
        world.start()
        var stream = SeededStream(Seed(6))
        for round in 0..<80 {
            let node = round / 40
            world.simulation.air.setPower(of: node, on: false)
            world.run(.milliseconds(5))
            world.simulation.air.setPower(of: node, on: true)
            world.send([UInt8(round)], from: node, token: 0)
            world.run(.microseconds(Int64(2_000 + stream.below(25_000))))
        }
        // Each start has begun with APS counters of its own; until they are forgotten, one that
        // comes again is taken for a duplicate.
        world.run(.seconds(13))
        #expect(try Self.sealed(world.tape).count > 60)
        #expect(world.stillWorks())
    }

    /// Every counter that a secured NWK frame has carried, by sender, after a check that no two
    /// different frames have carried the same.
    static func sealed(_ tape: Tape) throws -> [String: FrameBuffer] {
        var seen: [String: FrameBuffer] = [:]
        for record in tape.frames where record.psdu.count > 30 {
            var reader = ByteReader(record.psdu.span)
            let mac = try MACHeader(parsing: &reader)
            guard mac.kind == .data else { continue }
            let nwk = try NWKHeader(parsing: &reader)
            guard nwk.isSecured else { continue }
            let auxiliary = try AuxiliaryHeader(parsing: &reader)
            let key = "\(auxiliary.source?.description ?? "") \(auxiliary.frameCounter)"
            // The MAC's own retries repeat a frame to the last byte.
            if let before = seen[key] {
                #expect(before == record.psdu, "counter used twice: \(key)")
            }
            seen[key] = record.psdu
        }
        return seen
    }
}
