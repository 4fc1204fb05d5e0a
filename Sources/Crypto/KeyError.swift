/// Why bytes are not a key that can be used; the text is for the person who gave the file.
public enum KeyError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file is larger than any key or certificate: its size and the limit, in bytes.
    case tooLarge(size: Int, limit: Int)
    /// Neither PEM nor DER of the kind that was expected.
    case unreadable(expected: String)
    /// PEM blocks, but none of the kind that was expected.
    case wrongBlock(found: String, expected: String)
    /// The key is locked with a passphrase.
    case encrypted
    /// Readable, but not a key on the curve P-256; what it is instead.
    case notP256(found: String)
    /// The point is not on the curve, or is not written as 04 || x || y.
    case badPoint
    /// The private scalar is not in 1..<n.
    case scalarOutOfRange
    /// The public key stored beside the private one belongs to another key.
    case mismatchedHalves
    /// Bytes after the end of the DER structure; where they start, and how many.
    case trailing(offset: Int, count: Int)

    public var description: String {
        switch self {
        case .tooLarge(let size, let limit):
            "\(size) bytes are too many for a key or certificate (at most \(limit)); "
                + "check that it is the right file"
        case .unreadable(let expected):
            "neither PEM nor DER of \(expected); give a file that holds one"
        case .wrongBlock(let found, let expected):
            "the PEM text holds '\(found)' where \(expected) is expected"
        case .encrypted:
            "the key is locked with a passphrase; save it without one, as unencrypted PKCS#8"
        case .notP256(let found):
            "the key is of kind '\(found)'; GBCS signatures need a P-256 (prime256v1) key"
        case .badPoint:
            "the public key is not a point of P-256 written as 04, x, y (65 bytes)"
        case .scalarOutOfRange:
            "the private key is not a number from 1 to the order of P-256 less one (32 bytes)"
        case .mismatchedHalves:
            "the public key stored with the private key does not belong to it"
        case .trailing(let offset, let count):
            "offset \(offset): \(count) bytes left over after the end of the key or certificate"
        }
    }
}
