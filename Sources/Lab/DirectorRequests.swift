import DCC
import GBCS
import Radio
import Wire

/// The director as service users, with a DCC between them and the home.
extension Director {
    /// Notices that are kept for a later step.
    private static let noticeLimit = 256

    /// A notice for a user that no step has waited for yet.
    struct HeldNotice: Sendable {
        var code: String
        /// Whom it is about; nil for nobody.
        var device: EUI64?
    }

    // MARK: - Time

    private func time(at now: Instant) -> UTCTime { scenario.start.advanced(by: now - .zero) }

    /// When the DCC is to be ticked.
    var dccDeadline: Instant {
        guard let due = dcc?.nextDeadline else { return .distantFuture }
        let seconds = Int64(due.secondsSince2000) - Int64(scenario.start.secondsSince2000)
        return .zero + .seconds(max(0, seconds))
    }

    mutating func tickDCC(at now: Instant, into out: inout Outbox) {
        guard dcc != nil, dccDeadline <= now else { return }
        var box = DCCOutbox()
        let time = time(at: now)
        dcc?.tick(at: time, into: &box)
        carryOut(box, at: now, into: &out)
    }

    // MARK: - Requests

    mutating func send(_ step: ServiceStep, at now: Instant, into out: inout Outbox) {
        let party = MessageParties.supplier(step.supplier)
        guard step.variant.isUpdate else {
            for index in indices(step.devices) {
                ask(step, of: index, by: party, at: now, into: &out)
            }
            return
        }
        guard let image = step.image.flatMap({ images[$0] }), let dcc else { return }
        let update = FirmwareUpdate(
            image: image.bytes, version: Hex.string(UInt64(image.version), digits: 8),
            devices: indices(step.devices).map { members[$0].entity })
        let id = requestID(of: party, to: dcc.settings.id, at: now)
        requestedImages[id] = image.name
        let answer = submit(
            step.variant.rawValue, 8, .nonDevice, id,
            step.variant == .updateFirmware
                ? .updateFirmware(update) : .updatePPMIDFirmware(update), at: now, into: &out)
        judge(answer, step)
    }

    /// 11.2, or 11.3 in its two parts.
    private mutating func ask(
        _ step: ServiceStep, of device: Int, by party: EUI64, at now: Instant,
        into out: inout Outbox
    ) {
        let id = requestID(of: party, to: members[device].entity, at: now)
        guard step.variant == .activateFirmware else {
            let answer = submit(
                "11.2", 1, .sendCommand, id, .readFirmwareVersion(execution: nil), at: now,
                into: &out)
            judge(answer, step)
            return
        }
        guard let image = step.image.flatMap({ images[$0] }) else { return }
        let transformed = submit(
            "11.3", 4, .transform, id,
            .activateFirmware(
                hash: image.hash,
                execution: step.isCancellation ? .never : step.at.map { .at($0) }), at: now,
            into: &out)
        guard case .response(_, _, .preCommand(_, let bytes)) = transformed?.body,
            let message = try? GBCSMessage(parsing: bytes),
            let key = desk?.parties.signingKey(of: party)
        else {
            judge(transformed, step)
            return
        }
        let answer = submit(
            "11.3", 5, .sendCommand, id,
            .signedPreCommand(payload: message.signed(by: key).encoded()), at: now, into: &out)
        judge(answer, step)
    }

    private mutating func requestID(of party: EUI64, to target: EUI64, at now: Instant) -> RequestID
    {
        let time = time(at: now)
        return RequestID(
            originator: party, target: target,
            counter: desk?.nextCounter(of: party, at: time) ?? 0)
    }

    private mutating func submit(
        _ variant: String, _ commandVariant: UInt8, _ service: WebService, _ id: RequestID,
        _ body: ServiceRequest.Body, at now: Instant, into out: inout Outbox
    ) -> ServiceResponse? {
        var box = DCCOutbox()
        let time = time(at: now)
        let answer = dcc?.submit(
            ServiceRequest(
                id: id, commandVariant: commandVariant, reference: variant, variant: variant,
                body: body), over: service, at: time, into: &box)
        if let answer {
            out.note(
                .requestAnswered, EventKind.word(variant), EventKind.word(answer.code.rawValue),
                id.originator.rawValue, id.target.rawValue, id.counter)
        }
        carryOut(box, at: now, into: &out)
        return answer
    }

    /// A step whose answer is another than it says has failed.
    private mutating func judge(_ answer: ServiceResponse?, _ step: ServiceStep) {
        let code = answer?.code.rawValue ?? "nothing"
        guard code == step.answer else {
            obstacle = obstacle ?? "the DCC answers \(code), not \(step.answer)"
            return
        }
        let warning = answer?.warning ?? FirmwareWarning()
        for (list, names) in step.lists.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            let wanted = Set(indices(names).map { members[$0].entity })
            guard Set(warning[list]) != wanted else { continue }
            let found = warning[list].map { id in
                members.first { $0.entity == id }?.name ?? id.dashed
            }
            obstacle =
                obstacle ?? "the DCC lists as \(list.rawValue): "
                + (found.isEmpty ? "nobody" : found.joined(separator: ", "))
        }
    }

    // MARK: - What the DCC puts out

    private mutating func carryOut(_ box: DCCOutbox, at now: Instant, into out: inout Outbox) {
        for item in box.items {
            switch item {
            case .notice(let notice): take(notice, into: &out)
            case .deliver(let delivery): deliver(delivery, at: now)
            case .abandon(let number, _): abandon(number)
            case .message(_, let device, let bytes):
                if let index = members.firstIndex(where: { $0.entity == device }) {
                    giveMessage(bytes, to: index, into: &out)
                }
            // A run ends with everything it has.
            case .track, .save, .remove, .saveImage, .removeImage: break
            }
        }
    }

    private mutating func take(_ notice: Notice, into out: inout Outbox) {
        let code =
            switch notice.response.body {
            case .response: notice.response.code.rawValue
            case .deviceAlert(let code, _): Hex.string(UInt64(code), digits: 4)
            case .dccAlert(let code, _): code.rawValue
            }
        out.note(
            .noticeSent, notice.number, EventKind.word(code), notice.user.rawValue,
            notice.device?.rawValue ?? 0)
        if notices.count >= Self.noticeLimit { notices.removeFirst() }
        notices.append(HeldNotice(code: code, device: notice.device))
    }

    private mutating func deliver(_ delivery: ImageDelivery, at now: Instant) {
        guard
            let image = requestedImages.first(where: { "\($0.key)" == delivery.image })
                .flatMap({ images[$0.value] })
        else { return }
        // One that was begun before is void.
        abandon(delivery.number)
        for (own, number) in dccDeliveries where number == delivery.number {
            dccDeliveries[own] = nil
        }
        dccDeliveries[nextDelivery] = delivery.number
        deliver(
            image,
            to: delivery.targets.compactMap { id in
                members.firstIndex { $0.entity == id }
            }, at: now)
    }

    /// Ends a transfer. That the hub has it all the same may still come.
    private mutating func abandon(_ number: UInt32) {
        for own in dccDeliveries.keys where dccDeliveries[own] == number {
            transfers.removeAll { $0.delivery == own }
            underway.remove(own)
        }
    }

    /// What the hub has said of a delivery, where it was the DCC's.
    mutating func tellDCC(
        of delivery: UInt32, refusal: RefusalReason?, at now: Instant, into out: inout Outbox
    ) {
        guard let number = dccDeliveries[delivery] else { return }
        tellDCC(
            refusal.map { .refused(delivery: number, reason: $0.name) }
                ?? .stored(delivery: number), at: now, into: &out)
    }

    mutating func tellDCC(_ message: HubMessage, at now: Instant, into out: inout Outbox) {
        guard dcc != nil else { return }
        var box = DCCOutbox()
        let (time, entity) = (time(at: now), members[hub].entity)
        dcc?.receive(message, from: entity, at: time, into: &box)
        carryOut(box, at: now, into: &out)
    }

    /// What the step still waits for: such a notice about each. Those that have come are used up.
    mutating func noticed(_ code: String, about devices: [Int]) -> String? {
        for index in devices where !satisfied.contains(index) {
            let place = notices.firstIndex {
                $0.code == code && $0.device == members[index].entity
            }
            guard let place else { continue }
            notices.remove(at: place)
            satisfied.insert(index)
        }
        let late = devices.filter { !satisfied.contains($0) }
        return late.isEmpty ? nil : "no \(code) about \(names(late))"
    }
}

extension ServiceResponse {
    fileprivate var warning: FirmwareWarning? {
        switch body {
        case .response(_, _, .updateFirmwareWarning(let warning)),
            .response(_, _, .updatePPMIDFirmwareWarning(let warning)):
            warning
        default: nil
        }
    }
}
