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

        let isForced = settings.letsForceReplace && image.trailer?.forceReplace == 1
        var check = UpdateCheck(
            types, entries, user: request.id.originator,
            statuses: settings.statuses[request.variant, default: []], settings.gbcsRule, release,
            devices
        ) { [numbered, targets] in
            Self.keepsOthersAway($0, $1, numbered, targets, byForce: isForced)
        }
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
        return Self.keepsOthersAway(
            id, devices.facets[place].update, numbered, targets, byForce: false)
    }

    private static func keepsOthersAway(
        _ id: EUI64, _ update: UInt32, _ numbered: [UInt32: RequestID],
        _ targets: [EUI64: TargetRecord], byForce: Bool
    ) -> Bool {
        guard update != 0, let request = numbered[update] else { return false }
        // With no CSP yet.
        guard let target = targets[id], target.request == request else { return true }
        return !byForce && !target.isDone && target.status < .transferred
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
        let earlier = outcome.formerly.compactMap { targets[$0] }.filter { !$0.isDone }
        let replaced = Dictionary(
            grouping: earlier.filter { $0.status < .transferred }, by: \.request)
        var notices: [RequestID: UInt64] = [:]
        for old in replaced.keys.sorted() {
            notices[old] = alert(
                old.originator, .distributionFailure,
                .firmwareDistributionFailure(request: old, devices: replaced[old]!.map(\.device)),
                at: now, request: old, into: &out)
        }
        withdraw(
            earlier.filter { $0.status < .transferred }.map(\.device), at: now, into: &out)
        for id in outcome.formerly { displace(id, by: request.id, at: now, into: &out) }
        for old in earlier {
            let notice = old.status < .transferred ? notices[old.request] : nil
            supersede(old, by: request.id, notice: notice, at: now, into: &out)
        }
        out.items.append(.saveImage(record.image, update.image))
        out.items.append(.save(.update(record)))
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

    // MARK: - What the bench sees

    /// Something that a device does and no message tells; for people only.
    public mutating func observe(
        _ progress: DeviceProgress, of device: EUI64, at now: UTCTime, into out: inout DCCOutbox
    ) {
        guard let target = targets[device], !target.isDone,
            let update = updates[target.request]
        else { return }
        guard target.status > .delivering else {
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
