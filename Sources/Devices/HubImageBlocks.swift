import Radio
import Wire
import Zigbee

/// The images' bytes, block by block and page by page, and at what pace (ZCL 11.13.6-11.13.8).
extension CommunicationsHub {
    /// The most data in a block response that still fits one frame with NWK and APS security.
    static let blockLimit: UInt8 = 56

    mutating func answerBlock(
        _ zcl: ZCLMessage, _ request: ImageBlockRequest, from client: Int, at now: Instant,
        into out: inout Outbox
    ) {
        // A device that asks block by block wants no page any more.
        clients[client].page = nil
        guard let slot = servable(request.image, to: client), let stored = store[slot] else {
            refuseImage(zcl, at: now, into: &out)
            return
        }
        guard request.offset < stored.size, request.maximumDataSize > 0 else {
            reply(zcl, zcl.defaultResponse(.malformedCommand), at: now, into: &out)
            return
        }
        if let wait = waitOrder(for: client, period: request.minimumBlockPeriod, at: now) {
            refuseBlock(zcl, wait, at: now, into: &out)
            return
        }
        begin(client, at: now)
        let count = min(
            UInt32(min(request.maximumDataSize, Self.blockLimit)), stored.size - request.offset)
        var payload = FrameBuffer()
        ImageBlockResponse.block(stored.image, offset: request.offset, count: UInt8(count))
            .encode(into: &payload)
        out.flash.append(
            slotAddress(slot) + Int(request.offset), count: Int(count), to: &payload)
        respond(
            zcl, OTACommandID.imageBlockResponse, payload,
            options: blockOptions(zcl), at: now, into: &out)
    }

    /// A client gets data. Whatever it was told to wait with is over: it downloads anew.
    private mutating func begin(_ client: Int, at now: Instant) {
        clients[client].lastRequest = now
        clients[client].held = nil
    }

    /// There is no such image, or not for this client.
    private mutating func refuseImage(
        _ zcl: ZCLMessage, at now: Instant, into out: inout Outbox
    ) {
        switch profile.ota.unknownImage {
        case .abort: refuseBlock(zcl, .refused(.abort), at: now, into: &out)
        case .noImageAvailable:
            reply(zcl, zcl.defaultResponse(.noImageAvailable), at: now, into: &out)
        }
    }

    /// A block goes with an APS acknowledgement if its request asked for one.
    private func blockOptions(_ zcl: ZCLMessage) -> SendOptions {
        zcl.message.wantedAcknowledgement ? [.linkSecured, .acknowledged] : .linkSecured
    }

    private mutating func refuseBlock(
        _ zcl: ZCLMessage, _ response: ImageBlockResponse, at now: Instant, into out: inout Outbox
    ) {
        var payload = FrameBuffer()
        response.encode(into: &payload)
        respond(
            zcl, OTACommandID.imageBlockResponse, payload, options: blockOptions(zcl), at: now,
            into: &out)
    }

    /// Where the image of this identity is that was sent last for a device this firmware serves.
    private func servable(_ image: ImageIdentity, to client: Int) -> Int? {
        let device = clients[client].device
        return supports(deviceLog[device]?.type) ? slot(of: image, for: device) : nil
    }

    /// Where the image of this identity is that was sent last for a device.
    func slot(of image: ImageIdentity, for device: EUI64) -> Int? {
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

    // MARK: - Pace

    /// WAIT_FOR_DATA, if there is reason for it: too many download at once, or the device keeps to
    /// another MinimumBlockPeriod than it is to. Of a period it is told once; one that goes on as
    /// before is served as before.
    private mutating func waitOrder(
        for client: Int, period: UInt16?, at now: Instant
    ) -> ImageBlockResponse? {
        let settings = profile.ota
        if !isDownloading(client, at: now) {
            var others = 0
            for index in clients.indices where isDownloading(index, at: now) { others += 1 }
            if others >= settings.downloadLimit { return waitForData(settings.waitTime, at: now) }
        }
        guard settings.sendsBlockPeriod, let period, period != blockPeriod,
            clients[client].periodTold != blockPeriod
        else {
            return nil
        }
        clients[client].periodTold = blockPeriod
        clients[client].lastRequest = now
        return waitForData(.zero, at: now)
    }

    private func waitForData(_ delay: Interval, at now: Instant) -> ImageBlockResponse {
        let (current, then) = times(delay, at: now)
        return .wait(
            currentTime: current, requestTime: then,
            minimumBlockPeriod: profile.ota.sendsBlockPeriod ? blockPeriod : nil)
    }

    /// In the unit that this hub takes it to have; whole seconds are rounded up.
    private var blockPeriod: UInt16 {
        let microseconds = profile.ota.blockPeriod.microseconds
        return UInt16(
            clamping: profile.ota.blockPeriodInSeconds
                ? (microseconds + 999_999) / 1_000_000 : microseconds / 1_000)
    }

    private func isDownloading(_ client: Int, at now: Instant) -> Bool {
        guard let last = clients[client].lastRequest else { return false }
        return now < last + profile.ota.downloadIdle
    }

    // MARK: - Pages

    mutating func answerPage(
        _ zcl: ZCLMessage, _ request: ImagePageRequest, from client: Int, at now: Instant,
        into out: inout Outbox
    ) {
        guard capabilities.servesPages else {
            reply(zcl, zcl.defaultResponse(.unsupportedClusterCommand), at: now, into: &out)
            return
        }
        clients[client].page = nil
        guard let slot = servable(request.image, to: client), let stored = store[slot] else {
            refuseImage(zcl, at: now, into: &out)
            return
        }
        guard request.offset < stored.size, request.maximumDataSize > 0, request.pageSize > 0 else {
            reply(zcl, zcl.defaultResponse(.malformedCommand), at: now, into: &out)
            return
        }
        // A page request does not say what period the device keeps to: its spacing does.
        if let wait = waitOrder(for: client, period: nil, at: now) {
            refuseBlock(zcl, wait, at: now, into: &out)
            return
        }
        var others = 0
        for other in clients where other.page != nil { others += 1 }
        guard others < profile.ota.pageLimit else {
            refuseBlock(zcl, waitForData(profile.ota.waitTime, at: now), at: now, into: &out)
            return
        }
        let end = min(UInt64(request.offset) + UInt64(request.pageSize), UInt64(stored.size))
        clients[client].page = PageTransfer(
            endpoint: zcl.message.sourceEndpoint,
            sequence: zcl.header.sequence, options: blockOptions(zcl), image: stored.image,
            slot: slot, delivery: stored.delivery, offset: request.offset, end: UInt32(end),
            blockSize: min(request.maximumDataSize, Self.blockLimit),
            spacing: max(
                max(.milliseconds(Int64(request.spacing)), profile.ota.pageSpacing),
                profile.ota.blockPeriod),
            next: now)
        sendPages(at: now, into: &out)
    }

    /// The next block of every page whose time has come.
    mutating func sendPages(at now: Instant, into out: inout Outbox) {
        nextPage = .distantFuture
        for client in clients.indices {
            guard let page = clients[client].page else { continue }
            if page.next <= now { sendBlock(of: page, to: client, at: now, into: &out) }
            if let next = clients[client].page?.next { nextPage = min(nextPage, next) }
        }
    }

    private mutating func sendBlock(
        of page: PageTransfer, to client: Int, at now: Instant, into out: inout Outbox
    ) {
        clients[client].page?.next = now + page.spacing
        // Where the device is now: it may have got another address since it asked. What could come
        // later must not crowd out what others need now.
        guard let address = stack.address(of: clients[client].device), stack.hasRoom(for: address)
        else { return }
        var payload = FrameBuffer()
        guard let stored = store[page.slot], stored.delivery == page.delivery,
            stored.targets.contains(clients[client].device)
        else {
            clients[client].page = nil
            ImageBlockResponse.refused(.abort).encode(into: &payload)
            send(
                OTACommandID.imageBlockResponse, payload, to: address,
                endpoint: page.endpoint, sequence: page.sequence, options: page.options, at: now,
                into: &out)
            return
        }
        let count = min(UInt32(page.blockSize), page.end - page.offset)
        ImageBlockResponse.block(page.image, offset: page.offset, count: UInt8(count))
            .encode(into: &payload)
        out.flash.append(
            slotAddress(page.slot) + Int(page.offset), count: Int(count), to: &payload)
        begin(client, at: now)
        if page.offset + count < page.end {
            clients[client].page?.offset += count
        } else {
            clients[client].page = nil
        }
        send(
            OTACommandID.imageBlockResponse, payload, to: address, endpoint: page.endpoint,
            sequence: page.sequence, options: page.options, at: now, into: &out)
    }
}
