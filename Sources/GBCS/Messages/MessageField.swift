import Crypto
import Wire

/// A field of a message as it is shown to people: its name, its bytes and what they mean.
public struct MessageField: Hashable, Sendable {
    public var name: String
    public var bytes: [UInt8]
    /// Empty where the bytes say all.
    public var meaning: String
    /// How far it lies in another field.
    public var depth: Int

    public init(_ name: String, _ bytes: [UInt8], _ meaning: String = "", depth: Int = 0) {
        self.name = name
        self.bytes = bytes
        self.meaning = meaning
        self.depth = depth
    }
}

extension GBCSMessage {
    /// Every field of the message in its order. `content` is what its payload says; a payload
    /// that is not understood is shown in the language that it is written in.
    public func fields(content: MessageContent?) -> [MessageField] {
        var fields: [MessageField] = []
        if mac != nil { fields.append(MessageField("MAC header", Self.macHeader)) }
        if mac != nil { fields.append(MessageField("security header", Self.securityHeader)) }
        fields += header.fields
        fields.append(MessageField("payload", [], "\(payload.count) bytes"))
        fields += (content ?? .other(UnnamedPayload(of: self))).fields
        switch signature {
        case .missing: break
        case .empty: fields.append(MessageField("signature", [], "none"))
        case .signature(let signature):
            fields.append(MessageField("signature r", Array(signature.bytes.prefix(32))))
            fields.append(MessageField("signature s", Array(signature.bytes.suffix(32))))
        }
        if let mac { fields.append(MessageField("MAC", mac)) }
        return fields
    }
}

extension MessageKind {
    public var words: String {
        switch self {
        case .command: "command"
        case .response: "response"
        case .alert: "alert"
        }
    }
}

extension GroupingHeader {
    var fields: [MessageField] {
        var fields = [
            MessageField("CRA flag", [kind.rawValue], kind.words),
            .counter("originator counter", counter), .eui64("originator", originator),
            .eui64("recipient", recipient),
        ]
        if let dateTime {
            fields.append(MessageField("date-time", dateTime.bytes, dateTime.description))
        }
        let information = otherInformation
        let code = information.messageCode
        fields.append(
            MessageField(
                "message code", [UInt8](bigEndian: code.rawValue),
                [code.useCase ?? "not known", code.words].compactMap { $0 }.joined(separator: ", "))
        )
        if let party = information.remoteParty {
            fields.append(.eui64("supplementary remote party", party))
        }
        if let counter = information.remotePartyCounter {
            fields.append(.counter("supplementary remote party counter", counter))
        }
        if let counter = information.originatorCounter {
            fields.append(.counter("supplementary originator counter", counter))
        }
        if !information.certificate.isEmpty {
            fields.append(
                MessageField(
                    "supplementary key-agreement certificate", information.certificate,
                    Self.words(for: information.certificate)))
        }
        if !information.rest.isEmpty {
            fields.append(MessageField("further other information", information.rest))
        }
        return fields
    }

    private static func words(for bytes: [UInt8]) -> String {
        do {
            let certificate = try Certificate(bytes)
            let subject = certificate.subject?.dashed ?? "nobody that it names"
            return "of \(subject)" + (certificate.role.map { ", \($0.words)" } ?? "")
        } catch {
            return "not usable: \(error)"
        }
    }
}

extension MessageField {
    static func eui64(_ name: String, _ value: EUI64, depth: Int = 0) -> MessageField {
        MessageField(name, value.bigEndianBytes, value.dashed, depth: depth)
    }

    static func counter(_ name: String, _ value: UInt64, depth: Int = 0) -> MessageField {
        MessageField(name, [UInt8](bigEndian: value), String(value), depth: depth)
    }

    static func alertCode(_ code: AlertCode) -> MessageField {
        MessageField(
            "alert code", [UInt8](bigEndian: code.rawValue), code.words ?? "not known", depth: 1)
    }

    static func version(_ version: UInt32, _ name: String = "firmware version") -> MessageField {
        let bytes = [UInt8](bigEndian: version)
        return MessageField(name, bytes, "0x" + Hex.string(UInt64(version), digits: 8), depth: 1)
    }

    static func time(_ name: String, _ time: GeneralizedTime) -> MessageField {
        MessageField(
            name, Array(time.digits.utf8) + [UInt8(ascii: "Z")],
            time == .never ? "\(time), never: cancels" : time.description, depth: 1)
    }

    static func code(_ name: String, _ value: UInt8, _ meaning: String) -> MessageField {
        MessageField(name, [value], "\(value), \(meaning)", depth: 1)
    }

    static func invokeID(_ id: UInt32) -> MessageField {
        MessageField(
            "invoke id and priority", [UInt8](bigEndian: id), "counter \(id & 0xFF_FFFF)", depth: 1)
    }
}
