import COpenSSL
import Wire

extension P256 {
    /// A point of P-256 against which signatures are verified.
    public struct PublicKey: Hashable, Sendable {
        /// The point uncompressed: 04, x, y (65 bytes; SEC 1 2.3.3, ANSI X9.63).
        public let x963: [UInt8]
        /// The same point as libcrypto wants it, which takes longer to make than a signature to
        /// verify. Copies of the key share it.
        private let loaded: LoadedKey

        /// Throws `KeyError.badPoint` unless `bytes` are 04, x, y of a point on the curve.
        public init(x963 bytes: [UInt8]) throws(KeyError) {
            guard P256.isPoint(bytes) else { throw .badPoint }
            self.init(onCurve: bytes)
        }

        /// `bytes` must be 04, x, y of a point on the curve.
        private init(onCurve bytes: [UInt8]) {
            guard let key = Self.load(bytes) else {
                preconditionFailure("libcrypto refuses a point of P-256")
            }
            x963 = bytes
            loaded = key
        }

        public static func == (one: PublicKey, other: PublicKey) -> Bool {
            one.x963 == other.x963
        }

        public func hash(into hasher: inout Hasher) { hasher.combine(x963) }

        /// The key that an X.509 certificate in DER or PEM is for (the first one of a PEM chain).
        /// Neither the issuer's signature nor the dates are looked at.
        public init(certificate bytes: [UInt8]) throws(KeyError) {
            self = try Self(KeyFile.load(bytes, as: [.certificate]))
        }

        /// A SubjectPublicKeyInfo in DER or PEM.
        public init(spki bytes: [UInt8]) throws(KeyError) {
            self = try Self(KeyFile.load(bytes, as: [.publicKey]))
        }

        /// Whatever file a person has at hand: a certificate, a public key, or a private key whose
        /// public half is taken; each in DER or PEM.
        public init(any bytes: [UInt8]) throws(KeyError) {
            self = try Self(
                KeyFile.load(bytes, as: [.certificate, .publicKey, .privateKey]))
        }

        /// The public half of a key that libcrypto read, from its coordinates because the file
        /// may have the point compressed.
        init(_ loaded: LoadedKey) throws(KeyError) {
            guard let x = loaded.number(OSSL_PKEY_PARAM_EC_PUB_X),
                let y = loaded.number(OSSL_PKEY_PARAM_EC_PUB_Y)
            else { throw .badPoint }
            try self.init(x963: [0x04] + x + y)
        }

        /// The public half of `scalar`, which must be in range.
        init(ofScalar scalar: [UInt8]) {
            self.init(onCurve: P256.point(times: scalar))
        }

        /// The SubjectPublicKeyInfo in DER: id-ecPublicKey, prime256v1 (RFC 5480 2), 91 bytes.
        public var spki: [UInt8] {
            [0x30, 0x59, 0x30, 0x13] + P256.algorithm + [0x03, 0x42, 0x00] + x963
        }

        /// The SubjectPublicKeyInfo as PEM text.
        public var pem: String { PEMText.write(spki, label: "PUBLIC KEY") }

        /// True if the holder of this key signed a message with this digest.
        public func verify(_ signature: Signature, digest: Digest256) -> Bool {
            defer { ERR_clear_error() }
            guard let encoded = Self.der(of: signature) else { return false }
            // Of its own for each verification, because a context belongs to one thread.
            guard let context = EVP_PKEY_CTX_new(loaded.key, nil) else {
                fatalError("memory ran out")
            }
            defer { EVP_PKEY_CTX_free(context) }
            let message = digest.bytes
            return EVP_PKEY_verify_init(context) == 1
                && EVP_PKEY_verify(
                    context, encoded, encoded.count, message, message.count) == 1
        }

        /// OSSL_PKEY_PARAM_GROUP_NAME and OSSL_PKEY_PARAM_PUB_KEY. libcrypto keeps the pointer to
        /// the name, and that of a String is gone when the call that takes it returns.
        private static let groupName: StaticString = "group"
        private static let pointName: StaticString = "pub"

        private static func name(_ text: StaticString) -> UnsafePointer<CChar> {
            UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
        }

        /// The key as libcrypto wants it, straight from the point: its parser of
        /// SubjectPublicKeyInfo takes longer still.
        private static func load(_ bytes: [UInt8]) -> LoadedKey? {
            guard let context = EVP_PKEY_CTX_new_from_name(nil, "EC", nil) else { return nil }
            defer { EVP_PKEY_CTX_free(context) }
            var (curve, point) = (Array("prime256v1".utf8CString), bytes)
            let key = curve.withUnsafeMutableBufferPointer { curve in
                point.withUnsafeMutableBufferPointer { point in
                    var parameters = [
                        OSSL_PARAM_construct_utf8_string(
                            name(groupName), curve.baseAddress, 0),
                        OSSL_PARAM_construct_octet_string(
                            name(pointName), point.baseAddress, point.count),
                        OSSL_PARAM_construct_end(),
                    ]
                    // EVP_PKEY_PUBLIC_KEY, a macro that Swift does not import.
                    let parts =
                        OSSL_KEYMGMT_SELECT_DOMAIN_PARAMETERS
                        | OSSL_KEYMGMT_SELECT_OTHER_PARAMETERS | OSSL_KEYMGMT_SELECT_PUBLIC_KEY
                    var key: OpaquePointer?
                    let isMade =
                        EVP_PKEY_fromdata_init(context) == 1
                        && EVP_PKEY_fromdata(
                            context, &key, parts, &parameters) == 1
                    return isMade ? key : nil
                }
            }
            return key.map { LoadedKey(owning: $0) }
        }

        /// The signature in the form that libcrypto takes: SEQUENCE { INTEGER r, INTEGER s }.
        private static func der(of signature: Signature) -> [UInt8]? {
            let bytes = signature.bytes
            guard let made = ECDSA_SIG_new() else { return nil }
            defer { ECDSA_SIG_free(made) }
            let (r, s) = bytes.withUnsafeBufferPointer { buffer in
                (
                    BN_bin2bn(buffer.baseAddress, 32, nil),
                    BN_bin2bn(buffer.baseAddress! + 32, 32, nil)
                )
            }
            // From here the numbers are the signature's to free, unless it refuses them.
            guard ECDSA_SIG_set0(made, r, s) == 1 else {
                BN_free(r)
                BN_free(s)
                return nil
            }
            let size = Int(i2d_ECDSA_SIG(made, nil))
            guard size > 0 else { return nil }
            var encoded = [UInt8](repeating: 0, count: size)
            encoded.withUnsafeMutableBufferPointer { buffer in
                var position = buffer.baseAddress
                _ = i2d_ECDSA_SIG(made, &position)
            }
            return encoded
        }
    }

    /// The two object identifiers of an algorithm field: id-ecPublicKey, prime256v1.
    static let algorithm: [UInt8] = [
        0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01,
        0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07,
    ]
}

extension LoadedKey {
    /// The number called `name` in libcrypto's parameters, as 32 big-endian bytes; nil if there
    /// is none or it is longer.
    func number(_ name: String) -> [UInt8]? {
        var number: OpaquePointer?
        guard EVP_PKEY_get_bn_param(key, name, &number) == 1, let number else { return nil }
        defer { BN_clear_free(number) }
        var bytes = [UInt8](repeating: 0, count: 32)
        return BN_bn2binpad(number, &bytes, 32) == 32 ? bytes : nil
    }
}
