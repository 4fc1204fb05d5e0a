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

    private var link: WatchedSocket
    private let buffer: UnsafeMutableRawBufferPointer
    public var isConnected: Bool { link.isConnected }

    public init(endpoints: AirEndpoints, keys: AirKeys? = nil) throws(SocketError) {
        link = try WatchedSocket(.subscriber, in: try SocketContext())
        link.socket.set(ZMQ_IPV6, endpoints.isIPv6 ? 1 : 0)
        // A sniffer that is slow for a while should not miss anything.
        link.socket.set(ZMQ_RCVHWM, 100_000)
        link.socket.set(ZMQ_RECONNECT_IVL, 20)
        try keys?.applyAsClient(to: link.socket)
        try link.socket.set(ZMQ_SUBSCRIBE, "")
        buffer = .allocate(byteCount: AirProtocol.messageLimit, alignment: 16)
        try link.socket.connect(endpoints.sniffer)
    }

    deinit { buffer.deallocate() }

    /// The next message, waiting so many seconds for it at most.
    public func next(waiting seconds: Double) -> Arrival {
        link.socket.set(ZMQ_RCVTIMEO, Int32(max(0, min(seconds * 1000, 60_000))))
        guard let size = link.socket.receive(into: buffer, waits: true) else {
            link.look()
            return link.isLost ? .lost : .quiet
        }
        guard size <= buffer.count, !link.socket.hasMore else {
            link.socket.discardRest(buffer)
            return .strange
        }
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<size])
            .bindMemory(to: UInt8.self).span
        guard let message = try? FeedMessage(parsing: bytes) else { return .strange }
        return .message(message)
    }
}
