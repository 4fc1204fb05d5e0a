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

        var warning = FirmwareWarning()
        var accepted: [EUI64] = []
        accepted.reserveCapacity(update.devices.count)
        var places: [Int] = []
        places.reserveCapacity(update.devices.count)
        let check = UpdateCheck(
            self, types, entries, user: request.id.originator, request.variant, release)
        // Whoever is listed again has been looked at.
        var listed = [Bool](repeating: false, count: devices.facets.count)
        var strangers: Set<EUI64> = []
        for id in update.devices {
            guard let place = devices.place(of: id) else {
                if strangers.insert(id).inserted { warning.invalid.append(id) }
                continue
            }
            guard !listed[place] else { continue }
            listed[place] = true
            switch check.obstacle(to: id, devices.facets[place], self) {
            case .none:
                accepted.append(id)
                places.append(place)
            case .invalid: warning.invalid.append(id)
            case .notCommissioned: warning.notCommissioned.append(id)
            case .notApplicable: warning.notApplicable.append(id)
            case .otherRequest: warning.otherRequest.append(id)
            case .gbcsVersion: warning.gbcsVersion.append(id)
            }
        }
        if !accepted.isEmpty {
            accept(
                request, update, accepted, places, entry, hash: Hex.string(hash.bytes), at: now,
                &out)
        }
        guard !warning.isEmpty else { return (settings.codes[.accepted], nil) }
        return isPPMID
            ? (settings.codes[.ppmidFirmwareWarning], .updatePPMIDFirmwareWarning(warning))
            : (settings.codes[.firmwareWarning], .updateFirmwareWarning(warning))
    }

    /// An update that the device has not got yet keeps others away.
    func isUnderway(_ id: EUI64) -> Bool {
        guard let place = devices.place(of: id) else { return false }
        return isUnderway(id, devices.facets[place])
    }

    func isUnderway(_ id: EUI64, _ facets: Inventory.Facets) -> Bool {
        guard facets.update != 0, numbered[facets.update] != nil else { return false }
        guard let target = targets[id] else { return true }
        return !target.isDone && target.status < .transferred
    }

    private mutating func accept(
        _ request: ServiceRequest, _ update: FirmwareUpdate, _ accepted: [EUI64],
        _ places: [Int], _ entry: ProductListEntry, hash: String, at now: UTCTime,
        _ out: inout DCCOutbox
    ) {
        let record = UpdateRecord(
            id: request.id, variant: request.variant, image: "\(request.id)",
            version: update.version, fileVersion: entry.version, hash: hash,
            installableFrom: entry.installableFrom, devices: PackedIDs(accepted), accepted: now)
        updates[request.id] = record
        undispatched.append(request.id)
        let number = number(of: request.id)
        for (id, place) in zip(accepted, places) {
            if !targets.isEmpty, let old = targets[id] { end(old, at: now, into: &out) }
            devices.setUpdate(number, at: place)
        }
        out.items.append(.saveImage(record.image, update.image))
        out.items.append(.save(.update(record)))
    }

    // MARK: - Targets

    /// A device of an update has come further, if it has.
    mutating func advance(
        _ id: EUI64, to status: TrackingStatus, _ detail: String, percent: Int? = nil,
        message: [UInt8]? = nil, notice: UInt64? = nil, at now: UTCTime, into out: inout DCCOutbox
    ) {
        guard var target = targets[id] else { return }
        track(
            status, detail, request: target.request, device: id, percent: percent,
            message: message, notice: notice, at: now, into: &out)
        guard !target.isDone, target.status <= status else { return }
        target.status = status
        target.percent = percent
        targets[id] = target
        if status.isFinal {
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
            // The device has it, and its user does not want it to run.
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

/// What an update asks of each of its devices, worked out once.
private struct UpdateCheck {
    enum Obstacle {
        case none, invalid, notCommissioned, notApplicable, otherRequest, gbcsVersion
    }

    /// An image of the product list, and the devices it is for.
    private struct Product {
        var type: InventoryType
        var number: Int32
        var entry: ProductListEntry
    }

    /// By the place of a type, or status, among all: to ask a set would cost as much as all else.
    private let types: UInt64
    private let statuses: UInt64
    private let products: [Product]
    private let user: EUI64
    private let rule: GBCSVersionRule
    private let release: Release

    init(
        _ dcc: borrowing DCC, _ types: Set<InventoryType>, _ entries: [ProductListEntry],
        user: EUI64, _ variant: String, _ release: Release
    ) {
        // HCALCSs came with the release that brought tracking.
        self.types = Self.bits(of: release < .tracking ? types.subtracting([.hcalcs]) : types)
        products = entries.compactMap { entry in
            dcc.devices.product(manufacturerCode: entry.manufacturerCode, model: entry.model)
                .map { Product(type: InventoryType(entry.type), number: $0, entry: entry) }
        }
        self.user = user
        statuses = Self.bits(of: dcc.settings.statuses[variant, default: []])
        rule = dcc.settings.gbcsRule
        self.release = release
    }

    private static func bits<Value: CaseIterable & Hashable>(of set: Set<Value>) -> UInt64 {
        Value.allCases.enumerated().reduce(0) {
            set.contains($1.element) ? $0 | 1 << $1.offset : $0
        }
    }

    func obstacle(
        to id: EUI64, _ facets: Inventory.Facets, _ dcc: borrowing DCC
    ) -> Obstacle {
        guard facets.supplier == user, types & facets.typeBit != 0 else { return .invalid }
        guard statuses & facets.statusBit != 0 else { return .notCommissioned }
        guard products.contains(where: { Self.fits($0, facets) }) else { return .notApplicable }
        guard !dcc.isUnderway(id, facets) else { return .otherRequest }
        guard rule.isEnforced, let minimum = rule.minimum[facets.type] else { return .none }
        let device = dcc.devices[id]
        let version =
            switch rule.subject {
            case .hub: device?.hub.flatMap { dcc.devices[$0]?.gbcsVersion }
            case .device: device?.gbcsVersion
            }
        // Before that release no hub qualifies, whatever it runs.
        guard release >= .hanDevices, GBCSVersionRule.isAtLeast(version, minimum) else {
            return .gbcsVersion
        }
        return .none
    }

    /// Whether the image is for this device: its maker, model and hardware, and what it runs.
    private static func fits(_ product: Product, _ device: Inventory.Facets) -> Bool {
        guard product.type == device.type, product.number == device.product,
            device.firmware != product.entry.version,
            device.hardware.map(product.entry.hardware.contains) ?? true
        else { return false }
        guard !product.entry.installableFrom.isEmpty, let firmware = device.firmware else {
            return true
        }
        return product.entry.installableFrom.contains(firmware)
    }
}
