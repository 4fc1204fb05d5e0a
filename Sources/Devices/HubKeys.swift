import Crypto
import Radio
import Wire
import Zigbee

/// The hub as responder of Key Establishment (Smart Energy Annex C): with certificates, it shares
/// new link keys with the devices of its log.
extension CommunicationsHub {
    /// Whether the hub talks of time and firmware with a device: under an established key alone,
    /// unless the device is one that stays on its install code's. What comes under that key later
    /// cannot be opened any more.
    func maySpeak(_ device: EUI64) -> Bool {
        staysOnInstallCode(device) || !profile.requiresEstablishedKeys
            || stack.hasEstablishedKey(with: device)
    }

    /// Whether a device uses its install code's link key, also if it had another before.
    func staysOnInstallCode(_ device: EUI64) -> Bool {
        establishment == nil || identity.installCodeDevices.contains(device)
    }

    mutating func receiveKeyEstablishment(
        _ zcl: ZCLMessage, from device: EUI64, at now: Instant, into out: inout Outbox
    ) {
        guard let suites = establishment?.suites else { return }
        let answer: KeyEstablishmentServer.Answer?
        switch zcl.keyEstablishment(fromServer: false, suites) {
        case .answered(let frame, let reason):
            if let reason { out.drop(reason, from: zcl.message.source) }
            reply(zcl, frame, at: now, into: &out)
            return
        case .command(let command):
            answer = establishment?.received(command, from: device, at: now)
        case .malformed:
            out.drop(.zclMalformed, from: zcl.message.source)
            answer = establishment?.receivedMalformed(from: device)
        }
        guard let answer else { return }
        if let key = answer.linkKey {
            // First, so that the device hears nothing of it before it is kept.
            stack.establishLinkKey(key, partner: device)
            out.note(
                .linkKeyEstablished, device.rawValue, UInt64(answer.suite?.rawValue ?? 0))
            discloseLinkKey(of: device, into: &out)
            deviceAppeared(device, at: now)
            reportDeviceLog(at: now, into: &out)
        }
        if let failure = answer.failure { out.note(failure, with: device) }
        if let command = answer.reply {
            // Under NWK security alone, also the last word: the device does not have the key yet.
            stack.send(
                command.frame(fromServer: true, sequence: zcl.header.sequence),
                to: zcl.message.source, endpoint: zcl.message.sourceEndpoint,
                from: profile.endpoint, cluster: ClusterID.keyEstablishment,
                profile: zcl.message.profile, options: .acknowledged, at: now, into: &out)
        } else if answer.failure == nil {
            out.drop(.zclUnexpected, from: zcl.message.source)
        }
    }

    /// Ends sessions whose devices have fallen silent.
    mutating func endSilentSessions(at now: Instant, into out: inout Outbox) {
        while let device = establishment?.expire(at: now) {
            out.note(KeyEstablishmentFailure.noAnswer, with: device)
        }
    }

    /// Tells the evidence the link key that was established with a device, if there is one.
    func discloseLinkKey(of device: EUI64, into out: inout Outbox) {
        guard let key = stack.establishedKey(with: device) else { return }
        out.append(.linkKey(key, partner: device))
    }

    func discloseLinkKeys(into out: inout Outbox) {
        for partner in stack.partners { discloseLinkKey(of: partner, into: &out) }
    }
}
