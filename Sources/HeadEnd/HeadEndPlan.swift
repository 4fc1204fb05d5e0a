import DCC
import Lab
import Wire

/// What a head end plays: the homes behind a DCC, and how time passes in them.
public struct HeadEndPlan: Sendable {
    /// Each with a name, ids and EUI-64s of its own.
    public var homes: [Home]
    public var settings: DCCSettings
    /// Devices of the inventory that no home has.
    public var inventory: [InventoryDevice]
    /// The Central Products List, and the images that hubs can be given.
    public var manifest: Manifest
    public var pace = Pace.real
    /// The date and time at which a new world begins.
    public var start: UTCTime
    /// What all keys and dice follow from.
    public var seed = Seed(1)
    /// Requests and orders that wait at most.
    public var queueLimit = 256
    /// How long it goes on at virtual pace after the last that anybody heard of a home, in case
    /// something follows.
    public var linger = Interval.hours(2)
    /// How long an answer waits for a store that cannot be written, in seconds of wall time.
    public var answerWait = 3.0
    /// What has changed in the homes is stored at least so often, in seconds of wall time; with 0
    /// after each turn.
    public var commitInterval = 0.25
    /// How long the homes go on before the queue is looked at, in seconds of wall time; with 0 for
    /// a few steps.
    public var turnLength = 0.005

    public init(
        homes: [Home], settings: DCCSettings, inventory: [InventoryDevice] = [],
        manifest: Manifest, start: UTCTime
    ) {
        self.homes = homes
        self.settings = settings
        self.inventory = inventory
        self.manifest = manifest
        self.start = start
    }

    /// Throws unless everybody in all homes together has a name and ids of their own.
    public func check() throws(HeadEndError) {
        var names: Set<String> = []
        var owners: [EUI64: String] = [:]
        for home in homes {
            guard names.insert(home.name).inserted else {
                throw .conflict(
                    "two homes are called '\(home.name)'; a file's name is its home's, so give "
                        + "one of the files another")
            }
            for id in [home.hub.chf, home.hub.eui64] + home.devices.map(\.eui64) {
                if let other = owners.updateValue(home.name, forKey: id) {
                    throw .conflict(
                        "\(id) is in the home '\(home.name)' and in '\(other)'; give one of them "
                            + "another EUI-64")
                }
            }
        }
        for device in inventory {
            if let other = owners[device.id] {
                throw .conflict(
                    "the DCC's inventory lists \(device.id), which the home '\(other)' has; "
                        + "remove the entry")
            }
        }
    }
}

/// How virtual time follows the clock.
public enum Pace: Hashable, Sendable, CustomStringConvertible {
    case real
    /// So many times as fast as the clock, if the machine keeps up.
    case times(Double)
    /// As fast as it goes while anything is under way, and not at all otherwise.
    case virtual

    /// Virtual seconds in one of the clock; nil for as many as it goes.
    var factor: Double? {
        switch self {
        case .real: 1
        case .times(let factor): factor
        case .virtual: nil
        }
    }

    public var description: String {
        switch self {
        case .real: "real"
        case .times(let factor):
            factor == factor.rounded() && factor < 1e9 ? "x\(Int(factor))" : "x\(factor)"
        case .virtual: "virtual"
        }
    }

    /// `real`, `virtual`, or `x` and a number of 0.01 to 100,000: `x60`.
    public init?(_ text: String) {
        switch text {
        case "real": self = .real
        case "virtual": self = .virtual
        default:
            guard text.hasPrefix("x"), let factor = Double(text.dropFirst()),
                Self.factors.contains(factor)
            else { return nil }
            self = .times(factor)
        }
    }

    public static let factors = 0.01...100_000.0
}

/// Why a head end did not begin, or did not do what it was asked to.
public enum HeadEndError: Error, Hashable, Sendable, CustomStringConvertible {
    /// So many requests wait already.
    case busy(limit: Int)
    /// It has been told to stop, or has not been started.
    case stopped
    /// What it does cannot be stored, so it does nothing.
    case unavailable(String)
    /// Two homes share what each must have for itself.
    case conflict(String)
    /// Requests for devices of homes that the store has, and the plan has not, are under way.
    case absent(homes: [String], requests: Int)
    /// An order names what there is not, or what cannot be.
    case order(String)

    public var description: String {
        switch self {
        case .busy(let limit): "\(limit) requests wait already; send it again later"
        case .stopped: "the head end does not run"
        case .unavailable(let trouble): "nothing can be done for now: \(trouble)"
        case .conflict(let words), .order(let words): words
        case .absent(let homes, let requests):
            "\(requests) request\(requests == 1 ? "" : "s") for devices of homes that are not "
                + "served now would be given up: "
                + homes.prefix(5).map { "'\($0)'" }.joined(separator: ", ")
                + (homes.count > 5 ? " and \(homes.count - 5) more" : "")
                + "; name these homes with --home too, or another state folder with --state"
        }
    }
}

/// What is asked of a head end beside service requests.
public enum HeadEndOrder: Hashable, Sendable {
    /// A member's power, by its name in the home.
    case power(home: String, member: String, on: Bool)
    /// The home's hub is sent an image of its own, by its id in the manifest, and is to run it once
    /// it has it: by CS06 of whoever has it do that, or by the WAN's own command.
    case updateHub(home: String, image: String, byMessage: Bool = true)
    /// A device asks its hub for an image now.
    case query(home: String, member: String)
    case pace(Pace)
    /// At virtual pace, so much time passes although nothing is under way.
    case pass(Interval)
}
