import Radio
import Wire

/// How a hub's OTA server behaves; hub profiles set it under `ota`.
public struct OTAServerSettings: Sendable, Equatable {
    /// Devices that may download at the same time; the others get WAIT_FOR_DATA.
    /// assumption: as many as there are; `ota.downloadLimit`.
    public var downloadLimit = 64
    /// A download counts as under way until its device has been silent for so long.
    /// assumption: 30 s; `ota.downloadIdle`.
    public var downloadIdle = Interval.seconds(30)
    /// How long WAIT_FOR_DATA has a device wait; on the air in whole seconds, rounded up.
    /// assumption: 60 s; `ota.waitTime`.
    public var waitTime = Interval.seconds(60)
    /// MinimumBlockPeriod that devices are told; on the air in whole milliseconds, or seconds.
    /// Zero: none. assumption: none; `ota.blockPeriod`.
    public var blockPeriod = Interval.zero
    /// MinimumBlockPeriod counts seconds, rounded up, as on some old stacks, and not milliseconds
    /// (ZCL 11.10); `ota.blockPeriodInSeconds`.
    public var blockPeriodInSeconds = false
    /// WAIT_FOR_DATA has a MinimumBlockPeriod (ZCL 11.13.8); without one it has 9 bytes, as on
    /// stacks of Smart Energy 1.1, and no device is told of a period; `ota.sendsBlockPeriod`.
    public var sendsBlockPeriod = true
    /// What a request for data of an image gets that the hub does not have for the device.
    /// assumption: ABORT, of the two that servers are known to give; `ota.unknownImage`.
    public var unknownImage = UnknownImageAnswer.abort
    /// Its commands leave the disable-default-response bit clear, so that each gets an answer
    /// (ZCL 2.5.12.2). assumption: no; `ota.wantsDefaultResponses`.
    public var wantsDefaultResponses = false
    /// How WAIT_FOR_DATA and Upgrade End Response give times. assumption: as an offset;
    /// `ota.times`.
    public var times = OTATimeForm.relative
    /// Devices that are sent pages at the same time; the others get WAIT_FOR_DATA.
    /// assumption: 4; `ota.pageLimit`.
    public var pageLimit = 4
    /// The least time between two blocks of a page, whatever its request says. assumption:
    /// 10 ms, which a block takes on the air; `ota.pageSpacing`.
    public var pageSpacing = Interval.milliseconds(10)
    /// How long after its Upgrade End Response a PPMID is to run the image; on the air in whole
    /// seconds, rounded up. assumption: at once; `ota.upgradeDelay`.
    public var upgradeDelay = Interval.zero
    /// How long a PPMID is first told to wait to be told (0xFFFFFFFF); then comes an Upgrade End
    /// Response with a time, asked for or not. assumption: not at all; `ota.upgradeHold`.
    public var upgradeHold = Interval.zero
    /// Whom Image Notify goes to. assumption: each target by itself; `ota.notify`.
    public var notify = NotifyForm.unicast
    /// What it says beside the jitter. assumption: all there is; `ota.notifyPayload`.
    public var notifyPayload = NotifyPayload.version
    /// QueryJitter, 1-100: the share of devices, in percent, that answer a broadcast.
    /// assumption: all; `ota.notifyJitter`.
    public var notifyJitter: UInt8 = 100
    /// Image Notifies on their way at the same time, each to one device.
    /// assumption: 4; `ota.notifyLimit`.
    public var notifyLimit = 4
    /// A device is only offered an image that may follow the version it says it runs.
    /// assumption: the hub is told and looks; `ota.checksInstallableFrom`.
    public var checksInstallableFrom = true
    /// An image with Force Replace set takes the place of all others of its manufacturer and
    /// image type for its devices at once, downloads under way included; without it, these may
    /// be finished. assumption: GBCS leaves it to the hub (11.2.2); `ota.obeysForceReplace`.
    public var obeysForceReplace = true
    /// A device that has refused an image (INVALID_IMAGE) is offered it again when it next asks.
    /// assumption: it is not, until it is delivered anew; `ota.offersRefused`.
    public var offersRefused = false

    public init() {}
}

/// How an OTA server gives a time (ZCL 11.13.8, 11.13.9.2).
public enum OTATimeForm: String, Sendable, CaseIterable {
    /// CurrentTime 0 and an offset in seconds.
    case relative
    /// Two times in seconds since 2000-01-01T00:00:00Z.
    case absolute
}

/// What an OTA server says to a request for data of an image that it does not have.
public enum UnknownImageAnswer: String, Sendable, CaseIterable {
    /// Image Block Response with ABORT.
    case abort
    /// A default response with NO_IMAGE_AVAILABLE.
    case noImageAvailable
}

/// Whom Image Notify goes to (ZCL 11.13.3).
public enum NotifyForm: String, Sendable, CaseIterable {
    /// Each target that listens all the time.
    case unicast
    /// Everybody who listens, with no more than NWK security: there is no link key for many.
    case broadcast
}

/// The payload types of Image Notify (ZCL 11.13.3.2).
public enum NotifyPayload: UInt8, Sendable, CaseIterable {
    case jitter = 0
    case manufacturer = 1
    case imageType = 2
    case version = 3
}

/// The flash part of a hub, beside its size, which follows from its image slots.
public struct HubFlash: Sendable, Equatable {
    /// Bytes that one erase clears.
    public var pageSize = 4096
    public var programPerByte = Interval.microseconds(3)
    public var erasePage = Interval.milliseconds(45)

    public init() {}
}
