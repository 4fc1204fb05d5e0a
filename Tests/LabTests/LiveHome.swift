import Crypto
import Lab
import Radio
import Simulation
import Testing
import Wire
import Zigbee

/// A home that a test runs itself, and in which it may do what no scenario does.
final class LiveHome {
    private final class Tape: EvidenceSink {
        var events: [EventRecord] = []
        /// Of the hub.
        var lastFrame = FrameBuffer()
        /// Those of one member from some moment on.
        var recorded: (node: UInt16, frames: [FrameBuffer])?
        func record(frame: borrowing FrameRecord) {
            if frame.sender == recorded?.node { recorded?.frames.append(frame.psdu) }
            // An acknowledgement has no more than these.
            if frame.sender == 0, frame.psdu.count > 5 { lastFrame = frame.psdu }
        }
        func record(event: EventRecord) { events.append(event) }
    }

    private let tape = Tape()
    private let simulation: Simulation<HomeNode>

    init(_ home: Home, images: [RunImage], _ steps: [ScenarioStep.Action]) {
        let runner = Runner(
            home: home,
            scenario: Homes.scenario(steps + [.wait(.hours(1_000))], within: .hours(2_000)),
            images: Dictionary(uniqueKeysWithValues: images.map { ($0.name, $0) }),
            options: RunOptions(folder: nil))
        simulation = runner.makeSimulation(sink: tape)
    }

    func events(_ kind: EventKind) -> [EventRecord] { tape.events.filter { $0.kind == kind } }

    /// Runs until a member has had so many events of a kind, for a week at most.
    func run(untilEvent kind: EventKind, of node: UInt16, count: Int = 1) {
        let limit = simulation.now + .hours(24 * 7)
        while tape.events.count(where: { $0.kind == kind && $0.node == node }) < count {
            guard simulation.step(until: limit) else {
                Issue.record("no \(kind) of member \(node)")
                return
            }
        }
    }

    /// The stack of the hub or a device as it is now.
    func stack(_ node: Int) -> ZigbeeStack? {
        simulation.nodes[node].hub?.stack ?? simulation.nodes[node].device?.stack
    }

    /// Runs turn by turn until something is so, for a week at most.
    func run(until isSo: (LiveHome) -> Bool) {
        let limit = simulation.now + .hours(24 * 7)
        while !isSo(self), simulation.step(until: limit) {}
    }

    var now: Instant { simulation.now }

    /// Whether a member has asked to be woken at an instant that has passed: it would be woken for
    /// ever.
    func isOverdue(_ node: Int) -> Bool { simulation.nodes[node].nextDeadline < now }

    /// Cuts a member's power or puts it back, as the bench does.
    func power(of node: Int, on: Bool) {
        act(for: simulation.nodes.count - 1) { _, _, out in
            out.append(.power(of: UInt16(node), on: on))
        }
        run(for: .milliseconds(2))
    }

    /// Changes what two members hear of each other.
    func link(_ a: Int, _ b: Int, lossPerMillion: UInt32) {
        act(for: simulation.nodes.count - 1) { _, _, out in
            out.append(
                .link(a: UInt16(a), b: UInt16(b), rssi: -60, lossPerMillion: lossPerMillion))
        }
        run(for: .milliseconds(2))
    }

    /// Lets the next thing happen; false when nothing is left before `limit`.
    func step(until limit: Instant) -> Bool { simulation.step(until: limit) }

    func run(for time: Interval) { simulation.run(until: simulation.now + time) }

    /// Gives a member an input now.
    func give(_ input: Input, to node: Int) {
        act(for: node) { member, now, out in member.handle(input, at: now, into: &out) }
    }

    /// Sends a GBCS message over the WAN, for a device or for the hub.
    func send(message: [UInt8], to node: Int) {
        guard let eui64 = node == 0 ? Homes.hub().eui64 : simulation.nodes[node].device?.eui64
        else {
            Issue.record("no member \(node)")
            return
        }
        give(.wan(.message(device: eui64, bytes: message)), to: 0)
    }

    /// What the remote parties have read, and no step has waited for.
    var received: [ReceivedMessage] {
        simulation.nodes.lazy.compactMap(\.director).first?.received ?? []
    }

    /// Cuts a member's power for a moment, in the middle of whatever it does.
    func restart(_ node: Int) {
        act(for: node) { _, _, out in out.append(.restart(after: .milliseconds(1))) }
    }

    /// The counter of the latest frame that the hub has sent under the network key.
    var hubFrameCounter: UInt32? {
        var reader = ByteReader(tape.lastFrame.span)
        guard (try? MACHeader(parsing: &reader)) != nil,
            (try? NWKHeader(parsing: &reader))?.isSecured == true
        else { return nil }
        return (try? AuxiliaryHeader(parsing: &reader))?.frameCounter
    }

    /// The ZCL frames that a device sends to the hub under the link key that it has established,
    /// while `body` is carried out.
    func messages(from node: Int, while body: () -> Void) -> [[UInt8]] {
        tape.recorded = (UInt16(node), [])
        body()
        defer { tape.recorded = nil }
        guard let hub = stack(0), let device = simulation.nodes[node].device?.eui64,
            let network = hub.networkKey, let link = hub.establishedKey(with: device)
        else { return [] }
        let crypto = CryptoEngine()
        return (tape.recorded?.frames ?? []).compactMap { psdu in
            var frame = psdu
            frame.truncate(to: frame.count - 2)
            var reader = ByteReader(frame.span)
            guard (try? MACHeader(parsing: &reader))?.kind == .data else { return nil }
            let start = reader.offset
            guard (try? NWKHeader(parsing: &reader))?.kind == .data,
                let inner = crypto.open(&frame, from: start, at: reader.offset, network, device)
            else { return nil }
            reader = ByteReader(frame.span.extracting(inner...))
            guard (try? APSHeader(parsing: &reader))?.isSecured == true,
                let zcl = crypto.open(
                    &frame, from: inner, at: inner + reader.offset, link, device)
            else { return nil }
            return Array(frame.bytes[zcl...])
        }
    }

    /// What a member's flash holds now.
    func flash(of node: Int) -> FlashView { simulation.flashView(of: node) }

    /// Spoils a byte of a member's flash behind its back.
    func spoil(_ address: Int, of node: Int) {
        act(for: node) { _, _, out in out.program([UInt8(0)].span, at: address) }
    }

    /// Clears a page of a member's flash behind its back.
    func erase(page: Int, of node: Int) {
        act(for: node) { _, _, out in out.erase(page: page) }
    }

    /// Has a member send a ZCL frame to another, of which its own machine knows nothing. Its
    /// counters do not move on, so its next frames are taken for replays and come again.
    func send(
        _ header: ZCLHeader, _ payload: [UInt8] = [], from source: Int, to target: Int,
        options: SendOptions = .linkSecured, cluster: UInt16 = ClusterID.otaUpgrade,
        at endpoint: UInt8? = nil
    ) {
        let eui64 = target == 0 ? Homes.hub().eui64 : simulation.nodes[target].device?.eui64
        act(for: source) { member, now, out in
            guard var stack = member.hub?.stack ?? member.device?.stack, let eui64,
                let address = target == 0 ? .coordinator : stack.address(of: eui64)
            else {
                Issue.record("no way from \(source) to \(target)")
                return
            }
            var frame = FrameBuffer()
            header.encode(into: &frame)
            for byte in payload { frame.append(byte) }
            stack.send(
                frame, to: address, endpoint: endpoint ?? (target == 0 ? 3 : 1),
                from: source == 0 ? 3 : 1, cluster: cluster, profile: ProfileID.smartEnergy,
                options: options,
                at: now, into: &out)
            // The counters that it uses up are not kept either.
            _ = stack.takeSaveRequest()
            stack.goOn(at: now, into: &out)
        }
    }

    func act(
        for node: Int, _ body: (inout HomeNode, Instant, inout Outbox) -> Void
    ) {
        simulation.act(for: node, body)
    }
}

extension CryptoEngine {
    /// Opens what lies from `start` on, with its auxiliary header at `security`, in place. Where
    /// its payload begins; nil if it does not open.
    fileprivate func open(
        _ frame: inout FrameBuffer, from start: Int, at security: Int, _ key: Key128,
        _ sender: EUI64
    ) -> Int? {
        var reader = ByteReader(frame.span.extracting(security...))
        guard let auxiliary = try? AuxiliaryHeader(parsing: &reader) else { return nil }
        let payload = security + reader.offset
        frame[security] = frame[security] & 0xF8 | AuxiliaryHeader.securityLevel
        let isGood = open(
            &frame, from: start, payload: payload, key: key,
            nonce: CCMNonce(
                source: sender, counter: auxiliary.frameCounter, control: auxiliary.fullControl))
        return isGood ? payload : nil
    }
}
