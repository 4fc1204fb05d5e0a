import Wire

/// The header of an APS frame, in wire order (ZigBee 2.2.5).
public struct APSHeader: Sendable, Equatable {
    public enum Kind: UInt8, Sendable {
        case data = 0
        case command = 1
        case acknowledgement = 2
    }

    public enum Delivery: UInt8, Sendable {
        case unicast = 0
        case broadcast = 2
        case group = 3
    }

    public var kind: Kind
    public var delivery = Delivery.unicast
    /// For acknowledgements: set when it answers a command, and then no addressing follows.
    public var acknowledgementFormat = false
    public var isSecured = false
    public var acknowledgementRequested = false
    public var destinationEndpoint: UInt8 = 0
    public var group: UInt16 = 0
    public var cluster: UInt16 = 0
    public var profile: UInt16 = 0
    public var sourceEndpoint: UInt8 = 0
    public var counter: UInt8
    /// The fragment fields, where the extended header is present (ZigBee 2.2.5.1.8).
    public var fragment: Fragment?

    public struct Fragment: Sendable, Equatable {
        public static let first: UInt8 = 1
        public static let later: UInt8 = 2

        /// 1 for the first fragment, 2 for a later one; of an acknowledgement, whether its bitmap
        /// begins at the first.
        public var control: UInt8
        /// The number of fragments in the first, else this fragment's index.
        public var block: UInt8
        /// In an acknowledgement: one bit a fragment received, the lowest for `block`.
        public var bitmap: UInt8?

        public init(control: UInt8, block: UInt8, bitmap: UInt8? = nil) {
            self.control = control
            self.block = block
            self.bitmap = bitmap
        }
    }

    public init(kind: Kind, counter: UInt8) {
        self.kind = kind
        self.counter = counter
    }

    public init(parsing reader: inout ByteReader) throws(WireError) {
        let control = try reader.u8("frame control")
        guard let kind = Kind(rawValue: control & 3) else {
            throw WireError(.invalid, "frame type", at: reader.offset - 1)
        }
        guard let delivery = Delivery(rawValue: control >> 2 & 3) else {
            throw WireError(.invalid, "delivery mode", at: reader.offset - 1)
        }
        self.kind = kind
        self.delivery = delivery
        acknowledgementFormat = control & 0x10 != 0
        isSecured = control & 0x20 != 0
        acknowledgementRequested = control & 0x40 != 0
        if kind != .command, !(kind == .acknowledgement && acknowledgementFormat) {
            if delivery == .group {
                group = try reader.u16("group")
            } else {
                destinationEndpoint = try reader.u8("destination endpoint")
            }
            cluster = try reader.u16("cluster")
            profile = try reader.u16("profile")
            sourceEndpoint = try reader.u8("source endpoint")
        }
        counter = try reader.u8("APS counter")
        if control & 0x80 != 0 {
            let extended = try reader.u8("extended frame control")
            if extended & 3 != 0 {
                let block = try reader.u8("block number")
                let bitmap = kind == .acknowledgement ? try reader.u8("ack bitmap") : nil
                fragment = Fragment(control: extended & 3, block: block, bitmap: bitmap)
            }
        }
    }

    public func encode(into frame: inout FrameBuffer) {
        var control = kind.rawValue | delivery.rawValue << 2
        if acknowledgementFormat { control |= 0x10 }
        if isSecured { control |= 0x20 }
        if acknowledgementRequested { control |= 0x40 }
        if fragment != nil { control |= 0x80 }
        frame.append(control)
        if kind != .command, !(kind == .acknowledgement && acknowledgementFormat) {
            if delivery == .group {
                frame.append(group)
            } else {
                frame.append(destinationEndpoint)
            }
            frame.append(cluster)
            frame.append(profile)
            frame.append(sourceEndpoint)
        }
        frame.append(counter)
        if let fragment {
            frame.append(fragment.control)
            frame.append(fragment.block)
            if let bitmap = fragment.bitmap { frame.append(bitmap) }
        }
    }

    /// The acknowledgement of this frame: same cluster, profile and counter, endpoints swapped
    /// (ZigBee 2.2.8.3.2).
    public var acknowledgement: APSHeader {
        var ack = APSHeader(kind: .acknowledgement, counter: counter)
        ack.acknowledgementFormat = kind == .command
        ack.isSecured = isSecured && kind == .data
        ack.destinationEndpoint = sourceEndpoint
        ack.sourceEndpoint = destinationEndpoint
        ack.cluster = cluster
        ack.profile = profile
        return ack
    }
}

/// The APS commands (ZigBee 4.4.10): the payload of an APS command frame.
public enum APSCommand: Sendable, Equatable {
    /// Key type 1: the network key, its sequence number, whom it is for and who sends it.
    case transportNetworkKey(Key128, sequence: UInt8, destination: EUI64, source: EUI64)
    /// Key type 4: the trust centre link key.
    case transportLinkKey(Key128, destination: EUI64, source: EUI64)
    /// Status 0 secured rejoin, 1 unsecured join, 2 device left, 3 trust centre rejoin.
    case updateDevice(EUI64, ShortAddress, status: UInt8)
    case removeDevice(EUI64)
    case switchKey(sequence: UInt8)
    /// A whole APS command for a device that has no network key yet, carried by its parent.
    case tunnel(destination: EUI64, command: FrameBuffer)
    /// Dropped by number: request key, verify key and others no GB device sends.
    case other(UInt8)

    public init(parsing reader: inout ByteReader) throws(WireError) {
        switch try reader.u8("command") {
        case 0x05:
            let kind = try reader.u8("key type")
            let key = try reader.key("key")
            switch kind {
            case 1:
                let sequence = try reader.u8("key sequence number")
                let destination = try reader.eui64("destination")
                self = .transportNetworkKey(
                    key, sequence: sequence, destination: destination,
                    source: try reader.eui64("source"))
            case 4:
                let destination = try reader.eui64("destination")
                self = .transportLinkKey(
                    key, destination: destination, source: try reader.eui64("source"))
            default: throw WireError(.invalid, "key type", at: 1)
            }
        case 0x06:
            let device = try reader.eui64("device")
            let address = try reader.shortAddress("short address")
            self = .updateDevice(device, address, status: try reader.u8("status"))
        case 0x07: self = .removeDevice(try reader.eui64("device"))
        case 0x09: self = .switchKey(sequence: try reader.u8("key sequence number"))
        case 0x0E:
            let destination = try reader.eui64("destination")
            self = .tunnel(
                destination: destination, command: FrameBuffer(copying: reader.rest()))
        case let code: self = .other(code)
        }
    }

    public func encode(into frame: inout FrameBuffer) {
        switch self {
        case .transportNetworkKey(let key, let sequence, let destination, let source):
            frame.append(0x05 as UInt8)
            frame.append(1 as UInt8)
            frame.append(key)
            frame.append(sequence)
            frame.append(destination)
            frame.append(source)
        case .transportLinkKey(let key, let destination, let source):
            frame.append(0x05 as UInt8)
            frame.append(4 as UInt8)
            frame.append(key)
            frame.append(destination)
            frame.append(source)
        case .updateDevice(let device, let address, let status):
            frame.append(0x06 as UInt8)
            frame.append(device)
            frame.append(address)
            frame.append(status)
        case .removeDevice(let device):
            frame.append(0x07 as UInt8)
            frame.append(device)
        case .switchKey(let sequence):
            frame.append(0x09 as UInt8)
            frame.append(sequence)
        case .tunnel(let destination, let command):
            frame.append(0x0E as UInt8)
            frame.append(destination)
            frame.append(command.span)
        case .other(let code): frame.append(code)
        }
    }
}
