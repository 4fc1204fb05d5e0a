import Devices
import Lab
import Radio
import Testing
import Wire
import Zigbee

@Suite("The GPF's mirrors")
struct MirrorStories {
    private func homeOfTwo(_ hub: HomeHub = Homes.hub()) -> LiveHome {
        LiveHome(
            Homes.home(
                [
                    Homes.device(.gsme),
                    Homes.device(.gsme, name: "GSME-2", number: 2),
                    Homes.device(.esme),
                ], hub: hub), images: [], [.wait(.hours(1))])
    }

    private func request(_ command: UInt8, _ payload: [UInt8] = []) -> (ZCLHeader, [UInt8]) {
        (
            ZCLHeader(
                isClusterSpecific: true, fromServer: true, disableDefaultResponse: false,
                sequence: 0x71, command: command), payload
        )
    }

    @Test("each GSME asks for a mirror, has its own, and has it still after a restart")
    func ownMirrors() {
        let home = homeOfTwo()
        home.run(untilEvent: .mirrorAllotted, of: 0, count: 2)
        let allotted = home.events(.mirrorAllotted)
        // 1 is the interface and 3 the hub's own.
        #expect(Set(allotted.map { $0.values[1] }) == [2, 4])
        #expect(Set(allotted.map { $0.values[0] }).count == 2)
        home.restart(0)
        home.run(untilEvent: .networkResumed, of: 0)
        home.restart(1)
        home.run(untilEvent: .booted, of: 1, count: 2)
        home.run(for: .hours(2))
        // Both read their flags where they did before, and nobody is turned away.
        #expect(home.events(.mirrorAllotted).count == 2)
        let first = UInt64(DropReason.macMalformed.rawValue)
        #expect(
            home.events(.dropped).filter { $0.node == 0 && $0.values[0] >= first }.isEmpty,
            "the air may lose a frame, but no layer above it turns one away")
    }

    @Test("who has no business there gets no mirror, and a mirror only hears its own GSME")
    func strangers() {
        let home = homeOfTwo()
        home.run(untilEvent: .mirrorAllotted, of: 0, count: 2)
        home.run(untilEvent: .linkKeyEstablished, of: 3)
        home.run(for: .minutes(1))
        func drops() -> [UInt64] {
            home.events(.dropped).filter { $0.node == 0 }.map { $0.values[0] }
        }
        let before = drops().count
        func send(_ command: UInt8, _ payload: [UInt8] = [], from node: Int, to endpoint: UInt8) {
            let (header, body) = request(command, payload)
            home.send(
                header, body, from: node, to: 0, cluster: ClusterID.metering, at: endpoint)
            home.run(for: .seconds(2))
        }
        send(0x01, from: 3, to: 1)
        #expect(drops().dropFirst(before) == [UInt64(DropReason.notInDeviceLog.rawValue)])
        // The second GSME reads the first one's flags, and then wants its mirror gone.
        let mirror = mirrors(home)[Homes.device(.gsme).eui64] ?? 0
        func unexpected() -> Int {
            drops().count { $0 == UInt64(DropReason.zclUnexpected.rawValue) }
        }
        let none = unexpected()
        let read = ZCLHeader(
            isClusterSpecific: false, fromServer: true, disableDefaultResponse: true,
            sequence: 0x72, command: ZCLFoundation.readAttributes)
        home.send(read, [0, 0], from: 2, to: 0, cluster: ClusterID.metering, at: mirror)
        home.run(for: .seconds(2))
        #expect(unexpected() == none + 1)
        // Its counters move on.
        home.run(for: .hours(1))
        send(0x02, from: 2, to: mirror)
        #expect(unexpected() == none + 2)
        home.run(for: .hours(1))
        #expect(home.events(.mirrorAllotted).count == 2)
        #expect(endpoints(home).contains(mirror))
    }

    private func mirrors(_ home: LiveHome) -> [EUI64: UInt8] {
        Dictionary(
            home.events(.mirrorAllotted).map { (EUI64($0.values[0]), UInt8($0.values[1])) },
            uniquingKeysWith: { $1 })
    }

    /// What the hub says that it has.
    private func endpoints(_ home: LiveHome) -> [UInt8] {
        home.stack(0)?.configuration.endpoints.map(\.endpoint) ?? []
    }

    @Test("a hub without a free endpoint has no mirror to give, and the GSME asks again")
    func noneFree() {
        let home = homeOfTwo(Homes.hub { $0.mail.mirrorEndpoint = 240 })
        home.run(untilEvent: .mirrorAllotted, of: 0)
        home.run(for: .hours(6))
        #expect(home.events(.mirrorAllotted).map { $0.values[1] } == [240])
        // Once the first is struck off, its mirror is gone, and the other has one.
        let first = home.events(.mirrorAllotted).map { EUI64($0.values[0]) }
        #expect(endpoints(home).contains(240))
        home.give(.order(.removeDevice(first[0])), to: 0)
        #expect(!endpoints(home).contains(240))
        home.run(untilEvent: .mirrorAllotted, of: 0, count: 2)
        let second = home.events(.mirrorAllotted)[1]
        #expect(second.values[1] == 240 && EUI64(second.values[0]) != first[0])
        #expect(endpoints(home).contains(240))
    }

    @Test(
        "mirrors in flash that do not fit are dropped at a start, and each GSME gets another",
        arguments: [1, 3, 7])
    func spoiltMirrors(place: UInt8) throws {
        let home = homeOfTwo()
        home.run(untilEvent: .mirrorAllotted, of: 0, count: 2)
        home.run(for: .minutes(1))
        // 1 is the interface, 3 the hub's own, and 7 is the same for both.
        try home.rewriteDeviceLog { entry in if entry[25] != 0 { entry[25] = place } }
        home.restart(0)
        home.run(untilEvent: .networkResumed, of: 0)
        #expect(endpoints(home) == [3, 1])
        home.run(untilEvent: .mirrorAllotted, of: 0, count: 4)
        #expect(Set(mirrors(home).values) == [2, 4])
        #expect(Set(endpoints(home)) == [1, 2, 3, 4])
    }

    @Test("a GSME whose flags are not where it reads them asks for a mirror at its next wake")
    func noAttribute() {
        let gsme = Homes.device(.gsme) { $0.tunnel.flagsAttribute = 0x0001 }
        let home = LiveHome(Homes.home([gsme]), images: [], [.wait(.hours(1))])
        home.run(untilEvent: .mirrorAllotted, of: 0)
        home.run(for: .minutes(1))
        // Of which its own machine knows nothing.
        let (header, body) = request(0x02)
        home.send(header, body, from: 1, to: 0, cluster: ClusterID.metering, at: 2)
        home.run(for: .seconds(1))
        #expect(endpoints(home) == [3, 1])
        home.run(for: .minutes(31))
        #expect(home.events(.mirrorAllotted).map { $0.values[1] } == [2, 2])
    }

    @Test("what is read of a Metering server that has nothing is answered attribute by attribute")
    func meteringServer() {
        let home = LiveHome(
            Homes.home([Homes.device(.gsme) { $0.sleep = nil }, Homes.device(.esme)]), images: [],
            [.wait(.hours(1))])
        home.run(untilEvent: .mirrorAllotted, of: 0)
        home.run(untilEvent: .linkKeyEstablished, of: 2)
        home.run(for: .minutes(1))
        let read = ZCLHeader(
            isClusterSpecific: false, fromServer: false, disableDefaultResponse: true,
            sequence: 0x73, command: ZCLFoundation.readAttributes)
        // It comes again until its acknowledgement is one that has not been heard before.
        func answers(of node: Int) -> Set<[UInt8]> {
            let heard = home.messages(from: node) {
                home.send(
                    read, [0x00, 0x00, 0x06, 0x03], from: 0, to: node,
                    cluster: ClusterID.metering)
                home.run(for: .seconds(3))
            }
            return Set(heard.filter { $0.count > 1 && $0[1] == 0x73 })
        }
        // UNSUPPORTED_ATTRIBUTE, twice; an ESME lists no such server: UNSUPPORTED_CLUSTER.
        #expect(answers(of: 1) == [[0x18, 0x73, 0x01, 0x00, 0x00, 0x86, 0x06, 0x03, 0x86]])
        home.run(for: .minutes(1))
        #expect(answers(of: 2) == [[0x18, 0x73, 0x0B, 0x00, 0xC3]])
    }

    @Test("what a mirror is asked and told is read back as it was written", arguments: 0..<40)
    func codec(number: UInt64) throws {
        var dice = SeededStream(Seed(number).named("mirrors"))
        var configuration = MirrorConfiguration(
            reportingInterval: UInt32(truncatingIfNeeded: dice.next()) & 0xFF_FFFF)
        configuration.issuerEventID = UInt32(truncatingIfNeeded: dice.next())
        configuration.reportsNotifications = dice.next() & 1 == 0
        configuration.scheme = UInt8(truncatingIfNeeded: dice.next())
        for request in [MirrorRequest.request, .remove, .configure(configuration)] {
            let frame = request.frame(sequence: 9)
            var reader = ByteReader(frame.span)
            let header = try ZCLHeader(parsing: &reader)
            #expect(try MirrorRequest(header.command, parsing: &reader) == request)
            #expect(reader.remaining == 0)
        }
        let endpoint = UInt8(1 + dice.next() % 240)
        for answer in [MirrorAnswer.allotted(nil), .allotted(endpoint), .removed(endpoint)] {
            let frame = answer.frame(sequence: 9)
            var reader = ByteReader(frame.span)
            let header = try ZCLHeader(parsing: &reader)
            #expect(try MirrorAnswer(header.command, parsing: &reader) == answer)
        }
    }

    @Test("Configure Mirror has the bytes that the cluster's definition gives it")
    func bytes() {
        let frame = MirrorRequest.configure(MirrorConfiguration(reportingInterval: 1_800))
            .frame(sequence: 0x2A)
        #expect(
            Array(frame.bytes)
                == [0x09, 0x2A, 0x08, 0, 0, 0, 0, 0x08, 0x07, 0x00, 0x00, 0x02])
        #expect(
            Array(MirrorAnswer.allotted(nil).frame(sequence: 0x2A).bytes)
                == [0x11, 0x2A, 0x01, 0xFF, 0xFF])
    }
}
