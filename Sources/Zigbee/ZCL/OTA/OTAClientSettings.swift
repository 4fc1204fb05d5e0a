import Wire

/// How an OTA client behaves; device profiles set it under `ota`.
public struct OTAClientSettings: Sendable, Equatable {
    /// Data bytes asked for in one block, 1-56. GB meters use 40-56.
    public var blockSize: UInt8 = 48
    /// How long to wait for any answer before asking again.
    public var responseTimeout = Interval.seconds(5)
    /// How often one block is asked for again before the download is given up.
    public var blockRetries = 3
    /// Bytes asked for with one Image Page Request, at most 64 blocks of them; 0 to ask for every
    /// block. assumption: no pages; `ota.pageSize`.
    public var pageSize: UInt16 = 0
    /// The time between two blocks of a page, in whole milliseconds up to 65,535 on the air.
    /// assumption: 300 ms, the least that one vendor takes; `ota.pageSpacing`.
    public var pageSpacing = Interval.milliseconds(300)
    /// How often a page of which nothing comes is asked for again, before the rest of the download
    /// goes block by block. assumption: 2, so three tries; `ota.pageRetries`.
    public var pageRetries = 2
    /// How soon it asks first once it has found its server. assumption: 1 s; `ota.firstQuery`.
    public var firstQuery = Interval.seconds(1)
    /// Time between two queries while nothing is going on. assumption: 24 h, as is common;
    /// `ota.queryInterval` changes it.
    public var queryInterval = Interval.hours(24)
    /// Time to the next query after a download was given up. assumption; `ota.retryInterval`.
    public var retryInterval = Interval.minutes(10)
    /// Upgrade End Requests are repeated this often until somebody answers, and while waiting to
    /// be told. assumption: 60 min (two vendors' stacks); `ota.endRepeat`.
    public var endRepeat = Interval.minutes(60)
    /// Repeats of an unanswered Upgrade End Request at `responseTimeout` before `endRepeat`.
    public var endRetries = 3
    /// Repeats at `endRepeat` in a row without an answer before the client stops asking.
    /// assumption: 3; `ota.endLimit`.
    public var endLimit = 3
    /// What it does then: it runs the image (UpgradeTimeoutPolicy 0), or it keeps it and waits
    /// (1). Never true in effect for a device that is activated by order only.
    /// assumption: it waits; `ota.appliesAfterTimeout`.
    public var appliesAfterTimeout = false
    /// A peer's MinimumBlockPeriod counts milliseconds (ZCL), or seconds on some old stacks.
    public var blockPeriodInSeconds = false
    /// Whether the client says that it can keep to a MinimumBlockPeriod.
    public var supportsBlockPeriod = true
    /// Whether an image older than the running one is taken when offered (client policy).
    public var acceptsDowngrade = true
    /// Only an order outside ZigBee activates: Upgrade End Response never does (ZCL attribute
    /// UpgradeActivationPolicy = 1). True for ESME, GSME and HCALCS.
    public var activationByOrderOnly = true
    /// While only an order can activate the image it holds, ImageUpgradeStatus is 6, waiting via
    /// external event (ZCL 8), not 3. assumption: 3, which every peer knows;
    /// `ota.reportsExternalEvent`.
    public var reportsExternalEvent = false
    /// A block of another image than the one asked for gets a default response with INVALID_IMAGE,
    /// and the download goes on; otherwise it is dropped without a word. assumption: as one
    /// vendor's stack does; `ota.refusesWrongImage`.
    public var refusesWrongImage = true
    /// Block requests carry the device's own EUI-64.
    public var includesRequester = false
    /// Image types of files that an upgrade needs beside the first, of the same version: until
    /// they are there, each file ends with REQUIRE_MORE_IMAGE. assumption: none;
    /// `ota.furtherImageTypes`.
    public var furtherImageTypes: [UInt16] = []
    /// Image type of a device-specific file that is asked for whenever the server has been
    /// found. assumption: none; `ota.deviceFile`.
    public var deviceFile: UInt16?

    public init() {}
}
