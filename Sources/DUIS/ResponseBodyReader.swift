import DCC
import GBCS
import Wire

/// Reads the body of a response: form only, as the schema has it.
struct ResponseBodyReader {
    func read(_ body: XMLElement) throws(Fault) -> ServiceResponse.Body {
        var sequence = try ElementSequence(body)
        let element = try sequence.takeAny("a response's own element")
        try sequence.finish()
        switch element.name {
        case "ResponseMessage": return try message(element)
        case "DeviceAlertMessage":
            var inner = try ElementSequence(element)
            let code = try inner.take("AlertCode").code()
            try throttling(&inner)
            let payload = try inner.take("GBCSPayload").base64(limit: Self.maximumPayload)
            try inner.finish()
            return .deviceAlert(code: code, payload: payload)
        case "DCCAlertMessage":
            var inner = try ElementSequence(element)
            let code = try inner.take("DCCAlertCode").choice(
                of: DUISVocabulary.alertCodes, "an alert code of the schema, such as N60")
            try throttling(&inner)
            let alert = try alert(try inner.take("DCCAlert"))
            try inner.finish()
            return .dccAlert(DCCAlertCode(rawValue: code), alert)
        default: throw unread(element)
        }
    }

    private static let maximumPayload = 1 << 20
    /// A warning may name every device of a request.
    private static let maximumList = RequestBodyReader.maximumList

    private func unread(_ element: XMLElement) -> Fault {
        Fault("\(element.place): it is none of those that are read here")
    }

    private func throttling(_ sequence: inout ElementSequence) throws(Fault) {
        let any: ClosedRange<UInt32> = 0...(.max)
        _ = try sequence.takeIf("ThrottledAlertSequenceId")?.number(in: any)
        _ = try sequence.takeIf("ThrottledAlertCount")?.number(in: any)
    }

    // MARK: Responses

    private func message(_ element: XMLElement) throws(Fault) -> ServiceResponse.Body {
        var inner = try ElementSequence(element)
        let reference = try inner.take("ServiceReference").serviceReference()
        let variant = try inner.take("ServiceReferenceVariant").serviceVariant()
        var payload: ResponsePayload?
        if try inner.peek() != nil {
            payload = try self.payload(try inner.takeAny("what is answered"))
        }
        try inner.finish()
        return .response(reference: reference, variant: variant, payload)
    }

    private func payload(_ element: XMLElement) throws(Fault) -> ResponsePayload {
        switch element.name {
        case "DSPInventory":
            var inner = try ElementSequence(element)
            var devices = [try device(try inner.take("Device"))]
            while let next = try inner.takeIf("Device") {
                devices.append(try device(next))
                guard devices.count <= DUISWriter.maximumInventory else {
                    throw Fault(
                        "\(next.place): more than \(DUISWriter.maximumInventory) devices")
                }
            }
            try inner.finish()
            return .inventory(devices)
        case "DSPUpdateFirmwareWarning": return .updateFirmwareWarning(try warning(element))
        case "DSPUpdatePPMIDFirmwareWarning":
            return .updatePPMIDFirmwareWarning(try warning(element))
        case "GBCSPayload": return .gbcs(try element.base64(limit: Self.maximumPayload))
        case "FutureDatedDeviceAlertMessage":
            var inner = try ElementSequence(element)
            let element = try inner.take("FutureDatedAlertCode")
            let code = try element.code()
            guard code == 0x8F66 || code == 0x8F67 else {
                throw element.fault(Hex.string(UInt64(code), digits: 4), expected: "8F66 or 8F67")
            }
            let payload = try inner.take("GBCSPayload").base64(limit: Self.maximumPayload)
            let any: ClosedRange<UInt16> = 0...(.max)
            let number = try inner.take("InstructionNumber").number(in: any)
            let total = try inner.take("TotalCommandInstructions").number(in: any)
            try inner.finish()
            return .futureDatedAlert(
                code: code, payload: payload, instruction: number, instructions: total)
        case "PreCommand":
            var inner = try ElementSequence(element)
            let version = try inner.take("GBCSVersion").string(0...100)
            let payload = try inner.take("GBCSPayload").base64(limit: Self.maximumPayload)
            try inner.finish()
            return .preCommand(gbcsVersion: version, payload)
        default: throw unread(element)
        }
    }

    private func warning(_ element: XMLElement) throws(Fault) -> FirmwareWarning {
        var inner = try ElementSequence(element)
        var warning = FirmwareWarning()
        func list(_ name: StaticString) throws(Fault) -> [EUI64] {
            try inner.takeIf(name)?.deviceIDs(limit: Self.maximumList) ?? []
        }
        warning.invalid = try list("InvalidDeviceIDList")
        warning.notCommissioned = try list("NotCommissionedDeviceIDList")
        warning.notApplicable = try list("NotApplicableFirmwareDeviceIDList")
        warning.otherRequest = try list("OtherRequestInProgressList")
        warning.gbcsVersion = try list("InvalidGBCSVersionList")
        try inner.finish()
        return warning
    }

    private func device(_ element: XMLElement) throws(Fault) -> InventoryDevice {
        var inner = try ElementSequence(element)
        let id = try inner.take("DeviceID").eui64()
        let type = try inner.take("DeviceType").choice(InventoryType.self)
        let status = try inner.takeIf("DeviceStatus")?.choice(DeviceStatus.self)
        var device = InventoryDevice(
            id: id, type: type, status: status ?? .pending,
            manufacturer: try inner.take("DeviceManufacturer").string(0...30),
            model: try inner.take("DeviceModel").string(0...30))
        device.specification = try inner.takeIf("SMETSCHTSVersion")?.string(1...20)
        if let version = try inner.takeIf("DeviceFirmwareVersion") {
            let text = try version.string(1...8)
            guard let number = UInt32(text, radix: 16), text.utf8.first != UInt8(ascii: "+") else {
                throw version.fault(text, expected: "a version of up to 8 hex digits")
            }
            device.firmware = number
        }
        let statuses = ProductListEntry.Status.self
        _ = try inner.takeIf("DeviceFirmwareVersionStatus")?.choice(statuses)
        _ = try inner.takeIf("CPLStatus")?.choice(statuses)
        _ = try inner.takeIf("DateCommissioned")?.string(10...20)
        device.importMPxN = try inner.takeIf("ImportMPxN")?.string(1...13)
        device.secondaryImportMPAN = try inner.takeIf("SecondaryImportMPAN")?.string(13...13)
        device.exportMPAN = try inner.takeIf("ExportMPAN")?.string(13...13)
        device.esmeVariant = try inner.takeIf("ESMEVariant")?.esmeVariant()
        device.uprn = try inner.takeIf("UPRN")?.uprn()
        if let filter = try inner.takeIf("PropertyFilter")?.propertyFilter() {
            device.postCode = filter.postCode
            device.address = filter.address
        }
        device.region = try inner.takeIf("CSPRegion")?.choice(
            of: DUISVocabulary.regions, "a region of the schema")
        device.gbcsVersion = try inner.takeIf("DeviceGBCSVersion")?.string(0...100)
        _ = try inner.takeIf("HANVariant")?.string(0...100)
        _ = try inner.takeIf("S1SP")?.string(0...100)
        _ = try inner.takeIf("Connectivity")?.string(0...100)
        try inner.finish()
        return device
    }

    // MARK: DCC alerts

    private func alert(_ element: XMLElement) throws(Fault) -> DCCAlert {
        var sequence = try ElementSequence(element)
        let element = try sequence.takeAny("what the alert is about")
        try sequence.finish()
        var inner = try ElementSequence(element)
        let alert: DCCAlert
        switch element.name {
        case "CSPFirmwareDeliveryStatus":
            alert = .deliveryStatus(
                request: try inner.take("UpdateFirmwareRequestID").requestID().id,
                hub: try inner.take("CommsHubDeviceID").eui64(),
                device: try inner.take("TargetDeviceID").eui64(),
                version: try inner.take("FirmwareVersion").string(1...8),
                time: try inner.take("TimeStamp").dateTime().utc,
                isSuccess: try inner.take("CommsHubTransferStatus").choice(
                    of: ["Success", "Failure"], "Success or Failure") == "Success")
        case "CommsHubAlert": alert = try hubAlert(&inner)
        case "PPMIDAlert": alert = try ppmidAlert(&inner)
        case "FirmwareVersionMismatch":
            alert = .firmwareVersionMismatch(
                device: try inner.take("DeviceID").eui64(),
                type: try inner.take("DeviceType").choice(InventoryType.self),
                recorded: try inner.take("FirmwareVersionSMI").string(1...8),
                reported: try inner.take("FirmwareVersionDevice").string(1...8))
        case "FirmwareDistributionFailure":
            alert = .firmwareDistributionFailure(
                request: try inner.take("UpdateFirmwareRequestID").requestID().id,
                devices: try inner.take("MeterIDs").deviceIDs(limit: Self.maximumList))
        case "CommsHubFirmwareActivation":
            alert = .hubFirmwareActivation(
                device: try inner.take("DeviceID").eui64(),
                version: try inner.take("FirmwareVersion").string(1...8))
        default: throw unread(element)
        }
        try inner.finish()
        return alert
    }

    private func hubAlert(_ inner: inout ElementSequence) throws(Fault) -> DCCAlert {
        let hub = try inner.take("CommsHubDeviceID").eui64()
        let code = try inner.take("AlertCode").code()
        let time = try inner.takeIf("TimeStamp")?.dateTime().utc
        var about = try ElementSequence(try inner.take("FirmwareTransferAlert"))
        let request = try about.takeIf("UpdateFirmwareRequestID")?.requestID().id
        let alert = DCCAlert.firmwareTransfer(
            hub: hub, alertCode: code, time: time, request: request,
            device: try about.take("OtherDeviceID").eui64(),
            version: try about.take("FirmwareVersion").string(1...8),
            result: try about.take("TransferResponseCode").choice(TransferResult.self))
        try about.finish()
        return alert
    }

    private func ppmidAlert(_ inner: inout ElementSequence) throws(Fault) -> DCCAlert {
        let device = try inner.take("DeviceID").eui64()
        let code = try inner.take("DeviceAlertCode").code()
        let time = try inner.takeIf("Timestamp")?.dateTime().utc
        var about = try ElementSequence(try inner.take("PPMIDFirmwareUpgradeAlert"))
        let alert = DCCAlert.ppmidUpgrade(
            device: device, alertCode: code, time: time,
            version: try about.take("FirmwareVersion").string(1...8),
            isSuccess: try about.take("ActivateImageResultCode").choice(
                of: ["ActivationSuccess", "ActivationFailure"],
                "ActivationSuccess or ActivationFailure") == "ActivationSuccess")
        try about.finish()
        return alert
    }
}
