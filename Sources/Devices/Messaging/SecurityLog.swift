import GBCS
import Wire

/// The security log of an entity (SMETS): what happened and when, the latest entries only.
public struct SecurityLog: Sendable, Equatable {
    public struct Entry: Sendable, Equatable {
        public var code: AlertCode
        /// By the entity's own clock; 2000-01-01 if that had not been set.
        public var time: UTCTime
    }

    /// Oldest first.
    public private(set) var entries: [Entry] = []
    private let limit: Int

    public init(limit: Int) { self.limit = limit }

    mutating func add(_ code: AlertCode, at time: UTCTime) {
        if entries.count >= limit { entries.removeFirst(entries.count - limit + 1) }
        entries.append(Entry(code: code, time: time))
    }

    /// Bytes of an entry.
    static let entrySize = 6

    /// Layout: entries x {code u16, seconds since 2000 u32}, little-endian.
    var bytes: [UInt8] {
        var builder = ByteBuilder()
        for entry in entries {
            builder.put(UInt64(entry.code.rawValue), 2)
            builder.put(UInt64(entry.time.secondsSince2000), 4)
        }
        return builder.bytes
    }

    init(parsing bytes: [UInt8], limit: Int) throws(WireError) {
        self.limit = limit
        var reader = ByteReader(bytes.span)
        while reader.remaining > 0 {
            let code = AlertCode(rawValue: try reader.u16("code"))
            add(code, at: UTCTime(secondsSince2000: try reader.u32("time")))
        }
    }
}
