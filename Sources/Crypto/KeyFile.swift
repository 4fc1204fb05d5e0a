import COpenSSL

/// A key in libcrypto; owns it. It is never changed once it is made, and libcrypto lets several
/// threads read a key.
final class LoadedKey: @unchecked Sendable {
    let key: OpaquePointer
    init(owning key: OpaquePointer) { self.key = key }
    deinit { EVP_PKEY_free(key) }
}

/// Reads certificates and keys in PEM or DER with libcrypto's parsers, never asking a person for
/// a passphrase and never reading more than `limit` bytes.
enum KeyFile {
    enum Kind: String {
        case certificate = "an X.509 certificate"
        case publicKey = "a public key (SubjectPublicKeyInfo)"
        case privateKey = "a private key (PKCS#8 or SEC1)"

        init?(label: String) {
            switch label {
            case "CERTIFICATE", "X509 CERTIFICATE": self = .certificate
            case "PUBLIC KEY": self = .publicKey
            case "PRIVATE KEY", "EC PRIVATE KEY": self = .privateKey
            default: return nil
            }
        }
    }

    /// Bytes accepted from one file. Certificates of the GB PKI have well under 1 KiB.
    static let limit = 65_536

    /// The first key in `bytes` that is of one of `kinds`, which are tried in this order for DER.
    static func load(_ bytes: [UInt8], as kinds: [Kind]) throws(KeyError) -> LoadedKey {
        // Whatever libcrypto noted about a refused file must not surface in a later call.
        defer { ERR_clear_error() }
        guard bytes.count <= limit else { throw .tooLarge(size: bytes.count, limit: limit) }
        let expected = kinds.map(\.rawValue).joined(separator: " or ")
        // A DER structure this long starts 30 8x, which is not text.
        let isBinary = bytes.count > 1 && bytes[0] == 0x30 && bytes[1] >= 0x80
        let blocks = isBinary ? [] : pemBlocks(bytes)
        guard !blocks.isEmpty else {
            for kind in kinds {
                if let key = try decode(bytes, as: kind) { return try onP256(key) }
            }
            if isEncrypted(bytes) { throw .encrypted }
            throw .unreadable(expected: expected)
        }
        for block in blocks {
            if block.isEncrypted { throw .encrypted }
            guard let kind = Kind(label: block.label), kinds.contains(kind) else { continue }
            guard let key = try decode(block.body, as: kind) else {
                throw .unreadable(expected: kind.rawValue)
            }
            return try onP256(key)
        }
        throw .wrongBlock(
            found: blocks.map(\.label).joined(separator: "', '"), expected: expected)
    }

    /// The first certificate in `bytes`, and its key.
    static func loadCertificate(
        _ bytes: [UInt8]
    ) throws(KeyError) -> (certificate: LoadedCertificate, key: LoadedKey) {
        let key = try load(bytes, as: [.certificate])
        defer { ERR_clear_error() }
        let isBinary = bytes.count > 1 && bytes[0] == 0x30 && bytes[1] >= 0x80
        let blocks = isBinary ? [] : pemBlocks(bytes)
        let der =
            blocks.isEmpty ? bytes : blocks.first { Kind(label: $0.label) == .certificate }?.body
        let certificate = der?.withUnsafeBufferPointer { buffer in
            var position = buffer.baseAddress
            return d2i_X509(nil, &position, buffer.count)
        }
        // It was read once already.
        guard let certificate else { throw .unreadable(expected: Kind.certificate.rawValue) }
        return (LoadedCertificate(owning: certificate), key)
    }

    // MARK: DER

    /// nil if `bytes` do not start with a structure of this kind.
    private static func decode(_ bytes: [UInt8], as kind: Kind) throws(KeyError) -> LoadedKey? {
        var used = 0
        let outcome: Result<LoadedKey, KeyError>? = bytes.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return nil }
            var position: UnsafePointer<UInt8>? = start
            defer { used = position.map { $0 - start } ?? 0 }
            switch kind {
            case .certificate:
                guard let certificate = d2i_X509(nil, &position, buffer.count) else { return nil }
                defer { X509_free(certificate) }
                return key(in: X509_get_X509_PUBKEY(certificate))
            case .publicKey:
                guard let info = d2i_X509_PUBKEY(nil, &position, buffer.count) else { return nil }
                defer { X509_PUBKEY_free(info) }
                return key(in: info)
            case .privateKey:
                guard let key = d2i_AutoPrivateKey(nil, &position, buffer.count) else { return nil }
                return .success(LoadedKey(owning: key))
            }
        }
        guard let loaded = try outcome?.get() else { return nil }
        guard used == bytes.count else {
            throw .trailing(offset: used, count: bytes.count - used)
        }
        return loaded
    }

    /// The key of a SubjectPublicKeyInfo, or what about it libcrypto did not take.
    private static func key(in info: OpaquePointer?) -> Result<LoadedKey, KeyError> {
        if let key = X509_PUBKEY_get(info) { return .success(LoadedKey(owning: key)) }
        var (kind, curve): (OpaquePointer?, UnsafeRawPointer?)
        var algorithm: UnsafeMutablePointer<X509_ALGOR>?
        var curveType: Int32 = 0
        guard X509_PUBKEY_get0_param(&kind, nil, nil, &algorithm, info) == 1 else {
            return .failure(.notP256(found: "unknown"))
        }
        guard OBJ_obj2nid(kind) == NID_X9_62_id_ecPublicKey else {
            return .failure(.notP256(found: name(of: kind)))
        }
        X509_ALGOR_get0(nil, &curveType, &curve, algorithm)
        guard curveType == V_ASN1_OBJECT, let curve else {
            return .failure(.notP256(found: "a curve without a name"))
        }
        let object = OpaquePointer(curve)
        let isP256 = OBJ_obj2nid(object) == NID_X9_62_prime256v1
        return .failure(isP256 ? .badPoint : .notP256(found: name(of: object)))
    }

    private static func name(of object: OpaquePointer?) -> String {
        OBJ_nid2sn(OBJ_obj2nid(object)).map { String(cString: $0) } ?? "unknown"
    }

    /// True for the EncryptedPrivateKeyInfo of PKCS#8.
    private static func isEncrypted(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBufferPointer { buffer in
            var position = buffer.baseAddress
            guard let locked = d2i_X509_SIG(nil, &position, buffer.count) else { return false }
            defer { X509_SIG_free(locked) }
            var algorithm: UnsafePointer<X509_ALGOR>?
            var content: UnsafePointer<ASN1_OCTET_STRING>?
            X509_SIG_get0(locked, &algorithm, &content)
            guard let algorithm else { return false }
            var name: OpaquePointer?
            X509_ALGOR_get0(&name, nil, nil, algorithm)
            return name.map { OBJ_obj2nid($0) == NID_pbes2 } ?? false
        }
    }

    private static func onP256(_ loaded: LoadedKey) throws(KeyError) -> LoadedKey {
        var name = [CChar](repeating: 0, count: 64)
        if EVP_PKEY_get_base_id(loaded.key) == EVP_PKEY_EC,
            EVP_PKEY_get_group_name(loaded.key, &name, name.count, nil) == 1
        {
            let curve = text(name)
            guard curve == "prime256v1" else { throw .notP256(found: curve) }
            return loaded
        }
        let kind = EVP_PKEY_get0_type_name(loaded.key).map { String(cString: $0) }
        throw .notP256(found: kind ?? "unknown")
    }

    private static func text(_ name: [CChar]) -> String {
        String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    // MARK: PEM

    private struct Block {
        var label: String
        var isEncrypted: Bool
        var body: [UInt8]
    }

    private static func pemBlocks(_ bytes: [UInt8]) -> [Block] {
        bytes.withUnsafeBytes { buffer in
            guard let source = BIO_new_mem_buf(buffer.baseAddress, Int32(buffer.count)) else {
                return []
            }
            defer { BIO_free(source) }
            var blocks: [Block] = []
            while let block = nextBlock(source) { blocks.append(block) }
            return blocks
        }
    }

    private static func nextBlock(_ source: OpaquePointer) -> Block? {
        var name: UnsafeMutablePointer<CChar>?
        var header: UnsafeMutablePointer<CChar>?
        var data: UnsafeMutablePointer<UInt8>?
        var count = 0
        guard PEM_read_bio(source, &name, &header, &data, &count) == 1 else { return nil }
        defer {
            CRYPTO_free(name, "", 0)
            CRYPTO_free(header, "", 0)
            CRYPTO_clear_free(data, count, "", 0)
        }
        guard let name, let header, let data else { return nil }
        let label = String(cString: name)
        return Block(
            label: label,
            isEncrypted: label == "ENCRYPTED PRIVATE KEY"
                || String(cString: header).contains("ENCRYPTED"),
            body: Array(UnsafeBufferPointer(start: data, count: count)))
    }
}
