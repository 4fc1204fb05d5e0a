import COpenSSL
import Wire

/// The hash of ZigBee: Matyas-Meyer-Oseas over AES-128 (ZigBee B.6), 16 bytes.
public enum AESMMO {
    /// The hash of `bytes`, of which there may be at most 2^29 - 1 (the length field has 32 bits
    /// for their count in bits).
    public static func hash(_ bytes: [UInt8]) -> Key128 {
        precondition(bytes.count < 1 << 29, "AES-MMO hashes less than 2^32 bits")
        guard let context = EVP_CIPHER_CTX_new() else { fatalError("out of memory") }
        defer { EVP_CIPHER_CTX_free(context) }
        let isReady =
            EVP_EncryptInit_ex(context, EVP_aes_128_ecb(), nil, nil, nil) == 1
            && EVP_CIPHER_CTX_set_padding(context, 0) == 1
        precondition(isReady, "libcrypto lacks AES-128")

        let whole = bytes.count / 16 * 16
        var state = [UInt8](repeating: 0, count: 16)
        bytes.withUnsafeBufferPointer { absorb($0[0..<whole], context, &state) }
        tail(bytes[whole...], count: bytes.count).withUnsafeBufferPointer {
            absorb($0[...], context, &state)
        }
        return Key128(state)!
    }

    /// What is left after the whole blocks, padded: 0x80, zeros, then the length in bits as 16
    /// bits, or, from 65,536 bits on, as 32 bits followed by 16 zero bits; all big-endian.
    private static func tail(_ rest: ArraySlice<UInt8>, count: Int) -> [UInt8] {
        let bits = UInt32(count * 8)
        let isLong = bits > 0xFFFF
        var tail = Array(rest) + [0x80]
        while tail.count % 16 != (isLong ? 10 : 14) { tail.append(0) }
        if isLong { tail += [UInt8(bits >> 24), UInt8(bits >> 16 & 0xFF)] }
        tail += [UInt8(bits >> 8 & 0xFF), UInt8(bits & 0xFF)]
        return isLong ? tail + [0, 0] : tail
    }

    /// H = E(H, M) xor M for each block M of `blocks`.
    private static func absorb(
        _ blocks: Slice<UnsafeBufferPointer<UInt8>>, _ context: OpaquePointer,
        _ state: inout [UInt8]
    ) {
        var output = [UInt8](repeating: 0, count: 16)
        for start in stride(from: blocks.startIndex, to: blocks.endIndex, by: 16) {
            var written: Int32 = 0
            let block = blocks.base.baseAddress! + start
            let isDone =
                EVP_EncryptInit_ex(context, nil, nil, state, nil) == 1
                && EVP_EncryptUpdate(context, &output, &written, block, 16) == 1
            precondition(isDone, "libcrypto cannot encrypt with AES-128")
            for index in 0..<16 { state[index] = output[index] ^ block[index] }
        }
    }
}
