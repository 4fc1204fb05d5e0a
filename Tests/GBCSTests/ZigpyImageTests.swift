import Crypto
import Foundation
import GBCS
import Testing
import Wire

/// zigpy as an independent reader of our standard-form images.
enum Zigpy {
    static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// The interpreter that has zigpy, if there is one.
    static let python: URL? = {
        let named = ProcessInfo.processInfo.environment["HAN_PYTHON"].map { URL(filePath: $0) }
        let candidate = named ?? root.appending(path: ".build/venv/bin/python")
        let path = candidate.path(percentEncoded: false)
        return FileManager.default.isExecutableFile(atPath: path) ? candidate : nil
    }()

    struct Verdict: Decodable {
        struct Element: Decodable {
            var tag: UInt16
            var sha256: String
        }

        var file: String
        var error: String?
        var rest: Int?
        var sameBytes: Bool?
        var headerVersion: UInt16?
        var headerLength: UInt16?
        var fieldControl: UInt16?
        var manufacturerCode: UInt16?
        var imageType: UInt16?
        var fileVersion: UInt32?
        var stackVersion: UInt16?
        var headerString: String?
        var totalImageSize: UInt32?
        var securityCredentialVersion: UInt8?
        var destination: String?
        var minimumHardware: UInt16?
        var maximumHardware: UInt16?
        var elements: [Element]?
    }

    /// What zigpy says of each image, in order.
    static func read(_ images: [[UInt8]]) throws -> [Verdict] {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "han-zigpy-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        var paths: [String] = []
        for (index, image) in images.enumerated() {
            let file = folder.appending(path: "\(index).ota")
            try Data(image).write(to: file)
            paths.append(file.path(percentEncoded: false))
        }
        let output = folder.appending(path: "output")
        try Data().write(to: output)
        let interpreter: URL = try #require(python)
        let process = Process()
        process.executableURL = interpreter
        process.arguments =
            [root.appending(path: "Tools/oracle/zigpy_images.py").path(percentEncoded: false)]
            + paths
        process.standardOutput = try FileHandle(forWritingTo: output)
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        let text = try String(contentsOf: output, encoding: .utf8)
        return try text.split(separator: "\n").map {
            try JSONDecoder().decode(Verdict.self, from: Data($0.utf8))
        }
    }
}

@Suite(
    "zigpy reads our images",
    .enabled(
        if: Zigpy.python != nil,
        "no Python with zigpy; run Tools/test, which makes one, or set HAN_PYTHON"))
struct ZigpyImageTests {
    @Test("every standard-form image is the same to zigpy, field by field and byte for byte")
    func standardForm() throws {
        var samples = SampleImages(seed: 11)
        var images: [FirmwareImage] = []
        for _ in 0..<120 { images.append(try samples.image(.standard, extended: false)) }
        let verdicts = try Zigpy.read(images.map { $0.encoded() })
        try #require(verdicts.count == images.count)
        for (image, verdict) in zip(images, verdicts) {
            let header = image.header
            #expect(verdict.error == nil)
            #expect(verdict.rest == 0)
            #expect(verdict.sameBytes == true)
            #expect(verdict.headerVersion == header.headerVersion)
            #expect(verdict.headerLength == header.headerLength)
            #expect(verdict.fieldControl == header.fieldControl)
            #expect(verdict.manufacturerCode == header.manufacturerCode)
            #expect(verdict.imageType == header.imageType.rawValue)
            #expect(verdict.fileVersion == header.fileVersion)
            #expect(verdict.stackVersion == header.stackVersion.rawValue)
            #expect(verdict.headerString == Hex.string(header.headerString.bytes))
            #expect(verdict.totalImageSize == header.totalImageSize)
            #expect(
                verdict.securityCredentialVersion == header.securityCredentialVersion?.rawValue)
            #expect(verdict.destination?.uppercased() == header.destination?.description)
            #expect(verdict.minimumHardware == header.hardwareVersions?.minimum)
            #expect(verdict.maximumHardware == header.hardwareVersions?.maximum)
            #expect(verdict.elements?.map(\.tag) == image.elements.map(\.tag.rawValue))
            #expect(
                verdict.elements?.map(\.sha256)
                    == image.elements.map { SHA256.digest($0.data).description })
        }
    }

    @Test("zigpy refuses the GBCS forms, which have no sub-elements")
    func gbcsForms() throws {
        var samples = SampleImages(seed: 12)
        let images = [try samples.image(.gbcsSigned), try samples.image(.gbcsUnsigned)]
        let verdicts = try Zigpy.read(images.map { $0.encoded() })
        #expect(verdicts.count == 2)
        #expect(verdicts.allSatisfy { $0.error != nil })
    }
}
