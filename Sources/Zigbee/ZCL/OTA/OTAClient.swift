import Wire

/// The client side of cluster 0x0019 (ZCL 11.11-11.13): it asks, keeps count of what has come and
/// says what to send, store and check; it never touches bytes of the image itself.
public struct OTAClient: Sendable {
    /// What the caller must do now.
    public enum Step: Sendable {
        case none
        /// Send this cluster command; `payload` holds what stands behind the ZCL header.
        case send(command: UInt8, payload: FrameBuffer)
        /// A new download begins (or goes on at `offset`): make room for `size` bytes.
        case begin(image: ImageIdentity, size: UInt32, offset: UInt32)
        /// Every byte is stored: check the image and call `finishedChecking`.
        case check(image: ImageIdentity)
        /// Run the image now.
        case activate(image: ImageIdentity)
        /// The download ended without an image: nobody answered.
        case gaveUp(image: ImageIdentity, offset: UInt32)
        /// The download ended without an image: the server or this device would not go on.
        case aborted(image: ImageIdentity, offset: UInt32)
        /// It asks no more when to run the image: nobody answered (TIMEOUT), or the server
        /// refused with this status. The image stays.
        case stoppedAsking(image: ImageIdentity, ZCLStatus)
    }

    /// What a response meant.
    public enum Verdict: Sendable, Equatable {
        case accepted
        /// The bytes of this block belong at `offset`: store them.
        case store(offset: UInt32, count: Int)
        case nothingOffered(ZCLStatus)
        case waiting(Interval, period: UInt16)
        case awaitingOrder
        /// The server named a time, but this device is activated by order only: it waits on.
        case refusedTime
        case countingDown(Interval)
        case dropped(DropReason)
    }

    enum Phase: Sendable, Equatable {
        /// Nobody to ask yet.
        case unbound
        case idle
        case querying
        case requesting
        /// A page's blocks are coming.
        case paging
        case pausing
        case checking
        case ending
        case waitingToBeTold
        case countingDown
    }

    public var settings: OTAClientSettings
    public let eui64: EUI64
    public let hardwareVersion: UInt16?

    /// UpgradeServerID
    public internal(set) var server = EUI64.unknown
    /// Manufacturer, image type and CurrentFileVersion.
    public internal(set) var current: ImageIdentity
    /// ImageUpgradeStatus
    public internal(set) var status = ImageUpgradeStatus.normal
    /// The image being fetched or held.
    public internal(set) var image: ImageIdentity?
    public internal(set) var size: UInt32 = 0
    /// FileOffset: bytes of the image, header included, that are stored.
    public internal(set) var offset: UInt32 = 0
    /// MinimumBlockPeriod in the peer's unit.
    public internal(set) var minimumBlockPeriod: UInt16 = 0
    /// Blocks taken of the image that is or was fetched, those from before a restart included.
    public internal(set) var blocks: UInt32 = 0
    /// What is fetched is a device-specific file, not an upgrade.
    public internal(set) var isFile = false
    /// Files of the upgrade that are whole, where it needs several.
    public internal(set) var partsDone = 0
    /// The first of them, which gives the upgrade its version.
    var firstPart: ImageIdentity?
    /// DownloadedZigBeeStackVersion, known once an image has been checked.
    var downloadedStackVersion: UInt16 = 0xFFFF
    /// ImageStamp: tells running images of the same version apart. The device sets it.
    public var imageStamp: UInt32 = 0
    /// A download that was given up goes on where it was if the same image is offered again;
    /// otherwise it begins again. assumption: it goes on; the profile's `resume` changes it.
    public var keepsUnfinished = true

    var phase = Phase.unbound
    var deadline = Instant.distantFuture
    var lastRequest = Instant.zero
    var tries = 0
    /// Upgrade End Requests repeated by the hour since the last answer.
    var hourlyRepeats = 0
    /// Nobody says when to run the image held: it is not asked for any more.
    var hasStoppedAsking = false
    var page = PageWindow()
    /// The server has no pages, or they do not come: blocks only, for this download.
    var pagesRefused = false
    /// Image type of the device-specific file to ask for next.
    var wantedFile: UInt16?
    /// Image type that the last query named.
    public internal(set) var askedType: UInt16 = 0
    /// A step that is due before anything else.
    var pendingStep: PendingStep = .none
    private var isPaused = false
    var verdictOnImage = ZCLStatus.success
    var dice: SeededStream

    enum PendingStep: Sendable {
        case none
        case begin
        case check
        case activate
        case gaveUp
        case aborted
        case stoppedAsking(ZCLStatus)
    }

    /// CurrentZigBeeStackVersion: ZigBee PRO (ZCL 11.4.2.10).
    public static let stackVersion: UInt16 = 2

    public init(
        settings: OTAClientSettings, eui64: EUI64, current: ImageIdentity,
        hardwareVersion: UInt16?, seed: Seed
    ) {
        self.settings = settings
        self.eui64 = eui64
        self.current = current
        self.hardwareVersion = hardwareVersion
        dice = SeededStream(seed.named("ota.jitter"))
    }

    /// Whether a download is under way.
    public var isDownloading: Bool {
        phase == .requesting || phase == .pausing || phase == .paging
    }

    /// Whether a page's blocks are coming without being asked for one by one.
    public var isPaging: Bool { phase == .paging }

    /// Whether an answer is outstanding, so that a sleepy device has something to wake for.
    public var awaitsResponse: Bool {
        phase == .querying || phase == .requesting || phase == .paging || phase == .ending
    }

    public var isBound: Bool { phase != .unbound }

    /// When `step` next has something to do.
    public var nextDeadline: Instant {
        if case .none = pendingStep { return isPaused ? .distantFuture : deadline }
        return .zero
    }

    // MARK: - Orders from the device

    /// Takes `server` for UpgradeServerID and queries after `delay`.
    public mutating func bind(to server: EUI64, at now: Instant, after delay: Interval) {
        self.server = server
        guard phase == .unbound else { return }
        wantedFile = settings.deviceFile
        deadline = now + delay
        switch status {
        case .normal, .downloadInProgress, .countDown, .waitForMore, .waitingForExternalEvent:
            phase = .idle
        case .waitingToUpgrade, .downloadComplete: askWhenToUpgrade(at: now + delay)
        }
    }

    /// Upgrade End Requests from `start` on, the first few in quick succession.
    mutating func askWhenToUpgrade(at start: Instant) {
        phase = .ending
        tries = 0
        hourlyRepeats = 0
        hasStoppedAsking = false
        deadline = start
    }

    /// Queries now, if nothing else is going on.
    public mutating func queryNow(at now: Instant) {
        guard phase == .idle || phase == .waitingToBeTold else { return }
        phase = .idle
        deadline = now
    }

    /// Asks for a device-specific file of this image type (ZCL 11.13.10) as soon as no upgrade is
    /// under way.
    public mutating func queryFile(_ imageType: UInt16, at now: Instant) {
        wantedFile = imageType
        if phase == .idle { deadline = now }
    }

    /// Ends the download under way: the server is told ABORT. False if there is none.
    public mutating func cancel(at now: Instant) -> Bool {
        guard isDownloading else { return false }
        verdictOnImage = .abort
        phase = .ending
        tries = 0
        pendingStep = .none
        deadline = now
        return true
    }

    /// There is nothing newer: on with what it was doing.
    mutating func settle(at now: Instant) {
        switch status {
        case .waitingToUpgrade, .downloadComplete:
            phase = .waitingToBeTold
            deadline = now + (hasStoppedAsking ? settings.queryInterval : settings.endRepeat)
        case .waitForMore:
            phase = .idle
            deadline = now + settings.retryInterval
        case .normal, .downloadInProgress, .countDown, .waitingForExternalEvent:
            phase = .idle
            deadline = now + settings.queryInterval
        }
    }

    /// Puts back what a restart left: a download at `offset`, for which `blocks` were taken, or an
    /// image that is whole, with the stack version from its header.
    public mutating func restore(
        image: ImageIdentity, size: UInt32, offset: UInt32, status: ImageUpgradeStatus,
        blocks: UInt32 = 0, stackVersion: UInt16 = OTAClient.stackVersion
    ) {
        self.blocks = blocks
        self.image = image
        self.size = size
        self.offset = offset
        self.status = status
        downloadedStackVersion = stackVersion
    }

    /// A sleepy device holds all requests until it wakes again.
    public mutating func pause(_ paused: Bool) { isPaused = paused }

    /// The image has been checked: SUCCESS with the stack version of its header, INVALID_IMAGE to
    /// have it dropped. Where the upgrade needs more files, SUCCESS becomes REQUIRE_MORE_IMAGE.
    public mutating func finishedChecking(
        _ verdict: ZCLStatus, stackVersion: UInt16 = OTAClient.stackVersion, at now: Instant
    ) {
        guard phase == .checking else { return }
        let isPart = verdict == .success && !isFile && partsDone < settings.furtherImageTypes.count
        verdictOnImage = isPart ? .requireMoreImage : verdict
        status =
            switch verdictOnImage {
            case .success: .downloadComplete
            case .requireMoreImage: .waitForMore
            default: .normal
            }
        if verdict == .success { downloadedStackVersion = stackVersion }
        askWhenToUpgrade(at: now)
    }

    /// The image cannot be taken at all: it is refused before anything of it is fetched.
    public mutating func refuse(at now: Instant) {
        guard isDownloading else { return }
        phase = .checking
        finishedChecking(.invalidImage, at: now)
    }

    /// The device runs another version now, or dropped the image it held.
    public mutating func finished(running version: UInt32, at now: Instant) {
        current.version = version
        drop(at: now, nextQuery: settings.queryInterval)
    }

    // MARK: - Time

    /// What is due at `now`. Call again until it says `.none`.
    public mutating func step(at now: Instant) -> Step {
        let step = pendingStep
        pendingStep = .none
        switch step {
        case .none: break
        case .begin:
            if let image { return .begin(image: image, size: size, offset: offset) }
        case .check:
            if let image { return .check(image: image) }
        case .activate:
            if let image { return .activate(image: image) }
        case .gaveUp, .aborted:
            guard let image else { return .none }
            let lost = offset
            if case .gaveUp = step, keepsUnfinished, offset > 0, !isFile, partsDone == 0 {
                leaveUnfinished(at: now)
            } else {
                drop(at: now, nextQuery: settings.retryInterval)
            }
            if case .gaveUp = step { return .gaveUp(image: image, offset: lost) }
            return .aborted(image: image, offset: lost)
        case .stoppedAsking(let status):
            if let image { return .stoppedAsking(image: image, status) }
        }
        guard !isPaused, deadline <= now else { return .none }
        switch phase {
        case .unbound, .checking:
            deadline = .distantFuture
            return .none
        case .idle: return query(at: now)
        case .querying:
            if isFile {
                isFile = false
                return query(at: now)
            }
            settle(at: now)
            deadline = min(deadline, now + settings.retryInterval)
            return .none
        case .paging: return endPage(at: now)
        case .requesting:
            tries += 1
            guard tries <= settings.blockRetries else {
                pendingStep = .gaveUp
                return self.step(at: now)
            }
            return request(at: now)
        case .pausing:
            phase = .requesting
            tries = 0
            return request(at: now)
        case .ending: return end(at: now)
        case .waitingToBeTold: return hasStoppedAsking ? query(at: now) : end(at: now)
        case .countingDown:
            deadline = .distantFuture
            pendingStep = .activate
            return self.step(at: now)
        }
    }

    private mutating func query(at now: Instant) -> Step {
        phase = .querying
        deadline = now + settings.responseTimeout
        var payload = FrameBuffer()
        if let type = wantedFile, status == .normal {
            wantedFile = nil
            isFile = true
            askedType = type
            // Whatever version there is.
            QueryDeviceSpecificFileRequest(
                requester: eui64,
                image: ImageIdentity(
                    manufacturer: current.manufacturer, imageType: type, version: 0xFFFF_FFFF),
                stackVersion: Self.stackVersion
            ).encode(into: &payload)
            return .send(
                command: OTACommandID.queryDeviceSpecificFileRequest, payload: payload)
        }
        askedType = wantedImageType
        var asked = current
        asked.imageType = askedType
        QueryNextImageRequest(current: asked, hardwareVersion: hardwareVersion)
            .encode(into: &payload)
        return .send(command: OTACommandID.queryNextImageRequest, payload: payload)
    }

    /// The image type of the upgrade's next file.
    var wantedImageType: UInt16 {
        let further = settings.furtherImageTypes
        return partsDone > 0 && partsDone <= further.count
            ? further[partsDone - 1] : current.imageType
    }

    @inline(__always)
    private mutating func request(at now: Instant) -> Step {
        guard let image else { return .none }
        if settings.pageSize > 0, !pagesRefused, offset >= page.end {
            return requestPage(of: image, at: now)
        }
        lastRequest = now
        // In a page with gaps, no further than the page.
        let remaining = (offset < page.end ? page.end : size) - offset
        let block = UInt8(min(UInt32(settings.blockSize), remaining))
        var payload = FrameBuffer()
        deadline = now + settings.responseTimeout
        let request = ImageBlockRequest(
            image: image, offset: offset, maximumDataSize: block,
            requester: settings.includesRequester || isFile ? eui64 : nil,
            minimumBlockPeriod: settings.supportsBlockPeriod ? minimumBlockPeriod : nil)
        request.encode(into: &payload)
        return .send(command: OTACommandID.imageBlockRequest, payload: payload)
    }

    private mutating func requestPage(of image: ImageIdentity, at now: Instant) -> Step {
        phase = .paging
        lastRequest = now
        deadline = now + pagePatience
        page = PageWindow(
            from: offset, count: min(UInt32(settings.pageSize), size - offset),
            blockSize: settings.blockSize)
        var payload = FrameBuffer()
        ImagePageRequest(
            image: image, offset: offset, maximumDataSize: settings.blockSize,
            pageSize: UInt16(page.end - page.start),
            spacing: UInt16(clamping: pageSpacing.microseconds / 1_000),
            requester: settings.includesRequester || isFile ? eui64 : nil
        ).encode(into: &payload)
        return .send(command: OTACommandID.imagePageRequest, payload: payload)
    }

    private var pageSpacing: Interval { max(settings.pageSpacing, blockPeriod) }
    /// How long the next block of a page is waited for.
    var pagePatience: Interval { settings.responseTimeout + pageSpacing }

    /// No more of the page comes. Its gaps are asked for one by one; a page that is all gap is
    /// asked for again, a few times.
    private mutating func endPage(at now: Instant) -> Step {
        if page.isEmpty {
            tries += 1
            if tries <= settings.pageRetries, let image { return requestPage(of: image, at: now) }
            pagesRefused = true
            page = PageWindow()
        }
        phase = .requesting
        tries = 0
        return request(at: now)
    }

    private mutating func end(at now: Instant) -> Step {
        guard let image else { return .none }
        let isByHour = phase == .waitingToBeTold || tries > settings.endRetries
        if isByHour {
            guard hourlyRepeats < (isFile ? 0 : settings.endLimit) else {
                stopAsking(.timeout, at: now)
                return step(at: now)
            }
            hourlyRepeats += 1
        }
        tries += 1
        deadline =
            now
            + (phase == .ending && tries <= settings.endRetries
                ? settings.responseTimeout : settings.endRepeat)
        var payload = FrameBuffer()
        UpgradeEndRequest(status: verdictOnImage, image: image).encode(into: &payload)
        switch verdictOnImage {
        case .success: break
        case .abort: pendingStep = .aborted
        case .requireMoreImage: goOnToNextPart(at: now)
        default:
            // The server answers a failure with a default response only: nothing to wait for.
            drop(at: now, nextQuery: isFile ? .zero : settings.queryInterval)
        }
        return .send(command: OTACommandID.upgradeEndRequest, payload: payload)
    }

    /// Nobody says when to run the image. A file needs no permission, and an upgrade whose policy
    /// says so goes ahead; any other stays held (UpgradeTimeoutPolicy, ZCL 11.10).
    mutating func stopAsking(_ reason: ZCLStatus, at now: Instant) {
        if isFile {
            drop(at: now, nextQuery: .zero)
            return
        }
        if reason == .timeout, settings.appliesAfterTimeout, !settings.activationByOrderOnly {
            status = .countDown
            phase = .countingDown
            deadline = now
            return
        }
        hasStoppedAsking = true
        status = .waitingToUpgrade
        phase = .waitingToBeTold
        deadline = now + settings.queryInterval
        pendingStep = .stoppedAsking(reason)
    }

    /// One file of the upgrade is whole; the next is asked for at once.
    private mutating func goOnToNextPart(at now: Instant) {
        if firstPart == nil { firstPart = image }
        partsDone = min(partsDone + 1, settings.furtherImageTypes.count)
        image = nil
        size = 0
        offset = 0
        page = PageWindow()
        pagesRefused = false
        verdictOnImage = .success
        phase = .idle
        deadline = now
    }

    mutating func drop(at now: Instant, nextQuery: Interval) {
        image = nil
        size = 0
        offset = 0
        minimumBlockPeriod = 0
        isFile = false
        partsDone = 0
        firstPart = nil
        downloadedStackVersion = 0xFFFF
        page = PageWindow()
        pagesRefused = false
        hourlyRepeats = 0
        hasStoppedAsking = false
        status = .normal
        verdictOnImage = .success
        phase = server == .unknown ? .unbound : .idle
        deadline = now + nextQuery
    }

    /// Nobody answers any more: what there is of the image stays, in case it is offered again.
    private mutating func leaveUnfinished(at now: Instant) {
        page = PageWindow()
        phase = .idle
        deadline = now + settings.retryInterval
    }

    var blockPeriod: Interval {
        settings.blockPeriodInSeconds
            ? .seconds(Int64(minimumBlockPeriod)) : .milliseconds(Int64(minimumBlockPeriod))
    }
}
