import Crypto
import DCC
import GBCS
import Wire

/// Reads the body of a request: form only, as the schema has it.
struct RequestBodyReader {
    /// What DUIS carries at most, in bytes.
    static let maximumImage = FirmwareImage.maximumSize
    /// Characters of the list of 11.1 and 11.4: 50,000 ids.
    static let maximumList = 1_199_999

    /// Texts that were read and are so long that a schema's regular expressions and the
    /// canonicalisation had better not see them.
    private(set) var longTexts: [LongText] = []

    mutating func read(_ body: XMLElement) throws(Fault) -> ServiceRequest.Body {
        var sequence = try ElementSequence(body)
        let element = try sequence.takeAny("a request's own element")
        try sequence.finish()
        switch element.name {
        case "UpdateFirmware": return .updateFirmware(try update(element))
        case "UpdatePPMIDFirmware": return .updatePPMIDFirmware(try update(element))
        case "ReadFirmwareVersion":
            var inner = try ElementSequence(element)
            let execution = try executionTime(&inner)
            try inner.finish()
            return .readFirmwareVersion(execution: execution)
        case "ActivateFirmware":
            var inner = try ElementSequence(element)
            let execution = try executionTime(&inner)
            let hash = try inner.take("FirmwareHash").hex(32...32)
            try inner.finish()
            return .activateFirmware(hash: Digest256(hash)!, execution: execution)
        case "SignedPreCommand":
            var inner = try ElementSequence(element)
            // What is signed says itself when it is to be done.
            _ = try executionTime(&inner)
            let payload = try inner.take("GBCSPayload").base64(limit: Self.maximumImage)
            try inner.finish()
            return .signedPreCommand(payload: payload)
        case "DevicePrenotification":
            return .devicePrenotification(try prenotification(element))
        case "UpdateHANDeviceLog": return .updateHANDeviceLog(try logUpdate(element))
        case "UpdateInventory": return .updateInventory(try inventoryUpdate(element))
        case "ReadInventory": return .readInventory(try inventoryQuery(element))
        case let name:
            guard DUISVocabulary.requestBodies.contains(name) else {
                throw Fault("\(element.place): no request of the schema has this body")
            }
            return .other(name)
        }
    }

    private mutating func update(_ element: XMLElement) throws(Fault) -> FirmwareUpdate {
        var inner = try ElementSequence(element)
        let image = try inner.take("FirmwareImage")
        let bytes = try image.base64(limit: Self.maximumImage)
        let version = try inner.take("FirmwareVersion").string(1...8)
        let list = try inner.take("DeviceIDList")
        let devices = try list.deviceIDs(limit: Self.maximumList)
        try inner.finish()
        longTexts.append(contentsOf: [
            LongText(image, standIn: "AAAA"), LongText(list, standIn: "00-00-00-00-00-00-00-00"),
        ])
        return FirmwareUpdate(image: bytes, version: version, devices: devices)
    }

    private func executionTime(
        _ sequence: inout ElementSequence
    ) throws(Fault) -> ExecutionTime? {
        try sequence.takeIf("ExecutionDateTime")?.dateTime().execution
    }

    private func prenotification(_ element: XMLElement) throws(Fault) -> DevicePrenotification {
        var inner = try ElementSequence(element)
        var notice = DevicePrenotification(
            device: try inner.take("DeviceID").eui64(),
            manufacturer: try inner.take("DeviceManufacturer").string(0...30),
            model: try inner.take("DeviceModel").string(0...30),
            type: try inner.take("DeviceType").choice(InventoryType.self))
        notice.specification = try inner.takeIf("SMETSCHTSVersion")?.string(1...20)
        notice.firmwareVersion = try inner.takeIf("FirmwareVersion")?.string(1...8)
        notice.esmeVariant = try inner.takeIf("ESMEVariant")?.esmeVariant()
        notice.gpf = try inner.takeIf("AssociatedGPFDeviceID")?.eui64()
        try inner.finish()
        return notice
    }

    private enum LogRequest: String, CaseIterable {
        case add = "Add"
        case remove = "Remove"
    }

    private func logUpdate(_ element: XMLElement) throws(Fault) -> HANDeviceLogUpdate {
        var inner = try ElementSequence(element)
        let time = try inner.takeIf("ExecutionDateTime")
        _ = try time?.dateTime()
        let device = try inner.take("DeviceID").eui64()
        let request = try inner.take("RequestType").choice(LogRequest.self)
        let added = try inner.takeIf("AddDeviceToCHFWhitelist")
        let update = try added.map { element throws(Fault) in try addition(of: device, element) }
        try inner.finish()
        if let time {
            throw Fault(
                .executionTime,
                "\(time.place): 8.11 is carried out at once here; leave the time out")
        }
        switch (request, update) {
        case (.remove, _): return .remove(device: device)
        case (.add, let update?): return update
        case (.add, nil):
            // The schema lets it through, and it says too little.
            throw Fault(
                "\(element.place): it ends where AddDeviceToCHFWhitelist is expected, with the "
                    + "install code of the device to be added")
        }
    }

    private func addition(
        of device: EUI64, _ element: XMLElement
    ) throws(Fault) -> HANDeviceLogUpdate {
        var inner = try ElementSequence(element)
        let joinTime = try inner.take("JoinTimePeriod").number(in: 1...3600 as ClosedRange<UInt16>)
        let installCode = try inner.take("InstallCode").hex(6...16)
        let mpxn = try inner.takeIf("ImportMPxN")?.string(1...13)
        _ = try inner.takeIf("SecondaryImportMPAN")?.string(13...13)
        _ = try inner.takeIf("ExportMPAN")?.string(13...13)
        try inner.finish()
        return .add(
            device: device, joinTime: joinTime, installCode: installCode, importMPxN: mpxn)
    }

    private func inventoryUpdate(_ element: XMLElement) throws(Fault) -> InventoryUpdate {
        var inner = try ElementSequence(element)
        let device = try inner.take("DeviceID").eui64()
        let what = try inner.takeAny("what is to be changed")
        try inner.finish()
        return InventoryUpdate(device: device, change: try change(what))
    }

    private func change(_ element: XMLElement) throws(Fault) -> InventoryUpdate.Change {
        switch element.name {
        case "UpdateDeviceStatusExceptCH":
            return .status(
                try element.choice(
                    DeviceStatus.self, among: [.pending, .installedNotCommissioned]))
        case "UpdateDeviceStatusCH":
            return .hubStatus(
                try element.choice(
                    DeviceStatus.self,
                    among: [.commissioned, .withdrawn, .installedNotCommissioned]))
        case "UpdateDeviceDetails":
            var inner = try ElementSequence(element)
            let change = InventoryUpdate.Change.details(
                manufacturer: try inner.takeIf("DeviceManufacturer")?.string(0...30),
                model: try inner.takeIf("DeviceModel")?.string(0...30),
                specification: try inner.takeIf("SMETSCHTSVersion")?.string(1...20),
                firmware: try inner.takeIf("FirmwareVersion")?.string(1...8),
                esmeVariant: try inner.takeIf("ESMEVariant")?.esmeVariant())
            try inner.finish()
            return change
        case "DeleteDevice":
            try element.checkIsEmpty()
            return .delete
        case "UpdateMPxN":
            var inner = try ElementSequence(element)
            let number = try inner.takeAny("a number of a supply point")
            try inner.finish()
            switch number.name {
            case "ImportMPxN": return .importMPxN(try number.string(1...13))
            case "SecondaryImportMPAN": return .secondaryImportMPAN(try number.string(13...13))
            case "ExportMPAN": return .exportMPAN(try number.string(13...13))
            default:
                throw Fault(
                    "\(number.place): expected ImportMPxN, SecondaryImportMPAN or ExportMPAN")
            }
        default:
            throw Fault(
                "\(element.place): expected UpdateDeviceStatusExceptCH, UpdateDeviceStatusCH, "
                    + "UpdateDeviceDetails, DeleteDevice or UpdateMPxN")
        }
    }

    private func inventoryQuery(_ element: XMLElement) throws(Fault) -> InventoryQuery {
        var inner = try ElementSequence(element)
        let what = try inner.takeAny("whom it asks for")
        try inner.finish()
        switch what.name {
        case "UPRN": return .uprn(try what.uprn())
        case "DeviceID": return .device(try what.eui64())
        case "MPxN": return .mpxn(try what.string(1...13))
        case "PropertyFilter":
            let (postCode, address) = try what.propertyFilter()
            return .property(postCode: postCode, address: address)
        default:
            throw Fault("\(what.place): expected UPRN, DeviceID, MPxN or PropertyFilter")
        }
    }
}

extension XMLElement {
    func esmeVariant() throws(Fault) -> String {
        try choice(of: DUISVocabulary.esmeVariants, "what an ESME can do, such as A or BD")
    }

    func propertyFilter() throws(Fault) -> (postCode: String, address: String) {
        var inner = try ElementSequence(self)
        let postCode = try inner.take("PostCode").string(6...8)
        let address = try inner.take("AddressIdentifier").string(0...30)
        try inner.finish()
        return (postCode, address)
    }
}
