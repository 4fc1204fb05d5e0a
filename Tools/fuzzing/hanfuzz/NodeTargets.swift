import Crypto
import Devices
import GBCS
import Radio
import Wire
import Zigbee

extension FuzzTarget {
    /// A node of a home: bytes become frames with the right keys and counters, so that they come
    /// through to every layer, messages that are signed as they should be, and the passing of time.
    static func nodes() -> [FuzzTarget] {
        let devices = zip(["device", "gsme", "ppmid", "hcalcs"], World.types).map { name, type in
            FuzzTarget(name, maximumLength: 1024, briefRuns: 2_000, memory: .node) {
                try prepared(World(), as: type, reaching: .messageReceived)
            }
        }
        return devices + [
            FuzzTarget("establishing", maximumLength: 2048, briefRuns: 2_000, memory: .node) {
                try prepared(World(.joined), as: .esme, reaching: .linkKeyEstablished)
            },
            FuzzTarget("hub", maximumLength: 1024, briefRuns: 3_000, memory: .node) {
                let world = try World()
                let play = { (bytes: [UInt8]) -> Set<EventKind> in
                    let flash = Flash(geometry: World.hubProfile.flash)
                    flash.fill(world.hubFlash, at: 0)
                    var play = Play(
                        world, Bench(world.hub, flash: flash, at: world.now), device: 0,
                        toHub: true)
                    play.run(bytes) { world.makeHub() }
                    return play.events
                }
                let seeds = World.types.indices.flatMap {
                    Script.seeds(world, device: $0, toHub: true)
                }
                check(seeds, reach: [.messageReceived, .tunnelMessageReceived], play)
                return Prepared(seeds: seeds) { _ = play($0) }
            },
        ]
    }

    private static func prepared(
        _ world: World, as type: DeviceType, reaching kind: EventKind
    ) throws -> Prepared {
        guard let index = World.types.firstIndex(of: type) else { found("no such device") }
        let device = world.devices[index]
        let play = { (bytes: [UInt8]) -> Set<EventKind> in
            let flash = Flash(geometry: World.deviceGeometry)
            flash.fill(device.flash, at: 0)
            var play = Play(
                world, Bench(device.node, flash: flash, at: world.now), device: index,
                toHub: false)
            play.run(bytes) { world.makeDevice(index) }
            return play.events
        }
        let seeds = Script.seeds(world, device: index, toHub: false)
        check(seeds, reach: [kind], play)
        return Prepared(seeds: seeds) { _ = play($0) }
    }

    /// The search begins with inputs that come through to the innermost layers.
    private static func check(
        _ seeds: [[UInt8]], reach kinds: Set<EventKind>, _ play: ([UInt8]) -> Set<EventKind>
    ) {
        let missed = kinds.subtracting(seeds.reduce(into: []) { $0.formUnion(play($1)) })
        if !missed.isEmpty { found("the seeds do not come to \(missed)") }
    }
}

/// What a script does, step by step: {what u8, length u8, bytes} over and over.
enum Script: UInt8, CaseIterable {
    /// A MAC frame as it is.
    case frame
    /// A NWK payload in a MAC frame, as it is.
    case network
    /// A NWK command under the network key.
    case networkCommand
    /// An APS frame under the network key.
    case application
    /// {cluster u16, flags u8, ZCL frame} in an APS frame under both keys: flag 0 a broadcast, 1
    /// an acknowledgement is asked for, 2 without the link key, 3 any profile, 4 any endpoint, 5
    /// that of the GPF's mirror.
    case message
    /// {key u8, APS command} under both keys: bits 0-1 which of the link key's, bit 2 without,
    /// bit 3 the install code's.
    case command
    /// {cluster u16, payload} to the ZDO, under the network key.
    case device
    /// {milliseconds u24} pass.
    case time
    /// {status u8}: how the transmission ended that is going on.
    case sent
    /// {what u8, bytes}: an order, or a message over the WAN.
    case order
    /// A restart: flash is all that is left.
    case power
    /// {flags u8, APS counter u8, block u8, rest} in an APS frame of a message in fragments, under
    /// both keys: bits 0-1 of the flags which fragment it is, bit 2 an acknowledgement, whose rest
    /// is its bitmap, bit 3 without the link key, bit 4 for the ZDO.
    case fragment
    /// {what u8, payload} as a GBCS command that is signed and authenticated, through the tunnel
    /// or over the WAN: bits 0-2 the use case, bit 3 for the GPF, bits 4-5 who sends it, bit 6 with
    /// the hash of an image that is there. Without a payload it is a proper one.
    case signed
    /// What the hub answers to the device's latest command of key establishment.
    case answer
    /// {device u8}: whose frames the hub gets from now on.
    case speaker

    static func step(_ kind: Script, _ bytes: [UInt8]) -> [UInt8] {
        [kind.rawValue, UInt8(clamping: bytes.count)] + bytes.prefix(255)
    }

    /// One seed for each kind of frame that the run had for this node, opened, all of the first in
    /// a row as they came, and the rest of what a script can have.
    static func seeds(_ world: World, device: Int, toHub: Bool) -> [[UInt8]] {
        var kinds: [[UInt8]] = []
        var row: [[UInt8]] = []
        let speaker = toHub ? [step(.speaker, [UInt8(device)])] : []
        var last = world.now
        for sent in world.frames where sent.sender == (toHub ? device + 1 : 0) {
            guard let step = Opened(sent.frame, world).step(device: device, toHub: toHub) else {
                continue
            }
            if !kinds.contains(where: { $0.prefix(7) == step.prefix(7) }) { kinds.append(step) }
            if kinds.count == 60 { break }
            guard row.count < 24 else { continue }
            let gap = UInt32(clamping: (sent.time - last).microseconds / 1000)
            last = sent.time
            // A key that is established is another at another time.
            let isEstablishment = Opened(sent.frame, world).keyEstablishment() != nil
            row += [
                self.step(.time, [0, 8, 16].map { UInt8(truncatingIfNeeded: gap >> $0) }),
                isEstablishment ? self.step(.answer, []) : step,
            ]
        }
        let fixed = [
            step(.time, [0x88, 0x13, 0]), step(.sent, [1]), step(.sent, [0x10]), step(.power, []),
            step(.order, [0] + [UInt8](repeating: 7, count: 40)), step(.order, [1]),
            step(.order, [2, 9, 0]), step(.order, [4, 0xF1, 0xFF, 1, 0, 2]),
            step(.order, [11] + [UInt8](repeating: 0xDF, count: 200)), step(.order, [12, 0xDF, 9]),
        ]
        let part = [UInt8](repeating: 0x01, count: 60)
        let fragments = [
            step(.fragment, [1, 9, 3] + part), step(.fragment, [2, 9, 1] + part),
            step(.fragment, [2, 9, 2] + part), step(.fragment, [5, 9, 0, 1]),
        ]
        let commands = (0..<128 as Range<UInt8>).filter { $0 & 7 < 6 && $0 & 0x30 < 0x30 }
            .filter { toHub || $0 & 8 == 0 }.map { step(.signed, [$0]) }
        let tunnel = TunnelCommand.transferData(world.devices[device].tunnel, fromServer: !toHub)
        let data = tunnel.frame(sequence: 9, data: [MailboxVerb.put, 0xDF, 9])
        let put = step(.message, [0x04, 0x07, 0] + data)
        // A device that leaves its tunnel open, and has a message to come.
        let gone = [
            step(.networkCommand, [4, 0]), step(.time, [16, 0, 0]), step(.order, [11, 0xDF, 9]),
        ]
        let alone =
            kinds + fixed + commands
            + [put, step(.signed, [2, 0x30, 0]), gone.flatMap { $0 }]
        return alone.map { (speaker + [$0]).flatMap { $0 } }
            + [(speaker + row).flatMap { $0 }, fragments.flatMap { $0 }]
    }
}

/// A recorded frame, opened as far as its keys are known.
struct Opened {
    private let frame: FrameBuffer
    private let world: World

    init(_ frame: FrameBuffer, _ world: World) {
        self.frame = frame
        self.world = world
    }

    /// The command of key establishment that it has, and its sequence number, if it has one.
    func keyEstablishment() -> (sequence: UInt8, command: KeyEstablishmentCommand)? {
        var reader = ByteReader(frame.span)
        guard let mac = try? MACHeader(parsing: &reader), mac.kind == .data else { return nil }
        let start = reader.offset
        guard let nwk = try? NWKHeader(parsing: &reader), nwk.kind == .data,
            let bytes = open(from: start, auxiliary: reader.offset, world.hub.stack.networkKey)
        else { return nil }
        var inner = ByteReader(bytes.span)
        guard let aps = try? APSHeader(parsing: &inner),
            aps.cluster == ClusterID.keyEstablishment, aps.kind == .data,
            let zcl = try? ZCLHeader(parsing: &inner), zcl.isClusterSpecific,
            let command = try? KeyEstablishmentCommand(zcl.command, parsing: &inner)
        else { return nil }
        return (zcl.sequence, command)
    }

    /// The step of a script that brings it about, if it went from the device to the hub or the
    /// other way.
    func step(device: Int, toHub: Bool) -> [UInt8]? {
        var reader = ByteReader(frame.span)
        guard let mac = try? MACHeader(parsing: &reader), mac.kind != .acknowledgement else {
            return nil
        }
        let address = world.devices[device].address
        guard toHub || mac.destination == .short(address) else { return nil }
        guard mac.kind == .data else { return Script.step(.frame, frame.bytes) }
        let start = reader.offset
        guard let nwk = try? NWKHeader(parsing: &reader), nwk.isSecured else {
            return Script.step(.network, Array(frame.bytes[start...]))
        }
        guard let plain = open(from: start, auxiliary: reader.offset, world.hub.stack.networkKey)
        else { return nil }
        if nwk.kind == .command { return Script.step(.networkCommand, plain) }
        return application(plain)
    }

    private func application(_ bytes: [UInt8]) -> [UInt8]? {
        var reader = ByteReader(bytes.span)
        guard let header = try? APSHeader(parsing: &reader) else { return nil }
        if header.kind == .data, header.profile == 0 {
            let body = Array(bytes[reader.offset...])
            let cluster = [UInt8(truncatingIfNeeded: header.cluster), UInt8(header.cluster >> 8)]
            return Script.step(.device, cluster + body)
        }
        guard header.kind == .data, header.isSecured, header.fragment == nil else {
            return Script.step(.application, bytes)
        }
        let inner = Opened(FrameBuffer(bytes), world)
        let keys = world.devices.flatMap { [$0.linkKey, $0.installCodeKey] }
        let auxiliary = reader.offset
        let plain = keys.lazy.compactMap { inner.open(from: 0, auxiliary: auxiliary, $0) }.first
        guard let plain else { return nil }
        let isForMirror = header.destinationEndpoint == World.hubProfile.mail.mirrorEndpoint
        return Script.step(
            .message,
            [
                UInt8(truncatingIfNeeded: header.cluster), UInt8(header.cluster >> 8),
                isForMirror ? 32 : 0,
            ] + plain)
    }

    private func open(from start: Int, auxiliary: Int, _ key: Key128?) -> [UInt8]? {
        guard let key, auxiliary < frame.count else { return nil }
        var frame = frame
        var reader = ByteReader(frame.span.extracting(auxiliary...))
        guard let header = try? AuxiliaryHeader(parsing: &reader) else { return nil }
        let payload = auxiliary + reader.offset
        frame[auxiliary] = header.fullControl
        // Without the address in it: the nonce is the sender's.
        let senders = [World.hubEUI64] + world.devices.map(\.eui64)
        for source in header.source.map({ [$0] }) ?? senders {
            var copy = frame
            let nonce = CCMNonce(
                source: source, counter: header.frameCounter, control: header.fullControl)
            if world.crypto.open(&copy, from: start, payload: payload, key: key, nonce: nonce) {
                return Array(copy.bytes[payload...])
            }
        }
        return nil
    }
}
