import Crypto
import GBCS
import Wire

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
