import Crypto
import GBCS
import Radio
import Wire
import Zigbee

extension HANDevice {
    /// Where the download slot begins in flash, behind the journal.
    var slotStart: Int { journal.size }
    var slotSize: Int { profile.flash.size - journal.size }

    // MARK: - Messages

    mutating func receive(_ message: APSMessage, at now: Instant, into out: inout Outbox) {
        sleeper.noteActivity(at: now)
        let zcl: ZCLMessage
        do {
            zcl = try ZCLMessage(message)
        } catch {
            out.drop(.zclMalformed, from: message.source)
            return
        }
        if let refusal = zcl.refusalOfManufacturer {
            reply(zcl, refusal, at: now, into: &out)
            return
        }
        if message.cluster == ClusterID.basic {
            reply(zcl, basic.answer(zcl), at: now, into: &out)
            return
        }
        if message.cluster == ClusterID.time {
            receiveTime(zcl, at: now, into: &out)
            return
        }
        if message.cluster == ClusterID.keyEstablishment, establishment != nil {
            receiveKeyEstablishment(zcl, at: now, into: &out)
            return
        }
        if message.cluster == ClusterID.tunneling {
            receiveTunnel(
                message, Array(message.frame.bytes[message.payload...]), zcl, at: now, into: &out)
            return
        }
        if message.cluster == ClusterID.metering, tunnel.isClient {
            receiveMetering(zcl, at: now, into: &out)
            return
        }
        guard message.cluster == ClusterID.otaUpgrade, hasOTAClient else {
            reply(
                zcl, zcl.dueResponse(.unsupportedCluster), at: now, into: &out)
            return
        }
        // A broadcast cannot have a link key; all it can do is to make a device ask (ZCL 11.13.3).
        guard message.isLinkSecured || zcl.isBroadcastNotify else {
            out.drop(.apsUnsecured, from: message.source)
            return
        }
        guard zcl.header.fromServer else {
            out.drop(.zclWrongDirection, from: message.source)
            reply(zcl, zcl.refusalOfDirection, at: now, into: &out)
            return
        }
        guard zcl.header.isClusterSpecific else {
            receiveGeneral(zcl, at: now, into: &out)
            return
        }
        guard message.sourceEUI64 == client.server else {
            out.drop(.otaWrongServer, from: message.source)
            return
        }
        do {
            try receiveOTA(zcl, at: now, into: &out)
        } catch {
            out.drop(.zclMalformed, from: message.source)
            reply(zcl, zcl.dueResponse(.malformedCommand), at: now, into: &out)
        }
    }

    private mutating func receiveGeneral(
        _ zcl: ZCLMessage, at now: Instant, into out: inout Outbox
    ) {
        if zcl.header.command == ZCLFoundation.defaultResponse {
            let body = zcl.body
            guard body.count >= 2 else {
                out.drop(.zclMalformed, from: zcl.message.source)
                return
            }
            let verdict = client.defaultResponse(
                to: body[0], status: ZCLStatus(rawValue: body[1]), at: now)
            report(verdict, from: zcl.message.source, into: &out)
            return
        }
        let client = client
        let served = ZCLServed.otaClient(
            pages: profile.ota.pageSize > 0, deviceFiles: profile.ota.deviceFile != nil)
        reply(
            zcl, ZCLGeneral.answer(zcl, of: served) { client.attribute($0) }, at: now, into: &out)
    }

    private mutating func receiveOTA(
        _ zcl: ZCLMessage, at now: Instant, into out: inout Outbox
    ) throws(WireError) {
        var reader = ByteReader(zcl.body)
        let source = zcl.message.source
        // None of these has another answer, but for a notification that makes the client ask.
        var status = ZCLStatus.success
        switch zcl.header.command {
        case OTACommandID.imageNotify:
            let notify = try ImageNotify(parsing: &reader)
            let verdict = client.imageNotify(
                notify, isBroadcast: zcl.message.isBroadcast, at: now)
            report(verdict, from: source, into: &out)
            if verdict == .accepted { return }
        case OTACommandID.queryNextImageResponse:
            let response = try QueryNextImageResponse(parsing: &reader)
            report(
                client.queryNextImageResponse(response, at: now), from: source, into: &out)
        case OTACommandID.queryDeviceSpecificFileResponse:
            let response = try QueryNextImageResponse(parsing: &reader)
            report(
                client.deviceSpecificFileResponse(response, at: now), from: source, into: &out)
        case OTACommandID.imageBlockResponse:
            let response = try ImageBlockResponse(parsing: &reader)
            let verdict = client.imageBlockResponse(response, at: now)
            if case .store(let offset, let count) = verdict {
                store(
                    zcl.body.extracting(reader.offset..<reader.offset + count),
                    at: Int(offset), at: now, into: &out)
                if client.isPaging {
                    // The next block comes unasked.
                    stack.expectAnswers(until: now + profile.ota.responseTimeout, at: now)
                }
            } else {
                report(verdict, from: source, into: &out)
                if verdict == .dropped(.otaWrongImage), profile.ota.refusesWrongImage {
                    status = .invalidImage
                }
            }
        case OTACommandID.upgradeEndResponse:
            let response = try UpgradeEndResponse(parsing: &reader)
            let verdict = client.upgradeEndResponse(response, at: now)
            let version = UInt64(client.image?.version ?? 0)
            switch verdict {
            case .awaitingOrder: out.note(.otaAwaitingActivation, version)
            case .refusedTime:
                out.note(
                    .activationRefused, UInt64(RefusalReason.serverMayNotActivate.rawValue),
                    version)
                out.note(.otaAwaitingActivation, version)
            case .countingDown(let delay):
                out.note(.otaCountingDown, version, UInt64(delay.microseconds))
            default: report(verdict, from: source, into: &out)
            }
        default: status = .unsupportedClusterCommand
        }
        reply(zcl, zcl.dueResponse(status), at: now, into: &out)
    }

    private func report(
        _ verdict: OTAClient.Verdict, from source: ShortAddress, into out: inout Outbox
    ) {
        switch verdict {
        case .nothingOffered(let status): out.note(.otaNotOffered, UInt64(status.rawValue))
        case .waiting(let delay, let period):
            out.note(.otaWaiting, UInt64(delay.microseconds), UInt64(period))
        case .dropped(let reason): out.drop(reason, from: source)
        case .accepted, .store, .awaitingOrder, .refusedTime, .countingDown: break
        }
    }

    /// Sends a whole ZCL frame back where a message came from.
    mutating func reply(
        _ zcl: ZCLMessage, _ frame: FrameBuffer?, at now: Instant, into out: inout Outbox
    ) {
        guard let frame, !frame.isEmpty else { return }
        stack.send(
            frame, to: zcl.message.source, endpoint: zcl.message.sourceEndpoint,
            from: profile.endpoint, cluster: zcl.message.cluster, profile: zcl.message.profile,
            options: zcl.message.isLinkSecured ? [.acknowledged, .linkSecured] : .acknowledged,
            at: now, into: &out)
        if let sleep = profile.sleep {
            stack.expectAnswers(until: now + sleep.answerWait, at: now)
        }
    }

    // MARK: - The client's steps

    mutating func stepClient(at now: Instant, into out: inout Outbox) {
        guard hasOTAClient else { return }
        // Asked first, because a step is as big as a frame even if it is none.
        while client.nextDeadline <= now {
            switch client.step(at: now) {
            case .none: return
            case .send(let command, let payload): send(command, payload, at: now, into: &out)
            case .begin(let image, let size, let offset):
                begin(image, size, offset, at: now, into: &out)
            case .check: beginChecking(at: now)
            case .activate: activate(at: now, into: &out)
            case .gaveUp(let image, let offset):
                out.note(
                    .otaGaveUp, UInt64(image.version), UInt64(offset), UInt64(client.blocks))
                if client.image == nil { forgetDownload(&out) } else { saveDownload(&out) }
            case .aborted(let image, let offset):
                out.note(
                    .otaAborted, UInt64(image.version), UInt64(offset), UInt64(client.blocks))
                forgetDownload(&out)
            case .stoppedAsking(let image, let status):
                out.note(.otaStoppedAsking, UInt64(image.version), UInt64(status.rawValue))
            }
        }
    }

    private mutating func send(
        _ command: UInt8, _ payload: FrameBuffer, at now: Instant, into out: inout Outbox
    ) {
        guard let server else { return }
        zclSequence &+= 1
        var frame = FrameBuffer()
        ZCLHeader(
            isClusterSpecific: true, fromServer: false, disableDefaultResponse: false,
            sequence: zclSequence, command: command
        ).encode(into: &frame)
        frame.append(payload.span)
        if command == OTACommandID.queryNextImageRequest
            || command == OTACommandID.queryDeviceSpecificFileRequest
        {
            out.note(
                .otaQueried, UInt64(client.current.manufacturer), UInt64(client.askedType),
                UInt64(client.current.version))
        }
        let isBlock =
            command == OTACommandID.imageBlockRequest || command == OTACommandID.imagePageRequest
        stack.send(
            frame, to: server.address, endpoint: server.endpoint, from: profile.endpoint,
            cluster: ClusterID.otaUpgrade, profile: ProfileID.smartEnergy,
            options: isBlock && !profile.acknowledgesBlocks
                ? .linkSecured : [.linkSecured, .acknowledged],
            at: now, into: &out)
        sleeper.noteActivity(at: now)
        stack.expectAnswers(until: now + profile.ota.responseTimeout, at: now)
    }

    private mutating func begin(
        _ image: ImageIdentity, _ size: UInt32, _ offset: UInt32, at now: Instant,
        into out: inout Outbox
    ) {
        let page = profile.flash.pageSize
        if client.partsDone == 0 {
            partStart = 0
            firstPart = nil
        } else {
            partStart = (erasedUpTo + page - 1) / page * page
        }
        guard partStart + Int(size) <= slotSize else {
            out.note(
                .otaRejected, UInt64(image.version), UInt64(RefusalReason.imageTooLarge.rawValue))
            client.refuse(at: now)
            return
        }
        erasedUpTo = partStart + (Int(offset) + page - 1) / page * page
        blocksSinceSave = 0
        lastProgress = offset
        firmware.held = nil
        firmware.image?.size = 0
        journal.write(Record.firmware, firmware.bytes, &out)
        if offset == 0 { forgetDownload(&out) }
        out.note(
            offset == 0 ? .otaDownloadStarted : .otaDownloadResumed, UInt64(image.version),
            UInt64(size), UInt64(offset))
    }

    private mutating func store(
        _ data: Span<UInt8>, at offset: Int, at now: Instant, into out: inout Outbox
    ) {
        while erasedUpTo < partStart + offset + data.count {
            out.erase(page: (slotStart + erasedUpTo) / profile.flash.pageSize)
            erasedUpTo += profile.flash.pageSize
        }
        out.program(data, at: slotStart + partStart + offset)
        sleeper.countBlock(at: now)
        blocksSinceSave += 1
        if case .offset(let every) = profile.resume, blocksSinceSave >= every {
            saveDownload(&out)
        }
        if client.offset - lastProgress >= max(1, client.size / 50) || client.offset == client.size
        {
            lastProgress = client.offset
            out.note(
                .otaProgress, UInt64(client.offset), UInt64(client.size), UInt64(client.blocks),
                UInt64(client.image?.version ?? 0))
        }
    }

    mutating func saveDownload(_ out: inout Outbox) {
        // Only an upgrade's first file is gone on with after a restart.
        guard let image = client.image, client.status == .downloadInProgress, !client.isFile,
            client.partsDone == 0
        else { return }
        blocksSinceSave = 0
        let state = DownloadState(
            image: image, size: client.size, offset: client.offset, blocks: client.blocks)
        journal.write(Record.download, state.encoded.span, &out)
    }

    private mutating func forgetDownload(_ out: inout Outbox) {
        guard journal[Record.download] != nil else { return }
        journal.write(Record.download, [], &out)
    }

    // MARK: - Checking and activating

    private mutating func beginChecking(at now: Instant) {
        isChecking = true
        timer = now + profile.checkPerKiB * (Int(client.size) / 1024 + 1)
    }

    mutating func finishChecking(at now: Instant, into out: inout Outbox) {
        isChecking = false
        guard let image = client.image else { return }
        let bytes = out.flash.read(slotStart + partStart, count: Int(client.size))
        if client.isFile {
            finishChecking(file: image, bytes, at: now, into: &out)
            return
        }
        switch expectation(of: image).check(bytes) {
        case .success(let checked):
            let held = FirmwareState.Held(
                image: image, size: client.size, stackVersion: checked.stackVersion,
                hash: checked.hash, signer: messages?.supplier?.party)
            if firstPart == nil { firstPart = held }
            let isLast = client.partsDone == profile.ota.furtherImageTypes.count
            firmware.held = isLast ? firstPart : nil
            let words = checked.hash.words
            out.note(
                .otaVerified, UInt64(image.version), UInt64(client.blocks), words.0, words.1,
                words.2, words.3)
            if isLast {
                reportReceipt(
                    isVerified: true, hash: (firmware.held ?? held).hash, at: now, into: &out)
            }
            client.finishedChecking(.success, stackVersion: checked.stackVersion, at: now)
        case .failure(let refusal):
            firmware.held = nil
            out.note(
                .otaRejected, UInt64(image.version), UInt64(refusal.reason.rawValue),
                UInt64(client.blocks))
            reportReceipt(isVerified: false, hash: receiptHash(bytes), at: now, into: &out)
            client.finishedChecking(.invalidImage, at: now)
        }
        journal.write(Record.firmware, firmware.bytes, &out)
        forgetDownload(&out)
    }

    private func expectation(of image: ImageIdentity) -> ImageExpectation {
        ImageExpectation(
            image: image, hardwareVersion: profile.hardwareVersion, type: profile.type,
            signer: imageSigner)
    }

    /// A device-specific file must be what was offered, and name this device (ZCL 11.4.2.13). What
    /// is in it is the maker's business.
    private mutating func finishChecking(
        file image: ImageIdentity, _ bytes: [UInt8], at now: Instant, into out: inout Outbox
    ) {
        var refusal: RefusalReason?
        if let header = try? OTAHeader(parsing: bytes), Int(header.totalImageSize) == bytes.count {
            if header.manufacturerCode != image.manufacturer {
                refusal = .wrongManufacturer
            } else if header.imageType.rawValue != image.imageType {
                refusal = .wrongImageType
            } else if header.fileVersion != image.version {
                refusal = .versionMismatch
            } else if header.destination != eui64 {
                refusal = .notTargeted
            }
        } else {
            refusal = .malformedImage
        }
        if let refusal {
            out.note(
                .otaRejected, UInt64(image.version), UInt64(refusal.rawValue),
                UInt64(client.blocks))
            client.finishedChecking(.invalidImage, at: now)
        } else {
            out.note(
                .otaFileReceived, UInt64(image.imageType), UInt64(image.version),
                UInt64(client.size))
            client.finishedChecking(.success, at: now)
        }
    }

    /// Puts the image with this hash into use, if it is held and came from `party`, or on the
    /// bench's word from the present supplier (GBCS 11.5).
    @discardableResult
    mutating func activateOnOrder(
        _ hash: Digest256, by party: EUI64? = nil, at now: Instant, into out: inout Outbox
    ) -> ActivationResult {
        if party != nil {
            let words = hash.words
            out.note(.activationOrdered, words.0, words.1, words.2, words.3)
        }
        let refusal: RefusalReason? =
            if !profile.ota.activationByOrderOnly {
                .notByOrder
            } else if let held = firmware.held {
                held.hash != hash
                    ? .hashMismatch : isOthers(held, party) ? .otherSupplier : nil
            } else {
                .noImageHeld
            }
        if let refusal {
            out.note(.activationRefused, UInt64(refusal.rawValue), UInt64(firmware.running))
            return switch refusal {
            case .noImageHeld: .noImageHeld
            case .hashMismatch: .hashMismatch
            default: .activationFailure
            }
        }
        return activate(at: now, into: &out) ? .success : .activationFailure
    }

    /// Writes the new version as the one that runs, in one journal record, and restarts. False if
    /// the image held is spoilt.
    @discardableResult
    mutating func activate(at now: Instant, into out: inout Outbox) -> Bool {
        guard let held = firmware.held else { return false }
        let bytes = out.flash.read(slotStart, count: min(Int(held.size), slotSize))
        guard
            firmware.activate(
                held, of: bytes, as: expectation(of: held.image), Record.firmware, &journal, &out)
        else {
            client.finished(running: firmware.running, at: now)
            if profile.type == .ppmid { reportActivation(result: 1, at: now, into: &out) }
            return false
        }
        // So that what has just come is acknowledged, and what is queued gets out.
        out.note(.restarting, UInt64(profile.farewell.microseconds))
        phase = .activating
        timer = now + profile.farewell
        isFarewellOver = false
        farewellEnd = now + max(profile.farewell, profile.tunnel.responseTimeout)
        return true
    }

    // MARK: - Sleep

    mutating func manageSleep(at now: Instant) {
        guard let settings = profile.sleep, stack.isJoined else { return }
        let isBusy =
            client.awaitsResponse || client.isDownloading || isChecking || clock.isBusy(at: now)
            || (hasOTAClient && !client.isBound && hasLinkKey)
            || establishment?.isBusy(at: now) == true
            || stack.isRejoining || stack.isCheckingParent || stack.isTransferring
            || tunnel.isBusy(at: now)
        if sleeper.shouldSleep(at: now, isBusy: isBusy, settings) {
            client.pause(true)
            stack.rest()
        } else if sleeper.isAwake {
            client.pause(false)
        }
    }
}
