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
    }

    @Test("a hub without a free endpoint has no mirror to give, and the GSME asks again")
    func noneFree() {
        let home = homeOfTwo(Homes.hub { $0.mail.mirrorEndpoint = 240 })
        home.run(untilEvent: .mirrorAllotted, of: 0)
        home.run(for: .hours(6))
        #expect(home.events(.mirrorAllotted).map { $0.values[1] } == [240])
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
