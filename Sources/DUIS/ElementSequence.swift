import CXML

/// Takes the elements of an `xs:sequence` one after another, passing over white space, comments
/// and processing instructions.
struct ElementSequence {
    let parent: XMLElement
    private var next: xmlNodePtr?

    init(_ parent: XMLElement, attributes: [StaticString] = []) throws(Fault) {
        self.parent = parent
        try parent.checkAttributes(attributes)
        next = parent.node.pointee.children
    }

    /// Passes over the next element, whatever it is.
    mutating func skip() throws(Fault) {
        if let element = try peek() { next = element.node.pointee.next }
    }

    /// The next element, left where it is; nil at the end.
    mutating func peek() throws(Fault) -> XMLElement? {
        while let node = next {
            switch node.pointee.type {
            case XML_ELEMENT_NODE: return XMLElement(node)
            case XML_COMMENT_NODE, XML_PI_NODE: break
            case XML_TEXT_NODE:
                guard xmlIsBlankNode(node) == 1 else {
                    throw Fault(
                        "\(parent.place): found the text "
                            + quoted(textAt(node.pointee.content) ?? "", limit: 30)
                            + " where only elements may stand")
                }
            default:
                throw Fault("\(parent.place): found text where only elements may stand")
            }
            next = node.pointee.next
        }
        return nil
    }

    /// The next element if it has this name.
    mutating func takeIf(_ name: StaticString) throws(Fault) -> XMLElement? {
        guard let element = try peek(), element.is(name) else { return nil }
        next = element.node.pointee.next
        return element
    }

    mutating func take(_ name: StaticString) throws(Fault) -> XMLElement {
        if let element = try takeIf(name) { return element }
        throw try missing("\(name)")
    }

    /// The one element of an `xs:choice`.
    mutating func takeAny(_ expected: String) throws(Fault) -> XMLElement {
        guard let element = try peek(), element.isDCC else { throw try missing(expected) }
        next = element.node.pointee.next
        return element
    }

    mutating func missing(_ expected: String) throws(Fault) -> Fault {
        guard let found = try peek() else {
            return Fault("\(parent.place): it ends where \(expected) is expected")
        }
        return Fault(
            "\(parent.path): found \(found.words) (line \(found.line)), expected \(expected)")
    }

    mutating func finish() throws(Fault) {
        guard let found = try peek() else { return }
        throw Fault(
            "\(parent.path): found \(found.words) (line \(found.line)) where nothing more "
                + "may follow"
        )
    }
}

extension XMLElement {
    /// For a type without any content, in which not even white space may stand.
    func checkIsEmpty() throws(Fault) {
        try checkAttributes()
        for child in children
        where child.pointee.type != XML_COMMENT_NODE && child.pointee.type != XML_PI_NODE {
            throw Fault("\(place): it has something in it, and is to be empty")
        }
    }
}
