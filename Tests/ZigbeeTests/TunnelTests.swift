import Testing
import Wire
import Zigbee

@Suite("Tunnels")
struct TunnelTests {
    private static let hub = EUI64(0x00AA_0000_0000_0001)
    private static let other = EUI64(0x00AA_0000_0000_0002)
    private static let now = Instant(microseconds: 1_000_000)

    struct Case: Sendable, CustomTestStringConvertible {
        var hex: String
        var code: UInt8
        var command: TunnelCommand
        var testDescription: String { hex }
    }

    /// From the layouts of Smart Energy's Tunneling cluster.
    static let cases = [
        Case(
            hex: "06ffff00dc05", code: 0,
            command: .requestTunnel(.gbcs, flowControl: false, maximumIncoming: 1_500)),
        Case(hex: "3412", code: 1, command: .closeTunnel(0x1234)),
        Case(hex: "3412", code: 2, command: .transferData(0x1234, fromServer: false)),
        Case(
            hex: "341202", code: 3,
            command: .transferDataError(0x1234, .overflow, fromServer: false)),
        Case(
            hex: "34120002", code: 4,
            command: .ackTransferData(0x1234, left: 512, fromServer: false)),
        Case(hex: "34120002", code: 5, command: .readyData(0x1234, left: 512, fromServer: false)),
        Case(hex: "00", code: 6, command: .getSupportedProtocols(offset: 0)),
        Case(
            hex: "341200dc05", code: 0,
            command: .requestTunnelResponse(0x1234, .success, maximumIncoming: 1_500)),
        Case(hex: "3412", code: 1, command: .transferData(0x1234, fromServer: true)),
        Case(
            hex: "341200", code: 2,
            command: .transferDataError(0x1234, .noSuchTunnel, fromServer: true)),
        Case(
            hex: "34120002", code: 3,
            command: .ackTransferData(0x1234, left: 512, fromServer: true)),
        Case(hex: "34120002", code: 4, command: .readyData(0x1234, left: 512, fromServer: true)),
        Case(
            hex: "0102ffff0634127b", code: 5,
            command: .supportedProtocols(
                [.gbcs, TunnelProtocol(manufacturer: 0x1234, number: 0x7B)], isComplete: true)),
        Case(hex: "3412", code: 6, command: .closureNotification(0x1234)),
    ]

    @Test("each command is read from known bytes and written as they were", arguments: cases)
    func layouts(one: Case) throws {
        let bytes = try #require(Hex.bytes(one.hex))
        #expect(one.command.code == one.code)
        var reader = ByteReader(bytes.span)
        let read = try TunnelCommand(
            one.code, fromServer: one.command.fromServer, parsing: &reader)
        #expect(read == one.command && reader.remaining == 0)
        var builder = ByteBuilder()
        one.command.encode(into: &builder)
        #expect(builder.bytes == bytes)
        for count in bytes.indices {
            #expect(throws: WireError.self) {
                var reader = ByteReader(bytes.span.extracting(0..<count))
                _ = try TunnelCommand(
                    one.code, fromServer: one.command.fromServer, parsing: &reader)
            }
        }
    }

    @Test("a number that a direction does not have is no command, and a flag is 0 or 1")
    func unknown() throws {
        for fromServer in [false, true] {
            let bytes: [UInt8] = [1, 2, 3, 4, 5, 6]
            var reader = ByteReader(bytes.span)
            #expect(try TunnelCommand(7, fromServer: fromServer, parsing: &reader) == nil)
        }
        let bytes = try #require(Hex.bytes("06ffff02dc05"))
        #expect(throws: WireError.self) {
            var reader = ByteReader(bytes.span)
            _ = try TunnelCommand(0, fromServer: false, parsing: &reader)
        }
    }

    private func server(limit: Int = 2) -> TunnelServer {
        TunnelServer(settings: TunnelSettings(), limit: limit, firstID: 7)
    }

    private func give(
        _ server: inout TunnelServer, _ command: TunnelCommand, from client: EUI64 = hub,
        count: Int = 0, at now: Instant = now
    ) -> TunnelServer.Verdict {
        server.receive(
            command, from: client, at: .coordinator, endpoint: 3, count: count, now: now)
    }

    private static let request = TunnelCommand.requestTunnel(
        .gbcs, flowControl: false, maximumIncoming: 900)

    @Test("a server opens one tunnel for each client, and says why it opens none")
    func opening() {
        var server = server()
        guard case .opened(let first, let answer) = give(&server, Self.request) else {
            Issue.record("not opened")
            return
        }
        #expect(first.id == 7 && first.maximum == 900 && first.client == Self.hub)
        #expect(answer == .requestTunnelResponse(7, .success, maximumIncoming: 1_500))
        // Who asks again has forgotten the first.
        guard case .opened(let second, _) = give(&server, Self.request) else {
            Issue.record("not opened anew")
            return
        }
        #expect(second.id == 8 && server.tunnels.map(\.id) == [8])
        guard case .opened = give(&server, Self.request, from: Self.other) else {
            Issue.record("not opened for another")
            return
        }
        let refusals: [(TunnelCommand, TunnelStatus)] = [
            (Self.request, .noMoreTunnels),
            (
                .requestTunnel(
                    TunnelProtocol(manufacturer: 0xFFFF, number: 0), flowControl: false,
                    maximumIncoming: 1), .protocolNotSupported
            ),
            (
                .requestTunnel(
                    TunnelProtocol(manufacturer: 1, number: 6), flowControl: false,
                    maximumIncoming: 1), .protocolNotSupported
            ),
            (
                .requestTunnel(.gbcs, flowControl: true, maximumIncoming: 1),
                .flowControlNotSupported
            ),
        ]
        for (command, status) in refusals {
            #expect(
                give(&server, command, from: EUI64(9))
                    == .answer(.requestTunnelResponse(0xFFFF, status, maximumIncoming: 1_500)))
        }
        #expect(
            give(&server, .getSupportedProtocols(offset: 0))
                == .answer(.supportedProtocols([.gbcs], isComplete: true)))
        #expect(
            give(&server, .getSupportedProtocols(offset: 1))
                == .answer(.supportedProtocols([], isComplete: true)))
    }

    @Test("data of the wrong tunnel, the wrong device or too long are refused by their reason")
    func data() {
        var server = server()
        _ = give(&server, Self.request)
        func send(_ id: UInt16, _ count: Int, from client: EUI64 = Self.hub)
            -> TunnelServer.Verdict
        {
            give(&server, .transferData(id, fromServer: false), from: client, count: count)
        }
        func error(_ id: UInt16, _ error: TunnelError) -> TunnelCommand {
            .transferDataError(id, error, fromServer: true)
        }
        #expect(send(7, 1_500) == .data(7))
        #expect(send(7, 1_501) == .refused(error(7, .overflow), .tunnelOverflow))
        #expect(send(8, 1) == .refused(error(8, .noSuchTunnel), .tunnelUnknown))
        #expect(
            send(7, 1, from: Self.other) == .refused(error(7, .wrongDevice), .tunnelWrongDevice))
        #expect(
            give(&server, .closeTunnel(7), from: Self.other) == .dropped(.tunnelWrongDevice))
        #expect(
            give(&server, .ackTransferData(7, left: 1, fromServer: false))
                == .dropped(.zclUnexpected))
        #expect(give(&server, .closeTunnel(7)) == .closed(7))
        #expect(give(&server, .closeTunnel(7)) == .dropped(.tunnelUnknown))
        #expect(send(7, 1) == .refused(error(7, .noSuchTunnel), .tunnelUnknown))
    }

    @Test("a tunnel that nobody uses for CloseTunnelTimeout is closed, and not before")
    func idle() {
        var settings = TunnelSettings()
        settings.closeTimeout = 100
        var server = TunnelServer(settings: settings, limit: 1, firstID: 1)
        #expect(server.attribute(0)?.value == 100 && server.attribute(1) == nil)
        _ = give(&server, Self.request)
        let used = Self.now + .seconds(60)
        _ = give(&server, .transferData(1, fromServer: false), at: used)
        #expect(server.nextDeadline == used + .seconds(100))
        #expect(server.expire(at: used + .seconds(99)) == nil)
        #expect(server.expire(at: used + .seconds(100))?.id == 1)
        #expect(server.tunnels.isEmpty && server.nextDeadline == .distantFuture)
    }

    @Test("a client finds the server, asks for a tunnel, and asks again whenever it is lost")
    func client() {
        let settings = TunnelSettings()
        var client = TunnelClient(settings: settings)
        var now = Self.now
        #expect(client.step(at: now) == .none)
        #expect(client.nextDeadline == .distantFuture)
        client.serverAppeared(at: now)
        now = client.nextDeadline
        #expect(now == Self.now + settings.afterJoining)
        #expect(client.step(at: now) == .find)
        #expect(client.isBusy)
        // Nobody says where it is.
        now = client.nextDeadline
        #expect(client.step(at: now) == .none)
        #expect(!client.isBusy)
        let late = client.found(3, at: now)
        #expect(!late)
        now = client.nextDeadline
        #expect(client.step(at: now) == .find)
        let isAwaited = client.found(3, at: now)
        #expect(isAwaited)
        #expect(client.step(at: now) == .request(endpoint: 3))
        let refusal = TunnelCommand.requestTunnelResponse(
            0xFFFF, .busy, maximumIncoming: 1_500)
        #expect(client.receive(refusal, count: 0, at: now) == .refused(.busy))
        #expect(client.receive(refusal, count: 0, at: now) == .dropped(.zclUnexpected))
        now = client.nextDeadline
        _ = client.step(at: now)
        _ = client.found(3, at: now)
        _ = client.step(at: now)
        let grant = TunnelCommand.requestTunnelResponse(5, .success, maximumIncoming: 800)
        #expect(client.receive(grant, count: 0, at: now) == .opened(5))
        #expect(client.tunnel?.id == 5 && client.tunnel?.maximum == 800)
        #expect(
            client.receive(.transferData(5, fromServer: true), count: 1_500, at: now) == .data)
        #expect(
            client.receive(.transferData(6, fromServer: true), count: 1, at: now)
                == .rejected(
                    .transferDataError(6, .noSuchTunnel, fromServer: false), .tunnelUnknown))
        #expect(
            client.receive(.transferData(5, fromServer: true), count: 1_501, at: now)
                == .rejected(
                    .transferDataError(5, .overflow, fromServer: false), .tunnelOverflow))
        #expect(
            client.receive(.transferDataError(5, .overflow, fromServer: true), count: 0, at: now)
                == .failed(.overflow))
        #expect(client.tunnel != nil)
        #expect(
            client.receive(.closureNotification(6), count: 0, at: now) == .dropped(.tunnelUnknown))
        #expect(client.receive(.closureNotification(5), count: 0, at: now) == .closed(5))
        #expect(client.tunnel == nil)
        now = client.nextDeadline
        #expect(client.step(at: now) == .request(endpoint: 3))
        _ = client.receive(grant, count: 0, at: now)
        #expect(
            client.receive(
                .transferDataError(5, .noSuchTunnel, fromServer: true), count: 0, at: now)
                == .failed(.noSuchTunnel))
        #expect(client.tunnel == nil && client.nextDeadline == now + settings.reopen)
        client.serverLeft()
        #expect(client.nextDeadline == .distantFuture)
    }
}
