import AirBus
import Radio
import Wire

/// Messages with random content, the same for the same seed.
struct Samples {
    private var stream: SeededStream

    init(seed: UInt64) { stream = SeededStream(Seed(seed)) }

    mutating func below(_ bound: Int) -> Int { Int(stream.below(UInt64(bound))) }
    private mutating func number<Number: FixedWidthInteger>() -> Number {
        Number(truncatingIfNeeded: stream.next())
    }
    mutating func bytes(_ count: Int) -> [UInt8] { stream.bytes(count) }
    private mutating func flag() -> Bool { below(2) == 1 }
    private mutating func time() -> Instant { Instant(microseconds: Int64(stream.next() >> 2)) }
    private mutating func eui64() -> EUI64 { EUI64(stream.next() | 1) }
    private mutating func key() -> Key128 { Key128(high: number(), low: number()) }
    private mutating func hash() -> Digest256 {
        Digest256(words: (number(), number(), number(), number()))
    }
    private mutating func psdu(_ limit: Int) -> FrameBuffer {
        FrameBuffer(stream.bytes(below(limit + 1)))
    }
    private mutating func channel() -> UInt8 { UInt8(11 + below(16)) }
    private mutating func text(_ limit: Int) -> String {
        let letters = ["a", "Z", "9", " ", "é", "µ", "→", "𝄞"]
        return (0..<below(limit)).map { _ in letters[below(letters.count)] }.joined()
    }
    private mutating func code<Code: CaseIterable>(_ type: Code.Type) -> Code {
        let all = Array(Code.allCases)
        return all[below(all.count)]
    }
    private mutating func pace() -> Pace {
        switch below(3) {
        case 0: .virtual
        case 1: .real
        default: .scaled(stream.next() | 1)
        }
    }

    mutating func event(at time: Instant, of node: UInt16) -> EventRecord {
        var event = EventRecord(time: time, node: node, kind: code(EventKind.self))
        for index in 0..<below(7) { event.values[index] = flag() ? 0 : number() }
        return event
    }

    mutating func wanMessage() -> WANMessage {
        switch below(8) {
        case 0:
            .beginImage(
                delivery: number(), targets: (0..<below(65)).map { _ in eui64() }, size: number(),
                installableFrom: (0..<below(65)).map { _ in number() })
        case 1:
            .imageChunk(delivery: number(), offset: number(), bytes: stream.bytes(below(1025)))
        case 2: .endImage(delivery: number())
        case 3: .activateHub(hash: hash())
        case 4: .readVersion(device: eui64())
        case 5: .imageStored(delivery: number())
        case 6: .imageRefused(delivery: number(), reason: code(RefusalReason.self))
        default: .message(device: eui64(), bytes: stream.bytes(below(1_501)))
        }
    }

    mutating func order() -> Order {
        switch below(9) {
        case 0: .activate(hash: hash())
        case 1: .queryNextImage
        case 2: .queryDeviceFile(imageType: number())
        case 3: .cancelDownload
        case 4: .permitJoining(.seconds(Int64(below(100_000))))
        case 5: .updateNetworkKey
        case 6: .addDevice(eui64(), linkKey: key())
        case 7: .changeSupplier(anchor: stream.bytes(below(206)))
        default: .removeDevice(eui64())
        }
    }

    mutating func input() -> Input {
        switch below(8) {
        case 0: return .powerOn
        case 1: return .tick
        case 2:
            return .received(
                Reception(
                    frame: psdu(AirProtocol.psduLimit), rssi: number(), lqi: number(),
                    number: number()))
        case 3:
            return .transmitted(
                TransmitResult(
                    handle: number(), status: TransmitStatus(rawValue: UInt8(below(4)))!,
                    framePending: flag()))
        case 4: return .energy(channel: channel(), level: number())
        case 5: return .wan(wanMessage())
        case 6: return .order(order())
        default: return .observed(event(at: time(), of: number()))
        }
    }

    /// Appends one action of any kind.
    mutating func act(in out: inout Outbox) {
        switch below(16) {
        case 0:
            out.append(
                .configure(
                    RadioConfiguration(
                        channel: channel(), pan: PANID(number()),
                        shortAddress: ShortAddress(number()), eui64: EUI64(number()),
                        isCoordinator: flag(), receiverOnWhenIdle: flag())))
        case 1: out.append(.receiver(on: flag()))
        case 2:
            let isShort = flag()
            out.append(
                .pending(
                    isShort ? .short(ShortAddress(number())) : .extended(EUI64(number())), flag()))
        case 3:
            out.transmit(psdu(FrameBuffer.capacity), handle: number(), isIndirect: flag())
        case 4:
            out.append(
                .measureEnergy(
                    channel: channel(), duration: .milliseconds(Int64(below(250_000)))))
        case 5: out.program(stream.bytes(below(300)).span, at: below(1 << 20))
        case 6: out.append(.erase(page: below(1 << 12)))
        case 7: out.send(wanMessage())
        case 8: out.send(order(), to: number())
        case 9: out.append(.power(of: number(), on: flag()))
        case 10:
            out.append(
                .link(
                    a: number(), b: number(), rssi: number(),
                    lossPerMillion: UInt32(below(1_000_001))))
        case 11: out.append(.event(event(at: out.now, of: out.node)))
        case 12: out.append(.restart(after: .seconds(Int64(below(100_000)))))
        case 13: out.append(.endRun)
        case 14: out.append(.networkKey(key()))
        default: out.append(.linkKey(key(), partner: eui64()))
        }
    }

    mutating func hello() -> Hello {
        Hello(processID: number(), eui64: flag() ? eui64() : nil, name: "N" + text(60))
    }

    mutating func welcome() -> Welcome {
        let members = UInt16(1 + below(65_535))
        let page = 1 + below(8192)
        return Welcome(
            wantsDetail: flag(), observes: flag(), rejoins: flag(),
            index: UInt16(below(Int(members))), members: members, pace: pace(), seed: number(),
            start: UTCTime(secondsSince2000: number()),
            flash: FlashGeometry(
                size: page * (1 + below(1000)), pageSize: page,
                programPerByte: .microseconds(Int64(below(1 << 32))),
                erasePage: .microseconds(Int64(below(1 << 32)))))
    }

    mutating func notice() -> ErrorNotice {
        ErrorNotice(
            isFatal: flag(), request: number(), code: code(AirErrorCode.self), text: text(2000))
    }

    mutating func ended() -> Ended {
        Ended(reason: code(EndReason.self), time: time(), frames: number(), text: text(200))
    }

    mutating func member() -> FeedMember {
        FeedMember(
            index: number(), eui64: flag() ? eui64() : nil, role: text(20), name: text(60))
    }

    mutating func status() -> RunStatus {
        RunStatus(
            state: code(RunState.self), pace: pace(), time: time(), frames: number(),
            turns: number(),
            members: (0..<below(20)).map { _ in
                RunStatus.Member(
                    index: number(), state: code(MemberState.self), processID: number(),
                    eui64: flag() ? eui64() : nil, firmware: number(), offset: number(),
                    size: number(), role: text(20), name: text(60))
            })
    }

    mutating func frame() -> FrameRecord {
        let start = time()
        let isKnown = flag()
        return FrameRecord(
            number: number(), start: start, end: start + .microseconds(Int64(below(5000))),
            sender: number(), channel: channel(), psdu: psdu(FrameBuffer.capacity),
            rssi: isKnown ? number() : nil, lqi: isKnown ? number() : nil)
    }

    mutating func requestBody() -> ControlRequest.Body {
        switch below(7) {
        case 0: .status
        case 1: .wan(wanMessage())
        case 2: .order(order(), to: number())
        case 3: .power(of: number(), on: flag())
        case 4:
            .link(
                a: number(), b: number(), rssi: number(),
                lossPerMillion: UInt32(below(1_000_001)))
        case 5: .inject(channel: channel(), psdu: psdu(AirProtocol.psduLimit))
        default: .end
        }
    }

    mutating func answer(actions: Int = 6) -> [UInt8] {
        var out = Outbox()
        out.now = time()
        for _ in 0..<below(actions + 1) { act(in: &out) }
        out.countLosses(below(3))
        let (turn, next): (UInt32, Instant) = (number(), flag() ? .distantFuture : out.now)
        return Catalogue.build { $0.answer(turn: turn, nextDeadline: next, from: out) }
    }

    mutating func turn() -> [UInt8] {
        let input = input()
        let (now, frames, turn): (Instant, UInt64, UInt32) = (time(), number(), number())
        let cut = flag() ? .distantFuture : Instant(microseconds: now.microseconds / 2)
        var frame: UInt64 = 0
        if case .received(let reception) = input { frame = reception.number }
        return Catalogue.build {
            $0.turn(
                number: turn, time: now, frames: frames, input: input, frame: frame, cutAt: cut)
        }
    }

    /// A message of any kind.
    mutating func message() -> [UInt8] {
        switch below(16) {
        case 0:
            let hello = hello()
            return Catalogue.build { $0.hello(hello) }
        case 1, 2, 3: return answer()
        case 4, 5, 6: return turn()
        case 7:
            let welcome = welcome()
            return Catalogue.build { $0.welcome(welcome) }
        case 8:
            let notice = notice()
            return Catalogue.build { $0.error(notice) }
        case 9:
            let ended = ended()
            let isFeed = flag()
            return Catalogue.build { isFeed ? $0.feed(ended: ended) : $0.ended(ended) }
        case 10:
            let frame = frame()
            return Catalogue.build { $0.feed(frame: frame) }
        case 11:
            let event = event(at: time(), of: number())
            return Catalogue.build { $0.feed(event: event) }
        case 12:
            let (key, now) = (key(), time())
            return Catalogue.build { $0.feed(key: key, at: now) }
        case 13:
            let member = member()
            return Catalogue.build { $0.feed(member: member) }
        case 14:
            let (status, request): (RunStatus, UInt32) = (status(), number())
            return Catalogue.build { $0.status(status, request: request) }
        default:
            let request = ControlRequest(
                number: number(), requestBody(), member: flag() ? number() : nil)
            return Catalogue.build { $0.request(request) }
        }
    }
}
