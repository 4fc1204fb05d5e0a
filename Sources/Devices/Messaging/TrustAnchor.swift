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
        guard let key = try? P256.PublicKey(x963: try bytes(65, name)) else {
            throw WireError(.invalid, name, at: start)
        }
        return key
    }
}
