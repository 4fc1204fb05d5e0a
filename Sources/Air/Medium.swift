import Radio
import Wire

/// What is on the air now and was a moment ago.
struct Medium {
    struct Transmission {
        var sender: Int
        var channel: UInt8
        var start: Instant
        var end: Instant
    }

    /// In order of their beginnings, more or less; those before `head` are over and done with.
    private var transmissions: ContiguousArray<Transmission> = []
    private var head = 0

    /// Longer than any frame lasts: what ended before cannot overlap anything that still matters.
    private static let memory = Interval.milliseconds(10)

    /// The longest measurement, in microseconds: aBaseSuperframeDuration * (2^14 + 1) symbols
    /// (IEEE 802.15.4-2006 7.5.2.1).
    private static let longest: Int64 = 251_673_600

    /// So many that are over go at once, because each time all that are left move.
    private static let pruning = 16

    /// What an energy measurement under way still has to look back on.
    private var heldFrom = Instant.distantFuture
    private var heldUntil = Instant.zero

    init() { transmissions.reserveCapacity(4 * Self.pruning) }

    mutating func add(_ transmission: Transmission, now: Instant) {
        if heldUntil < now { heldFrom = .distantFuture }
        // Whoever measures without end keeps no more than one measurement needs.
        heldFrom = max(heldFrom, Instant(microseconds: now.microseconds - Self.longest))
        while head < transmissions.count, transmissions[head].end + Self.memory < now,
            transmissions[head].end < heldFrom
        {
            head += 1
        }
        if head >= Self.pruning {
            transmissions.removeFirst(head)
            head = 0
        }
        transmissions.append(transmission)
    }

    /// Keeps all that is on the air from `start` to `end`, for `level` to be asked then.
    mutating func hold(from start: Instant, to end: Instant) {
        heldFrom = min(heldFrom, start)
        heldUntil = max(heldUntil, end)
    }

    /// Takes a sender's transmission that is still going on off the air: its power was cut.
    mutating func silence(_ sender: Int, at now: Instant) {
        for index in head..<transmissions.count
        where transmissions[index].sender == sender && transmissions[index].end > now {
            transmissions[index].end = max(now, transmissions[index].start)
        }
    }

    /// Whether anything that `listener` can hear, or its own sending, touches the time from
    /// `start` to `end`.
    func isBusy(
        for listener: Int, on channel: UInt8, from start: Instant, to end: Instant,
        links: borrowing LinkTable, sensitivity: Int8
    ) -> Bool {
        for other in transmissions[head...]
        where other.channel == channel && other.start < end && other.end > start {
            if other.sender == listener || links[other.sender, listener].rssi >= sensitivity {
                return true
            }
        }
        return false
    }

    /// The strongest level that `listener` hears between `start` and `end`, in dBm.
    func level(
        at listener: Int, on channel: UInt8, from start: Instant, to end: Instant,
        links: borrowing LinkTable
    ) -> Int8? {
        var strongest: Int8?
        for other in transmissions[head...]
        where other.channel == channel && other.start < end && other.end > start
            && other.sender != listener
        {
            strongest = max(strongest ?? .min, links[other.sender, listener].rssi)
        }
        return strongest
    }

    /// Whether another transmission spoils at `listener` the one that `sender` made.
    func isSpoilt(
        at listener: Int, sender: Int, channel: UInt8, start: Instant, end: Instant,
        links: borrowing LinkTable, settings: borrowing AirSettings
    ) -> Bool {
        let wanted = Int(links[sender, listener].rssi)
        for other in transmissions[head...]
        where other.channel == channel && other.start < end && other.end > start
            && other.sender != sender && other.sender != listener
        {
            let level = links[other.sender, listener].rssi
            if level >= settings.sensitivity, wanted - Int(level) < Int(settings.capture) {
                return true
            }
        }
        return false
    }
}
