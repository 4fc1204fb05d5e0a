import COpenSSL
import Wire

/// GMAC (NIST SP 800-38D): AES-128-GCM with nothing to encrypt.
public enum GMAC {
    /// The first `length` bytes (4 to 16) of the tag of `message`; `iv` has 12 bytes.
    public static func tag(
        of message: [UInt8], key: Key128, iv: [UInt8], length: Int
    ) -> [UInt8] {
        precondition(iv.count == 12 && (4...16).contains(length))
        guard let context = EVP_CIPHER_CTX_new() else { fatalError("out of memory") }
        defer { EVP_CIPHER_CTX_free(context) }
        var tag = [UInt8](repeating: 0, count: 16)
        var count: Int32 = 0
        // Twelve bytes are the mode's own length of IV.
        let isMade =
            EVP_EncryptInit_ex(context, Algorithms.aes128GCM, nil, key.bytes, iv) == 1
            && EVP_EncryptUpdate(context, nil, &count, message, Int32(message.count)) == 1
            && EVP_EncryptFinal_ex(context, &tag, &count) == 1
            && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, &tag) == 1
        precondition(isMade, "libcrypto cannot compute AES-128-GCM")
        return Array(tag.prefix(length))
    }

    /// Whether two tags are the same, in a time that does not say where they differ.
    public static func areEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.count == b.count && CRYPTO_memcmp(a, b, a.count) == 0
    }
}
