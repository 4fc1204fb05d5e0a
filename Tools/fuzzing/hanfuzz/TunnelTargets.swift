import Radio
import Wire
import Zigbee

extension FuzzTarget {
    /// What comes through a tunnel's cluster, step by step: {flags u8, command u8, length u8,
    /// bytes} over and over. Bit 0 of the flags: from the server; bits 1-2 which client speaks;
    /// bit 3: an hour passes first; bit 4: the client finds no server.
    static func tunnels() -> [FuzzTarget] {
        [
            FuzzTarget("tunnel", maximumLength: 512) {
                Prepared(seeds: TunnelPlay.seeds) { bytes in
                    var play = TunnelPlay()
                    play.run(bytes)
                }
            }
        ]
    }
}

/// A server of up to three tunnels, and a client that asks for one.
private struct TunnelPlay {
    private static let limit = 3
    private var server = TunnelServer(
        settings: TunnelSettings(), limit: TunnelPlay.limit, firstID: 0xFFFE)
    private var client = TunnelClient(settings: TunnelSettings())
    private var now = Instant.zero

    static let seeds: [[UInt8]] = {
        let commands: [TunnelCommand] = [
            .requestTunnel(.gbcs, flowControl: false, maximumIncoming: 1500),
            .transferData(0xFFFE, fromServer: false), .transferData(7, fromServer: true),
            .transferDataError(0xFFFE, .noSuchTunnel, fromServer: false),
            .transferDataError(7, .overflow, fromServer: true),
            .ackTransferData(1, left: 2, fromServer: true),
            .readyData(1, left: 2, fromServer: false),
            .getSupportedProtocols(offset: 0),
            .requestTunnelResponse(7, .success, maximumIncoming: 1500),
            .supportedProtocols([.gbcs], isComplete: true), .closureNotification(7),
            .closeTunnel(0xFFFE),
        ]
        let steps = commands.map { command in
            var builder = ByteBuilder()
            command.encode(into: &builder)
            return [command.fromServer ? 1 : 0, command.code, UInt8(builder.bytes.count)]
                + builder.bytes
        }
        return steps + [Array(steps.joined())]
    }()

    mutating func run(_ bytes: [UInt8]) {
        client.serverAppeared(at: now)
        var rest = bytes[...]
        while rest.count >= 3 {
            let (flags, code) = (rest[rest.startIndex], rest[rest.startIndex + 1])
            let count = Int(rest[rest.startIndex + 2])
            let body = Array(rest.dropFirst(3).prefix(count))
            rest = rest.dropFirst(3 + count)
            if flags & 8 != 0 { now = now + .hours(1) }
            while server.expire(at: now) != nil {}
            if client.step(at: now) == .find {
                _ = client.found(flags & 16 == 0 ? 3 : nil, at: now)
            }
            _ = client.step(at: now)
            hear(body, code, fromServer: flags & 1 != 0, from: UInt64(flags >> 1 & 3))
        }
    }

    private mutating func hear(
        _ body: [UInt8], _ code: UInt8, fromServer: Bool, from device: UInt64
    ) {
        var reader = ByteReader(body.span)
        guard
            let command = try? TunnelCommand(code, fromServer: fromServer, parsing: &reader)
        else { return }
        guard command.code == code, command.fromServer == fromServer else {
            found("a command that is another one")
        }
        var builder = ByteBuilder()
        command.encode(into: &builder)
        guard builder.bytes == Array(body.prefix(reader.offset)) else {
            found("a command is written differently from how it was read")
        }
        if fromServer {
            switch client.receive(command, count: reader.remaining, at: now) {
            case .data where client.tunnel == nil: found("data through no tunnel")
            case .opened(let id) where client.tunnel?.id != id: found("another tunnel is open")
            default: break
            }
        } else {
            _ = server.receive(
                command, from: EUI64(device), at: ShortAddress(UInt16(device)), endpoint: 1,
                count: reader.remaining, now: now)
            if server.tunnels.count > Self.limit { found("more tunnels than there may be") }
            for (index, tunnel) in server.tunnels.enumerated()
            where server.tunnels[..<index].contains(where: { $0.id == tunnel.id }) {
                found("two tunnels of one number")
            }
        }
    }
}
