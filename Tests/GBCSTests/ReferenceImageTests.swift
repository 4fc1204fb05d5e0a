import Crypto
import Foundation
import GBCS
import Testing

/// The images that the DUIS templates carry, and the public test certificates, if they are there.
enum ReferenceData {
    static let folder: URL? = {
        let root = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let named = ProcessInfo.processInfo.environment["HAN_REFERENCE"]
        let folder = URL(
            filePath: named
                ?? root.appending(path: "../shared/reference").path(percentEncoded: false))
        let isThere = FileManager.default.fileExists(
            atPath: folder.appending(path: "ota").path(percentEncoded: false))
        return isThere ? folder : nil
    }()

    static func bytes(_ path: String) throws -> [UInt8] {
        let folder = try #require(folder)
        return Array(try Data(contentsOf: folder.appending(path: path)))
    }
}

@Suite(
    "Reference images",
    .enabled(
        if: ReferenceData.folder != nil,
        "no reference data beside the project; set HAN_REFERENCE to its folder"))
struct ReferenceImageTests {
    static let hash = "7542f475e3f12eae887d81e32c46d313741d67076b13caec2f82e00ba5e1bb36"

    @Test("the ESME's image has the fields of its template and its supplier's signature")
    func esme() throws {
        let bytes = try ReferenceData.bytes("ota/esme-gfi-11111112.ota")
        let image = try FirmwareImage(parsing: bytes)
        #expect(image.form == .gbcsSigned)
        try checkCommonFields(image, type: 0x0000, size: 361)
        #expect(image.header.headerString.text == "I am a GFI ESME[] firmware image")
        #expect(image.trailer?.forceReplace == 0)
        #expect(image.encoded() == bytes)

        let store = "rtds/keystore/"
        let supplier = try P256.PublicKey(
            certificate: ReferenceData.bytes(store + "90b3d51f30010000-ds.pem"))
        #expect(image.verifySignature(by: supplier) == .valid)
        let other = try P256.PublicKey(
            certificate: ReferenceData.bytes(store + "90b3d51f30000002-ds.pem"))
        #expect(image.verifySignature(by: other) == .wrong)
    }

    @Test("the PPMID's image has the fields of its template and no trailer")
    func ppmid() throws {
        let bytes = try ReferenceData.bytes("ota/ppmid-gfi-11111112.ota")
        let image = try FirmwareImage(parsing: bytes)
        #expect(image.form == .gbcsUnsigned)
        try checkCommonFields(image, type: 0x0084, size: 295)
        #expect(image.header.headerString.text == "I am a GFI PPMID firmware image ")
        #expect(image.trailer == nil)
        #expect(image.encoded() == bytes)
    }

    private func checkCommonFields(_ image: FirmwareImage, type: UInt16, size: UInt32) throws {
        let header = image.header
        #expect(header.headerVersion == 0x0100)
        #expect(header.headerLength == 60)
        #expect(header.fieldControl == 0x0004)
        #expect(header.manufacturerCode == 0x121D)
        #expect(header.imageType.rawValue == type)
        #expect(header.fileVersion == 0xACDC_ACDC)
        #expect(header.stackVersion == .zigBeePro)
        #expect(header.totalImageSize == size)
        #expect(header.securityCredentialVersion == nil)
        #expect(header.destination == nil)
        #expect(header.hardwareVersions == HardwareRange(minimum: 0x1111, maximum: 0x1211))
        #expect(header.unknownFields.isEmpty)
        #expect(image.manufacturerImage.count == 235)
        #expect(image.manufacturerImageHash.description == Self.hash)
    }
}
