import DCC
import GBCS
import Tracking
import Wire

/// A request and its devices as the tracking takes them down.
struct RequestAccount {
    var request: SubmittedRequest
    var targets: [SubmittedTarget] = []

    /// `out` is what the DCC has put out for the request.
    init(
        _ asked: ServiceRequest, _ response: ServiceResponse, _ out: DCCOutbox, dcc: DCC,
        products: [ProductListEntry], at now: UTCTime, wall: Double
    ) {
        request = SubmittedRequest(
            id: asked.id, user: asked.id.originator, variant: asked.variant, code: response.code,
            received: now, receivedWall: wall)
        switch asked.body {
        case .updateFirmware(let update), .updatePPMIDFirmware(let update):
            addUpdate(update, response, out, dcc, products, now)
        case .updateInventory(let update):
            addDevice(update.device, response.code, .carriedOut, dcc, now)
        case .devicePrenotification(let device):
            addDevice(device.device, response.code, .carriedOut, dcc, now)
        case .readFirmwareVersion, .activateFirmware, .signedPreCommand, .updateHANDeviceLog:
            addDevice(asked.id.target, response.code, .validated, dcc, now)
        case .readInventory, .other: break
        }
    }

    /// `status` is where it stands unless the request is refused.
    private mutating func addDevice(
        _ id: EUI64, _ code: ResponseCode, _ status: TrackingStatus, _ dcc: DCC, _ now: UTCTime
    ) {
        let target = target(
            id, code.isError ? .refused : status, code.isError ? "\(code)" : nil, dcc, now)
        targets.append(target)
        (request.type, request.manufacturer) = (target.type, target.manufacturer)
        request.model = target.model
        if code.isError { request.refused = 1 } else { request.accepted = 1 }
    }

    private func target(
        _ id: EUI64, _ status: TrackingStatus, _ reason: String?, to version: UInt32? = nil,
        _ dcc: DCC, _ now: UTCTime
    ) -> SubmittedTarget {
        let device = dcc.inventory(of: id)
        return SubmittedTarget(
            request: request.id, device: id, hub: device?.hub, type: device?.type,
            manufacturer: device?.manufacturer, model: device?.model,
            fromVersion: device?.firmware, toVersion: version, status: status, reason: reason,
            time: now)
    }

    private mutating func addUpdate(
        _ update: FirmwareUpdate, _ response: ServiceResponse, _ out: DCCOutbox, _ dcc: DCC,
        _ products: [ProductListEntry], _ now: UTCTime
    ) {
        request.version = update.version
        if let header = try? OTAHeader(parsing: update.image) {
            request.fileVersion = header.fileVersion
            request.manufacturer = Hex.string(UInt64(header.manufacturerCode), digits: 4)
            let entry = products.first {
                $0.manufacturerCode == header.manufacturerCode
                    && $0.imageType == header.imageType.rawValue
                    && $0.version == header.fileVersion
                    && ($0.type == .ppmid) == (request.variant == "11.4")
            }
            request.model = entry?.model
            request.type = entry.map { InventoryType($0.type) }
        }
        for case .save(.update(let record)) in out.items where record.id == request.id {
            request.image = record.image
            for id in record.devices.ids {
                targets.append(target(id, .validated, nil, to: record.fileVersion, dcc, now))
            }
            request.accepted = record.devices.ids.count
            break
        }
        guard case .response(_, _, let payload?) = response.body else { return }
        let warning: FirmwareWarning
        switch payload {
        case .updateFirmwareWarning(let list), .updatePPMIDFirmwareWarning(let list):
            warning = list
        default: return
        }
        let lists: [(ids: [EUI64], reason: String)] = [
            (warning.invalid, "not in the inventory, of another type, or another supplier's"),
            (warning.notCommissioned, "its status does not allow it"),
            (warning.notApplicable, "the image is not for it, or does not follow what it runs"),
            (warning.otherRequest, "another update of it is under way"),
            (warning.gbcsVersion, "the GBCS version of its hub, or its own, is too low"),
        ]
        for (ids, reason) in lists {
            for id in ids {
                targets.append(
                    target(id, .refused, reason, to: request.fileVersion, dcc, now))
            }
        }
        request.refused = warning.count
    }
}

extension Notice {
    /// For people, one line.
    var summary: String {
        switch response.body {
        case .response(_, let variant, let payload):
            if case .futureDatedAlert(let code, _, _, _) = payload {
                let code = Hex.string(UInt64(code), digits: 4)
                return "\(code): what became of the \(variant) for later"
            }
            return "\(response.code): response to \(variant)"
        case .deviceAlert(let code, _):
            return "\(Hex.string(UInt64(code), digits: 4)): a device's alert"
        case .dccAlert(let code, let alert): return "\(code): \(alert.words)"
        }
    }
}

extension DCCAlert {
    fileprivate var words: String {
        switch self {
        case .deliveryStatus(_, _, _, let version, _, let isSuccess):
            "\(version) \(isSuccess ? "has reached" : "has not reached") the hub"
        case .firmwareTransfer(_, _, _, _, _, let version, let result):
            "the hub says of \(version): \(result.rawValue)"
        case .ppmidUpgrade(_, _, _, let version, let isSuccess):
            "the PPMID \(isSuccess ? "runs" : "has failed to activate") \(version)"
        case .firmwareVersionMismatch(_, _, let recorded, let reported):
            "the device runs \(reported), not \(recorded)"
        case .firmwareDistributionFailure(_, let devices):
            "nothing came of an update of \(devices.count) device\(devices.count == 1 ? "" : "s")"
        case .hubFirmwareActivation(_, let version): "the hub runs \(version)"
        }
    }
}
