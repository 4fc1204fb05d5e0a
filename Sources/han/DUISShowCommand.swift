import ArgumentParser
import Crypto
import DCC
import DUIS
import GBCS
import Lab
import Wire

struct DUISShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Explain a request or a response.",
        discussion: """
            The signature is not checked ('han duis verify' does that). Images and GBCS messages \
            are described; 'han gbcs decode' takes messages apart.

            --json prints an object with the keys kind (request, response), schemaVersion, and \
            fields, a list of {name, value} in the order in which they are shown.
            """)

    @Argument(help: ArgumentHelp("The document.", valueName: "file"), completion: .file())
    var file: String

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Print the GBCS message in it, in hex, and nothing else.")
    var payload = false

    func validate() throws {
        guard !json || !payload else {
            throw ValidationError("Give --json or --payload, not both.")
        }
    }

    func run() throws {
        let bytes = try DUISCommand.read(file)
        let reader = DUISReader(signatures: .ignored, maximumSize: DUISCommand.maximumSize)
        let report: DUISReport
        let message: [UInt8]?
        do throws(DUISRefusal) {
            if reader.kind(of: bytes) == .response {
                let received = try reader.response(bytes)
                (report, message) = (DUISReport(received), received.response.body.message)
            } else {
                let received = try reader.request(bytes)
                (report, message) = (DUISReport(received), received.request.body.message)
            }
        } catch {
            throw Failure(.data, "\(file): \(error)")
        }
        if payload {
            guard let message else { throw Failure(.data, "\(file): it has no GBCS message in it") }
            return try Output.write(Hex.string(message).uppercased() + "\n")
        }
        if json { return try Output.json(report) }
        try Output.write(
            "\(report.kind), schema \(report.schemaVersion)\n"
                + Output.columns(report.fields.map { ["  " + $0.name, $0.value] }))
    }
}

extension ServiceRequest.Body {
    fileprivate var message: [UInt8]? {
        if case .signedPreCommand(let payload) = self { payload } else { nil }
    }
}

extension ServiceResponse.Body {
    fileprivate var message: [UInt8]? {
        switch self {
        case .response(_, _, .gbcs(let bytes)), .response(_, _, .preCommand(_, let bytes)),
            .response(_, _, .futureDatedAlert(_, let bytes, _, _)), .deviceAlert(_, let bytes):
            bytes
        case .response, .dccAlert: nil
        }
    }
}

/// What a document says, in words.
struct DUISReport: Encodable {
    struct Field: Encodable {
        var name: String
        var value: String
    }

    var kind: String
    var schemaVersion: String
    private(set) var fields: [Field] = []

    private mutating func add(_ name: String, _ value: String?) {
        if let value { fields.append(Field(name: name, value: value)) }
    }

    private mutating func add(_ name: String, _ ids: [EUI64]) {
        guard !ids.isEmpty else { return }
        let shown = ids.prefix(5).map(\.dashed).joined(separator: ", ")
        add(
            name,
            ids.count > 5 ? "\(shown) and \(ids.count - 5) more" : shown)
    }

    private mutating func add(id: RequestID) {
        add("from", id.originator.dashed)
        add("to", id.target.dashed)
        add("counter", "\(id.counter)")
    }

    private static func time(_ time: UTCTime) -> String {
        GeneralizedTime(secondsSince2000: time.secondsSince2000).map { "\($0)" } ?? ""
    }

    // MARK: Requests

    init(_ received: ReceivedRequest) {
        let request = received.request
        kind = "request"
        schemaVersion = request.schemaVersion
        add(id: request.id)
        add(
            "service",
            request.variant == request.reference
                ? request.variant : "\(request.variant) of \(request.reference)")
        add("command variant", "\(request.commandVariant)")
        add(request.body)
    }

    private mutating func add(_ body: ServiceRequest.Body) {
        switch body {
        case .updateFirmware(let update):
            add("what", "update firmware")
            add(update, form: nil)
        case .updatePPMIDFirmware(let update):
            add("what", "update PPMIDs' firmware")
            add(update, form: .gbcsUnsigned)
        case .readFirmwareVersion(let execution):
            add("what", "read the firmware version")
            add(execution)
        case .activateFirmware(let hash, let execution):
            add("what", "activate firmware")
            add("hash", "\(hash)")
            add(execution)
        case .signedPreCommand(let payload):
            add("what", "send a signed pre-command")
            add("message", Hex.string(payload).uppercased())
        case .devicePrenotification(let notice):
            add("what", "tell of a device that is going to be installed")
            add("device", notice.device.dashed)
            add("type", notice.type.rawValue)
            add("manufacturer", notice.manufacturer)
            add("model", notice.model)
            add("specification", notice.specification)
            add("firmware version", notice.firmwareVersion)
            add("ESME variant", notice.esmeVariant)
            add("GPF", notice.gpf?.dashed)
        case .updateHANDeviceLog(let update): add(update)
        case .updateInventory(let update):
            add("what", "change the inventory")
            add("device", update.device.dashed)
            add(update.change)
        case .readInventory(let query):
            add("what", "read the inventory")
            switch query {
            case .device(let id): add("device", id.dashed)
            case .mpxn(let number): add("MPxN", number)
            case .uprn(let number): add("UPRN", number)
            case .property(let postCode, let address):
                add("post code", postCode)
                add("address", address)
            }
        case .other(let name): add("what", "\(name), which is not served here")
        }
    }

    private mutating func add(_ execution: ExecutionTime?) {
        switch execution {
        case .at(let time)?: add("when", Self.time(time))
        case .never?: add("when", "never: take back what was to be done later")
        case nil: add("when", "at once")
        }
    }

    private mutating func add(_ update: FirmwareUpdate, form: FirmwareImage.Form?) {
        add("firmware version", update.version)
        add("image", Output.exactSize(update.image.count))
        do {
            let image = try FirmwareImage(parsing: update.image, form: form)
            add("image's version", Hex.string(UInt64(image.header.fileVersion), digits: 8))
            add("image's form", image.form.rawValue)
            add("manufacturer image SHA-256", "\(image.manufacturerImageHash)")
        } catch {
            add("image's flaw", "\(error)")
        }
        add("devices", "\(update.devices.count)")
        add("device", update.devices)
    }

    private mutating func add(_ update: HANDeviceLogUpdate) {
        switch update {
        case .add(let device, let joinTime, let installCode, let mpxn):
            add("what", "put a device into the hub's log")
            add("device", device.dashed)
            add("join time", "\(joinTime)")
            add("install code", "\(installCode.count) bytes")
            add("import MPxN", mpxn)
        case .remove(let device):
            add("what", "strike a device off the hub's log")
            add("device", device.dashed)
        }
    }

    private mutating func add(_ change: InventoryUpdate.Change) {
        switch change {
        case .status(let status): add("status", status.rawValue)
        case .hubStatus(let status): add("hub's status", status.rawValue)
        case .details(let manufacturer, let model, let specification, let firmware, let variant):
            add("manufacturer", manufacturer)
            add("model", model)
            add("specification", specification)
            add("firmware version", firmware)
            add("ESME variant", variant)
        case .delete: add("change", "delete it")
        case .importMPxN(let number): add("import MPxN", number)
        case .secondaryImportMPAN(let number): add("secondary import MPAN", number)
        case .exportMPAN(let number): add("export MPAN", number)
        }
    }

    // MARK: Responses

    init(_ received: ReceivedResponse) {
        let response = received.response
        kind = "response"
        schemaVersion = received.schemaVersion
        if let id = response.requestID { add("to the request", "\(id)") }
        if let id = response.responseID { add("id", "\(id)") }
        add("code", response.code.rawValue)
        add("time", Self.time(response.time))
        switch response.body {
        case .response(let reference, let variant, let payload):
            add("service", variant == reference ? variant : "\(variant) of \(reference)")
            if let payload { add(payload) }
        case .deviceAlert(let code, let payload):
            add("what", "a device's alert " + Hex.string(UInt64(code), digits: 4))
            add("message", Hex.string(payload).uppercased())
        case .dccAlert(let code, let alert):
            add("what", "DCC alert \(code)")
            add(alert)
        }
    }

    private mutating func add(_ payload: ResponsePayload) {
        switch payload {
        case .inventory(let devices):
            add("devices", "\(devices.count)")
            for device in devices {
                let version = device.firmware.map { " " + Hex.string(UInt64($0), digits: 8) } ?? ""
                add(
                    device.id.dashed,
                    "\(device.type.rawValue), \(device.status.rawValue), \(device.manufacturer) "
                        + "\(device.model)\(version)")
            }
        case .updateFirmwareWarning(let warning), .updatePPMIDFirmwareWarning(let warning):
            add("left out", "\(warning.count) devices")
            add("invalid", warning.invalid)
            add("not commissioned", warning.notCommissioned)
            add("firmware not applicable", warning.notApplicable)
            add("other request in progress", warning.otherRequest)
            add("GBCS version", warning.gbcsVersion)
        case .gbcs(let bytes): add("message", Hex.string(bytes).uppercased())
        case .futureDatedAlert(let code, let bytes, let instruction, let instructions):
            add("alert", Hex.string(UInt64(code), digits: 4))
            add("instruction", "\(instruction) of \(instructions)")
            add("message", Hex.string(bytes).uppercased())
        case .preCommand(let version, let bytes):
            add("GBCS version", version)
            add("pre-command", Hex.string(bytes).uppercased())
        }
    }

    private mutating func add(_ alert: DCCAlert) {
        switch alert {
        case .deliveryStatus(let request, let hub, let device, let version, let time, let success):
            add("delivery to the hub", success ? "success" : "failure")
            add("of the request", "\(request)")
            add("hub", hub.dashed)
            add("device", device.dashed)
            add("firmware version", version)
            add("at", Self.time(time))
        case .firmwareTransfer(
            let hub, let code, let time, let request, let device, let version, let result):
            add("transfer from the hub", result.rawValue)
            add("of the request", request.map { "\($0)" })
            add("hub", hub.dashed)
            add("device", device.dashed)
            add("firmware version", version)
            add("alert", Hex.string(UInt64(code), digits: 4))
            add("at", time.map(Self.time))
        case .ppmidUpgrade(let device, let code, let time, let version, let success):
            add("activation", success ? "success" : "failure")
            add("device", device.dashed)
            add("firmware version", version)
            add("alert", Hex.string(UInt64(code), digits: 4))
            add("at", time.map(Self.time))
        case .firmwareVersionMismatch(let device, let type, let recorded, let reported):
            add("device", "\(device.dashed), \(type.rawValue)")
            add("version in the inventory", recorded)
            add("version that it reports", reported)
        case .firmwareDistributionFailure(let request, let devices):
            add("distribution failed", "\(request)")
            add("devices", "\(devices.count)")
            add("device", devices)
        case .hubFirmwareActivation(let device, let version):
            add("hub", device.dashed)
            add("activated", version)
        }
    }
}
