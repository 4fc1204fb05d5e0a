import Crypto
import GBCS
import Wire

extension DCC {
    // MARK: - 11.2

    /// 11.2: ECS52, GCS38 or CS08, whichever the device speaks.
    mutating func readVersion(
        _ request: ServiceRequest, at now: UTCTime, into out: inout DCCOutbox
    ) -> Answer {
        switch subject(
            of: request, types: [.esme, .gsme, .chf, .ppmid, .hcalcs], isForSupplier: false)
        {
        case .failure(let refusal): return refuse(refusal.situation)
        case .success(let device):
            // Only its supplier is known to a meter; for everybody else the broker asks.
            let isKnown =
                device.supplier == request.id.originator
                && (device.type == .esme || device.type == .gsme)
            let (code, content): (MessageCode, (UInt64) -> MessageContent) =
                switch device.type {
                case .esme, .chf:
                    (
                        .readESMEFirmwareVersion,
                        {
                            .readESMEFirmwareVersion(
                                ReadESMEFirmwareVersion(invokeID: DLMSAPDU.invokeID(for: $0)))
                        }
                    )
                case .gsme:
                    (
                        .readGSMEFirmwareVersion,
                        { _ in .readGSMEFirmwareVersion(ReadGSMEFirmwareVersion()) }
                    )
                default: (.readHANDeviceFirmwareVersion, { _ in .readFirmwareVersion })
                }
            return command(
                request, code, to: device, inOwnName: !isKnown, content: content, at: now, &out)
        }
    }

    // MARK: - 8.11

    /// 8.11: CCS01 or CCS02 to the hub, in the broker's name.
    mutating func changeLog(
        _ request: ServiceRequest, _ update: HANDeviceLogUpdate, at now: UTCTime,
        into out: inout DCCOutbox
    ) -> Answer {
        guard let hub = devices[request.id.target] else { return refuse(.unknownDevice) }
        guard hub.type == .chf else { return refuse(.deviceType) }
        guard let device = devices[update.device] else { return refuse(.unknownDevice) }
        let code: MessageCode
        let content: (UInt64) -> MessageContent
        switch update {
        case .add(let device, let joinTime, let installCode, _):
            // The use case has room for sixteen bytes, which DUIS hands on unchanged.
            guard installCode.count == 16 else { return refuse(.logStatus) }
            code = .addDevice
            content = {
                .addDevice(
                    AddDevice(
                        invokeID: DLMSAPDU.invokeID(for: $0), device: device,
                        installCode: installCode, joinTime: joinTime))
            }
        case .remove(let device):
            code = .removeDevice
            content = {
                .removeDevice(RemoveDevice(invokeID: DLMSAPDU.invokeID(for: $0), device: device))
            }
        }
        if case .add = update, let other = device.hub, other != hub.id,
            device.status != .pending, device.status != .decommissioned
        {
            return refuse(.logOtherHub)
        }
        return command(
            request, code, to: hub, inOwnName: true, about: update.device, content: content,
            at: now, &out)
    }

    // MARK: - 11.3

    /// 11.3 as a critical request: the pre-command that its user is to sign.
    func transform(
        _ request: ServiceRequest, _ hash: Digest256, _ execution: ExecutionTime?, at now: UTCTime
    ) -> Answer {
        switch subject(of: request, types: [.esme, .gsme, .hcalcs], isForSupplier: true) {
        case .failure(let refusal): return refuse(refusal.situation)
        case .success(let device):
            let time: GeneralizedTime?
            switch execution {
            case .none: time = nil
            case .never: time = .never
            case .at(let moment):
                guard moment > now,
                    let moment = GeneralizedTime(secondsSince2000: moment.secondsSince2000)
                else { return refuse(.executionTime) }
                time = moment
            }
            let id = request.id
            let message = GBCSMessage(
                header: GroupingHeader(
                    kind: .command, counter: id.counter, originator: id.originator,
                    recipient: id.target, otherInformation: OtherInformation(.activateFirmware)),
                payload: MessageContent.activateFirmware(
                    ActivateFirmware(
                        hash: hash, originatorCounter: id.counter, executionTime: time)
                ).encoded())
            return (
                .success,
                .preCommand(
                    gbcsVersion: device.gbcsVersion ?? settings.gbcsVersion, message.encoded())
            )
        }
    }

    /// What a user has made of a pre-command: checked, authenticated and sent.
    mutating func send(
        _ request: ServiceRequest, _ payload: [UInt8], at now: UTCTime,
        into out: inout DCCOutbox
    ) -> Answer {
        switch subject(of: request, types: [.esme, .gsme, .hcalcs], isForSupplier: true) {
        case .failure(let refusal): return refuse(refusal.situation)
        case .success(let device):
            let id = request.id
            guard let message = try? GBCSMessage(parsing: payload), message.mac == nil,
                message.header.kind == .command, message.header.originator == id.originator,
                message.header.recipient == id.target, message.header.counter == id.counter,
                case .signature = message.signature,
                let content = try? MessageContent(of: message),
                case .activateFirmware(let order) = content, order.originatorCounter == id.counter
            else { return refuse(.preCommand) }
            switch message.verifySignature(with: keys.store) {
            case .invalid, .absent: return refuse(.preCommand)
            case .valid, .noKey: break
            }
            guard let command = message.authenticated(with: keys.store) else {
                return refuse(.unreachable)
            }
            let hash = Hex.string(order.hash.bytes)
            let answer = carry(
                command, for: request, to: device, originator: id.originator, about: nil,
                execution: order.isCancellation ? nil : order.executionTime?.utc,
                hash: order.isCancellation ? nil : hash, at: now, &out)
            // Before its hub has the image the order cannot be about that.
            if !answer.0.isError, !order.isCancellation,
                let update = update(
                    of: device.id,
                    where: { $1 == hash && $2 >= .deliveredToHub && $2 != .deliveryFailed })
            {
                advance(
                    device.id, of: update, to: .activationOrdered,
                    order.executionTime.map { "to be activated at \($0)" }
                        ?? "to be activated at once", message: command.encoded(), at: now,
                    into: &out)
            }
            return answer
        }
    }

    // MARK: - Sending

    private mutating func command(
        _ request: ServiceRequest, _ code: MessageCode, to device: InventoryDevice,
        inOwnName: Bool, about subject: EUI64? = nil, content: (UInt64) -> MessageContent,
        at now: UTCTime, _ out: inout DCCOutbox
    ) -> Answer {
        let id = request.id
        let header: GroupingHeader
        if inOwnName {
            // assumption: it follows the clock, so that one store after another never goes back.
            counters.broker = max(
                counters.broker + 1, UInt64(now.secondsSince2000) << 20)
            header = GroupingHeader(
                kind: .command, counter: counters.broker, originator: settings.id,
                recipient: device.id,
                otherInformation: OtherInformation(
                    code, remoteParty: id.originator, remotePartyCounter: id.counter))
        } else {
            header = GroupingHeader(
                kind: .command, counter: id.counter, originator: id.originator,
                recipient: device.id, otherInformation: OtherInformation(code))
        }
        let message = GBCSMessage(
            header: header, payload: content(header.counter).encoded(), signature: .empty)
        guard let message = message.authenticated(with: keys.store) else {
            return refuse(.unreachable)
        }
        return carry(
            message, for: request, to: device, originator: header.originator, about: subject,
            at: now, &out)
    }

    private mutating func carry(
        _ message: GBCSMessage, for request: ServiceRequest, to device: InventoryDevice,
        originator: EUI64, about subject: EUI64?, execution: UTCTime? = nil, hash: String? = nil,
        at now: UTCTime, _ out: inout DCCOutbox
    ) -> Answer {
        guard let hub = device.hub else { return refuse(.unreachable) }
        let record = CommandRecord(
            id: request.id, variant: request.variant, counter: message.header.counter,
            originator: originator, device: device.id,
            deadline: UTCTime(secondsSince2000: now.secondsSince2000 &+ settings.commandTimeout),
            isPending: false, execution: execution, subject: subject, hash: hash)
        commands[record.id] = record
        schedule(record.deadline, .command(record.id))
        out.items.append(.save(.command(record)))
        let bytes = message.encoded()
        track(
            .commandSent, "sent to the device", request: record.id, device: device.id,
            message: bytes, at: now, into: &out)
        out.items.append(.message(hub: hub, device: device.id, bytes: bytes))
        return (.acknowledged, nil)
    }

    /// The command that a response answers: its device's, with its counter and originator.
    func command(answeredBy header: GroupingHeader) -> CommandRecord? {
        commands.values.first {
            $0.device == header.originator && $0.counter == header.counter
                && $0.originator == header.recipient
        }
    }

    /// The future-dated command that an alert tells of.
    func pendingCommand(to device: EUI64, counter: UInt64, of originator: EUI64) -> CommandRecord? {
        commands.values.first {
            $0.device == device && $0.counter == counter && $0.originator == originator
                && $0.isPending
        }
    }

    /// A device has taken an activation for later, which takes the place of the one before, or has
    /// been told to forget that.
    mutating func postponed(
        _ command: CommandRecord, at now: UTCTime, into out: inout DCCOutbox
    ) {
        let former = commands.values.filter {
            $0.isPending && $0.device == command.device && $0.originator == command.originator
        }
        for old in former.sorted(by: { $0.id < $1.id }) {
            track(
                .notActivated,
                command.execution == nil
                    ? "the device has forgotten it: \(command.id)"
                    : "another activation takes its place: \(command.id)", request: old.id,
                device: old.device, at: now, into: &out)
            done(old, into: &out)
        }
        guard let execution = command.execution else { return done(command, into: &out) }
        var command = command
        command.isPending = true
        // Its alert is waited for as long as any answer.
        let (end, isBeyond) = execution.secondsSince2000.addingReportingOverflow(
            settings.commandTimeout)
        command.deadline = UTCTime(secondsSince2000: isBeyond ? .max : end)
        commands[command.id] = command
        schedule(command.deadline, .command(command.id))
        out.items.append(.save(.command(command)))
    }

    mutating func done(_ command: CommandRecord, into out: inout DCCOutbox) {
        commands[command.id] = nil
        out.items.append(.remove(DCCRecord.command(command).key))
    }

    /// A device has not answered: its user is told, and whatever comes later is an answer to
    /// nothing.
    mutating func unanswered(_ id: RequestID, at now: UTCTime, into out: inout DCCOutbox) {
        guard let command = commands[id] else { return }
        done(command, into: &out)
        let situation = ResponseCodes.Situation.noResponse
        let notice = notify(
            id.originator,
            ServiceResponse(
                requestID: id, responseID: id.reversed, code: settings.codes[situation], time: now,
                body: .response(reference: command.variant, variant: command.variant, nil)),
            request: id, device: command.device, into: &out)
        track(
            .unanswered, "the device has not answered in time", request: id,
            device: command.device, notice: notice, at: now, into: &out)
        // The update waits for its user, who may order it again.
        guard command.variant == "11.3" else { return }
        for status in [TrackingStatus.activationOrdered, .activationPending] {
            guard let request = update(of: command.device, where: { $2 == status }) else {
                continue
            }
            advance(
                command.device, of: request, to: status,
                "the device has not answered in time; it can be told to activate again",
                notice: notice, at: now, into: &out)
            return
        }
    }
}

extension UTCTime {
    /// `2021-11-04 09:00:00Z`
    var text: String {
        guard let time = GeneralizedTime(secondsSince2000: secondsSince2000) else { return "never" }
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(time.year)-\(two(time.month))-\(two(time.day)) "
            + "\(two(time.hour)):\(two(time.minute)):\(two(time.second))Z"
    }
}
