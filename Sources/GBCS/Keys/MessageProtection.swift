import Crypto
import Wire

/// What can be said of a signature or of a MAC.
public enum Verdict: String, CaseIterable, Hashable, Sendable {
    /// It is there and right.
    case valid
    /// It is there and wrong, or it is not there and has to be.
    case invalid
    /// It is there, and the key that it takes to check it is not.
    case noKey
    /// It is not there and need not be.
    case absent
}

/// Which of signature and MAC a message has to have (GBCS 7.2.5 and its table of message
/// categories).
public struct Protection: Hashable, Sendable {
    public var signature: Bool
    public var mac: Bool

    /// What the category of the use cases that are understood inside demands; nil for any other.
    ///
    /// Critical commands have both; their responses, and critical alerts, have a signature alone;
    /// everything else has a MAC alone.
    public static func demanded(by code: MessageCode, _ kind: MessageKind) -> Protection? {
        switch (code, kind) {
        case (.activateFirmware, .command): Protection(signature: true, mac: true)
        case (.activateFirmware, .response), (.futureDatedFirmwareAlert, .alert),
            (.firmwareReceiptDLMS, .alert), (.firmwareReceiptGBZ, .alert),
            (.firmwareTransferAlert, .alert), (.ppmidFirmwareAlert, .alert),
            (.genericCriticalAlert, .alert):
            Protection(signature: true, mac: false)
        case (.addDevice, .command), (.addDevice, .response), (.removeDevice, .command),
            (.removeDevice, .response), (.readHANDeviceFirmwareVersion, .command),
            (.readHANDeviceFirmwareVersion, .response), (.readESMEFirmwareVersion, .command),
            (.readESMEFirmwareVersion, .response), (.readGSMEFirmwareVersion, .command),
            (.readGSMEFirmwareVersion, .response), (.deviceLogAlert, .alert),
            (.genericNonCriticalAlert, .alert):
            Protection(signature: false, mac: true)
        default: nil
        }
    }
}

extension GBCSMessage {
    /// What this message has to have.
    ///
    /// A pre-command need not have either. Of a use case that is not known here all that can be
    /// said is that it has one of the two; where there is no MAC header, that is the signature.
    public var demandedProtection: Protection {
        if isPreCommand { return Protection(signature: false, mac: false) }
        let code = header.otherInformation.messageCode
        return Protection.demanded(by: code, header.kind)
            ?? Protection(signature: mac == nil, mac: false)
    }

    // MARK: Signature

    /// Checks the signature with the originator's digital-signing keys.
    public func verifySignature(with keys: some MessageKeys) -> Verdict {
        guard case .signature(let signature) = signature else {
            return demandedProtection.signature ? .invalid : .absent
        }
        let candidates = keys.signingKeys(of: header.originator)
        guard !candidates.isEmpty else { return .noKey }
        let digest = SHA256.digest(signedBytes)
        return candidates.contains { $0.verify(signature, digest: digest) } ? .valid : .invalid
    }

    /// The message signed with this key. Nonces follow RFC 6979, so that the same message and key
    /// give the same signature. A MAC that was there is dropped: it covers the signature.
    public func signed(by key: P256.PrivateKey) -> GBCSMessage {
        var message = withoutMAC
        message.signature = .signature(key.sign(SHA256.digest(signedBytes)))
        return message
    }

    // MARK: MAC

    /// Whose key-agreement keys give the MAC's key, besides the recipient's or originator's that
    /// the header names (GBCS 4.3.3 and 6.2.4).
    ///
    /// A remote party's command is authenticated by the Access Control Broker, whoever signed it:
    /// broker and recipient. A command from one device to another, a response and an alert:
    /// originator and recipient. An originator of which nothing is known is taken for a remote
    /// party.
    public func agreementPairs(with keys: some MessageKeys) -> [(EUI64, EUI64)] {
        let code = header.otherInformation.messageCode
        guard header.kind == .command, !code.isBetweenDevices,
            !keys.isDevice(header.originator),
            keys.role(of: header.originator) != .accessControlBroker
        else { return [(header.originator, header.recipient)] }
        return keys.accessControlBrokers.map { ($0, header.recipient) }
    }

    /// The first shared secret that can be computed with these keys and `isWanted`; each takes as
    /// long as half of everything else together. `isKnown` says whether there was any.
    private func sharedSecret(
        with keys: some MessageKeys, where isWanted: ([UInt8]) -> Bool
    ) -> (secret: [UInt8]?, isKnown: Bool) {
        var isKnown = false
        for (one, other) in agreementPairs(with: keys) {
            for (holder, peer) in [(one, other), (other, one)] {
                for key in keys.privateAgreementKeys(of: holder) {
                    for point in keys.agreementKeys(of: peer) {
                        isKnown = true
                        let secret = key.sharedSecret(with: point)
                        if isWanted(secret) { return (secret, true) }
                    }
                }
            }
        }
        return (nil, isKnown)
    }

    /// What is put into the key derivation besides the secret: the algorithm's identifier (AES-GCM
    /// with 128 bits), originator, transaction id and recipient, as in the header even where
    /// others' keys are used.
    public var keyDerivationInformation: [UInt8] {
        [0x60, 0x85, 0x74, 0x06, 0x08, 0x03, 0x00] + header.originator.bigEndianBytes
            + header.transaction + header.recipient.bigEndianBytes
    }

    /// The MAC with the key that this secret gives: GMAC with the originator and four zeros as IV,
    /// cut to twelve bytes.
    public func mac(sharedSecret: [UInt8]) -> [UInt8] {
        let key = ConcatenationKDF.key(
            secret: sharedSecret, otherInformation: keyDerivationInformation)
        return GMAC.tag(
            of: withSignatureLength.authenticatedBytes, key: key,
            iv: header.originator.bigEndianBytes + [0, 0, 0, 0], length: Self.macLength)
    }

    /// Checks the MAC; one private key of the pair and the other's public key are enough.
    public func verifyMAC(with keys: some MessageKeys) -> Verdict {
        guard let mac else { return demandedProtection.mac ? .invalid : .absent }
        let found = sharedSecret(with: keys) { secret in
            GMAC.areEqual(self.mac(sharedSecret: secret), mac)
        }
        return found.secret != nil ? .valid : found.isKnown ? .invalid : .noKey
    }

    /// The message with its MAC, signed before if it is critical; nil if the keys for it are
    /// missing.
    public func authenticated(with keys: some MessageKeys) -> GBCSMessage? {
        sharedSecret(with: keys) { _ in true }.secret.map { withMAC(mac(sharedSecret: $0)) }
    }
}
