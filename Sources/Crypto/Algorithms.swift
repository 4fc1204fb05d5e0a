import COpenSSL

/// Algorithms of libcrypto, looked up by name once: to do so for each message would cost more than
/// the message. They are only read from then on, which libcrypto allows from several threads.
enum Algorithms {
    nonisolated(unsafe) static let sha256: OpaquePointer = {
        guard let found = EVP_MD_fetch(nil, "SHA256", nil) else {
            preconditionFailure("libcrypto lacks SHA-256")
        }
        return found
    }()

    nonisolated(unsafe) static let aes128GCM: OpaquePointer = {
        guard let found = EVP_CIPHER_fetch(nil, "AES-128-GCM", nil) else {
            preconditionFailure("libcrypto lacks AES-128-GCM")
        }
        return found
    }()
}
