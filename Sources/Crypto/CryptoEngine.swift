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

    private let cipher: OpaquePointer
    private let table: CCMTable

    public init() {
        guard let cipher = EVP_CIPHER_fetch(nil, "AES-128-CCM", nil) else {
            fatalError("libcrypto lacks AES-128-CCM")
        }
        self.cipher = cipher
        table = CCMTable(cipher: cipher, capacity: Self.capacity, micLength: Self.micLength)
    }

    deinit { EVP_CIPHER_free(cipher) }

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
        let context = table.entry(for: key).pointee.sealing
        var span = frame.mutableSpan
        span.withUnsafeMutableBufferPointer { buffer in
            let base = buffer.baseAddress!
            nonce.withPointer { nonce in
                context.seal(
                    nonce: nonce, header: base + start, headerCount: payload - start,
                    text: base + payload, count: end - payload, mic: base + end)
            }
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
        let context = table.entry(for: key).pointee.opening
        var span = frame.mutableSpan
        let isGenuine = span.withUnsafeMutableBufferPointer { buffer in
            let base = buffer.baseAddress!
            return nonce.withPointer { nonce in
                context.open(
                    nonce: nonce, header: base + start, headerCount: payload - start,
                    text: base + payload, count: end - payload, mic: base + end)
            }
        }
        if isGenuine { frame.truncate(to: end) }
        return isGenuine
    }

    /// AES-CCM* of a message of any length with L = 2: ciphertext, then MIC. `nonce13` has 13
    /// bytes, `micLength` is 4, 8 or 16 (level 4, encryption only, is not offered), and the payload
    /// at most 65,535 bytes. Not for the path of frames: it sets the key up each time.
    public func seal(
        payload: [UInt8], header: [UInt8], key: Key128, nonce13: [UInt8], micLength: Int
    ) -> [UInt8] {
        Self.check(nonce13, micLength)
        precondition(payload.count <= 65_535)
        let context = CCMContext(.sealing, cipher: cipher, micLength: micLength)
        defer { context.release() }
        context.setKey(key)
        var message = payload + [UInt8](repeating: 0, count: micLength)
        header.withPointer { header, headerCount in
            message.withUnsafeMutableBufferPointer { buffer in
                let base = buffer.baseAddress!
                context.seal(
                    nonce: nonce13, header: header, headerCount: headerCount,
                    text: base, count: payload.count, mic: base + payload.count)
            }
        }
        return message
    }

    /// The reverse of the general `seal`: the payload, or nil if the MIC does not fit or `message`
    /// is too short to hold one or too long to have been sealed.
    public func open(
        _ message: [UInt8], header: [UInt8], key: Key128, nonce13: [UInt8], micLength: Int
    ) -> [UInt8]? {
        Self.check(nonce13, micLength)
        let count = message.count - micLength
        guard 0...65_535 ~= count else { return nil }
        let context = CCMContext(.opening, cipher: cipher, micLength: micLength)
        defer { context.release() }
        context.setKey(key)
        var payload = message
        let isGenuine = header.withPointer { header, headerCount in
            payload.withUnsafeMutableBufferPointer { buffer in
                let base = buffer.baseAddress!
                return context.open(
                    nonce: nonce13, header: header, headerCount: headerCount,
                    text: base, count: count, mic: base + count)
            }
        }
        guard isGenuine else { return nil }
        payload.removeLast(micLength)
        return payload
    }

    private static func check(_ nonce13: [UInt8], _ micLength: Int) {
        precondition(nonce13.count == CCMNonce.count, "a CCM* nonce has 13 bytes")
        precondition([4, 8, 16].contains(micLength), "a MIC has 4, 8 or 16 bytes")
    }
}

extension CCMNonce {
    @inline(__always)
    fileprivate func withPointer<T>(_ body: (UnsafePointer<UInt8>) -> T) -> T {
        withUnsafeBytes(of: self) { bytes in
            body(bytes.baseAddress!.assumingMemoryBound(to: UInt8.self))
        }
    }
}

extension [UInt8] {
    /// The array's bytes at an address that is there even if the array is empty.
    fileprivate func withPointer<T>(_ body: (UnsafePointer<UInt8>, Int) -> T) -> T {
        let one = isEmpty ? [0] : self
        return one.withUnsafeBufferPointer { body($0.baseAddress!, count) }
    }
}
