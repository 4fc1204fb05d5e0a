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
    public var lastHeard = Instant.zero
    /// How long a child may be silent, if it has said (ZigBee 3.6.10).
    var timeout: Interval?
    /// When a router's link status was last heard.
    var linkHeard = Instant.zero
    /// Link costs, 1 to 7, as this node hears a router and as it says that it hears this node; 0
    /// for unknown (ZigBee 3.6.3.4).
    var incomingCost: UInt8 = 0
    var outgoingCost: UInt8 = 0
    /// A router to which nothing could be delivered, until it says that it hears this node.
    var isLinkDown = false

    public var isSleepyChild: Bool { relation == .child && !capability.receiverOnWhenIdle }

    /// Whether frames for it are handed to it directly.
    var isReachable: Bool { capability.isRouter ? !isLinkDown : relation != .other }
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

    /// Whether another child would find room.
    var hasRoom: Bool {
        entries.count < Self.limit || entries.contains { $0.relation == .other }
    }

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
    /// What a device has announced itself as.
    enum Kind: UInt8, Sendable {
        case unknown = 0
        case router = 1
        case endDevice = 2
        /// An end device that fetches what is for it from its parent.
        case sleeper = 3

        init(_ capability: CapabilityInformation) {
            self =
                capability.isRouter
                ? .router : capability.receiverOnWhenIdle ? .endDevice : .sleeper
        }
    }

    struct Entry: Sendable {
        var address: ShortAddress
        var eui64: EUI64
        var kind = Kind.unknown
    }

    static let limit = 64

    private(set) var entries: ContiguousArray<Entry> = []

    subscript(address: ShortAddress) -> EUI64? {
        entries.first { $0.address == address }?.eui64
    }

    subscript(eui64: EUI64) -> ShortAddress? {
        entries.first { $0.eui64 == eui64 }?.address
    }

    func kind(of eui64: EUI64) -> Kind {
        entries.first { $0.eui64 == eui64 }?.kind ?? .unknown
    }

    /// Without a `kind`, what the device has announced itself as before stands.
    mutating func put(_ address: ShortAddress, _ eui64: EUI64, kind: Kind? = nil) {
        let kind = kind ?? self.kind(of: eui64)
        if let holder = self[address], holder != eui64 { remove(holder) }
        remove(eui64)
        entries.push(Entry(address: address, eui64: eui64, kind: kind), limit: Self.limit)
    }

    mutating func remove(_ eui64: EUI64) { entries.removeAll { $0.eui64 == eui64 } }
}
