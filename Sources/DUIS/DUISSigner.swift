import CXML
import DCC

/// Signs documents that somebody else has written, templates with a placeholder for a signature
/// among them.
public enum DUISSigner {
    /// The document with an enveloped signature of `signer`'s at its end; signatures that the root
    /// had are taken away. With `counter` the RequestID gets that counter, with `version` the
    /// FirmwareVersion that text. Everything else stays as it is.
    ///
    /// Throws for what is no request or response of DUIS; its body is not looked at.
    public static func sign(
        _ bytes: [UInt8], by signer: XMLSigner, counter: UInt64? = nil, version: String? = nil,
        maximumSize: Int = 16 << 20
    ) throws(DUISWriteError) -> [UInt8] {
        let tree: XMLTree
        let root: XMLElement
        do throws(Fault) {
            tree = try XMLParser.parse(bytes, limit: maximumSize)
            guard let found = tree.root, found.is("Request") || found.is("Response") else {
                throw Fault(
                    "it begins with \(tree.root?.words ?? "nothing"), and is neither a Request nor "
                        + "a Response of the namespace '\(XMLElement.dcc)'")
            }
            root = found
            if let counter { try set(counter, in: root) }
            if let version { try set(version, in: root) }
        } catch {
            throw DUISWriteError(description: error.detail)
        }
        for old in root.elements where old.is("Signature", in: XMLElement.signature) {
            xmlUnlinkNode(old.node)
            xmlFreeNode(old.node)
        }
        // Declared where the template has it, or on the signature itself.
        let declared = xmlSearchNsByHref(
            tree.pointer, root.node, XMLElement.signature.characters)
        guard
            let space = declared?.pointee.prefix != nil
                ? declared
                : xmlNewNs(
                    root.node, XMLElement.signature.characters, StaticString("ds").characters)
        else {
            throw DUISWriteError(
                description: "the root uses the prefix 'ds' for something else than signatures")
        }
        let signature = Signing.addTemplate(for: signer, to: root.node, space: space)
        try Signing.fillIn(signature, by: signer)
        return Signing.bytes(of: tree)
    }

    private static func set(_ counter: UInt64, in root: XMLElement) throws(Fault) {
        guard let header = root.elements.first(where: { $0.is("Header") }),
            let element = header.elements.first(where: { $0.is("RequestID") })
        else { throw Fault("\(root.place): it has no Header with a RequestID") }
        let text = try element.requestID().text
        let stem = text.prefix { $0 != ":" } + ":"
        let target = text.dropFirst(stem.count).prefix { $0 != ":" }
        xmlNodeSetContent(element.node, "\(stem)\(target):\(counter)")
    }

    private static func set(_ version: String, in root: XMLElement) throws(Fault) {
        guard let body = root.elements.first(where: { $0.is("Body") })?.elements.first,
            let element = body.elements.first(where: { $0.is("FirmwareVersion") })
        else { throw Fault("\(root.place): its body has no FirmwareVersion") }
        let holder = xmlEncodeSpecialChars(root.node.pointee.doc, version)
        defer { han_xml_free(holder) }
        xmlNodeSetContent(element.node, holder)
    }
}
