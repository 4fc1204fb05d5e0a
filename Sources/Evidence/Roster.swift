import Wire

/// Who is in a run: events and frames name them by index.
public struct Roster: Sendable {
    public struct Member: Sendable, Equatable {
        /// What people call it: `PPMID`, or `ESME-2` where the home has several.
        public var name: String
        /// `CH`, `ESME`, … or what else takes part, like `DCC` and `director`.
        public var role: String
        /// Nil for members without a radio.
        public var eui64: EUI64?

        public init(name: String, role: String, eui64: EUI64?) {
            self.name = name
            self.role = role
            self.eui64 = eui64
        }
    }

    public var members: [Member]

    public init(members: [Member]) { self.members = members }

    /// Names each member after its role, with a number from 1 in roster order where a role has
    /// more than one.
    public init(naming nodes: [(role: String, eui64: EUI64?)]) {
        var total: [String: Int] = [:]
        for node in nodes { total[node.role, default: 0] += 1 }
        var seen: [String: Int] = [:]
        members = nodes.map { node in
            guard total[node.role, default: 0] > 1 else {
                return Member(name: node.role, role: node.role, eui64: node.eui64)
            }
            let number = seen[node.role, default: 0] + 1
            seen[node.role] = number
            return Member(name: "\(node.role)-\(number)", role: node.role, eui64: node.eui64)
        }
    }

    /// The member's name, or `node 9` for an index that the roster does not have.
    public func name(of node: UInt16) -> String {
        node < members.count ? members[Int(node)].name : "node \(node)"
    }
}
