import Radio
import Wire

/// Those who are late or gone.
extension AirService {
    /// Peers that are no members and of which something is remembered.
    package var strangersKnown: Int { strangers.count }

    func keepWatch(at wall: Double) {
        guard wall >= nextPing else { return }
        nextPing = wall + (worlds.contains { $0.air.isSettled } ? 1 : 0.1)
        watchMemory()
        pulse?()
        for world in worlds where world.state == .waiting { watchRoster(of: world, at: wall) }
        for world in worlds where world.state != .ended {
            for node in world.seats.indices { watch(node, of: world, at: wall) }
        }
    }

    private func watchRoster(of world: AirWorld, at wall: Double) {
        guard let patience = settings.joinPatience, wall - opened > patience else { return }
        let missing = world.seats.filter {
            !$0.isTaken && !settings.awaited.contains($0.plan.name)
        }
        guard !missing.isEmpty else { return }
        fail(
            world,
            "nobody took the place of \(missing.map(\.plan.name).joined(separator: ", ")) within "
                + "\(Int(patience)) s: its process has not started, or does not run")
    }

    /// Ends a home's run for want of something without which it cannot be.
    private func fail(_ world: AirWorld, _ why: String) {
        failure = why
        end(world, .airStopped, why)
    }

    private func watchMemory() {
        guard let limit = settings.memoryLimit, let resident = ProcessMemory.resident,
            resident > limit
        else { return }
        for world in worlds where world.state != .ended {
            fail(
                world,
                "the air has used up the \(limit >> 20) MiB that it may have: some peer sends "
                    + "without end")
        }
    }

    private func watch(_ node: Int, of world: AirWorld, at wall: Double) {
        guard let peer = world.seats[node].peer, world.seats[node].isTaken else { return }
        builder.ping()
        // A peer that does not read has no use for a ping either.
        guard send(to: peer) != .gone else {
            lose(node, of: world, .connectionLost)
            return
        }
        guard let since = world.seats[node].owedSince, world.air.owes(node) else { return }
        // The clock is only read when it could matter: a turn is first seen to be owed here.
        if since < 0 {
            world.seats[node].owedSince = wall
        } else if wall - since > settings.patience {
            put(off: node, of: world, .unanswered, "no answer for \(Int(settings.patience)) s")
        }
    }

    /// A member is gone: its power is cut, and the run goes on or ends as the scenario says.
    func lose(_ node: Int, of world: AirWorld, _ reason: RefusalReason, _ why: String? = nil) {
        // What its chip had for it comes before its power is cut, so that even one that is gone
        // may be given a turn.
        if world.state == .running, world.air.owes(node) { world.air.takeBack(from: node) }
        guard world.seats[node].isTaken else { return }
        let name = world.seats[node].plan.name
        log?("\(name) is gone: \(why ?? reason.lossWords)")
        world.seats[node].state = .gone
        if let peer = world.seats[node].peer { places[peer] = nil }
        world.seats[node].peer = nil
        world.seats[node].processID = 0
        guard world.state == .running else { return }
        world.air.lose(node, reason)
        guard world.seats[node].plan.observes else { return }
        // Nobody else could end the run.
        let text = "\(name) is gone: \(why ?? reason.lossWords)"
        if reason == .leftAir { end(world, .airStopped, text) } else { fail(world, text) }
    }

    func put(
        off node: Int, of world: AirWorld, _ code: AirErrorCode, _ why: String
    ) {
        if let peer = world.seats[node].peer {
            dismiss(
                peer, request: world.seats[node].turn, code, why, at: world.air.now,
                frames: world.air.frameCount)
        }
        lose(node, of: world, code == .unanswered ? .unanswered : .misbehaved, why)
        world.seats[node].state = .putOff
    }

    /// The last that the air says to a peer.
    func dismiss(
        _ peer: PeerName, request: UInt32, _ code: AirErrorCode, _ why: String,
        at time: Instant = .zero, frames: UInt64 = 0
    ) {
        let text = "put off the air: \(why)"
        builder.error(ErrorNotice(isFatal: true, request: request, code: code, text: text))
        send(to: peer)
        builder.ended(Ended(reason: .putOff, time: time, frames: frames, text: text))
        send(to: peer)
        strangers.ban(peer)
    }
}
