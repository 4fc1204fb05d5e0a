import Air
import DCC
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

/// Plays a scenario: the last member of the roster, with the CSP's end of the hub's WAN, and told
/// of everybody's milestones. It is a machine like the others; what it does has a virtual time.
public struct Director: Node {
    struct Member: Sendable {
        var name: String
        var index: Int
        var eui64: EUI64
        /// As which it exchanges GBCS messages; the hub as CHF.
        var entity: EUI64
        /// The supplier that it was last told to trust.
        var supplier: EUI64?
        /// Of its install code; nil for the hub.
        var linkKey: Key128?
        var firmware: UInt32
        /// Whether the hub has put it in its device log, and if not, why.
        var isLogged = false
        var logRefusal: RefusalReason?
        var isInNetwork = false
        var knowsServer = false
        var hasNoClient = false
        var lastRead: UInt32?
        var refusesRead = false
        /// At first everybody's power has just come on.
        var power = Power.starting
    }

    enum Power: Sendable {
        case off
        /// On, or about to be, but its software does not run yet.
        case starting
        case running
    }

    /// What waits for its node's software to run.
    struct Held: Sendable {
        enum Content: Sendable {
            case order(Order)
            case wan(WANMessage)
        }

        var member: Int
        var content: Content
    }

    enum Phase: Sendable {
        case waiting
        case playing
        case done
    }

    /// What came of an order to activate.
    enum OrderAnswer: Sendable, Equatable {
        case awaited
        case activated
        case refused(RefusalReason)
        /// A command for later, or a cancellation.
        case accepted
        /// The command was not let in.
        case dropped(DropReason)
    }

    /// An image of the hub's own: only a start that follows its activation counts.
    enum HubUpdate: Sendable {
        case sent
        case ordered
        case activated
        case back
    }

    let scenario: Scenario
    let images: [String: RunImage]
    public private(set) var hub: Int
    var members: [Member]
    public internal(set) var attempts: [AttemptRecord] = []
    public private(set) var passed: Bool?
    /// The step that failed and what was missing, for people.
    public private(set) var failure: (step: Int, message: String)?
    /// Counts changes to `attempts`, so that a carrier can note its own figures beside them.
    public internal(set) var changes = 0
    var phase = Phase.waiting
    /// The step that is played, or was last.
    public internal(set) var step = 0
    var stepBegan = Instant.zero
    /// It waits for so many bytes of an image.
    private var awaitsOffset = false
    var stepDeadline = Instant.distantFuture
    /// The next step may be done already.
    var again = Instant.distantFuture
    /// Deliveries of this step that the hub has not spoken of yet.
    var underway: Set<UInt32> = []
    /// What the devices have said to the orders of this step, by index.
    var answers: [Int: OrderAnswer] = [:]
    var held: [Held] = []
    /// Why the present step cannot come true.
    var obstacle: String?
    /// Why the run is worth nothing any more.
    var loss: String?
    var transfers: ImageQueue
    var nextDelivery: UInt32 = 1
    var lastReply: (delivery: UInt32, refusal: RefusalReason?)?
    var hubHasSwitchedKey = false
    var orderedHub: RunImage?
    /// Between service users and the home, where the scenario has it.
    var dcc: DCC?
    /// What it has said to users and no step has waited for.
    var notices: [HeldNotice] = []
    /// The images of requests, by name.
    var requestedImages: [RequestID: String] = [:]
    /// The DCC's numbers of deliveries.
    var dccDeliveries: [UInt32: UInt32] = [:]
    /// Nil where no messages are exchanged.
    var desk: MessageDesk?
    /// What has come from the home and has not been waited for.
    package var received: [ReceivedMessage] = []
    /// Who has sent what the present step waits for.
    var satisfied: Set<Int> = []
    /// How far the hub has come with the image of this step.
    var hubUpdate = HubUpdate.sent
    /// Who has the hub activate its own firmware by message.
    var activator = MessageParties.wanProvider

    /// `members` are the roster's nodes, the hub first.
    public init(
        scenario: Scenario, images: [String: RunImage],
        members: [(name: String, eui64: EUI64, linkKey: Key128?, firmware: UInt32)],
        wanPerByte: Interval,
        wanChunk: Int
    ) {
        transfers = ImageQueue(chunk: wanChunk, wanPerByte: wanPerByte)
        self.scenario = scenario
        self.images = images
        hub = 0
        self.members = members.enumerated().map { index, member in
            Member(
                name: member.name, index: index, eui64: member.eui64, entity: member.eui64,
                linkKey: member.linkKey, firmware: member.firmware)
        }
    }

    /// Lets it exchange messages; `activator` is who has the hub activate its own firmware.
    mutating func take(_ desk: MessageDesk, hubEntity: EUI64, activator: EUI64) {
        self.desk = desk
        members[hub].entity = hubEntity
        self.activator = activator
    }

    /// Puts a DCC between the scenario's requests and the home.
    mutating func take(_ dcc: DCC) { self.dcc = dcc }

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
        case .observed(let event):
            observe(event, at: now)
            observeMessage(event)
            if event.kind == .booted { release(Int(event.node), at: now, into: &out) }
            // In the middle of a download, where nothing is looked at that need not be.
            if event.kind == .otaProgress, !awaitsOffset { return }
        case .wan(.imageStored(let delivery)):
            lastReply = (delivery, nil)
            tellDCC(of: delivery, refusal: nil, at: now, into: &out)
        case .wan(.imageRefused(let delivery, let reason)):
            refused(delivery, reason, at: now)
            tellDCC(of: delivery, refusal: reason, at: now, into: &out)
        case .wan(.message(_, let bytes)):
            takeMessage(bytes, into: &out)
            tellDCC(.message(bytes), at: now, into: &out)
        case .wan, .received, .transmitted, .energy, .order: break
        }
        guard phase == .playing else { return }
        if transfers.due <= now { transfer(at: now, into: &out) }
        tickDCC(at: now, into: &out)
        guard now < timeLimit else {
            fail("the scenario's time limit ran out", at: now, into: &out)
            return
        }
        proceed(at: now, into: &out)
    }

    public var nextDeadline: Instant {
        phase == .playing
            ? min(min(transfers.due, again), min(stepDeadline, timeLimit, dccDeadline))
            : .distantFuture
    }

    private var timeLimit: Instant { .zero + scenario.timeLimit }

    // MARK: - Steps

    private mutating func begin(at now: Instant, into out: inout Outbox) {
        guard step < scenario.steps.count else {
            end(true, at: now, into: &out)
            return
        }
        let current = scenario.steps[step]
        underway.removeAll()
        held.removeAll()
        satisfied.removeAll()
        obstacle = nil
        stepBegan = now
        awaitsOffset = false
        stepDeadline = now + current.within
        out.note(.stepStarted, UInt64(step))
        switch current.action {
        case .join, .expect, .awaitNotice: break
        case .request(let service): send(service, at: now, into: &out)
        case .await(_, _, let offset, _): awaitsOffset = offset > 0
        case .deliver(let image, let targets): deliver(image, targets, at: now)
        case .updateHub(let image, _):
            answers.removeAll()
            hubUpdate = .sent
            orderedHub = images[image]
            if let image = images[image] {
                attempt(on: hub, image, at: now)
                enqueue(image, to: [members[hub].eui64], at: now)
            }
        case .activate(let devices, let expected, _):
            answers.removeAll()
            for index in indices(devices) {
                guard let attempt = attempts.last(where: { $0.device == index }) else { continue }
                if expected != .nothing { answers[index] = .awaited }
                // To one without power it is sent all the same: that is what the step tries.
                give(.activate(hash: attempt.hash), to: index, mayBeOff: true, into: &out)
            }
        case .command(let devices, let order, let expected, _):
            command(indices(devices), order, expected: expected, at: now, into: &out)
        case .message(let device, let bytes):
            for index in indices([device]) { giveMessage(bytes, to: index, into: &out) }
        case .awaitMessage: break
        case .changeSupplier(let devices, let number):
            changeSupplier(indices(devices), number, into: &out)
        case .readVersions(let devices, _):
            for index in indices(devices) {
                members[index].lastRead = nil
                members[index].refusesRead = false
                tellHub(.readVersion(device: members[index].eui64), into: &out)
            }
        case .query(let devices):
            for index in indices(devices) { give(.queryNextImage, to: index, into: &out) }
        case .queryFile(let devices, let imageType):
            for index in indices(devices) {
                give(.queryDeviceFile(imageType: imageType), to: index, into: &out)
            }
        case .cancel(let devices):
            for index in indices(devices) { give(.cancelDownload, to: index, into: &out) }
        case .power(let device, let on, let duration):
            switchPower(of: device, on: on, into: &out)
            if let duration { stepDeadline = now + duration }
        case .link(let a, let b, let link):
            if let a = indices([a]).first, let b = indices([b]).first {
                out.append(
                    .link(
                        a: UInt16(a), b: UInt16(b), rssi: link.rssi,
                        lossPerMillion: link.lossPerMillion))
            }
        case .updateNetworkKey:
            hubHasSwitchedKey = false
            give(.updateNetworkKey, to: hub, into: &out)
        case .remove(let devices):
            for index in indices(devices) {
                give(.removeDevice(members[index].eui64), to: hub, into: &out)
            }
        case .add(let devices):
            for index in indices(devices) {
                members[index].isLogged = false
                members[index].logRefusal = nil
                guard let key = members[index].linkKey else { continue }
                give(.addDevice(members[index].eui64, linkKey: key), to: hub, into: &out)
            }
        case .permitJoining(let duration): give(.permitJoining(duration), to: hub, into: &out)
        case .wait(let duration): stepDeadline = now + duration
        case .waitUntil(let moment): stepDeadline = max(now, instant(of: moment))
        }
    }

    private mutating func switchPower(of device: String, on: Bool, into out: inout Outbox) {
        for index in indices([device]) {
            out.append(.power(of: UInt16(index), on: on))
            guard on != (members[index].power != .off) else { continue }
            members[index].power = on ? .starting : .off
        }
    }

    /// Gives an order now, or as soon as the node's software runs.
    mutating func give(
        _ order: Order, to member: Int, mayBeOff: Bool = false, into out: inout Outbox
    ) {
        switch members[member].power {
        case .off where !mayBeOff: obstacle = "\(members[member].name) is off"
        case .starting: held.append(Held(member: member, content: .order(order)))
        case .running, .off: out.send(order, to: UInt16(member))
        }
    }

    mutating func tellHub(_ message: WANMessage, into out: inout Outbox) {
        switch members[hub].power {
        case .off: obstacle = "\(members[hub].name) is off"
        case .starting: held.append(Held(member: hub, content: .wan(message)))
        case .running: out.send(message)
        }
    }

    /// Gives a node whose software has begun to run what has waited for it.
    private mutating func release(_ member: Int, at now: Instant, into out: inout Outbox) {
        for one in held where one.member == member {
            switch one.content {
            case .order(let order): out.send(order, to: UInt16(member))
            case .wan(let message): out.send(message)
            }
        }
        held.removeAll { $0.member == member }
        if member == hub { transfers.resume(at: now) }
    }

    private func instant(of moment: UTCTime) -> Instant {
        .zero + .seconds(Int64(moment.secondsSince2000) - Int64(scenario.start.secondsSince2000))
    }

    /// Goes on while steps are done; fails when one runs out of time.
    private mutating func proceed(at now: Instant, into out: inout Outbox) {
        // One step a turn: what a step asks for must fit one outbox.
        again = .distantFuture
        if phase == .playing {
            if let missing = missing(at: now, into: &out) {
                guard stepDeadline <= now else { return }
                fail(missing, at: now, into: &out)
                return
            }
            out.note(.stepPassed, UInt64(step))
            step += 1
            begin(at: now, into: &out)
            again = now
        }
    }

    private mutating func fail(_ message: String, at now: Instant, into out: inout Outbox) {
        failure = (step, message)
        out.note(.stepFailed, UInt64(step))
        end(false, at: now, into: &out)
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

    /// What the current step still waits for; nil when it is done. What can no longer come true
    /// brings the step's deadline forward.
    private mutating func missing(at now: Instant, into out: inout Outbox) -> String? {
        if let loss { return failing(loss, at: now) }
        if let obstacle { return failing(obstacle, at: now) }
        if !held.isEmpty {
            let waiting = Set(held.map(\.member)).sorted()
            return "does not run yet, its power has just come on: \(names(waiting))"
        }
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
        case .updateHub: return hubUpdated(at: now, into: &out)
        case .await(let milestone, let devices, let offset, let reason):
            return reached(milestone, indices(devices), offset: offset, reason, at: now)
        case .expect(let outcome, let devices, let reason):
            return standing(outcome, indices(devices), reason, at: now)
        case .activate(let devices, let expected, let reason):
            return answered(indices(devices), expected, reason, at: now)
        case .command(let devices, _, let expected, let reason):
            return answered(indices(devices), expected, reason, at: now)
        case .message, .request: return nil
        case .awaitNotice(let code, let devices): return noticed(code, about: indices(devices))
        case .awaitMessage(let devices, let code, let alert):
            return awaited(indices(devices), code: code, alert: alert, at: now)
        case .changeSupplier(let devices, let number):
            return suppliersChanged(indices(devices), number)
        case .query, .queryFile, .cancel, .link, .permitJoining: return nil
        case .power(let device, _, let duration):
            guard duration != nil else { return nil }
            guard stepDeadline <= now else { return "time" }
            switchPower(of: device, on: true, into: &out)
            return nil
        case .readVersions(let devices, let version):
            return readBack(indices(devices), version, at: now)
        case .updateNetworkKey:
            return hubHasSwitchedKey ? nil : "the hub still uses the old network key"
        case .remove(let devices):
            let late = indices(devices).filter { members[$0].isInNetwork }
            return late.isEmpty ? nil : "with power, and still in the network: \(names(late))"
        case .add(let devices): return logged(indices(devices), at: now)
        case .wait: return stepDeadline <= now ? nil : "time"
        case .waitUntil(let moment):
            guard instant(of: moment) >= stepBegan else {
                return failing("the moment had passed when the step began", at: now)
            }
            return stepDeadline <= now ? nil : "time"
        }
    }

    mutating func failing(_ message: String, at now: Instant) -> String {
        stepDeadline = now
        return message
    }

    // MARK: - The CSP's part

    private mutating func deliver(_ name: String, _ targets: [String], at now: Instant) {
        guard let image = images[name] else { return }
        deliver(image, to: indices(targets), at: now)
    }

    mutating func deliver(_ image: RunImage, to devices: [Int], at now: Instant) {
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
        transfers.add(
            ImageQueue.Image(
                delivery: nextDelivery, targets: targets, bytes: image.bytes,
                installableFrom: image.installableFrom), at: now)
        underway.insert(nextDelivery)
        nextDelivery += 1
    }

    /// One message of the current transfer; `release` goes on with one that waits for the hub.
    private mutating func transfer(at now: Instant, into out: inout Outbox) {
        if let next = transfers.images.first, !next.isBegun, members[hub].power == .off {
            obstacle = "\(members[hub].name) is off"
        }
        _ = transfers.step(at: now, hubRuns: members[hub].power == .running, into: &out)
    }

    private mutating func refused(_ delivery: UInt32, _ reason: RefusalReason, at now: Instant) {
        lastReply = (delivery, reason)
        // One that it had is pushed out, which takes nothing from who has fetched it.
        guard !attempts.contains(where: { $0.delivery == delivery && $0.hasArrived }) else {
            return
        }
        discard(delivery, reason, at: now)
    }

    mutating func discard(_ delivery: UInt32, _ reason: RefusalReason, at now: Instant) {
        underway.remove(delivery)
        for index in attempts.indices
        where attempts[index].delivery == delivery && !attempts[index].hubDiscarded {
            // What follows the first reason only follows from it.
            attempts[index].hubDiscarded = true
            attempts[index].hasArrived = true
            attempts[index].reason = reason
            changes += 1
        }
    }
}
