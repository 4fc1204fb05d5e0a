import Crypto
import DCC
import DUIS
import Foundation
import TestSupport
import Testing
import Wire

@Suite("Signatures of DUIS")
struct SignatureTests {
    static let request = Samples.requests[1]

    static let signed: String = (try? Samples.signed(request)).map { Samples.text($0) } ?? ""

    private func refused(
        _ text: String, _ situation: ResponseCodes.Situation, _ words: String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let found = refusal(Array(text.utf8))
        #expect(
            found?.situation == situation, "\(found?.detail ?? "read")",
            sourceLocation: sourceLocation)
        #expect(
            words.isEmpty || found?.detail.contains(words) == true, "\(found?.detail ?? "read")",
            sourceLocation: sourceLocation)
    }

    private static var signature: String {
        let start = signed.range(of: "<ds:Signature>")!.lowerBound
        let end = signed.range(of: "</ds:Signature>")!.upperBound
        return String(signed[start..<end])
    }

    @Test("whatever is changed after it was signed, long texts included, is found")
    func changed() throws {
        let list = try #require(Self.signed.range(of: "<sr:DeviceIDList>"))
        let image = try #require(Self.signed.range(of: "<sr:FirmwareImage>"))
        for (place, replacement) in [(list, "01"), (image, "BA")] {
            var text = Self.signed
            let start = place.upperBound
            text.replaceSubrange(start..<text.index(start, offsetBy: 2), with: replacement)
            #expect(text != Self.signed)
            refused(text, .badSignature, "the signature is wrong")
        }
        refused(Self.signed.replacing("ACDCACDC", with: "ACDCACDD"), .badSignature)
        refused(Self.signed.replacing(":1000<", with: ":1001<"), .badSignature)
        refused(Self.signed.replacing("<sr:Body>", with: "<sr:Body> "), .badSignature)
        refused(
            Self.signed.replacing("schemaVersion=\"5.4\"", with: "schemaVersion=\"5.3\""),
            .badSignature)
    }

    @Test("line ends written as character references stay in the signature's account")
    func carriageReturns() throws {
        let plain = Samples.text(try DUISWriter.request(Self.request, signedBy: nil))
        var text = plain
        let image = try #require(text.range(of: "<sr:FirmwareImage>")).upperBound
        for place in [7_000, 3_000, 76] {
            text.insert(contentsOf: "&#13;\n", at: text.index(image, offsetBy: place))
        }
        let signer = try #require(Parties.keys.signer(of: Parties.user))
        let signed = try DUISSigner.sign(Array(text.utf8), by: signer)
        #expect(try Parties.reader.request(signed).request == Self.request)
        let gone = Samples.text(signed).replacing("&#13;\n", with: "\n")
        refused(gone, .badSignature)
    }

    @Test("base64 in the signature itself may have line ends as Java writes them")
    func javaSignature() throws {
        let value = try #require(
            Self.signed.firstMatch(of: /<ds:SignatureValue>([^<]*)<\/ds:SignatureValue>/)?.1)
        let joined = value.filter { !$0.isWhitespace }
        let broken = joined.prefix(76) + "&#13;\n" + joined.dropFirst(76)
        let text = Self.signed.replacing(value, with: broken)
        #expect(try Parties.reader.request(Array(text.utf8)).request == Self.request)
    }

    @Test("a second signature, one elsewhere, or something after it is refused")
    func wrapped() {
        let signature = Self.signature
        refused(
            Self.signed.replacing(signature, with: signature + signature), .badSignature, "second")
        refused(Self.signed.replacing(signature, with: signature + "<sr:Body/>"), .malformed)
        let unsigned = Self.signed.replacing(signature, with: "")
        refused(unsigned, .unsigned, "it ends where a signature is expected")
        refused(
            unsigned.replacing("<sr:Header>", with: signature + "<sr:Header>"), .malformed,
            "expected Header")
        refused(
            unsigned.replacing("</sr:Header>", with: signature + "</sr:Header>"), .malformed)
        // The whole signed request inside another one's signature, as wrapping attacks have it.
        let inner = Self.signed.replacing("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", with: "")
        let object = "<ds:Object>\(inner)</ds:Object></ds:Signature>"
        refused(
            Self.signed.replacing(":1000<", with: ":1001<")
                .replacing("</ds:Signature>", with: object), .badSignature, "found 'Object'")
        // Within a body that is not looked into.
        let body = "<sr:DisplayMessage>\(inner)</sr:DisplayMessage>"
        let other = Samples.text(Samples.unsigned(body: body, reference: "3.1"))
        let outer =
            other.dropLast("</sr:Request>".count)
            + signature.replacing(
                "<ds:Signature>",
                with: "<ds:Signature xmlns:ds='http://www.w3.org/2000/09/xmldsig#'>")
            + "</sr:Request>"
        refused(String(outer), .badSignature, "a part of a signature outside")
    }

    @Test("only the algorithms of DUIS are taken, and one reference to the whole document")
    func form() {
        let exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
        let enveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
        for (old, new) in [
            (exclusive, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
            (exclusive, exclusive + "WithComments"),
            ("xmldsig-more#ecdsa-sha256", "xmldsig-more#ecdsa-sha1"),
            ("xmldsig-more#ecdsa-sha256", "xmldsig-more#hmac-sha256"),
            ("xmlenc#sha256", "xmlenc#sha512"),
            (enveloped, "http://www.w3.org/TR/1999/REC-xslt-19991116"),
            (enveloped, "http://www.w3.org/2002/06/xmldsig-filter2"),
            ("URI=\"\"", "URI=\"#x\""), ("URI=\"\"", "URI=\"file:///etc/passwd\""),
            ("URI=\"\"", "URI=\"http://127.0.0.1/\""), (" URI=\"\"", ""),
            ("<ds:KeyInfo>", "<ds:KeyName/><ds:KeyInfo>"),
            ("<ds:X509IssuerSerial>", "<ds:X509SKI>AA==</ds:X509SKI><ds:X509IssuerSerial a='1'>"),
        ] {
            refused(Self.signed.replacing(old, with: new), .badSignature)
        }
        let reference = Self.signed.firstMatch(of: /(?s)<ds:Reference.*<\/ds:Reference>/)!.0
        refused(
            Self.signed.replacing(reference, with: reference + reference), .badSignature,
            "a second reference")
        let info = Self.signed.firstMatch(of: /(?s)<ds:KeyInfo>.*<\/ds:KeyInfo>/)!.0
        refused(Self.signed.replacing(info, with: ""), .badSignature, "KeyInfo")
        refused(
            Self.signed.replacing(
                info, with: "<ds:KeyInfo><ds:KeyName>me</ds:KeyName></ds:KeyInfo>"),
            .badSignature, "it names no certificate")
    }

    @Test("an exclusive canonicalisation after the enveloped transform is taken too")
    func exclusiveTransform() throws {
        let other = try Samples.signed(Samples.requests[0])
        let transform =
            "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>"
        let text = Samples.text(other).replacing(
            transform,
            with: transform
                + "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>")
        // The signature is of other bytes now; that it is looked at at all is what counts here.
        refused(text, .badSignature, "the signature is wrong")
    }

    @Test("the certificate is found by its number, however its issuer's name is spaced")
    func issuers() throws {
        let certificate = try #require(Parties.keys.signer(of: Parties.user)).certificate
        for issuer in ["CN=U1, OU=07", "", "CN = han test issuer", "x"] {
            let text = Self.signed.replacing(
                "<ds:X509IssuerName>\(certificate.issuerName)<",
                with: "<ds:X509IssuerName>\(issuer)<")
            #expect(text != Self.signed)
            #expect(try Parties.reader.request(Array(text.utf8)).signer == Parties.user)
        }
        let zeros = Self.signed.replacing(
            certificate.serialNumber, with: "\n 000\(certificate.serialNumber) ")
        #expect(try Parties.reader.request(Array(zeros.utf8)).signer == Parties.user)
        for serial in ["1234567890", "0", "170141183460469231731687303715884105728"] {
            refused(
                Self.signed.replacing(certificate.serialNumber, with: serial),
                .unknownCertificate, "certificate number '\(serial)'")
        }
        for serial in ["-1", "1.5", "0x12", "", String(repeating: "9", count: 61)] {
            refused(
                Self.signed.replacing(certificate.serialNumber, with: serial), .badSignature,
                "serial number in decimal")
        }
    }

    @Test(
        "a signature under somebody else's certificate, and one of somebody else's, are told apart")
    func wrongSigner() throws {
        let other = try #require(Parties.keys.signer(of: Parties.otherUser))
        let foreign = Samples.text(try Samples.signed(Self.request, by: Parties.otherUser))
        refused(
            foreign, .wrongSigner,
            "from 90-B3-D5-1F-30-01-00-00, and signed by 90-B3-D5-1F-30-02-00-00")
        let own = try #require(Parties.keys.signer(of: Parties.user)).certificate
        refused(
            foreign.replacing(other.certificate.serialNumber, with: own.serialNumber),
            .badSignature, "another key signed it")
        let response = try DUISWriter.response(Samples.responses[0], signedBy: other)
        #expect(throws: DUISRefusal.self) { try Parties.reader.response(response) }
    }

    @Test("the DSP may ask for something itself, as its own samples do")
    func dspAsUser() throws {
        var request = Samples.requests[4]
        request.id.originator = Parties.dsp
        let bytes = try DUISWriter.request(request, signedBy: Parties.keys.dsp)
        #expect(try Parties.reader.request(bytes).signer == Parties.dsp)
    }

    @Test("signing anew replaces the signature, and may change counter and version")
    func again() throws {
        let signer = try #require(Parties.keys.signer(of: Parties.user))
        let signed = try DUISSigner.sign(
            Array(Self.signed.utf8), by: signer, counter: .max, version: "0000<1>")
        let received = try Parties.reader.request(signed)
        #expect(received.request.id == Samples.id(.max))
        guard case .updateFirmware(let update) = received.request.body else {
            Issue.record("no 11.1")
            return
        }
        #expect(update.version == "0000<1>")
        #expect(Samples.text(signed).components(separatedBy: "<ds:Signature>").count == 2)
        #expect(throws: DUISWriteError.self) {
            try DUISSigner.sign(Array("<a/>".utf8), by: signer)
        }
        #expect(throws: DUISWriteError.self) { try DUISSigner.sign([], by: signer) }
        let query = try Samples.signed(Samples.requests[22])
        #expect(throws: DUISWriteError.self) {
            try DUISSigner.sign(query, by: signer, version: "1")
        }
        // Without a prefix for signatures in the document.
        let bare = try DUISSigner.sign(
            Samples.unsigned(body: HostileTests.body(), reference: "11.1"), by: signer)
        #expect(try Parties.reader.request(bare).signer == Parties.user)
    }

    @Test("many threads may read at once")
    func threads() async throws {
        let bytes = Array(Self.signed.utf8)
        await withTaskGroup(of: Bool.self) { group in
            for index in 0..<64 {
                group.addTask {
                    var own = bytes
                    let isBroken = index % 3 == 0
                    if isBroken { own[own.count / 2] ^= 1 }
                    return (try? Parties.reader.request(own))?.request == Self.request
                        ? !isBroken : isBroken
                }
            }
            for await isRight in group { #expect(isRight) }
        }
    }
}

@Suite("Keys of DUIS")
struct KeyTests {
    @Test("keys are made from a seed, the same each time, and read back from their folder")
    func made() throws {
        let folder = try TemporaryFolder()
        let made = [
            Parties.maker.make(.user, Parties.user), Parties.maker.make(.dsp, Parties.dsp),
        ]
        var names: [String] = []
        for entry in made { names += try XMLKeyMaker.write(entry, to: folder.path) }
        #expect(
            Set(names) == [
                "xml-sign-90B3D51F30010000-ds.pem", "xml-sign-90B3D51F30010000-ds.key",
                "dsp-xml-sign-90B3D51F30000002-ds.pem", "dsp-xml-sign-90B3D51F30000002-ds.key",
            ])
        for name in names {
            let attributes = try FileManager.default.attributesOfItem(atPath: folder.path(name))
            let mode = try #require(attributes[.posixPermissions] as? Int)
            #expect(mode & 0o077 == (name.hasSuffix(".key") ? 0 : mode & 0o077))
            if name.hasSuffix(".key") { #expect(mode == 0o600) }
        }
        let keys = try XMLKeys(folders: [folder.path])
        #expect(keys.skipped == [])
        #expect(keys.users == [Parties.user])
        #expect(keys.dsp?.id == Parties.dsp)
        let again = XMLKeyMaker(seed: Seed(7)).make(.user, Parties.user)
        #expect(again.certificate.der == made[0].certificate.der)
        #expect(
            XMLKeyMaker(seed: Seed(8)).make(.user, Parties.user).certificate.der
                != made[0].certificate.der)
        // What one half of these keys signs, the other verifies.
        let bytes = try Samples.signed(Samples.requests[0])
        let reader = DUISReader(signatures: .demanded(keys))
        #expect(try reader.request(bytes).signer == Parties.user)
        #expect(throws: XMLKeyError.exists(folder.path(names[0]))) {
            try XMLKeyMaker.write(made[0], to: folder.path)
        }
    }

    @Test("files that are no keys, or nobody's, are left out, each with its reason")
    func leftOut() throws {
        let folder = try TemporaryFolder()
        let entry = Parties.maker.make(.user, Parties.user)
        let other = Parties.maker.make(.user, Parties.otherUser)
        for (name, bytes) in [
            ("a.pem", Array(entry.certificate.pem.utf8)), ("a.key", try #require(other.key).pkcs8),
            ("b.pem", Array("nothing".utf8)), ("c.key", []), ("d.txt", [1]), (".e.pem", [1]),
            ("f.key", Array(try #require(entry.key).pem.utf8)),
        ] {
            try Data(bytes).write(to: folder.url.appending(path: name))
        }
        let keys = try XMLKeys(folders: [folder.path, folder.path])
        #expect(keys.entries.count == 1)
        #expect(keys.signer(of: Parties.user) != nil)
        #expect(keys.dsp == nil)
        #expect(Set(keys.skipped.map { String($0.prefix(5)) }) == ["a.key", "b.pem", "c.key"])
        #expect(keys.skipped.contains { $0.contains("not the key of a.pem") })
        #expect(throws: XMLKeyError.missing(folder.path("none"))) {
            try XMLKeys(folders: [folder.path("none")])
        }
    }
}
