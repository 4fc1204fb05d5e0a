import Crypto
import Radio
import Wire
import Zigbee

/// The device as initiator of Key Establishment (Smart Energy Annex C): with a certificate, it
/// shares a new link key with its trust centre before it talks of time and firmware with it.
extension HANDevice {
    /// Whether it has the link key under which it talks with its hub.
    var hasLinkKey: Bool {
        establishment == nil || stack.hasEstablishedKey(with: stack.trustCentreAddress)
    }

    /// It is in its network, anew or again.
    mutating func joined(at now: Instant, into out: inout Outbox) {
        guard hasLinkKey else {
            establishment?.begin(with: stack.trustCentreAddress, at: now)
            return
        }
        secured(at: now, into: &out)
    }

    /// It may talk with its hub of all that there is.
    private mutating func secured(at now: Instant, into out: inout Outbox) {
        clock.joined(at: now)
        tunnel.joined(at: now)
        discover(at: now, into: &out)
    }

    /// A sleeper begins when it is awake anyway.
    private var mayEstablish: Bool { stack.isJoined && (profile.sleep == nil || sleeper.isAwake) }

    mutating func establishmentDeadline() -> Instant {
        guard mayEstablish else { return .distantFuture }
        return establishment?.reckonDeadline() ?? .distantFuture
    }

    mutating func stepEstablishment(at now: Instant, into out: inout Outbox) {
        guard establishmentDeadline() <= now, let step = establishment?.step(at: now) else {
            return
        }
        carryOut(step, from: .coordinator, at: now, into: &out)
    }

    mutating func foundEstablishmentServer(
        _ endpoint: UInt8?, at now: Instant, into out: inout Outbox
    ) {
        guard let step = establishment?.found(endpoint, at: now) else { return }
        carryOut(step, from: .coordinator, at: now, into: &out)
    }

    mutating func receiveKeyEstablishment(
        _ zcl: ZCLMessage, at now: Instant, into out: inout Outbox
    ) {
        let source = zcl.message.source
        guard let establishment, let sender = zcl.message.sourceEUI64 else {
            out.drop(.zclUnexpected, from: source)
            return
        }
        let step: KeyEstablishmentClient.Step?
        switch zcl.keyEstablishment(fromServer: true, establishment.suites) {
        case .answered(let frame, let reason):
            if let reason { out.drop(reason, from: source) }
            reply(zcl, frame, at: now, into: &out)
            return
        case .command(let command):
            step = self.establishment?.received(command, from: sender, at: now)
        case .malformed:
            out.drop(.zclMalformed, from: source)
            step =
                sender == establishment.partner
                ? self.establishment?.receivedMalformed(at: now) : nil
            if step == .unexpected { return }
        }
        if let step { carryOut(step, from: source, at: now, into: &out) }
    }

    private mutating func carryOut(
        _ step: KeyEstablishmentClient.Step, from source: ShortAddress, at now: Instant,
        into out: inout Outbox
    ) {
        switch step {
        case .none: return
        case .unexpected:
            out.drop(.zclUnexpected, from: source)
            return
        case .find:
            stack.findServer(
                of: ClusterID.keyEstablishment, at: .coordinator, now: now, into: &out)
        case .send(let command): send(command, at: now, into: &out)
        case .failed(let failure, let command):
            if let command { send(command, at: now, into: &out) }
            out.note(failure, with: establishment?.partner ?? .unknown)
        case .established(let key):
            guard let establishment, let partner = establishment.partner else { return }
            stack.establishLinkKey(key, partner: partner)
            out.note(
                .linkKeyEstablished, partner.rawValue, UInt64(establishment.suites.rawValue))
            secured(at: now, into: &out)
        }
        sleeper.noteActivity(at: now)
        if let establishment, establishment.isBusy(at: now) {
            stack.expectAnswers(until: establishment.nextDeadline, at: now)
        }
    }

    /// Under NWK security alone: there is no link key yet that both sides trust.
    private mutating func send(
        _ command: KeyEstablishmentCommand, at now: Instant, into out: inout Outbox
    ) {
        guard let endpoint = establishment?.endpoint else { return }
        zclSequence &+= 1
        stack.send(
            command.frame(fromServer: false, sequence: zclSequence), to: .coordinator,
            endpoint: endpoint, from: profile.endpoint, cluster: ClusterID.keyEstablishment,
            profile: ProfileID.smartEnergy, options: .acknowledged, at: now, into: &out)
    }
}

extension Outbox {
    /// Notes why no link key was established with `partner`.
    mutating func note(_ failure: KeyEstablishmentFailure, with partner: EUI64) {
        let (reason, isTold) =
            switch failure {
            case .refused(let status): (status.reason, false)
            case .terminated(let status): (status.reason, true)
            case .noAnswer: (RefusalReason.partnerSilent, false)
            case .noServer: (RefusalReason.noServer, true)
            }
        note(.linkKeyRefused, partner.rawValue, UInt64(reason.rawValue), isTold ? 1 : 0)
    }
}

extension KeyEstablishmentStatus {
    fileprivate var reason: RefusalReason {
        switch self {
        case .unknownIssuer: .unknownIssuer
        case .badKeyConfirm: .badKeyConfirm
        case .badMessage: .badMessage
        case .noResources: .noResources
        case .unsupportedSuite: .unsupportedSuite
        case .invalidCertificate: .invalidCertificate
        default: .none
        }
    }
}
