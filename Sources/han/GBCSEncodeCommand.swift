import ArgumentParser
import Crypto
import GBCS
import Lab
import Wire

/// The messages that `han gbcs encode` makes, and the options that each needs or takes.
enum EncodedMessage: String, CaseIterable, ExpressibleByArgument, OptionVariant {
    case ccs01
    case ccs01Response = "ccs01-response"
    case ccs02
    case ccs02Response = "ccs02-response"
    case cs06
    case cs06Response = "cs06-response"
    case cs06Alert = "cs06-alert"
    case cs08
    case cs08Response = "cs08-response"
    case ecs52
    case ecs52Response = "ecs52-response"
    case gcs38
    case gcs38Response = "gcs38-response"
    case cs09
    case ccs08
    case receipt
    case powerOn = "power-on"
    case cs14

    /// Options that must be given, and that may be.
    var options: (needed: [String], taken: [String]) {
        switch self {
        case .ccs01: (["device", "install-code", "join-time"], [])
        case .ccs02: (["device"], [])
        case .ccs01Response, .ccs02Response: ([], ["result"])
        case .cs06: ([], ["hash", "image", "at", "cancel"])
        case .cs06Response: ([], ["result", "firmware-version", "date-time"])
        case .cs06Alert: (["time", "command-counter", "result", "firmware-version"], [])
        case .cs08, .ecs52, .gcs38: ([], [])
        case .cs08Response: ([], ["result", "firmware-version"])
        case .ecs52Response, .gcs38Response: ([], ["result", "firmware-version"])
        case .cs09: (["time", "firmware-version", "result"], [])
        case .ccs08: (["time", "device", "firmware-version", "result"], [])
        case .receipt: (["time", "result"], ["hash", "image", "form"])
        case .powerOn: (["time"], ["form"])
        case .cs14: (["time"], ["device"])
        }
    }

    var kind: MessageKind {
        switch self {
        case .ccs01, .ccs02, .cs06, .cs08, .ecs52, .gcs38: .command
        case .ccs01Response, .ccs02Response, .cs06Response, .cs08Response, .ecs52Response,
            .gcs38Response:
            .response
        case .cs06Alert, .cs09, .ccs08, .receipt, .powerOn, .cs14: .alert
        }
    }
}

/// In which of the two forms a meter's alert is.
enum AlertFormArgument: String, CaseIterable, ExpressibleByArgument {
    case dlms
    case gbz
}

extension GeneralizedTime: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

struct GBCSEncodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "encode",
        abstract: "Make a GBCS message about firmware or the hub's device log.",
        discussion: """
            Prints the message in hex. Without --keystore a command is a pre-command, to be \
            signed ('han gbcs sign'), and a response or an alert has no protection yet. With \
            --keystore it gets the signature and the MAC that its category demands; the same \
            arguments always give the same bytes, for signatures follow RFC 6979.

            What each message needs, and in brackets what it takes besides:

              ccs01           --device --install-code --join-time
              ccs02           --device
              ccs01-response, ccs02-response   [--result: of each access, 0 success]
              cs06            --hash or --image [--at or --cancel]
              cs06-response   [--result 0-3 --firmware-version; without them accepted for later] \
            [--date-time]
              cs06-alert      --time --command-counter --result 0-3 --firmware-version (8F66, 8F67)
              cs08, ecs52, gcs38
              cs08-response, ecs52-response, gcs38-response   [--firmware-version] [--result]
              cs09            --time --firmware-version --result 0 or 1 (8F8B)
              ccs08           --time --device --firmware-version --result 0-3 (8F8A, 8F89)
              receipt         --time --result --hash or --image [--form] (8F72 for 0, else 8F1C)
              power-on        --time [--form] (8F1B)
              cs14            --time [--device, for each in the log] (8F12)

            Times are UTC such as 2030-01-15T09:00:00Z. --form is how an alert is written: dlms \
            as an ESME does (the default), gbz as a GSME does.
            """)

    @Argument(help: ArgumentHelp("Which message.", valueName: "message"))
    var message: EncodedMessage

    @Option(help: ArgumentHelp("The originator.", valueName: "eui64"))
    var from: EUI64

    @Option(help: ArgumentHelp("The recipient.", valueName: "eui64"))
    var to: EUI64

    @Option(
        parsing: .unconditional, help: "The originator counter; in a response, the command's.",
        transform: CodeArgument.read)
    var counter: CodeArgument<UInt64>

    @Option(help: ArgumentHelp("The supplementary remote party.", valueName: "eui64"))
    var remoteParty: EUI64?

    @Option(
        parsing: .unconditional, help: "The supplementary remote party's counter.",
        transform: CodeArgument.read)
    var remotePartyCounter: CodeArgument<UInt64>?

    @Option(help: ArgumentHelp("Date and time in a response's header.", valueName: "time"))
    var dateTime: GeneralizedTime?

    @Option(
        help: ArgumentHelp("The device that the message is about.", valueName: "eui64"))
    var device: [EUI64] = []

    @Option(help: ArgumentHelp("Sixteen bytes without CRC.", valueName: "hex"))
    var installCode: String?

    @Option(
        parsing: .unconditional, help: "How long the device may join (DUIS JoinTimePeriod).",
        transform: CodeArgument.read)
    var joinTime: CodeArgument<UInt16>?

    @Option(help: ArgumentHelp("The manufacturer image hash.", valueName: "hex"))
    var hash: String?

    @Option(
        help: ArgumentHelp("The image whose hash it is.", valueName: "file"), completion: .file())
    var image: String?

    @Option(help: ArgumentHelp("When to activate; else at once.", valueName: "time"))
    var at: GeneralizedTime?

    @Flag(help: "Take back a pending activation.")
    var cancel = false

    @Option(help: ArgumentHelp("When the alert arose.", valueName: "time"))
    var time: GeneralizedTime?

    @Option(
        parsing: .unconditional, help: "The originator counter of the command reported on.",
        transform: CodeArgument.read)
    var commandCounter: CodeArgument<UInt64>?

    @Option(
        parsing: .unconditional, help: "The firmware version.", transform: CodeArgument.read)
    var firmwareVersion: CodeArgument<UInt32>?

    @Option(
        parsing: .unconditional, help: "The result; any is encoded, also one that has no meaning.",
        transform: CodeArgument.read)
    var result: CodeArgument<UInt8>?

    @Option(help: "How a meter's alert is written; for an HCALCS either is an assumption.")
    var form: AlertFormArgument?

    @OptionGroup
    var keyStore: KeyStoreArgument

    func validate() throws {
        try message.check(EncodedMessage.given(to: self))
        guard (remoteParty == nil) == (remotePartyCounter == nil) else {
            throw ValidationError(
                "Give both --remote-party and --remote-party-counter, or neither.")
        }
        guard device.count <= 1 || message == .cs14 else {
            throw ValidationError("\(message.rawValue) is about one --device.")
        }
        guard at == nil || !cancel else {
            throw ValidationError("Give --at or --cancel, not both.")
        }
        if message == .cs06 || message == .receipt {
            guard (hash == nil) != (image == nil) else {
                throw ValidationError("\(message.rawValue) needs --hash or --image.")
            }
        }
        if message == .cs06Response {
            guard (result == nil) == (firmwareVersion == nil) else {
                throw ValidationError(
                    "Give both --result and --firmware-version, or neither: accepted for later.")
            }
        }
        guard installCode.map({ Hex.bytes($0)?.count == 16 }) ?? true else {
            throw ValidationError("--install-code needs 32 hex digits, sixteen bytes without CRC.")
        }
        guard hash.map({ Hex.bytes($0)?.count == 32 }) ?? true else {
            throw ValidationError("--hash needs 64 hex digits.")
        }
        if form == .gbz, let time, time.secondsSince2000 == nil {
            throw ValidationError("--time \(time) has no place in the gbz form: 2000 to 2136.")
        }
    }

    func run() throws {
        let content = try content()
        let header = GroupingHeader(
            kind: message.kind, counter: counter.value, originator: from, recipient: to,
            dateTime: dateTime.map { COSEMDateTime($0) },
            otherInformation: OtherInformation(
                messageCode, remoteParty: remoteParty,
                remotePartyCounter: remotePartyCounter?.value))
        var made = GBCSMessage(header: header, payload: content.encoded())
        if let place = keyStore.keystore {
            made = try protected(made, with: try keyStore.read(), in: place)
        }
        try Output.write(Hex.string(made.encoded()).uppercased() + "\n")
    }

    private func protected(
        _ message: GBCSMessage, with keys: KeyStore, in place: String
    ) throws -> GBCSMessage {
        guard let demanded = Protection.demanded(by: messageCode, message.header.kind) else {
            return message
        }
        var made = message
        if demanded.signature {
            guard let key = keys.privateSigningKeys(of: from).first else {
                throw Failure(
                    .setting,
                    "\(place) has no private digital-signing key of the originator \(from.dashed)")
            }
            made = made.signed(by: key)
        }
        return demanded.mac ? try made.withMAC(from: keys, in: place) : made
    }

    private var messageCode: MessageCode {
        switch message {
        case .ccs01, .ccs01Response: .addDevice
        case .ccs02, .ccs02Response: .removeDevice
        case .cs06, .cs06Response: .activateFirmware
        case .cs06Alert: .futureDatedFirmwareAlert
        case .cs08, .cs08Response: .readHANDeviceFirmwareVersion
        case .ecs52, .ecs52Response: .readESMEFirmwareVersion
        case .gcs38, .gcs38Response: .readGSMEFirmwareVersion
        case .cs09: .ppmidFirmwareAlert
        case .ccs08: .firmwareTransferAlert
        case .receipt: form == .gbz ? .firmwareReceiptGBZ : .firmwareReceiptDLMS
        case .powerOn: .genericCriticalAlert
        case .cs14: .deviceLogAlert
        }
    }

    private var invokeID: UInt32 { DLMSAPDU.invokeID(for: counter.value) }

    /// What the message says. Everything that it needs was found there by `validate`.
    private func content() throws -> MessageContent {
        let result = result?.value
        let version = firmwareVersion?.value
        let time = time ?? .never
        let about = device.first ?? EUI64(0)
        switch message {
        case .ccs01:
            let code = installCode.flatMap { Hex.bytes($0) } ?? []
            return .addDevice(
                AddDevice(
                    invokeID: invokeID, device: about, installCode: code,
                    joinTime: joinTime?.value ?? 0))
        case .ccs02: return .removeDevice(RemoveDevice(invokeID: invokeID, device: about))
        case .ccs01Response, .ccs02Response:
            let isAdding = message == .ccs01Response
            let results = [UInt8](repeating: result ?? 0, count: isAdding ? 3 : 1)
            return .deviceLogResponse(
                DeviceLogResponse(adding: isAdding, invokeID: invokeID, results: results))
        case .cs06:
            return .activateFirmware(
                ActivateFirmware(
                    hash: try imageHash(), originatorCounter: counter.value,
                    executionTime: cancel ? .never : at))
        case .cs06Response:
            return .activateFirmwareResponse(
                outcome(result, version).map { .executed($0) } ?? .accepted)
        case .cs06Alert:
            let outcome = outcome(result ?? 0, version ?? 0)
            return .futureDatedFirmwareAlert(
                FutureDatedFirmwareAlert(
                    executedAt: time, originatorCounter: commandCounter?.value ?? 0,
                    outcome: outcome ?? ActivationOutcome(result: .success, version: 0)))
        case .cs08: return .readFirmwareVersion
        case .cs08Response:
            return .firmwareVersionResponse(
                FirmwareVersionResponse(
                    version: version ?? 0, result: result ?? (version == nil ? 1 : 0)))
        case .ecs52:
            return .readESMEFirmwareVersion(ReadESMEFirmwareVersion(invokeID: invokeID))
        case .ecs52Response:
            return .esmeFirmwareVersionResponse(
                ESMEFirmwareVersionResponse(invokeID: invokeID, version: version, result: result))
        case .gcs38: return .readGSMEFirmwareVersion(ReadGSMEFirmwareVersion())
        case .gcs38Response:
            return .gsmeFirmwareVersionResponse(
                GSMEFirmwareVersionResponse(version: version, status: result))
        case .cs09:
            return .ppmidFirmwareAlert(
                PPMIDFirmwareAlert(time: time, version: version ?? 0, result: result ?? 0))
        case .ccs08:
            return .firmwareTransferAlert(
                FirmwareTransferAlert(
                    time: time, device: about, version: version ?? 0,
                    result: FirmwareTransferResult(rawValue: result ?? 0)))
        case .receipt:
            return .firmwareReceiptAlert(
                FirmwareReceiptAlert(
                    form: alertForm(time), isVerified: result == 0, hash: try imageHash()))
        case .powerOn:
            return .genericAlert(
                GenericAlert(form: alertForm(time), code: .firmwareVerificationFailedAtPowerOn))
        case .cs14:
            return .deviceLogAlert(
                DeviceLogAlert(
                    invokeID: invokeID, time: COSEMDateTime(time),
                    entries: device.map { DeviceLogAlert.Entry(device: $0) }))
        }
    }

    private func outcome(_ result: UInt8?, _ version: UInt32?) -> ActivationOutcome? {
        guard let result, let version else { return nil }
        return ActivationOutcome(result: ActivationResult(rawValue: result), version: version)
    }

    private func alertForm(_ time: GeneralizedTime) -> AlertForm {
        form == .gbz
            ? .gbz(secondsSince2000: time.secondsSince2000 ?? 0)
            : .dlms(invokeID: invokeID, time: COSEMDateTime(time))
    }

    private func imageHash() throws -> Digest256 {
        if let image { return try ImageCommand.read(image, form: nil).manufacturerImageHash }
        guard let bytes = hash.flatMap({ Hex.bytes($0) }), let digest = Digest256(bytes) else {
            throw Failure(.usage, "--hash needs 64 hex digits")
        }
        return digest
    }
}
