import Radio
import Wire
import Zigbee

extension HANDevice {
    /// Takes a message that came in fragments. Of the clusters here none has one that is longer
    /// than a frame.
    mutating func receiveLong(at now: Instant, into out: inout Outbox) {
        guard let message = stack.takeLongMessage() else { return }
        sleeper.noteActivity(at: now)
        out.drop(.tooLong, from: message.about.source)
    }
}

extension CommunicationsHub {
    mutating func receiveLong(at now: Instant, into out: inout Outbox) {
        guard let message = stack.takeLongMessage() else { return }
        out.drop(.tooLong, from: message.about.source)
    }
}
