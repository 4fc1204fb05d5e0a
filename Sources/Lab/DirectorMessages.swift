import Devices
import GBCS
import Radio
import Wire

/// A message that has come from the home and that no step has waited for yet.
package struct ReceivedMessage: Sendable {
    package var member: Int
    package var code: MessageCode
    package var content: MessageContent
}

/// The director as the remote parties: their commands go out, and what the devices say comes in.
extension Director {
    /// Messages that are kept for a later step.
    private static let receivedLimit = 256

    // MARK: - Out

    /// CS06 from the supplier to each device, about the image of its current attempt.
    mutating func command(
        _ devices: [Int], _ order: ScenarioStep.MessageOrder,
        expected: ScenarioStep.ActivationAnswer, at now: Instant, into out: inout Outbox
    ) {
        answers.removeAll()
        for index in devices {
            guard let attempt = attempts.last(where: { $0.device == index }) else { continue }
            if expected != .nothing { answers[index] = .awaited }
            let moment =
                order.isCancellation
                ? .never
                : order.at.flatMap { GeneralizedTime(secondsSince2000: $0.secondsSince2000) }
            activate(
                index, attempt.hash, by: MessageParties.supplier(order.supplier), at: moment, now,
                into: &out)
        }
    }

    mutating func activate(
        _ member: Int, _ hash: Digest256, by party: EUI64, at moment: GeneralizedTime?,
        _ now: Instant, into out: inout Outbox
    ) {
        let (entity, time) = (members[member].entity, scenario.start.advanced(by: now - .zero))
        let bytes = desk?.command(.activateFirmware, by: party, to: entity, at: time) {
            .activateFirmware(
                ActivateFirmware(hash: hash, originatorCounter: $0, executionTime: moment))
        }
        guard let bytes else { return }
        // To one without power it is sent all the same: that is what the step tries.
        giveMessage(bytes, to: member, into: &out)
    }

    /// The one place where messages leave for the home.
    mutating func giveMessage(_ bytes: [UInt8], to member: Int, into out: inout Outbox) {
        tellHub(.message(device: members[member].entity, bytes: bytes), into: &out)
    }

    mutating func changeSupplier(_ devices: [Int], _ number: Int, into out: inout Outbox) {
        guard let parties = desk?.parties else { return }
        let party = MessageParties.supplier(number)
        let anchor = parties.anchor(
            .supplier, party, images: parties.publicSigningKey(of: party))
        for index in devices {
            members[index].supplier = nil
            give(.changeSupplier(anchor: anchor.bytes), to: index, into: &out)
        }
    }

    // MARK: - In

    /// The one place where messages come from the home.
    mutating func takeMessage(_ bytes: [UInt8], into out: inout Outbox) {
        guard let (message, verdict) = desk?.read(bytes) else { return }
        guard let message else {
            out.note(.messageRead, 0, 0, 0, 0, 0, UInt64(verdict.rawValue))
            return
        }
        let header = message.header
        let code = header.otherInformation.messageCode
        out.note(
            .messageRead, UInt64(code.rawValue), UInt64(header.kind.rawValue),
            header.originator.rawValue, header.recipient.rawValue, header.counter,
            UInt64(verdict.rawValue))
        guard verdict == .valid,
            let member = members.firstIndex(where: {
                $0.entity == header.originator || $0.eui64 == header.originator
            }), let content = try? MessageContent(of: message)
        else { return }
        if case .activateFirmwareResponse(.accepted) = content, answers[member] == .awaited {
            answers[member] = .accepted
        }
        if received.count >= Self.receivedLimit { received.removeFirst() }
        received.append(
            ReceivedMessage(member: member, code: code, content: content))
    }

    mutating func observeMessage(_ event: EventRecord) {
        let node = Int(event.node)
        switch event.kind {
        case .messageDropped:
            guard let reason = DropReason(rawValue: UInt8(truncatingIfNeeded: event.values[0]))
            else { return }
            // A hub drops messages of its devices' too.
            let isOwn = event.values[4] == 0 || event.values[4] == members[node].entity.rawValue
            if answers[node] == .awaited, node != hub || isOwn { answers[node] = .dropped(reason) }
        case .supplierChanged: members[node].supplier = EUI64(event.values[1])
        default: break
        }
    }

    /// What the step still waits for: such a message from each. Those that have come are used up.
    mutating func awaited(
        _ devices: [Int], code: UInt16?, alert: UInt16?, at now: Instant
    ) -> String? {
        for index in devices where !satisfied.contains(index) {
            let place = received.firstIndex {
                $0.member == index && (code == nil || $0.code.rawValue == code)
                    && (alert == nil || $0.content.alert?.rawValue == alert)
            }
            guard let place else { continue }
            received.remove(at: place)
            satisfied.insert(index)
        }
        let late = devices.filter { !satisfied.contains($0) }
        return late.isEmpty ? nil : "no such message from \(names(late))"
    }

    func suppliersChanged(_ devices: [Int], _ number: Int) -> String? {
        let late = devices.filter { members[$0].supplier != MessageParties.supplier(number) }
        return late.isEmpty ? nil : "the supplier has not been changed: \(names(late))"
    }
}

extension MessageContent {
    /// The code of an alert that is understood inside.
    var alert: AlertCode? {
        switch self {
        case .futureDatedFirmwareAlert(let alert): alert.code
        case .ppmidFirmwareAlert(let alert): alert.code
        case .firmwareTransferAlert(let alert): alert.code
        case .firmwareReceiptAlert(let alert): alert.code
        case .deviceLogAlert(let alert): alert.code
        case .genericAlert(let alert): alert.code
        default: nil
        }
    }
}
