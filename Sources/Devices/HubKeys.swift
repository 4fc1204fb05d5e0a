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
        establishment == nil || !profile.requiresEstablishedKeys
            || identity.installCodeDevices.contains(device)
            || stack.hasEstablishedKey(with: device)
    }

    mutating func receiveKeyEstablishment(
        _ zcl: ZCLMessage, from device: EUI64, at now: Instant, into out: inout Outbox
    ) {
        guard let suites = establishment?.suites else { return }
        guard !zcl.header.fromServer else {
            out.drop(.zclWrongDirection, from: zcl.message.source)
            reply(zcl, zcl.refusalOfDirection, at: now, into: &out)
            return
        }
        guard zcl.header.isClusterSpecific else {
            let answer = ZCLGeneral.answer(zcl, of: .keyEstablishment) {
                ZCLAttribute.keyEstablishment($0, suites)
            }
            reply(zcl, answer, at: now, into: &out)
            return
        }
        guard !zcl.message.isBroadcast else {
            out.drop(.zclUnexpected, from: zcl.message.source)
            return
        }
        let answer: KeyEstablishmentServer.Answer?
        do {
            var reader = ByteReader(zcl.body)
            let command = try KeyEstablishmentCommand(zcl.header.command, parsing: &reader)
            guard let command else {
                reply(
                    zcl, zcl.defaultResponse(.unsupportedClusterCommand), at: now, into: &out)
                return
            }
            answer = establishment?.received(command, from: device, at: now)
        } catch {
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
