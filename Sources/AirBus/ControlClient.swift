import CZeroMQ
import Glibc
import Radio
import Wire

/// Why an air's control socket gave no answer that helps.
public enum ControlError: Error, Sendable, CustomStringConvertible {
    case socket(SocketError)
    /// Nothing came in so many seconds.
    case silent(endpoint: String, seconds: Double)
    /// Nothing came in so many seconds, but the air has the order, or may still get it.
    case unanswered(endpoint: String, seconds: Double)
    case refused(ErrorNotice)
    case garbled(WireError)

    public var description: String {
        switch self {
        case .socket(let error): error.description
        case .silent(let endpoint, let seconds):
            "no air answers at \(endpoint) within \(Int(seconds.rounded(.up))) s; "
                + "'han ps' shows which are there"
        case .unanswered(let endpoint, let seconds):
            "the air at \(endpoint) has not answered within \(Int(seconds.rounded(.up))) s; the "
                + "order may still be carried out: events.jsonl has benchOrdered if it was"
        case .refused(let notice): "the air refuses: \(notice.text)"
        case .garbled(let error): "the air answers something strange: \(error)"
        }
    }
}

/// Asks an air on its control socket, one request after another, each for a bounded time.
public final class ControlClient {
    private let socket: Socket
    private let endpoint: String
    private var builder = MessageBuilder()
    private let buffer: UnsafeMutableRawBufferPointer
    private var number: UInt32 = 0
    /// How long an answer may take, in seconds of the machine's clock.
    public var patience: Double
    /// The same for orders: in virtual pace an air carries one out when no node owes it an answer,
    /// and waits for a node as long as its own patience says.
    public var orderPatience: Double

    /// How long an order may take at an air that waits `airPatience` seconds for a node.
    public static func orderPatience(
        airPatience: Double = AirServiceSettings().patience
    ) -> Double { airPatience + 10 }

    /// - Parameter orderPatience: in seconds; nil for what suits an air's usual patience, and not
    ///   less than `patience`.
    public init(
        endpoints: AirEndpoints, keys: AirKeys? = nil, patience: Double = 5,
        orderPatience: Double? = nil
    ) throws(ControlError) {
        endpoint = endpoints.node
        self.patience = patience
        self.orderPatience = orderPatience ?? max(patience, Self.orderPatience())
        do {
            socket = try Socket(.dealer, in: try SocketContext())
            socket.set(ZMQ_IPV6, endpoints.isIPv6 ? 1 : 0)
            socket.set(ZMQ_RECONNECT_IVL, 20)
            try keys?.applyAsClient(to: socket)
            try socket.connect(endpoints.control)
        } catch {
            throw .socket(error)
        }
        buffer = .allocate(byteCount: AirProtocol.messageLimit, alignment: 16)
    }

    deinit { buffer.deallocate() }

    public func status() throws(ControlError) -> RunStatus {
        guard case .status(let status, _) = try ask(.status, nil, within: patience) else {
            throw .garbled(WireError(.invalid, "kind", at: 0))
        }
        return status
    }

    /// Has the air do something; the virtual time at which it did. With `member`, a WAN message is
    /// for the hub of that member's home.
    @discardableResult
    public func order(
        _ body: ControlRequest.Body, member: UInt16? = nil
    ) throws(ControlError) -> Instant {
        let reply: ControlAnswer
        do {
            reply = try ask(body, member, within: orderPatience)
        } catch .silent(let endpoint, let seconds) {
            throw .unanswered(endpoint: endpoint, seconds: seconds)
        }
        guard case .done(_, let time) = reply else {
            throw .garbled(WireError(.invalid, "kind", at: 0))
        }
        return time
    }

    /// Has the air send WAN messages, each to the hub of a member's home, as close together as may
    /// be: all are on their way before the first is answered, because in virtual pace an idle home
    /// lives through minutes between two requests. No more than `batchLimit`.
    public func sendAll(
        _ messages: [(message: WANMessage, member: UInt16)]
    ) throws(ControlError) {
        precondition(messages.count <= Self.batchLimit)
        let first = number
        for (message, member) in messages { try send(.wan(message), member) }
        // One home may be sooner with its answers than another.
        for _ in messages {
            _ = try answer(to: messages.count, after: first, within: orderPatience)
        }
    }

    /// So many orders may wait at an air, less some for others.
    public static let batchLimit = 500

    /// As `order`, and again while the air says that it is busy, for so many seconds at most: a hub
    /// takes 20 s of virtual time until its software runs.
    @discardableResult
    public func orderPatiently(
        _ body: ControlRequest.Body, seconds: Double = 60
    ) throws(ControlError) -> Instant {
        let limit = WallClock.seconds() + seconds
        while true {
            do {
                return try order(body)
            } catch {
                guard case .refused(let notice) = error, notice.code == .busy,
                    WallClock.seconds() < limit
                else { throw error }
                usleep(50_000)
            }
        }
    }

    private func ask(
        _ body: ControlRequest.Body, _ member: UInt16?, within seconds: Double
    ) throws(ControlError) -> ControlAnswer {
        let last = number
        try send(body, member)
        return try answer(to: 1, after: last, within: seconds)
    }

    private func send(_ body: ControlRequest.Body, _ member: UInt16?) throws(ControlError) {
        number &+= 1
        builder.request(ControlRequest(number: number, body, member: member))
        guard !builder.isOverflowed else { throw .garbled(WireError(.invalid, "request", at: 0)) }
        socket.send(builder.message)
    }

    /// The next answer to one of the `count` requests after number `last`.
    private func answer(
        to count: Int, after last: UInt32, within seconds: Double
    ) throws(ControlError) -> ControlAnswer {
        func isOneOfThem(_ request: UInt32) -> Bool {
            request != last && request &- last <= UInt32(count)
        }
        let limit = WallClock.seconds() + seconds
        while true {
            let left = limit - WallClock.seconds()
            guard left > 0 else { throw .silent(endpoint: endpoint, seconds: seconds) }
            socket.set(ZMQ_RCVTIMEO, Int32(max(1, min(left * 1000, 60_000))))
            guard let size = socket.receive(into: buffer, waits: true) else { continue }
            guard size <= buffer.count, !socket.hasMore else {
                socket.discardRest(buffer)
                throw .garbled(WireError(.trailing, "message", at: 0))
            }
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<size])
                .bindMemory(to: UInt8.self).span
            let answer: ControlAnswer
            do {
                answer = try ControlAnswer(parsing: bytes)
            } catch {
                throw .garbled(error)
            }
            switch answer {
            // What came too late for an earlier request says nothing about this one.
            case .status(_, let request) where !isOneOfThem(request): continue
            case .done(let request, _) where !isOneOfThem(request): continue
            case .error(let notice) where isOneOfThem(notice.request) || notice.request == 0:
                throw .refused(notice)
            case .error: continue
            case .status, .done: return answer
            }
        }
    }
}
