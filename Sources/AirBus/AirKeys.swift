import CZeroMQ
import Wire

/// The CURVE keys of one end (RFC 26), 32 bytes each in ZeroMQ's Z85 text of 40 characters.
public struct AirKeys: Sendable {
    /// The air's public key, which every peer must know.
    public var server: String
    /// This end's own pair.
    public var publicKey: String
    public var secretKey: String

    public init(server: String, publicKey: String, secretKey: String) {
        self.server = server
        self.publicKey = publicKey
        self.secretKey = secretKey
    }

    func applyAsClient(to socket: borrowing Socket) throws(SocketError) {
        try socket.set(ZMQ_CURVE_SERVERKEY, server)
        try socket.set(ZMQ_CURVE_PUBLICKEY, publicKey)
        try socket.set(ZMQ_CURVE_SECRETKEY, secretKey)
    }

    func applyAsServer(to socket: borrowing Socket) throws(SocketError) {
        socket.set(ZMQ_CURVE_SERVER, 1)
        try socket.set(ZMQ_CURVE_SECRETKEY, secretKey)
    }
}
