import Wire

/// CS09, with which a PPMID reports its activation to the Access Control Broker (GBCS 11.9).
///
///     SEQUENCE { INTEGER 8F8B, GeneralizedTime, OCTET STRING (4) version, INTEGER result }
public struct PPMIDFirmwareAlert: Hashable, Sendable {
    public var code = AlertCode.ppmidFirmwareActivation
    public var time: GeneralizedTime
    /// The version that runs.
    public var version: UInt32
    /// 0 success, 1 failure; others are kept.
    public var result: UInt8

    public init(time: GeneralizedTime, version: UInt32, result: UInt8) {
        self.time = time
        self.version = version
        self.result = result
    }

    init(parsing bytes: [UInt8], offset: Int) throws(MessageError) {
        var outer = MessageReader(bytes, base: offset)
        var reader = try outer.derSequence("CS09 alert")
        code = try reader.derAlertCode()
        time = try reader.derTime("date and time")
        version = try reader.derVersion()
        result = UInt8(try reader.derInteger("result", most: 255))
        try reader.end(after: "CS09 alert")
        try outer.end(after: "payload")
    }

    func encoded() -> [UInt8] {
        DER.sequence(
            DER.alertCode(code), DER.time(time), DER.version(version),
            DER.integer(UInt64(result)))
    }
}

/// What became of a transfer of firmware from the hub to a device.
public struct FirmwareTransferResult: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let success = FirmwareTransferResult(rawValue: 0)
    public static let imageDiscarded = FirmwareTransferResult(rawValue: 1)
    public static let hardwareVersionMismatch = FirmwareTransferResult(rawValue: 2)
    public static let transferFailure = FirmwareTransferResult(rawValue: 3)

    public var words: String {
        switch self {
        case .success: "file transfer success"
        case .imageDiscarded: "firmware image discarded"
        case .hardwareVersionMismatch: "hardware version mismatch"
        case .transferFailure: "file transfer failure"
        default: "unknown"
        }
    }
}

/// CCS08, with which a hub reports a transfer to the Access Control Broker.
///
///     SEQUENCE { INTEGER code, GeneralizedTime, OCTET STRING (8) device, OCTET STRING (4) version,
///                INTEGER result }
public struct FirmwareTransferAlert: Hashable, Sendable {
    public var code: AlertCode
    public var time: GeneralizedTime
    /// For whom the image was.
    public var device: EUI64
    /// The file version of the image.
    public var version: UInt32
    public var result: FirmwareTransferResult

    /// assumption: 8F8A goes with success and 8F89 with the other three results.
    public init(
        time: GeneralizedTime, device: EUI64, version: UInt32, result: FirmwareTransferResult
    ) {
        code = result == .success ? .firmwareTransferred : .firmwareTransferFailed
        self.time = time
        self.device = device
        self.version = version
        self.result = result
    }

    init(parsing bytes: [UInt8], offset: Int) throws(MessageError) {
        var outer = MessageReader(bytes, base: offset)
        var reader = try outer.derSequence("CCS08 alert")
        code = try reader.derAlertCode()
        time = try reader.derTime("date and time")
        let device = try reader.derOctets(8, "target device")
        self.device = EUI64(device.reduce(0) { $0 << 8 | UInt64($1) })
        version = try reader.derVersion()
        result = FirmwareTransferResult(
            rawValue: UInt8(try reader.derInteger("result", most: 255)))
        try reader.end(after: "CCS08 alert")
        try outer.end(after: "payload")
    }

    func encoded() -> [UInt8] {
        DER.sequence(
            DER.alertCode(code), DER.time(time), DER.octets(device.bigEndianBytes),
            DER.version(version), DER.integer(UInt64(result.rawValue)))
    }
}

/// An alert in one of the two forms that meters have: when it was, and in DLMS the invoke id.
public enum AlertForm: Hashable, Sendable {
    /// A data notification: `0F ‖ invoke id ‖ 00 ‖ 02 n ‖ 12 code ‖ 09 0C time ‖ …`
    case dlms(invokeID: UInt32, time: COSEMDateTime)
    /// `0109 ‖ components ‖ code ‖ seconds since 2000 ‖ …`
    case gbz(secondsSince2000: UInt32)
}

/// The firmware distribution receipt alert: 8F72 for an image that was stored, 8F1C for one that
/// was not (GBCS 11.2.6). The hash follows in both forms as `09 20` and 32 bytes.
public struct FirmwareReceiptAlert: Hashable, Sendable {
    public var form: AlertForm
    public var code: AlertCode
    /// SHA-256 of the manufacturer image as the device computed it.
    public var hash: Digest256

    public init(form: AlertForm, isVerified: Bool, hash: Digest256) {
        self.form = form
        code = isVerified ? .firmwareVerified : .firmwareVerificationFailed
        self.hash = hash
    }

    init(parsing bytes: [UInt8], offset: Int) throws(MessageError) {
        let alert = try MeterAlert(parsing: bytes, offset: offset)
        guard alert.content.count == 1, case .octetString(let octets) = alert.content[0],
            let hash = Digest256(octets)
        else {
            throw MessageError(
                offset: offset, field: "receipt alert", found: "other content",
                expected: "one octet string of 32 bytes, the hash")
        }
        form = alert.form
        code = alert.code
        self.hash = hash
    }

    func encoded() -> [UInt8] {
        MeterAlert(form: form, code: code, content: [.octetString(hash.bytes)]).encoded()
    }
}

/// An alert with nothing but its code and its time, such as 8F1B.
public struct GenericAlert: Hashable, Sendable {
    public var form: AlertForm
    public var code: AlertCode

    public init(form: AlertForm, code: AlertCode) {
        self.form = form
        self.code = code
    }

    init(parsing bytes: [UInt8], offset: Int) throws(MessageError) {
        let alert = try MeterAlert(parsing: bytes, offset: offset)
        guard alert.content.isEmpty else {
            throw MessageError(
                offset: offset, field: "generic alert", found: "content behind the time",
                expected: "code and time alone")
        }
        form = alert.form
        code = alert.code
    }

    func encoded() -> [UInt8] { MeterAlert(form: form, code: code, content: []).encoded() }
}

/// What the alerts of meters have in common: a form, a code and DLMS values behind them.
struct MeterAlert {
    var form: AlertForm
    var code: AlertCode
    var content: [DLMSData]

    init(form: AlertForm, code: AlertCode, content: [DLMSData]) {
        self.form = form
        self.code = code
        self.content = content
    }

    init(parsing bytes: [UInt8], offset: Int) throws(MessageError) {
        if bytes.first == GBZPayload.profile[0] {
            var reader = MessageReader(bytes, base: offset)
            try reader.expect(GBZPayload.profile, "profile id")
            let countStart = reader.offset
            let count = try reader.u8("number of components")
            code = AlertCode(rawValue: try reader.u16("alert code"))
            form = .gbz(secondsSince2000: try reader.u32("alert time"))
            content = []
            while reader.remaining > 0 { content.append(try DLMSData(from: &reader)) }
            guard content.count == Int(count) else {
                throw MessageError(
                    offset: countStart, field: "number of components", found: "\(count)",
                    expected: "\(content.count), as many as follow")
            }
            return
        }
        guard
            case .dataNotification(let notification) = try DLMSAPDU(parsing: bytes, offset: offset),
            notification.dateTime.isEmpty, case .structure(let values) = notification.body,
            values.count >= 2, case .scalar(0x12, let code) = values[0],
            case .octetString(let time) = values[1], let time = COSEMDateTime(time)
        else {
            throw MessageError(
                offset: offset, field: "alert", found: "another APDU",
                expected: "a data notification of a structure of code, date and time, and more")
        }
        form = .dlms(invokeID: notification.invokeID, time: time)
        self.code = AlertCode(rawValue: UInt16(code[0]) << 8 | UInt16(code[1]))
        content = Array(values[2...])
    }

    func encoded() -> [UInt8] {
        switch form {
        case .dlms(let invokeID, let time):
            let values = [.longUnsigned(code.rawValue), .octetString(time.bytes)] + content
            return DLMSAPDU.dataNotification(
                .init(invokeID: invokeID, body: .structure(values))
            ).encoded()
        case .gbz(let seconds):
            return GBZPayload(
                componentCount: UInt8(truncatingIfNeeded: content.count),
                alertCode: code.rawValue, alertTime: seconds,
                content: content.flatMap { $0.encoded() }
            ).encoded()
        }
    }
}
