import Wire

/// One device this node hears directly.
public struct Neighbour: Sendable, Equatable {
    public enum Relation: UInt8, Sendable {
        case parent = 0
        case child = 1
        case other = 2
    }

    public var eui64: EUI64
    public var address: ShortAddress
    public var relation: Relation
    public var capability: CapabilityInformation
    /// It has shown that it holds the network key.
    public var isAuthenticated: Bool
    /// The last NWK frame counter taken from it under `keySequence`; -1 for none.
    var lastCounter: Int64 = -1
    var keySequence: UInt8 = 0
    public var lastHeard = Instant.zero
    /// How long a child may be silent (ZigBee 3.6.10).
    var timeout = Interval.minutes(256)

    public var isSleepyChild: Bool { relation == .child && !capability.receiverOnWhenIdle }
}

/// The neighbour table: bounded, in order of arrival.
public struct NeighbourTable: Sendable {
    public static let limit = 64

    public private(set) var entries: ContiguousArray<Neighbour> = []

    public init() {}

    func index(of eui64: EUI64) -> Int? { entries.firstIndex { $0.eui64 == eui64 } }
    func index(of address: ShortAddress) -> Int? {
        entries.firstIndex { $0.address == address }
    }

    public subscript(eui64: EUI64) -> Neighbour? { entries.first { $0.eui64 == eui64 } }
    public subscript(address: ShortAddress) -> Neighbour? {
        entries.first { $0.address == address }
    }

    var parent: Neighbour? { entries.first { $0.relation == .parent } }

    /// Adds or replaces; at the limit, the first that is neither parent nor child makes room.
    /// False if nothing could.
    @discardableResult
    mutating func put(_ neighbour: Neighbour) -> Bool {
        if let index = index(of: neighbour.eui64) {
            entries[index] = neighbour
            return true
        }
        if entries.count == Self.limit {
            guard let index = entries.firstIndex(where: { $0.relation == .other }) else {
                return false
            }
            entries.remove(at: index)
        }
        entries.append(neighbour)
        return true
    }

    mutating func remove(_ eui64: EUI64) { entries.removeAll { $0.eui64 == eui64 } }

    /// After a restart nobody has been silent yet.
    mutating func markHeard(at now: Instant) {
        for index in entries.indices { entries[index].lastHeard = now }
    }

    mutating func update(_ index: Int, _ change: (inout Neighbour) -> Void) {
        change(&entries[index])
    }
}

/// Who is behind which short address, beyond the neighbours: bounded, oldest out first.
struct AddressMap: Sendable {
    static let limit = 64

    private(set) var entries: ContiguousArray<(address: ShortAddress, eui64: EUI64)> = []

    subscript(address: ShortAddress) -> EUI64? {
        entries.first { $0.address == address }?.eui64
    }

    subscript(eui64: EUI64) -> ShortAddress? {
        entries.first { $0.eui64 == eui64 }?.address
    }

    mutating func put(_ address: ShortAddress, _ eui64: EUI64) {
        entries.removeAll { $0.address == address || $0.eui64 == eui64 }
        if entries.count == Self.limit { entries.removeFirst() }
        entries.append((address, eui64))
    }

    mutating func remove(_ eui64: EUI64) { entries.removeAll { $0.eui64 == eui64 } }
}

/// Broadcasts lately seen, so that none is taken or relayed twice (ZigBee 3.6.5).
struct BroadcastTable: Sendable {
    private struct Entry {
        var source: ShortAddress
        var sequence: UInt8
        var expires: Instant
    }

    static let limit = 16
    /// nwkNetworkBroadcastDeliveryTime: 9 s for a ZigBee PRO network of default depth.
    static let memory = Interval.seconds(9)

    private var entries: ContiguousArray<Entry> = []

    /// True if it is new; it is remembered.
    mutating func admit(_ source: ShortAddress, _ sequence: UInt8, at now: Instant) -> Bool {
        entries.removeAll { $0.expires <= now }
        if entries.contains(where: { $0.source == source && $0.sequence == sequence }) {
            return false
        }
        if entries.count == Self.limit { entries.removeFirst() }
        entries.append(Entry(source: source, sequence: sequence, expires: now + Self.memory))
        return true
    }
}

/// Next hops to devices that are not neighbours: bounded, oldest out first.
struct RouteTable: Sendable {
    private struct Route {
        var destination: ShortAddress
        var nextHop: ShortAddress
    }

    static let limit = 64

    private var routes: ContiguousArray<Route> = []

    subscript(destination: ShortAddress) -> ShortAddress? {
        routes.first { $0.destination == destination }?.nextHop
    }

    /// True if the route is new or has changed.
    mutating func learn(_ destination: ShortAddress, via nextHop: ShortAddress) -> Bool {
        if let index = routes.firstIndex(where: { $0.destination == destination }) {
            guard routes[index].nextHop != nextHop else { return false }
            routes[index].nextHop = nextHop
            return true
        }
        if routes.count == Self.limit { routes.removeFirst() }
        routes.append(Route(destination: destination, nextHop: nextHop))
        return true
    }

    mutating func forget(_ destination: ShortAddress) {
        routes.removeAll { $0.destination == destination }
    }

    mutating func forget(via nextHop: ShortAddress) { routes.removeAll { $0.nextHop == nextHop } }
}
