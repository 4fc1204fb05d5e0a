import Testing
import Wire
import Zigbee

@Suite("What a node answers about itself, and whom it obeys")
struct ZDOTests {
    /// A world whose members have the endpoints of the cases.
    static func start() -> World {
        let world = World {
            $0.endpoints =
                $0.role == .coordinator ? ZDOCase.hubEndpoints : ZDOCase.deviceEndpoints
        }
        world.start()
        return world
    }

    @Test("every request gets the bytes that the standard gives it, or none")
    func table() throws {
        let world = Self.start()
        let told = world.desk.indications[1].count
        for each in ZDOCase.all {
            let exchange = try world.exchange(each)
            let name: Comment = "\(each.name), asked by \(each.asker), of \(each.asked)"
            #expect(
                exchange.answers.map(Hex.string)
                    == (each.answer == nil ? [] : [Hex.string(exchange.expected)]), name)
            #expect(exchange.drops == (each.drop.map { [$0] } ?? []), name)
            // Whatever was asked, nobody has gone and nothing was closed.
            #expect(world.stack(0)?.neighbourTable[World.deviceEUI64]?.relation == .child, name)
        }
        let empty = world.forge(world.header(to: .coordinator), world.zdo(0x0002, []))
        #expect(world.attack(0, with: [empty]) == ([.zdoMalformed], 0))
        #expect(world.isJoiningOpen(at: 0) == true)
        for kind in [EventKind.left, .rejoined, .deviceRemoved] {
            #expect(!world.tape.events.contains { $0.kind == kind }, "\(kind)")
        }
        #expect(world.desk.joined == 1)
        #expect(world.desk.indications[1].count == told)
    }

    @Test(
        "zigpy reads every request and every answer as it is meant, and writes the same",
        .enabled(if: Zigpy.python != nil, "no Python with zigpy; run Tools/test"))
    func zigpy() throws {
        let world = Self.start()
        var requests: [Zigpy.Request] = []
        var wanted: [[String: String]] = []
        func judge(_ cluster: UInt16, _ bytes: [UInt8], _ fields: [String: String]) {
            requests.append(
                Zigpy.Request(
                    command: 0, toClient: false, payload: Hex.string(bytes), fields: [:],
                    cluster: cluster))
            wanted.append(fields)
        }
        // Those that zigpy has and that are whole.
        for each in ZDOCase.all where each.drop != .zdoMalformed && each.cluster != 0x7FFF {
            judge(each.cluster, world.bytes(each.request), [:])
            // A refusal of what is not served is a status alone, whatever the answer's form.
            guard let answer = each.answer, answer != "84" || each.cluster == 0x0034 else {
                continue
            }
            judge(each.cluster | 0x8000, world.bytes(answer), each.fields)
        }
        let announce = try #require(world.announce)
        judge(
            0x0013, Array(announce.payload.dropFirst()),
            [
                "NWKAddr": "\(world.device.rawValue)", "Capability": "140",
                "IEEEAddr": Hex.string(World.deviceEUI64.rawValue, digits: 16).lowercased(),
            ])
        let verdicts = try Zigpy.judge(requests)
        try #require(verdicts.count == requests.count)
        for (index, verdict) in verdicts.enumerated() {
            let (hex, cluster) = (requests[index].payload, requests[index].cluster ?? 0)
            let name: Comment = "cluster \(Hex.string(UInt64(cluster), digits: 4)): \(hex)"
            #expect(verdict.error == nil, name)
            #expect(verdict.rest == 0, name)
            let made = verdict.made ?? ""
            // zigpy leaves out the length of a simple descriptor that is not there.
            let isWithout = cluster == 0x8004 && hex == made + "00"
            #expect(made == hex || isWithout, name)
            let seen = (verdict.fields ?? [:]).filter { wanted[index][$0.key] != nil }
            #expect(seen == wanted[index], name)
        }
        #expect(requests.count > 80)
    }

    @Test("a device that joins says who it is, once, to all that listen")
    func announce() throws {
        let world = Self.start()
        let announce = try #require(world.announce)
        #expect(announce.nwk.destination == .receiversOn)
        #expect(
            Array(announce.payload.dropFirst()) == world.bytes("DEV DEV64 8C"))
        let told = world.desk.indications[0].compactMap { indication -> EUI64? in
            if case .deviceAnnounced(let eui64, _, _) = indication { eui64 } else { nil }
        }
        #expect(told == [World.deviceEUI64])
    }

    @Test("a question is answered once, by whom it was put to")
    func questions() throws {
        let world = Self.start()
        let before = world.desk.indications[1].count
        world.desk.tasks[1].append { stack, now, out in
            stack.resolve(.coordinator, now: now, into: &out)
            stack.findServer(of: World.cluster, at: .coordinator, now: now, into: &out)
            stack.findServer(of: 0x0702, at: .coordinator, now: now, into: &out)
        }
        let since = world.tape.frames.count
        world.run(.milliseconds(300))
        var asked: [OpenedFrame] = []
        for frame in world.opened(from: 1, since: since)
        where frame.aps?.kind == .data && frame.aps?.profile == ProfileID.zigbeeDevice {
            // The same question again is a retry.
            if asked.last?.payload != frame.payload { asked.append(frame) }
        }
        #expect(asked.map { $0.aps?.cluster } == [0x0001, 0x0006, 0x0006])
        #expect(
            asked.map { Array($0.payload.dropFirst()) } == [
                world.bytes("HUB 00 00"), world.bytes("HUB 0901 01 1900 00"),
                world.bytes("HUB 0901 01 0207 00"),
            ])
        let told = world.desk.indications[1].dropFirst(before).map { indication in
            switch indication {
            case .resolved(let address, let eui64): "\(address.rawValue) \(eui64)"
            case .matched(let cluster, _, let endpoint): "\(cluster) at \(endpoint)"
            case .noMatch(let cluster, _): "no \(cluster)"
            default: "other"
            }
        }
        #expect(told == ["0 \(World.coordinatorEUI64)", "25 at 1", "no 1794"])
        // The same answer once more, and one from somebody else, say nothing any more.
        let transaction = try #require(asked.first?.payload.first)
        let answer = [transaction] + world.bytes("00 HUB64 HUB")
        for source in [ShortAddress.coordinator, World.attackerAddress] {
            var header = world.header(to: world.device)
            header.source = source
            let isHub = source == .coordinator
            var frame = world.forge(
                header, world.zdo(0x8001, answer), via: world.device,
                source: isHub ? World.coordinatorEUI64 : World.attackerEUI64,
                counter: isHub ? 900_000 : nil)
            // A MAC sequence number that is not one of the hub's last.
            frame[2] = world.lastFrame(from: 0)[2] &+ 100
            let drops = world.attack(1, with: [frame]).drops
            #expect(drops.filter { $0 != .nwkUnexpected } == [.zdoUnexpected])
        }
        #expect(world.desk.indications[1].count == before + 3)
    }

    @Test("the trust centre has a device leave, or rejoin", arguments: [false, true])
    func leave(rejoin: Bool) throws {
        let world = Self.start()
        let (frames, events) = (world.tape.frames.count, world.tape.events.count)
        world.desk.tasks[0].append { stack, now, out in
            stack.requestLeave(of: World.deviceEUI64, rejoin: rejoin, at: now, into: &out)
        }
        world.run(.seconds(2))
        let request = try #require(
            world.opened(from: 0, since: frames).first { $0.aps?.cluster == 0x0034 })
        #expect(
            Array(request.payload.dropFirst()) == world.bytes("DEV64 \(rejoin ? "80" : "00")"))
        let answer = try #require(
            world.opened(from: 1, since: frames).first { $0.aps?.cluster == 0x8034 })
        #expect(answer.payload == [request.payload[0], 0])
        let kinds = world.tape.events[events...].filter { $0.node == 1 }.map(\.kind)
        #expect(kinds.contains(.left) == !rejoin)
        #expect(kinds.contains(.rejoined) == rejoin)
        let relation = world.stack(0)?.neighbourTable[World.deviceEUI64]?.relation
        #expect(relation == (rejoin ? .child : nil))
        if rejoin { #expect(world.desk.joined == 2) }
    }

    @Test("the trust centre opens joining at a router, for as long as it says; nobody else does")
    func permitJoining() throws {
        let world = World {
            $0.endpoints =
                $0.role == .coordinator ? ZDOCase.hubEndpoints : ZDOCase.deviceEndpoints
            if $0.role == .endDevice { $0.role = .router }
        }
        world.start()
        #expect(world.isJoiningOpen(at: 1) == true)
        let since = world.tape.frames.count
        world.desk.tasks[0].append { stack, now, out in
            stack.permitJoining(.zero, at: now, into: &out)
        }
        world.run(.seconds(1))
        let request = try #require(
            world.opened(from: 0, since: since).first { $0.aps?.cluster == 0x0036 })
        #expect(request.nwk.destination == .routers)
        #expect(Array(request.payload.dropFirst()) == [0, 1])
        #expect(world.isJoiningOpen(at: 0) == false && world.isJoiningOpen(at: 1) == false)
        // A stranger, to the router, the hub and all; and the router to the hub.
        for each in [
            ZDOCase("one router", 0x0036, .stranger, .device, "3C 01", "8D"),
            ZDOCase("the hub", 0x0036, .stranger, .hub, "3C 01", "8D"),
            ZDOCase("all routers", 0x0036, .stranger, .device, "3C 01", to: .routers),
            ZDOCase("the hub", 0x0036, .device, .hub, "3C 01", "8D"),
        ] {
            let exchange = try world.exchange(each)
            #expect(
                exchange.answers == (each.answer == nil ? [] : [exchange.expected]),
                "\(each.name)")
            #expect(
                world.isJoiningOpen(at: 0) == false && world.isJoiningOpen(at: 1) == false,
                "\(each.name)")
        }
        let allowed = try world.exchange(
            ZDOCase("the trust centre", 0x0036, .hub, .device, "3C 01", "00"))
        #expect(allowed.answers == [[0]])
        #expect(world.isJoiningOpen(at: 0) == false && world.isJoiningOpen(at: 1) == true)
        world.run(.seconds(58))
        #expect(world.isJoiningOpen(at: 1) == true)
        world.run(.seconds(2))
        #expect(world.isJoiningOpen(at: 1) == false)
    }

    @Test("a router says in its node descriptor that it is one, and what its profile sets")
    func nodeDescriptor() throws {
        let world = World {
            if $0.role == .endDevice { $0.role = .router }
            $0.network.maximumBufferSize = 127
            $0.network.maximumIncomingTransfer = 1_500
            $0.network.maximumOutgoingTransfer = 1_024
            $0.network.stackRevision = 0
        }
        world.start()
        let asked = try world.exchange(
            ZDOCase(
                "Node_Desc", 0x0002, .hub, .device, "DEV",
                "00 DEV  01 40 8E F1FF 7F DC05 0000 0004 00"))
        #expect(asked.answers == [asked.expected])
    }
}

extension World {
    /// The bytes that a case's text stands for.
    func bytes(_ text: String) -> [UInt8] {
        var frame = FrameBuffer()
        for word in text.split(separator: " ") {
            switch word {
            case "HUB64": frame.append(World.coordinatorEUI64)
            case "DEV64": frame.append(World.deviceEUI64)
            case "WHO64": frame.append(World.attackerEUI64)
            case "HUB": frame.append(ShortAddress.coordinator)
            case "DEV": frame.append(device)
            case "WHO": frame.append(World.attackerAddress)
            default:
                let raw = Hex.bytes(word) ?? []
                frame.append(raw.span)
            }
        }
        return frame.bytes
    }

    /// A ZDO message as an APS frame.
    func zdo(_ cluster: UInt16, _ message: [UInt8], broadcast: Bool = false) -> [UInt8] {
        var header = APSHeader(kind: .data, counter: sequence)
        header.delivery = broadcast ? .broadcast : .unicast
        (header.cluster, header.profile) = (cluster, ProfileID.zigbeeDevice)
        var frame = FrameBuffer()
        header.encode(into: &frame)
        return frame.bytes + message
    }

    /// What the device announced.
    var announce: OpenedFrame? {
        let all = opened(from: 1).filter { $0.aps?.cluster == 0x0013 }
        return all.count == 1 ? all[0] : nil
    }

    /// Puts a case's request to the party asked, under a transaction number of its own.
    ///
    /// - Returns: what it answers behind that number, what it should, and what it drops.
    func exchange(_ each: ZDOCase) throws -> (
        answers: [[UInt8]], expected: [UInt8], drops: [DropReason]
    ) {
        if each.asker == .stranger { attackerBecomesRouter() }
        transaction &+= 1
        let message = [transaction] + bytes(each.request)
        let target = each.broadcast ?? (each.asked == .hub ? .coordinator : device)
        let (frames, events) = (tape.frames.count, tape.events.count)
        if each.asker == .stranger {
            desk.raw.append(
                forge(
                    header(to: target),
                    zdo(each.cluster, message, broadcast: each.broadcast != nil), via: target))
        } else {
            desk.tasks[each.asker.index].append { stack, now, out in
                stack.send(
                    FrameBuffer(message), to: target, endpoint: 0, from: 0,
                    cluster: each.cluster, profile: ProfileID.zigbeeDevice, options: [],
                    at: now, into: &out)
            }
        }
        run(.milliseconds(300))
        let own = each.asked == .hub ? ShortAddress.coordinator : device
        let answers = opened(from: each.asked.index, since: frames).filter {
            $0.nwk.source == own && $0.aps?.kind == .data
                && $0.aps?.profile == ProfileID.zigbeeDevice
                && $0.aps?.cluster == each.cluster | ZDOCluster.response
                && $0.payload.first == transaction
        }
        // What is heard meanwhile of others, such as link status, is beside the point.
        let air: Set<DropReason> = [
            .receiverOff, .collision, .nwkDuplicateBroadcast, .nwkUnexpected,
        ]
        let dropped = drops(at: each.asked.index, since: events).filter { !air.contains($0) }
        // The stranger acknowledges nothing: until it is given up, an answer takes up a place.
        if each.asker == .stranger, each.answer != nil { run(.seconds(7)) }
        return (
            answers.map { Array($0.payload.dropFirst()) }, bytes(each.answer ?? ""), dropped
        )
    }
}
