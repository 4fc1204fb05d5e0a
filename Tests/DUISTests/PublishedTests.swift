import Crypto
import DCC
import GBCS
import DUIS
import Foundation
import TestSupport
import Testing
import Wire

/// The published schema, templates and keys, and the programs that judge with them.
private enum Published {
    static let folder = Reference.folder?.appending(path: "duis").path
    static var schemaPath: String { (folder ?? "") + "/duis.xsd" }

    static let missing: String? = {
        guard let folder, FileManager.default.fileExists(atPath: folder + "/duis.xsd") else {
            return Reference.absent
        }
        let absent = ["xmllint", "xmlsec1"].filter { name in
            (try? Command.run(name, ["--version"]))?.status != 0
        }
        return absent.isEmpty
            ? nil : "needs \(absent.joined(separator: " and ")): install libxml2-utils and xmlsec1"
    }()

    static let isThere = missing == nil

    static let skip = Comment(rawValue: missing ?? "")

    static let schema = folder.flatMap { _ in try? DUISSchema(path: schemaPath) }
    static let keys = folder.flatMap { try? XMLKeys(folders: [$0 + "/keys"]) } ?? XMLKeys()

    static let templates: [String] = {
        guard let folder else { return [] }
        let names =
            (try? FileManager.default.contentsOfDirectory(atPath: folder + "/templates")) ?? []
        return names.filter { $0.hasSuffix(".XML") }.sorted()
    }()

    static func template(_ name: String) throws -> [UInt8] {
        Array(
            try Data(contentsOf: URL(filePath: (folder ?? "") + "/templates/" + name)))
    }

    /// Whether xmllint finds each of these documents valid; one call for all of them.
    static func verdicts(_ documents: [[UInt8]]) throws -> (valid: [Bool], words: String) {
        let scratch = try TemporaryFolder()
        var paths: [String] = []
        for (index, document) in documents.enumerated() {
            let path = scratch.path("\(index).xml")
            try Data(short(document)).write(to: URL(filePath: path))
            paths.append(path)
        }
        let run = try Command.run(
            "xmllint", ["--noout", "--nonet", "--schema", schemaPath] + paths)
        let lines = Set(run.errors.split(separator: "\n").map(String.init))
        return (paths.map { lines.contains("\($0) validates") }, run.errors)
    }

    /// libxml2 reads whole numbers of up to 24 digits, and serial numbers have up to 49.
    private static func short(_ document: [UInt8]) -> [UInt8] {
        let text = String(decoding: document, as: UTF8.self)
        let cut = text.replacing(/SerialNumber>[0-9]{25,}</, with: "SerialNumber>1<")
        return cut == text ? document : Array(cut.utf8)
    }
}

@Suite("DUIS and the published schema", .enabled(if: Published.isThere, Published.skip))
struct PublishedTests {
    @Test("the published keys are read: three users, the DSP, and private keys to all")
    func keys() throws {
        let keys = Published.keys
        #expect(keys.skipped == [])
        #expect(keys.entries.count == 4)
        #expect(
            keys.users == [
                EUI64(0x00DB_1234_5678_0004), Parties.user, Parties.otherUser,
            ])
        let dsp = try #require(keys.dsp)
        #expect(dsp.id == Parties.dsp)
        #expect(dsp.certificate.issuerName == "CN=Z1,OU=07")
        #expect(dsp.certificate.serialNumber == "167048897159233642262001557408276884033")
        for id in keys.users { #expect(keys.signer(of: id) != nil) }
    }

    @Test(
        "each template is refused as it is, and accepted once signed",
        arguments: Published.templates)
    func templates(name: String) throws {
        let template = try Published.template(name)
        let reader = DUISReader(signatures: .demanded(Published.keys), schema: Published.schema)
        #expect(refusal(template, reader)?.situation == .unknownCertificate)
        let unsigned = try DUISReader(signatures: .ignored, schema: Published.schema)
            .request(template)
        let originator = unsigned.request.id.originator
        let signer = try #require(Published.keys.signer(of: originator))
        let signed = try DUISSigner.sign(template, by: signer, counter: 42)
        let received = try reader.request(signed)
        #expect(received.signer == originator)
        #expect(received.request.body == unsigned.request.body)
        #expect(received.request.id.counter == 42)
        let verdict = try Published.verdicts([signed])
        #expect(verdict.valid == [true], "\(verdict.words)")
    }

    @Test("what is signed here, templates, requests and responses, verifies with xmlsec1")
    func xmlsecVerifies() throws {
        let scratch = try TemporaryFolder()
        func verify(_ bytes: [UInt8], by signer: XMLSigner) throws -> Int32 {
            let path = scratch.path("signed.xml")
            let certificate = scratch.path("certificate.pem")
            try Data(bytes).write(to: URL(filePath: path))
            try Data(signer.certificate.pem.utf8).write(to: URL(filePath: certificate))
            return try Command.run(
                "xmlsec1", ["--verify", "--pubkey-cert-pem", certificate, path]
            ).status
        }
        let user = try #require(Published.keys.signer(of: Parties.user))
        let dsp = try #require(Published.keys.dsp)
        for name in Published.templates {
            let signed = try DUISSigner.sign(try Published.template(name), by: user)
            #expect(try verify(signed, by: user) == 0, "\(name)")
        }
        for request in Samples.requests {
            let signed = try DUISWriter.request(request, signedBy: user)
            #expect(try verify(signed, by: user) == 0, "\(request.body)")
        }
        for response in Samples.responses {
            let signed = try DUISWriter.response(response, signedBy: dsp)
            #expect(try verify(signed, by: dsp) == 0, "\(response.body)")
        }
        // Long texts are signed without libxml2's having seen them.
        let image = Array(repeating: UInt8(0x5A), count: 30_000)
        let long = Samples.request("11.1", .updateFirmware(Samples.update(1_000, image: image)))
        #expect(try verify(try DUISWriter.request(long, signedBy: user), by: user) == 0)
        var warning = FirmwareWarning()
        warning.invalid = (0..<50_000).map { EUI64(0x00DB_0000_0000_0000 + $0) }
        warning.gbcsVersion = (0..<400).map { EUI64(0x00DB_1000_0000_0000 + $0) }
        let answer = try DUISWriter.response(
            Samples.response(
                .response(reference: "11.1", variant: "11.1", .updateFirmwareWarning(warning))),
            signedBy: dsp)
        #expect(try verify(answer, by: dsp) == 0)
        #expect(try Published.verdicts([answer]).valid == [true])
        let read = try Parties.lenient.response(answer).response.body
        #expect(
            read == .response(reference: "11.1", variant: "11.1", .updateFirmwareWarning(warning)))
        let signed = try DUISWriter.request(Samples.requests[0], signedBy: user)
        let changed = Samples.text(signed).replacing("ACDCACDC", with: "ACDCACDD")
        #expect(try verify(Array(changed.utf8), by: user) != 0)
        #expect(try verify(signed, by: dsp) != 0)
    }

    @Test("a request signed by xmlsec1 is accepted", arguments: Published.templates)
    func xmlsecSigns(name: String) throws {
        let template = try Published.template(name)
        let id = try DUISReader(signatures: .ignored).request(template).request.id.originator
        let entry = try #require(Published.keys.entries.first { $0.id == id })
        let scratch = try TemporaryFolder()
        // As it is but for the number, and where there is a list longer than what is canonicalised
        // where it stands.
        let text = Samples.text(template)
            .replacing(">1234567890<", with: ">\(entry.certificate.serialNumber)<")
            .replacing("ZGVmYXVsdA==", with: "")
            .replacing("</sr:DeviceIDList>", with: Self.more + "</sr:DeviceIDList>")
        try Data(text.utf8).write(to: scratch.url.appending(path: "template.xml"))
        try Data(try #require(entry.key).pem.utf8).write(to: scratch.url.appending(path: "key.pem"))
        let run = try Command.run(
            "xmlsec1",
            [
                "--sign", "--privkey-pem", scratch.path("key.pem"), "--output",
                scratch.path("signed.xml"), scratch.path("template.xml"),
            ])
        try #require(run.status == 0, "\(run.errors)")
        let signed = Array(try Data(contentsOf: scratch.url.appending(path: "signed.xml")))
        // xmlsec1 takes what it has no certificate for out of KeyInfo.
        let named =
            Samples.text(signed).contains("X509SerialNumber")
            ? signed
            : Array(
                Samples.text(signed).replacing(
                    /(?s)<ds:KeyInfo>.*<\/ds:KeyInfo>/, with: Self.keyInfo(entry)
                ).utf8)
        let reader = DUISReader(signatures: .demanded(Published.keys), schema: Published.schema)
        #expect(try reader.request(named).signer == id)
    }

    /// Three hundred further devices.
    private static let more = (0..<UInt64(300)).map { ",\(EUI64($0).dashed)" }.joined()

    private static func keyInfo(_ entry: XMLKeys.Entry) -> String {
        """
        <ds:KeyInfo><ds:X509Data><ds:X509IssuerSerial>\
        <ds:X509IssuerName>CN=U1, OU=07</ds:X509IssuerName>\
        <ds:X509SerialNumber>\(entry.certificate.serialNumber)</ds:X509SerialNumber>\
        </ds:X509IssuerSerial></ds:X509Data></ds:KeyInfo>
        """
    }

    @Test("every response, alert and request that is written is valid")
    func valid() throws {
        let dsp = try #require(Published.keys.dsp)
        var documents: [[UInt8]] = []
        for response in Samples.responses {
            documents.append(try DUISWriter.response(response, signedBy: dsp))
            documents.append(try DUISWriter.response(response, signedBy: nil))
        }
        let user = try #require(Published.keys.signer(of: Parties.user))
        for request in Samples.requests {
            documents.append(try DUISWriter.request(request, signedBy: user))
        }
        let codes = ResponseCodes.Situation.allCases.map { ResponseCodes()[$0] }
        for code in codes {
            documents.append(
                try DUISWriter.response(
                    Samples.response(
                        .response(reference: "11.1", variant: "11.1", nil), code: code),
                    signedBy: nil))
        }
        for cause in AlertCodes.Cause.allCases {
            documents.append(
                try DUISWriter.response(
                    Samples.response(.dccAlert(AlertCodes()[cause], Samples.alerts[0].1)),
                    signedBy: nil))
        }
        let verdict = try Published.verdicts(documents)
        #expect(!verdict.valid.contains(false), "\(verdict.words)")
        // Our own use of the schema says the same.
        let reader = DUISReader(signatures: .demanded(Published.keys), schema: Published.schema)
        for response in Samples.responses {
            let bytes = try DUISWriter.response(response, signedBy: dsp)
            #expect(try reader.response(bytes).response == response)
        }
    }

    @Test("a schema that is not there, or is none, says so")
    func noSchema() throws {
        #expect(throws: DUISSchema.Unusable.self) { try DUISSchema(path: "/nowhere/duis.xsd") }
        let scratch = try TemporaryFolder()
        try Data("<a/>".utf8).write(to: scratch.url.appending(path: "a.xsd"))
        #expect(throws: DUISSchema.Unusable.self) { try DUISSchema(path: scratch.path("a.xsd")) }
    }

    @Test("what only the schema knows of other bodies is refused with it")
    func otherBodies() throws {
        let bytes = Samples.unsigned(
            body: "<sr:DisplayMessage><sr:Nonsense/></sr:DisplayMessage>", reference: "3.1")
        #expect(refusal(bytes, Parties.lenient) == nil)
        let strict = DUISReader(signatures: .ignored, schema: Published.schema)
        #expect(refusal(bytes, strict)?.situation == .malformed)
        #expect(refusal(bytes, strict)?.detail.contains("Nonsense") == true)
    }

    @Test("our own reader and xmllint agree on which of many mutated requests are valid")
    func mutants() throws {
        var documents: [[UInt8]] = []
        for (index, request) in Samples.requests.enumerated() where index != 1 {
            let bytes = try DUISWriter.request(request, signedBy: nil)
            documents += Mutants(of: Samples.text(bytes), seed: Seed(UInt64(index))).all
        }
        #expect(documents.count > 1_000)
        let verdict = try Published.verdicts(documents)
        #expect(Set(verdict.valid).count == 2)
        for (document, isValid) in zip(documents, verdict.valid) {
            let refused = refusal(document, Parties.lenient)
            // The schema lets these through, and there is nothing to be done with them. libxml2
            // passes over what is no base64, which the schema does not.
            let isOurs =
                refused?.situation == .executionTime
                || refused?.detail.contains("AddDeviceToCHFWhitelist is expected") == true
                || refused?.detail.contains("no base64: byte") == true
            guard !isOurs else { continue }
            #expect(
                (refused == nil) == isValid,
                "\(refused?.detail ?? "read")\n\(Samples.text(document))")
        }
    }
}
