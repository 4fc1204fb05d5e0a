import Crypto
import Radio
import Wire

/// A node's ZigBee stack: MAC, NWK, APS and ZDO over the radio port, without I/O.
///
/// Its layers live in the folders beside this one, each an extension with its own tables. The
/// application drains `takeIndication()` after every call, and saves a `snapshot` when
/// `takeSaveRequest()` says so.
public struct ZigbeeStack {
    public internal(set) var configuration: StackConfiguration
    let crypto: CryptoEngine

    var mac: MACLayer
    var network = NetworkState()
    var neighbours = NeighbourTable()
    var counters = IncomingCounters()
    var returning = ReturningTable()
    var strays = StrayTable()
    var addresses = AddressMap()
    var routes = RouteTable()
    var discovery = RouteDiscovery()
    var broadcasts = BroadcastTable()
    var aps = APSLayer()
    var joiner = Joiner()
    var rejoiner = Rejoiner()
    var nextKeepAlive = Instant.distantFuture
    var keepAlivesMissed = 0
    /// Whether the parent has the same network key is being asked.
    public internal(set) var isCheckingParent = false
    var nextLinkStatus = Instant.distantFuture
    var poll = PollState()
    var trustCentre = TrustCentre()
    /// Sleepers that the application waits for to be awake.
    var awaited: ContiguousArray<EUI64> = []
    var zdoSequence: UInt8 = 0
    /// Requests that have not been answered, the latest eight; a search for a server is `about`
    /// its cluster.
    var zdoRequests: [(target: ShortAddress, cluster: UInt16, transaction: UInt8, about: UInt16)] =
        []
    var dice: SeededStream
    /// What later network keys are made from; the dice begin anew with every start.
    let keySeed: Seed
    private var indications = Ring<Indication>(limit: indicationLimit)
    private var wantsSave = false

    /// What an application that does not drain gets beyond this is lost.
    static let indicationLimit = 64

    public init(configuration: StackConfiguration, crypto: CryptoEngine, seed: Seed) {
        precondition(
            MACLayer.indirectLimit + StrayTable.limit + NeighbourTable.limit
                <= PendingAddress.tableSize,
            "a chip's frame-pending table has no room for all that may be promised")
        self.configuration = configuration
        self.crypto = crypto
        dice = SeededStream(seed.named("stack"))
        keySeed = seed.named("stack.networkKeys")
        var start = SeededStream(seed.named("stack.sequences"))
        mac = MACLayer(sequence: UInt8(truncatingIfNeeded: start.next()))
        network.sequence = UInt8(truncatingIfNeeded: start.next())
        aps.counter = UInt8(truncatingIfNeeded: start.next())
    }

    // MARK: - The application's side

    public var address: ShortAddress { network.address }
    public var eui64: EUI64 { configuration.eui64 }
    public var isJoined: Bool { network.isUp }

    /// Says anew what its endpoints serve.
    public mutating func setEndpoints(_ endpoints: [SimpleDescriptor]) {
        configuration.endpoints = endpoints
    }

    /// It has lost its parent, and is getting back into its network.
    public var isRejoining: Bool { rejoiner.isUnderWay }

    public var neighbourTable: NeighbourTable { neighbours }
    /// The active network key, for the evidence.
    public var networkKey: Key128? { network.key }
    /// The network key before it or the one to come.
    public var otherNetworkKey: Key128? { network.otherKey }

    public mutating func takeIndication() -> Indication? {
        var indication = Indication.formed
        return takeIndication(into: &indication) ? indication : nil
    }

    /// The same with one copy of what may be a whole message; false if there is none.
    public mutating func takeIndication(into indication: inout Indication) -> Bool {
        guard !indications.isEmpty else { return false }
        indication = indications.first
        indications.removeFirst()
        return true
    }

    mutating func indicate(_ indication: Indication) { _ = indications.append(indication) }

    /// True once after something changed that must survive a restart. Until then no frame of
    /// the network's leaves: what it has used up, a counter or a key, might be used again after a
    /// power cut. The application saves `snapshot` and calls `goOn`.
    public mutating func takeSaveRequest() -> Bool {
        defer { wantsSave = false }
        return wantsSave
    }

    /// What had to be saved is ordered to be written: frames that waited for it may leave.
    public mutating func goOn(at now: Instant, into out: inout Outbox) {
        pump(at: now, into: &out)
    }

    /// Has it saved: also by who has taken a request and could not carry it out.
    public mutating func requestSave() { wantsSave = true }
    var hasUnsaved: Bool { wantsSave }

    /// The EUI-64 behind a short address, if known.
    public func eui64(of address: ShortAddress) -> EUI64? {
        if address == network.address { return configuration.eui64 }
        return neighbours[address]?.eui64 ?? addresses[address]
    }

    /// The short address of a device, if known.
    public func address(of eui64: EUI64) -> ShortAddress? {
        if eui64 == configuration.eui64 { return network.address }
        return neighbours[eui64]?.address ?? addresses[eui64]
    }

    // MARK: - Inputs

    public mutating func received(_ reception: Reception, at now: Instant, into out: inout Outbox) {
        receiveMAC(reception, at: now, into: &out)
        pump(at: now, into: &out)
    }

    public mutating func transmitted(
        _ result: TransmitResult, at now: Instant, into out: inout Outbox
    ) {
        finishTransmission(result, at: now, into: &out)
        pump(at: now, into: &out)
    }

    public mutating func tick(at now: Instant, into out: inout Outbox) {
        while let (frame, emptied) = mac.expire(at: now) {
            if let emptied { promise(emptied, into: &out) }
            switch frame.purpose {
            case .associationResponse(let eui64): associationExpired(eui64, into: &out)
            case .removal(let eui64):
                guard configuration.role == .router || aps.linkKey(with: eui64) == nil else {
                    continue
                }
                askToLeave(eui64, at: now, into: &out)
                continue
            case .none, .poll, .associationRequest, .beaconRequest, .sendingAway: break
            }
            if case .short(let address) = frame.destination {
                out.note(.indirectExpired, UInt64(address.rawValue))
            }
        }
        mac.requeueDelayed(at: now)
        retryAPS(at: now, into: &out)
        if aps.fragments.nextDeadline <= now { stepFragments(at: now, into: &out) }
        stepJoiner(at: now, into: &out)
        stepRejoiner(at: now, into: &out)
        if nextLinkStatus <= now { sendLinkStatus(at: now, into: &out) }
        if nextKeepAlive <= now { keepAlive(at: now, into: &out) }
        if neighbours.nextAgeing(default: defaultChildTimeout) <= now {
            ageChildren(at: now, into: &out)
        }
        stepPoll(at: now, into: &out)
        if broadcasts.deadline <= now { stepBroadcasts(at: now, into: &out) }
        if discovery.deadline <= now { stepRouting(at: now, into: &out) }
        if trustCentre.deadline <= now { stepTrustCentre(at: now, into: &out) }
        pump(at: now, into: &out)
    }

    public var nextDeadline: Instant {
        var copy = self
        return copy.reckonDeadline()
    }

    /// `nextDeadline` without the copy of the whole stack that asking a property takes. Changes
    /// nothing.
    public mutating func reckonDeadline() -> Instant {
        min(
            min(mac.nextExpiry, aps.nextDeadline),
            min(
                min(min(joiner.deadline, poll.deadline), min(rejoiner.deadline, nextKeepAlive)),
                min(
                    min(
                        min(trustCentre.deadline, nextLinkStatus),
                        neighbours.nextAgeing(default: defaultChildTimeout)),
                    min(broadcasts.deadline, discovery.deadline))))
    }

    // MARK: - Towards the chip

    /// Gives the chip its next frame if it is free.
    mutating func pump(at now: Instant, into out: inout Outbox) {
        while !wantsSave, let holder = mac.takeWaitingPoll(at: now) {
            releaseHeld(for: holder, at: now, into: &out)
        }
        while let handle = mac.dequeue(commandsOnly: rejoiner.isAway || wantsSave) {
            if let psdu = sealedCurrent(into: &out) {
                out.transmit(psdu, handle: handle)
                return
            }
        }
    }

    /// Queues a frame for the chip, or drops it with a reason.
    mutating func enqueue(_ frame: OutgoingFrame, into out: inout Outbox) {
        if frame.isTooLong {
            out.drop(.tooLong)
        } else if frame.isSecured, network.key == nil {
            out.drop(.nwkUnknownKey)
        } else if !mac.enqueue(frame) {
            out.drop(.queueFull)
        }
    }

    /// The MAC's current frame as it goes out: with its MAC header and, if it is to be secured,
    /// sealed with the network key under the next frame counter. Nil, and it is dropped, if there
    /// is none left.
    mutating func sealedCurrent(into out: inout Outbox) -> FrameBuffer? {
        switch mac.current.content {
        case .mac: return mac.current.body
        case .nwk(let secured):
            let header = MACHeader.within(
                network.pan, kind: .data, sequence: mac.nextSequence(),
                to: mac.current.destination, from: .short(network.address))
            var psdu = FrameBuffer()
            header.encode(into: &psdu)
            guard secured else {
                psdu.append(mac.current.body.span)
                return psdu
            }
            guard sealCurrent(into: &psdu) else {
                out.drop(.counterSpent)
                mac.abandonCurrent()
                return nil
            }
            return psdu
        }
    }

    private mutating func finishTransmission(
        _ result: TransmitResult, at now: Instant, into out: inout Outbox
    ) {
        let (isCurrent, emptied) = mac.finish(result)
        guard isCurrent else { return }
        if let emptied { promise(emptied, into: &out) }
        // What follows may give the chip another frame, so a failed one is taken aside first.
        guard result.status != .success else {
            follow(
                result, purpose: mac.current.purpose, to: mac.current.destination, at: now,
                into: &out)
            return
        }
        var failed = mac.current
        follow(result, purpose: failed.purpose, to: failed.destination, at: now, into: &out)
        guard case .short(let address) = failed.destination, case .nwk = failed.content else {
            return
        }
        if failed.retries < configuration.network.unicastRetries, !mac.holds(failed) {
            failed.retries += 1
            // Two that cannot hear each other must not go on sending at the same time.
            let spread = dice.below(
                UInt64(configuration.network.unicastRetryDelay.microseconds + 1))
            let due = now + configuration.network.unicastRetryDelay + .microseconds(Int64(spread))
            if mac.delay(failed, until: due) { return }
        }
        out.note(.transmitFailed, UInt64(address.rawValue), UInt64(result.status.rawValue))
        hopFailed(failed, at: address, at: now, into: &out)
    }

    /// Tells whoever sent a frame what became of it.
    private mutating func follow(
        _ result: TransmitResult, purpose: OutgoingFrame.Purpose, to destination: MACAddress,
        at now: Instant, into out: inout Outbox
    ) {
        if case .short(let address) = destination, !rejoiner.isAway,
            address == neighbours.parent?.address
        {
            noteParent(result, at: now, into: &out)
        }
        switch purpose {
        case .none: break
        case .poll: finishPoll(result, at: now, into: &out)
        case .beaconRequest: break
        case .associationRequest: finishAssociationRequest(result, at: now, into: &out)
        case .associationResponse(let eui64):
            if result.status == .success { associationDelivered(eui64, at: now, into: &out) }
        case .removal: break
        case .sendingAway(let address):
            if result.status == .success { forgetStray(at: address, into: &out) }
        }
    }
}
