import Crypto
import Testing
import Wire

@Suite struct HashTests {
    @Test(
        "SHA-256 gives the digests of FIPS 180",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
        ])
    func sha256(text: String, digest: String) {
        let bytes = Array(text.utf8)
        #expect(SHA256.digest(bytes).description == digest)
        #expect(SHA256.digest(bytes.span).description == digest)
        let hasher = SHA256Hasher()
        for byte in bytes { hasher.update([byte]) }
        #expect(hasher.finish().description == digest)
    }

    @Test("a hasher fed a million letters in pieces gives FIPS 180's digest, twice in a row")
    func million() {
        let hasher = SHA256Hasher()
        let piece = [UInt8](repeating: UInt8(ascii: "a"), count: 1_000)
        for _ in 0..<2 {
            for _ in 0..<1_000 { hasher.update(piece.span) }
            #expect(
                hasher.finish().description
                    == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
        }
    }

    @Test(
        "AES-MMO gives the hashes of ZigBee C.5",
        arguments: [
            (1, 0xC0, "AE3A102A28D43EE0D4A09E22788B206C"),
            (16, 0xC0, "A7977E88BC0B61E8210827109A228F2D"),
            (8_191, 0x00, "24EC2FE75BBFFCB34789BC0610E7F165"),
            (8_202, 0x00, "BC9828D59B2AA323DAF20BE5F2E66511"),
        ])
    func mmo(count: Int, first: Int, hash: String) {
        let message = (0..<count).map { UInt8(truncatingIfNeeded: $0 + first) }
        #expect(AESMMO.hash(message) == key(hash))
    }

    @Test("AES-MMO tells messages apart by length, around every way of padding")
    func mmoLengths() {
        let lengths = Array(0...66) + Array(8_170...8_210)
        let hashes = lengths.map { AESMMO.hash([UInt8](repeating: 0, count: $0)) }
        #expect(Set(hashes).count == lengths.count)
    }

    @Test("HMAC-MMO gives the tags of ZigBee C.6.1 and C.6.2")
    func hmac() {
        let short = HMACMMO.authenticate([0xC0], key: Array(0x40...0x4F))
        #expect(short == key("4512807BF94CB3400F0E2C25FB76E999"))
        let long = HMACMMO.authenticate(Array(0xC0...0xCF), key: Array(0x40...0x5F))
        #expect(long == key("A3B0079984BF1557F74A0D6387E0A11A"))
    }

    @Test("an HMAC-MMO key shorter than a block counts as padded with zeros")
    func shortKey() {
        let padded = [1, 2, 3] + [UInt8](repeating: 0, count: 13)
        #expect(
            HMACMMO.authenticate([9], key: [1, 2, 3]) == HMACMMO.authenticate([9], key: padded))
    }

    @Test("the keys derived from ZigBeeAlliance09 are the well-known ones")
    func derivedKeys() throws {
        let link = try #require(Key128(Array("ZigBeeAlliance09".utf8)))
        #expect(link.keyTransportKey == key("4BAB0F173E1434A2D572E1C1EF478782"))
        #expect(link.keyLoadKey == key("C5A47035C332CCBF251571D8BADED188"))
        #expect(link.verifyKeyHash == key("1AB128DF1639A1246AABA72A6A559124"))
    }

    @Test("the two CRCs give the check values of their catalogue entries")
    func crcs() {
        let check = Array("123456789".utf8)
        #expect(CRC16.frameCheckSequence(check.span) == 0x2189)
        #expect(CRC16.installCode(check.span) == 0x906E)
    }
}
