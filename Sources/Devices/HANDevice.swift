import Crypto
import GBCS
import Radio
import Wire
import Zigbee

/// What makes one device of a kind this device.
public struct DeviceIdentity: Sendable {
    public var eui64: EUI64
    /// The link key of its install code.
    public var linkKey: Key128
    /// The firmware it left the factory with.
    public var firmware: UInt32
    /// The supplier whose signature it trusts; nil for a PPMID.
    public var supplier: P256.PublicKey?
    /// The channels it scans.
    public var channels: [UInt8]
    /// Its certificate and private key; nil for a device that stays on its install code's key.
    public var credentials: CBKECredentials?
    /// Nil for a device that takes no part in GBCS messages.
    public var messages: MessageIdentity?

    public init(
        eui64: EUI64, linkKey: Key128, firmware: UInt32, supplier: P256.PublicKey?,
        channels: [UInt8], credentials: CBKECredentials? = nil, messages: MessageIdentity? = nil
    ) {
        self.messages = messages
        self.eui64 = eui64
        self.linkKey = linkKey
        self.firmware = firmware
        self.supplier = supplier
        self.channels = channels
        self.credentials = credentials
    }
}

/// An ESME, GSME, PPMID or HCALCS, as its profile has it: the application above a ZigBee stack.
public struct HANDevice: Node {
    enum Phase: Sendable {
        case off
        case booting
        case running
        /// The new firmware is written; the last frames of the old go out.
        case activating
        /// Its leaving the network is being said; then it starts anew, with no network.
        case leaving
        /// Power goes off and on.
        case restarting
    }

    /// Keys of the journal's records.
    enum Record {
        static let firmware: UInt8 = 1
        static let network: UInt8 = 2
        static let download: UInt8 = 3
        /// One byte: 1 while the device leaves its network, so that a power cut does not undo it.
        static let leaving: UInt8 = 4
        /// Three of `MessageApplication`.
        static let messages: UInt8 = 5
    }

    public let profile: DeviceProfile
    public let identity: DeviceIdentity
    public internal(set) var stack: ZigbeeStack
    var journal: Journal
    var firmware: FirmwareState
    var client: OTAClient
    var phase = Phase.off
    var hasOTAClient = false
    /// Messages that wait as soon as it runs.
    var kept: [[UInt8]] = []
    /// Boot, discovery and image check: at most one of them is waited for.
    var timer = Instant.distantFuture
    /// When it restarts even if messages are still on their way.
    var farewellEnd = Instant.zero
    /// It waits for nothing but those.
    var isFarewellOver = false
    /// The OTA server as found: address and endpoint.
    var server: (address: ShortAddress, endpoint: UInt8)?
    var isChecking = false
    var sleeper = Sleeper()
    var zclSequence: UInt8 = 0
    var basic: ZCLBasic
    var clock: TimeClient
    let seed: Seed
    /// How it comes to its link key; nil if the install code's is all it has.
    var establishment: KeyEstablishmentClient?
    var messages: MessageApplication?
    /// When what was to be activated later is due.
    var messageDeadline = Instant.distantFuture
    /// What runs was found spoilt at power on, and nobody has been told yet.
    var isImageSpoilt = false
    var tunnel: DeviceTunnel
    /// Memory for the stack's snapshots, which are written often.
    private var snapshot = ByteBuilder()
    /// The download slot is erased from the start of the present file up to here.
    var erasedUpTo = 0
    /// Where the present file of an upgrade of several begins in the download slot.
    var partStart = 0
    /// The first of them: what will run.
    var firstPart: FirmwareState.Held?
    var blocksSinceSave = 0
    var lastProgress: UInt32 = 0

    public init(
        profile: DeviceProfile, identity: DeviceIdentity, crypto: CryptoEngine, seed: Seed
    ) {
        self.profile = profile
        self.identity = identity
        let own = seed.named("node").indexed(identity.eui64.rawValue)
        self.seed = own
        var configuration = StackConfiguration(
            role: profile.isRouter ? .router : .endDevice, eui64: identity.eui64,
            receiverOnWhenIdle: profile.sleep == nil, isMainsPowered: profile.isMainsPowered,
            manufacturer: profile.manufacturer, endpoints: [Self.endpoint(of: profile, identity)],
            channels: identity.channels)
        configuration.power = profile.power
        configuration.joining = profile.stack
        configuration.network = profile.network
        stack = ZigbeeStack(configuration: configuration, crypto: crypto, seed: own)
        journal = Journal(
            firstPage: 0, pagesPerArea: profile.journalPages, geometry: profile.flash)
        firmware = FirmwareState(running: identity.firmware, stamp: profile.factoryStamp)
        basic = ZCLBasic(isMainsPowered: profile.isMainsPowered)
        clock = TimeClient(
            settings: profile.time, responseTimeout: profile.ota.responseTimeout)
        establishment = identity.credentials.map {
            KeyEstablishmentClient(
                settings: profile.keyEstablishment, credentials: $0, eui64: identity.eui64,
                seed: own.named("keyEstablishment"))
        }
        client = OTAClient(
            settings: profile.ota, eui64: identity.eui64,
            current: ImageIdentity(
                manufacturer: profile.manufacturer, imageType: profile.imageType,
                version: identity.firmware),
            hardwareVersion: profile.hardwareVersion, seed: own)
        client.keepsUnfinished = profile.resume != .fromZero
        messages = identity.messages.map {
            MessageApplication(
                $0, as: profile.type.messageEntity, firmware: identity.firmware,
                settings: profile.messages, records: .init(from: Record.messages))
        }
        tunnel = DeviceTunnel(profile.tunnel, isClient: profile.type == .gsme)
    }

    private static func endpoint(
        of profile: DeviceProfile, _ identity: DeviceIdentity, hasOTAClient: Bool = true
    ) -> SimpleDescriptor {
        SimpleDescriptor(
            endpoint: profile.endpoint, profile: ProfileID.smartEnergy,
            device: profile.applicationDevice,
            inputClusters: [ClusterID.basic]
                + [profile.type == .gsme ? ClusterID.metering : ClusterID.tunneling],
            outputClusters: [ClusterID.time] + (hasOTAClient ? [ClusterID.otaUpgrade] : [])
                + (identity.credentials != nil ? [ClusterID.keyEstablishment] : [])
                + (profile.type == .gsme ? [ClusterID.tunneling] : []))
    }

    public var eui64: EUI64 { identity.eui64 }
    /// The firmware version that runs.
    public var version: UInt32 { firmware.running }
    /// Of an image that it has whole and has found good, and does not run yet.
    public var heldVersion: UInt32? { firmware.held?.image.version }

    // MARK: - Node

    public mutating func handle(
        _ input: borrowing Input, at now: Instant, into out: inout Outbox
    ) {
        switch copy input {
        case .powerOn: powerOn(at: now, into: &out)
        case .tick: tick(at: now, into: &out)
        case .received(let reception):
            if isOnAir { stack.received(reception, at: now, into: &out) }
        case .transmitted(let result):
            if isOnAir { stack.transmitted(result, at: now, into: &out) }
        case .order(let order): obey(order, at: now, into: &out)
        case .energy, .wan, .observed: break
        }
        settle(at: now, into: &out)
        reckonDeadline()
    }

    /// As of the end of the last input: to ask for it costs nothing.
    public private(set) var nextDeadline = Instant.distantFuture

    private mutating func reckonDeadline() {
        nextDeadline =
            switch phase {
            case .off, .restarting: .distantFuture
            case .booting: timer
            case .leaving: min(timer, stack.reckonDeadline())
            case .activating: min(min(timer, tunnelDeadline()), stack.reckonDeadline())
            case .running:
                min(
                    min(min(timer, messageDeadline), stack.reckonDeadline()),
                    min(
                        min(hasOTAClient ? client.nextDeadline : .distantFuture, clockDeadline),
                        min(sleeper.nextDeadline, min(establishmentDeadline(), tunnelDeadline()))))
            }
    }

    private mutating func powerOn(at now: Instant, into out: inout Outbox) {
        phase = .booting
        timer = now + profile.bootTime
        journal.open(&out)
        firmware =
            out.reading(Record.firmware, of: journal) { bytes throws(WireError) in
                try FirmwareState(parsing: bytes)
            } ?? firmware
        messages?.restore(from: journal, &out)
        hasOTAClient = profile.capabilities(at: firmware.running)?.hasOTAClient ?? false
        stack.setEndpoints([Self.endpoint(of: profile, identity, hasOTAClient: hasOTAClient)])
        client.finished(running: firmware.running, at: now)
        client.imageStamp = firmware.stamp
        restoreDownload(&out)
        out.note(.poweredOn, UInt64(firmware.running))
    }

    private mutating func restoreDownload(_ out: inout Outbox) {
        if let held = firmware.held {
            client.restore(
                image: held.image, size: held.size, offset: held.size, status: .waitingToUpgrade,
                stackVersion: held.stackVersion)
            return
        }
        // Empty after a download is over.
        let saved = out.reading(Record.download, of: journal) { bytes throws(WireError) in
            bytes.isEmpty ? nil : try DownloadState(parsing: bytes)
        }
        if let saved = saved ?? nil, saved.offset > 0, saved.offset < saved.size {
            client.restore(
                image: saved.image, size: saved.size, offset: saved.offset,
                status: .downloadInProgress, blocks: saved.blocks)
        }
    }

    private mutating func tick(at now: Instant, into out: inout Outbox) {
        if isOnAir {
            stack.tick(at: now, into: &out)
            if sleeper.wakeIfDue(at: now, profile.sleep) {
                stack.pollOnce(at: now)
                client.hasten(at: now, by: profile.sleep?.maximumAwake ?? .zero)
                tunnel.woke(at: now)
            }
        }
        if messageDeadline <= now { runPending(at: now, into: &out) }
        guard timer <= now else { return }
        timer = .distantFuture
        switch phase {
        case .off, .restarting: break
        case .booting: start(at: now, into: &out)
        case .leaving: forgetNetwork(&out)
        case .activating:
            if hasMessagesUnderway, now < farewellEnd {
                isFarewellOver = true
                timer = farewellEnd
            } else {
                loseMessages(into: &out)
                restart(&out)
            }
        case .running:
            if isChecking {
                finishChecking(at: now, into: &out)
            } else {
                discover(at: now, into: &out)
            }
        }
    }

    private var isOnAir: Bool {
        phase == .running || phase == .leaving || phase == .activating
    }

    private mutating func leave(at now: Instant, into out: inout Outbox) {
        journal.write(Record.leaving, [1], &out)
        phase = .leaving
        timer = now + profile.farewell
    }

    private mutating func restart(_ out: inout Outbox) {
        phase = .restarting
        out.append(.restart(after: profile.restartDelay))
    }

    /// The counters stay: they never go back, whatever network comes next.
    private mutating func forgetNetwork(_ out: inout Outbox) {
        stack.forgetNetwork()
        saveNetwork(&out)
        journal.write(Record.leaving, [0], &out)
        out.note(.restarting, UInt64(profile.restartDelay.microseconds))
        restart(&out)
    }

    private mutating func start(at now: Instant, into out: inout Outbox) {
        phase = .running
        out.note(.booted)
        startTunnel(at: now)
        if !hasOTAClient { out.note(.otaClientAbsent, UInt64(firmware.running)) }
        startMessages(into: &out)
        let missing = journal.missing(recordsOf: ZigbeeStack.shortestSnapshot)
        let isRestored =
            out.reading(Record.network, of: journal) { bytes throws(WireError) in
                try stack.restore(bytes, missing: missing)
            } != nil
        if isRestored, journal[Record.leaving]?.first == 1 {
            // Its power went while it left.
            stack.forgetNetwork()
            saveNetwork(&out)
            journal.write(Record.leaving, [0], &out)
        }
        if establishment == nil, stack.hasEstablishedKey(with: stack.trustCentreAddress) {
            // It had a certificate before, and the hub goes back to the install code's key too.
            stack.setLinkKey(
                identity.linkKey, partner: stack.trustCentreAddress, replacingEstablished: true)
        }
        if isRestored, stack.isJoined {
            stack.resume(at: now, into: &out)
            saveNetwork(&out)
        } else {
            stack.expectTrustCentre(with: identity.linkKey)
            stack.join(at: now, into: &out)
        }
    }

    private mutating func saveNetwork(_ out: inout Outbox) {
        guard stack.takeSaveRequest() else { return }
        stack.snapshot(into: &snapshot)
        // Counters must not run past what is kept: what could not be written is written later.
        if !journal.write(Record.network, snapshot.bytes, &out) { stack.requestSave() }
    }

    /// Follows up whatever an input has stirred until nothing is left to do.
    private mutating func settle(at now: Instant, into out: inout Outbox) {
        var indication = Indication.formed
        if phase == .activating {
            while stack.takeIndication(into: &indication) {
                // It hears of nothing else any more.
                switch indication {
                case .sent(let token, let delivered):
                    messageSettled(token, delivered: delivered, at: now, into: &out)
                case .message(let message):
                    let bytes = Array(message.frame.bytes[message.payload...])
                    dropMessage(message, bytes, into: &out)
                case .reassembled:
                    guard let message = stack.takeLongMessage() else { continue }
                    dropMessage(message.about, message.bytes, into: &out)
                default: break
                }
            }
            stepTunnel(at: now, into: &out)
            if isFarewellOver, !hasMessagesUnderway { timer = min(timer, now) }
        }
        if phase == .leaving || phase == .activating {
            saveNetwork(&out)
            stack.goOn(at: now, into: &out)
        }
        guard phase == .running else { return }
        while stack.takeIndication(into: &indication) {
            heed(indication, at: now, into: &out)
        }
        // First, so that a sleeper whose budget is spent asks for nothing more.
        manageSleep(at: now)
        stepEstablishment(at: now, into: &out)
        stepClient(at: now, into: &out)
        stepClock(at: now, into: &out)
        stepTunnel(at: now, into: &out)
        saveNetwork(&out)
        stack.goOn(at: now, into: &out)
        manageSleep(at: now)
    }

    private mutating func heed(
        _ indication: Indication, at now: Instant, into out: inout Outbox
    ) {
        switch indication {
        case .joined:
            sleeper.stayAwake(at: now)
            joined(at: now, into: &out)
        case .matched(ClusterID.time, _, let endpoint): _ = clock.found(endpoint, at: now)
        case .noMatch(ClusterID.time, _): _ = clock.found(nil, at: now)
        case .matched(ClusterID.keyEstablishment, _, let endpoint):
            foundEstablishmentServer(endpoint, at: now, into: &out)
        case .noMatch(ClusterID.keyEstablishment, _):
            foundEstablishmentServer(nil, at: now, into: &out)
        case .matched(let cluster, _, let endpoint) where Self.isOfTunnel(cluster):
            tunnelServerFound(cluster, endpoint, at: now)
        case .noMatch(let cluster, _) where Self.isOfTunnel(cluster):
            tunnelServerFound(cluster, nil, at: now)
        case .matched(_, let address, let endpoint):
            guard hasOTAClient, server == nil || server?.address == address else { return }
            server = (address, endpoint)
            stack.resolve(address, now: now, into: &out)
            timer = now + profile.serverRetry
        case .noMatch: timer = now + profile.noServerRetry
        case .resolved(let address, let eui64):
            guard let server, server.address == address, !client.isBound else { return }
            timer = .distantFuture
            out.note(
                .otaServerFound, eui64.rawValue, UInt64(address.rawValue),
                UInt64(server.endpoint))
            client.bind(to: eui64, at: now, after: profile.ota.firstQuery)
        case .message(let message): receive(message, at: now, into: &out)
        case .reassembled: receiveLong(at: now, into: &out)
        case .sent(let token, let delivered):
            if delivered { sleeper.noteActivity(at: now) }
            messageSettled(token, delivered: delivered, at: now, into: &out)
        case .left:
            clock.left()
            establishment?.stop()
            tunnel.left()
            leave(at: now, into: &out)
        case .formed, .joinFailed, .keySent, .deviceAnnounced, .awake, .described: break
        }
    }

    /// Looks for the OTA server on the coordinator (ZCL 11.8), again and again until found.
    mutating func discover(at now: Instant, into out: inout Outbox) {
        guard hasOTAClient, !client.isBound, hasLinkKey else { return }
        server = nil
        timer = now + profile.serverRetry
        sleeper.stayAwake(at: now)
        stack.findServer(of: ClusterID.otaUpgrade, at: .coordinator, now: now, into: &out)
        if let sleep = profile.sleep {
            stack.expectAnswers(until: now + sleep.serverWait, at: now)
        }
    }

    private mutating func obey(_ order: Order, at now: Instant, into out: inout Outbox) {
        if case .activate(let hash) = order, isOnAir {
            let words = hash.words
            out.note(.activationOrdered, words.0, words.1, words.2, words.3)
            if phase != .running {
                // It would not outlast the restart.
                out.note(
                    .activationRefused, UInt64(RefusalReason.restarting.rawValue),
                    UInt64(firmware.held?.image.version ?? 0))
            }
        }
        guard phase == .running else { return }
        switch order {
        case .activate(let hash):
            activateOnOrder(hash, at: now, into: &out)
        case .queryNextImage:
            client.queryNow(at: now)
            sleeper.wakeNow(at: now)
        case .queryDeviceFile(let imageType):
            guard hasOTAClient else { return }
            client.queryFile(imageType, at: now)
            sleeper.wakeNow(at: now)
        case .cancelDownload:
            if client.cancel(at: now) { sleeper.wakeNow(at: now) }
        case .changeSupplier(let bytes):
            guard let anchor = try? TrustAnchor(parsing: bytes) else { return }
            changeSupplier(anchor, at: now, into: &out)
        case .permitJoining, .updateNetworkKey, .addDevice, .removeDevice: break
        }
    }
}
