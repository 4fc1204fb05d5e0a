import Radio
import Wire

/// The messages of the WAN port and the orders of the bench, which inputs, actions and control
/// requests carry: a tag, then the fields that it names.
extension MessageBuilder {
    mutating func put(_ message: WANMessage) {
        switch message {
        case .beginImage(let delivery, let targets, let size, let installableFrom):
            guard targets.count <= AirProtocol.targetLimit,
                installableFrom.count <= AirProtocol.installableFromLimit
            else { return overflow() }
            put(0 as UInt8)
            put(delivery)
            put(size)
            put(UInt16(targets.count))
            for target in targets { put(target) }
            put(UInt16(installableFrom.count))
            for version in installableFrom { put(version) }
        case .imageChunk(let delivery, let offset, let bytes):
            guard bytes.count <= AirProtocol.chunkLimit else { return overflow() }
            put(1 as UInt8)
            put(delivery)
            put(offset)
            put(UInt16(bytes.count))
            bytes.withUnsafeBytes { put($0) }
        case .endImage(let delivery):
            put(2 as UInt8)
            put(delivery)
        case .activateHub(let hash):
            put(3 as UInt8)
            put(hash)
        case .readVersion(let device):
            put(4 as UInt8)
            put(device)
        case .imageStored(let delivery):
            put(5 as UInt8)
            put(delivery)
        case .imageRefused(let delivery, let reason):
            put(6 as UInt8)
            put(delivery)
            put(reason.rawValue)
        case .message(let device, let bytes):
            guard bytes.count <= AirProtocol.chunkLimit else { return overflow() }
            put(7 as UInt8)
            put(device)
            put(UInt16(bytes.count))
            bytes.withUnsafeBytes { put($0) }
        }
    }

    mutating func put(_ order: Order) {
        switch order {
        case .activate(let hash):
            put(0 as UInt8)
            put(hash)
        case .queryNextImage: put(1 as UInt8)
        case .queryDeviceFile(let imageType):
            put(2 as UInt8)
            put(imageType)
        case .cancelDownload: put(3 as UInt8)
        case .permitJoining(let duration):
            put(4 as UInt8)
            put(duration.microseconds)
        case .updateNetworkKey: put(5 as UInt8)
        case .addDevice(let device, let linkKey):
            put(6 as UInt8)
            put(device)
            put(linkKey)
        case .removeDevice(let device):
            put(7 as UInt8)
            put(device)
        case .changeSupplier(let anchor):
            put(8 as UInt8)
            put(counted: anchor)
        }
    }

    private mutating func put(counted bytes: [UInt8]) {
        guard bytes.count <= AirProtocol.chunkLimit else { return overflow() }
        put(UInt16(bytes.count))
        bytes.withUnsafeBytes { put($0) }
    }
}

extension ByteReader {
    mutating func wanMessage() throws(WireError) -> WANMessage {
        let start = offset
        switch try u8("WAN message") {
        case 0: return try beginImage()
        case 1:
            let delivery = try u32("delivery")
            let place = try u32("offset")
            return .imageChunk(
                delivery: delivery, offset: place,
                bytes: try bytes(Int(try u16("chunk length")), "chunk"))
        case 2: return .endImage(delivery: try u32("delivery"))
        case 3: return .activateHub(hash: try digest("hash"))
        case 4: return .readVersion(device: try eui64("device"))
        case 5: return .imageStored(delivery: try u32("delivery"))
        case 6:
            return .imageRefused(
                delivery: try u32("delivery"), reason: try code(RefusalReason.self, "reason"))
        case 7:
            let device = try eui64("device")
            return .message(
                device: device, bytes: try bytes(Int(try u16("message length")), "message"))
        default: throw WireError(.invalid, "WAN message", at: start)
        }
    }

    private mutating func beginImage() throws(WireError) -> WANMessage {
        let delivery = try u32("delivery")
        let size = try u32("size")
        let targets = try count("target count", of: 8, limit: AirProtocol.targetLimit)
        var addresses: [EUI64] = []
        addresses.reserveCapacity(targets)
        for _ in 0..<targets { addresses.append(try eui64("target")) }
        let versions = try count("version count", of: 4, limit: AirProtocol.installableFromLimit)
        var installableFrom: [UInt32] = []
        installableFrom.reserveCapacity(versions)
        for _ in 0..<versions { installableFrom.append(try u32("version")) }
        return .beginImage(
            delivery: delivery, targets: addresses, size: size, installableFrom: installableFrom)
    }

    mutating func order() throws(WireError) -> Order {
        let start = offset
        switch try u8("order") {
        case 0: return .activate(hash: try digest("hash"))
        case 1: return .queryNextImage
        case 2: return .queryDeviceFile(imageType: try u16("image type"))
        case 3: return .cancelDownload
        case 4:
            return .permitJoining(try duration("joining time", limit: AirProtocol.delayLimit))
        case 5: return .updateNetworkKey
        case 6: return .addDevice(try eui64("device"), linkKey: try key("link key"))
        case 7: return .removeDevice(try eui64("device"))
        case 8: return .changeSupplier(anchor: try counted("trust anchor"))
        default: throw WireError(.invalid, "order", at: start)
        }
    }

    private mutating func counted(_ field: StaticString) throws(WireError) -> [UInt8] {
        try bytes(Int(try u16("length")), field)
    }

    /// What two members hear of each other: rssi in dBm, loss in millionths.
    mutating func loss() throws(WireError) -> UInt32 {
        let start = offset
        let loss = try u32("loss")
        guard loss <= 1_000_000 else { throw WireError(.invalid, "loss", at: start) }
        return loss
    }
}
