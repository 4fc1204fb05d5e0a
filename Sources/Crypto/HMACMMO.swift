import Wire

/// HMAC (RFC 2104) over AES-MMO with its block of 16 bytes (ZigBee B.1.4).
public enum HMACMMO {
    /// The full tag, 16 bytes. A key longer than a block is hashed first, a shorter one padded.
    public static func authenticate(_ message: [UInt8], key: [UInt8]) -> Key128 {
        var block = key.count > 16 ? AESMMO.hash(key).bytes : key
        block += [UInt8](repeating: 0, count: 16 - block.count)
        let inner = AESMMO.hash(block.map { $0 ^ 0x36 } + message)
        return AESMMO.hash(block.map { $0 ^ 0x5C } + inner.bytes)
    }
}
