import DCC
import Devices
import GBCS
import Wire

extension InventoryDevice {
    /// As the inventory writes a maker: four hex digits.
    static func manufacturer(_ code: UInt16) -> String { Hex.string(UInt64(code), digits: 4) }
}

extension Home {
    /// What the Smart Metering Inventory has of the home to begin with: the hub as CHF and GPF,
    /// then the devices.
    public var inventory: [InventoryDevice] {
        var chf = InventoryDevice(
            id: hub.chf, type: .chf, status: hub.status,
            manufacturer: InventoryDevice.manufacturer(hub.profile.manufacturer),
            model: hub.profile.model)
        chf.firmware = hub.firmware
        chf.hardware = hub.profile.hardwareVersion
        chf.gbcsVersion = hub.profile.capabilities(at: hub.firmware)?.gbcsVersion
        chf.hub = hub.chf
        chf.region = region
        var gpf = chf
        gpf.id = hub.eui64
        gpf.type = .gpf
        return [chf, gpf] + devices.map(entry)
    }

    private func entry(of device: HomeDevice) -> InventoryDevice {
        var entry = InventoryDevice(
            id: device.eui64, type: InventoryType(device.profile.type), status: device.status,
            manufacturer: InventoryDevice.manufacturer(device.profile.manufacturer),
            model: device.profile.model)
        entry.firmware = device.firmware
        entry.hardware = device.profile.hardwareVersion
        entry.gbcsVersion = device.profile.capabilities(at: device.firmware)?.gbcsVersion
        entry.hub = device.isLogged ? hub.chf : nil
        entry.supplier = device.supplierID
        entry.region = region
        return entry
    }

    /// The GBCS version that firmware of a model of this home keeps to.
    fileprivate func gbcsVersion(of entry: Manifest.Entry) -> String? {
        let profile = hub.profile
        if entry.deviceType == .communicationsHub {
            guard entry.manufacturerCode == profile.manufacturer, entry.model == profile.model
            else { return nil }
            return profile.capabilities(at: entry.version)?.gbcsVersion
        }
        return devices.lazy.map(\.profile).first {
            $0.type == entry.deviceType && $0.manufacturer == entry.manufacturerCode
                && $0.model == entry.model
        }?.capabilities(at: entry.version)?.gbcsVersion
    }
}

extension Manifest {
    /// The Central Products List. What it does not say of GBCS versions, the profiles of `homes`
    /// do.
    public func products(for homes: [Home] = []) -> [ProductListEntry] {
        entries.map { entry in
            ProductListEntry(
                type: entry.deviceType, manufacturerCode: entry.manufacturerCode,
                model: entry.model, imageType: entry.imageType.rawValue,
                hardware: entry.hardware.minimum...entry.hardware.maximum, version: entry.version,
                hash: entry.manufacturerImageHash.bytes, status: entry.status,
                installableFrom: entry.installableFrom.list,
                gbcsVersion: entry.gbcsVersion
                    ?? homes.lazy.compactMap { $0.gbcsVersion(of: entry) }.first)
        }
    }
}
