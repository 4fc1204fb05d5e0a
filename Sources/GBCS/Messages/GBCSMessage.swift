import Crypto
import Wire

/// A GBCS message, taken apart (GBCS 7.2), whatever its use case.
///
///     MAC header   DD 000000000000 ‖ length ‖ 11 ‖ 00000000     only with a MAC
///     grouping header                                           see `GroupingHeader`
///     payload
///     signature    00, or 40 ‖ r (32) ‖ s (32)                   not in a pre-command
///     MAC          12 bytes                                      only with a MAC header
///
/// What was parsed is encoded to the same bytes, lengths in longer forms than need be included.
public struct GBCSMessage: Hashable, Sendable {
    /// The longest message read or made, in bytes. assumption: GBCS bounds messages by what its
    /// block transfer carries; 64 KiB is far above any message of the published test data.
    public static let maximumSize = 65_536
    /// Bytes of the MAC (GBCS 4.3.3).
    public static let macLength = 12

    /// What stands where the signature has its place.
    public enum SignatureField: Hashable, Sendable {
        /// Nothing, not even a length: a pre-command.
        case missing
        /// The length 00.
        case empty
        /// The length 40 and the signature.
        case signature(P256.Signature)
    }

    public var header: GroupingHeader
    /// What the use case says, in ASN.1 DER, DLMS COSEM or GBZ.
    public var payload: [UInt8]
    public var signature: SignatureField
    /// Twelve bytes; nil for a message without MAC header.
    public private(set) var mac: [UInt8]?
    /// Of the two lengths, where they are longer than need be.
    private var macHeaderExcess = 0
    private var payloadExcess = 0

    public init(
        header: GroupingHeader, payload: [UInt8], signature: SignatureField = .missing
    ) {
        self.header = header
        self.payload = payload
        self.signature = signature
    }

    /// Reads a whole message.
    public init(parsing bytes: [UInt8]) throws(MessageError) {
        guard bytes.count <= Self.maximumSize else {
            throw MessageError(
                offset: 0, field: "message", found: "\(bytes.count) bytes",
                expected: "at most \(Self.maximumSize)")
        }
        var reader = MessageReader(bytes)
        switch reader.next {
        case 0xDD:
            try reader.expect(Self.macHeader, "MAC header")
            let start = reader.offset
            let length = try reader.length("length in the MAC header")
            guard length.value == reader.remaining else {
                throw MessageError(
                    offset: start, field: "length in the MAC header",
                    found: "\(length.value) bytes", expected: "the \(reader.remaining) that follow")
            }
            macHeaderExcess = length.excessOctets
            try reader.expect(Self.securityHeader, "security header")
        case 0xDF: break
        case 0xE0:
            throw MessageError(
                offset: 0, field: "message", found: "a block of a general block transfer (E0)",
                expected: "the whole message, put together")
        case let other?:
            throw MessageError(
                offset: 0, field: "message", found: Hex.string([other]),
                expected: "DD (MAC header) or DF (grouping header)")
        case nil:
            throw MessageError(
                offset: 0, field: "message", found: "no bytes", expected: "DD or DF")
        }
        let hasMAC = bytes.first == 0xDD
        header = try GroupingHeader(from: &reader)
        let length = try reader.length("payload length")
        payloadExcess = length.excessOctets
        payload = try reader.take(length.value, "payload")
        if !hasMAC, reader.remaining == 0 {
            signature = .missing
        } else {
            signature = try Self.signature(from: &reader)
        }
        if hasMAC { mac = try reader.take(Self.macLength, "MAC") }
        try reader.end(after: "message")
    }

    private static func signature(
        from reader: inout MessageReader
    ) throws(MessageError) -> SignatureField {
        let start = reader.offset
        switch try reader.u8("signature length") {
        case 0x00: return .empty
        case 0x40:
            guard let signature = P256.Signature(try reader.take(64, "signature")) else {
                preconditionFailure("64 bytes are a signature")
            }
            return .signature(signature)
        case let other:
            throw MessageError(
                offset: start, field: "signature length", found: Hex.string([other]),
                expected: "00 or 40")
        }
    }

    /// The whole message.
    public func encoded() -> [UInt8] {
        guard let mac else { return groupedBytes + signatureBytes }
        let content = Self.securityHeader + groupedBytes + signatureBytes + mac
        let length = EncodedLength.holding(content.count, excessOctets: macHeaderExcess)
        return Self.macHeader + length.encoded + content
    }

    /// Grouping header and payload.
    private var groupedBytes: [UInt8] {
        header.encoded()
            + EncodedLength.holding(payload.count, excessOctets: payloadExcess).encoded + payload
    }

    private var signatureBytes: [UInt8] {
        switch signature {
        case .missing: []
        case .empty: [0x00]
        case .signature(let signature): [0x40] + signature.bytes
        }
    }

    /// What the signature is over: the grouping header without its tag DF, and the payload
    /// (GBCS 5.3.2).
    public var signedBytes: [UInt8] { Array(groupedBytes.dropFirst()) }

    /// What the MAC is over (GBCS 5.3.3): 11 ‖ five zeros, one for each empty field of the MAC
    /// header ‖ everything between MAC header and MAC.
    public var authenticatedBytes: [UInt8] {
        [0x11, 0, 0, 0, 0, 0] + groupedBytes + signatureBytes
    }

    /// Where the payload begins in the encoded message.
    public var payloadOffset: Int {
        encoded().count - (mac?.count ?? 0) - signatureBytes.count - payload.count
    }

    /// DF and no signature: what the DSP's transformation gives a user to sign. Some builds end
    /// it with the length 00 of no signature.
    public var isPreCommand: Bool {
        guard header.kind == .command, mac == nil else { return false }
        switch signature {
        case .missing, .empty: return true
        case .signature: return false
        }
    }

    /// The message with this MAC, and with the length of no signature if none was there.
    ///
    /// `mac` must have twelve bytes.
    public func withMAC(_ mac: [UInt8]) -> GBCSMessage {
        precondition(mac.count == Self.macLength)
        var message = withSignatureLength
        message.mac = mac
        return message
    }

    /// The message with a signature field, which all but pre-commands have.
    var withSignatureLength: GBCSMessage {
        var message = self
        if message.signature == .missing { message.signature = .empty }
        return message
    }

    /// The message without its MAC, signed or not.
    public var withoutMAC: GBCSMessage {
        var message = self
        message.mac = nil
        return message
    }

    /// General ciphering with six empty fields: transaction id, originator, recipient, date and
    /// time, other information, key info (GBCS 7.2.8).
    static let macHeader: [UInt8] = [0xDD, 0, 0, 0, 0, 0, 0]
    /// Security control 11 (authenticated only) and invocation counter 0.
    static let securityHeader: [UInt8] = [0x11, 0, 0, 0, 0]
}
