import Wire

/// What a sub-element of a standard OTA image holds (ZCL 11.4.3).
public struct SubElementTag: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public var rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let upgradeImage = SubElementTag(rawValue: 0x0000)
    public static let ecdsaSignature = SubElementTag(rawValue: 0x0001)
    public static let ecdsaCertificate = SubElementTag(rawValue: 0x0002)
    public static let imageIntegrityCode = SubElementTag(rawValue: 0x0003)
    public static let pictureData = SubElementTag(rawValue: 0x0004)
    /// With crypto suite 2 (curve sect283k1).
    public static let ecdsaSignature2 = SubElementTag(rawValue: 0x0005)
    public static let ecdsaCertificate2 = SubElementTag(rawValue: 0x0006)

    /// True for tags a maker may define (0xF000-0xFFFF).
    public var isManufacturerSpecific: Bool { rawValue >= 0xF000 }

    /// True for the tags ZCL defines.
    public var isStandard: Bool { rawValue <= 0x0006 }

    /// How many bytes the data must have, where ZCL fixes it. The two signatures: the signer's
    /// EUI-64, then r and s of 21 bytes (suite 1) or 36 bytes (suite 2) each.
    public var fixedLength: Int? {
        switch self {
        case .ecdsaSignature: 50
        case .ecdsaCertificate: 48
        case .imageIntegrityCode: 16
        case .ecdsaSignature2: 80
        case .ecdsaCertificate2: 74
        default: nil
        }
    }

    public var description: String {
        switch self {
        case .upgradeImage: "upgrade image"
        case .ecdsaSignature: "ECDSA signature (suite 1)"
        case .ecdsaCertificate: "ECDSA certificate (suite 1)"
        case .imageIntegrityCode: "image integrity code"
        case .pictureData: "picture data"
        case .ecdsaSignature2: "ECDSA signature (suite 2)"
        case .ecdsaCertificate2: "ECDSA certificate (suite 2)"
        default: isManufacturerSpecific ? "manufacturer specific" : "unknown"
        }
    }
}

/// One tagged part of a standard OTA image: tag (2), length (4), data, all little-endian.
public struct SubElement: Hashable, Sendable {
    /// Tag and length, in bytes.
    public static let headerLength = 6
    /// How many elements of one image are read. Assumption: none has more than a handful; the
    /// bound keeps a file of empty elements from taking many times its size in memory.
    public static let maximumCount = 1024

    public var tag: SubElementTag
    public var data: [UInt8]

    public init(tag: SubElementTag, data: [UInt8]) {
        self.tag = tag
        self.data = data
    }

    /// The size in the file, in bytes.
    public var size: Int { Self.headerLength + data.count }

    func encode(into bytes: inout [UInt8]) {
        bytes.append(littleEndian: tag.rawValue)
        bytes.append(littleEndian: UInt32(data.count))
        bytes += data
    }

    /// Where the data of one element lies, found without copying it.
    struct Extent {
        var tag: SubElementTag
        var data: Range<Int>
    }

    /// The elements that fill `bytes` from `start` to its end. Throws where one does not fit.
    static func extents(in bytes: [UInt8], from start: Int) throws(ImageError) -> [Extent] {
        var extents: [Extent] = []
        var offset = start
        while offset < bytes.count {
            guard extents.count < maximumCount else {
                throw ImageError(
                    offset: offset, field: "sub-elements", found: "more than \(maximumCount)",
                    expected: "at most \(maximumCount)")
            }
            guard bytes.count - offset >= headerLength else {
                throw ImageError(
                    offset: offset, field: "sub-element \(extents.count)",
                    found: "\(bytes.count - offset) bytes",
                    expected: "\(headerLength) bytes of tag and length")
            }
            let tag = UInt16(bytes[offset]) | UInt16(bytes[offset + 1]) << 8
            var length = 0
            for place in 0..<4 { length |= Int(bytes[offset + 2 + place]) << (8 * place) }
            let data = offset + headerLength
            guard length <= bytes.count - data else {
                throw ImageError(
                    offset: offset + 2, field: "length of sub-element \(extents.count)",
                    found: "\(length) bytes",
                    expected: "at most the \(bytes.count - data) bytes left in the file")
            }
            extents.append(Extent(tag: SubElementTag(rawValue: tag), data: data..<data + length))
            offset = data + length
        }
        return extents
    }
}
