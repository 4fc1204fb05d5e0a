import Crypto
import GBCS
import Radio
import Wire

/// One entity's part in GBCS messages: takes commands, says what is to be done, makes responses
/// and alerts. It does no I/O, and neither firmware nor a device log is its own: whoever holds it
/// does what a command asks for and says what came of it. Of firmware it keeps the version that it
/// last told of.
public struct MessageApplication: Sendable {
    /// What a command that was let in asks of whoever holds the application.
    public enum Request: Sendable, Equatable {
        /// CS06 without a date: activate the image with this hash, sent by this party.
        case activate(hash: Digest256, by: EUI64)
        /// CS08, ECS52 or GCS38: what was asked, to be answered with `version(_:asked:)`.
        case readVersion(MessageContent)
        case addDevice(AddDevice)
        case removeDevice(RemoveDevice)
    }

    /// Keys of the journal's records.
    public struct Records: Sendable {
        /// Counters, the firmware last told of and what is to be activated later.
        public var state: UInt8
        /// The security log.
        public var log: UInt8
        /// The supplier that has come in the place of the first.
        public var supplier: UInt8

        /// Three records from `first` on.
        public init(from first: UInt8) {
            state = first
            log = first + 1
            supplier = first + 2
        }

        /// The most bytes they have.
        public static func lengths(_ settings: MessageSettings) -> [Int] {
            [
                MessageState.longest, SecurityLog.entrySize * settings.securityLogSize,
                TrustAnchor.longest,
            ]
        }
    }

    public let entity: MessageEntity
    public let settings: MessageSettings
    let identity: MessageIdentity
    private let records: Records
    public private(set) var anchors: [TrustAnchor]
    private(set) var state: MessageState
    public private(set) var securityLog: SecurityLog
    /// The counter of the next alert.
    private var counter: UInt64 = 0
    private var outgoing: [[UInt8]] = []
    /// The clock of whoever holds it, at the present input; nil before it is set.
    var clock: UTCTime?

    /// `firmware` is what the entity runs as it leaves the factory.
    public init(
        _ identity: MessageIdentity, as entity: MessageEntity, firmware: UInt32,
        settings: MessageSettings, records: Records
    ) {
        self.identity = identity
        self.entity = entity
        self.settings = settings
        self.records = records
        anchors = identity.anchors
        state = MessageState(firmware: firmware)
        securityLog = SecurityLog(limit: settings.securityLogSize)
    }

    /// The time that messages bear. assumption: 2000-01-01 before the clock is set.
    var time: UTCTime { clock ?? UTCTime(secondsSince2000: 0) }

    var generalizedTime: GeneralizedTime {
        // Every 32-bit number of seconds is a date.
        GeneralizedTime(secondsSince2000: time.secondsSince2000) ?? .never
    }

    public var supplier: TrustAnchor? { anchors.first { $0.role == .supplier } }
    private func party(of role: Certificate.Role) -> EUI64? {
        anchors.first { $0.role == role }?.party
    }

    /// What is to be activated later.
    public var pending: PendingActivation? { state.pending }

    // MARK: - Flash

    /// Power has come on: takes over what the journal holds.
    mutating func restore(from journal: Journal, _ out: inout Outbox) {
        let saved = out.reading(records.state, of: journal) { bytes throws(WireError) in
            try MessageState(parsing: bytes)
        }
        if let saved { state = saved }
        let limit = settings.securityLogSize
        let log = out.reading(records.log, of: journal) { bytes throws(WireError) in
            try SecurityLog(parsing: bytes, limit: limit)
        }
        if let log { securityLog = log }
        let supplier = out.reading(records.supplier, of: journal) { bytes throws(WireError) in
            try TrustAnchor(parsing: bytes)
        }
        if let supplier { replace(supplier) }
        if saved == nil, let bytes = journal[records.state] {
            state.reserved = MessageState.reserved(in: bytes)
        }
        // What was reserved may have been used; and more than that, where the newest record of it
        // may be missing.
        counter = state.reserved
        if journal.isDamaged { counter += settings.counterReserve << Self.skippedReservations }
    }

    /// Far more reservations than a journal has room for records, as a power of two.
    private static let skippedReservations: UInt64 = 16

    /// Reserves counters while plenty are left of those reserved before, so that the reservation
    /// is written long before it is needed.
    mutating func reserve(_ journal: inout Journal, _ out: inout Outbox) {
        guard counter + settings.counterReserve / 2 >= state.reserved else { return }
        state.reserved = counter + settings.counterReserve
        save(&journal, &out)
    }

    private func save(_ journal: inout Journal, _ out: inout Outbox) {
        journal.write(records.state, state.bytes, &out)
    }

    mutating func log(_ code: AlertCode, _ journal: inout Journal, _ out: inout Outbox) {
        securityLog.add(code, at: time)
        journal.write(records.log, securityLog.bytes, &out)
        out.note(.securityLogged, UInt64(code.rawValue), UInt64(time.secondsSince2000))
    }

    /// True once after the firmware has changed: `running` is what the entity runs now.
    mutating func noticesChange(
        to running: UInt32, _ journal: inout Journal, _ out: inout Outbox
    ) -> Bool {
        guard state.firmware != running else { return false }
        state.firmware = running
        save(&journal, &out)
        return true
    }

    // MARK: - Trust anchors

    /// Puts a supplier in the place of the one before (GBCS CS02b's effect). What the old one
    /// asked to be done later is not done. assumption: GBCS leaves it open.
    mutating func change(supplier: TrustAnchor, _ journal: inout Journal, _ out: inout Outbox) {
        replace(supplier)
        journal.write(records.supplier, supplier.bytes, &out)
        out.note(.supplierChanged, identity.entity.rawValue, supplier.party.rawValue)
        if state.pending != nil { cancelPending(&journal, &out) }
    }

    private mutating func replace(_ anchor: TrustAnchor) {
        anchors.removeAll { $0.role == anchor.role }
        anchors.append(anchor)
    }

    // MARK: - Commands

    /// Takes a message, whatever its bytes: form, recipient, originator and its role, signature
    /// and MAC, counter, and only then content (GBCS 6.2.4, 9.2). What fails is dropped and gets
    /// no answer. What it asks for comes back with the header that the answer needs; a CS06 for
    /// later is dealt with here.
    public mutating func receive(
        _ bytes: [UInt8], _ journal: inout Journal, _ out: inout Outbox
    ) -> (request: Request, header: GroupingHeader)? {
        let message: GBCSMessage
        do {
            message = try GBCSMessage(parsing: bytes)
        } catch {
            out.noteDropped(nil, .messageMalformed)
            return nil
        }
        let header = message.header
        if let reason = refusal(of: message) {
            out.noteDropped(header, reason)
            if reason.isOfSecurity {
                log(AlertCode(rawValue: settings.refusalCode), &journal, &out)
            }
            return nil
        }
        // Before anything that it causes.
        state.hear(header.originator, header.counter)
        save(&journal, &out)
        guard let content = try? MessageContent(of: message),
            Self.isProper(content, header)
        else {
            out.noteDropped(header, .messageBadContent)
            return nil
        }
        out.note(
            .messageReceived, UInt64(header.otherInformation.messageCode.rawValue),
            UInt64(header.kind.rawValue), header.originator.rawValue, header.recipient.rawValue,
            header.counter)
        switch content {
        case .activateFirmware(let command):
            guard let moment = command.executionTime else {
                return (.activate(hash: command.hash, by: header.originator), header)
            }
            schedule(command, at: moment, header, &journal, &out)
            return nil
        case .readFirmwareVersion, .readESMEFirmwareVersion, .readGSMEFirmwareVersion:
            return (.readVersion(content), header)
        case .addDevice(let command): return (.addDevice(command), header)
        case .removeDevice(let command): return (.removeDevice(command), header)
        default: return nil
        }
    }

    /// Whether the content is what the use case's code promises, and says of itself what the
    /// header says.
    private static func isProper(_ content: MessageContent, _ header: GroupingHeader) -> Bool {
        switch content {
        case .activateFirmware(let command): command.originatorCounter == header.counter
        case .readFirmwareVersion, .readESMEFirmwareVersion, .readGSMEFirmwareVersion,
            .addDevice, .removeDevice:
            true
        default: false
        }
    }

    /// Why a message is not let in; nothing of its content is looked at.
    private func refusal(of message: GBCSMessage) -> DropReason? {
        let header = message.header
        guard header.recipient == identity.entity else { return .messageNotForUs }
        guard header.kind == .command, !message.isPreCommand else { return .messageUnexpected }
        let code = header.otherInformation.messageCode
        guard let roles = roles(for: code) else { return .messageUnexpected }
        guard let anchor = anchors.first(where: { $0.party == header.originator }) else {
            return .messageUnknownOriginator
        }
        guard roles.contains(anchor.role) else { return .messageWrongRole }
        let demanded = message.demandedProtection
        let signature = message.verifySignature(with: self)
        guard signature == .valid || signature == .absent && !demanded.signature else {
            return .messageBadSignature
        }
        let mac = message.verifyMAC(with: self)
        guard mac == .valid || mac == .absent && !demanded.mac else { return .messageBadMAC }
        if let last = state.counter(of: header.originator), header.counter <= last {
            return .messageReplayed
        }
        return nil
    }

    /// Who may send this entity a command of this use case; nil if nobody may. assumption for who
    /// may read versions: everybody whom the entity knows but a transitional CoS, which may nothing
    /// here.
    private func roles(for code: MessageCode) -> [Certificate.Role]? {
        let everybody: [Certificate.Role] = [
            .supplier, .networkOperator, .accessControlBroker, .wanProvider,
        ]
        return switch (code, entity) {
        case (.activateFirmware, .esme), (.activateFirmware, .gsme), (.activateFirmware, .hcalcs):
            [.supplier]
        case (.activateFirmware, .communicationsHubFunction): [settings.activator.role]
        case (.readHANDeviceFirmwareVersion, .ppmid), (.readHANDeviceFirmwareVersion, .hcalcs),
            (.readESMEFirmwareVersion, .esme), (.readGSMEFirmwareVersion, .gsme),
            (.readESMEFirmwareVersion, .communicationsHubFunction),
            (.readESMEFirmwareVersion, .gasProxyFunction):
            everybody
        case (.addDevice, .communicationsHubFunction), (.removeDevice, .communicationsHubFunction):
            [.accessControlBroker]
        default: nil
        }
    }

    private mutating func schedule(
        _ command: ActivateFirmware, at moment: GeneralizedTime, _ header: GroupingHeader,
        _ journal: inout Journal, _ out: inout Outbox
    ) {
        // A date beyond 2136 never comes; DUIS cancels with the year 3000, GBCS with 9999.
        if let seconds = moment.secondsSince2000, !command.isCancellation {
            state.pending = PendingActivation(
                hash: command.hash, counter: header.counter, originator: header.originator,
                due: UTCTime(secondsSince2000: seconds))
            save(&journal, &out)
            let words = command.hash.words
            out.note(
                .activationScheduled, UInt64(seconds), words.0, words.1, words.2, words.3)
        } else {
            cancelPending(&journal, &out)
        }
        respond(
            to: header, .activateFirmwareResponse(.accepted), detail: Self.acceptedDetail, &out)
    }

    private mutating func cancelPending(_ journal: inout Journal, _ out: inout Outbox) {
        let due = state.pending?.due.secondsSince2000 ?? 0
        state.pending = nil
        save(&journal, &out)
        out.note(.activationCancelled, UInt64(due))
    }

    /// What came of the activation that was pending: tells the party that asked for it.
    mutating func finishPending(
        _ outcome: ActivationOutcome, _ journal: inout Journal, _ out: inout Outbox
    ) {
        guard let pending = state.pending else { return }
        state.pending = nil
        save(&journal, &out)
        let now = generalizedTime
        let alert = FutureDatedFirmwareAlert(
            executedAt: now, originatorCounter: pending.counter, outcome: outcome)
        send(
            .futureDatedFirmwareAlert, toParty: pending.originator, alert: alert.code, &journal,
            &out
        ) { _ in .futureDatedFirmwareAlert(alert) }
    }

    // MARK: - What it says

    /// Of a CS06 for later there is no result yet.
    private static let acceptedDetail: UInt16 = 0xFFFF

    /// Answers a command. `detail` is the result that the event names.
    mutating func respond(
        to command: GroupingHeader, _ content: MessageContent, detail: UInt16, _ out: inout Outbox
    ) {
        let code = command.otherInformation.messageCode
        let header = GroupingHeader(
            kind: .response, counter: command.counter, originator: identity.entity,
            recipient: command.originator,
            // What may be done later says when it was done.
            dateTime: code == .activateFirmware ? COSEMDateTime(generalizedTime) : nil,
            otherInformation: command.otherInformation)
        queue(header, content, detail, &out)
    }

    /// The answer to a read of the firmware version.
    static func version(_ version: UInt32, asked: MessageContent) -> MessageContent {
        switch asked {
        case .readESMEFirmwareVersion(let command):
            return .esmeFirmwareVersionResponse(
                ESMEFirmwareVersionResponse(invokeID: command.invokeID, version: version))
        case .readGSMEFirmwareVersion(let command):
            var response = GSMEFirmwareVersionResponse(version: version)
            response.control = command.control
            response.sequence = command.sequence
            return .gsmeFirmwareVersionResponse(response)
        default: return .firmwareVersionResponse(FirmwareVersionResponse(version: version))
        }
    }

    /// An alert of the entity's own to whoever has the first of these roles that somebody has.
    mutating func send(
        _ code: MessageCode, to roles: Certificate.Role..., alert: AlertCode,
        _ journal: inout Journal, _ out: inout Outbox, content: (UInt64) -> MessageContent
    ) {
        for role in roles {
            guard let party = party(of: role) else { continue }
            send(code, toParty: party, alert: alert, &journal, &out, content: content)
            return
        }
    }

    /// An alert of the entity's own; `content` is given its counter.
    private mutating func send(
        _ code: MessageCode, toParty recipient: EUI64, alert: AlertCode,
        _ journal: inout Journal, _ out: inout Outbox, content: (UInt64) -> MessageContent
    ) {
        counter += 1
        reserve(&journal, &out)
        let header = GroupingHeader(
            kind: .alert, counter: counter, originator: identity.entity, recipient: recipient,
            otherInformation: OtherInformation(code))
        queue(header, content(counter), alert.rawValue, &out)
    }

    private mutating func queue(
        _ header: GroupingHeader, _ content: MessageContent, _ detail: UInt16, _ out: inout Outbox
    ) {
        var message = GBCSMessage(
            header: header, payload: content.encoded(), signature: .empty)
        let demanded = message.demandedProtection
        if demanded.signature { message = message.signed(by: identity.signing) }
        if demanded.mac {
            // Whoever is not trusted is told nothing; its keys may have been replaced meanwhile.
            guard let whole = message.authenticated(with: self) else {
                out.noteDropped(header, .messageUnknownOriginator)
                return
            }
            message = whole
        }
        if outgoing.count >= settings.queueSize {
            outgoing.removeFirst()
            out.noteDropped(nil, .messageQueueFull)
        }
        outgoing.append(message.encoded())
        let code = header.otherInformation.messageCode
        out.note(
            .messageSent, UInt64(code.rawValue), UInt64(header.kind.rawValue),
            header.originator.rawValue, header.recipient.rawValue, header.counter, UInt64(detail))
    }

    /// The next message to send, if there is one; the bytes say whom it is for.
    public mutating func takeMessage() -> [UInt8]? {
        outgoing.isEmpty ? nil : outgoing.removeFirst()
    }

}

extension MessageApplication: MessageKeys {
    public func signingKeys(of party: EUI64) -> [P256.PublicKey] {
        anchors.filter { $0.party == party }.map(\.signing)
    }

    public func agreementKeys(of party: EUI64) -> [P256.PublicKey] {
        party == identity.entity
            ? [identity.agreement.publicKey]
            : anchors.filter { $0.party == party }.map(\.agreement)
    }

    public func privateSigningKeys(of party: EUI64) -> [P256.PrivateKey] {
        party == identity.entity ? [identity.signing] : []
    }

    public func privateAgreementKeys(of party: EUI64) -> [P256.PrivateKey] {
        party == identity.entity ? [identity.agreement] : []
    }

    public func role(of party: EUI64) -> Certificate.Role? {
        anchors.first { $0.party == party }?.role
    }

    public func isDevice(_ party: EUI64) -> Bool { party == identity.entity }

    public var accessControlBrokers: [EUI64] {
        anchors.filter { $0.role == .accessControlBroker }.map(\.party)
    }
}

extension Outbox {
    /// Notes that a message went no further; of one that is not to be read, `header` is nil.
    mutating func noteDropped(_ header: GroupingHeader?, _ reason: DropReason) {
        guard let header else {
            note(.messageDropped, UInt64(reason.rawValue))
            return
        }
        note(
            .messageDropped, UInt64(reason.rawValue),
            UInt64(header.otherInformation.messageCode.rawValue), UInt64(header.kind.rawValue),
            header.originator.rawValue, header.recipient.rawValue, header.counter)
    }

    /// Notes that a message, whatever its bytes, came for somebody who cannot heed it now.
    mutating func noteDropped(bytes: [UInt8], _ reason: DropReason) {
        noteDropped((try? GBCSMessage(parsing: bytes))?.header, reason)
    }
}

extension DropReason {
    /// Whether the security log records it: somebody tried what only others may.
    fileprivate var isOfSecurity: Bool {
        switch self {
        case .messageUnknownOriginator, .messageWrongRole, .messageBadSignature, .messageBadMAC,
            .messageReplayed:
            true
        default: false
        }
    }
}
