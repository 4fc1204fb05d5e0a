import CZeroMQ
import Glibc

/// A socket that connects to one peer, and sees whether the connection is there.
struct WatchedSocket: ~Copyable {
    let socket: Socket
    private let monitor: Socket
    /// Whether there has been a connection.
    var isConnected = false
    /// There was one and it is gone; what came over it before that is still to be read.
    private(set) var isLost = false

    init(_ kind: Socket.Kind, in context: SocketContext) throws(SocketError) {
        let socket = try Socket(kind, in: context)
        // Another machine that falls silent is noticed within four seconds.
        socket.set(ZMQ_HEARTBEAT_IVL, 1_000)
        socket.set(ZMQ_HEARTBEAT_TIMEOUT, 4_000)
        let events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED
        let place = "inproc://monitor"
        guard zmq_socket_monitor(socket.handle, place, events) == 0 else {
            throw SocketError("watch a connection")
        }
        let monitor = try Socket(.pair, in: context)
        try monitor.connect(place)
        self.socket = socket
        self.monitor = monitor
    }

    deinit { zmq_socket_monitor(socket.handle, nil, 0) }

    /// Takes note of what has become of the connection since the last time.
    mutating func look() {
        var event = (UInt16(0), Int32(0))
        withUnsafeMutableBytes(of: &event) { bytes in
            while let size = monitor.receive(into: bytes) {
                let code = size >= 2 ? Int32(bytes.loadUnaligned(as: UInt16.self)) : 0
                withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) {
                    monitor.discardRest($0)
                }
                if code == ZMQ_EVENT_HANDSHAKE_SUCCEEDED { isConnected = true }
                if code == ZMQ_EVENT_DISCONNECTED, isConnected { isLost = true }
            }
        }
    }
}
