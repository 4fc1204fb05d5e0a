/// Peers that are no members: how often each was turned down. Bounded; the oldest entry goes first,
/// and whoever it was about is a stranger again.
struct StrangerTable {
    private var entries: [(peer: PeerName, strikes: Int)] = []
    private static let limit = 256

    var count: Int { entries.count }

    func isBanned(_ peer: PeerName) -> Bool {
        entries.contains { $0.peer == peer && $0.strikes == .max }
    }

    mutating func ban(_ peer: PeerName) {
        entries.removeAll { $0.peer == peer }
        add(peer, .max)
    }

    /// Whether the peer has been turned down so often that it is told nothing more.
    mutating func strike(_ peer: PeerName, limit: Int) -> Bool {
        guard let index = entries.firstIndex(where: { $0.peer == peer }) else {
            add(peer, 1)
            return false
        }
        guard entries[index].strikes < limit else {
            ban(peer)
            return true
        }
        entries[index].strikes += 1
        return false
    }

    private mutating func add(_ peer: PeerName, _ strikes: Int) {
        if entries.count == Self.limit { entries.removeFirst() }
        entries.append((peer, strikes))
    }
}
