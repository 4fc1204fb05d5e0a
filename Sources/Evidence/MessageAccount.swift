/// What a GBCS message says, for the evidence, which does not know the language itself.
public struct MessageAccount: Sendable {
    public struct Field: Sendable {
        public var name: String
        public var bytes: [UInt8]
        /// In words; empty where the bytes say all.
        public var meaning: String

        public init(name: String, bytes: [UInt8], meaning: String) {
            self.name = name
            self.bytes = bytes
            self.meaning = meaning
        }
    }

    /// Takes a message apart; nil for bytes that are none.
    public typealias Reading = @Sendable ([UInt8]) -> MessageAccount?

    public var useCase: String
    /// `command`, `response` or `alert`.
    public var kind: String
    /// In the message's order.
    public var fields: [Field]

    public init(useCase: String, kind: String, fields: [Field]) {
        self.useCase = useCase
        self.kind = kind
        self.fields = fields
    }
}
