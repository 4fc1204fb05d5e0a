import Crypto
import DCC
import GBCS
import Wire

/// Certificates to the message keys that follow from a seed, under an authority of that seed, as a
/// key store has them: for whoever signs commands to a virtual home and checks what it sends.
public struct MessageCertificates: Sendable {
    /// A file of a key store.
    public struct File: Sendable {
        /// `90b3d51f30010000-ds.key`
        public var name: String
        public var bytes: [UInt8]
        /// It has a private key.
        public var isSecret: Bool
    }

    private let issuer: CertificateIssuer
    private let seed: Seed

    public init(seed: Seed) {
        self.seed = seed
        var stream = SeededStream(seed.named("message authority"))
        do {
            let root = try CertificateIssuer.root(
                "han test root", key: .generate(from: &stream), from: &stream)
            issuer = try root.issuer(
                "han test issuer", key: .generate(from: &stream), from: &stream)
        } catch {
            preconditionFailure("a certificate of our own cannot be read: \(error)")
        }
    }

    /// Those of a home's members and of the Access Control Broker, without private keys, and of
    /// suppliers with them. Keys that the home has been given are left out.
    public func files(of home: Home, suppliers: [EUI64]) -> [File] {
        let parties = MessageParties(seed: seed, of: home)
        let members = [home.hub.chf, home.hub.eui64] + home.devices.map(\.eui64)
        var files: [File] = []
        for (id, subject, isSupplier) in members.map({
            ($0, CertificateIssuer.Subject.device($0), false)
        })
            + [(MessageParties.broker, .party(MessageParties.broker, .accessControlBroker), false)]
            + suppliers.map({ ($0, .party($0, .supplier), true) })
        where home.credentials[id] == nil {
            let given = home.messageKeys
            let uses: [(CertificateIssuer.Use, String, P256.PrivateKey, isGiven: Bool)] = [
                (.signing, "ds", parties.signingKey(of: id), !given.signingKeys(of: id).isEmpty),
                (
                    .agreement, "ka", parties.agreementKey(of: id),
                    !given.agreementKeys(of: id).isEmpty
                ),
            ]
            for (use, word, key, isGiven) in uses where !isGiven {
                let stem = "\(Hex.string(id.rawValue, digits: 16).lowercased())-\(word)"
                files.append(
                    File(
                        name: "\(stem).pem",
                        bytes: Array(certificate(subject, use, key, name: stem).pem.utf8),
                        isSecret: false))
                guard isSupplier else { continue }
                files.append(File(name: "\(stem).key", bytes: key.pkcs8, isSecret: true))
            }
        }
        return files
    }

    private func certificate(
        _ subject: CertificateIssuer.Subject, _ use: CertificateIssuer.Use, _ key: P256.PrivateKey,
        name: String
    ) -> Certificate {
        var stream = SeededStream(seed.named("message certificate \(name)"))
        do {
            return try issuer.issue(to: subject, for: use, key: key.publicKey, from: &stream)
        } catch {
            preconditionFailure("a certificate of our own cannot be read: \(error)")
        }
    }
}
