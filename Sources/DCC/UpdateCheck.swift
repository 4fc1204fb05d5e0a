import Wire

/// What an update asks of each of its devices, worked out once for each kind of device, so that a
/// device costs little more than the memory where its facets are.
struct UpdateCheck {
    private enum Obstacle {
        case none, invalid, notCommissioned, notApplicable, otherRequest, gbcsVersion
    }

    /// What is asked of devices of a kind.
    private struct Demands {
        /// Of another type, or somebody else's.
        var isInvalid: Bool
        /// Which of `images` are for them.
        var images: Range<Int> = 0..<0
        /// Which GBCS versions will do, by number; nil if none is asked for.
        var versions: [Bool]?
    }

    /// An image of the product list.
    private struct Image {
        var version: UInt32
        var hardware: ClosedRange<UInt16>
        /// Versions that it may follow; none for any.
        var predecessors: [UInt32]

        /// Whether it is for a device of its maker, model and type: for its hardware, and to follow
        /// what it runs.
        func fits(_ device: Inventory.Facets) -> Bool {
            if device.hasHardware, !hardware.contains(device.hardware) { return false }
            guard device.hasFirmware else { return true }
            return device.firmware != version
                && (predecessors.isEmpty || predecessors.contains(device.firmware))
        }
    }

    private var demands: [Demands] = []
    private var images: [Image] = []
    /// A bit for each status, in its place among all.
    private let statuses: UInt16
    private let subject: GBCSVersionRule.Subject
    private let isUnderway: (EUI64, UInt32) -> Bool

    /// `isUnderway` tells whether the update that a device was last under keeps others away.
    init(
        _ types: Set<InventoryType>, _ entries: [ProductListEntry], user: EUI64,
        statuses: Set<DeviceStatus>, _ rule: GBCSVersionRule, _ release: Release,
        _ devices: Inventory, isUnderway: @escaping (EUI64, UInt32) -> Bool
    ) {
        self.statuses = statuses.reduce(0) { $0 | Inventory.bit(of: $1) }
        self.isUnderway = isUnderway
        subject = rule.subject
        // HCALCSs came with the release that brought tracking.
        let types = release < .tracking ? types.subtracting([.hcalcs]) : types
        // Before that release no hub qualifies, whatever it runs.
        let versions = (rule.isEnforced ? rule.minimum : [:]).mapValues { least in
            devices.versions.all.map {
                release >= .hanDevices && GBCSVersionRule.isAtLeast($0, least)
            }
        }
        for kind in devices.kinds.all {
            let first = images.count
            for entry in entries
            where InventoryType(entry.type) == kind.type && entry.model == kind.model
                && Inventory.code(entry.manufacturerCode) == kind.manufacturer
            {
                images.append(
                    Image(
                        version: entry.version, hardware: entry.hardware,
                        predecessors: entry.installableFrom))
            }
            demands.append(
                Demands(
                    isInvalid: !types.contains(kind.type) || kind.supplier != user,
                    images: first..<images.count, versions: versions[kind.type]))
        }
    }

    /// What has come of a request's devices.
    struct Outcome {
        /// In the request's order, each once.
        var accepted: [EUI64]
        /// Their places in the inventory.
        var places: [Int32]
        /// Those of them that were under an update before.
        var formerly: [EUI64]
        var warning: FirmwareWarning
    }

    /// Looks at each device of a list once.
    func sort(_ ids: [EUI64], in devices: Inventory) -> Outcome {
        var (formerly, warning, places) = ([EUI64](), FirmwareWarning(), [Int32]())
        // Whoever is listed again has been looked at.
        var listed = [UInt64](repeating: 0, count: devices.facets.count / 64 + 1)
        var strangers: Set<EUI64> = []
        let accepted = [EUI64](unsafeUninitializedCapacity: ids.count) { accepted, count in
            places = [Int32](unsafeUninitializedCapacity: ids.count) { places, placeCount in
                devices.visit(ids) { id, device in
                    guard let (place, facets) = device else {
                        if strangers.insert(id).inserted { warning.invalid.append(id) }
                        return
                    }
                    let bit: UInt64 = 1 << UInt64(place & 63)
                    guard listed[place >> 6] & bit == 0 else { return }
                    listed[place >> 6] |= bit
                    switch obstacle(to: facets, devices) {
                    case .none:
                        accepted[count] = id
                        places[count] = Int32(truncatingIfNeeded: place)
                        count += 1
                        if facets.update != 0 { formerly.append(id) }
                    case .invalid: warning.invalid.append(id)
                    case .notCommissioned: warning.notCommissioned.append(id)
                    case .notApplicable: warning.notApplicable.append(id)
                    case .otherRequest: warning.otherRequest.append(id)
                    case .gbcsVersion: warning.gbcsVersion.append(id)
                    }
                }
                placeCount = count
            }
        }
        return Outcome(accepted: accepted, places: places, formerly: formerly, warning: warning)
    }

    @inline(__always)
    private func obstacle(
        to device: Inventory.Facets, _ devices: Inventory
    ) -> Obstacle {
        let kind = Int(device.kind)
        if demands[kind].isInvalid { return .invalid }
        if statuses & device.status == 0 { return .notCommissioned }
        guard demands[kind].images.contains(where: { images[$0].fits(device) }) else {
            return .notApplicable
        }
        if device.update != 0, isUnderway(device.id, device.update) { return .otherRequest }
        guard let versions = demands[kind].versions else { return .none }
        let version: Int16
        switch subject {
        case .hub:
            guard device.hub >= 0 else { return .gbcsVersion }
            version = devices.hubVersions[Int(device.hub)]
        case .device: version = device.version
        }
        return versions[Int(version)] ? .none : .gbcsVersion
    }
}
