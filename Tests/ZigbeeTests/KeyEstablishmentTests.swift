import Crypto
import Testing
import Wire
import Zigbee

/// A device and a hub with certificates of one authority, and what is said between them.
struct KeyBench {
    static let device = EUI64(0x00DB_1234_5678_90A4)
    static let hub = EUI64(0x00DB_1234_5678_90A0)

    let suite: CBKESuite
    let issuer: CBKEIssuer
    var client: KeyEstablishmentClient
    var server: KeyEstablishmentServer
    var now = Instant.zero + .seconds(1)

    init(
        _ suite: CBKESuite = .two, authority: UInt64 = 1, issuerName: UInt64 = 0xCA,
        subject: EUI64 = device, serverSuites: [CBKESuite]? = nil,
        settings: KeyEstablishmentSettings = KeyEstablishmentSettings()
    ) throws {
        self.suite = suite
        var stream = SeededStream(Seed(1).named("bench"))
        issuer = CBKEIssuer(issuer: EUI64(0xCA), suite: suite, from: &stream)
        var other = SeededStream(Seed(authority).named("bench"))
        let clientIssuer = CBKEIssuer(issuer: EUI64(issuerName), suite: suite, from: &other)
        client = KeyEstablishmentClient(
            settings: settings,
            credentials: try Self.credentials(clientIssuer, for: subject, &stream),
            eui64: Self.device, seed: Seed(2))
        var held: [CBKECredentials] = []
        for suite in serverSuites ?? [suite] {
            let issuer =
                suite == self.suite
                ? issuer : CBKEIssuer(issuer: EUI64(0xCA), suite: suite, from: &stream)
            held.append(try Self.credentials(issuer, for: Self.hub, &stream))
        }
        server = KeyEstablishmentServer(
            settings: settings, credentials: held, eui64: Self.hub, seed: Seed(3))
        client.begin(with: Self.hub, at: .zero)
    }

    static func credentials(
        _ issuer: CBKEIssuer, for subject: EUI64, _ stream: inout SeededStream
    ) throws -> CBKECredentials {
        let form: ImplicitCertificate.Form =
            issuer.suite == .one
            ? .one(attributes: [1, 9, 0, 6, 0, 0, 0, 0, 0, 0])
            : .two(
                serial: 1, validFrom: 0, lifetime: ImplicitCertificate.endless,
                usage: ImplicitCertificate.usualUsage)
        return try issuer.credentials(form, for: subject, from: &stream)
    }

    /// The device looks for the server and finds it; its Initiate.
    mutating func initiate() throws -> KeyEstablishmentCommand {
        try #require(client.step(at: now) == .find)
        return try #require(Self.command(client.found(1, at: now)))
    }

    /// What a step sends.
    static func command(_ step: KeyEstablishmentClient.Step) -> KeyEstablishmentCommand? {
        switch step {
        case .send(let command): command
        case .failed(_, let command): command
        case .none, .find, .established, .unexpected: nil
        }
    }

    mutating func ask(_ command: KeyEstablishmentCommand) -> KeyEstablishmentServer.Answer {
        server.received(command, from: Self.device, at: now)
    }

    mutating func tell(_ command: KeyEstablishmentCommand) -> KeyEstablishmentClient.Step {
        client.received(command, from: Self.hub, at: now)
    }

    /// Goes on until the device's confirmation, which is returned.
    mutating func untilConfirmation() throws -> KeyEstablishmentCommand {
        let certificate = try #require(ask(try initiate()).reply)
        let ephemeral = try #require(Self.command(tell(certificate)))
        let answer = try #require(ask(ephemeral).reply)
        return try #require(Self.command(tell(answer)))
    }

    func terminate(
        _ status: KeyEstablishmentStatus, suites: KeyEstablishmentSuites? = nil
    ) -> KeyEstablishmentCommand {
        .terminate(
            TerminateKeyEstablishment(
                status: status, waitTime: server.settings.waitTime,
                suites: suites ?? KeyEstablishmentSuites(suite)))
    }
}

@Suite("Key Establishment between two machines")
struct KeyEstablishmentTests {
    @Test("a rejoin does not bring the next attempt forward, another partner does")
    func patience() throws {
        var bench = try KeyBench()
        let soon = bench.client.settings.afterJoining
        #expect(bench.client.step(at: bench.now) == .find)
        _ = bench.client.found(nil, at: bench.now)
        let next = bench.now + bench.client.settings.retryInterval
        #expect(bench.client.nextDeadline == next)
        bench.now = bench.now + .seconds(1)
        bench.client.begin(with: KeyBench.hub, at: bench.now)
        #expect(bench.client.nextDeadline == next)
        bench.client.begin(with: EUI64(0x1234), at: bench.now)
        #expect(bench.client.nextDeadline == bench.now + soon)
    }

    @Test("a device and its hub come to the same link key", arguments: CBKESuite.allCases)
    func established(suite: CBKESuite) throws {
        var bench = try KeyBench(suite)
        let confirmation = try bench.untilConfirmation()
        let answer = bench.ask(confirmation)
        let key = try #require(answer.linkKey)
        #expect(answer.failure == nil && bench.server.sessionCount == 0)
        #expect(bench.tell(try #require(answer.reply)) == .established(key))
        #expect(bench.client.nextDeadline == .distantFuture)
        #expect(bench.client.suites == bench.server.suites)
    }

    @Test("another attempt gives another key")
    func anew() throws {
        var bench = try KeyBench()
        let first = bench.ask(try bench.untilConfirmation()).linkKey
        bench.client.begin(with: KeyBench.hub, at: bench.now)
        bench.now = bench.now + .seconds(60)
        let second = bench.ask(try bench.untilConfirmation()).linkKey
        #expect(first != nil && second != nil && first != second)
    }

    @Test("a hub that does not know the certificate's issuer says so, and how long to wait")
    func unknownIssuer() throws {
        var bench = try KeyBench(issuerName: 0xCB)
        let answer = bench.ask(try bench.initiate())
        #expect(answer.reply == bench.terminate(.unknownIssuer))
        #expect(answer.failure == .refused(.unknownIssuer))
        #expect(
            bench.tell(bench.terminate(.unknownIssuer))
                == .failed(.terminated(.unknownIssuer), send: nil))
        // It comes back after its own interval, which is longer than the hub asked for.
        #expect(bench.client.nextDeadline == bench.now + .minutes(5))
    }

    @Test("a device that is asked to wait for longer than its own interval does")
    func wait() throws {
        var settings = KeyEstablishmentSettings()
        settings.retryInterval = .seconds(5)
        settings.waitTime = 100
        var bench = try KeyBench(issuerName: 0xCB, settings: settings)
        _ = bench.tell(try #require(bench.ask(try bench.initiate()).reply))
        #expect(bench.client.nextDeadline == bench.now + .seconds(100))
        bench.now = bench.now + .seconds(100)
        #expect(bench.client.step(at: bench.now) == .find)
    }

    @Test("an authority of the same name with another key confirms nothing")
    func falseAuthority() throws {
        var bench = try KeyBench(authority: 77)
        let answer = bench.ask(try bench.untilConfirmation())
        #expect(answer.reply == bench.terminate(.badKeyConfirm))
        #expect(answer.linkKey == nil && bench.server.sessionCount == 0)
    }

    @Test("a certificate for another device is refused")
    func wrongSubject() throws {
        var bench = try KeyBench(subject: EUI64(5))
        let answer = bench.ask(try bench.initiate())
        #expect(answer.reply == bench.terminate(.invalidCertificate))
    }

    @Test("a certificate that is none is refused, by the hub and by the device")
    func invalidCertificate() throws {
        var bench = try KeyBench()
        guard case .initiate(var initiate) = try bench.initiate() else { return }
        initiate.certificate[9] = 0
        #expect(bench.ask(.initiate(initiate)).reply == bench.terminate(.invalidCertificate))
        #expect(
            bench.tell(.initiate(initiate))
                == .failed(
                    .refused(.invalidCertificate), send: bench.terminate(.invalidCertificate)))
    }

    @Test("the device checks its hub's certificate as strictly")
    func hubsCertificate() throws {
        var bench = try KeyBench()
        let own = try bench.initiate()
        // Its own certificate come back is not the hub's.
        #expect(
            bench.tell(own)
                == .failed(
                    .refused(.invalidCertificate), send: bench.terminate(.invalidCertificate)))
        var other = try KeyBench(issuerName: 0xCB)
        _ = try other.initiate()
        let reply = try #require(bench.ask(own).reply)
        #expect(
            other.tell(reply)
                == .failed(.refused(.unknownIssuer), send: other.terminate(.unknownIssuer)))
    }

    @Test("a suite that the hub lacks is refused with those that it has")
    func unsupportedSuite() throws {
        var bench = try KeyBench(.one, serverSuites: [.two])
        let answer = bench.ask(try bench.initiate())
        #expect(
            answer.reply
                == bench.terminate(.unsupportedSuite, suites: KeyEstablishmentSuites(.two)))
        var rich = try KeyBench(.one, serverSuites: [.two, .one])
        #expect(rich.ask(try rich.untilConfirmation()).linkKey != nil)
        #expect(rich.server.suites.rawValue == 3)
        // The device takes no other suite than the one that it asked for.
        let initiate = try rich.anyOfTwo()
        bench.client.begin(with: KeyBench.hub, at: bench.now)
        bench.now = bench.now + .seconds(1)
        _ = try bench.initiate()
        #expect(
            bench.tell(try #require(initiate))
                == .failed(.refused(.unsupportedSuite), send: bench.terminate(.unsupportedSuite)))
    }

    @Test(
        "points that are none end the session",
        arguments: [[UInt8](), [2], [UInt8](repeating: 0, count: 37)])
    func badPoint(point: [UInt8]) throws {
        var bench = try KeyBench()
        let certificate = try #require(bench.ask(try bench.initiate()).reply)
        #expect(bench.ask(.ephemeralData(point)).reply == bench.terminate(.badMessage))
        #expect(bench.server.sessionCount == 0)
        _ = bench.tell(certificate)
        #expect(
            bench.tell(.ephemeralData(point))
                == .failed(.refused(.badMessage), send: bench.terminate(.badMessage)))
    }

    @Test("a wrong confirmation ends the session, on either side")
    func badConfirmation() throws {
        var bench = try KeyBench()
        _ = try bench.untilConfirmation()
        let wrong = KeyEstablishmentCommand.confirmKey(Key128(high: 1, low: 2))
        #expect(bench.ask(wrong).reply == bench.terminate(.badKeyConfirm))
        #expect(
            bench.tell(wrong)
                == .failed(.refused(.badKeyConfirm), send: bench.terminate(.badKeyConfirm)))
    }

    @Test("a confirmation sent back is not the other side's")
    func reflected() throws {
        var bench = try KeyBench()
        let confirmation = try bench.untilConfirmation()
        #expect(
            bench.tell(confirmation)
                == .failed(.refused(.badKeyConfirm), send: bench.terminate(.badKeyConfirm)))
    }

    @Test("commands out of order, or that come again, end the session")
    func outOfOrder() throws {
        var bench = try KeyBench()
        let point = KeyEstablishmentCommand.ephemeralData([UInt8](repeating: 2, count: 37))
        let code = KeyEstablishmentCommand.confirmKey(Key128(high: 0, low: 0))
        // Without a session.
        #expect(bench.ask(point).reply == bench.terminate(.badMessage))
        #expect(bench.ask(code).reply == bench.terminate(.badMessage))
        // A confirmation before its time.
        let initiate = try bench.initiate()
        _ = bench.ask(initiate)
        #expect(bench.ask(code).reply == bench.terminate(.badMessage))
        // Ephemeral data twice.
        let certificate = try #require(bench.ask(initiate).reply)
        let ephemeral = try #require(KeyBench.command(bench.tell(certificate)))
        #expect(bench.ask(ephemeral).failure == nil)
        #expect(bench.ask(ephemeral).reply == bench.terminate(.badMessage))
        // The device hears a certificate twice.
        #expect(
            bench.tell(certificate)
                == .failed(.refused(.badMessage), send: bench.terminate(.badMessage)))
        // A confirmation once more, after the key is established.
        bench.now = bench.client.nextDeadline
        let last = try bench.untilConfirmation()
        #expect(bench.ask(last).linkKey != nil)
        let again = bench.ask(last)
        #expect(again.linkKey == nil && again.reply == bench.terminate(.badMessage))
    }

    @Test("what could not be read ends the session with BAD_MESSAGE")
    func malformed() throws {
        var bench = try KeyBench()
        #expect(bench.client.receivedMalformed(at: bench.now) == .unexpected)
        _ = bench.ask(try bench.initiate())
        #expect(
            bench.server.receivedMalformed(from: KeyBench.device).reply
                == bench.terminate(.badMessage))
        #expect(
            bench.client.receivedMalformed(at: bench.now)
                == .failed(.refused(.badMessage), send: bench.terminate(.badMessage)))
    }

    @Test("nobody answers a Terminate, and a device answers nothing that it did not ask for")
    func silence() throws {
        var bench = try KeyBench()
        let nothing = bench.ask(bench.terminate(.badMessage))
        #expect(nothing.reply == nil && nothing.failure == nil && nothing.linkKey == nil)
        let initiate = try bench.initiate()
        _ = bench.ask(initiate)
        #expect(bench.ask(bench.terminate(.noResources)).reply == nil)
        #expect(bench.server.sessionCount == 0)
        _ = bench.tell(bench.terminate(.badMessage))
        #expect(bench.tell(initiate) == .unexpected)
        #expect(bench.tell(bench.terminate(.badMessage)) == .unexpected)
        #expect(bench.client.found(1, at: bench.now) == .unexpected)
        #expect(bench.client.received(initiate, from: EUI64(7), at: bench.now) == .unexpected)
    }

    @Test("a hub holds so many sessions at once and no more")
    func sessions() throws {
        var settings = KeyEstablishmentSettings()
        settings.sessions = 2
        var bench = try KeyBench(settings: settings)
        var stream = SeededStream(Seed(9))
        for number in 1...3 as ClosedRange<UInt64> {
            let other = EUI64(number)
            let own = try KeyBench.credentials(bench.issuer, for: other, &stream)
            let answer = bench.server.received(
                .initiate(
                    InitiateKeyEstablishment(
                        suites: bench.server.suites, ephemeralDataTime: 1, confirmKeyTime: 1,
                        certificate: own.certificate.bytes)), from: other, at: bench.now)
            #expect((answer.failure == nil) == (number <= 2))
            if number == 3 { #expect(answer.reply == bench.terminate(.noResources)) }
        }
        #expect(bench.server.sessionCount == 2)
        // Who has fallen silent makes room.
        bench.now = bench.server.nextDeadline
        #expect(bench.server.expire(at: bench.now) == EUI64(1))
        #expect(bench.server.expire(at: bench.now) == EUI64(2))
        #expect(bench.server.expire(at: bench.now) == nil)
        #expect(bench.server.nextDeadline == .distantFuture)
        #expect(bench.ask(try bench.initiate()).failure == nil)
    }

    @Test("each side waits as long as the other says that it takes, and no longer")
    func timeouts() throws {
        var settings = KeyEstablishmentSettings()
        settings.ephemeralDataTime = 7
        settings.confirmKeyTime = 9
        settings.margin = .seconds(3)
        var bench = try KeyBench(settings: settings)
        let certificate = try #require(bench.ask(try bench.initiate()).reply)
        #expect(bench.server.nextDeadline == bench.now + .seconds(10))
        #expect(bench.client.nextDeadline == bench.now + .seconds(3))
        let ephemeral = try #require(KeyBench.command(bench.tell(certificate)))
        #expect(bench.client.nextDeadline == bench.now + .seconds(10))
        let answer = try #require(bench.ask(ephemeral).reply)
        #expect(bench.server.nextDeadline == bench.now + .seconds(12))
        _ = bench.tell(answer)
        #expect(bench.client.nextDeadline == bench.now + .seconds(12))
        bench.now = bench.client.nextDeadline
        #expect(bench.client.isBusy(at: bench.now))
        #expect(bench.client.step(at: bench.now) == .failed(.noAnswer, send: nil))
        #expect(!bench.client.isBusy(at: bench.now))
        #expect(bench.server.expire(at: bench.now) == KeyBench.device)
    }

    @Test("a partner that does not serve the cluster is asked again later")
    func noServer() throws {
        var bench = try KeyBench()
        #expect(bench.client.step(at: bench.now) == .find)
        #expect(bench.client.found(nil, at: bench.now) == .failed(.noServer, send: nil))
        bench.now = bench.client.nextDeadline
        #expect(bench.client.step(at: bench.now) == .find)
        bench.now = bench.client.nextDeadline
        #expect(bench.client.step(at: bench.now) == .failed(.noAnswer, send: nil))
    }
}

extension KeyBench {
    /// The answer of a hub with both suites to somebody who asks for the second.
    fileprivate mutating func anyOfTwo() throws -> KeyEstablishmentCommand? {
        var stream = SeededStream(Seed(10))
        let issuer = CBKEIssuer(issuer: EUI64(0xCA), suite: .two, from: &stream)
        let own = try Self.credentials(issuer, for: Self.device, &stream)
        return ask(
            .initiate(
                InitiateKeyEstablishment(
                    suites: KeyEstablishmentSuites(.two), ephemeralDataTime: 1, confirmKeyTime: 1,
                    certificate: own.certificate.bytes))
        ).reply
    }
}
