import Crypto
import GBCS
import Lab
import Radio
import Wire
import Zigbee

/// A script carried out on a node by a peer that has every key.
struct Play<N: Node>: ~Copyable {
    private var bench: Bench<N>
    private let world: World
    private let toHub: Bool
    /// The device that takes the frames, or whose frames they are.
    private var device: World.Device
    private var desk: MessageDesk
    private var counter: UInt32 = 0x0100_0000
    private var sequence: UInt8 = 0
    /// The hub's part in key establishment, as it should be.
    private var server: KeyEstablishmentServer

    /// Frames go from the hub to a device of the world, or from that to the hub.
    init(_ world: World, _ bench: consuming Bench<N>, device: Int, toHub: Bool) {
        self.world = world
        self.bench = bench
        self.toHub = toHub
        self.device = world.devices[device]
        desk = world.desk
        server = KeyEstablishmentServer(
            settings: KeyEstablishmentSettings(), credentials: world.hub.identity.credentials,
            eui64: World.hubEUI64, seed: World.seed)
    }

    /// What the node has noted.
    var events: Set<EventKind> { bench.events }

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
        case .signed: receiveSigned(content)
        case .answer: receiveAnswer()
        case .speaker:
            if toHub { device = world.devices[Int(content.first ?? 0) % world.devices.count] }
        }
    }

    // MARK: - Frames

    private var address: ShortAddress { toHub ? .coordinator : device.address }
    private var peer: ShortAddress { toHub ? device.address : .coordinator }
    private var peerEUI64: EUI64 { toHub ? device.eui64 : World.hubEUI64 }
    private var endpoint: UInt8 {
        toHub ? World.hubProfile.endpoint : device.node.profile.endpoint
    }
    private var peerEndpoint: UInt8 {
        toHub ? device.node.profile.endpoint : World.hubProfile.endpoint
    }

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
        guard content.count >= 3 else { return }
        var header = APSHeader(kind: .data, counter: sequence &+ 100)
        let flags = content[2]
        header.delivery = flags & 1 != 0 ? .broadcast : .unicast
        header.acknowledgementRequested = flags & 2 != 0
        header.isSecured = flags & 4 == 0
        header.cluster = UInt16(content[0]) | UInt16(content[1]) << 8
        header.profile = flags & 8 != 0 ? ProfileID.wildcard : ProfileID.smartEnergy
        header.destinationEndpoint =
            flags & 16 != 0
            ? 0xFF : flags & 32 != 0 ? World.hubProfile.mail.mirrorEndpoint : endpoint
        header.sourceEndpoint = peerEndpoint
        var frame = FrameBuffer()
        header.encode(into: &frame)
        let payload = Array(content[3...])
        if header.isSecured {
            seal(payload, into: &frame, from: 0, .data, device.linkKey)
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
        header.destinationEndpoint = flags & 16 != 0 ? 0 : endpoint
        header.sourceEndpoint = peerEndpoint
        header.fragment = .init(
            control: flags & 3, block: content[2],
            bitmap: isAcknowledgement ? payload.first ?? 0 : nil)
        var frame = FrameBuffer()
        header.encode(into: &frame)
        let body = isAcknowledgement ? [] : payload
        if header.isSecured {
            seal(body, into: &frame, from: 0, .data, device.linkKey)
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
        let linkKey = first & 8 == 0 ? device.linkKey : device.installCodeKey
        let keys: [(KeyIdentifier, Key128)] = [
            (.data, linkKey), (.keyTransport, linkKey.keyTransportKey),
            (.keyLoad, linkKey.keyLoadKey),
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

    // MARK: - Key establishment

    /// The hub's answer to the latest command of key establishment that the device has sent.
    private mutating func receiveAnswer() {
        for frame in bench.sent.reversed() {
            let opened = Opened(frame, world)
            guard let (sequence, command) = opened.keyEstablishment() else { continue }
            let answer = server.received(command, from: device.eui64, at: bench.now)
            guard let reply = answer.reply else { return }
            var header = APSHeader(kind: .data, counter: self.sequence &+ 100)
            (header.cluster, header.profile) = (ClusterID.keyEstablishment, ProfileID.smartEnergy)
            (header.destinationEndpoint, header.sourceEndpoint) = (endpoint, peerEndpoint)
            var frame = FrameBuffer()
            header.encode(into: &frame)
            frame.append(reply.frame(fromServer: true, sequence: sequence).span)
            receive(secured(.data, frame.bytes))
            return
        }
    }

    // MARK: - GBCS messages

    private static var codes: [MessageCode] {
        [
            .addDevice, .removeDevice, .activateFirmware, .readHANDeviceFirmwareVersion,
            .readESMEFirmwareVersion, .readGSMEFirmwareVersion,
        ]
    }

    /// A command that is signed and authenticated as it should be, whatever is in it.
    private mutating func receiveSigned(_ content: [UInt8]) {
        guard let what = content.first else { return }
        let parties = [
            MessageParties.supplier(1), MessageParties.broker, MessageParties.wanProvider,
        ]
        let code = Self.codes[Int(what & 7) % Self.codes.count]
        let entity = toHub ? (what & 8 == 0 ? world.chf : World.hubEUI64) : device.eui64
        let inside = Array(content.dropFirst())
        let isOfHeld = what & 0x40 != 0
        let (world, subject) = (world, device)
        let bytes = desk.command(
            code, by: parties[Int(what >> 4 & 3) % parties.count], to: entity,
            at: World.start.advanced(by: bench.now - .zero)
        ) { counter in
            if !inside.isEmpty { return .other(.bytes(inside)) }
            let invokeID = DLMSAPDU.invokeID(for: counter)
            switch code {
            case .addDevice:
                return .addDevice(
                    AddDevice(
                        invokeID: invokeID, device: subject.eui64,
                        installCode: (0..<16).map { UInt8($0) }, joinTime: 90))
            case .removeDevice:
                return .removeDevice(RemoveDevice(invokeID: invokeID, device: subject.eui64))
            case .activateFirmware:
                return .activateFirmware(
                    ActivateFirmware(
                        hash: isOfHeld ? world.heldHash : SHA256.digest([]),
                        originatorCounter: counter))
            case .readESMEFirmwareVersion:
                return .readESMEFirmwareVersion(ReadESMEFirmwareVersion(invokeID: invokeID))
            case .readGSMEFirmwareVersion:
                return .readGSMEFirmwareVersion(ReadGSMEFirmwareVersion())
            default: return .readFirmwareVersion
            }
        }
        if toHub {
            bench.give(.wan(.message(device: entity, bytes: bytes)))
        } else {
            receiveThroughTunnel(bytes)
        }
    }

    /// A message through the device's tunnel, in fragments.
    private mutating func receiveThroughTunnel(_ bytes: [UInt8]) {
        let isMailbox = device.node.profile.type == .gsme
        let whole = TunnelCommand.transferData(device.tunnel, fromServer: isMailbox).frame(
            sequence: sequence, data: (isMailbox ? [MailboxVerb.message, 0] : []) + bytes)
        let parts = stride(from: 0, to: whole.count, by: 60).map {
            Array(whole[$0..<min($0 + 60, whole.count)])
        }
        let counter = sequence &+ 100
        for (index, part) in parts.enumerated() {
            let head =
                index == 0
                ? [APSHeader.Fragment.first, counter, UInt8(parts.count)]
                : [APSHeader.Fragment.later, counter, UInt8(index)]
            receiveFragment(head + part)
            bench.pass(.milliseconds(5))
        }
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
        case 3: bench.give(.wan(.readVersion(device: device.eui64)))
        case 4: deliver(rest, to: [device.eui64])
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
        case 10: bench.give(.order(.removeDevice(device.eui64)))
        case 11: bench.give(.wan(.message(device: device.eui64, bytes: rest)))
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
