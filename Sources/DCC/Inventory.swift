import Wire

/// The Smart Metering Inventory: devices by id, and of each what the checks of an update look at,
/// laid out so that fifty thousand of them are checked in a millisecond or two.
struct Inventory: Sendable {
    /// What an update's checks look at of each device: 16 bytes, of which four devices' fill a line
    /// of a processor's cache.
    struct Facets: Sendable {
        var id: EUI64
        /// A number of `kinds`; -1 of a device that has been removed.
        var kind: Int32
        /// The update that the device is, or was last, under; 0 for none.
        var update: UInt32 = 0
    }

    /// What an update's checks look at and many devices have in common.
    struct Kind: Hashable, Sendable {
        var type: InventoryType
        /// As four hex digits in capitals, if it is a number in hex.
        var manufacturer: String
        var model: String
        var supplier: EUI64?
        var status: DeviceStatus
        var firmware: UInt32?
        var hardware: UInt16?
        /// Of GBCS, its own.
        var version: String?

        init(_ device: InventoryDevice) {
            type = device.type
            manufacturer = Inventory.code(device.manufacturer)
            model = device.model
            supplier = device.supplier
            status = device.status
            firmware = device.firmware
            hardware = device.hardware
            version = device.gbcsVersion
        }
    }

    private var places = PlaceIndex()
    private var devices: ContiguousArray<InventoryDevice> = []
    private(set) var facets: ContiguousArray<Facets> = []
    /// Each device's place in `hubVersions`; -1 for none. Few updates ask for it.
    private(set) var hubPlaces: ContiguousArray<Int32> = []
    private(set) var kinds = Numbers<Kind>()
    private(set) var versions = Numbers<String?>()
    private var hubs = PlaceIndex()
    /// The GBCS versions of those that devices name as their hubs, whether they are there or not.
    private(set) var hubVersions: ContiguousArray<Int16> = []

    init() {}

    var count: Int { places.count }

    /// All of them, by id.
    var all: [InventoryDevice] { places.all.map { devices[$0.place] }.sorted { $0.id < $1.id } }

    subscript(id: EUI64) -> InventoryDevice? { places[id].map { devices[$0] } }

    /// Where a device's facets are.
    func place(of id: EUI64) -> Int? { places[id] }

    /// Goes through a list of ids in order, with the place and the facets of each; without them for
    /// who is not there. A list in the inventory's own order takes next to nothing. Of others those
    /// of some hundred are fetched together, so that what one waits for, memory, overlaps with what
    /// the others wait for.
    @inline(__always)
    func visit(_ ids: [EUI64], _ body: (EUI64, (place: Int, facets: Facets)?) -> Void) {
        guard !facets.isEmpty else { return ids.forEach { body($0, nil) } }
        let block = 256
        facets.withUnsafeBufferPointer { facets in
            ids.withUnsafeBufferPointer { ids in
                withUnsafeTemporaryAllocation(of: Int32.self, capacity: block) { guesses in
                    withUnsafeTemporaryAllocation(of: Facets.self, capacity: block) { fetched in
                        var (first, next) = (0, 0)
                        while first < ids.count {
                            let count = min(block, ids.count - first)
                            let some = UnsafeBufferPointer(rebasing: ids[first..<first + count])
                            if !guess(some, after: next, in: facets, into: guesses) {
                                places.guess(some, into: guesses)
                            }
                            for index in 0..<count {
                                fetched[index] = facets[max(0, Int(guesses[index]))]
                            }
                            for index in 0..<count {
                                let (id, guess) = (some[index], Int(guesses[index]))
                                if guess >= 0, fetched[index].id == id {
                                    body(id, (guess, fetched[index]))
                                    next = guess + 1
                                } else {
                                    body(id, places[id].map { ($0, facets[$0]) })
                                }
                            }
                            first += count
                        }
                    }
                }
            }
        }
    }

    /// Whether ids stand in the inventory one after another, from a place on; their places are then
    /// written.
    @inline(__always)
    private func guess(
        _ ids: UnsafeBufferPointer<EUI64>, after place: Int, in facets: UnsafeBufferPointer<Facets>,
        into guesses: UnsafeMutableBufferPointer<Int32>
    ) -> Bool {
        guard place + ids.count <= facets.count else { return false }
        for index in 0..<ids.count {
            guard facets[place + index].id == ids[index], facets[place + index].kind >= 0 else {
                return false
            }
            guesses[index] = Int32(truncatingIfNeeded: place + index)
        }
        return true
    }

    /// Puts a device in, or changes it; what update it is under stays.
    mutating func put(_ device: InventoryDevice) {
        if kinds.all.count > 2 * count + 100 { forgetKinds() }
        var facets = Facets(id: device.id, kind: kinds.number(of: Kind(device)))
        let hub = device.hub.map { place(ofHub: $0) } ?? -1
        if let hub = hubs[device.id] { hubVersions[hub] = number(of: device.gbcsVersion) }
        if let place = places[device.id] {
            facets.update = self.facets[place].update
            devices[place] = device
            self.facets[place] = facets
            hubPlaces[place] = hub
        } else if let place = places.insert(device.id), place < devices.count {
            devices[place] = device
            self.facets[place] = facets
            hubPlaces[place] = hub
        } else {
            devices.append(device)
            self.facets.append(facets)
            hubPlaces.append(hub)
        }
    }

    /// Kinds that no device is of any more go: a user may rename a device as often as it likes.
    private mutating func forgetKinds() {
        kinds = Numbers()
        for place in facets.indices where facets[place].kind >= 0 {
            facets[place].kind = kinds.number(of: Kind(devices[place]))
        }
    }

    private mutating func place(ofHub id: EUI64) -> Int32 {
        if let place = hubs[id] { return Int32(place) }
        hubs.insert(id)
        hubVersions.append(number(of: self[id]?.gbcsVersion))
        return Int32(hubVersions.count - 1)
    }

    /// The product list and the homes name few of them.
    private mutating func number(of version: String?) -> Int16 {
        Int16(truncatingIfNeeded: versions.number(of: version))
    }

    mutating func remove(_ id: EUI64) {
        guard let place = places[id] else { return }
        places.remove(id)
        facets[place].kind = -1
        if let hub = hubs[id] { hubVersions[hub] = number(of: nil) }
    }

    mutating func setUpdate(_ update: UInt32, at place: Int) { facets[place].update = update }

    mutating func setUpdate(_ update: UInt32, at places: [Int32]) {
        facets.withUnsafeMutableBufferPointer { facets in
            for place in places { facets[Int(place)].update = update }
        }
    }

    /// A maker however its hex digits are written.
    static func code(_ manufacturer: String) -> String {
        UInt16(manufacturer, radix: 16).map(code) ?? manufacturer
    }

    static func code(_ manufacturer: UInt16) -> String {
        Hex.string(UInt64(manufacturer), digits: 4)
    }
}

/// Gives each value that comes a number, from 0 on.
struct Numbers<Value: Hashable & Sendable>: Sendable {
    private var numbers: [Value: Int32] = [:]
    private(set) var all: [Value] = []

    mutating func number(of value: Value) -> Int32 {
        if let number = numbers[value] { return number }
        let number = Int32(all.count)
        numbers[value] = number
        all.append(value)
        return number
    }
}
