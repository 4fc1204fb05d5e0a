import Wire

/// The Time cluster (ZCL 3.12): its server, which tells what time it is.
public struct ZCLTime: Sendable {
    public static let time: UInt16 = 0x0000
    public static let timeStatus: UInt16 = 0x0001

    /// TimeStatus (ZCL 3.12.2.2.2).
    public struct Status: OptionSet, Sendable {
        public var rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// Its clock is nobody else's.
        public static let master = Status(rawValue: 0x01)
        /// Its clock was set by a master's.
        public static let synchronised = Status(rawValue: 0x02)
    }

    /// Seconds since 2000-01-01T00:00:00Z.
    public var now: UTCTime
    public var status: Status

    public init(now: UTCTime, status: Status) {
        self.now = now
        self.status = status
    }

    /// An attribute as it is now, or nil. A master's Time cannot be written, and the bits of
    /// TimeStatus here are its own (ZCL 3.12.2.2).
    public func attribute(_ identifier: UInt16) -> ZCLAttribute? {
        switch identifier {
        case Self.time:
            ZCLAttribute(
                identifier, .utcTime, UInt64(now.secondsSince2000),
                isWritable: !status.contains(.master))
        case Self.timeStatus: ZCLAttribute(identifier, .bitmap8, UInt64(status.rawValue))
        default: nil
        }
    }

    /// Answers a whole message to the server; nil where no answer is due. What was written is in
    /// `now` afterwards.
    public mutating func answer(_ zcl: ZCLMessage) -> FrameBuffer? {
        var written: UInt32?
        let clock = self
        let answer = ZCLGeneral.answerAsServer(
            zcl, of: .time,
            write: { attribute, isRehearsal in
                guard attribute.value != UInt64(UInt32.max) else { return .invalidValue }
                if !isRehearsal { written = UInt32(truncatingIfNeeded: attribute.value) }
                return .success
            }, attributes: { clock.attribute($0) })
        if let written { now = UTCTime(secondsSince2000: written) }
        return answer
    }
}
