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

/// A hub and an ESME in the middle of a download, as a run in virtual time left them: where the
/// whole-node targets begin, and a source of frames that our own encoders wrote.
struct World {
    static let deviceGeometry = FlashGeometry(size: 32 * 4096)
    static let hubEUI64 = EUI64(0x00AA_0000_0000_0001)
    static let deviceEUI64 = EUI64(0x00BB_0000_0000_0001)
    static let seed = Seed(1)

    static var hubProfile: HubProfile {
        var profile = HubProfile(name: "hub")
        (profile.manufacturer, profile.imageType) = (0xFFF3, 0x0010)
        (profile.imageSlots, profile.imageSlotSize) = (3, 4 * 4096)
        return profile
    }

    static var deviceProfile: DeviceProfile {
        var profile = DeviceProfile(type: .esme, name: "esme")
        (profile.manufacturer, profile.imageType) = (0xFFF1, 1)
        profile.flash = deviceGeometry
        return profile
    }

    let hub: CommunicationsHub
    let device: HANDevice
    let now: Instant
    let hubFlash: [UInt8]
    let deviceFlash: [UInt8]
    /// Every frame on the air so far, without its check sequence.
    let frames: [FrameBuffer]
    let pan: PANID
    let linkKey: Key128
    let crypto = CryptoEngine()
    private let supplier: P256.PublicKey

    init() throws {
        let key = FuzzTarget.key()
        supplier = key.publicKey
        guard let code = InstallCode((0..<16).map { UInt8($0) }) else { found("no install code") }
        linkKey = code.linkKey
        let home = Home(
            name: "fuzzing", title: "one meter",
            hub: HomeHub(
                name: "CH", profile: Self.hubProfile, eui64: Self.hubEUI64,
                firmware: 0x0100_0000, signer: supplier),
            devices: [
                HomeDevice(
                    name: "ESME", profile: Self.deviceProfile, eui64: Self.deviceEUI64,
                    installCode: code, firmware: 0x0100_0000, supplier: supplier)
            ])
        let image = try FirmwareImage.signed(
            header: OTAHeader(
                manufacturerCode: 0xFFF1, imageType: ImageType(rawValue: 1),
                fileVersion: 0x0200_0000),
            manufacturerImage: FirmwareImage.samplePayload(size: 4000, seed: 1),
            forceReplace: false, by: key)
        let steps: [ScenarioStep.Action] = [
            .join(devices: ["ESME"]), .wait(.seconds(30)), .deliver(image: "ESME", to: ["ESME"]),
            .await(.verified, devices: ["ESME"]),
        ]
        let runner = Runner(
            home: home,
            scenario: Scenario(
                name: "fuzzing", title: "one download", home: home.name,
                start: UTCTime(secondsSince2000: 833_000_000), seed: 1, timeLimit: .hours(24),
                steps: steps.map {
                    ScenarioStep(title: "step", action: $0, within: .hours(12), line: 0)
                }),
            images: [
                "ESME": RunImage(
                    name: "ESME", bytes: image.encoded(), version: 0x0200_0000,
                    hash: image.manufacturerImageHash)
            ], options: RunOptions())
        let tape = Tape()
        let simulation = runner.makeSimulation(sink: tape)
        while tape.progress < 20, simulation.step() {}
        guard let hub = simulation.nodes[0].hub, let device = simulation.nodes[1].device,
            device.stack.isJoined
        else { found("the device does not join") }
        (self.hub, self.device, now) = (hub, device, simulation.now)
        hubFlash = simulation.flashView(of: 0).read(0, count: Self.hubProfile.flash.size)
        deviceFlash = simulation.flashView(of: 1).read(0, count: Self.deviceGeometry.size)
        frames = tape.frames
        pan = tape.pan
    }

    func makeHub() -> CommunicationsHub {
        CommunicationsHub(
            profile: hub.profile, identity: hub.identity, crypto: crypto,
            seed: Self.seed)
    }

    func makeDevice() -> HANDevice {
        HANDevice(
            profile: device.profile, identity: device.identity, crypto: crypto,
            seed: Self.seed)
    }

    /// The records of a node's journal as `Flash.fill(withRecords:)` takes them, one seed each
    /// and all together.
    func records(_ flash: [UInt8]) -> [[UInt8]] {
        var found: [UInt8: [UInt8]] = [:]
        var offset = 12
        while offset + 7 <= 8192 {
            let (key, length) = (
                flash[offset], Int(flash[offset + 1]) | Int(flash[offset + 2]) << 8
            )
            guard key != 0xFF, length < 256 else { break }
            let body = Array(flash[offset + 7..<offset + 7 + length])
            let number: UInt8 = key >= 0x40 ? 0x80 | (key & 3) : key
            found[key] = [number, UInt8(length)] + body
            offset += 7 + length
        }
        let all = found.sorted { $0.key < $1.key }.map(\.value)
        return all + [all.flatMap { $0 }]
    }

    private final class Tape: EvidenceSink {
        var frames: [FrameBuffer] = []
        var pan = PANID.broadcast
        var progress = 0

        func record(frame: borrowing FrameRecord) {
            var psdu = frame.psdu
            psdu.truncate(to: max(0, psdu.count - 2))
            frames.append(psdu)
        }

        func record(event: EventRecord) {
            if event.kind == .panFormed { pan = PANID(UInt16(event.values[0])) }
            if event.kind == .otaProgress { progress += 1 }
        }
    }
}
