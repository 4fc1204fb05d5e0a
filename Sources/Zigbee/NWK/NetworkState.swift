import Radio
import Wire

/// The network this node is part of.
struct NetworkState: Sendable {
    /// Frames may be sent and taken.
    var isUp = false
    var channel: UInt8 = 0
    var pan = PANID.broadcast
    var extendedPAN = EUI64(0)
    var address = ShortAddress.unassigned
    var depth: UInt8 = 0
    /// The active network key; nil if it has been lost.
    var key: Key128?
    var keySequence: UInt8 = 0
    /// The one before, under which others may still send, or the one to come (ZigBee 4.2.1.3).
    var otherKey: Key128?
    var otherSequence: UInt8 = 0
    /// Frames of the parent in a row under a newer key than is here.
    var keyMisses = 0
    /// How many network keys this trust centre has made beside the first.
    var keysMade: UInt32 = 0
    /// The counter of the next frame sealed with the active key.
    var outgoingCounter: UInt32 = 0
    /// Below this, counters may have been used before a restart that is still to come.
    var reservedUpTo: UInt32 = 0
    var sequence: UInt8 = 0
    /// apsTrustCenterAddress
    var trustCentre = EUI64.unknown

    mutating func nextSequence() -> UInt8 {
        sequence &+= 1
        return sequence
    }

    func otherKey(_ sequence: UInt8) -> Key128? { sequence == otherSequence ? otherKey : nil }

    /// Whether there is a key that the network has not switched to yet.
    var hasNextKey: Bool {
        otherKey != nil && Self.isNewer(otherSequence, than: keySequence)
    }

    /// Key sequence numbers count up and begin again after 255.
    static func isNewer(_ a: UInt8, than b: UInt8) -> Bool { Int8(bitPattern: a &- b) > 0 }
}

/// Every node holds up to two network keys, and goes over to the newer one when it is told to or
/// hears it used (ZigBee 4.3.1.2, 4.4.10).
extension ZigbeeStack {
    /// Whether this device has asked for the network key, to join or to rejoin.
    private var awaitsKey: Bool { joiner.phase == .awaitingKey || rejoiner.isAwaitingKey }

    /// The trust centre has sent a network key.
    mutating func takeNetworkKey(
        _ key: Key128, sequence: UInt8, from trustCentre: EUI64, at now: Instant,
        into out: inout Outbox
    ) {
        guard awaitsKey else {
            holdNextKey(key, sequence: sequence, into: &out)
            return
        }
        if network.key != nil, NetworkState.isNewer(sequence, than: network.keySequence) {
            restartCounter()
        }
        if let old = network.key, old != key, network.keySequence == sequence {
            counters = IncomingCounters()
        }
        network.key = key
        network.keySequence = sequence
        network.otherKey = nil
        forgetOldCounters()
        network.keyMisses = 0
        network.trustCentre = trustCentre
        if neighbours.parent?.eui64 != trustCentre { addresses.put(.coordinator, trustCentre) }
        reserveCounters()
        requestSave()
        out.note(.networkKeyReceived, UInt64(sequence))
        if rejoiner.isAwaitingKey {
            finishRejoin(at: now, into: &out)
        } else {
            finishJoining(at: now, into: &out)
        }
    }

    /// A key to come is kept beside the active one.
    mutating func holdNextKey(_ key: Key128, sequence: UInt8, into out: inout Outbox) {
        guard network.isUp, NetworkState.isNewer(sequence, than: network.keySequence) else {
            out.drop(.apsUnexpected, from: .coordinator)
            return
        }
        guard network.otherKey != key || network.otherSequence != sequence else { return }
        network.otherKey = key
        network.otherSequence = sequence
        forgetOldCounters()
        requestSave()
        out.note(.networkKeyReceived, UInt64(sequence))
    }

    /// Makes the key to come the active one; frames under the other are still taken.
    mutating func switchNetworkKey(into out: inout Outbox) {
        guard network.hasNextKey, let next = network.otherKey else { return }
        (network.otherKey, network.key) = (network.key, next)
        swap(&network.keySequence, &network.otherSequence)
        restartCounter()
        reserveCounters()
        requestSave()
        out.note(.networkKeySwitched, UInt64(network.keySequence))
    }

    /// Under a key that is not held any more nothing is opened, so nothing of it can come again.
    mutating func forgetOldCounters() {
        let state = network
        counters.keep { $0 == state.keySequence || state.otherKey($0) != nil }
    }

    /// No frame has been sealed with the new key yet, so counters may begin again.
    private mutating func restartCounter() {
        guard network.outgoingCounter >= configuration.network.counterRestart else { return }
        network.outgoingCounter = 0
        network.reservedUpTo = 0
    }

    /// A good frame came under the key that is not active: if that is the newer one, the network
    /// has switched.
    mutating func heardUnderOtherKey(_ sequence: UInt8, into out: inout Outbox) {
        if NetworkState.isNewer(sequence, than: network.keySequence) {
            switchNetworkKey(into: &out)
        }
    }

    /// A frame came under a key that is not here. From the parent, again and again and newer, it
    /// may mean that this device has missed a key, which it gets by rejoining through the trust
    /// centre. But anybody can send such frames: an end device first asks its parent, and a router
    /// believes it once nothing that it can open has come from its parent for as long as a router
    /// may be silent.
    mutating func missKey(
        _ sequence: UInt8, from sender: ShortAddress, at now: Instant, into out: inout Outbox
    ) {
        guard configuration.role != .coordinator, network.isUp, rejoiner.isIdle,
            sender == neighbours.parent?.address,
            NetworkState.isNewer(sequence, than: network.keySequence)
        else { return }
        network.keyMisses = min(network.keyMisses + 1, configuration.joining.unknownKeyLimit)
        guard network.keyMisses == configuration.joining.unknownKeyLimit else { return }
        guard configuration.role == .router else {
            network.keyMisses = 0
            checkParent(at: now)
            return
        }
        let silence = configuration.network.linkStatusPeriod * configuration.network.routerAgeLimit
        guard let parent = neighbours.parent, parent.lastHeard + silence <= now else { return }
        network.keyMisses = 0
        rejoin(at: now, into: &out)
    }

    /// Forgets the network it was in, but not which frame counters it has used.
    public mutating func forgetNetwork() {
        let (counter, reserved) = (network.outgoingCounter, network.reservedUpTo)
        network = NetworkState()
        network.outgoingCounter = counter
        network.reservedUpTo = reserved
        neighbours = NeighbourTable()
        counters = IncomingCounters()
        returning = ReturningTable()
        strays = StrayTable()
        addresses = AddressMap()
        routes = RouteTable()
        discovery = RouteDiscovery()
        broadcasts = BroadcastTable()
        aps.fragments = Fragments()
        requestSave()
    }
}
