import CZeroMQ
import Wire

/// The CURVE keys of one end (RFC 26), 32 bytes each in ZeroMQ's Z85 text of 40 characters
/// (RFC 32).
public struct AirKeys: Sendable, Equatable {
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

    /// A new pair, drawn by the operating system; nil if this ZeroMQ has no CURVE.
    public static func makePair() -> (publicKey: String, secretKey: String)? {
        var publicKey = [CChar](repeating: 0, count: 41)
        var secretKey = [CChar](repeating: 0, count: 41)
        guard zmq_curve_keypair(&publicKey, &secretKey) == 0 else { return nil }
        return (text(publicKey), text(secretKey))
    }

    /// The public key that belongs to a secret one; nil if that is none.
    public static func publicKey(of secretKey: String) -> String? {
        guard bytes(of: secretKey) != nil else { return nil }
        var publicKey = [CChar](repeating: 0, count: 41)
        guard zmq_curve_public(&publicKey, secretKey) == 0 else { return nil }
        return text(publicKey)
    }

    /// The 32 bytes that a key's text stands for; nil if it is no key.
    public static func bytes(of key: String) -> [UInt8]? {
        guard key.utf8.count == 40, key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            return nil
        }
        var bytes = [UInt8](repeating: 0, count: 32)
        return zmq_z85_decode(&bytes, key) == nil ? nil : bytes
    }

    private static func text(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix(40).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func applyAsClient(to socket: borrowing Socket) throws(SocketError) {
        try socket.set(ZMQ_CURVE_SERVERKEY, server)
        try socket.set(ZMQ_CURVE_PUBLICKEY, publicKey)
        try socket.set(ZMQ_CURVE_SECRETKEY, secretKey)
    }

    func applyAsServer(to socket: borrowing Socket) throws(SocketError) {
        socket.set(ZMQ_CURVE_SERVER, 1)
        try socket.set(ZMQ_CURVE_SECRETKEY, secretKey)
        try socket.set(ZMQ_ZAP_DOMAIN, AirGate.domain)
    }
}
