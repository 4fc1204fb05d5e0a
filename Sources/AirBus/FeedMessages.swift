import Radio
import Wire

/// A member of the roster, as a sniffer is told of it.
public struct FeedMember: Equatable, Sendable {
    public var index: UInt16
    /// Nil for one without a radio.
    public var eui64: EUI64?
    /// `CH`, `ESME` and so on.
    public var role: String
    /// As the home file has it.
    public var name: String

    public init(index: UInt16, eui64: EUI64?, role: String, name: String) {
        self.index = index
        self.eui64 = eui64
        self.role = role
        self.name = name
    }
}

/// One message of the feed that sniffers subscribe to: the evidence as it comes up.
public enum FeedMessage: Sendable {
    case frame(FrameRecord)
    case event(EventRecord)
    /// A network key, or an established link key, in use from this time on.
    case key(Key128, time: Instant)
    case ended(Ended)
    case member(FeedMember)

    public init(parsing bytes: Span<UInt8>) throws(WireError) {
        var reader = ByteReader(bytes)
        switch MessageKind(rawValue: try reader.u8("kind")) {
        case .frame: self = .frame(try reader.frameRecord())
        case .event:
            let time = try reader.knownTime("time")
            let node = try reader.u16("member")
            self = .event(try reader.event(time: time, node: node))
        case .key:
            let time = try reader.knownTime("time")
            self = .key(try reader.key("network key"), time: time)
        case .feedEnded: self = .ended(try Ended(after: &reader))
        case .member:
            let index = try reader.u16("member")
            let address = try reader.u64("EUI-64")
            self = .member(
                FeedMember(
                    index: index, eui64: address == 0 ? nil : EUI64(address),
                    role: try reader.text8("role"), name: try reader.text8("name")))
        default: throw WireError(.invalid, "kind", at: 0)
        }
        try reader.end(after: "message")
    }
}

extension MessageBuilder {
    public mutating func feed(frame record: borrowing FrameRecord) {
        begin(.frame)
        put(record.number)
        put(record.start)
        put(record.end)
        put(record.sender)
        put(record.channel)
        if let rssi = record.rssi, let lqi = record.lqi {
            put(1 as UInt8)
            put(rssi)
            put(lqi)
        } else {
            put(0 as UInt8)
            put(0 as Int8)
            put(0 as UInt8)
        }
        put(record.psdu)
    }

    public mutating func feed(event: EventRecord) {
        begin(.event)
        put(event.time)
        put(event.node)
        put(event)
    }

    public mutating func feed(key: Key128, at time: Instant) {
        begin(.key)
        put(time)
        put(key)
    }

    public mutating func feed(ended: Ended) {
        begin(.feedEnded)
        put(ended)
    }

    public mutating func feed(member: FeedMember) {
        begin(.member)
        put(member.index)
        put(member.eui64 ?? EUI64(0))
        put(text8: member.role)
        put(text8: member.name)
    }
}

extension ByteReader {
    fileprivate mutating func frameRecord() throws(WireError) -> FrameRecord {
        let number = try u64("frame")
        let start = try knownTime("start")
        let place = offset
        let end = try knownTime("end")
        guard end >= start else { throw WireError(.invalid, "end", at: place) }
        let sender = try u16("sender")
        let channel = try channel("channel")
        let isKnown = try flags("flags", known: 1) == 1
        let levels = offset
        let rssi = try i8("RSSI")
        let lqi = try u8("LQI")
        guard isKnown || (rssi == 0 && lqi == 0) else {
            throw WireError(.invalid, "RSSI", at: levels)
        }
        return FrameRecord(
            number: number, start: start, end: end, sender: sender, channel: channel,
            psdu: try psdu("PSDU", limit: FrameBuffer.capacity), rssi: isKnown ? rssi : nil,
            lqi: isKnown ? lqi : nil)
    }
}
