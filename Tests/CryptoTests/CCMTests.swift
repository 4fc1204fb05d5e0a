import COpenSSL
import Crypto
import Testing
import Wire

@Suite struct CCMTests {
    static let nonce = CCMNonce(
        source: EUI64(0x00DB_1234_5678_90A4), counter: 0x0102_0304, control: 0x2D)

    /// A frame of `count` random bytes.
    static func frame(_ count: Int, _ stream: inout SeededStream) -> FrameBuffer {
        FrameBuffer(stream.bytes(count))
    }

    static func randomKey(_ stream: inout SeededStream) -> Key128 {
        Key128(high: stream.next(), low: stream.next())
    }

    @Test("CCM* gives the message of ZigBee C.3 and takes it back")
    func published() {
        let engine = CryptoEngine()
        let key = key("C0C1C2C3C4C5C6C7C8C9CACBCCCDCECF")
        let nonce = hex("A0A1A2A3A4A5A6A7 03020100 06")
        let header = Array(UInt8(0)...7)
        let message = engine.seal(
            payload: Array(0x08...0x1E), header: header, key: key, nonce13: nonce, micLength: 8)
        #expect(
            message
                == hex("1A55A36ABB6C610D066B3375649CEF10D4664ECAD854A8 0A895CC1D8FF9469"))
        let opened = engine.open(
            message, header: header, key: key, nonce13: nonce, micLength: 8)
        #expect(opened == Array(0x08...0x1E))
    }

    @Test("a nonce is source, counter and control, little-endian")
    func nonceBytes() {
        #expect(Self.nonce.bytes == hex("A490785634 12DB00 04030201 2D"))
    }

    @Test(
        "what is sealed opens, for every MIC length and empty parts too",
        arguments: [4, 8, 16], [0, 1, 15, 16, 17, 300])
    func generalRoundTrip(micLength: Int, count: Int) {
        var stream = SeededStream(Seed(UInt64(micLength * 1_000 + count)))
        let engine = CryptoEngine()
        let (key, nonce, payload) = (
            Self.randomKey(&stream), stream.bytes(13), stream.bytes(count)
        )
        for header in [[], stream.bytes(1), stream.bytes(40)] {
            let message = engine.seal(
                payload: payload, header: header, key: key, nonce13: nonce, micLength: micLength)
            #expect(message.count == count + micLength)
            func open(_ message: [UInt8]) -> [UInt8]? {
                engine.open(
                    message, header: header, key: key, nonce13: nonce, micLength: micLength)
            }
            #expect(open(message) == payload)
            #expect(open(message.dropLast()) == nil)
            #expect(open([]) == nil)
        }
    }

    @Test("a frame sealed in place is the general form's message, and opens", arguments: 0..<50)
    func frameRoundTrip(seed: UInt64) {
        var stream = SeededStream(Seed(seed))
        let engine = CryptoEngine()
        let key = Self.randomKey(&stream)
        let count = Int(stream.below(124))
        let payload = Int(stream.below(UInt64(count) + 1))
        let start = Int(stream.below(UInt64(payload) + 1))
        let original = Self.frame(count, &stream)
        var frame = original
        engine.seal(&frame, from: start, payload: payload, key: key, nonce: Self.nonce)
        #expect(!frame.isOverflowed)
        let message = engine.seal(
            payload: Array(original.bytes[payload...]),
            header: Array(original.bytes[start..<payload]), key: key,
            nonce13: Self.nonce.bytes, micLength: 4)
        #expect(frame.bytes == original.bytes[..<payload] + message)
        #expect(engine.open(&frame, from: start, payload: payload, key: key, nonce: Self.nonce))
        #expect(frame == original)
    }

    @Test("a frame with any bit of any byte changed does not open", arguments: [0, 1, 40])
    func tampering(payloadCount: Int) {
        var stream = SeededStream(Seed(7))
        let engine = CryptoEngine()
        let key = Self.randomKey(&stream)
        var sealed = Self.frame(30 + payloadCount, &stream)
        engine.seal(&sealed, from: 8, payload: 30, key: key, nonce: Self.nonce)
        func opens(_ frame: FrameBuffer, _ key: Key128, _ nonce: CCMNonce) -> Bool {
            var copy = frame
            return engine.open(&copy, from: 8, payload: 30, key: key, nonce: nonce)
        }
        for index in 0..<sealed.count {
            for bit in 0..<8 {
                var changed = sealed
                changed[index] ^= UInt8(1 << bit)
                // Bytes before the start are not covered.
                #expect(opens(changed, key, Self.nonce) == (index < 8))
            }
        }
        let others = [
            CCMNonce(source: EUI64(1), counter: 0x0102_0304, control: 0x2D),
            CCMNonce(source: EUI64(0x00DB_1234_5678_90A4), counter: 5, control: 0x2D),
            CCMNonce(source: EUI64(0x00DB_1234_5678_90A4), counter: 0x0102_0304, control: 0x28),
        ]
        for nonce in others { #expect(!opens(sealed, key, nonce)) }
        #expect(!opens(sealed, Key128(high: key.high, low: key.low ^ 1), Self.nonce))
        #expect(opens(sealed, key, Self.nonce))
    }

    @Test("a frame too short for its header and a MIC does not open, whatever the offsets")
    func shortFrames() {
        let engine = CryptoEngine()
        let key = Key128(high: 1, low: 2)
        for count in 0...12 {
            for (start, payload) in [(0, 9), (5, 9), (9, 5), (-1, 5), (0, 0), (200, 200)] {
                var frame = FrameBuffer([UInt8](repeating: 0, count: count))
                #expect(
                    !engine.open(
                        &frame, from: start, payload: payload, key: key, nonce: Self.nonce))
            }
        }
    }

    @Test("a frame without room for the MIC overflows instead of trapping")
    func noRoom() {
        let engine = CryptoEngine()
        for count in 120...127 {
            var frame = FrameBuffer([UInt8](repeating: 0, count: count))
            engine.seal(
                &frame, from: 0, payload: 20, key: Key128(high: 1, low: 2), nonce: Self.nonce)
            #expect(frame.isOverflowed == (count > 123))
        }
    }

    @Test("an engine gives the same frames however many keys it has seen and forgotten")
    func manyKeys() {
        var stream = SeededStream(Seed(11))
        let engine = CryptoEngine()
        let keys = (0..<5 * CryptoEngine.capacity / 2).map { _ in Self.randomKey(&stream) }
        let original = Self.frame(60, &stream)
        let expected = keys.map { key in
            engine.seal(
                payload: Array(original.bytes[20...]), header: Array(original.bytes[..<20]),
                key: key, nonce13: Self.nonce.bytes, micLength: 4)
        }
        // Runs that fit the table, runs that push keys out, and jumps.
        var order = Array(keys.indices) + Array(keys.indices.prefix(100)) + keys.indices.reversed()
        for _ in 0..<3_000 { order.append(Int(stream.below(UInt64(keys.count)))) }
        for position in order {
            var frame = original
            let key = keys[position]
            engine.seal(&frame, from: 0, payload: 20, key: key, nonce: Self.nonce)
            let isRight = Array(frame.bytes[20...]) == expected[position]
            #expect(isRight)
            let opens = engine.open(&frame, from: 0, payload: 20, key: key, nonce: Self.nonce)
            #expect(opens && frame == original)
        }
    }

    @Test("the openssl command, given CCM's formula, makes the same message", arguments: 0..<12)
    func independent(seed: UInt64) throws {
        var stream = SeededStream(Seed(seed))
        let key = Self.randomKey(&stream)
        let (nonce, micLength) = (stream.bytes(13), [4, 8, 16][Int(seed % 3)])
        // The first rounds have no payload, some no header.
        let payload = seed < 3 ? [] : stream.bytes(Int(stream.below(90)))
        let header = seed % 4 == 1 ? [] : stream.bytes(Int(stream.below(40)) + 1)

        // SP 800-38C: the tag is the CBC-MAC of flags, nonce, length, header and payload; both
        // are then encrypted in counter mode, the tag with counter 0.
        func padded(_ bytes: [UInt8]) -> [UInt8] {
            bytes + [UInt8](repeating: 0, count: (16 - bytes.count % 16) % 16)
        }
        let flags = UInt8((header.isEmpty ? 0 : 0x40) | ((micLength - 2) / 2) << 3 | 1)
        let headerPart = header.isEmpty ? [] : padded([0, UInt8(header.count)] + header)
        let workshop = try Workshop()
        try workshop.write(
            [flags] + nonce + [0, UInt8(payload.count)] + headerPart + padded(payload), "blocks")
        let zero = String(repeating: "0", count: 32)
        let name = Hex.string(key.bytes)
        #expect(
            try workshop.openssl(
                "enc -aes-128-cbc -nopad -K \(name) -iv \(zero) -in blocks -out chain") == 0)
        try workshop.write(Array(try workshop.read("chain").suffix(16)) + payload, "plain")
        let counter = Hex.string([1] + nonce + [0, 0])
        #expect(
            try workshop.openssl(
                "enc -aes-128-ctr -K \(name) -iv \(counter) -in plain -out secret") == 0)
        let secret = try workshop.read("secret")

        let message = CryptoEngine().seal(
            payload: payload, header: header, key: key, nonce13: nonce, micLength: micLength)
        #expect(message == Array(secret[16...]) + secret[..<micLength])
    }
    @Test("libcrypto's own CCM makes and opens the same frames", arguments: 0..<200)
    func libcryptoJudges(seed: UInt64) {
        var stream = SeededStream(Seed(seed).named("libcrypto"))
        let engine = CryptoEngine()
        let key = Self.randomKey(&stream)
        // Several under one key: an engine's contexts carry their state from one to the next.
        for _ in 0..<5 {
            let count = Int(stream.below(124))
            let payload = Int(stream.below(UInt64(count) + 1))
            let nonce = CCMNonce(
                source: EUI64(stream.next()), counter: UInt32(truncatingIfNeeded: stream.next()),
                control: 0x2D)
            let original = Self.frame(count, &stream)
            var frame = original
            engine.seal(&frame, from: 0, payload: payload, key: key, nonce: nonce)
            let theirs = Self.libcryptoSeal(
                Array(original.bytes[payload...]), header: Array(original.bytes[..<payload]),
                key: key, nonce: nonce.bytes)
            #expect(Array(frame.bytes[payload...]) == theirs)
            let opens = engine.open(&frame, from: 0, payload: payload, key: key, nonce: nonce)
            #expect(opens && frame == original)
        }
    }

    /// AES-128-CCM of OpenSSL's EVP, four bytes of MIC.
    private static func libcryptoSeal(
        _ text: [UInt8], header: [UInt8], key: Key128, nonce: [UInt8]
    ) -> [UInt8] {
        let context = EVP_CIPHER_CTX_new()
        defer { EVP_CIPHER_CTX_free(context) }
        var sealed = text + [0]
        var mic = [UInt8](repeating: 0, count: 4)
        var written: Int32 = 0
        let isDone =
            EVP_EncryptInit_ex(context, EVP_aes_128_ccm(), nil, nil, nil) == 1
            && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, 13, nil) == 1
            && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 4, nil) == 1
            && EVP_EncryptInit_ex(context, nil, nil, key.bytes, nonce) == 1
            && EVP_EncryptUpdate(context, nil, &written, nil, Int32(text.count)) == 1
            && (header.isEmpty
                || EVP_EncryptUpdate(context, nil, &written, header, Int32(header.count)) == 1)
            && EVP_EncryptUpdate(context, &sealed, &written, text, Int32(text.count)) == 1
            && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 4, &mic) == 1
        precondition(isDone, "libcrypto cannot encrypt with AES-128-CCM")
        return sealed.dropLast() + mic
    }
}
