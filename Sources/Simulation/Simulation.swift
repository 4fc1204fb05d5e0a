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
    private var out = Outbox()

    /// `make` builds a node as it is when its power comes on, with nothing but its flash.
    public init(air: Air, members: Int, make: @escaping (Int) -> N) {
        self.air = air
        self.make = make
        nodes = ContiguousArray((0..<members).map(make))
    }

    public var now: Instant { air.now }

    /// Lets the next thing happen; false when nothing is left at or before `limit`.
    @discardableResult
    public func step(until limit: Instant = .distantFuture) -> Bool {
        var turn = Turn()
        guard air.next(until: limit, into: &turn) else { return false }
        lastNode = turn.node
        if case .powerOn = turn.input { nodes[turn.node] = make(turn.node) }
        out.removeAll()
        out.node = UInt16(turn.node)
        out.now = turn.time
        out.flash = air.flashView(of: turn.node)
        out.wantsDetail = air.wantsDetail
        out.frame = turn.frame
        let deadline = Self.give(turn.input, to: &nodes[turn.node], at: turn.time, into: &out)
        air.accept(out, from: turn.node, nextDeadline: deadline)
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
