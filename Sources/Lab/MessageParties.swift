import Crypto
import Devices
import GBCS
import Wire

/// The remote parties of a run and the keys of everybody who exchanges GBCS messages in it. They
/// follow from the run's seed, but for those that were given.
package struct MessageParties: Sendable {
    let seed: Seed
    let credentials: [EUI64: MemberCredentials]
    private let keys: KeyStore

    package init(
        seed: Seed, credentials: [EUI64: MemberCredentials] = [:], keys: KeyStore = KeyStore()
    ) {
        self.seed = seed
        self.credentials = credentials
        self.keys = keys
    }

    init(seed: Seed, of home: Home) {
        self.init(seed: seed, credentials: home.credentials, keys: home.messageKeys)
    }

    /// The ids that the published test data has for them.
    package static let broker = EUI64(0x90B3_D51F_3000_0002)
    static let transitionalCoS = EUI64(0x90B3_D51F_3000_0005)
    package static let wanProvider = EUI64(0x90B3_D51F_3000_0007)
    static let networkOperator = EUI64(0x90B3_D51F_3002_0000)

    /// Suppliers that a home can have one after another, from 1 on.
    static let suppliers = 1...9

    package static func supplier(_ number: Int) -> EUI64 {
        EUI64(0x90B3_D51F_3001_0000 + UInt64(number - 1) << 8)
    }

    /// All of them.
    static let all: Set<EUI64> =
        Set(
            [broker, transitionalCoS, wanProvider, networkOperator] + suppliers.map { supplier($0) }
        )

    package func signingKey(of party: EUI64) -> P256.PrivateKey {
        credentials[party]?.signing?.key ?? keys.privateSigningKeys(of: party).first
            ?? key(of: party, for: "signing")
    }
    package func agreementKey(of party: EUI64) -> P256.PrivateKey {
        credentials[party]?.agreement?.key ?? keys.privateAgreementKeys(of: party).first
            ?? key(of: party, for: "agreement")
    }

    /// The public halves, also of somebody whose private keys are elsewhere.
    func publicSigningKey(of party: EUI64) -> P256.PublicKey {
        credentials[party]?.signing?.certificate.publicKey
            ?? keys.privateSigningKeys(of: party).first?.publicKey
            ?? keys.signingKeys(of: party).first ?? signingKey(of: party).publicKey
    }
    func publicAgreementKey(of party: EUI64) -> P256.PublicKey {
        credentials[party]?.agreement?.certificate.publicKey
            ?? keys.privateAgreementKeys(of: party).first?.publicKey
            ?? keys.agreementKeys(of: party).first ?? agreementKey(of: party).publicKey
    }

    private func key(of party: EUI64, for use: String) -> P256.PrivateKey {
        var stream = SeededStream(seed.named("messages \(use)").indexed(party.rawValue))
        return .generate(from: &stream)
    }

    /// What a device is given to know a remote party by.
    func anchor(
        _ role: Certificate.Role, _ party: EUI64, images: P256.PublicKey? = nil
    ) -> TrustAnchor {
        TrustAnchor(
            role: role, party: party, signing: publicSigningKey(of: party),
            agreement: publicAgreementKey(of: party), images: images)
    }

    /// Who plays the part of whoever has a hub activate its own firmware.
    package static func party(of activator: MessageSettings.Activator) -> EUI64 {
        switch activator {
        case .wanProvider: wanProvider
        case .supplier: supplier(1)
        case .accessControlBroker: broker
        }
    }

    /// Whom an entity trusts when it leaves the factory; `images` is the key that its supplier
    /// signs images with. A CHF knows whoever has it activate its firmware.
    package func identity(
        of entity: EUI64, as kind: MessageEntity, images: P256.PublicKey? = nil,
        activator: MessageSettings.Activator = .wanProvider
    ) -> MessageIdentity {
        let broker = anchor(.accessControlBroker, Self.broker)
        let others: [TrustAnchor] =
            switch kind {
            case .ppmid: []
            case .hcalcs: [anchor(.supplier, Self.supplier(1), images: images)]
            case .esme, .gsme, .gasProxyFunction:
                [
                    anchor(.supplier, Self.supplier(1), images: images),
                    anchor(.networkOperator, Self.networkOperator),
                    anchor(.transitionalCoS, Self.transitionalCoS),
                ]
            case .communicationsHubFunction:
                [
                    anchor(.wanProvider, Self.wanProvider),
                    anchor(.transitionalCoS, Self.transitionalCoS),
                ] + (activator == .supplier ? [anchor(.supplier, Self.supplier(1))] : [])
            }
        return MessageIdentity(
            entity: entity, signing: signingKey(of: entity), agreement: agreementKey(of: entity),
            anchors: [broker] + others)
    }
}

/// The remote parties' side of messages: signs and authenticates commands, checks what comes back.
package struct MessageDesk: Sendable {
    let parties: MessageParties
    private(set) var keys = KeyStore()
    private var counters: [EUI64: UInt64] = [:]
    /// The highest counter of each entity's own messages, which are its alerts: a response bears
    /// that of its command.
    private var heard: [EUI64: UInt64] = [:]

    /// `entities` are those of the home.
    package init(parties: MessageParties, entities: [EUI64]) {
        self.parties = parties
        let roles: [(EUI64, Certificate.Role)] =
            [
                (MessageParties.broker, .accessControlBroker),
                (MessageParties.wanProvider, .wanProvider),
                (MessageParties.networkOperator, .networkOperator),
                (MessageParties.supplier(1), .supplier),
            ]
        for (party, role) in roles { add(party, role) }
        for entity in entities {
            keys.add(parties.publicSigningKey(of: entity), of: entity, for: .signing)
            keys.add(parties.publicAgreementKey(of: entity), of: entity, for: .agreement)
            keys.setDevice(entity)
        }
    }

    private mutating func add(_ party: EUI64, _ role: Certificate.Role) {
        keys.add(parties.signingKey(of: party), of: party, for: .signing)
        keys.add(parties.agreementKey(of: party), of: party, for: .agreement)
        keys.set(role, of: party)
    }

    /// The counter of the next command of `party`: it follows the clock, so that a home whose
    /// memories outlive a run takes those of the next one.
    mutating func nextCounter(of party: EUI64, at time: UTCTime) -> UInt64 {
        let next = max((counters[party] ?? 0) + 1, UInt64(time.secondsSince2000) << 20)
        counters[party] = next
        return next
    }

    /// A command as it comes to `device`: signed by `party` if it is critical, its MAC the
    /// broker's.
    package mutating func command(
        _ code: MessageCode, by party: EUI64, to device: EUI64, at time: UTCTime,
        content: (UInt64) -> MessageContent
    ) -> [UInt8] {
        if keys.role(of: party) == nil { add(party, .supplier) }
        let counter = nextCounter(of: party, at: time)
        var message = GBCSMessage(
            header: GroupingHeader(
                kind: .command, counter: counter, originator: party, recipient: device,
                otherInformation: OtherInformation(code)),
            payload: content(counter).encoded(), signature: .empty)
        if Protection.demanded(by: code, .command)?.signature == true {
            message = message.signed(by: parties.signingKey(of: party))
        }
        return (message.authenticated(with: keys) ?? message).encoded()
    }

    /// What came, if it is a message, and whether it is what it says and news.
    package mutating func read(_ bytes: [UInt8]) -> (message: GBCSMessage?, verdict: MessageVerdict)
    {
        guard let message = try? GBCSMessage(parsing: bytes) else { return (nil, .malformed) }
        let signature = message.verifySignature(with: keys)
        let mac = message.verifyMAC(with: keys)
        let verdict: MessageVerdict =
            signature == .invalid
            ? .badSignature
            : mac == .invalid ? .badMAC : signature == .noKey || mac == .noKey ? .noKey : .valid
        let header = message.header
        guard verdict == .valid, header.kind == .alert else { return (message, verdict) }
        // Its messages come in the order in which it made them. One that comes again, or whose
        // counter was used before, says nothing new.
        guard header.counter > heard[header.originator] ?? 0 else { return (message, .replayed) }
        heard[header.originator] = header.counter
        return (message, .valid)
    }
}
