import COpenSSL
import Wire

/// One libcrypto context for AES-128-CCM* with L = 2: it keeps its key schedule from message to
/// message and allocates nothing per message. Whoever made it releases it.
struct CCMContext {
    enum Direction { case sealing, opening }

    private let context: OpaquePointer
    /// The MIC as libcrypto's parameter OSSL_CIPHER_PARAM_AEAD_TAG and the list's end behind it:
    /// made once, where EVP_CIPHER_CTX_ctrl makes it anew for every message.
    private let tag: UnsafeMutablePointer<OSSL_PARAM>

    /// `cipher` is AES-128-CCM; `micLength` is 4, 8 or 16 bytes.
    init(_ direction: Direction, cipher: OpaquePointer, micLength: Int) {
        guard let context = EVP_CIPHER_CTX_new() else { fatalError("out of memory") }
        self.context = context
        tag = .allocate(capacity: 2)
        let name: StaticString = "tag"
        name.utf8Start.withMemoryRebound(to: CChar.self, capacity: 4) { name in
            tag.initialize(to: OSSL_PARAM_construct_octet_string(name, nil, micLength))
        }
        (tag + 1).initialize(to: OSSL_PARAM_construct_end())
        let isReady =
            EVP_CipherInit_ex(context, cipher, nil, nil, nil, direction == .sealing ? 1 : 0) == 1
            && EVP_CIPHER_CTX_ctrl(
                context, EVP_CTRL_AEAD_SET_IVLEN, Int32(CCMNonce.count), nil) == 1
            && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(micLength), nil) == 1
        precondition(isReady, "libcrypto cannot set up AES-128-CCM")
    }

    func release() {
        EVP_CIPHER_CTX_free(context)
        tag.deallocate()
    }

    func setKey(_ key: Key128) {
        let bytes = (key.high.bigEndian, key.low.bigEndian)
        let isSet = withUnsafeBytes(of: bytes) { buffer in
            EVP_CipherInit_ex(
                context, nil, nil, buffer.baseAddress!.assumingMemoryBound(to: UInt8.self), nil,
                -1)
        }
        precondition(isSet == 1, "libcrypto refuses an AES-128 key")
    }

    /// Encrypts `count` bytes at `text` in place and writes the MIC to `mic`.
    func seal(
        nonce: UnsafePointer<UInt8>, header: UnsafePointer<UInt8>, headerCount: Int,
        text: UnsafeMutablePointer<UInt8>, count: Int, mic: UnsafeMutablePointer<UInt8>
    ) {
        var written: Int32 = 0
        tag.pointee.data = UnsafeMutableRawPointer(mic)
        let isDone =
            EVP_EncryptInit_ex(context, nil, nil, nil, nonce) == 1
            && EVP_EncryptUpdate(context, nil, &written, nil, Int32(count)) == 1
            && (headerCount == 0
                || EVP_EncryptUpdate(context, nil, &written, header, Int32(headerCount)) == 1)
            && EVP_EncryptUpdate(context, text, &written, text, Int32(count)) == 1
            && EVP_CIPHER_CTX_get_params(context, tag) == 1
        precondition(isDone, "libcrypto cannot encrypt with AES-128-CCM")
    }

    /// Decrypts `count` bytes at `text` in place; false if `mic` does not fit, and then the text
    /// is wiped or unchanged.
    func open(
        nonce: UnsafePointer<UInt8>, header: UnsafePointer<UInt8>, headerCount: Int,
        text: UnsafeMutablePointer<UInt8>, count: Int, mic: UnsafeMutablePointer<UInt8>
    ) -> Bool {
        var written: Int32 = 0
        tag.pointee.data = UnsafeMutableRawPointer(mic)
        let isReady =
            EVP_DecryptInit_ex2(context, nil, nil, nonce, tag) == 1
            && EVP_DecryptUpdate(context, nil, &written, nil, Int32(count)) == 1
            && (headerCount == 0
                || EVP_DecryptUpdate(context, nil, &written, header, Int32(headerCount)) == 1)
        precondition(isReady, "libcrypto cannot decrypt with AES-128-CCM")
        if EVP_DecryptUpdate(context, text, &written, text, Int32(count)) == 1 { return true }
        ERR_clear_error()
        return false
    }
}
