import Radio
import Wire
import Zigbee

/// What a hub knows of one device's OTA client. There is one for each device of the log that has
/// been heard of, so that their number is bounded.
struct OTAClientRecord: Sendable {
    let device: EUI64
    /// Where the client has shown itself to be.
    var endpoint: UInt8
    /// When it last asked for a part of an image it has not ended; nil if it does not download.
    var lastRequest: Instant?
    /// The MinimumBlockPeriod it was last told, in the hub's unit.
    var periodTold: UInt16?
    /// The page that it is being sent.
    var page: PageTransfer?
    /// The upgrade it was told to wait with, until when, and whether it was told then.
    var held: (image: ImageIdentity, until: Instant, isTold: Bool)?

    init(_ device: EUI64, endpoint: UInt8) {
        self.device = device
        self.endpoint = endpoint
    }
}

/// An Image Page Request that is being answered, block by block (ZCL 11.13.7).
struct PageTransfer: Sendable {
    var endpoint: UInt8
    /// ZCL sequence number of the request, which all its blocks bear.
    var sequence: UInt8
    var options: SendOptions
    var image: ImageIdentity
    /// Where the image is, and which: a slot may get another one meanwhile.
    var slot: Int
    var delivery: UInt32
    /// The next block's first byte, and the first behind the page.
    var offset: UInt32
    var end: UInt32
    var blockSize: UInt8
    var spacing: Interval
    var next: Instant
}

extension CommunicationsHub {
    /// The record of a device that is in the log.
    mutating func client(of device: EUI64, endpoint: UInt8) -> Int {
        if let index = clients.firstIndex(where: { $0.device == device }) {
            clients[index].endpoint = endpoint
            return index
        }
        clients.append(OTAClientRecord(device, endpoint: endpoint))
        return clients.count - 1
    }

    func endpoint(of device: EUI64) -> UInt8 {
        clients.first { $0.device == device }?.endpoint ?? 1
    }

    /// Virtual time as the home's clock has it.
    func utc(_ now: Instant) -> UInt32 {
        identity.start.advanced(by: now - .zero).secondsSince2000
    }

    /// The two times that stand for "in `delay`", in the form the profile wants: whole seconds,
    /// rounded up, and never the time that means "wait to be told".
    func times(_ delay: Interval, at now: Instant) -> (current: UInt32, then: UInt32) {
        let seconds = (max(0, delay.microseconds) + 999_999) / 1_000_000
        let current = profile.ota.times == .absolute ? utc(now) : 0
        let latest = Int64(UpgradeEndResponse.waitToBeTold) - 1
        return (current, UInt32(clamping: min(Int64(current) + seconds, latest)))
    }
}
