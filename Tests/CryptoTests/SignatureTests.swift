import Crypto
import Foundation
import Testing
import Wire

/// RFC 6979 A.2.5: P-256, SHA-256.
@Suite struct SignatureTests {
    static let scalar = hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721")

    @Test("a private key has the public key that RFC 6979 A.2.5 gives for it")
    func publicKey() throws {
        let key = try #require(P256.PrivateKey(scalar: Self.scalar))
        let x = "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
        let y = "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
        #expect(key.publicKey.x963 == hex("04" + x + y))
    }

    @Test(
        "a signature is the one of RFC 6979 A.2.5, every time",
        arguments: [
            (
                "sample", "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
                "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
            ),
            (
                "test", "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
                "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083"
            ),
        ])
    func signature(message: String, r: String, s: String) throws {
        let key = try #require(P256.PrivateKey(scalar: Self.scalar))
        let digest = SHA256.digest(Array(message.utf8))
        let signature = key.sign(digest)
        #expect(signature.bytes == hex(r + s))
        #expect(key.sign(digest) == signature)
        #expect(key.publicKey.verify(signature, digest: digest))
    }

    @Test("what a generated key signs verifies, and nothing else does", arguments: 0..<20)
    func roundTrip(seed: UInt64) throws {
        var stream = SeededStream(Seed(seed))
        let key = P256.PrivateKey.generate(from: &stream)
        let other = P256.PrivateKey.generate(from: &stream)
        let digest = SHA256.digest(stream.bytes(Int(seed) * 7))
        let signature = key.sign(digest)
        #expect(key.publicKey.verify(signature, digest: digest))
        #expect(!other.publicKey.verify(signature, digest: digest))
        #expect(!key.publicKey.verify(signature, digest: SHA256.digest(stream.bytes(9))))
        for index in 0..<64 {
            var bytes = signature.bytes
            bytes[index] ^= UInt8(1 << (index & 7))
            let changed = try #require(P256.Signature(bytes))
            #expect(!key.publicKey.verify(changed, digest: digest))
        }
    }

    @Test("the same seed generates the same key, another seed another")
    func generation() {
        var (a, b, c) = (SeededStream(Seed(5)), SeededStream(Seed(5)), SeededStream(Seed(6)))
        let key = P256.PrivateKey.generate(from: &a)
        #expect(key.pem == P256.PrivateKey.generate(from: &b).pem)
        #expect(key.pem != P256.PrivateKey.generate(from: &c).pem)
    }

    @Test("a digest at or above the curve's order is signed and verified like any other")
    func largeDigest() throws {
        let key = try #require(P256.PrivateKey(scalar: Self.scalar))
        let digest = try #require(Digest256([UInt8](repeating: 0xFF, count: 32)))
        #expect(key.publicKey.verify(key.sign(digest), digest: digest))
    }

    @Test("signatures with numbers out of range verify as false and do not trap")
    func absurdSignatures() throws {
        let key = try #require(P256.PrivateKey(scalar: Self.scalar))
        let digest = SHA256.digest(Array("sample".utf8))
        for byte in [UInt8(0x00), 0xFF] {
            let signature = try #require(P256.Signature([UInt8](repeating: byte, count: 64)))
            #expect(!key.publicKey.verify(signature, digest: digest))
        }
        #expect(P256.Signature([UInt8](repeating: 1, count: 63)) == nil)
        #expect(P256.Signature([UInt8](repeating: 1, count: 65)) == nil)
        #expect(P256.Signature([]) == nil)
    }
}
