import Wire

/// The header of a NWK frame, in wire order (ZigBee 3.3.1).
public struct NWKHeader: Sendable, Equatable {
    public enum Kind: UInt16, Sendable {
        case data = 0
        case command = 1
    }

    public var kind: Kind
    /// 2 for ZigBee PRO.
    public var protocolVersion: UInt16 = 2
    /// Whether a router may look for a route for it.
    public var discoverRoute = false
    public var isSecured = true
    public var endDeviceInitiator = false
    public var destination: ShortAddress
    public var source: ShortAddress
    /// Hops left.
    public var radius: UInt8
    public var sequence: UInt8
    public var destinationEUI64: EUI64?
    public var sourceEUI64: EUI64?

    public init(
        kind: Kind, destination: ShortAddress, source: ShortAddress, radius: UInt8,
        sequence: UInt8
    ) {
        self.kind = kind
        self.destination = destination
        self.source = source
        self.radius = radius
        self.sequence = sequence
    }

    public init(parsing reader: inout ByteReader) throws(WireError) {
        let control = try reader.u16("frame control")
        guard let kind = Kind(rawValue: control & 3) else {
            throw WireError(.invalid, "frame type", at: 0)
        }
        self.kind = kind
        protocolVersion = control >> 2 & 15
        guard protocolVersion == 2 else { throw WireError(.invalid, "protocol version", at: 0) }
        discoverRoute = control & 0x00C0 != 0
        isSecured = control & 0x0200 != 0
        endDeviceInitiator = control & 0x2000 != 0
        destination = try reader.shortAddress("destination")
        source = try reader.shortAddress("source")
        radius = try reader.u8("radius")
        sequence = try reader.u8("sequence number")
        destinationEUI64 = control & 0x0800 != 0 ? try reader.eui64("destination EUI64") : nil
        sourceEUI64 = control & 0x1000 != 0 ? try reader.eui64("source EUI64") : nil
        if control & 0x0100 != 0 { _ = try reader.u8("multicast control") }
        if control & 0x0400 != 0 {
            let relays = try reader.u8("relay count")
            _ = try reader.u8("relay index")
            _ = try reader.take(2 * Int(relays), "relay list")
        }
    }

    public func encode(into frame: inout FrameBuffer) {
        var control = kind.rawValue | protocolVersion << 2
        if discoverRoute { control |= 0x0040 }
        if isSecured { control |= 0x0200 }
        if destinationEUI64 != nil { control |= 0x0800 }
        if sourceEUI64 != nil { control |= 0x1000 }
        if endDeviceInitiator { control |= 0x2000 }
        frame.append(control)
        frame.append(destination)
        frame.append(source)
        frame.append(radius)
        frame.append(sequence)
        if let destinationEUI64 { frame.append(destinationEUI64) }
        if let sourceEUI64 { frame.append(sourceEUI64) }
    }
}

/// Which key secures a frame (ZigBee 4.5.1.1.2).
public enum KeyIdentifier: UInt8, Sendable {
    case data = 0
    case network = 1
    case keyTransport = 2
    case keyLoad = 3
}

/// The auxiliary header of a secured NWK or APS frame, in wire order (ZigBee 4.5.1).
///
/// The security level is 0 on the air and 5 (ENC-MIC-32) in the computation; `securityLevel`
/// fills it in.
public struct AuxiliaryHeader: Sendable, Equatable {
    public static let securityLevel: UInt8 = 5

    public var key: KeyIdentifier
    public var frameCounter: UInt32
    /// Present with the extended nonce.
    public var source: EUI64?
    /// Present for the network key only.
    public var keySequence: UInt8

    public init(key: KeyIdentifier, frameCounter: UInt32, source: EUI64?, keySequence: UInt8 = 0) {
        self.key = key
        self.frameCounter = frameCounter
        self.source = source
        self.keySequence = keySequence
    }

    public init(parsing reader: inout ByteReader) throws(WireError) {
        let control = try reader.u8("security control")
        guard let key = KeyIdentifier(rawValue: control >> 3 & 3) else {
            throw WireError(.invalid, "key identifier", at: reader.offset - 1)
        }
        self.key = key
        frameCounter = try reader.u32("frame counter")
        source = control & 0x20 != 0 ? try reader.eui64("source EUI64") : nil
        keySequence = key == .network ? try reader.u8("key sequence number") : 0
    }

    /// The control byte with the level filled in, as the computation wants it.
    public var fullControl: UInt8 {
        key.rawValue << 3 | (source != nil ? 0x20 : 0) | Self.securityLevel
    }

    /// Writes it with the level filled in; `clearLevel` afterwards makes it fit for the air.
    public func encodeForSealing(into frame: inout FrameBuffer) {
        frame.append(fullControl)
        frame.append(frameCounter)
        if let source { frame.append(source) }
        if key == .network { frame.append(keySequence) }
    }
}

extension FrameBuffer {
    /// Sets the security level in the auxiliary header at `offset` to 5 for the computation.
    mutating func fillSecurityLevel(at offset: Int) {
        self[offset] = self[offset] & 0xF8 | AuxiliaryHeader.securityLevel
    }

    /// Clears it again, as it is sent.
    mutating func clearSecurityLevel(at offset: Int) {
        self[offset] &= 0xF8
    }
}

/// What a network status command reports (ZigBee 3.4.3.3.1), as far as a route is concerned.
public enum NetworkStatusCode: UInt8, Sendable {
    case noRouteAvailable = 0x00
    case treeLinkFailure = 0x01
    case nonTreeLinkFailure = 0x02
    case sourceRouteFailure = 0x0B
    case manyToOneRouteFailure = 0x0C
}

/// The NWK commands a GB HAN uses (ZigBee 3.4), the payload of a secured command frame.
public enum NWKCommand: Sendable, Equatable {
    case routeRequest(RouteRequest)
    case routeReply(RouteReply)
    case networkStatus(code: UInt8, destination: ShortAddress)
    case leave(rejoin: Bool, request: Bool, removeChildren: Bool)
    case rejoinRequest(CapabilityInformation)
    case rejoinResponse(ShortAddress, status: UInt8)
    /// Requested timeout: index into the table of ZigBee 3.4.11, 0 = 10 s, n = 2^n minutes.
    case endDeviceTimeoutRequest(timeout: UInt8)
    /// Status 0 success; parent information bits: 0 MAC poll keep-alive, 1 timeout request.
    case endDeviceTimeoutResponse(status: UInt8, parentInformation: UInt8)
    case linkStatus(LinkStatus)
    /// A command that is relayed or ignored by its number: route record and others.
    case other(UInt8)

    /// ZigBee 3.4.8: options u8 (bits 0-4 the number of entries, 5 first frame, 6 last frame), then
    /// {address u16, costs u8: incoming in bits 0-2, outgoing in 4-6}.
    public struct LinkStatus: Sendable, Equatable {
        /// Entries that fit into a secured frame: 127 bytes less 11 of the MAC, 8 of the NWK
        /// header, 14 of the auxiliary header, 4 of the integrity code and 2 of the command. The
        /// option byte could count two more.
        public static let limit = 29

        public struct Entry: Sendable, Equatable {
            public var neighbour: ShortAddress
            public var costs: UInt8

            /// `costs`: incoming in bits 0-2, outgoing in bits 4-6.
            public init(neighbour: ShortAddress, costs: UInt8) {
                self.neighbour = neighbour
                self.costs = costs
            }
        }

        /// Bits 5-7 of the options.
        public var flags: UInt8
        public var entries: [Entry]

        /// At most `limit` of the neighbours, in order of their addresses.
        public init(
            entries: some Sequence<Entry>, isFirst: Bool = true, isLast: Bool = true
        ) {
            flags = (isFirst ? 0x20 : 0) | (isLast ? 0x40 : 0)
            self.entries = Array(entries.prefix(Self.limit))
        }

        /// Whether a node at `address` would be named in this frame if its sender heard it.
        func covers(_ address: ShortAddress) -> Bool {
            guard let first = entries.first, let last = entries.last else { return true }
            return (flags & 0x20 != 0 || first.neighbour <= address)
                && (flags & 0x40 != 0 || address <= last.neighbour)
        }

        init(parsing reader: inout ByteReader) throws(WireError) {
            let options = try reader.u8("link status options")
            flags = options & 0xE0
            entries = []
            for _ in 0..<(options & 0x1F) {
                let neighbour = try reader.shortAddress("neighbour")
                entries.append(
                    Entry(neighbour: neighbour, costs: try reader.u8("link costs")))
            }
        }

        func encode(into frame: inout FrameBuffer) {
            frame.append(flags | UInt8(entries.count))
            for entry in entries {
                frame.append(entry.neighbour)
                frame.append(entry.costs)
            }
        }
    }

    /// ZigBee 3.4.1
    public struct RouteRequest: Sendable, Equatable {
        public var identifier: UInt8
        public var destination: ShortAddress
        public var pathCost: UInt8

        public init(identifier: UInt8, destination: ShortAddress, pathCost: UInt8) {
            self.identifier = identifier
            self.destination = destination
            self.pathCost = pathCost
        }
    }

    /// ZigBee 3.4.2
    public struct RouteReply: Sendable, Equatable {
        public var identifier: UInt8
        public var originator: ShortAddress
        public var responder: ShortAddress
        public var pathCost: UInt8

        public init(
            identifier: UInt8, originator: ShortAddress, responder: ShortAddress, pathCost: UInt8
        ) {
            self.identifier = identifier
            self.originator = originator
            self.responder = responder
            self.pathCost = pathCost
        }
    }

    static let routeRequestIdentifier: UInt8 = 0x01
    static let leaveIdentifier: UInt8 = 0x04
    static let rejoinRequestIdentifier: UInt8 = 0x06
    static let endDeviceTimeoutRequestIdentifier: UInt8 = 0x0B

    public init(parsing reader: inout ByteReader) throws(WireError) {
        switch try reader.u8("command") {
        case Self.routeRequestIdentifier:
            let options = try reader.u8("route request options")
            let identifier = try reader.u8("route request id")
            let destination = try reader.shortAddress("destination")
            let cost = try reader.u8("path cost")
            if options & 0x20 != 0 { _ = try reader.eui64("destination EUI64") }
            self = .routeRequest(
                RouteRequest(identifier: identifier, destination: destination, pathCost: cost))
        case 0x02:
            let options = try reader.u8("route reply options")
            let identifier = try reader.u8("route request id")
            let originator = try reader.shortAddress("originator")
            let responder = try reader.shortAddress("responder")
            let cost = try reader.u8("path cost")
            if options & 0x10 != 0 { _ = try reader.eui64("originator EUI64") }
            if options & 0x20 != 0 { _ = try reader.eui64("responder EUI64") }
            self = .routeReply(
                RouteReply(
                    identifier: identifier, originator: originator, responder: responder,
                    pathCost: cost))
        case 0x03:
            let code = try reader.u8("status code")
            self = .networkStatus(code: code, destination: try reader.shortAddress("destination"))
        case Self.leaveIdentifier:
            let options = try reader.u8("leave options")
            self = .leave(
                rejoin: options & 0x20 != 0, request: options & 0x40 != 0,
                removeChildren: options & 0x80 != 0)
        case Self.rejoinRequestIdentifier:
            self = .rejoinRequest(.init(rawValue: try reader.u8("capability")))
        case 0x07:
            let address = try reader.shortAddress("short address")
            self = .rejoinResponse(address, status: try reader.u8("rejoin status"))
        case 0x08: self = .linkStatus(try LinkStatus(parsing: &reader))
        case 0x0B:
            let timeout = try reader.u8("requested timeout")
            _ = try reader.u8("end device configuration")
            self = .endDeviceTimeoutRequest(timeout: timeout)
        case 0x0C:
            let status = try reader.u8("status")
            self = .endDeviceTimeoutResponse(
                status: status, parentInformation: try reader.u8("parent information"))
        case let code: self = .other(code)
        }
    }

    public func encode(into frame: inout FrameBuffer) {
        switch self {
        case .routeRequest(let request):
            frame.append(Self.routeRequestIdentifier)
            frame.append(0 as UInt8)
            frame.append(request.identifier)
            frame.append(request.destination)
            frame.append(request.pathCost)
        case .routeReply(let reply):
            frame.append(0x02 as UInt8)
            frame.append(0 as UInt8)
            frame.append(reply.identifier)
            frame.append(reply.originator)
            frame.append(reply.responder)
            frame.append(reply.pathCost)
        case .networkStatus(let code, let destination):
            frame.append(0x03 as UInt8)
            frame.append(code)
            frame.append(destination)
        case .leave(let rejoin, let request, let removeChildren):
            frame.append(0x04 as UInt8)
            frame.append(
                (rejoin ? 0x20 : 0) as UInt8 | (request ? 0x40 : 0) | (removeChildren ? 0x80 : 0))
        case .rejoinRequest(let capability):
            frame.append(0x06 as UInt8)
            frame.append(capability.rawValue)
        case .rejoinResponse(let address, let status):
            frame.append(0x07 as UInt8)
            frame.append(address)
            frame.append(status)
        case .linkStatus(let status):
            frame.append(0x08 as UInt8)
            status.encode(into: &frame)
        case .endDeviceTimeoutRequest(let timeout):
            frame.append(0x0B as UInt8)
            frame.append(timeout)
            frame.append(0 as UInt8)
        case .endDeviceTimeoutResponse(let status, let information):
            frame.append(0x0C as UInt8)
            frame.append(status)
            frame.append(information)
        case .other(let code): frame.append(code)
        }
    }
}
