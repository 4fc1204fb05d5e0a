import CZeroMQ
import Glibc
import Wire

/// Listens to an air's feed.
public final class FeedClient {
    /// What waiting for the feed came to.
    public enum Arrival {
        case message(FeedMessage)
        /// Nothing came in the time given.
        case quiet
        /// The connection was there and is gone: the air has died.
        case lost
        /// A message of a kind that this version does not know, or a damaged one.
        case strange
    }

    private let socket: Socket
    private let monitor: Socket
    private let buffer: UnsafeMutableRawBufferPointer
    public private(set) var isConnected = false

    public init(endpoints: AirEndpoints, keys: AirKeys? = nil) throws(SocketError) {
        let context = try SocketContext()
        socket = try Socket(.subscriber, in: context)
        socket.set(ZMQ_IPV6, endpoints.isIPv6 ? 1 : 0)
        // A sniffer that is slow for a while should not miss anything.
        socket.set(ZMQ_RCVHWM, 100_000)
        socket.set(ZMQ_RECONNECT_IVL, 20)
        socket.set(ZMQ_HEARTBEAT_IVL, 1_000)
        socket.set(ZMQ_HEARTBEAT_TIMEOUT, 4_000)
        try keys?.applyAsClient(to: socket)
        try socket.set(ZMQ_SUBSCRIBE, "")
        let events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED
        let place = "inproc://monitor"
        guard zmq_socket_monitor(socket.handle, place, events) == 0 else {
            throw SocketError("watch a connection")
        }
        monitor = try Socket(.pair, in: context)
        try monitor.connect(place)
        buffer = .allocate(byteCount: AirProtocol.messageLimit, alignment: 16)
        try socket.connect(endpoints.sniffer)
    }

    deinit {
        zmq_socket_monitor(socket.handle, nil, 0)
        buffer.deallocate()
    }

    /// The next message, waiting so many seconds for it at most.
    public func next(waiting seconds: Double) -> Arrival {
        socket.set(ZMQ_RCVTIMEO, Int32(max(0, min(seconds * 1000, 60_000))))
        guard let size = socket.receive(into: buffer, waits: true) else {
            return hasLostConnection() ? .lost : .quiet
        }
        guard size <= buffer.count, !socket.hasMore else {
            socket.discardRest(buffer)
            return .strange
        }
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<size])
            .bindMemory(to: UInt8.self).span
        guard let message = try? FeedMessage(parsing: bytes) else { return .strange }
        return .message(message)
    }

    private func hasLostConnection() -> Bool {
        var event = (UInt16(0), Int32(0))
        return withUnsafeMutableBytes(of: &event) { bytes in
            while let size = monitor.receive(into: bytes) {
                let code = size >= 2 ? Int32(bytes.loadUnaligned(as: UInt16.self)) : 0
                withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) {
                    monitor.discardRest($0)
                }
                if code == ZMQ_EVENT_HANDSHAKE_SUCCEEDED { isConnected = true }
                if code == ZMQ_EVENT_DISCONNECTED, isConnected { return true }
            }
            return false
        }
    }
}
