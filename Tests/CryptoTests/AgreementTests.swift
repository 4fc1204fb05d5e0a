import Crypto
import Testing
import Wire

@Suite("Key agreement and GMAC")
struct AgreementTests {
    /// The first vector of NIST's ECC CDH primitive for P-256.
    static let scalar = hex("7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534")
    static let point = hex(
        "04 700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287"
            + "db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac")

    @Test("ECDH gives the published secret")
    func published() throws {
        let key = try #require(P256.PrivateKey(scalar: Self.scalar))
        let secret = key.sharedSecret(with: try P256.PublicKey(x963: Self.point))
        #expect(secret == hex("46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b"))
    }

    @Test("both sides come to the same secret, and openssl to that too")
    func agree() throws {
        var stream = SeededStream(Seed(9).named("agreement"))
        let one = P256.PrivateKey.generate(from: &stream)
        let two = P256.PrivateKey.generate(from: &stream)
        let secret = one.sharedSecret(with: two.publicKey)
        #expect(secret == two.sharedSecret(with: one.publicKey))
        let shop = try Workshop()
        try shop.write(Array(one.pem.utf8), "one.pem")
        try shop.write(Array(two.publicKey.pem.utf8), "two.pem")
        let status = try shop.openssl(
            "pkeyutl -derive -inkey one.pem -peerkey two.pem -out secret")
        #expect(status == 0)
        #expect(try shop.read("secret") == secret)
    }

    @Test("a point off the curve, or none at all, is no key to agree with")
    func badPoints() {
        var off = Self.point
        off[64] ^= 1
        for bytes in [off, [0x00], [0x04] + [UInt8](repeating: 0, count: 64)] {
            #expect(keyFailure { try P256.PublicKey(x963: bytes) } == .badPoint)
        }
    }

    @Test("the tag of nothing is the published one, cut to the length that is asked for")
    func gmac() {
        let key = Key128(high: 0, low: 0)
        let iv = [UInt8](repeating: 0, count: 12)
        let tag = hex("58e2fccefa7e3061367f1d57a4e7455a")
        #expect(GMAC.tag(of: [], key: key, iv: iv, length: 16) == tag)
        #expect(GMAC.tag(of: [], key: key, iv: iv, length: 12) == Array(tag.prefix(12)))
        #expect(GMAC.tag(of: [0], key: key, iv: iv, length: 16) != tag)
        #expect(GMAC.areEqual(tag, tag))
        #expect(!GMAC.areEqual(tag, Array(tag.dropLast())))
        #expect(!GMAC.areEqual(tag, Array(tag.dropLast()) + [0]))
    }
}
