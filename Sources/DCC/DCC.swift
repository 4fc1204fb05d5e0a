import Crypto
import GBCS
import HeapModule
import Wire

/// The part of the GB metering system that service users talk to: the DSP with its inventory and
/// checks, and the CSPs, which carry images and messages to the hubs.
///
/// A machine without I/O: it takes one input and the time, and gives back what is to be stored,
/// told and sent. What it was told to keep, it is given when it begins anew.
public struct DCC: Sendable {
    public let settings: DCCSettings
    let keys: DCCKeys
    let products: [ProductListEntry]
    var devices = Inventory()
    var updates: [RequestID: UpdateRecord] = [:]
    var progress: [RequestID: UpdateProgress] = [:]
    /// Those whose devices have not all been handed to the CSP, in order of arrival.
    var undispatched: [RequestID] = []
    /// What is left of the first of them.
    var dispatch: [(hub: EUI64?, devices: [EUI64])] = []
    var targets: [EUI64: TargetRecord] = [:]
    var formers: [EUI64: FormerUpdate] = [:]
    /// Updates by the numbers that the inventory has for them.
    var numbered: [UInt32: RequestID] = [:]
    var lastNumber: UInt32 = 0
    var deliveries: [UInt32: DeliveryRecord] = [:]
    var regions: [String: RegionState] = [:]
    var commands: [RequestID: CommandRecord] = [:]
    /// What the bench has seen of devices whose hubs have not said yet that they have the image.
    var early: [EUI64: [DeviceProgress]] = [:]
    var seen: Set<SeenKey> = []
    var seenOrder: [SeenRequest] = []
    var counters = Counters()
    private var savedCounters = Counters()
    var deadlines = Heap<Deadline>()

    /// A request as it may come only once.
    struct SeenKey: Hashable, Sendable {
        var id: RequestID
        var commandVariant: UInt8
    }

    /// How a region's CSP is occupied.
    struct RegionState: Sendable {
        /// Deliveries being sent.
        var busy = 0
        /// Those that are due and wait for one of them to end.
        var waiting: [UInt32] = []
    }

    /// Something that is due. It is void if what it is of has another deadline meanwhile.
    struct Deadline: Comparable, Sendable {
        enum Subject: Sendable {
            case delivery(UInt32)
            case target(EUI64)
            case former(EUI64)
            case command(RequestID)
        }

        var time: UTCTime
        /// In which they were made: the order of those of one time.
        var number: UInt64
        var subject: Subject

        static func == (a: Deadline, b: Deadline) -> Bool {
            (a.time, a.number) == (b.time, b.number)
        }
        static func < (a: Deadline, b: Deadline) -> Bool {
            (a.time, a.number) < (b.time, b.number)
        }
    }

    private var deadlineNumber: UInt64 = 0

    /// `inventory` is what the homes have; what `records` say of a device counts instead.
    public init(
        settings: DCCSettings, keys: DCCKeys, products: [ProductListEntry],
        inventory: [InventoryDevice], records: [DCCRecord] = []
    ) {
        self.settings = settings
        self.keys = keys
        self.products = products
        for device in inventory { devices.put(device) }
        for record in records { restore(record) }
        savedCounters = counters
        seenOrder.sort { $0.number < $1.number }
        for update in updates.values.sorted(by: { ($0.accepted, $0.id) < ($1.accepted, $1.id) }) {
            let isDispatched = progress[update.id]?.isDispatched ?? false
            if !isDispatched { undispatched.append(update.id) }
            // A later one is what a device is under, dispatched or not.
            let number = number(of: update.id)
            for device in update.devices.ids
            where !isDispatched || targets[device]?.request == update.id {
                if let place = devices.place(of: device) { devices.setUpdate(number, at: place) }
            }
        }
        // Whatever was on its way is not any more.
        for number in deliveries.keys.sorted() where deliveries[number]!.state == .sending {
            deliveries[number]!.state = .waiting
            deliveries[number]!.attempts -= 1
            deliveries[number]!.due = UTCTime(secondsSince2000: 0)
        }
        for number in deliveries.keys.sorted() {
            schedule(deliveries[number]!.due, .delivery(number))
        }
        for device in targets.keys.sorted() where !targets[device]!.isDone {
            schedule(targets[device]!.deadline, .target(device))
        }
        for device in formers.keys.sorted() {
            if let deadline = formers[device]!.deadline { schedule(deadline, .former(device)) }
        }
        for id in commands.keys.sorted() { schedule(commands[id]!.deadline, .command(id)) }
    }

    private mutating func restore(_ record: DCCRecord) {
        switch record {
        case .device(let device):
            if device.isRemoved { devices.remove(device.id) } else { devices.put(device) }
        case .update(let update): updates[update.id] = update
        case .progress(let progress): self.progress[progress.id] = progress
        case .target(let target): targets[target.device] = target
        case .former(let update): formers[update.device] = update
        case .delivery(let delivery): deliveries[delivery.number] = delivery
        case .command(let command): commands[command.id] = command
        case .seen(let request):
            seen.insert(SeenKey(id: request.id, commandVariant: request.commandVariant))
            seenOrder.append(request)
        // Whoever carries the DCC's answers keeps them.
        case .answer: break
        case .counters(let counters): self.counters = counters
        }
    }

    /// A number for an update, by which the inventory knows it.
    mutating func number(of update: RequestID) -> UInt32 {
        lastNumber += 1
        numbered[lastNumber] = update
        return lastNumber
    }

    // MARK: - What is known

    public func inventory(of id: EUI64) -> InventoryDevice? { devices[id] }

    /// All devices of the inventory, by id.
    public var inventory: [InventoryDevice] { devices.all }

    /// Anything is under way that goes on by itself.
    public var isBusy: Bool {
        !undispatched.isEmpty || !deliveries.isEmpty || !commands.isEmpty
            || targets.values.contains { !$0.isDone && $0.status < .transferred }
    }

    // MARK: - Time

    /// When it is to be ticked at the latest; nil for never.
    public var nextDeadline: UTCTime? {
        undispatched.isEmpty ? deadlines.min?.time : UTCTime(secondsSince2000: 0)
    }

    mutating func schedule(_ time: UTCTime, _ subject: Deadline.Subject) {
        deadlineNumber += 1
        deadlines.insert(Deadline(time: time, number: deadlineNumber, subject: subject))
    }

    /// A spurious tick is harmless.
    public mutating func tick(at now: UTCTime, into out: inout DCCOutbox) {
        dispatchSome(at: now, into: &out)
        while let deadline = deadlines.min, deadline.time <= now {
            deadlines.removeMin()
            switch deadline.subject {
            case .delivery(let number):
                guard deliveries[number]?.due == deadline.time else { continue }
                deliveryDue(number, at: now, into: &out)
            case .target(let device):
                guard let target = targets[device], !target.isDone,
                    target.deadline == deadline.time
                else { continue }
                expire(target, at: now, into: &out)
            case .former(let device):
                guard let former = formers[device], former.deadline == deadline.time else {
                    continue
                }
                expire(former, at: now, into: &out)
            case .command(let id):
                guard commands[id]?.deadline == deadline.time else { continue }
                unanswered(id, at: now, into: &out)
            }
        }
        finish(&out)
    }

    /// Ends a turn: numbers that were given out are never given out again.
    mutating func finish(_ out: inout DCCOutbox) {
        guard counters != savedCounters else { return }
        savedCounters = counters
        out.items.append(.save(.counters(counters)))
    }

    // MARK: - Telling

    /// A message for a service user, with the next number. Users that are not known are told
    /// nothing.
    @discardableResult
    mutating func notify(
        _ user: EUI64?, _ response: ServiceResponse, request: RequestID? = nil,
        device: EUI64? = nil, into out: inout DCCOutbox
    ) -> UInt64? {
        guard let user, settings.users[user] != nil else { return nil }
        counters.notice += 1
        out.items.append(
            .notice(
                Notice(
                    number: counters.notice, user: user, response: response, request: request,
                    device: device)))
        return counters.notice
    }

    @discardableResult
    mutating func alert(
        _ user: EUI64?, _ cause: AlertCodes.Cause, _ alert: DCCAlert, at now: UTCTime,
        request: RequestID? = nil, device: EUI64? = nil, into out: inout DCCOutbox
    ) -> UInt64? {
        // What hubs and PPMIDs say of images came to be told with the tracking.
        let isOfTracking = cause == .transfer || cause == .ppmidUpgrade
        guard !isOfTracking || settings.releases.release(at: now) >= .tracking else { return nil }
        let response = ServiceResponse(
            requestID: nil, responseID: alertID(for: user), code: .success, time: now,
            body: .dccAlert(settings.alertCodes[cause], alert))
        return notify(user, response, request: request, device: device, into: &out)
    }

    /// The id of an alert of the DCC's own. assumption: its counter is the notice's number.
    private func alertID(for user: EUI64?) -> RequestID? {
        user.map { RequestID(originator: settings.id, target: $0, counter: counters.notice + 1) }
    }

    mutating func track(
        _ status: TrackingStatus, _ detail: String, request: RequestID?, device: EUI64? = nil,
        percent: Int? = nil, message: [UInt8]? = nil, notice: UInt64? = nil, at now: UTCTime,
        into out: inout DCCOutbox
    ) {
        out.items.append(
            .track(
                TrackingRecord(
                    request: request, device: device, status: status, percent: percent,
                    detail: detail, time: now, message: message, notice: notice)))
    }

    mutating func save(_ device: InventoryDevice, into out: inout DCCOutbox) {
        devices.put(device)
        out.items.append(.save(.device(device)))
    }
}

/// Which keys the DCC has: the Access Control Broker's private ones, and what others are known by.
public struct DCCKeys: Sendable {
    var store: KeyStore

    public init(_ store: KeyStore) { self.store = store }
}

/// The three endpoints of the DUIS gateway.
public enum WebService: String, CaseIterable, Hashable, Sendable {
    /// Non-Device Service: `serviceD`.
    case nonDevice = "serviceD"
    /// Send Command Service: `serviceS`.
    case sendCommand = "serviceS"
    /// Transform Service: `serviceT`.
    case transform = "serviceT"
}

extension TrackingStatus: Comparable {
    /// In the order in which an update passes through them.
    private static let order: [TrackingStatus: Int] = Dictionary(
        uniqueKeysWithValues: allCases.enumerated().map { ($1, $0) })

    public static func < (a: TrackingStatus, b: TrackingStatus) -> Bool {
        order[a, default: 0] < order[b, default: 0]
    }
}
