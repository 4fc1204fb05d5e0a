import CXML
import CXMLSec

/// Long texts of a document that is being written. libxml2 would look at every character of them
/// three times over; so it is given a mark for each, and they are put in afterwards.
final class HeldTexts {
    private var texts: [(node: xmlNodePtr, bytes: [UInt8])] = []

    /// Shorter ones are left, in bytes.
    private static let least = 4_096
    private static let maximumCount = 8

    /// U+F8FF, a character that is nobody's, in UTF-8, around the text's number: longer than any
    /// text of somebody else's that stands beside a long one.
    private static func mark(_ index: Int) -> [UInt8] {
        let sign: [UInt8] = [0xEF, 0xA3, 0xBF]
        return sign + Array("han: long text \(index)".utf8) + sign
    }

    /// What is to stand in its place; nil if it is to stand there itself.
    func mark(for bytes: [UInt8]) -> [UInt8]? {
        guard bytes.count >= Self.least, texts.count < Self.maximumCount else { return nil }
        return Self.mark(texts.count)
    }

    /// `node` has the mark that was asked for last.
    func hold(_ bytes: [UInt8], in node: xmlNodePtr) { texts.append((node, bytes)) }

    /// Runs `body` while each text is the one byte that says to xmlsec which it is.
    func withPieces(
        _ body: ([han_xmlsec_text]) throws(DUISWriteError) -> Void
    ) throws(DUISWriteError) {
        let marks: [StaticString] = [
            "\u{1}", "\u{2}", "\u{3}", "\u{4}", "\u{5}", "\u{6}", "\u{7}", "\u{8}",
        ]
        let contents = texts.map(\.node.pointee.content)
        let copies = texts.map { text in
            let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: text.bytes.count)
            _ = copy.initialize(from: text.bytes)
            return copy
        }
        for (text, mark) in zip(texts, marks) {
            text.node.pointee.content = UnsafeMutablePointer(mutating: mark.characters)
        }
        defer {
            for (text, content) in zip(texts, contents) { text.node.pointee.content = content }
            for copy in copies { copy.deallocate() }
        }
        try body(copies.map { han_xmlsec_text(bytes: $0.baseAddress, count: $0.count) })
    }

    /// The document with the texts where their marks are.
    func putBack(into document: [UInt8]) -> [UInt8] {
        guard !texts.isEmpty else { return document }
        var whole: [UInt8] = []
        whole.reserveCapacity(document.count + texts.reduce(0) { $0 + $1.bytes.count })
        var kept = 0
        for (index, text) in texts.enumerated() {
            // They were added in the document's order.
            let mark = Self.mark(index)
            guard let place = document[kept...].firstRange(of: mark)?.lowerBound else {
                preconditionFailure("libxml2 does not write a text as it is")
            }
            whole += document[kept..<place]
            whole += text.bytes
            kept = place + mark.count
        }
        whole += document[kept...]
        return whole
    }
}
