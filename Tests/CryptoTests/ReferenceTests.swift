import Crypto
import Foundation
import Testing
import Wire

/// Against published test data, where it was handed out.
@Suite(
    .enabled(
        if: Reference.folder != nil,
        "no reference data: set HAN_REFERENCE or put it at ../shared/reference"))
struct ReferenceTests {
    static let headerLength = 60
    static let imageLength = 235

    @Test("the sample ESME image is signed by the supplier whose certificate is in the keystore")
    func esme() throws {
        let file = try Reference.read("ota/esme-gfi-11111112.ota")
        let certificate = try Reference.read("rtds/keystore/90b3d51f30010000-ds.pem")
        let supplier = try P256.PublicKey(certificate: certificate)
        let image = Array(file[Self.headerLength..<Self.headerLength + Self.imageLength])
        let signature = try #require(P256.Signature(file.suffix(64)))
        let digest = SHA256.digest(image)
        #expect(supplier.verify(signature, digest: digest))
        #expect(!supplier.verify(signature, digest: SHA256.digest(file)))
        let expected = "7542f475e3f12eae887d81e32c46d313741d67076b13caec2f82e00ba5e1bb36"
        #expect(digest.description == expected)
    }

    @Test("the sample PPMID image holds the same manufacturer's image and no signature")
    func ppmid() throws {
        let file = try Reference.read("ota/ppmid-gfi-11111112.ota")
        #expect(file.count == Self.headerLength + Self.imageLength)
        let expected = "7542f475e3f12eae887d81e32c46d313741d67076b13caec2f82e00ba5e1bb36"
        #expect(SHA256.digest(Array(file[Self.headerLength...])).description == expected)
    }

    @Test("every certificate and key of the published test parties loads, and the pairs belong")
    func keystore() throws {
        let folder = try #require(Reference.folder)
        var pairs = 0
        for path in ["rtds/keystore", "duis/keys"] {
            let names = try FileManager.default
                .contentsOfDirectory(atPath: folder.appending(path: path).path).sorted()
            #expect(!names.isEmpty)
            for name in names where name.hasSuffix(".pem") {
                let held = try P256.PublicKey(any: Reference.read("\(path)/\(name)"))
                let keyName = name.replacingOccurrences(of: ".pem", with: ".key")
                guard names.contains(keyName) else { continue }
                let key = try P256.PrivateKey(pkcs8: Reference.read("\(path)/\(keyName)"))
                #expect(key.publicKey == held, "\(path)/\(name)")
                pairs += 1
            }
        }
        #expect(pairs > 0)
    }
}
