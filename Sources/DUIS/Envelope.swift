import DCC
import Wire

/// What requests and responses have around their bodies.
struct Envelope {
    let root: XMLElement
    let header: XMLElement
    let body: XMLElement
    /// The last element of the root, if it is one.
    let signature: XMLElement?
    /// As it is written.
    let schemaVersion: String

    init(_ tree: XMLTree, root name: StaticString) throws(Fault) {
        guard let root = tree.root else { throw Fault("there is no element") }
        guard root.is(name) else {
            throw Fault(
                "line \(root.line): found \(root.words), expected \(name) of the namespace "
                    + "'\(XMLElement.dcc)'")
        }
        self.root = root
        var sequence = try ElementSequence(root, attributes: ["schemaVersion"])
        guard let version = root.attribute("schemaVersion") else {
            throw Fault("\(root.place) has no attribute schemaVersion, such as 5.4")
        }
        guard let number = Self.decimal(version) else {
            throw Fault(
                "\(root.place): the attribute schemaVersion is \(quoted(version)), expected a "
                    + "number such as 5.4")
        }
        schemaVersion = number
        header = try sequence.take("Header")
        body = try sequence.take("Body")
        signature = try sequence.peek().flatMap {
            $0.is("Signature", in: XMLElement.signature) ? $0 : nil
        }
        guard signature != nil else {
            try sequence.finish()
            return
        }
        try sequence.skip()
        if let second = try sequence.peek(), second.is("Signature", in: XMLElement.signature) {
            throw Fault(
                .badSignature,
                "\(root.path): found a second signature (line \(second.line)); there is to be one")
        }
        try sequence.finish()
    }

    /// `xs:decimal`, without the white space around it; nil for anything else.
    private static func decimal(_ text: String) -> String? {
        let words = text.split { " \t\n\r".contains($0) }
        guard words.count == 1 else { return nil }
        var rest = words[0]
        if rest.hasPrefix("+") || rest.hasPrefix("-") { rest.removeFirst() }
        let parts = rest.split(separator: ".", omittingEmptySubsequences: false)
        guard rest.utf8.count <= 20, (1...2).contains(parts.count),
            parts.contains(where: { !$0.isEmpty }),
            parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } })
        else { return nil }
        return String(words[0])
    }

    /// Serial numbers of certificates: libxml2 knows whole numbers of up to 24 digits, and these
    /// have up to 49.
    var serialNumbers: [LongText] {
        guard let signature else { return [] }
        let inner = signature.elements.filter { $0.is("KeyInfo", in: XMLElement.signature) }
            .flatMap(\.elements).flatMap(\.elements).flatMap(\.elements)
        return inner.filter { element in
            element.is("X509SerialNumber", in: XMLElement.signature)
                && ((try? element.collapsed())?.utf8.allSatisfy { (0x30...0x39).contains($0) }
                    ?? false)
        }.map { LongText($0, standIn: "1") }
    }

    /// What of a request's header can be read, whatever else is wrong.
    static func partialHeader(of tree: XMLTree) -> DUISRefusal.PartialHeader {
        var partial = DUISRefusal.PartialHeader()
        guard let header = tree.root?.elements.first(where: { $0.is("Header") }) else {
            return partial
        }
        let elements = header.elements
        func first(_ name: StaticString) -> XMLElement? { elements.first { $0.is(name) } }
        if let (id, text) = try? first("RequestID")?.requestID() {
            partial.id = id
            partial.idText = text
        }
        partial.reference = try? first("ServiceReference")?.serviceReference()
        partial.variant = try? first("ServiceReferenceVariant")?.serviceVariant()
        return partial
    }
}

extension XMLElement {
    func serviceReference() throws(Fault) -> String {
        try choice(of: DUISVocabulary.references, "a service reference such as 11.1")
    }

    func serviceVariant() throws(Fault) -> String {
        try choice(of: DUISVocabulary.variants, "a service reference variant such as 11.1")
    }
}
