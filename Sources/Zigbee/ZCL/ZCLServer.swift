import Wire

/// A ZCL frame taken apart: its header, and where its payload begins in the message's frame.
public struct ZCLMessage: Sendable {
    public var message: APSMessage
    public var header: ZCLHeader
    public var payload: Int

    public init(_ message: APSMessage) throws(WireError) {
        self.message = message
        var reader = ByteReader(message.frame.span.extracting(message.payload...))
        header = try ZCLHeader(parsing: &reader)
        payload = message.payload + reader.offset
    }

    /// The bytes behind the ZCL header.
    public var body: Span<UInt8> {
        @_lifetime(borrow self)
        borrowing get { message.frame.span.extracting(payload...) }
    }

    /// Whether a default response is due where no other response is (ZCL 2.5.12.2).
    public func wantsDefaultResponse(for status: ZCLStatus) -> Bool {
        if message.isBroadcast { return false }
        if !header.isClusterSpecific, header.command == ZCLFoundation.defaultResponse {
            return false
        }
        return status != .success || !header.disableDefaultResponse
    }

    /// Whether this is an Image Notify to many at once.
    public var isBroadcastNotify: Bool {
        message.isBroadcast && message.cluster == ClusterID.otaUpgrade && header.isClusterSpecific
            && header.fromServer && header.command == OTACommandID.imageNotify
    }

    /// What a maker's own command gets from a device that knows none; nil for a standard one, and
    /// an empty frame where no answer is due.
    public var refusalOfManufacturer: FrameBuffer? {
        guard header.manufacturer != nil else { return nil }
        let status: ZCLStatus =
            header.isClusterSpecific
            ? .unsupportedManufacturerClusterCommand : .unsupportedManufacturerGeneralCommand
        return wantsDefaultResponse(for: status) ? defaultResponse(status) : FrameBuffer()
    }

    /// The default response to this frame, as a whole ZCL frame.
    public func defaultResponse(_ status: ZCLStatus) -> FrameBuffer {
        var frame = FrameBuffer()
        ZCLHeader(
            isClusterSpecific: false, fromServer: !header.fromServer,
            disableDefaultResponse: true, sequence: header.sequence,
            command: ZCLFoundation.defaultResponse, manufacturer: header.manufacturer
        ).encode(into: &frame)
        frame.append(header.command)
        frame.append(status.rawValue)
        return frame
    }
}

/// The Basic cluster as every device here serves it (ZCL 3.2).
public enum ZCLBasic {
    public static func answer(_ zcl: ZCLMessage, isMainsPowered: Bool) -> FrameBuffer? {
        if zcl.header.isClusterSpecific {
            return zcl.wantsDefaultResponse(for: .unsupportedClusterCommand)
                ? zcl.defaultResponse(.unsupportedClusterCommand) : nil
        }
        return ZCLGeneral.answer(zcl) { identifier in
            switch identifier {
            // ZCLVersion: 3 for ZCL 6 and later revisions of it.
            case 0x0000: ZCLAttribute(identifier, .uint8, 3)
            // PowerSource: single-phase mains or battery.
            case 0x0007: ZCLAttribute(identifier, .enum8, isMainsPowered ? 1 : 3)
            default: nil
            }
        }
    }
}

/// The profile-wide commands as every cluster answers them (ZCL 2.5).
public enum ZCLGeneral {
    /// The most of a ZCL frame that fits under NWK and APS security in one MAC frame.
    public static let frameLimit = 73

    /// A Read Attributes request as a whole ZCL frame.
    public static func readAttributes(
        _ identifiers: [UInt16], toClient: Bool, sequence: UInt8
    ) -> FrameBuffer {
        var frame = FrameBuffer()
        ZCLHeader(
            isClusterSpecific: false, fromServer: toClient, disableDefaultResponse: true,
            sequence: sequence, command: ZCLFoundation.readAttributes
        ).encode(into: &frame)
        for identifier in identifiers { frame.append(identifier) }
        return frame
    }

    /// Answers a profile-wide request to a cluster; nil where no answer is due.
    public static func answer(
        _ zcl: ZCLMessage, attributes: (UInt16) -> ZCLAttribute?
    ) -> FrameBuffer? {
        switch zcl.header.command {
        case ZCLFoundation.readAttributes: return answerRead(zcl, attributes)
        case ZCLFoundation.defaultResponse, ZCLFoundation.readAttributesResponse,
            ZCLFoundation.writeAttributesResponse, ZCLFoundation.reportAttributes:
            return zcl.wantsDefaultResponse(for: .success) ? zcl.defaultResponse(.success) : nil
        default:
            return zcl.wantsDefaultResponse(for: .unsupportedGeneralCommand)
                ? zcl.defaultResponse(.unsupportedGeneralCommand) : nil
        }
    }

    private static func answerRead(
        _ zcl: ZCLMessage, _ attributes: (UInt16) -> ZCLAttribute?
    ) -> FrameBuffer? {
        guard !zcl.message.isBroadcast else { return nil }
        let body = zcl.body
        guard body.count % 2 == 0, body.count > 0 else {
            return zcl.defaultResponse(.malformedCommand)
        }
        var frame = FrameBuffer()
        ZCLHeader(
            isClusterSpecific: false, fromServer: !zcl.header.fromServer,
            disableDefaultResponse: true, sequence: zcl.header.sequence,
            command: ZCLFoundation.readAttributesResponse, manufacturer: zcl.header.manufacturer
        ).encode(into: &frame)
        var index = 0
        while index < body.count {
            let identifier = UInt16(body[index]) | UInt16(body[index + 1]) << 8
            index += 2
            let before = frame
            frame.append(identifier)
            if let attribute = attributes(identifier) {
                frame.append(ZCLStatus.success.rawValue)
                frame.append(attribute.type.rawValue)
                attribute.encodeValue(into: &frame)
            } else {
                frame.append(ZCLStatus.unsupportedAttribute.rawValue)
            }
            // What does not fit is left out; the client asks again for the rest (ZCL 2.5.2.2).
            if frame.count > frameLimit { return before }
        }
        return frame
    }

    /// Calls `each` with every attribute that a Read Attributes Response reports as read.
    public static func forEachAttribute(
        in zcl: ZCLMessage, _ each: (ZCLAttribute) -> Void
    ) throws(WireError) {
        var reader = ByteReader(zcl.body)
        while reader.remaining > 0 {
            let identifier = try reader.u16("attribute")
            guard try reader.u8("status") == ZCLStatus.success.rawValue else { continue }
            let type = ZCLType(rawValue: try reader.u8("data type"))
            guard let length = type.length, length <= 8 else {
                throw WireError(.invalid, "data type", at: reader.offset - 1)
            }
            var value: UInt64 = 0
            for place in 0..<length { value |= UInt64(try reader.u8("value")) << UInt64(8 * place) }
            each(ZCLAttribute(identifier, type, value))
        }
    }
}
