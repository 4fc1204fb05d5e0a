import GBCS
import Radio
import Wire
import Zigbee

/// The hub as OTA server: who is offered what, and the images' bytes (ZCL 11.8-11.13).
extension CommunicationsHub {
    /// The most data in a block response that still fits one frame with NWK and APS security.
    static let blockLimit: UInt8 = 56

    mutating func receive(_ message: APSMessage, at now: Instant, into out: inout Outbox) {
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
        guard let device = message.sourceEUI64, deviceLog[device] != nil else {
            out.drop(.notInDeviceLog, from: message.source)
            return
        }
        switch message.cluster {
        case ClusterID.otaUpgrade:
            guard message.isLinkSecured else {
                out.drop(.apsUnsecured, from: message.source)
                return
            }
            learnEndpoint(of: device, message.sourceEndpoint)
            receiveOTA(zcl, from: device, at: now, into: &out)
            readVersions(of: device, at: now, into: &out)
        case ClusterID.basic:
            reply(zcl, basic.answer(zcl), at: now, into: &out)
        case ClusterID.time:
            guard message.isLinkSecured else {
                out.drop(.apsUnsecured, from: message.source)
                return
            }
            // The hub's clock is the home's, and the CSP keeps it right.
            var clock = ZCLTime(
                now: identity.start.advanced(by: now - .zero), status: [.master, .synchronised])
            reply(zcl, clock.answer(zcl), at: now, into: &out)
        default:
            reply(
                zcl,
                zcl.wantsDefaultResponse(for: .unsupportedCluster)
                    ? zcl.defaultResponse(.unsupportedCluster) : nil, at: now, into: &out)
        }
    }

    private mutating func learnEndpoint(of device: EUI64, _ endpoint: UInt8) {
        if let index = clientEndpoints.firstIndex(where: { $0.device == device }) {
            clientEndpoints[index].endpoint = endpoint
        } else {
            clientEndpoints.append((device, endpoint))
        }
    }

    private mutating func receiveOTA(
        _ zcl: ZCLMessage, from device: EUI64, at now: Instant, into out: inout Outbox
    ) {
        guard !zcl.header.fromServer || !zcl.header.isClusterSpecific else {
            out.drop(.zclWrongDirection, from: zcl.message.source)
            return
        }
        guard zcl.header.isClusterSpecific else {
            receiveGeneral(zcl, from: device, at: now, into: &out)
            return
        }
        do {
            var reader = ByteReader(zcl.body)
            switch zcl.header.command {
            case OTACommandID.queryNextImageRequest:
                let request = try QueryNextImageRequest(parsing: &reader)
                answerQuery(zcl, request, from: device, at: now, into: &out)
            case OTACommandID.imageBlockRequest:
                let request = try ImageBlockRequest(parsing: &reader)
                answerBlock(zcl, request, from: device, at: now, into: &out)
            case OTACommandID.upgradeEndRequest:
                let request = try UpgradeEndRequest(parsing: &reader)
                answerEnd(zcl, request, from: device, at: now, into: &out)
            default:
                reply(
                    zcl,
                    zcl.wantsDefaultResponse(for: .unsupportedClusterCommand)
                        ? zcl.defaultResponse(.unsupportedClusterCommand) : nil,
                    at: now, into: &out)
            }
        } catch {
            out.drop(.zclMalformed, from: zcl.message.source)
            if zcl.wantsDefaultResponse(for: .malformedCommand) {
                reply(zcl, zcl.defaultResponse(.malformedCommand), at: now, into: &out)
            }
        }
    }

    private mutating func receiveGeneral(
        _ zcl: ZCLMessage, from device: EUI64, at now: Instant, into out: inout Outbox
    ) {
        guard zcl.header.command == ZCLFoundation.readAttributesResponse else {
            // The cluster's attributes are all on the client.
            reply(zcl, ZCLGeneral.answer(zcl, of: .otaServer) { _ in nil }, at: now, into: &out)
            return
        }
        var version: UInt64?
        do {
            try ZCLGeneral.forEachAttribute(in: zcl) { attribute in
                if attribute.identifier == OTAAttributeID.currentFileVersion {
                    version = attribute.value
                }
            }
        } catch {
            out.drop(.zclMalformed, from: zcl.message.source)
            return
        }
        guard let version, let index = pendingReads.firstIndex(where: { $0.device == device })
        else {
            out.drop(.zclUnexpected, from: zcl.message.source)
            return
        }
        pendingReads.remove(at: index)
        if pendingReads.isEmpty { nextRead = .distantFuture }
        out.note(.versionRead, device.rawValue, version)
    }

    // MARK: - Query

    /// The image there is for a device, or why there is none.
    private func offer(
        to device: EUI64, _ request: QueryNextImageRequest
    ) -> (image: StoredImage?, reason: RefusalReason) {
        guard supports(deviceLog[device]?.type) else { return (nil, .hubLacksSupport) }
        var reason = RefusalReason.noImage
        var best: StoredImage?
        for case let stored? in store where stored.targets.contains(device) {
            if stored.image.manufacturer != request.current.manufacturer {
                reason = .wrongManufacturer
            } else if stored.image.imageType != request.current.imageType {
                reason = .wrongImageType
            } else if let range = stored.hardware, let hardware = request.hardwareVersion,
                !range.contains(hardware)
            {
                reason = .wrongHardware
            } else if stored.image.version == request.current.version {
                reason = .versionInstalled
            } else if best.map({ $0.delivery < stored.delivery }) ?? true {
                // What was sent last is what is wanted.
                best = stored
            }
        }
        return (best, best == nil ? reason : .none)
    }

    private mutating func answerQuery(
        _ zcl: ZCLMessage, _ request: QueryNextImageRequest, from device: EUI64, at now: Instant,
        into out: inout Outbox
    ) {
        let (image, reason) = offer(to: device, request)
        var payload = FrameBuffer()
        if let image {
            out.note(
                .imageOffered, device.rawValue, UInt64(image.image.version), UInt64(image.size))
            QueryNextImageResponse(offering: image.image, size: image.size).encode(into: &payload)
        } else {
            out.note(.imageWithheld, device.rawValue, UInt64(reason.rawValue))
            QueryNextImageResponse(refusing: .noImageAvailable).encode(into: &payload)
        }
        respond(
            zcl, OTACommandID.queryNextImageResponse, payload,
            options: [.linkSecured, .acknowledged],
            at: now, into: &out)
    }

    // MARK: - Blocks

    private mutating func answerBlock(
        _ zcl: ZCLMessage, _ request: ImageBlockRequest, from device: EUI64, at now: Instant,
        into out: inout Outbox
    ) {
        var payload = FrameBuffer()
        guard let slot = slot(of: request.image, for: device), let stored = store[slot],
            supports(deviceLog[device]?.type)
        else {
            ImageBlockResponse.refused(.abort).encode(into: &payload)
            respond(
                zcl, OTACommandID.imageBlockResponse, payload, options: .linkSecured, at: now,
                into: &out)
            return
        }
        guard request.offset < stored.size, request.maximumDataSize > 0 else {
            reply(zcl, zcl.defaultResponse(.malformedCommand), at: now, into: &out)
            return
        }
        let count = min(
            UInt32(min(request.maximumDataSize, Self.blockLimit)), stored.size - request.offset)
        ImageBlockResponse.block(stored.image, offset: request.offset, count: UInt8(count))
            .encode(into: &payload)
        out.flash.append(
            slotAddress(slot) + Int(request.offset), count: Int(count), to: &payload)
        respond(
            zcl, OTACommandID.imageBlockResponse, payload,
            options: blockOptions(zcl), at: now, into: &out)
    }

    /// Where the image of this identity is that was sent last for a device.
    private func slot(of image: ImageIdentity, for device: EUI64) -> Int? {
        var found: Int?
        for slot in store.indices {
            guard let stored = store[slot], stored.image == image, stored.targets.contains(device)
            else { continue }
            if let best = found, let held = store[best], held.delivery > stored.delivery {
                continue
            }
            found = slot
        }
        return found
    }

    /// A block goes with an APS acknowledgement if its request asked for one.
    private func blockOptions(_ zcl: ZCLMessage) -> SendOptions {
        zcl.message.wantedAcknowledgement ? [.linkSecured, .acknowledged] : .linkSecured
    }

    // MARK: - End

    private mutating func answerEnd(
        _ zcl: ZCLMessage, _ request: UpgradeEndRequest, from device: EUI64, at now: Instant,
        into out: inout Outbox
    ) {
        out.note(
            .downloadServed, device.rawValue, UInt64(request.image.version),
            UInt64(request.status.rawValue))
        guard request.status == .success else {
            reply(zcl, zcl.defaultResponse(.success), at: now, into: &out)
            return
        }
        guard supports(deviceLog[device]?.type), slot(of: request.image, for: device) != nil else {
            reply(zcl, zcl.defaultResponse(.noImageAvailable), at: now, into: &out)
            return
        }
        // A PPMID is told to upgrade now; the others wait for a command (GBCS 11.5, 11.6).
        let isPPMID = deviceLog[device]?.type == .ppmid
        var payload = FrameBuffer()
        UpgradeEndResponse(
            image: request.image, currentTime: 0,
            upgradeTime: isPPMID ? 0 : UpgradeEndResponse.waitToBeTold
        ).encode(into: &payload)
        respond(
            zcl, OTACommandID.upgradeEndResponse, payload, options: [.linkSecured, .acknowledged],
            at: now, into: &out)
    }

    // MARK: - Sending

    /// A server's response to a client's command, under the same sequence number.
    private mutating func respond(
        _ zcl: ZCLMessage, _ command: UInt8, _ payload: FrameBuffer, options: SendOptions,
        at now: Instant, into out: inout Outbox
    ) {
        var frame = FrameBuffer()
        ZCLHeader(
            isClusterSpecific: true, fromServer: true, disableDefaultResponse: true,
            sequence: zcl.header.sequence, command: command
        ).encode(into: &frame)
        frame.append(payload.span)
        stack.send(
            frame, to: zcl.message.source, endpoint: zcl.message.sourceEndpoint,
            from: profile.endpoint, cluster: zcl.message.cluster, profile: zcl.message.profile,
            options: options, at: now, into: &out)
    }

    private mutating func reply(
        _ zcl: ZCLMessage, _ frame: FrameBuffer?, at now: Instant, into out: inout Outbox
    ) {
        guard let frame, !frame.isEmpty else { return }
        stack.send(
            frame, to: zcl.message.source, endpoint: zcl.message.sourceEndpoint,
            from: profile.endpoint, cluster: zcl.message.cluster, profile: zcl.message.profile,
            options: zcl.message.isLinkSecured ? [.acknowledged, .linkSecured] : .acknowledged,
            at: now, into: &out)
    }

    /// Image Notify to each target that listens all the time (ZCL 11.13.3). A sleeper asks by
    /// itself when it wakes.
    mutating func notify(_ stored: StoredImage, at now: Instant, into out: inout Outbox) {
        var payload = FrameBuffer()
        ImageNotify(
            jitter: 100, manufacturer: stored.image.manufacturer,
            imageType: stored.image.imageType, version: stored.image.version
        ).encode(into: &payload)
        for device in stored.targets {
            guard let address = stack.address(of: device), isListening(device) else { continue }
            zclSequence &+= 1
            var frame = FrameBuffer()
            ZCLHeader(
                isClusterSpecific: true, fromServer: true, disableDefaultResponse: true,
                sequence: zclSequence, command: OTACommandID.imageNotify
            ).encode(into: &frame)
            frame.append(payload.span)
            out.note(.imageNotified, device.rawValue, UInt64(stored.image.version))
            stack.send(
                frame, to: address, endpoint: endpoint(of: device), from: profile.endpoint,
                cluster: ClusterID.otaUpgrade, profile: ProfileID.smartEnergy,
                options: [.linkSecured, .acknowledged], at: now, into: &out)
        }
    }

    private func isListening(_ device: EUI64) -> Bool {
        stack.neighbourTable[device].map { !$0.isSleepyChild } ?? true
    }

    private func endpoint(of device: EUI64) -> UInt8 {
        clientEndpoints.first { $0.device == device }?.endpoint ?? 1
    }

    // MARK: - Versions over the air

    /// Reads a device's CurrentFileVersion: now, or when it next wakes.
    mutating func read(_ device: EUI64, at now: Instant, into out: inout Outbox) {
        pendingReads.removeAll { $0.device == device }
        guard pendingReads.count < Self.targetLimit else { return }
        pendingReads.append(PendingRead(device: device))
        nextRead = min(nextRead, now + Self.readRetry)
        if isListening(device) { sendRead(to: device, at: now, into: &out) }
    }

    /// Reads CurrentFileVersion of every device that listens, and again a while later of those
    /// that have not answered, up to a limit. Sleepers are read when they are heard of.
    mutating func readVersions(at now: Instant, into out: inout Outbox) {
        pendingReads.removeAll { $0.tries >= Self.readLimit }
        nextRead = pendingReads.isEmpty ? .distantFuture : now + Self.readRetry
        for read in pendingReads where isListening(read.device) {
            sendRead(to: read.device, at: now, into: &out)
        }
    }

    private mutating func readVersions(
        of device: EUI64, at now: Instant, into out: inout Outbox
    ) {
        // A sleeper is awake now; one question at a time.
        guard let read = pendingReads.first(where: { $0.device == device }),
            !isListening(device), read.sent + .seconds(2) <= now
        else { return }
        sendRead(to: device, at: now, into: &out)
    }

    private mutating func sendRead(to device: EUI64, at now: Instant, into out: inout Outbox) {
        guard let address = stack.address(of: device) else { return }
        if let index = pendingReads.firstIndex(where: { $0.device == device }) {
            pendingReads[index].tries += 1
            pendingReads[index].sent = now
        }
        zclSequence &+= 1
        let frame = ZCLGeneral.readAttributes(
            [OTAAttributeID.currentFileVersion, OTAAttributeID.imageUpgradeStatus],
            toClient: true, sequence: zclSequence)
        stack.send(
            frame, to: address, endpoint: endpoint(of: device), from: profile.endpoint,
            cluster: ClusterID.otaUpgrade, profile: ProfileID.smartEnergy,
            options: [.linkSecured, .acknowledged], at: now, into: &out)
    }
}
