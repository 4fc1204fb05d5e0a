import Crypto
import GBCS
import Wire

extension FuzzTarget {
    /// The firmware image in its three forms, told apart and by its header alone.
    static func images(_ place: Place) -> [FuzzTarget] {
        [
            FuzzTarget("ota-header", maximumLength: 256) {
                Prepared(seeds: imageSeeds(place).map { Array($0.prefix(69)) }) { bytes in
                    guard let header = try? OTAHeader(parsing: bytes) else { return }
                    var again: [UInt8] = []
                    header.encode(into: &again)
                    if again != Array(bytes.prefix(again.count)) {
                        found("a header is written differently from how it was read")
                    }
                }
            },
            image(place, "image", nil), image(place, "image-signed", .gbcsSigned),
            image(place, "image-unsigned", .gbcsUnsigned),
            image(place, "image-standard", .standard),
        ]
    }

    private static func image(
        _ place: Place, _ name: String, _ form: FirmwareImage.Form?
    ) -> FuzzTarget {
        // Sub-elements have an array each, hence so much for each byte.
        FuzzTarget(
            name, maximumLength: 4096, briefRuns: 30_000,
            memory: MemoryLimit(base: 256 << 10, perByte: 64)
        ) {
            let signer = key().publicKey
            return Prepared(seeds: imageSeeds(place)) { bytes in
                check(bytes, form, signer)
                // Once more with the size that the file has, which chance would hardly find.
                guard bytes.count >= 56 else { return }
                var sized = bytes
                for index in 0..<4 {
                    sized[52 + index] = UInt8(truncatingIfNeeded: bytes.count >> (8 * index))
                }
                check(sized, form, signer)
            }
        }
    }

    private static func check(
        _ bytes: [UInt8], _ form: FirmwareImage.Form?, _ signer: P256.PublicKey
    ) {
        let image: FirmwareImage
        do {
            image = try FirmwareImage(parsing: bytes, form: form)
        } catch {
            if error.description.utf8.count > 1000 { found("a message without end") }
            return
        }
        if image.encoded() != bytes {
            found("an image is written differently from how it was read")
        }
        // Costs much and comes to the same for most inputs.
        if bytes.count % 8 == 0 { _ = image.verifySignature(by: signer) }
        _ = image.verifyIntegrity()
    }

    private static func imageSeeds(_ place: Place) -> [[UInt8]] {
        var header = OTAHeader(
            manufacturerCode: 0x10D4, imageType: ImageType(rawValue: 1), fileVersion: 2)
        let payload = FirmwareImage.samplePayload(size: 100, seed: 1)
        var images: [FirmwareImage?] = []
        for _ in 0..<2 {
            images.append(try? .unsigned(header: header, manufacturerImage: payload))
            images.append(
                try? .signed(
                    header: header, manufacturerImage: payload, forceReplace: true, by: key()))
            images.append(
                try? .standard(
                    header: header,
                    elements: [
                        SubElement(tag: .upgradeImage, data: payload),
                        SubElement(tag: SubElementTag(rawValue: 0xF001), data: [1, 2, 3]),
                    ], integrity: .excludingTagHeader))
            header.hardwareVersions = HardwareRange(minimum: 1, maximum: 2)
            header.destination = FrameSeeds.deviceEUI64
            header.securityCredentialVersion = .init(rawValue: 2)
            header.unknownFields = [1, 2, 3]
        }
        // Heads and tails of real ones; the size between them is set to fit.
        let real = place.references(in: "ota", suffix: ".ota").map {
            $0.prefix(300) + $0.suffix(66)
        }
        return images.compactMap { $0?.encoded() } + real.map { Array($0) }
    }

    static func key() -> P256.PrivateKey {
        var stream = SeededStream(Seed(1).named("fuzzing"))
        return P256.PrivateKey.generate(from: &stream)
    }
}
