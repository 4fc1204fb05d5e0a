import DCC
import Wire

extension DUISWriter {
    /// Throws for a reference that the schema does not have, a text that is too long for it, and a
    /// body that is only known by its name.
    public static func request(
        _ request: ServiceRequest, signedBy signer: XMLSigner?
    ) throws(DUISWriteError) -> [UInt8] {
        let builder = XMLBuilder(root: "Request", schemaVersion: request.schemaVersion)
        let header = builder.place.add("Header")
        header.add("RequestID", request.id)
        header.add("CommandVariant", "\(request.commandVariant)")
        header.add("ServiceReference", request.reference)
        header.add("ServiceReferenceVariant", request.variant)
        try add(request.body, to: builder.place.add("Body"))
        let reader = DUISReader(signatures: .ignored)
        let bytes = try builder.finish(signedBy: signer)
        // Every bound and every list is the reader's.
        do {
            _ = try reader.request(bytes)
        } catch {
            throw DUISWriteError(description: "the schema has no such request: \(error.detail)")
        }
        return bytes
    }

    private static func add(
        _ body: ServiceRequest.Body, to place: XMLBuilder.Place
    ) throws(DUISWriteError) {
        switch body {
        case .updateFirmware(let update): add(update, to: place.add("UpdateFirmware"))
        case .updatePPMIDFirmware(let update): add(update, to: place.add("UpdatePPMIDFirmware"))
        case .readFirmwareVersion(let execution):
            add(execution, to: place.add("ReadFirmwareVersion"))
        case .activateFirmware(let hash, let execution):
            let element = place.add("ActivateFirmware")
            add(execution, to: element)
            element.add("FirmwareHash", hash.description.uppercased())
        case .signedPreCommand(let payload):
            place.add("SignedPreCommand").add("GBCSPayload", base64: payload)
        case .devicePrenotification(let notice):
            let element = place.add("DevicePrenotification")
            element.add("DeviceID", notice.device)
            element.add("DeviceManufacturer", notice.manufacturer)
            element.add("DeviceModel", notice.model)
            element.add("DeviceType", notice.type.rawValue)
            element.addIf("SMETSCHTSVersion", notice.specification)
            element.addIf("FirmwareVersion", notice.firmwareVersion)
            element.addIf("ESMEVariant", notice.esmeVariant)
            if let gpf = notice.gpf { element.add("AssociatedGPFDeviceID", gpf) }
        case .updateHANDeviceLog(let update): add(update, to: place.add("UpdateHANDeviceLog"))
        case .updateInventory(let update):
            let element = place.add("UpdateInventory")
            element.add("DeviceID", update.device)
            add(update.change, to: element)
        case .readInventory(let query):
            let element = place.add("ReadInventory")
            switch query {
            case .device(let id): element.add("DeviceID", id)
            case .mpxn(let number): element.add("MPxN", number)
            case .uprn(let number): element.add("UPRN", number)
            case .property(let postCode, let address):
                let filter = element.add("PropertyFilter")
                filter.add("PostCode", postCode)
                filter.add("AddressIdentifier", address)
            }
        case .other(let name):
            throw DUISWriteError(
                description: "what is in \(quoted(name)) is not known, so it is not written")
        }
    }

    private static func add(_ update: FirmwareUpdate, to element: XMLBuilder.Place) {
        element.add("FirmwareImage", base64: update.image)
        element.add("FirmwareVersion", update.version)
        element.add("DeviceIDList", list: update.devices)
    }

    private static func add(_ execution: ExecutionTime?, to element: XMLBuilder.Place) {
        switch execution {
        case .at(let time)?: element.add("ExecutionDateTime", time)
        case .never?: element.add("ExecutionDateTime", SchemaTime.cancelText)
        case nil: break
        }
    }

    private static func add(_ update: HANDeviceLogUpdate, to element: XMLBuilder.Place) {
        element.add("DeviceID", update.device)
        guard case .add(_, let joinTime, let installCode, let mpxn) = update else {
            element.add("RequestType", "Remove")
            return
        }
        element.add("RequestType", "Add")
        let added = element.add("AddDeviceToCHFWhitelist")
        added.add("JoinTimePeriod", "\(joinTime)")
        added.add("InstallCode", Hex.string(installCode).uppercased())
        added.addIf("ImportMPxN", mpxn)
    }

    private static func add(_ change: InventoryUpdate.Change, to element: XMLBuilder.Place) {
        switch change {
        case .status(let status): element.add("UpdateDeviceStatusExceptCH", status.rawValue)
        case .hubStatus(let status): element.add("UpdateDeviceStatusCH", status.rawValue)
        case .details(let manufacturer, let model, let specification, let firmware, let variant):
            let details = element.add("UpdateDeviceDetails")
            details.addIf("DeviceManufacturer", manufacturer)
            details.addIf("DeviceModel", model)
            details.addIf("SMETSCHTSVersion", specification)
            details.addIf("FirmwareVersion", firmware)
            details.addIf("ESMEVariant", variant)
        case .delete: element.add("DeleteDevice")
        case .importMPxN(let number): element.add("UpdateMPxN").add("ImportMPxN", number)
        case .secondaryImportMPAN(let number):
            element.add("UpdateMPxN").add("SecondaryImportMPAN", number)
        case .exportMPAN(let number): element.add("UpdateMPxN").add("ExportMPAN", number)
        }
    }
}

extension XMLBuilder.Place {
    func addIf(_ name: StaticString, _ text: String?) {
        if let text { add(name, text) }
    }
}
