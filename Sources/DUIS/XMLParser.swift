import CXML
import Glibc

/// Bytes from somebody else, made a tree: no DTD, no entities but XML's own five, no network, and
/// bounds on everything that grows.
enum XMLParser {
    /// DUIS has about ten levels.
    static let maximumDepth = 64
    /// Elements, comments, processing instructions and CDATA sections.
    static let maximumNodes = 50_000
    /// libxml2 compares each attribute of an element with all others; so many in one element take
    /// it some hundredths of a second.
    static let maximumAttributes = 4_000
    /// Declared in the whole document. A canonicalisation compares each with all others, at every
    /// element.
    static let maximumNamespaces = 64

    private static let encodings: Set = [
        "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "utf-16", "utf-16le", "utf-16be",
    ]

    static func parse(_ bytes: [UInt8], limit: Int) throws(Fault) -> XMLTree {
        XMLLibraries.start()
        guard bytes.count <= limit, bytes.count < Int(Int32.max) else {
            throw Fault(
                .tooLarge, "the document has \(bytes.count) bytes; at most \(limit) are read")
        }
        guard !bytes.isEmpty else { throw Fault("there is no document, not a single byte") }
        // An attribute and a namespace's declaration have one each.
        guard !hasMore(than: maximumAttributes, of: UInt8(ascii: "="), in: bytes) else {
            throw Fault(
                "the document has more than \(maximumAttributes) equals signs, more than any "
                    + "request needs for its attributes")
        }
        guard let context = xmlNewParserCtxt() else { fatalError("memory ran out") }
        defer { xmlFreeParserCtxt(context) }
        let watch = ParserWatch()
        context.pointee._private = Unmanaged.passUnretained(watch).toOpaque()
        watch.attach(to: context)
        // Large texts are allowed; what else that option would allow has the bounds above.
        let options =
            XML_PARSE_NONET.rawValue | XML_PARSE_HUGE.rawValue | XML_PARSE_BIG_LINES.rawValue
            | XML_PARSE_NOXINCNODE.rawValue | XML_PARSE_COMPACT.rawValue
        let parsed = bytes.withUnsafeBytes { buffer in
            xmlCtxtReadMemory(
                context, buffer.baseAddress?.assumingMemoryBound(to: CChar.self),
                Int32(buffer.count), nil, nil, Int32(options))
        }
        let tree = parsed.map { XMLTree(owning: $0) }
        if let refusal = watch.refusal { throw Fault(refusal) }
        guard let tree, context.pointee.wellFormed == 1, tree.root != nil else {
            throw Fault(watch.firstError ?? "the document is no XML")
        }
        if let name = textAt(tree.pointer.pointee.encoding),
            !encodings.contains(name.lowercased())
        {
            throw Fault("the document says that its encoding is \(quoted(name)); UTF-8 is expected")
        }
        return tree
    }
}

/// Whether there are more than `limit` of a byte. libc looks at many bytes at once.
private func hasMore(than limit: Int, of byte: UInt8, in bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { buffer in
        var (at, count) = (0, 0)
        while at < buffer.count, count <= limit,
            let found = memchr(buffer.baseAddress! + at, Int32(byte), buffer.count - at)
        {
            at = UnsafeRawPointer(found) - buffer.baseAddress! + 1
            count += 1
        }
        return count > limit
    }
}

/// What happens while a document is parsed: its bounds, and the first error.
private final class ParserWatch {
    var refusal: String?
    var firstError: String?
    var depth = 0
    var nodes = 0
    var namespaces = 0

    static func of(_ context: UnsafeMutableRawPointer?) -> ParserWatch? {
        guard let context else { return nil }
        let parser = context.assumingMemoryBound(to: xmlParserCtxt.self)
        return parser.pointee._private.map {
            Unmanaged<ParserWatch>.fromOpaque($0).takeUnretainedValue()
        }
    }

    func refuse(_ reason: String, _ context: UnsafeMutableRawPointer?) {
        guard let context else { return }
        let parser = context.assumingMemoryBound(to: xmlParserCtxt.self)
        if refusal == nil { refusal = "line \(xmlSAX2GetLineNumber(context)): \(reason)" }
        xmlStopParser(parser)
    }

    /// Counts a node; false if that was one too many.
    func count(_ context: UnsafeMutableRawPointer?) -> Bool {
        nodes += 1
        guard nodes <= XMLParser.maximumNodes else {
            refuse("the document has more than \(XMLParser.maximumNodes) parts", context)
            return false
        }
        return true
    }

    func attach(to context: xmlParserCtxtPtr) {
        let sax = context.pointee.sax!
        sax.pointee.serror = { context, error in
            guard let watch = ParserWatch.of(context), watch.firstError == nil, let error,
                error.pointee.level.rawValue >= XML_ERR_ERROR.rawValue
            else { return }
            let words = error.pointee.message.map { String(cString: $0) } ?? "it is no XML"
            watch.firstError = "line \(error.pointee.line): no XML: \(quoted(words, limit: 200))"
        }
        sax.pointee.internalSubset = { context, _, _, _ in
            ParserWatch.of(context)?.refuse(
                "the document has a DOCTYPE, and DUIS has none", context)
        }
        sax.pointee.startElementNs = {
            context, name, prefix, uri, spaces, list, count, other, all in
            guard let watch = ParserWatch.of(context), watch.count(context) else { return }
            watch.depth += 1
            watch.namespaces += Int(spaces)
            guard watch.namespaces <= XMLParser.maximumNamespaces else {
                watch.refuse(
                    "more than \(XMLParser.maximumNamespaces) namespaces are declared", context)
                return
            }
            guard watch.depth <= XMLParser.maximumDepth else {
                watch.refuse(
                    "elements lie more than \(XMLParser.maximumDepth) deep in each other", context)
                return
            }
            xmlSAX2StartElementNs(context, name, prefix, uri, spaces, list, count, other, all)
        }
        sax.pointee.endElementNs = { context, name, prefix, uri in
            ParserWatch.of(context)?.depth -= 1
            xmlSAX2EndElementNs(context, name, prefix, uri)
        }
        sax.pointee.comment = { context, text in
            guard ParserWatch.of(context)?.count(context) == true else { return }
            xmlSAX2Comment(context, text)
        }
        sax.pointee.processingInstruction = { context, target, data in
            guard ParserWatch.of(context)?.count(context) == true else { return }
            xmlSAX2ProcessingInstruction(context, target, data)
        }
        sax.pointee.cdataBlock = { context, text, count in
            guard ParserWatch.of(context)?.count(context) == true else { return }
            xmlSAX2CDataBlock(context, text, count)
        }
    }
}
