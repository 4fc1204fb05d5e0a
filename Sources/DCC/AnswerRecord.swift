import Wire

/// The answer to a request, kept until it has been given: whoever asks the same again gets it, and
/// nothing is done twice.
public struct AnswerRecord: Hashable, Sendable, Codable {
    public var id: RequestID
    public var commandVariant: UInt8
    /// SHA-256 of all that was asked, in hex.
    public var digest: String
    public var reference: String
    public var variant: String
    /// What was answered, and when (virtual).
    public var code: String
    public var time: UTCTime
    /// Of an 8.2.
    public var inventory: [InventoryDevice]?
    /// The lists of a `FirmwareWarning`, in its order.
    public var warning: [PackedIDs]?
    /// Of an 11.3's transform, with the pre-command in hex.
    public var gbcsVersion: String?
    public var preCommand: String?

    /// nil for what answers no request.
    public init?(_ response: ServiceResponse, to request: ServiceRequest, digest: String) {
        guard case .response(let reference, let variant, let payload) = response.body else {
            return nil
        }
        id = request.id
        commandVariant = request.commandVariant
        self.digest = digest
        self.reference = reference
        self.variant = variant
        code = response.code.rawValue
        time = response.time
        switch payload {
        case .inventory(let devices): inventory = devices
        case .updateFirmwareWarning(let lists), .updatePPMIDFirmwareWarning(let lists):
            warning = [
                lists.invalid, lists.notCommissioned, lists.notApplicable, lists.otherRequest,
                lists.gbcsVersion,
            ].map(PackedIDs.init)
        case .preCommand(let version, let bytes):
            (gbcsVersion, preCommand) = (version, Hex.string(bytes))
        case .none: break
        // A device says these, later.
        case .gbcs, .futureDatedAlert: return nil
        }
    }

    public var response: ServiceResponse {
        ServiceResponse(
            requestID: id, code: ResponseCode(rawValue: code), time: time,
            body: .response(reference: reference, variant: variant, payload))
    }

    private var payload: ResponsePayload? {
        if let inventory { return .inventory(inventory) }
        if let gbcsVersion, let bytes = preCommand.flatMap(Hex.bytes(_:)) {
            return .preCommand(gbcsVersion: gbcsVersion, bytes)
        }
        guard let warning, warning.count == 5 else { return nil }
        var lists = FirmwareWarning()
        lists.invalid = warning[0].ids
        lists.notCommissioned = warning[1].ids
        lists.notApplicable = warning[2].ids
        lists.otherRequest = warning[3].ids
        lists.gbcsVersion = warning[4].ids
        return variant == "11.4"
            ? .updatePPMIDFirmwareWarning(lists) : .updateFirmwareWarning(lists)
    }
}
