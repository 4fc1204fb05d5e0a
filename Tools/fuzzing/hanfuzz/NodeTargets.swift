import Crypto
import Devices
import Radio
import Wire
import Zigbee

extension FuzzTarget {
    /// A joined device, and its hub: bytes become frames with the right keys and counters, so
    /// that they come through to every layer, and the passing of time.
    static func nodes() -> [FuzzTarget] {
        [
            FuzzTarget("device", maximumLength: 1024, briefRuns: 5_000, memory: .node) {
                let world = try World()
                return Prepared(seeds: Script.seeds(world, toHub: false)) { bytes in
                    let flash = Flash(geometry: World.deviceGeometry)
                    flash.fill(world.deviceFlash, at: 0)
                    var play = Play(
                        world, Bench(world.device, flash: flash, at: world.now), toHub: false)
                    play.run(bytes) { world.makeDevice() }
                }
            },
            FuzzTarget("hub", maximumLength: 1024, briefRuns: 5_000, memory: .node) {
                let world = try World()
                return Prepared(seeds: Script.seeds(world, toHub: true)) { bytes in
                    let flash = Flash(geometry: World.hubProfile.flash)
                    flash.fill(world.hubFlash, at: 0)
                    var play = Play(
                        world, Bench(world.hub, flash: flash, at: world.now), toHub: true)
                    play.run(bytes) { world.makeHub() }
                }
            },
        ]
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
    /// {cluster u8, profile and endpoint u8, ZCL frame} in an APS frame under both keys.
    case message
    /// {key u8, APS command} under both keys.
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

    static func step(_ kind: Script, _ bytes: [UInt8]) -> [UInt8] {
        [kind.rawValue, UInt8(clamping: bytes.count)] + bytes.prefix(255)
    }

    /// One seed for each kind of frame that the run had for this node, opened, and all of the
    /// first in a row.
    static func seeds(_ world: World, toHub: Bool) -> [[UInt8]] {
        var steps: [[UInt8]] = []
        for frame in world.frames {
            guard let step = Opened(frame, world).step(toHub: toHub) else { continue }
            if !steps.contains(where: { $0.prefix(5) == step.prefix(5) }) { steps.append(step) }
            if steps.count == 60 { break }
        }
        steps += [
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
        return steps + [Array(steps.prefix(12).joined()), Array(fragments.joined())]
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

    /// The step of a script that brings it about, if it went to the hub or to the device.
    func step(toHub: Bool) -> [UInt8]? {
        var reader = ByteReader(frame.span)
        guard let mac = try? MACHeader(parsing: &reader), mac.kind != .acknowledgement else {
            return nil
        }
        let isFromHub =
            mac.source == .short(.coordinator) || mac.source == .extended(World.hubEUI64)
        guard isFromHub != toHub else { return nil }
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
        guard header.kind == .data, header.isSecured else {
            return Script.step(.application, bytes)
        }
        let inner = Opened(FrameBuffer(bytes), world)
        guard let plain = inner.open(from: 0, auxiliary: reader.offset, world.linkKey) else {
            return nil
        }
        return Script.step(.message, [UInt8(truncatingIfNeeded: header.cluster), 0] + plain)
    }

    private func open(from start: Int, auxiliary: Int, _ key: Key128?) -> [UInt8]? {
        guard let key, auxiliary < frame.count else { return nil }
        var frame = frame
        var reader = ByteReader(frame.span.extracting(auxiliary...))
        guard let header = try? AuxiliaryHeader(parsing: &reader) else { return nil }
        let payload = auxiliary + reader.offset
        frame[auxiliary] = header.fullControl
        // Without the address in it: the nonce is the sender's.
        for source in [header.source ?? World.hubEUI64, World.deviceEUI64] {
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
