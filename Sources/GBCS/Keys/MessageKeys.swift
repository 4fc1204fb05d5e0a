import Crypto
import Wire

/// Whose keys are known, to whoever checks or makes messages.
///
/// A party may have several keys of a kind, as while its certificates are being replaced: a
/// message is valid if it is so with one of them.
public protocol MessageKeys {
    /// Digital-signing keys.
    func signingKeys(of party: EUI64) -> [P256.PublicKey]
    /// Key-agreement keys.
    func agreementKeys(of party: EUI64) -> [P256.PublicKey]
    /// Private digital-signing keys.
    func privateSigningKeys(of party: EUI64) -> [P256.PrivateKey]
    /// Private key-agreement keys.
    func privateAgreementKeys(of party: EUI64) -> [P256.PrivateKey]
    /// What the party is, if it is a remote party and that is known.
    func role(of party: EUI64) -> Certificate.Role?
    /// Whether the party is known to be a device.
    func isDevice(_ party: EUI64) -> Bool
    /// The Access Control Brokers, in the order of their ids.
    var accessControlBrokers: [EUI64] { get }
}

/// Certificates and keys in memory.
public struct KeyStore: MessageKeys, Sendable {
    private struct Party: Sendable {
        var signing: [P256.PublicKey] = []
        var agreement: [P256.PublicKey] = []
        var privateSigning: [P256.PrivateKey] = []
        var privateAgreement: [P256.PrivateKey] = []
        var role: Certificate.Role?
        var isDevice = false
    }

    /// What a key is for.
    public enum Use: Hashable, Sendable {
        case signing
        case agreement
        /// Prepayment top-ups only: no message is signed or authenticated with it.
        case prepayment
    }

    private var parties: [EUI64: Party] = [:]

    public init() {}

    /// Adds a certificate. `party` and `use` are what its keeper says of it and go before what it
    /// says itself; nil if it says nothing of the one that is missing.
    @discardableResult
    public mutating func add(
        _ certificate: Certificate, of party: EUI64? = nil, for use: Use? = nil
    ) -> EUI64? {
        guard let id = party ?? certificate.subject else { return nil }
        // What a certificate of somebody else says of its subject is not true of this party.
        if (certificate.subject ?? id) == id {
            if let role = certificate.role { parties[id, default: Party()].role = role }
            if certificate.isDevice { parties[id, default: Party()].isDevice = true }
        }
        if let use {
            add(certificate.publicKey, of: id, for: use)
            return id
        }
        if certificate.isForSigning ?? true { add(certificate.publicKey, of: id, for: .signing) }
        if certificate.isForKeyAgreement ?? true {
            add(certificate.publicKey, of: id, for: .agreement)
        }
        return id
    }

    public mutating func add(_ key: P256.PublicKey, of party: EUI64, for use: Use) {
        switch use {
        case .signing: append(key, to: \.signing, of: party)
        case .agreement: append(key, to: \.agreement, of: party)
        case .prepayment: break
        }
    }

    /// Adds a private key and its public half.
    public mutating func add(_ key: P256.PrivateKey, of party: EUI64, for use: Use) {
        add(key.publicKey, of: party, for: use)
        switch use {
        case .signing: parties[party, default: Party()].privateSigning.append(key)
        case .agreement: parties[party, default: Party()].privateAgreement.append(key)
        case .prepayment: break
        }
    }

    /// Says what a remote party is, where no certificate does.
    public mutating func set(_ role: Certificate.Role, of party: EUI64) {
        parties[party, default: Party()].role = role
    }

    /// Says that a party is a device, where no certificate does.
    public mutating func setDevice(_ party: EUI64) {
        parties[party, default: Party()].isDevice = true
    }

    /// Adds a private key to whoever has its public half; false if nobody does.
    public mutating func add(matching key: P256.PrivateKey) -> Bool {
        var isFound = false
        for id in parties.keys.sorted() {
            guard let party = parties[id] else { continue }
            if party.signing.contains(key.publicKey) {
                parties[id]?.privateSigning.append(key)
                isFound = true
            }
            if party.agreement.contains(key.publicKey) {
                parties[id]?.privateAgreement.append(key)
                isFound = true
            }
        }
        return isFound
    }

    /// Adds all that another has.
    public mutating func add(_ other: KeyStore) {
        for (id, party) in other.parties {
            for key in party.signing { append(key, to: \.signing, of: id) }
            for key in party.agreement { append(key, to: \.agreement, of: id) }
            parties[id, default: Party()].privateSigning += party.privateSigning
            parties[id, default: Party()].privateAgreement += party.privateAgreement
            if let role = party.role { parties[id]?.role = role }
            if party.isDevice { parties[id]?.isDevice = true }
        }
    }

    /// Forgets all keys of a party.
    public mutating func remove(_ party: EUI64) { parties[party] = nil }

    private mutating func append(
        _ key: P256.PublicKey, to list: WritableKeyPath<Party, [P256.PublicKey]>, of party: EUI64
    ) {
        if !parties[party, default: Party()][keyPath: list].contains(key) {
            parties[party, default: Party()][keyPath: list].append(key)
        }
    }

    public func signingKeys(of party: EUI64) -> [P256.PublicKey] { parties[party]?.signing ?? [] }
    public func agreementKeys(of party: EUI64) -> [P256.PublicKey] {
        parties[party]?.agreement ?? []
    }
    public func privateSigningKeys(of party: EUI64) -> [P256.PrivateKey] {
        parties[party]?.privateSigning ?? []
    }
    public func privateAgreementKeys(of party: EUI64) -> [P256.PrivateKey] {
        parties[party]?.privateAgreement ?? []
    }
    public func role(of party: EUI64) -> Certificate.Role? { parties[party]?.role }
    public func isDevice(_ party: EUI64) -> Bool { parties[party]?.isDevice ?? false }
    public var accessControlBrokers: [EUI64] {
        parties.filter { $0.value.role == .accessControlBroker }.map(\.key).sorted()
    }
    /// All whose keys are here, in the order of their ids.
    public var ids: [EUI64] { parties.keys.sorted() }
}
