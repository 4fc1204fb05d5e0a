import DCC
import GBCS
import Radio
import Wire

/// The CSP's end of a hub's WAN, in the director's place of a home's roster: it sends the images
/// and messages that it is given, and hands out what comes back and what the bench sees of the
/// devices. A machine like the others; its owner gives it things and drains it between two turns.
///
/// What it is given is lost with it, but for an image of the hub's own: what is to become of that
/// stands in its flash. Its owner may keep the messages.
public struct WANEnd: Node {
    /// What it hands out.
    public enum Output: Sendable {
        case message(HubMessage)
        case progress(of: EUI64, DeviceProgress)
        /// A member's power has come on with this firmware.
        case running(EUI64, version: UInt32)
        /// What has become of the hub's own update, for people.
        case hubUpdate(String)
        /// An event of the home's, if they are wanted.
        case event(EventRecord)
    }

    public enum Power: String, Sendable {
        case off
        /// On, or about to be, but its software does not run yet.
        case starting
        case running
    }

    public struct Member: Sendable {
        public let name: String
        public let eui64: EUI64
        /// As which it exchanges GBCS messages; the hub as CHF.
        public let entity: EUI64
        /// The version that it was last seen to run.
        public internal(set) var firmware: UInt32
        public internal(set) var power = Power.starting
        public internal(set) var isInNetwork = false
        /// What was told last of a download.
        var percent: Int?
        var version: UInt32?
    }

    /// The hub first.
    public private(set) var members: [Member]
    /// Events are handed out as well.
    public var wantsEvents = false
    private let start: UTCTime
    private let activator: EUI64
    private var desk: MessageDesk
    private var images: ImageQueue
    /// Messages that wait for the hub's software to run.
    private var held: [WANMessage] = []
    private var ownUpdate: OwnUpdate?
    /// The image of `ownUpdate`, while the hub may still have to be sent it anew.
    private var ownImage: [UInt8]?
    private var outputs: [Output] = []
    private var isOn = false

    /// An image of the hub's own that it is to have and to run. Kept in flash.
    struct OwnUpdate: Equatable, Sendable {
        var delivery: UInt32
        var version: UInt32
        var hash: Digest256
        var byMessage: Bool
        var isOrdered = false

        /// Layout: 0xA5, delivery u32 and version u32 little-endian, flags u8 (1: by message, 2:
        /// ordered), hash of the manufacturer image 32.
        static let size = 42

        var bytes: [UInt8] {
            var builder = ByteBuilder()
            builder.put(0xA5, 1)
            builder.put(UInt64(delivery), 4)
            builder.put(UInt64(version), 4)
            builder.put((byMessage ? 1 : 0) | (isOrdered ? 2 : 0), 1)
            builder.put(hash.bytes)
            return builder.bytes
        }

        init(delivery: UInt32, version: UInt32, hash: Digest256, byMessage: Bool) {
            self.delivery = delivery
            self.version = version
            self.hash = hash
            self.byMessage = byMessage
        }

        init?(parsing bytes: [UInt8]) {
            var reader = ByteReader(bytes.span)
            guard (try? reader.u8("mark")) == 0xA5, let delivery = try? reader.u32("delivery"),
                let version = try? reader.u32("version"), let flags = try? reader.u8("flags"),
                let hash = Digest256(bytes.suffix(32))
            else { return nil }
            self.init(
                delivery: delivery, version: version, hash: hash, byMessage: flags & 1 != 0)
            isOrdered = flags & 2 != 0
        }
    }

    /// Deliveries of the hub's own images have numbers of their own, above everybody else's.
    static let firstOwnDelivery: UInt32 = 0x8000_0000
    /// Messages that wait for a hub at most.
    static let heldLimit = 1_024

    init(
        members: [Member], wanPerByte: Interval, wanChunk: Int, desk: MessageDesk,
        activator: EUI64, start: UTCTime
    ) {
        self.members = members
        self.desk = desk
        self.activator = activator
        self.start = start
        images = ImageQueue(chunk: wanChunk, wanPerByte: wanPerByte)
    }

    // MARK: - What it is given

    /// An image for devices of the home. Those before it for the same delivery are void. What it is
    /// given is only heeded at its next input.
    public mutating func deliver(
        _ delivery: UInt32, to targets: [EUI64], image: [UInt8], installableFrom: [UInt32],
        at now: Instant
    ) {
        images.removeAll { $0.delivery == delivery }
        images.add(
            ImageQueue.Image(
                delivery: delivery, targets: targets, bytes: image,
                installableFrom: installableFrom), at: now)
    }

    /// Ends the transfer of an image that is still under way.
    public mutating func abandon(_ delivery: UInt32) {
        images.removeAll { $0.delivery == delivery }
    }

    /// A GBCS message for a device, or for the hub itself. False if too many wait already.
    @discardableResult
    public mutating func send(_ message: [UInt8], to device: EUI64) -> Bool {
        guard held.count < Self.heldLimit else { return false }
        held.append(.message(device: device, bytes: message))
        return true
    }

    /// Messages for the hub that have not left yet.
    public var waitingMessages: [(device: EUI64, bytes: [UInt8])] {
        held.compactMap {
            if case .message(let device, let bytes) = $0 { (device, bytes) } else { nil }
        }
    }

    /// Messages that waited for the hub before the world began again, however many.
    public mutating func putBack(_ messages: [(device: EUI64, bytes: [UInt8])]) {
        held += messages.map { .message(device: $0.device, bytes: $0.bytes) }
    }

    /// A message of the hub's that came before the world began again.
    public mutating func hear(_ message: [UInt8]) { outputs.append(.message(.message(message))) }

    /// The hub's own firmware: it is sent the image, and is to run it once it has stored it. By
    /// `message`, CS06 of whoever has it do that; otherwise by the WAN's own command. One that is
    /// under way is void.
    public mutating func updateHub(
        _ image: RunImage, byMessage: Bool, at now: Instant, into out: inout Outbox
    ) {
        let delivery = max(Self.firstOwnDelivery, (ownUpdate?.delivery ?? 0) &+ 1)
        if let old = ownUpdate { images.removeAll { $0.delivery == old.delivery } }
        save(
            OwnUpdate(
                delivery: delivery, version: image.version, hash: image.hash, byMessage: byMessage),
            into: &out)
        giveOwn(image.bytes, at: now)
    }

    /// The image that the hub is still to have after a restart, by the hash of its manufacturer
    /// image; nil if there is none, or it has it.
    public var missingHubImage: Digest256? {
        guard let update = ownUpdate, !update.isOrdered, ownImage == nil else { return nil }
        return update.hash
    }

    /// The image that `missingHubImage` asks for; nil if there is no such image any more.
    public mutating func resumeHubUpdate(
        _ image: [UInt8]?, at now: Instant, into out: inout Outbox
    ) {
        if let image {
            giveOwn(image, at: now)
        } else {
            endUpdate("the image that the hub was to have is not there any more", into: &out)
        }
    }

    private mutating func giveOwn(_ image: [UInt8], at now: Instant) {
        guard let update = ownUpdate else { return }
        ownImage = image
        images.removeAll { $0.delivery == update.delivery }
        images.add(
            ImageQueue.Image(
                delivery: update.delivery, targets: [members[0].eui64], bytes: image,
                installableFrom: []), at: now)
    }

    /// What has come since it was last asked, in order.
    public mutating func takeOutputs() -> [Output] {
        defer { outputs = [] }
        return outputs
    }

    /// Anything is on its way to the hub, or the hub's own update is not over.
    public var isBusy: Bool { !images.isEmpty || !held.isEmpty || ownUpdate != nil }

    // MARK: - Node

    public mutating func handle(
        _ input: borrowing Input, at now: Instant, into out: inout Outbox
    ) {
        switch copy input {
        case .powerOn:
            isOn = true
            ownUpdate = OwnUpdate(parsing: out.flash.read(0, count: OwnUpdate.size))
        case .observed(let event): observe(event, at: now, into: &out)
        case .wan(.imageStored(let delivery)):
            if delivery == ownUpdate?.delivery {
                ownStored(at: now, into: &out)
            } else {
                outputs.append(.message(.stored(delivery: delivery)))
            }
        case .wan(.imageRefused(let delivery, let reason)):
            if delivery == ownUpdate?.delivery {
                endUpdate("the hub has refused its image: \(reason.name)", into: &out)
            } else {
                outputs.append(.message(.refused(delivery: delivery, reason: reason.name)))
            }
        case .wan(.message(_, let bytes)): outputs.append(.message(.message(bytes)))
        case .tick, .wan, .received, .transmitted, .energy, .order: break
        }
        guard isOn else { return }
        if members[0].power == .off { giveUpDeliveries() }
        let hubRuns = members[0].power == .running
        if let sent = images.step(at: now, hubRuns: hubRuns, into: &out),
            sent < Self.firstOwnDelivery
        {
            outputs.append(.message(.sent(delivery: sent)))
        }
        if hubRuns {
            // So few that they fit in one outbox; the rest follows.
            for message in held.prefix(16) { out.send(message) }
            held.removeFirst(min(16, held.count))
        }
        again = hubRuns && !held.isEmpty ? now : .distantFuture
    }

    /// To a hub without power the CSP has no connection. Its own image waits for it.
    private mutating func giveUpDeliveries() {
        for image in images.images where image.delivery < Self.firstOwnDelivery {
            outputs.append(.message(.unreachable(delivery: image.delivery)))
        }
        images.removeAll { $0.delivery < Self.firstOwnDelivery }
    }

    private var again = Instant.distantFuture
    public var nextDeadline: Instant {
        guard isOn else { return .distantFuture }
        // One that waits for the hub goes on when it has booted.
        return min(images.due, again)
    }

    // MARK: - The hub's own update

    private mutating func save(_ update: OwnUpdate?, into out: inout Outbox) {
        ownUpdate = update
        out.erase(page: 0)
        if let update { out.program(update.bytes.span, at: 0) }
    }

    private mutating func ownStored(at now: Instant, into out: inout Outbox) {
        guard var update = ownUpdate else { return }
        update.isOrdered = true
        save(update, into: &out)
        ownImage = nil
        outputs.append(.hubUpdate("the hub has its image, and is told to run it"))
        order(update, at: now)
    }

    private mutating func order(_ update: OwnUpdate, at now: Instant) {
        guard update.byMessage else {
            held.append(.activateHub(hash: update.hash))
            return
        }
        let bytes = desk.command(
            .activateFirmware, by: activator, to: members[0].entity,
            at: start.advanced(by: now - .zero)
        ) {
            .activateFirmware(
                ActivateFirmware(hash: update.hash, originatorCounter: $0, executionTime: nil))
        }
        send(bytes, to: members[0].entity)
    }

    private mutating func endUpdate(_ words: String, into out: inout Outbox) {
        save(nil, into: &out)
        ownImage = nil
        outputs.append(.hubUpdate(words))
    }

    // MARK: - What it sees

    private mutating func observe(_ event: EventRecord, at now: Instant, into out: inout Outbox) {
        let node = Int(event.node)
        guard members.indices.contains(node) else { return }
        if wantsEvents, event.kind != .otaProgress { outputs.append(.event(event)) }
        switch event.kind {
        case .poweredOn:
            members[node].firmware = UInt32(truncatingIfNeeded: event.values[0])
            members[node].power = .starting
            members[node].isInNetwork = false
            let id = node == 0 ? members[0].entity : members[node].eui64
            outputs.append(.running(id, version: members[node].firmware))
            if node == 0 { hubStarts(into: &out) }
        case .booted:
            members[node].power = .running
            if node == 0 { hubRuns(at: now) }
        case .poweredOff:
            // A restart comes back by itself.
            if members[node].power == .running { members[node].power = .off }
            members[node].isInNetwork = false
            if node == 0 { images.rewind() }
        case .restarting:
            members[node].power = .starting
            members[node].isInNetwork = false
            if node == 0 { images.rewind() }
        case .panFormed, .networkResumed, .joined, .rejoined: members[node].isInNetwork = true
        case .left:
            if event.values[0] == members[node].eui64.rawValue { members[node].isInNetwork = false }
        case .activationRefused:
            if node == 0, ownUpdate?.isOrdered == true {
                let reason = RefusalReason(rawValue: UInt8(truncatingIfNeeded: event.values[0]))
                endUpdate(
                    "the hub refused to run its image: \((reason ?? .none).name)", into: &out)
            }
        case .imageOffered:
            guard let index = members.firstIndex(where: { $0.eui64.rawValue == event.values[0] })
            else { return }
            tell(.offered(version: UInt32(truncatingIfNeeded: event.values[1])), of: index)
        case .otaDownloadStarted, .otaDownloadResumed:
            download(node, event.values[0], offset: event.values[2], of: event.values[1])
        case .otaProgress:
            download(node, event.values[3], offset: event.values[0], of: event.values[1])
        case .otaVerified:
            downloaded(node, event.values[0])
        case .otaAwaitingActivation, .otaCountingDown:
            // It says so after a restart as well.
            downloaded(node, event.values[0])
        default: break
        }
    }

    private mutating func hubStarts(into out: inout Outbox) {
        guard let update = ownUpdate, update.isOrdered, members[0].firmware == update.version
        else { return }
        endUpdate("the hub runs \(ProfileText.version(update.version))", into: &out)
    }

    /// What it was told before may have been lost with its power.
    private mutating func hubRuns(at now: Instant) {
        if let update = ownUpdate {
            if update.isOrdered {
                order(update, at: now)
            } else if let ownImage {
                giveOwn(ownImage, at: now)
            }
        }
        images.resume(at: now)
    }

    /// Told once for each whole percent.
    private mutating func download(
        _ node: Int, _ version: UInt64, offset: UInt64, of size: UInt64
    ) {
        let version = UInt32(truncatingIfNeeded: version)
        let percent = size == 0 ? 0 : Int(min(100, offset * 100 / size))
        guard members[node].version != version || members[node].percent != percent else { return }
        (members[node].version, members[node].percent) = (version, percent)
        tell(.downloading(version: version, percent: percent), of: node)
    }

    private mutating func downloaded(_ node: Int, _ version: UInt64) {
        let version = UInt32(truncatingIfNeeded: version)
        guard members[node].version != version || members[node].percent != Self.whole else {
            return
        }
        (members[node].version, members[node].percent) = (version, Self.whole)
        tell(.downloaded(version: version), of: node)
    }

    /// Stands for a download that is over.
    private static let whole = 101

    private mutating func tell(_ progress: DeviceProgress, of node: Int) {
        outputs.append(.progress(of: members[node].eui64, progress))
    }
}
