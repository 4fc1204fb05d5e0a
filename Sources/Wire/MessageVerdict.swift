/// What a remote party finds when it checks a GBCS message from the home.
public enum MessageVerdict: UInt8, CaseIterable, Sendable {
    /// Signature and MAC are right, as far as the message has to have them.
    case valid = 0
    case badSignature = 1
    case badMAC = 2
    /// The key to check it with is not known.
    case noKey = 3
    /// It is no message.
    case malformed = 4
    /// Its originator has used its counter before.
    case replayed = 5

    public var name: String { "\(self)" }
}

/// What a GBCS message is by its CRA flag.
public enum EventMessageKind: UInt8, CaseIterable, Sendable {
    case command = 1
    case response = 2
    case alert = 3

    public var name: String { "\(self)" }
}
