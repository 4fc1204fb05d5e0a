import Crypto
import Wire

/// A firmware image as it is distributed: the OTA header and what follows it, in one of three
/// forms (GBCS 11.2.1; ZCL 11.4).
///
///     signed     header ‖ manufacturer image ‖ force replace (1) ‖ 0x40 (1) ‖ signature (64)
///     unsigned   header ‖ manufacturer image
///     standard   header ‖ sub-elements, each tag (2) ‖ length (4) ‖ data
///
/// An image is complete once made: its header's total size is right, and encoding what was parsed
/// gives the same bytes.
public struct FirmwareImage: Hashable, Sendable {
    /// The largest image read or made, in bytes: DUIS carries no more (`FirmwareImage` of its
    /// schema, 5.4). The OTA header itself would allow 4 GiB.
    public static let maximumSize = 10_240_000

    /// How the bytes behind the header are laid out. The file itself does not say.
    public enum Form: String, CaseIterable, Hashable, Sendable {
        /// With a supplier's signature: ESME, GSME, HCALCS.
        case gbcsSigned = "gbcs-signed"
        /// The bare manufacturer image: PPMID.
        case gbcsUnsigned = "gbcs-unsigned"
        /// With sub-elements, as ZCL has it outside GB.
        case standard
    }

    /// The end of a signed image (GBCS 11.2.2).
    public struct Trailer: Hashable, Sendable {
        /// Force replace, length byte and signature, in bytes.
        public static let length = 66
        static let signatureLength = 64

        /// 0 or 1; any other value of a file is kept. The field is the hub's and not the meter's.
        /// assumption: with 1 the image takes the place of others of its kind at once; the text
        /// of GBCS 11.2.2 has not been read, and a hub's `ota.obeysForceReplace` turns it off.
        public var forceReplace: UInt8
        /// r then s, 32 bytes each, big-endian; always sixty-four.
        public let signature: [UInt8]

        /// nil unless `signature` has 64 bytes.
        public init?(forceReplace: UInt8, signature: [UInt8]) {
            guard signature.count == Self.signatureLength else { return nil }
            self.forceReplace = forceReplace
            self.signature = signature
        }
    }

    public let header: OTAHeader
    public let form: Form
    /// What the device runs, and what the hash and the supplier's signature cover. In the
    /// standard form: the data of the first upgrade-image element, or nothing.
    public let manufacturerImage: [UInt8]
    /// Only in the signed form.
    public let trailer: Trailer?
    /// Only in the standard form, in the file's order.
    public let elements: [SubElement]

    /// Reads a whole file.
    ///
    /// Without `form` it is told apart in this order:
    /// 1. standard, if sub-elements fill the rest of the file exactly and at least one of them
    ///    has data and a tag that ZCL defines or leaves to makers;
    /// 2. signed, if the length byte before the last 64 is 0x40, the force-replace byte before
    ///    that is 0 or 1, and something is left in front of them;
    /// 3. unsigned otherwise.
    ///
    /// An unsigned image whose 66th-last and 65th-last bytes happen to be `00 40` or `01 40` (one
    /// in 32,768) is taken for a signed one, so whoever knows the device type gives the form.
    public init(parsing bytes: [UInt8], form: Form? = nil) throws(ImageError) {
        guard bytes.count <= Self.maximumSize else {
            throw ImageError(
                offset: 0, field: "file", found: "\(bytes.count) bytes",
                expected: "at most \(Self.maximumSize)")
        }
        let header = try OTAHeader(parsing: bytes)
        guard Int(header.totalImageSize) == bytes.count else {
            throw ImageError(
                offset: 52, field: "total image size", found: "\(header.totalImageSize) bytes",
                expected: "the file's \(bytes.count)")
        }
        let start = Int(header.headerLength)
        guard start < bytes.count else {
            throw ImageError(
                offset: start, field: "manufacturer image", found: "the end of the file",
                expected: "at least one byte")
        }
        switch form ?? Self.form(of: bytes, from: start) {
        case .standard:
            let extents = try SubElement.extents(in: bytes, from: start)
            self.init(
                header: header,
                elements: extents.map { SubElement(tag: $0.tag, data: Array(bytes[$0.data])) })
        case .gbcsUnsigned:
            self.init(header: header, manufacturerImage: Array(bytes[start...]), trailer: nil)
        case .gbcsSigned:
            guard bytes.count - start > Trailer.length else {
                throw ImageError(
                    offset: start, field: "manufacturer image and trailer",
                    found: "\(bytes.count - start) bytes",
                    expected: "more than the trailer's \(Trailer.length)")
            }
            let trailer = bytes.count - Trailer.length
            guard Int(bytes[trailer + 1]) == Trailer.signatureLength else {
                throw ImageError(
                    offset: trailer + 1, field: "signature length",
                    found: "\(bytes[trailer + 1])", expected: "\(Trailer.signatureLength)")
            }
            self.init(
                header: header, manufacturerImage: Array(bytes[start..<trailer]),
                trailer: Trailer(
                    forceReplace: bytes[trailer], signature: Array(bytes[(trailer + 2)...])))
        }
    }

    /// The form that the bytes behind the header look like; see `init(parsing:form:)`.
    private static func form(of bytes: [UInt8], from start: Int) -> Form {
        if let extents = try? SubElement.extents(in: bytes, from: start),
            extents.contains(where: {
                !$0.data.isEmpty && ($0.tag.isStandard || $0.tag.isManufacturerSpecific)
            })
        {
            return .standard
        }
        if bytes.count - start > Trailer.length {
            let trailer = bytes.count - Trailer.length
            if bytes[trailer] <= 1, Int(bytes[trailer + 1]) == Trailer.signatureLength {
                return .gbcsSigned
            }
        }
        return .gbcsUnsigned
    }

    /// An image in one of the two GBCS forms: signed with a trailer, unsigned without.
    private init(header: OTAHeader, manufacturerImage: [UInt8], trailer: Trailer?) {
        self.header = header
        self.form = trailer == nil ? .gbcsUnsigned : .gbcsSigned
        self.manufacturerImage = manufacturerImage
        self.trailer = trailer
        self.elements = []
    }

    /// An image in the standard form.
    private init(header: OTAHeader, elements: [SubElement]) {
        self.header = header
        self.form = .standard
        self.manufacturerImage = elements.first { $0.tag == .upgradeImage }?.data ?? []
        self.trailer = nil
        self.elements = elements
    }

    /// The whole file.
    public func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(header.totalImageSize))
        header.encode(into: &bytes)
        switch form {
        case .standard:
            for element in elements { element.encode(into: &bytes) }
        case .gbcsSigned, .gbcsUnsigned:
            bytes += manufacturerImage
        }
        if let trailer {
            bytes.append(trailer.forceReplace)
            bytes.append(UInt8(Trailer.signatureLength))
            bytes += trailer.signature
        }
        return bytes
    }

    /// SHA-256 of the manufacturer image alone: the ManufacturerImageHash that the Central
    /// Products List holds, the activation command carries and the device reports (GBCS 11.5).
    public var manufacturerImageHash: Digest256 { SHA256.digest(manufacturerImage) }
}

// MARK: Making images

extension FirmwareImage {
    /// The bare manufacturer image behind a header. The total size in `header` is set.
    public static func unsigned(
        header: OTAHeader, manufacturerImage: [UInt8]
    ) throws(ImageError) -> FirmwareImage {
        FirmwareImage(
            header: try sized(header, content: manufacturerImage.count),
            manufacturerImage: manufacturerImage, trailer: nil)
    }

    /// A manufacturer image signed with the supplier's digital-signing key. The total size in
    /// `header` is set. The same key and image give the same signature (RFC 6979).
    public static func signed(
        header: OTAHeader, manufacturerImage: [UInt8], forceReplace: Bool, by key: P256.PrivateKey
    ) throws(ImageError) -> FirmwareImage {
        let sized = try sized(header, content: manufacturerImage.count, trailer: Trailer.length)
        let signature = key.sign(SHA256.digest(manufacturerImage))
        return FirmwareImage(
            header: sized, manufacturerImage: manufacturerImage,
            trailer: Trailer(forceReplace: forceReplace ? 1 : 0, signature: signature.bytes))
    }

    /// An image of sub-elements. The total size in `header` is set. With `integrity` an
    /// image integrity code over everything before it is added at the end.
    public static func standard(
        header: OTAHeader, elements: [SubElement], integrity: IntegrityCoverage? = nil
    ) throws(ImageError) -> FirmwareImage {
        var elements = elements
        if integrity != nil {
            let placeholder = [UInt8](repeating: 0, count: 16)
            elements.append(SubElement(tag: .imageIntegrityCode, data: placeholder))
        }
        guard elements.count <= SubElement.maximumCount else {
            throw ImageError(
                offset: Int(header.headerLength), field: "sub-elements",
                found: "\(elements.count)", expected: "at most \(SubElement.maximumCount)")
        }
        let header = try sized(header, content: elements.reduce(0) { $0 + $1.size })
        guard let integrity else { return FirmwareImage(header: header, elements: elements) }
        let bytes = FirmwareImage(header: header, elements: elements).encoded()
        let covered = bytes.count - 16 - (integrity == .excludingTagHeader ? 6 : 0)
        elements[elements.count - 1].data = AESMMO.hash(Array(bytes[..<covered])).bytes
        return FirmwareImage(header: header, elements: elements)
    }

    /// `header` with the total size that follows; throws if there is nothing or too much.
    private static func sized(
        _ header: OTAHeader, content: Int, trailer: Int = 0
    ) throws(ImageError) -> OTAHeader {
        let start = Int(header.headerLength)
        guard content > 0 else {
            throw ImageError(
                offset: start, field: "manufacturer image", found: "0 bytes",
                expected: "at least one")
        }
        let total = start + content + trailer
        guard total <= maximumSize else {
            throw ImageError(
                offset: 52, field: "total image size", found: "\(total) bytes",
                expected: "at most \(maximumSize)")
        }
        var header = header
        header.totalImageSize = UInt32(total)
        return header
    }

    /// A stand-in for a maker's binary: `size` bytes that depend on nothing but `seed`.
    public static func samplePayload(size: Int, seed: UInt64) -> [UInt8] {
        var stream = SeededStream(Seed(seed).named("firmware payload"))
        return stream.bytes(size)
    }
}

// MARK: Checking images

extension FirmwareImage {
    /// What can be said of an image's supplier signature.
    public enum SignatureVerdict: Hashable, Sendable {
        case valid
        case wrong
        /// The image's form has no supplier signature.
        case none
    }

    /// Checks the trailer's signature over the manufacturer image alone (GBCS 11.2.2).
    public func verifySignature(by key: P256.PublicKey) -> SignatureVerdict {
        guard let trailer else { return .none }
        guard let signature = P256.Signature(trailer.signature),
            key.verify(signature, digest: manufacturerImageHash)
        else { return .wrong }
        return .valid
    }

    /// How much of the file an image integrity code covers. Makers differ, and ZCL 11.4.3 can be
    /// read either way.
    public enum IntegrityCoverage: String, CaseIterable, Hashable, Sendable {
        /// Up to the element's tag.
        case excludingTagHeader = "excluding-tag-header"
        /// Up to the code itself: the element's tag and length are hashed.
        case includingTagHeader = "including-tag-header"
    }

    /// What can be said of an image's integrity code.
    public enum IntegrityVerdict: Hashable, Sendable {
        case matches(IntegrityCoverage)
        case wrong
        /// There is no element with a 16-byte integrity code.
        case none
    }

    /// Compares the first image integrity code with the AES-MMO hash of what is before it,
    /// in both coverages.
    public func verifyIntegrity() -> IntegrityVerdict {
        guard let index = elements.firstIndex(where: { $0.tag == .imageIntegrityCode }),
            let code = Key128(elements[index].data)
        else { return .none }
        let before = elements[..<index].reduce(Int(header.headerLength)) { $0 + $1.size }
        let bytes = encoded()
        if AESMMO.hash(Array(bytes[..<before])) == code { return .matches(.excludingTagHeader) }
        if AESMMO.hash(Array(bytes[..<(before + SubElement.headerLength)])) == code {
            return .matches(.includingTagHeader)
        }
        return .wrong
    }
}
