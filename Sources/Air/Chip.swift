import Radio
import Wire

/// A virtual radio chip: what silicon does between a node and the medium. It is plain state; the
/// `Air` that owns it moves it on.
struct Chip {
    /// Where the current transmission stands.
    enum Phase {
        case idle
        /// Waiting out the back-off; the clear channel assessment ends at the deadline.
        case assessing
        /// On the air, or turning round to be.
        case sending
        case awaitingAck
        case measuring
    }

    var configuration = RadioConfiguration(
        channel: 11, pan: .broadcast, shortAddress: .everyone, eui64: EUI64(0),
        isCoordinator: false, receiverOnWhenIdle: false)
    var isConfigured = false
    var receiverOn = false
    /// Since when the receiver has been able to hear, without a break.
    var listeningSince = Instant.distantFuture
    var pending: ContiguousArray<PendingAddress> = []

    var phase = Phase.idle
    var deadline = Instant.distantFuture
    /// Without its frame check sequence.
    var frame = FrameBuffer()
    var header: FilterHeader?
    var handle: UInt8 = 0
    var wantsAck = false
    var backoffs = 0
    var backoffExponent = 0
    var retries = 0
    var retryLimit = 0
    /// Counts this node's transmissions for the dice; acknowledgements are not counted.
    var counter: UInt64 = 0
    /// When spacing after the last frame lets the next one begin.
    var spacedUntil = Instant.zero
    var sentFrom = Instant.zero
    /// What it sends on, whatever it is tuned to in the meantime.
    var sendChannel: UInt8 = 0

    /// The end of the acknowledgement being turned round or sent, if any.
    var ackEnds = Instant.distantFuture
    /// The same, and kept when it is over.
    var ackedUntil = Instant.zero
    var ackChannel: UInt8 = 0
    var ackSequence: UInt8 = 0
    var ackPending = false

    var nextDeadline: Instant { min(deadline, ackEnds) }

    /// Bytes of the frame on the air, its check sequence included.
    var length: Int { frame.count + 2 }

    /// Whether a frame to these addresses is for this chip, and how.
    func accepts(_ header: FilterHeader) -> Bool {
        switch header.destination {
        case .none:
            // Only a PAN's coordinator takes frames without a destination (7.5.6.2).
            return configuration.isCoordinator || header.isBeacon
        case .short(let address):
            guard header.pan == configuration.pan || header.pan == .broadcast else { return false }
            return address == .everyone || address == configuration.shortAddress
        case .extended(let eui64):
            guard header.pan == configuration.pan || header.pan == .broadcast else { return false }
            return eui64 == configuration.eui64
        }
    }

    /// False if there is no room for it.
    mutating func setPending(_ address: PendingAddress, _ isPending: Bool) -> Bool {
        if let index = pending.firstIndex(of: address) {
            if !isPending { pending.remove(at: index) }
        } else if isPending {
            guard pending.count < PendingAddress.tableSize else { return false }
            pending.append(address)
        }
        return true
    }
}

/// The part of a MAC header that a chip's address filter reads (IEEE 802.15.4-2006 7.2.1).
struct FilterHeader {
    enum Destination {
        case none
        case short(ShortAddress)
        case extended(EUI64)
    }

    enum Source {
        case none
        case short(ShortAddress)
        case extended(EUI64)
    }

    var isBeacon: Bool
    var isAcknowledgement: Bool
    var isDataRequest: Bool
    var wantsAck: Bool
    var framePending: Bool
    var sequence: UInt8
    var pan: PANID
    var destination: Destination
    var source: Source

    /// Nil if the bytes are no MAC frame.
    init?(_ psdu: Span<UInt8>) {
        do {
            var reader = ByteReader(psdu)
            let control = try reader.u16("frame control")
            sequence = try reader.u8("sequence number")
            isBeacon = control & 7 == 0
            isAcknowledgement = control & 7 == 2
            framePending = control & 0x10 != 0
            wantsAck = control & 0x20 != 0
            let isCommand = control & 7 == 3
            pan = .broadcast
            switch control >> 10 & 3 {
            case 0: destination = .none
            case 2:
                pan = PANID(try reader.u16("destination PAN"))
                destination = .short(try reader.shortAddress("destination"))
            case 3:
                pan = PANID(try reader.u16("destination PAN"))
                destination = .extended(try reader.eui64("destination"))
            default: return nil
            }
            let sourceMode = control >> 14 & 3
            if sourceMode != 0, control & 0x40 == 0 { _ = try reader.u16("source PAN") }
            switch sourceMode {
            case 0: source = .none
            case 2: source = .short(try reader.shortAddress("source"))
            case 3: source = .extended(try reader.eui64("source"))
            default: return nil
            }
            isDataRequest =
                isCommand && reader.remaining > 0 ? try reader.u8("command") == 4 : false
        } catch {
            return nil
        }
    }

    var isBroadcast: Bool {
        switch destination {
        case .none: true
        case .short(let address): address == .everyone
        case .extended: false
        }
    }
}
