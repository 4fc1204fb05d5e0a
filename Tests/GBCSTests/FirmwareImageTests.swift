import Crypto
import GBCS
import Testing
import Wire

@Suite("Firmware images")
struct FirmwareImageTests {
    @Test(
        "500 images come back from their bytes, whatever their fields",
        arguments: FirmwareImage.Form.allCases)
    func roundTrip(_ form: FirmwareImage.Form) throws {
        for seed in UInt64(0)..<500 {
            var samples = SampleImages(seed: seed)
            let image = try samples.image(form)
            let bytes = image.encoded()
            #expect(bytes.count == Int(image.header.totalImageSize))
            let parsed = try FirmwareImage(parsing: bytes, form: form)
            #expect(parsed == image)
            #expect(parsed.encoded() == bytes)
            #expect(try FirmwareImage(parsing: bytes).form == form)
        }
    }

    @Test("a signed image is header, manufacturer image, force replace, 0x40 and signature")
    func layout() throws {
        var samples = SampleImages(seed: 1)
        var header = OTAHeader(
            manufacturerCode: 0x1234, imageType: ImageType(rawValue: 0x5678),
            fileVersion: 0x9ABC_DEF0)
        header.hardwareVersions = HardwareRange(minimum: 0x0102, maximum: 0x0304)
        header.headerString = try #require(HeaderString("abc"))
        let content = samples.bytes(100...100)
        let image = try FirmwareImage.signed(
            header: header, manufacturerImage: content, forceReplace: true, by: samples.key)
        let bytes = image.encoded()
        #expect(Hex.string(bytes[..<20]) == "1ef1ee0b00013c00040034127856f0debc9a0200")
        #expect(Hex.string(bytes[20..<24]) == "61626300")
        #expect(Hex.string(bytes[52..<60]) == "e200000002010403")
        #expect(Array(bytes[60..<160]) == content)
        #expect(Array(bytes[160..<162]) == [1, 0x40])
        #expect(bytes.count == 226)
        let signature = try #require(P256.Signature(bytes[162...]))
        #expect(samples.key.publicKey.verify(signature, digest: SHA256.digest(content)))
    }

    @Test("the hash and the signature cover the manufacturer image alone")
    func coverage() throws {
        var samples = SampleImages(seed: 2)
        let image = try samples.image(.gbcsSigned)
        let publicKey = samples.key.publicKey
        #expect(image.manufacturerImageHash == SHA256.digest(image.manufacturerImage))
        #expect(image.verifySignature(by: publicKey) == .valid)
        let start = Int(image.header.headerLength)
        let end = start + image.manufacturerImage.count
        for offset in [10, 20, start, end - 1, end, end + 2, end + 65] {
            var bytes = image.encoded()
            bytes[offset] ^= 1
            let changed = try FirmwareImage(parsing: bytes, form: .gbcsSigned)
            let isCovered = offset >= start && offset != end
            #expect(
                changed.verifySignature(by: publicKey) == (isCovered ? .wrong : .valid),
                "offset \(offset)")
        }
        var others = SampleImages(seed: 3)
        #expect(image.verifySignature(by: others.key.publicKey) == .wrong)
        #expect(try others.image(.gbcsUnsigned).verifySignature(by: publicKey) == .none)
        #expect(try others.image(.standard).verifySignature(by: publicKey) == .none)
    }

    @Test("the same key and content give the same signature")
    func repeats() throws {
        var first = SampleImages(seed: 4)
        var second = SampleImages(seed: 4)
        #expect(try first.image(.gbcsSigned) == second.image(.gbcsSigned))
        #expect(
            FirmwareImage.samplePayload(size: 1001, seed: 7)
                == FirmwareImage.samplePayload(size: 1001, seed: 7))
        #expect(
            FirmwareImage.samplePayload(size: 1001, seed: 7)
                != FirmwareImage.samplePayload(size: 1001, seed: 8))
    }

    @Test(
        "an integrity code matches in the coverage it was made with, and no longer after a change",
        arguments: FirmwareImage.IntegrityCoverage.allCases)
    func integrity(_ coverage: FirmwareImage.IntegrityCoverage) throws {
        var samples = SampleImages(seed: 5)
        let content = samples.bytes(300...300)
        let image = try FirmwareImage.standard(
            header: samples.header(extended: false),
            elements: [SubElement(tag: .upgradeImage, data: content)], integrity: coverage)
        #expect(image.verifyIntegrity() == .matches(coverage))
        let bytes = image.encoded()
        let covered = bytes.count - (coverage == .excludingTagHeader ? 22 : 16)
        #expect(image.elements.last?.data == AESMMO.hash(Array(bytes[..<covered])).bytes)
        for offset in [12, Int(image.header.headerLength) + 6, bytes.count - 1] {
            var changed = bytes
            changed[offset] ^= 0x80
            #expect(try FirmwareImage(parsing: changed).verifyIntegrity() == .wrong)
        }
        #expect(try samples.image(.gbcsUnsigned).verifyIntegrity() == .none)
    }

    @Test("the end of an image decides its form only if it is a plausible trailer")
    func forms() throws {
        let header = OTAHeader(
            manufacturerCode: 1, imageType: ImageType(rawValue: 2), fileVersion: 3)
        func form(_ content: [UInt8]) throws -> FirmwareImage.Form {
            let bytes = try FirmwareImage.unsigned(header: header, manufacturerImage: content)
                .encoded()
            return try FirmwareImage(parsing: bytes).form
        }
        let signature = [UInt8](repeating: 0xAB, count: 64)
        #expect(try form([9, 0, 0x40] + signature) == .gbcsSigned)
        #expect(try form([9, 1, 0x40] + signature) == .gbcsSigned)
        #expect(try form([9, 2, 0x40] + signature) == .gbcsUnsigned)
        #expect(try form([9, 0, 0x41] + signature) == .gbcsUnsigned)
        // Nothing would be left for the manufacturer image.
        #expect(try form([0, 0x40] + signature) == .gbcsUnsigned)
        #expect(try form([0, 0, 2, 0, 0, 0, 7, 7]) == .standard)
        #expect(try form([0, 0, 2, 0, 0, 0, 7]) == .gbcsUnsigned)
        // Elements without data, or with reserved tags only, are no upgrade image.
        #expect(try form([0, 0, 0, 0, 0, 0]) == .gbcsUnsigned)
        #expect(try form([7, 0, 1, 0, 0, 0, 7]) == .gbcsUnsigned)
    }

    @Test("whoever knows the form is not second-guessed, and unknown force-replace values stay")
    func forcedForms() throws {
        let header = OTAHeader(
            manufacturerCode: 1, imageType: ImageType(rawValue: 2), fileVersion: 3)
        let content = [9, 7, 0x40] + [UInt8](repeating: 0xAB, count: 64)
        let bytes = try FirmwareImage.unsigned(header: header, manufacturerImage: content).encoded()
        let image = try FirmwareImage(parsing: bytes, form: .gbcsSigned)
        #expect(image.trailer?.forceReplace == 7)
        #expect(image.manufacturerImage == [9])
        #expect(image.encoded() == bytes)
        #expect(throws: ImageError.self) { try FirmwareImage(parsing: bytes, form: .standard) }
    }

    @Test(
        "a broken header is answered with offset, field, found and expected",
        arguments: [
            (0, [0x1F], "offset 0, file identifier: found 0x0BEEF11F, expected 0x0BEEF11E"),
            (4, [0, 2], "offset 4, header version: found 0x0200, expected 0x0100"),
            (6, [59, 0], "offset 6, header length: found 59 bytes, expected 60 bytes"),
            (6, [0xFF, 0xFF], "offset 6, header length: found 65535 bytes, expected at most"),
            (8, [6, 0], "offset 6, header length: found 60 bytes, expected 68 bytes"),
            (52, [0xE3], "offset 52, total image size: found 227 bytes, expected the file's 226"),
        ] as [(Int, [UInt8], String)])
    func brokenHeaders(_ offset: Int, _ replacement: [UInt8], _ message: String) throws {
        var samples = SampleImages(seed: 6)
        var header = OTAHeader(
            manufacturerCode: 1, imageType: ImageType(rawValue: 2), fileVersion: 3)
        header.hardwareVersions = HardwareRange(minimum: 0, maximum: 1)
        var bytes = try FirmwareImage.signed(
            header: header, manufacturerImage: samples.bytes(100...100), forceReplace: false,
            by: samples.key
        ).encoded()
        bytes.replaceSubrange(offset..<offset + replacement.count, with: replacement)
        let error = #expect(throws: ImageError.self) { try FirmwareImage(parsing: bytes) }
        #expect(error.map { "\($0)".hasPrefix(message) } == true, "\(String(describing: error))")
    }

    @Test(
        "every truncation and every changed byte gives the same bytes back or a clear error",
        arguments: FirmwareImage.Form.allCases)
    func corruption(_ form: FirmwareImage.Form) throws {
        var samples = SampleImages(seed: 7)
        let bytes = try samples.image(form).encoded()
        func check(_ bytes: [UInt8]) {
            for form in [nil] + FirmwareImage.Form.allCases {
                if let image = try? FirmwareImage(parsing: bytes, form: form) {
                    if image.encoded() != bytes { Issue.record("\(Hex.string(bytes))") }
                    _ = image.verifyIntegrity()
                }
            }
        }
        for length in bytes.indices {
            check(Array(bytes[..<length]))
            #expect(throws: ImageError.self) { try FirmwareImage(parsing: Array(bytes[..<length])) }
        }
        for index in bytes.indices {
            for flip in UInt8(1)...255 {
                var changed = bytes
                changed[index] ^= flip
                check(changed)
            }
        }
    }

    @Test("truncations with a matching total size never trap")
    func sizedTruncations() throws {
        var samples = SampleImages(seed: 8)
        for form in FirmwareImage.Form.allCases {
            let bytes = try samples.image(form).encoded()
            for length in 56..<bytes.count {
                var cut = Array(bytes[..<length])
                cut[52] = UInt8(truncatingIfNeeded: length)
                cut[53] = UInt8(truncatingIfNeeded: length >> 8)
                for form in [nil] + FirmwareImage.Form.allCases {
                    if let image = try? FirmwareImage(parsing: cut, form: form) {
                        #expect(image.encoded() == cut)
                    }
                }
            }
        }
    }

    @Test("random bytes behind a right header parse or fail, and cost no more than their size")
    func randomContent() throws {
        var samples = SampleImages(seed: 9)
        for _ in 0..<2000 {
            let header = samples.header(extended: true)
            let bytes = try FirmwareImage.unsigned(
                header: header, manufacturerImage: samples.bytes(1...200)
            ).encoded()
            for form in [nil] + FirmwareImage.Form.allCases {
                if let image = try? FirmwareImage(parsing: bytes, form: form) {
                    #expect(image.encoded() == bytes)
                }
            }
        }
        let many = [UInt8](repeating: 0, count: 6 * (SubElement.maximumCount + 1))
        let image = try FirmwareImage.unsigned(
            header: samples.header(extended: false), manufacturerImage: many)
        let error = #expect(throws: ImageError.self) {
            try FirmwareImage(parsing: image.encoded(), form: .standard)
        }
        #expect(error?.field == "sub-elements")
    }

    @Test("an image above the documented maximum is refused, read or made")
    func maximum() throws {
        let large = [UInt8](repeating: 0, count: FirmwareImage.maximumSize)
        let header = OTAHeader(
            manufacturerCode: 1, imageType: ImageType(rawValue: 2), fileVersion: 3)
        #expect(throws: ImageError.self) {
            try FirmwareImage.unsigned(header: header, manufacturerImage: large)
        }
        let error = #expect(throws: ImageError.self) {
            try FirmwareImage(parsing: large + [0])
        }
        #expect(error?.field == "file")
        let fitting = Array(large.dropLast(OTAHeader.fixedLength))
        let image = try FirmwareImage.unsigned(header: header, manufacturerImage: fitting)
        #expect(try FirmwareImage(parsing: image.encoded(), form: .gbcsUnsigned) == image)
    }

    @Test("an image without content is refused, read or made")
    func empty() throws {
        var samples = SampleImages(seed: 10)
        var header = samples.header(extended: false)
        #expect(throws: ImageError.self) {
            try FirmwareImage.unsigned(header: header, manufacturerImage: [])
        }
        #expect(throws: ImageError.self) {
            try FirmwareImage.signed(
                header: header, manufacturerImage: [], forceReplace: false, by: samples.key)
        }
        #expect(throws: ImageError.self) {
            try FirmwareImage.standard(header: header, elements: [])
        }
        header.totalImageSize = UInt32(header.headerLength)
        var bytes: [UInt8] = []
        header.encode(into: &bytes)
        #expect(throws: ImageError.self) { try FirmwareImage(parsing: bytes) }
    }

    @Test("a hardware range includes its ends, and one the wrong way round fits nothing")
    func hardware() {
        let range = HardwareRange(minimum: 2, maximum: 4)
        #expect([1, 2, 3, 4, 5].map(range.contains) == [false, true, true, true, false])
        let reversed = HardwareRange(minimum: 4, maximum: 2)
        #expect(![1, 2, 3, 4, 5].contains(where: reversed.contains))
        #expect(range.overlaps(HardwareRange(minimum: 4, maximum: 9)))
        #expect(!range.overlaps(HardwareRange(minimum: 5, maximum: 9)))
    }

    @Test("a header string of 32 bytes fits and one of 33 does not")
    func headerStrings() throws {
        let full = String(repeating: "x", count: 32)
        #expect(HeaderString(full)?.text == full)
        #expect(HeaderString(full + "x") == nil)
        #expect(HeaderString("a b\n")?.text == "a b\\x0A")
    }
}
