import CZeroMQ
import Wire

/// Says for ZeroMQ who may connect to an air with keys: ZAP, the ZeroMQ Authentication Protocol
/// (RFC 27). Every handshake of a CURVE socket waits for its word, and comes to nothing without.
final class AirGate {
    /// In the context of the sockets that it guards; it has to be there before they are bound.
    private static let place = "inproc://zeromq.zap.01"
    /// What the sockets call themselves.
    static let domain = "han-air"

    private let socket: Socket
    /// Public keys as they come: 32 bytes.
    private let admitted: Set<[UInt8]>

    init(admitted: [String], in context: SocketContext) throws(SocketError) {
        self.admitted = Set(admitted.compactMap { AirKeys.bytes(of: $0) })
        socket = try Socket(.reply, in: context)
        try socket.bind(Self.place)
    }

    var descriptor: Int32 { socket.descriptor }
    var isReadable: Bool { socket.isReadable }

    /// Answers some of the requests that have come.
    func serve(_ buffer: UnsafeMutableRawBufferPointer) {
        for _ in 0..<64 {
            guard let parts = request(buffer) else { return }
            // Version, request, domain, address, routing id, mechanism, and the client's key.
            let isAdmitted =
                parts.count == 7 && parts[0] == Array("1.0".utf8)
                && parts[2] == Array(Self.domain.utf8) && parts[5] == Array("CURVE".utf8)
                && admitted.contains(parts[6])
            send("1.0")
            socket.send(parts.count > 1 ? parts[1] : [], hasMore: true)
            send(isAdmitted ? "200" : "400")
            send(isAdmitted ? "OK" : "this key is not among the air's clients")
            send("")
            send("", hasMore: false)
        }
    }

    private func request(_ buffer: UnsafeMutableRawBufferPointer) -> [[UInt8]]? {
        guard var size = socket.receive(into: buffer) else { return nil }
        var parts: [[UInt8]] = []
        while true {
            if parts.count < 8 { parts.append(Array(buffer.prefix(min(size, 512)))) }
            guard socket.hasMore, let next = socket.receive(into: buffer) else { return parts }
            size = next
        }
    }

    private func send(_ text: String, hasMore: Bool = true) {
        socket.send(Array(text.utf8), hasMore: hasMore)
    }
}

extension Socket {
    fileprivate func send(_ bytes: [UInt8], hasMore: Bool) {
        bytes.withUnsafeBytes { _ = send($0, hasMore: hasMore) }
    }
}
