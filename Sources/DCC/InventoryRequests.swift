import Wire

extension DCC {
    /// The most devices that one answer to 8.2 has room for (schema).
    private static let mostInventory = 17

    /// 8.2: a device and all that are behind the same hub, or those of a premises.
    func read(_ query: InventoryQuery) -> Answer {
        let found: [InventoryDevice]
        switch query {
        case .device(let id):
            guard let device = devices[id] else { return refuse(.inventoryEmpty) }
            // assumption: of a hub all that are behind it, of anything else itself.
            found =
                device.type == .chf
                ? [device] + inventory.filter { $0.hub == id && $0.id != id } : [device]
        case .mpxn(let number):
            let meters = inventory.filter {
                [$0.importMPxN, $0.secondaryImportMPAN, $0.exportMPAN].contains(number)
            }
            found = premises(of: Set(meters.compactMap(\.hub)), and: meters)
        case .uprn(let number):
            let some = inventory.filter { $0.uprn == number }
            found = premises(of: Set(some.compactMap(\.hub)), and: some)
        case .property(let postCode, let address):
            let some = inventory.filter { $0.postCode == postCode && $0.address == address }
            found = premises(of: Set(some.compactMap(\.hub)), and: some)
        }
        guard !found.isEmpty else { return refuse(.inventoryEmpty) }
        guard found.count <= Self.mostInventory else { return refuse(.inventoryTooMany) }
        return (.success, .inventory(found))
    }

    private func premises(of hubs: Set<EUI64>, and some: [InventoryDevice]) -> [InventoryDevice] {
        let ids = Set(some.map(\.id))
        return inventory.filter { device in
            ids.contains(device.id) || device.hub.map(hubs.contains) ?? false
        }
    }

    /// 12.2: a device comes into the inventory, pending.
    mutating func prenotify(
        _ notification: DevicePrenotification, by user: ServiceUser, into out: inout DCCOutbox
    ) -> Answer {
        guard devices[notification.device] == nil else { return refuse(.alreadyNotified) }
        var device = InventoryDevice(
            id: notification.device, type: notification.type, status: .pending,
            manufacturer: notification.manufacturer, model: notification.model)
        device.specification = notification.specification
        if let text = notification.firmwareVersion {
            guard let version = UInt32(text, radix: 16) else { return refuse(.notOnProductList) }
            device.firmware = version
        }
        device.esmeVariant = notification.esmeVariant
        if notification.type == .chf || notification.type == .gpf { device.hub = nil }
        // assumption: whoever notifies a device is responsible for it.
        device.supplier =
            user.roles.isDisjoint(with: [.importSupplier, .gasSupplier]) ? nil : user.id
        save(device, into: &out)
        return (settings.codes[.accepted], nil)
    }

    /// 8.4: something about a device changes. A device that is under an update stays.
    mutating func change(
        _ update: InventoryUpdate, by user: ServiceUser, at now: UTCTime, into out: inout DCCOutbox
    ) -> Answer {
        guard var device = devices[update.device] else { return refuse(.unknownDevice) }
        guard device.supplier == nil || device.supplier == user.id else {
            return refuse(.notResponsible)
        }
        switch update.change {
        case .status(let status):
            guard device.type != .chf, device.type != .gpf,
                [.pending, .installedNotCommissioned].contains(status)
            else { return refuse(.inventoryStatus) }
            device.status = status
        case .hubStatus(let status):
            guard device.type == .chf || device.type == .gpf,
                [.commissioned, .withdrawn, .installedNotCommissioned].contains(status)
            else { return refuse(.inventoryStatus) }
            device.status = status
        case .details(let manufacturer, let model, let specification, let firmware, let variant):
            if let firmware {
                guard let version = UInt32(firmware, radix: 16) else {
                    return refuse(.notOnProductList)
                }
                device.firmware = version
            }
            device.manufacturer = manufacturer ?? device.manufacturer
            device.model = model ?? device.model
            device.specification = specification ?? device.specification
            device.esmeVariant = variant ?? device.esmeVariant
        case .delete:
            guard [.pending, .decommissioned, .withdrawn].contains(device.status) else {
                return refuse(.inventoryStatus)
            }
            guard !isUnderway(device.id),
                !commands.values.contains(where: { $0.device == device.id })
            else { return refuse(.inventoryInUse) }
            // It has the image, and nothing more is heard of it.
            if let target = targets[device.id] { end(target, at: now, into: &out) }
            device.isRemoved = true
            devices.remove(device.id)
            out.items.append(.save(.device(device)))
            return (settings.codes[.accepted], nil)
        case .importMPxN(let number): device.importMPxN = number
        case .secondaryImportMPAN(let number): device.secondaryImportMPAN = number
        case .exportMPAN(let number): device.exportMPAN = number
        }
        save(device, into: &out)
        return (settings.codes[.accepted], nil)
    }
}
