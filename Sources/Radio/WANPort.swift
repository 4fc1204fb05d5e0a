import Wire

/// What passes between the CSP and a Communications Hub.
///
/// An image travels as one `begin`, its chunks in order and an `end`; the port delays and may
/// lose any of them. Sizes and offsets are in bytes.
public enum WANMessage: Sendable {
    /// CSP to CH: an image follows, meant for these devices (GBCS CS05a-c), and only for those of
    /// them that run one of the versions of `installableFrom`; with none there, whatever they run.
    case beginImage(delivery: UInt32, targets: [EUI64], size: UInt32, installableFrom: [UInt32])
    case imageChunk(delivery: UInt32, offset: UInt32, bytes: [UInt8])
    case endImage(delivery: UInt32)
    /// CSP to CH: run the held image of the hub's own whose manufacturer image has this hash.
    case activateHub(hash: Digest256)
    /// CSP to CH: read a device's CurrentFileVersion over the air.
    case readVersion(device: EUI64)

    /// CH to CSP: what became of a delivery, where the hub's profile reports it at all.
    case imageStored(delivery: UInt32)
    case imageRefused(delivery: UInt32, reason: RefusalReason)

    /// One GBCS message: to the CH, for the device of its log or for itself; from the CH, the
    /// device's.
    case message(device: EUI64, bytes: [UInt8])
}

/// What a test bench asks of a node directly, beside all networks.
public enum Order: Sendable {
    /// Run the held image if its manufacturer image has this hash (GBCS CS06's content, which
    /// otherwise comes in a signed message).
    case activate(hash: Digest256)
    /// Ask the OTA server for the next image now.
    case queryNextImage
    /// Ask the OTA server for a device-specific file of this image type.
    case queryDeviceFile(imageType: UInt16)
    /// End the download under way and tell the OTA server so (ABORT).
    case cancelDownload
    /// Let devices associate for this long (hub only); zero closes.
    case permitJoining(Interval)
    /// Change the network key (hub only).
    case updateNetworkKey
    /// Put a device in the device log, with the link key of its install code, and open joining (hub
    /// only; GBCS CCS01's content).
    case addDevice(EUI64, linkKey: Key128)
    /// Strike a device off the device log and out of the network (hub only; GBCS CCS02's content).
    case removeDevice(EUI64)
    /// Trust this supplier from now on instead of the one before. `anchor` is a trust anchor as
    /// `Devices` lays it out.
    case changeSupplier(anchor: [UInt8])
}
