import ArgumentParser
import Crypto
import DCC
import DUIS
import Foundation
import GBCS
import Lab
import Wire

/// The requests that `han duis request` makes, and the options that each needs or takes.
enum RequestVariant: String, CaseIterable, ExpressibleByArgument, OptionVariant {
    case updateFirmware = "11.1"
    case readFirmwareVersion = "11.2"
    case activateFirmware = "11.3"
    case updatePPMIDFirmware = "11.4"
    case readInventory = "8.2"
    case updateInventory = "8.4"
    case updateHANDeviceLog = "8.11"
    case devicePrenotification = "12.2"

    /// Options that must be given, and that may be.
    var options: (needed: [String], taken: [String]) {
        let details = [
            "manufacturer", "model", "specification", "firmware-version", "esme-variant",
        ]
        switch self {
        case .updateFirmware, .updatePPMIDFirmware: return (["image", "device"], ["version"])
        case .readFirmwareVersion: return (["device"], ["at", "cancel"])
        case .activateFirmware:
            return ([], ["device", "hash", "image", "at", "cancel", "pre-command"])
        case .readInventory: return ([], ["device", "mpxn", "uprn", "post-code", "address"])
        case .updateInventory:
            return (
                ["device"],
                ["status", "hub-status", "delete", "mpxn", "secondary-mpan", "export-mpan"]
                    + details
            )
        case .updateHANDeviceLog:
            return (["device", "hub"], ["install-code", "join-time", "mpxn", "remove"])
        case .devicePrenotification:
            return (
                ["device", "type", "manufacturer", "model"], Array(details.dropFirst(2)) + ["gpf"]
            )
        }
    }

    /// Whether the request is for the DCC itself.
    var isForDCC: Bool {
        switch self {
        case .readFirmwareVersion, .activateFirmware, .updateHANDeviceLog: false
        default: true
        }
    }

    /// The command variant: 1 to a device, 4 to be transformed, 8 to the DCC.
    var commandVariant: UInt8 {
        self == .activateFirmware ? 4 : isForDCC ? 8 : 1
    }
}

extension DeviceStatus: ExpressibleByArgument {}

struct DUISRequestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "request",
        abstract: "Make a signed service request.",
        discussion: """
            Prints the request as XML (DUIS 5.4), signed with the user's key from --keystore, or \
            with --unsigned without a signature.

            What each needs, and in brackets what it takes besides:

              11.1, 11.4   --image --device [--version]
              11.2         --device [--at or --cancel]
              11.3         --device --hash or --image [--at or --cancel], to be transformed;
                           --pre-command with what was made of it, to be sent
              8.2          --device, --mpxn, --uprn, or --post-code with --address
              8.4          --device, and one of --status --hub-status --delete --mpxn \
            --secondary-mpan --export-mpan, or details: --manufacturer --model --specification \
            --firmware-version --esme-variant
              8.11         --hub --device, and --install-code --join-time [--mpxn], or --remove
              12.2         --device --type --manufacturer --model [--specification \
            --firmware-version --esme-variant --gpf]

            Times are UTC such as 2030-01-15T09:00:00Z.
            """)

    @Argument(help: ArgumentHelp("Which request.", valueName: "variant"))
    var variant: RequestVariant

    @OptionGroup
    var signer: XMLSignerArgument

    @Flag(help: "Leave the signature out; --user says whose request it is.")
    var unsigned = false

    @Option(
        parsing: .unconditional,
        help: "The counter of the RequestID; without it, milliseconds since 2000.",
        transform: CodeArgument.read)
    var counter: CodeArgument<UInt64>?

    @Option(
        help: ArgumentHelp(
            "The DCC's id; without it, the DSP's in the key stores or the usual one.",
            valueName: "eui64"))
    var dcc: EUI64?

    @Option(help: ArgumentHelp("A device; with 11.1 and 11.4 several.", valueName: "eui64"))
    var device: [EUI64] = []

    @Option(
        help: ArgumentHelp("An image file, or an id of the manifest.", valueName: "image"),
        completion: .custom { _, _, prefix in Completions.images(prefix) })
    var image: String?

    @Option(
        help: ArgumentHelp("The firmware version; without it, the image's own.", valueName: "text"))
    var version: String?

    @Option(help: ArgumentHelp("The manufacturer image hash.", valueName: "hex"))
    var hash: String?

    @Option(
        help: ArgumentHelp(
            "The pre-command that its user has signed: hex, or a file with hex or the message.",
            valueName: "message"), completion: .file())
    var preCommand: String?

    @Option(help: ArgumentHelp("When to do it; else at once.", valueName: "time"))
    var at: GeneralizedTime?

    @Flag(help: "Take back what was to be done later.")
    var cancel = false

    @Option(help: ArgumentHelp("The CHF whose log is to be changed.", valueName: "eui64"))
    var hub: EUI64?

    @Option(help: ArgumentHelp("Six to sixteen bytes without CRC.", valueName: "hex"))
    var installCode: String?

    @Option(
        parsing: .unconditional, help: "How long the device may join, 1-3600.",
        transform: CodeArgument.read)
    var joinTime: CodeArgument<UInt16>?

    @Flag(help: "Strike the device off the log.")
    var remove = false

    @Option(help: ArgumentHelp("The import MPxN.", valueName: "text"))
    var mpxn: String?

    @Option(help: ArgumentHelp("The secondary import MPAN.", valueName: "text"))
    var secondaryMpan: String?

    @Option(help: ArgumentHelp("The export MPAN.", valueName: "text"))
    var exportMpan: String?

    @Option(help: ArgumentHelp("A property's number.", valueName: "number"))
    var uprn: String?

    @Option(help: ArgumentHelp("A property's post code.", valueName: "text"))
    var postCode: String?

    @Option(help: ArgumentHelp("What the property is called at its post code.", valueName: "text"))
    var address: String?

    @Option(help: "A device's new status: Pending or InstalledNotCommissioned.")
    var status: DeviceStatus?

    @Option(help: "A hub's new status: Commissioned, Withdrawn or InstalledNotCommissioned.")
    var hubStatus: DeviceStatus?

    @Flag(help: "Delete the device from the inventory.")
    var delete = false

    @Option(help: "What the device is.")
    var type: InventoryType?

    @Option(help: ArgumentHelp("Its manufacturer.", valueName: "text"))
    var manufacturer: String?

    @Option(help: ArgumentHelp("Its model.", valueName: "text"))
    var model: String?

    @Option(help: ArgumentHelp("Its technical specification, as 'SMETS V4.2'.", valueName: "text"))
    var specification: String?

    @Option(help: ArgumentHelp("What it runs.", valueName: "text"))
    var firmwareVersion: String?

    @Option(help: ArgumentHelp("What an ESME can do, as AD.", valueName: "text"))
    var esmeVariant: String?

    @Option(help: ArgumentHelp("The GPF that belongs to a CHF.", valueName: "eui64"))
    var gpf: EUI64?

    func validate() throws {
        let given = RequestVariant.given(to: self)
        try variant.check(given)
        let isList = variant == .updateFirmware || variant == .updatePPMIDFirmware
        guard device.count <= 1 || isList else {
            throw ValidationError("\(variant.rawValue) is about one --device.")
        }
        guard at == nil || !cancel else {
            throw ValidationError("Give --at or --cancel, not both.")
        }
        if let at {
            guard at.secondsSince2000 != nil else {
                throw ValidationError("--at \(at) lies outside 2000 to 2136.")
            }
        }
        if unsigned {
            guard signer.user != nil else { throw ValidationError("--unsigned needs --user.") }
        }
        try validateChoices(given)
        guard hash.map({ Hex.bytes($0)?.count == 32 }) ?? true else {
            throw ValidationError("--hash needs 64 hex digits.")
        }
        guard installCode.map({ (6...16).contains(Hex.bytes($0)?.count ?? 0) }) ?? true else {
            throw ValidationError("--install-code needs 12 to 32 hex digits, two for each byte.")
        }
    }

    private func validateChoices(_ given: [String]) throws {
        func one(of names: [String]) throws {
            guard given.filter(names.contains).count == 1 else {
                let list = names.map { "--\($0)" }.joined(separator: ", ")
                throw ValidationError("\(variant.rawValue) needs one of \(list).")
            }
        }
        switch variant {
        case .activateFirmware:
            try one(of: ["hash", "image", "pre-command"])
            guard preCommand == nil ? given.contains("device") : given == ["pre-command"] else {
                throw ValidationError(
                    preCommand == nil
                        ? "11.3 needs --device."
                        : "With --pre-command, which says all of it, 11.3 takes nothing else.")
            }
            guard preCommand == nil || counter == nil else {
                throw ValidationError("--pre-command has its request's counter in it.")
            }
        case .readInventory:
            try one(of: ["device", "mpxn", "uprn", "post-code"])
            guard (postCode == nil) == (address == nil) else {
                throw ValidationError("Give both --post-code and --address, or neither.")
            }
        case .updateInventory:
            let single = [
                "status", "hub-status", "delete", "mpxn", "secondary-mpan", "export-mpan",
            ]
            let details = given.filter { !single.contains($0) && $0 != "device" }
            guard given.filter(single.contains).count + (details.isEmpty ? 0 : 1) == 1 else {
                throw ValidationError("8.4 needs one change, or details only.")
            }
        case .updateHANDeviceLog:
            let added = given.filter { ["install-code", "join-time"].contains($0) }.count
            guard remove ? added == 0 && mpxn == nil : added == 2 else {
                throw ValidationError(
                    "8.11 needs --install-code and --join-time, or --remove alone.")
            }
        default: break
        }
    }

    func run() throws {
        let keys = try signer.keyStore.read()
        let own = unsigned ? nil : try signer.signer(in: keys)
        guard let user = own?.id ?? signer.user else {
            throw Failure(.setting, "the certificate of the user's key says no EUI-64; say --user")
        }
        let about = device.first ?? dccID(keys)
        let target =
            variant.isForDCC ? dccID(keys) : variant == .updateHANDeviceLog ? hub ?? about : about
        if let preCommand {
            return try write(try Self.request(sending: preCommand, from: user), own)
        }
        let now = UInt64(max(0, Date().timeIntervalSince1970 - 946_684_800) * 1_000)
        let request = ServiceRequest(
            id: RequestID(originator: user, target: target, counter: counter?.value ?? now),
            commandVariant: variant.commandVariant, reference: variant.rawValue,
            variant: variant.rawValue, body: try body(about))
        try write(request, own)
    }

    /// The request that sends a signed pre-command, under the id that it was made for.
    private static func request(
        sending argument: String, from user: EUI64
    ) throws -> ServiceRequest {
        let bytes = try MessageArgument.read(argument)
        let message: GBCSMessage
        do {
            message = try GBCSMessage(parsing: bytes)
        } catch {
            throw Failure(.data, "--pre-command: \(error)")
        }
        guard message.header.originator == user else {
            throw Failure(
                .data,
                "--pre-command: it is from \(message.header.originator.dashed), and the request "
                    + "from \(user.dashed)")
        }
        guard case .signature = message.signature else {
            throw Failure(.data, "--pre-command: it is not signed; 'han gbcs sign' does that")
        }
        let variant = RequestVariant.activateFirmware.rawValue
        return ServiceRequest(
            id: RequestID(
                originator: user, target: message.header.recipient,
                counter: message.header.counter),
            commandVariant: 5, reference: variant, variant: variant,
            body: .signedPreCommand(payload: bytes))
    }

    private func write(_ request: ServiceRequest, _ own: XMLSigner?) throws {
        do {
            let bytes = try DUISWriter.request(request, signedBy: own)
            try Output.write(String(decoding: bytes, as: UTF8.self))
        } catch let error as DUISWriteError {
            throw Failure(.usage, error.description)
        }
    }

    private func dccID(_ keys: XMLKeys) -> EUI64 {
        dcc ?? keys.entries.first { $0.role == .dsp }?.id ?? DCCSettings().id
    }

    /// What the request says. Everything that it needs was found there by `validate`.
    private func body(_ about: EUI64) throws -> ServiceRequest.Body {
        let execution: ExecutionTime? =
            cancel
            ? .never : at?.secondsSince2000.map { .at(UTCTime(secondsSince2000: $0)) }
        switch variant {
        case .updateFirmware: return .updateFirmware(try update())
        case .updatePPMIDFirmware: return .updatePPMIDFirmware(try update())
        case .readFirmwareVersion: return .readFirmwareVersion(execution: execution)
        case .activateFirmware:
            if let given = hash.flatMap({ Hex.bytes($0) }).flatMap({ Digest256($0) }) {
                return .activateFirmware(hash: given, execution: execution)
            }
            let image = try readImage()
            return .activateFirmware(hash: image.manufacturerImageHash, execution: execution)
        case .readInventory:
            if let mpxn { return .readInventory(.mpxn(mpxn)) }
            if let uprn { return .readInventory(.uprn(uprn)) }
            if let postCode, let address {
                return .readInventory(.property(postCode: postCode, address: address))
            }
            return .readInventory(.device(about))
        case .updateInventory:
            return .updateInventory(InventoryUpdate(device: about, change: change))
        case .updateHANDeviceLog:
            guard !remove, let code = installCode.flatMap({ Hex.bytes($0) }), let joinTime else {
                return .updateHANDeviceLog(.remove(device: about))
            }
            return .updateHANDeviceLog(
                .add(
                    device: about, joinTime: joinTime.value, installCode: code, importMPxN: mpxn))
        case .devicePrenotification:
            return .devicePrenotification(
                DevicePrenotification(
                    device: about, manufacturer: manufacturer ?? "", model: model ?? "",
                    type: type ?? .esme, specification: specification,
                    firmwareVersion: firmwareVersion, esmeVariant: esmeVariant, gpf: gpf))
        }
    }

    private var change: InventoryUpdate.Change {
        if let status { return .status(status) }
        if let hubStatus { return .hubStatus(hubStatus) }
        if delete { return .delete }
        if let mpxn { return .importMPxN(mpxn) }
        if let secondaryMpan { return .secondaryImportMPAN(secondaryMpan) }
        if let exportMpan { return .exportMPAN(exportMpan) }
        return .details(
            manufacturer: manufacturer, model: model, specification: specification,
            firmware: firmwareVersion, esmeVariant: esmeVariant)
    }

    private func update() throws -> FirmwareUpdate {
        let image = try readImage()
        return FirmwareUpdate(
            image: image.encoded(),
            version: version ?? Hex.string(UInt64(image.header.fileVersion), digits: 8),
            devices: device)
    }

    private func readImage() throws -> FirmwareImage {
        let name = image ?? ""
        let isFile = FileManager.default.fileExists(atPath: name)
        if !isFile, !name.contains("/") {
            let manifest = try Manifest.load(folder: Installation.locate().firmware)
            if let entry = manifest.entry(name) { return try manifest.image(for: entry) }
            throw Failure(
                .missing,
                "'\(name)' is neither a file nor an image of the manifest, which has "
                    + Words.list(manifest.entries.map(\.id)))
        }
        return try ImageCommand.read(
            name, form: variant == .updatePPMIDFirmware ? .gbcsUnsigned : nil)
    }
}
