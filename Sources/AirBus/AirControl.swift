import Air
import Radio
import Wire

/// What the command line asks of a running air.
extension AirService {
    private static var orderLimit: Int { 512 }

    func serve(_ bytes: Span<UInt8>, of peer: PeerName) {
        do {
            var request = try ControlRequest(parsing: bytes)
            switch request.body {
            case .status:
                let status = status()
                builder.status(status, request: request.number)
                answer(peer)
            case .end:
                let time = status().time
                builder.done(request: request.number, time: time)
                answer(peer)
                for world in worlds where world.state != .ended {
                    end(world, .airStopped, "the run was ended by hand")
                }
            case .wan, .order, .power, .link, .inject:
                guard let world = home(of: &request) else {
                    return turnDown(
                        request.number, of: peer, .unknownMember,
                        "the members are counted from 0 to \(memberCount - 1), and what is asked "
                            + "is about one home's")
                }
                order(request, of: peer, in: world)
            }
        } catch {
            turnDown(0, of: peer, .malformed, error.description)
        }
    }

    private var memberCount: Int { worlds.reduce(0) { $0 + $1.seats.count } }

    /// Of all homes together: the members of one after those of the other, and the time of the one
    /// that has come least far. Where time runs with the clock, that is now, not when something
    /// last happened.
    private func status() -> RunStatus {
        for world in worlds { settle(world) }
        var sum = worlds[0].status()
        for world in worlds.dropFirst() {
            let status = world.status()
            sum.time = min(sum.time, status.time)
            sum.frames += status.frames
            sum.turns += status.turns
            sum.members += status.members
        }
        let states = worlds.map(\.state)
        sum.state =
            states.contains(.waiting)
            ? .waiting : states.contains(.running) ? .running : .ended
        return sum
    }

    /// The home that a request is about, in whose own count its members are then; nil if they are
    /// nobody, or not of one home. What names no member is about the first.
    private func home(of request: inout ControlRequest) -> AirWorld? {
        let named = request.member.map { [Int($0)] } ?? request.body.members
        guard let one = named.first else { return worlds[0] }
        guard
            let world = worlds.first(where: { world in
                (world.first..<world.first + world.seats.count).contains(one)
            })
        else { return nil }
        let local = named.map { $0 - world.first }
        guard local.allSatisfy(world.seats.indices.contains) else { return nil }
        request.body = request.body.counted(from: UInt16(world.first))
        return world
    }

    func turnDown(
        _ request: UInt32, of peer: PeerName, _ code: AirErrorCode, _ text: String
    ) {
        builder.error(ErrorNotice(isFatal: false, request: request, code: code, text: text))
        answer(peer)
    }

    private func order(_ request: ControlRequest, of peer: PeerName, in world: AirWorld) {
        guard world.state == .running else {
            return turnDown(
                request.number, of: peer, .notAllowed,
                world.state == .waiting
                    ? "the air still waits for its roster" : "the run has ended")
        }
        guard world.bench != nil || !request.body.needsBench else {
            return turnDown(
                request.number, of: peer, .notAllowed,
                "this run's own director plays the DCC and the bench")
        }
        guard world.orders.count < Self.orderLimit else {
            return turnDown(request.number, of: peer, .busy, "too many orders wait; try again")
        }
        settle(world)
        guard !world.air.isFull(request.body.recipient) else {
            return turnDown(
                request.number, of: peer, .busy,
                "\(world.seats[request.body.recipient].plan.name) has not taken what was sent to "
                    + "it before")
        }
        if let absence = absence(of: request.body, in: world) {
            return turnDown(request.number, of: peer, absence.code, absence.text)
        }
        if let trouble = trouble(with: request.body, of: peer, in: world) {
            return turnDown(request.number, of: peer, trouble.code, trouble.text)
        }
        world.orders.append((request, peer))
        if world.pace != .virtual || world.air.isSettled { carryOutOrders(of: world) }
    }

    /// So long after the last part of an image nobody counts on the next, in seconds of the
    /// machine's clock.
    private static var deliveryPatience: Double { 5 }

    /// What cannot be sent, or not now. A hub takes one image at a time, and would give up the one
    /// that a client is sending for the one that another begins.
    private func trouble(
        with body: ControlRequest.Body, of peer: PeerName, in world: AirWorld
    ) -> (code: AirErrorCode, text: String)? {
        let wall = WallClock.seconds()
        let current = world.delivery
        switch body {
        case .inject(_, let psdu) where psdu.isEmpty:
            return (.malformed, "a frame has at least one byte")
        case .wan(.beginImage(let delivery, _, _, _)):
            if let current, current.peer != peer,
                wall - current.heard < Self.deliveryPatience
                    || world.orders.contains(where: { $0.peer == current.peer })
            {
                return (
                    .busy,
                    "somebody else is sending delivery \(current.number) to the hub; ask again "
                        + "when it is there"
                )
            }
            world.delivery = (delivery, peer, wall)
        case .wan(.imageChunk(let delivery, _, _)):
            if current?.peer == peer, current?.number == delivery { world.delivery?.heard = wall }
        case .wan(.endImage(let delivery)):
            if current?.peer == peer, current?.number == delivery { world.delivery = nil }
        default: break
        }
        return nil
    }

    /// Why nobody is there to take a message or an order: it would be lost without a word.
    private func absence(
        of body: ControlRequest.Body, in world: AirWorld
    ) -> (code: AirErrorCode, text: String)? {
        switch body {
        case .wan, .order: break
        case .power, .link, .inject, .status, .end: return nil
        }
        let seat = world.seats[body.recipient]
        guard seat.state == .onAir, !seat.plan.isBench else {
            return (.notAllowed, "\(seat.plan.name) has no power, or its process is gone")
        }
        guard !seat.isStarting else {
            return (.busy, "the software of \(seat.plan.name) does not run yet")
        }
        return nil
    }

    /// Carries out what waits, as of now, when nobody owes an answer or time runs with the clock.
    func carryOutOrders(of world: AirWorld) {
        let orders = world.orders
        world.orders.removeAll()
        let from = world.bench ?? world.seats.count - 1
        for (request, peer) in orders {
            out.removeAll()
            out.now = world.air.now
            let (order, member, device) = Self.record(of: request.body, by: from, in: world)
            out.node = UInt16(member)
            if let order {
                out.note(.benchOrdered, UInt64(order.rawValue), device?.rawValue ?? 0)
            }
            out.node = UInt16(from)
            switch request.body {
            case .wan(let message): out.send(message)
            case .order(let order, let target): out.send(order, to: target)
            case .power(let target, let on): out.append(.power(of: target, on: on))
            case .link(let a, let b, let rssi, let loss):
                out.append(.link(a: a, b: b, rssi: rssi, lossPerMillion: loss))
            case .inject(let channel, let psdu):
                guard world.air.inject(psdu, on: channel, from: from) else {
                    turnDown(
                        request.number, of: peer, .busy, "the frame before is still on its way")
                    continue
                }
            case .status, .end: break
            }
            world.air.act(out, from: from)
            builder.done(request: request.number, time: world.air.now)
            answer(peer)
        }
    }
}

extension AirService {
    /// What is noted of an order: whom it is for, and which other device it is about.
    private static func record(
        of body: ControlRequest.Body, by bench: Int, in world: AirWorld
    ) -> (order: BenchOrder?, member: Int, device: EUI64?) {
        switch body {
        case .status, .end: (nil, bench, nil)
        case .wan(let message):
            switch message {
            case .beginImage(_, let targets, _, _): (.beginImage, 0, targets.first)
            case .imageChunk, .imageStored, .imageRefused: (nil, 0, nil)
            case .endImage: (.endImage, 0, nil)
            case .activateHub: (.activateHub, 0, nil)
            case .readVersion(let device): (.readVersion, 0, device)
            case .message(let device, _): (.message, 0, device)
            }
        case .order(let order, let target):
            switch order {
            case .activate: (.activate, Int(target), nil)
            case .queryNextImage: (.queryNextImage, Int(target), nil)
            case .queryDeviceFile: (.queryDeviceFile, Int(target), nil)
            case .cancelDownload: (.cancelDownload, Int(target), nil)
            case .permitJoining: (.permitJoining, Int(target), nil)
            case .updateNetworkKey: (.updateNetworkKey, Int(target), nil)
            case .addDevice(let device, _): (.addDevice, Int(target), device)
            case .removeDevice(let device): (.removeDevice, Int(target), device)
            case .changeSupplier: (.changeSupplier, Int(target), nil)
            }
        case .power(let target, let on): (on ? .powerOn : .powerOff, Int(target), nil)
        case .link(let a, let b, _, _):
            (.changeLink, Int(a), world.seats[Int(b)].plan.eui64)
        case .inject: (.injectFrame, bench, nil)
        }
    }
}

extension ControlRequest.Body {
    /// The place in the roster that has to take it; the hub's for what comes over the WAN.
    fileprivate var recipient: Int {
        switch self {
        case .order(_, let target): Int(target)
        case .power(let target, _): Int(target)
        case .link, .status, .wan, .inject, .end: 0
        }
    }

    /// Those of the roster that it names.
    fileprivate var members: [Int] {
        switch self {
        case .order(_, let target): [Int(target)]
        case .power(let target, _): [Int(target)]
        case .link(let a, let b, _, _): [Int(a), Int(b)]
        case .status, .wan, .inject, .end: []
        }
    }

    /// The same with the members counted from `first`.
    fileprivate func counted(from first: UInt16) -> ControlRequest.Body {
        switch self {
        case .order(let order, let target): .order(order, to: target - first)
        case .power(let target, let on): .power(of: target - first, on: on)
        case .link(let a, let b, let rssi, let loss):
            .link(a: a - first, b: b - first, rssi: rssi, lossPerMillion: loss)
        case .status, .wan, .inject, .end: self
        }
    }

    /// Whether it speaks to the hub over the WAN, which in a scenario is the director's.
    fileprivate var needsBench: Bool {
        switch self {
        case .wan, .inject: true
        case .order, .power, .link, .status, .end: false
        }
    }
}
