import Wire

/// What an OTA client makes of what its server sends, and what it says of itself.
extension OTAClient {
    // MARK: - What the server says

    /// Image Notify from `server` (ZCL 11.13.3.5): a broadcast is answered by lot.
    public mutating func imageNotify(
        _ notify: ImageNotify, isBroadcast: Bool, at now: Instant
    ) -> Verdict {
        guard phase == .idle || phase == .waitingToBeTold else {
            return .dropped(.otaOutOfState)
        }
        if phase == .waitingToBeTold, !hasStoppedAsking, notify.version == image?.version {
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
        guard phase == .querying, !isFile else { return .dropped(.otaOutOfState) }
        guard response.status == .success, let offered = response.image else {
            if status == .downloadInProgress { drop(at: now, nextQuery: settings.queryInterval) }
            settle(at: now)
            return .nothingOffered(response.status)
        }
        guard offered.manufacturer == current.manufacturer, offered.imageType == askedType,
            response.size > 0
        else { return .dropped(.otaWrongImage) }
        let isWanted =
            offered.version != current.version
            && (settings.acceptsDowngrade || offered.version > current.version)
            && (firstPart.map { $0.version == offered.version } ?? true)
        let isHeld = offered == image && size == response.size && status != .downloadInProgress
        guard isWanted, !isHeld else {
            if isHeld, hasStoppedAsking {
                // The server knows the image again: it may say now when to run it.
                askWhenToUpgrade(at: now)
            } else {
                settle(at: now)
            }
            return .nothingOffered(.success)
        }
        accept(offered, size: response.size, at: now)
        return .accepted
    }

    /// Query Device Specific File Response (ZCL 11.13.11). With none there, it goes on to ask for
    /// an upgrade.
    public mutating func deviceSpecificFileResponse(
        _ response: QueryNextImageResponse, at now: Instant
    ) -> Verdict {
        guard phase == .querying, isFile else { return .dropped(.otaOutOfState) }
        guard response.status == .success, let offered = response.image else {
            return withoutFile(response.status, at: now)
        }
        guard offered.manufacturer == current.manufacturer, offered.imageType == askedType,
            response.size > 0
        else { return .dropped(.otaWrongImage) }
        accept(offered, size: response.size, at: now)
        return .accepted
    }

    private mutating func withoutFile(_ status: ZCLStatus, at now: Instant) -> Verdict {
        isFile = false
        phase = .idle
        deadline = now
        return .nothingOffered(status)
    }

    private mutating func accept(
        _ offered: ImageIdentity, size offeredSize: UInt32, at now: Instant
    ) {
        let resumes =
            image == offered && size == offeredSize && status == .downloadInProgress
            && offset < size
        if !resumes {
            offset = 0
            size = offeredSize
            image = offered
            if partsDone == 0 { blocks = 0 }
        }
        page = PageWindow()
        pagesRefused = false
        status = .downloadInProgress
        phase = .pausing
        deadline = now
        pendingStep = .begin
    }

    /// Image Block Response (ZCL 11.13.8).
    public mutating func imageBlockResponse(
        _ response: ImageBlockResponse, at now: Instant
    ) -> Verdict {
        guard isDownloading else { return .dropped(.otaOutOfState) }
        switch response {
        case .block(let given, let at, let count):
            guard phase != .pausing else { return .dropped(.otaOutOfState) }
            guard given == image else { return .dropped(.otaWrongImage) }
            if phase == .paging { return takeOfPage(at, count: count, now: now) }
            guard at == offset else { return .dropped(.otaWrongOffset) }
            let taken = min(UInt32(count), size - offset)
            guard taken > 0, taken <= UInt32(settings.blockSize) else {
                return .dropped(.otaWrongOffset)
            }
            offset = page.firstMissing(from: offset + taken)
            blocks += 1
            tries = 0
            goOn(at: now)
            return .store(offset: at, count: Int(taken))
        case .wait(let current, let request, let period):
            if let period, settings.supportsBlockPeriod { minimumBlockPeriod = period }
            let delay = Interval.seconds(Int64(request > current ? request - current : 0))
            phase = .pausing
            tries = 0
            // What is missing of a page is asked for anew.
            page = PageWindow()
            deadline = delay == .zero ? max(now, lastRequest + blockPeriod) : now + delay
            return .waiting(delay, period: minimumBlockPeriod)
        case .refused:
            pendingStep = .aborted
            return .accepted
        }
    }

    /// All up to `offset` is here: on with what follows, or to the check.
    private mutating func goOn(at now: Instant) {
        if offset == size {
            phase = .checking
            deadline = .distantFuture
            pendingStep = .check
        } else {
            phase = .pausing
            deadline = max(now, lastRequest + blockPeriod)
        }
    }

    /// A page's blocks are taken in any order; gaps are filled when the last one has come.
    private mutating func takeOfPage(_ at: UInt32, count: UInt8, now: Instant) -> Verdict {
        guard let wanted = page.missing(at: at), UInt32(count) >= wanted,
            count <= settings.blockSize
        else { return .dropped(.otaWrongOffset) }
        page.take(at)
        offset = page.firstMissing(from: offset)
        blocks += 1
        tries = 0
        deadline = now + pagePatience
        if offset == page.end {
            goOn(at: now)
        } else if at + wanted == page.end {
            phase = .pausing
            deadline = now
        }
        return .store(offset: at, count: Int(wanted))
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
        hourlyRepeats = 0
        hasStoppedAsking = false
        if isFile {
            // It is in use already: no time needs to be kept. On to the question of firmware.
            drop(at: now, nextQuery: .zero)
            return .accepted
        }
        guard let delay = response.delay, !settings.activationByOrderOnly else {
            status = .waitingToUpgrade
            phase = .waitingToBeTold
            deadline = now + settings.endRepeat
            return response.delay == nil ? .awaitingOrder : .refusedTime
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
        case OTACommandID.queryNextImageRequest where phase == .querying && !isFile:
            settle(at: now)
            return .nothingOffered(status)
        case OTACommandID.queryDeviceSpecificFileRequest where phase == .querying && isFile:
            return withoutFile(status, at: now)
        case OTACommandID.imageBlockRequest where phase == .requesting:
            pendingStep = .aborted
            return .accepted
        case OTACommandID.imagePageRequest where phase == .paging:
            if Self.endsDownload(status) {
                pendingStep = .aborted
            } else {
                // No pages here, but blocks there may be.
                pagesRefused = true
                page = PageWindow()
                phase = .pausing
                tries = 0
                deadline = now
            }
            return .accepted
        case OTACommandID.upgradeEndRequest
        where (phase == .ending || phase == .waitingToBeTold) && verdictOnImage == .success
            && !hasStoppedAsking:
            stopAsking(status, at: now)
            return .accepted
        default: return .dropped(.otaOutOfState)
        }
    }

    /// Whether an error in answer to a page request says that there is no image for this device.
    private static func endsDownload(_ status: ZCLStatus) -> Bool {
        status == .abort || status == .noImageAvailable || status == .notAuthorized
    }

    // MARK: - Attributes

    /// The upgrade whose files are whole, if there is one (DownloadedFileVersion).
    private var downloaded: ImageIdentity? {
        switch status {
        case .downloadComplete, .waitingToUpgrade, .countDown: firstPart ?? image
        case .waitForMore: firstPart ?? image
        case .downloadInProgress: firstPart
        case .normal, .waitingForExternalEvent: nil
        }
    }

    /// `status` as ZCL 8 would have it, where the settings want that.
    private var reportedStatus: ImageUpgradeStatus {
        settings.reportsExternalEvent && settings.activationByOrderOnly
            && status == .waitingToUpgrade ? .waitingForExternalEvent : status
    }

    /// The value of one attribute of the cluster, or nil if there is none of that number.
    public func attribute(_ identifier: UInt16) -> ZCLAttribute? {
        switch identifier {
        case OTAAttributeID.upgradeServerID: .init(identifier, .ieeeAddress, server.rawValue)
        case OTAAttributeID.fileOffset:
            .init(identifier, .uint32, image == nil ? 0xFFFF_FFFF : UInt64(offset))
        case OTAAttributeID.currentFileVersion:
            .init(identifier, .uint32, UInt64(current.version))
        case OTAAttributeID.currentStackVersion:
            .init(identifier, .uint16, UInt64(Self.stackVersion))
        case OTAAttributeID.downloadedFileVersion:
            .init(identifier, .uint32, UInt64(downloaded?.version ?? 0xFFFF_FFFF))
        case OTAAttributeID.downloadedStackVersion:
            .init(identifier, .uint16, downloaded == nil ? 0xFFFF : UInt64(downloadedStackVersion))
        case OTAAttributeID.imageUpgradeStatus:
            .init(identifier, .enum8, UInt64(reportedStatus.rawValue))
        case OTAAttributeID.manufacturerID:
            .init(identifier, .uint16, UInt64(current.manufacturer))
        case OTAAttributeID.imageTypeID: .init(identifier, .uint16, UInt64(current.imageType))
        case OTAAttributeID.minimumBlockPeriod:
            .init(identifier, .uint16, UInt64(minimumBlockPeriod))
        case OTAAttributeID.imageStamp: .init(identifier, .uint32, UInt64(imageStamp))
        case OTAAttributeID.upgradeActivationPolicy:
            .init(identifier, .enum8, settings.activationByOrderOnly ? 1 : 0)
        case OTAAttributeID.upgradeTimeoutPolicy:
            .init(
                identifier, .enum8,
                settings.appliesAfterTimeout && !settings.activationByOrderOnly ? 0 : 1)
        default: nil
        }
    }
}

extension OTAClient {
    /// A sleepy device has woken: what it would ask by itself within `slack` it asks now. Every
    /// question is due a little later after the wake than the one before, by the time that its
    /// answer took; once it were due after the wake, it would wait for the next.
    ///
    /// What the server has given a time for is not done before that time.
    public mutating func hasten(at now: Instant, by slack: Interval) {
        guard phase == .idle || phase == .waitingToBeTold, deadline <= now + slack else { return }
        deadline = min(deadline, now)
    }
}
