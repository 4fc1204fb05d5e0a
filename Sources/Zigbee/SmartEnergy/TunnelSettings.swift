import Wire

/// How a node uses the Tunneling cluster. Profiles hold one under `tunnel`.
public struct TunnelSettings: Sendable, Equatable {
    /// What runs in its tunnels: GB-HRGP, and the code for the standard's own protocols (GBCS
    /// 10.2.2). Another one is refused.
    public var protocolID: UInt8 = 6
    public var manufacturerCode: UInt16 = 0xFFFF
    /// MaximumIncomingTransferSize, bytes of a message in a tunnel (GBCS 10.2.2). assumption: what
    /// the GSME's mailbox puts before a message is not counted; no setting.
    public var transferSize: UInt16 = 1_500
    /// CloseTunnelTimeout: seconds without a message after which the server closes a tunnel.
    /// assumption: 65535, the cluster's default; `tunnel.closeTimeout`.
    public var closeTimeout: UInt16 = 0xFFFF
    /// How soon after a device is there its tunnel is asked for. assumption: 2 s;
    /// `tunnel.afterJoining`.
    public var afterJoining = Interval.seconds(2)
    /// How long an answer is waited for. assumption: 10 s; `tunnel.responseTimeout`.
    public var responseTimeout = Interval.seconds(10)
    /// How long after a failure a tunnel is asked for again. assumption: 10 min; `tunnel.retry`.
    public var retry = Interval.minutes(10)
    /// How soon it is after the other side has closed it. assumption: 1 s; `tunnel.reopen`.
    public var reopen = Interval.seconds(1)
    /// How often a device that has something to say, and no tunnel to say it in, announces itself:
    /// the hub then opens one. assumption: 5 s; `tunnel.announce`.
    public var announce = Interval.seconds(5)
    /// Messages that wait for one partner at most. assumption: 16; `tunnel.queueMessages`.
    public var queueMessages = 16
    /// How long a message waits for a tunnel that can be used. assumption: 10 min at a hub, 24 h at
    /// a device; `tunnel.deliveryTime`.
    public var deliveryTime = Interval.minutes(10)
    /// FunctionalNotificationFlags of the Metering client (Smart Energy D.3). assumption: attribute
    /// 0x0000; `tunnel.flagsAttribute`.
    public var flagsAttribute: UInt16 = 0x0000

    public init() {}

    public var kind: TunnelProtocol {
        TunnelProtocol(manufacturer: manufacturerCode, number: protocolID)
    }
}

/// What a GSME and its hub put before a message in their tunnel (GBCS 10.2.2.2).
public enum MailboxVerb {
    /// GSME to hub, alone: is there a message?
    public static let get: UInt8 = 0x01
    /// Hub to GSME, then how many more there are, u8, and the message, if there is one.
    public static let message: UInt8 = 0x02
    /// GSME to hub, then a message.
    public static let put: UInt8 = 0x03
}

/// FunctionalNotificationFlags, a bitmap of 32 bits (GBCS 10.3.4).
public struct FunctionalNotificationFlags: OptionSet, Sendable {
    public var rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Bit 0: there is firmware for the device.
    public static let newOTAFirmware = FunctionalNotificationFlags(rawValue: 1 << 0)
    /// Bit 21: a message waits for it.
    public static let tunnelMessagePending = FunctionalNotificationFlags(rawValue: 1 << 21)
}
