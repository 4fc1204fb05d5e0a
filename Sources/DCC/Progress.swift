import GBCS
import Wire

// How far a device has come with an update: with the one that it is under, and with the last one
// that ended without its running the image.

extension DCC {
    /// Which update the device's word is of: the one that it is under, or else the last one that
    /// ended before the device ran its image. `fits` is told the file version, the hash of the
    /// manufacturer image in hex, and where the device stands.
    func update(
        of device: EUI64, where fits: (UInt32, String, TrackingStatus) -> Bool
    ) -> RequestID? {
        if let target = targets[device], !target.isDone, let update = updates[target.request],
            fits(update.fileVersion, update.hash, target.status)
        {
            return target.request
        }
        guard let former = formers[device],
            fits(former.fileVersion, former.hash, former.status)
        else { return nil }
        return former.request
    }

    /// Which update's image the device has been told to run, by an order that names it.
    func updateBeingActivated(of device: EUI64, by command: CommandRecord?) -> RequestID? {
        update(of: device) { _, known, status in
            (status == .activationOrdered || status == .activationPending)
                && (command?.hash.map { $0 == known } ?? true)
        }
    }

    /// A device has come further, if it has: under its update, or, once that has ended, with its
    /// image. Without a request it is the update that the device is under.
    mutating func advance(
        _ id: EUI64, of request: RequestID? = nil, to status: TrackingStatus, _ detail: String,
        percent: Int? = nil, message: [UInt8]? = nil, notice: UInt64? = nil, ends: Bool = true,
        at now: UTCTime, into out: inout DCCOutbox
    ) {
        guard let of = request ?? targets[id]?.request else { return }
        func tell(_ out: inout DCCOutbox) {
            track(
                status, detail, request: of, device: id, percent: percent, message: message,
                notice: notice, at: now, into: &out)
        }
        if var target = targets[id], !target.isDone, target.request == of {
            tell(&out)
            if !status.isFinal, status <= .verified, status > target.held ?? .submitted {
                target.held = status
                targets[id] = target
                if target.status > status { out.items.append(.save(.target(target))) }
            }
            // A device whose download has failed may fetch the image again.
            let isAgain =
                target.status == .transferFailed
                && (status == .downloading || status == .transferred)
            guard target.status <= status || isAgain else { return }
            let deadline =
                isAgain && status == .downloading
                ? now.after(settings.updateTimeout) : deadline(of: id, after: status, at: now)
            if let deadline {
                target.deadline = deadline
                schedule(deadline, .target(id))
            }
            target.status = status
            target.percent = percent
            targets[id] = target
            if status == .verified || status == .activated {
                displace(id, by: of, at: now, into: &out)
            }
            if status.isFinal, ends {
                end(target, at: now, into: &out)
            } else {
                out.items.append(.save(.target(target)))
            }
        } else if var former = formers[id], former.request == of {
            guard former.isLed(to: status) else { return }
            tell(&out)
            if status == .activated {
                forget(former, into: &out)
                return
            }
            former.status = status
            if !status.isFinal, status <= .verified { former.held = status }
            // A hub may have an image that it was said not to have.
            former.deadline =
                status == .deliveredToHub
                ? now.after(settings.updateTimeout) : deadline(of: id, after: status, at: now)
            keep(former, into: &out)
        } else if targets[id]?.request == of {
            // It runs the image, and what comes late takes that back as little as the tracking
            // lets it.
            tell(&out)
        }
    }

    /// A device does not do what it was told for later: it stands where it stood before that.
    mutating func takeBack(
        _ id: EUI64, of request: RequestID, _ detail: String, message: [UInt8]?, at now: UTCTime,
        into out: inout DCCOutbox
    ) {
        let status: TrackingStatus
        if var target = targets[id], !target.isDone, target.request == request {
            status = target.held ?? .deliveredToHub
            target.status = status
            target.deadline =
                deadline(of: id, after: status, at: now)
                ?? now.after(settings.updateTimeout)
            schedule(target.deadline, .target(id))
            targets[id] = target
            out.items.append(.save(.target(target)))
        } else if var former = formers[id], former.request == request {
            status = former.held ?? .deliveredToHub
            former.status = status
            former.deadline =
                deadline(of: id, after: status, at: now)
                ?? now.after(settings.updateTimeout)
            keep(former, into: &out)
        } else {
            return
        }
        var record = TrackingRecord(
            request: request, device: id, status: status, detail: detail, time: now,
            message: message)
        record.isTakenBack = true
        out.items.append(.track(record))
    }

    /// A device holds one image. That of an update that has ended, and came all the same, is not
    /// waited for any more once it is another's turn.
    mutating func displace(
        _ id: EUI64, by request: RequestID, at now: UTCTime, into out: inout DCCOutbox
    ) {
        guard let former = formers[id], former.request != request, former.deadline != nil,
            former.status == .transferred || former.status == .verified
        else { return }
        advance(
            id, of: former.request, to: .notActivated, "another update takes its place: \(request)",
            at: now, into: &out)
    }

    /// By when a device that has come to `status` is to run its image; nil before it has that, and
    /// at an end.
    private func deadline(
        of device: EUI64, after status: TrackingStatus, at now: UTCTime
    ) -> UTCTime? {
        guard status >= .transferred, !status.isFinal else { return nil }
        var begin = now
        if status == .activationPending {
            for command in commands.values where command.device == device && command.isPending {
                begin = max(begin, command.execution ?? now)
            }
        }
        return begin.after(settings.activationTimeout)
    }

    /// A device is done with; when all of its update are, nothing of that is kept.
    mutating func end(_ target: TargetRecord, at now: UTCTime, into out: inout DCCOutbox) {
        guard !target.isDone else { return }
        var target = target
        target.isDone = true
        early[target.device] = nil
        targets[target.device] = target
        out.items.append(.save(.target(target)))
        guard let update = updates[target.request] else { return }
        if target.status != .activated {
            displace(target.device, by: update.id, at: now, into: &out)
            keep(
                FormerUpdate(
                    device: target.device, request: update.id, fileVersion: update.fileVersion,
                    hash: update.hash, status: target.status,
                    deadline: target.status.isFinal ? nil : target.deadline,
                    delivery: target.delivery, held: target.held), into: &out)
        } else if let former = formers[target.device], former.fileVersion == update.fileVersion {
            forget(former, into: &out)
        }
        proceed(target.request, into: &out) { $0.finished += 1 }
    }

    private mutating func keep(_ former: FormerUpdate, into out: inout DCCOutbox) {
        formers[former.device] = former
        if let deadline = former.deadline { schedule(deadline, .former(former.device)) }
        out.items.append(.save(.former(former)))
    }

    private mutating func forget(_ former: FormerUpdate, into out: inout DCCOutbox) {
        formers[former.device] = nil
        out.items.append(.remove(DCCRecord.former(former).key))
    }

    /// A device that was let in has an earlier update's image, which nobody is waited for to
    /// activate any more. What has been ordered already may still be done.
    ///
    /// One that it has not got yet is replaced by force; `notice` tells its user.
    mutating func supersede(
        _ old: TargetRecord, by request: RequestID, notice: UInt64? = nil, at now: UTCTime,
        into out: inout DCCOutbox
    ) {
        guard !old.isDone else { return }
        switch old.status {
        case ..<TrackingStatus.transferred:
            advance(
                old.device, to: old.status > .delivering ? .transferFailed : .deliveryFailed,
                "another update replaces it by force: \(request)", notice: notice, at: now,
                into: &out)
        case .transferred, .verified:
            advance(
                old.device, to: .notActivated, "another update takes its place: \(request)",
                at: now, into: &out)
        default: end(old, at: now, into: &out)
        }
    }

    private static let silence = "for too long the device has not said that it has the image"

    /// Nothing has been heard of it for too long.
    mutating func expire(_ target: TargetRecord, at now: UTCTime, into out: inout DCCOutbox) {
        guard target.status < .transferred else {
            if target.status.isFinal {
                // It has refused the image, and has said all that it has to say.
                end(target, at: now, into: &out)
            } else {
                notActivated(target.device, of: target.request, at: now, into: &out)
            }
            return
        }
        // It may not even have come to its CSP's turn.
        withdraw([target.device], at: now, into: &out)
        let notice = alert(
            target.request.originator, .distributionFailure,
            .firmwareDistributionFailure(request: target.request, devices: [target.device]),
            at: now, request: target.request, device: target.device, into: &out)
        advance(
            target.device, to: .transferFailed, Self.silence, notice: notice, at: now, into: &out)
    }

    mutating func expire(_ former: FormerUpdate, at now: UTCTime, into out: inout DCCOutbox) {
        guard former.status != .deliveredToHub else {
            let notice = alert(
                former.request.originator, .distributionFailure,
                .firmwareDistributionFailure(request: former.request, devices: [former.device]),
                at: now, request: former.request, device: former.device, into: &out)
            advance(
                former.device, of: former.request, to: .transferFailed, Self.silence,
                notice: notice, at: now, into: &out)
            return
        }
        notActivated(former.device, of: former.request, at: now, into: &out)
    }

    private mutating func notActivated(
        _ device: EUI64, of request: RequestID, at now: UTCTime, into out: inout DCCOutbox
    ) {
        advance(
            device, of: request, to: .notActivated,
            "the device has the image, and for too long nothing was heard of its running it",
            at: now, into: &out)
    }

    /// A device runs this version, as `detail` says; if that is an update's image, the update has
    /// got there.
    mutating func runs(
        _ version: UInt32, _ device: EUI64, _ detail: String, message: [UInt8]? = nil,
        notice: UInt64? = nil, at now: UTCTime, into out: inout DCCOutbox
    ) {
        // Told again by a device whose update still has others under way, it is a hop of that.
        let again = targets[device].flatMap { target in
            updates[target.request].flatMap {
                $0.fileVersion == version && target.status == .activated ? target.request : nil
            }
        }
        guard
            let request = update(of: device, where: { known, _, _ in known == version }) ?? again
        else { return }
        advance(
            device, of: request, to: .activated, detail, message: message, notice: notice, at: now,
            into: &out)
    }
}

extension FormerUpdate {
    /// Whether that is news of a device whose update has ended.
    fileprivate func isLed(to new: TrackingStatus) -> Bool {
        if new == status { return true }
        return switch new {
        // The hub has it although it was said not to, and then it is as with any other.
        case .deliveredToHub: status == .deliveryFailed
        case .transferFailed: status == .deliveredToHub
        case .transferred: status <= .deliveryFailed || status == .transferFailed
        case .verified, .rejected: status < .verified
        case .activationOrdered, .activationPending, .activated, .activationFailed, .notActivated:
            true
        default: false
        }
    }
}

extension UTCTime {
    /// So many seconds later.
    func after(_ seconds: UInt32) -> UTCTime {
        let (sum, isBeyond) = secondsSince2000.addingReportingOverflow(seconds)
        return UTCTime(secondsSince2000: isBeyond ? .max : sum)
    }
}
