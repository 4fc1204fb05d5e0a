import Wire

/// Which use case a message belongs to (GBCS 7.2.7 and its table of message codes).
public struct MessageCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// CCS01, add a device to the hub's device log.
    public static let addDevice = MessageCode(rawValue: 0x0001)
    /// CCS02, remove a device from the hub's device log.
    public static let removeDevice = MessageCode(rawValue: 0x0002)
    /// CS06, activate firmware.
    public static let activateFirmware = MessageCode(rawValue: 0x0012)
    /// CS14, the alert 8F12 that the hub's device log has changed.
    public static let deviceLogAlert = MessageCode(rawValue: 0x0018)
    /// ECS52, read the firmware version of an ESME or a Communications Hub.
    public static let readESMEFirmwareVersion = MessageCode(rawValue: 0x0059)
    /// GCS38, read the firmware version of a GSME.
    public static let readGSMEFirmwareVersion = MessageCode(rawValue: 0x0084)
    /// The alerts 8F66 and 8F67 of a future-dated CS06.
    public static let futureDatedFirmwareAlert = MessageCode(rawValue: 0x00CA)
    /// The firmware distribution receipt alerts 8F72 and 8F1C in DLMS form.
    public static let firmwareReceiptDLMS = MessageCode(rawValue: 0x00CE)
    /// The firmware distribution receipt alerts 8F72 and 8F1C in GBZ form.
    public static let firmwareReceiptGBZ = MessageCode(rawValue: 0x00CF)
    /// CCS08, the hub's alerts 8F8A and 8F89 about the transfer of firmware.
    public static let firmwareTransferAlert = MessageCode(rawValue: 0x0128)
    /// CS08, read the firmware version of a PPMID or an HCALCS.
    public static let readHANDeviceFirmwareVersion = MessageCode(rawValue: 0x0129)
    /// CS09, a PPMID's alert 8F8B that it has activated firmware.
    public static let ppmidFirmwareAlert = MessageCode(rawValue: 0x012B)
    /// A critical alert with nothing but code and time.
    public static let genericCriticalAlert = MessageCode(rawValue: 0x1000)
    /// A non-critical alert with nothing but code and time.
    public static let genericNonCriticalAlert = MessageCode(rawValue: 0x1001)

    /// The use case as GBCS calls it, such as `CS06`; nil for a code that is not known here.
    public var useCase: String? { Self.useCases[rawValue] }

    /// What the messages with this code are about, for the use cases that are understood inside.
    public var words: String? {
        switch self {
        case .addDevice: "add a device to the CHF device log"
        case .removeDevice: "remove a device from the CHF device log"
        case .activateFirmware: "activate firmware"
        case .deviceLogAlert: "CHF device log changed"
        case .readESMEFirmwareVersion: "read ESME or Communications Hub firmware version"
        case .readGSMEFirmwareVersion: "read GSME firmware version"
        case .futureDatedFirmwareAlert: "future-dated firmware activation alert"
        case .firmwareReceiptDLMS: "firmware distribution receipt alert (DLMS)"
        case .firmwareReceiptGBZ: "firmware distribution receipt alert (GBZ)"
        case .firmwareTransferAlert: "firmware transfer alert"
        case .readHANDeviceFirmwareVersion: "read PPMID or HCALCS firmware version"
        case .ppmidFirmwareAlert: "PPMID firmware activation alert"
        case .genericCriticalAlert: "generic critical alert"
        case .genericNonCriticalAlert: "generic non-critical alert"
        default: nil
        }
    }

    /// Four capital hex digits.
    public var description: String { Hex.string(UInt64(rawValue), digits: 4) }

    /// Commands that one device of the HAN sends another: top-ups and the like from a PPMID, and
    /// the control of a switch from an HCALCS. Their MAC needs no Access Control Broker.
    var isBetweenDevices: Bool {
        [0x0090, 0x009B, 0x0116, 0x0117, 0x0118, 0x0119].contains(rawValue)
    }

    private static let useCases: [UInt16: String] = {
        var names: [UInt16: String] = [:]
        for entry in table.split(whereSeparator: { $0 == "," || $0 == "\n" }) {
            let words = entry.split(separator: " ")
            if words.count == 2, let code = UInt16(words[0], radix: 16) {
                names[code] = String(words[1])
            }
        }
        names[genericCriticalAlert.rawValue] = "generic critical alert"
        names[genericNonCriticalAlert.rawValue] = "generic non-critical alert"
        names[0x00CC] = "future-dated execution alert (DLMS)"
        names[0x00CD] = "future-dated execution alert (GBZ)"
        return names
    }()

    private static let table = """
        0001 CCS01, 0002 CCS02, 0003 CCS03, 0004 CCS05/CCS04, 0007 CS01a, 0008 CS02a,
        000A CS02c, 000B CS02d, 000C CS02e, 000D CS03a1, 000E CS03b, 000F CS04ac, 0010 CS04b,
        0012 CS06, 0013 CS07, 0014 CS10a, 0015 CS11, 0018 CS14, 0019 ECS01a, 001A ECS02,
        001B ECS03, 001C ECS04a, 001D ECS05, 001E ECS07, 001F ECS08, 0020 ECS09, 0021 ECS10,
        0022 ECS12, 0023 ECS14, 0024 ECS15a, 0025 ECS16, 0026 ECS17a, 0027 ECS17b,
        0028 ECS17c, 0029 ECS17d, 002A ECS17e, 002B ECS18a, 002C ECS18b, 002D ECS19,
        002E ECS20a, 002F ECS20b, 0030 ECS20c, 0033 ECS21a, 0034 ECS21b, 0035 ECS21c,
        0036 ECS22a, 0037 ECS22b, 0038 ECS22c, 0039 ECS23, 003A ECS24, 003B ECS26a,
        003C ECS26b, 003D ECS26c, 003E ECS26d, 003F ECS26e, 0040 ECS26f, 0042 ECS27,
        0043 ECS28a, 0044 ECS28b, 0045 ECS29a, 0046 ECS30, 0047 ECS34, 0048 ECS35a,
        0049 ECS35b, 004A ECS37, 004B ECS38, 004C ECS39a, 004D ECS39b, 004E ECS40,
        004F ECS42, 0050 ECS43, 0051 ECS44, 0052 ECS45, 0053 ECS46a, 0054 ECS46c, 0055 ECS47,
        0058 ECS50, 0059 ECS52, 005A ECS57, 005E ECS61c, 005F ECS62, 0060 ECS66, 0061 ECS68,
        0062 ECS70, 0067 ECS80, 0068 ECS81, 0069 ECS82, 006B GCS01a, 006C GCS02, 006D GCS03,
        006E GCS04, 006F GCS05, 0070 GCS06, 0071 GCS07, 0072 GCS09, 0073 GCS11, 0074 GCS13a,
        0075 GCS14, 0076 GCS15c, 0077 GCS16a, 0078 GCS17, 0079 GCS18, 007B GCS21a,
        007C GCS23, 007D GCS24, 007E GCS25, 007F GCS28, 0080 GCS31, 0081 GCS32, 0082 GCS33,
        0083 GCS36, 0084 GCS38, 0085 GCS39, 0086 GCS40a, 0087 GCS41, 0088 GCS44, 0089 GCS46,
        008B GCS53, 008C GCS59, 008D GCS60, 0090 PCS02, 0092 ECS26i, 0093 ECS35c,
        0094 ECS35d, 0096 GCS16b, 0097 CS01b, 009B PCS01, 009D GCS21d, 009E GCS21e,
        009F GCS21f, 00A0 GCS61, 00A1 CS10b, 00A2 ECS01b, 00A3 GCS01b, 00AB CS03a2,
        00AC ECS25a, 00AD GCS20, 00AE ECS29b, 00AF CS03c, 00B0 ECS25b, 00B2 GCS62,
        00B3 ECS04b, 00B4 GCS40b, 00B5 GCS21b, 00B6 GCS13c, 00B7 ECS01c, 00B8 GCS13b,
        00B9 ECS35e, 00BA ECS35f, 00BB ECS61a, 00BC ECS23b, 00BD ECS24b, 00BE ECS26j,
        00BF GCS21j, 00C0 GCS40c, 00C1 ECS15c, 00C2 GCS40d, 00C3 GCS15b, 00C4 GCS15d,
        00C5 GCS15e, 00C6 ECS26k, 00C7 ECS01d, 00C9 ECS20d, 00CA CS06, 00CB CS02b,
        00CE FDRA-DLMS, 00CF FDRA-GBZ, 00D1 ECS29c, 00D2 ECS29d, 00D3 ECS29e, 00D4 ECS29f,
        00D7 ECS30a, 00D8 GCS25a, 00D9 ECS26l, 00DA GCS21k, 00DB ECS48, 00DE ECS08a,
        00EA ECS25a1, 00EB ECS25a2, 00EC ECS25a3, 00ED ECS25b3, 00EE ECS25r1, 00EF ECS25r2,
        00F1 GCS20r, 00F9 ECS26m, 00FA ECS26n, 00FB GCS21m, 00FC GCS24a, 0100 CS02b,
        0101 CS02b, 0102 CS02b, 0103 CS02b, 0104 CS02b, 0105 CS02b, 0106 CS02b, 0107 CS02b,
        0108 CS02b, 0109 CS02b, 010A DBCH01, 010B DBCH02, 010C DBCH03, 010D DBCH04,
        010E DBCH05, 010F CCS06, 0110 DBCH06, 0111 DBCH07, 0112 DBCH08, 0113 DBCH09,
        0114 DBCH10, 0115 DBCH11, 0116 PECS01, 0117 PECS02, 0118 PECS03, 0119 HECS01,
        0128 CCS08, 0129 CS08, 012B CS09
        """
}
