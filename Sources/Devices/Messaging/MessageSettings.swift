import Crypto
import Wire

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

    /// What a CCS01 counts its JoinTimePeriod in. assumption: seconds, of which DUIS allows an
    /// hour; a hub's `messages.joinTimeUnit`.
    public var joinTimeUnit = Interval.seconds(1)

    public init() {}
}
