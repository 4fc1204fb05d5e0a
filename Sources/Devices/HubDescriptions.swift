import GBCS
import Radio
import Wire
import Zigbee

/// The devices of a hub's log of which it knows the EUI-64 alone, and when each is asked what it
/// is. One is asked at a time: the stack remembers few requests, and each of these becomes four.
struct TypeQueries: Sendable {
    /// How long an answer is waited for before the next is asked. assumption: 10 s; no setting.
    private static let answerTime = Interval.seconds(10)
    /// How long after a question that brought nothing the same device is asked again: twice as
    /// long each time, up to an hour. assumption: no setting.
    private static let firstPause = Interval.seconds(30)
    private static let longestPause = Interval.hours(1)

    private struct Entry: Sendable {
        var device: EUI64
        var due: Instant
        var pause = TypeQueries.firstPause
    }

    private var entries: [Entry] = []
    /// The one that is asked now.
    private var asked: (device: EUI64, until: Instant)?

    var deadline: Instant {
        guard !entries.isEmpty else { return .distantFuture }
        return asked?.until ?? entries.reduce(.distantFuture) { min($0, $1.due) }
    }

    func contains(_ device: EUI64) -> Bool { entries.contains { $0.device == device } }

    /// It is asked as soon as may be; as many as the device log has are the most.
    mutating func add(_ device: EUI64, at now: Instant) {
        remove(device)
        entries.append(Entry(device: device, due: now))
    }

    /// It is typed, or gone.
    mutating func remove(_ device: EUI64) {
        entries.removeAll { $0.device == device }
        if asked?.device == device { asked = nil }
    }

    /// The next to be asked; it has its turn until it is removed or put off, or has not answered.
    mutating func next(at now: Instant) -> EUI64? {
        guard deadline <= now else { return nil }
        asked = nil
        guard let index = entries.indices.min(by: { entries[$0].due < entries[$1].due }),
            entries[index].due <= now
        else { return nil }
        let device = entries[index].device
        asks(device, at: now)
        asked = (device, now + Self.answerTime)
        return device
    }

    /// It is asked now, and again only after a while.
    mutating func asks(_ device: EUI64, at now: Instant) {
        guard let index = entries.firstIndex(where: { $0.device == device }) else { return }
        entries[index].due = now + entries[index].pause
        entries[index].pause = min(entries[index].pause * 2, Self.longestPause)
    }

    /// It cannot be asked now: others are.
    mutating func putOff() { asked = nil }
}

/// What the devices are that a CCS01 has named, and no home file: they say it themselves.
extension CommunicationsHub {
    /// Whether the device is in the log, and the log does not know what it is.
    private func isUntyped(_ device: EUI64) -> Bool {
        if let entry = deviceLog[device] { entry.type == nil } else { false }
    }

    /// After a start: whoever is in the network and has not said it yet.
    mutating func startTypeQueries(at now: Instant) {
        typeQueries = TypeQueries()
        for entry in deviceLog.entries { askType(of: entry.eui64, at: now) }
    }

    /// Has a device that is there describe itself, if that is not known.
    mutating func askType(of device: EUI64, at now: Instant) {
        guard isUntyped(device), stack.address(of: device) != nil else { return }
        typeQueries.add(device, at: now)
    }

    /// Asks whoever is due. A sleeper is asked when it is heard of.
    mutating func askTypes(at now: Instant, into out: inout Outbox) {
        while let device = typeQueries.next(at: now) {
            guard isUntyped(device), let address = stack.address(of: device) else {
                typeQueries.remove(device)
                continue
            }
            guard isListening(device) else {
                typeQueries.putOff()
                stack.awaitWake(of: device, true, into: &out)
                continue
            }
            stack.describe(address, now: now, into: &out)
        }
    }

    /// A sleeper listens for a moment.
    mutating func askTypeAsAwake(_ device: EUI64, at now: Instant, into out: inout Outbox) {
        guard typeQueries.contains(device), let address = stack.address(of: device) else { return }
        typeQueries.asks(device, at: now)
        stack.describe(address, now: now, into: &out)
        stack.answerPoll(of: device, at: now, into: &out)
    }

    /// assumption: what a Smart Energy device calls itself says what it is for GBCS: a metering
    /// device is a GSME if it sleeps, else an ESME. No setting: the home file can name it.
    mutating func described(
        _ address: ShortAddress, as kind: UInt16, at now: Instant, into out: inout Outbox
    ) {
        guard let device = stack.eui64(of: address), isUntyped(device) else { return }
        let type: DeviceType? =
            switch kind {
            case 0x0501: stack.isSleepy(device) ? .gsme : .esme
            case 0x0504: .hcalcs
            case 0x0506: .ppmid
            default: nil
            }
        out.note(.deviceDescribed, device.rawValue, UInt64(kind))
        guard let type else { return }
        typeQueries.remove(device)
        deviceLog.update(device) { $0.type = type }
        journal.write(Record.deviceLog, deviceLog.bytes, &out)
        deviceAppeared(device, at: now)
    }
}
