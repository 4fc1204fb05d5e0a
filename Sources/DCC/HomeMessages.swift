import GBCS
import Wire

extension DCC {
    /// A GBCS message from a home. What is not what it says is dropped; what its recipient can make
    /// sure of for itself is left to it.
    mutating func hear(
        _ bytes: [UInt8], from hub: EUI64, at now: UTCTime, into out: inout DCCOutbox
    ) {
        guard let message = try? GBCSMessage(parsing: bytes),
            let sender = devices[message.header.originator], sender.hub == hub,
            message.verifySignature(with: keys.store) != .invalid,
            message.verifyMAC(with: keys.store) != .invalid,
            let content = try? MessageContent(of: message)
        else { return }
        switch message.header.kind {
        case .response: answered(message, content, bytes, by: sender, at: now, into: &out)
        case .alert:
            // The counters of a device's alerts only grow: one that comes again says nothing new.
            guard message.header.counter > sender.alertCounter else { return }
            var sender = sender
            sender.alertCounter = message.header.counter
            save(sender, into: &out)
            alerted(message, content, bytes, by: sender, at: now, into: &out)
        case .command: break
        }
    }

    // MARK: - Responses

    private mutating func answered(
        _ message: GBCSMessage, _ content: MessageContent, _ bytes: [UInt8],
        by device: InventoryDevice, at now: UTCTime, into out: inout DCCOutbox
    ) {
        if case .activateFirmwareResponse(.executed(let outcome)) = content,
            device.type == .chf
        {
            hubActivated(device, outcome, at: now, into: &out)
        }
        guard let command = command(answeredBy: message.header) else { return }
        let notice = notify(
            command.id.originator,
            ServiceResponse(
                requestID: command.id, responseID: command.id.reversed, code: .success, time: now,
                body: .response(
                    reference: command.variant, variant: command.variant, .gbcs(bytes))),
            request: command.id, device: device.id, into: &out)
        let (status, words) = Self.standing(after: content, to: command)
        track(
            status, words, request: command.id, device: device.id,
            message: bytes, notice: notice, at: now, into: &out)
        switch content {
        case .activateFirmwareResponse(.accepted):
            postponed(command, at: now, into: &out)
            let isCancellation = command.execution == nil
            // A device has one thing to do later: an order for another image takes its place.
            if let request = update(
                of: device.id,
                where: { _, known, status in
                    status == .activationPending
                        && (isCancellation || command.hash.map { $0 != known } ?? false)
                })
            {
                takeBack(
                    device.id, of: request, "the device has forgotten what it was told for later",
                    message: bytes, at: now, into: &out)
            }
            if !isCancellation, let request = updateBeingActivated(of: device.id, by: command) {
                advance(
                    device.id, of: request, to: .activationPending,
                    "the device has taken it for later", message: bytes, at: now, into: &out)
            }
            return
        case .activateFirmwareResponse(.executed(let outcome)):
            activated(device, outcome, by: command, bytes, notice: notice, at: now, into: &out)
        case .firmwareVersionResponse(let answer) where answer.result == 0:
            reported(answer.version, by: device, bytes, at: now, into: &out)
        case .esmeFirmwareVersionResponse(let answer):
            if let version = answer.version {
                reported(version, by: device, bytes, at: now, into: &out)
            }
        case .gsmeFirmwareVersionResponse(let answer):
            if let version = answer.version {
                reported(version, by: device, bytes, at: now, into: &out)
            }
        case .deviceLogResponse(let answer):
            logged(command, hub: device, answer, at: now, into: &out)
        default: break
        }
        done(command, into: &out)
    }

    /// Where a command stands once its device has answered so.
    private static func standing(
        after answer: MessageContent, to command: CommandRecord
    ) -> (TrackingStatus, String) {
        switch answer {
        case .activateFirmwareResponse(.accepted) where command.execution != nil:
            (.activationPending, "the device has taken it for later")
        case .activateFirmwareResponse(.executed(let outcome)): standing(after: outcome)
        default: (.answered, "the device has answered")
        }
    }

    private static func standing(after outcome: ActivationOutcome) -> (TrackingStatus, String) {
        let version = Hex.string(UInt64(outcome.version), digits: 8)
        return (
            outcome.result == .success ? .activated : .activationFailed,
            "\(outcome.result.words): it runs \(version)"
        )
    }

    /// A device says what it runs: the inventory and an update to that follow, and its supplier
    /// hears of it if that is not what it was held to run.
    private mutating func reported(
        _ version: UInt32, by device: InventoryDevice, _ bytes: [UInt8], at now: UTCTime,
        into out: inout DCCOutbox
    ) {
        let known = device.firmware
        record(version, of: device, into: &out)
        if let request = update(of: device.id, where: { known, _, _ in known == version }) {
            advance(
                device.id, of: request, to: .activated,
                "it says that it runs \(Hex.string(UInt64(version), digits: 8))", message: bytes,
                at: now, into: &out)
        }
        guard let known, known != version else { return }
        alert(
            device.supplier, .versionMismatch,
            .firmwareVersionMismatch(
                device: device.id, type: device.type,
                recorded: Hex.string(UInt64(known), digits: 8),
                reported: Hex.string(UInt64(version), digits: 8)), at: now, device: device.id,
            into: &out)
    }

    /// Takes down what a device runs, and what follows from that.
    mutating func record(
        _ version: UInt32, of device: InventoryDevice, into out: inout DCCOutbox
    ) {
        guard var device = devices[device.id] else { return }
        device.firmware = version
        if let entry = products.first(where: { $0.version == version && Self.isOf($0, device) }) {
            device.gbcsVersion = entry.gbcsVersion ?? device.gbcsVersion
            // What was suspended for its firmware is so no more.
            if device.status == .suspended, entry.status == .active {
                device.status = device.statusBefore ?? .commissioned
                device.statusBefore = nil
            }
        }
        save(device, into: &out)
    }

    private static func isOf(_ entry: ProductListEntry, _ device: InventoryDevice) -> Bool {
        InventoryType(entry.type) == device.type
            && UInt16(device.manufacturer, radix: 16) == entry.manufacturerCode
            && device.model == entry.model
    }

    private mutating func activated(
        _ device: InventoryDevice, _ outcome: ActivationOutcome, by command: CommandRecord?,
        _ bytes: [UInt8], notice: UInt64?, at now: UTCTime, into out: inout DCCOutbox
    ) {
        let (status, words) = Self.standing(after: outcome)
        if outcome.result == .success {
            record(outcome.version, of: device, into: &out)
            runs(
                outcome.version, device.id, words, message: bytes, notice: notice, at: now,
                into: &out)
        } else if let request = updateBeingActivated(of: device.id, by: command) {
            advance(
                device.id, of: request, to: status, words,
                message: bytes, notice: notice, at: now, into: &out)
        }
    }

    private mutating func hubActivated(
        _ hub: InventoryDevice, _ outcome: ActivationOutcome, at now: UTCTime,
        into out: inout DCCOutbox
    ) {
        guard outcome.result == .success else { return }
        hubRuns(outcome.version, hub, at: now, into: &out)
    }

    /// The hub runs other firmware: both its entities do, and so do the rules for its devices. The
    /// suppliers behind it are told once each.
    mutating func hubRuns(
        _ version: UInt32, _ hub: InventoryDevice, at now: UTCTime, into out: inout DCCOutbox
    ) {
        guard version != hub.firmware else { return }
        record(version, of: hub, into: &out)
        let behind = inventory.filter { $0.hub == hub.id && $0.id != hub.id }
        for gpf in behind where gpf.type == .gpf {
            var gpf = gpf
            gpf.firmware = version
            gpf.gbcsVersion = devices[hub.id]?.gbcsVersion
            save(gpf, into: &out)
        }
        for supplier in Set(behind.compactMap(\.supplier)).sorted() {
            alert(
                supplier, .hubActivation,
                .hubFirmwareActivation(
                    device: hub.id, version: Hex.string(UInt64(version), digits: 8)),
                at: now, device: hub.id, into: &out)
        }
    }

    /// What the hub says of its log: who is in it is behind this hub from now on.
    private mutating func logged(
        _ command: CommandRecord, hub: InventoryDevice, _ answer: DeviceLogResponse,
        at now: UTCTime, into out: inout DCCOutbox
    ) {
        guard let subject = command.subject, var device = devices[subject],
            answer.response.results.allSatisfy({ $0.result == 0 })
        else { return }
        if answer.response.results.count > 1 {
            device.hub = hub.id
            device.region = hub.region
            if [.pending, .decommissioned, .withdrawn].contains(device.status) {
                device.status = .whitelisted
            }
        } else {
            struckOff(subject, at: now, into: &out)
            device.hub = nil
            device.status = .decommissioned
        }
        save(device, into: &out)
    }

    // MARK: - Alerts

    private mutating func alerted(
        _ message: GBCSMessage, _ content: MessageContent, _ bytes: [UInt8],
        by device: InventoryDevice, at now: UTCTime, into out: inout DCCOutbox
    ) {
        switch content {
        case .firmwareTransferAlert(let alert):
            transferred(alert, bytes, from: device, at: now, into: &out)
        case .ppmidFirmwareAlert(let alert):
            upgraded(device, alert, bytes, at: now, into: &out)
        case .deviceLogAlert(let alert):
            for entry in alert.entries {
                guard var device = devices[entry.device], device.status == .whitelisted else {
                    continue
                }
                device.status = settings.joinedStatus
                save(device, into: &out)
            }
        case .futureDatedFirmwareAlert(let alert):
            futureDated(message, alert, bytes, from: device, at: now, into: &out)
        case .firmwareReceiptAlert(let alert):
            arrived(
                device.id, where: { $1 == Hex.string(alert.hash.bytes) }, at: now, into: &out)
            let notice = pass(message, alert.code, bytes, from: device, at: now, into: &out)
            let isVerified = alert.code == .firmwareVerified
            let hash = Hex.string(alert.hash.bytes)
            var request = update(of: device.id, where: { _, known, _ in known == hash })
            if request == nil, !isVerified {
                request = update(
                    of: device.id, where: { $2 > .delivering && $2 != .deliveryFailed })
            }
            guard let request else { return }
            advance(
                device.id, of: request, to: isVerified ? .verified : .rejected,
                isVerified
                    ? "the device has verified the image" : "the device has refused the image",
                message: bytes, notice: notice, at: now, into: &out)
        case .genericAlert(let alert):
            pass(message, alert.code, bytes, from: device, at: now, into: &out)
        default: break
        }
    }

    /// Hands a device's alert to the user that it is for.
    @discardableResult
    private mutating func pass(
        _ message: GBCSMessage, _ code: AlertCode, _ bytes: [UInt8], from device: InventoryDevice,
        at now: UTCTime, into out: inout DCCOutbox
    ) -> UInt64? {
        let header = message.header
        return notify(
            header.recipient,
            ServiceResponse(
                requestID: nil,
                responseID: RequestID(
                    originator: header.originator, target: header.recipient,
                    counter: header.counter), code: .success, time: now,
                body: .deviceAlert(code: code.rawValue, payload: bytes)),
            request: targets[device.id]?.request, device: device.id, into: &out)
    }

    /// 8F66 and 8F67: what became of a command for later, an answer to its request.
    private mutating func futureDated(
        _ message: GBCSMessage, _ alert: FutureDatedFirmwareAlert, _ bytes: [UInt8],
        from device: InventoryDevice, at now: UTCTime, into out: inout DCCOutbox
    ) {
        if device.type == .chf { hubActivated(device, alert.outcome, at: now, into: &out) }
        var notice: UInt64?
        let command = pendingCommand(
            to: device.id, counter: alert.originatorCounter, of: message.header.recipient)
        if let command {
            notice = notify(
                command.id.originator,
                ServiceResponse(
                    requestID: command.id, responseID: command.id.reversed, code: .success,
                    time: now,
                    body: .response(
                        reference: command.variant, variant: command.variant,
                        .futureDatedAlert(
                            code: alert.code.rawValue, payload: bytes, instruction: 1,
                            instructions: 1))), request: command.id, device: device.id, into: &out)
            let (status, words) = Self.standing(after: alert.outcome)
            track(
                status, words, request: command.id, device: device.id, message: bytes,
                notice: notice, at: now, into: &out)
            done(command, into: &out)
        } else {
            notice = pass(message, alert.code, bytes, from: device, at: now, into: &out)
        }
        activated(
            device, alert.outcome, by: command, bytes, notice: notice, at: now, into: &out)
    }

    /// CCS08: the hub says what became of a download. The device's supplier is told.
    private mutating func transferred(
        _ alert: FirmwareTransferAlert, _ bytes: [UInt8], from hub: InventoryDevice,
        at now: UTCTime, into out: inout DCCOutbox
    ) {
        guard let device = devices[alert.device] else { return }
        let result: TransferResult =
            switch alert.result {
            case .success: .success
            case .imageDiscarded: .discarded
            case .hardwareVersionMismatch: .hardwareMismatch
            default: .failure
            }
        if result != .discarded {
            arrived(device.id, where: { known, _ in known == alert.version }, at: now, into: &out)
        }
        let target = targets[device.id]
        let update = target.flatMap { updates[$0.request] }
        // An image that is still with its CSP is not the one that the hub has.
        let isEarlier =
            target.map { !$0.isDone && $0.status < .delivering } == true
            && formers[device.id]?.fileVersion == alert.version
        let isOfUpdate =
            !isEarlier
            && update.map { $0.fileVersion == alert.version || alert.version == 0 } == true
        var request = isOfUpdate ? update?.id : nil
        if request != nil, let target = targets[device.id] {
            guard isNews(result, of: target) else { return }
            if result == .success {
                targets[device.id]?.isTransferTold = true
                if let target = targets[device.id] { out.items.append(.save(.target(target))) }
            }
        } else if let former = formers[device.id], former.fileVersion == alert.version {
            // Of one that was given up as not having it; what its user knows is not told again.
            switch result {
            case .success:
                guard former.status < .transferred || former.status == .transferFailed else {
                    return
                }
                request = former.request
            default:
                guard former.status == .deliveredToHub else { return }
                request = former.request
            }
        } else if result == .discarded, device.firmware == alert.version {
            return
        }
        let notice = self.alert(
            request?.originator ?? device.supplier, .transfer,
            .firmwareTransfer(
                hub: hub.id, alertCode: alert.code.rawValue, time: alert.time.utc,
                request: request, device: device.id,
                version: Hex.string(UInt64(alert.version), digits: 8), result: result), at: now,
            request: request, device: device.id, into: &out)
        guard request != nil else { return }
        // A meter that has refused the image tells why in a moment (8F1C).
        let hasMore = result == .failure && device.type != .ppmid
        advance(
            device.id, of: request, to: result == .success ? .transferred : .transferFailed,
            "the hub says: \(alert.result.words)", percent: result == .success ? 100 : nil,
            message: bytes, notice: notice, ends: !hasMore, at: now, into: &out)
        guard hasMore, targets[device.id]?.status == .transferFailed else { return }
        let deadline = UTCTime(
            secondsSince2000: now.secondsSince2000 &+ settings.refusalTimeout)
        targets[device.id]?.deadline = deadline
        schedule(deadline, .target(device.id))
        if let target = targets[device.id] { out.items.append(.save(.target(target))) }
    }

    /// A hub that has lost its memory says again what became of a download, and that it has thrown
    /// out what the device has long had.
    private func isNews(_ result: TransferResult, of target: TargetRecord) -> Bool {
        switch result {
        case .success: !target.isTransferTold
        case .discarded:
            !target.isDone && target.status >= .delivering && target.status < .transferred
        default: target.status != .transferFailed && target.status != .rejected
        }
    }

    /// CS09: a PPMID says what it runs now.
    private mutating func upgraded(
        _ device: InventoryDevice, _ alert: PPMIDFirmwareAlert, _ bytes: [UInt8],
        at now: UTCTime, into out: inout DCCOutbox
    ) {
        let isSuccess = alert.result == 0
        if isSuccess { record(alert.version, of: device, into: &out) }
        let version = Hex.string(UInt64(alert.version), digits: 8)
        // One that has failed runs its old version, whichever image it was.
        let request = update(of: device.id) { known, _, status in
            isSuccess ? known == alert.version : status > .delivering && status != .deliveryFailed
        }
        let notice = self.alert(
            request?.originator ?? device.supplier, .ppmidUpgrade,
            .ppmidUpgrade(
                device: device.id, alertCode: alert.code.rawValue, time: alert.time.utc,
                version: version, isSuccess: isSuccess), at: now, request: request,
            device: device.id, into: &out)
        guard let request else { return }
        advance(
            device.id, of: request, to: isSuccess ? .activated : .activationFailed,
            "it runs \(version)", message: bytes, notice: notice, at: now, into: &out)
    }
}

extension GeneralizedTime {
    /// As DUIS messages bear it; nil before 2000 and after 2136.
    var utc: UTCTime? { secondsSince2000.map { UTCTime(secondsSince2000: $0) } }
}
