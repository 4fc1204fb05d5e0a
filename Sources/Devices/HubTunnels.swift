import Radio
import Wire
import Zigbee

/// What a hub keeps of its tunnels and of the messages in them: it opens one to each ESME, PPMID
/// and HCALCS, and each GSME opens one to it (GBCS 10.2.2).
struct HubTunnels: Sendable {
    /// Tokens of the stack for messages begin here.
    static let firstToken: UInt16 = 0x100
    /// Tunnels that are being opened at the same time.
    static let openingLimit = 4

    struct Partner: Sendable {
        let device: EUI64
        /// Unused for a GSME.
        var client: TunnelClient
        var queue = MessageQueue()
        /// An image has come since it last asked for one.
        var hasNewFirmware = false

        mutating func reckonDeadline(mayOpen: Bool) -> Instant {
            min(
                mayOpen || client.isBusy ? client.nextDeadline : .distantFuture,
                queue.nextDeadline(isOpen: client.tunnel != nil))
        }
    }

    /// Those of the device log, as they are needed.
    var partners: [Partner] = []
    var server: TunnelServer
    /// When something is due, as of the end of the last input.
    var due = Instant.distantFuture
    private var token = firstToken

    init(_ settings: TunnelSettings) {
        server = TunnelServer(settings: settings, limit: 0, firstID: 0)
    }

    mutating func nextToken() -> UInt16 {
        token = token == .max ? Self.firstToken : token + 1
        return token
    }

    var isOpeningEnough: Bool {
        partners.count { $0.client.isBusy } >= Self.openingLimit
    }

    var byteCount: Int { partners.reduce(0) { $0 + $1.queue.byteCount } }

    /// When something is due. Changes nothing: every input asks, and a property of so much would be
    /// asked of a copy.
    mutating func reckonDeadline() -> Instant {
        guard !partners.isEmpty else { return .distantFuture }
        let isFull = isOpeningEnough
        var first = server.nextDeadline
        for index in partners.indices {
            first = min(first, partners[index].reckonDeadline(mayOpen: !isFull))
        }
        return first
    }
}

extension CommunicationsHub {
    /// Messages for devices that have not got them yet.
    public var waitingMessages: [(device: EUI64, bytes: [UInt8])] {
        tunnels.partners.flatMap { partner in
            partner.queue.entries.map { (partner.device, $0.bytes) }
        }
    }

    // MARK: - Devices that come and go

    /// After a start: everybody that the network knows is there.
    mutating func startTunnels(at now: Instant) {
        var dice = SeededStream(seed.named("tunnels").indexed(UInt64(now.microseconds)))
        tunnels = HubTunnels(profile.tunnel)
        tunnels.server = TunnelServer(
            settings: profile.tunnel, limit: profile.deviceLogLimit,
            firstID: UInt16(truncatingIfNeeded: dice.next()))
        for entry in deviceLog.entries where stack.address(of: entry.eui64) != nil {
            deviceAppeared(entry.eui64, at: now)
        }
        for case let stored? in store { markNewFirmware(stored.targets) }
    }

    /// A device has joined, rejoined or announced itself, or has a new link key: a tunnel from
    /// before is none. The next is asked for once the hub talks with the device.
    mutating func deviceAppeared(_ device: EUI64, at now: Instant) {
        guard let index = partner(of: device) else { return }
        _ = tunnels.server.drop(device)
        guard let type = deviceLog[device]?.type, type != .gsme else { return }
        if maySpeak(device) {
            tunnels.partners[index].client.serverAppeared(at: now)
        } else {
            tunnels.partners[index].client.serverLeft()
        }
    }

    /// A device was struck off the device log.
    mutating func forgetTunnel(of device: EUI64, into out: inout Outbox) {
        if let tunnel = tunnels.server.drop(device) {
            out.note(.tunnelClosed, device.rawValue, UInt64(tunnel.id))
        }
        guard let index = tunnels.partners.firstIndex(where: { $0.device == device }) else {
            return
        }
        if let tunnel = tunnels.partners[index].client.tunnel {
            out.note(.tunnelClosed, device.rawValue, UInt64(tunnel.id))
        }
        for entry in tunnels.partners[index].queue.removeAll() {
            noteNotSent(device, entry.bytes.count, .notInDeviceLog, into: &out)
        }
        tunnels.partners.remove(at: index)
    }

    /// The record of a device of the log; nil for another one.
    private mutating func partner(of device: EUI64) -> Int? {
        if let index = tunnels.partners.firstIndex(where: { $0.device == device }) { return index }
        guard deviceLog[device] != nil else { return nil }
        tunnels.partners.append(
            HubTunnels.Partner(device: device, client: TunnelClient(settings: profile.tunnel)))
        return tunnels.partners.count - 1
    }

    mutating func tunnelServerFound(
        _ endpoint: UInt8?, at address: ShortAddress, now: Instant
    ) {
        guard let device = stack.eui64(of: address), let index = partner(of: device) else { return }
        _ = tunnels.partners[index].client.found(endpoint, at: now)
    }

    // MARK: - Messages from the WAN

    /// Takes a message for a device, which gets it through its tunnel as soon as there is one, or
    /// for the hub itself.
    mutating func route(
        _ bytes: [UInt8], to device: EUI64, at now: Instant, into out: inout Outbox
    ) {
        guard device != chf?.identity.entity, device != gpf?.identity.entity else {
            heedMessage(bytes, at: now, into: &out)
            return
        }
        guard let index = partner(of: device) else {
            noteNotSent(device, bytes.count, .notInDeviceLog, into: &out)
            return
        }
        guard !bytes.isEmpty, bytes.count <= profile.tunnel.transferSize else {
            noteNotSent(device, bytes.count, .messageTooLong, into: &out)
            return
        }
        let isMailbox = deviceLog[device]?.type == .gsme
        let time = isMailbox ? profile.mail.holdTime : profile.tunnel.deliveryTime
        guard tunnels.byteCount + bytes.count <= profile.mail.queueBytes,
            tunnels.partners[index].queue.append(
                bytes, expires: now + time, limit: profile.tunnel.queueMessages)
        else {
            noteNotSent(device, bytes.count, .queueFull, into: &out)
            return
        }
        tunnels.partners[index].client.hasten(at: now)
        out.note(
            .tunnelMessageQueued, device.rawValue, UInt64(bytes.count),
            UInt64(tunnels.partners[index].queue.entries.count))
    }

    /// What the CHF and the GPF have to say goes to the WAN at once.
    mutating func sendMessages(into out: inout Outbox) {
        while let bytes = chf?.takeMessage(), let entity = chf?.identity.entity {
            out.send(.message(device: entity, bytes: bytes))
        }
        while let bytes = gpf?.takeMessage(), let entity = gpf?.identity.entity {
            out.send(.message(device: entity, bytes: bytes))
        }
    }

    private func noteNotSent(
        _ device: EUI64, _ size: Int, _ reason: RefusalReason, into out: inout Outbox
    ) {
        out.note(.tunnelMessageLost, device.rawValue, UInt64(size), UInt64(reason.rawValue))
    }

    // MARK: - What is due

    mutating func stepTunnels(at now: Instant, into out: inout Outbox) {
        tunnels.due = tunnels.reckonDeadline()
        guard tunnels.due <= now else { return }
        defer { tunnels.due = tunnels.reckonDeadline() }
        while let tunnel = tunnels.server.expire(at: now) {
            out.note(.tunnelClosed, tunnel.client.rawValue, UInt64(tunnel.id))
            _ = sendTunnel(
                .closureNotification(tunnel.id), [], to: tunnel.address,
                endpoint: tunnel.endpoint, at: now, into: &out)
        }
        for index in tunnels.partners.indices {
            dropExpired(index, at: now, into: &out)
            stepClient(index, at: now, into: &out)
            pushMessage(index, at: now, into: &out)
        }
    }

    private mutating func dropExpired(_ index: Int, at now: Instant, into out: inout Outbox) {
        let device = tunnels.partners[index].device
        while let entry = tunnels.partners[index].queue.takeExpired(at: now) {
            if deviceLog[device]?.type == .gsme {
                out.note(.tunnelMessageNotRetrieved, device.rawValue, UInt64(entry.bytes.count))
                reportNotRetrieved(at: now, into: &out)
            } else {
                noteNotSent(device, entry.bytes.count, .notDelivered, into: &out)
            }
        }
    }

    private mutating func stepClient(_ index: Int, at now: Instant, into out: inout Outbox) {
        let partner = tunnels.partners[index]
        guard partner.client.isBusy || !tunnels.isOpeningEnough else { return }
        let step = tunnels.partners[index].client.step(at: now)
        guard step != .none else { return }
        guard let address = stack.address(of: partner.device) else {
            tunnels.partners[index].client.serverLeft()
            return
        }
        switch step {
        case .none: break
        case .find:
            stack.findServer(of: ClusterID.tunneling, at: address, now: now, into: &out)
        case .request(let endpoint):
            _ = sendTunnel(
                .requestTunnel(
                    profile.tunnel.kind, flowControl: false,
                    maximumIncoming: profile.tunnel.transferSize), [], to: address,
                endpoint: endpoint, at: now, into: &out)
        }
    }

    /// Sends a device its next message; a GSME fetches its own.
    private mutating func pushMessage(_ index: Int, at now: Instant, into out: inout Outbox) {
        let partner = tunnels.partners[index]
        guard let tunnel = partner.client.tunnel, let endpoint = partner.client.endpoint,
            let bytes = partner.queue.due(at: now)
        else { return }
        guard let address = stack.address(of: partner.device) else {
            tunnels.partners[index].client.serverLeft()
            return
        }
        guard bytes.count <= tunnel.maximum else {
            _ = tunnels.partners[index].queue.dropFirst()
            noteNotSent(partner.device, bytes.count, .messageTooLong, into: &out)
            return
        }
        send(
            bytes, of: index, .transferData(tunnel.id, fromServer: false), to: address,
            endpoint: endpoint, at: now, into: &out)
    }

    /// Sends the first message of a queue, with what stands before it.
    private mutating func send(
        _ data: [UInt8], of index: Int, _ command: TunnelCommand, to address: ShortAddress,
        endpoint: UInt8, at now: Instant, into out: inout Outbox
    ) {
        let token = tunnels.nextToken()
        if sendTunnel(
            command, data, to: address, endpoint: endpoint, token: token, at: now, into: &out)
        {
            tunnels.partners[index].queue.sent(token)
        } else {
            tunnels.partners[index].queue.putOff(until: now + profile.tunnel.reopen)
        }
    }

    private mutating func sendTunnel(
        _ command: TunnelCommand, _ data: [UInt8], to address: ShortAddress, endpoint: UInt8,
        token: UInt16 = 0, at now: Instant, into out: inout Outbox
    ) -> Bool {
        zclSequence &+= 1
        return stack.send(
            message: command.frame(sequence: zclSequence, data: data), to: address,
            endpoint: endpoint, from: profile.endpoint, cluster: ClusterID.tunneling,
            profile: ProfileID.smartEnergy, options: [.linkSecured, .acknowledged], token: token,
            at: now, into: &out)
    }

    mutating func messageSettled(
        _ token: UInt16, delivered: Bool, at now: Instant, into out: inout Outbox
    ) {
        guard token >= HubTunnels.firstToken,
            let index = tunnels.partners.firstIndex(where: { $0.queue.underway == token })
        else { return }
        let sent = tunnels.partners[index].queue.settled(
            delivered: delivered, retry: now + profile.tunnel.responseTimeout)
        if let sent {
            out.note(
                .tunnelMessageSent, tunnels.partners[index].device.rawValue, UInt64(sent.count))
        }
    }

    // MARK: - What comes through the air

    /// A message that came in fragments.
    mutating func receiveLong(at now: Instant, into out: inout Outbox) {
        guard let message = stack.takeLongMessage() else { return }
        guard message.about.cluster == ClusterID.tunneling else {
            out.drop(.tooLong, from: message.about.source)
            return
        }
        receiveTunnel(message.about, message.bytes, nil, at: now, into: &out)
    }

    /// A frame of the Tunneling cluster; `zcl` has it too if it came in one piece.
    mutating func receiveTunnel(
        _ about: APSMessage, _ bytes: [UInt8], _ zcl: ZCLMessage?, at now: Instant,
        into out: inout Outbox
    ) {
        guard about.isLinkSecured else {
            out.drop(.apsUnsecured, from: about.source)
            return
        }
        guard let device = about.sourceEUI64, deviceLog[device] != nil,
            let index = partner(of: device)
        else {
            out.drop(.notInDeviceLog, from: about.source)
            return
        }
        guard maySpeak(device) else {
            out.drop(.keyNotEstablished, from: about.source)
            return
        }
        switch TunnelReading(bytes, of: about, zcl, tunnels.server) {
        case .answered(let frame, let reason):
            if let reason { out.drop(reason, from: about.source) }
            if let zcl { reply(zcl, frame, at: now, into: &out) }
        case .fromServer(let command, let data):
            receiveFromServer(command, data, index, about, at: now, into: &out)
        case .fromClient(let command, let data):
            receiveFromClient(command, data, index, about, at: now, into: &out)
        }
    }

    private mutating func receiveFromServer(
        _ command: TunnelCommand, _ data: [UInt8], _ index: Int, _ about: APSMessage,
        at now: Instant, into out: inout Outbox
    ) {
        let device = tunnels.partners[index].device
        let verdict = tunnels.partners[index].client.receive(command, count: data.count, at: now)
        out.note(
            verdict, with: device, at: about.source,
            maximum: tunnels.partners[index].client.tunnel?.maximum)
        switch verdict {
        case .data: messageArrived(data, from: device, into: &out)
        case .rejected(let response, _): answer(response, about, at: now, into: &out)
        case .failed(let error): failed(error, index, at: now)
        case .opened, .refused, .closed, .dropped: break
        }
    }

    private mutating func failed(_ error: TunnelError, _ index: Int, at now: Instant) {
        if error == .overflow { return }
        tunnels.partners[index].queue.refused(at: now)
    }

    private mutating func receiveFromClient(
        _ command: TunnelCommand, _ data: [UInt8], _ index: Int, _ about: APSMessage,
        at now: Instant, into out: inout Outbox
    ) {
        let device = tunnels.partners[index].device
        // Only a GSME is a client here; the hub opens the tunnels of all others.
        guard deviceLog[device]?.type == .gsme else {
            if case .requestTunnel = command {
                answer(
                    .requestTunnelResponse(
                        0xFFFF, .busy, maximumIncoming: profile.tunnel.transferSize), about,
                    at: now, into: &out)
            }
            out.drop(.zclWrongDirection, from: about.source)
            return
        }
        let verdict = tunnels.server.receive(
            command, from: device, at: about.source, endpoint: about.sourceEndpoint,
            count: max(0, data.count - 1), now: now)
        out.note(verdict, with: device, at: about.source)
        switch verdict {
        case .opened(_, let response), .answer(let response), .refused(let response, _):
            answer(response, about, at: now, into: &out)
        case .data(let id): heedMailbox(data, index, id, about, at: now, into: &out)
        case .failed(_, let error): failed(error, index, at: now)
        case .closed, .dropped: break
        }
    }

    private mutating func answer(
        _ command: TunnelCommand, _ about: APSMessage, at now: Instant, into out: inout Outbox
    ) {
        _ = sendTunnel(
            command, [], to: about.source, endpoint: about.sourceEndpoint, at: now, into: &out)
    }

    /// GET and PUT of a GSME (GBCS 10.2.2.2).
    private mutating func heedMailbox(
        _ data: [UInt8], _ index: Int, _ tunnel: UInt16, _ about: APSMessage, at now: Instant,
        into out: inout Outbox
    ) {
        switch data.first {
        case MailboxVerb.get where data.count == 1:
            dropExpired(index, at: now, into: &out)
            let queue = tunnels.partners[index].queue
            // One on its way is still tried.
            guard queue.underway == 0 else {
                out.drop(.zclUnexpected, from: about.source)
                return
            }
            let command = TunnelCommand.transferData(tunnel, fromServer: true)
            guard let entry = queue.entries.first else {
                _ = sendTunnel(
                    command, [MailboxVerb.message, 0], to: about.source,
                    endpoint: about.sourceEndpoint, at: now, into: &out)
                return
            }
            let head = [MailboxVerb.message, UInt8(clamping: queue.entries.count - 1)]
            send(
                head + entry.bytes, of: index, command, to: about.source,
                endpoint: about.sourceEndpoint, at: now, into: &out)
        case MailboxVerb.put where data.count > 1:
            messageArrived(
                Array(data.dropFirst()), from: tunnels.partners[index].device, into: &out)
        default: out.drop(.zclMalformed, from: about.source)
        }
    }

    /// A device's message goes on to the WAN.
    private func messageArrived(
        _ bytes: [UInt8], from device: EUI64, into out: inout Outbox
    ) {
        out.note(.tunnelMessageReceived, device.rawValue, UInt64(bytes.count))
        out.send(.message(device: device, bytes: bytes))
    }

    // MARK: - The GPF's notification flags

    /// What a GSME that reads them is told.
    func notificationFlags(of device: EUI64) -> FunctionalNotificationFlags {
        var flags: FunctionalNotificationFlags = []
        guard let partner = tunnels.partners.first(where: { $0.device == device }) else {
            return flags
        }
        if !partner.queue.isEmpty { flags.insert(.tunnelMessagePending) }
        if partner.hasNewFirmware { flags.insert(.newOTAFirmware) }
        return flags
    }

    /// New images are there for these devices.
    mutating func markNewFirmware(_ targets: [EUI64]) {
        for device in targets where supports(deviceLog[device]?.type) {
            if let index = partner(of: device) { tunnels.partners[index].hasNewFirmware = true }
        }
    }

    /// It has asked for an image. assumption: that ends the notification; no setting.
    mutating func firmwareAsked(by device: EUI64) {
        for index in tunnels.partners.indices where tunnels.partners[index].device == device {
            tunnels.partners[index].hasNewFirmware = false
        }
    }

    /// The GPF's device log. assumption: the GSMEs of the CHF's, without CS03B; no setting.
    func isInGPFLog(_ device: EUI64) -> Bool { deviceLog[device]?.type == .gsme }

    mutating func dropExpiredOf(
        _ device: EUI64, at now: Instant, into out: inout Outbox
    ) {
        if let index = tunnels.partners.firstIndex(where: { $0.device == device }) {
            dropExpired(index, at: now, into: &out)
        }
    }
}
