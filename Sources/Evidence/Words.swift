import Wire

extension DropReason {
    /// The reason in plain words, as the comment on a frame in the capture gives it.
    public var words: String {
        switch self {
        case .collision: "another transmission overlapped it at this receiver"
        case .linkLoss: "it was lost on the link"
        case .receiverOff: "the receiver was off"
        case .receiverOverrun: "its node had not taken the frames before it"
        case .macMalformed: "its MAC header or command is malformed"
        case .macUnexpected: "the MAC had no use for it in this state"
        case .queueFull: "a queue was full"
        case .macDuplicate: "it came again, because its acknowledgement was lost"
        case .nwkMalformed: "its NWK header or command is malformed"
        case .nwkUnsecured: "it came without NWK security where that is required"
        case .nwkUnknownKey: "it is secured with a network key that is not known here"
        case .nwkBadMIC: "its NWK integrity code is wrong"
        case .nwkReplayed: "its NWK frame counter is not above the last one accepted"
        case .nwkDuplicateBroadcast: "this broadcast was heard before"
        case .nwkRadiusSpent: "its radius is spent"
        case .nwkNoRoute: "there is no route to its destination"
        case .nwkUnexpected: "the NWK layer had no use for it in this state"
        case .apsMalformed: "its APS header or command is malformed"
        case .apsUnsecured: "it came without APS security where that is required"
        case .apsNoLinkKey: "there is no link key for its sender"
        case .apsBadMIC: "its APS integrity code is wrong"
        case .apsReplayed: "its APS frame counter is not above the last one accepted"
        case .apsDuplicate: "this APS frame was received before"
        case .apsNoEndpoint: "no endpoint here takes it"
        case .apsUnexpected: "the APS layer had no use for it in this state"
        case .apsFragment: "it is a fragment of a message that cannot be put together"
        case .zdoMalformed: "its ZDO command is malformed"
        case .zdoUnexpected: "the ZDO had no use for it in this state"
        case .zclMalformed: "its ZCL header or command is malformed"
        case .zclUnexpected: "the cluster had no use for it in this state"
        case .zclWrongDirection: "its ZCL direction does not fit this side of the cluster"
        case .otaWrongServer: "it is not from the OTA server that this device uses"
        case .otaOutOfState: "the OTA cluster did not expect it in this state"
        case .otaWrongImage: "it is about another firmware image"
        case .otaWrongOffset: "it carries another part of the image than was asked for"
        case .otaJitter: "the notification's jitter told this device not to answer"
        case .tooLong: "what it carries is longer than allowed"
        case .notInDeviceLog: "its sender is not in the device log"
        case .counterSpent: "no frame counter is left under the key that it was to be sealed with"
        case .keyNotEstablished: "its sender has not established a link key yet"
        }
    }
}

/// Names of ZCL status codes (ZCL 2.6.3) as Smart Energy documents write them.
enum ZCLStatusName {
    static func name(of code: UInt64) -> String? {
        switch code {
        case 0x00: "SUCCESS"
        case 0x01: "FAILURE"
        case 0x7E: "NOT_AUTHORIZED"
        case 0x7F: "RESERVED_FIELD_NOT_ZERO"
        case 0x80: "MALFORMED_COMMAND"
        case 0x81: "UNSUP_CLUSTER_COMMAND"
        case 0x82: "UNSUP_GENERAL_COMMAND"
        case 0x83: "UNSUP_MANUF_CLUSTER_COMMAND"
        case 0x84: "UNSUP_MANUF_GENERAL_COMMAND"
        case 0x85: "INVALID_FIELD"
        case 0x86: "UNSUPPORTED_ATTRIBUTE"
        case 0x87: "INVALID_VALUE"
        case 0x88: "READ_ONLY"
        case 0x89: "INSUFFICIENT_SPACE"
        case 0x8A: "DUPLICATE_EXISTS"
        case 0x8B: "NOT_FOUND"
        case 0x8C: "UNREPORTABLE_ATTRIBUTE"
        case 0x8D: "INVALID_DATA_TYPE"
        case 0x8E: "INVALID_SELECTOR"
        case 0x8F: "WRITE_ONLY"
        case 0x90: "INCONSISTENT_STARTUP_STATE"
        case 0x91: "DEFINED_OUT_OF_BAND"
        case 0x92: "INCONSISTENT"
        case 0x93: "ACTION_DENIED"
        case 0x94: "TIMEOUT"
        case 0x95: "ABORT"
        case 0x96: "INVALID_IMAGE"
        case 0x97: "WAIT_FOR_DATA"
        case 0x98: "NO_IMAGE_AVAILABLE"
        case 0x99: "REQUIRE_MORE_IMAGE"
        case 0x9A: "NOTIFICATION_PENDING"
        case 0xC0: "HARDWARE_FAILURE"
        case 0xC1: "SOFTWARE_FAILURE"
        case 0xC2: "CALIBRATION_ERROR"
        case 0xC3: "UNSUPPORTED_CLUSTER"
        case 0xC4: "LIMIT_REACHED"
        default: nil
        }
    }
}
