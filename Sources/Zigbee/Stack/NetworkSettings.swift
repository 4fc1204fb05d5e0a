import Wire

/// How a node keeps to its network, whatever its role: the constants of the NWK and APS layers
/// that a network may set otherwise. Profiles hold one under `stack`.
public struct NetworkSettings: Sendable, Equatable {
    /// apscAckWaitDuration. assumption: 1.6 s; `stack.apsAckWait`.
    public var apsAckWait = Interval.microseconds(1_600_000)
    /// apscMaxFrameRetries; `stack.apsRetries`.
    public var apsRetries = 3
    /// nwkcUnicastRetries: how often a unicast that the MAC could not deliver is tried again.
    /// assumption: 3; `stack.unicastRetries`.
    public var unicastRetries = 3
    /// nwkcUnicastRetryDelay, and up to as much again by chance. assumption: 50 ms;
    /// `stack.unicastRetryDelay`.
    public var unicastRetryDelay = Interval.milliseconds(50)
    /// macTransactionPersistenceTime: how long a parent holds a frame for a sleeping child.
    public var indirectPersistence = Interval.milliseconds(7_680)
    /// How long a node listens on one channel, for energy or for beacons:
    /// aBaseSuperframeDuration x (2^3 + 1).
    public var scanDuration = Interval.microseconds(15_360 * 9)
    /// nwkLinkStatusPeriod (ZigBee 3.5.2).
    public var linkStatusPeriod = Interval.seconds(15)
    /// nwkRouterAgeLimit: link status periods after which a silent router no longer counts.
    public var routerAgeLimit = 3
    /// The link quality, 0-255, from which on a link has the cost 1; below, the cost rises in
    /// proportion up to 7. assumption: ZigBee 3.6.3.1 leaves the mapping open; `stack.goodLink`.
    public var goodLink: UInt8 = 100
    /// nwkMaxBroadcastRetries: how often a broadcast is sent again while a neighbouring router has
    /// not been heard to relay it (ZigBee 3.6.5).
    public var broadcastRetries = 3
    /// nwkcMaxBroadcastJitter: the longest that a router waits before it relays a broadcast.
    public var broadcastJitter = Interval.milliseconds(64)
    /// nwkPassiveAckTimeout: how long it listens for its neighbours' relays.
    public var passiveAckTimeout = Interval.milliseconds(500)
    /// nwkNetworkBroadcastDeliveryTime: how long a broadcast is remembered.
    public var broadcastDelivery = Interval.seconds(9)
    /// nwkcRouteDiscoveryTime: how long a frame waits for a route.
    public var routeDiscovery = Interval.seconds(10)
    /// nwkcRREQRetries: how often a route request is repeated, by its originator and by whoever
    /// relays it (assumption: the same number for both).
    public var routeRequestRetries = 2
    /// nwkcRREQRetryInterval
    public var routeRequestInterval = Interval.milliseconds(254)
    /// nwkcMaxRREQJitter: the longest that a router waits before it relays a route request.
    public var routeRequestJitter = Interval.milliseconds(128)
    /// The outgoing NWK frame counter starts at 0 with a new network key once it has come this
    /// far (ZigBee 4.4.2). assumption: 0, always; later revisions of the standard let it run on
    /// until 0x80000000; `stack.counterRestart`.
    public var counterRestart: UInt32 = 0
    /// Frames for which counters are reserved in flash at a time: after a restart, up to as many
    /// are left out. With the most, 0x100000, some 4,000 restarts use up all that there are.
    /// assumption: 4096; `stack.counterReserve`.
    public var counterReserve: UInt32 = 4096
    /// How many hops a frame may take: nwkMaxDepth x 2 (ZigBee 3.6.3.3); `stack.radius`.
    public var radius: UInt8 = 30
    /// How long the MAC remembers a frame for the sake of its sender's retries; shorter than 256
    /// frames of one sender take. assumption: 1 s; `stack.macDuplicateMemory`.
    public var macDuplicateMemory = Interval.seconds(1)
    /// How long the APS layer remembers a counter for the sake of duplicates, longer than all
    /// retries take. assumption: 12 s; `stack.apsDuplicateMemory`.
    public var apsDuplicateMemory = Interval.seconds(12)
    /// nwkEndDeviceTimeoutDefault: how long an end device may be silent that has not said, as an
    /// index: 0 for 10 seconds, n for 2^n minutes (ZigBee 3.6.10).
    public var childTimeout: UInt8 = 8
    /// Maximum buffer size of the node descriptor: the longest NWK payload, in bytes (ZigBee
    /// 2.3.2.3.7). assumption: 82, common practice; `stack.maximumBufferSize`.
    public var maximumBufferSize: UInt8 = 82
    /// Maximum incoming transfer size: the longest APS payload, in bytes, that it says it takes
    /// and puts together (ZigBee 2.3.2.3.8). assumption: 1536, enough for a GBCS message of 1,500
    /// bytes in a tunnel; `stack.maximumIncomingTransfer`.
    public var maximumIncomingTransfer: UInt16 = 1_536
    /// Maximum outgoing transfer size: the longest that it says it sends (ZigBee 2.3.2.3.11).
    /// assumption: 1536; `stack.maximumOutgoingTransfer`.
    public var maximumOutgoingTransfer: UInt16 = 1_536
    /// Bytes of a message that a fragment carries at most; less where a frame has no room for as
    /// many. assumption: 64, which leaves room for what routers may add; `stack.fragmentSize`.
    public var fragmentSize = 64
    /// apscMaxWindowSize: fragments, 1 to 8, sent before an acknowledgement of them is awaited, and
    /// received before one is sent. assumption: 1, the value of the Smart Energy profile;
    /// `stack.fragmentWindow`.
    public var fragmentWindow = 1
    /// apsInterframeDelay: between two fragments of a window. assumption: 10 ms;
    /// `stack.fragmentSpacing`.
    public var fragmentSpacing = Interval.milliseconds(10)
    /// Messages that it sends in fragments at a time. assumption: 4; `stack.fragmentTransfers`.
    public var fragmentTransfers = 4
    /// Whether it asks for a device's node descriptor before it sends it more than a frame's worth,
    /// and sends nothing that is longer than what the device takes. assumption: true;
    /// `stack.asksTransferSize`.
    public var asksTransferSize = true
    /// Messages that it puts together at a time. assumption: 4; `stack.reassemblies`.
    public var reassemblies = 4
    /// And those of one sender among them. assumption: 2; `stack.reassembliesPerPartner`.
    public var reassembliesPerPartner = 2
    /// How long it waits for the next fragment of a message, longer than all retries take.
    /// assumption: 10 s; `stack.reassemblyWait`.
    public var reassemblyWait = Interval.seconds(10)
    /// And for the last one, from the first on. assumption: 60 s; `stack.reassemblyLimit`.
    public var reassemblyLimit = Interval.seconds(60)
    /// The revision of the ZigBee standard in the node descriptor's server mask; a stack from
    /// before revision 21 says 0 (ZigBee 2.3.2.3.10). assumption: 21; `stack.stackRevision`.
    public var stackRevision: UInt8 = 21

    public init() {}
}

/// How a device gets into a network, stays in touch with its parent and finds back. A device's
/// profile holds one under `stack`; a coordinator has no use for it.
public struct JoinSettings: Sendable, Equatable {
    /// apsSecurityTimeOutPeriod: how long a device that has associated waits for the network
    /// key. assumption: 10 s; `stack.keyWait`.
    public var keyWait = Interval.seconds(10)
    /// How long a device waits after a failed attempt to join. assumption: 30 s;
    /// `stack.joinRetry`.
    public var joinRetry = Interval.seconds(30)
    /// How long a device waits at most for its request to associate to get out: beyond this the
    /// attempt has failed. assumption: 5 s; `stack.requestWait`.
    public var requestWait = Interval.seconds(5)
    /// macResponseWaitTime: 32 x aBaseSuperframeDuration.
    public var associationWait = Interval.microseconds(15_360 * 32)
    /// How often a sleepy device polls while it awaits something. assumption: 100 ms;
    /// `stack.fastPoll`.
    public var fastPoll = Interval.milliseconds(100)
    /// How soon after a request it polls first. assumption: 15 ms; `stack.firstPoll`.
    public var firstPoll = Interval.milliseconds(15)
    /// macMaxFrameTotalWaitTime at 2.4 GHz: how long the receiver stays on for a frame that the
    /// acknowledgement of a poll has promised.
    public var pollWait = Interval.microseconds(19_520)
    /// Transmissions to the parent that fail in a row before an end device or router looks for
    /// its network anew. assumption: 12; `stack.parentFailures`.
    public var parentFailures = 12
    /// How long it waits after it found nobody. assumption: 60 s; `stack.rejoinRetry`.
    public var rejoinRetry = Interval.seconds(60)
    /// How long an end device asks its parent to let it be silent, as an index: 0 for 10 seconds,
    /// n for 2^n minutes. 8 is 256 minutes.
    public var endDeviceTimeout: UInt8 = 8
    /// End Device Timeout Requests in a row without an answer before a device rejoins.
    /// assumption: 3; `stack.keepAliveLimit`.
    public var keepAliveLimit = 3
    /// How long a sleepy device polls for the answer to one. assumption: 500 ms;
    /// `stack.keepAliveWait`.
    public var keepAliveWait = Interval.milliseconds(500)
    /// Frames of its parent in a row under a newer network key than it has before a device
    /// rejoins. assumption: 3; `stack.unknownKeyLimit`.
    public var unknownKeyLimit = 3

    public init() {}
}

/// How a trust centre brings in a new network key (ZigBee 4.6.3.4).
public struct KeyUpdateSettings: Sendable, Equatable {
    /// One Transport Key to all, under the old network key alone, rather than one for each device
    /// under its link key. assumption: false; `keyUpdate.broadcast`.
    public var isBroadcast = false
    /// Between the keys for two devices. assumption: 200 ms; `keyUpdate.pace`.
    public var pace = Interval.milliseconds(200)
    /// From the last key sent to the command to switch. assumption: 30 s;
    /// `keyUpdate.switchAfter`.
    public var switchAfter = Interval.seconds(30)

    public init() {}
}

/// How a trust centre keeps those out that are not in its device log, that is, with whom it shares
/// no link key.
public struct AdmissionSettings: Sendable, Equatable {
    /// How long after a device was told to leave it is told again, if it goes on sending.
    public var leaveRetry: Interval
    /// Whether the coordinator refuses to let such a device associate (PAN access denied,
    /// IEEE 802.15.4 7.3.2.3). Otherwise it gives it an address, and never the network key.
    public var refusesAssociation: Bool

    public init(leaveRetry: Interval, refusesAssociation: Bool) {
        self.leaveRetry = leaveRetry
        self.refusesAssociation = refusesAssociation
    }
}
