import COpenSSL

/// The nonces of RFC 6979 3.2 for P-256 with SHA-256, where order and hash both have 256 bits.
struct DeterministicNonce {
    private var key = [UInt8](repeating: 0x00, count: 32)
    private var value = [UInt8](repeating: 0x01, count: 32)

    /// `key` is the private scalar, `digest` the message's hash; 32 bytes each.
    init(key scalar: [UInt8], digest: [UInt8]) {
        let seed = scalar + Self.reduced(digest)
        stir([0x00] + seed)
        stir([0x01] + seed)
        value = HMACSHA256.authenticate(value, key: key)
    }

    /// The next candidate, 32 bytes, which may be out of range: then the one after it is due.
    mutating func next() -> [UInt8] {
        let candidate = value
        stir([0x00])
        value = HMACSHA256.authenticate(value, key: key)
        return candidate
    }

    private mutating func stir(_ bytes: [UInt8]) {
        key = HMACSHA256.authenticate(value + bytes, key: key)
        value = HMACSHA256.authenticate(value, key: key)
    }

    /// bits2octets: `digest` mod n. One subtraction is enough, because 2^256 < 2n.
    private static func reduced(_ digest: [UInt8]) -> [UInt8] {
        guard !digest.lexicographicallyPrecedes(P256.order) else { return digest }
        var result = digest
        var borrow = 0
        for index in result.indices.reversed() {
            let difference = Int(digest[index]) - Int(P256.order[index]) - borrow
            borrow = difference < 0 ? 1 : 0
            result[index] = UInt8(truncatingIfNeeded: difference)
        }
        return result
    }
}
