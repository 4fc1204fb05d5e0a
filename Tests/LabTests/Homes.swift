import Air
import Crypto
import Devices
import GBCS
import Lab
import Wire

/// Homes and images made in code, for tests that are about nodes and not about files.
enum Homes {
    static let supplier = key(1)
    static let start = UTCTime(secondsSince2000: 833_000_000)

    static func key(_ number: UInt64) -> P256.PrivateKey {
        var stream = SeededStream(Seed(number).named("test key"))
        return P256.PrivateKey.generate(from: &stream)
    }

    static func hub(
        firmware: UInt32 = 0x0100_0000, change: (inout HubProfile) -> Void = { _ in }
    ) -> HomeHub {
        var profile = HubProfile(name: "hub")
        profile.manufacturer = 0xFFF3
        profile.imageType = 0x0010
        profile.hardwareVersion = 0x0100
        profile.firmware = [
            FirmwareRange(0x0100_0000...0x01FF_FFFF, HubCapabilities(delivers: [.esme, .gsme])),
            FirmwareRange(0x0200_0000...UInt32.max, HubCapabilities()),
        ]
        change(&profile)
        return HomeHub(
            name: "CH", profile: profile, eui64: EUI64(0x00AA_0000_0000_0001),
            firmware: firmware, signer: supplier.publicKey)
    }

    static func device(
        _ type: DeviceType, name: String? = nil, number: UInt64 = 1,
        change: (inout DeviceProfile) -> Void = { _ in }
    ) -> HomeDevice {
        var profile = DeviceProfile(type: type, name: type.rawValue)
        profile.manufacturer = 0xFFF1
        let kind: UInt16 =
            switch type {
            case .esme: 1
            case .gsme: 2
            case .ppmid: 0x84
            case .hcalcs: 4
            case .communicationsHub: 0x10
            }
        profile.imageType = kind
        profile.hardwareVersion = 0x0200
        if type == .gsme {
            profile.sleep = SleepSettings()
            profile.isMainsPowered = false
            profile.ota.blockSize = 40
            profile.ota.queryInterval = .minutes(30)
        }
        change(&profile)
        let code = (0..<16).map { UInt8(truncatingIfNeeded: Int(kind) * 16 + Int(number) * 7 + $0) }
        return HomeDevice(
            name: name ?? type.rawValue, profile: profile,
            eui64: EUI64(0x00BB_0000_0000_0000 + UInt64(kind) << 8 + number),
            installCode: InstallCode(code)!, firmware: 0x0100_0000,
            supplier: type == .ppmid ? nil : supplier.publicKey)
    }

    static func home(_ devices: [HomeDevice], hub: HomeHub = hub()) -> Home {
        Home(name: "test", title: "a test home", hub: hub, devices: devices)
    }

    /// An image that fits `device`, signed where its kind is.
    static func image(
        for device: HomeDevice, version: UInt32 = 0x0200_0000, size: Int = 5_003,
        by signer: P256.PrivateKey = supplier
    ) -> RunImage {
        image(
            device.name, type: device.profile.type, manufacturer: device.profile.manufacturer,
            imageType: device.profile.imageType, hardware: device.profile.hardwareVersion,
            version: version, size: size, by: signer)
    }

    static func image(for hub: HomeHub, version: UInt32 = 0x0200_0000) -> RunImage {
        image(
            hub.name, type: .communicationsHub, manufacturer: hub.profile.manufacturer,
            imageType: hub.profile.imageType, hardware: hub.profile.hardwareVersion,
            version: version, size: 4_000, by: supplier)
    }

    static func image(
        _ name: String, type: DeviceType, manufacturer: UInt16, imageType: UInt16,
        hardware: UInt16, version: UInt32, size: Int, by signer: P256.PrivateKey
    ) -> RunImage {
        var header = OTAHeader(
            manufacturerCode: manufacturer, imageType: ImageType(rawValue: imageType),
            fileVersion: version)
        header.hardwareVersions = HardwareRange(minimum: hardware, maximum: hardware)
        let payload = FirmwareImage.samplePayload(size: size, seed: UInt64(version))
        let image: FirmwareImage
        do {
            image =
                type.imageForm == .gbcsSigned
                ? try .signed(
                    header: header, manufacturerImage: payload, forceReplace: false, by: signer)
                : try .unsigned(header: header, manufacturerImage: payload)
        } catch {
            preconditionFailure("the sample image does not fit its own rules: \(error)")
        }
        return RunImage(
            name: name, bytes: image.encoded(), version: version,
            hash: image.manufacturerImageHash)
    }

    static func scenario(
        _ steps: [ScenarioStep.Action], within: Interval = .hours(48), seed: UInt64 = 1
    ) -> Scenario {
        Scenario(
            name: "test", title: "a test", home: "test", start: start, seed: seed,
            timeLimit: .hours(24 * 30),
            steps: steps.enumerated().map {
                ScenarioStep(
                    title: "step \($0.offset + 1)", action: $0.element, within: within, line: 0)
            })
    }
}
