import DCC
import GBCS
import Wire

/// A request as it came, and who signed it.
public struct ReceivedRequest: Hashable, Sendable {
    public var request: ServiceRequest
    /// The id as it is written, perhaps with small letters: an answer repeats it.
    public var idText: String
    /// nil where signatures are not looked at.
    public var signer: EUI64?
}

/// A response or an alert as it came, and who signed it.
public struct ReceivedResponse: Hashable, Sendable {
    public var response: ServiceResponse
    /// Of the request that it answers, as it is written.
    public var requestIDText: String?
    public var schemaVersion: String
    /// nil where signatures are not looked at.
    public var signer: EUI64?
}

/// Reads service requests and responses (DUIS 5.4) from XML that anybody may have sent.
///
/// What is read is well-formed XML without a DOCTYPE, of the form that the schema gives the bodies
/// that this project serves; other bodies of requests are told by name. Every number, list and
/// text has its bounds; what breaks them is refused as soon as that is seen.
public struct DUISReader: Sendable {
    public enum Signatures: Sendable {
        /// There has to be one, by the party that the document says it is from.
        case demanded(XMLKeys)
        /// Whoever signed it, if anybody did.
        case ignored
    }

    public var signatures: Signatures
    /// Applied besides our own checks.
    public var schema: DUISSchema?
    /// Of a whole document, in bytes. The largest image and the longest list make 15 MB.
    public var maximumSize: Int

    public init(
        signatures: Signatures, schema: DUISSchema? = nil, maximumSize: Int = 16 << 20
    ) {
        self.signatures = signatures
        self.schema = schema
        self.maximumSize = maximumSize
    }

    /// Which of the two a document is, by its root element; nil for neither.
    public enum Kind: Sendable {
        case request
        case response
    }

    public func kind(of bytes: [UInt8]) -> Kind? {
        guard let tree = try? XMLParser.parse(bytes, limit: maximumSize) else { return nil }
        // The root lives as long as its tree.
        return withExtendedLifetime(tree) {
            guard let root = tree.root else { return nil }
            return root.is("Request") ? .request : root.is("Response") ? .response : nil
        }
    }

    // MARK: Requests

    /// Refuses, in this order: what is too large, what is no XML, what is not of the schema, what
    /// has no signature, a wrong one, one by somebody unknown or by somebody else than the
    /// request's originator.
    public func request(_ bytes: [UInt8]) throws(DUISRefusal) -> ReceivedRequest {
        if let received = requestInPieces(bytes) { return received }
        var tree: XMLTree?
        do throws(Fault) {
            let parsed = try XMLParser.parse(bytes, limit: maximumSize)
            tree = parsed
            return try request(parsed)
        } catch {
            throw DUISRefusal(
                error.situation, error.detail,
                header: tree.map { Envelope.partialHeader(of: $0) } ?? .init())
        }
    }

    /// The request, if its long texts can be left out while it is parsed and nothing is wrong with
    /// it. What is wrong is said of the whole.
    private func requestInPieces(_ bytes: [UInt8]) -> ReceivedRequest? {
        guard bytes.count <= maximumSize else { return nil }
        return bytes.withUnsafeBufferPointer { buffer in
            guard let cut = CutDocument(buffer),
                let tree = try? XMLParser.parse(cut.bytes, limit: maximumSize)
            else { return nil }
            return try? cut.withRuns(of: tree) { () throws(Fault) in try request(tree, cut: cut) }
        }
    }

    private func request(
        _ tree: XMLTree, cut: CutDocument? = nil
    ) throws(Fault) -> ReceivedRequest {
        let envelope = try Envelope(tree, root: "Request")
        var sequence = try ElementSequence(envelope.header)
        let (id, idText) = try sequence.take("RequestID").requestID()
        _ = try sequence.takeIf("FirstInSequence")?.boolean()
        _ = try sequence.takeIf("PrecedingServiceRequestID")?.requestID()
        let variant = try sequence.take("CommandVariant").number(in: 1...9 as ClosedRange<UInt8>)
        let reference = try sequence.take("ServiceReference").serviceReference()
        let referenceVariant = try sequence.take("ServiceReferenceVariant").serviceVariant()
        try sequence.finish()
        var bodies = RequestBodyReader()
        let body = try bodies.read(envelope.body)
        if let cut, !cut.isAccounted(for: bodies.longTexts) {
            throw Fault("a long text stands somewhere else than those that are read")
        }
        try schema?.validate(tree, longTexts: bodies.longTexts + envelope.serialNumbers)
        let signer = try signer(of: envelope, longTexts: bodies.longTexts)
        if let signer, signer.id != id.originator {
            throw Fault(
                .wrongSigner,
                "the request is from \(id.originator.dashed), and signed by "
                    + "\(signer.id?.dashed ?? "nobody whose certificate has an id")")
        }
        withExtendedLifetime(tree) {}
        return ReceivedRequest(
            request: ServiceRequest(
                id: id, commandVariant: variant, reference: reference, variant: referenceVariant,
                schemaVersion: envelope.schemaVersion, body: body),
            idText: idText, signer: signer?.id)
    }

    /// The certificate of whoever signed it; nil where signatures are not looked at.
    private func signer(
        of envelope: Envelope, longTexts: [LongText]
    ) throws(Fault) -> XMLKeys.Entry? {
        guard case .demanded(let keys) = signatures else { return nil }
        guard let signature = envelope.signature else {
            throw Fault(.unsigned, "\(envelope.root.place): it ends where a signature is expected")
        }
        return try SignatureReader(signature).verify(by: keys, longTexts: longTexts)
    }

    // MARK: Responses

    /// Reads what `DUISWriter` writes: responses and alerts. A response that has something in it
    /// that is not read here is refused as malformed.
    public func response(_ bytes: [UInt8]) throws(DUISRefusal) -> ReceivedResponse {
        do throws(Fault) {
            return try response(try XMLParser.parse(bytes, limit: maximumSize))
        } catch {
            throw DUISRefusal(error.situation, error.detail)
        }
    }

    private func response(_ tree: XMLTree) throws(Fault) -> ReceivedResponse {
        let envelope = try Envelope(tree, root: "Response")
        var sequence = try ElementSequence(envelope.header)
        let request = try sequence.takeIf("RequestID")?.requestID()
        let response = try sequence.takeIf("ResponseID")?.requestID()
        let code = try sequence.take("ResponseCode").choice(
            of: DUISVocabulary.responseCodes, "a response code of the schema, such as I0")
        let time = try sequence.take("ResponseDateTime").dateTime()
        try sequence.finish()
        let body = try ResponseBodyReader().read(envelope.body)
        try schema?.validate(tree, longTexts: envelope.serialNumbers)
        let signer = try signer(of: envelope, longTexts: [])
        if let signer, signer.role != .dsp {
            throw Fault(
                .wrongSigner,
                "a response is signed by the DSP, and this one by "
                    + "\(signer.id?.dashed ?? signer.name), whose certificate is not the DSP's")
        }
        withExtendedLifetime(tree) {}
        return ReceivedResponse(
            response: ServiceResponse(
                requestID: request?.id, responseID: response?.id,
                code: ResponseCode(rawValue: code), time: time.utc, body: body),
            requestIDText: request?.text, schemaVersion: envelope.schemaVersion,
            signer: signer?.id)
    }
}
