import COpenSSL
import Wire

/// AES-128-CCM* with L = 2 (ZigBee Annex A) under one key, made of libcrypto's AES in CBC mode for
/// the MIC and in ECB mode for the key stream. It allocates nothing per message; whoever made it
/// releases it.
///
/// libcrypto's own CCM looks its parameters up by name for every message, which takes longer than
/// the AES of a frame; here a message costs two calls that set nothing up.
struct CCMContext {
    private let chaining: OpaquePointer
    private let stream: OpaquePointer
    /// The last block that left `chaining`: what it will mix into the next one.
    private let link: UnsafeMutablePointer<Block>

    /// Sixteen bytes as two integers in the order of memory.
    typealias Block = SIMD2<UInt64>

    /// The most header bytes whose length takes two bytes in the MIC (RFC 3610 2.2).
    static let maximumHeader = 0xFEFF

    /// `cbc` and `ecb` are AES-128 in these modes.
    init(cbc: OpaquePointer, ecb: OpaquePointer) {
        guard let chaining = EVP_CIPHER_CTX_new(), let stream = EVP_CIPHER_CTX_new() else {
            fatalError("out of memory")
        }
        self.chaining = chaining
        self.stream = stream
        link = .allocate(capacity: 1)
        link.initialize(to: .zero)
        let isReady =
            EVP_EncryptInit_ex(chaining, cbc, nil, nil, nil) == 1
            && EVP_CIPHER_CTX_set_padding(chaining, 0) == 1
            && EVP_EncryptInit_ex(stream, ecb, nil, nil, nil) == 1
            && EVP_CIPHER_CTX_set_padding(stream, 0) == 1
        precondition(isReady, "libcrypto cannot set up AES-128")
    }

    func release() {
        EVP_CIPHER_CTX_free(chaining)
        EVP_CIPHER_CTX_free(stream)
        link.deallocate()
    }

    func setKey(_ key: Key128) {
        let bytes = (key.high.bigEndian, key.low.bigEndian)
        link.pointee = .zero
        let isSet = withUnsafeBytes(of: bytes) { key in
            withUnsafeBytes(of: Block.zero) { zero in
                let key = key.baseAddress!.assumingMemoryBound(to: UInt8.self)
                let zero = zero.baseAddress!.assumingMemoryBound(to: UInt8.self)
                return EVP_EncryptInit_ex(chaining, nil, nil, key, zero) == 1
                    && EVP_EncryptInit_ex(stream, nil, nil, key, nil) == 1
            }
        }
        precondition(isSet, "libcrypto refuses an AES-128 key")
    }

    /// How much of `scratch` a message takes, in blocks.
    static func scratch(header: Int, text: Int) -> Int {
        let blocks = 1 + blocks(of: text)
        return blocks + (header == 0 ? 0 : Self.blocks(of: 2 + header))
    }

    /// Encrypts `count` bytes at `text` in place and writes the MIC of `micLength` bytes to `mic`.
    @inline(__always)
    func seal(
        nonce: CCMNonce, header: UnsafePointer<UInt8>, headerCount: Int,
        text: UnsafeMutablePointer<UInt8>, count: Int, mic: UnsafeMutablePointer<UInt8>,
        micLength: Int, scratch: UnsafeMutablePointer<Block>
    ) {
        let tag = authenticate(
            nonce: nonce, header: header, headerCount: headerCount, text: text, count: count,
            micLength: micLength, scratch: scratch)
        let mask = encrypt(nonce: nonce, text: text, count: count, scratch: scratch)
        withUnsafeBytes(of: tag ^ mask) { bytes in
            UnsafeMutableRawPointer(mic).copyMemory(
                from: bytes.baseAddress!, byteCount: micLength)
        }
    }

    /// Decrypts `count` bytes at `text` in place; false if `mic` does not fit.
    @inline(__always)
    func open(
        nonce: CCMNonce, header: UnsafePointer<UInt8>, headerCount: Int,
        text: UnsafeMutablePointer<UInt8>, count: Int, mic: UnsafeMutablePointer<UInt8>,
        micLength: Int, scratch: UnsafeMutablePointer<Block>
    ) -> Bool {
        let mask = encrypt(nonce: nonce, text: text, count: count, scratch: scratch)
        let tag = authenticate(
            nonce: nonce, header: header, headerCount: headerCount, text: text, count: count,
            micLength: micLength, scratch: scratch)
        return withUnsafeBytes(of: tag ^ mask) { bytes in
            var difference: UInt8 = 0
            for index in 0..<micLength { difference |= bytes[index] ^ mic[index] }
            return difference == 0
        }
    }

    /// The MIC before it is encrypted: CBC-MAC of B0, the header behind its length, and the text,
    /// each filled up with zeros (Annex A.2.2).
    @inline(__always)
    private func authenticate(
        nonce: CCMNonce, header: UnsafePointer<UInt8>, headerCount: Int,
        text: UnsafeMutablePointer<UInt8>, count: Int, micLength: Int,
        scratch: UnsafeMutablePointer<Block>
    ) -> Block {
        let flags = (headerCount == 0 ? 0 : 0x40) | UInt64(micLength / 2 - 1) << 3 | 1
        // Whatever the chain still holds from the message before cancels itself out.
        scratch[0] = nonce.block(flags: flags, count: count) ^ link.pointee
        var blocks = 1
        if headerCount > 0 {
            let next = blocks + Self.blocks(of: 2 + headerCount)
            scratch[next - 1] = .zero
            let bytes = UnsafeMutableRawPointer(scratch + blocks)
            bytes.storeBytes(of: UInt16(headerCount).bigEndian, as: UInt16.self)
            (bytes + 2).copyMemory(from: header, byteCount: headerCount)
            blocks = next
        }
        if count > 0 {
            let next = blocks + Self.blocks(of: count)
            scratch[next - 1] = .zero
            UnsafeMutableRawPointer(scratch + blocks).copyMemory(from: text, byteCount: count)
            blocks = next
        }
        encrypt(chaining, scratch, blocks: blocks)
        link.pointee = scratch[blocks - 1]
        return scratch[blocks - 1]
    }

    /// Encrypts or decrypts the text; gives the block that masks the MIC (Annex A.2.3).
    @inline(__always)
    private func encrypt(
        nonce: CCMNonce, text: UnsafeMutablePointer<UInt8>, count: Int,
        scratch: UnsafeMutablePointer<Block>
    ) -> Block {
        let blocks = 1 + Self.blocks(of: count)
        for index in 0..<blocks { scratch[index] = nonce.block(flags: 1, count: index) }
        encrypt(stream, scratch, blocks: blocks)
        let text = UnsafeMutableRawPointer(text)
        let stream = UnsafeRawPointer(scratch + 1)
        var at = 0
        while at + 8 <= count {
            let mixed =
                text.loadUnaligned(fromByteOffset: at, as: UInt64.self)
                ^ stream.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            text.storeBytes(of: mixed, toByteOffset: at, as: UInt64.self)
            at += 8
        }
        while at < count {
            let mixed =
                text.load(fromByteOffset: at, as: UInt8.self)
                ^ stream.load(fromByteOffset: at, as: UInt8.self)
            text.storeBytes(of: mixed, toByteOffset: at, as: UInt8.self)
            at += 1
        }
        return scratch[0]
    }

    @inline(__always)
    private func encrypt(
        _ context: OpaquePointer, _ scratch: UnsafeMutablePointer<Block>, blocks: Int
    ) {
        let bytes = UnsafeMutableRawPointer(scratch).assumingMemoryBound(to: UInt8.self)
        let length = EVP_Cipher(context, bytes, bytes, UInt32(16 * blocks))
        precondition(length == Int32(16 * blocks), "libcrypto cannot encrypt with AES-128")
    }

    private static func blocks(of count: Int) -> Int { (count + 15) >> 4 }
}

extension CCMNonce {
    /// A block of flags, nonce, and a number in two big-endian bytes.
    @inline(__always)
    fileprivate func block(flags: UInt64, count: Int) -> CCMContext.Block {
        let low = UInt64(littleEndian: low), high = UInt64(littleEndian: high)
        let number = UInt64(UInt16(truncatingIfNeeded: count).byteSwapped)
        return CCMContext.Block(
            (flags | low << 8).littleEndian,
            (low >> 56 | (high & 0xFF_FFFF_FFFF) << 8 | number << 48).littleEndian)
    }
}
