import Wire

/// What an update asks of each of its devices, worked out once for each kind of device, so that a
/// device costs little more than the memory where its facets are.
struct UpdateCheck {
    private enum Obstacle {
        case none, invalid, notCommissioned, notApplicable, otherRequest, gbcsVersion
    }

    /// What is asked of the devices of a kind.
    private enum Demand {
        /// No device of the kind has been seen yet.
        case unknown
        /// Nothing that other updates under way let through stands in the way.
        case none
        case invalid, notCommissioned, notApplicable, gbcsVersion
        /// That the hub's GBCS version is one of those from this place of `hubVersions` on.
        case hub(Int32)
    }

    private let types: Set<InventoryType>
    private let entries: [ProductListEntry]
    private let user: EUI64
    private let statuses: Set<DeviceStatus>
    private let subject: GBCSVersionRule.Subject
    /// The least GBCS version for devices of a type; none is asked for of others.
    private let minimum: [InventoryType: String]
    /// False before the release from which on hubs qualify, whatever GBCS version they keep to.
    private let isVersionEnough: Bool
    /// Whether the update that a device was last under keeps others away.
    private let isUnderway: (EUI64, UInt32) -> Bool
    /// By the number of the kind.
    private var demands: [Demand]
    /// For each type that asks for one, whether each GBCS version of the inventory will do.
    private var hubVersions: [Bool] = []
    private var places: [InventoryType: Int32] = [:]

    /// `isUnderway` tells whether the update that a device was last under keeps others away.
    init(
        _ types: Set<InventoryType>, _ entries: [ProductListEntry], user: EUI64,
        statuses: Set<DeviceStatus>, _ rule: GBCSVersionRule, _ release: Release,
        _ devices: Inventory, isUnderway: @escaping (EUI64, UInt32) -> Bool
    ) {
        // HCALCSs came with the release that brought tracking.
        self.types = release < .tracking ? types.subtracting([.hcalcs]) : types
        self.entries = entries
        self.user = user
        self.statuses = statuses
        self.isUnderway = isUnderway
        subject = rule.subject
        minimum = rule.isEnforced ? rule.minimum : [:]
        isVersionEnough = release >= .hanDevices
        demands = Array(repeating: .unknown, count: devices.kinds.all.count)
    }

    private mutating func demand(of number: Int, _ devices: Inventory) -> Demand {
        let kind = devices.kinds.all[number]
        guard types.contains(kind.type), kind.supplier == user else { return .invalid }
        guard statuses.contains(kind.status) else { return .notCommissioned }
        guard entries.contains(where: { Self.fits($0, kind) }) else { return .notApplicable }
        guard let least = minimum[kind.type] else { return .none }
        switch subject {
        case .device: return isEnough(kind.version, least) ? .none : .gbcsVersion
        case .hub:
            if let place = places[kind.type] { return .hub(place) }
            let place = Int32(hubVersions.count)
            hubVersions += devices.versions.all.map { isEnough($0, least) }
            places[kind.type] = place
            return .hub(place)
        }
    }

    private func isEnough(_ version: String?, _ least: String) -> Bool {
        isVersionEnough && GBCSVersionRule.isAtLeast(version, least)
    }

    /// Whether an image of the product list is for devices of a kind: for its maker, model, type
    /// and hardware, and to follow what they run.
    private static func fits(_ entry: ProductListEntry, _ kind: Inventory.Kind) -> Bool {
        guard InventoryType(entry.type) == kind.type, entry.model == kind.model,
            Inventory.code(entry.manufacturerCode) == kind.manufacturer
        else { return false }
        if let hardware = kind.hardware, !entry.hardware.contains(hardware) { return false }
        guard let firmware = kind.firmware else { return true }
        return firmware != entry.version
            && (entry.installableFrom.isEmpty || entry.installableFrom.contains(firmware))
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
    mutating func sort(_ ids: [EUI64], in devices: Inventory) -> Outcome {
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
                    switch obstacle(to: facets, at: place, devices) {
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
    private mutating func obstacle(
        to device: Inventory.Facets, at place: Int, _ devices: Inventory
    ) -> Obstacle {
        let kind = Int(device.kind)
        if case .unknown = demands[kind] { demands[kind] = demand(of: kind, devices) }
        let obstacle: Obstacle
        switch demands[kind] {
        case .unknown, .none: obstacle = .none
        case .invalid: return .invalid
        case .notCommissioned: return .notCommissioned
        case .notApplicable: return .notApplicable
        case .gbcsVersion: obstacle = .gbcsVersion
        case .hub(let first):
            let hub = Int(devices.hubPlaces[place])
            let isEnough = hub >= 0 && hubVersions[Int(first) + Int(devices.hubVersions[hub])]
            obstacle = isEnough ? .none : .gbcsVersion
        }
        if device.update != 0, isUnderway(device.id, device.update) { return .otherRequest }
        return obstacle
    }
}
