import Radio
import Wire

/// A coordinator's search for a channel and a PAN identifier (ZigBee 3.6.1.1).
struct Forming: Sendable {
    enum Phase: Sendable {
        case idle
        case measuring
        case listening
    }

    /// A network that is there already.
    struct Heard: Sendable {
        var channel: UInt8
        var pan: PANID
        var extendedPAN: EUI64
    }

    static let heardLimit = 64

    var phase = Phase.idle
    var channelIndex = 0
    /// The strongest energy on each channel, in dBm.
    var levels: ContiguousArray<Int8> = []
    var heard: ContiguousArray<Heard> = []
    var deadline = Instant.distantFuture

    mutating func note(_ network: Heard) {
        guard heard.count < Self.heardLimit,
            !heard.contains(where: { $0.pan == network.pan && $0.channel == network.channel })
        else { return }
        heard.append(network)
    }
}

extension ZigbeeStack {
    /// A coordinator begins to form a PAN: it measures the energy on every channel, listens there
    /// for other networks' beacons, and takes the quietest of the channels with the fewest
    /// networks, and a PAN identifier that it has not heard.
    public mutating func form(at now: Instant, into out: inout Outbox) {
        trustCentre.forming = Forming()
        trustCentre.forming.phase = .measuring
        measureNext(into: &out)
    }

    private mutating func measureNext(into out: inout Outbox) {
        out.append(
            .measureEnergy(
                channel: configuration.channels[trustCentre.forming.channelIndex],
                duration: configuration.network.scanDuration))
    }

    /// The chip has measured a channel.
    public mutating func energy(
        channel: UInt8, level: Int8, at now: Instant, into out: inout Outbox
    ) {
        guard !network.isUp, trustCentre.forming.phase == .measuring else { return }
        trustCentre.forming.levels.append(level)
        trustCentre.forming.channelIndex += 1
        if trustCentre.forming.channelIndex < configuration.channels.count {
            measureNext(into: &out)
        } else {
            trustCentre.forming.phase = .listening
            trustCentre.forming.channelIndex = 0
            network.pan = .broadcast
            network.address = .unassigned
            listenNext(at: now, into: &out)
            pump(at: now, into: &out)
        }
    }

    private mutating func listenNext(at now: Instant, into out: inout Outbox) {
        configureChip(
            channel: configuration.channels[trustCentre.forming.channelIndex], receiverOn: true,
            into: &out)
        trustCentre.forming.deadline = now + configuration.network.scanDuration
        sendBeaconRequest(at: now, into: &out)
    }

    /// A beacon while forming: that PAN identifier is taken.
    mutating func considerForForming(_ header: MACHeader, _ beacon: Beacon?) {
        trustCentre.forming.note(
            .init(
                channel: configuration.channels[trustCentre.forming.channelIndex],
                pan: header.sourcePAN, extendedPAN: beacon?.extendedPAN ?? EUI64(0)))
    }

    mutating func stepForming(at now: Instant, into out: inout Outbox) {
        guard trustCentre.forming.deadline <= now else { return }
        trustCentre.forming.deadline = .distantFuture
        trustCentre.forming.channelIndex += 1
        if trustCentre.forming.channelIndex < configuration.channels.count {
            listenNext(at: now, into: &out)
        } else {
            openNetwork(at: now, into: &out)
        }
    }

    private mutating func openNetwork(at now: Instant, into out: inout Outbox) {
        let forming = trustCentre.forming
        trustCentre.forming = Forming()
        var best = 0
        func rank(_ index: Int) -> (Int, Int8) {
            let channel = configuration.channels[index]
            return (forming.heard.count { $0.channel == channel }, forming.levels[index])
        }
        for index in configuration.channels.indices where rank(index) < rank(best) { best = index }
        network.channel = configuration.channels[best]
        network.extendedPAN = configuration.eui64
        network.address = .coordinator
        network.trustCentre = configuration.eui64
        network.key = Key128(high: dice.next(), low: dice.next())
        repeat {
            // 0xFFFF is the broadcast PAN; 0xC000-0xFFFE are reserved in the 2003 standard.
            network.pan = PANID(UInt16(dice.below(0xBFFF)) + 1)
        } while forming.heard.contains { $0.pan == network.pan }
        network.isUp = true
        nextLinkStatus = now + configuration.network.linkStatusPeriod
        configureChip(channel: network.channel, receiverOn: true, into: &out)
        reserveCounters()
        requestSave()
        out.note(
            .panFormed, UInt64(network.pan.rawValue), UInt64(network.channel),
            network.extendedPAN.rawValue)
        indicate(.formed)
    }
}
