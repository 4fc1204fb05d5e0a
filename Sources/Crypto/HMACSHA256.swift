import COpenSSL

/// HMAC-SHA-256 (RFC 2104, FIPS 180-4).
enum HMACSHA256 {
    /// The full tag, 32 bytes.
    static func authenticate(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        var tag = [UInt8](repeating: 0, count: 32)
        let made = HMAC(
            Algorithms.sha256, key, Int32(key.count), message, message.count, &tag, nil)
        precondition(made != nil, "libcrypto cannot compute HMAC-SHA-256")
        return tag
    }
}
