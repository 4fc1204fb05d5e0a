import Wire

/// How an OTA client behaves; device profiles set it under `ota`.
public struct OTAClientSettings: Sendable, Equatable {
    /// Data bytes asked for in one block, 1-56. GB meters use 40-56.
    public var blockSize: UInt8 = 48
    /// How long to wait for any answer before asking again.
    public var responseTimeout = Interval.seconds(5)
    /// How often one block is asked for again before the download is given up.
    public var blockRetries = 3
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
    /// A peer's MinimumBlockPeriod counts milliseconds (ZCL), or seconds on some old stacks.
    public var blockPeriodInSeconds = false
    /// Whether the client says that it can keep to a MinimumBlockPeriod.
    public var supportsBlockPeriod = true
    /// Whether an image older than the running one is taken when offered (client policy).
    public var acceptsDowngrade = true
    /// Only an order outside ZigBee activates: Upgrade End Response never does (ZCL attribute
    /// UpgradeActivationPolicy = 1). True for ESME, GSME and HCALCS.
    public var activationByOrderOnly = true
    /// Blocks carry the device's own EUI-64.
    public var includesRequester = false

    public init() {}
}

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
        /// The download ended without an image.
        case gaveUp(image: ImageIdentity, offset: UInt32)
        case aborted(image: ImageIdentity, offset: UInt32)
    }

    /// What a response meant.
    public enum Verdict: Sendable, Equatable {
        case accepted
        /// The bytes of this block belong at `offset`: store them.
        case store(offset: UInt32, count: Int)
        case nothingOffered(ZCLStatus)
        case waiting(Interval, period: UInt16)
        case awaitingOrder
        case countingDown(Interval)
        case dropped(DropReason)
    }

    enum Phase: Sendable, Equatable {
        /// Nobody to ask yet.
        case unbound
        case idle
        case querying
        case requesting
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
    public private(set) var server = EUI64.unknown
    /// Manufacturer, image type and CurrentFileVersion.
    public private(set) var current: ImageIdentity
    /// ImageUpgradeStatus
    public private(set) var status = ImageUpgradeStatus.normal
    /// The image being fetched or held.
    public private(set) var image: ImageIdentity?
    public private(set) var size: UInt32 = 0
    /// FileOffset: bytes of the image, header included, that are stored.
    public private(set) var offset: UInt32 = 0
    /// MinimumBlockPeriod in the peer's unit.
    public private(set) var minimumBlockPeriod: UInt16 = 0
    /// Blocks taken in this download.
    public private(set) var blocks: UInt32 = 0

    private(set) var phase = Phase.unbound
    private var deadline = Instant.distantFuture
    private var lastRequest = Instant.zero
    private var tries = 0
    /// A step that is due before anything else.
    private var pendingStep: PendingStep = .none
    private var isPaused = false
    private var verdictOnImage = ZCLStatus.success
    private var dice: SeededStream

    private enum PendingStep: Sendable {
        case none
        case begin
        case check
        case activate
        case gaveUp
        case aborted
    }

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
    public var isDownloading: Bool { phase == .requesting || phase == .pausing }

    /// Whether an answer is outstanding, so that a sleepy device has something to wake for.
    public var awaitsResponse: Bool {
        phase == .querying || phase == .requesting || phase == .ending
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
        switch status {
        case .normal:
            phase = .idle
            deadline = now + delay
        case .downloadInProgress:
            phase = .idle
            deadline = now + delay
        case .waitingToUpgrade, .downloadComplete:
            phase = .ending
            tries = 0
            deadline = now + delay
        case .countDown, .waitForMore, .waitingForExternalEvent:
            phase = .idle
            deadline = now + delay
        }
    }

    /// Queries now, if nothing else is going on.
    public mutating func queryNow(at now: Instant) {
        guard phase == .idle || phase == .waitingToBeTold else { return }
        phase = .idle
        deadline = now
    }

    /// There is nothing newer: on with what it was doing.
    private mutating func settle(at now: Instant) {
        if status == .waitingToUpgrade || status == .downloadComplete {
            phase = .waitingToBeTold
            deadline = now + settings.endRepeat
        } else {
            phase = .idle
            deadline = now + settings.queryInterval
        }
    }

    /// Puts back what a restart left: a download at `offset`, or an image that is whole.
    public mutating func restore(
        image: ImageIdentity, size: UInt32, offset: UInt32, status: ImageUpgradeStatus
    ) {
        self.image = image
        self.size = size
        self.offset = offset
        self.status = status
    }

    /// A sleepy device holds all requests until it wakes again.
    public mutating func pause(_ paused: Bool) { isPaused = paused }

    /// The image has been checked: SUCCESS, or INVALID_IMAGE to have it dropped.
    public mutating func finishedChecking(_ verdict: ZCLStatus, at now: Instant) {
        guard phase == .checking else { return }
        verdictOnImage = verdict
        status = verdict == .success ? .downloadComplete : .normal
        phase = .ending
        tries = 0
        deadline = now
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
            drop(at: now, nextQuery: settings.retryInterval)
            if case .gaveUp = step { return .gaveUp(image: image, offset: lost) }
            return .aborted(image: image, offset: lost)
        }
        guard !isPaused, deadline <= now else { return .none }
        switch phase {
        case .unbound, .checking:
            deadline = .distantFuture
            return .none
        case .idle: return query(at: now)
        case .querying:
            settle(at: now)
            deadline = min(deadline, now + settings.retryInterval)
            return .none
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
        case .waitingToBeTold: return end(at: now)
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
        QueryNextImageRequest(current: current, hardwareVersion: hardwareVersion)
            .encode(into: &payload)
        return .send(command: OTACommandID.queryNextImageRequest, payload: payload)
    }

    @inline(__always)
    private mutating func request(at now: Instant) -> Step {
        guard let image else { return .none }
        lastRequest = now
        let remaining = size - offset
        let block = UInt8(min(UInt32(settings.blockSize), remaining))
        var payload = FrameBuffer()
        deadline = now + settings.responseTimeout
        let request = ImageBlockRequest(
            image: image, offset: offset, maximumDataSize: block,
            requester: settings.includesRequester ? eui64 : nil,
            minimumBlockPeriod: settings.supportsBlockPeriod ? minimumBlockPeriod : nil)
        request.encode(into: &payload)
        return .send(command: OTACommandID.imageBlockRequest, payload: payload)
    }

    private mutating func end(at now: Instant) -> Step {
        guard let image else { return .none }
        tries += 1
        deadline =
            now
            + (phase == .ending && tries <= settings.endRetries
                ? settings.responseTimeout : settings.endRepeat)
        var payload = FrameBuffer()
        UpgradeEndRequest(status: verdictOnImage, image: image).encode(into: &payload)
        if verdictOnImage != .success {
            // The server answers a failure with a default response only: nothing to wait for.
            drop(at: now, nextQuery: settings.queryInterval)
        }
        return .send(command: OTACommandID.upgradeEndRequest, payload: payload)
    }

    private mutating func drop(at now: Instant, nextQuery: Interval) {
        image = nil
        size = 0
        offset = 0
        minimumBlockPeriod = 0
        status = .normal
        verdictOnImage = .success
        phase = server == .unknown ? .unbound : .idle
        deadline = now + nextQuery
    }

    // MARK: - What the server says

    /// Image Notify from `server` (ZCL 11.13.3.5): a broadcast is answered by lot.
    public mutating func imageNotify(
        _ notify: ImageNotify, isBroadcast: Bool, at now: Instant
    ) -> Verdict {
        guard phase == .idle || phase == .waitingToBeTold else {
            return .dropped(.otaOutOfState)
        }
        if phase == .waitingToBeTold, notify.version == image?.version {
            return .dropped(.otaWrongImage)
        }
        if let manufacturer = notify.manufacturer, manufacturer != 0xFFFF,
            manufacturer != current.manufacturer
        {
            return .dropped(.otaWrongImage)
        }
        if let type = notify.imageType, type != 0xFFFF, type != current.imageType {
            return .dropped(.otaWrongImage)
        }
        if isBroadcast {
            if notify.version == current.version { return .dropped(.otaWrongImage) }
            if dice.below(100) + 1 > UInt64(notify.jitter) { return .dropped(.otaJitter) }
        }
        phase = .idle
        deadline = now
        return .accepted
    }

    /// Query Next Image Response (ZCL 11.13.5).
    public mutating func queryNextImageResponse(
        _ response: QueryNextImageResponse, at now: Instant
    ) -> Verdict {
        guard phase == .querying else { return .dropped(.otaOutOfState) }
        guard response.status == .success, let offered = response.image else {
            if status == .downloadInProgress { drop(at: now, nextQuery: settings.queryInterval) }
            settle(at: now)
            return .nothingOffered(response.status)
        }
        guard offered.manufacturer == current.manufacturer,
            offered.imageType == current.imageType, response.size > 0
        else { return .dropped(.otaWrongImage) }
        let isWanted =
            offered.version != current.version
            && (settings.acceptsDowngrade || offered.version > current.version)
        let isHeld = offered == image && size == response.size && status != .downloadInProgress
        guard isWanted, !isHeld else {
            settle(at: now)
            return .nothingOffered(.success)
        }
        let resumes =
            image == offered && size == response.size && status == .downloadInProgress
            && offset < size
        if !resumes {
            offset = 0
            size = response.size
            image = offered
        }
        blocks = 0
        status = .downloadInProgress
        phase = .pausing
        deadline = now
        pendingStep = .begin
        return .accepted
    }

    /// Image Block Response (ZCL 11.13.8).
    public mutating func imageBlockResponse(
        _ response: ImageBlockResponse, at now: Instant
    ) -> Verdict {
        guard phase == .requesting || phase == .pausing else {
            return .dropped(.otaOutOfState)
        }
        switch response {
        case .block(let given, let at, let count):
            guard phase == .requesting else { return .dropped(.otaOutOfState) }
            guard given == image else { return .dropped(.otaWrongImage) }
            guard at == offset else { return .dropped(.otaWrongOffset) }
            let taken = min(UInt32(count), size - offset)
            guard taken > 0, taken <= UInt32(settings.blockSize) else {
                return .dropped(.otaWrongOffset)
            }
            offset += taken
            blocks += 1
            tries = 0
            if offset == size {
                phase = .checking
                deadline = .distantFuture
                pendingStep = .check
            } else {
                phase = .pausing
                deadline = max(now, lastRequest + blockPeriod)
            }
            return .store(offset: at, count: Int(taken))
        case .wait(let current, let request, let period):
            if let period, settings.supportsBlockPeriod { minimumBlockPeriod = period }
            let delay = Interval.seconds(Int64(request > current ? request - current : 0))
            phase = .pausing
            tries = 0
            deadline = delay == .zero ? max(now, lastRequest + blockPeriod) : now + delay
            return .waiting(delay, period: minimumBlockPeriod)
        case .refused(let status):
            pendingStep = .aborted
            return .nothingOffered(status)
        }
    }

    private var blockPeriod: Interval {
        settings.blockPeriodInSeconds
            ? .seconds(Int64(minimumBlockPeriod)) : .milliseconds(Int64(minimumBlockPeriod))
    }

    /// Upgrade End Response, asked for or not (ZCL 11.13.9.2, 11.17).
    public mutating func upgradeEndResponse(
        _ response: UpgradeEndResponse, at now: Instant
    ) -> Verdict {
        guard let image,
            status == .downloadComplete || status == .waitingToUpgrade
                || status == .countDown
        else { return .dropped(.otaOutOfState) }
        guard response.image.covers(image) else { return .dropped(.otaWrongImage) }
        guard let delay = response.delay, !settings.activationByOrderOnly else {
            status = .waitingToUpgrade
            phase = .waitingToBeTold
            deadline = now + settings.endRepeat
            return .awaitingOrder
        }
        status = .countDown
        phase = .countingDown
        deadline = now + .seconds(Int64(delay))
        return .countingDown(.seconds(Int64(delay)))
    }

    /// A default response of the server to one of our commands.
    public mutating func defaultResponse(
        to command: UInt8, status: ZCLStatus, at now: Instant
    ) -> Verdict {
        guard status != .success else { return .accepted }
        switch command {
        case OTACommandID.queryNextImageRequest where phase == .querying:
            settle(at: now)
            return .nothingOffered(status)
        case OTACommandID.imageBlockRequest where phase == .requesting:
            pendingStep = .aborted
            return .nothingOffered(status)
        default: return .dropped(.otaOutOfState)
        }
    }

    /// The value of one attribute of the cluster, or nil if there is none of that number.
    public func attribute(_ identifier: UInt16) -> ZCLAttribute? {
        let held = image != nil && status != .downloadInProgress
        return switch identifier {
        case OTAAttributeID.upgradeServerID: .init(identifier, .ieeeAddress, server.rawValue)
        case OTAAttributeID.fileOffset:
            .init(identifier, .uint32, image == nil ? 0xFFFF_FFFF : UInt64(offset))
        case OTAAttributeID.currentFileVersion:
            .init(identifier, .uint32, UInt64(current.version))
        case OTAAttributeID.currentStackVersion: .init(identifier, .uint16, 2)
        case OTAAttributeID.downloadedFileVersion:
            .init(identifier, .uint32, held ? UInt64(image?.version ?? .max) : 0xFFFF_FFFF)
        case OTAAttributeID.downloadedStackVersion:
            .init(identifier, .uint16, held ? 2 : 0xFFFF)
        case OTAAttributeID.imageUpgradeStatus:
            .init(identifier, .enum8, UInt64(status.rawValue))
        case OTAAttributeID.manufacturerID:
            .init(identifier, .uint16, UInt64(current.manufacturer))
        case OTAAttributeID.imageTypeID: .init(identifier, .uint16, UInt64(current.imageType))
        case OTAAttributeID.minimumBlockPeriod:
            .init(identifier, .uint16, UInt64(minimumBlockPeriod), isWritable: true)
        case OTAAttributeID.upgradeActivationPolicy:
            .init(identifier, .enum8, settings.activationByOrderOnly ? 1 : 0)
        case OTAAttributeID.upgradeTimeoutPolicy: .init(identifier, .enum8, 1)
        default: nil
        }
    }
}
