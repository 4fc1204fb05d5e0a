import Wire

/// The Smart Metering Inventory: devices by id, and of each what the checks of an update look at,
/// laid out so that fifty thousand of them are checked in a few milliseconds.
struct Inventory: Sendable {
    /// What an update's checks look at.
    struct Facets: Sendable {
        var type: InventoryType
        /// One bit each, in the place that the type and the status have among all.
        var typeBit: UInt64
        var statusBit: UInt64
        /// Maker and model, as a number of `products`.
        var product: Int32
        var hardware: UInt16?
        var firmware: UInt32?
        var supplier: EUI64?
        /// The update that the device is, or was last, under; 0 for none.
        var update: UInt32 = 0
    }

    private struct Product: Hashable {
        var manufacturer: String
        var model: String
    }

    private var places: [EUI64: Int] = [:]
    private var devices: ContiguousArray<InventoryDevice> = []
    private(set) var facets: ContiguousArray<Facets> = []
    private var products: [Product: Int32] = [:]
    /// Places of devices that have been removed.
    private var free: [Int] = []

    init() {}

    var count: Int { places.count }

    /// All of them, by id.
    var all: [InventoryDevice] { places.values.map { devices[$0] }.sorted { $0.id < $1.id } }

    subscript(id: EUI64) -> InventoryDevice? { places[id].map { devices[$0] } }

    /// Where a device's facets are.
    func place(of id: EUI64) -> Int? { places[id] }

    /// Puts a device in, or changes it; what update it is under stays.
    mutating func put(_ device: InventoryDevice) {
        var facets = Facets(
            type: device.type, typeBit: Self.bit(of: device.type),
            statusBit: Self.bit(of: device.status),
            product: number(device.manufacturer, device.model), hardware: device.hardware,
            firmware: device.firmware, supplier: device.supplier)
        if let place = places[device.id] {
            facets.update = self.facets[place].update
            devices[place] = device
            self.facets[place] = facets
        } else if let place = free.popLast() {
            places[device.id] = place
            devices[place] = device
            self.facets[place] = facets
        } else {
            places[device.id] = devices.count
            devices.append(device)
            self.facets.append(facets)
        }
    }

    mutating func remove(_ id: EUI64) {
        guard let place = places.removeValue(forKey: id) else { return }
        free.append(place)
    }

    mutating func setUpdate(_ update: UInt32, at place: Int) { facets[place].update = update }

    private static func bit<Value: CaseIterable & Equatable>(of value: Value) -> UInt64 {
        Value.allCases.enumerated().reduce(0) { $1.element == value ? 1 << $1.offset : $0 }
    }

    /// The number of a maker's model, however the maker's hex digits are written.
    private mutating func number(_ manufacturer: String, _ model: String) -> Int32 {
        let product = Product(manufacturer: Self.code(manufacturer), model: model)
        if let number = products[product] { return number }
        let number = Int32(products.count)
        products[product] = number
        return number
    }

    /// The number of a model that some device is of.
    func product(manufacturerCode: UInt16, model: String) -> Int32? {
        products[
            Product(
                manufacturer: Hex.string(UInt64(manufacturerCode), digits: 4), model: model)]
    }

    private static func code(_ manufacturer: String) -> String {
        UInt16(manufacturer, radix: 16).map { Hex.string(UInt64($0), digits: 4) } ?? manufacturer
    }
}
