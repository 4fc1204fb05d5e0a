import CXML
import CXMLSec
import Wire

/// A key as xmlsec uses it; owns it. xmlsec only reads it, from any thread.
final class XMLSecKey: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer

    /// nil for bytes that are no private key in DER.
    init?(pkcs8: [UInt8]) {
        XMLLibraries.start()
        guard let made = han_xmlsec_private_key(pkcs8, pkcs8.count) else { return nil }
        pointer = made
    }

    /// nil for bytes that are no SubjectPublicKeyInfo in DER.
    init?(spki: [UInt8]) {
        XMLLibraries.start()
        guard let made = han_xmlsec_public_key(spki, spki.count) else { return nil }
        pointer = made
    }

    deinit { han_xmlsec_key_free(pointer) }
}

/// What the signatures of DUIS are made of.
enum SignatureForm {
    static let exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
    static let ecdsa = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
    static let enveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
    static let sha256 = "http://www.w3.org/2001/04/xmlenc#sha256"
}

/// The ds:Signature at the end of a document: its form first, to the letter, and then, by xmlsec,
/// whether it is right.
struct SignatureReader {
    private let signature: XMLElement

    init(_ signature: XMLElement) { self.signature = signature }

    /// The certificate of whoever made it. The document's own texts must have been checked.
    func verify(by keys: XMLKeys, longTexts: [LongText]) throws(Fault) -> XMLKeys.Entry {
        try checkIsAlone()
        let (issuer, serial) = try checkForm()
        guard let entry = keys.entry(serial: serial, issuer: issuer) else {
            throw Fault(
                .unknownCertificate,
                "\(signature.place): nobody here has the certificate number "
                    + "\(quoted(serial)) of \(quoted(issuer))")
        }
        let verdict = LongText.withMarks(longTexts) { texts in
            let pieces = texts.map { han_xmlsec_text(bytes: $0.baseAddress, count: $0.count) }
            return han_xmlsec_verify(signature.node, entry.verifying.pointer, pieces, pieces.count)
        }
        guard verdict == 1 else {
            throw Fault(
                .badSignature,
                verdict == 0
                    ? "\(signature.place): the signature is wrong: the document was changed after "
                        + "it was signed, or another key signed it than that of the certificate "
                        + "\(serial), \(entry.name)"
                    : "\(signature.place): it is no signature that can be checked")
        }
        return entry
    }

    /// No other signature anywhere, and nothing that is part of one: what is signed must be all
    /// that is read.
    private func checkIsAlone() throws(Fault) {
        guard let root = signature.node.pointee.parent else { return }
        var node: xmlNodePtr? = root
        while let current = node {
            var isLeft = false
            if current.pointee.type == XML_ELEMENT_NODE {
                let element = XMLElement(current)
                if current == signature.node {
                    isLeft = true
                } else if let space = current.pointee.ns?.pointee.href,
                    xmlStrEqual(space, XMLElement.signature.characters) == 1
                {
                    throw Fault(
                        .badSignature,
                        "\(element.place): a part of a signature outside the one at the end")
                }
            }
            // On to the next node, depth first.
            if !isLeft, current.pointee.type == XML_ELEMENT_NODE,
                let child = current.pointee.children
            {
                node = child
                continue
            }
            var at: xmlNodePtr? = current
            while let here = at, here != root, here.pointee.next == nil { at = here.pointee.parent }
            node = at == root ? nil : at?.pointee.next
        }
    }

    private typealias Parts = ElementSequence

    /// Issuer and serial number of the certificate.
    private func checkForm() throws(Fault) -> (issuer: String, serial: String) {
        do throws(Fault) {
            return try form()
        } catch {
            throw Fault(.badSignature, error.detail)
        }
    }

    private func form() throws(Fault) -> (issuer: String, serial: String) {
        var parts = try Parts(signature, attributes: ["Id"])
        let info = try parts.takeDS("SignedInfo")
        _ = try parts.takeDS("SignatureValue")
        let keyInfo = try parts.takeDS("KeyInfo")
        try parts.finish()

        var inner = try Parts(info, attributes: ["Id"])
        try inner.takeDS("CanonicalizationMethod").checkAlgorithm([SignatureForm.exclusive])
        try inner.takeDS("SignatureMethod").checkAlgorithm([SignatureForm.ecdsa])
        let reference = try inner.takeDS("Reference")
        if let second = try inner.peek(), second.is("Reference", in: XMLElement.signature) {
            throw Fault("\(second.place): a second reference; there is to be one, to the whole")
        }
        try inner.finish()
        guard reference.attribute("URI") == "" else {
            throw Fault(
                "\(reference.place): its URI is "
                    + "\(reference.attribute("URI").map { quoted($0) } ?? "left out"), and has to "
                    + "be '', the whole document")
        }
        var inside = try Parts(reference, attributes: ["Id", "URI"])
        var transforms = try Parts(inside.takeDS("Transforms"))
        try transforms.takeDS("Transform").checkAlgorithm([SignatureForm.enveloped])
        if try transforms.peek() != nil {
            try transforms.takeDS("Transform").checkAlgorithm([SignatureForm.exclusive])
        }
        try transforms.finish()
        try inside.takeDS("DigestMethod").checkAlgorithm([SignatureForm.sha256])
        _ = try inside.takeDS("DigestValue")
        try inside.finish()
        return try certificate(keyInfo)
    }

    private func certificate(_ keyInfo: XMLElement) throws(Fault) -> (String, String) {
        let named = keyInfo.elements.filter { $0.is("X509Data", in: XMLElement.signature) }
            .flatMap(\.elements)
            .filter { $0.is("X509IssuerSerial", in: XMLElement.signature) }
        guard named.count == 1 else {
            throw Fault(
                "\(keyInfo.place): it names \(named.isEmpty ? "no" : "more than one") certificate; "
                    + "expected one X509Data with an X509IssuerSerial")
        }
        var parts = try Parts(named[0])
        let issuer = try parts.takeDS("X509IssuerName").collapsed()
        let serial = try parts.takeDS("X509SerialNumber").collapsed()
        try parts.finish()
        guard (1...60).contains(serial.utf8.count),
            serial.utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else {
            throw Fault(
                "\(named[0].place): found \(quoted(serial)), expected a serial number in decimal")
        }
        return (issuer, serial)
    }
}

extension ElementSequence {
    /// An element of the namespace of signatures.
    mutating func takeDS(_ name: StaticString) throws(Fault) -> XMLElement {
        guard let element = try peek(), element.is(name, in: XMLElement.signature) else {
            throw try missing("\(name)")
        }
        try skip()
        return element
    }
}

extension XMLElement {
    /// One of these algorithms, without parameters.
    func checkAlgorithm(_ allowed: [String]) throws(Fault) {
        let found = attribute("Algorithm") ?? ""
        guard allowed.contains(found) else {
            throw Fault(
                "\(place): the algorithm is \(quoted(found, limit: 100)), expected "
                    + allowed.joined(separator: " or "))
        }
        var inside = try ElementSequence(self, attributes: ["Algorithm"])
        try inside.finish()
    }
}
