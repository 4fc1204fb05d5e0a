import GBCS
import Wire

extension DCC {
    /// 11.1 and 11.4: devices that fail a check are listed, the others proceed.
    mutating func update(
        _ request: ServiceRequest, _ update: FirmwareUpdate, _ release: Release, at now: UTCTime,
        into out: inout DCCOutbox
    ) -> Answer {
        let isPPMID = request.variant == "11.4"
        guard update.devices.count <= settings.maximumDevices,
            update.image.count <= settings.maximumImageSize
        else { return refuse(isPPMID ? .ppmidOverLimit : .overLimit) }
        guard
            let image = try? FirmwareImage(
                parsing: update.image, form: isPPMID ? .gbcsUnsigned : .gbcsSigned),
            update.version.utf8.count == 8,
            UInt32(update.version, radix: 16) == image.header.fileVersion
        else { return refuse(isPPMID ? .ppmidVersionMismatch : .versionMismatch) }
        let types: Set<InventoryType> = isPPMID ? [.ppmid] : [.esme, .gsme, .hcalcs]
        let header = image.header
        let named = products.filter {
            types.contains(InventoryType($0.type)) && $0.manufacturerCode == header.manufacturerCode
                && $0.imageType == header.imageType.rawValue && $0.version == header.fileVersion
                && $0.status == .active
        }
        guard !named.isEmpty else { return refuse(isPPMID ? .ppmidNotListed : .notListed) }
        let hash = image.manufacturerImageHash
        let entries = named.filter { $0.hash == hash.bytes }
        guard let entry = entries.first else {
            return refuse(isPPMID ? .ppmidHashMismatch : .hashMismatch)
        }

        var check = UpdateCheck(
            types, entries, user: request.id.originator,
            statuses: settings.statuses[request.variant, default: []], settings.gbcsRule, release,
            devices
        ) { [numbered, targets] in Self.keepsOthersAway($0, $1, numbered, targets) }
        let outcome = check.sort(update.devices, in: devices)
        if !outcome.accepted.isEmpty {
            accept(request, update, outcome, entry, hash: Hex.string(hash.bytes), at: now, &out)
        }
        let warning = outcome.warning
        guard !warning.isEmpty else { return (settings.codes[.accepted], nil) }
        return isPPMID
            ? (settings.codes[.ppmidFirmwareWarning], .updatePPMIDFirmwareWarning(warning))
            : (settings.codes[.firmwareWarning], .updateFirmwareWarning(warning))
    }

    /// An update that the device has not got yet keeps others away.
    func isUnderway(_ id: EUI64) -> Bool {
        guard let place = devices.place(of: id) else { return false }
        return Self.keepsOthersAway(id, devices.facets[place].update, numbered, targets)
    }

    private static func keepsOthersAway(
        _ id: EUI64, _ update: UInt32, _ numbered: [UInt32: RequestID],
        _ targets: [EUI64: TargetRecord]
    ) -> Bool {
        guard update != 0, numbered[update] != nil else { return false }
        guard let target = targets[id] else { return true }
        return !target.isDone && target.status < .transferred
    }

    private mutating func accept(
        _ request: ServiceRequest, _ update: FirmwareUpdate, _ outcome: UpdateCheck.Outcome,
        _ entry: ProductListEntry, hash: String, at now: UTCTime, _ out: inout DCCOutbox
    ) {
        let record = UpdateRecord(
            id: request.id, variant: request.variant, image: "\(request.id)",
            version: update.version, fileVersion: entry.version, hash: hash,
            installableFrom: entry.installableFrom, devices: PackedIDs(outcome.accepted),
            accepted: now)
        updates[request.id] = record
        undispatched.append(request.id)
        devices.setUpdate(number(of: request.id), at: outcome.places)
        for id in outcome.formerly {
            if let old = targets[id] { end(old, at: now, into: &out) }
        }
        out.items.append(.saveImage(record.image, update.image))
        out.items.append(.save(.update(record)))
    }

    // MARK: - Targets

    /// A device of an update has come further, if it has.
    mutating func advance(
        _ id: EUI64, to status: TrackingStatus, _ detail: String, percent: Int? = nil,
        message: [UInt8]? = nil, notice: UInt64? = nil, ends: Bool = true, at now: UTCTime,
        into out: inout DCCOutbox
    ) {
        guard var target = targets[id] else { return }
        track(
            status, detail, request: target.request, device: id, percent: percent,
            message: message, notice: notice, at: now, into: &out)
        guard !target.isDone, target.status <= status else { return }
        if target.status == .transferFailed, status != .transferFailed {
            // It has got there after all, and is waited for as long as any other.
            target.deadline = UTCTime(
                secondsSince2000: now.secondsSince2000 &+ settings.updateTimeout)
            schedule(target.deadline, .target(id))
        }
        target.status = status
        target.percent = percent
        targets[id] = target
        if status.isFinal, ends {
            end(target, at: now, into: &out)
        } else {
            out.items.append(.save(.target(target)))
        }
    }

    /// A device is done with; when all of its update are, nothing of that is kept.
    mutating func end(_ target: TargetRecord, at now: UTCTime, into out: inout DCCOutbox) {
        guard !target.isDone else { return }
        var target = target
        target.isDone = true
        early[target.device] = nil
        targets[target.device] = target
        out.items.append(.save(.target(target)))
        guard updates[target.request] != nil else { return }
        proceed(target.request, into: &out) { $0.finished += 1 }
    }

    /// Notes how far an update has come; when all its devices are done with, it is forgotten.
    mutating func proceed(
        _ id: RequestID, into out: inout DCCOutbox, _ change: (inout UpdateProgress) -> Void
    ) {
        var record = progress[id] ?? UpdateProgress(id: id)
        change(&record)
        progress[id] = record
        out.items.append(.save(.progress(record)))
        closeIfDone(id, record, into: &out)
    }

    private mutating func closeIfDone(
        _ id: RequestID, _ record: UpdateProgress, into out: inout DCCOutbox
    ) {
        guard record.isDispatched, let update = updates[id],
            record.finished >= update.devices.ids.count
        else { return }
        updates[id] = nil
        progress[id] = nil
        out.items.append(.remove(DCCRecord.progress(record).key))
        out.items.append(.remove(DCCRecord.update(update).key))
        out.items.append(.removeImage(update.image))
        for (number, request) in numbered where request == id { numbered[number] = nil }
        for id in update.devices.ids where targets[id]?.request == update.id {
            targets[id] = nil
            out.items.append(.remove(DCCRecord.Key(kind: .target, name: "\(id)")))
        }
    }

    /// Nothing has been heard of it for too long.
    mutating func expire(_ target: TargetRecord, at now: UTCTime, into out: inout DCCOutbox) {
        let user = target.request.originator
        guard target.status < .transferred else {
            // The device has it, and its user does not want it to run; or it has refused it, and
            // has said all it has to say.
            end(target, at: now, into: &out)
            return
        }
        let notice = alert(
            user, .distributionFailure,
            .firmwareDistributionFailure(request: target.request, devices: [target.device]),
            at: now, request: target.request, device: target.device, into: &out)
        advance(
            target.device, to: .transferFailed, "nothing was heard of the device for too long",
            notice: notice, at: now, into: &out)
    }

    // MARK: - What the bench sees

    /// Something that a device does and no message tells; for people only.
    public mutating func observe(
        _ progress: DeviceProgress, of device: EUI64, at now: UTCTime, into out: inout DCCOutbox
    ) {
        guard let target = targets[device], !target.isDone,
            let update = updates[target.request]
        else { return }
        guard target.status != .delivering else {
            // The hub has the image, and its word of that is on its way: first things first.
            early[device, default: []].removeAll { $0.isOfKind(of: progress) }
            early[device, default: []].append(progress)
            return
        }
        switch progress {
        case .offered(update.fileVersion):
            advance(device, to: .offered, "its hub offers the image", at: now, into: &out)
        case .downloading(update.fileVersion, let percent):
            advance(
                device, to: .downloading, "\(percent) % downloaded", percent: percent, at: now,
                into: &out)
        case .downloaded(update.fileVersion):
            guard target.status < .transferred else { return }
            advance(
                device, to: .transferred, "the device has the whole image", percent: 100, at: now,
                into: &out)
        case .offered, .downloading, .downloaded: break
        }
    }

    /// What was seen of a device before its hub's word came.
    mutating func observeEarly(of device: EUI64, at now: UTCTime, into out: inout DCCOutbox) {
        for progress in early.removeValue(forKey: device) ?? [] {
            observe(progress, of: device, at: now, into: &out)
        }
    }

    /// A user has received a notice.
    public mutating func acknowledged(
        notice: UInt64, request: RequestID?, device: EUI64?, at now: UTCTime,
        into out: inout DCCOutbox
    ) {
        track(
            .reported, "the service user has received notice \(notice)", request: request,
            device: device, notice: notice, at: now, into: &out)
    }
}
