import Crypto
import Wire

/// The initiator of Certificate-Based Key Establishment (Smart Energy Annex C), as a machine
/// without I/O: a device that has joined and tries until it shares a new link key with its trust
/// centre.
public struct KeyEstablishmentClient: Sendable {
    /// What is to be done now.
    public enum Step: Sendable, Equatable {
        case none
        /// Look for the partner's server.
        case find
        case send(KeyEstablishmentCommand)
        /// The attempt came to nothing; the next follows at the deadline. What is to be sent
        /// before, if anything.
        case failed(KeyEstablishmentFailure, send: KeyEstablishmentCommand?)
        /// This is the link key from now on.
        case established(Key128)
        /// Nobody waits for this command.
        case unexpected
    }

    private enum Phase: Sendable {
        /// Nothing is to be done, or the next attempt is due later.
        case resting
        case finding
        case awaitingCertificate
        case awaitingEphemeralData(CBKEKeyPair, ImplicitCertificate, confirmKeyTime: UInt8)
        /// What the responder's confirmation must be, and the key.
        case awaitingConfirmation(expected: Key128, linkKey: Key128)
    }

    public let settings: KeyEstablishmentSettings
    /// This node's address, which stands in its certificate.
    public let eui64: EUI64
    private let credentials: CBKECredentials
    private let seed: Seed
    private var phase = Phase.resting
    /// When the next attempt with the partner may begin, after one that failed.
    private var notBefore: Instant?
    public private(set) var partner: EUI64?
    /// Where the partner serves the cluster, once that is known.
    public private(set) var endpoint: UInt8?

    public init(
        settings: KeyEstablishmentSettings, credentials: CBKECredentials, eui64: EUI64, seed: Seed
    ) {
        self.settings = settings
        self.credentials = credentials
        self.eui64 = eui64
        self.seed = seed
    }

    /// The attribute KeyEstablishmentSuite.
    public var suites: KeyEstablishmentSuites { KeyEstablishmentSuites(credentials.suite) }

    public private(set) var nextDeadline = Instant.distantFuture

    /// `nextDeadline` without the copy of it all that asking a property may take. Changes nothing.
    public mutating func reckonDeadline() -> Instant { nextDeadline }

    /// An answer is on its way, or an attempt is due soon: not the time to fall asleep.
    public func isBusy(at now: Instant) -> Bool {
        if case .resting = phase { nextDeadline <= now + settings.afterJoining } else { true }
    }

    /// A key is to be established with this partner. If an attempt with it has come to nothing, the
    /// next is due no earlier for that.
    public mutating func begin(with partner: EUI64, at now: Instant) {
        let next = now + settings.afterJoining
        let earliest = partner == self.partner ? notBefore : nil
        self.partner = partner
        rest(until: max(next, earliest ?? next))
    }

    /// Nothing more is to be done.
    public mutating func stop() { rest(until: .distantFuture) }

    private mutating func rest(until instant: Instant) {
        phase = .resting
        nextDeadline = instant
    }

    /// What is due; `none` before the deadline.
    public mutating func step(at now: Instant) -> Step {
        guard nextDeadline <= now else { return .none }
        guard case .resting = phase else { return fail(.noAnswer, at: now) }
        phase = .finding
        nextDeadline = now + settings.margin
        return .find
    }

    /// Where the partner serves the cluster, or that it does not.
    public mutating func found(_ endpoint: UInt8?, at now: Instant) -> Step {
        guard case .finding = phase else { return .unexpected }
        self.endpoint = endpoint
        guard endpoint != nil else { return fail(.noServer, at: now) }
        phase = .awaitingCertificate
        nextDeadline = now + settings.margin
        return .send(.initiate(settings.initiate(credentials)))
    }

    /// A command from the partner's server could not be read.
    public mutating func receivedMalformed(at now: Instant) -> Step {
        isUnderWay ? refuse(.badMessage, at: now) : .unexpected
    }

    /// A command from the partner's server.
    public mutating func received(
        _ command: KeyEstablishmentCommand, from sender: EUI64, at now: Instant
    ) -> Step {
        guard sender == partner, isUnderWay else { return .unexpected }
        switch (command, phase) {
        case (.initiate(let initiate), .awaitingCertificate):
            return answer(initiate, from: sender, at: now)
        case (
            .ephemeralData(let point),
            .awaitingEphemeralData(let ephemeral, let certificate, let confirmKeyTime)
        ):
            return agree(
                on: point, with: sender, ephemeral, certificate, confirmKeyTime, at: now)
        case (.confirmKey(let code), .awaitingConfirmation(let expected, let linkKey)):
            guard code.isSame(as: expected) else { return refuse(.badKeyConfirm, at: now) }
            stop()
            notBefore = nil
            return .established(linkKey)
        case (.terminate(let terminate), _):
            return fail(
                .terminated(terminate.status), at: now,
                wait: .seconds(Int64(terminate.waitTime)))
        default: return refuse(.badMessage, at: now)
        }
    }

    private var isUnderWay: Bool {
        switch phase {
        case .resting, .finding: false
        case .awaitingCertificate, .awaitingEphemeralData, .awaitingConfirmation: true
        }
    }

    /// The attempt is over. The next follows after the interval, or what the partner asks for.
    private mutating func fail(
        _ failure: KeyEstablishmentFailure, at now: Instant, wait: Interval = .zero,
        send command: KeyEstablishmentCommand? = nil
    ) -> Step {
        let next = now + max(settings.retryInterval, wait)
        notBefore = next
        rest(until: next)
        return .failed(failure, send: command)
    }

    private mutating func refuse(_ status: KeyEstablishmentStatus, at now: Instant) -> Step {
        fail(
            .refused(status), at: now,
            send: .terminate(
                TerminateKeyEstablishment(
                    status: status, waitTime: settings.waitTime, suites: suites)))
    }

    private mutating func answer(
        _ initiate: InitiateKeyEstablishment, from sender: EUI64, at now: Instant
    ) -> Step {
        guard initiate.suites == suites else { return refuse(.unsupportedSuite, at: now) }
        do {
            let certificate = try credentials.check(initiate.certificate, of: sender)
            var stream = SeededStream(
                seed.indexed(sender.rawValue).indexed(UInt64(bitPattern: now.microseconds)))
            let ephemeral = CBKEKeyPair.generate(suite: credentials.suite, from: &stream)
            phase = .awaitingEphemeralData(
                ephemeral, certificate, confirmKeyTime: initiate.confirmKeyTime)
            nextDeadline = now + settings.wait(for: initiate.ephemeralDataTime)
            return .send(.ephemeralData(ephemeral.publicKey.bytes))
        } catch { return refuse(error, at: now) }
    }

    private mutating func agree(
        on point: [UInt8], with sender: EUI64, _ ephemeral: CBKEKeyPair,
        _ certificate: ImplicitCertificate, _ confirmKeyTime: UInt8, at now: Instant
    ) -> Step {
        do {
            let agreement = try credentials.agree(
                point, certificate: certificate, ephemeral: ephemeral)
            let parties = CBKEParties(
                initiator: eui64, responder: sender, initiatorKey: ephemeral.publicKey,
                responderKey: agreement.partnerEphemeral)
            phase = .awaitingConfirmation(
                expected: agreement.keys.responderMAC(parties), linkKey: agreement.keys.linkKey)
            nextDeadline = now + settings.wait(for: confirmKeyTime)
            return .send(.confirmKey(agreement.keys.initiatorMAC(parties)))
        } catch { return refuse(error, at: now) }
    }
}
