import DCC
import Wire

/// The DCC of a scenario: its settings, and what its product list and inventory have to begin with.
public struct ScenarioDCC: Sendable {
    public var profile: DCCProfile
    public var products: [ProductListEntry]

    public init(profile: DCCProfile, products: [ProductListEntry]) {
        self.profile = profile
        self.products = products
    }
}

/// A service request that a step sends to the DCC, and the answer that it must get.
public struct ServiceStep: Sendable, Equatable {
    /// What is asked for. 11.3 is transformed, signed and sent in one step.
    public enum Variant: String, CaseIterable, Sendable {
        case updateFirmware = "11.1"
        case readFirmwareVersion = "11.2"
        case activateFirmware = "11.3"
        case updatePPMIDFirmware = "11.4"

        var isUpdate: Bool { self == .updateFirmware || self == .updatePPMIDFirmware }
    }

    /// The lists of an 11.1's or 11.4's warning.
    public enum List: String, CaseIterable, Sendable {
        case invalid
        case notCommissioned
        case notApplicable
        case otherRequest
        case gbcsVersion
    }

    public var variant: Variant
    /// Of the manifest; what 11.1 and 11.4 carry, and whose hash 11.3 names.
    public var image: String?
    public var devices: [String]
    /// Which supplier asks, from 1 on.
    public var supplier = 1
    /// 11.3 for later.
    public var at: UTCTime?
    public var isCancellation = false
    /// The code that the answer must have.
    public var answer: String
    /// Whom the answer must list, and where.
    public var lists: [List: [String]] = [:]

    public init(variant: Variant, image: String? = nil, devices: [String], answer: String) {
        self.variant = variant
        self.image = image
        self.devices = devices
        self.answer = answer
    }
}

extension FirmwareWarning {
    subscript(list: ServiceStep.List) -> [EUI64] {
        switch list {
        case .invalid: invalid
        case .notCommissioned: notCommissioned
        case .notApplicable: notApplicable
        case .otherRequest: otherRequest
        case .gbcsVersion: gbcsVersion
        }
    }
}
