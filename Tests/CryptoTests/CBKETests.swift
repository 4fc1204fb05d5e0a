import COpenSSL
import Crypto
import Testing
import Wire

/// The `CBKEError` that `body` throws, or nil.
func cbkeFailure<T>(_ body: () throws -> T) -> CBKEError? {
    do {
        _ = try body()
        return nil
    } catch {
        return error as? CBKEError
    }
}

@Suite("Certificate-based key establishment")
struct CBKETests {
    @Test("a private key gives the published public key", arguments: CBKEVector.all)
    func publicKeys(vector: CBKEVector) throws {
        for party in [vector.initiator, vector.responder] {
            let pair = try CBKEKeyPair(scalar: party.privateKey, suite: vector.suite)
            #expect(pair.publicKey.bytes == party.publicKey)
            let ephemeral = try CBKEKeyPair(scalar: party.ephemeralKey, suite: vector.suite)
            #expect(ephemeral.publicKey.bytes == party.ephemeralPoint)
        }
    }

    @Test(
        "the holder's public key follows from the certificate and the authority's key",
        arguments: CBKEVector.all)
    func reconstruction(vector: CBKEVector) throws {
        let authority = try vector.authorityKey()
        for party in [vector.initiator, vector.responder] {
            let certificate = try ImplicitCertificate(party.certificate)
            #expect(certificate.suite == vector.suite)
            #expect(certificate.subject == party.eui64)
            #expect(certificate.issuer == vector.issuer)
            #expect(certificate.bytes == party.certificate)
            #expect(try certificate.publicKey(from: authority).bytes == party.publicKey)
            let credentials = try CBKECredentials(
                certificate: certificate, privateKey: party.privateKey, authority: authority)
            #expect(credentials.publicKey.bytes == party.publicKey)
        }
    }

    @Test(
        "both sides come to the published secret, keys and confirmations",
        arguments: CBKEVector.all)
    func agreement(vector: CBKEVector) throws {
        let suite = vector.suite
        let parties = CBKEParties(
            initiator: vector.initiator.eui64, responder: vector.responder.eui64,
            initiatorKey: try CBKEPoint(vector.initiator.ephemeralPoint, suite: suite),
            responderKey: try CBKEPoint(vector.responder.ephemeralPoint, suite: suite))
        for (own, other) in [
            (vector.initiator, vector.responder), (vector.responder, vector.initiator),
        ] {
            let agreement = try CBKEAgreement(
                own: CBKEKeyPair(scalar: own.privateKey, suite: suite),
                ephemeral: CBKEKeyPair(scalar: own.ephemeralKey, suite: suite),
                partner: CBKEPoint(other.publicKey, suite: suite),
                partnerEphemeral: CBKEPoint(other.ephemeralPoint, suite: suite))
            #expect(agreement.secret == vector.secret)
            #expect(agreement.macKey == vector.macKey)
            #expect(agreement.linkKey == vector.linkKey)
            if let code = vector.initiatorMAC {
                #expect(agreement.initiatorMAC(parties) == code)
            }
            if let code = vector.responderMAC {
                #expect(agreement.responderMAC(parties) == code)
            }
            #expect(agreement.initiatorMAC(parties) != agreement.responderMAC(parties))
        }
    }

    @Test("the fields of a certificate of suite 2 are read where they are")
    func fields() throws {
        let certificate = try ImplicitCertificate(CBKEVector.two.initiator.certificate)
        #expect(
            certificate.form
                == .two(
                    serial: 0x2622_A505_E893_8F27, validFrom: 0x5292_A35B,
                    lifetime: ImplicitCertificate.endless, usage: 0x88))
        let first = try ImplicitCertificate(CBKEVector.one.initiator.certificate)
        #expect(first.form == .one(attributes: hex("01090006000000000000")))
    }

    @Test("a certificate that is put together from its fields has the published bytes")
    func assembled() throws {
        for vector in CBKEVector.all {
            let read = try ImplicitCertificate(vector.responder.certificate)
            let made = try ImplicitCertificate(
                form: read.form, subject: read.subject, issuer: read.issuer, point: read.point)
            #expect(made == read)
            #expect(made.bytes == vector.responder.certificate)
        }
    }

    @Test("a certificate cut short or with more behind it is none", arguments: CBKEVector.all)
    func lengths(vector: CBKEVector) {
        let bytes = vector.initiator.certificate
        for count in 0..<bytes.count where count != 48 {
            #expect(
                cbkeFailure { try ImplicitCertificate(bytes.prefix(count)) } == .wrongLength(count))
        }
        #expect(
            cbkeFailure { try ImplicitCertificate(bytes + [0]) } == .wrongLength(bytes.count + 1))
    }

    @Test("a certificate of another type, curve, hash or use is refused, and said why")
    func wrongFields() {
        let bytes = CBKEVector.two.initiator.certificate
        func failure(_ index: Int, _ value: UInt8) -> CBKEError? {
            var bytes = bytes
            bytes[index] = value
            return cbkeFailure { try ImplicitCertificate(bytes) }
        }
        #expect(failure(0, 1) == .notImplicit(1))
        #expect(failure(9, 0x0C) == .wrongCurve(0x0C))
        #expect(failure(10, 0x09) == .wrongHash(0x09))
        #expect(failure(36, 0x80) == .wrongUsage(0x80))
        #expect(failure(37, 0x04) == .badPoint)
        #expect("\(CBKEError.wrongCurve(0x0C))".contains("offset 9"))
    }

    @Test("a certificate of another authority is refused, and so is its number on a false one")
    func issuer() throws {
        let vector = CBKEVector.two
        let certificate = try ImplicitCertificate(vector.initiator.certificate)
        let other = CBKEAuthority(
            issuer: EUI64(9), publicKey: try CBKEPoint(vector.authority, suite: .two))
        #expect(
            cbkeFailure { try certificate.publicKey(from: other) } == .unknownIssuer(vector.issuer))
        // Any change of the certificate gives another key, of which nobody has the private half.
        for index in [1, 8, 20, 27, 35] {
            var bytes = vector.initiator.certificate
            bytes[index] ^= 1
            let forged = try ImplicitCertificate(bytes)
            let authority = try vector.authorityKey()
            #expect(try forged.publicKey(from: authority).bytes != vector.initiator.publicKey)
            #expect(
                cbkeFailure {
                    try CBKECredentials(
                        certificate: forged, privateKey: vector.initiator.privateKey,
                        authority: authority)
                } == .wrongPrivateKey)
        }
    }

    @Test("keys of different suites do not go together")
    func mixed() throws {
        let (one, two) = (CBKEVector.one, CBKEVector.two)
        #expect(
            cbkeFailure {
                try CBKECredentials(
                    certificate: ImplicitCertificate(one.initiator.certificate),
                    privateKey: two.initiator.privateKey, authority: two.authorityKey())
            } == .mixedSuites)
        #expect(
            cbkeFailure {
                try CBKEAgreement(
                    own: CBKEKeyPair(scalar: one.initiator.privateKey, suite: .one),
                    ephemeral: CBKEKeyPair(scalar: one.initiator.ephemeralKey, suite: .one),
                    partner: CBKEPoint(two.responder.publicKey, suite: .two),
                    partnerEphemeral: CBKEPoint(two.responder.ephemeralPoint, suite: .two))
            } == .mixedSuites)
    }

    @Test("a private key of zero, of the order, or of another length is none")
    func scalars() throws {
        let order = hex("04000000000000000000020108a2e0cc0d99f8a5ef")
        var last = order
        last[20] -= 1
        let zero = [UInt8](repeating: 0, count: 21)
        for bytes in [
            zero, order, [UInt8](repeating: 0xFF, count: 21), [], Array(order.dropLast()),
        ] {
            #expect(
                cbkeFailure { try CBKEKeyPair(scalar: bytes, suite: .one) } == .scalarOutOfRange)
        }
        let negative = try CBKEKeyPair(scalar: last, suite: .one)
        let one = try CBKEKeyPair(scalar: zero.dropLast() + [1], suite: .one)
        // -G and G differ in nothing but the sign.
        #expect(negative.publicKey.bytes.dropFirst() == one.publicKey.bytes.dropFirst())
        #expect(negative.publicKey.bytes[0] != one.publicKey.bytes[0])
    }
}

@Suite("Points that are no keys")
struct CBKEPointTests {
    static func point(_ suite: CBKESuite, first: UInt8, last: UInt8) -> [UInt8] {
        [first] + [UInt8](repeating: 0, count: suite.scalarLength - 1) + [last]
    }

    @Test("points of order two and four, and none at all, are refused")
    func smallOrder() {
        var bad: [(CBKESuite, [UInt8])] = []
        for suite in CBKESuite.allCases {
            // x = 0 is the point of order two; on sect283k1 x = 1 are those of order four.
            for first: UInt8 in [2, 3] {
                bad.append((suite, Self.point(suite, first: first, last: 0)))
            }
            bad.append((suite, []))
            bad.append((suite, [0]))
            bad.append((suite, [UInt8](repeating: 0, count: suite.pointLength)))
        }
        bad.append((.two, Self.point(.two, first: 2, last: 1)))
        bad.append((.two, Self.point(.two, first: 3, last: 1)))
        for (suite, bytes) in bad {
            #expect(cbkeFailure { try CBKEPoint(bytes, suite: suite) } == .badPoint)
        }
    }

    @Test(
        "x coordinates off the curve or longer than the field are refused",
        arguments: CBKEVector.all)
    func offCurve(vector: CBKEVector) throws {
        var (on, off) = (0, 0)
        for last in UInt8.min...UInt8.max {
            var bytes = vector.authority
            bytes[bytes.count - 1] = last
            if let point = try? CBKEPoint(bytes, suite: vector.suite) {
                on += 1
                #expect(point.bytes == bytes)
            } else {
                off += 1
            }
        }
        // One x in two is a point's, whose order may be twice the base point's.
        #expect(on > 80 && off > 80)
        var long = vector.authority
        long[1] |= 0x80
        #expect(cbkeFailure { try CBKEPoint(long, suite: vector.suite) } == .badPoint)
        for form: UInt8 in [0, 1, 4, 6, 7, 0xFF] {
            var bytes = vector.authority
            bytes[0] = form
            #expect(cbkeFailure { try CBKEPoint(bytes, suite: vector.suite) } == .badPoint)
        }
        for count in 0..<vector.authority.count {
            #expect(
                cbkeFailure { try CBKEPoint(vector.authority.prefix(count), suite: vector.suite) }
                    == .badPoint)
        }
        #expect(
            cbkeFailure { try CBKEPoint(vector.authority + [0], suite: vector.suite) } == .badPoint)
    }

    @Test("partners whose common point is at infinity share nothing", arguments: CBKEVector.all)
    func infinity(vector: CBKEVector) throws {
        let suite = vector.suite
        let ephemeral = try CBKEKeyPair(scalar: vector.responder.ephemeralKey, suite: suite)
        // A static key for which e' + avf(E') * d' = 0: its holder forces the secret.
        let scalar = try #require(
            Self.scalarThatCancels(vector.responder.ephemeralKey, ephemeral.publicKey))
        let forced = try CBKEKeyPair(scalar: scalar, suite: suite)
        #expect(
            cbkeFailure {
                try CBKEAgreement(
                    own: CBKEKeyPair(scalar: vector.initiator.privateKey, suite: suite),
                    ephemeral: CBKEKeyPair(scalar: vector.initiator.ephemeralKey, suite: suite),
                    partner: forced.publicKey, partnerEphemeral: ephemeral.publicKey)
            } == .badPoint)
    }

    /// -e / avf(E) mod n, by libcrypto alone.
    private static func scalarThatCancels(_ scalar: [UInt8], _ point: CBKEPoint) -> [UInt8]? {
        let name = point.suite == .one ? NID_sect163k1 : NID_sect283k1
        let half = Int32(point.suite == .one ? 82 : 141)
        guard let group = EC_GROUP_new_by_curve_name(name), let context = BN_CTX_new() else {
            return nil
        }
        defer {
            BN_CTX_free(context)
            EC_GROUP_free(group)
        }
        let order = EC_GROUP_get0_order(group)
        let e = BN_bin2bn(scalar, Int32(scalar.count), nil)
        let x = BN_bin2bn(Array(point.bytes.dropFirst()), Int32(scalar.count), nil)
        let result = BN_new()
        defer { for number in [e, x, result] { BN_free(number) } }
        guard BN_mask_bits(x, half) == 1, BN_set_bit(x, half) == 1,
            BN_mod_inverse(result, x, order, context) != nil,
            BN_mod_mul(result, result, e, order, context) == 1, BN_sub(result, order, result) == 1
        else { return nil }
        var bytes = [UInt8](repeating: 0, count: scalar.count)
        return BN_bn2binpad(result, &bytes, Int32(bytes.count)) == bytes.count ? bytes : nil
    }
}

@Suite("A certificate authority of our own")
struct CBKEIssuerTests {
    static func form(_ suite: CBKESuite) -> ImplicitCertificate.Form {
        suite == .one
            ? .one(attributes: hex("0109 0006 000000000000"))
            : .two(
                serial: 7, validFrom: 1_700_000_000, lifetime: ImplicitCertificate.endless,
                usage: ImplicitCertificate.usualUsage)
    }

    @Test("two devices of one authority come to the same key", arguments: CBKESuite.allCases)
    func established(suite: CBKESuite) throws {
        var stream = SeededStream(Seed(4).named("issuer"))
        let issuer = CBKEIssuer(issuer: EUI64(0xCA), suite: suite, from: &stream)
        let one = try issuer.credentials(Self.form(suite), for: EUI64(1), from: &stream)
        let two = try issuer.credentials(Self.form(suite), for: EUI64(2), from: &stream)
        #expect(one.certificate.bytes.count == suite.certificateLength)
        let (own, other) = (
            CBKEKeyPair.generate(suite: suite, from: &stream),
            CBKEKeyPair.generate(suite: suite, from: &stream)
        )
        let here = try CBKEAgreement(
            own: one, ephemeral: own, partner: two.certificate.publicKey(from: one.authority),
            partnerEphemeral: other.publicKey)
        let there = try CBKEAgreement(
            own: two, ephemeral: other, partner: one.certificate.publicKey(from: two.authority),
            partnerEphemeral: own.publicKey)
        #expect(here == there)
        #expect(here.macKey != here.linkKey)
    }

    @Test("the same seed gives the same certificates and keys, another seed others")
    func repeats() throws {
        func make(_ seed: UInt64) throws -> CBKECredentials {
            var stream = SeededStream(Seed(seed).named("issuer"))
            let issuer = CBKEIssuer(issuer: EUI64(0xCA), suite: .two, from: &stream)
            return try issuer.credentials(Self.form(.two), for: EUI64(1), from: &stream)
        }
        let (first, again, other) = (try make(1), try make(1), try make(2))
        #expect(first.certificate == again.certificate && first.privateKey == again.privateKey)
        #expect(first.certificate != other.certificate && first.privateKey != other.privateKey)
    }

    @Test("an authority is kept by its private key, and issues again as before")
    func kept() throws {
        var stream = SeededStream(Seed(5).named("issuer"))
        let issuer = CBKEIssuer(issuer: EUI64(0xCA), suite: .one, from: &stream)
        let kept = try CBKEIssuer(issuer: EUI64(0xCA), privateKey: issuer.privateKey, suite: .one)
        #expect(kept.authority == issuer.authority)
        var (left, right) = (SeededStream(Seed(6)), SeededStream(Seed(6)))
        let one = try issuer.credentials(Self.form(.one), for: EUI64(1), from: &left)
        let two = try kept.credentials(Self.form(.one), for: EUI64(1), from: &right)
        #expect(one.certificate == two.certificate)
        #expect(
            cbkeFailure {
                try issuer.credentials(Self.form(.two), for: EUI64(1), from: &left)
            } == .mixedSuites)
    }
}
