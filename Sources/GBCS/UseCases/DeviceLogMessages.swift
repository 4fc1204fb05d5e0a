import Wire

/// The ZigBee Network Control object through which the hub's device log is changed: class 104,
/// 0-0:30.3.0.255.
private enum NetworkControl {
    static func specification(
        _ kind: AccessSpecification.Kind, _ member: UInt8
    ) -> AccessSpecification {
        AccessSpecification(
            kind, classID: 0x0068, instance: [0x00, 0x00, 0x1E, 0x03, 0x00, 0xFF], member: member)
    }

    /// An octet string of eight bytes.
    static func eui64(_ data: DLMSData) -> EUI64? {
        guard case .octetString(let bytes) = data, bytes.count == 8 else { return nil }
        return EUI64(bytes.reduce(0) { $0 << 8 | UInt64($1) })
    }
}

/// CCS01: add a device to the hub's device log and let it join.
///
/// Three accesses to the ZigBee Network Control object: method 1, register_device, with
/// { EUI-64, enum, key (16), enum }; attribute 3, join_timeout; attribute 2,
/// enable_disable_joining.
public struct AddDevice: Hashable, Sendable {
    public var invokeID: UInt32
    public var device: EUI64
    /// Sixteen bytes, without CRC: GBCS calls the value an install code. assumption: the hub
    /// derives the link key.
    public var installCode: [UInt8]
    /// The two enumerations beside the key; 1 and 0 in the published test data.
    public var firstMode: UInt8 = 1
    public var secondMode: UInt8 = 0
    /// How long it may join; DUIS calls it JoinTimePeriod and allows 3600 of it. The unit is not
    /// known to us.
    public var joinTime: UInt16
    /// Whether it may: 0 for not.
    public var joiningByte: UInt8 = 0xFF
    /// An access that fails ends the request: the processing option in the long invoke id
    /// (IEC 62056-5-3).
    public var breaksOnError: Bool { invokeID & 0x2000_0000 != 0 }

    /// `installCode` must have sixteen bytes.
    public init(invokeID: UInt32, device: EUI64, installCode: [UInt8], joinTime: UInt16) {
        precondition(installCode.count == 16)
        self.invokeID = invokeID
        self.device = device
        self.installCode = installCode
        self.joinTime = joinTime
    }

    private static let specifications = [
        NetworkControl.specification(.action, 1), NetworkControl.specification(.set, 3),
        NetworkControl.specification(.set, 2),
    ]

    init(parsing bytes: [UInt8], offset: Int) throws(MessageError) {
        guard case .accessRequest(let request) = try DLMSAPDU(parsing: bytes, offset: offset),
            request.specifications == Self.specifications, request.data.count == 3,
            request.dateTime.isEmpty, case .structure(let entry) = request.data[0],
            entry.count == 4, let device = NetworkControl.eui64(entry[0]),
            case .scalar(0x16, let first) = entry[1],
            case .octetString(let key) = entry[2], key.count == 16,
            case .scalar(0x16, let second) = entry[3],
            case .scalar(0x12, let time) = request.data[1],
            case .scalar(0x03, let joining) = request.data[2]
        else {
            throw MessageError(
                offset: offset, field: "CCS01 command", found: "another access",
                expected: "register_device, join_timeout and enable_disable_joining")
        }
        self.init(
            invokeID: request.invokeID, device: device, installCode: key,
            joinTime: UInt16(time[0]) << 8 | UInt16(time[1]))
        firstMode = first[0]
        secondMode = second[0]
        joiningByte = joining[0]
    }

    func encoded() -> [UInt8] {
        let entry: [DLMSData] = [
            .octetString(device.bigEndianBytes), .enumerated(firstMode), .octetString(installCode),
            .enumerated(secondMode),
        ]
        return DLMSAPDU.accessRequest(
            .init(
                invokeID: invokeID, specifications: Self.specifications,
                data: [
                    .structure(entry), .longUnsigned(joinTime), .scalar(0x03, [joiningByte]),
                ])
        ).encoded()
    }
}

/// CCS02: remove a device from the hub's device log, by method 2 of the ZigBee Network Control
/// object. assumption: its argument is the EUI-64 as an octet string.
public struct RemoveDevice: Hashable, Sendable {
    public var invokeID: UInt32
    public var device: EUI64
    /// The argument is a structure of one element.
    public var isStructured = false

    public init(invokeID: UInt32, device: EUI64) {
        self.invokeID = invokeID
        self.device = device
    }

    private static let specifications = [NetworkControl.specification(.action, 2)]

    init(parsing bytes: [UInt8], offset: Int) throws(MessageError) {
        guard case .accessRequest(let request) = try DLMSAPDU(parsing: bytes, offset: offset),
            request.specifications == Self.specifications, request.data.count == 1,
            request.dateTime.isEmpty
        else { throw Self.refused(offset) }
        invokeID = request.invokeID
        if let device = NetworkControl.eui64(request.data[0]) {
            self.device = device
        } else if case .structure(let entry) = request.data[0], entry.count == 1,
            let device = NetworkControl.eui64(entry[0])
        {
            self.device = device
            isStructured = true
        } else {
            throw Self.refused(offset)
        }
    }

    private static func refused(_ offset: Int) -> MessageError {
        MessageError(
            offset: offset, field: "CCS02 command", found: "another access",
            expected: "method 2 of the ZigBee Network Control object with an EUI-64")
    }

    func encoded() -> [UInt8] {
        let argument = DLMSData.octetString(device.bigEndianBytes)
        return DLMSAPDU.accessRequest(
            .init(
                invokeID: invokeID, specifications: Self.specifications,
                data: [isStructured ? .structure([argument]) : argument])
        ).encoded()
    }
}

/// The answer to CCS01 and CCS02: a result for each access, 0 for success.
public struct DeviceLogResponse: Hashable, Sendable {
    public var response: DLMSAPDU.AccessResponse

    /// What a hub answers to CCS01 (three accesses) or CCS02 (one).
    public init(adding: Bool, invokeID: UInt32, results: [UInt8]) {
        let kinds: [UInt8] = adding ? [3, 2, 2] : [3]
        response = .init(
            invokeID: invokeID, data: kinds.map { _ in .null },
            results: zip(kinds, results).map { AccessResult(kind: $0, result: $1) })
    }

    init(parsing bytes: [UInt8], offset: Int) throws(MessageError) {
        guard case .accessResponse(let response) = try DLMSAPDU(parsing: bytes, offset: offset)
        else {
            throw MessageError(
                offset: offset, field: "response", found: "another APDU",
                expected: "an access response")
        }
        self.response = response
    }

    func encoded() -> [UInt8] { DLMSAPDU.accessResponse(response).encoded() }
}

/// CS14: the alert 8F12 with the whole device log of a hub.
///
/// assumption: a data notification of { code, date and time, array of { EUI-64, hashed link key,
/// which is empty before key establishment } }, as CCS03 has its entries. A message in another
/// form is taken apart as DLMS without names.
public struct DeviceLogAlert: Hashable, Sendable {
    public struct Entry: Hashable, Sendable {
        public var device: EUI64
        /// Sixteen bytes, or none.
        public var hashedLinkKey: [UInt8]

        public init(device: EUI64, hashedLinkKey: [UInt8] = []) {
            self.device = device
            self.hashedLinkKey = hashedLinkKey
        }
    }

    public var invokeID: UInt32
    public var code: AlertCode
    public var time: COSEMDateTime
    public var entries: [Entry]

    public init(invokeID: UInt32, time: COSEMDateTime, entries: [Entry]) {
        self.invokeID = invokeID
        code = .deviceLogChanged
        self.time = time
        self.entries = entries
    }

    init(parsing bytes: [UInt8], offset: Int) throws(MessageError) {
        let alert = try MeterAlert(parsing: bytes, offset: offset)
        let refused = MessageError(
            offset: offset, field: "device log alert", found: "other content",
            expected: "an array of EUI-64 and hashed link key")
        guard case .dlms(let invokeID, let time) = alert.form, alert.content.count == 1,
            case .array(let values) = alert.content[0]
        else { throw refused }
        self.invokeID = invokeID
        self.time = time
        code = alert.code
        entries = []
        for value in values {
            guard case .structure(let parts) = value, parts.count == 2,
                let device = NetworkControl.eui64(parts[0]),
                case .octetString(let key) = parts[1], key.isEmpty || key.count == 16
            else { throw refused }
            entries.append(Entry(device: device, hashedLinkKey: key))
        }
    }

    func encoded() -> [UInt8] {
        let log = entries.map { entry in
            DLMSData.structure([
                .octetString(entry.device.bigEndianBytes), .octetString(entry.hashedLinkKey),
            ])
        }
        return MeterAlert(
            form: .dlms(invokeID: invokeID, time: time), code: code, content: [.array(log)]
        ).encoded()
    }
}
