import Radio
import Wire
import Zigbee

/// The device as client of the hub's Time cluster (ZCL 3.12).
extension HANDevice {
    /// What time the device thinks it is; nil before it has read the time.
    public func time(at now: Instant) -> UTCTime? { clock.time(at: now) }

    /// A sleeper asks when it is awake anyway.
    private var mayAsk: Bool { stack.isJoined && (profile.sleep == nil || sleeper.isAwake) }

    var clockDeadline: Instant { mayAsk ? clock.nextDeadline : .distantFuture }

    mutating func stepClock(at now: Instant, into out: inout Outbox) {
        guard mayAsk, clock.nextDeadline <= now else { return }
        switch clock.step(at: now) {
        case .none: return
        case .find:
            stack.findServer(of: ClusterID.time, at: .coordinator, now: now, into: &out)
        case .read(let endpoint):
            zclSequence &+= 1
            clock.sent(sequence: zclSequence)
            let frame = ZCLGeneral.readAttributes(
                [ZCLTime.time, ZCLTime.timeStatus], toClient: false, sequence: zclSequence)
            stack.send(
                frame, to: .coordinator, endpoint: endpoint, from: profile.endpoint,
                cluster: ClusterID.time, profile: ProfileID.smartEnergy,
                options: [.linkSecured, .acknowledged], at: now, into: &out)
        }
        sleeper.noteActivity(at: now)
        stack.expectAnswers(until: now + clock.responseTimeout, at: now)
    }

    mutating func receiveTime(_ zcl: ZCLMessage, at now: Instant, into out: inout Outbox) {
        let source = zcl.message.source
        guard zcl.message.isLinkSecured else {
            out.drop(.apsUnsecured, from: source)
            return
        }
        guard zcl.header.fromServer else {
            out.drop(.zclWrongDirection, from: source)
            reply(zcl, zcl.refusalOfDirection, at: now, into: &out)
            return
        }
        guard !zcl.header.isClusterSpecific,
            zcl.header.command == ZCLFoundation.readAttributesResponse
        else {
            reply(zcl, ZCLGeneral.answerAsClient(zcl), at: now, into: &out)
            return
        }
        receiveReading(zcl, at: now, into: &out)
    }

    private mutating func receiveReading(
        _ zcl: ZCLMessage, at now: Instant, into out: inout Outbox
    ) {
        var time: UInt32?
        var status: ZCLTime.Status = []
        do {
            try ZCLGeneral.forEachAttribute(in: zcl) { attribute in
                switch (attribute.identifier, attribute.type) {
                case (ZCLTime.time, .utcTime): time = UInt32(truncatingIfNeeded: attribute.value)
                case (ZCLTime.timeStatus, .bitmap8):
                    status = ZCLTime.Status(rawValue: UInt8(truncatingIfNeeded: attribute.value))
                default: break
                }
            }
        } catch {
            out.drop(.zclMalformed, from: zcl.message.source)
            return
        }
        switch clock.received(time, status, sequence: zcl.header.sequence, at: now) {
        case .set(let utc):
            out.note(
                .clockSet, UInt64(utc.secondsSince2000), UInt64(zcl.message.sourceEndpoint))
            messagesAfterClock(at: now, into: &out)
        case .unknown: break
        case .unexpected: out.drop(.zclUnexpected, from: zcl.message.source)
        }
    }
}
