import Crypto
import Foundation
import Testing
import Wire

@Suite struct KeyFileTests {
    static func key(_ seed: UInt64) -> P256.PrivateKey {
        var stream = SeededStream(Seed(seed))
        return .generate(from: &stream)
    }

    @Test("a key that we write is one that the openssl command reads, and the other way round")
    func files() throws {
        let workshop = try Workshop()
        let key = Self.key(1)
        try workshop.write(Array(key.pem.utf8), "key.pem")
        try workshop.write(Array(key.publicKey.pem.utf8), "public.pem")
        #expect(try workshop.openssl("pkey -in key.pem -check -noout") == 0)
        #expect(try workshop.openssl("pkey -in key.pem -pubout -out theirs.pem") == 0)
        #expect(try workshop.read("theirs.pem") == Array(key.publicKey.pem.utf8))

        for command in [
            "pkey -in key.pem -outform DER -out private",
            "pkcs8 -in key.pem -topk8 -nocrypt -out private",
            "pkcs8 -in key.pem -topk8 -nocrypt -outform DER -out private",
            "ec -in key.pem -out private",
            "ec -in key.pem -outform DER -out private",
            "ec -in key.pem -no_public -outform DER -out private",
            "ec -in key.pem -conv_form compressed -out private",
        ] {
            #expect(try workshop.openssl(command) == 0, "\(command)")
            let bytes = try workshop.read("private")
            #expect(try P256.PrivateKey(pkcs8: bytes).pem == key.pem, "\(command)")
            #expect(try P256.PublicKey(any: bytes) == key.publicKey, "\(command)")
        }
        for command in [
            "pkey -in key.pem -pubout -out public",
            "pkey -in key.pem -pubout -outform DER -out public",
            "ec -in key.pem -pubout -conv_form compressed -out public",
        ] {
            #expect(try workshop.openssl(command) == 0, "\(command)")
            let bytes = try workshop.read("public")
            #expect(try P256.PublicKey(spki: bytes) == key.publicKey, "\(command)")
            #expect(try P256.PublicKey(any: bytes) == key.publicKey, "\(command)")
        }
        for form in ["PEM", "DER"] {
            let make = "req -x509 -new -key key.pem -subj /CN=maker -outform \(form) -out cert"
            #expect(try workshop.openssl(make) == 0)
            let bytes = try workshop.read("cert")
            #expect(try P256.PublicKey(certificate: bytes) == key.publicKey)
            #expect(try P256.PublicKey(any: bytes) == key.publicKey)
            #expect(throws: KeyError.self) { try P256.PublicKey(spki: bytes) }
            #expect(throws: KeyError.self) { try P256.PrivateKey(pkcs8: bytes) }
            if form == "DER" {
                #expect(
                    keyFailure { try P256.PublicKey(certificate: bytes + [0, 0]) }
                        == .trailing(offset: bytes.count, count: 2))
            }
            // Any cut or changed byte gives a key or an error, and nothing worse.
            for index in bytes.indices {
                _ = try? P256.PublicKey(any: Array(bytes[..<index]))
                var changed = bytes
                changed[index] ^= 0x15
                _ = try? P256.PublicKey(any: changed)
            }
        }
    }

    @Test("the openssl command verifies our signature, and we verify one of its")
    func signatures() throws {
        let workshop = try Workshop()
        let key = Self.key(2)
        let message = Array("a manufacturer's image".utf8)
        let digest = SHA256.digest(message)
        try workshop.write(Array(key.pem.utf8), "key.pem")
        try workshop.write(Array(key.publicKey.pem.utf8), "public.pem")
        try workshop.write(message, "message")

        try workshop.write(Self.sequence(key.sign(digest)), "signature")
        let verify = "dgst -sha256 -verify public.pem -signature signature message"
        #expect(try workshop.openssl(verify) == 0)
        try workshop.write(message + [0], "message")
        #expect(try workshop.openssl(verify) != 0)

        try workshop.write(message, "message")
        for _ in 0..<5 {
            #expect(
                try workshop.openssl("dgst -sha256 -sign key.pem -out theirs message") == 0)
            let theirs = try #require(Self.signature(workshop.read("theirs")))
            #expect(key.publicKey.verify(theirs, digest: digest))
            #expect(!key.publicKey.verify(theirs, digest: SHA256.digest([])))
            #expect(!Self.key(3).publicKey.verify(theirs, digest: digest))
        }
    }

    @Test("keys of other kinds are refused by name")
    func otherKinds() throws {
        let workshop = try Workshop()
        for (make, name) in [
            ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384", "secp384r1"),
            ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1", "secp256k1"),
            ("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024", "RSA"),
            ("genpkey -algorithm ED25519", "ED25519"),
        ] {
            #expect(try workshop.openssl(make + " -out key") == 0)
            #expect(try workshop.openssl("pkey -in key -pubout -out public") == 0)
            #expect(
                try workshop.openssl("req -x509 -new -key key -subj /CN=maker -out cert") == 0)
            let (key, open, cert) = try (
                workshop.read("key"), workshop.read("public"), workshop.read("cert")
            )
            #expect(keyFailure { try P256.PrivateKey(pkcs8: key) } == .notP256(found: name))
            #expect(keyFailure { try P256.PublicKey(spki: open) } == .notP256(found: name))
            #expect(keyFailure { try P256.PublicKey(certificate: cert) } == .notP256(found: name))
            #expect(keyFailure { try P256.PublicKey(any: key) } == .notP256(found: name))
        }
    }

    @Test("a key locked with a passphrase is refused without asking for it")
    func encrypted() throws {
        let workshop = try Workshop()
        try workshop.write(Array(Self.key(4).pem.utf8), "key.pem")
        for command in [
            "pkcs8 -in key.pem -topk8 -passout pass:x -out locked",
            "pkcs8 -in key.pem -topk8 -passout pass:x -outform DER -out locked",
            "ec -in key.pem -aes128 -passout pass:x -out locked",
        ] {
            #expect(try workshop.openssl(command) == 0, "\(command)")
            let bytes = try workshop.read("locked")
            #expect(keyFailure { try P256.PrivateKey(pkcs8: bytes) } == .encrypted, "\(command)")
        }
    }

    @Test("files that hold no key give an error that says what was expected")
    func notKeys() throws {
        #expect(
            keyFailure { try P256.PublicKey(any: [UInt8](repeating: 0x30, count: 65_537)) }
                == .tooLarge(size: 65_537, limit: 65_536))
        for bytes in [[], [0], [0x30, 0x82, 0xFF, 0xFF], Array("hello".utf8)] as [[UInt8]] {
            #expect(keyFailure { try P256.PublicKey(any: bytes) }?.isUnreadable == true)
            #expect(keyFailure { try P256.PublicKey(certificate: bytes) }?.isUnreadable == true)
            #expect(keyFailure { try P256.PublicKey(spki: bytes) }?.isUnreadable == true)
            #expect(keyFailure { try P256.PrivateKey(pkcs8: bytes) }?.isUnreadable == true)
        }
        let request = Self.key(5).pem.replacing("PRIVATE KEY", with: "CERTIFICATE REQUEST")
        let wrong = keyFailure { try P256.PublicKey(any: Array(request.utf8)) }
        #expect(wrong?.description.contains("'CERTIFICATE REQUEST'") == true)
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        #expect(keyFailure { try P256.PublicKey(any: Array(garbage.utf8)) }?.isUnreadable == true)
    }

    @Test("random bytes are never a key and never trap", arguments: 0..<200)
    func noise(seed: UInt64) {
        var stream = SeededStream(Seed(seed))
        var bytes = stream.bytes(Int(stream.below(400)) + 4)
        if seed % 2 == 0 { bytes.replaceSubrange(0..<2, with: [0x30, 0x81]) }
        #expect(keyFailure { try P256.PublicKey(any: bytes) } != nil)
    }

    @Test("points off the curve are refused in every form")
    func badPoints() throws {
        let good = Self.key(6).publicKey
        #expect(try P256.PublicKey(x963: good.x963) == good)
        var bad = good.x963
        bad[64] ^= 1
        #expect(keyFailure { try P256.PublicKey(x963: bad) } == .badPoint)
        let spki = Array(good.spki.prefix(26)) + bad
        #expect(keyFailure { try P256.PublicKey(spki: spki) } == .badPoint)
        #expect(keyFailure { try P256.PublicKey(any: spki) } == .badPoint)
        let compressed = [0x02] + Array(good.x963[1..<33])
        for point in [[], [0], Array(good.x963.dropLast()), good.x963 + [0], compressed] {
            #expect(keyFailure { try P256.PublicKey(x963: point) } == .badPoint)
        }
        #expect(
            keyFailure { try P256.PublicKey(x963: [4] + [UInt8](repeating: 0xFF, count: 64)) }
                == .badPoint)
    }

    @Test("private scalars outside 1..<n are refused")
    func badScalars() throws {
        let order = hex("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551")
        let one = [UInt8](repeating: 0, count: 31) + [1]
        #expect(P256.PrivateKey(scalar: [UInt8](repeating: 0, count: 32)) == nil)
        #expect(P256.PrivateKey(scalar: order) == nil)
        #expect(P256.PrivateKey(scalar: [UInt8](repeating: 0xFF, count: 32)) == nil)
        #expect(P256.PrivateKey(scalar: []) == nil)
        #expect(P256.PrivateKey(scalar: [0] + one) == nil)
        #expect(P256.PrivateKey(scalar: one) != nil)
        #expect(P256.PrivateKey(scalar: order.dropLast() + [0x50]) != nil)
    }

    @Test("a file whose two halves belong to different keys is refused")
    func mismatch() throws {
        let (a, b) = (Self.key(7), Self.key(8))
        let lines = a.pem.split(separator: "\n").dropFirst().dropLast().joined()
        var der = try #require(Data(base64Encoded: lines)).map { $0 }
        der.replaceSubrange((der.count - 65)..., with: b.publicKey.x963)
        #expect(keyFailure { try P256.PrivateKey(pkcs8: der) } == .mismatchedHalves)
    }

    /// SEQUENCE { INTEGER r, INTEGER s }, which is what the openssl command reads.
    static func sequence(_ signature: P256.Signature) -> [UInt8] {
        func integer(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
            var number = Array(bytes.drop { $0 == 0 })
            if number.first.map({ $0 >= 0x80 }) ?? true { number.insert(0, at: 0) }
            return [0x02, UInt8(number.count)] + number
        }
        let content = integer(signature.bytes[..<32]) + integer(signature.bytes[32...])
        return [0x30, UInt8(content.count)] + content
    }

    static func signature(_ der: [UInt8]) -> P256.Signature? {
        let r = Array(der[4..<4 + Int(der[3])])
        let s = Array(der[(6 + r.count)...])
        func padded(_ number: [UInt8]) -> [UInt8] {
            [UInt8](repeating: 0, count: max(0, 32 - number.count)) + number.suffix(32)
        }
        return P256.Signature(padded(r) + padded(s))
    }
}

extension KeyError {
    fileprivate var isUnreadable: Bool {
        if case .unreadable = self { true } else { false }
    }
}
