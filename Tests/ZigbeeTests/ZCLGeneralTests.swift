import Testing
import Wire
import Zigbee

/// A profile-wide request and what it is answered, as hex from the ZCL header on.
struct Exchange: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var request: String
    /// Empty where no answer is due.
    var answer: String

    init(_ what: String, _ request: String, _ answer: String) {
        (testDescription, self.request, self.answer) = (what, request, answer)
    }

    /// To the Basic cluster of a device on the mains.
    static let basic: [Exchange] = [
        Exchange("reads what is there", "00010000000700", "18010100000020030700003001"),
        Exchange("reads what is not", "00010000000400", "1801010000002003040086"),
        Exchange("an odd number of bytes is malformed", "000100000004", "18010b0080"),
        Exchange("nothing to read is malformed", "000100", "18010b0080"),
        Exchange("writes one", "00010211003007", "18010400"),
        Exchange("writes one, undivided", "00010311003007", "18010400"),
        Exchange("writes no response", "00010511003007", ""),
        Exchange("a malformed write without response has none", "0001051100", ""),
        Exchange("another type", "00010211002007", "1801048d1100"),
        Exchange("a string for a number", "000102110042034142431100300a", "1801048d1100"),
        Exchange("read only", "00010200002003", "180104880000"),
        Exchange("no such attribute", "00010204003001", "180104860400"),
        Exchange("a value that is not allowed", "00010211003080", "180104871100"),
        Exchange(
            "lists only what failed, in order", "0001020000200311003007040030010700300111003080",
            "180104880000860400880700871100"),
        Exchange("a type that ends nobody knows where", "000102110048000000", "18010b0280"),
        Exchange("a truncated string", "0001021100420541", "18010b0280"),
        Exchange("no records", "000102", "18010b0280"),
        Exchange("nothing is reportable", "000106000000203c00100e01", "1801078c000000"),
        Exchange("another type to report", "000106000000213c00100e0100", "1801078d000000"),
        Exchange("no such attribute to report", "000106000500303c00100e", "18010786000500"),
        Exchange(
            "both directions", "000106010000100000070030000000ff", "1801078c0100008c000700"),
        Exchange("a direction that there is not", "000106020000", "18010b0680"),
        Exchange("no reporting to read", "000108000000000500", "1801098c00000086000500"),
        Exchange("a truncated one", "00010800", "18010b0880"),
        Exchange("discovers all", "00010c0000ff", "18010d01000020070030110030"),
        Exchange("discovers some", "00010c000002", "18010d00000020070030"),
        Exchange("discovers from the middle", "00010c080005", "18010d01110030"),
        Exchange("discovers nothing further", "00010c120005", "18010d01"),
        Exchange("discovers nothing at all", "00010c000000", "18010d00"),
        Exchange("discovers what may be done", "0001150000ff", "1801160100002001070030011100 3003"),
        Exchange("no commands to receive", "00011100ff", "18011201"),
        Exchange("no commands to generate", "00011300ff", "18011401"),
        Exchange("structured reads are not supported", "00010e0000", "18010b0e82"),
        Exchange("nor what nobody has heard of", "00012a", "18010b2a82"),
        Exchange("a report is taken note of", "08010a0000 2003", "10010b0a00"),
        Exchange("or not, if nobody wants to know", "18010a0000 2003", ""),
        Exchange("a default response is never answered", "08010b0086", ""),
        Exchange("nor a malformed one", "08010b", ""),
        Exchange("the cluster has no client here", "080100 0000", "100101000086"),
        Exchange("a command of the cluster", "010100", "18010b0081"),
        Exchange("silent about success, not about errors", "110100", "18010b0081"),
        Exchange("a maker's command", "0534120100", "1c3412010b0083"),
        Exchange("a maker's profile-wide command", "04341201000000", "1c3412010b0084"),
    ]
}

@Suite("Profile-wide commands")
struct ZCLGeneralTests {
    static func message(
        _ hex: String, cluster: UInt16 = ClusterID.basic, isBroadcast: Bool = false
    ) throws -> ZCLMessage {
        let bytes = try #require(Hex.bytes(hex.filter { $0 != " " }))
        return try ZCLMessage(
            APSMessage(
                source: ShortAddress(0x3C9A), sourceEUI64: EUI64(1), sourceEndpoint: 1,
                destinationEndpoint: 1, cluster: cluster, profile: ProfileID.smartEnergy,
                isLinkSecured: true, isBroadcast: isBroadcast, wantedAcknowledgement: false,
                frame: FrameBuffer(bytes), payload: 0))
    }

    static func answer(_ zcl: ZCLMessage, _ basic: inout ZCLBasic) -> String {
        let frame = zcl.refusalOfManufacturer ?? basic.answer(zcl)
        return frame.map { Hex.string($0.bytes) } ?? ""
    }

    @Test("each gets the answer that the ZCL has for it", arguments: Exchange.basic)
    func answers(exchange: Exchange) throws {
        var basic = ZCLBasic(isMainsPowered: true)
        let answer = Self.answer(try Self.message(exchange.request), &basic)
        #expect(answer == exchange.answer.filter { $0 != " " })
    }

    @Test("none is answered when it came by broadcast", arguments: Exchange.basic)
    func broadcasts(exchange: Exchange) throws {
        var basic = ZCLBasic(isMainsPowered: true)
        let zcl = try Self.message(exchange.request, isBroadcast: true)
        #expect(Self.answer(zcl, &basic) == "")
    }

    @Test("zigpy reads every answer as the command that it is", .enabled(if: Zigpy.python != nil))
    func zigpy() throws {
        let answers = Exchange.basic.map { $0.answer.filter { $0 != " " } }
            .filter { $0.hasPrefix("18") }
        let requests = try answers.map { answer in
            let bytes = try #require(Hex.bytes(answer))
            return Zigpy.Request(
                command: bytes[2], toClient: true, payload: Hex.string(bytes.dropFirst(3)),
                fields: [:], general: true)
        }
        for (verdict, request) in zip(try Zigpy.judge(requests), requests) {
            #expect(verdict.error == nil)
            #expect(verdict.rest == 0)
            #expect(verdict.made == request.payload)
        }
    }

    @Test("a write changes what it writes, and nothing where it must not")
    func writes() throws {
        var basic = ZCLBasic(isMainsPowered: true)
        func write(_ hex: String, isBroadcast: Bool = false) throws -> UInt8 {
            _ = basic.answer(try Self.message(hex, isBroadcast: isBroadcast))
            return basic.environment
        }
        #expect(try write("00010211003007") == 7)
        // One of two fails: divided, the other is written; undivided, neither.
        #expect(try write("000102110030090000 2003") == 9)
        #expect(try write("000103110030 0a0000 2003") == 9)
        #expect(try write("000103110030 0a") == 10)
        // What is malformed further on writes nothing.
        #expect(try write("000102110030 0b0000") == 10)
        #expect(try write("000105110030 0b") == 11)
        #expect(try write("000102110030 0c", isBroadcast: true) == 12)
    }

    @Test("no answer is longer than one frame holds, however much is asked")
    func bounds() throws {
        var basic = ZCLBasic(isMainsPowered: true)
        let many = [
            "000100" + String(repeating: "0000", count: 50),
            "000102" + String(repeating: "040000", count: 40),
            "000106" + String(repeating: "0100000000", count: 24),
            "000108" + String(repeating: "000000", count: 40),
        ]
        for hex in many {
            let given = basic.answer(try Self.message(hex))
            let answer = try #require(given)
            #expect(answer.count <= ZCLGeneral.frameLimit && answer.count > 60)
            #expect(!answer.isOverflowed)
        }
    }

    @Test("an OTA client lists its attributes and commands, a server its commands")
    func ota() throws {
        let client = ZCLServed.otaClient(pages: true, deviceFiles: false)
        let server = ZCLServed.otaServer(pages: true, deviceFiles: false)
        let attributes = Set(client.identifiers).subtracting([5])
        func answer(_ hex: String, _ served: ZCLServed) throws -> String {
            let zcl = try Self.message(hex, cluster: ClusterID.otaUpgrade)
            let frame = ZCLGeneral.answer(zcl, of: served) { identifier in
                attributes.contains(identifier) ? ZCLAttribute(identifier, .uint32, 1) : nil
            }
            return Hex.string(try #require(frame).bytes.dropFirst(3))
        }
        let listed = try answer("08010c0000ff", client)
        #expect(listed.hasPrefix("01000023010023"))
        #expect(listed.count == 2 + 12 * 6)
        // Seventeen fit, and what is left out is asked for next.
        #expect(try answer("0801110000", client).hasPrefix("00"))
        #expect(try answer("08011100ff", client) == "01" + "0002050709")
        #expect(try answer("08011300ff", client) == "01" + "01030406")
        #expect(try answer("00011100ff", server) == "01" + "01030406")
        #expect(try answer("00011102ff", server) == "01" + "030406")
        let whole = ZCLServed.otaServer(pages: false, deviceFiles: true)
        #expect(try answer("00011100ff", whole) == "01" + "01030608")
        #expect(try answer("00011300ff", whole) == "01" + "0002050709")
    }
}

@Suite("Time")
struct TimeTests {
    private static func answer(_ hex: String, _ clock: inout ZCLTime) throws -> String {
        let zcl = try ZCLGeneralTests.message(hex, cluster: ClusterID.time)
        let given = clock.answer(zcl)
        return Hex.string(try #require(given).bytes)
    }

    @Test("a master tells the time and does not let it be set")
    func master() throws {
        var clock = ZCLTime(
            now: UTCTime(secondsSince2000: 0x1234_5678), status: [.master, .synchronised])
        #expect(
            try Self.answer("00010000000100", &clock)
                == "180101" + "000000e278563412" + "0100001803")
        #expect(try Self.answer("0001020000e201000000", &clock) == "180104880000")
        #expect(try Self.answer("0001020100180 0".filter { $0 != " " }, &clock) == "180104880100")
        #expect(clock.now == UTCTime(secondsSince2000: 0x1234_5678))
        #expect(
            try Self.answer("0001150000ff", &clock) == "18011601" + "0000e201" + "01001801")
    }

    @Test("another server's time can be set, but not to no time at all")
    func other() throws {
        var clock = ZCLTime(now: UTCTime(secondsSince2000: 5), status: .synchronised)
        #expect(try Self.answer("0001020000e2ffffffff", &clock) == "180104870000")
        #expect(try Self.answer("0001020000e201000000", &clock) == "18010400")
        #expect(clock.now == UTCTime(secondsSince2000: 1))
    }

    private static func at(_ seconds: Int64) -> Instant { .zero + .seconds(seconds) }

    /// A client in memory of its own, so that an expectation can ask it to do something.
    private final class Client {
        var client: TimeClient

        init() {
            var settings = TimeClientSettings()
            settings.afterJoining = .seconds(2)
            client = TimeClient(settings: settings, responseTimeout: .seconds(5))
        }

        var nextDeadline: Instant { client.nextDeadline }
        func isBusy(at now: Instant) -> Bool { client.isBusy(at: now) }
        func time(at now: Instant) -> UTCTime? { client.time(at: now) }
        func joined(at now: Instant) { client.joined(at: now) }
        func left() { client.left() }
        func step(at now: Instant) -> TimeClient.Step { client.step(at: now) }
        func sent(sequence: UInt8) { client.sent(sequence: sequence) }
        func found(_ endpoint: UInt8?, at now: Instant) -> Bool { client.found(endpoint, at: now) }
        func received(
            _ time: UInt32?, _ status: ZCLTime.Status, sequence: UInt8, at now: Instant
        ) -> TimeClient.Verdict {
            client.received(time, status, sequence: sequence, at: now)
        }
    }

    @Test("a client finds the server, reads the time and keeps it, and reads it again a day later")
    func reads() {
        let client = Client()
        #expect(client.nextDeadline == .distantFuture)
        #expect(client.time(at: Self.at(0)) == nil)
        client.joined(at: Self.at(10))
        #expect(client.nextDeadline == Self.at(12))
        #expect(client.step(at: Self.at(11)) == .none)
        #expect(client.step(at: Self.at(12)) == .find)
        #expect(client.found(3, at: Self.at(12)))
        #expect(client.step(at: Self.at(12)) == .read(endpoint: 3))
        client.sent(sequence: 9)
        #expect(client.received(1_000, .master, sequence: 8, at: Self.at(13)) == .unexpected)
        let time = UTCTime(secondsSince2000: 1_000)
        #expect(client.received(1_000, .master, sequence: 9, at: Self.at(13)) == .set(time))
        #expect(client.received(2_000, .master, sequence: 9, at: Self.at(13)) == .unexpected)
        #expect(client.time(at: Self.at(73)) == UTCTime(secondsSince2000: 1_060))
        #expect(client.nextDeadline == Self.at(13) + .hours(24))
        #expect(client.step(at: Self.at(13 + 86_400)) == .read(endpoint: 3))
    }

    @Test("a client that gets no answer, or no time, tries again later and goes by what it knew")
    func failures() {
        let client = Client()
        client.joined(at: .zero)
        #expect(client.step(at: Self.at(2)) == .find)
        #expect(client.isBusy(at: Self.at(3)))
        #expect(client.step(at: Self.at(7)) == .none)
        #expect(!client.isBusy(at: Self.at(8)))
        #expect(client.step(at: Self.at(607)) == .find)
        #expect(client.found(nil, at: Self.at(608)))
        #expect(!client.found(3, at: Self.at(608)))
        #expect(client.step(at: Self.at(1_208)) == .find)
        #expect(client.found(3, at: Self.at(1_208)))
        #expect(client.step(at: Self.at(1_208)) == .read(endpoint: 3))
        client.sent(sequence: 1)
        #expect(client.received(7, [], sequence: 1, at: Self.at(1_209)) == .unknown)
        #expect(client.nextDeadline == Self.at(1_809))
        #expect(client.step(at: Self.at(1_809)) == .find)
        client.left()
        #expect(client.nextDeadline == .distantFuture)
        #expect(client.time(at: Self.at(2_000)) == nil)
    }
}
