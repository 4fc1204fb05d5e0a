import Crypto
import Wire

extension MessageContent {
    /// What the payload says, a field a line.
    public var fields: [MessageField] {
        switch self {
        case .addDevice(let command): command.fields
        case .removeDevice(let command):
            [.invokeID(command.invokeID), .eui64("device", command.device, depth: 1)]
        case .deviceLogResponse(let answer):
            [.invokeID(answer.response.invokeID)] + answer.response.results.map(\.field)
        case .deviceLogAlert(let alert): alert.fields
        case .activateFirmware(let command): command.fields
        case .activateFirmwareResponse(.accepted):
            [MessageField("response", DER.null, "command accepted", depth: 1)]
        case .activateFirmwareResponse(.executed(let outcome)): outcome.fields
        case .futureDatedFirmwareAlert(let alert):
            [
                .alertCode(alert.code), .time("executed at", alert.executedAt),
                .counter("originator counter", alert.originatorCounter, depth: 1),
            ] + alert.outcome.fields
        case .readFirmwareVersion:
            [MessageField("command", DER.null, "read the firmware version", depth: 1)]
        case .firmwareVersionResponse(let answer):
            [
                .version(answer.version),
                .code("result", answer.result, Self.readWords(answer.result)),
            ]
        case .readESMEFirmwareVersion(let command):
            [
                .invokeID(command.invokeID),
                MessageField(
                    "get", [0, 1, 0, 0, 0, 2, 1, 0xFF, 2],
                    "class 1, 0-0:0.2.1.255, attribute 2: firmware version", depth: 1),
            ]
        case .esmeFirmwareVersionResponse(let answer):
            [.invokeID(answer.invokeID)] + (answer.version.map { [.version($0)] } ?? [])
                + [.code("result", answer.result, AccessResult.words(for: answer.result))]
        case .readGSMEFirmwareVersion(let command):
            [
                MessageField("extended header control", [command.control], depth: 1),
                MessageField(
                    "ZCL header", [command.frameControl, command.sequence, 0x00],
                    "read attributes", depth: 1),
                MessageField(
                    "attribute", ReadGSMEFirmwareVersion.attribute,
                    "0x0206 of cluster 0x0702: firmware version", depth: 1),
            ]
        case .gsmeFirmwareVersionResponse(let answer):
            [
                MessageField("extended header control", [answer.control], depth: 1),
                MessageField(
                    "ZCL header", [answer.frameControl, answer.sequence, 0x01],
                    "read attributes response", depth: 1),
                .code("status", answer.status, answer.status == 0 ? "success" : "not read"),
            ] + (answer.version.map { [.version($0)] } ?? [])
        case .ppmidFirmwareAlert(let alert):
            [
                .alertCode(alert.code), .time("date-time", alert.time), .version(alert.version),
                .code("result", alert.result, Self.activationWords(alert.result)),
            ]
        case .firmwareTransferAlert(let alert):
            [
                .alertCode(alert.code), .time("date-time", alert.time),
                .eui64("target device", alert.device, depth: 1),
                .version(alert.version, "file version"),
                .code("result", alert.result.rawValue, alert.result.words),
            ]
        case .firmwareReceiptAlert(let alert):
            alert.form.fields + [
                .alertCode(alert.code),
                MessageField(
                    "manufacturer image hash", alert.hash.bytes, "SHA-256", depth: 1),
            ]
        case .genericAlert(let alert): alert.form.fields + [.alertCode(alert.code)]
        case .other(let payload): payload.fields
        }
    }

    private static func readWords(_ result: UInt8) -> String {
        switch result {
        case 0: "read"
        case 1: "not read"
        default: "unknown"
        }
    }

    private static func activationWords(_ result: UInt8) -> String {
        switch result {
        case 0: "success"
        case 1: "failure"
        default: "unknown"
        }
    }
}

extension AddDevice {
    fileprivate var fields: [MessageField] {
        [
            .invokeID(invokeID), .eui64("device", device, depth: 1),
            MessageField("first mode", [firstMode], depth: 1),
            MessageField("install code", installCode, "without CRC", depth: 1),
            MessageField("second mode", [secondMode], depth: 1),
            MessageField(
                "join time", [UInt8](bigEndian: joinTime), "\(joinTime) (JoinTimePeriod)",
                depth: 1),
            MessageField(
                "enable joining", [joiningByte], joiningByte == 0 ? "no" : "yes", depth: 1),
        ]
    }
}

extension DeviceLogAlert {
    fileprivate var fields: [MessageField] {
        [
            .invokeID(invokeID), .alertCode(code),
            MessageField("date-time", time.bytes, time.description, depth: 1),
        ]
            + entries.flatMap { entry in
                [
                    MessageField.eui64("device", entry.device, depth: 1),
                    MessageField(
                        "hashed link key", entry.hashedLinkKey,
                        entry.hashedLinkKey.isEmpty ? "none yet" : "", depth: 2),
                ]
            }
    }
}

extension ActivateFirmware {
    fileprivate var fields: [MessageField] {
        [
            MessageField("manufacturer image hash", hash.bytes, "SHA-256", depth: 1),
            .counter("originator counter", originatorCounter, depth: 1),
        ]
            + (executionTime.map { [.time("execution date-time", $0)] }
                ?? [MessageField("execution date-time", [], "none: at once", depth: 1)])
    }
}

extension ActivationOutcome {
    fileprivate var fields: [MessageField] {
        [.code("result", result.rawValue, result.words), .version(version, "version running now")]
    }
}

extension AlertForm {
    fileprivate var fields: [MessageField] {
        switch self {
        case .dlms(let invokeID, let time):
            [
                .invokeID(invokeID),
                MessageField("date-time", time.bytes, time.description, depth: 1),
            ]
        case .gbz(let seconds):
            [MessageField.seconds("date-time", seconds, depth: 1)]
        }
    }
}

extension MessageField {
    static func seconds(_ name: String, _ seconds: UInt32, depth: Int) -> MessageField {
        MessageField(
            name, [UInt8](bigEndian: seconds),
            GeneralizedTime(secondsSince2000: seconds)?.description ?? "", depth: depth)
    }
}

// MARK: Payloads without names

extension UnnamedPayload {
    fileprivate var fields: [MessageField] {
        switch self {
        case .asn1(let value): value.fields(depth: 1)
        case .dlms(let apdu): apdu.fields
        case .gbz(let payload): payload.fields
        case .bytes(let bytes): [MessageField("bytes", bytes, depth: 1)]
        }
    }
}

extension DERValue {
    fileprivate func fields(depth: Int) -> [MessageField] {
        switch self {
        case .primitive(let tag, let content):
            [MessageField(Self.name(of: tag), content, Self.words(tag, content), depth: depth)]
        case .constructed(let tag, let values):
            [MessageField(Self.name(of: tag), [], "\(values.count) values", depth: depth)]
                + values.flatMap { $0.fields(depth: depth + 1) }
        }
    }

    private static func name(of tag: UInt8) -> String {
        switch tag {
        case 0x01: "BOOLEAN"
        case 0x02: "INTEGER"
        case 0x03: "BIT STRING"
        case 0x04: "OCTET STRING"
        case 0x05: "NULL"
        case 0x06: "OBJECT IDENTIFIER"
        case 0x0C: "UTF8String"
        case 0x17: "UTCTime"
        case 0x18: "GeneralizedTime"
        case 0x30: "SEQUENCE"
        case 0x31: "SET"
        default:
            tag >= 0x80 && tag < 0xC0 ? "[\(tag & 0x1F)]" : "tag " + Hex.string([tag])
        }
    }

    private static func words(_ tag: UInt8, _ content: [UInt8]) -> String {
        switch tag {
        case 0x02 where (1...8).contains(content.count) && content[0] < 0x80:
            String(content.reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        case 0x04 where content.count == 8:
            EUI64(content.reduce(0) { $0 << 8 | UInt64($1) }).dashed
        case 0x18: GeneralizedTime(digits: Array(content.dropLast()))?.description ?? ""
        default: ""
        }
    }
}

extension DLMSAPDU {
    fileprivate var fields: [MessageField] {
        switch self {
        case .accessRequest(let request):
            [
                MessageField("access request", [0xD9], depth: 1), .invokeID(request.invokeID),
            ] + Self.time(request.dateTime) + request.specifications.map(\.field)
                + request.data.flatMap { $0.fields(depth: 1) }
        case .accessResponse(let response):
            [
                MessageField("access response", [0xDA], depth: 1), .invokeID(response.invokeID),
            ] + Self.time(response.dateTime) + response.data.flatMap { $0.fields(depth: 1) }
                + response.results.map(\.field)
        case .dataNotification(let notification):
            [
                MessageField("data notification", [0x0F], depth: 1),
                .invokeID(notification.invokeID),
            ] + Self.time(notification.dateTime) + notification.body.fields(depth: 1)
        }
    }

    private static func time(_ bytes: [UInt8]) -> [MessageField] {
        guard !bytes.isEmpty else { return [] }
        let words = COSEMDateTime(bytes)?.description ?? ""
        return [MessageField("APDU date-time", bytes, words, depth: 1)]
    }
}

extension AccessSpecification {
    fileprivate var field: MessageField {
        let name =
            switch kind {
            case .get, .getWithSelection: "get"
            case .set, .setWithSelection: "set"
            case .action: "action"
            }
        let code = instance.map { String($0) }
        let obis = "\(code[0])-\(code[1]):\(code[2]).\(code[3]).\(code[4]).\(code[5])"
        let what = kind == .action ? "method" : "attribute"
        return MessageField(
            name, Array(encoded().dropFirst()), "class \(classID), \(obis), \(what) \(member)",
            depth: 1)
    }
}

extension AccessResult {
    fileprivate var field: MessageField {
        let name = kind == 1 ? "get result" : kind == 2 ? "set result" : "action result"
        return MessageField.code(name, result, Self.words(for: result))
    }

    static func words(for result: UInt8) -> String {
        switch result {
        case 0: "success"
        case 1: "hardware fault"
        case 2: "temporary failure"
        case 3: "read-write denied"
        case 4: "object undefined"
        case 9: "object class inconsistent"
        case 11: "object unavailable"
        case 12: "type unmatched"
        case 13: "scope of access violated"
        case 250: "other reason"
        default: "refused"
        }
    }
}

extension DLMSData {
    fileprivate func fields(depth: Int) -> [MessageField] {
        switch self {
        case .null: [MessageField("null-data", [], depth: depth)]
        case .array(let elements), .structure(let elements):
            [MessageField(typeName, [], "\(elements.count) elements", depth: depth)]
                + elements.flatMap { $0.fields(depth: depth + 1) }
        case .bitString(let bits, let bytes):
            [MessageField(typeName, bytes, "\(bits) bits", depth: depth)]
        case .octetString(let bytes):
            [MessageField(typeName, bytes, Self.words(for: bytes), depth: depth)]
        case .text(_, let bytes):
            [MessageField(typeName, bytes, Self.text(bytes), depth: depth)]
        case .scalar(let tag, let bytes):
            [MessageField(typeName, bytes, Self.number(tag, bytes), depth: depth)]
        }
    }

    private var typeName: String {
        switch self {
        case .null: "null-data"
        case .array: "array"
        case .structure: "structure"
        case .bitString: "bit-string"
        case .octetString: "octet-string"
        case .text(let tag, _): tag == 0x0A ? "visible-string" : "utf8-string"
        case .scalar(let tag, _):
            switch tag {
            case 0x03: "boolean"
            case 0x05: "double-long"
            case 0x06: "double-long-unsigned"
            case 0x0D: "bcd"
            case 0x0F: "integer"
            case 0x10: "long"
            case 0x11: "unsigned"
            case 0x12: "long-unsigned"
            case 0x14: "long64"
            case 0x15: "long64-unsigned"
            case 0x16: "enum"
            case 0x17: "float32"
            case 0x18: "float64"
            case 0x19: "date-time"
            case 0x1A: "date"
            case 0x1B: "time"
            default: "dont-care"
            }
        }
    }

    private static func number(_ tag: UInt8, _ bytes: [UInt8]) -> String {
        let value = bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        switch tag {
        case 0x06, 0x11, 0x12, 0x15, 0x16: return String(value)
        case 0x05, 0x0F, 0x10, 0x14:
            let shift = UInt64(64 - 8 * bytes.count)
            return String(Int64(bitPattern: value << shift) >> Int64(shift))
        case 0x03: return value == 0 ? "false" : "true"
        case 0x19: return COSEMDateTime(bytes)?.description ?? ""
        default: return ""
        }
    }

    private static func words(for bytes: [UInt8]) -> String {
        switch bytes.count {
        case 8: EUI64(bytes.reduce(0) { $0 << 8 | UInt64($1) }).dashed
        case 12: COSEMDateTime(bytes)?.utc?.description ?? ""
        default: ""
        }
    }

    /// Printable ASCII, in quotes; nothing for anything else.
    private static func text(_ bytes: [UInt8]) -> String {
        guard bytes.allSatisfy({ (0x20..<0x7F).contains($0) }) else { return "" }
        return "'" + String(decoding: bytes, as: UTF8.self) + "'"
    }
}

extension GBZPayload {
    fileprivate var fields: [MessageField] {
        var fields = [
            MessageField("profile", Self.profile, "Smart Energy", depth: 1),
            MessageField("components", [componentCount], "\(componentCount)", depth: 1),
        ]
        if let alertCode { fields.append(.alertCode(AlertCode(rawValue: alertCode))) }
        if let alertTime { fields.append(.seconds("alert time", alertTime, depth: 1)) }
        for component in components {
            fields.append(
                MessageField(
                    "extended header control", [component.control],
                    component.isEncrypted ? "encrypted" : "", depth: 1))
            fields.append(
                MessageField("cluster", [UInt8](bigEndian: component.cluster), depth: 2))
            if let fromTime = component.fromTime {
                fields.append(.seconds("from date-time", fromTime, depth: 2))
            }
            fields.append(MessageField("ZCL frame", component.frame, depth: 2))
        }
        if !content.isEmpty { fields.append(MessageField("content", content, depth: 1)) }
        return fields
    }
}
