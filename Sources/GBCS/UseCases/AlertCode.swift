import Wire

/// What an alert or an entry of a log is about (GBCS 16).
public struct AlertCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let deviceLogChanged = AlertCode(rawValue: 0x8F12)
    public static let firmwareVerificationFailedAtPowerOn = AlertCode(rawValue: 0x8F1B)
    public static let firmwareVerificationFailed = AlertCode(rawValue: 0x8F1C)
    /// No alert, but an entry of the security log.
    public static let firmwareChanged = AlertCode(rawValue: 0x8F43)
    public static let futureDatedCommandActioned = AlertCode(rawValue: 0x8F66)
    public static let futureDatedCommandNotActioned = AlertCode(rawValue: 0x8F67)
    public static let firmwareVerified = AlertCode(rawValue: 0x8F72)
    public static let firmwareTransferFailed = AlertCode(rawValue: 0x8F89)
    public static let firmwareTransferred = AlertCode(rawValue: 0x8F8A)
    public static let ppmidFirmwareActivation = AlertCode(rawValue: 0x8F8B)
    /// The queue of the hub gave a command up that its GSME did not fetch.
    public static let commandNotRetrieved = AlertCode(rawValue: 0x819D)

    /// What the code means; nil for one that is not known here.
    public var words: String? {
        switch self {
        case .deviceLogChanged: "CHF device log changed"
        case .firmwareVerificationFailedAtPowerOn: "firmware verification failed at power on"
        case .firmwareVerificationFailed: "firmware verification failed"
        case .firmwareChanged: "change in the executing firmware version"
        case .futureDatedCommandActioned: "future-dated command successfully actioned"
        case .futureDatedCommandNotActioned: "future-dated command not successfully actioned"
        case .firmwareVerified: "firmware verification successful"
        case .firmwareTransferFailed: "firmware transfer failed"
        case .firmwareTransferred: "firmware transfer succeeded"
        case .ppmidFirmwareActivation: "PPMID firmware activation"
        case .commandNotRetrieved: "GSME command not retrieved"
        default: nil
        }
    }

    /// Four capital hex digits.
    public var description: String { Hex.string(UInt64(rawValue), digits: 4) }
}
