import Wire

/// What one side of a cluster has to offer, for the discovery commands. The values of its
/// attributes come from whoever serves it.
public struct ZCLServed: Sendable {
    /// Between the first and the last of these its attributes lie.
    public var identifiers: ClosedRange<UInt16>
    /// The cluster's own commands that it takes, ascending.
    public var received: [UInt8]
    /// Those that it sends, ascending.
    public var generated: [UInt8]

    public init(
        _ identifiers: ClosedRange<UInt16>, received: [UInt8] = [], generated: [UInt8] = []
    ) {
        self.identifiers = identifiers
        self.received = received
        self.generated = generated
    }

    /// A side without attributes or commands, such as the client of Basic or Time.
    public static let nothing = ZCLServed(0...0)
    /// The Basic server: attributes only, no reset to factory defaults (ZCL 3.2.2).
    public static let basic = ZCLServed(0x0000...0x0011)
    /// The Time server: attributes only (ZCL 3.12.2).
    public static let time = ZCLServed(0x0000...0x0001)
    /// The OTA Upgrade server: all attributes are the client's (ZCL 11.10).
    public static func otaServer(pages: Bool, deviceFiles: Bool) -> ZCLServed {
        ZCLServed(
            0...0, received: fromOTAClient(pages: pages, deviceFiles: deviceFiles),
            generated: [
                OTACommandID.imageNotify, OTACommandID.queryNextImageResponse,
                OTACommandID.imageBlockResponse, OTACommandID.upgradeEndResponse,
            ] + (deviceFiles ? [OTACommandID.queryDeviceSpecificFileResponse] : []))
    }

    /// The OTA Upgrade client. It takes the answer about a device-specific file at any time; it
    /// asks only if it is meant to.
    public static func otaClient(pages: Bool, deviceFiles: Bool) -> ZCLServed {
        ZCLServed(
            OTAAttributeID.upgradeServerID...OTAAttributeID.upgradeTimeoutPolicy,
            received: [
                OTACommandID.imageNotify, OTACommandID.queryNextImageResponse,
                OTACommandID.imageBlockResponse, OTACommandID.upgradeEndResponse,
                OTACommandID.queryDeviceSpecificFileResponse,
            ], generated: fromOTAClient(pages: pages, deviceFiles: deviceFiles))
    }

    private static func fromOTAClient(pages: Bool, deviceFiles: Bool) -> [UInt8] {
        [OTACommandID.queryNextImageRequest, OTACommandID.imageBlockRequest]
            + (pages ? [OTACommandID.imagePageRequest] : [])
            + [OTACommandID.upgradeEndRequest]
            + (deviceFiles ? [OTACommandID.queryDeviceSpecificFileRequest] : [])
    }
}

/// The profile-wide commands as every cluster answers them (ZCL 2.5): read, write in its three
/// forms, discovery, and reporting.
///
/// None of the attributes of the clusters here is reportable (ZCL 3.2.2, 3.12.2, 11.10), so
/// Configure Reporting and Read Reporting Configuration are answered with that for each attribute
/// asked about. Structured reads and writes are not supported: no attribute here is structured.
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

    /// Answers a profile-wide request to a side of a cluster; nil where no answer is due.
    ///
    /// - Parameters:
    ///   - served: what that side has, for discovery.
    ///   - write: stores the new value of an attribute that `attributes` calls writable, or says
    ///     why not; `isRehearsal` only asks.
    ///   - attributes: an attribute as it is now; nil if there is none of that number.
    public static func answer(
        _ zcl: ZCLMessage, of served: ZCLServed,
        write: (_ attribute: ZCLAttribute, _ isRehearsal: Bool) -> ZCLStatus = { _, _ in .readOnly
        },
        attributes: (UInt16) -> ZCLAttribute?
    ) -> FrameBuffer? {
        do {
            return try response(zcl, of: served, write: write, attributes: attributes)
        } catch {
            // Nothing answers a write that wants no response, however wrong it is (ZCL 2.5.6).
            guard zcl.header.command != ZCLFoundation.writeAttributesNoResponse else { return nil }
            return zcl.dueResponse(.malformedCommand)
        }
    }

    /// Answers any message to a cluster whose server has attributes and no commands of its own; nil
    /// where no answer is due. What a server says to the client, which has nothing at all, is
    /// answered as `answerAsClient` does. `write` and `attributes` are those of `answer`.
    public static func answerAsServer(
        _ zcl: ZCLMessage, of served: ZCLServed,
        write: (_ attribute: ZCLAttribute, _ isRehearsal: Bool) -> ZCLStatus,
        attributes: (UInt16) -> ZCLAttribute?
    ) -> FrameBuffer? {
        guard !zcl.header.isClusterSpecific, !zcl.header.fromServer else {
            return answerAsClient(zcl)
        }
        return answer(zcl, of: served, write: write, attributes: attributes)
    }

    /// Answers any message to a side of a cluster that has neither attributes nor commands.
    public static func answerAsClient(_ zcl: ZCLMessage) -> FrameBuffer? {
        guard zcl.header.isClusterSpecific else { return answer(zcl, of: .nothing) { _ in nil } }
        return zcl.dueResponse(.unsupportedClusterCommand)
    }

    private static func response(
        _ zcl: ZCLMessage, of served: ZCLServed,
        write: (ZCLAttribute, Bool) -> ZCLStatus, attributes: (UInt16) -> ZCLAttribute?
    ) throws(WireError) -> FrameBuffer? {
        // Nothing but writing has an effect without an answer.
        let command = zcl.header.command
        switch command {
        case ZCLFoundation.writeAttributes, ZCLFoundation.writeAttributesUndivided,
            ZCLFoundation.writeAttributesNoResponse:
            let answer = try answerWrite(zcl, write, attributes)
            let isSilent =
                zcl.message.isBroadcast || command == ZCLFoundation.writeAttributesNoResponse
            return isSilent ? nil : answer
        case ZCLFoundation.defaultResponse: return nil
        case _ where ZCLFoundation.isResponse(command) || command == ZCLFoundation.reportAttributes:
            return zcl.dueResponse(.success)
        case _ where zcl.message.isBroadcast: return nil
        case ZCLFoundation.readAttributes: return try answerRead(zcl, attributes)
        case ZCLFoundation.configureReporting: return try answerConfigure(zcl, attributes)
        case ZCLFoundation.readReportingConfiguration:
            return try answerReadConfiguration(zcl, attributes)
        case ZCLFoundation.discoverAttributes:
            return try answerDiscover(zcl, served, attributes, isExtended: false)
        case ZCLFoundation.discoverAttributesExtended:
            return try answerDiscover(zcl, served, attributes, isExtended: true)
        case ZCLFoundation.discoverCommandsReceived:
            return try answerDiscover(zcl, served.received)
        case ZCLFoundation.discoverCommandsGenerated:
            return try answerDiscover(zcl, served.generated)
        default: return zcl.defaultResponse(.unsupportedGeneralCommand)
        }
    }

    /// The header of the response to a request: the other way, same sequence number.
    static func begin(_ zcl: ZCLMessage, _ command: UInt8) -> FrameBuffer {
        var frame = FrameBuffer()
        ZCLHeader(
            isClusterSpecific: false, fromServer: !zcl.header.fromServer,
            disableDefaultResponse: true, sequence: zcl.header.sequence, command: command,
            manufacturer: zcl.header.manufacturer
        ).encode(into: &frame)
        return frame
    }

    // MARK: - Read Attributes

    private static func answerRead(
        _ zcl: ZCLMessage, _ attributes: (UInt16) -> ZCLAttribute?
    ) throws(WireError) -> FrameBuffer {
        var reader = ByteReader(zcl.body)
        var frame = begin(zcl, ZCLFoundation.readAttributesResponse)
        var isFull = false
        repeat {
            let identifier = try reader.u16("attribute")
            guard !isFull else { continue }
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
            if frame.count > frameLimit { (frame, isFull) = (before, true) }
        } while reader.remaining > 0
        return frame
    }

    /// Calls `each` with every attribute that a Read Attributes Response reports as read, and
    /// `refused` with the others and why.
    public static func forEachAttribute(
        in zcl: ZCLMessage, _ each: (ZCLAttribute) -> Void,
        refused: (UInt16, ZCLStatus) -> Void = { _, _ in }
    ) throws(WireError) {
        var reader = ByteReader(zcl.body)
        while reader.remaining > 0 {
            let identifier = try reader.u16("attribute")
            let status = ZCLStatus(rawValue: try reader.u8("status"))
            guard status == .success else {
                refused(identifier, status)
                continue
            }
            let type = ZCLType(rawValue: try reader.u8("data type"))
            guard let length = type.length, length <= 8 else {
                throw WireError(.invalid, "data type", at: reader.offset - 1)
            }
            let value = try readValue(length, &reader)
            each(ZCLAttribute(identifier, type, value))
        }
    }

    /// A little-endian value of at most eight bytes.
    static func readValue(_ length: Int, _ reader: inout ByteReader) throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        for place in 0..<length { value |= UInt64(try reader.u8("value")) << UInt64(8 * place) }
        return value
    }
}
