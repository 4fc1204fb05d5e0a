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

    public var name: String { "\(self)" }

    /// The name of a GBCS message's kind by its CRA flag; `none` for any other value.
    public static func kindName(_ flag: UInt64) -> String {
        switch flag {
        case 1: "command"
        case 2: "response"
        case 3: "alert"
        default: "none"
        }
    }
}
