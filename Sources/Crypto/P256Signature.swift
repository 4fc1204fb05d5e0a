extension P256 {
    /// An ECDSA signature as GBCS carries it: r then s, each 32 big-endian bytes.
    public struct Signature: Hashable, Sendable {
        /// Sixty-four bytes, r || s.
        public let bytes: [UInt8]

        /// Takes exactly sixty-four bytes; nil for any other count. Numbers that no signer makes
        /// are kept as they are, and verify as false.
        public init?(_ bytes: some Collection<UInt8>) {
            guard bytes.count == 64 else { return nil }
            self.bytes = Array(bytes)
        }
    }
}
