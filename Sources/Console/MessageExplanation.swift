import GBCS
import Tracking
import Wire

/// A GBCS message taken apart, in the words that the screen, the control interface and
/// `han tracking show` all use.
public struct MessageExplanation: Sendable, Encodable {
    public struct Field: Sendable, Encodable {
        public var name: String
        public var bytes: [UInt8]
        /// In words; empty where the bytes say all.
        public var meaning: String
        /// How deep it lies in others.
        public var depth: Int

        private enum Key: String, CodingKey { case name, hex, meaning }

        public func encode(to encoder: any Encoder) throws {
            var fields = encoder.container(keyedBy: Key.self)
            try fields.encode(name, forKey: .name)
            try fields.encode(Hex.string(bytes), forKey: .hex)
            try fields.encode(meaning, forKey: .meaning)
        }
    }

    /// `GBCS message: CS09 alert`
    public var title: String
    /// Its size, whose it is and whose it is to be; of bytes that are no message, why not.
    public var caption: String
    /// `CS09`; nil where that is not known.
    public var useCase: String?
    /// `command`, `response` or `alert`; nil for bytes that are no message.
    public var kind: String?
    /// In the message's order.
    public var fields: [Field]

    public init(of bytes: [UInt8]) {
        let size = "\(Words.count(bytes.count)) bytes"
        do throws(MessageError) {
            let message = try GBCSMessage(parsing: bytes)
            let content = try? MessageContent(of: message)
            useCase = message.header.otherInformation.messageCode.useCase
            kind = message.header.kind.words
            title = "GBCS message: " + [useCase, kind].compactMap(\.self).joined(separator: " ")
            caption =
                "\(size), from \(message.header.originator.text) to "
                + message.header.recipient.text
            fields = message.fields(content: content).map {
                Field(name: $0.name, bytes: $0.bytes, meaning: $0.meaning, depth: $0.depth)
            }
        } catch {
            title = "Message that cannot be read"
            caption = "\(size): \(error)"
            fields = []
        }
    }
}

/// An entry of a time line, and what its message says.
public struct ExplainedHop: Sendable, Encodable {
    public var hop: HopRow
    /// nil where there is no message.
    public var explanation: MessageExplanation?

    public init(_ hop: HopRow) {
        self.hop = hop
        explanation = hop.message.map { MessageExplanation(of: $0) }
    }

    private enum Key: String, CodingKey { case explanation }

    /// The hop's own fields, and `explanation`.
    public func encode(to encoder: any Encoder) throws {
        try hop.encode(to: encoder)
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encodeIfPresent(explanation, forKey: .explanation)
    }
}
