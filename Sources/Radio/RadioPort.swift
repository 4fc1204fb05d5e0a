import Wire

/// What a node asks its radio chip to be: an IEEE 802.15.4 transceiver in extended mode, which
/// filters addresses, sends and awaits acknowledgements and answers polls by itself.
public struct RadioConfiguration: Sendable, Equatable {
    /// Channel 11-26 at 2.4 GHz (channel page 0).
    public var channel: UInt8
    public var pan: PANID
    public var shortAddress: ShortAddress
    public var eui64: EUI64
    public var isCoordinator: Bool
    /// Whether the receiver stays on when there is nothing to do.
    public var receiverOnWhenIdle: Bool

    public init(
        channel: UInt8, pan: PANID, shortAddress: ShortAddress, eui64: EUI64,
        isCoordinator: Bool, receiverOnWhenIdle: Bool
    ) {
        self.channel = channel
        self.pan = pan
        self.shortAddress = shortAddress
        self.eui64 = eui64
        self.isCoordinator = isCoordinator
        self.receiverOnWhenIdle = receiverOnWhenIdle
    }
}

/// How a transmission ended.
public enum TransmitStatus: UInt8, Sendable {
    case success = 0
    /// No acknowledgement after every retry (macMaxFrameRetries).
    case noAck = 1
    /// The channel was never clear (macMaxCSMABackoffs).
    case channelAccessFailure = 2
    /// The chip was still busy with an earlier request, or the frame was too long.
    case refused = 3

    public var name: String { "\(self)" }
}

/// The answer to a transmit request.
public struct TransmitResult: Sendable {
    public var handle: UInt8
    public var status: TransmitStatus
    /// The acknowledgement's frame-pending bit.
    public var framePending: Bool

    public init(handle: UInt8, status: TransmitStatus, framePending: Bool) {
        self.handle = handle
        self.status = status
        self.framePending = framePending
    }
}

/// A frame as the chip hands it up: checked, filtered, acknowledged, its FCS taken off.
public struct Reception: Sendable {
    /// The PSDU without its frame check sequence.
    public var frame: FrameBuffer
    /// Received power in dBm.
    public var rssi: Int8
    /// Link quality, 0-255 (IEEE 802.15.4 6.9.8).
    public var lqi: UInt8
    /// The transmission's number in the run, which ties events to frames.
    public var number: UInt64

    public init(frame: FrameBuffer, rssi: Int8, lqi: UInt8, number: UInt64) {
        self.frame = frame
        self.rssi = rssi
        self.lqi = lqi
        self.number = number
    }
}

/// An address in the chip's frame-pending table.
public enum PendingAddress: Sendable, Equatable {
    case short(ShortAddress)
    case extended(EUI64)

    /// Entries of a chip's frame-pending table. assumption: 128, enough for all that a stack can
    /// promise at once: frames held, Leaves that are due, and children whose polls are waited for.
    /// Chips have from a few dozen to some hundreds; what does not fit is `outputLost`.
    public static let tableSize = 128
}

/// One transmission as the medium carried it, for the evidence.
public struct FrameRecord: Sendable {
    /// Numbered from 1 in the order in which they ended.
    public var number: UInt64
    /// When the first preamble symbol went out.
    public var start: Instant
    /// When the last symbol of the FCS did.
    public var end: Instant
    /// The sender's index in the roster.
    public var sender: UInt16
    public var channel: UInt8
    /// The PSDU with its frame check sequence.
    public var psdu: FrameBuffer
    /// Power at the addressed receiver in dBm; nil for broadcasts and acknowledgements.
    public var rssi: Int8?
    public var lqi: UInt8?

    public init(
        number: UInt64, start: Instant, end: Instant, sender: UInt16, channel: UInt8,
        psdu: FrameBuffer, rssi: Int8?, lqi: UInt8?
    ) {
        self.number = number
        self.start = start
        self.end = end
        self.sender = sender
        self.channel = channel
        self.psdu = psdu
        self.rssi = rssi
        self.lqi = lqi
    }
}

/// A GBCS message as one end of the WAN put it out, for the evidence.
public struct MessageRecord: Sendable {
    public var time: Instant
    /// Who sent it, as an index in the roster.
    public var node: UInt16
    /// Who is at the other end.
    public var peer: UInt16
    /// Whom it is for, or on the way out whose it is.
    public var device: EUI64
    public var bytes: [UInt8]

    public init(time: Instant, node: UInt16, peer: UInt16, device: EUI64, bytes: [UInt8]) {
        self.time = time
        self.node = node
        self.peer = peer
        self.device = device
        self.bytes = bytes
    }
}

/// Takes everything that happens in a run, in its total order: (time, roster index, sequence).
///
/// A `dropped` event names its frame by number and arrives after that frame's record.
public protocol EvidenceSink: AnyObject {
    func record(frame: borrowing FrameRecord)
    func record(event: EventRecord)
    func record(message: MessageRecord)
    /// The network has this key from now on; told as soon as it is known, ahead of that order.
    func record(networkKey: Key128, at time: Instant)
    /// This device and its trust centre share this link key from now on; told as a network key is.
    func record(linkKey: Key128, of device: EUI64, at time: Instant)
}

extension EvidenceSink {
    public func record(message: MessageRecord) {}
    public func record(networkKey: Key128, at time: Instant) {}
    public func record(linkKey: Key128, of device: EUI64, at time: Instant) {}
}
