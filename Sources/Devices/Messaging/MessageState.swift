import Crypto
import GBCS
import Wire

/// A CS06 that was accepted for later.
public struct PendingActivation: Sendable, Equatable {
    /// SHA-256 of the manufacturer image that is to be activated.
    public var hash: Digest256
    /// The command's, which the alert repeats.
    public var counter: UInt64
    /// Who has sent it, and gets the alert.
    public var originator: EUI64
    /// From when on it is to be done, by the entity's own clock.
    public var due: UTCTime
}

/// What an entity must not forget of its messages, in one record of the journal.
struct MessageState: Sendable, Equatable {
    struct Heard: Sendable, Equatable {
        var party: EUI64
        var counter: UInt64
    }

    /// Originator counters below this one may have been used.
    var reserved: UInt64 = 0
    /// The firmware that the security log and the remote parties know of.
    var firmware: UInt32
    var pending: PendingActivation?
    /// The highest counter taken of each originator, the latest to be heard of last.
    var heard: [Heard] = []

    /// Originators of whom the counter is kept: far more than an entity has slots for.
    static let heardLimit = 16
    /// The most that `bytes` has.
    static let longest = 13 + 52 + heardLimit * 16

    init(firmware: UInt32) { self.firmware = firmware }

    /// Nil for an originator that was never heard.
    func counter(of party: EUI64) -> UInt64? { heard.first { $0.party == party }?.counter }

    mutating func hear(_ party: EUI64, _ counter: UInt64) {
        heard.removeAll { $0.party == party }
        if heard.count >= Self.heardLimit { heard.removeFirst() }
        heard.append(Heard(party: party, counter: counter))
    }

    /// Layout, little-endian: reserved u64, firmware u32, pending u8; if there is one: hash 32,
    /// counter u64, originator u64, due u32; then originators x {EUI-64 u64, counter u64}.
    var bytes: [UInt8] {
        var builder = ByteBuilder()
        builder.put(reserved, 8)
        builder.put(UInt64(firmware), 4)
        builder.put(pending == nil ? 0 : 1, 1)
        if let pending {
            builder.put(pending.hash.bytes)
            builder.put(pending.counter, 8)
            builder.put(pending.originator.rawValue, 8)
            builder.put(UInt64(pending.due.secondsSince2000), 4)
        }
        for one in heard {
            builder.put(one.party.rawValue, 8)
            builder.put(one.counter, 8)
        }
        return builder.bytes
    }

    /// The counters that a record has reserved of which the rest makes no sense; 0 if they do not
    /// either.
    static func reserved(in bytes: [UInt8]) -> UInt64 {
        var reader = ByteReader(bytes.span)
        guard let reserved = try? reader.u64("reserved counter"), reserved <= .max / 2 else {
            return 0
        }
        return reserved
    }

    init(parsing bytes: [UInt8]) throws(WireError) {
        var reader = ByteReader(bytes.span)
        reserved = try reader.u64("reserved counter")
        // Beyond there is no room to count on; nobody comes so far.
        guard reserved <= .max / 2 else { throw WireError(.invalid, "reserved counter", at: 0) }
        firmware = try reader.u32("firmware")
        if try reader.u8("pending") == 1 {
            pending = PendingActivation(
                hash: try reader.digest("hash"), counter: try reader.u64("counter"),
                originator: try reader.eui64("originator"),
                due: UTCTime(secondsSince2000: try reader.u32("due")))
        }
        while reader.remaining > 0 {
            hear(try reader.eui64("party"), try reader.u64("counter"))
        }
    }
}
