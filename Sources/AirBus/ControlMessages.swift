import Radio
import Wire

/// What a client asks of a running air. The answer names `number`.
public struct ControlRequest: Sendable {
    public enum Body: Sendable {
        case status
        /// To the hub, as from the CSP.
        case wan(WANMessage)
        case order(Order, to: UInt16)
        case power(of: UInt16, on: Bool)
        /// What two members hear of each other, both ways: dBm, and frames lost in a million.
        case link(a: UInt16, b: UInt16, rssi: Int8, lossPerMillion: UInt32)
        /// A PSDU without its FCS, which a radio outside the roster sends.
        case inject(channel: UInt8, psdu: FrameBuffer)
        /// Ends the run.
        case end
    }

    public var number: UInt32
    public var body: Body
    /// With `wan` on an air with several homes: a member of the home whose hub it is for; nil is
    /// the first one's.
    public var member: UInt16?

    public init(number: UInt32, _ body: Body, member: UInt16? = nil) {
        self.number = number
        self.body = body
        self.member = member
    }

    public init(parsing bytes: Span<UInt8>) throws(WireError) {
        var reader = ByteReader(bytes)
        let kind = MessageKind(rawValue: try reader.u8("kind"))
        number = try reader.u32("request")
        switch kind {
        case .statusRequest: body = .status
        case .wan: body = .wan(try reader.wanMessage())
        case .homeWAN:
            member = try reader.u16("member")
            body = .wan(try reader.wanMessage())
        case .order:
            let target = try reader.u16("member")
            body = .order(try reader.order(), to: target)
        case .power:
            body = .power(of: try reader.u16("member"), on: try reader.flag("power"))
        case .link:
            body = .link(
                a: try reader.u16("member"), b: try reader.u16("member"),
                rssi: try reader.i8("RSSI"), lossPerMillion: try reader.loss())
        case .inject:
            body = .inject(
                channel: try reader.channel("channel"),
                psdu: try reader.psdu("PSDU", limit: AirProtocol.psduLimit))
        case .end: body = .end
        default: throw WireError(.invalid, "kind", at: 0)
        }
        try reader.end(after: "message")
    }
}

/// How a run stands.
public struct RunStatus: Equatable, Sendable {
    /// One member of its roster.
    public struct Member: Equatable, Sendable {
        public var index: UInt16
        public var state: MemberState
        /// 0 where nobody has its place.
        public var processID: UInt32
        /// Nil for one without a radio.
        public var eui64: EUI64?
        /// The version that it last said it runs, or 0.
        public var firmware: UInt32
        /// Bytes of the image under way that it has, and of the whole image; 0 where none is.
        public var offset: UInt32
        public var size: UInt32
        public var role: String
        public var name: String

        public init(
            index: UInt16, state: MemberState, processID: UInt32, eui64: EUI64?, firmware: UInt32,
            offset: UInt32, size: UInt32, role: String, name: String
        ) {
            self.index = index
            self.state = state
            self.processID = processID
            self.eui64 = eui64
            self.firmware = firmware
            self.offset = offset
            self.size = size
            self.role = role
            self.name = name
        }

        /// Bytes of the shortest one.
        static let minimum = 29
    }

    public var state: RunState
    public var pace: Pace
    public var time: Instant
    /// Frames that have been on the air.
    public var frames: UInt64
    /// Turns that have been given to nodes.
    public var turns: UInt64
    public var members: [Member]

    public init(
        state: RunState, pace: Pace, time: Instant, frames: UInt64, turns: UInt64 = 0,
        members: [Member]
    ) {
        self.state = state
        self.pace = pace
        self.time = time
        self.frames = frames
        self.turns = turns
        self.members = members
    }
}

/// What an air answers on its control socket.
public enum ControlAnswer: Equatable, Sendable {
    case status(RunStatus, request: UInt32)
    /// The order was given, at this virtual time.
    case done(request: UInt32, time: Instant)
    case error(ErrorNotice)

    public init(parsing bytes: Span<UInt8>) throws(WireError) {
        var reader = ByteReader(bytes)
        switch MessageKind(rawValue: try reader.u8("kind")) {
        case .status:
            let request = try reader.u32("request")
            self = .status(try reader.runStatus(), request: request)
        case .done:
            self = .done(request: try reader.u32("request"), time: try reader.knownTime("time"))
        case .error: self = .error(try ErrorNotice(after: &reader))
        default: throw WireError(.invalid, "kind", at: 0)
        }
        try reader.end(after: "message")
    }
}

extension MessageBuilder {
    public mutating func request(_ request: ControlRequest) {
        if let member = request.member, case .wan(let message) = request.body {
            begin(.homeWAN)
            put(request.number)
            put(member)
            put(message)
            return
        }
        begin(request.body.kind)
        put(request.number)
        switch request.body {
        case .status, .end: break
        case .wan(let message): put(message)
        case .order(let order, let target):
            put(target)
            put(order)
        case .power(let target, let on):
            put(target)
            put(on)
        case .link(let a, let b, let rssi, let loss):
            put(link: a, b, rssi: rssi, lossPerMillion: loss)
        case .inject(let channel, let psdu):
            put(channel)
            put(psdu)
        }
    }

    public mutating func status(_ status: RunStatus, request: UInt32) {
        begin(.status)
        put(request)
        put(status.state.rawValue)
        put(status.pace)
        put(status.time)
        put(status.frames)
        put(UInt16(clamping: status.members.count))
        for member in status.members.prefix(Int(UInt16.max)) {
            put(member.index)
            put(member.state.rawValue)
            put(member.processID)
            put(member.eui64 ?? EUI64(0))
            put(member.firmware)
            put(member.offset)
            put(member.size)
            put(text8: member.role)
            put(text8: member.name)
        }
        put(status.turns)
    }

    public mutating func done(request: UInt32, time: Instant) {
        begin(.done)
        put(request)
        put(time)
    }
}

extension ControlRequest.Body {
    fileprivate var kind: MessageKind {
        switch self {
        case .status: .statusRequest
        case .wan: .wan
        case .order: .order
        case .power: .power
        case .link: .link
        case .inject: .inject
        case .end: .end
        }
    }
}

extension ByteReader {
    fileprivate mutating func runStatus() throws(WireError) -> RunStatus {
        var status = RunStatus(
            state: try code(RunState.self, "state"), pace: try pace(),
            time: try knownTime("time"), frames: try u64("frames"), members: [])
        let count = try count(
            "member count", of: RunStatus.Member.minimum, limit: Int(UInt16.max))
        status.members.reserveCapacity(count)
        for _ in 0..<count { status.members.append(try runMember()) }
        status.turns = try u64("turns")
        return status
    }

    private mutating func runMember() throws(WireError) -> RunStatus.Member {
        let index = try u16("member")
        let state = try code(MemberState.self, "member state")
        let process = try u32("process ID")
        let address = try u64("EUI-64")
        return RunStatus.Member(
            index: index, state: state, processID: process,
            eui64: address == 0 ? nil : EUI64(address), firmware: try u32("firmware"),
            offset: try u32("offset"), size: try u32("size"), role: try text8("role"),
            name: try text8("name"))
    }
}
