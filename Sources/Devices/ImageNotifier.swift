import Radio
import Wire
import Zigbee

/// Image Notifies that are still to be sent, a few at a time: each is acknowledged, and a stack
/// has no room for those of a whole home at once.
struct ImageNotifier: Sendable {
    /// The stack's token of an Image Notify.
    static let token: UInt16 = 1

    /// One for each device at most, the latest image.
    fileprivate var waiting: [(device: EUI64, image: ImageIdentity)] = []
    /// Sent and neither acknowledged nor given up.
    fileprivate var underway = 0
    /// When to go on whatever has become of those under way.
    fileprivate(set) var deadline = Instant.distantFuture
}

/// Image Notify (ZCL 11.13.3): it goes to those that listen all the time. A sleeper asks by itself
/// when it wakes.
extension CommunicationsHub {
    mutating func notify(_ stored: StoredImage, at now: Instant, into out: inout Outbox) {
        if profile.ota.notify == .broadcast {
            out.note(.imageNotified, EUI64.unknown.rawValue, UInt64(stored.image.version))
            zclSequence &+= 1
            send(
                OTACommandID.imageNotify, payload(of: stored.image), to: .receiversOn,
                endpoint: 0xFF, sequence: zclSequence, options: [], at: now, into: &out)
            return
        }
        for device in stored.targets {
            notifier.waiting.removeAll { $0.device == device }
            notifier.waiting.append((device, stored.image))
        }
        sendNotifies(at: now, into: &out)
    }

    private func payload(of image: ImageIdentity) -> FrameBuffer {
        let kind = profile.ota.notifyPayload.rawValue
        var payload = FrameBuffer()
        ImageNotify(
            jitter: profile.ota.notifyJitter,
            manufacturer: kind >= NotifyPayload.manufacturer.rawValue ? image.manufacturer : nil,
            imageType: kind >= NotifyPayload.imageType.rawValue ? image.imageType : nil,
            version: kind >= NotifyPayload.version.rawValue ? image.version : nil
        ).encode(into: &payload)
        return payload
    }

    /// As many of those waiting as may be under way.
    private mutating func sendNotifies(at now: Instant, into out: inout Outbox) {
        while notifier.underway < profile.ota.notifyLimit, !notifier.waiting.isEmpty {
            let (device, image) = notifier.waiting.removeFirst()
            guard let address = stack.address(of: device), isListening(device) else { continue }
            notifier.underway += 1
            out.note(.imageNotified, device.rawValue, UInt64(image.version))
            zclSequence &+= 1
            send(
                OTACommandID.imageNotify, payload(of: image), to: address,
                endpoint: endpoint(of: device), sequence: zclSequence,
                options: [.linkSecured, .acknowledged], token: ImageNotifier.token, at: now,
                into: &out)
        }
        // After all tries of an APS transmission: the stack forgets those of a device that leaves.
        let network = stack.configuration.network
        notifier.deadline =
            notifier.underway > 0
            ? now + network.apsAckWait * (network.apsRetries + 3) : .distantFuture
    }

    mutating func notifySettled(_ token: UInt16, at now: Instant, into out: inout Outbox) {
        guard token == ImageNotifier.token, notifier.underway > 0 else { return }
        notifier.underway -= 1
        sendNotifies(at: now, into: &out)
    }

    mutating func notifyAnew(at now: Instant, into out: inout Outbox) {
        notifier.underway = 0
        sendNotifies(at: now, into: &out)
    }

    func isListening(_ device: EUI64) -> Bool { !stack.isSleepy(device) }
}
