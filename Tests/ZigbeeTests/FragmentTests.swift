import Evidence
import Foundation
import Radio
import TestSupport
import Testing
import Wire
import Zigbee

extension World {
    /// Bytes of which no two stretches are alike.
    static func message(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
        var stream = SeededStream(Seed(seed).named("message"))
        return stream.bytes(count)
    }

    func sendLong(
        _ bytes: [UInt8], from index: Int, options: SendOptions = [.linkSecured],
        token: UInt16 = 1
    ) {
        let target = index == 0 ? device : .coordinator
        desk.tasks[index].append { stack, now, out in
            let isTaken = stack.send(
                message: bytes, to: target, endpoint: 1, from: 1, cluster: World.cluster,
                profile: ProfileID.smartEnergy, options: options, token: token, at: now,
                into: &out)
            #expect(isTaken)
        }
    }

    /// A fragment of a message, as the device sends it to the coordinator.
    func fragment(
        _ control: UInt8, _ block: UInt8, _ bytes: [UInt8], counter: UInt8 = 200,
        acknowledged: Bool = true, delivery: APSHeader.Delivery = .unicast, endpoint: UInt8 = 1,
        from source: ShortAddress? = nil
    ) -> FrameBuffer {
        var outer = header(to: .coordinator)
        outer.source = source ?? device
        var header = apsHeader(counter: counter)
        header.acknowledgementRequested = acknowledged
        header.delivery = delivery
        header.destinationEndpoint = endpoint
        header.fragment = .init(control: control, block: block)
        var frame = FrameBuffer()
        header.encode(into: &frame)
        return forge(outer, frame.bytes + bytes, source: World.deviceEUI64)
    }
}

@Suite("Messages in fragments")
struct FragmentTests {
    /// What `index` has sent of messages in fragments since a frame of the tape.
    private func fragments(_ world: World, from index: Int, since: Int) -> [OpenedFrame] {
        world.opened(from: index, since: since).filter { $0.aps?.fragment != nil }
    }

    @Test("a message of 150 bytes crosses in three frames, one at a time, each acknowledged")
    func frames() throws {
        let world = World()
        world.start()
        let since = world.tape.frames.count
        let message = World.message(150)
        world.sendLong(message, from: 1, options: [], token: 7)
        world.run(.seconds(2))
        let sent = fragments(world, from: 1, since: since)
        #expect(
            sent.map(\.payload) == [
                Array(message[..<64]), Array(message[64..<128]),
                Array(message[128...]),
            ])
        #expect(
            sent.map(\.aps?.fragment) == [
                .init(control: 1, block: 3), .init(control: 2, block: 1),
                .init(control: 2, block: 2),
            ])
        #expect(Set(sent.map { $0.aps?.counter }).count == 1)
        #expect(sent.allSatisfy { $0.aps?.acknowledgementRequested == true })
        let acks = fragments(world, from: 0, since: since)
        #expect(
            acks.map(\.aps?.fragment) == [
                .init(control: 1, block: 0, bitmap: 1), .init(control: 2, block: 1, bitmap: 1),
                .init(control: 2, block: 2, bitmap: 1),
            ])
        #expect(
            acks.allSatisfy {
                $0.aps?.kind == .acknowledgement && $0.aps?.counter == sent[0].aps?.counter
            })
        // One after the other.
        #expect(zip(sent, acks).allSatisfy { $0.time < $1.time })
        #expect(zip(sent.dropFirst(), acks).allSatisfy { $0.time > $1.time })
        #expect(world.desk.long[0].map(\.bytes) == [message])
        let about = try #require(world.desk.long[0].first?.about)
        #expect(
            about.cluster == World.cluster && about.source == world.device && !about.isLinkSecured)
        #expect(
            world.desk.sent[1].map(\.token) == [7] && world.desk.sent[1].allSatisfy(\.delivered))
    }

    @Test("with a window of eight, eight fragments share an acknowledgement with a bit each")
    func window() {
        let world = World { $0.network.fragmentWindow = 8 }
        world.start()
        let since = world.tape.frames.count
        let message = World.message(64 * 10 + 1)
        world.sendLong(message, from: 0)
        world.run(.seconds(2))
        #expect(fragments(world, from: 0, since: since).count == 11)
        #expect(
            fragments(world, from: 1, since: since).map(\.aps?.fragment) == [
                .init(control: 1, block: 0, bitmap: 0xFF), .init(control: 2, block: 8, bitmap: 7),
            ])
        #expect(world.desk.long[1].map(\.bytes) == [message])
    }

    @Test("every fragment is sealed on its own, under a frame counter of its own")
    func counters() {
        let world = World()
        world.start()
        let since = world.tape.frames.count
        world.sendLong(World.message(1_505), from: 1)
        world.run(.seconds(5))
        let sent = fragments(world, from: 1, since: since)
        #expect(sent.count == 24)
        #expect(sent.allSatisfy { $0.aps?.isSecured == true })
        let counters = sent.map { frame in
            var reader = ByteReader(frame.payload.span)
            return (try? AuxiliaryHeader(parsing: &reader))?.frameCounter ?? 0
        }
        #expect(zip(counters, counters.dropFirst()).allSatisfy { $0 < $1 })
        #expect(world.desk.long[0].map(\.about.isLinkSecured) == [true])
    }

    @Test("the caller of send need not know: what has no room in a frame goes in fragments")
    func unasked() {
        let world = World()
        world.start()
        // A frame under the link key has room for 73 bytes.
        for (count, parts) in [(73, 0), (74, 2), (127, 2)] {
            let since = world.tape.frames.count
            let before = world.desk.messages[0].count
            let message = World.message(count)
            world.send(message, from: 1, token: UInt16(count))
            world.run(.seconds(2))
            #expect(fragments(world, from: 1, since: since).count == parts, "\(count)")
            let got = world.desk.messages[0][before...].map {
                Array($0.frame.bytes[$0.payload...])
            }
            #expect(got == [message], "\(count)")
            #expect(world.desk.sent[1].contains { $0 == (UInt16(count), true) })
        }
        #expect(world.desk.long[0].isEmpty)
    }

    @Test("long messages both ways and short ones between them do not get in each other's way")
    func interleaving() {
        let world = World()
        world.start()
        let messages = (0..<4).map { World.message(1_200 + 64 * Int($0), seed: $0) }
        for (index, message) in messages.enumerated() {
            world.sendLong(message, from: index % 2, token: UInt16(10 + index))
        }
        for number in 0..<20 {
            world.send([9, UInt8(number)], from: number % 2, token: 0)
            world.run(.milliseconds(20))
        }
        world.run(.seconds(10))
        for node in 0..<2 {
            #expect(
                Set(world.desk.long[node].map(\.bytes)) == [messages[1 - node], messages[3 - node]])
            #expect(world.desk.messages[node].count == 10)
            #expect(world.desk.sent[node].filter(\.delivered).count == 2)
        }
    }

    /// One link between two that loses much; nothing but APS repeats what the MAC could not bring.
    private func lossy(_ seed: UInt64, window: Int, loss: UInt32, sleepy: Bool) -> World {
        let world = World(sleepy: sleepy, seed: seed) {
            $0.network.fragmentWindow = window
            $0.network.unicastRetries = 0
            $0.joining.parentFailures = 1_000
        }
        world.start()
        world.desk.loss = loss
        world.run(.milliseconds(20))
        return world
    }

    @Test(
        "over a link that loses many frames a message comes whole, once, or its sender knows",
        arguments: 1...8, [false, true])
    func loss(window: Int, sleepy: Bool) {
        var (arrived, failed, retries) = (0, 0, 0)
        for seed in UInt64(1)...3 {
            let high: UInt32 = sleepy ? 200_000 : 500_000
            let world = lossy(
                seed, window: window, loss: seed % 2 == 0 ? high : high / 2, sleepy: sleepy)
            let messages = (0..<2).map { World.message(700 + Int($0) * 333, seed: seed + 10 * $0) }
            for (index, message) in messages.enumerated() {
                world.sendLong(message, from: index, token: UInt16(index + 1))
            }
            for _ in 0..<60 {
                if sleepy {
                    world.desk.tasks[1].append { stack, now, _ in stack.pollOnce(at: now) }
                }
                world.run(.seconds(1))
            }
            for node in 0..<2 {
                let told = world.desk.sent[node].filter { $0.token == UInt16(node + 1) }
                #expect(told.count == 1, "seed \(seed), \(node)")
                let there = world.desk.long[1 - node].map(\.bytes)
                // The last acknowledgement may be lost for good, but nothing comes twice or spoilt.
                if told.first?.delivered == true {
                    #expect(there == [messages[node]], "seed \(seed)")
                    arrived += 1
                } else {
                    #expect(there.isEmpty || there == [messages[node]], "seed \(seed)")
                    failed += 1
                }
                #expect(world.stack(node)?.isTransferring == false, "seed \(seed)")
            }
            retries += world.tape.events.count { $0.kind == .apsRetry }
        }
        #expect(arrived > failed)
        #expect(sleepy || retries > 0)
    }

    @Test("only what is missing is sent again")
    func missing() {
        let world = World {
            $0.network.fragmentWindow = 8
            $0.network.asksTransferSize = false
            // The device has no room, so it says nothing to any of them.
            if $0.role != .coordinator { $0.network.reassemblies = 0 }
        }
        world.start()
        // The answers are the attacker's: the third of six did not come.
        let since = world.tape.frames.count
        world.sendLong(World.message(64 * 6), from: 0, options: [], token: 3)
        world.run(.seconds(1))
        let first = fragments(world, from: 0, since: since)
        let counter = first.first?.aps?.counter ?? 0
        #expect(first.count == 6)
        func acknowledge(_ block: UInt8, _ bitmap: UInt8) -> [OpenedFrame] {
            let since = world.tape.frames.count
            var outer = world.header(to: .coordinator)
            outer.source = world.device
            var header = world.apsHeader(counter: counter)
            header.kind = .acknowledgement
            header.fragment = .init(control: 1, block: block, bitmap: bitmap)
            var frame = FrameBuffer()
            header.encode(into: &frame)
            _ = world.attack(
                0, with: [world.forge(outer, frame.bytes, source: World.deviceEUI64)],
                for: .milliseconds(100))
            var seen: [UInt8] = []
            return fragments(world, from: 0, since: since).filter {
                let block = $0.aps?.fragment?.control == 1 ? 0 : $0.aps?.fragment?.block ?? 0
                defer { seen.append(block) }
                return !seen.contains(block)
            }
        }
        #expect(acknowledge(0, 0b11_1011).map(\.aps?.fragment?.block) == [2])
        #expect(acknowledge(0, 0b11_1011).isEmpty)
        // Bits of fragments that there are not are nothing.
        #expect(acknowledge(6, 0xFF).isEmpty)
        #expect(world.desk.sent[0].isEmpty)
        #expect(acknowledge(0, 0b100).isEmpty)
        #expect(world.desk.sent[0].map(\.token) == [3] && world.desk.sent[0][0].delivered)
    }

    @Test("nothing is sent to who takes less, and each partner is asked once")
    func transferSize() {
        for (size, arrives) in [(500, true), (499, false)] as [(UInt16, Bool)] {
            let world = World {
                $0.network.maximumIncomingTransfer = $0.role == .coordinator ? 1_536 : size
            }
            world.start()
            let since = world.tape.frames.count
            for token in UInt16(1)...2 {
                world.sendLong(World.message(500), from: 0, token: token)
            }
            world.run(.seconds(3))
            #expect(world.desk.long[1].count == (arrives ? 2 : 0))
            #expect(world.desk.sent[0].map(\.delivered) == [arrives, arrives])
            #expect(world.opened(from: 0, since: since).filter { $0.aps?.cluster == 2 }.count == 1)
        }
    }

    @Test("who asks nobody how much it takes finds out; what is too long is dropped there")
    func unaskedSize() {
        let world = World {
            $0.network.asksTransferSize = false
            if $0.role != .coordinator { $0.network.maximumIncomingTransfer = 499 }
        }
        world.start()
        let (since, events) = (world.tape.frames.count, world.tape.events.count)
        world.sendLong(World.message(500), from: 0)
        world.run(.seconds(30))
        #expect(world.opened(from: 0, since: since).allSatisfy { $0.aps?.cluster != 2 })
        #expect(world.drops(at: 1, since: events).contains(.tooLong))
        #expect(world.desk.long[1].isEmpty && world.desk.sent[0].map(\.delivered) == [false])
    }

    @Test("a fragment that cannot be one, or contradicts the others, is dropped by its reason")
    func hostile() {
        let world = World { $0.network.fragmentWindow = 4 }
        world.start()
        let part = [UInt8](repeating: 5, count: 60)
        let cases: [(String, FrameBuffer, [DropReason])] = [
            ("of none", world.fragment(1, 0, part), [.apsFragment]),
            ("a later one that is the first", world.fragment(2, 0, part), [.apsFragment]),
            ("neither first nor later", world.fragment(3, 1, part), [.apsFragment]),
            ("empty", world.fragment(1, 2, []), [.apsFragment]),
            ("to many", world.fragment(1, 2, part, delivery: .broadcast), [.apsFragment]),
            ("for nobody", world.fragment(1, 2, part, endpoint: 77), [.apsNoEndpoint]),
            ("far from the beginning", world.fragment(2, 8, part), [.apsFragment]),
            ("the second of a message", world.fragment(2, 1, part), []),
            ("the same again", world.fragment(2, 1, part), [.apsDuplicate]),
            ("the second, but other bytes", world.fragment(2, 1, [1]), [.apsFragmentMismatch]),
            ("a first that ends before it", world.fragment(1, 1, part), [.apsFragmentMismatch]),
            ("the first", world.fragment(1, 3, part), []),
            ("a first that counts otherwise", world.fragment(1, 4, part), [.apsFragmentMismatch]),
            ("behind the end", world.fragment(2, 3, part), [.apsFragmentMismatch]),
            (
                "for another endpoint", world.fragment(2, 2, part, endpoint: 255),
                [.apsFragmentMismatch]
            ),
            ("the last", world.fragment(2, 2, [1, 2, 3, 4, 5, 6, 7, 8]), []),
            (
                "the last again, when all is there",
                world.fragment(2, 2, [1, 2, 3, 4, 5, 6, 7, 8]), [.apsDuplicate]
            ),
        ]
        for (name, frame, drops) in cases {
            #expect(world.attack(0, with: [frame]).drops == drops, "\(name)")
        }
        let whole = part + part + [1, 2, 3, 4, 5, 6, 7, 8]
        #expect(world.desk.long[0].map(\.bytes) == [whole])
    }

    @Test("few messages are put together at a time, few for one sender, and none for long")
    func bounds() {
        let world = World()
        world.start()
        let part = [UInt8](repeating: 5, count: 60)
        // Two of the device, then two of others.
        var reasons: [[DropReason]] = []
        for (number, source) in [0, 0, 0, 1, 2, 3].enumerated() {
            let from = source == 0 ? world.device : ShortAddress(UInt16(0x3000 + source))
            reasons.append(
                world.attack(
                    0,
                    with: [
                        world.fragment(1, 20, part, counter: UInt8(50 + number), from: from)
                    ]
                ).drops)
        }
        #expect(
            reasons == [[], [], [.apsReassembliesFull], [], [], [.apsReassembliesFull]])
        #expect(world.stack(0)?.isTransferring == true)
        // What is not gone on with ends after ten seconds.
        let events = world.tape.events.count
        world.run(.seconds(11))
        #expect(
            world.drops(at: 0, since: events).filter { $0 == .apsReassemblyLate }.count == 4)
        #expect(world.stack(0)?.isTransferring == false)
        // And what is, after a minute.
        let since = world.tape.events.count
        for block in UInt8(0)..<9 {
            _ = world.attack(
                0, with: [world.fragment(block == 0 ? 1 : 2, block == 0 ? 20 : block, part)],
                for: .seconds(8))
        }
        #expect(world.drops(at: 0, since: since).contains(.apsReassemblyLate))
        #expect(world.desk.long[0].isEmpty)
    }

    @Test("a fragment that is sent once more from the air is too old for its frame counter")
    func replay() {
        let world = World()
        world.start()
        let since = world.tape.frames.count
        world.sendLong(World.message(600), from: 1)
        world.run(.seconds(2))
        let sent = world.tape.frames[since...].filter { $0.sender == 1 && $0.psdu.count > 60 }
        #expect(sent.count >= 10)
        for record in sent {
            var frame = record.psdu
            frame.truncate(to: frame.count - 2)
            // The MAC's sequence number is anybody's.
            frame[2] &+= 100
            #expect(world.attack(0, with: [frame]) == ([.nwkReplayed], 0))
        }
        #expect(world.desk.long[0].count == 1)
    }

    @Test("a message that stops in the middle is given up by both, and the next one comes through")
    func interrupted() {
        let world = lossy(1, window: 2, loss: 0, sleepy: false)
        world.sendLong(World.message(1_500), from: 1, token: 5)
        world.run(.milliseconds(60))
        world.desk.loss = 1_000_000
        world.run(.seconds(20))
        #expect(world.desk.sent[1].map(\.delivered) == [false])
        #expect(world.tape.events.contains { $0.kind == .apsGaveUp })
        #expect(world.stack(0)?.isTransferring == false && world.stack(1)?.isTransferring == false)
        world.desk.loss = 0
        world.run(.milliseconds(20))
        world.sendLong(World.message(1_500, seed: 2), from: 1, token: 6)
        world.run(.seconds(5))
        #expect(world.desk.long[0].map(\.bytes) == [World.message(1_500, seed: 2)])
    }

    @Test("tshark puts the fragments together and finds nothing wrong with any of them")
    func judged() throws {
        let world = World { $0.network.fragmentWindow = 3 }
        world.start()
        world.sendLong(World.message(1_505), from: 1)
        world.run(.seconds(4))
        #expect(world.desk.long[0].count == 1)
        let scratch = try TemporaryFolder()
        let folder = try OutputFolder(preparing: scratch.path("out"))
        let recorder = try Recorder(
            roster: Roster(naming: [
                (role: "CH", eui64: World.coordinatorEUI64),
                (role: "ESME", eui64: World.deviceEUI64), (role: "PPMID", eui64: nil),
            ]), start: UTCTime(secondsSince2000: 762_598_800), steps: [], folder: folder)
        for record in world.tape.frames { recorder.record(frame: record) }
        try recorder.finish()
        try folder.write(
            WiresharkKeys.table([
                (key: world.networkKey, label: "network"), (key: World.linkKey, label: "link"),
            ]), to: .keys)
        let verdict = try Tshark.judge(capture: folder.path(of: .trace), keys: folder.path)
        #expect(verdict.complaints.isEmpty)
        let rows = try Tshark.rows(
            capture: folder.path(of: .trace), keys: folder.path,
            fields: ["zbee_aps.reassembled.length", "zbee_aps.fragments"])
        #expect(rows.compactMap { $0["zbee_aps.reassembled.length"] } == ["1505"])
    }
}
