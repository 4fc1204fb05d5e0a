import CSigning
import COpenSSL
import Wire

extension P256 {
    /// A number d in 1..<n, with which signatures are made.
    public struct PrivateKey: Sendable {
        /// d, 32 big-endian bytes.
        let scalar: [UInt8]
        public let publicKey: PublicKey

        /// Takes exactly 32 big-endian bytes in 1..<n; nil for anything else.
        public init?(scalar: [UInt8]) {
            guard P256.isScalar(scalar) else { return nil }
            self.scalar = scalar
            publicKey = PublicKey(ofScalar: scalar)
        }

        /// A private key in PKCS#8 or SEC1 form, DER or PEM. One that is locked with a passphrase
        /// or whose stored public half is another key's is refused.
        public init(pkcs8 bytes: [UInt8]) throws(KeyError) {
            let loaded = try KeyFile.load(bytes, as: [.privateKey])
            guard let scalar = loaded.number(OSSL_PKEY_PARAM_PRIV_KEY),
                let key = PrivateKey(scalar: scalar)
            else { throw .scalarOutOfRange }
            guard try key.publicKey == PublicKey(loaded) else { throw .mismatchedHalves }
            self = key
        }

        /// A new key from `stream`: 32 bytes at a time until they are in 1..<n.
        public static func generate(from stream: inout SeededStream) -> PrivateKey {
            while true {
                if let key = PrivateKey(scalar: stream.bytes(32)) { return key }
            }
        }

        /// ECDSA with the nonce of RFC 6979 (HMAC-SHA-256): the same digest always gives the same
        /// signature.
        public func sign(_ digest: Digest256) -> Signature {
            let message = digest.bytes
            var nonces = DeterministicNonce(key: scalar, digest: message)
            var bytes = [UInt8](repeating: 0, count: 64)
            // The first nonce serves but for one chance in 2^32, which is when it is not below n.
            for _ in 0..<64 {
                let nonce = nonces.next()
                if han_p256_sign(scalar, nonce, message, &bytes) == 1,
                    let signature = Signature(bytes)
                {
                    return signature
                }
            }
            preconditionFailure("libcrypto cannot sign on P-256")
        }

        /// The key as PKCS#8 in DER without a passphrase (RFC 5958, RFC 5915), the public half with
        /// it.
        public var pkcs8: [UInt8] {
            let inner: [UInt8] =
                [0x30, 0x6B, 0x02, 0x01, 0x01, 0x04, 0x20] + scalar
                + [0xA1, 0x44, 0x03, 0x42, 0x00] + publicKey.x963
            return [0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13] + P256.algorithm
                + [0x04, UInt8(inner.count)] + inner
        }

        /// `pkcs8` as PEM text.
        public var pem: String { PEMText.write(pkcs8, label: "PRIVATE KEY") }
    }
}
