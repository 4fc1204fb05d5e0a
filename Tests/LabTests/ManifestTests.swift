import Crypto
import Foundation
import GBCS
import Lab
import Testing
import Wire

@Suite("The manifest")
struct ManifestTests {
    static let sampleFolder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Firmware")
        .path(percentEncoded: false)

    /// An entry with some fields replaced (nil removes one) or added.
    static func entry(_ changes: KeyValuePairs<String, String?> = [:]) -> String {
        let hash = SHA256.digest(FirmwareImage.samplePayload(size: 100, seed: 1)).description
        var fields: [(String, String)] = [
            ("id", "one"), ("manufacturer", "0xFFF1"), ("model", "Glance"),
            ("deviceType", "PPMID"), ("imageType", "0x0084"),
            ("hardware", "{min: 1, max: 4}"), ("version", "0x01000000"),
            ("payload", "{size: 100, seed: 1}"), ("manufacturerImageHash", hash),
        ]
        for (key, value) in changes {
            fields.removeAll { $0.0 == key }
            if let value { fields.append((key, value)) }
        }
        return "  - " + fields.map { "\($0): \($1)" }.joined(separator: "\n    ") + "\n"
    }

    static func manifest(_ entries: String..., folder: String = sampleFolder) throws -> Manifest {
        let text = "images:\n" + entries.joined()
        return try Manifest(parsing: Array(text.utf8), file: "manifest.yaml", folder: folder)
    }

    static func refusal(_ entries: String...) -> String {
        do {
            let text = "images:\n" + entries.joined()
            let manifest = try Manifest(
                parsing: Array(text.utf8), file: "manifest.yaml", folder: sampleFolder)
            for entry in manifest.entries { _ = try manifest.image(for: entry) }
            return "accepted"
        } catch {
            return "\(error)"
        }
    }

    @Test("every image of the sample manifest is built, and reads back in its form")
    func samples() throws {
        let manifest = try Manifest.load(folder: Self.sampleFolder)
        #expect(Set(manifest.entries.map(\.deviceType)) == Set(DeviceType.allCases))
        let certificate = try Files.read(
            Self.sampleFolder + "/keys/supplier-test.pem", limit: KeyFiles.maximumSize)
        let supplier = try P256.PublicKey(certificate: certificate)
        for entry in manifest.entries {
            let image = try manifest.image(for: entry)
            #expect(image.form == entry.deviceType.imageForm)
            #expect(try FirmwareImage(parsing: image.encoded()) == image)
            #expect(image.header.fileVersion == entry.version)
            #expect(image.header.hardwareVersions == entry.hardware)
            let verdict = image.verifySignature(by: supplier)
            #expect(verdict == (entry.deviceType == .ppmid ? .none : .valid))
            for block in [48, 50, 63, 64] { #expect(image.encoded().count % block != 0) }
        }
    }

    @Test("two device types of one maker may share an image type and a version")
    func sharedImageType() throws {
        let manifest = try Self.manifest(
            Self.entry(),
            Self.entry([
                "id": "two", "deviceType": "HCALCS", "model": "Switchbox",
                "key": "keys/supplier-test.key.pem",
            ]))
        let query = Manifest.Query(
            manufacturerCode: 0xFFF1, imageType: ImageType(rawValue: 0x0084), version: 0x0100_0000,
            hardwareVersion: 4)
        #expect(manifest.entries(matching: query).map(\.id) == ["one", "two"])
        var narrower = query
        narrower.deviceType = .hcalcs
        #expect(manifest.entry(matching: narrower)?.id == "two")
        narrower.hardwareVersion = 5
        #expect(manifest.entry(matching: narrower) == nil)
        #expect(manifest.entry("two")?.form == .gbcsSigned)
        #expect(manifest.entry("three") == nil)
    }

    @Test("an image may be installed from the listed versions, or from any")
    func installableFrom() throws {
        let listed = try Self.manifest(Self.entry(["installableFrom": "[0x01, 2]"])).entries[0]
        #expect(listed.isInstallable(from: 1) && listed.isInstallable(from: 2))
        #expect(!listed.isInstallable(from: 3))
        let any = try Self.manifest(Self.entry(["installableFrom": "any"])).entries[0]
        #expect(any.isInstallable(from: .max))
    }

    @Test("a payload file beside the manifest becomes the manufacturer image")
    func payloadFile() throws {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "han-manifest-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let content = Array("a maker's binary".utf8)
        try Data(content).write(to: folder.appending(path: "x.bin"))
        let manifest = try Self.manifest(
            Self.entry([
                "payload": "{file: x.bin}", "form": "standard",
                "integrity": "excluding-tag-header",
                "manufacturerImageHash": SHA256.digest(content).description,
            ]), folder: folder.path(percentEncoded: false))
        let image = try manifest.image(for: manifest.entries[0])
        #expect(image.manufacturerImage == content)
        #expect(image.verifyIntegrity() == .matches(.excludingTagHeader))
    }

    @Test(
        "a broken entry names line, field, what was wrong and what was expected",
        arguments: [
            (["version": "1.0"], "images[0].version: expected a whole number from 0 to 4294967295"),
            (["version": nil], "images[0]: the field 'version' is missing"),
            (["verison": "1"], "images[0].verison: is not a known field; did you mean 'version'?"),
            (["deviceType": "PPMDI"], "did you mean 'PPMID'?"),
            (["imageType": "0xFFFF"], "images[0].imageType: 0xFFFF matches any type"),
            (
                ["hardware": "{min: 5, max: 4}"],
                "images[0].hardware.max: expected a whole number from 5 to 65535, found '4'"
            ),
            (["hardware": "{min: 5}"], "images[0].hardware: the field 'max' is missing"),
            (["headerString": String(repeating: "x", count: 33)], "at most 32 bytes of text"),
            (["installableFrom": "some"], "expected 'any' or a list of versions, found 'some'"),
            (["forceReplace": "true"], "images[0].forceReplace: belongs to the form gbcs-signed"),
            (["integrity": "excluding-tag-header"], "belongs to the form standard"),
            (["key": "keys/supplier-test.key.pem"], "belongs to the form gbcs-signed"),
            (["form": "gbcs-signed"], "images[0]: the field 'key' is missing"),
            (["form": "gbcs-signed", "key": "../x.pem"], "a file within the manifest's folder"),
            (["form": "gbcs-signed", "key": "absent.pem"], "images[0].key: '"),
            (
                ["form": "gbcs-signed", "key": "manifest.yaml"],
                "images[0].key: 'manifest.yaml' is no P-256 private key"
            ),
            (["payload": "{size: 0, seed: 1}"], "images[0].payload.size: expected"),
            (["payload": "{size: 5}"], "images[0].payload: the field 'seed' is missing"),
            (["payload": "{file: a, seed: 1}"], "images[0].payload.seed: stands beside 'file'"),
            (["payload": "{file: absent.bin}"], "images[0].payload.file: '"),
            (["payload": "{size: 101, seed: 1}"], "images[0].manufacturerImageHash: expected "),
            (["payload": "{size: 10240000, seed: 1}"], "images[0].payload: gives no image"),
            (["manufacturerImageHash": "abcd"], "expected 64 hex digits, found 'abcd'"),
        ] as [(KeyValuePairs<String, String?>, String)])
    func broken(_ changes: KeyValuePairs<String, String?>, _ message: String) {
        let refusal = Self.refusal(Self.entry(changes))
        #expect(refusal.hasPrefix("manifest.yaml:"))
        #expect(refusal.contains(message), "\(refusal)")
    }

    @Test("ids are unique, and no two entries answer for the same device and version")
    func ambiguous() {
        #expect(
            Self.refusal(Self.entry(), Self.entry(["version": "2"])).contains(
                "the id 'one' is taken"))
        #expect(
            Self.refusal(Self.entry(), Self.entry(["id": "two", "hardware": "{min: 4, max: 9}"]))
                .contains("overlapping hardware versions"))
        #expect(
            Self.refusal(Self.entry(), Self.entry(["id": "two", "hardware": "{min: 5, max: 9}"]))
                == "accepted")
    }

    @Test("a missing manifest is told apart from a broken one")
    func missing() {
        let error = #expect(throws: ManifestError.self) {
            try Manifest.load(folder: "/nonexistent")
        }
        #expect(error == .file(.missing("/nonexistent/manifest.yaml")))
    }
}

@Suite("The installation")
struct InstallationTests {
    static func folders(_ names: String...) throws -> String {
        let root = FileManager.default.temporaryDirectory
            .appending(path: "han-home-\(UUID().uuidString)")
        for name in names {
            try FileManager.default.createDirectory(
                at: root.appending(path: name), withIntermediateDirectories: true)
        }
        return root.path(percentEncoded: false)
    }

    @Test("HAN_HOME names the root, and the nearest folder above the program is the fallback")
    func locates() throws {
        let root = try Self.folders("Profiles", "Firmware", "a/b/Profiles")
        defer { try? FileManager.default.removeItem(atPath: root) }
        let executable = root + "/a/b/han"
        #expect(try Installation.locate(home: root, executable: "/bin/han").root == root)
        let found = try Installation.locate(home: nil, executable: executable)
        #expect(found.profiles == root + "/Profiles")
        #expect(found.firmware == root + "/Firmware")
        #expect(try Installation.locate(home: "", executable: executable) == found)
    }

    @Test("a wrong HAN_HOME is an error even where the fallback would help")
    func wrongHome() throws {
        let root = try Self.folders("Profiles", "Firmware", "a")
        defer { try? FileManager.default.removeItem(atPath: root) }
        #expect(throws: InstallationError.wrongHome(root + "/a")) {
            try Installation.locate(home: root + "/a", executable: root + "/han")
        }
        #expect(throws: InstallationError.notFound(executable: "/bin/han")) {
            try Installation.locate(home: nil, executable: "/bin/han")
        }
    }
}
