import COpenSSL
import Wire

/// What two partners have in common once each knows the other's public keys.
public struct CBKEAgreement: Sendable, Equatable {
    /// Z, the shared secret: the x coordinate of the common point, 21 or 36 big-endian bytes.
    public let secret: [UInt8]
    /// Under this key each shows the other that it has come to the same secret.
    public let macKey: Key128
    /// The key that is established.
    public let linkKey: Key128

    /// ECMQV with cofactor (SEC 1 6.2, NIST SP 800-56A 5.7.2.3.1), then the key derivation of
    /// Smart Energy C.4.2.2: AES-MMO over the secret and a counter, without other information.
    ///
    /// Throws `badPoint` if the common point is at infinity, `mixedSuites` if the keys are not all
    /// of one suite.
    public init(
        own: CBKECredentials, ephemeral: CBKEKeyPair, partner: CBKEPoint,
        partnerEphemeral: CBKEPoint
    ) throws(CBKEError) {
        try self.init(
            own: own.key, ephemeral: ephemeral, partner: partner,
            partnerEphemeral: partnerEphemeral)
    }

    /// The same for bare keys.
    public init(
        own: CBKEKeyPair, ephemeral: CBKEKeyPair, partner: CBKEPoint, partnerEphemeral: CBKEPoint
    ) throws(CBKEError) {
        let suite = own.suite
        guard ephemeral.suite == suite, partner.suite == suite, partnerEphemeral.suite == suite
        else { throw .mixedSuites }
        let calculation = CurveCalculation(suite)
        // s = e + avf(E) * d mod n, P = h * (E' + avf(E') * Q'), Z = x(s * P)
        let implicit = calculation.sum(
            calculation.number(ephemeral.scalar), calculation.number(own.scalar),
            times: calculation.number(ephemeral.publicKey.associateValue))
        let point = calculation.multiply(
            calculation.point(partner),
            by: calculation.number(partnerEphemeral.associateValue))
        calculation.add(calculation.point(partnerEphemeral), to: point)
        calculation.multiplyByCofactor(point)
        guard EC_POINT_is_at_infinity(calculation.group, point.pointer) == 0,
            let common = calculation.value(of: calculation.multiply(point, by: implicit))
        else { throw .badPoint }
        secret = common.x
        macKey = AESMMO.hash(secret + [0, 0, 0, 1])
        linkKey = AESMMO.hash(secret + [0, 0, 0, 2])
    }

    /// What the initiator confirms with: HMAC-MMO over 02, initiator, responder and the ephemeral
    /// public keys in the same order (Smart Energy C.4.2.2.3), 16 bytes.
    public func initiatorMAC(_ parties: CBKEParties) -> Key128 {
        HMACMMO.authenticate(
            [0x02] + parties.initiator.bigEndianBytes + parties.responder.bigEndianBytes
                + parties.initiatorKey.bytes + parties.responderKey.bytes, key: macKey.bytes)
    }

    /// What the responder confirms with: HMAC-MMO over 03, responder, initiator and the ephemeral
    /// public keys in the same order, 16 bytes.
    public func responderMAC(_ parties: CBKEParties) -> Key128 {
        HMACMMO.authenticate(
            [0x03] + parties.responder.bigEndianBytes + parties.initiator.bigEndianBytes
                + parties.responderKey.bytes + parties.initiatorKey.bytes, key: macKey.bytes)
    }
}

/// Who establishes a key with whom, and with which ephemeral keys.
public struct CBKEParties: Sendable, Equatable {
    /// The device that asked for it.
    public var initiator: EUI64
    /// Its trust centre.
    public var responder: EUI64
    /// The initiator's ephemeral public key.
    public var initiatorKey: CBKEPoint
    /// The responder's.
    public var responderKey: CBKEPoint

    public init(
        initiator: EUI64, responder: EUI64, initiatorKey: CBKEPoint, responderKey: CBKEPoint
    ) {
        self.initiator = initiator
        self.responder = responder
        self.initiatorKey = initiatorKey
        self.responderKey = responderKey
    }
}
