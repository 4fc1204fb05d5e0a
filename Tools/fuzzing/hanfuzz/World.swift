import Air
import Crypto
import Devices
import Evidence
import GBCS
import Lab
import Radio
import Simulation
import Wire
import Zigbee

/// A home in the middle of a run in virtual time: where the whole-node targets begin, and a source
/// of frames that our own encoders wrote.
struct World {
    /// How far the run has gone.
    enum Moment {
        /// A device of each kind has its link key and its tunnel; an HCALCS holds an image, and
        /// an ESME is fetching one.
        case secured
        /// An ESME has joined, and has no key but that of its install code. What comes until it
        /// has another is in `frames`.
        case joined
    }

    struct Device {
        let node: HANDevice
        let flash: [UInt8]
        /// What hub and device talk under, and what the device joined with.
        let linkKey: Key128
        let installCodeKey: Key128
        /// The number of its tunnel.
        let tunnel: UInt16

        var eui64: EUI64 { node.eui64 }
        var address: ShortAddress { node.stack.address }
    }

    /// A frame on the air, without its check sequence.
    struct Sent {
        let frame: FrameBuffer
        let time: Instant
        /// Its place in the roster.
        let sender: Int
    }

    static let deviceGeometry = FlashGeometry(size: 32 * 4096)
    static let hubEUI64 = EUI64(0x00AA_0000_0000_0001)
    static let seed = Seed(1)
    static let start = UTCTime(secondsSince2000: 833_000_000)
    /// The order of the devices.
    static let types: [DeviceType] = [.esme, .gsme, .ppmid, .hcalcs]

    static func eui64(of type: DeviceType) -> EUI64 {
        EUI64(0x00BB_0000_0000_0001 + UInt64(types.firstIndex(of: type) ?? 0))
    }

    static var hubProfile: HubProfile {
        var profile = HubProfile(name: "hub")
        (profile.manufacturer, profile.imageType) = (0xFFF3, 0x0010)
        (profile.imageSlots, profile.imageSlotSize) = (3, 4 * 4096)
        return profile
    }

    private static func device(_ type: DeviceType, supplier: P256.PublicKey) -> HomeDevice {
        let number = UInt16(types.firstIndex(of: type) ?? 0)
        var profile = DeviceProfile(type: type, name: type.rawValue)
        (profile.manufacturer, profile.imageType) = (0xFFF1, 1 + number)
        profile.flash = deviceGeometry
        if type == .gsme { profile.sleep = SleepSettings() }
        guard let code = InstallCode((0..<16).map { UInt8($0) + UInt8(number) }) else {
            found("no install code")
        }
        return HomeDevice(
            name: type.rawValue, profile: profile, eui64: eui64(of: type), installCode: code,
            firmware: 0x0100_0000, supplier: type == .ppmid ? nil : supplier)
    }

    private static func image(
        for device: HomeDevice, by key: P256.PrivateKey
    ) throws -> RunImage {
        let image = try FirmwareImage.signed(
            header: OTAHeader(
                manufacturerCode: device.profile.manufacturer,
                imageType: ImageType(rawValue: device.profile.imageType),
                fileVersion: 0x0200_0000),
            manufacturerImage: FirmwareImage.samplePayload(size: 4000, seed: 1),
            forceReplace: false, by: key)
        return RunImage(
            name: device.name, bytes: image.encoded(), version: 0x0200_0000,
            hash: image.manufacturerImageHash)
    }

    let hub: CommunicationsHub
    let devices: [Device]
    let now: Instant
    let hubFlash: [UInt8]
    let frames: [Sent]
    let pan: PANID
    let chf: EUI64
    /// The hash of the image that the HCALCS holds.
    let heldHash: Digest256
    let desk: MessageDesk
    let crypto = CryptoEngine()

    init(_ moment: Moment = .secured) throws {
        let key = FuzzTarget.key()
        let types = moment == .secured ? Self.types : [.esme]
        let home = Home(
            name: "fuzzing", title: "one device of each kind",
            hub: HomeHub(
                name: "CH", profile: Self.hubProfile, eui64: Self.hubEUI64,
                firmware: 0x0100_0000, signer: key.publicKey),
            devices: types.map { Self.device($0, supplier: key.publicKey) })
        let images = try home.devices.map { try Self.image(for: $0, by: key) }
        let runner = Runner(
            home: home, scenario: Self.scenario(home, moment),
            images: Dictionary(uniqueKeysWithValues: images.map { ($0.name, $0) }),
            options: RunOptions())
        let tape = Tape()
        let simulation = runner.makeSimulation(sink: tape)
        while !tape.hasCome(to: moment), simulation.step() {}
        guard tape.hasCome(to: moment), let hub = simulation.nodes[0].hub else {
            found("the home does not come so far")
        }
        let now = simulation.now
        self.now = now
        (self.hub, hubFlash) = Self.quiet(hub, simulation.flashView(of: 0), at: now)
        devices = home.devices.enumerated().map { index, device in
            guard let busy = simulation.nodes[index + 1].device else { found("no device") }
            let (node, flash) = Self.quiet(busy, simulation.flashView(of: index + 1), at: now)
            return Device(
                node: node, flash: flash,
                linkKey: hub.stack.establishedKey(with: device.eui64)
                    ?? device.installCode.linkKey,
                installCodeKey: device.installCode.linkKey,
                tunnel: tape.tunnels[index + 1] ?? 0)
        }
        if moment == .joined {
            tape.frames = []
            while !tape.isSecured, simulation.step() {}
        }
        (frames, pan, chf) = (tape.frames, tape.pan, home.hub.chf)
        heldHash = images.last?.hash ?? SHA256.digest([])
        desk = MessageDesk(
            parties: MessageParties(seed: Self.seed),
            entities: [chf, Self.hubEUI64] + home.devices.map(\.eui64))
    }

    /// A node, and its flash, when its chip has sent what it had: a bench begins with an idle one.
    private static func quiet<N: Node>(
        _ node: N, _ view: FlashView, at now: Instant
    ) -> (N, [UInt8]) {
        let flash = Flash(geometry: view.geometry)
        flash.fill(view.read(0, count: view.geometry.size), at: 0)
        var bench = Bench(node, flash: flash, at: now)
        // Of which frame the chip had, only the node knows.
        for handle in UInt8.min...UInt8.max { bench.finishSending(handle) }
        while bench.sending != nil { bench.finishSending() }
        return (bench.node, flash.bytes)
    }

    private static func scenario(_ home: Home, _ moment: Moment) -> Scenario {
        let names = home.devices.map(\.name)
        let steps: [ScenarioStep.Action] =
            moment == .joined
            ? [.join(devices: names), .wait(.hours(1))]
            : [
                .join(devices: names), .wait(.minutes(5)),
                .deliver(image: "HCALCS", to: ["HCALCS"]),
                .await(.verified, devices: ["HCALCS"]), .deliver(image: "ESME", to: ["ESME"]),
                .await(.verified, devices: ["ESME"]),
            ]
        return Scenario(
            name: "fuzzing", title: "downloads", home: home.name, start: Self.start, seed: 1,
            timeLimit: .hours(24),
            steps: steps.map {
                ScenarioStep(title: "step", action: $0, within: .hours(12), line: 0)
            })
    }

    func makeHub() -> CommunicationsHub {
        CommunicationsHub(
            profile: hub.profile, identity: hub.identity, crypto: crypto, seed: Self.seed)
    }

    func makeDevice(_ index: Int = 0) -> HANDevice {
        HANDevice(
            profile: devices[index].node.profile, identity: devices[index].node.identity,
            crypto: crypto, seed: Self.seed)
    }

    /// The records of a node's journal as `Flash.fill(withRecords:)` takes them, one seed each
    /// and all together.
    func records(_ flash: [UInt8]) -> [[UInt8]] {
        func word(_ offset: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(flash[offset + $1]) << UInt32(8 * $1) }
        }
        let areas = stride(from: 0, to: flash.count - 12, by: 4096).filter {
            word($0) == Flash.journalMagic
        }
        guard let area = areas.max(by: { word($0 + 4) < word($1 + 4) }) else {
            found("no journal in flash")
        }
        var records: [UInt8: [UInt8]] = [:]
        var offset = area + 12
        while offset + 7 <= flash.count {
            let (key, length) = (
                flash[offset], Int(flash[offset + 1]) | Int(flash[offset + 2]) << 8
            )
            guard key != 0xFF, offset + 7 + length <= flash.count else { break }
            let number: UInt8 = key >= 0x40 ? 0x80 | (key & 3) : key
            records[key] =
                [number] + flash[offset + 1...offset + 2]
                + flash[offset + 7..<offset + 7 + length]
            offset += 7 + length
        }
        let all = records.sorted { $0.key < $1.key }.map(\.value)
        return all + [all.flatMap { $0 }]
    }

    private final class Tape: EvidenceSink {
        var frames: [Sent] = []
        var pan = PANID.broadcast
        /// The tunnels of each device's own, by its place in the roster.
        private(set) var tunnels: [Int: UInt16] = [:]
        private var progress = 0
        private var hasImage = false
        private var hasJoined = false
        private(set) var isSecured = false

        func hasCome(to moment: Moment) -> Bool {
            switch moment {
            case .joined: hasJoined
            case .secured: hasImage && progress > 0 && tunnels.count == World.types.count
            }
        }

        func record(frame: borrowing FrameRecord) {
            var psdu = frame.psdu
            psdu.truncate(to: max(0, psdu.count - 2))
            frames.append(Sent(frame: psdu, time: frame.end, sender: Int(frame.sender)))
        }

        func record(event: EventRecord) {
            switch (event.kind, event.node) {
            case (.panFormed, _): pan = PANID(UInt16(event.values[0]))
            case (.joined, 1): hasJoined = true
            case (.linkKeyEstablished, 1): isSecured = true
            case (.tunnelOpened, 1...):
                tunnels[Int(event.node)] = UInt16(truncatingIfNeeded: event.values[1])
            case (.otaVerified, 4): hasImage = true
            case (.otaProgress, 1): progress += 1
            default: break
            }
        }
    }
}
