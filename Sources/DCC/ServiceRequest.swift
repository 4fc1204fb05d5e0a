import Crypto
import GBCS
import Wire

/// A service request as it has come out of its XML: its form is right, nothing else is checked.
public struct ServiceRequest: Hashable, Sendable {
    public var id: RequestID
    /// 1-8 (DUIS `CommandVariant`).
    public var commandVariant: UInt8
    /// `11.1`
    public var reference: String
    /// `11.1`
    public var variant: String
    /// As the request has it, `5.4`.
    public var schemaVersion: String
    public var body: Body

    public init(
        id: RequestID, commandVariant: UInt8, reference: String, variant: String,
        schemaVersion: String = "5.4", body: Body
    ) {
        self.id = id
        self.commandVariant = commandVariant
        self.reference = reference
        self.variant = variant
        self.schemaVersion = schemaVersion
        self.body = body
    }

    public enum Body: Hashable, Sendable {
        /// 11.1
        case updateFirmware(FirmwareUpdate)
        /// 11.4
        case updatePPMIDFirmware(FirmwareUpdate)
        /// 11.2, at once or at a later time.
        case readFirmwareVersion(execution: ExecutionTime?)
        /// 11.3 as it is to be transformed.
        case activateFirmware(hash: Digest256, execution: ExecutionTime?)
        /// What came of a transform, signed by the user: base64's bytes, unread.
        case signedPreCommand(payload: [UInt8])
        /// 12.2
        case devicePrenotification(DevicePrenotification)
        /// 8.11
        case updateHANDeviceLog(HANDeviceLogUpdate)
        /// 8.4
        case updateInventory(InventoryUpdate)
        /// 8.2
        case readInventory(InventoryQuery)
        /// A body of the schema that this DSP does not serve, by its element's name.
        case other(String)
    }
}

/// `ExecutionDateTime`, which is a date of its own when it cancels.
public enum ExecutionTime: Hashable, Sendable {
    case at(UTCTime)
    /// The year 3000 in DUIS, 9999 in CS06.
    case never
}

/// What 11.1 and 11.4 have in common.
public struct FirmwareUpdate: Hashable, Sendable {
    /// The whole OTA upgrade image with its header.
    public var image: [UInt8]
    /// 1 to 8 characters, as the user wrote it; it is to be the hex of the header's file version.
    public var version: String
    /// In the request's order, with repetitions.
    public var devices: [EUI64]

    public init(image: [UInt8], version: String, devices: [EUI64]) {
        self.image = image
        self.version = version
        self.devices = devices
    }
}

/// 12.2: a device that is going to be installed.
public struct DevicePrenotification: Hashable, Sendable {
    public var device: EUI64
    public var manufacturer: String
    public var model: String
    public var type: InventoryType
    /// `SMETS V4.2`, `CHTS V1.1`
    public var specification: String?
    public var firmwareVersion: String?
    public var esmeVariant: String?
    public var gpf: EUI64?

    public init(
        device: EUI64, manufacturer: String, model: String, type: InventoryType,
        specification: String? = nil, firmwareVersion: String? = nil, esmeVariant: String? = nil,
        gpf: EUI64? = nil
    ) {
        self.device = device
        self.manufacturer = manufacturer
        self.model = model
        self.type = type
        self.specification = specification
        self.firmwareVersion = firmwareVersion
        self.esmeVariant = esmeVariant
        self.gpf = gpf
    }
}

/// 8.11: a device is put in, or struck off, the log of the hub that the request is for.
public enum HANDeviceLogUpdate: Hashable, Sendable {
    /// `joinTime` in seconds, 1-3600; `installCode` 6-16 bytes.
    case add(device: EUI64, joinTime: UInt16, installCode: [UInt8], importMPxN: String?)
    case remove(device: EUI64)

    public var device: EUI64 {
        switch self {
        case .add(let device, _, _, _): device
        case .remove(let device): device
        }
    }
}

/// 8.4: something about a device of the inventory changes.
public struct InventoryUpdate: Hashable, Sendable {
    public var device: EUI64
    public var change: Change

    public init(device: EUI64, change: Change) {
        self.device = device
        self.change = change
    }

    public enum Change: Hashable, Sendable {
        /// Of any device but a hub.
        case status(DeviceStatus)
        case hubStatus(DeviceStatus)
        case details(
            manufacturer: String?, model: String?, specification: String?, firmware: String?,
            esmeVariant: String?)
        case delete
        case importMPxN(String)
        case secondaryImportMPAN(String)
        case exportMPAN(String)
    }
}

/// 8.2: whom the user wants to know about.
public enum InventoryQuery: Hashable, Sendable {
    case device(EUI64)
    case mpxn(String)
    case uprn(String)
    case property(postCode: String, address: String)
}
