import Radio
import Wire

/// A trust centre's change of the network key (ZigBee 4.6.3.4): the new key goes to every device,
/// then all are told to switch to it.
struct KeyUpdate: Sendable {
    enum Phase: Sendable {
        case idle
        case sending
        /// Every device has been sent the key; the command to switch follows at the deadline.
        case waiting
        /// The command is out; the trust centre itself switches at the deadline, or as soon as it
        /// hears somebody who has.
        case switching
    }

    var phase = Phase.idle
    var deadline = Instant.distantFuture
    /// Who is still to be sent the key.
    var remaining: ContiguousArray<EUI64> = []
    /// Who has come in since the update began: each puts off the switch once.
    var included: ContiguousArray<EUI64> = []
}

extension ZigbeeStack {
    /// The trust centre makes a new network key and has the network switch to it. A key that was
    /// made before and never switched to is used first.
    public mutating func updateNetworkKey(at now: Instant, into out: inout Outbox) {
        guard configuration.role == .coordinator, network.isUp else { return }
        if !network.hasNextKey {
            network.keysMade += 1
            var stream = SeededStream(keySeed.indexed(UInt64(network.keysMade)))
            network.otherKey = Key128(high: stream.next(), low: stream.next())
            network.otherSequence = network.keySequence &+ 1
            forgetOldCounters()
            requestSave()
        }
        guard let key = network.otherKey else { return }
        trustCentre.keyUpdate.included = []
        if configuration.keyUpdate.isBroadcast {
            var header = APSHeader(kind: .command, counter: aps.nextCounter())
            header.delivery = .broadcast
            var payload = FrameBuffer()
            APSCommand.transportNetworkKey(
                key, sequence: network.otherSequence, destination: EUI64(0),
                source: configuration.eui64
            ).encode(into: &payload)
            sendAPS(header, payload, to: .everyone, at: now, into: &out)
            trustCentre.keyUpdate.phase = .waiting
            trustCentre.keyUpdate.deadline = now + configuration.keyUpdate.switchAfter
        } else {
            trustCentre.keyUpdate.remaining = []
            for key in aps.linkKeys where address(of: key.partner) != nil {
                trustCentre.keyUpdate.remaining.append(key.partner)
            }
            trustCentre.keyUpdate.phase = .sending
            trustCentre.keyUpdate.deadline = now
            stepKeyUpdate(at: now, into: &out)
        }
        pump(at: now, into: &out)
    }

    /// A device that comes in between the sending of a key and the switch gets that key too.
    mutating func includeInKeyUpdate(_ device: EUI64, at now: Instant) {
        let phase = trustCentre.keyUpdate.phase
        guard phase == .waiting || phase == .sending, network.hasNextKey,
            aps.linkKey(with: device) != nil,
            !trustCentre.keyUpdate.included.contains(device),
            !trustCentre.keyUpdate.remaining.contains(device)
        else { return }
        trustCentre.keyUpdate.included.append(device)
        trustCentre.keyUpdate.remaining.append(device)
        guard phase == .waiting else { return }
        trustCentre.keyUpdate.phase = .sending
        trustCentre.keyUpdate.deadline = now + configuration.keyUpdate.pace
    }

    mutating func stepKeyUpdate(at now: Instant, into out: inout Outbox) {
        guard trustCentre.keyUpdate.deadline <= now else { return }
        guard network.hasNextKey else {
            // Somebody has used the key already, and this node with them: the update is over.
            trustCentre.keyUpdate = KeyUpdate()
            return
        }
        switch trustCentre.keyUpdate.phase {
        case .idle: trustCentre.keyUpdate.deadline = .distantFuture
        case .sending:
            if !trustCentre.keyUpdate.remaining.isEmpty {
                sendNextKey(
                    to: trustCentre.keyUpdate.remaining.removeFirst(), at: now, into: &out)
            }
            let isLast = trustCentre.keyUpdate.remaining.isEmpty
            if isLast { trustCentre.keyUpdate.phase = .waiting }
            trustCentre.keyUpdate.deadline =
                now + (isLast ? configuration.keyUpdate.switchAfter : configuration.keyUpdate.pace)
        case .waiting:
            trustCentre.keyUpdate.phase = .switching
            trustCentre.keyUpdate.deadline = now + configuration.network.broadcastDelivery
            var header = APSHeader(kind: .command, counter: aps.nextCounter())
            header.delivery = .broadcast
            var payload = FrameBuffer()
            APSCommand.switchKey(sequence: network.otherSequence).encode(into: &payload)
            sendAPS(header, payload, to: .everyone, at: now, into: &out)
        case .switching:
            trustCentre.keyUpdate = KeyUpdate()
            switchNetworkKey(into: &out)
        }
    }

    private mutating func sendNextKey(
        to device: EUI64, at now: Instant, into out: inout Outbox
    ) {
        guard let key = network.otherKey, let index = aps.linkKey(with: device),
            let address = address(of: device)
        else { return }
        sendKey(
            .transportNetworkKey(
                key, sequence: network.otherSequence, destination: device,
                source: configuration.eui64), to: address, linkKey: index, secured: true, at: now,
            into: &out)
    }
}
