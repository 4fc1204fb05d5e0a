import CXML
import CXMLSec

/// libxml2 and xmlsec keep tables for the whole process, which are made once, before any use.
enum XMLLibraries {
    static let isStarted: Bool = {
        xmlInitParser()
        return han_xmlsec_start() == 1
    }()

    /// To be called in every thread that uses them.
    static func start() {
        precondition(isStarted, "xmlsec cannot be used: is libxmlsec1-openssl installed?")
        // What belongs to no parser would be printed, in each thread that does not say otherwise.
        xmlSetStructuredErrorFunc(nil) { _, _ in }
    }
}

/// A document of libxml2's; owns it. One thread at a time.
final class XMLTree {
    let pointer: xmlDocPtr

    init(owning pointer: xmlDocPtr) { self.pointer = pointer }

    deinit { xmlFreeDoc(pointer) }

    var root: XMLElement? { xmlDocGetRootElement(pointer).map { XMLElement($0) } }
}

/// An element of a tree that somebody else keeps alive.
struct XMLElement {
    let node: xmlNodePtr

    init(_ node: xmlNodePtr) { self.node = node }

    var name: String { textAt(node.pointee.name) ?? "" }

    /// In a document of more than 65,535 lines those behind are counted from their text.
    var line: Int { Int(xmlGetLineNo(node)) }

    func `is`(_ name: StaticString, in namespace: StaticString = XMLElement.dcc) -> Bool {
        guard let space = node.pointee.ns?.pointee.href else { return false }
        return xmlStrEqual(node.pointee.name, name.characters) == 1
            && xmlStrEqual(space, namespace.characters) == 1
    }

    static let dcc: StaticString = "http://www.dccinterface.co.uk/ServiceUserGateway"
    static let signature: StaticString = "http://www.w3.org/2000/09/xmldsig#"
    private static let instance = "http://www.w3.org/2001/XMLSchema-instance"

    /// Whether it stands in the namespace of DUIS.
    var isDCC: Bool {
        node.pointee.ns.map { xmlStrEqual($0.pointee.href, Self.dcc.characters) == 1 } ?? false
    }

    /// For messages: the name, with its namespace if that is another than DUIS's.
    var words: String {
        if isDCC { return quoted(name) }
        guard let space = node.pointee.ns.flatMap({ textAt($0.pointee.href) }) else {
            return "\(quoted(name)) without a namespace"
        }
        return "\(quoted(name)) of the namespace \(quoted(space))"
    }

    /// Names from the root to here.
    var path: String {
        var names: [String] = []
        var at: xmlNodePtr? = node
        while let current = at, current.pointee.type == XML_ELEMENT_NODE {
            names.append(String((textAt(current.pointee.name) ?? "").prefix(60)))
            at = current.pointee.parent
        }
        return names.reversed().joined(separator: "/")
    }

    var place: String { "\(path) (line \(line))" }

    var children: Nodes { Nodes(at: node.pointee.children) }

    /// Elements among the children.
    var elements: [XMLElement] {
        children.filter { $0.pointee.type == XML_ELEMENT_NODE }.map { XMLElement($0) }
    }

    struct Nodes: Sequence, IteratorProtocol {
        fileprivate var at: xmlNodePtr?

        mutating func next() -> xmlNodePtr? {
            defer { at = at?.pointee.next }
            return at
        }
    }

    /// Its only child, if that is a text node: then the text's bytes lie in one piece.
    var onlyText: xmlNodePtr? {
        guard let child = node.pointee.children, child.pointee.next == nil,
            child.pointee.type == XML_TEXT_NODE, child.pointee.content != nil
        else { return nil }
        return child
    }

    /// The text in it, comments and processing instructions left out.
    func text() throws(Fault) -> String {
        if let run { return String(decoding: run, as: UTF8.self) }
        if let only = onlyText { return textAt(only.pointee.content) ?? "" }
        var text = ""
        for child in children {
            switch child.pointee.type {
            case XML_TEXT_NODE, XML_CDATA_SECTION_NODE:
                text += textAt(child.pointee.content) ?? ""
            case XML_COMMENT_NODE, XML_PI_NODE: break
            case XML_ELEMENT_NODE:
                throw Fault("\(place) has text in it, and no element \(XMLElement(child).words)")
            default: throw Fault("\(place) has something in it that is neither text nor a comment")
            }
        }
        return text
    }

    /// An attribute without a namespace.
    func attribute(_ name: StaticString) -> String? {
        guard let text = xmlGetNoNsProp(node, name.characters) else { return nil }
        defer { han_xml_free(text) }
        return textAt(text)
    }

    /// Throws for an attribute that is not `allowed`. Where a schema is said to lie is not
    /// looked at.
    func checkAttributes(_ allowed: [StaticString] = []) throws(Fault) {
        var next = node.pointee.properties
        while let attribute = next {
            next = attribute.pointee.next
            let space = attribute.pointee.ns.flatMap { textAt($0.pointee.href) }
            let name = textAt(attribute.pointee.name) ?? ""
            if space == nil, allowed.contains(where: { "\($0)" == name }) { continue }
            if space == Self.instance,
                name == "schemaLocation" || name == "noNamespaceSchemaLocation"
            {
                continue
            }
            throw Fault("\(place) has an attribute \(quoted(name)), which is none of its own")
        }
    }
}

extension StaticString {
    /// Ends with a zero, as libxml2 wants it.
    var characters: UnsafePointer<xmlChar> { utf8Start }
}

/// libxml2's text, which is always UTF-8.
func textAt(_ text: UnsafePointer<xmlChar>?) -> String? {
    text.map { String(cString: $0) }
}
