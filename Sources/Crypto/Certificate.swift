import COpenSSL
import Wire

/// What GBCS wants to know of an X.509 certificate of the GB PKI (GBCS 12.2). Neither the issuer's
/// signature nor the dates are looked at.
public struct Certificate: Hashable, Sendable {
    /// What a remote party is, as the subject's organizational unit says in two hex digits.
    public struct Role: RawRepresentable, Hashable, Sendable {
        public let rawValue: UInt8

        public init(rawValue: UInt8) { self.rawValue = rawValue }

        public static let root = Role(rawValue: 0x01)
        public static let supplier = Role(rawValue: 0x02)
        public static let networkOperator = Role(rawValue: 0x03)
        public static let accessControlBroker = Role(rawValue: 0x04)
        public static let transitionalCoS = Role(rawValue: 0x05)
        public static let wanProvider = Role(rawValue: 0x06)
        public static let loadController = Role(rawValue: 0x08)
        /// Signs the XML of service requests, and no GBCS message.
        public static let serviceUser = Role(rawValue: 0x87)
        /// Signs the XML of what service users are told.
        public static let dsp = Role(rawValue: 0x89)

        public var words: String {
            switch self {
            case .root: "root"
            case .supplier: "supplier"
            case .networkOperator: "network operator"
            case .accessControlBroker: "Access Control Broker"
            case .transitionalCoS: "transitional CoS"
            case .wanProvider: "WAN provider"
            case .loadController: "load controller"
            case .serviceUser: "service user"
            case .dsp: "DSP"
            default: "role " + Hex.string([rawValue])
            }
        }
    }

    public let publicKey: P256.PublicKey
    /// Whose it is: the subject's unique identifier (a remote party), or the serial number of the
    /// hardware module in the subject's alternative name (a device).
    public let subject: EUI64?
    /// nil for a device.
    public let role: Role?
    /// Whether the subject is a hardware module.
    public let isDevice: Bool
    /// nil for either where the certificate does not say what its key is for.
    public let isForSigning: Bool?
    public let isForKeyAgreement: Bool?
    /// The issuer's name as text (RFC 2253), `CN=Z1,OU=07`.
    public let issuerName: String
    /// In decimal; with its issuer's name it belongs to one certificate.
    public let serialNumber: String
    /// The whole certificate.
    public let der: [UInt8]

    public var pem: String { PEMText.write(der, label: "CERTIFICATE") }

    /// Reads a certificate in DER or PEM (the first one of a PEM chain).
    public init(_ bytes: [UInt8]) throws(KeyError) {
        let parts = try KeyFile.loadCertificate(bytes)
        publicKey = try P256.PublicKey(parts.key)
        let certificate = parts.certificate
        der = certificate.der
        issuerName = Self.text(of: X509_get_issuer_name(certificate.pointer))
        serialNumber = Self.decimal(X509_get0_serialNumber(certificate.pointer))
        defer { ERR_clear_error() }
        let name = X509_get_subject_name(certificate.pointer)
        let device = Self.deviceID(certificate.pointer)
        subject = device ?? Self.uniqueID(name)
        role = device == nil ? Self.role(name) : nil
        isDevice = device != nil
        let usage = X509_get_key_usage(certificate.pointer)
        // All ones: there is no such extension.
        let isSaid = usage != UInt32.max
        isForSigning = isSaid ? usage & UInt32(KU_DIGITAL_SIGNATURE) != 0 : nil
        isForKeyAgreement = isSaid ? usage & UInt32(KU_KEY_AGREEMENT) != 0 : nil
    }

    private static func text(of name: OpaquePointer?) -> String {
        guard let sink = BIO_new(BIO_s_mem()) else { fatalError("memory ran out") }
        defer { BIO_free(sink) }
        // XN_FLAG_RFC2253, a macro that Swift does not import.
        let text =
            ASN1_STRFLGS_ESC_2253 | ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_ESC_MSB
            | ASN1_STRFLGS_UTF8_CONVERT | ASN1_STRFLGS_DUMP_UNKNOWN | ASN1_STRFLGS_DUMP_DER
        let form =
            text | XN_FLAG_SEP_COMMA_PLUS | XN_FLAG_DN_REV | XN_FLAG_FN_SN
            | XN_FLAG_DUMP_UNKNOWN_FIELDS
        guard X509_NAME_print_ex(sink, name, 0, UInt(form)) >= 0 else { return "" }
        var start: UnsafeMutablePointer<CChar>?
        let count = BIO_ctrl(sink, BIO_CTRL_INFO, 0, &start)
        guard let start, count > 0 else { return "" }
        return start.withMemoryRebound(to: UInt8.self, capacity: count) {
            String(decoding: UnsafeBufferPointer(start: $0, count: count), as: UTF8.self)
        }
    }

    private static func decimal(_ number: UnsafePointer<ASN1_INTEGER>?) -> String {
        guard let big = ASN1_INTEGER_to_BN(number, nil) else { return "" }
        defer { BN_free(big) }
        guard let digits = BN_bn2dec(big) else { return "" }
        defer { CRYPTO_free(digits, "", 0) }
        return String(cString: digits)
    }

    private static func uniqueID(_ name: OpaquePointer?) -> EUI64? {
        value(of: NID_x500UniqueIdentifier, in: name).flatMap { eui64($0) }
    }

    private static func role(_ name: OpaquePointer?) -> Role? {
        guard let text = value(of: NID_organizationalUnitName, in: name), text.count == 2,
            let high = Hex.nibble(text[0]), let low = Hex.nibble(text[1])
        else { return nil }
        return Role(rawValue: high << 4 | low)
    }

    private static func value(of nid: Int32, in name: OpaquePointer?) -> [UInt8]? {
        let index = X509_NAME_get_index_by_NID(name, nid, -1)
        guard index >= 0, let entry = X509_NAME_get_entry(name, index),
            let string = X509_NAME_ENTRY_get_data(entry)
        else { return nil }
        return bytes(string)
    }

    private static func bytes(_ string: UnsafePointer<ASN1_STRING>) -> [UInt8] {
        guard let start = ASN1_STRING_get0_data(string) else { return [] }
        return Array(UnsafeBufferPointer(start: start, count: Int(ASN1_STRING_length(string))))
    }

    private static func eui64(_ bytes: [UInt8]) -> EUI64? {
        bytes.count == 8 ? EUI64(bytes.reduce(0) { $0 << 8 | UInt64($1) }) : nil
    }

    /// The serial number of a HardwareModuleName (RFC 4108 5) in the alternative names.
    private static func deviceID(_ certificate: OpaquePointer) -> EUI64? {
        guard let raw = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else {
            return nil
        }
        let names = OpaquePointer(raw)
        defer { GENERAL_NAMES_free(names) }
        for index in 0..<max(0, OPENSSL_sk_num(names)) {
            guard let item = OPENSSL_sk_value(names, index) else { continue }
            let general = item.assumingMemoryBound(to: GENERAL_NAME.self)
            guard general.pointee.type == GEN_OTHERNAME,
                let other = general.pointee.d.otherName,
                identifier(other.pointee.type_id) == hardwareModuleName,
                let value = other.pointee.value, value.pointee.type == V_ASN1_SEQUENCE,
                let sequence = value.pointee.value.sequence
            else { continue }
            return serialNumber(bytes(sequence))
        }
        return nil
    }

    /// id-on-hardwareModuleName, which libcrypto 3.0 has no name for.
    private static let hardwareModuleName = "1.3.6.1.5.5.7.8.4"

    /// An object identifier in numbers and dots.
    private static func identifier(_ object: OpaquePointer?) -> String {
        var text = [CChar](repeating: 0, count: 80)
        let count = OBJ_obj2txt(&text, Int32(text.count), object, 1)
        guard count > 0, count < text.count else { return "" }
        return String(decoding: text[..<Int(count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func serialNumber(_ sequence: [UInt8]) -> EUI64? {
        sequence.withUnsafeBufferPointer { buffer in
            var position = buffer.baseAddress
            guard let parts = d2i_ASN1_SEQUENCE_ANY(nil, &position, buffer.count) else {
                return nil
            }
            defer {
                while let part = OPENSSL_sk_pop(parts) {
                    ASN1_TYPE_free(part.assumingMemoryBound(to: ASN1_TYPE.self))
                }
                OPENSSL_sk_free(parts)
            }
            guard OPENSSL_sk_num(parts) == 2, let last = OPENSSL_sk_value(parts, 1) else {
                return nil
            }
            let type = last.assumingMemoryBound(to: ASN1_TYPE.self)
            guard type.pointee.type == V_ASN1_OCTET_STRING,
                let string = type.pointee.value.octet_string
            else { return nil }
            return eui64(bytes(string))
        }
    }
}

/// A certificate that libcrypto read; owns it.
final class LoadedCertificate {
    let pointer: OpaquePointer
    init(owning pointer: OpaquePointer) { self.pointer = pointer }
    deinit { X509_free(pointer) }

    /// As it was read.
    var der: [UInt8] {
        let count = Int(i2d_X509(pointer, nil))
        precondition(count > 0, "libcrypto cannot write a certificate that it has read")
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withUnsafeMutableBufferPointer { buffer in
            var position = buffer.baseAddress
            _ = i2d_X509(pointer, &position)
        }
        return bytes
    }
}
