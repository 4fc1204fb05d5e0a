import CXML

/// A text that our own reader has checked and that libxml2 had better not see, because it is long
/// or because libxml2 cannot read it. While a schema is applied or a signature is verified
/// something short stands in its place.
struct LongText {
    let element: XMLElement
    /// Of the same type in the schema.
    private let standIn: StaticString

    init(_ element: XMLElement, standIn: StaticString) {
        self.element = element
        self.standIn = standIn
    }

    /// Texts shorter than this are canonicalised where they are, in bytes.
    private static let least = 4_096

    /// Its node and its bytes, if they lie in one piece. A text in pieces is long for nobody but
    /// him who wrote it so.
    private var piece: (node: xmlNodePtr, bytes: UnsafeBufferPointer<UInt8>)? {
        guard let node = element.onlyText, let start = node.pointee.content else { return nil }
        return (
            node, element.run ?? UnsafeBufferPointer(start: start, count: XMLElement.length(start))
        )
    }

    /// Runs `body` while each long text is one byte, its index plus one: no document can have
    /// these. Hands over the texts in the order of their indices.
    static func withMarks<Value>(
        _ texts: [LongText], _ body: ([UnsafeBufferPointer<UInt8>]) -> Value
    ) -> Value {
        let marks: [StaticString] = [
            "\u{1}", "\u{2}", "\u{3}", "\u{4}", "\u{5}", "\u{6}", "\u{7}", "\u{8}",
        ]
        let pieces = texts.compactMap(\.piece).filter { $0.bytes.count >= least }
            .prefix(marks.count)
        return replacing(pieces.map(\.node), by: marks) { body(pieces.map(\.bytes)) }
    }

    /// Runs `body` while another text of its type stands for each.
    static func withStandIns<Value>(_ texts: [LongText], _ body: () -> Value) -> Value {
        let pieces = texts.compactMap { text in text.piece.map { ($0.node, text.standIn) } }
        return replacing(pieces.map(\.0), by: pieces.map(\.1), body)
    }

    private static func replacing<Value>(
        _ nodes: [xmlNodePtr], by texts: [StaticString], _ body: () -> Value
    ) -> Value {
        let contents = nodes.map(\.pointee.content)
        for (node, text) in zip(nodes, texts) {
            // Only read as long as it stands there.
            node.pointee.content = UnsafeMutablePointer(mutating: text.characters)
        }
        defer { for (node, content) in zip(nodes, contents) { node.pointee.content = content } }
        return body()
    }
}
