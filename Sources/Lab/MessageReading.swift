import Evidence
import GBCS

extension MessageAccount {
    /// As `han gbcs decode` shows it, but for its verdicts; nil for what is no GBCS message.
    public init?(of bytes: [UInt8]) {
        guard let message = try? GBCSMessage(parsing: bytes) else { return nil }
        let content = try? MessageContent(of: message)
        self.init(
            useCase: message.header.otherInformation.messageCode.useCase ?? "unknown",
            kind: message.header.kind.words,
            fields: message.fields(content: content).map {
                Field(name: $0.name, bytes: $0.bytes, meaning: $0.meaning)
            })
    }
}
