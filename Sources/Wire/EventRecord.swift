/// One thing that happened, in a form that costs nothing to hand on: no text, no references.
///
/// `docs/events.md` lists every kind and its fields; `EventKind.fields` gives each field's name
/// and how it is written.
public struct EventRecord: Sendable {
    public var time: Instant
    /// Whom it happened to: an index into the run's roster.
    public var node: UInt16
    public var kind: EventKind
    /// The fields' values in the order of `kind.fields`; those beyond are 0.
    public var values: InlineArray<6, UInt64>

    @inlinable
    public init(
        time: Instant, node: UInt16, kind: EventKind,
        _ a: UInt64 = 0, _ b: UInt64 = 0, _ c: UInt64 = 0,
        _ d: UInt64 = 0, _ e: UInt64 = 0, _ f: UInt64 = 0
    ) {
        self.time = time
        self.node = node
        self.kind = kind
        values = [a, b, c, d, e, f]
    }
}

/// How a field of an event is written.
public enum EventFormat: Sendable {
    case decimal
    /// A time span, held in microseconds, written in seconds.
    case duration
    /// `0x` and this many digits.
    case hex(digits: Int)
    case eui64
    case yesNo
    /// `DropReason`
    case dropReason
    /// `RefusalReason`
    case refusal
    /// `BenchOrder`
    case benchOrder
    /// `TransmitStatus` as its raw value.
    case transmitStatus
    /// A ZCL status code (ZCL 2.6.3).
    case zclStatus
    /// Four values: a SHA-256 digest as hex.
    case digest
    /// An index into the scenario's steps.
    case step
    /// Message code of a GBCS message as four hex digits, and the name of its use case.
    case messageCode
    /// CRA flag of a GBCS message: 1 command, 2 response, 3 alert; 0 for none.
    case messageKind
    /// `MessageVerdict`
    case verdict
    /// Up to eight ASCII characters, the last in the low byte; see `EventKind.word`.
    case word
}

/// A field of an event: its name and how its value is written.
public struct EventField: Sendable {
    public var name: String
    public var format: EventFormat

    init(_ name: String, _ format: EventFormat) {
        self.name = name
        self.format = format
    }
}
