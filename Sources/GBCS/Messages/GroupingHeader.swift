import Wire

/// What a message is: the CRA flag of GBCS 7.2.7.
public enum MessageKind: UInt8, CaseIterable, Hashable, Sendable {
    case command = 0x01
    case response = 0x02
    case alert = 0x03
}

/// The grouping header of a GBCS message (GBCS 7.2.7), all integers big-endian.
///
///     DF ‖ 09 CRA counter (8) ‖ 08 originator (8) ‖ 08 recipient (8)
///        ‖ 00, or 0C and date and time (12) ‖ length and other information
public struct GroupingHeader: Hashable, Sendable {
    public var kind: MessageKind
    /// The originator counter, against replay (GBCS 4.3.1.5).
    public var counter: UInt64
    public var originator: EUI64
    public var recipient: EUI64
    /// In responses to what may be future dated, and in reads with a time stamp.
    public var dateTime: COSEMDateTime?
    public var otherInformation: OtherInformation
    /// Of the length of the other information, where it is longer than need be.
    private var lengthExcess = 0

    public init(
        kind: MessageKind, counter: UInt64, originator: EUI64, recipient: EUI64,
        dateTime: COSEMDateTime? = nil, otherInformation: OtherInformation
    ) {
        self.kind = kind
        self.counter = counter
        self.originator = originator
        self.recipient = recipient
        self.dateTime = dateTime
        self.otherInformation = otherInformation
    }

    init(from reader: inout MessageReader) throws(MessageError) {
        try reader.expect([0xDF], "grouping header")
        try reader.expect([0x09], "transaction id length")
        let start = reader.offset
        let flag = try reader.u8("CRA flag")
        guard let kind = MessageKind(rawValue: flag) else {
            throw MessageError(
                offset: start, field: "CRA flag", found: Hex.string([flag]),
                expected: "01 (command), 02 (response) or 03 (alert)")
        }
        self.kind = kind
        counter = try reader.u64("originator counter")
        try reader.expect([0x08], "originator id length")
        originator = try reader.eui64("originator id")
        try reader.expect([0x08], "recipient id length")
        recipient = try reader.eui64("recipient id")
        let timeStart = reader.offset
        switch try reader.u8("date-time length") {
        case 0x00: dateTime = nil
        case 0x0C: dateTime = COSEMDateTime(try reader.take(12, "date-time"))
        case let other:
            throw MessageError(
                offset: timeStart, field: "date-time length", found: Hex.string([other]),
                expected: "00 or 0c")
        }
        let length = try reader.length("other information length")
        lengthExcess = length.excessOctets
        let informationStart = reader.offset
        let information = try reader.take(length.value, "other information")
        otherInformation = try OtherInformation(parsing: information, base: informationStart)
    }

    func encoded() -> [UInt8] {
        var bytes: [UInt8] = [0xDF, 0x09, kind.rawValue]
        bytes.append(bigEndian: counter)
        bytes += [0x08] + originator.bigEndianBytes + [0x08] + recipient.bigEndianBytes
        bytes += dateTime.map { [0x0C] + $0.bytes } ?? [0x00]
        let information = otherInformation.encoded()
        let length = EncodedLength.holding(information.count, excessOctets: lengthExcess)
        return bytes + length.encoded + information
    }

    /// The transaction id: CRA flag and counter. It goes into the key of the MAC.
    var transaction: [UInt8] { [0x09, kind.rawValue] + [UInt8](bigEndian: counter) }
}

/// What the grouping header says besides: the message code, and who else is concerned
/// (GBCS 7.2.7).
///
///     2    code
///     10   code ‖ supplementary remote party
///     18   code ‖ supplementary remote party ‖ its counter
///     26   code ‖ supplementary remote party ‖ its counter ‖ supplementary originator counter
///     more the 18 or the 26, and the remote party's key-agreement certificate
///
/// Any other length is kept as `rest`.
public struct OtherInformation: Hashable, Sendable {
    public var messageCode: MessageCode
    /// For whom the originator sends the message, or to whom the response goes on.
    public var remoteParty: EUI64?
    public var remotePartyCounter: UInt64?
    public var originatorCounter: UInt64?
    /// X.509 in DER: with whose key the response's data is encrypted.
    public var certificate: [UInt8]
    /// Bytes in none of the known forms.
    public var rest: [UInt8]

    public init(
        _ messageCode: MessageCode, remoteParty: EUI64? = nil, remotePartyCounter: UInt64? = nil,
        originatorCounter: UInt64? = nil, certificate: [UInt8] = []
    ) {
        self.messageCode = messageCode
        self.remoteParty = remoteParty
        self.remotePartyCounter = remotePartyCounter
        self.originatorCounter = originatorCounter
        self.certificate = certificate
        rest = []
    }

    init(parsing bytes: [UInt8], base: Int) throws(MessageError) {
        var reader = MessageReader(bytes, base: base)
        self.init(MessageCode(rawValue: try reader.u16("message code")))
        let isCertificateAt = { (start: Int) in Self.isCertificate(bytes, from: start) }
        let known = [2, 10, 18, 26].contains(bytes.count)
        let certificateStart = known ? nil : [18, 26].first { isCertificateAt($0) }
        let fixed = certificateStart ?? (known ? bytes.count : 2)
        if fixed >= 10 { remoteParty = try reader.eui64("supplementary remote party id") }
        if fixed >= 18 {
            remotePartyCounter = try reader.u64("supplementary remote party counter")
        }
        if fixed >= 26 { originatorCounter = try reader.u64("supplementary originator counter") }
        if certificateStart != nil {
            certificate = reader.rest()
        } else {
            rest = reader.rest()
        }
    }

    /// Whether a DER SEQUENCE fills the bytes from `start` to their end.
    private static func isCertificate(_ bytes: [UInt8], from start: Int) -> Bool {
        guard bytes.count > start, bytes[start] == 0x30 else { return false }
        var reader = MessageReader(Array(bytes[(start + 1)...]))
        guard let length = try? reader.shortestLength("certificate") else { return false }
        return length == reader.remaining
    }

    func encoded() -> [UInt8] {
        var bytes = [UInt8](bigEndian: messageCode.rawValue)
        if let remoteParty { bytes += remoteParty.bigEndianBytes }
        if let remotePartyCounter { bytes.append(bigEndian: remotePartyCounter) }
        if let originatorCounter { bytes.append(bigEndian: originatorCounter) }
        return bytes + certificate + rest
    }
}
