import Air
import Radio
import Wire

/// The in-process carrier: every node of a roster on one air, in virtual time, on one thread.
public final class Simulation<N: Node> {
    public let air: Air
    /// The nodes in roster order.
    public private(set) var nodes: ContiguousArray<N>
    /// Whose turn it was last.
    public private(set) var lastNode = 0
    private let make: (Int) -> N
    private let flash: [FlashMemory]
    private let seed: Seed
    /// In memory of its own, so that a turn is written where it lies.
    private let turn: UnsafeMutablePointer<Turn>
    private var out = Outbox()

    /// `make` builds a node as it is when its power comes on, with nothing but its flash. `seed` is
    /// the air's. `fill` gives a node's flash what is in it to begin with, and gets the bytes of an
    /// erased one.
    public init(
        air: Air, members: Int, seed: Seed,
        fill: (Int, UnsafeMutableRawBufferPointer) -> Void = { _, _ in },
        make: @escaping (Int) -> N
    ) {
        self.air = air
        self.seed = seed
        self.make = make
        flash = (0..<members).map { node in
            FlashMemory(geometry: air.flashGeometry(of: node)) { fill(node, $0) }
        }
        nodes = ContiguousArray((0..<members).map(make))
        turn = .allocate(capacity: 1)
        turn.initialize(to: Turn())
    }

    deinit {
        turn.deinitialize(count: 1)
        turn.deallocate()
    }

    public var now: Instant { air.now }

    public func flashView(of node: Int) -> FlashView { flash[node].view }

    /// Whether any node has written to its flash since its changes were last taken.
    public var hasFlashChanges: Bool { flash.contains { $0.hasChanges } }

    /// The pages of every node's flash that have been written to since it was last asked, as they
    /// are now: node, number of the page, its bytes.
    public func takeFlashChanges(_ body: (Int, Int, UnsafeRawBufferPointer) -> Void) {
        for node in flash.indices { flash[node].takeChanges { body(node, $0, $1) } }
    }

    /// Lets the next thing happen; false when nothing is left at or before `limit`.
    @discardableResult
    public func step(until limit: Instant = .distantFuture) -> Bool {
        guard air.next(until: limit, into: &turn.pointee) == .turn else { return false }
        let (node, now) = (turn.pointee.node, turn.pointee.time)
        lastNode = node
        if turn.pointee.input.isPowerOn {
            if turn.pointee.cutAt != .distantFuture {
                let dice = FlashMemory.dice(of: node, seed: seed)
                flash[node].cutPower(at: turn.pointee.cutAt, dice: dice)
            }
            nodes[node] = make(node)
        }
        prepare(node, at: now, frame: turn.pointee.frame)
        // Taken out of the turn: handed over from there, it would be copied with all it refers to.
        let input = exchange(&turn.pointee.input, with: .tick)
        let deadline = Self.give(input, to: &nodes[node], at: now, into: &out)
        carryOut(node, at: now, deadline)
        return true
    }

    /// When the next thing is due; `distantFuture` for never.
    public var nextTime: Instant { air.hasEnded ? .distantFuture : air.nextTime }

    /// Lets the clock reach `time`, or as far towards it as nothing is left to happen before it.
    public func advance(to time: Instant) {
        if time > now { air.advance(to: min(time, air.nextTime)) }
    }

    /// Has a node do something between two turns, as a test bench would.
    public func act(for node: Int, _ body: (inout N, Instant, inout Outbox) -> Void) {
        prepare(node, at: now, frame: 0)
        body(&nodes[node], now, &out)
        carryOut(node, at: now, nodes[node].nextDeadline)
    }

    private func prepare(_ node: Int, at now: Instant, frame: UInt64) {
        out.removeAll()
        out.node = UInt16(node)
        out.now = now
        out.flash = flash[node].view
        out.wantsDetail = air.wantsDetail
        out.frame = frame
    }

    private func carryOut(_ node: Int, at now: Instant, _ deadline: Instant) {
        if out.writesFlash { flash[node].carryOut(out, at: now) }
        air.accept(out, from: node, nextDeadline: deadline)
    }

    /// Works on the node where it lies: reading an element of an array copies it.
    private static func give(
        _ input: borrowing Input, to node: inout N, at now: Instant, into out: inout Outbox
    ) -> Instant {
        node.handle(input, at: now, into: &out)
        return node.nextDeadline
    }

    /// What is on its way to a node over the WAN, in order.
    public func wanMail(for node: Int) -> [WANMessage] { air.wanMail(for: node) }

    /// Lets a carrier's owner change a node between two steps, as a test bench would.
    public func change(_ node: Int, _ body: (inout N) -> Void) { body(&nodes[node]) }

    /// Runs until the run ends, nothing is left to happen, or `limit` is reached.
    public func run(until limit: Instant = .distantFuture) {
        while step(until: limit) {}
    }
}
