import Wire

/// What feeds a node, as its power descriptor says it. A device's profile holds one under `power`.
public struct PowerSettings: Sendable, Equatable {
    /// What a device runs on that is not mains powered.
    public enum Battery: String, Sendable, CaseIterable {
        case disposable
        case rechargeable
    }

    /// How full the current power source is, in wire values (ZigBee 2.3.2.4.4).
    public enum Level: UInt8, Sendable, CaseIterable {
        case critical = 0
        case third = 4
        case twoThirds = 8
        case full = 12
    }

    /// assumption: disposable, as in a gas meter; `power.battery`.
    public var battery = Battery.disposable
    /// assumption: full, for mains as well; `power.level`.
    public var level = Level.full

    public init() {}
}

/// The node power descriptor's two bytes (ZigBee 2.3.2.4).
public struct PowerDescriptor: Sendable, Equatable {
    /// 0: the receiver is on as the node descriptor says; 1: it comes on from time to time.
    public var mode: UInt8
    /// Bit 0: mains; bit 1: rechargeable battery; bit 2: disposable battery.
    public var availableSources: UInt8
    /// One of these bits.
    public var currentSource: UInt8
    public var level: PowerSettings.Level

    /// What a node says of itself. It has one source: mains, or its battery.
    ///
    /// assumption: a sleeper's mode is 1; the standard would let it say 0 as well, since its node
    /// descriptor says that its receiver is off; `sleep` in its profile makes it one.
    public init(of configuration: StackConfiguration) {
        mode = configuration.receiverOnWhenIdle ? 0 : 1
        let battery: UInt8 = configuration.power.battery == .rechargeable ? 2 : 4
        availableSources = configuration.isMainsPowered ? 1 : battery
        currentSource = availableSources
        level = configuration.power.level
    }

    /// Four bits each: mode and available sources, current source and level.
    func encode(into frame: inout FrameBuffer) {
        frame.append(mode & 15 | availableSources << 4)
        frame.append(currentSource & 15 | level.rawValue << 4)
    }
}
