import Wire

/// Everything that can happen to a node.
public enum Input: Sendable {
    /// Power has come on, or the node restarts: flash is all that is left.
    case powerOn
    /// A deadline may have passed. Harmless at any other time.
    case tick
    case received(Reception)
    case transmitted(TransmitResult)
    /// The energy measured on the channels asked for, in dBm, most significant channel last.
    case energy(channel: UInt8, level: Int8)
    case wan(WANMessage)
    case order(Order)
    /// A milestone of another node's life; only the director gets these.
    case observed(EventRecord)

    /// To match it where it lies would copy it.
    public var isPowerOn: Bool { if case .powerOn = self { true } else { false } }
}

/// A state machine that lives on an air: no clock, no task, no file, no dice of its own.
///
/// `now` never goes backwards. After each call the carrier asks for `nextDeadline` and sends a
/// `tick` then.
public protocol Node {
    mutating func handle(_ input: borrowing Input, at now: Instant, into out: inout Outbox)
    /// When it next wants a `tick`; `.distantFuture` for never.
    var nextDeadline: Instant { get }
}
