import GBCS
import Wire

/// What the DSP serves, and to whom.
struct ServiceVariant: Sendable {
    var variant: String
    /// The command variants that it comes in, and where each is sent.
    var services: [UInt8: WebService]
    var roles: Set<ServiceUser.Role>

    private static let suppliers: Set<ServiceUser.Role> = [.importSupplier, .gasSupplier]
    private static let everybody = Set(ServiceUser.Role.allCases)

    /// The request matrix of DUIS; roles of 8.4, 8.11 and 12.2 are assumptions.
    static let all: [String: ServiceVariant] = Dictionary(
        uniqueKeysWithValues: [
            ServiceVariant(variant: "11.1", services: [8: .nonDevice], roles: suppliers),
            ServiceVariant(variant: "11.2", services: [1: .sendCommand], roles: everybody),
            ServiceVariant(
                variant: "11.3", services: [4: .transform, 5: .sendCommand], roles: suppliers),
            ServiceVariant(variant: "11.4", services: [8: .nonDevice], roles: suppliers),
            ServiceVariant(variant: "8.2", services: [8: .nonDevice], roles: everybody),
            ServiceVariant(variant: "8.4", services: [8: .nonDevice], roles: everybody),
            ServiceVariant(variant: "8.11", services: [1: .sendCommand], roles: everybody),
            ServiceVariant(variant: "12.2", services: [8: .nonDevice], roles: everybody),
        ].map { ($0.variant, $0) })
}

extension DCC {
    /// Carries out a request that its user has signed, or says why not. What is answered is to be
    /// said only once what it puts out is stored.
    public mutating func submit(
        _ request: ServiceRequest, over service: WebService, at now: UTCTime,
        into out: inout DCCOutbox
    ) -> ServiceResponse {
        let (code, payload) = carryOut(request, over: service, at: now, into: &out)
        finish(&out)
        return ServiceResponse(
            requestID: request.id, code: code, time: now,
            body: .response(
                reference: request.reference, variant: request.variant, payload))
    }

    typealias Answer = (ResponseCode, ResponsePayload?)

    func refuse(_ situation: ResponseCodes.Situation) -> Answer {
        (settings.codes[situation], nil)
    }

    private mutating func carryOut(
        _ request: ServiceRequest, over service: WebService, at now: UTCTime,
        into out: inout DCCOutbox
    ) -> Answer {
        guard let user = settings.users[request.id.originator] else { return refuse(.unknownUser) }
        guard user.isActive else { return refuse(.userNotActive) }
        let release = settings.releases.release(at: now)
        guard let variant = ServiceVariant.all[request.variant],
            request.variant != "11.4" || release >= .tracking
        else { return refuse(.notAvailable) }
        guard request.reference == variant.variant,
            let wanted = variant.services[request.commandVariant],
            Self.fits(request.body, variant.variant, request.commandVariant)
        else { return refuse(.commandVariant) }
        guard wanted == service else { return refuse(.wrongService) }
        guard !variant.roles.isDisjoint(with: user.roles) else { return refuse(.roleNotEligible) }
        guard remember(request, into: &out) else { return refuse(.replayed) }
        switch request.body {
        case .updateFirmware(let update), .updatePPMIDFirmware(let update):
            guard request.id.target == settings.id else { return refuse(.unknownDevice) }
            return self.update(request, update, release, at: now, into: &out)
        case .readFirmwareVersion(let execution):
            // The DSP's own future dating is not served.
            guard execution == nil else { return refuse(.executionTime) }
            return readVersion(request, at: now, into: &out)
        case .activateFirmware(let hash, let execution):
            return transform(request, hash, execution, at: now)
        case .signedPreCommand(let payload):
            return send(request, payload, at: now, into: &out)
        case .readInventory(let query):
            guard request.id.target == settings.id else { return refuse(.unknownDevice) }
            return read(query)
        case .devicePrenotification(let device):
            guard request.id.target == settings.id else { return refuse(.unknownDevice) }
            return prenotify(device, by: user, into: &out)
        case .updateInventory(let update):
            guard request.id.target == settings.id else { return refuse(.unknownDevice) }
            return change(update, by: user, at: now, into: &out)
        case .updateHANDeviceLog(let update):
            return changeLog(request, update, at: now, into: &out)
        case .other: return refuse(.notAvailable)
        }
    }

    private static func fits(
        _ body: ServiceRequest.Body, _ variant: String, _ commandVariant: UInt8
    ) -> Bool {
        switch body {
        case .updateFirmware: variant == "11.1"
        case .updatePPMIDFirmware: variant == "11.4"
        case .readFirmwareVersion: variant == "11.2"
        case .activateFirmware: variant == "11.3" && commandVariant == 4
        case .signedPreCommand: variant == "11.3" && commandVariant == 5
        case .devicePrenotification: variant == "12.2"
        case .updateHANDeviceLog: variant == "8.11"
        case .updateInventory: variant == "8.4"
        case .readInventory: variant == "8.2"
        case .other: false
        }
    }

    /// False if it has been here before. A signed pre-command bears the id of its transform.
    private mutating func remember(_ request: ServiceRequest, into out: inout DCCOutbox) -> Bool {
        let key = SeenKey(id: request.id, commandVariant: request.commandVariant)
        guard seen.insert(key).inserted else { return false }
        counters.seen += 1
        let record = SeenRequest(
            number: counters.seen, id: request.id, commandVariant: request.commandVariant)
        seenOrder.append(record)
        out.items.append(.save(.seen(record)))
        // The oldest are forgotten a hundred at a time, so that this costs nothing.
        if seenOrder.count >= settings.rememberedRequests + 100 {
            for old in seenOrder.prefix(100) {
                seen.remove(SeenKey(id: old.id, commandVariant: old.commandVariant))
                out.items.append(.remove(DCCRecord.seen(old).key))
            }
            seenOrder.removeFirst(100)
        }
        return true
    }

    /// The device that a request for a device is for, or why it may not be for it.
    func subject(
        of request: ServiceRequest, types: Set<InventoryType>, isForSupplier: Bool
    ) -> Result<InventoryDevice, Refusal> {
        guard let device = devices[request.id.target] else {
            return .failure(Refusal(.unknownDevice))
        }
        guard types.contains(device.type) else { return .failure(Refusal(.deviceType)) }
        guard !isForSupplier || device.supplier == request.id.originator else {
            return .failure(Refusal(.notResponsible))
        }
        guard settings.statuses[request.variant, default: []].contains(device.status) else {
            return .failure(Refusal(.deviceStatus))
        }
        return .success(device)
    }

    struct Refusal: Error {
        var situation: ResponseCodes.Situation
        init(_ situation: ResponseCodes.Situation) { self.situation = situation }
    }
}
