import Wire

/// What a node is on the network and how its stack behaves; profiles and homes set it.
public struct StackConfiguration: Sendable {
    public enum Role: UInt8, Sendable {
        case coordinator = 0
        case router = 1
        case endDevice = 2
    }

    public var role: Role
    public var eui64: EUI64
    /// False for a device that sleeps and polls.
    public var receiverOnWhenIdle: Bool
    public var isMainsPowered: Bool
    public var power = PowerSettings()
    public var manufacturer: UInt16
    public var endpoints: [SimpleDescriptor]
    /// Channels a device scans and a coordinator chooses from, in order.
    public var channels: [UInt8]

    public var network = NetworkSettings()
    public var joining = JoinSettings()
    public var keyUpdate = KeyUpdateSettings()
    /// How long after a trust centre has told its routers that joining is open it tells them again,
    /// where joining stays open for longer than one request can say, 254 s (ZigBee 2.4.3.3.7).
    /// assumption: 200 s; `permitRenewal`.
    public var permitRenewal = Interval.seconds(200)
    /// How a trust centre treats those it shares no link key with; nil to talk to whoever has the
    /// network key.
    public var admission: AdmissionSettings?

    public init(
        role: Role, eui64: EUI64, receiverOnWhenIdle: Bool, isMainsPowered: Bool,
        manufacturer: UInt16, endpoints: [SimpleDescriptor], channels: [UInt8]
    ) {
        self.role = role
        self.eui64 = eui64
        self.receiverOnWhenIdle = receiverOnWhenIdle
        self.isMainsPowered = isMainsPowered
        self.manufacturer = manufacturer
        self.endpoints = endpoints
        self.channels = channels
    }

    public var capability: CapabilityInformation {
        CapabilityInformation(
            isRouter: role != .endDevice, isMainsPowered: isMainsPowered,
            receiverOnWhenIdle: receiverOnWhenIdle)
    }
}

/// A message for an endpoint, decrypted and checked, with all that the stack knows of it.
public struct APSMessage: Sendable {
    public var source: ShortAddress
    public var sourceEUI64: EUI64?
    public var sourceEndpoint: UInt8
    public var destinationEndpoint: UInt8
    public var cluster: UInt16
    public var profile: UInt16
    /// It came under the link key shared with its sender.
    public var isLinkSecured: Bool
    public var isBroadcast: Bool
    /// Its sender asked for an APS acknowledgement.
    public var wantedAcknowledgement: Bool
    /// The whole frame as decrypted; the payload begins at `payload`.
    public var frame: FrameBuffer
    public var payload: Int

    public init(
        source: ShortAddress, sourceEUI64: EUI64?, sourceEndpoint: UInt8,
        destinationEndpoint: UInt8, cluster: UInt16, profile: UInt16, isLinkSecured: Bool,
        isBroadcast: Bool, wantedAcknowledgement: Bool, frame: FrameBuffer, payload: Int
    ) {
        self.source = source
        self.sourceEUI64 = sourceEUI64
        self.sourceEndpoint = sourceEndpoint
        self.destinationEndpoint = destinationEndpoint
        self.cluster = cluster
        self.profile = profile
        self.isLinkSecured = isLinkSecured
        self.isBroadcast = isBroadcast
        self.wantedAcknowledgement = wantedAcknowledgement
        self.frame = frame
        self.payload = payload
    }
}

/// What the stack tells the application, in order.
public enum Indication: Sendable {
    case message(APSMessage)
    /// A message longer than a frame is whole: `takeLongMessage()` has it.
    case reassembled
    /// The coordinator's PAN is up, new or as it was.
    case formed
    /// This device has the network key and an address.
    case joined(isNew: Bool)
    case joinFailed(RefusalReason)
    /// This device has left its network, or was told to.
    case left
    /// A sleeper that `awaitWake` was called for has polled this node, its parent, or is heard of.
    case awake(EUI64)
    /// A device in the trust centre's care has got its network key sent.
    case keySent(EUI64, ShortAddress)
    case deviceAnnounced(EUI64, ShortAddress, CapabilityInformation)
    case matched(cluster: UInt16, server: ShortAddress, endpoint: UInt8)
    case noMatch(cluster: UInt16, server: ShortAddress)
    case resolved(ShortAddress, EUI64)
    /// What a device that `describe` was called for is: its application device identifier in the
    /// Smart Energy profile.
    case described(ShortAddress, device: UInt16)
    /// An acknowledged transmission arrived, or will not.
    case sent(token: UInt16, delivered: Bool)
}

/// How a message is to be sent.
public struct SendOptions: OptionSet, Sendable {
    public var rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The APS layer asks for an acknowledgement and tries again without one.
    public static let acknowledged = SendOptions(rawValue: 1)
    /// Sealed with the link key shared with the receiver.
    public static let linkSecured = SendOptions(rawValue: 2)
}
