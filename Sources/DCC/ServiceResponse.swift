import Wire

/// What the DCC says to a service user: an answer, a device's alert or one of its own.
public struct ServiceResponse: Hashable, Sendable {
    /// Of the request that it answers; nil for alerts and where a request's id could not be read.
    public var requestID: RequestID?
    /// Of what a device or the DCC sends afterwards.
    public var responseID: RequestID?
    public var code: ResponseCode
    public var time: UTCTime
    public var body: Body

    public init(
        requestID: RequestID?, responseID: RequestID? = nil, code: ResponseCode, time: UTCTime,
        body: Body
    ) {
        self.requestID = requestID
        self.responseID = responseID
        self.code = code
        self.time = time
        self.body = body
    }

    public enum Body: Hashable, Sendable {
        /// To a request of this service reference (and variant).
        case response(reference: String, variant: String, ResponsePayload?)
        /// A GBCS alert as the device sent it.
        case deviceAlert(code: UInt16, payload: [UInt8])
        case dccAlert(DCCAlertCode, DCCAlert)
    }
}

/// What stands in a `ResponseMessage`, where anything does.
public enum ResponsePayload: Hashable, Sendable {
    /// 8.2: at most 17 (schema).
    case inventory([InventoryDevice])
    /// 11.1
    case updateFirmwareWarning(FirmwareWarning)
    /// 11.4
    case updatePPMIDFirmwareWarning(FirmwareWarning)
    /// A device's GBCS message.
    case gbcs([UInt8])
    /// A device's GBCS alert 8F66 or 8F67; `instruction` of `instructions`, from 1 on.
    case futureDatedAlert(
        code: UInt16, payload: [UInt8], instruction: UInt16, instructions: UInt16)
    /// What a transform makes of a critical request.
    case preCommand(gbcsVersion: String, [UInt8])
}

/// The devices of an 11.1 or 11.4 that are left out, by reason, each list in the request's order.
public struct FirmwareWarning: Hashable, Sendable, Codable {
    /// Not in the inventory, of another type, or somebody else's.
    public var invalid: [EUI64] = []
    public var notCommissioned: [EUI64] = []
    public var notApplicable: [EUI64] = []
    public var otherRequest: [EUI64] = []
    public var gbcsVersion: [EUI64] = []

    public init() {}

    public var isEmpty: Bool { count == 0 }

    public var count: Int {
        invalid.count + notCommissioned.count + notApplicable.count + otherRequest.count
            + gbcsVersion.count
    }
}

/// `I0`, `E5`, `W110101`: one of the schema's.
public struct ResponseCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }

    public static let success = ResponseCode(rawValue: "I0")
    /// Taken; what comes of it is said later.
    public static let acknowledged = ResponseCode(rawValue: "I99")

    public var isError: Bool { rawValue.hasPrefix("E") }
    public var description: String { rawValue }
}

/// `N60`: one of the schema's.
public struct DCCAlertCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }

    public var description: String { rawValue }
}

/// What a DCC alert tells (DUIS `DCCAlert`).
public enum DCCAlert: Hashable, Sendable {
    /// `CSPFirmwareDeliveryStatus`: whether an image got as far as the hub.
    case deliveryStatus(
        request: RequestID, hub: EUI64, device: EUI64, version: String, time: UTCTime,
        isSuccess: Bool)
    /// `CommsHubAlert` with `FirmwareTransferAlert`: what the hub said of a download (CCS08).
    case firmwareTransfer(
        hub: EUI64, alertCode: UInt16, time: UTCTime?, request: RequestID?, device: EUI64,
        version: String, result: TransferResult)
    /// `PPMIDAlert` with `PPMIDFirmwareUpgradeAlert` (CS09).
    case ppmidUpgrade(
        device: EUI64, alertCode: UInt16, time: UTCTime?, version: String, isSuccess: Bool)
    case firmwareVersionMismatch(
        device: EUI64, type: InventoryType, recorded: String, reported: String)
    case firmwareDistributionFailure(request: RequestID, devices: [EUI64])
    case hubFirmwareActivation(device: EUI64, version: String)
}

/// `TransferResponseCode`
public enum TransferResult: String, CaseIterable, Hashable, Sendable, Codable {
    case success = "FileTransferSuccess"
    case discarded = "FirmwareImageDiscarded"
    case hardwareMismatch = "HardwareVersionMismatch"
    case failure = "FileTransferFailure"
}
