import GBCS
import Wire

/// A device as the Smart Metering Inventory knows it (DUIS `Device`).
public struct InventoryDevice: Hashable, Sendable, Codable {
    public var id: EUI64
    public var type: InventoryType
    public var status: DeviceStatus
    /// Up to 30 characters, in the field four hex digits.
    public var manufacturer: String
    public var model: String
    /// `SMETS V4.2`, `CHTS V1.1`
    public var specification: String?
    /// What it is held to run.
    public var firmware: UInt32?
    public var esmeVariant: String?
    /// The GBCS version that its firmware keeps to, `4.0`.
    public var gbcsVersion: String?
    /// The CHF whose log it is in; of a CHF itself, its own id.
    public var hub: EUI64?
    /// Whoever may update it and is told of it.
    public var supplier: EUI64?
    public var region: String?
    public var importMPxN: String?
    public var secondaryImportMPAN: String?
    public var exportMPAN: String?
    public var uprn: String?
    public var postCode: String?
    public var address: String?
    /// The hardware version that its maker gave, for images that fit a range of them.
    public var hardware: UInt16?
    /// The status that it goes back to when it is no longer suspended.
    public var statusBefore: DeviceStatus?
    /// The counter of the last alert of its own that was heard: one that comes again says nothing
    /// new.
    public var alertCounter: UInt64 = 0
    /// It was taken out of the inventory (8.4), also if its home still has it.
    public var isRemoved = false

    public init(
        id: EUI64, type: InventoryType, status: DeviceStatus, manufacturer: String, model: String
    ) {
        self.id = id
        self.type = type
        self.status = status
        self.manufacturer = manufacturer
        self.model = model
    }
}

/// DUIS `DeviceType`. The hub is two.
public enum InventoryType: String, CaseIterable, Hashable, Sendable, Codable {
    case esme = "ESME"
    case gsme = "GSME"
    case gpf = "GPF"
    case chf = "CHF"
    case hcalcs = "HCALCS"
    case ppmid = "PPMID"
    case ihd = "IHD"
    case cad = "CAD"

    /// Nil for what carries no firmware of its own here: the GPF changes with the CHF.
    public var deviceType: DeviceType? {
        switch self {
        case .esme: .esme
        case .gsme: .gsme
        case .chf: .communicationsHub
        case .hcalcs: .hcalcs
        case .ppmid: .ppmid
        case .gpf, .ihd, .cad: nil
        }
    }

    public init(_ type: DeviceType) {
        switch type {
        case .communicationsHub: self = .chf
        case .esme: self = .esme
        case .gsme: self = .gsme
        case .ppmid: self = .ppmid
        case .hcalcs: self = .hcalcs
        }
    }
}

/// DUIS `DeviceStatus`.
public enum DeviceStatus: String, CaseIterable, Hashable, Sendable, Codable {
    case pending = "Pending"
    case whitelisted = "Whitelisted"
    case installedNotCommissioned = "InstalledNotCommissioned"
    case commissioned = "Commissioned"
    case decommissioned = "Decommissioned"
    case withdrawn = "Withdrawn"
    case suspended = "Suspended"
    case recovery = "Recovery"
    case recovered = "Recovered"
}

/// A line of the Central Products List: an image that may be used, and whether it still may.
public struct ProductListEntry: Hashable, Sendable {
    public enum Status: String, CaseIterable, Hashable, Sendable, Codable {
        case active = "Active"
        case cancelled = "Cancelled"
        case expired = "Expired"
        case withdrawn = "Withdrawn"
    }

    public var type: DeviceType
    /// ZigBee's manufacturer code, and as the inventory writes it.
    public var manufacturerCode: UInt16
    public var model: String
    public var imageType: UInt16
    public var hardware: ClosedRange<UInt16>
    public var version: UInt32
    /// SHA-256 of the manufacturer image.
    public var hash: [UInt8]
    public var status: Status
    /// Versions that it may follow; none for any.
    public var installableFrom: [UInt32]
    /// What a device that runs it keeps to; nil if the list does not say.
    public var gbcsVersion: String?

    public init(
        type: DeviceType, manufacturerCode: UInt16, model: String, imageType: UInt16,
        hardware: ClosedRange<UInt16>, version: UInt32, hash: [UInt8], status: Status = .active,
        installableFrom: [UInt32] = [], gbcsVersion: String? = nil
    ) {
        self.type = type
        self.manufacturerCode = manufacturerCode
        self.model = model
        self.imageType = imageType
        self.hardware = hardware
        self.version = version
        self.hash = hash
        self.status = status
        self.installableFrom = installableFrom
        self.gbcsVersion = gbcsVersion
    }
}
