import Crypto
import GBCS
import Radio
import Wire

/// The device's part in GBCS messages. Its tunnel hands each in through `heedMessage` and takes
/// what is to be sent from `messages`.
extension HANDevice {
    /// Takes a message that has come for the device, whatever its bytes.
    mutating func heedMessage(_ bytes: [UInt8], at now: Instant, into out: inout Outbox) {
        messages?.clock = clock.time(at: now)
        guard let received = messages?.receive(bytes, &journal, &out) else {
            reckonMessageDeadline(at: now)
            return
        }
        switch received.request {
        case .activate(let hash, let party):
            let result = activateOnOrder(hash, by: party, at: now, into: &out)
            respond(
                received.header, .activateFirmwareResponse(.executed(outcome(result))),
                detail: UInt16(result.rawValue), &out)
        case .readVersion(let asked):
            respond(
                received.header, MessageApplication.version(firmware.running, asked: asked),
                detail: 0, &out)
        // Of a hub only: it alone lets these in.
        case .addDevice, .removeDevice: break
        }
    }

    private mutating func respond(
        _ header: GroupingHeader, _ content: MessageContent, detail: UInt16,
        _ out: inout Outbox
    ) {
        messages?.respond(to: header, content, detail: detail, &out)
    }

    /// With the version that runs now: the new one, if it has just been activated.
    private func outcome(_ result: ActivationResult) -> ActivationOutcome {
        ActivationOutcome(result: result, version: firmware.running)
    }

    // MARK: - Trust

    /// Whose signature an image must bear: the present supplier's.
    var imageSigner: P256.PublicKey? { messages?.supplier?.images ?? identity.supplier }

    /// An image that one supplier sent is not activated by another, nor on its behalf.
    func isOthers(_ held: FirmwareState.Held, _ party: EUI64?) -> Bool {
        guard let party = party ?? messages?.supplier?.party, let signer = held.signer else {
            return false
        }
        return signer != party
    }

    mutating func changeSupplier(_ anchor: TrustAnchor, at now: Instant, into out: inout Outbox) {
        guard messages?.supplier != nil, anchor.role == .supplier else { return }
        messages?.clock = clock.time(at: now)
        messages?.change(supplier: anchor, &journal, &out)
        reckonMessageDeadline(at: now)
    }

    // MARK: - Later

    /// The device's software begins to run.
    mutating func startMessages(into out: inout Outbox) {
        guard messages != nil else { return }
        messages?.reserve(&journal, &out)
        isImageSpoilt = !runningImageVerifies(out.flash)
    }

    /// Whether what runs is still what was activated. What the flash no longer holds, because
    /// another image has begun to arrive in its place, is not looked at.
    private func runningImageVerifies(_ flash: FlashView) -> Bool {
        guard let running = firmware.image, running.size > 0 else { return true }
        guard Int(running.size) <= slotSize else { return false }
        let image = try? FirmwareImage(
            parsing: flash.read(slotStart, count: Int(running.size)), form: profile.type.imageForm)
        return image?.manufacturerImageHash == running.hash
    }

    /// The clock has been set: what has happened meanwhile can be dated, and what was to be done
    /// at a certain time is due or not.
    mutating func messagesAfterClock(at now: Instant, into out: inout Outbox) {
        guard messages != nil else { return }
        messages?.clock = clock.time(at: now)
        if isImageSpoilt {
            isImageSpoilt = false
            let code = AlertCode.firmwareVerificationFailedAtPowerOn
            messages?.log(code, &journal, &out)
            let form = alertForm
            messages?.send(
                .genericCriticalAlert, to: .supplier, .accessControlBroker, alert: code, &journal,
                &out
            ) { .genericAlert(GenericAlert(form: form($0), code: code)) }
        }
        let running = firmware.running
        if messages?.noticesChange(to: running, &journal, &out) == true {
            messages?.log(.firmwareChanged, &journal, &out)
            if profile.type == .ppmid { reportActivation(result: 0, at: now, into: &out) }
        }
        runPending(at: now, into: &out)
    }

    /// Activates what was to be activated later, if it is time; reports what has been.
    mutating func runPending(at now: Instant, into out: inout Outbox) {
        defer { reckonMessageDeadline(at: now) }
        guard phase == .running, let pending = messages?.pending,
            let time = clock.time(at: now), time >= pending.due
        else { return }
        messages?.clock = time
        // The restart that follows an activation comes back here.
        var result = ActivationResult.success
        if firmware.image?.hash != pending.hash {
            result = activateOnOrder(pending.hash, by: pending.originator, at: now, into: &out)
            if result == .success { return }
        }
        let outcome = outcome(result)
        messages?.finishPending(outcome, &journal, &out)
    }

    func pendingDeadline(at now: Instant) -> Instant {
        guard let due = messages?.pending?.due, let time = clock.time(at: now) else {
            return .distantFuture
        }
        let left = Int64(due.secondsSince2000) - Int64(time.secondsSince2000)
        return now + .seconds(max(0, left))
    }

    private mutating func reckonMessageDeadline(at now: Instant) {
        messageDeadline = pendingDeadline(at: now)
    }

    // MARK: - Alerts

    /// DLMS or GBZ, as the device's profile has it, around an originator counter.
    private var alertForm: (UInt64) -> AlertForm {
        let settings = messages?.settings ?? profile.messages
        let time = messages?.time ?? UTCTime(secondsSince2000: 0)
        let date = messages?.generalizedTime ?? .never
        return { counter in
            switch settings.receiptForm {
            case .dlms:
                .dlms(invokeID: DLMSAPDU.invokeID(for: counter), time: COSEMDateTime(date))
            case .gbz: .gbz(secondsSince2000: time.secondsSince2000)
            }
        }
    }

    /// 8F72 or 8F1C to the supplier, and into the security log. A PPMID sends none.
    mutating func reportReceipt(
        isVerified: Bool, hash: Digest256, at now: Instant, into out: inout Outbox
    ) {
        guard messages != nil, profile.type != .ppmid else { return }
        messages?.clock = clock.time(at: now)
        let code =
            isVerified ? AlertCode.firmwareVerified : AlertCode.firmwareVerificationFailed
        messages?.log(code, &journal, &out)
        let form = alertForm
        messages?.send(
            profile.messages.receiptForm == .dlms ? .firmwareReceiptDLMS : .firmwareReceiptGBZ,
            to: .supplier, alert: code, &journal, &out
        ) {
            .firmwareReceiptAlert(
                FirmwareReceiptAlert(form: form($0), isVerified: isVerified, hash: hash))
        }
    }

    /// The hash that a receipt names: that of the manufacturer image, or of everything behind the
    /// OTA header where there is none to be found (assumption).
    func receiptHash(_ bytes: [UInt8]) -> Digest256 {
        if let image = try? FirmwareImage(parsing: bytes, form: profile.type.imageForm) {
            return image.manufacturerImageHash
        }
        return SHA256.digest(Array(bytes.dropFirst(60)))
    }

    /// CS09: a PPMID's activation has succeeded (0) or not (1).
    mutating func reportActivation(result: UInt8, at now: Instant, into out: inout Outbox) {
        messages?.clock = clock.time(at: now)
        let alert = PPMIDFirmwareAlert(
            time: messages?.generalizedTime ?? .never, version: firmware.running, result: result)
        messages?.send(
            .ppmidFirmwareAlert, to: .accessControlBroker, alert: alert.code, &journal, &out
        ) { _ in .ppmidFirmwareAlert(alert) }
    }
}
