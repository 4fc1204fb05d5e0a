import GBCS
import Wire

/// What a service request is known by (DUIS `RequestIDType`): who asks, whom it is for, and a
/// counter, which of a request that becomes a command is the originator counter of its message.
///
/// Written `90-B3-D5-1F-30-01-00-00:90-B3-D5-1F-30-00-00-02:1000`.
public struct RequestID: Hashable, Sendable, CustomStringConvertible {
    /// The service user.
    public var originator: EUI64
    /// A device, or the DCC itself.
    public var target: EUI64
    public var counter: UInt64

    public init(originator: EUI64, target: EUI64, counter: UInt64) {
        self.originator = originator
        self.target = target
        self.counter = counter
    }

    /// Parses what the schema's pattern lets through: ids of eight bytes with `-` between them, and
    /// a counter of up to 64 bits without leading zeros. nil for anything else.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].utf8.count == 23, parts[1].utf8.count == 23,
            let originator = EUI64(parts[0]), let target = EUI64(parts[1]),
            parts[2].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            parts[2] == "0" || !parts[2].hasPrefix("0"), let counter = UInt64(parts[2])
        else { return nil }
        self.init(originator: originator, target: target, counter: counter)
    }

    public var description: String { "\(originator.dashed):\(target.dashed):\(counter)" }

    /// The answer's id: the same with the two parties changed over (DUIS `ResponseIDType`).
    public var reversed: RequestID {
        RequestID(originator: target, target: originator, counter: counter)
    }
}

extension RequestID: Comparable {
    public static func < (a: RequestID, b: RequestID) -> Bool {
        (a.originator, a.target, a.counter) < (b.originator, b.target, b.counter)
    }
}

extension RequestID: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decoder.value("a request id", RequestID.init(_:))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension Decoder {
    /// A value that is written as text.
    func value<Value>(_ what: String, _ parse: (String) -> Value?) throws -> Value {
        let container = try singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = parse(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "'\(text)' is not \(what)")
        }
        return value
    }
}
