import AirBus
import CZeroMQ
import Radio
import Wire

/// A peer that sends whatever it likes.
final class RawPeer {
    private let context: UnsafeMutableRawPointer
    private let socket: UnsafeMutableRawPointer
    private var buffer = [UInt8](repeating: 0, count: AirProtocol.messageLimit)

    /// - Parameters:
    ///   - name: what it calls itself (`ZMQ_ROUTING_ID`); nil to leave that to ZeroMQ.
    ///   - keys: the air's public key, and its own pair; nil for a connection in the clear.
    init(_ endpoint: String, kind: Int32 = ZMQ_DEALER, name: String? = nil, keys: AirKeys? = nil) {
        context = zmq_ctx_new()
        socket = zmq_socket(context, kind)
        set(ZMQ_LINGER, 0)
        // A busy machine may take long; who expects silence sets this to 0.
        set(ZMQ_RCVTIMEO, 120_000)
        set(ZMQ_SNDHWM, 0)
        set(ZMQ_RCVHWM, 0)
        if let name { zmq_setsockopt(socket, ZMQ_ROUTING_ID, name, name.utf8.count) }
        if kind == ZMQ_SUB { zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0) }
        if let keys {
            zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, keys.server, 40)
            zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, keys.publicKey, 40)
            zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys.secretKey, 40)
        }
        zmq_connect(socket, endpoint)
    }

    deinit { close() }

    private var isClosed = false

    func close() {
        guard !isClosed else { return }
        isClosed = true
        zmq_close(socket)
        zmq_ctx_term(context)
    }

    func set(_ option: Int32, _ value: Int32) {
        var value = value
        zmq_setsockopt(socket, option, &value, 4)
    }

    func subscribe(_ prefix: [UInt8]) {
        zmq_setsockopt(socket, ZMQ_SUBSCRIBE, prefix, prefix.count)
    }

    func send(_ parts: [UInt8]...) {
        for (index, part) in parts.enumerated() {
            zmq_send(socket, part, part.count, index < parts.count - 1 ? ZMQ_SNDMORE : 0)
        }
    }

    func send(_ write: (inout MessageBuilder) -> Void) { send(Catalogue.build(write)) }

    func hello(_ name: String, eui64: EUI64? = nil) {
        send { $0.hello(Hello(processID: 1, eui64: eui64, name: name)) }
    }

    /// What has come, or comes soon: the first part of it; nil for nothing.
    func receive() -> [UInt8]? {
        let size = zmq_recv(socket, &buffer, buffer.count, 0)
        return size < 0 ? nil : Array(buffer.prefix(Int(size)))
    }

    var hasMore: Bool {
        var more: Int32 = 0
        var size = 4
        zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size)
        return more != 0
    }

    /// The next message but pings, and turns unless `turns`; nil for none.
    func next(turns: Bool = false) -> FromAir? {
        // Pings come ten times a second at most.
        for _ in 0..<10_000 {
            guard let bytes = receive(), let message = try? FromAir(bytes) else { return nil }
            switch message {
            case .ping: continue
            case .turn where !turns: continue
            default: return message
            }
        }
        return nil
    }

    /// The next error; nil if something else comes, or nothing.
    func error() -> ErrorNotice? {
        guard case .error(let notice) = next() else { return nil }
        return notice
    }

    func welcome() -> Welcome? {
        guard case .welcome(let welcome) = next() else { return nil }
        return welcome
    }

    /// The next turn; nil if something else comes, or nothing.
    func turn() -> BusTurn? {
        for _ in 0..<10_000 {
            guard let bytes = receive() else { return nil }
            var turn = BusTurn()
            if bytes.first == MessageKind.ping.rawValue { continue }
            guard (try? AirProtocol.decodeTurn(bytes.span, into: &turn)) != nil else { return nil }
            return turn
        }
        return nil
    }

    /// Answers a turn.
    func answer(
        _ turn: BusTurn, next: Instant = .distantFuture, _ fill: (inout Outbox) -> Void = { _ in }
    ) {
        var out = Outbox()
        out.now = turn.time
        fill(&out)
        send { $0.answer(turn: turn.number, nextDeadline: next, from: out) }
    }
}

extension RawPeer {
    /// How an air dismisses it: the last error before `ended`, which must say that it is put off.
    func dismissal() -> ErrorNotice? {
        var last: ErrorNotice?
        while let message = next() {
            switch message {
            case .error(let notice): last = notice
            case .ended(let ended): return ended.reason == .putOff ? last : nil
            default: return nil
            }
        }
        return nil
    }
}
