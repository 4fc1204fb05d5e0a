import Air
import CZeroMQ
import Glibc
import Radio
import Wire

/// How an air treats its peers.
public struct AirServiceSettings: Sendable {
    /// How long a node may take to answer where the air waits for it, in seconds of the machine's
    /// clock; then it counts as dead.
    public var patience = 30.0
    /// How long the air waits for its roster, in the same seconds; nil for as long as it takes.
    public var joinPatience: Double?
    /// Members that it waits for without limit all the same, by name.
    public var awaited: Set<String> = []
    /// Resident bytes of this process at which the air ends; nil for no limit. ZeroMQ keeps a
    /// message's parts until its last one has come, and every subscription, and asks nobody.
    public var memoryLimit: Int?
    /// So many messages of a peer's are turned down with an error; the next one puts it off.
    public var strikes = 8
    public var keys: AirKeys?
    /// With keys: the public keys of those who may come, and nobody else may.
    public var admitted: [String] = []

    public init() {}
}

/// The air as a service: one thread that owns the sockets, gives nodes their turns and takes their
/// answers.
public final class AirService {
    let worlds: [AirWorld]
    let settings: AirServiceSettings
    private let tether: Tether?
    private let isStopped: () -> Bool
    let router: Socket
    let control: Socket
    let feed: Socket
    private let gate: AirGate?
    private let files = SocketFiles()
    private let buffer: UnsafeMutableRawBufferPointer
    private let nameBuffer: UnsafeMutableRawBufferPointer
    /// All that is waited for where not only an answer can come.
    private var descriptors: [pollfd]
    var builder = MessageBuilder()
    var out = Outbox()
    private var turn = Turn()
    /// Nothing is encoded before the first sniffer comes. Whether the last has gone, a peer's word
    /// alone says, so it goes on then.
    private var hasSniffers = false
    var strangers = StrangerTable()
    /// Where each of those who have joined sits.
    var places: [PeerName: (world: AirWorld, node: Int)] = [:]
    var nextPing = 0.0
    private var nextLookRound = 0.0
    var opened = WallClock.seconds()
    /// What a bench answers.
    private var nothing = Outbox()
    /// Why it has ended before its time, for people.
    public internal(set) var failure: String?
    /// Told of what a person at the air would want to know.
    public var log: ((String) -> Void)?
    /// Called now and then, at least once a second unless the air is busy all the time.
    public var pulse: (() -> Void)?
    /// Called when the last of a home's members has come and its time begins.
    public var began: ((AirWorld) -> Void)?

    public init(
        worlds: [AirWorld], endpoints: AirEndpoints, settings: AirServiceSettings,
        tether: Tether?, isStopped: @escaping () -> Bool
    ) throws(SocketError) {
        self.worlds = worlds
        self.settings = settings
        self.tether = tether
        self.isStopped = isStopped
        var count = 0
        for world in worlds {
            world.first = count
            count += world.seats.count
        }
        precondition(count < Int(UInt16.max))
        let context = try SocketContext()
        buffer = .allocate(byteCount: AirProtocol.messageLimit, alignment: 16)
        nameBuffer = .allocate(byteCount: 256, alignment: 16)
        gate = try settings.keys.map { _ throws(SocketError) in
            try AirGate(admitted: settings.admitted, in: context)
        }
        router = try Socket(.router, in: context)
        control = try Socket(.router, in: context)
        feed = try Socket(.publisher, in: context)
        descriptors = [router.descriptor, control.descriptor, feed.descriptor].map {
            pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        if let gate {
            descriptors.append(pollfd(fd: gate.descriptor, events: Int16(POLLIN), revents: 0))
        }
        if let tether {
            descriptors.append(pollfd(fd: tether.descriptor, events: Int16(POLLIN), revents: 0))
        }
        // A peer that is gone is told apart from one that is slow.
        router.set(ZMQ_ROUTER_MANDATORY, 1)
        // A node has one answer under way; more is only a flood's.
        router.set(ZMQ_RCVHWM, 64)
        control.set(ZMQ_RCVHWM, 64)
        router.set(ZMQ_RCVTIMEO, Self.shortWait)
        feed.set(ZMQ_SNDHWM, 100_000)
        feed.set(ZMQ_XPUB_VERBOSER, 1)
        // Nothing but subscriptions comes here, and a CURVE handshake.
        feed.set(ZMQ_MAXMSGSIZE, wide: 1_024)
        try setUp(router, endpoints)
        try setUp(control, endpoints)
        try setUp(feed, endpoints)
        try files.claim(endpoints.paths)
        try router.bind(endpoints.node)
        endpoints.path.map(files.keep)
        try control.bind(endpoints.control)
        try feed.bind(endpoints.sniffer)
        for path in endpoints.paths.dropFirst() { files.keep(path) }
        files.letOthers()
    }

    deinit {
        buffer.deallocate()
        nameBuffer.deallocate()
    }

    private func setUp(
        _ socket: borrowing Socket, _ endpoints: AirEndpoints
    ) throws(SocketError) {
        socket.set(ZMQ_IPV6, endpoints.isIPv6 ? 1 : 0)
        // A stopped process keeps its connection for as long as it may owe an answer.
        socket.set(ZMQ_HEARTBEAT_IVL, 1_000)
        socket.set(ZMQ_HEARTBEAT_TIMEOUT, Int32(max(4, settings.patience + 2) * 1_000))
        try settings.keys?.applyAsServer(to: socket)
    }

    /// Until every home's run has ended, or the air is stopped.
    public func run() {
        opened = WallClock.seconds()
        var isAwaited = false
        while !worlds.allSatisfy({ $0.state == .ended }) {
            // Whoever waits for an answer and nothing else asks the one socket that brings it.
            var isBusy = drainNodes(waits: isAwaited)
            for world in worlds where world.state == .running { isBusy = go(on: world) || isBusy }
            isAwaited = worlds.contains { $0.awaitsAnswer }
            let wall = WallClock.seconds()
            if wall >= nextLookRound || !(isBusy || isAwaited) {
                if isStopped() || tether?.isBroken == true { break }
                serveOthers()
                if !isBusy, !isAwaited { wait() }
                nextLookRound = WallClock.seconds() + Self.lookRoundInterval
            }
            keepWatch(at: wall)
        }
        for world in worlds where world.state != .ended {
            end(world, .airStopped, "the air was stopped")
        }
        // The last words have to get out before the sockets close.
        router.set(ZMQ_LINGER, 1_000)
        control.set(ZMQ_LINGER, 1_000)
        feed.set(ZMQ_LINGER, 1_000)
        files.remove()
    }

    // MARK: - Time

    /// How long the node socket alone is waited for, in milliseconds, and how often signals, the
    /// sniffers and the control socket are looked at while nodes keep the air busy, in seconds.
    private static var shortWait: Int32 { 20 }
    private static var lookRoundInterval: Double { 0.005 }

    /// Gives out every turn that there is; whether there was one.
    private func go(on world: AirWorld) -> Bool {
        var given = false
        if !world.orders.isEmpty {
            // In virtual time nobody gets another turn before they are carried out.
            guard world.pace != .virtual || world.air.isSettled else { return false }
            carryOutOrders(of: world)
            given = true
        }
        let limit = world.time(at: world.pace == .virtual ? 0 : WallClock.seconds())
        while world.state == .running, world.air.next(until: limit, into: &turn) == .turn {
            given = true
            give(turn.node, of: world)
        }
        guard world.state == .running else { return true }
        if world.air.hasEnded {
            end(world, .runEnded, "the run has ended")
        }
        return given
    }

    private func give(_ node: Int, of world: AirWorld) {
        guard !world.seats[node].plan.isBench else {
            world.air.accept(nothing, from: node, nextDeadline: .distantFuture)
            return
        }
        guard world.seats[node].hasRoom(forTurnAt: turn.time) || world.pace != .virtual else {
            put(
                off: node, of: world, .notAllowed,
                "\(Seat.turnsPerSecond) turns in a second of virtual time, or "
                    + "\(Seat.turnsPerInstant) in one instant, are the most")
            return
        }
        world.turns += 1
        world.seats[node].turn &+= 1
        world.seats[node].turnTime = turn.time
        world.seats[node].owedSince = world.pace == .virtual ? -1 : nil
        builder.turn(
            number: world.seats[node].turn, time: turn.time, frames: turn.frameCount,
            input: turn.input, frame: turn.frame, cutAt: turn.cutAt)
        guard let peer = world.seats[node].peer else {
            lose(node, of: world, .connectionLost)
            return
        }
        switch send(to: peer) {
        case .sent: break
        case .gone: lose(node, of: world, .connectionLost)
        case .full: put(off: node, of: world, .unanswered, "it does not read what it is sent")
        }
    }

    /// What became of a message.
    enum Delivery {
        case sent
        /// The peer has not read so many before it: only that peer misses it.
        case full
        /// The peer is not there any more.
        case gone
    }

    /// Sends what the builder holds; never waits.
    @discardableResult
    func send(to peer: PeerName) -> Delivery {
        guard !builder.isOverflowed else { return .sent }
        guard peer.withBytes({ router.send($0, hasMore: true) }) else {
            return zmq_errno() == EAGAIN ? .full : .gone
        }
        // The pipe had room for the whole message when it took the name.
        guard !router.send(builder.message) else { return .sent }
        // Out of memory, if at all: what is begun has to end before anything else begins.
        router.send(UnsafeRawBufferPointer(start: nil, count: 0))
        return .full
    }

    func answer(_ peer: PeerName) {
        guard !builder.isOverflowed else { return }
        guard peer.withBytes({ control.send($0, hasMore: true) }) else { return }
        if peer.isREQ { control.send(UnsafeRawBufferPointer(start: nil, count: 0), hasMore: true) }
        control.send(builder.message)
    }

    private func begin(_ world: AirWorld) {
        world.state = .running
        world.origin = WallClock.seconds()
        began?(world)
    }

    func end(_ world: AirWorld, _ reason: EndReason, _ text: String) {
        if world.state == .running { log?("\(world.name): \(text) after \(world.account)") }
        world.state = .ended
        world.air.finishEvidence()
        let word = Ended(
            reason: reason, time: world.air.now, frames: world.air.frameCount, text: text)
        builder.ended(word)
        for seat in world.seats {
            if let peer = seat.peer, seat.state != .putOff { send(to: peer) }
        }
        // The feed is of all homes, and ends with the last.
        if worlds.allSatisfy({ $0.state == .ended }) { publish { $0.feed(ended: word) } }
    }

    // MARK: - What nodes say

    /// Takes in all that has come from nodes, `waits` a little if there is nothing; whether there
    /// was anything.
    private func drainNodes(waits: Bool) -> Bool {
        var count = 0
        // Bounded, so that a flood of one peer's cannot keep the others from their turns. One
        // dialogue's answers come one by one: asking for more costs as much as giving the turn.
        let limit = worlds.count == 1 && waits ? 1 : 4 * worlds.count + 64
        while count < limit,
            let size = router.receive(into: nameBuffer, waits: waits && count == 0)
        {
            count += 1
            let name = UnsafeRawBufferPointer(rebasing: nameBuffer[..<min(size, nameBuffer.count)])
            guard router.hasMore, let length = router.receive(into: buffer) else { continue }
            let isWhole = !router.hasMore
            if !isWhole { router.discardRest(buffer) }
            guard let peer = PeerName(name) else {
                refuse(nameOf: name)
                continue
            }
            take(length, isWhole: isWhole, from: peer)
        }
        return count > 0
    }

    /// A peer may choose its own name, and nothing is kept of one that is too long.
    private func refuse(nameOf name: UnsafeRawBufferPointer) {
        builder.error(
            ErrorNotice(
                isFatal: true, request: 0, code: .malformed,
                text: "a routing id (ZMQ_ROUTING_ID) of \(name.count) bytes; leave it to ZeroMQ, "
                    + "or choose one of \(PeerName.limit) at most"))
        if router.send(name, hasMore: true) { router.send(builder.message) }
    }

    private func take(_ length: Int, isWhole: Bool, from peer: PeerName) {
        let seat = place(of: peer)
        // Whoever has been put off is told nothing more, whatever comes.
        guard seat != nil || !strangers.isBanned(peer) else { return }
        guard isWhole, length <= AirProtocol.messageLimit else {
            complain(
                to: peer, seat, isWhole ? .oversize : .malformed,
                isWhole
                    ? "\(length) bytes, and a message has \(AirProtocol.messageLimit) at most"
                    : "a message is one part; this one had several")
            return
        }
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<length])
            .bindMemory(to: UInt8.self).span
        guard let seat else {
            takeStranger(bytes, from: peer)
            return
        }
        if AirProtocol.kind(of: bytes) == .answer {
            takeAnswer(bytes, of: seat.node, in: seat.world)
            return
        }
        do {
            switch try FromNode(parsing: bytes) {
            case .answer: break
            case .hello: complain(to: peer, seat, .notAllowed, "it has joined already")
            case .wake:
                guard seat.world.pace != .virtual else {
                    complain(
                        to: peer, seat, .notAllowed,
                        "in virtual time a node acts in its turns: give a deadline instead")
                    return
                }
                settle(seat.world)
                seat.world.air.wake(seat.node)
            case .leave: lose(seat.node, of: seat.world, .leftAir)
            }
        } catch {
            complain(to: peer, seat, .malformed, error.description)
        }
    }

    private func takeAnswer(_ bytes: Span<UInt8>, of node: Int, in world: AirWorld) {
        let seat = (world: world, node: node)
        guard let peer = world.seats[node].peer else { return }
        // Where time runs with the clock, what a node does counts from when it is heard of, and
        // all that comes before happens first.
        settle(world)
        let time = world.pace == .virtual ? world.seats[node].turnTime : world.air.now
        do {
            let answer = try AirProtocol.decodeAnswer(
                bytes, into: &out, node: UInt16(node), now: time)
            guard world.state == .running, world.air.owes(node),
                answer.turn == world.seats[node].turn
            else {
                complain(to: peer, seat, .outOfTurn, "turn \(answer.turn) is not out")
                return
            }
            guard answer.nextDeadline >= world.seats[node].turnTime else {
                complain(
                    to: peer, seat, .outOfTime, "the next deadline lies before the turn's time")
                return
            }
            guard world.seats[node].plan.observes || !out.speaksForBench else {
                complain(to: peer, seat, .notAllowed, "only the bench orders others about")
                return
            }
            world.seats[node].owedSince = nil
            world.air.accept(out, from: node, nextDeadline: answer.nextDeadline)
        } catch {
            complain(to: peer, seat, .malformed, error.description)
        }
    }

    /// Where time runs with the clock, lets all happen that comes before now.
    func settle(_ world: AirWorld) {
        guard world.pace != .virtual, world.state == .running else { return }
        let now = world.time(at: WallClock.seconds())
        while world.state == .running, world.air.next(until: now, into: &turn) == .turn {
            give(turn.node, of: world)
        }
        world.air.advance(to: now)
    }

    private func takeStranger(_ bytes: Span<UInt8>, from peer: PeerName) {
        do {
            guard case .hello(let hello) = try FromNode(parsing: bytes) else {
                complain(to: peer, nil, .notJoined, "a hello comes first")
                return
            }
            guard hello.version == AirProtocol.version else {
                dismiss(
                    peer, request: 0, .unsupportedVersion,
                    "this air speaks version "
                        + "\(AirProtocol.version) and no other, not \(hello.version)")
                return
            }
            join(hello, peer)
        } catch {
            complain(to: peer, nil, .malformed, error.description)
        }
    }

    /// Says what was wrong; who goes on is put off.
    private func complain(
        to peer: PeerName, _ seat: (world: AirWorld, node: Int)?, _ code: AirErrorCode,
        _ text: String
    ) {
        if let seat {
            seat.world.seats[seat.node].strikes += 1
            guard seat.world.seats[seat.node].strikes <= settings.strikes else {
                put(off: seat.node, of: seat.world, code, text)
                return
            }
        } else if strangers.strike(peer, limit: settings.strikes) {
            dismiss(peer, request: 0, code, text)
            return
        }
        let turn = seat.map { $0.world.seats[$0.node].turn } ?? 0
        builder.error(ErrorNotice(isFatal: false, request: turn, code: code, text: text))
        send(to: peer)
    }

    private func place(of peer: PeerName) -> (world: AirWorld, node: Int)? { places[peer] }

    private func join(_ hello: Hello, _ peer: PeerName) {
        func refuse(_ code: AirErrorCode, _ text: String) { complain(to: peer, nil, code, text) }
        for world in worlds {
            let place = world.seats.firstIndex { seat in
                guard !seat.plan.isBench else { return false }
                return hello.eui64 == nil
                    ? seat.plan.name == hello.name
                    : seat.plan.eui64 == hello.eui64
            }
            guard let node = place else { continue }
            guard hello.name.isEmpty || hello.name == world.seats[node].plan.name else {
                let plan = world.seats[node].plan
                return refuse(
                    .roster,
                    "the EUI-64 \(plan.eui64.map { "\($0)" } ?? "") is that of \(plan.name) in "
                        + "this home, and not of '\(hello.name)'")
            }
            if world.state == .ended { return refuse(.notAllowed, "the run has ended") }
            if world.seats[node].isTaken {
                guard !isThere(node, of: world) else {
                    // It may come back once the other's connection is known to be gone.
                    builder.error(
                        ErrorNotice(
                            isFatal: false, request: 0, code: .taken,
                            text: "\(world.seats[node].plan.name) is on the air already"))
                    send(to: peer)
                    return
                }
                lose(node, of: world, .connectionLost)
            }
            seat(peer, hello, at: node, of: world)
            return
        }
        // The one or the other is there.
        let marks =
            (hello.eui64.map { ["the EUI-64 \($0)"] } ?? [])
            + (hello.name.isEmpty ? [] : ["the name '\(hello.name)'"])
        refuse(.unknownMember, "nobody in the roster has \(marks.joined(separator: " and "))")
    }

    /// Whether a member's connection stands. It is not asked again at once: whoever wants its place
    /// must not fill its pipe.
    private func isThere(_ node: Int, of world: AirWorld) -> Bool {
        guard let peer = world.seats[node].peer else { return false }
        let wall = WallClock.seconds()
        guard wall - world.seats[node].asked > 0.05 else { return true }
        world.seats[node].asked = wall
        builder.ping()
        return send(to: peer) != .gone
    }

    private func seat(_ peer: PeerName, _ hello: Hello, at node: Int, of world: AirWorld) {
        world.seats[node].peer = peer
        places[peer] = (world, node)
        world.seats[node].processID = hello.processID
        world.seats[node].state = .onAir
        world.seats[node].strikes = 0
        world.seats[node].turn = 0
        let plan = world.seats[node].plan
        builder.welcome(
            Welcome(
                wantsDetail: world.air.wantsDetail, observes: plan.observes,
                rejoins: world.state == .running, index: UInt16(node),
                members: UInt16(world.seats.count), pace: world.pace, seed: world.seed,
                start: world.start, flash: plan.flash))
        guard send(to: peer) == .sent else {
            lose(node, of: world, .connectionLost)
            return
        }
        log?("\(plan.name) is on the air (pid \(hello.processID))")
        if world.state == .running {
            settle(world)
            world.air.setPower(of: node, on: true)
        } else if world.isComplete {
            begin(world)
        }
    }

    // MARK: - Sniffers, control and waiting

    func publish(_ write: (inout MessageBuilder) -> Void) {
        guard hasSniffers else { return }
        write(&builder)
        guard !builder.isOverflowed else { return }
        feed.send(builder.message)
    }

    private func serveOthers() {
        gate?.serve(buffer)
        for _ in 0..<1_024 {
            guard let size = feed.receive(into: buffer) else { break }
            guard size > 0, buffer[0] == 1 else { continue }
            hasSniffers = true
            for world in worlds {
                world.tap.publish = { [weak self] in self?.publish($0) }
                for (index, seat) in world.seats.enumerated() {
                    publish {
                        $0.feed(
                            member: FeedMember(
                                index: UInt16(world.first + index), eui64: seat.plan.eui64,
                                role: seat.plan.role, name: seat.plan.name))
                    }
                }
                for key in world.tap.keys { publish { $0.feed(key: key.key, at: key.time) } }
            }
        }
        for _ in 0..<64 {
            guard let size = control.receive(into: nameBuffer) else { break }
            let name = UnsafeRawBufferPointer(rebasing: nameBuffer[..<min(size, nameBuffer.count)])
            guard var peer = PeerName(name), control.hasMore,
                var length = control.receive(into: buffer)
            else {
                control.discardRest(buffer)
                continue
            }
            // A REQ socket puts an empty part before its message.
            if length == 0, control.hasMore, let next = control.receive(into: buffer) {
                length = next
                peer.isREQ = true
            }
            guard !control.hasMore else {
                control.discardRest(buffer)
                turnDown(0, of: peer, .malformed, "a message is one part; this one had several")
                continue
            }
            guard length <= buffer.count else {
                turnDown(
                    0, of: peer, .oversize,
                    "\(length) bytes, and a message has \(AirProtocol.messageLimit) at most")
                continue
            }
            serve(
                UnsafeRawBufferPointer(rebasing: buffer[..<length])
                    .bindMemory(to: UInt8.self).span, of: peer)
        }
    }

    private func wait() {
        guard !router.isReadable, !control.isReadable, !feed.isReadable,
            gate?.isReadable != true
        else { return }
        let wall = WallClock.seconds()
        var seconds = min(max(nextPing - wall, 0), 0.2)
        for world in worlds where world.state == .running && world.pace != .virtual {
            seconds = min(seconds, world.seconds(until: world.air.nextTime, from: wall))
        }
        Waiting.wait(&descriptors, seconds: seconds)
    }
}
