import COpenSSL
import Wire

/// SHA-256 (FIPS 180-4) of bytes that are all at hand. For bytes that arrive in pieces see
/// `SHA256Hasher`.
public enum SHA256 {
    public static func digest(_ bytes: Span<UInt8>) -> Digest256 {
        bytes.withUnsafeBytes { digest(of: $0) }
    }

    public static func digest(_ bytes: [UInt8]) -> Digest256 {
        bytes.withUnsafeBytes { digest(of: $0) }
    }

    private static func digest(of bytes: UnsafeRawBufferPointer) -> Digest256 {
        Digest256(filledBy: { out in
            EVP_Digest(bytes.baseAddress, bytes.count, out, nil, Algorithms.sha256, nil) == 1
        })
    }
}

/// SHA-256 of bytes that arrive in pieces, such as an image on its way in.
public final class SHA256Hasher {
    private let context: OpaquePointer

    public init() {
        guard let context = EVP_MD_CTX_new() else { fatalError("out of memory") }
        self.context = context
        restart()
    }

    deinit { EVP_MD_CTX_free(context) }

    public func update(_ bytes: Span<UInt8>) {
        bytes.withUnsafeBytes { update(with: $0) }
    }

    public func update(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { update(with: $0) }
    }

    /// The digest of everything since the start or the last `finish`; the hasher then starts anew.
    public func finish() -> Digest256 {
        let digest = Digest256(filledBy: { out in EVP_DigestFinal_ex(context, out, nil) == 1 })
        restart()
        return digest
    }

    private func update(with bytes: UnsafeRawBufferPointer) {
        let done = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
        precondition(done == 1, "libcrypto cannot hash")
    }

    private func restart() {
        precondition(
            EVP_DigestInit_ex(context, Algorithms.sha256, nil) == 1, "libcrypto lacks SHA-256")
    }
}

extension Digest256 {
    /// The digest that `fill` writes into 32 bytes; `fill` fails only where libcrypto is broken.
    init(filledBy fill: (UnsafeMutablePointer<UInt8>) -> Bool) {
        self = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { buffer in
            buffer.initialize(repeating: 0)
            precondition(fill(buffer.baseAddress!), "libcrypto cannot hash")
            var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
            for index in 0..<8 {
                words.0 = words.0 << 8 | UInt64(buffer[index])
                words.1 = words.1 << 8 | UInt64(buffer[8 + index])
                words.2 = words.2 << 8 | UInt64(buffer[16 + index])
                words.3 = words.3 << 8 | UInt64(buffer[24 + index])
            }
            return Digest256(words: words)
        }
    }
}
