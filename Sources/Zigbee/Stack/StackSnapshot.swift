import Wire

extension ZigbeeStack {
    /// What must survive a restart, as bytes for the node's journal: the network, its key, the
    /// children, the link keys, and counters as far as they are reserved.
    ///
    /// Layout, little-endian: format u8 (4), channel u8, PAN u16, extended PAN u64, address u16,
    /// depth u8, key 16, key sequence u8, other key 16, its sequence u8, keys made u32, reserved
    /// counter u32, trust centre u64; neighbours u8 x {EUI-64, address u16, relation u8, capability
    /// u8, timeout u8 (an index, 255 for none), key sequence u8, next incoming counter u32}; link
    /// keys u8 x {partner u64, key 16, reserved counter u32, last incoming counter + 1 u32, kind u8
    /// (0 preconfigured, 1 established, 2 established before its partner was put in the device log
    /// anew)}; addresses u8 x {address u16, EUI-64, kind u8 (0 unknown, 1 router, 2 end device, 3
    /// sleeper)}; routes u8 x {destination u16, next hop u16}; parents u8 x {device u64, router
    /// u64}; only where there are some, retired link keys u8 x {as link keys}, and a u32 if it is
    /// not 0, the counter with which a new key begins. A key of sixteen zeros is none.
    public func snapshot(into bytes: inout ByteBuilder) {
        bytes.removeAll()
        bytes.put(4, 1)
        bytes.put(UInt64(network.channel), 1)
        bytes.put(UInt64(network.pan.rawValue), 2)
        bytes.put(network.extendedPAN.rawValue, 8)
        bytes.put(UInt64(network.address.rawValue), 2)
        bytes.put(UInt64(network.depth), 1)
        bytes.put(network.key ?? Self.noKey)
        bytes.put(UInt64(network.keySequence), 1)
        bytes.put(network.otherKey ?? Self.noKey)
        bytes.put(UInt64(network.otherSequence), 1)
        bytes.put(UInt64(network.keysMade), 4)
        bytes.put(UInt64(network.reservedUpTo), 4)
        bytes.put(network.trustCentre.rawValue, 8)
        let count = neighbours.entries.count { $0.isKept }
        bytes.put(UInt64(count), 1)
        for neighbour in neighbours.entries where neighbour.isKept {
            bytes.put(neighbour.eui64.rawValue, 8)
            bytes.put(UInt64(neighbour.address.rawValue), 2)
            bytes.put(UInt64(neighbour.relation.rawValue), 1)
            bytes.put(UInt64(neighbour.capability.rawValue), 1)
            bytes.put(UInt64(neighbour.timeout.flatMap(Self.index(ofTimeout:)) ?? .max), 1)
            let used = counters.index(of: neighbour.eui64).map { counters.entries[$0] }
            bytes.put(UInt64(used?.keySequence ?? 0), 1)
            bytes.put(UInt64(used?.next ?? 0), 4)
        }
        Self.put(aps.linkKeys.prefix(255), into: &bytes)
        bytes.put(UInt64(addresses.entries.count), 1)
        for entry in addresses.entries {
            bytes.put(UInt64(entry.address.rawValue), 2)
            bytes.put(entry.eui64.rawValue, 8)
            bytes.put(UInt64(entry.kind.rawValue), 1)
        }
        bytes.put(UInt64(routes.entries.count), 1)
        for route in routes.entries {
            bytes.put(UInt64(route.destination.rawValue), 2)
            bytes.put(UInt64(route.nextHop.rawValue), 2)
        }
        bytes.put(UInt64(trustCentre.parents.count), 1)
        for entry in trustCentre.parents {
            bytes.put(entry.device.rawValue, 8)
            bytes.put(entry.router.rawValue, 8)
        }
        if !aps.retiredKeys.isEmpty || aps.forgottenCounter > 0 {
            Self.put(aps.retiredKeys[...], into: &bytes)
        }
        if aps.forgottenCounter > 0 { bytes.put(UInt64(aps.forgottenCounter), 4) }
    }

    private static func put(
        _ keys: ContiguousArray<LinkKey>.SubSequence, into bytes: inout ByteBuilder
    ) {
        bytes.put(UInt64(keys.count), 1)
        for key in keys {
            bytes.put(key.partner.rawValue, 8)
            bytes.put(key.key)
            bytes.put(UInt64(key.reservedUpTo), 4)
            bytes.put(UInt64(key.lastCounter + 1), 4)
            bytes.put(UInt64(key.origin.rawValue), 1)
        }
    }

    private static func linkKey(_ reader: inout ByteReader) throws(WireError) -> LinkKey {
        let partner = try reader.eui64("partner")
        let key = try reader.key("link key")
        let counter = try reader.u32("link key counter")
        var link = LinkKey(partner: partner, key: key, outgoingCounter: counter)
        link.lastCounter = Int64(try reader.u32("last link counter")) - 1
        guard let origin = LinkKey.Origin(rawValue: try reader.u8("link key kind")) else {
            throw WireError(.invalid, "link key kind", at: reader.offset - 1)
        }
        link.origin = origin
        return link
    }

    private static let noKey = Key128(high: 0, low: 0)

    /// Bytes of the shortest snapshot: of a node alone in its network.
    public static let shortestSnapshot = 70

    /// Puts back a snapshot; throws, and changes nothing, if it is not one. Where as many as
    /// `missing` later ones may have been lost, the counters are skipped that those may have
    /// reserved: each reserves `stack.counterReserve` more of any counter at the most.
    public mutating func restore(_ bytes: [UInt8], missing: Int = 0) throws(WireError) {
        var restored = self
        try restored.read(bytes.span)
        if missing > 0 { restored.skipCounters(of: missing) }
        self = restored
    }

    private mutating func skipCounters(of snapshots: Int) {
        let skipped = UInt64(snapshots) * UInt64(configuration.network.counterReserve)
        func later(_ counter: UInt32) -> UInt32 { UInt32(clamping: UInt64(counter) + skipped) }
        network.reservedUpTo = later(network.reservedUpTo)
        network.outgoingCounter = network.reservedUpTo
        for index in aps.linkKeys.indices {
            aps.linkKeys[index].reservedUpTo = later(aps.linkKeys[index].reservedUpTo)
            aps.linkKeys[index].outgoingCounter = aps.linkKeys[index].reservedUpTo
        }
        for index in aps.retiredKeys.indices {
            aps.retiredKeys[index].reservedUpTo = later(aps.retiredKeys[index].reservedUpTo)
            aps.retiredKeys[index].outgoingCounter = aps.retiredKeys[index].reservedUpTo
        }
        aps.forgottenCounter = later(aps.forgottenCounter)
    }

    private mutating func read(_ bytes: Span<UInt8>) throws(WireError) {
        var reader = ByteReader(bytes)
        guard try reader.u8("format") == 4 else { throw WireError(.invalid, "format", at: 0) }
        network.channel = try reader.u8("channel")
        network.pan = PANID(try reader.u16("PAN"))
        network.extendedPAN = try reader.eui64("extended PAN")
        network.address = try reader.shortAddress("address")
        network.depth = try reader.u8("depth")
        let key = try reader.key("network key")
        network.key = key == Self.noKey ? nil : key
        network.keySequence = try reader.u8("key sequence number")
        let other = try reader.key("other network key")
        network.otherKey = other == Self.noKey ? nil : other
        network.otherSequence = try reader.u8("its sequence number")
        network.keysMade = try reader.u32("keys made")
        network.reservedUpTo = try reader.u32("network counter")
        network.outgoingCounter = network.reservedUpTo
        network.trustCentre = try reader.eui64("trust centre")
        neighbours = NeighbourTable()
        counters = IncomingCounters()
        returning = ReturningTable()
        strays = StrayTable()
        for _ in 0..<(try reader.u8("neighbour count")) {
            let eui64 = try reader.eui64("neighbour")
            let address = try reader.shortAddress("neighbour address")
            guard let relation = Neighbour.Relation(rawValue: try reader.u8("relation")) else {
                throw WireError(.invalid, "relation", at: reader.offset - 1)
            }
            let capability = CapabilityInformation(rawValue: try reader.u8("capability"))
            let timeout = try reader.u8("timeout")
            guard timeout == .max || Self.timeout(index: timeout) != nil else {
                throw WireError(.invalid, "timeout", at: reader.offset - 1)
            }
            let keySequence = try reader.u8("neighbour's key sequence number")
            var neighbour = Neighbour(
                eui64: eui64, address: address, relation: relation, capability: capability,
                isAuthenticated: true)
            neighbour.timeout = Self.timeout(index: timeout)
            let next = try reader.u32("next counter")
            guard neighbours.put(neighbour), next > 0 else { continue }
            _ = counters.note(
                counters.index(of: eui64), eui64, counter: next - 1, keySequence: keySequence)
        }
        aps.linkKeys.removeAll()
        for _ in 0..<(try reader.u8("link key count")) {
            aps.linkKeys.append(try Self.linkKey(&reader))
        }
        addresses = AddressMap()
        for _ in 0..<(try reader.u8("address count")) {
            let address = try reader.shortAddress("mapped address")
            let eui64 = try reader.eui64("mapped EUI-64")
            guard let kind = AddressMap.Kind(rawValue: try reader.u8("kind")) else {
                throw WireError(.invalid, "kind", at: reader.offset - 1)
            }
            addresses.put(address, eui64, kind: kind)
        }
        routes = RouteTable()
        for _ in 0..<(try reader.u8("route count")) {
            let destination = try reader.shortAddress("destination")
            _ = routes.learn(destination, via: try reader.shortAddress("next hop"))
        }
        trustCentre = TrustCentre()
        for _ in 0..<(try reader.u8("parent count")) {
            let device = try reader.eui64("device")
            trustCentre.setParent(of: device, try reader.eui64("its parent"))
        }
        aps.retiredKeys.removeAll()
        aps.forgottenCounter = 0
        if reader.remaining > 0 {
            // Of more than are kept, the oldest go.
            for _ in 0..<(try reader.u8("retired key count")) { retire(try Self.linkKey(&reader)) }
        }
        if reader.remaining > 0 {
            aps.forgottenCounter = max(
                aps.forgottenCounter, try reader.u32("forgotten link key counter"))
        }
        try reader.end(after: "retired link keys")
        // Every start has sequence numbers of its own: those of the one before are still
        // remembered as duplicates.
        var start = SeededStream(Seed(UInt64(network.reservedUpTo)).named("stack.sequences"))
        mac.sequence = UInt8(truncatingIfNeeded: start.next())
        network.sequence = UInt8(truncatingIfNeeded: start.next())
        aps.counter = UInt8(truncatingIfNeeded: start.next())
        network.isUp = network.address != .unassigned
    }
}

extension Neighbour {
    /// Whether it is part of a snapshot.
    fileprivate var isKept: Bool {
        relation == .parent || (relation == .child && isAuthenticated)
    }
}
