import Radio
import Wire

/// How a node asks for its place in the roster.
public struct Hello: Equatable, Sendable {
    /// What the peer speaks. If it is not `AirProtocol.version`, nothing else is known.
    public var version: UInt16
    /// Of the peer's process, for people.
    public var processID: UInt32
    /// Nil: `name` says whose place it is.
    public var eui64: EUI64?
    /// The name in the roster; may be empty if `eui64` is there.
    public var name: String

    public init(
        processID: UInt32, eui64: EUI64?, name: String, version: UInt16 = AirProtocol.version
    ) {
        self.version = version
        self.processID = processID
        self.eui64 = eui64
        self.name = name
    }

    init(after reader: inout ByteReader) throws(WireError) {
        for letter in "HAN".utf8 {
            let start = reader.offset
            guard try reader.u8("signature") == letter else {
                throw WireError(.invalid, "signature", at: start)
            }
        }
        self.init(processID: 0, eui64: nil, name: "", version: try reader.u16("version"))
        guard version == AirProtocol.version else {
            // Another version's layout.
            _ = reader.rest()
            return
        }
        _ = try reader.flags("flags", known: 0)
        processID = try reader.u32("process ID")
        let address = try reader.u64("EUI-64")
        eui64 = address == 0 ? nil : EUI64(address)
        let start = reader.offset
        name = try reader.text8("name")
        guard eui64 != nil || !name.isEmpty else { throw WireError(.invalid, "name", at: start) }
    }
}

/// What a node must know of the run that it has joined.
public struct Welcome: Equatable, Sendable {
    /// Whether anybody reads per-frame events.
    public var wantsDetail: Bool
    /// Whether it is told of the others' milestones.
    public var observes: Bool
    /// Whether it comes back to a run in which it has been before.
    public var rejoins: Bool
    /// The node's place in the roster.
    public var index: UInt16
    /// How many there are.
    public var members: UInt16
    public var pace: Pace
    public var seed: UInt64
    public var start: UTCTime
    public var flash: FlashGeometry

    public init(
        wantsDetail: Bool, observes: Bool, rejoins: Bool, index: UInt16, members: UInt16,
        pace: Pace, seed: UInt64, start: UTCTime, flash: FlashGeometry
    ) {
        self.wantsDetail = wantsDetail
        self.observes = observes
        self.rejoins = rejoins
        self.index = index
        self.members = members
        self.pace = pace
        self.seed = seed
        self.start = start
        self.flash = flash
    }

    init(after reader: inout ByteReader) throws(WireError) {
        let start = reader.offset
        guard try reader.u16("version") == AirProtocol.version else {
            throw WireError(.invalid, "version", at: start)
        }
        let flags = try reader.flags("flags", known: 7)
        let index = try reader.u16("index")
        let place = reader.offset
        let members = try reader.u16("members")
        guard index < members else { throw WireError(.invalid, "members", at: place) }
        self.init(
            wantsDetail: flags & 1 != 0, observes: flags & 2 != 0, rejoins: flags & 4 != 0,
            index: index, members: members, pace: try reader.pace(),
            seed: try reader.u64("seed"),
            start: UTCTime(secondsSince2000: try reader.u32("start")),
            flash: try reader.flashGeometry())
    }
}

/// What an air says of something that it has turned down.
public struct ErrorNotice: Equatable, Sendable {
    /// The air has put the peer off: it takes nothing more from it.
    public var isFatal: Bool
    /// The turn or request that it is about, or 0.
    public var request: UInt32
    public var code: AirErrorCode
    /// For people: what was wrong and what to do.
    public var text: String

    public init(isFatal: Bool, request: UInt32, code: AirErrorCode, text: String) {
        self.isFatal = isFatal
        self.request = request
        self.code = code
        self.text = text
    }

    init(after reader: inout ByteReader) throws(WireError) {
        self.init(
            isFatal: try reader.flags("flags", known: 1) == 1, request: try reader.u32("request"),
            code: try reader.code(AirErrorCode.self, "code"), text: try reader.text("text"))
    }
}

/// The end of a run, or of a peer's part in it.
public struct Ended: Equatable, Sendable {
    public var reason: EndReason
    public var time: Instant
    /// Frames that have been on the air.
    public var frames: UInt64
    /// For people.
    public var text: String

    public init(reason: EndReason, time: Instant, frames: UInt64, text: String) {
        self.reason = reason
        self.time = time
        self.frames = frames
        self.text = text
    }

    init(after reader: inout ByteReader) throws(WireError) {
        self.init(
            reason: try reader.code(EndReason.self, "reason"), time: try reader.knownTime("time"),
            frames: try reader.u64("frames"), text: try reader.text("text"))
    }
}

/// A message of a node's, as the air reads it.
public enum FromNode: Equatable, Sendable {
    case hello(Hello)
    /// Not read yet: `AirProtocol.decodeAnswer` does that.
    case answer
    /// Asks for a tick now.
    case wake
    case leave

    public init(parsing bytes: Span<UInt8>) throws(WireError) {
        var reader = ByteReader(bytes)
        switch MessageKind(rawValue: try reader.u8("kind")) {
        case .hello: self = .hello(try Hello(after: &reader))
        case .answer:
            self = .answer
            return
        case .wake: self = .wake
        case .leave: self = .leave
        default: throw WireError(.invalid, "kind", at: 0)
        }
        try reader.end(after: "message")
    }
}

/// A message of the air's, as a node reads it.
public enum FromAir: Equatable, Sendable {
    case welcome(Welcome)
    /// Not read yet: `AirProtocol.decodeTurn` does that.
    case turn
    case error(ErrorNotice)
    case ended(Ended)
    /// The air lives.
    case ping

    public init(parsing bytes: Span<UInt8>) throws(WireError) {
        var reader = ByteReader(bytes)
        switch MessageKind(rawValue: try reader.u8("kind")) {
        case .welcome: self = .welcome(try Welcome(after: &reader))
        case .turn:
            self = .turn
            return
        case .error: self = .error(try ErrorNotice(after: &reader))
        case .ended: self = .ended(try Ended(after: &reader))
        case .ping: self = .ping
        default: throw WireError(.invalid, "kind", at: 0)
        }
        try reader.end(after: "message")
    }
}

extension MessageBuilder {
    public mutating func hello(_ hello: Hello) {
        begin(.hello)
        for letter in "HAN".utf8 { put(letter) }
        put(hello.version)
        put(0 as UInt8)
        put(hello.processID)
        put(hello.eui64 ?? EUI64(0))
        put(text8: hello.name)
    }

    public mutating func wake() { begin(.wake) }
    public mutating func leave() { begin(.leave) }
    public mutating func ping() { begin(.ping) }

    public mutating func welcome(_ welcome: Welcome) {
        begin(.welcome)
        put(AirProtocol.version)
        var flags: UInt8 = welcome.wantsDetail ? 1 : 0
        if welcome.observes { flags |= 2 }
        if welcome.rejoins { flags |= 4 }
        put(flags)
        put(welcome.index)
        put(welcome.members)
        put(welcome.pace)
        put(welcome.seed)
        put(welcome.start.secondsSince2000)
        put(UInt32(clamping: welcome.flash.size))
        put(UInt32(clamping: welcome.flash.pageSize))
        put(UInt32(clamping: welcome.flash.programPerByte.microseconds))
        put(UInt32(clamping: welcome.flash.erasePage.microseconds))
    }

    public mutating func error(_ notice: ErrorNotice) {
        begin(.error)
        put(notice.isFatal)
        put(notice.request)
        put(notice.code.rawValue)
        put(text: notice.text)
    }

    public mutating func ended(_ ended: Ended) {
        begin(.ended)
        put(ended)
    }

    mutating func put(_ ended: Ended) {
        put(ended.reason.rawValue)
        put(ended.time)
        put(ended.frames)
        put(text: ended.text)
    }

    mutating func put(_ pace: Pace) {
        put(pace.code)
        put(pace.scale)
    }
}

extension ByteReader {
    mutating func pace() throws(WireError) -> Pace {
        let start = offset
        let code = try u8("pace")
        guard let pace = Pace(code: code, scale: try u64("scale")) else {
            throw WireError(.invalid, "pace", at: start)
        }
        return pace
    }

    fileprivate mutating func flashGeometry() throws(WireError) -> FlashGeometry {
        let start = offset
        let size = Int(try u32("flash size"))
        let page = Int(try u32("page size"))
        guard size > 0, page > 0, size % page == 0, size <= AirProtocol.flashLimit else {
            throw WireError(.invalid, "flash size", at: start)
        }
        return FlashGeometry(
            size: size, pageSize: page,
            programPerByte: .microseconds(Int64(try u32("program time"))),
            erasePage: .microseconds(Int64(try u32("erase time"))))
    }
}
