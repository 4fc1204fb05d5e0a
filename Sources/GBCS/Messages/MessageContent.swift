import Wire

/// What the payload of a message says, for the use cases that are understood inside.
///
/// Every case encodes to the payload that it was read from; a payload that would not is refused.
public enum MessageContent: Hashable, Sendable {
    case addDevice(AddDevice)
    case removeDevice(RemoveDevice)
    case deviceLogResponse(DeviceLogResponse)
    case deviceLogAlert(DeviceLogAlert)
    case activateFirmware(ActivateFirmware)
    case activateFirmwareResponse(ActivateFirmwareResponse)
    case futureDatedFirmwareAlert(FutureDatedFirmwareAlert)
    /// CS08: NULL.
    case readFirmwareVersion
    case firmwareVersionResponse(FirmwareVersionResponse)
    case readESMEFirmwareVersion(ReadESMEFirmwareVersion)
    case esmeFirmwareVersionResponse(ESMEFirmwareVersionResponse)
    case readGSMEFirmwareVersion(ReadGSMEFirmwareVersion)
    case gsmeFirmwareVersionResponse(GSMEFirmwareVersionResponse)
    case ppmidFirmwareAlert(PPMIDFirmwareAlert)
    case firmwareTransferAlert(FirmwareTransferAlert)
    case firmwareReceiptAlert(FirmwareReceiptAlert)
    case genericAlert(GenericAlert)
    /// Another use case's, taken apart without names.
    case other(UnnamedPayload)

    /// Understands the payload of `message`; throws if its use case is known here and the payload
    /// is not as that has it.
    public init(of message: GBCSMessage) throws(MessageError) {
        let (code, kind) = (message.header.otherInformation.messageCode, message.header.kind)
        let (bytes, offset) = (message.payload, message.payloadOffset)
        self = .other(UnnamedPayload(of: message))
        switch (code, kind) {
        case (.addDevice, .command):
            self = .addDevice(try AddDevice(parsing: bytes, offset: offset))
        case (.removeDevice, .command):
            // Its layout is an assumption, so that another one is no fault.
            guard let command = try? RemoveDevice(parsing: bytes, offset: offset) else { return }
            self = .removeDevice(command)
        case (.addDevice, .response), (.removeDevice, .response):
            self = .deviceLogResponse(try DeviceLogResponse(parsing: bytes, offset: offset))
        case (.deviceLogAlert, .alert):
            guard let alert = try? DeviceLogAlert(parsing: bytes, offset: offset) else { return }
            self = .deviceLogAlert(alert)
        case (.activateFirmware, .command):
            self = .activateFirmware(try ActivateFirmware(parsing: bytes, offset: offset))
        case (.activateFirmware, .response):
            self = .activateFirmwareResponse(
                try ActivateFirmwareResponse(parsing: bytes, offset: offset))
        case (.futureDatedFirmwareAlert, .alert):
            self = .futureDatedFirmwareAlert(
                try FutureDatedFirmwareAlert(parsing: bytes, offset: offset))
        case (.readHANDeviceFirmwareVersion, .command):
            var reader = MessageReader(bytes, base: offset)
            try reader.derNull("CS08 command")
            try reader.end(after: "payload")
            self = .readFirmwareVersion
        case (.readHANDeviceFirmwareVersion, .response):
            self = .firmwareVersionResponse(
                try FirmwareVersionResponse(parsing: bytes, offset: offset))
        case (.readESMEFirmwareVersion, .command):
            self = .readESMEFirmwareVersion(
                try ReadESMEFirmwareVersion(parsing: bytes, offset: offset))
        case (.readESMEFirmwareVersion, .response):
            self = .esmeFirmwareVersionResponse(
                try ESMEFirmwareVersionResponse(parsing: bytes, offset: offset))
        case (.readGSMEFirmwareVersion, .command):
            self = .readGSMEFirmwareVersion(
                try ReadGSMEFirmwareVersion(parsing: bytes, offset: offset))
        case (.readGSMEFirmwareVersion, .response):
            self = .gsmeFirmwareVersionResponse(
                try GSMEFirmwareVersionResponse(parsing: bytes, offset: offset))
        case (.ppmidFirmwareAlert, .alert):
            self = .ppmidFirmwareAlert(try PPMIDFirmwareAlert(parsing: bytes, offset: offset))
        case (.firmwareTransferAlert, .alert):
            self = .firmwareTransferAlert(
                try FirmwareTransferAlert(parsing: bytes, offset: offset))
        case (.firmwareReceiptDLMS, .alert), (.firmwareReceiptGBZ, .alert):
            self = .firmwareReceiptAlert(try FirmwareReceiptAlert(parsing: bytes, offset: offset))
        case (.genericCriticalAlert, .alert), (.genericNonCriticalAlert, .alert):
            // Other codes may have more behind the time.
            guard let alert = try? GenericAlert(parsing: bytes, offset: offset) else { return }
            self = .genericAlert(alert)
        default: return
        }
        guard encoded() == bytes else {
            throw MessageError(
                offset: offset, field: "payload", found: "an unusual encoding",
                expected: "the one that GBCS defines for its content")
        }
    }

    /// The payload.
    public func encoded() -> [UInt8] {
        switch self {
        case .addDevice(let content): content.encoded()
        case .removeDevice(let content): content.encoded()
        case .deviceLogResponse(let content): content.encoded()
        case .deviceLogAlert(let content): content.encoded()
        case .activateFirmware(let content): content.encoded()
        case .activateFirmwareResponse(let content): content.encoded()
        case .futureDatedFirmwareAlert(let content): content.encoded()
        case .readFirmwareVersion: DER.null
        case .firmwareVersionResponse(let content): content.encoded()
        case .readESMEFirmwareVersion(let content): content.encoded()
        case .esmeFirmwareVersionResponse(let content): content.encoded()
        case .readGSMEFirmwareVersion(let content): content.encoded()
        case .gsmeFirmwareVersionResponse(let content): content.encoded()
        case .ppmidFirmwareAlert(let content): content.encoded()
        case .firmwareTransferAlert(let content): content.encoded()
        case .firmwareReceiptAlert(let content): content.encoded()
        case .genericAlert(let content): content.encoded()
        case .other(let content): content.encoded()
        }
    }
}

/// A payload of a use case that is not known here, in one of the three languages of GBCS or, if
/// it is in none of them, as bytes.
public enum UnnamedPayload: Hashable, Sendable {
    case asn1(DERValue)
    case dlms(DLMSAPDU)
    case gbz(GBZPayload)
    case bytes([UInt8])

    public init(of message: GBCSMessage) {
        self = .bytes(message.payload)
        let found: UnnamedPayload?
        switch message.payload.first {
        case 0x01:
            found =
                (try? GBZPayload(
                    parsing: message.payload, isAlert: message.header.kind == .alert)).map {
                    .gbz($0)
                }
        case 0x0F, 0xD9, 0xDA:
            found = (try? DLMSAPDU(parsing: message.payload)).map { .dlms($0) }
        default: found = (try? DERValue(parsing: message.payload)).map { .asn1($0) }
        }
        // Whatever would be written differently stays bytes.
        if let found, found.encoded() == message.payload { self = found }
    }

    public func encoded() -> [UInt8] {
        switch self {
        case .asn1(let value): value.encoded()
        case .dlms(let apdu): apdu.encoded()
        case .gbz(let payload): payload.encoded()
        case .bytes(let bytes): bytes
        }
    }
}
