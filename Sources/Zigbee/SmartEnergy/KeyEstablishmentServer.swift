import Crypto
import Wire

/// The responder of Certificate-Based Key Establishment (Smart Energy Annex C), as a machine
/// without I/O: a hub's trust centre, with which several devices at once may establish link keys.
///
/// assumption: a session whose partner has fallen silent ends without a word, and an Initiate of a
/// device that has a session begins it anew; no setting.
public struct KeyEstablishmentServer: Sendable {
    /// What becomes of a command.
    public struct Answer: Sendable, Equatable {
        /// What is to be sent to the partner.
        public var reply: KeyEstablishmentCommand?
        /// The new link key, from the moment on at which the reply is sent.
        public var linkKey: Key128?
        /// The suite in which it was established.
        public var suite: CBKESuite?
        /// Why the session, if there was one, has ended.
        public var failure: KeyEstablishmentFailure?
    }

    private struct Session: Sendable {
        enum Phase: Sendable {
            case awaitingEphemeralData
            /// What the initiator's confirmation must be, what is answered, and the key.
            case awaitingConfirmation(expected: Key128, answer: Key128, linkKey: Key128)
        }

        var partner: EUI64
        var own: CBKECredentials
        var certificate: ImplicitCertificate
        /// As the partner said, in seconds.
        var confirmKeyTime: UInt8
        var phase = Phase.awaitingEphemeralData
        var deadline: Instant
    }

    public let settings: KeyEstablishmentSettings
    /// This node's address, which stands in its certificates.
    public let eui64: EUI64
    /// At least one for each suite that is supported; several of a suite are of different
    /// authorities, and the initiator's certificate says which of them is meant.
    private let credentials: [CBKECredentials]
    private let seed: Seed
    private var sessions: [Session] = [] {
        didSet { nextDeadline = sessions.reduce(.distantFuture) { min($0, $1.deadline) } }
    }

    public init(
        settings: KeyEstablishmentSettings, credentials: [CBKECredentials], eui64: EUI64, seed: Seed
    ) {
        self.settings = settings
        self.credentials = credentials
        self.eui64 = eui64
        self.seed = seed
    }

    /// The attribute KeyEstablishmentSuite.
    public var suites: KeyEstablishmentSuites {
        credentials.reduce([]) { $0.union(KeyEstablishmentSuites($1.suite)) }
    }

    /// How many sessions are under way.
    public var sessionCount: Int { sessions.count }

    public private(set) var nextDeadline = Instant.distantFuture

    /// `nextDeadline` without the copy of it all that asking a property may take. Changes nothing.
    public mutating func reckonDeadline() -> Instant { nextDeadline }

    /// Ends a session whose time is up; nil once there is none.
    public mutating func expire(at now: Instant) -> EUI64? {
        guard let index = sessions.firstIndex(where: { $0.deadline <= now }) else { return nil }
        return sessions.remove(at: index).partner
    }

    /// The device is not to be spoken with any more.
    public mutating func forget(_ partner: EUI64) { sessions.removeAll { $0.partner == partner } }

    /// A command from a client could not be read.
    public mutating func receivedMalformed(from partner: EUI64) -> Answer {
        refuse(partner, .badMessage)
    }

    /// A command from a client.
    public mutating func received(
        _ command: KeyEstablishmentCommand, from partner: EUI64, at now: Instant
    ) -> Answer {
        switch command {
        case .initiate(let initiate): return begin(initiate, from: partner, at: now)
        case .ephemeralData(let point): return agree(on: point, with: partner, at: now)
        case .confirmKey(let code): return confirm(code, of: partner)
        case .terminate(let terminate):
            guard sessions.contains(where: { $0.partner == partner }) else { return Answer() }
            forget(partner)
            return Answer(failure: .terminated(terminate.status))
        }
    }

    private mutating func refuse(_ partner: EUI64, _ status: KeyEstablishmentStatus) -> Answer {
        forget(partner)
        return Answer(
            reply: .terminate(
                TerminateKeyEstablishment(
                    status: status, waitTime: settings.waitTime, suites: suites)),
            failure: .refused(status))
    }

    private mutating func begin(
        _ initiate: InitiateKeyEstablishment, from partner: EUI64, at now: Instant
    ) -> Answer {
        forget(partner)
        guard let suite = initiate.suites.suite,
            let own = credentials(in: suite, for: initiate.certificate)
        else { return refuse(partner, .unsupportedSuite) }
        guard sessions.count < settings.sessions else { return refuse(partner, .noResources) }
        let certificate: ImplicitCertificate
        do {
            certificate = try own.check(initiate.certificate, of: partner)
        } catch { return refuse(partner, error) }
        sessions.append(
            Session(
                partner: partner, own: own, certificate: certificate,
                confirmKeyTime: initiate.confirmKeyTime,
                deadline: now + settings.wait(for: initiate.ephemeralDataTime)))
        return Answer(reply: .initiate(settings.initiate(own)))
    }

    /// Those of the authority of the partner's certificate, or, if there are none, those with which
    /// the partner is refused.
    private func credentials(in suite: CBKESuite, for certificate: [UInt8]) -> CBKECredentials? {
        let own = credentials.filter { $0.suite == suite }
        guard own.count > 1 else { return own.first }
        let issuer = (try? ImplicitCertificate(certificate))?.issuer
        return own.first { $0.authority.issuer == issuer } ?? own.first
    }

    private mutating func agree(
        on point: [UInt8], with partner: EUI64, at now: Instant
    ) -> Answer {
        guard let index = sessions.firstIndex(where: { $0.partner == partner }),
            case .awaitingEphemeralData = sessions[index].phase
        else { return refuse(partner, .badMessage) }
        let session = sessions[index]
        var stream = SeededStream(
            seed.indexed(partner.rawValue).indexed(UInt64(bitPattern: now.microseconds)))
        let ephemeral = CBKEKeyPair.generate(suite: session.own.suite, from: &stream)
        do {
            let agreement = try session.own.agree(
                point, certificate: session.certificate, ephemeral: ephemeral)
            let parties = CBKEParties(
                initiator: partner, responder: eui64,
                initiatorKey: agreement.partnerEphemeral, responderKey: ephemeral.publicKey)
            sessions[index].phase = .awaitingConfirmation(
                expected: agreement.keys.initiatorMAC(parties),
                answer: agreement.keys.responderMAC(parties), linkKey: agreement.keys.linkKey)
            sessions[index].deadline = now + settings.wait(for: session.confirmKeyTime)
            return Answer(reply: .ephemeralData(ephemeral.publicKey.bytes))
        } catch { return refuse(partner, error) }
    }

    private mutating func confirm(_ code: Key128, of partner: EUI64) -> Answer {
        guard let index = sessions.firstIndex(where: { $0.partner == partner }),
            case .awaitingConfirmation(let expected, let answer, let linkKey) =
                sessions[index].phase
        else { return refuse(partner, .badMessage) }
        guard code.isSame(as: expected) else { return refuse(partner, .badKeyConfirm) }
        let suite = sessions[index].own.suite
        forget(partner)
        return Answer(reply: .confirmKey(answer), linkKey: linkKey, suite: suite)
    }
}

/// What both sides do alike.
extension CBKECredentials {
    /// The partner's certificate, if it is one, of the authority that this node trusts, and for the
    /// partner.
    func check(
        _ bytes: [UInt8], of partner: EUI64
    ) throws(KeyEstablishmentStatus) -> ImplicitCertificate {
        guard let certificate = try? ImplicitCertificate(bytes), certificate.suite == suite else {
            throw .invalidCertificate
        }
        guard certificate.issuer == authority.issuer else { throw .unknownIssuer }
        guard certificate.subject == partner else { throw .invalidCertificate }
        return certificate
    }

    /// Both sides' agreement, from the partner's ephemeral public key as it came.
    func agree(
        _ point: [UInt8], certificate: ImplicitCertificate, ephemeral: CBKEKeyPair
    ) throws(KeyEstablishmentStatus) -> (keys: CBKEAgreement, partnerEphemeral: CBKEPoint) {
        guard let partnerEphemeral = try? CBKEPoint(point, suite: suite) else { throw .badMessage }
        guard let partner = try? certificate.publicKey(from: authority) else {
            throw .invalidCertificate
        }
        do {
            return (
                try CBKEAgreement(
                    own: self, ephemeral: ephemeral, partner: partner,
                    partnerEphemeral: partnerEphemeral), partnerEphemeral
            )
        } catch { throw .badMessage }
    }
}

extension KeyEstablishmentStatus: Error {}

extension KeyEstablishmentSettings {
    func initiate(_ own: CBKECredentials) -> InitiateKeyEstablishment {
        InitiateKeyEstablishment(
            suites: KeyEstablishmentSuites(own.suite), ephemeralDataTime: ephemeralDataTime,
            confirmKeyTime: confirmKeyTime, certificate: own.certificate.bytes)
    }

    /// How long a partner is waited for that takes so many seconds.
    func wait(for seconds: UInt8) -> Interval { .seconds(Int64(seconds)) + margin }
}

extension Key128 {
    /// Compares without saying by the time it takes where they differ.
    func isSame(as other: Key128) -> Bool { (high ^ other.high) | (low ^ other.low) == 0 }
}
