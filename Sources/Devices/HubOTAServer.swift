import GBCS
import Radio
import Wire
import Zigbee

/// The hub as OTA server: who is offered what, and when to run it (ZCL 11.8-11.13).
extension CommunicationsHub {
    mutating func receive(_ message: APSMessage, at now: Instant, into out: inout Outbox) {
        let zcl: ZCLMessage
        do {
            zcl = try ZCLMessage(message)
        } catch {
            out.drop(.zclMalformed, from: message.source)
            return
        }
        guard let device = message.sourceEUI64, deviceLog[device] != nil else {
            out.drop(.notInDeviceLog, from: message.source)
            return
        }
        if let refusal = zcl.refusalOfManufacturer {
            reply(zcl, refusal, at: now, into: &out)
            return
        }
        switch message.cluster {
        case ClusterID.otaUpgrade:
            guard message.isLinkSecured else {
                out.drop(.apsUnsecured, from: message.source)
                return
            }
            guard maySpeak(device) else {
                out.drop(.keyNotEstablished, from: message.source)
                return
            }
            let client = self.client(of: device, endpoint: message.sourceEndpoint)
            receiveOTA(zcl, from: client, at: now, into: &out)
            readVersions(of: device, at: now, into: &out)
        case ClusterID.basic:
            reply(zcl, basic.answer(zcl), at: now, into: &out)
        case ClusterID.tunneling:
            receiveTunnel(
                message, Array(message.frame.bytes[message.payload...]), zcl, at: now, into: &out)
        case ClusterID.metering where message.destinationEndpoint != profile.endpoint:
            receiveMetering(zcl, at: now, into: &out)
        case ClusterID.time:
            guard message.isLinkSecured else {
                out.drop(.apsUnsecured, from: message.source)
                return
            }
            guard maySpeak(device) else {
                out.drop(.keyNotEstablished, from: message.source)
                return
            }
            // The hub's clock is the home's, and the CSP keeps it right.
            var clock = ZCLTime(
                now: identity.start.advanced(by: now - .zero), status: [.master, .synchronised])
            reply(zcl, clock.answer(zcl), at: now, into: &out)
        case ClusterID.keyEstablishment where establishment != nil:
            receiveKeyEstablishment(zcl, from: device, at: now, into: &out)
        default:
            reply(
                zcl, zcl.dueResponse(.unsupportedCluster), at: now, into: &out)
        }
    }

    private mutating func receiveOTA(
        _ zcl: ZCLMessage, from client: Int, at now: Instant, into out: inout Outbox
    ) {
        guard !zcl.header.fromServer || !zcl.header.isClusterSpecific else {
            out.drop(.zclWrongDirection, from: zcl.message.source)
            reply(zcl, zcl.refusalOfDirection, at: now, into: &out)
            return
        }
        guard zcl.header.isClusterSpecific else {
            receiveGeneral(zcl, from: clients[client].device, at: now, into: &out)
            return
        }
        do {
            var reader = ByteReader(zcl.body)
            switch zcl.header.command {
            case OTACommandID.queryNextImageRequest:
                let request = try QueryNextImageRequest(parsing: &reader)
                firmwareAsked(by: clients[client].device)
                answerQuery(zcl, request, from: client, at: now, into: &out)
            case OTACommandID.imageBlockRequest:
                let request = try ImageBlockRequest(parsing: &reader)
                answerBlock(zcl, request, from: client, at: now, into: &out)
            case OTACommandID.imagePageRequest:
                let request = try ImagePageRequest(parsing: &reader)
                answerPage(zcl, request, from: client, at: now, into: &out)
            case OTACommandID.upgradeEndRequest:
                let request = try UpgradeEndRequest(parsing: &reader)
                answerEnd(zcl, request, from: client, at: now, into: &out)
            case OTACommandID.queryDeviceSpecificFileRequest where capabilities.servesDeviceFiles:
                let request = try QueryDeviceSpecificFileRequest(parsing: &reader)
                answerFileQuery(zcl, request, from: client, at: now, into: &out)
            default:
                reply(
                    zcl, zcl.dueResponse(.unsupportedClusterCommand), at: now, into: &out)
            }
        } catch {
            out.drop(.zclMalformed, from: zcl.message.source)
            reply(zcl, zcl.dueResponse(.malformedCommand), at: now, into: &out)
        }
    }

    private mutating func receiveGeneral(
        _ zcl: ZCLMessage, from device: EUI64, at now: Instant, into out: inout Outbox
    ) {
        if zcl.header.command == ZCLFoundation.defaultResponse {
            receiveDefaultResponse(zcl, from: device, into: &out)
            return
        }
        guard zcl.header.command == ZCLFoundation.readAttributesResponse else {
            // The cluster's attributes are all on the client.
            let served = ZCLServed.otaServer(
                pages: capabilities.servesPages, deviceFiles: capabilities.servesDeviceFiles)
            reply(zcl, ZCLGeneral.answer(zcl, of: served) { _ in nil }, at: now, into: &out)
            return
        }
        var version: UInt64?
        var refusal: ZCLStatus?
        do {
            try ZCLGeneral.forEachAttribute(in: zcl) { attribute in
                if attribute.identifier == OTAAttributeID.currentFileVersion {
                    version = attribute.value
                }
            } refused: { identifier, status in
                if identifier == OTAAttributeID.currentFileVersion { refusal = status }
            }
        } catch {
            out.drop(.zclMalformed, from: zcl.message.source)
            return
        }
        guard version != nil || refusal != nil,
            let index = pendingReads.firstIndex(where: { $0.device == device })
        else {
            out.drop(.zclUnexpected, from: zcl.message.source)
            return
        }
        endRead(index, into: &out)
        if let version {
            out.note(.versionRead, device.rawValue, version)
        } else if let refusal {
            out.note(.versionNotRead, device.rawValue, UInt64(refusal.rawValue))
        }
    }

    private mutating func endRead(_ index: Int, into out: inout Outbox) {
        stack.awaitWake(of: pendingReads.remove(at: index).device, false, into: &out)
        if pendingReads.isEmpty { nextRead = .distantFuture }
    }

    /// An error in answer to a command of the hub's: what it asked for it need not ask for again.
    private mutating func receiveDefaultResponse(
        _ zcl: ZCLMessage, from device: EUI64, into out: inout Outbox
    ) {
        let body = zcl.body
        guard body.count >= 2 else {
            out.drop(.zclMalformed, from: zcl.message.source)
            return
        }
        let (command, status) = (body[0], ZCLStatus(rawValue: body[1]))
        guard status != .success else { return }
        if command == ZCLFoundation.readAttributes,
            let index = pendingReads.firstIndex(where: {
                $0.device == device && $0.sent != nil && $0.sequence == zcl.header.sequence
            })
        {
            endRead(index, into: &out)
            out.note(.versionNotRead, device.rawValue, UInt64(status.rawValue))
        } else {
            out.note(.commandRefused, device.rawValue, UInt64(command), UInt64(status.rawValue))
        }
    }

    // MARK: - Query

    /// The image there is for a device, or why there is none.
    private func offer(
        to device: EUI64, _ request: QueryNextImageRequest
    ) -> (image: StoredImage?, reason: RefusalReason) {
        guard supports(deviceLog[device]?.type) else { return (nil, lackOfSupport(for: device)) }
        var reason = RefusalReason.noImage
        var best: StoredImage?
        for case let stored? in store {
            let misfit = self.misfit(of: stored, request)
            guard stored.targets.contains(device) else {
                // Of an image for others only one that would fit is worth a word.
                if misfit == nil, reason == .noImage { reason = .notTargeted }
                continue
            }
            if let misfit {
                reason = misfit
            } else if best.map({ $0.delivery < stored.delivery }) ?? true {
                // What was sent last is what is wanted.
                best = stored
            }
        }
        return (best, best == nil ? reason : .none)
    }

    /// What an image has that does not fit the device that asks; nil if nothing.
    private func misfit(of stored: StoredImage, _ request: QueryNextImageRequest) -> RefusalReason?
    {
        if stored.image.manufacturer != request.current.manufacturer { return .wrongManufacturer }
        if stored.image.imageType != request.current.imageType { return .wrongImageType }
        if let range = stored.hardware, let hardware = request.hardwareVersion,
            !range.contains(hardware)
        {
            return .wrongHardware
        }
        if stored.image.version == request.current.version { return .versionInstalled }
        return mayFollow(request.current.version, stored.installableFrom)
            ? nil : .notInstallableFrom
    }

    /// The version of the latest image for a device that its hardware cannot run.
    private func mismatched(_ device: EUI64, _ request: QueryNextImageRequest) -> UInt32? {
        store.compactMap { $0 }
            .filter {
                $0.targets.contains(device) && misfit(of: $0, request) == .wrongHardware
            }
            .max { $0.delivery < $1.delivery }?.image.version
    }

    private mutating func answerQuery(
        _ zcl: ZCLMessage, _ request: QueryNextImageRequest, from client: Int, at now: Instant,
        into out: inout Outbox
    ) {
        let device = clients[client].device
        let (image, reason) = offer(to: device, request)
        if reason == .wrongHardware, let version = mismatched(device, request) {
            reportTransfer(to: device, version, .hardwareVersionMismatch, at: now, into: &out)
        }
        answer(zcl, image, reason, .noImageAvailable, for: device, at: now, into: &out)
    }

    /// A device-specific file is asked for by the device that it is for, and by nobody else
    /// (ZCL 11.13.10).
    private mutating func answerFileQuery(
        _ zcl: ZCLMessage, _ request: QueryDeviceSpecificFileRequest, from client: Int,
        at now: Instant, into out: inout Outbox
    ) {
        let device = clients[client].device
        guard request.requester == device else {
            answer(zcl, nil, .notTargeted, .notAuthorized, for: device, at: now, into: &out)
            return
        }
        guard supports(deviceLog[device]?.type) else {
            answer(
                zcl, nil, lackOfSupport(for: device), .noImageAvailable, for: device, at: now,
                into: &out)
            return
        }
        var best: StoredImage?
        for case let stored? in store
        where stored.isDeviceSpecific && stored.targets.contains(device)
            && request.image.covers(stored.image)
        {
            if best.map({ $0.delivery < stored.delivery }) ?? true { best = stored }
        }
        answer(
            zcl, best, best == nil ? .noImage : .none, .noImageAvailable, for: device, at: now,
            into: &out)
    }

    /// Query Next Image Response and Query Device Specific File Response: what there is, or the
    /// status that says there is none.
    private mutating func answer(
        _ zcl: ZCLMessage, _ image: StoredImage?, _ reason: RefusalReason, _ refusal: ZCLStatus,
        for device: EUI64, at now: Instant, into out: inout Outbox
    ) {
        var payload = FrameBuffer()
        if let image {
            out.note(
                .imageOffered, device.rawValue, UInt64(image.image.version), UInt64(image.size))
            QueryNextImageResponse(offering: image.image, size: image.size).encode(into: &payload)
        } else {
            out.note(.imageWithheld, device.rawValue, UInt64(reason.rawValue))
            QueryNextImageResponse(refusing: refusal).encode(into: &payload)
        }
        let command =
            zcl.header.command == OTACommandID.queryNextImageRequest
            ? OTACommandID.queryNextImageResponse : OTACommandID.queryDeviceSpecificFileResponse
        respond(
            zcl, command, payload, options: [.linkSecured, .acknowledged], at: now, into: &out)
    }

    // MARK: - End

    private mutating func answerEnd(
        _ zcl: ZCLMessage, _ request: UpgradeEndRequest, from client: Int, at now: Instant,
        into out: inout Outbox
    ) {
        let device = clients[client].device
        clients[client].page = nil
        clients[client].lastRequest = nil
        clients[client].periodTold = nil
        out.note(
            .downloadServed, device.rawValue, UInt64(request.image.version),
            UInt64(request.status.rawValue))
        let isServed =
            supports(deviceLog[device]?.type) && slot(of: request.image, for: device) != nil
        // A part of an upgrade that needs another is no end.
        if isServed, request.status != .requireMoreImage {
            reportTransfer(
                to: device, request.image.version,
                request.status == .success ? .success : .transferFailure, at: now, into: &out)
        }
        guard request.status == .success else {
            clients[client].held = nil
            if request.status == .invalidImage, !profile.ota.offersRefused {
                withdraw(request.image, from: device, into: &out)
            }
            reply(zcl, zcl.dueResponse(.success), at: now, into: &out)
            return
        }
        guard isServed else {
            reply(zcl, zcl.defaultResponse(.noImageAvailable), at: now, into: &out)
            return
        }
        var payload = FrameBuffer()
        upgradeEndResponse(to: client, request.image, at: now).encode(into: &payload)
        respond(
            zcl, OTACommandID.upgradeEndResponse, payload, options: [.linkSecured, .acknowledged],
            at: now, into: &out)
    }

    /// A PPMID is told when to upgrade, at once or after a while; the others wait for a command,
    /// whatever the profile says of times (GBCS 11.5, 11.6).
    private mutating func upgradeEndResponse(
        to client: Int, _ image: ImageIdentity, at now: Instant
    ) -> UpgradeEndResponse {
        let settings = profile.ota
        guard deviceLog[clients[client].device]?.type == .ppmid else {
            return UpgradeEndResponse(
                image: image, currentTime: times(.zero, at: now).current,
                upgradeTime: UpgradeEndResponse.waitToBeTold)
        }
        if settings.upgradeHold > .zero {
            if clients[client].held?.image != image {
                clients[client].held = (image, now + settings.upgradeHold, false)
            }
            if let held = clients[client].held, now < held.until {
                nextTelling = min(nextTelling, held.until)
                return UpgradeEndResponse(
                    image: image, currentTime: times(.zero, at: now).current,
                    upgradeTime: UpgradeEndResponse.waitToBeTold)
            }
        }
        let (current, then) = times(settings.upgradeDelay, at: now)
        return UpgradeEndResponse(image: image, currentTime: current, upgradeTime: then)
    }

    /// Upgrade End Response, unasked, to every device that was told to wait and has (ZCL
    /// 11.13.9.2). A sleeper hears it when it next asks.
    mutating func tellWhenToUpgrade(at now: Instant, into out: inout Outbox) {
        nextTelling = .distantFuture
        for client in clients.indices {
            guard let held = clients[client].held, !held.isTold else { continue }
            guard held.until <= now else {
                nextTelling = min(nextTelling, held.until)
                continue
            }
            let device = clients[client].device
            clients[client].held?.isTold = true
            guard let address = stack.address(of: device), isListening(device),
                slot(of: held.image, for: device) != nil
            else { continue }
            var payload = FrameBuffer()
            upgradeEndResponse(to: client, held.image, at: now).encode(into: &payload)
            zclSequence &+= 1
            send(
                OTACommandID.upgradeEndResponse, payload, to: address,
                endpoint: clients[client].endpoint, sequence: zclSequence,
                options: [.linkSecured, .acknowledged], at: now, into: &out)
        }
    }

    // MARK: - Sending

    /// A server's response to a client's command, under the same sequence number.
    mutating func respond(
        _ zcl: ZCLMessage, _ command: UInt8, _ payload: FrameBuffer, options: SendOptions,
        at now: Instant, into out: inout Outbox
    ) {
        send(
            command, payload, to: zcl.message.source, endpoint: zcl.message.sourceEndpoint,
            sequence: zcl.header.sequence, profile: zcl.message.profile, options: options, at: now,
            into: &out)
    }

    /// A command of the OTA server's.
    mutating func send(
        _ command: UInt8, _ payload: FrameBuffer, to address: ShortAddress, endpoint: UInt8,
        sequence: UInt8, profile zigbeeProfile: UInt16 = ProfileID.smartEnergy,
        options: SendOptions, token: UInt16 = 0, at now: Instant, into out: inout Outbox
    ) {
        var frame = FrameBuffer()
        ZCLHeader(
            isClusterSpecific: true, fromServer: true,
            disableDefaultResponse: !self.profile.ota.wantsDefaultResponses,
            sequence: sequence, command: command
        ).encode(into: &frame)
        frame.append(payload.span)
        stack.send(
            frame, to: address, endpoint: endpoint, from: profile.endpoint,
            cluster: ClusterID.otaUpgrade, profile: zigbeeProfile, options: options, token: token,
            at: now, into: &out)
    }

    mutating func reply(
        _ zcl: ZCLMessage, _ frame: FrameBuffer?, at now: Instant, into out: inout Outbox,
        from endpoint: UInt8? = nil
    ) {
        guard let frame, !frame.isEmpty else { return }
        stack.send(
            frame, to: zcl.message.source, endpoint: zcl.message.sourceEndpoint,
            from: endpoint ?? profile.endpoint, cluster: zcl.message.cluster,
            profile: zcl.message.profile,
            options: zcl.message.isLinkSecured ? [.acknowledged, .linkSecured] : .acknowledged,
            at: now, into: &out)
    }

    // MARK: - Versions over the air

    /// Reads a device's CurrentFileVersion: now, or when it next wakes.
    mutating func read(_ device: EUI64, at now: Instant, into out: inout Outbox) {
        pendingReads.removeAll { $0.device == device }
        guard pendingReads.count < Self.targetLimit else { return }
        pendingReads.append(PendingRead(device: device))
        nextRead = min(nextRead, now + profile.readRetry)
        if isListening(device) {
            sendRead(to: device, at: now, into: &out)
        } else {
            stack.awaitWake(of: device, true, into: &out)
        }
    }

    /// Reads CurrentFileVersion of every device that listens, and again a while later of those
    /// that have not answered, up to a limit. Sleepers are read when they poll the hub, or are
    /// heard of.
    mutating func readVersions(at now: Instant, into out: inout Outbox) {
        for read in pendingReads where read.tries >= profile.readLimit {
            stack.awaitWake(of: read.device, false, into: &out)
        }
        pendingReads.removeAll { $0.tries >= profile.readLimit }
        nextRead = pendingReads.isEmpty ? .distantFuture : now + profile.readRetry
        for read in pendingReads {
            if isListening(read.device) {
                sendRead(to: read.device, at: now, into: &out)
            } else {
                stack.awaitWake(of: read.device, true, into: &out)
            }
        }
    }

    /// A sleeper has polled the hub, or is heard of behind its router, and listens for a moment.
    mutating func readAsAwake(_ device: EUI64, at now: Instant, into out: inout Outbox) {
        guard pendingReads.contains(where: { $0.device == device }) else { return }
        sendRead(to: device, at: now, into: &out)
        stack.answerPoll(of: device, at: now, into: &out)
    }

    mutating func readVersions(of device: EUI64, at now: Instant, into out: inout Outbox) {
        // A sleeper is awake now; one question at a time. One that has to rejoin cannot be asked.
        guard let read = pendingReads.first(where: { $0.device == device }),
            !isListening(device), !stack.isStray(device),
            read.sent.map({ $0 + profile.readPause <= now }) ?? true
        else { return }
        sendRead(to: device, at: now, into: &out)
    }

    private mutating func sendRead(to device: EUI64, at now: Instant, into out: inout Outbox) {
        guard let address = stack.address(of: device) else { return }
        zclSequence &+= 1
        if let index = pendingReads.firstIndex(where: { $0.device == device }) {
            pendingReads[index].tries += 1
            pendingReads[index].sent = now
            pendingReads[index].sequence = zclSequence
        }
        let frame = ZCLGeneral.readAttributes(
            [OTAAttributeID.currentFileVersion, OTAAttributeID.imageUpgradeStatus],
            toClient: true, sequence: zclSequence)
        stack.send(
            frame, to: address, endpoint: endpoint(of: device), from: profile.endpoint,
            cluster: ClusterID.otaUpgrade, profile: ProfileID.smartEnergy,
            options: [.linkSecured, .acknowledged], at: now, into: &out)
    }
}
