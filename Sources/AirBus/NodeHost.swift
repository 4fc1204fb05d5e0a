import Air
import CZeroMQ
import Glibc
import Radio
import Wire

/// How a node's part in a run came to its end.
public enum NodeEnd: Sendable, Equatable {
    /// The run ended, or the air was stopped.
    case ended(Ended)
    /// The air put it off, or never let it on.
    case refused(ErrorNotice)
    /// There never was a connection.
    case unreachable
    /// The connection is gone: the air has died, or what is between.
    case connectionLost
    /// Its own keeper is gone, or asked it to stop.
    case stopped
    /// Something came that was no message of this protocol.
    case garbled(WireError)
}

/// Hosts one machine as a member of an air in another process.
///
/// One thread, which waits for turns. Writes to flash are carried out before the answer leaves, so
/// that whatever kills the process, nothing has left ahead of what it depends on.
public final class NodeHost<N: Node> {
    /// Builds the node as it is when its power comes on, with nothing but its flash.
    private let make: (Welcome) -> N
    private let openFlash: (FlashGeometry) throws -> FlashMemory
    private let hello: Hello
    private let tether: Tether?
    private let isStopped: () -> Bool

    private var link: WatchedSocket
    private var buffer: UnsafeMutableRawBufferPointer
    private var builder = MessageBuilder()
    private var out = Outbox()
    private var turn = BusTurn()
    private var welcome: Welcome?
    public private(set) var node: N?
    private var flash: FlashMemory?
    /// Called after each turn with the number of frames on the air so far.
    public var afterTurn: ((inout N, UInt64) -> Void)?
    /// Called once the air has let it on.
    public var joined: ((Welcome) -> Void)?
    /// By the machine's clock, when a connection has to be there.
    private let connectBy = WallClock.seconds() + 10

    /// How long a wait may last before tether and signals are looked at, in milliseconds.
    private static var patience: Int32 { 200 }

    public init(
        endpoints: AirEndpoints, hello: Hello, keys: AirKeys? = nil, tether: Tether?,
        isStopped: @escaping () -> Bool,
        flash: @escaping (FlashGeometry) throws -> FlashMemory, make: @escaping (Welcome) -> N
    ) throws {
        let context = try SocketContext()
        self.hello = hello
        self.make = make
        self.tether = tether
        self.isStopped = isStopped
        openFlash = flash
        buffer = .allocate(byteCount: AirProtocol.messageLimit, alignment: 16)
        link = try WatchedSocket(.dealer, in: context)
        link.socket.set(ZMQ_RCVTIMEO, Self.patience)
        link.socket.set(ZMQ_IPV6, endpoints.isIPv6 ? 1 : 0)
        try keys?.applyAsClient(to: link.socket)
        try link.socket.connect(endpoints.node)
    }

    deinit { buffer.deallocate() }

    /// Until the run ends or something goes wrong. Throws what opening the flash throws.
    public func run() throws -> NodeEnd {
        builder.hello(hello)
        link.socket.send(builder.message)
        var received = 0
        while true {
            guard let size = link.socket.receive(into: buffer, waits: true) else {
                if let end = idle() { return end }
                continue
            }
            received &+= 1
            // One that never has to wait is to end all the same when it is asked to.
            if received & 0xFF == 0, isStopped() || tether?.isBroken == true {
                if let end = idle() { return end }
            }
            // A node that never has to wait never looks at its connection.
            link.isConnected = true
            guard size <= buffer.count, !link.socket.hasMore else {
                link.socket.discardRest(buffer)
                return .garbled(WireError(.trailing, "message", at: min(size, buffer.count)))
            }
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<size])
            if let end = try take(bytes.bindMemory(to: UInt8.self).span) { return end }
        }
    }

    private func idle() -> NodeEnd? {
        if isStopped() || tether?.isBroken == true {
            builder.leave()
            link.socket.send(builder.message)
            // The word has to get out before the socket closes.
            link.socket.set(ZMQ_LINGER, 200)
            return .stopped
        }
        if link.isLost { return .connectionLost }
        if !link.isConnected, WallClock.seconds() > connectBy { return .unreachable }
        link.look()
        return nil
    }

    private func take(_ bytes: Span<UInt8>) throws -> NodeEnd? {
        do {
            if AirProtocol.kind(of: bytes) == .turn {
                try AirProtocol.decodeTurn(bytes, into: &turn)
                try play()
                return nil
            }
            switch try FromAir(parsing: bytes) {
            case .welcome(let welcome):
                guard self.welcome == nil else { return nil }
                self.welcome = welcome
                flash = try openFlash(welcome.flash)
                node = make(welcome)
                joined?(welcome)
            case .error(let notice):
                // Before it is let on, whatever the air says against its hello is the end.
                if notice.isFatal || welcome == nil { return .refused(notice) }
            case .ended(let ended): return .ended(ended)
            case .turn, .ping: break
            }
            return nil
        } catch let error as WireError {
            return .garbled(error)
        }
    }

    private func play() throws {
        guard let welcome, let flash, node != nil else { return }
        if case .powerOn = turn.input {
            if turn.cutAt != .distantFuture {
                let dice = FlashMemory.dice(of: Int(welcome.index), seed: Seed(welcome.seed))
                flash.cutPower(at: turn.cutAt, dice: dice)
            }
            node = make(welcome)
        }
        out.removeAll()
        out.node = welcome.index
        out.now = turn.time
        out.flash = flash.view
        out.wantsDetail = welcome.wantsDetail
        out.frame = turn.frame
        let deadline = Self.give(turn.input, to: &node!, at: turn.time, into: &out)
        if out.writesFlash { flash.carryOut(out, at: turn.time) }
        afterTurn?(&node!, turn.frames)
        builder.answer(turn: turn.number, nextDeadline: deadline, from: out)
        link.socket.send(builder.message)
    }

    private static func give(
        _ input: borrowing Input, to node: inout N, at now: Instant, into out: inout Outbox
    ) -> Instant {
        node.handle(input, at: now, into: &out)
        return node.nextDeadline
    }
}
