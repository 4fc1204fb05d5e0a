import GBCS
import Wire

/// Every rule of the DCC that is a setting. docs/dcc.md says where each comes from.
public struct DCCSettings: Sendable {
    /// Whom requests are for that are for no device, and who adds MACs: the Access Control Broker.
    public var id = EUI64(0x90B3_D51F_3000_0002)
    public var users: [EUI64: ServiceUser] = [:]
    public var releases = ReleaseCalendar()
    /// Of one 11.1 or 11.4. 50,000 is what the schema's list has room for.
    public var maximumDevices = 50_000
    /// Bytes of an OTA upgrade image. assumption: what a hub's slot holds.
    public var maximumImageSize = 768 * 1024
    /// Statuses of devices that a request may be for, by variant.
    public var statuses: [String: Set<DeviceStatus>] = [
        "11.1": [.commissioned, .suspended],
        "11.2": [.commissioned, .suspended, .installedNotCommissioned],
        "11.3": [.commissioned, .suspended],
        "11.4": [.commissioned, .suspended],
    ]
    public var gbcsRule = GBCSVersionRule()
    /// Whether an 11.1 whose image has Force Replace set is let in for devices that are under an
    /// update and do not have its image yet; it then replaces that. assumption: as in the hub.
    public var letsForceReplace = true
    /// By name, as the inventory has them.
    public var regions: [String: CSPRegion] = [:]
    /// Where a hub's region is not known or has no settings.
    public var defaultRegion = CSPRegion()
    public var codes = ResponseCodes()
    public var alertCodes = AlertCodes()
    /// How long the answer to a command may take, in seconds. A GSME's commands wait 24 h for it.
    public var commandTimeout: UInt32 = 25 * 3_600
    /// How many requests' ids are remembered, so that none is carried out twice.
    public var rememberedRequests = 100_000
    /// How long a device may be under an update before another request for it is let in, in
    /// seconds.
    public var updateTimeout: UInt32 = 30 * 86_400
    /// How long a device that has the image may take to run it, from the last that was heard of it
    /// on, in seconds. For a meter that is how long its user may take to order that.
    public var activationTimeout: UInt32 = 30 * 86_400
    /// How long after the hub's word that a transfer has failed a meter's 8F1C still belongs to the
    /// update, in seconds.
    public var refusalTimeout: UInt32 = 3_600
    public var notices = NoticeRules()
    /// What a device becomes that its hub says has joined. assumption: commissioned, because 8.1.1,
    /// which does that in the field, is not served.
    public var joinedStatus = DeviceStatus.commissioned
    /// What `GBCSVersion` says of a pre-command to a device whose own version is not known.
    public var gbcsVersion = "4.3"

    public init() {}
}

/// How responses and alerts that come later are POSTed to their users, in seconds of the wall
/// clock: nothing of it is in virtual time. assumption: all but that they are tried for 300 s.
public struct NoticeRules: Hashable, Sendable {
    /// Between two attempts.
    public var retryInterval: UInt32 = 5
    /// How long a notice is tried until it is kept for re-delivery.
    public var keptAfter: UInt32 = 300
    /// Between two attempts to deliver what is kept.
    public var redeliveryInterval: UInt32 = 300
    /// How long one attempt may take.
    public var attemptTimeout: UInt32 = 10

    public init() {}
}

/// Somebody who may send requests.
public struct ServiceUser: Hashable, Sendable {
    /// The eligible roles of DUIS.
    public enum Role: String, CaseIterable, Hashable, Sendable, Codable {
        case importSupplier = "IS"
        case exportSupplier = "ES"
        case gasSupplier = "GS"
        case registeredSupplierAgent = "RSA"
        case electricityDistributor = "ED"
        case gasTransporter = "GT"
        case otherUser = "OU"
    }

    public var id: EUI64
    public var name: String
    public var roles: Set<Role>
    public var isActive = true
    /// Where asynchronous responses and alerts are POSTed to; without it they wait.
    public var responseURL: String?

    public init(id: EUI64, name: String, roles: Set<Role>, responseURL: String? = nil) {
        self.id = id
        self.name = name
        self.roles = roles
        self.responseURL = responseURL
    }
}

/// When what a SEC release brings comes into force.
public struct ReleaseCalendar: Hashable, Sendable {
    /// 4 November 2021: firmware tracking by N60 and N61, 11.4, HCALCSs in 11.1.
    public var tracking = UTCTime(secondsSince2000: 689_299_200)
    /// From when CSPs and hubs can carry images of PPMIDs and HCALCSs. The source proposes the
    /// release of June 2022 (assumption: its 30th).
    public var hanDevices = UTCTime(secondsSince2000: 709_862_400)

    public init() {}

    public func release(at time: UTCTime) -> Release {
        time < tracking ? .beforeTracking : time < hanDevices ? .tracking : .hanDevices
    }
}

/// What is in force.
public enum Release: Int, CaseIterable, Comparable, Sendable {
    case beforeTracking
    case tracking
    case hanDevices

    public static func < (a: Release, b: Release) -> Bool { a.rawValue < b.rawValue }
}

/// Who may be updated by GBCS version.
public struct GBCSVersionRule: Hashable, Sendable {
    public enum Subject: String, CaseIterable, Hashable, Sendable {
        case hub
        case device
    }

    /// Whose version counts. assumption: the hub's, which delivers the image.
    public var subject = Subject.hub
    /// The least version, by the type of the device that is to be updated. assumption: 4.0 is the
    /// first GBCS with SECMP0007.
    public var minimum: [InventoryType: String] = [.ppmid: "4.0", .hcalcs: "4.0"]
    /// False lets every request through, so that the hub's own refusal can be seen.
    public var isEnforced = true

    public init() {}

    /// Whether `version` (`4.0`, `3.2.1`) is at least `minimum`; one that is not known is not.
    public static func isAtLeast(_ version: String?, _ minimum: String) -> Bool {
        guard let version, let have = numbers(version), let need = numbers(minimum) else {
            return false
        }
        for index in 0..<max(have.count, need.count) {
            let (a, b) = (
                index < have.count ? have[index] : 0, index < need.count ? need[index] : 0
            )
            if a != b { return a > b }
        }
        return true
    }

    private static func numbers(_ text: String) -> [Int]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map {
            $0.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int($0) : nil
        }
        return parts.contains(nil) ? nil : parts.compactMap(\.self)
    }
}

/// How a Communications Service Provider delivers images in a region.
public struct CSPRegion: Hashable, Sendable {
    /// From the DSP's acceptance to the first attempt, in seconds.
    public var delay: UInt32 = 86_400
    /// Between two attempts, in seconds.
    public var retryInterval: UInt32 = 6 * 3_600
    /// Attempts in all.
    public var attempts = 3
    /// How long one may take until the hub says that it has the image, in seconds.
    public var attemptTimeout: UInt32 = 6 * 3_600
    /// Hubs that are served at once.
    public var capacity = 100
    /// When nothing is delivered; from and to.
    public var outages: [Range<UTCTime>] = []

    public init() {}

    /// `time`, or the end of the outage that it lies in.
    public func afterOutage(_ time: UTCTime) -> UTCTime {
        var time = time
        // One may begin as another ends, in any order.
        for _ in outages {
            guard let outage = outages.first(where: { $0.contains(time) }) else { break }
            time = outage.upperBound
        }
        return time
    }
}

/// What is answered when. Those without a comment are assumptions: the schema lists the codes and
/// says nothing of their meaning.
public struct ResponseCodes: Hashable, Sendable {
    /// Why a request is refused as a whole.
    public enum Situation: String, CaseIterable, Hashable, Sendable {
        /// A request for no device is carried out, or will be, and there is nothing more to say.
        case accepted
        /// No XML, or not of the schema.
        case malformed
        case unsigned
        case badSignature
        /// Nobody has the certificate that the signature names.
        case unknownCertificate
        /// Whoever signed it is not who it says.
        case wrongSigner
        case unknownUser
        case roleNotEligible
        case userNotActive
        case notResponsible
        case deviceStatus
        case deviceType
        case commandVariant
        case wrongService
        case unknownDevice
        case unreachable
        case noResponse
        case replayed
        case tooLarge
        case busy
        /// A service reference that the release in force does not have yet, or that is not served.
        case notAvailable
        /// A signed pre-command that is not what its request says.
        case preCommand
        case executionTime
        /// Of 11.1.
        case notListed
        case hashMismatch
        case versionMismatch
        case overLimit
        case firmwareWarning
        /// Of 11.4.
        case ppmidNotListed
        case ppmidHashMismatch
        case ppmidVersionMismatch
        case ppmidOverLimit
        case ppmidFirmwareWarning
        /// Of 8.2.
        case inventoryEmpty
        case inventoryTooMany
        /// Of 8.4.
        case inventoryStatus
        case inventoryInUse
        /// Of 8.11.
        case logStatus
        case logOtherHub
        /// Of 12.2.
        case alreadyNotified
        case notOnProductList

        /// assumption, except for E1-E5, E11-E13, E19-E21.
        public var usual: String {
            switch self {
            case .accepted: "I99"
            case .unknownUser: "E1"
            case .roleNotEligible: "E2"
            case .userNotActive: "E3"
            case .notResponsible: "E4"
            case .deviceStatus: "E5"
            case .deviceType: "E11"
            case .commandVariant: "E12"
            case .wrongService: "E13"
            case .unknownDevice: "E19"
            case .unreachable: "E20"
            case .noResponse: "E21"
            case .malformed: "E40"
            case .unsigned: "E41"
            case .badSignature: "E42"
            case .unknownCertificate: "E43"
            case .wrongSigner: "E44"
            case .replayed: "E49"
            case .tooLarge: "E50"
            case .busy: "E51"
            case .notAvailable: "E52"
            case .preCommand: "E53"
            case .executionTime: "E31"
            case .notListed: "E110101"
            case .hashMismatch: "E110102"
            case .versionMismatch: "E110103"
            case .overLimit: "E110105"
            case .firmwareWarning: "W110101"
            case .ppmidNotListed: "E110401"
            case .ppmidHashMismatch: "E110402"
            case .ppmidVersionMismatch: "E110403"
            case .ppmidOverLimit: "E110405"
            case .ppmidFirmwareWarning: "W110401"
            case .inventoryEmpty: "E080201"
            case .inventoryTooMany: "E080202"
            case .inventoryStatus: "E080405"
            case .inventoryInUse: "E080406"
            case .logStatus: "E081101"
            case .logOtherHub: "E081102"
            case .alreadyNotified: "E120201"
            case .notOnProductList: "E120203"
            }
        }
    }

    public var changed: [Situation: ResponseCode] = [:]

    public init() {}

    public subscript(situation: Situation) -> ResponseCode {
        changed[situation] ?? ResponseCode(rawValue: situation.usual)
    }
}

/// Which DCC alert bears which body: the schema does not tie codes to bodies.
public struct AlertCodes: Hashable, Sendable {
    public enum Cause: String, CaseIterable, Hashable, Sendable {
        /// The image got as far as the hub.
        case delivered
        case notDelivered
        /// CCS08
        case transfer
        /// CS09
        case ppmidUpgrade
        case versionMismatch
        case distributionFailure
        case hubActivation

        /// N60 and N61 are the source's (which of them is success is from memory); the others are
        /// assumptions.
        public var usual: String {
            switch self {
            case .delivered: "N60"
            case .notDelivered: "N61"
            case .transfer: "N62"
            case .ppmidUpgrade: "N63"
            case .versionMismatch: "N49"
            case .distributionFailure: "N18"
            case .hubActivation: "N64"
            }
        }
    }

    public var changed: [Cause: DCCAlertCode] = [:]

    public init() {}

    public subscript(cause: Cause) -> DCCAlertCode {
        changed[cause] ?? DCCAlertCode(rawValue: cause.usual)
    }
}
