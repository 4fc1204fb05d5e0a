import Radio
import Wire
import Zigbee

/// What a device keeps of its tunnel: an ESME, PPMID or HCALCS is asked for one by the hub, a GSME
/// asks the hub for one and fetches its messages (GBCS 10.2.2).
struct DeviceTunnel: Sendable {
    /// The stack's token of a message.
    static let firstToken: UInt16 = 0x100

    let isClient: Bool
    let settings: TunnelSettings
    var server: TunnelServer
    var client: TunnelClient
    var queue = MessageQueue()
    private var token = firstToken
    /// When it announces itself, if something is to be sent and there is no tunnel.
    var announceDue = Instant.distantFuture

    // A GSME's side of the hub's mailbox.

    /// The hub's endpoint that has mirrors to give; nil before it was found.
    var interface: UInt8?
    /// Where the hub's notification flags are read; nil before a mirror was had.
    var mirror: UInt8?
    /// When that is looked for, or they are read.
    var flagsDue = Instant.distantFuture
    /// Until when an answer about them is awaited.
    var flagsUntil: Instant?
    var flagsSequence: UInt8 = 0
    /// There is a message to be fetched.
    var wantsMessage = false
    /// Until when one that was asked for is awaited.
    var messageUntil: Instant?

    init(_ settings: TunnelSettings, isClient: Bool, firstID: UInt16 = 0) {
        self.settings = settings
        self.isClient = isClient
        server = TunnelServer(settings: settings, limit: isClient ? 0 : 1, firstID: firstID)
        client = TunnelClient(settings: settings)
    }

    mutating func nextToken() -> UInt16 {
        token = token == .max ? Self.firstToken : token + 1
        return token
    }

    /// The tunnel there is, and the bytes that the hub takes at a time.
    var tunnel: (id: UInt16, maximum: UInt16)? {
        isClient ? client.tunnel : server.tunnels.first.map { ($0.id, $0.maximum) }
    }

    /// When something is due. Changes nothing: every input asks, and a property of so much would be
    /// asked of a copy.
    mutating func reckonDeadline() -> Instant {
        var first = min(server.nextDeadline, queue.nextDeadline(isOpen: tunnel != nil))
        guard isClient else {
            return tunnel == nil && !queue.isEmpty ? min(first, announceDue) : first
        }
        first = min(first, min(client.nextDeadline, flagsUntil ?? flagsDue))
        if let messageUntil {
            first = min(first, messageUntil)
        } else if wantsMessage, client.tunnel != nil {
            return .zero
        }
        return first
    }

    /// Not the time to fall asleep.
    func isBusy(at now: Instant) -> Bool {
        guard isClient else { return false }
        return client.isBusy || flagsUntil != nil || messageUntil != nil
            || !queue.isEmpty || min(client.nextDeadline, flagsDue) <= now + .seconds(3)
    }

    /// The device is in a network, perhaps another one than before: tunnels from before are none.
    mutating func joined(at now: Instant) {
        server.dropAll()
        announceDue = now + settings.announce
        if isClient {
            client.serverAppeared(at: now)
            (interface, mirror, flagsUntil, messageUntil) = (nil, nil, nil, nil)
            flagsDue = now + settings.afterJoining
        }
    }

    mutating func left() {
        server.dropAll()
        announceDue = .distantFuture
        client.serverLeft()
        (interface, mirror, flagsUntil, messageUntil) = (nil, nil, nil, nil)
        wantsMessage = false
        flagsDue = .distantFuture
    }

    /// A sleeper has woken: it looks what there is for it.
    mutating func woke(at now: Instant) {
        if isClient, flagsUntil == nil, flagsDue == .distantFuture { flagsDue = now }
    }
}

extension HANDevice {
    static func isOfTunnel(_ cluster: UInt16) -> Bool {
        cluster == ClusterID.tunneling || cluster == ClusterID.metering
    }

    // MARK: - For the application

    /// Sends a message to the hub, for the WAN, as soon as there is a tunnel.
    ///
    /// - Returns: false if as many as `tunnel.queueMessages` wait, or it is empty or too long.
    public mutating func send(message: [UInt8], at now: Instant, into out: inout Outbox) -> Bool {
        let settings = profile.tunnel
        guard !message.isEmpty, message.count <= settings.transferSize,
            tunnel.queue.append(
                message, expires: now + settings.deliveryTime, limit: settings.queueMessages)
        else {
            out.note(
                .tunnelMessageLost, eui64.rawValue, UInt64(message.count),
                UInt64(
                    (message.isEmpty || message.count > settings.transferSize
                        ? RefusalReason.messageTooLong : .queueFull).rawValue))
            return false
        }
        tunnel.client.hasten(at: now)
        if !sleeper.isAwake { sleeper.wakeNow(at: now) }
        return true
    }

    private mutating func messageArrived(
        _ bytes: [UInt8], at now: Instant, into out: inout Outbox
    ) {
        out.note(.tunnelMessageReceived, eui64.rawValue, UInt64(bytes.count))
        heedMessage(bytes, at: now, into: &out)
    }

    /// Whether something for the hub has not arrived there yet.
    var hasMessagesUnderway: Bool { !tunnel.queue.isEmpty }

    /// A restart ends what has not been sent.
    mutating func loseMessages(into out: inout Outbox) {
        for entry in tunnel.queue.removeAll() {
            out.note(
                .tunnelMessageLost, eui64.rawValue, UInt64(entry.bytes.count),
                UInt64(RefusalReason.restarting.rawValue))
        }
    }

    // MARK: - What is due

    /// A sleeper does nothing here before it wakes.
    private var mayTunnel: Bool {
        stack.isJoined && (profile.sleep == nil || sleeper.isAwake || phase == .activating)
    }

    mutating func tunnelDeadline() -> Instant {
        mayTunnel ? tunnel.reckonDeadline() : .distantFuture
    }

    /// After a start, before anything comes.
    mutating func startTunnel(at now: Instant) {
        var dice = SeededStream(seed.named("tunnel").indexed(UInt64(now.microseconds)))
        tunnel = DeviceTunnel(
            profile.tunnel, isClient: profile.type == .gsme,
            firstID: UInt16(truncatingIfNeeded: dice.next()))
        for bytes in exchange(&kept, with: []) {
            _ = tunnel.queue.append(
                bytes, expires: now + profile.tunnel.deliveryTime,
                limit: profile.tunnel.queueMessages)
        }
    }

    /// What it has to say and the hub has not got yet.
    public var waitingMessages: [[UInt8]] { kept + tunnel.queue.entries.map(\.bytes) }

    /// Has these messages wait once it has started, in a world that begins again: what waits does
    /// not outlive a power cut otherwise.
    public mutating func keep(_ messages: [[UInt8]]) { kept = messages }

    mutating func stepTunnel(at now: Instant, into out: inout Outbox) {
        while let message = messages?.takeMessage() {
            _ = send(message: message, at: now, into: &out)
        }
        guard tunnelDeadline() <= now else { return }
        while let entry = tunnel.queue.takeExpired(at: now) {
            out.note(
                .tunnelMessageLost, eui64.rawValue, UInt64(entry.bytes.count),
                UInt64(RefusalReason.notDelivered.rawValue))
        }
        while let closed = tunnel.server.expire(at: now) {
            out.note(.tunnelClosed, closed.client.rawValue, UInt64(closed.id))
            _ = sendTunnel(
                .closureNotification(closed.id), [], to: closed.address,
                endpoint: closed.endpoint, at: now, into: &out)
        }
        if tunnel.isClient {
            stepMailbox(at: now, into: &out)
        } else if tunnel.tunnel == nil, !tunnel.queue.isEmpty, tunnel.announceDue <= now {
            // It has restarted, and the hub does not know.
            tunnel.announceDue = now + profile.tunnel.announce
            stack.announce(at: now, into: &out)
        }
        pushMessage(at: now, into: &out)
    }

    private mutating func stepMailbox(at now: Instant, into out: inout Outbox) {
        switch tunnel.client.step(at: now) {
        case .none: break
        case .find:
            stack.findServer(of: ClusterID.tunneling, at: .coordinator, now: now, into: &out)
            awaitAnswer(at: now)
        case .request(let endpoint):
            _ = sendTunnel(
                .requestTunnel(
                    profile.tunnel.kind, flowControl: false,
                    maximumIncoming: profile.tunnel.transferSize), [], to: .coordinator,
                endpoint: endpoint, at: now, into: &out)
        }
        if let until = tunnel.flagsUntil, until <= now {
            // Nobody answered: it is looked for anew.
            loseMirror()
        }
        if tunnel.flagsUntil == nil, tunnel.flagsDue <= now { readFlags(at: now, into: &out) }
        if let until = tunnel.messageUntil, until <= now { tunnel.messageUntil = nil }
        if tunnel.wantsMessage, tunnel.messageUntil == nil { fetchMessage(at: now, into: &out) }
    }

    private mutating func readFlags(at now: Instant, into out: inout Outbox) {
        tunnel.flagsDue = .distantFuture
        tunnel.flagsUntil = now + profile.tunnel.responseTimeout
        if let endpoint = tunnel.mirror {
            zclSequence &+= 1
            tunnel.flagsSequence = zclSequence
            let frame = ZCLGeneral.readAttributes(
                [profile.tunnel.flagsAttribute], toClient: true, sequence: zclSequence)
            stack.send(
                frame, to: .coordinator, endpoint: endpoint, from: profile.endpoint,
                cluster: ClusterID.metering, profile: ProfileID.smartEnergy,
                options: [.linkSecured, .acknowledged], at: now, into: &out)
        } else if let endpoint = tunnel.interface {
            send(.request, to: endpoint, at: now, into: &out)
        } else {
            stack.findClient(of: ClusterID.metering, at: .coordinator, now: now, into: &out)
        }
        awaitAnswer(at: now)
    }

    private mutating func send(
        _ request: MirrorRequest, to endpoint: UInt8, at now: Instant, into out: inout Outbox
    ) {
        zclSequence &+= 1
        stack.send(
            request.frame(sequence: zclSequence), to: .coordinator, endpoint: endpoint,
            from: profile.endpoint, cluster: ClusterID.metering,
            profile: ProfileID.smartEnergy, options: [.linkSecured, .acknowledged], at: now,
            into: &out)
    }

    /// The hub has given it a mirror, or has none to give: then it asks again at its next wake.
    private mutating func mirrorAnswered(
        _ zcl: ZCLMessage, at now: Instant, into out: inout Outbox
    ) {
        let source = zcl.message.source
        do {
            var reader = ByteReader(zcl.body)
            guard
                case .allotted(let mirror)? = try MirrorAnswer(
                    zcl.header.command, parsing: &reader), tunnel.flagsUntil != nil,
                tunnel.mirror == nil, zcl.message.sourceEndpoint == tunnel.interface
            else {
                out.drop(.zclUnexpected, from: source)
                return
            }
            tunnel.flagsUntil = nil
            guard let mirror else { return }
            tunnel.mirror = mirror
            let seconds = (profile.sleep?.interval.microseconds ?? 0) / 1_000_000
            let configuration = MirrorConfiguration(
                reportingInterval: UInt32(clamping: seconds))
            send(.configure(configuration), to: mirror, at: now, into: &out)
            tunnel.flagsDue = now
        } catch {
            out.drop(.zclMalformed, from: source)
        }
    }

    /// What it took for its mirror is none: it asks for one at its next wake.
    private mutating func loseMirror() {
        (tunnel.flagsUntil, tunnel.interface, tunnel.mirror) = (nil, nil, nil)
    }

    /// GET (GBCS 10.2.2.2).
    private mutating func fetchMessage(at now: Instant, into out: inout Outbox) {
        guard let id = tunnel.client.tunnel?.id, let endpoint = tunnel.client.endpoint else {
            tunnel.client.hasten(at: now)
            return
        }
        tunnel.wantsMessage = false
        tunnel.messageUntil = now + profile.tunnel.responseTimeout
        _ = sendTunnel(
            .transferData(id, fromServer: false), [MailboxVerb.get], to: .coordinator,
            endpoint: endpoint, at: now, into: &out)
    }

    private mutating func pushMessage(at now: Instant, into out: inout Outbox) {
        guard let current = tunnel.tunnel, let bytes = tunnel.queue.due(at: now) else { return }
        guard bytes.count <= current.maximum else {
            _ = tunnel.queue.dropFirst()
            out.note(
                .tunnelMessageLost, eui64.rawValue, UInt64(bytes.count),
                UInt64(RefusalReason.messageTooLong.rawValue))
            return
        }
        let token = tunnel.nextToken()
        let isSent: Bool
        if let server = tunnel.server.tunnels.first {
            tunnel.server.use(server.id, at: now)
            isSent = sendTunnel(
                .transferData(server.id, fromServer: true), bytes, to: server.address,
                endpoint: server.endpoint, token: token, at: now, into: &out)
        } else {
            isSent = sendTunnel(
                .transferData(current.id, fromServer: false), [MailboxVerb.put] + bytes,
                to: .coordinator, endpoint: tunnel.client.endpoint ?? 0, token: token, at: now,
                into: &out)
        }
        if isSent {
            tunnel.queue.sent(token)
        } else {
            tunnel.queue.putOff(until: now + profile.tunnel.reopen)
        }
    }

    private mutating func sendTunnel(
        _ command: TunnelCommand, _ data: [UInt8], to address: ShortAddress, endpoint: UInt8,
        token: UInt16 = 0, at now: Instant, into out: inout Outbox
    ) -> Bool {
        zclSequence &+= 1
        defer { awaitAnswer(at: now) }
        return stack.send(
            message: command.frame(sequence: zclSequence, data: data), to: address,
            endpoint: endpoint, from: profile.endpoint, cluster: ClusterID.tunneling,
            profile: ProfileID.smartEnergy, options: [.linkSecured, .acknowledged], token: token,
            at: now, into: &out)
    }

    private mutating func awaitAnswer(at now: Instant) {
        sleeper.noteActivity(at: now)
        if profile.sleep != nil {
            stack.expectAnswers(until: now + profile.tunnel.responseTimeout, at: now)
        }
    }

    mutating func messageSettled(
        _ token: UInt16, delivered: Bool, at now: Instant, into out: inout Outbox
    ) {
        guard token >= DeviceTunnel.firstToken, token == tunnel.queue.underway else { return }
        let sent = tunnel.queue.settled(
            delivered: delivered, retry: now + profile.tunnel.responseTimeout)
        if let sent { out.note(.tunnelMessageSent, eui64.rawValue, UInt64(sent.count)) }
    }

    /// The hub's endpoint for one of the two clusters, or that there is none.
    mutating func tunnelServerFound(_ cluster: UInt16, _ endpoint: UInt8?, at now: Instant) {
        if cluster == ClusterID.tunneling {
            _ = tunnel.client.found(endpoint, at: now)
        } else if tunnel.isClient, tunnel.flagsUntil != nil, tunnel.interface == nil {
            tunnel.flagsUntil = nil
            tunnel.interface = endpoint
            // A hub without mirrors is asked again at the next wake.
            if endpoint != nil { tunnel.flagsDue = now }
        }
    }

    // MARK: - What comes through the air

    /// A message that came in fragments.
    mutating func receiveLong(at now: Instant, into out: inout Outbox) {
        guard let message = stack.takeLongMessage() else { return }
        sleeper.noteActivity(at: now)
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
        guard about.isLinkSecured, let sender = about.sourceEUI64 else {
            out.drop(.apsUnsecured, from: about.source)
            return
        }
        guard hasLinkKey else {
            out.drop(.keyNotEstablished, from: about.source)
            return
        }
        switch TunnelReading(bytes, of: about, zcl, tunnel.server, fromServer: tunnel.isClient) {
        case .answered(let frame, let reason):
            if let reason { out.drop(reason, from: about.source) }
            if let zcl { reply(zcl, frame, at: now, into: &out) }
        case .fromServer(let command, let data):
            receiveFromServer(command, data, about, at: now, into: &out)
        case .fromClient(let command, let data):
            receiveFromClient(command, data, sender, about, at: now, into: &out)
        }
    }

    private mutating func receiveFromClient(
        _ command: TunnelCommand, _ data: [UInt8], _ sender: EUI64, _ about: APSMessage,
        at now: Instant, into out: inout Outbox
    ) {
        let verdict = tunnel.server.receive(
            command, from: sender, at: about.source, endpoint: about.sourceEndpoint,
            count: data.count, now: now)
        out.note(verdict, with: sender, at: about.source)
        switch verdict {
        case .opened(_, let response), .answer(let response), .refused(let response, _):
            answer(response, about, at: now, into: &out)
        case .data: messageArrived(data, at: now, into: &out)
        case .failed(_, let error): failed(error, at: now)
        case .closed, .dropped: break
        }
    }

    private mutating func answer(
        _ command: TunnelCommand, _ about: APSMessage, at now: Instant, into out: inout Outbox
    ) {
        _ = sendTunnel(
            command, [], to: about.source, endpoint: about.sourceEndpoint, at: now, into: &out)
    }

    private mutating func failed(_ error: TunnelError, at now: Instant) {
        guard error != .overflow else { return }
        if tunnel.messageUntil != nil { (tunnel.messageUntil, tunnel.wantsMessage) = (nil, true) }
        tunnel.queue.refused(at: now)
    }

    private mutating func receiveFromServer(
        _ command: TunnelCommand, _ data: [UInt8], _ about: APSMessage, at now: Instant,
        into out: inout Outbox
    ) {
        let verdict = tunnel.client.receive(command, count: max(0, data.count - 2), at: now)
        out.note(
            verdict, with: about.sourceEUI64 ?? .unknown, at: about.source,
            maximum: tunnel.client.tunnel?.maximum)
        switch verdict {
        case .data: heedMailbox(data, about, at: now, into: &out)
        case .rejected(let response, _): answer(response, about, at: now, into: &out)
        case .failed(let error): failed(error, at: now)
        case .opened, .refused, .closed, .dropped: break
        }
    }

    /// The hub's answer to a GET: how many more there are, and a message if there is one.
    private mutating func heedMailbox(
        _ data: [UInt8], _ about: APSMessage, at now: Instant, into out: inout Outbox
    ) {
        guard data.count >= 2, data[0] == MailboxVerb.message else {
            out.drop(.zclMalformed, from: about.source)
            return
        }
        tunnel.messageUntil = nil
        if data[1] > 0 { tunnel.wantsMessage = true }
        if data.count > 2 { messageArrived(Array(data.dropFirst(2)), at: now, into: &out) }
    }

    // MARK: - The GPF's notification flags

    /// What the GPF's mirror says to the GSME's Metering server.
    mutating func receiveMetering(_ zcl: ZCLMessage, at now: Instant, into out: inout Outbox) {
        let source = zcl.message.source
        guard zcl.message.isLinkSecured else {
            out.drop(.apsUnsecured, from: source)
            return
        }
        if tunnel.isClient, zcl.header.isClusterSpecific, !zcl.header.fromServer {
            mirrorAnswered(zcl, at: now, into: &out)
            return
        }
        guard tunnel.isClient, !zcl.header.fromServer else {
            reply(zcl, zcl.dueResponse(.unsupportedCluster), at: now, into: &out)
            return
        }
        let isAwaited = tunnel.flagsUntil != nil && zcl.header.sequence == tunnel.flagsSequence
        if isAwaited, zcl.header.command == ZCLFoundation.defaultResponse {
            loseMirror()
            return
        }
        guard zcl.header.command == ZCLFoundation.readAttributesResponse else {
            // Its Metering server has nothing to be read here.
            reply(zcl, ZCLGeneral.answerAsClient(zcl), at: now, into: &out)
            return
        }
        guard isAwaited else {
            out.drop(.zclUnexpected, from: source)
            return
        }
        var flags: FunctionalNotificationFlags?
        let identifier = profile.tunnel.flagsAttribute
        do {
            try ZCLGeneral.forEachAttribute(in: zcl) { attribute in
                if attribute.identifier == identifier, attribute.type == .bitmap32 {
                    flags = FunctionalNotificationFlags(
                        rawValue: UInt32(truncatingIfNeeded: attribute.value))
                }
            }
        } catch {
            out.drop(.zclMalformed, from: source)
            return
        }
        tunnel.flagsUntil = nil
        guard let flags else {
            loseMirror()
            return
        }
        guard !flags.isEmpty else { return }
        out.note(.notificationFlags, UInt64(flags.rawValue))
        if flags.contains(.tunnelMessagePending) { tunnel.wantsMessage = true }
        if flags.contains(.newOTAFirmware), hasOTAClient { client.queryNow(at: now) }
    }
}
