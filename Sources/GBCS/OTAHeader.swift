import Wire

/// The header of a ZigBee OTA Upgrade image (ZCL 11.4.2; GBCS 11.2.3 for the values used in GB).
///
/// All integers are little-endian. 56 bytes, and up to 13 more for the optional fields that the
/// field control announces; bytes that a later version may add behind those are kept as they are.
public struct OTAHeader: Hashable, Sendable {
    /// The first four bytes of every OTA image.
    public static let fileIdentifier: UInt32 = 0x0BEE_F11E
    /// The length without optional fields, in bytes.
    public static let fixedLength = 56
    /// The length in GB: the fixed fields and the hardware versions (GBCS 11.2.3).
    public static let gbcsLength = 60

    /// Offset 4. 0x0100 in every image seen; another minor version is kept, another major one is
    /// refused, because the fields behind it may then lie elsewhere.
    public var headerVersion: UInt16 = 0x0100
    /// Bits 3-15 of the field control at offset 8, which have no meaning yet; normally 0.
    public var reservedControlBits: UInt16 = 0
    /// Offset 10. Assigned by the ZigBee Alliance.
    public var manufacturerCode: UInt16
    /// Offset 12. 0x0000-0xFFBF are the maker's own.
    public var imageType: ImageType
    /// Offset 14. In GB this is the firmware version itself.
    public var fileVersion: UInt32
    /// Offset 18.
    public var stackVersion: StackVersion = .zigBeePro
    /// Offset 20.
    public var headerString = HeaderString()
    /// Offset 52. The size of the whole file in bytes, this header included.
    public var totalImageSize: UInt32 = 0
    /// One byte if present (field control bit 0).
    public var securityCredentialVersion: SecurityCredentialVersion?
    /// Eight bytes if present (bit 1): the only device the image is for.
    public var destination: EUI64?
    /// Four bytes if present (bit 2): the hardware versions the image fits.
    public var hardwareVersions: HardwareRange?
    /// Whatever the header length covers behind the fields above; normally nothing.
    public var unknownFields: [UInt8] = []

    public init(manufacturerCode: UInt16, imageType: ImageType, fileVersion: UInt32) {
        self.manufacturerCode = manufacturerCode
        self.imageType = imageType
        self.fileVersion = fileVersion
    }

    /// Offset 8: which optional fields follow, with the reserved bits as they were.
    public var fieldControl: UInt16 {
        (securityCredentialVersion == nil ? 0 : 1) | (destination == nil ? 0 : 2)
            | (hardwareVersions == nil ? 0 : 4) | (reservedControlBits & ~7)
    }

    /// Offset 6: the length of this header in bytes. More `unknownFields` than fit a 16-bit
    /// length is a programmer's error.
    public var headerLength: UInt16 { UInt16(knownLength + unknownFields.count) }

    private var knownLength: Int {
        Self.fixedLength + (securityCredentialVersion == nil ? 0 : 1)
            + (destination == nil ? 0 : 8) + (hardwareVersions == nil ? 0 : 4)
    }

    /// Reads the header at the start of an image. Throws an `ImageError` that names the field.
    public init(parsing bytes: [UInt8]) throws(ImageError) {
        do {
            var reader = ByteReader(bytes.span)
            let identifier = try reader.u32("file identifier")
            guard identifier == Self.fileIdentifier else {
                throw ImageError(
                    offset: 0, field: "file identifier", found: hex(identifier),
                    expected: hex(Self.fileIdentifier) + " (this is not an OTA Upgrade image)")
            }
            headerVersion = try reader.u16("header version")
            guard headerVersion >> 8 == 1 else {
                throw ImageError(
                    offset: 4, field: "header version", found: hex(headerVersion),
                    expected: "0x0100")
            }
            let length = try reader.u16("header length")
            let control = try reader.u16("field control")
            reservedControlBits = control & ~7
            manufacturerCode = try reader.u16("manufacturer code")
            imageType = ImageType(rawValue: try reader.u16("image type"))
            fileVersion = try reader.u32("file version")
            stackVersion = StackVersion(rawValue: try reader.u16("stack version"))
            headerString = HeaderString(span: try reader.take(32, "header string"))
            totalImageSize = try reader.u32("total image size")
            if control & 1 != 0 {
                securityCredentialVersion = SecurityCredentialVersion(
                    rawValue: try reader.u8("security credential version"))
            }
            if control & 2 != 0 { destination = try reader.eui64("destination") }
            if control & 4 != 0 {
                hardwareVersions = HardwareRange(
                    minimum: try reader.u16("minimum hardware version"),
                    maximum: try reader.u16("maximum hardware version"))
            }
            let extra = Int(length) - reader.offset
            guard extra >= 0 else {
                throw ImageError(
                    offset: 6, field: "header length", found: "\(length) bytes",
                    expected: "\(reader.offset) bytes with field control \(hex(control))")
            }
            guard extra <= reader.remaining else {
                throw ImageError(
                    offset: 6, field: "header length", found: "\(length) bytes",
                    expected: "at most the file's \(bytes.count) bytes")
            }
            unknownFields = Array(bytes[reader.offset..<reader.offset + extra])
        } catch let error as WireError {
            throw ImageError(error, size: bytes.count)
        } catch let error as ImageError {
            throw error
        } catch {
            preconditionFailure("only the two errors above are thrown")
        }
    }

    /// Appends `headerLength` bytes.
    public func encode(into bytes: inout [UInt8]) {
        bytes.append(littleEndian: Self.fileIdentifier)
        bytes.append(littleEndian: headerVersion)
        bytes.append(littleEndian: headerLength)
        bytes.append(littleEndian: fieldControl)
        bytes.append(littleEndian: manufacturerCode)
        bytes.append(littleEndian: imageType.rawValue)
        bytes.append(littleEndian: fileVersion)
        bytes.append(littleEndian: stackVersion.rawValue)
        bytes += headerString.bytes
        bytes.append(littleEndian: totalImageSize)
        if let securityCredentialVersion { bytes.append(securityCredentialVersion.rawValue) }
        if let destination { bytes.append(littleEndian: destination.rawValue) }
        if let hardwareVersions {
            bytes.append(littleEndian: hardwareVersions.minimum)
            bytes.append(littleEndian: hardwareVersions.maximum)
        }
        bytes += unknownFields
    }
}

/// What kind of file an OTA image is, within its manufacturer code (ZCL 11.4.2.6).
public struct ImageType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public var rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let securityCredentials = ImageType(rawValue: 0xFFC0)
    public static let configuration = ImageType(rawValue: 0xFFC1)
    public static let log = ImageType(rawValue: 0xFFC2)
    public static let picture = ImageType(rawValue: 0xFFC3)
    /// Matches any type in a query; no image carries it.
    public static let wildcard = ImageType(rawValue: 0xFFFF)

    public var description: String { hex(rawValue) }
}

/// The ZigBee stack an image is made for (ZCL 11.4.2.8).
public struct StackVersion: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public var rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let zigBee2006 = StackVersion(rawValue: 0)
    public static let zigBee2007 = StackVersion(rawValue: 1)
    /// The one that GBCS 11.2.3 asks for.
    public static let zigBeePro = StackVersion(rawValue: 2)
    public static let zigBeeIP = StackVersion(rawValue: 3)

    public var description: String {
        switch self {
        case .zigBee2006: "ZigBee 2006"
        case .zigBee2007: "ZigBee 2007"
        case .zigBeePro: "ZigBee PRO"
        case .zigBeeIP: "ZigBee IP"
        default: "unknown"
        }
    }
}

/// The credentials a device must hold to use an image (ZCL 11.4.2.11).
public struct SecurityCredentialVersion: RawRepresentable, Hashable, Sendable,
    CustomStringConvertible
{
    public var rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let smartEnergy10 = SecurityCredentialVersion(rawValue: 0)
    public static let smartEnergy11 = SecurityCredentialVersion(rawValue: 1)
    public static let smartEnergy20 = SecurityCredentialVersion(rawValue: 2)
    public static let smartEnergy12 = SecurityCredentialVersion(rawValue: 3)

    public var description: String {
        switch self {
        case .smartEnergy10: "SE 1.0"
        case .smartEnergy11: "SE 1.1"
        case .smartEnergy20: "SE 2.0"
        case .smartEnergy12: "SE 1.2"
        default: "unknown"
        }
    }
}

/// The hardware versions an image fits, both ends included (ZCL 11.4.2.13 and 11.4.2.14).
public struct HardwareRange: Hashable, Sendable, CustomStringConvertible {
    public var minimum: UInt16
    public var maximum: UInt16

    public init(minimum: UInt16, maximum: UInt16) {
        self.minimum = minimum
        self.maximum = maximum
    }

    /// A range read from a file may be the wrong way round; then it contains nothing.
    public func contains(_ version: UInt16) -> Bool { version >= minimum && version <= maximum }

    public func overlaps(_ other: HardwareRange) -> Bool {
        max(minimum, other.minimum) <= min(maximum, other.maximum)
    }

    public var description: String { "\(hex(minimum))-\(hex(maximum))" }
}

/// The 32 bytes of free text in a header, kept exactly.
public struct HeaderString: Hashable, Sendable {
    /// Always thirty-two.
    public let bytes: [UInt8]

    /// All zero.
    public init() { bytes = [UInt8](repeating: 0, count: 32) }

    /// The UTF-8 of `text`, padded with zeros; nil if it has more than 32 bytes.
    public init?(_ text: String) {
        let utf8 = Array(text.utf8)
        guard utf8.count <= 32 else { return nil }
        bytes = utf8 + [UInt8](repeating: 0, count: 32 - utf8.count)
    }

    init(span: Span<UInt8>) {
        precondition(span.count == 32)
        bytes = span.indices.map { span[$0] }
    }

    /// The text up to the zeros at its end; any byte that is not printable ASCII as `\xNN`.
    public var text: String {
        var text = ""
        let end = (bytes.lastIndex { $0 != 0 } ?? -1) + 1
        for byte in bytes[..<end] {
            if byte >= 0x20, byte < 0x7F, byte != UInt8(ascii: "\\") {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                text += "\\x" + Hex.string(UInt64(byte), digits: 2)
            }
        }
        return text
    }
}
