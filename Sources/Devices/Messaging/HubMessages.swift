import Crypto
import GBCS
import Radio
import Wire

/// A transfer that the hub has told of, so that it tells of it once.
struct TransferEnding: Sendable, Equatable {
    var device: EUI64
    var version: UInt32
    var result: FirmwareTransferResult
}

/// The part in GBCS messages of the two entities that a hub is: CHF and GPF. What comes over
/// the WAN for one of them is handed in through `heedMessage`.
extension CommunicationsHub {
    /// Takes a message for one of the two, whatever its bytes.
    mutating func heedMessage(_ bytes: [UInt8], at now: Instant, into out: inout Outbox) {
        setClocks(at: now)
        let recipient = (try? GBCSMessage(parsing: bytes))?.header.recipient
        if let recipient, recipient == gpf?.identity.entity {
            guard let received = gpf?.receive(bytes, &journal, &out),
                case .readVersion(let asked) = received.request
            else { return }
            let answer = MessageApplication.version(firmware.running, asked: asked)
            gpf?.respond(to: received.header, answer, detail: 0, &out)
            return
        }
        guard let received = chf?.receive(bytes, &journal, &out) else { return }
        var detail: UInt8 = 0
        let content: MessageContent
        switch received.request {
        case .activate(let hash, _):
            let result = activateOwn(hash, at: now, into: &out)
            detail = result.rawValue
            content = .activateFirmwareResponse(.executed(firmware.outcome(result)))
        case .readVersion(let asked):
            content = MessageApplication.version(firmware.running, asked: asked)
        case .addDevice(let command):
            let results = carryOut(command, at: now, into: &out)
            detail = results[0]
            content = .deviceLogResponse(
                DeviceLogResponse(adding: true, invokeID: command.invokeID, results: results))
        case .removeDevice(let command):
            detail = deviceLog[command.device] == nil ? Self.otherReason : 0
            remove(command.device, at: now, into: &out)
            content = .deviceLogResponse(
                DeviceLogResponse(adding: false, invokeID: command.invokeID, results: [detail]))
        }
        chf?.respond(to: received.header, content, detail: UInt16(detail), &out)
    }

    /// The hub's clock is always right.
    private mutating func setClocks(at now: Instant) {
        let time = identity.start.advanced(by: now - .zero)
        chf?.clock = time
        gpf?.clock = time
    }

    /// The result "other reason" of an access (IEC 62056-5-3).
    private static let otherReason: UInt8 = 250

    /// Whether this can be the EUI-64 of a device on the HAN.
    private func mayLog(_ device: EUI64) -> Bool {
        device.rawValue != 0 && device.rawValue != .max && device != eui64
            && device != chf?.identity.entity && device != gpf?.identity.entity
    }

    /// CCS01: the device may join with the link key of its install code, for as long as the
    /// command says. The results of its three accesses.
    private mutating func carryOut(
        _ command: AddDevice, at now: Instant, into out: inout Outbox
    ) -> [UInt8] {
        var result = Self.otherReason
        if mayLog(command.device), let code = InstallCode(command.installCode) {
            if add(command.device, code.linkKey, at: now, into: &out) { result = 0 }
        }
        // The accesses after one that failed are not carried out, if so asked.
        guard result == 0 || !command.breaksOnError else {
            return Array(repeating: result, count: 3)
        }
        if command.joiningByte != 0, command.joinTime > 0 {
            let time = profile.messages.joinTimeUnit * Int(command.joinTime)
            stack.extendJoining(time, at: now, into: &out)
        } else {
            stack.closeJoining(at: now, into: &out)
        }
        return [result, 0, 0]
    }

    // MARK: - Later

    mutating func startMessages(at now: Instant, into out: inout Outbox) {
        setClocks(at: now)
        chf?.reserve(&journal, &out)
        gpf?.reserve(&journal, &out)
        dropOldest(at: now, into: &out)
        let isWhole = firmware.verifies(
            in: out.flash, at: ownAddress(firmware.image?.place ?? 0),
            slotSize: profile.imageSlotSize, form: DeviceType.communicationsHub.imageForm)
        if !isWhole { reportSpoiltImage(into: &out) }
        let running = firmware.running
        if chf?.noticesChange(to: running, &journal, &out) == true {
            chf?.log(.firmwareChanged, &journal, &out)
        }
        if gpf?.noticesChange(to: running, &journal, &out) == true {
            gpf?.log(.firmwareChanged, &journal, &out)
        }
        runPending(at: now, into: &out)
    }

    private mutating func reportSpoiltImage(into out: inout Outbox) {
        let code = AlertCode.firmwareVerificationFailedAtPowerOn
        chf?.log(code, &journal, &out)
        sendGeneric(.genericCriticalAlert, code, to: .wanProvider, into: &out)
    }

    /// 819D: a GSME has not fetched a message in time. assumption: a generic non-critical alert to
    /// the Access Control Broker; no setting.
    mutating func reportNotRetrieved(at now: Instant, into out: inout Outbox) {
        setClocks(at: now)
        sendGeneric(
            .genericNonCriticalAlert, .commandNotRetrieved, to: .accessControlBroker, into: &out)
    }

    private mutating func sendGeneric(
        _ message: MessageCode, _ code: AlertCode, to role: Certificate.Role,
        into out: inout Outbox
    ) {
        let date = COSEMDateTime(chf?.generalizedTime ?? .never)
        chf?.send(message, to: role, alert: code, &journal, &out) {
            .genericAlert(
                GenericAlert(
                    form: .dlms(invokeID: DLMSAPDU.invokeID(for: $0), time: date), code: code))
        }
    }

    /// When the CHF is to activate what it was told to activate later.
    var pendingDeadline: Instant {
        guard let due = chf?.pending?.due else { return .distantFuture }
        let seconds = Int64(due.secondsSince2000) - Int64(identity.start.secondsSince2000)
        return .zero + .seconds(max(0, seconds))
    }

    mutating func runPending(at now: Instant, into out: inout Outbox) {
        guard phase == .running, let pending = chf?.pending, pendingDeadline <= now else { return }
        setClocks(at: now)
        var result = ActivationResult.success
        if firmware.image?.hash != pending.hash {
            result = activateOwn(pending.hash, at: now, into: &out)
            if result == .success { return }
        }
        let outcome = firmware.outcome(result)
        chf?.finishPending(outcome, &journal, &out)
    }

    // MARK: - Alerts

    /// CCS08: a transfer to a device has ended. A hub from before SECMP0007 sends none
    /// (assumption; `firmware[].reportsTransfers`).
    mutating func reportTransfer(
        to device: EUI64, _ version: UInt32, _ result: FirmwareTransferResult, at now: Instant,
        into out: inout Outbox
    ) {
        guard capabilities.reportsTransfers, chf != nil else { return }
        let ending = TransferEnding(device: device, version: version, result: result)
        guard !endings.contains(ending) else { return }
        endings.removeAll { $0.device == device && $0.version == version }
        if endings.count >= profile.deviceLogLimit { endings.removeFirst() }
        endings.append(ending)
        setClocks(at: now)
        let alert = FirmwareTransferAlert(
            time: chf?.generalizedTime ?? .never, device: device, version: version, result: result)
        chf?.send(
            .firmwareTransferAlert, to: .accessControlBroker, alert: alert.code, &journal, &out
        ) { _ in .firmwareTransferAlert(alert) }
    }

    /// The image that has come is not kept: told for those of its targets that the hub knows.
    mutating func reportDiscarded(
        for targets: [EUI64], _ version: UInt32, at now: Instant, into out: inout Outbox
    ) {
        for device in targets where deviceLog[device] != nil {
            reportTransfer(to: device, version, .imageDiscarded, at: now, into: &out)
        }
    }

    /// An image that was kept is not any more: told for those of its targets that are not known to
    /// have it and get it from no other delivery. A hub that sends no CCS08 tells its CSP
    /// (assumption).
    mutating func reportThrownOut(
        _ image: StoredImage, for targets: [EUI64], at now: Instant, into out: inout Outbox
    ) {
        let version = image.image.version
        let waiting = targets.filter { device in
            deviceLog[device] != nil
                && !endings.contains { $0.device == device && $0.version == version }
                && !store.contains {
                    $0?.image == image.image && $0?.targets.contains(device) == true
                }
        }
        guard !waiting.isEmpty else { return }
        guard capabilities.reportsTransfers, chf != nil else {
            // That word is about all of a delivery's devices.
            let isKept = store.contains { $0?.delivery == image.delivery }
            guard !isKept else { return }
            out.send(.imageRefused(delivery: image.delivery, reason: .storeFull))
            return
        }
        for device in waiting {
            reportTransfer(to: device, version, .imageDiscarded, at: now, into: &out)
        }
    }

    /// The same image may be transferred anew.
    mutating func forgetEndings(of version: UInt32, for targets: [EUI64]) {
        endings.removeAll { $0.version == version && targets.contains($0.device) }
    }

    /// CS14, 8F12: the device log has changed, or what it says of a link key. assumption: the hash
    /// of a key that was established is its AES-MMO; there is none before. No setting.
    mutating func reportDeviceLog(at now: Instant, into out: inout Outbox) {
        guard chf != nil else { return }
        setClocks(at: now)
        let entries = deviceLog.entries.map { entry in
            let key = stack.establishedKey(with: entry.eui64)
            return DeviceLogAlert.Entry(
                device: entry.eui64, hashedLinkKey: key.map { AESMMO.hash($0.bytes).bytes } ?? [])
        }
        let date = COSEMDateTime(chf?.generalizedTime ?? .never)
        chf?.send(
            .deviceLogAlert, to: .accessControlBroker, alert: .deviceLogChanged, &journal, &out
        ) {
            .deviceLogAlert(
                DeviceLogAlert(
                    invokeID: DLMSAPDU.invokeID(for: $0), time: date, entries: entries))
        }
    }
}
