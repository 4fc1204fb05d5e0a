import COpenSSL

/// Writes PEM (RFC 7468).
enum PEMText {
    static func write(_ der: [UInt8], label: String) -> String {
        // Four characters for every three bytes, and the terminating zero.
        var encoded = [UInt8](repeating: 0, count: (der.count + 2) / 3 * 4 + 1)
        let count = Int(EVP_EncodeBlock(&encoded, der, Int32(der.count)))
        var text = "-----BEGIN \(label)-----\n"
        for start in stride(from: 0, to: count, by: 64) {
            text += String(decoding: encoded[start..<min(start + 64, count)], as: UTF8.self)
            text += "\n"
        }
        return text + "-----END \(label)-----\n"
    }
}
