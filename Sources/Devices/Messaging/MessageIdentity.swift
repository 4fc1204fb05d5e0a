import Crypto
import GBCS
import Wire

/// What a device keeps of a remote party that it trusts in one role (GBCS 4.3.2): its id and its
/// public keys.
public struct TrustAnchor: Hashable, Sendable {
    public var role: Certificate.Role
    public var party: EUI64
    /// Digital signing.
    public var signing: P256.PublicKey
    /// Key agreement.
    public var agreement: P256.PublicKey
    /// Whose signature firmware images bear, of a supplier. GBCS has one signing key for images
    /// and messages; here it may be another, because of a maker's image only the public half is
    /// at hand, with which no command can be signed.
    public var images: P256.PublicKey?

    public init(
        role: Certificate.Role, party: EUI64, signing: P256.PublicKey,
        agreement: P256.PublicKey, images: P256.PublicKey? = nil
    ) {
        self.role = role
        self.party = party
        self.signing = signing
        self.agreement = agreement
        self.images = images
    }

    /// Layout: role u8, party u64 little-endian, signing 65, agreement 65, images present u8, and
    /// if it is: images 65. Points are uncompressed.
    public var bytes: [UInt8] {
        var builder = ByteBuilder()
        builder.put(UInt64(role.rawValue), 1)
        builder.put(party.rawValue, 8)
        builder.put(signing.x963)
        builder.put(agreement.x963)
        builder.put(images == nil ? 0 : 1, 1)
        if let images { builder.put(images.x963) }
        return builder.bytes
    }

    /// The most that `bytes` has.
    public static let longest = 205

    /// Throws for bytes in another form, and for points that are not on the curve.
    public init(parsing bytes: [UInt8]) throws(WireError) {
        var reader = ByteReader(bytes.span)
        role = Certificate.Role(rawValue: try reader.u8("role"))
        party = try reader.eui64("party")
        signing = try reader.point("signing key")
        agreement = try reader.point("key-agreement key")
        images = try reader.u8("image key present") == 1 ? try reader.point("image key") : nil
        try reader.end(after: "trust anchor")
    }
}

extension ByteReader {
    fileprivate mutating func point(_ name: StaticString) throws(WireError) -> P256.PublicKey {
        let start = offset
        var bytes: [UInt8] = []
        for _ in 0..<65 { bytes.append(try u8(name)) }
        guard let key = try? P256.PublicKey(x963: bytes) else {
            throw WireError(.invalid, name, at: start)
        }
        return key
    }
}

/// Who an entity of the HAN is among those that exchange GBCS messages.
public struct MessageIdentity: Sendable {
    public var entity: EUI64
    public var signing: P256.PrivateKey
    public var agreement: P256.PrivateKey
    /// Whom it trusts as it leaves the factory; one of a role.
    public var anchors: [TrustAnchor]

    public init(
        entity: EUI64, signing: P256.PrivateKey, agreement: P256.PrivateKey,
        anchors: [TrustAnchor]
    ) {
        self.entity = entity
        self.signing = signing
        self.agreement = agreement
        self.anchors = anchors
    }
}

/// What an entity is, which decides what it is told and by whom.
public enum MessageEntity: Sendable, Equatable {
    case esme
    case gsme
    case hcalcs
    case ppmid
    /// The two that a Communications Hub is.
    case communicationsHubFunction
    case gasProxyFunction
}

/// How an entity deals with messages; `messages` in the profile files.
public struct MessageSettings: Sendable, Equatable {
    /// The forms that a firmware distribution receipt alert can have.
    public enum ReceiptForm: String, CaseIterable, Sendable {
        case dlms
        case gbz
    }

    /// Who has a hub activate its own firmware.
    public enum Activator: String, CaseIterable, Sendable {
        case wanProvider
        case supplier
        case accessControlBroker

        public var role: Certificate.Role {
            switch self {
            case .wanProvider: .wanProvider
            case .supplier: .supplier
            case .accessControlBroker: .accessControlBroker
            }
        }
    }

    /// 00CE in DLMS or 00CF in GBZ. assumption for an HCALCS: DLMS; `messages.receiptForm`.
    public var receiptForm = ReceiptForm.dlms
    /// Entries of the security log, of which the oldest goes. assumption: 100;
    /// `messages.securityLogSize`.
    public var securityLogSize = 100
    /// What the security log calls a message that was not let in. assumption: 8F3D;
    /// `messages.refusalCode`.
    public var refusalCode: UInt16 = 0x8F3D
    /// Messages that wait to be sent, beyond which the oldest goes. assumption: 16;
    /// `messages.queueSize`.
    public var queueSize = 16
    /// Originator counters that are reserved in flash at a time. assumption: 64;
    /// `messages.counterReserve`.
    public var counterReserve: UInt64 = 64
    /// Whose CS06 a hub obeys. assumption: the WAN provider's; `messages.activator`.
    public var activator = Activator.wanProvider

    public init() {}
}

extension DeviceType {
    /// What a device of this type is among those that exchange messages; a hub as CHF.
    public var messageEntity: MessageEntity {
        switch self {
        case .communicationsHub: .communicationsHubFunction
        case .esme: .esme
        case .gsme: .gsme
        case .ppmid: .ppmid
        case .hcalcs: .hcalcs
        }
    }
}
