import Wire

/// A payload of ZCL frames (GBCS 7.2.10): the profile 0x0109, how many components follow and, in
/// an alert, its code and time.
///
///     0109 ‖ components (1) ‖ [alert code (2) ‖ seconds since 2000 (4)] ‖ components or content
public struct GBZPayload: Hashable, Sendable {
    public var componentCount: UInt8
    /// Only in alerts: the code and the time in seconds since 2000-01-01T00:00:00Z.
    public var alertCode: UInt16?
    public var alertTime: UInt32?
    public var components: [GBZComponent]
    /// What the alert has in the components' place.
    public var content: [UInt8]

    public init(
        componentCount: UInt8, alertCode: UInt16? = nil, alertTime: UInt32? = nil,
        components: [GBZComponent] = [], content: [UInt8] = []
    ) {
        self.componentCount = componentCount
        self.alertCode = alertCode
        self.alertTime = alertTime
        self.components = components
        self.content = content
    }

    /// Reads a payload; `isAlert` from the grouping header's CRA flag.
    public init(parsing bytes: [UInt8], isAlert: Bool, offset: Int = 0) throws(MessageError) {
        var reader = MessageReader(bytes, base: offset)
        try reader.expect(Self.profile, "profile id")
        componentCount = try reader.u8("number of components")
        components = []
        content = []
        if isAlert {
            alertCode = try reader.u16("alert code")
            alertTime = try reader.u32("alert time")
            // Some alerts carry ZCL frames, others what their use case defines.
            var attempt = reader
            if let components = try? Self.components(Int(componentCount), from: &attempt),
                attempt.remaining == 0
            {
                self.components = components
            } else {
                content = reader.rest()
            }
            return
        }
        components = try Self.components(Int(componentCount), from: &reader)
        try reader.end(after: "GBZ payload")
    }

    private static func components(
        _ count: Int, from reader: inout MessageReader
    ) throws(MessageError) -> [GBZComponent] {
        var components: [GBZComponent] = []
        for _ in 0..<count { components.append(try GBZComponent(from: &reader)) }
        return components
    }

    public func encoded() -> [UInt8] {
        var bytes = Self.profile + [componentCount]
        if let alertCode { bytes.append(bigEndian: alertCode) }
        if let alertTime { bytes.append(bigEndian: alertTime) }
        return bytes + components.flatMap { $0.encoded() } + content
    }

    /// Smart Energy, 0x0109.
    static let profile: [UInt8] = [0x01, 0x09]
}

/// One ZCL frame in a GBZ payload.
///
///     control (1) ‖ cluster (2) ‖ length (2) ‖ [from date and time (4)] ‖ frame
///
/// The length covers what follows it. An encrypted component has more between its header and its
/// end, which is kept in `frame` as it is.
public struct GBZComponent: Hashable, Sendable {
    /// Bit 0: the last one (assumption); bit 1: encrypted; bit 4: with a from date and time.
    public var control: UInt8
    public var cluster: UInt16
    /// Seconds since 2000-01-01T00:00:00Z; there if bit 4 of `control` is set.
    public var fromTime: UInt32?
    /// The ZCL frame, little-endian inside as ZCL is.
    public var frame: [UInt8]

    public init(control: UInt8, cluster: UInt16, fromTime: UInt32? = nil, frame: [UInt8]) {
        self.control = control
        self.cluster = cluster
        self.fromTime = fromTime
        self.frame = frame
    }

    public var isEncrypted: Bool { control & 0x02 != 0 }

    init(from reader: inout MessageReader) throws(MessageError) {
        control = try reader.u8("extended header control")
        cluster = try reader.u16("cluster id")
        let start = reader.offset
        var length = Int(try reader.u16("GBZ command length"))
        if control & 0x10 != 0 {
            guard length >= 4 else {
                throw MessageError(
                    offset: start, field: "GBZ command length", found: "\(length)",
                    expected: "at least the 4 of the from date and time")
            }
            fromTime = try reader.u32("from date and time")
            length -= 4
        }
        frame = try reader.take(length, "ZCL frame")
    }

    func encoded() -> [UInt8] {
        var bytes = [control]
        bytes.append(bigEndian: cluster)
        bytes.append(bigEndian: UInt16(truncatingIfNeeded: frame.count + (fromTime == nil ? 0 : 4)))
        if let fromTime { bytes.append(bigEndian: fromTime) }
        return bytes + frame
    }
}
