import Foundation
import TestSupport
import Testing

@Suite("han run with a maker's image")
struct RunImageTests {
    typealias TemporaryFolder = CommandTests.TemporaryFolder

    static let supplier = "Firmware/keys/supplier-test.key.pem"

    /// An image of another maker than those of the sample homes.
    static func image(
        _ folder: TemporaryFolder, _ name: String = "maker.ota", version: String = "0x0A000001",
        options: [String] = ["--key", supplier]
    ) throws -> String {
        let path = folder.path + "/" + name
        let result = try Runs.han(
            ["image", "build", "--size", "3000", "--seed", "3", "--output", path]
                + ["--manufacturer-code", "0x121D", "--image-type", "0x0033"]
                + ["--hardware-min", "0x1111", "--hardware-max", "0x1211"]
                + ["--file-version", version] + options)
        try #require(result.code == 0, "\(result.errors)")
        return path
    }

    @Test("it updates the device, which takes on the image's codes and says so")
    func adaptation() throws {
        let folder = try TemporaryFolder()
        let path = try Self.image(folder)
        let result = try Runs.han(["demo", "--json", "--image", "ESME=\(path)"])
        #expect(result.code == 0, "\(result.errors)")
        #expect(
            result.errors.contains(
                "han: ESME takes on manufacturer 0x121D, image type 0x0033 and hardware version "
                    + "0x1111 for this run, so that \(path) fits it"))
        let summary = try Runs.summary(result.output)
        let esme = try #require(summary.devices.first { $0.name == "ESME" })
        #expect(esme.versionAfter == "0x0A000001")
        #expect(esme.attempts.map(\.outcome) == ["updated"])
        #expect(summary.attempts("GSME") == ["updated"])
    }

    @Test("it takes the place of the image at every delivery, so the old hub refuses it first")
    func everyDelivery() throws {
        let folder = try TemporaryFolder()
        let ppmid = try Self.image(folder, "ppmid.ota", options: [])
        let hcalcs = try Self.image(folder, "hcalcs.ota")
        let result = try Runs.han(
            ["demo", "--json", "--image", "PPMID=\(ppmid)", "--image", "HCALCS=\(hcalcs)"])
        #expect(result.code == 0, "\(result.errors)")
        let summary = try Runs.summary(result.output)
        for name in ["PPMID", "HCALCS"] {
            let device = try #require(summary.devices.first { $0.name == name })
            #expect(device.versionAfter == "0x0A000001")
            #expect(device.attempts.map(\.outcome) == ["notOffered", "updated"])
        }
    }

    @Test("with --keep-identity an image of other codes is not offered, for the reason that it is")
    func keepIdentity() throws {
        let folder = try TemporaryFolder()
        let path = try Self.image(folder)
        let result = try Runs.han(
            ["demo", "--json", "--keep-identity", "--image", "ESME=\(path)"])
        #expect(result.code == 1)
        #expect(!result.errors.contains("takes on"))
        let summary = try Runs.summary(result.output)
        let esme = try #require(summary.devices.first { $0.name == "ESME" })
        #expect(esme.versionAfter == esme.versionBefore)
        #expect(esme.attempts.map(\.outcome) == ["notOffered"])
        #expect(esme.attempts.map(\.reason) == ["wrongManufacturer"])
    }

    @Test("a signature of a stranger is rejected by the device, and accepted with --certificate")
    func certificate() throws {
        let folder = try TemporaryFolder()
        let key = folder.path + "/other.key.pem"
        let made = try RunHan.run(
            "openssl",
            ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key])
        try #require(made.code == 0, "\(made.errors)")
        let certificate = folder.path + "/other.pem"
        let signed = try RunHan.run(
            "openssl",
            ["req", "-x509", "-key", key, "-subj", "/CN=supplier", "-out", certificate])
        try #require(signed.code == 0, "\(signed.errors)")
        let path = try Self.image(folder, options: ["--key", key])
        let rejected = try Runs.han(["demo", "--json", "--image", "ESME=\(path)"])
        #expect(rejected.code == 1)
        #expect(rejected.errors.contains("bears no signature that ESME trusts"))
        let esme = try #require(
            try Runs.summary(rejected.output).devices.first { $0.name == "ESME" })
        #expect(esme.attempts.map(\.outcome) == ["rejected"])
        #expect(esme.attempts.map(\.reason) == ["badSignature"])
        for file in [certificate, key] {
            let accepted = try Runs.han(
                ["demo", "--json", "--image", "ESME=\(path)", "--certificate", "ESME=\(file)"])
            #expect(accepted.code == 0, "\(accepted.errors)")
            #expect(try Runs.summary(accepted.output).attempts("ESME") == ["updated"])
        }
    }

    @Test("a device's own name goes before its role, which means all others of its type")
    func names() throws {
        let folder = try TemporaryFolder()
        let story = try Runs.scenario(
            """
              - join: [ESME, ESME-2]
              - wait: 2 min
              - deliver: {image: esme-2, to: [ESME, ESME-2]}
              - await: {outcome: verified, devices: [ESME, ESME-2]}
                within: 25 h
              - activate: [ESME, ESME-2]
              - await: {outcome: updated, devices: [ESME, ESME-2]}
                within: 1 h
              - readVersions: {devices: [ESME, ESME-2], version: 0x03020001}
                within: 2 h
            """, home: "two-esmes", in: folder)
        let path = try Self.image(folder)
        let result = try Runs.han(["run", story, "--json", "--image", "ESME-2=\(path)"])
        #expect(result.code == 0, "\(result.errors)")
        let devices = try Runs.summary(result.output).devices
        let after = ["ESME", "ESME-2"].map { name in
            devices.first { $0.name == name }?.versionAfter
        }
        #expect(after == ["0x03020001", "0x0A000001"])
    }

    @Test("what the new firmware cannot do, as the profiles have it, is told before the run")
    func capabilities() throws {
        let folder = try TemporaryFolder()
        let display = try Self.image(folder, "ppmid.ota", version: "0x00090200", options: [])
        let hub = try Self.image(folder, "hub.ota", version: "0x01060000")
        let result = try Runs.han(
            ["demo", "--quiet", "--json", "--image", "PPMID=\(display)", "--image", "CH=\(hub)"])
        #expect(result.errors.contains("failed"))
        let told = try Runs.han(
            ["demo", "--image", "PPMID=\(display)", "--image", "CH=\(hub)"]).errors
        #expect(told.contains("han: with firmware 0x00090200 PPMID has no OTA client"))
        #expect(
            told.contains("han: with firmware 0x01060000 CH delivers no images to PPMID and HCALCS")
        )
        let lines = told.split(separator: "\n")
        let first = try #require(lines.firstIndex { $0.contains("step 1 of 25") })
        #expect(lines[..<first].filter { $0.hasPrefix("han: with firmware") }.count == 2)
    }

    @Test("a role may be given in small letters")
    func smallLetters() throws {
        let folder = try TemporaryFolder()
        let path = try Self.image(folder)
        let result = try Runs.han(["demo", "--json", "--image", "esme=\(path)"])
        #expect(result.code == 0, "\(result.errors)")
        let esme = try Runs.summary(result.output).devices.first { $0.name == "ESME" }
        #expect(esme?.versionAfter == "0x0A000001")
    }

    @Test("a signed image sent to a PPMID, whose images have no signature, is pointed out")
    func signedForPPMID() throws {
        let folder = try TemporaryFolder()
        let path = try Self.image(folder)
        let result = try Runs.han(["demo", "--image", "PPMID=\(path)"])
        #expect(
            result.errors.contains(
                "han: \(path) ends like a signed image, but a PPMID's image has no signature"))
        let unsigned = try Self.image(folder, "ppmid.ota", options: [])
        let other = try Runs.han(["demo", "--image", "PPMID=\(unsigned)"])
        #expect(other.code == 0 && !other.errors.contains("like a signed image"))
    }

    @Test("the version that the device runs already is pointed out")
    func sameVersion() throws {
        let folder = try TemporaryFolder()
        let path = try Self.image(folder, version: "0x03010407")
        let result = try Runs.han(["demo", "--image", "ESME=\(path)"])
        #expect(result.code == 1)
        #expect(result.errors.contains("han: ESME runs 0x03010407 already"))
    }

    @Test(
        "the published images update an ESME and a PPMID, judged by tshark to the last frame",
        .enabled(if: Reference.folder != nil, Comment(rawValue: Reference.absent)))
    func published() throws {
        let reference = try #require(Reference.folder).path
        let folder = try TemporaryFolder()
        let result = try Runs.han(
            [
                "demo", "--json", "--out", folder.path,
                "--image", "ESME=\(reference)/ota/esme-gfi-11111112.ota",
                "--image", "PPMID=\(reference)/ota/ppmid-gfi-11111112.ota",
                "--certificate", "ESME=\(reference)/rtds/keystore/90b3d51f30010000-ds.pem",
            ])
        #expect(result.code == 0, "\(result.errors)")
        let summary = try Runs.summary(result.output)
        for (name, outcomes) in [("ESME", ["updated"]), ("PPMID", ["notOffered", "updated"])] {
            let device = try #require(summary.devices.first { $0.name == name })
            #expect(device.versionAfter == "0xACDCACDC")
            #expect(device.attempts.map(\.outcome) == outcomes)
        }
        let verdict = try Tshark.judge(
            capture: folder.path + "/trace.pcapng", keys: folder.path + "/zigbee_pc_keys")
        #expect(verdict.complaints.prefix(5) == [])
    }
}
