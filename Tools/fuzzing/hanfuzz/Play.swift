import Crypto
import Radio
import Wire
import Zigbee

/// A script carried out on a node by a peer that has every key.
struct Play<N: Node>: ~Copyable {
    private var bench: Bench<N>
    private let world: World
    private let toHub: Bool
    private var counter: UInt32 = 0x0100_0000
    private var sequence: UInt8 = 0

    init(_ world: World, _ bench: consuming Bench<N>, toHub: Bool) {
        self.world = world
        self.bench = bench
        self.toHub = toHub
    }

    mutating func run(_ bytes: [UInt8], restart: () -> N) {
        var rest = bytes[...]
        var steps = 0
        while rest.count >= 2, steps < 64 {
            steps += 1
            let kinds = Script.allCases
            let kind = kinds[Int(rest.removeFirst()) % kinds.count]
            let length = Int(rest.removeFirst())
            let content = Array(rest.prefix(length))
            rest = rest.dropFirst(length)
            if kind != .sent { bench.finishSending() }
            if kind == .power || bench.isRestarting {
                bench.node = restart()
                bench.powerOn()
                bench.pass(.seconds(30))
            }
            step(kind, content)
            bench.pass(.milliseconds(5))
        }
        bench.pass(.seconds(70))
    }

    private mutating func step(_ kind: Script, _ content: [UInt8]) {
        switch kind {
        case .frame: receive(FrameBuffer(content))
        case .network: receive(plain(content))
        case .networkCommand: receive(secured(.command, content))
        case .application: receive(secured(.data, content))
        case .message: receiveMessage(content)
        case .command: receiveCommand(content)
        case .device: receiveZDO(content)
        case .time:
            let padded = content + [0, 0, 0]
            let time = Int64(padded[0]) | Int64(padded[1]) << 8 | Int64(padded[2]) << 16
            bench.pass(.milliseconds(time))
        case .sent:
            let status = content.first ?? 0
            bench.finishSending(
                TransmitStatus(rawValue: status & 3) ?? .success,
                framePending: status & 0x10 != 0)
        case .order: order(content)
        case .power: break
        case .fragment: receiveFragment(content)
        }
    }

    // MARK: - Frames

    private var address: ShortAddress { toHub ? .coordinator : world.device.stack.address }
    private var peer: ShortAddress { toHub ? world.device.stack.address : .coordinator }
    private var peerEUI64: EUI64 { toHub ? World.deviceEUI64 : World.hubEUI64 }

    private mutating func receive(_ frame: FrameBuffer) {
        guard !frame.isOverflowed, frame.count <= 125 else { return }
        bench.give(.received(Reception(frame: frame, rssi: -60, lqi: 200, number: 0)))
    }

    private mutating func macFrame() -> FrameBuffer {
        sequence &+= 1
        var frame = FrameBuffer()
        MACHeader.within(
            world.pan, kind: .data, sequence: sequence, to: .short(address),
            from: .short(peer)
        ).encode(into: &frame)
        return frame
    }

    private mutating func plain(_ bytes: [UInt8]) -> FrameBuffer {
        var frame = macFrame()
        frame.append(bytes.span)
        return frame
    }

    private mutating func secured(_ kind: NWKHeader.Kind, _ payload: [UInt8]) -> FrameBuffer {
        var frame = macFrame()
        let start = frame.count
        NWKHeader(
            kind: kind, destination: address, source: peer, radius: 5, sequence: sequence
        ).encode(into: &frame)
        seal(payload, into: &frame, from: start, .network, world.hub.stack.networkKey)
        return frame
    }

    private mutating func seal(
        _ payload: [UInt8], into frame: inout FrameBuffer, from start: Int,
        _ identifier: KeyIdentifier, _ key: Key128?
    ) {
        guard let key else { return }
        counter += 1
        let auxiliary = AuxiliaryHeader(key: identifier, frameCounter: counter, source: peerEUI64)
        let at = frame.count
        auxiliary.encodeForSealing(into: &frame)
        let from = frame.count
        frame.append(payload.span)
        guard !frame.isOverflowed else { return }
        world.crypto.seal(
            &frame, from: start, payload: from, key: key,
            nonce: CCMNonce(
                source: peerEUI64, counter: counter, control: auxiliary.fullControl))
        if !frame.isOverflowed { frame[at] &= 0xF8 }
    }

    private mutating func receiveMessage(_ content: [UInt8]) {
        guard content.count >= 2 else { return }
        var header = APSHeader(kind: .data, counter: sequence &+ 100)
        let flags = content[1]
        header.delivery = flags & 1 != 0 ? .broadcast : .unicast
        header.acknowledgementRequested = flags & 2 != 0
        header.isSecured = flags & 4 == 0
        header.cluster = UInt16(content[0])
        header.profile = flags & 8 != 0 ? ProfileID.wildcard : ProfileID.smartEnergy
        header.destinationEndpoint = flags & 16 != 0 ? 0xFF : toHub ? 3 : 1
        header.sourceEndpoint = toHub ? 1 : 3
        var frame = FrameBuffer()
        header.encode(into: &frame)
        let payload = Array(content[2...])
        if header.isSecured {
            seal(payload, into: &frame, from: 0, .data, world.linkKey)
        } else {
            frame.append(payload.span)
        }
        guard !frame.isOverflowed else { return }
        receive(secured(.data, frame.bytes))
    }

    private mutating func receiveFragment(_ content: [UInt8]) {
        guard content.count >= 3 else { return }
        let (flags, payload) = (content[0], Array(content[3...]))
        let isAcknowledgement = flags & 4 != 0
        var header = APSHeader(
            kind: isAcknowledgement ? .acknowledgement : .data, counter: content[1])
        header.isSecured = flags & 8 == 0
        header.acknowledgementRequested = !isAcknowledgement
        header.cluster = ClusterID.tunneling
        header.profile = flags & 16 != 0 ? ProfileID.zigbeeDevice : ProfileID.smartEnergy
        header.destinationEndpoint = flags & 16 != 0 ? 0 : toHub ? 3 : 1
        header.sourceEndpoint = toHub ? 1 : 3
        header.fragment = .init(
            control: flags & 3, block: content[2],
            bitmap: isAcknowledgement ? payload.first ?? 0 : nil)
        var frame = FrameBuffer()
        header.encode(into: &frame)
        let body = isAcknowledgement ? [] : payload
        if header.isSecured {
            seal(body, into: &frame, from: 0, .data, world.linkKey)
        } else {
            frame.append(body.span)
        }
        guard !frame.isOverflowed else { return }
        receive(secured(.data, frame.bytes))
    }

    private mutating func receiveCommand(_ content: [UInt8]) {
        guard let first = content.first else { return }
        var header = APSHeader(kind: .command, counter: sequence &+ 100)
        header.isSecured = first & 4 == 0
        var frame = FrameBuffer()
        header.encode(into: &frame)
        let payload = Array(content.dropFirst())
        let keys: [(KeyIdentifier, Key128)] = [
            (.data, world.linkKey), (.keyTransport, world.linkKey.keyTransportKey),
            (.keyLoad, world.linkKey.keyLoadKey),
        ]
        if header.isSecured {
            let key = keys[Int(first & 3) % 3]
            seal(payload, into: &frame, from: 0, key.0, key.1)
        } else {
            frame.append(payload.span)
        }
        guard !frame.isOverflowed else { return }
        receive(secured(.data, frame.bytes))
    }

    private mutating func receiveZDO(_ content: [UInt8]) {
        guard content.count >= 2 else { return }
        var header = APSHeader(kind: .data, counter: sequence &+ 100)
        header.cluster = UInt16(content[0]) | UInt16(content[1]) << 8
        header.profile = ProfileID.zigbeeDevice
        var frame = FrameBuffer()
        header.encode(into: &frame)
        let payload = Array(content[2...])
        frame.append(payload.span)
        guard !frame.isOverflowed else { return }
        receive(secured(.data, frame.bytes))
    }

    // MARK: - Orders

    private mutating func order(_ content: [UInt8]) {
        guard let what = content.first else { return }
        let rest = Array(content.dropFirst())
        let number = UInt32(rest.first ?? 0)
        switch what % 14 {
        case 0:
            guard let hash = Digest256(rest.prefix(32)) else { return }
            bench.give(.order(.activate(hash: hash)))
            bench.give(.wan(.activateHub(hash: hash)))
        case 1: bench.give(.order(.queryNextImage))
        case 2: bench.give(.order(.permitJoining(.milliseconds(Int64(number) * 1000))))
        case 3: bench.give(.wan(.readVersion(device: World.deviceEUI64)))
        case 4: deliver(rest, to: [World.deviceEUI64])
        case 5: deliver(rest, to: [World.hubEUI64])
        case 6:
            bench.give(
                .wan(
                    .beginImage(
                        delivery: number, targets: [EUI64(1)], size: number << 24,
                        installableFrom: [number])))
        case 7:
            bench.give(.order(.queryDeviceFile(imageType: UInt16(truncatingIfNeeded: number))))
        case 8: bench.give(.order(.cancelDownload))
        case 9: bench.give(.order(.updateNetworkKey))
        case 10: bench.give(.order(.removeDevice(World.deviceEUI64)))
        case 11: bench.give(.wan(.message(device: World.deviceEUI64, bytes: rest)))
        case 12: bench.give(.wan(.message(device: World.hubEUI64, bytes: rest)))
        default:
            bench.give(.wan(.imageChunk(delivery: number, offset: number << 20, bytes: rest)))
        }
    }

    private mutating func deliver(_ bytes: [UInt8], to targets: [EUI64]) {
        bench.give(
            .wan(
                .beginImage(
                    delivery: 9, targets: targets, size: UInt32(bytes.count), installableFrom: [])))
        bench.give(.wan(.imageChunk(delivery: 9, offset: 0, bytes: bytes)))
        bench.give(.wan(.endImage(delivery: 9)))
    }
}
