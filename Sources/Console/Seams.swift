import DCC
import Wire

/// What stands behind the three DUIS paths: reads, checks, carries out, signs the answer.
public protocol DUISGateway: Sendable {
    /// `request` is the body of a POST, at least a byte. Never throws: what is wrong with the XML
    /// is itself answered by a response.
    func answer(_ request: [UInt8], over service: WebService) async -> GatewayAnswer
    /// A signed response without a request's id, for what never got as far as its XML.
    func refusal(_ situation: ResponseCodes.Situation) async -> GatewayAnswer
}

/// What becomes of a POST to one of the DUIS paths.
public enum GatewayAnswer: Hashable, Sendable {
    /// A signed DUIS response.
    case response([UInt8])
    /// Nothing has been done; the client may come again after so many seconds.
    case busy(retryAfter: Int)
    /// Nothing can be answered, for a reason of the server's own.
    case failed(String)
}

/// What the control interface and the screen can do with the emulated world.
public protocol WorldControl: Sendable {
    func status() async -> WorldStatus
    /// Images of the manifest, in its order.
    func images() async -> [ImageSummary]
    /// Switches a node on or off; what was done, in one sentence.
    func power(_ node: String, of home: String, isOn: Bool) async throws(ControlProblem) -> String
    /// Has a home's hub be sent an image of its own, and run it.
    func updateHub(of home: String, to image: String) async throws(ControlProblem) -> String
    /// `real`, `virtual` or `xN`; what was done, in one sentence.
    func setPace(_ pace: String) async throws(ControlProblem) -> String
    /// Starts the demo; its run.
    func startDemo() async throws(ControlProblem) -> DemoRunState
    /// Newest first.
    func runs() async -> [DemoRunState]
    /// Bounded; where some were lost, `dropped` says how many.
    func updates() async -> AsyncStream<WorldUpdate>
}

/// Why an order was not carried out, for whoever gave it.
public enum ControlProblem: Error, Hashable, Sendable {
    /// There is no such home, node or run.
    case unknown(String)
    /// The order itself is wrong.
    case invalid(String)
    /// It cannot be carried out as things are.
    case conflict(String)
    /// Try again later.
    case unavailable(String)

    public var detail: String {
        switch self {
        case .unknown(let text), .invalid(let text), .conflict(let text), .unavailable(let text):
            text
        }
    }
}

/// What the screen and the control interface say of the world as a whole.
public struct WorldStatus: Sendable, Codable, Hashable {
    /// Virtual time, seconds since 2000.
    public var time: UTCTime
    /// `real`, `virtual` or `xN`.
    public var pace: String
    /// Virtual seconds a second; 0 where it is not steady.
    public var rate: Double
    /// The SEC release in force, in words.
    public var release: String
    public var homes: [HomeStatus]
    /// What is wrong, a sentence each: a full disk, notices that nobody takes.
    public var trouble: [String]

    public init(
        time: UTCTime, pace: String, rate: Double, release: String, homes: [HomeStatus],
        trouble: [String] = []
    ) {
        self.time = time
        self.pace = pace
        self.rate = rate
        self.release = release
        self.homes = homes
        self.trouble = trouble
    }
}

/// A home and who is in it.
public struct HomeStatus: Sendable, Codable, Hashable {
    public var name: String
    public var nodes: [NodeStatus]

    public init(name: String, nodes: [NodeStatus]) {
        self.name = name
        self.nodes = nodes
    }
}

/// A hub or a device as it is now.
public struct NodeStatus: Sendable, Codable, Hashable {
    public var name: String
    /// `CH`, `ESME`, `GSME`, `PPMID` or `HCALCS`.
    public var role: String
    public var eui64: EUI64
    public var firmware: UInt32?
    /// Of GBCS, as the inventory has it.
    public var gbcsVersion: String?
    public var isOn: Bool
    /// Of the download under way.
    public var percent: Int?

    public init(
        name: String, role: String, eui64: EUI64, firmware: UInt32?, gbcsVersion: String? = nil,
        isOn: Bool, percent: Int? = nil
    ) {
        self.name = name
        self.role = role
        self.eui64 = eui64
        self.firmware = firmware
        self.gbcsVersion = gbcsVersion
        self.isOn = isOn
        self.percent = percent
    }
}

/// An image of the manifest.
public struct ImageSummary: Sendable, Codable, Hashable {
    public var id: String
    public var deviceType: String
    public var manufacturer: String
    public var model: String
    public var version: UInt32
    /// SHA-256 of the manufacturer image, hex.
    public var hash: String
    /// Of the Central Products List.
    public var status: String

    public init(
        id: String, deviceType: String, manufacturer: String, model: String, version: UInt32,
        hash: String, status: String
    ) {
        self.id = id
        self.deviceType = deviceType
        self.manufacturer = manufacturer
        self.model = model
        self.version = version
        self.hash = hash
        self.status = status
    }
}

/// How far a run of the demo has come.
public struct DemoRunState: Sendable, Codable, Hashable {
    public enum State: String, Sendable, Codable, Hashable {
        case waiting, running, done, failed
    }

    public struct Step: Sendable, Codable, Hashable {
        public var title: String
        public var state: State
        /// What came of it, one sentence.
        public var detail: String?
        /// The service request that it sent.
        public var request: RequestID?

        public init(
            title: String, state: State = .waiting, detail: String? = nil,
            request: RequestID? = nil
        ) {
            self.title = title
            self.state = state
            self.detail = detail
            self.request = request
        }
    }

    /// From 1 on.
    public var number: Int
    public var state: State
    public var steps: [Step]
    /// Virtual.
    public var started: UTCTime

    public init(number: Int, state: State, steps: [Step], started: UTCTime) {
        self.number = number
        self.state = state
        self.steps = steps
        self.started = started
    }
}

/// What changes while the screen is looked at.
public enum WorldUpdate: Sendable, Hashable {
    case tracking(
        request: RequestID?, device: EUI64?, status: TrackingStatus, percent: Int?,
        detail: String, time: UTCTime)
    case notice(number: UInt64, user: EUI64)
    /// Of a node or of the demo.
    case world(String)
    case dropped(Int)
}

/// The notices of the store, as whoever delivers them needs them.
public protocol NoticeOutlet: Sendable {
    /// Service users that have a URL; always the same while the server runs.
    var recipients: [NoticeRecipient] { get }
    /// The first one after the number `after` that is still to be received: a pending one, or one
    /// that is kept for re-delivery.
    func notice(
        for user: EUI64, isKept: Bool, after: UInt64
    ) async throws -> OutgoingNotice?
    /// Stored in one step with what the DCC says of it. If it throws, it is called again; should
    /// the server end before that, the notice is sent again.
    func received(_ notice: OutgoingNotice, attempts: Int) async throws
    /// Nobody took it this time: it is tried again.
    func tried(_ notice: OutgoingNotice, attempts: Int) async throws
    /// Nobody took it in time: it waits for re-delivery.
    func kept(_ notice: OutgoingNotice, attempts: Int) async throws
}

/// A service user, and where its notices go.
public struct NoticeRecipient: Sendable, Hashable {
    public var user: EUI64
    public var url: String

    public init(user: EUI64, url: String) {
        self.user = user
        self.url = url
    }
}

/// A notice as it is POSTed: the bytes that were stored for it.
public struct OutgoingNotice: Sendable, Hashable {
    public var number: UInt64
    public var user: EUI64
    /// The signed XML.
    public var bytes: [UInt8]
    public var request: RequestID?
    public var device: EUI64?
    /// So far.
    public var attempts: Int

    public init(
        number: UInt64, user: EUI64, bytes: [UInt8], request: RequestID? = nil,
        device: EUI64? = nil, attempts: Int = 0
    ) {
        self.number = number
        self.user = user
        self.bytes = bytes
        self.request = request
        self.device = device
        self.attempts = attempts
    }
}
