import Air
import Devices
import GBCS
import Radio
import Wire

/// An image as a run uses it: its bytes, and what the director must know of it.
public struct RunImage: Sendable {
    public var name: String
    public var bytes: [UInt8]
    public var version: UInt32
    /// SHA-256 of the manufacturer image.
    public var hash: Digest256
    /// Versions it may follow, of which the hub is told; none for any.
    public var installableFrom: [UInt32]

    public init(
        name: String, bytes: [UInt8], version: UInt32, hash: Digest256,
        installableFrom: [UInt32] = []
    ) {
        self.installableFrom = installableFrom
        self.name = name
        self.bytes = bytes
        self.version = version
        self.hash = hash
    }
}

/// One image sent for one device, and what came of it.
public struct AttemptRecord: Sendable {
    public var device: Int
    public var image: String
    public var version: UInt32
    public var hash: Digest256
    public var hubFirmware: UInt32
    public var delivery: UInt32
    public var began: Instant
    public var ended: Instant?
    public var milestones: Set<ScenarioStep.Milestone> = []
    /// Why it was not offered, was rejected or not activated.
    public var reason = RefusalReason.none
    public var hubDiscarded = false
    /// The hub has the image, or has thrown it away: from here on what the device is told is
    /// about it.
    public var hasArrived = false
    public var hasNoClient = false
    public var blocks: UInt64 = 0
    /// Blocks of a download that was given up before the present one.
    var earlierBlocks: UInt64 = 0
    public var framesBefore: UInt64 = 0
    public var framesAfter: UInt64 = 0

    /// Whether a download that begins now still belongs to it although it had ended.
    var isReopened: Bool {
        ended != nil && (milestones.contains(.gaveUp) || milestones.contains(.notOffered))
    }
}

/// Plays a scenario: the last member of the roster, with the CSP's end of the hub's WAN, and told
/// of everybody's milestones. It is a machine like the others; what it does has a virtual time.
public struct Director: Node {
    struct Member: Sendable {
        var name: String
        var index: Int
        var eui64: EUI64
        var firmware: UInt32
        var isInNetwork = false
        var knowsServer = false
        var hasNoClient = false
        var lastRead: UInt32?
    }

    enum Phase: Sendable {
        case waiting
        case playing
        case done
    }

    /// The CSP's queue of images for the hub.
    struct Transfer: Sendable {
        var delivery: UInt32
        var targets: [EUI64]
        var image: RunImage
        var offset = 0
        var isBegun = false
    }

    static let chunk = 1024

    let scenario: Scenario
    let images: [String: RunImage]
    public private(set) var hub: Int
    var members: [Member]
    public private(set) var attempts: [AttemptRecord] = []
    public private(set) var passed: Bool?
    /// The step that failed and what was missing, for people.
    public private(set) var failure: (step: Int, message: String)?
    /// Counts changes to `attempts`, so that a carrier can note its own figures beside them.
    public private(set) var changes = 0
    private var phase = Phase.waiting
    private var step = 0
    private var stepDeadline = Instant.distantFuture
    private var timer = Instant.distantFuture
    /// The next step may be done already.
    private var again = Instant.distantFuture
    /// Deliveries of this step that the hub has not spoken of yet.
    private var underway: Set<UInt32> = []
    /// How long the WAN takes over one chunk.
    private let chunkTime: Interval
    private var transfers: [Transfer] = []
    private var nextDelivery: UInt32 = 1
    private var lastReply: (delivery: UInt32, refusal: RefusalReason?)?
    private var hubIsBack = false
    private var orderedHub: RunImage?

    /// `members` are the roster's nodes, the hub first.
    public init(
        scenario: Scenario, images: [String: RunImage],
        members: [(name: String, eui64: EUI64, firmware: UInt32)], wanPerByte: Interval
    ) {
        chunkTime = wanPerByte * (Self.chunk + 16)
        self.scenario = scenario
        self.images = images
        hub = 0
        self.members = members.enumerated().map { index, member in
            Member(
                name: member.name, index: index, eui64: member.eui64, firmware: member.firmware)
        }
    }

    /// The version each member was last known to run, in roster order.
    public var versions: [UInt32] { members.map(\.firmware) }
    /// The version last read over the air, in roster order.
    public var versionsRead: [UInt32?] { members.map(\.lastRead) }

    public mutating func setFrames(attempt: Int, before: UInt64?, after: UInt64?) {
        if let before { attempts[attempt].framesBefore = before }
        if let after { attempts[attempt].framesAfter = after }
    }

    // MARK: - Node

    public mutating func handle(
        _ input: borrowing Input, at now: Instant, into out: inout Outbox
    ) {
        switch copy input {
        case .powerOn:
            out.note(.runStarted, UInt64(scenario.start.secondsSince2000))
            phase = .playing
            begin(at: now, into: &out)
        case .tick: break
        case .observed(let event): observe(event, at: now)
        case .wan(.imageStored(let delivery)): lastReply = (delivery, nil)
        case .wan(.imageRefused(let delivery, let reason)): refused(delivery, reason, at: now)
        case .wan, .received, .transmitted, .energy, .order: break
        }
        guard phase == .playing else { return }
        if timer <= now {
            timer = .distantFuture
            transfer(at: now, into: &out)
        }
        proceed(at: now, into: &out)
    }

    public var nextDeadline: Instant {
        phase == .playing ? min(min(timer, again), stepDeadline) : .distantFuture
    }

    // MARK: - Steps

    private mutating func begin(at now: Instant, into out: inout Outbox) {
        guard step < scenario.steps.count else {
            end(true, at: now, into: &out)
            return
        }
        let current = scenario.steps[step]
        underway.removeAll()
        stepDeadline = now + current.within
        out.note(.stepStarted, UInt64(step))
        switch current.action {
        case .join, .await: break
        case .deliver(let image, let targets): deliver(image, targets, at: now)
        case .updateHub(let image):
            hubIsBack = false
            orderedHub = images[image]
            if let image = images[image] {
                attempt(on: hub, image, at: now)
                enqueue(image, to: [members[hub].eui64], at: now)
            }
        case .activate(let devices):
            for index in indices(devices) {
                guard let attempt = attempts.last(where: { $0.device == index }) else { continue }
                out.send(.activate(hash: attempt.hash), to: UInt16(index))
            }
        case .readVersions(let devices, _):
            for index in indices(devices) {
                members[index].lastRead = nil
                out.send(.readVersion(device: members[index].eui64))
            }
        case .query(let devices):
            for index in indices(devices) { out.send(.queryNextImage, to: UInt16(index)) }
        case .power(let device, let on):
            for index in indices([device]) { out.append(.power(of: UInt16(index), on: on)) }
        case .link(let a, let b, let link):
            if let a = indices([a]).first, let b = indices([b]).first {
                out.append(
                    .link(
                        a: UInt16(a), b: UInt16(b), rssi: link.rssi,
                        lossPerMillion: link.lossPerMillion))
            }
        case .permitJoining(let duration): out.send(.permitJoining(duration), to: UInt16(hub))
        case .wait(let duration): stepDeadline = now + duration
        }
    }

    /// Goes on while steps are done; fails when one runs out of time.
    private mutating func proceed(at now: Instant, into out: inout Outbox) {
        // One step a turn: what a step asks for must fit one outbox.
        again = .distantFuture
        if phase == .playing {
            if let missing = missing(at: now, into: &out) {
                guard stepDeadline <= now else { return }
                failure = (step, missing)
                out.note(.stepFailed, UInt64(step))
                end(false, at: now, into: &out)
                return
            }
            out.note(.stepPassed, UInt64(step))
            step += 1
            begin(at: now, into: &out)
            again = now
        }
    }

    private mutating func end(_ passed: Bool, at now: Instant, into out: inout Outbox) {
        self.passed = passed
        phase = .done
        for index in attempts.indices where attempts[index].ended == nil {
            attempts[index].ended = now
        }
        changes += 1
        out.note(.runEnded, passed ? 1 : 0)
        out.append(.endRun)
    }

    /// What the current step still waits for; nil when it is done.
    private mutating func missing(at now: Instant, into out: inout Outbox) -> String? {
        guard step < scenario.steps.count else { return nil }
        switch scenario.steps[step].action {
        case .join(let devices):
            let late = indices(devices).filter { index in
                !members[index].isInNetwork
                    || !(members[index].knowsServer || members[index].hasNoClient)
            }
            return late.isEmpty ? nil : "not in the network, or no OTA server: \(names(late))"
        case .deliver:
            if !transfers.isEmpty { return "the WAN is still busy" }
            return underway.isEmpty ? nil : "the hub has neither stored nor refused the image"
        case .updateHub: return hubUpdate(at: now, into: &out)
        case .await(let milestone, let devices):
            let late = indices(devices).filter { index in
                attempts.last { $0.device == index }?.milestones.contains(milestone) != true
            }
            return late.isEmpty ? nil : "not '\(milestone.rawValue)': \(names(late))"
        case .activate, .query, .power, .link, .permitJoining: return nil
        case .readVersions(let devices, let version):
            return readBack(indices(devices), version, at: now)
        case .wait: return stepDeadline <= now ? nil : "time"
        }
    }

    private mutating func hubUpdate(at now: Instant, into out: inout Outbox) -> String? {
        guard let image = orderedHub else { return "no such image" }
        if let reply = lastReply, reply.delivery + 1 == nextDelivery {
            if let refusal = reply.refusal {
                stepDeadline = now
                return "the hub refused its image: \(refusal.name)"
            }
            lastReply = nil
            out.send(.activateHub(hash: image.hash))
        }
        if hubIsBack, members[hub].firmware == image.version { return nil }
        return "the hub does not run \(hex(image.version)) yet"
    }

    private mutating func readBack(_ devices: [Int], _ wanted: UInt32?, at now: Instant) -> String?
    {
        let unread = devices.filter { members[$0].lastRead == nil }
        guard unread.isEmpty else { return "no answer from \(names(unread))" }
        for index in devices {
            let expected = wanted ?? members[index].firmware
            guard members[index].lastRead == expected else {
                stepDeadline = now
                let read = members[index].lastRead.map(hex) ?? "nothing"
                return "\(members[index].name) says \(read), not \(hex(expected))"
            }
        }
        return nil
    }

    private func names(_ indices: [Int]) -> String {
        indices.map { members[$0].name }.joined(separator: ", ")
    }

    private func hex(_ version: UInt32) -> String { "0x" + Hex.string(UInt64(version), digits: 8) }

    private func indices(_ names: [String]) -> [Int] {
        names.compactMap { name in members.firstIndex { $0.name == name } }
    }

    // MARK: - The CSP's part

    private mutating func deliver(_ name: String, _ targets: [String], at now: Instant) {
        guard let image = images[name] else { return }
        let devices = indices(targets)
        for index in devices { attempt(on: index, image, at: now) }
        enqueue(image, to: devices.map { members[$0].eui64 }, at: now)
    }

    private mutating func attempt(on device: Int, _ image: RunImage, at now: Instant) {
        if let last = attempts.lastIndex(where: { $0.device == device && $0.ended == nil }) {
            attempts[last].ended = now
        }
        var attempt = AttemptRecord(
            device: device, image: image.name, version: image.version, hash: image.hash,
            hubFirmware: members[hub].firmware, delivery: nextDelivery, began: now)
        attempt.hasNoClient = members[device].hasNoClient
        attempts.append(attempt)
        changes += 1
    }

    private mutating func enqueue(_ image: RunImage, to targets: [EUI64], at now: Instant) {
        transfers.append(Transfer(delivery: nextDelivery, targets: targets, image: image))
        underway.insert(nextDelivery)
        nextDelivery += 1
        timer = min(timer, now)
    }

    /// One message of the current transfer; the WAN port queues and paces what is given to it, so
    /// the next follows when this one has left.
    private mutating func transfer(at now: Instant, into out: inout Outbox) {
        guard var current = transfers.first else { return }
        let size = current.image.bytes.count
        if !current.isBegun {
            current.isBegun = true
            out.send(
                .beginImage(
                    delivery: current.delivery, targets: current.targets, size: UInt32(size),
                    installableFrom: current.image.installableFrom))
        }
        let end = min(current.offset + Self.chunk, size)
        out.send(
            .imageChunk(
                delivery: current.delivery, offset: UInt32(current.offset),
                bytes: Array(current.image.bytes[current.offset..<end])))
        current.offset = end
        transfers[0] = current
        if end == size {
            out.send(.endImage(delivery: current.delivery))
            transfers.removeFirst()
        }
        if !transfers.isEmpty { timer = now + chunkTime }
    }

    private mutating func refused(_ delivery: UInt32, _ reason: RefusalReason, at now: Instant) {
        lastReply = (delivery, reason)
        discard(delivery, reason, at: now)
    }

    private mutating func discard(_ delivery: UInt32, _ reason: RefusalReason, at now: Instant) {
        underway.remove(delivery)
        for index in attempts.indices where attempts[index].delivery == delivery {
            attempts[index].hubDiscarded = true
            attempts[index].hasArrived = true
            attempts[index].reason = reason
            changes += 1
        }
    }

    // MARK: - What the others do

    private mutating func observe(_ event: EventRecord, at now: Instant) {
        let node = Int(event.node)
        guard members.indices.contains(node) else { return }
        switch event.kind {
        case .poweredOn:
            let running = UInt32(truncatingIfNeeded: event.values[0])
            members[node].firmware = running
            if node != hub {
                reach(
                    .updated, node, at: now,
                    if: { $0.version == running && $0.milestones.contains(.verified) })
            }
            members[node].isInNetwork = false
            members[node].knowsServer = false
            members[node].hasNoClient = false
        case .poweredOff, .restarting:
            members[node].isInNetwork = false
            if node == hub { hubIsBack = false }
        case .panFormed, .networkResumed, .joined, .rejoined:
            members[node].isInNetwork = true
            if node == hub {
                hubIsBack = true
                let running = members[hub].firmware
                reach(.updated, hub, at: now, if: { $0.version == running })
            }
        case .otaServerFound: members[node].knowsServer = true
        case .otaClientAbsent: members[node].hasNoClient = true
        case .otaDownloadStarted, .otaDownloadResumed: reach(.downloading, node, at: now)
        case .otaNotOffered: reach(.notOffered, node, at: now, if: { $0.hasArrived })
        case .imageStored:
            underway.remove(UInt32(truncatingIfNeeded: event.values[0]))
            for index in attempts.indices
            where UInt64(attempts[index].delivery) == event.values[0] {
                attempts[index].hasArrived = true
            }
        case .otaFileReceived: reach(.verified, node, at: now)
        case .otaVerified: note(node) { $0.blocks = $0.earlierBlocks + event.values[1] }
        case .otaAwaitingActivation, .otaCountingDown:
            // Checked, and the hub has heard of it: only now would anybody order the activation.
            reach(.verified, node, at: now)
        case .otaRejected:
            reach(
                .rejected, node, at: now, reason: event.values[1], blocks: event.values[2])
        case .otaGaveUp, .otaAborted: reach(.gaveUp, node, at: now, blocks: event.values[2])
        case .activationRefused: note(node) { $0.reason = Self.reason(event.values[0]) }
        case .imageWithheld:
            guard let device = members.firstIndex(where: { $0.eui64.rawValue == event.values[0] })
            else { return }
            note(device) { attempt in
                if attempt.hasArrived, !attempt.hubDiscarded {
                    attempt.reason = Self.reason(event.values[1])
                }
            }
        case .imageDiscarded:
            discard(
                UInt32(truncatingIfNeeded: event.values[0]), Self.reason(event.values[1]), at: now)
        case .versionRead:
            guard let device = members.firstIndex(where: { $0.eui64.rawValue == event.values[0] })
            else { return }
            members[device].lastRead = UInt32(truncatingIfNeeded: event.values[1])
        default: break
        }
    }

    private static func reason(_ value: UInt64) -> RefusalReason {
        RefusalReason(rawValue: UInt8(truncatingIfNeeded: value)) ?? .none
    }

    /// Changes a device's current attempt, if it has one that has not ended.
    private mutating func note(_ device: Int, _ change: (inout AttemptRecord) -> Void) {
        guard
            let index = attempts.lastIndex(where: { $0.device == device && $0.ended == nil })
        else { return }
        change(&attempts[index])
    }

    private mutating func reach(
        _ milestone: ScenarioStep.Milestone, _ device: Int, at now: Instant,
        reason: UInt64? = nil, blocks: UInt64? = nil,
        if condition: (AttemptRecord) -> Bool = { _ in true }
    ) {
        guard let index = attempts.lastIndex(where: { $0.device == device }),
            condition(attempts[index])
        else { return }
        if milestone == .downloading, attempts[index].isReopened {
            // It asks again after giving up, or is offered later what was not there before.
            attempts[index].milestones.subtract([.gaveUp, .notOffered])
            attempts[index].ended = nil
            attempts[index].framesAfter = 0
            attempts[index].earlierBlocks = attempts[index].blocks
        }
        guard attempts[index].ended == nil else { return }
        attempts[index].milestones.insert(milestone)
        if let reason { attempts[index].reason = Self.reason(reason) }
        if let blocks { attempts[index].blocks = attempts[index].earlierBlocks + blocks }
        switch milestone {
        case .updated, .notOffered, .rejected, .gaveUp: attempts[index].ended = now
        case .verified, .downloading: break
        }
        changes += 1
    }
}
