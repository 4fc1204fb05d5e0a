import Crypto
import GBCS
import Radio
import Wire
import Zigbee

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
                received.header, .activateFirmwareResponse(.executed(firmware.outcome(result))),
                detail: UInt16(result.rawValue), &out)
        case .readVersion(let asked):
            respond(
                received.header, MessageApplication.version(firmware.running, asked: asked),
                detail: 0, &out)
        // Of a hub only: it alone lets these in.
        case .addDevice, .removeDevice: break
        }
    }

    /// What comes through a tunnel of one that is about to restart would not outlast that.
    func dropMessage(_ about: APSMessage, _ frame: [UInt8], into out: inout Outbox) {
        var reader = ByteReader(frame.span)
        guard about.cluster == ClusterID.tunneling, let header = try? ZCLHeader(parsing: &reader),
            header.isClusterSpecific,
            case .transferData? = try? TunnelCommand(
                header.command, fromServer: header.fromServer, parsing: &reader)
        else { return }
        // A mailbox's answer begins with two bytes of its own, and may have no message.
        let bytes = Array(frame[reader.offset...].dropFirst(tunnel.isClient ? 2 : 0))
        if !bytes.isEmpty { out.noteDropped(bytes: bytes, .messageRestarting) }
    }

    private mutating func respond(
        _ header: GroupingHeader, _ content: MessageContent, detail: UInt16,
        _ out: inout Outbox
    ) {
        messages?.respond(to: header, content, detail: detail, &out)
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
        isImageSpoilt = !firmware.verifies(
            in: out.flash, at: slotStart, slotSize: slotSize, form: profile.type.imageForm)
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
        let outcome = firmware.outcome(result)
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
    /// OTA header where there is none to be found (assumption); where there is no header either,
    /// behind as many bytes as GBCS gives it.
    func receiptHash(_ bytes: [UInt8]) -> Digest256 {
        if let image = try? FirmwareImage(parsing: bytes, form: profile.type.imageForm) {
            return image.manufacturerImageHash
        }
        let header = try? OTAHeader(parsing: bytes)
        let length = header.map { Int($0.headerLength) } ?? OTAHeader.gbcsLength
        return SHA256.digest(Array(bytes.dropFirst(length)))
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
