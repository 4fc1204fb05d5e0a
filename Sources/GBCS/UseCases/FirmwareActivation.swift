import Wire

/// CS06, the command to activate firmware (GBCS 11.5).
///
///     SEQUENCE { OCTET STRING (32) hash, INTEGER originator counter, [GeneralizedTime] }
public struct ActivateFirmware: Hashable, Sendable {
    /// SHA-256 of the manufacturer image.
    public var hash: Digest256
    /// The counter of the grouping header once more.
    public var originatorCounter: UInt64
    /// When to activate; without it, at once. `GeneralizedTime.never` cancels what is pending.
    public var executionTime: GeneralizedTime?

    public init(hash: Digest256, originatorCounter: UInt64, executionTime: GeneralizedTime? = nil) {
        self.hash = hash
        self.originatorCounter = originatorCounter
        self.executionTime = executionTime
    }

    /// Whether it takes back an activation that is pending.
    public var isCancellation: Bool { executionTime == .never }

    init(parsing bytes: [UInt8], offset: Int) throws(MessageError) {
        var outer = MessageReader(bytes, base: offset)
        var reader = try outer.derSequence("CS06 command")
        guard let hash = Digest256(try reader.derOctets(32, "manufacturer image hash")) else {
            preconditionFailure("32 bytes are a digest")
        }
        self.hash = hash
        originatorCounter = try reader.derInteger("originator counter")
        if reader.remaining > 0 {
            executionTime = try reader.derTime("execution date and time")
        }
        try reader.end(after: "CS06 command")
        try outer.end(after: "payload")
    }

    func encoded() -> [UInt8] {
        DER.sequence(
            DER.octets(hash.bytes), DER.integer(originatorCounter),
            executionTime.map { DER.time($0) } ?? [])
    }
}

/// What became of an activation (GBCS 11.5).
public struct ActivationResult: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let success = ActivationResult(rawValue: 0)
    public static let noImageHeld = ActivationResult(rawValue: 1)
    public static let hashMismatch = ActivationResult(rawValue: 2)
    public static let activationFailure = ActivationResult(rawValue: 3)

    public var words: String {
        switch self {
        case .success: "success"
        case .noImageHeld: "no image held"
        case .hashMismatch: "hash mismatch"
        case .activationFailure: "activation failure"
        default: "unknown"
        }
    }
}

/// The result of an activation and the version that the device runs then.
///
///     SEQUENCE { INTEGER result, OCTET STRING (4) version }
public struct ActivationOutcome: Hashable, Sendable {
    public var result: ActivationResult
    public var version: UInt32

    public init(result: ActivationResult, version: UInt32) {
        self.result = result
        self.version = version
    }

    init(from outer: inout MessageReader) throws(MessageError) {
        var reader = try outer.derSequence("activation result")
        result = ActivationResult(
            rawValue: UInt8(try reader.derInteger("result", most: 255)))
        version = try reader.derVersion()
        try reader.end(after: "activation result")
    }

    func encoded() -> [UInt8] {
        DER.sequence(DER.integer(UInt64(result.rawValue)), DER.version(version))
    }
}

/// The answer to a CS06: NULL if it was accepted for later, or cancelled; else what became of it.
public enum ActivateFirmwareResponse: Hashable, Sendable {
    case accepted
    case executed(ActivationOutcome)

    init(parsing bytes: [UInt8], offset: Int) throws(MessageError) {
        var reader = MessageReader(bytes, base: offset)
        if reader.next == 0x05 {
            try reader.derNull("command accepted")
            self = .accepted
        } else {
            self = .executed(try ActivationOutcome(from: &reader))
        }
        try reader.end(after: "payload")
    }

    func encoded() -> [UInt8] {
        switch self {
        case .accepted: DER.null
        case .executed(let outcome): outcome.encoded()
        }
    }
}

/// The alert 8F66 or 8F67 with which a device reports a future-dated CS06 (message code 00CA).
///
///     SEQUENCE { INTEGER code, GeneralizedTime executed, INTEGER originator counter, outcome }
public struct FutureDatedFirmwareAlert: Hashable, Sendable {
    public var code: AlertCode
    public var executedAt: GeneralizedTime
    /// That of the command.
    public var originatorCounter: UInt64
    public var outcome: ActivationOutcome

    /// 8F66 for success, 8F67 for anything else.
    public init(executedAt: GeneralizedTime, originatorCounter: UInt64, outcome: ActivationOutcome)
    {
        code =
            outcome.result == .success
            ? .futureDatedCommandActioned : .futureDatedCommandNotActioned
        self.executedAt = executedAt
        self.originatorCounter = originatorCounter
        self.outcome = outcome
    }

    init(parsing bytes: [UInt8], offset: Int) throws(MessageError) {
        var outer = MessageReader(bytes, base: offset)
        var reader = try outer.derSequence("future-dated firmware alert")
        code = try reader.derAlertCode()
        executedAt = try reader.derTime("execution date and time")
        originatorCounter = try reader.derInteger("originator counter")
        outcome = try ActivationOutcome(from: &reader)
        try reader.end(after: "future-dated firmware alert")
        try outer.end(after: "payload")
    }

    func encoded() -> [UInt8] {
        DER.sequence(
            DER.alertCode(code), DER.time(executedAt), DER.integer(originatorCounter),
            outcome.encoded())
    }
}

extension DER {
    static func version(_ version: UInt32) -> [UInt8] { octets([UInt8](bigEndian: version)) }
    static func alertCode(_ code: AlertCode) -> [UInt8] { integer(UInt64(code.rawValue)) }
}

extension MessageReader {
    mutating func derVersion() throws(MessageError) -> UInt32 {
        try derOctets(4, "firmware version").reduce(0) { $0 << 8 | UInt32($1) }
    }

    mutating func derAlertCode() throws(MessageError) -> AlertCode {
        AlertCode(rawValue: UInt16(try derInteger("alert code", most: 0xFFFF)))
    }
}
