import Crypto
import GBCS
import Radio
import Wire
import Zigbee

/// What makes one hub of a model this hub.
public struct HubIdentity: Sendable {
    public var eui64: EUI64
    /// The firmware it left the factory with.
    public var firmware: UInt32
    /// Whose signature its own images bear.
    public var signer: P256.PublicKey?
    /// The channels it may form its PAN on.
    public var channels: [UInt8]
    /// The device log as commissioning left it; kept in flash from the first start on.
    public var deviceLog: [DeviceLogEntry]
    /// The date and time of virtual time zero.
    public var start: UTCTime
    /// Its certificates and private keys, one for each suite in which it establishes link keys.
    public var credentials: [CBKECredentials]
    /// Those that stay on their install codes' link keys although it has certificates.
    public var installCodeDevices: Set<EUI64>
    /// The hub as two entities, CHF and GPF; nil for one that takes no part in GBCS messages.
    public var chf: MessageIdentity?
    public var gpf: MessageIdentity?

    public init(
        eui64: EUI64, firmware: UInt32, signer: P256.PublicKey?, channels: [UInt8],
        deviceLog: [DeviceLogEntry], start: UTCTime, credentials: [CBKECredentials] = [],
        installCodeDevices: Set<EUI64> = [], chf: MessageIdentity? = nil,
        gpf: MessageIdentity? = nil
    ) {
        self.chf = chf
        self.gpf = gpf
        self.eui64 = eui64
        self.firmware = firmware
        self.signer = signer
        self.channels = channels
        self.deviceLog = deviceLog
        self.start = start
        self.credentials = credentials
        self.installCodeDevices = installCodeDevices
    }

    /// The type of a device that commissioning knew of.
    func type(of device: EUI64) -> DeviceType? {
        deviceLog.first { $0.eui64 == device }?.type
    }
}

/// A Communications Hub as its profile has it: coordinator, trust centre, image store and OTA
/// server.
public struct CommunicationsHub: Node {
    enum Phase: Sendable {
        case off
        case booting
        case running
        case restarting
    }

    /// Keys of the journal's records.
    enum Record {
        static let firmware: UInt8 = 1
        static let network: UInt8 = 2
        static let deviceLog: UInt8 = 3
        /// Three of `MessageApplication` each.
        static let chf: UInt8 = 4
        static let gpf: UInt8 = 7
        /// Until when devices may join, as seconds since 2000, 4 bytes, little-endian.
        static let joining: UInt8 = 10
        /// One for each image slot, up to 0x80.
        static let firstSlot: UInt8 = 0x40
    }

    /// A device whose version the WAN has asked for.
    struct PendingRead {
        var device: EUI64
        var tries = 0
        var sent: Instant?
        /// ZCL sequence number of the latest question.
        var sequence: UInt8 = 0
    }

    public let profile: HubProfile
    public let identity: HubIdentity
    public internal(set) var stack: ZigbeeStack
    var journal: Journal
    var firmware: FirmwareState
    var capabilities = HubCapabilities()
    var deviceLog = DeviceLog()
    var store: [StoredImage?]
    var arrival: Arrival?
    /// The delivery over the WAN that was refused last, and the one whose chunks came without a
    /// beginning: what follows of them is not worth another word.
    var refusedDelivery: UInt32?
    var strayDelivery: UInt32?
    var phase = Phase.off
    var timer = Instant.distantFuture
    var zclSequence: UInt8 = 0
    var basic = ZCLBasic(isMainsPowered: true)
    /// The network key that the evidence was told last.
    private var disclosedKey: Key128?
    /// The end of joining as flash has it.
    private var savedJoining = Instant.zero
    /// Memory for the stack's snapshots, which are written often.
    private var snapshot = ByteBuilder()
    /// Devices whose version the WAN has asked for and that have not answered yet.
    var pendingReads: [PendingRead] = []
    var nextRead = Instant.distantFuture
    /// What is known of each device's OTA client.
    var clients: [OTAClientRecord] = []
    /// When the next block of a page is due.
    var nextPage = Instant.distantFuture
    /// When a PPMID that was told to wait is told more.
    var nextTelling = Instant.distantFuture
    var notifier = ImageNotifier()
    var chf: MessageApplication?
    var gpf: MessageApplication?
    /// Of each device's latest images.
    var endings: [TransferEnding] = []
    /// How it establishes link keys; nil without certificates.
    var establishment: KeyEstablishmentServer?
    var tunnels: HubTunnels
    var typeQueries = TypeQueries()
    let seed: Seed

    public init(profile: HubProfile, identity: HubIdentity, crypto: CryptoEngine, seed: Seed) {
        self.profile = profile
        self.identity = identity
        let own = seed.named("node").indexed(identity.eui64.rawValue)
        self.seed = own
        var configuration = StackConfiguration(
            role: .coordinator, eui64: identity.eui64, receiverOnWhenIdle: true,
            isMainsPowered: true, manufacturer: profile.manufacturer,
            endpoints: Self.endpoints(profile, identity), channels: identity.channels)
        configuration.network = profile.network
        configuration.keyUpdate = profile.keyUpdate
        configuration.permitRenewal = profile.permitRenewal
        configuration.admission = AdmissionSettings(
            leaveRetry: profile.leaveRetry, refusesAssociation: profile.refusesAssociation)
        stack = ZigbeeStack(configuration: configuration, crypto: crypto, seed: own)
        if !identity.credentials.isEmpty {
            establishment = KeyEstablishmentServer(
                settings: profile.keyEstablishment, credentials: identity.credentials,
                eui64: identity.eui64, seed: own.named("keyEstablishment"))
        }
        journal = Journal(
            firstPage: 0, pagesPerArea: profile.journalPages, geometry: profile.flash)
        firmware = FirmwareState(running: identity.firmware)
        store = Array(repeating: nil, count: profile.imageSlots + 1)
        clients.reserveCapacity(profile.deviceLogLimit)
        chf = identity.chf.map {
            MessageApplication(
                $0, as: .communicationsHubFunction, firmware: identity.firmware,
                settings: profile.messages, records: .init(from: Record.chf))
        }
        gpf = identity.gpf.map {
            MessageApplication(
                $0, as: .gasProxyFunction, firmware: identity.firmware,
                settings: profile.messages, records: .init(from: Record.gpf))
        }
        tunnels = HubTunnels(profile.tunnel)
    }

    public var eui64: EUI64 { identity.eui64 }
    /// The firmware version that runs.
    public var version: UInt32 { firmware.running }

    // MARK: - Node

    public mutating func handle(
        _ input: borrowing Input, at now: Instant, into out: inout Outbox
    ) {
        switch copy input {
        case .powerOn: powerOn(at: now, into: &out)
        case .tick: tick(at: now, into: &out)
        case .received(let reception):
            if phase == .running { stack.received(reception, at: now, into: &out) }
        case .transmitted(let result):
            if phase == .running { stack.transmitted(result, at: now, into: &out) }
        case .energy(let channel, let level):
            if phase == .running {
                stack.energy(channel: channel, level: level, at: now, into: &out)
            }
        case .wan(let message):
            if phase == .running {
                receiveWAN(message, at: now, into: &out)
            } else if case .message(_, let bytes) = message {
                out.noteDropped(bytes: bytes, .messageRestarting)
            }
        case .order(.permitJoining(let duration)):
            if phase == .running { stack.permitJoining(duration, at: now, into: &out) }
        case .order(.updateNetworkKey):
            if phase == .running { stack.updateNetworkKey(at: now, into: &out) }
        case .order(.addDevice(let device, let key)):
            if phase == .running, add(device, key, at: now, into: &out) {
                stack.extendJoining(profile.permitJoining, at: now, into: &out)
            }
        case .order(.removeDevice(let device)):
            if phase == .running { remove(device, at: now, into: &out) }
        case .order, .observed: break
        }
        settle(at: now, into: &out)
        sendMessages(into: &out)
        reckonDeadline()
    }

    /// As of the end of the last input: to ask for it costs nothing.
    public private(set) var nextDeadline = Instant.distantFuture

    private mutating func reckonDeadline() {
        nextDeadline =
            switch phase {
            case .off, .restarting: .distantFuture
            case .booting: timer
            case .running:
                min(
                    min(
                        min(stack.reckonDeadline(), typeQueries.deadline),
                        min(nextRead, pendingDeadline)),
                    min(
                        min(nextPage, nextTelling),
                        min(
                            min(notifier.deadline, tunnels.due),
                            establishment?.reckonDeadline() ?? .distantFuture)))
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
        chf?.restore(from: journal, &out)
        gpf?.restore(from: journal, &out)
        capabilities = profile.capabilities(at: firmware.running) ?? HubCapabilities(delivers: [])
        for slot in store.indices {
            store[slot] = out.reading(Record.firstSlot + UInt8(slot), of: journal) {
                bytes throws(WireError) in try StoredImage(parsing: bytes)
            }
        }
        let log = out.reading(Record.deviceLog, of: journal) { bytes throws(WireError) in
            try DeviceLog(parsing: bytes)
        }
        if let log {
            deviceLog = log
            dropImpossibleMirrors(into: &out)
        } else {
            for entry in identity.deviceLog {
                guard !deviceLog.put(entry, limit: profile.deviceLogLimit) else { continue }
                out.note(
                    .deviceNotLogged, entry.eui64.rawValue,
                    UInt64(RefusalReason.deviceLogFull.rawValue))
            }
            journal.write(Record.deviceLog, deviceLog.bytes, &out)
            for entry in deviceLog.entries { out.note(.deviceLogged, entry.eui64.rawValue) }
        }
        out.note(.poweredOn, UInt64(firmware.running))
    }

    private mutating func tick(at now: Instant, into out: inout Outbox) {
        switch phase {
        case .off, .restarting: break
        case .booting:
            guard timer <= now else { return }
            timer = .distantFuture
            start(at: now, into: &out)
        case .running:
            stack.tick(at: now, into: &out)
            if nextRead <= now { readVersions(at: now, into: &out) }
            if nextPage <= now { sendPages(at: now, into: &out) }
            if nextTelling <= now { tellWhenToUpgrade(at: now, into: &out) }
            if notifier.deadline <= now { notifyAnew(at: now, into: &out) }
            if pendingDeadline <= now { runPending(at: now, into: &out) }
            endSilentSessions(at: now, into: &out)
        }
    }

    private mutating func start(at now: Instant, into out: inout Outbox) {
        phase = .running
        out.note(.booted)
        let missing = journal.missing(recordsOf: ZigbeeStack.shortestSnapshot)
        let isRestored =
            out.reading(Record.network, of: journal) { bytes throws(WireError) in
                try stack.restore(bytes, missing: missing)
            } != nil
        if isRestored, stack.isJoined {
            stack.resume(at: now, into: &out)
            reopenJoining(at: now, into: &out)
            saveNetwork(&out)
        } else {
            stack.form(at: now, into: &out)
        }
        // A power cut may have come between striking a device off and forgetting its key.
        for partner in stack.partners where deviceLog[partner] == nil {
            stack.retireLinkKey(of: partner)
        }
        for entry in deviceLog.entries {
            stack.setLinkKey(
                entry.linkKey, partner: entry.eui64,
                replacingEstablished: staysOnInstallCode(entry.eui64))
        }
        discloseLinkKeys(into: &out)
        startMessages(at: now, into: &out)
        startTunnels(at: now)
        showMirrors()
        startTypeQueries(at: now)
    }

    // MARK: - Device log

    /// Puts a device in the device log (GBCS CCS01). A known EUI-64 keeps its key. Whether it is in
    /// the log now.
    mutating func add(
        _ device: EUI64, _ key: Key128, at now: Instant, into out: inout Outbox
    ) -> Bool {
        let type = deviceLog[device]?.type ?? identity.type(of: device)
        let isNew = deviceLog[device] == nil
        let entry = DeviceLogEntry(eui64: device, type: type, linkKey: key)
        guard deviceLog.put(entry, limit: profile.deviceLogLimit) else {
            out.note(
                .deviceNotLogged, device.rawValue, UInt64(RefusalReason.deviceLogFull.rawValue))
            return false
        }
        journal.write(Record.deviceLog, deviceLog.bytes, &out)
        stack.admitDevice(
            device, key: deviceLog[device]?.linkKey ?? key,
            replacingEstablished: staysOnInstallCode(device), into: &out)
        discloseLinkKey(of: device, into: &out)
        out.note(.deviceLogged, device.rawValue)
        if isNew {
            askType(of: device, at: now)
            reportDeviceLog(at: now, into: &out)
        }
        return true
    }

    /// Strikes a device off the device log (GBCS CCS02) and has it leave the network.
    mutating func remove(_ device: EUI64, at now: Instant, into out: inout Outbox) {
        guard deviceLog.remove(device) else { return }
        journal.write(Record.deviceLog, deviceLog.bytes, &out)
        showMirrors()
        typeQueries.remove(device)
        pendingReads.removeAll { $0.device == device }
        stack.awaitWake(of: device, false, into: &out)
        clients.removeAll { $0.device == device }
        establishment?.forget(device)
        forgetTunnel(of: device, into: &out)
        stack.removeDevice(device, at: now, into: &out)
        reportDeviceLog(at: now, into: &out)
    }

    /// A power cut while devices were joining does not shut them out.
    private mutating func reopenJoining(at now: Instant, into out: inout Outbox) {
        let until = out.reading(Record.joining, of: journal) { bytes throws(WireError) in
            var reader = ByteReader(bytes.span)
            return UTCTime(secondsSince2000: try reader.u32("end of joining"))
        }
        guard let until, until > utc(at: now) else { return }
        let left = until.secondsSince2000 - utc(at: now).secondsSince2000
        // Not longer than it ever is, whatever the clock did.
        stack.permitJoining(
            min(.seconds(Int64(left)), max(profile.permitJoining, .hours(1))), at: now, into: &out)
        savedJoining = stack.joiningUntil
    }

    /// Notes until when joining is open, if that has changed.
    private mutating func saveJoining(at now: Instant, into out: inout Outbox) {
        guard stack.joiningUntil != savedJoining else { return }
        savedJoining = stack.joiningUntil
        var builder = ByteBuilder()
        builder.put(UInt64(utc(at: savedJoining).secondsSince2000), 4)
        journal.write(Record.joining, builder.bytes, &out)
    }

    private func utc(at now: Instant) -> UTCTime { identity.start.advanced(by: now - .zero) }

    private mutating func saveNetwork(_ out: inout Outbox) {
        guard stack.takeSaveRequest() else { return }
        stack.snapshot(into: &snapshot)
        // Counters must not run past what is kept: what could not be written is written later.
        if !journal.write(Record.network, snapshot.bytes, &out) { stack.requestSave() }
    }

    private mutating func settle(at now: Instant, into out: inout Outbox) {
        guard phase == .running else { return }
        var indication = Indication.formed
        while stack.takeIndication(into: &indication) {
            switch indication {
            case .formed:
                stack.permitJoining(profile.permitJoining, at: now, into: &out)
            case .message(let message): receive(message, at: now, into: &out)
            case .reassembled: receiveLong(at: now, into: &out)
            case .deviceAnnounced(let device, _, _):
                deviceAppeared(device, at: now)
                askType(of: device, at: now)
                if !isListening(device) { askTypeAsAwake(device, at: now, into: &out) }
                if pendingReads.contains(where: { $0.device == device }) {
                    readVersions(at: now, into: &out)
                    readVersions(of: device, at: now, into: &out)
                }
            case .sent(let token, let delivered):
                notifySettled(token, at: now, into: &out)
                messageSettled(token, delivered: delivered, at: now, into: &out)
            case .matched(ClusterID.tunneling, let address, let endpoint):
                tunnelServerFound(endpoint, at: address, now: now)
            case .noMatch(ClusterID.tunneling, let address):
                tunnelServerFound(nil, at: address, now: now)
            case .described(let address, let kind):
                described(address, as: kind, at: now, into: &out)
            case .awake(let device):
                readAsAwake(device, at: now, into: &out)
                askTypeAsAwake(device, at: now, into: &out)
            case .joined, .left, .joinFailed, .keySent, .matched, .noMatch, .resolved: break
            }
        }
        if typeQueries.deadline <= now { askTypes(at: now, into: &out) }
        stepTunnels(at: now, into: &out)
        if let key = stack.networkKey, key != disclosedKey {
            disclosedKey = key
            out.append(.networkKey(key))
        }
        saveJoining(at: now, into: &out)
        saveNetwork(&out)
        stack.goOn(at: now, into: &out)
    }
}

/// The hub's list of the devices it may talk to: bounded, in the order of their registration.
struct DeviceLog: Sendable {
    private(set) var entries: [DeviceLogEntry] = []

    init() {}

    subscript(eui64: EUI64) -> DeviceLogEntry? { entries.first { $0.eui64 == eui64 } }

    /// False if the log is full. A known EUI-64 keeps its key (GBCS CCS01).
    @discardableResult
    mutating func put(_ entry: DeviceLogEntry, limit: Int) -> Bool {
        if entries.contains(where: { $0.eui64 == entry.eui64 }) { return true }
        guard entries.count < limit else { return false }
        entries.append(entry)
        return true
    }

    /// False if it was not there.
    mutating func remove(_ eui64: EUI64) -> Bool {
        let count = entries.count
        entries.removeAll { $0.eui64 == eui64 }
        return entries.count < count
    }

    /// Changes what is noted of a device, if it is there.
    mutating func update(_ eui64: EUI64, _ change: (inout DeviceLogEntry) -> Void) {
        guard let index = entries.firstIndex(where: { $0.eui64 == eui64 }) else { return }
        change(&entries[index])
    }

    /// Bytes of an entry.
    static let entrySize = 26

    private static let types: [DeviceType] = [.communicationsHub, .esme, .gsme, .ppmid, .hcalcs]

    /// Layout: entries x {EUI-64 u64 little-endian, type u8 as an index into CH, ESME, GSME,
    /// PPMID, HCALCS (0xFF: not known), link key 16, endpoint of the
    /// mirror u8 (0: none)}.
    var bytes: [UInt8] {
        var builder = ByteBuilder()
        for entry in entries {
            builder.put(entry.eui64.rawValue, 8)
            builder.put(
                entry.type.flatMap { Self.types.firstIndex(of: $0) }.map { UInt64($0) } ?? 0xFF, 1)
            builder.put(entry.linkKey)
            builder.put(UInt64(entry.mirror ?? 0), 1)
        }
        return builder.bytes
    }

    init(parsing bytes: [UInt8]) throws(WireError) {
        var reader = ByteReader(bytes.span)
        while reader.remaining > 0 {
            let eui64 = try reader.eui64("device")
            let type = Int(try reader.u8("type"))
            guard Self.types.indices.contains(type) || type == 0xFF else {
                throw WireError(.invalid, "type", at: reader.offset - 1)
            }
            var entry = DeviceLogEntry(
                eui64: eui64, type: type == 0xFF ? nil : Self.types[type],
                linkKey: try reader.key("link key"))
            let mirror = try reader.u8("mirror")
            if 1...240 ~= mirror { entry.mirror = mirror }
            entries.append(entry)
        }
    }
}
