import Wire

/// One thing that a node asks its carrier to do.
public enum Action: Sendable {
    case configure(RadioConfiguration)
    case receiver(on: Bool)
    case pending(PendingAddress, Bool)
    /// `isIndirect`: the frame answers a poll and is not tried again without another one
    /// (IEEE 802.15.4 7.5.6.3).
    case transmit(handle: UInt8, frame: FrameBuffer, isIndirect: Bool)
    case measureEnergy(channel: UInt8, duration: Interval)
    /// Program bytes of the outbox's arena at a flash address.
    case program(address: Int, from: Int, count: Int)
    case erase(page: Int)
    case wan(index: Int)
    /// To a node of the roster, beside all networks (directors only).
    case order(to: UInt16, index: Int)
    case power(of: UInt16, on: Bool)
    /// Change what two members hear of each other, both ways (directors only).
    case link(a: UInt16, b: UInt16, rssi: Int8, lossPerMillion: UInt32)
    case event(EventRecord)
    /// Cut the node's own power and put it back after this long.
    case restart(after: Interval)
    /// End the run (directors only).
    case endRun
    /// A network key in use from now on: told to the evidence, so that the capture can be read.
    case networkKey(Key128)
    /// The same of a link key that was established with this partner.
    case linkKey(Key128, partner: EUI64)
}

/// What a node answers with: a bounded list of actions in order, reused call after call.
///
/// A node that gives more than fits loses the rest and the carrier records `outputLost`.
public struct Outbox: ~Copyable {
    /// A hub with everything its profile can be given moves its journal in one turn: about 60
    /// pages erased and 70 records written, while an image's data comes in.
    public static let actionLimit = 256
    public static let arenaLimit = 192 * 1024

    public private(set) var actions: ContiguousArray<Action> = []
    public private(set) var arena: ContiguousArray<UInt8> = []
    public private(set) var messages: [WANMessage] = []
    public private(set) var orders: [Order] = []
    /// How many actions, or writes to a journal, did not fit.
    public private(set) var lost = 0
    /// Whether anything is to be written to flash.
    public private(set) var writesFlash = false

    /// Whether anything in it is for the bench and its director only to ask for or to say.
    public var speaksForBench: Bool {
        actions.contains { action in
            switch action {
            case .order, .power, .link, .endRun: true
            case .event(let event): event.kind.isOfBench
            default: false
            }
        }
    }

    /// The roster index of the node whose turn it is; the carrier sets it.
    public var node: UInt16 = 0
    public var now = Instant.zero
    /// The number of the frame being handled, or 0.
    public var frame: UInt64 = 0
    /// The node's flash as it reads now.
    public var flash: FlashView
    /// Whether anybody reads per-frame events; milestones are always wanted.
    public var wantsDetail = true

    public init() {
        flash = FlashView(base: nil, geometry: FlashGeometry(size: 4096))
        actions.reserveCapacity(Self.actionLimit)
        arena.reserveCapacity(Self.arenaLimit)
    }

    /// Empties it for the next call.
    public mutating func removeAll() {
        // To empty what is empty costs more than to look.
        if actions.count == 1 {
            actions.removeLast()
        } else if !actions.isEmpty {
            actions.removeAll(keepingCapacity: true)
        }
        if !arena.isEmpty { arena.removeAll(keepingCapacity: true) }
        if !messages.isEmpty { messages.removeAll(keepingCapacity: true) }
        if !orders.isEmpty { orders.removeAll(keepingCapacity: true) }
        lost = 0
        writesFlash = false
    }

    public mutating func append(_ action: Action) {
        guard actions.count < Self.actionLimit else {
            lost += 1
            return
        }
        actions.append(action)
    }

    public mutating func erase(page: Int) {
        writesFlash = true
        append(.erase(page: page))
    }

    public mutating func transmit(
        _ frame: FrameBuffer, handle: UInt8, isIndirect: Bool = false
    ) {
        append(.transmit(handle: handle, frame: frame, isIndirect: isIndirect))
    }

    /// Counts a loss that is not an action's: something that had to be kept and could not be.
    public mutating func countLoss() { lost += 1 }

    /// Counts what was lost elsewhere, before it came here.
    public mutating func countLosses(_ count: Int) { lost += count }

    /// Whether so many actions and bytes to program still fit. If not, it counts as a loss.
    public mutating func hasRoom(actions more: Int, bytes: Int) -> Bool {
        let fits =
            actions.count + more <= Self.actionLimit && arena.count + bytes <= Self.arenaLimit
        if !fits { lost += 1 }
        return fits
    }

    public mutating func program(_ bytes: Span<UInt8>, at address: Int) {
        program(bytes, Span(), at: address)
    }

    /// Programs `head` and, right behind it, `body`, as one write.
    public mutating func program(_ head: Span<UInt8>, _ body: Span<UInt8>, at address: Int) {
        let count = head.count + body.count
        guard arena.count + count <= Self.arenaLimit else {
            lost += 1
            return
        }
        let start = arena.count
        head.withUnsafeBufferPointer { arena.append(contentsOf: $0) }
        body.withUnsafeBufferPointer { arena.append(contentsOf: $0) }
        writesFlash = true
        append(.program(address: address, from: start, count: count))
    }

    public mutating func send(_ message: WANMessage) {
        messages.append(message)
        append(.wan(index: messages.count - 1))
    }

    public mutating func send(_ order: Order, to node: UInt16) {
        orders.append(order)
        append(.order(to: node, index: orders.count - 1))
    }

    public mutating func note(
        _ kind: EventKind, _ a: UInt64 = 0, _ b: UInt64 = 0, _ c: UInt64 = 0,
        _ d: UInt64 = 0, _ e: UInt64 = 0, _ f: UInt64 = 0
    ) {
        append(.event(EventRecord(time: now, node: node, kind: kind, a, b, c, d, e, f)))
    }

    public mutating func drop(_ reason: DropReason, from source: ShortAddress = .unassigned) {
        guard wantsDetail else { return }
        note(.dropped, UInt64(reason.rawValue), UInt64(source.rawValue), frame)
    }
}
