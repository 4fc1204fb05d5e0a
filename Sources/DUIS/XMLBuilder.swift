import CXML
import CXMLSec
import DCC
import GBCS
import Wire

/// Something that a document cannot say.
public struct DUISWriteError: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String
}

/// Makes a document, element by element, in libxml2's tree.
struct XMLBuilder {
    let tree: XMLTree
    private let heldTexts = HeldTexts()
    private let dcc: xmlNsPtr
    private let signature: xmlNsPtr
    private let root: xmlNodePtr

    init(root name: StaticString, schemaVersion: String) {
        XMLLibraries.start()
        guard let document = xmlNewDoc(StaticString("1.0").characters),
            let root = xmlNewDocNode(document, nil, name.characters, nil),
            let signature = xmlNewNs(
                root, XMLElement.signature.characters, StaticString("ds").characters),
            let dcc = xmlNewNs(root, XMLElement.dcc.characters, StaticString("sr").characters)
        else { fatalError("memory ran out") }
        tree = XMLTree(owning: document)
        self.root = root
        self.dcc = dcc
        self.signature = signature
        xmlSetNs(root, dcc)
        _ = xmlDocSetRootElement(document, root)
        Self.set(root, "schemaVersion", schemaVersion)
    }

    var place: Place { Place(node: root, space: dcc, heldTexts: heldTexts) }

    private static func set(_ node: xmlNodePtr, _ name: StaticString, _ value: String) {
        guard xmlNewProp(node, name.characters, clean(value)) != nil else {
            fatalError("memory ran out")
        }
    }

    /// Text with U+FFFD for what no XML document can have.
    private static func clean(_ text: String) -> String {
        func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
            scalar.value >= 0x20 && scalar.value != 0xFFFE && scalar.value != 0xFFFF
                || scalar == "\t" || scalar == "\n" || scalar == "\r"
        }
        guard !text.unicodeScalars.allSatisfy(isAllowed) else { return text }
        var cleaned = ""
        for scalar in text.unicodeScalars {
            cleaned.unicodeScalars.append(isAllowed(scalar) ? scalar : "\u{FFFD}")
        }
        return cleaned
    }

    /// An element to which more is added.
    struct Place {
        fileprivate let node: xmlNodePtr
        fileprivate let space: xmlNsPtr
        fileprivate var heldTexts: HeldTexts?

        @discardableResult
        func add(_ name: StaticString) -> Place {
            guard let made = xmlNewDocNode(node.pointee.doc, space, name.characters, nil),
                xmlAddChild(node, made) != nil
            else { fatalError("memory ran out") }
            return Place(node: made, space: space, heldTexts: heldTexts)
        }

        /// An element of a name that is only known now.
        func add(named name: String) {
            guard let made = xmlNewDocNode(node.pointee.doc, space, name, nil),
                xmlAddChild(node, made) != nil
            else { fatalError("memory ran out") }
        }

        func add(_ name: StaticString, _ text: String) {
            add(name, bytes: Array(clean(text).utf8))
        }

        func add(_ name: StaticString, _ id: EUI64) { add(name, id.dashed) }

        func add(_ name: StaticString, _ id: RequestID) { add(name, "\(id)") }

        func add(_ name: StaticString, _ time: UTCTime) { add(name, SchemaTime.text(time)) }

        func add(_ name: StaticString, code: UInt16) {
            add(name, Hex.string(UInt64(code), digits: 4))
        }

        func add(_ name: StaticString, base64 bytes: [UInt8]) {
            add(name, plain: Base64Text.encode(bytes))
        }

        func add(_ name: StaticString, list ids: [EUI64]) {
            add(name, plain: DeviceIDText.write(ids))
        }

        /// What is written as it is, without a character that XML escapes.
        private func add(_ name: StaticString, plain bytes: [UInt8]) {
            if let mark = heldTexts?.mark(for: bytes) {
                heldTexts?.hold(bytes, in: add(name, bytes: mark))
            } else {
                add(name, bytes: bytes)
            }
        }

        @discardableResult
        private func add(_ name: StaticString, bytes: [UInt8]) -> xmlNodePtr {
            let element = add(name)
            guard let text = xmlNewDocTextLen(node.pointee.doc, bytes, Int32(bytes.count)),
                xmlAddChild(element.node, text) != nil
            else { fatalError("memory ran out") }
            return text
        }

        func set(_ name: StaticString, _ value: String) { XMLBuilder.set(node, name, value) }
    }

    /// Puts elements on lines of their own, indents them, signs, and writes the bytes.
    func finish(signedBy signer: XMLSigner?) throws(DUISWriteError) -> [UInt8] {
        let unsigned = signer.map { Signing.addTemplate(for: $0, to: root, space: signature) }
        Self.indent(root, depth: 0)
        if let signer, let unsigned {
            try heldTexts.withPieces { pieces throws(DUISWriteError) in
                try Signing.fillIn(unsigned, by: signer, texts: pieces)
            }
        }
        return heldTexts.putBack(into: Signing.bytes(of: tree))
    }

    private static func indent(_ node: xmlNodePtr, depth: Int) {
        let children = Array(XMLElement(node).children)
        guard !children.isEmpty, children.allSatisfy({ $0.pointee.type == XML_ELEMENT_NODE }) else {
            return
        }
        func blanks(_ depth: Int) -> xmlNodePtr {
            let text = "\n" + String(repeating: "  ", count: depth)
            guard let made = xmlNewDocText(node.pointee.doc, text) else {
                fatalError("memory ran out")
            }
            return made
        }
        for child in children {
            xmlAddPrevSibling(child, blanks(depth + 1))
            indent(child, depth: depth + 1)
        }
        xmlAddChild(node, blanks(depth))
    }
}

/// Makes enveloped signatures.
enum Signing {
    /// Puts an empty signature at the root's end.
    static func addTemplate(
        for signer: XMLSigner, to root: xmlNodePtr, space: xmlNsPtr
    ) -> xmlNodePtr {
        let signature = XMLBuilder.Place(node: root, space: space).add("Signature")
        let info = signature.add("SignedInfo")
        info.add("CanonicalizationMethod").set("Algorithm", SignatureForm.exclusive)
        info.add("SignatureMethod").set("Algorithm", SignatureForm.ecdsa)
        let reference = info.add("Reference")
        reference.set("URI", "")
        reference.add("Transforms").add("Transform").set("Algorithm", SignatureForm.enveloped)
        reference.add("DigestMethod").set("Algorithm", SignatureForm.sha256)
        reference.add("DigestValue")
        signature.add("SignatureValue")
        let named = signature.add("KeyInfo").add("X509Data").add("X509IssuerSerial")
        named.add("X509IssuerName", signer.certificate.issuerName)
        named.add("X509SerialNumber", signer.certificate.serialNumber)
        return signature.node
    }

    /// `texts` are those that the document has not got at the moment.
    static func fillIn(
        _ signature: xmlNodePtr, by signer: XMLSigner, texts: [han_xmlsec_text] = []
    ) throws(DUISWriteError) {
        guard han_xmlsec_sign(signature, signer.key.pointer, texts, texts.count) == 1 else {
            throw DUISWriteError(description: "xmlsec cannot sign the document")
        }
    }

    static func bytes(of tree: XMLTree) -> [UInt8] {
        var start: UnsafeMutablePointer<xmlChar>?
        var count: Int32 = 0
        xmlDocDumpMemoryEnc(tree.pointer, &start, &count, "UTF-8")
        guard let start else { fatalError("memory ran out") }
        defer { han_xml_free(start) }
        return Array(UnsafeBufferPointer(start: start, count: Int(count)))
    }
}
