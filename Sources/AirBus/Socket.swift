import CZeroMQ
import Glibc

/// Why something with a ZeroMQ socket did not work.
public struct SocketError: Error, Sendable, CustomStringConvertible {
    public let operation: String
    public let endpoint: String
    public let code: Int32
    /// Why, where the code alone does not say it.
    private let reason: String?

    init(_ operation: String, _ endpoint: String = "") {
        code = zmq_errno()
        self.operation = operation
        self.endpoint = endpoint
        reason = nil
    }

    init(_ operation: String, _ endpoint: String, code: Int32, _ reason: String) {
        self.operation = operation
        self.endpoint = endpoint
        self.code = code
        self.reason = reason
    }

    public var description: String {
        let place = endpoint.isEmpty ? "" : " '\(endpoint)'"
        return "cannot \(operation)\(place): \(reason ?? String(cString: zmq_strerror(code)))"
    }
}

/// A ZeroMQ context; its I/O threads end with it.
public final class SocketContext: @unchecked Sendable {
    let handle: UnsafeMutableRawPointer

    public init() throws(SocketError) {
        guard let handle = zmq_ctx_new() else { throw SocketError("make a ZeroMQ context") }
        self.handle = handle
        // A home's worth of sockets, and the sniffers of many.
        zmq_ctx_set(handle, ZMQ_MAX_SOCKETS, 4096)
        zmq_ctx_set(handle, ZMQ_MAX_MSGSZ, Int32(Socket.sizeLimit))
    }

    deinit { zmq_ctx_term(handle) }
}

/// A ZeroMQ socket, of one thread.
struct Socket: ~Copyable {
    enum Kind {
        case router
        case dealer
        case publisher
        case subscriber
        case pair
        case reply

        var code: Int32 {
            switch self {
            case .router: ZMQ_ROUTER
            case .dealer: ZMQ_DEALER
            case .publisher: ZMQ_XPUB
            case .subscriber: ZMQ_SUB
            case .pair: ZMQ_PAIR
            case .reply: ZMQ_REP
            }
        }
    }

    /// A peer whose message is larger is disconnected by ZeroMQ itself; one that is larger than a
    /// message may be but not that large gets an error.
    static let sizeLimit = 1 << 20

    let handle: UnsafeMutableRawPointer
    /// Keeps the context until the last socket is closed.
    private let context: SocketContext

    init(_ kind: Kind, in context: SocketContext) throws(SocketError) {
        guard let handle = zmq_socket(context.handle, kind.code) else {
            throw SocketError("make a socket")
        }
        self.handle = handle
        self.context = context
        set(ZMQ_LINGER, 0)
        set(ZMQ_MAXMSGSIZE, wide: Int64(Self.sizeLimit))
    }

    deinit { zmq_close(handle) }

    func set(_ option: Int32, _ value: Int32) {
        var value = value
        zmq_setsockopt(handle, option, &value, MemoryLayout<Int32>.size)
    }

    func set(_ option: Int32, wide value: Int64) {
        var value = value
        zmq_setsockopt(handle, option, &value, MemoryLayout<Int64>.size)
    }

    func set(_ option: Int32, _ text: String) throws(SocketError) {
        guard zmq_setsockopt(handle, option, text, text.utf8.count) == 0 else {
            throw SocketError("set a socket's option")
        }
    }

    private func option(_ option: Int32) -> Int32 {
        var value: Int32 = 0
        var size = MemoryLayout<Int32>.size
        zmq_getsockopt(handle, option, &value, &size)
        return value
    }

    func bind(_ endpoint: String) throws(SocketError) {
        guard zmq_bind(handle, endpoint) == 0 else { throw SocketError("bind", endpoint) }
    }

    func connect(_ endpoint: String) throws(SocketError) {
        guard zmq_connect(handle, endpoint) == 0 else { throw SocketError("connect to", endpoint) }
    }

    /// A descriptor that becomes readable when `isReadable` may have changed; it is no sign that
    /// it has, and none is given twice.
    var descriptor: Int32 { self.option(ZMQ_FD) }

    var isReadable: Bool { self.option(ZMQ_EVENTS) & ZMQ_POLLIN != 0 }

    /// Whether the part read last is not the message's last.
    var hasMore: Bool { self.option(ZMQ_RCVMORE) != 0 }

    /// Receives a part into `buffer`: its whole size, of which no more than fits is there; nil if
    /// there is nothing, or nothing came in the socket's own time limit.
    func receive(into buffer: UnsafeMutableRawBufferPointer, waits: Bool = false) -> Int? {
        let size = zmq_recv(
            handle, buffer.baseAddress, buffer.count, waits ? 0 : ZMQ_DONTWAIT)
        return size < 0 ? nil : Int(size)
    }

    /// Reads off what is left of a message of several parts.
    func discardRest(_ buffer: UnsafeMutableRawBufferPointer) {
        while hasMore, receive(into: buffer) != nil {}
    }

    /// Whether it could be handed over; never waits.
    @discardableResult
    func send(_ bytes: UnsafeRawBufferPointer, hasMore: Bool = false) -> Bool {
        let flags = ZMQ_DONTWAIT | (hasMore ? ZMQ_SNDMORE : 0)
        return zmq_send(handle, bytes.baseAddress, bytes.count, flags) >= 0
    }
}

/// Waits for sockets and descriptors, to the microsecond.
enum Waiting {
    /// Until one of `descriptors` is readable or closed, or `seconds` are over.
    static func wait(_ descriptors: inout [pollfd], seconds: Double) {
        var time = timespec()
        let bounded = min(max(seconds, 0), 3_600)
        time.tv_sec = Int(bounded)
        time.tv_nsec = Int((bounded - Double(time.tv_sec)) * 1e9)
        let count = descriptors.count
        _ = descriptors.withUnsafeMutableBufferPointer {
            ppoll($0.baseAddress, nfds_t(count), &time, nil)
        }
    }
}

/// The machine's clock, which never goes back.
public enum WallClock {
    /// Seconds from some fixed point.
    public static func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// A pipe whose other end only this process's keeper has: when that is gone, it is to end.
public struct Tether: Sendable {
    public let descriptor: Int32

    public init(descriptor: Int32) { self.descriptor = descriptor }

    /// Whether its other end is closed.
    public var isBroken: Bool {
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&poll, 1, 0) > 0 else { return false }
        var byte: UInt8 = 0
        return poll.revents & Int16(POLLIN) == 0 || read(descriptor, &byte, 1) <= 0
    }
}
