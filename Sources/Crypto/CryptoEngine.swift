import COpenSSL
import Wire

/// AES-CCM* for the frames of one world: keeps the key schedules of the keys in use, works in
/// place, and allocates nothing once it has seen a key.
///
/// Not for use from two threads at once: libcrypto's contexts are not.
public final class CryptoEngine {
    /// How many keys are kept; one more takes the place of the one used least recently.
    public static let capacity = 128
    /// Bytes of MIC at security level 5, ENC-MIC-32 (ZigBee 4.5.1.1.1).
    public static let micLength = 4

    private let cbc: OpaquePointer
    private let ecb: OpaquePointer
    private let table: CCMTable
    /// Room for the blocks of one frame.
    private let scratch: UnsafeMutablePointer<CCMContext.Block>

    public init() {
        guard let cbc = EVP_CIPHER_fetch(nil, "AES-128-CBC", nil),
            let ecb = EVP_CIPHER_fetch(nil, "AES-128-ECB", nil)
        else { fatalError("libcrypto lacks AES-128") }
        self.cbc = cbc
        self.ecb = ecb
        table = CCMTable(cbc: cbc, ecb: ecb, capacity: Self.capacity)
        // Header and text of a frame each leave at most one block unfilled.
        scratch = .allocate(capacity: FrameBuffer.capacity / 16 + 4)
    }

    deinit {
        scratch.deallocate()
        EVP_CIPHER_free(cbc)
        EVP_CIPHER_free(ecb)
    }

    /// Secures a frame at level 5: bytes `start..<payload` are authenticated, those from `payload`
    /// to the end encrypted where they are, and four bytes of MIC appended.
    ///
    /// If the MIC does not fit, the frame becomes overflowed and stays unencrypted; its sender
    /// drops it. `0 <= start <= payload <= count` is the caller's to keep.
    public func seal(
        _ frame: inout FrameBuffer, from start: Int, payload: Int, key: Key128, nonce: CCMNonce
    ) {
        let end = frame.count
        precondition(0 <= start && start <= payload && payload <= end)
        frame.appendZeros(Self.micLength)
        guard !frame.isOverflowed else { return }
        let context = table.entry(for: key).pointee.context
        var span = frame.mutableSpan
        span.withUnsafeMutableBufferPointer { buffer in
            let base = buffer.baseAddress!
            context.seal(
                nonce: nonce, header: base + start, headerCount: payload - start,
                text: base + payload, count: end - payload, mic: base + end,
                micLength: Self.micLength, scratch: scratch)
        }
    }

    /// The reverse of `seal`: true if the last four bytes are the MIC of the rest, which is then
    /// decrypted, the MIC cut off. False for any other frame, also one too short to hold a MIC
    /// after `payload`; what the frame then holds is not specified.
    public func open(
        _ frame: inout FrameBuffer, from start: Int, payload: Int, key: Key128, nonce: CCMNonce
    ) -> Bool {
        let end = frame.count - Self.micLength
        guard 0 <= start, start <= payload, payload <= end else { return false }
        let context = table.entry(for: key).pointee.context
        var span = frame.mutableSpan
        let isGenuine = span.withUnsafeMutableBufferPointer { buffer in
            let base = buffer.baseAddress!
            return context.open(
                nonce: nonce, header: base + start, headerCount: payload - start,
                text: base + payload, count: end - payload, mic: base + end,
                micLength: Self.micLength, scratch: scratch)
        }
        if isGenuine { frame.truncate(to: end) }
        return isGenuine
    }

    /// AES-CCM* of a message of any length with L = 2: ciphertext, then MIC. `nonce13` has 13
    /// bytes, `micLength` is 4, 8 or 16 (level 4, encryption only, is not offered), the payload at
    /// most 65,535 bytes, the header at most 65,279. Not for the path of frames: it sets the key up
    /// each time.
    public func seal(
        payload: [UInt8], header: [UInt8], key: Key128, nonce13: [UInt8], micLength: Int
    ) -> [UInt8] {
        Self.check(nonce13, micLength, header)
        precondition(payload.count <= 65_535)
        var message = payload + [UInt8](repeating: 0, count: micLength)
        withContext(key, header: header, text: payload.count) { context, header, scratch in
            message.withUnsafeMutableBufferPointer { buffer in
                let base = buffer.baseAddress!
                context.seal(
                    nonce: CCMNonce(bytes: nonce13), header: header.baseAddress!,
                    headerCount: header.count - 1, text: base, count: payload.count,
                    mic: base + payload.count, micLength: micLength, scratch: scratch)
            }
        }
        return message
    }

    /// The reverse of the general `seal`: the payload, or nil if the MIC does not fit or `message`
    /// is too short to hold one or too long to have been sealed.
    public func open(
        _ message: [UInt8], header: [UInt8], key: Key128, nonce13: [UInt8], micLength: Int
    ) -> [UInt8]? {
        Self.check(nonce13, micLength, header)
        let count = message.count - micLength
        guard 0...65_535 ~= count else { return nil }
        var payload = message
        let isGenuine = withContext(key, header: header, text: count) { context, header, scratch in
            payload.withUnsafeMutableBufferPointer { buffer in
                let base = buffer.baseAddress!
                return context.open(
                    nonce: CCMNonce(bytes: nonce13), header: header.baseAddress!,
                    headerCount: header.count - 1, text: base, count: count, mic: base + count,
                    micLength: micLength, scratch: scratch)
            }
        }
        guard isGenuine else { return nil }
        payload.removeLast(micLength)
        return payload
    }

    /// A context and scratch for one message; the header comes with one more byte behind it, so
    /// that it has an address even if it is empty.
    private func withContext<T>(
        _ key: Key128, header: [UInt8], text: Int,
        _ body: (CCMContext, UnsafeBufferPointer<UInt8>, UnsafeMutablePointer<CCMContext.Block>) ->
            T
    ) -> T {
        let context = CCMContext(cbc: cbc, ecb: ecb)
        let scratch = UnsafeMutablePointer<CCMContext.Block>.allocate(
            capacity: CCMContext.scratch(header: header.count, text: text))
        defer {
            context.release()
            scratch.deallocate()
        }
        context.setKey(key)
        return (header + [0]).withUnsafeBufferPointer { body(context, $0, scratch) }
    }

    private static func check(_ nonce13: [UInt8], _ micLength: Int, _ header: [UInt8]) {
        precondition(nonce13.count == CCMNonce.count, "a CCM* nonce has 13 bytes")
        precondition([4, 8, 16].contains(micLength), "a MIC has 4, 8 or 16 bytes")
        precondition(header.count <= CCMContext.maximumHeader, "a CCM* header this long")
    }
}
