import Wire

/// The three APDUs of DLMS COSEM that GBCS uses (IEC 62056-5-3; GBCS 7.2.9), each with a
/// long-invoke-id-and-priority of 20 and the low 24 bits of the originator counter.
public enum DLMSAPDU: Hashable, Sendable {
    /// D9 ‖ invoke id (4) ‖ date-time ‖ specifications ‖ data
    case accessRequest(AccessRequest)
    /// DA ‖ invoke id (4) ‖ date-time ‖ 00 ‖ data ‖ results
    case accessResponse(AccessResponse)
    /// 0F ‖ invoke id (4) ‖ date-time ‖ data
    case dataNotification(DataNotification)

    public struct AccessRequest: Hashable, Sendable {
        public var invokeID: UInt32
        public var dateTime: [UInt8] = []
        public var specifications: [AccessSpecification]
        /// One for each specification.
        public var data: [DLMSData]

        public init(
            invokeID: UInt32, specifications: [AccessSpecification], data: [DLMSData]
        ) {
            self.invokeID = invokeID
            self.specifications = specifications
            self.data = data
        }
    }

    public struct AccessResponse: Hashable, Sendable {
        public var invokeID: UInt32
        public var dateTime: [UInt8] = []
        public var data: [DLMSData]
        public var results: [AccessResult]

        public init(invokeID: UInt32, data: [DLMSData], results: [AccessResult]) {
            self.invokeID = invokeID
            self.data = data
            self.results = results
        }
    }

    public struct DataNotification: Hashable, Sendable {
        public var invokeID: UInt32
        public var dateTime: [UInt8] = []
        public var body: DLMSData

        public init(invokeID: UInt32, body: DLMSData) {
            self.invokeID = invokeID
            self.body = body
        }
    }

    /// 20, for no priority and no confirmation, and the low 24 bits of the originator counter.
    public static func invokeID(for counter: UInt64) -> UInt32 {
        0x2000_0000 | UInt32(counter & 0xFF_FFFF)
    }

    public init(parsing bytes: [UInt8], offset: Int = 0) throws(MessageError) {
        var reader = MessageReader(bytes, base: offset)
        let tag = try reader.u8("DLMS APDU tag")
        let invokeID = try reader.u32("invoke id and priority")
        let timeLength = try reader.shortestLength("APDU date-time length")
        let dateTime = try reader.take(timeLength, "APDU date-time")
        switch tag {
        case 0xD9:
            let count = try Self.count(&reader, "access specifications")
            var specifications: [AccessSpecification] = []
            for _ in 0..<count {
                specifications.append(try AccessSpecification(from: &reader))
            }
            var request = AccessRequest(
                invokeID: invokeID, specifications: specifications,
                data: try Self.data(&reader))
            request.dateTime = dateTime
            self = .accessRequest(request)
        case 0xDA:
            try reader.expect([0x00], "access request specification (absent)")
            let data = try Self.data(&reader)
            let count = try Self.count(&reader, "access results")
            var results: [AccessResult] = []
            for _ in 0..<count { results.append(try AccessResult(from: &reader)) }
            var response = AccessResponse(invokeID: invokeID, data: data, results: results)
            response.dateTime = dateTime
            self = .accessResponse(response)
        case 0x0F:
            var notification = DataNotification(
                invokeID: invokeID, body: try DLMSData(from: &reader))
            notification.dateTime = dateTime
            self = .dataNotification(notification)
        default:
            throw MessageError(
                offset: offset, field: "DLMS APDU tag", found: Hex.string([tag]),
                expected: "d9 (access request), da (access response) or 0f (data notification)")
        }
        try reader.end(after: "DLMS APDU")
    }

    private static func count(
        _ reader: inout MessageReader, _ field: String
    ) throws(MessageError) -> Int {
        let start = reader.offset
        let count = try reader.shortestLength("number of \(field)")
        guard count <= reader.remaining else {
            throw MessageError(
                offset: start, field: "number of \(field)", found: "\(count)",
                expected: "at most \(reader.remaining), the bytes that follow")
        }
        return count
    }

    private static func data(_ reader: inout MessageReader) throws(MessageError) -> [DLMSData] {
        let count = try count(&reader, "data")
        var data: [DLMSData] = []
        for _ in 0..<count { data.append(try DLMSData(from: &reader)) }
        return data
    }

    public func encoded() -> [UInt8] {
        func head(_ tag: UInt8, _ invokeID: UInt32, _ dateTime: [UInt8]) -> [UInt8] {
            [tag] + [UInt8](bigEndian: invokeID)
                + EncodedLength.shortest(dateTime.count).encoded + dateTime
        }
        func list(_ count: Int, _ bytes: [UInt8]) -> [UInt8] {
            EncodedLength.shortest(count).encoded + bytes
        }
        switch self {
        case .accessRequest(let request):
            return head(0xD9, request.invokeID, request.dateTime)
                + list(
                    request.specifications.count, request.specifications.flatMap { $0.encoded() })
                + list(request.data.count, request.data.flatMap { $0.encoded() })
        case .accessResponse(let response):
            return head(0xDA, response.invokeID, response.dateTime) + [0x00]
                + list(response.data.count, response.data.flatMap { $0.encoded() })
                + list(response.results.count, response.results.flatMap { $0.encoded() })
        case .dataNotification(let notification):
            return head(0x0F, notification.invokeID, notification.dateTime)
                + notification.body.encoded()
        }
    }
}

/// What an access request asks for: kind, class (2), OBIS code (6), attribute or method.
public struct AccessSpecification: Hashable, Sendable {
    public enum Kind: UInt8, Hashable, Sendable {
        case get = 1
        case set = 2
        case action = 3
        case getWithSelection = 4
        case setWithSelection = 5
    }

    public var kind: Kind
    public var classID: UInt16
    /// Six bytes.
    public var instance: [UInt8]
    /// The attribute's or the method's number.
    public var member: UInt8
    /// Only with selection: the selector and what it selects.
    public var selector: UInt8?
    public var selection: DLMSData?

    public init(_ kind: Kind, classID: UInt16, instance: [UInt8], member: UInt8) {
        self.kind = kind
        self.classID = classID
        self.instance = instance
        self.member = member
    }

    init(from reader: inout MessageReader) throws(MessageError) {
        let start = reader.offset
        let raw = try reader.u8("access specification")
        guard let kind = Kind(rawValue: raw) else {
            throw MessageError(
                offset: start, field: "access specification", found: Hex.string([raw]),
                expected: "01 to 05")
        }
        self.kind = kind
        classID = try reader.u16("class id")
        instance = try reader.take(6, "instance id")
        member = try reader.u8("attribute or method")
        if kind == .getWithSelection || kind == .setWithSelection {
            selector = try reader.u8("access selector")
            selection = try DLMSData(from: &reader)
        }
    }

    func encoded() -> [UInt8] {
        [kind.rawValue] + [UInt8](bigEndian: classID) + instance + [member]
            + (selector.map { [$0] } ?? []) + (selection?.encoded() ?? [])
    }
}

/// The outcome of one access: its kind (1 get, 2 set, 3 action) and a result, 0 for success.
public struct AccessResult: Hashable, Sendable {
    public var kind: UInt8
    public var result: UInt8

    public init(kind: UInt8, result: UInt8) {
        self.kind = kind
        self.result = result
    }

    init(from reader: inout MessageReader) throws(MessageError) {
        let start = reader.offset
        kind = try reader.u8("kind of access")
        guard (1...3).contains(kind) else {
            throw MessageError(
                offset: start, field: "kind of access", found: Hex.string([kind]),
                expected: "01 (get), 02 (set) or 03 (action)")
        }
        result = try reader.u8("access result")
    }

    func encoded() -> [UInt8] { [kind, result] }
}
