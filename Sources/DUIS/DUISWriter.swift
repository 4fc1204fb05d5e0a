import Crypto
import DCC
import Wire

/// Writes requests and responses (DUIS 5.4), signed or not. What is written is of the schema.
public enum DUISWriter {
    public static let schemaVersion = "5.4"
    /// Devices that an answer to 8.2 has room for.
    public static let maximumInventory = 17

    // MARK: Responses

    /// `requestIDText` is how the request's own id was written: an answer repeats it.
    ///
    /// Throws for codes and references that the schema does not have, and for an alert about
    /// devices that names none.
    public static func response(
        _ response: ServiceResponse, requestIDText: String? = nil, signedBy signer: XMLSigner?
    ) throws(DUISWriteError) -> [UInt8] {
        let builder = XMLBuilder(root: "Response", schemaVersion: schemaVersion)
        let header = builder.place.add("Header")
        if let id = response.requestID {
            let text = requestIDText.flatMap { RequestID($0) == id ? $0 : nil }
            header.add("RequestID", text ?? "\(id)")
        }
        if let id = response.responseID { header.add("ResponseID", id) }
        try check(response.code.rawValue, in: DUISVocabulary.responseCodes, "response code")
        header.add("ResponseCode", response.code.rawValue)
        header.add("ResponseDateTime", response.time)
        let body = builder.place.add("Body")
        switch response.body {
        case .response(let reference, let variant, let payload):
            try check(reference, in: DUISVocabulary.references, "service reference")
            try check(variant, in: DUISVocabulary.variants, "service reference variant")
            let message = body.add("ResponseMessage")
            message.add("ServiceReference", reference)
            message.add("ServiceReferenceVariant", variant)
            if let payload { try add(payload, to: message) }
        case .deviceAlert(let code, let payload):
            let alert = body.add("DeviceAlertMessage")
            alert.add("AlertCode", code: code)
            alert.add("GBCSPayload", base64: payload)
        case .dccAlert(let code, let alert):
            try check(code.rawValue, in: DUISVocabulary.alertCodes, "DCC alert code")
            let message = body.add("DCCAlertMessage")
            message.add("DCCAlertCode", code.rawValue)
            try add(alert, to: message.add("DCCAlert"))
        }
        return try builder.finish(signedBy: signer)
    }

    private static func check(
        _ text: String, in list: Set<String>, _ what: String
    ) throws(DUISWriteError) {
        guard list.contains(text) else {
            throw DUISWriteError(
                description: "the schema has no \(what) \(quoted(text)); use one of its list")
        }
    }

    private static func add(
        _ payload: ResponsePayload, to message: XMLBuilder.Place
    ) throws(DUISWriteError) {
        switch payload {
        case .inventory(let devices):
            // The schema has no empty inventory.
            guard !devices.isEmpty else { return }
            let inventory = message.add("DSPInventory")
            for device in devices.prefix(maximumInventory) {
                add(device, to: inventory.add("Device"))
            }
        case .updateFirmwareWarning(let warning):
            add(warning, to: message.add("DSPUpdateFirmwareWarning"))
        case .updatePPMIDFirmwareWarning(let warning):
            add(warning, to: message.add("DSPUpdatePPMIDFirmwareWarning"))
        case .gbcs(let bytes): message.add("GBCSPayload", base64: bytes)
        case .futureDatedAlert(let code, let bytes, let instruction, let instructions):
            guard code == 0x8F66 || code == 0x8F67 else {
                throw DUISWriteError(
                    description: "an alert of what was to be done later has the code 8F66 or 8F67, "
                        + "and not \(Hex.string(UInt64(code), digits: 4))")
            }
            let alert = message.add("FutureDatedDeviceAlertMessage")
            alert.add("FutureDatedAlertCode", code: code)
            alert.add("GBCSPayload", base64: bytes)
            alert.add("InstructionNumber", "\(instruction)")
            alert.add("TotalCommandInstructions", "\(instructions)")
        case .preCommand(let version, let bytes):
            let command = message.add("PreCommand")
            command.add("GBCSVersion", version)
            command.add("GBCSPayload", base64: bytes)
        }
    }

    private static func add(_ warning: FirmwareWarning, to place: XMLBuilder.Place) {
        let lists: [(StaticString, [EUI64])] = [
            ("InvalidDeviceIDList", warning.invalid),
            ("NotCommissionedDeviceIDList", warning.notCommissioned),
            ("NotApplicableFirmwareDeviceIDList", warning.notApplicable),
            ("OtherRequestInProgressList", warning.otherRequest),
            ("InvalidGBCSVersionList", warning.gbcsVersion),
        ]
        for (name, list) in lists where !list.isEmpty { place.add(name, list: list) }
    }

    /// What of the inventory's record the schema has no room for is cut, and what it has no such
    /// value of is left out.
    private static func add(_ device: InventoryDevice, to place: XMLBuilder.Place) {
        func add(_ name: StaticString, _ text: String?, _ length: ClosedRange<Int>) {
            guard let text, length.contains(text.unicodeScalars.count) else { return }
            place.add(name, text)
        }
        place.add("DeviceID", device.id)
        place.add("DeviceType", device.type.rawValue)
        place.add("DeviceStatus", device.status.rawValue)
        place.add("DeviceManufacturer", cut(device.manufacturer, 30))
        place.add("DeviceModel", cut(device.model, 30))
        add("SMETSCHTSVersion", device.specification, 1...20)
        if let version = device.firmware {
            place.add("DeviceFirmwareVersion", Hex.string(UInt64(version), digits: 8))
        }
        add("ImportMPxN", device.importMPxN, 1...13)
        add("SecondaryImportMPAN", device.secondaryImportMPAN, 13...13)
        add("ExportMPAN", device.exportMPAN, 13...13)
        if let variant = device.esmeVariant, DUISVocabulary.esmeVariants.contains(variant) {
            place.add("ESMEVariant", variant)
        }
        if let uprn = device.uprn, (1...12).contains(uprn.utf8.count),
            uprn.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            uprn.contains(where: { $0 != "0" })
        {
            place.add("UPRN", uprn)
        }
        if let postCode = device.postCode, (6...8).contains(postCode.unicodeScalars.count) {
            let filter = place.add("PropertyFilter")
            filter.add("PostCode", postCode)
            filter.add("AddressIdentifier", cut(device.address ?? "", 30))
        }
        if let region = device.region, DUISVocabulary.regions.contains(region) {
            place.add("CSPRegion", region)
        }
        if let version = device.gbcsVersion { place.add("DeviceGBCSVersion", version) }
    }

    private static func cut(_ text: String, _ length: Int) -> String {
        guard text.unicodeScalars.count > length else { return text }
        var cut = ""
        cut.unicodeScalars.append(contentsOf: text.unicodeScalars.prefix(length))
        return cut
    }

    /// 1 to 8 characters.
    private static func version(_ text: String) -> String {
        text.isEmpty ? "00000000" : cut(text, 8)
    }

    private static func add(
        _ alert: DCCAlert, to place: XMLBuilder.Place
    ) throws(DUISWriteError) {
        switch alert {
        case .deliveryStatus(let request, let hub, let device, let version, let time, let success):
            let body = place.add("CSPFirmwareDeliveryStatus")
            body.add("UpdateFirmwareRequestID", request)
            body.add("CommsHubDeviceID", hub)
            body.add("TargetDeviceID", device)
            body.add("FirmwareVersion", Self.version(version))
            body.add("TimeStamp", time)
            body.add("CommsHubTransferStatus", success ? "Success" : "Failure")
        case .firmwareTransfer(
            let hub, let code, let time, let request, let device, let version, let result):
            let body = place.add("CommsHubAlert")
            body.add("CommsHubDeviceID", hub)
            body.add("AlertCode", code: code)
            if let time { body.add("TimeStamp", time) }
            let transfer = body.add("FirmwareTransferAlert")
            if let request { transfer.add("UpdateFirmwareRequestID", request) }
            transfer.add("OtherDeviceID", device)
            transfer.add("FirmwareVersion", Self.version(version))
            transfer.add("TransferResponseCode", result.rawValue)
        case .ppmidUpgrade(let device, let code, let time, let version, let success):
            let body = place.add("PPMIDAlert")
            body.add("DeviceID", device)
            body.add("DeviceAlertCode", code: code)
            if let time { body.add("Timestamp", time) }
            let upgrade = body.add("PPMIDFirmwareUpgradeAlert")
            upgrade.add("FirmwareVersion", Self.version(version))
            upgrade.add(
                "ActivateImageResultCode", success ? "ActivationSuccess" : "ActivationFailure")
        case .firmwareVersionMismatch(let device, let type, let recorded, let reported):
            let body = place.add("FirmwareVersionMismatch")
            body.add("DeviceID", device)
            body.add("DeviceType", type.rawValue)
            body.add("FirmwareVersionSMI", version(recorded))
            body.add("FirmwareVersionDevice", version(reported))
        case .firmwareDistributionFailure(let request, let devices):
            guard !devices.isEmpty else {
                throw DUISWriteError(
                    description: "an alert of a failed distribution names at least one device")
            }
            let body = place.add("FirmwareDistributionFailure")
            body.add("UpdateFirmwareRequestID", request)
            body.add("MeterIDs", list: devices)
        case .hubFirmwareActivation(let device, let version):
            let body = place.add("CommsHubFirmwareActivation")
            body.add("DeviceID", device)
            body.add("FirmwareVersion", Self.version(version))
        }
    }
}
