import AirBus
import Radio
import Wire

/// Every message, input, action, WAN message and order once, as the encoder writes it, under the
/// names that the examples of docs/air-protocol.md have.
enum Catalogue {
    static let examples: [String: [UInt8]] = {
        var all = messages
        for (name, input) in inputs { all["input-\(name)"] = Array(turn(input).dropFirst(22)) }
        for (name, action) in actions {
            all["action-\(name)"] = Array(answer(action).dropFirst(18))
        }
        for (name, message) in wanMessages {
            all["wan-\(name)"] = Array(turn(.wan(message)).dropFirst(23))
        }
        for (name, order) in orders {
            all["order-\(name)"] = Array(turn(.order(order)).dropFirst(23))
        }
        return all.merging(dialogue) { first, _ in first }
    }()

    /// A whole message of which an example is a part.
    static func message(around example: [UInt8], _ name: String) -> [UInt8] {
        guard !name.hasSuffix("-request") else { return example }
        let head: [UInt8]
        switch name.prefix(while: { $0 != "-" }) {
        case "input": head = turn(.tick).dropLast()
        case "action": head = answer(.endRun).dropLast()
        case "wan": head = turn(.tick).dropLast() + [5]
        case "order": head = turn(.tick).dropLast() + [6]
        default: return example
        }
        return head + example
    }

    static func build(_ write: (inout MessageBuilder) -> Void) -> [UInt8] {
        var builder = MessageBuilder()
        write(&builder)
        return builder.isOverflowed ? [] : builder.bytes
    }

    static func turn(_ input: Input) -> [UInt8] {
        var frame: UInt64 = 0
        if case .received(let reception) = input { frame = reception.number }
        return build {
            $0.turn(
                number: 7, time: second, frames: 42, input: input, frame: frame,
                cutAt: Instant(microseconds: 900_000))
        }
    }

    static func answer(_ fill: (inout Outbox) -> Void) -> [UInt8] {
        var out = Outbox()
        out.now = second
        out.node = 1
        fill(&out)
        return build {
            $0.answer(turn: 7, nextDeadline: Instant(microseconds: 1_250_000), from: out)
        }
    }

    private static func answer(_ action: Action) -> [UInt8] { answer { $0.append(action) } }

    private static func answer(_ action: CatalogueAction) -> [UInt8] {
        answer { out in
            switch action {
            case .plain(let action): out.append(action)
            case .wan(let message): out.send(message)
            case .order(let order, let target): out.send(order, to: target)
            }
        }
    }

    private enum CatalogueAction {
        case plain(Action)
        case wan(WANMessage)
        case order(Order, to: UInt16)
    }

    // MARK: - What the examples are made of

    static let second = Instant(microseconds: 1_000_000)
    static let hub = EUI64(0x0247_4200_0000_0100)
    static let esme = EUI64(0x0247_4200_0000_0101)
    static let hash = Digest256((0..<32).map { UInt8($0) })!
    static let key = Key128((0xA0...0xAF).map { UInt8($0) })!
    /// An acknowledged data frame with three bytes of payload.
    static let psdu = FrameBuffer([
        0x61, 0x88, 0x2A, 0x62, 0x1A, 0x00, 0x00, 0x34, 0x12, 0x01, 0x02, 0x03,
    ])

    private static var withFCS: FrameBuffer {
        var frame = psdu
        frame.append(CRC16.frameCheckSequence(psdu.span))
        return frame
    }

    static let status = RunStatus(
        state: .running, pace: .virtual, time: second, frames: 42, turns: 7,
        members: [
            .init(
                index: 0, state: .onAir, processID: 1234, eui64: hub, firmware: 0x0105_0200,
                offset: 0, size: 0, role: "CH", name: "CH"),
            .init(
                index: 1, state: .absent, processID: 0, eui64: esme, firmware: 0, offset: 0,
                size: 0, role: "ESME", name: "ESME"),
        ])

    private static let messages: [String: [UInt8]] = [
        "hello": build { $0.hello(Hello(processID: 1234, eui64: esme, name: "ESME")) },
        "answer": answer {
            $0.append(.receiver(on: true))
            $0.note(.booted)
        },
        "wake": build { $0.wake() },
        "leave": build { $0.leave() },
        "welcome": build {
            $0.welcome(
                Welcome(
                    wantsDetail: true, observes: false, rejoins: false, index: 1, members: 6,
                    pace: .virtual, seed: 1, start: UTCTime(secondsSince2000: 825_757_200),
                    flash: FlashGeometry(size: 1 << 20)))
        },
        "turn": turn(.tick),
        "error": build {
            $0.error(
                ErrorNotice(
                    isFatal: true, request: 0, code: .unsupportedVersion,
                    text: "this air speaks version 1"))
        },
        "ended": build {
            $0.ended(Ended(reason: .runEnded, time: second, frames: 42, text: "passed"))
        },
        "ping": build { $0.ping() },
        "frame": build {
            $0.feed(
                frame: FrameRecord(
                    number: 42, start: Instant(microseconds: 999_360), end: second, sender: 1,
                    channel: 11, psdu: withFCS, rssi: -60, lqi: 145))
        },
        "event": build {
            $0.feed(
                event: EventRecord(
                    time: second, node: 1, kind: .otaProgress, 480, 12_345, 10, 0x0302_0001))
        },
        "key": build { $0.feed(key: key, at: second) },
        "feed-ended": build {
            $0.feed(ended: Ended(reason: .airStopped, time: second, frames: 42, text: ""))
        },
        "member": build {
            $0.feed(member: FeedMember(index: 1, eui64: esme, role: "ESME", name: "ESME"))
        },
        "status-request": build { $0.request(ControlRequest(number: 9, .status)) },
        "wan-request": build {
            $0.request(ControlRequest(number: 9, .wan(.readVersion(device: esme))))
        },
        "home-wan-request": build {
            $0.request(
                ControlRequest(number: 9, .wan(.readVersion(device: esme)), member: 7))
        },
        "order-request": build {
            $0.request(ControlRequest(number: 9, .order(.queryNextImage, to: 1)))
        },
        "power-request": build { $0.request(ControlRequest(number: 9, .power(of: 1, on: false))) },
        "link-request": build {
            $0.request(
                ControlRequest(number: 9, .link(a: 0, b: 1, rssi: -90, lossPerMillion: 50_000)))
        },
        "inject-request": build {
            $0.request(ControlRequest(number: 9, .inject(channel: 11, psdu: psdu)))
        },
        "end-request": build { $0.request(ControlRequest(number: 9, .end)) },
        "status": build { $0.status(status, request: 9) },
        "done": build { $0.done(request: 9, time: second) },
    ]

    private static let inputs: [String: Input] = [
        "power-on": .powerOn,
        "tick": .tick,
        "received": .received(Reception(frame: psdu, rssi: -60, lqi: 145, number: 42)),
        "transmitted": .transmitted(
            TransmitResult(handle: 5, status: .success, framePending: true)),
        "energy": .energy(channel: 11, level: -97),
        "wan": .wan(.endImage(delivery: 3)),
        "order": .order(.queryNextImage),
        "observed": .observed(
            EventRecord(
                time: Instant(microseconds: 999_000), node: 2, kind: .otaProgress, 480, 12_345, 10,
                0x0302_0001)),
    ]

    private static let actions: [String: CatalogueAction] = [
        "configure": .plain(
            .configure(
                RadioConfiguration(
                    channel: 11, pan: PANID(0x1A62), shortAddress: ShortAddress(0x1234),
                    eui64: esme, isCoordinator: false, receiverOnWhenIdle: true))),
        "receiver": .plain(.receiver(on: true)),
        "pending-short": .plain(.pending(.short(ShortAddress(0x1234)), true)),
        "pending-extended": .plain(.pending(.extended(esme), false)),
        "transmit": .plain(.transmit(handle: 5, frame: psdu, isIndirect: false)),
        "measure-energy": .plain(
            .measureEnergy(channel: 11, duration: .microseconds(138_240))),
        "program": .plain(.program(address: 4096, from: 0, count: 16)),
        "erase": .plain(.erase(page: 1)),
        "wan": .wan(.imageStored(delivery: 3)),
        "order": .order(.cancelDownload, to: 1),
        "power": .plain(.power(of: 1, on: false)),
        "link": .plain(.link(a: 0, b: 1, rssi: -90, lossPerMillion: 50_000)),
        "event": .plain(
            .event(EventRecord(time: second, node: 1, kind: .joined, 0x1234, 0x0000))),
        "restart": .plain(.restart(after: .seconds(3))),
        "end-run": .plain(.endRun),
        "network-key": .plain(.networkKey(key)),
        "link-key": .plain(.linkKey(key, partner: esme)),
    ]

    private static let wanMessages: [String: WANMessage] = [
        "begin-image": .beginImage(
            delivery: 3, targets: [esme], size: 12_345, installableFrom: [0x0301_0407]),
        "image-chunk": .imageChunk(delivery: 3, offset: 1024, bytes: [0xDE, 0xAD, 0xBE, 0xEF]),
        "end-image": .endImage(delivery: 3),
        "activate-hub": .activateHub(hash: hash),
        "read-version": .readVersion(device: esme),
        "image-stored": .imageStored(delivery: 3),
        "image-refused": .imageRefused(delivery: 3, reason: .storeFull),
        "message": .message(device: esme, bytes: [0xDF, 0x09, 0x01, 0x02]),
    ]

    private static let orders: [String: Order] = [
        "activate": .activate(hash: hash),
        "query-next-image": .queryNextImage,
        "query-device-file": .queryDeviceFile(imageType: 0xFFC1),
        "cancel-download": .cancelDownload,
        "permit-joining": .permitJoining(.seconds(180)),
        "update-network-key": .updateNetworkKey,
        "add-device": .addDevice(esme, linkKey: key),
        "remove-device": .removeDevice(esme),
        "change-supplier": .changeSupplier(anchor: [0x02, 0x00]),
    ]

    // MARK: - One node's way from its hello to its first frame

    private static let dialogue: [String: [UInt8]] = {
        func answer(_ turn: UInt32, at now: Int64, next: Instant, _ fill: (inout Outbox) -> Void)
            -> [UInt8]
        {
            var out = Outbox()
            out.now = Instant(microseconds: now)
            out.node = 1
            fill(&out)
            return build { $0.answer(turn: turn, nextDeadline: next, from: out) }
        }
        func turn(_ number: UInt32, at now: Int64, frames: UInt64, _ input: Input) -> [UInt8] {
            build {
                $0.turn(
                    number: number, time: Instant(microseconds: now), frames: frames, input: input,
                    frame: 0)
            }
        }
        return [
            "dialogue-1": messages["hello"] ?? [],
            "dialogue-2": messages["welcome"] ?? [],
            "dialogue-3": turn(1, at: 0, frames: 0, .powerOn),
            "dialogue-4": answer(1, at: 0, next: Instant(microseconds: 500_000)) {
                $0.note(.poweredOn, 0x0301_0407)
                $0.append(
                    .configure(
                        RadioConfiguration(
                            channel: 11, pan: .broadcast, shortAddress: .everyone, eui64: esme,
                            isCoordinator: false, receiverOnWhenIdle: true)))
                $0.note(.booted)
            },
            "dialogue-5": turn(2, at: 500_000, frames: 0, .tick),
            "dialogue-6": answer(2, at: 500_000, next: Instant(microseconds: 638_240)) {
                $0.transmit(
                    FrameBuffer([0x03, 0x08, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0x07]), handle: 1)
            },
            "dialogue-7": turn(
                3, at: 501_792, frames: 1,
                .transmitted(TransmitResult(handle: 1, status: .success, framePending: false))),
            "dialogue-8": answer(3, at: 501_792, next: Instant(microseconds: 638_240)) { _ in },
        ]
    }()
}

/// Reads a message of any kind and writes it again.
func recode(_ bytes: [UInt8]) throws(WireError) -> [UInt8] {
    let kind = AirProtocol.kind(of: bytes.span)
    var builder = MessageBuilder()
    switch kind {
    case .answer:
        var out = Outbox()
        let (turn, next) = try AirProtocol.decodeAnswer(bytes.span, into: &out, node: 1, now: .zero)
        builder.answer(turn: turn, nextDeadline: next, from: out)
    case .turn:
        var turn = BusTurn()
        try AirProtocol.decodeTurn(bytes.span, into: &turn)
        builder.turn(
            number: turn.number, time: turn.time, frames: turn.frames, input: turn.input,
            frame: turn.frame, cutAt: turn.cutAt)
    case .hello, .wake, .leave:
        switch try FromNode(parsing: bytes.span) {
        case .hello(let hello): builder.hello(hello)
        case .wake: builder.wake()
        case .leave: builder.leave()
        case .answer: break
        }
    case .welcome, .error, .ended, .ping:
        switch try FromAir(parsing: bytes.span) {
        case .welcome(let welcome): builder.welcome(welcome)
        case .error(let notice): builder.error(notice)
        case .ended(let ended): builder.ended(ended)
        case .ping: builder.ping()
        case .turn: break
        }
    case .frame, .event, .key, .feedEnded, .member:
        switch try FeedMessage(parsing: bytes.span) {
        case .frame(let frame): builder.feed(frame: frame)
        case .event(let event): builder.feed(event: event)
        case .key(let key, let time): builder.feed(key: key, at: time)
        case .ended(let ended): builder.feed(ended: ended)
        case .member(let member): builder.feed(member: member)
        }
    case .status, .done:
        switch try ControlAnswer(parsing: bytes.span) {
        case .status(let status, let request): builder.status(status, request: request)
        case .done(let request, let time): builder.done(request: request, time: time)
        case .error: break
        }
    case .statusRequest, .wan, .order, .power, .link, .inject, .end, .homeWAN:
        builder.request(try ControlRequest(parsing: bytes.span))
    case nil: throw WireError(.invalid, "kind", at: 0)
    }
    return builder.bytes
}

// The testing macros cannot hold a span.
extension FromNode {
    init(_ bytes: [UInt8]) throws(WireError) { try self.init(parsing: bytes.span) }
}

extension FromAir {
    init(_ bytes: [UInt8]) throws(WireError) { try self.init(parsing: bytes.span) }
}

extension FeedMessage {
    init(_ bytes: [UInt8]) throws(WireError) { try self.init(parsing: bytes.span) }
}

extension ControlAnswer {
    init(_ bytes: [UInt8]) throws(WireError) { try self.init(parsing: bytes.span) }
}

extension ControlRequest {
    init(_ bytes: [UInt8]) throws(WireError) { try self.init(parsing: bytes.span) }
}
