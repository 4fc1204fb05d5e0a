import Wire

/// What a hub keeps for its devices until it can pass it on. It is in memory: a restart loses it
/// (assumption: GBCS asks for no more; no setting). Hub profiles set it under `mail`.
public struct HubMailSettings: Sendable, Equatable {
    /// How long a message waits for its GSME to fetch it; then it is thrown away (event 819D).
    /// `mail.holdTime`.
    public var holdTime = Interval.hours(24)
    /// Bytes of all messages that wait, for all devices. assumption: 64 KiB; `mail.queueBytes`.
    public var queueBytes = 65_536
    /// The endpoint of the GPF that GSMEs ask for a mirror. assumption: 1;
    /// `mail.interfaceEndpoint`.
    public var interfaceEndpoint: UInt8 = 1
    /// Application device identifier of its simple descriptor. assumption: energy service
    /// interface, 0x0500; `mail.interfaceDevice`.
    public var interfaceDevice: UInt16 = 0x0500
    /// The first mirror's endpoint, with the Metering client that holds the notification flags;
    /// others have the next that are free. assumption: 2; `mail.mirrorEndpoint`.
    public var mirrorEndpoint: UInt8 = 2
    /// Application device identifier of a mirror's simple descriptor. assumption: metering device,
    /// 0x0501; `mail.mirrorDevice`.
    public var mirrorDevice: UInt16 = 0x0501

    public init() {}
}
