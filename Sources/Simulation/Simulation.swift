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
    /// In memory of its own, where an input that is as big as a frame is handed over uncopied.
    private let turn: UnsafeMutablePointer<Turn>
    private var out = Outbox()

    /// `make` builds a node as it is when its power comes on, with nothing but its flash.
    public init(air: Air, members: Int, make: @escaping (Int) -> N) {
        self.air = air
        self.make = make
        nodes = ContiguousArray((0..<members).map(make))
        turn = .allocate(capacity: 1)
        turn.initialize(to: Turn())
    }

    deinit {
        turn.deinitialize(count: 1)
        turn.deallocate()
    }

    public var now: Instant { air.now }

    /// Lets the next thing happen; false when nothing is left at or before `limit`.
    @discardableResult
    public func step(until limit: Instant = .distantFuture) -> Bool {
        guard air.next(until: limit, into: &turn.pointee) else { return false }
        let (node, now) = (turn.pointee.node, turn.pointee.time)
        lastNode = node
        if case .powerOn = turn.pointee.input { nodes[node] = make(node) }
        out.removeAll()
        out.node = UInt16(node)
        out.now = now
        out.flash = air.flashView(of: node)
        out.wantsDetail = air.wantsDetail
        out.frame = turn.pointee.frame
        let deadline = Self.give(turn.pointee.input, to: &nodes[node], at: now, into: &out)
        air.accept(out, from: node, nextDeadline: deadline)
        return true
    }

    /// Works on the node where it lies: reading an element of an array copies it.
    private static func give(
        _ input: borrowing Input, to node: inout N, at now: Instant, into out: inout Outbox
    ) -> Instant {
        node.handle(input, at: now, into: &out)
        return node.nextDeadline
    }

    /// Lets a carrier's owner change a node between two steps, as a test bench would.
    public func change(_ node: Int, _ body: (inout N) -> Void) { body(&nodes[node]) }

    /// Runs until the run ends, nothing is left to happen, or `limit` is reached.
    public func run(until limit: Instant = .distantFuture) {
        while step(until: limit) {}
    }
}
