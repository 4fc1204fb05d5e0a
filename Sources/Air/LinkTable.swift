import Radio
import Wire

/// How well one radio hears another.
public struct Link: Sendable, Equatable {
    /// Received power in dBm; below `AirSettings.sensitivity` nothing is heard.
    public var rssi: Int8
    /// Frames lost to causes not modelled, in parts per million.
    public var lossPerMillion: UInt32

    public init(rssi: Int8, lossPerMillion: UInt32 = 0) {
        self.rssi = rssi
        self.lossPerMillion = lossPerMillion
    }
}

/// The links between all members of a roster, in both directions.
public struct LinkTable: Sendable {
    private var links: ContiguousArray<Link>
    private let count: Int

    /// Every member hears every other as `common`.
    public init(members: Int, common: Link) {
        count = members
        links = ContiguousArray(repeating: common, count: members * members)
    }

    /// The link from a sender to a receiver.
    public subscript(sender: Int, receiver: Int) -> Link {
        get { links[sender * count + receiver] }
        set { links[sender * count + receiver] = newValue }
    }

    /// Sets both directions.
    public mutating func set(_ a: Int, _ b: Int, _ link: Link) {
        self[a, b] = link
        self[b, a] = link
    }
}

/// What the medium and the carrier need to know beside the physical layer's timings.
public struct AirSettings: Sendable {
    public var phy = PHYTiming()
    /// The weakest signal a chip can receive, in dBm. assumption: `phy.sensitivity` in the home
    /// file changes it.
    public var sensitivity: Int8 = -97
    /// A frame survives another that overlaps it if it is this much stronger, in dB.
    /// assumption: `phy.capture` in the home file changes it.
    public var capture: Int8 = 10
    /// How long a message takes over the WAN before its first byte arrives.
    /// assumption: `wan.latency` in the home file changes it.
    public var wanLatency = Interval.milliseconds(400)
    /// How long each byte of a WAN message takes. assumption: `wan.bytesPerSecond`.
    public var wanPerByte = Interval.microseconds(40)
    /// How many bytes of an image one WAN message carries. assumption: `wan.messageSize`.
    public var wanChunk = 1024
    /// How long orders and observations take between a node and the director; longer than the
    /// shortest time in which one node's action can reach another (672 µs), so that no carrier
    /// can tell the difference.
    public var benchLatency = Interval.milliseconds(1)

    public init() {}
}
