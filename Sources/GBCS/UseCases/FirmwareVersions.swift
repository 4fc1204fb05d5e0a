import Wire

/// The answer to CS08, which itself is NULL: the version that a PPMID or an HCALCS runs.
///
///     SEQUENCE { OCTET STRING (4) version, INTEGER result }
public struct FirmwareVersionResponse: Hashable, Sendable {
    /// 0 where it could not be read.
    public var version: UInt32
    /// 0 read, 1 not read; others are kept.
    public var result: UInt8

    public init(version: UInt32, result: UInt8 = 0) {
        self.version = version
        self.result = result
    }

    init(parsing bytes: [UInt8], offset: Int) throws(MessageError) {
        var outer = MessageReader(bytes, base: offset)
        var reader = try outer.derSequence("CS08 response")
        version = try reader.derVersion()
        result = UInt8(try reader.derInteger("result", most: 255))
        try reader.end(after: "CS08 response")
        try outer.end(after: "payload")
    }

    func encoded() -> [UInt8] {
        DER.sequence(DER.version(version), DER.integer(UInt64(result)))
    }
}

/// ECS52: a get of attribute 2 of the Data object 0-0:0.2.1.255, in ESME and hub alike.
public struct ReadESMEFirmwareVersion: Hashable, Sendable {
    public var invokeID: UInt32

    public init(invokeID: UInt32) { self.invokeID = invokeID }

    private static let specification = AccessSpecification(
        .get, classID: 1, instance: [0, 0, 0, 2, 1, 0xFF], member: 2)

    init(parsing bytes: [UInt8], offset: Int) throws(MessageError) {
        guard case .accessRequest(let request) = try DLMSAPDU(parsing: bytes, offset: offset),
            request.specifications == [Self.specification], request.data == [.null],
            request.dateTime.isEmpty
        else {
            throw MessageError(
                offset: offset, field: "ECS52 command", found: "another access",
                expected: "a get of attribute 2 of 0-0:0.2.1.255, class 1")
        }
        self.init(invokeID: request.invokeID)
    }

    func encoded() -> [UInt8] {
        DLMSAPDU.accessRequest(
            .init(invokeID: invokeID, specifications: [Self.specification], data: [.null])
        ).encoded()
    }
}

/// The answer to ECS52: four bytes of version, or the reason why there is none.
public struct ESMEFirmwareVersionResponse: Hashable, Sendable {
    public var invokeID: UInt32
    /// nil where it could not be read.
    public var version: UInt32?
    /// The result of the access: 0 success, else a reason of DLMS.
    public var result: UInt8

    public init(invokeID: UInt32, version: UInt32?, result: UInt8? = nil) {
        self.invokeID = invokeID
        self.version = version
        self.result = result ?? (version == nil ? 1 : 0)
    }

    init(parsing bytes: [UInt8], offset: Int) throws(MessageError) {
        let refused = MessageError(
            offset: offset, field: "ECS52 response", found: "another answer",
            expected: "one octet string of four bytes, or null, and one result")
        guard case .accessResponse(let response) = try DLMSAPDU(parsing: bytes, offset: offset),
            response.results.count == 1, response.results[0].kind == 1, response.data.count == 1,
            response.dateTime.isEmpty
        else { throw refused }
        invokeID = response.invokeID
        result = response.results[0].result
        switch response.data[0] {
        case .null: version = nil
        case .octetString(let bytes) where bytes.count == 4:
            version = bytes.reduce(0) { $0 << 8 | UInt32($1) }
        default: throw refused
        }
    }

    func encoded() -> [UInt8] {
        DLMSAPDU.accessResponse(
            .init(
                invokeID: invokeID,
                data: [version.map { .octetString([UInt8](bigEndian: $0)) } ?? .null],
                results: [AccessResult(kind: 1, result: result)])
        ).encoded()
    }
}

/// GCS38: a ZCL Read Attributes of 0x0206 of the Metering cluster 0x0702.
///
///     0109 01 ‖ control ‖ 0702 0005 ‖ frame control (1) ‖ sequence (1) ‖ 00 ‖ 06 02
///
/// assumption: the control is 01, the frame control 10 (client to server, no default response),
/// the sequence number 0; what a message has in their place is kept.
public struct ReadGSMEFirmwareVersion: Hashable, Sendable {
    public var control: UInt8 = 0x01
    public var frameControl: UInt8 = 0x10
    public var sequence: UInt8 = 0x00

    public init() {}

    static let cluster: UInt16 = 0x0702
    /// As ZCL has it: the low byte first.
    static let attribute: [UInt8] = [0x06, 0x02]

    init(parsing bytes: [UInt8], offset: Int) throws(MessageError) {
        let payload = try GBZPayload(parsing: bytes, isAlert: false, offset: offset)
        guard let component = payload.components.first, payload.components.count == 1,
            component.cluster == Self.cluster, component.frame.count == 5,
            component.fromTime == nil, !component.isEncrypted, component.frame[2] == 0x00,
            Array(component.frame[3...]) == Self.attribute
        else {
            throw MessageError(
                offset: offset, field: "GCS38 command", found: "another frame",
                expected: "a read of attribute 0x0206 of cluster 0x0702")
        }
        control = component.control
        frameControl = component.frame[0]
        sequence = component.frame[1]
    }

    func encoded() -> [UInt8] {
        GBZPayload(
            componentCount: 1,
            components: [
                GBZComponent(
                    control: control, cluster: Self.cluster,
                    frame: [frameControl, sequence, 0x00] + Self.attribute)
            ]
        ).encoded()
    }
}

/// The answer to GCS38: a ZCL Read Attributes Response.
///
///     frame control ‖ sequence ‖ 01 ‖ 06 02 ‖ status ‖ [41 04 ‖ version (4)]
public struct GSMEFirmwareVersionResponse: Hashable, Sendable {
    public var control: UInt8 = 0x01
    public var frameControl: UInt8 = 0x18
    public var sequence: UInt8 = 0x00
    /// ZCL status, 0 for success.
    public var status: UInt8
    /// nil where it could not be read.
    public var version: UInt32?

    public init(version: UInt32?, status: UInt8? = nil) {
        self.version = version
        // UNSUPPORTED_ATTRIBUTE unless there is another reason.
        self.status = status ?? (version == nil ? 0x86 : 0x00)
    }

    init(parsing bytes: [UInt8], offset: Int) throws(MessageError) {
        let payload = try GBZPayload(parsing: bytes, isAlert: false, offset: offset)
        let refused = MessageError(
            offset: offset, field: "GCS38 response", found: "another frame",
            expected: "attribute 0x0206 of cluster 0x0702, an octet string of four bytes")
        guard let component = payload.components.first, payload.components.count == 1,
            component.cluster == ReadGSMEFirmwareVersion.cluster, component.fromTime == nil,
            !component.isEncrypted
        else { throw refused }
        let frame = component.frame
        guard frame.count == 6 || frame.count == 12, frame[2] == 0x01,
            Array(frame[3..<5]) == ReadGSMEFirmwareVersion.attribute
        else { throw refused }
        control = component.control
        frameControl = frame[0]
        sequence = frame[1]
        status = frame[5]
        guard frame.count == 12 else {
            version = nil
            return
        }
        guard frame[6] == 0x41, frame[7] == 0x04 else { throw refused }
        version = frame[8...].reduce(0) { $0 << 8 | UInt32($1) }
    }

    func encoded() -> [UInt8] {
        let value = version.map { [0x41, 0x04] + [UInt8](bigEndian: $0) } ?? []
        return GBZPayload(
            componentCount: 1,
            components: [
                GBZComponent(
                    control: control, cluster: ReadGSMEFirmwareVersion.cluster,
                    frame: [frameControl, sequence, 0x01] + ReadGSMEFirmwareVersion.attribute
                        + [status] + value)
            ]
        ).encoded()
    }
}
