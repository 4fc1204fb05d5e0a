import Crypto
import DCC
import GBCS
import Wire

/// The list of firmware images that may be used, in the part of the Central Products List: what
/// each is for, which hash it must have and from which versions it may be installed.
///
/// Read from `manifest.yaml` in a firmware folder; `Firmware/README.md` describes the file.
public struct Manifest: Sendable {
    public static let fileName = "manifest.yaml"

    /// The folder that the file is in and that the names in it are relative to.
    public let folder: String
    public let entries: [Entry]

    /// One line of the list.
    public struct Entry: Sendable {
        /// Unique in the manifest.
        public var id: String
        public var manufacturerCode: UInt16
        public var model: String
        public var deviceType: DeviceType
        public var imageType: ImageType
        public var hardware: HardwareRange
        /// The OTA file version, which in GB is the firmware version.
        public var version: UInt32
        public var stackVersion: StackVersion
        public var headerString: HeaderString
        public var installableFrom: InstallableFrom
        public var form: FirmwareImage.Form
        /// Only in the signed form.
        public var forceReplace: Bool
        /// Only in the standard form: whether an integrity code is added, and over what.
        public var integrity: FirmwareImage.IntegrityCoverage?
        public var payload: Payload
        /// The supplier's key file, relative to the manifest; only in the signed form.
        public var key: String?
        public var manufacturerImageHash: Digest256
        /// Whether it may still be used.
        public var status: ProductListEntry.Status
        /// What a device that runs it keeps to, where the manifest says it.
        public var gbcsVersion: String?
        /// Where fields stand, by name, for errors found when the image is built.
        var places: [String: YAMLPlace]

        /// The image's header, its total size not yet set.
        public var header: OTAHeader {
            var header = OTAHeader(
                manufacturerCode: manufacturerCode, imageType: imageType, fileVersion: version)
            header.stackVersion = stackVersion
            header.headerString = headerString
            header.hardwareVersions = hardware
            return header
        }

        /// True if a device running `version` may be given this image.
        public func isInstallable(from version: UInt32) -> Bool {
            switch installableFrom {
            case .any: true
            case .versions(let versions): versions.contains(version)
            }
        }
    }

    /// Which versions a device may run when it is given an image.
    public enum InstallableFrom: Hashable, Sendable {
        case any
        case versions([UInt32])

        /// The versions, or none for any.
        public var list: [UInt32] {
            switch self {
            case .any: []
            case .versions(let versions): versions
            }
        }
    }

    /// Where an image's bytes come from.
    public enum Payload: Hashable, Sendable {
        /// A maker's binary, relative to the manifest.
        case file(String)
        /// `FirmwareImage.samplePayload`.
        case generated(size: Int, seed: UInt64)
    }

    /// What an entry must fit; nil fits anything.
    public struct Query: Hashable, Sendable {
        public var manufacturerCode: UInt16?
        public var imageType: ImageType?
        public var version: UInt32?
        /// Must lie in the entry's range.
        public var hardwareVersion: UInt16?
        public var deviceType: DeviceType?
        public var model: String?

        public init(
            manufacturerCode: UInt16? = nil, imageType: ImageType? = nil, version: UInt32? = nil,
            hardwareVersion: UInt16? = nil, deviceType: DeviceType? = nil, model: String? = nil
        ) {
            self.manufacturerCode = manufacturerCode
            self.imageType = imageType
            self.version = version
            self.hardwareVersion = hardwareVersion
            self.deviceType = deviceType
            self.model = model
        }

        func fits(_ entry: Entry) -> Bool {
            (manufacturerCode ?? entry.manufacturerCode) == entry.manufacturerCode
                && (imageType ?? entry.imageType) == entry.imageType
                && (version ?? entry.version) == entry.version
                && hardwareVersion.map(entry.hardware.contains) ?? true
                && (deviceType ?? entry.deviceType) == entry.deviceType
                && (model ?? entry.model) == entry.model
        }
    }

    /// The entry called `id`.
    public func entry(_ id: String) -> Entry? { entries.first { $0.id == id } }

    /// All entries that fit, in the manifest's order. Manufacturer, image type and version alone
    /// may fit several: two device types of one maker can share an image type.
    public func entries(matching query: Query) -> [Entry] { entries.filter(query.fits) }

    /// The first entry that fits.
    public func entry(matching query: Query) -> Entry? { entries.first(where: query.fits) }

    /// Builds an entry's image and compares its hash with the manifest's.
    public func image(for entry: Entry) throws(ManifestError) -> FirmwareImage {
        let content: [UInt8]
        switch entry.payload {
        case .generated(let size, let seed):
            content = FirmwareImage.samplePayload(size: size, seed: seed)
        case .file(let name):
            content = try read(
                name, limit: FirmwareImage.maximumSize, for: entry, field: "payload.file")
        }
        let image: FirmwareImage
        do {
            switch entry.form {
            case .gbcsUnsigned:
                image = try .unsigned(header: entry.header, manufacturerImage: content)
            case .gbcsSigned:
                image = try .signed(
                    header: entry.header, manufacturerImage: content,
                    forceReplace: entry.forceReplace, by: try signingKey(of: entry))
            case .standard:
                image = try .standard(
                    header: entry.header,
                    elements: [SubElement(tag: .upgradeImage, data: content)],
                    integrity: entry.integrity)
            }
        } catch let error as ImageError {
            throw problem(with: "payload", of: entry, "gives no image: \(error)")
        } catch let error as ManifestError {
            throw error
        } catch {
            preconditionFailure("only the two errors above are thrown")
        }
        let hash = image.manufacturerImageHash
        guard hash == entry.manufacturerImageHash else {
            throw problem(
                with: "manufacturerImageHash", of: entry,
                "expected \(hash), the hash of the payload, found \(entry.manufacturerImageHash)")
        }
        return image
    }

    private func signingKey(of entry: Entry) throws(ManifestError) -> P256.PrivateKey {
        let name = entry.key ?? ""
        let bytes = try read(name, limit: KeyFiles.maximumSize, for: entry, field: "key")
        do {
            return try P256.PrivateKey(pkcs8: bytes)
        } catch {
            throw problem(with: "key", of: entry, "'\(name)' is no P-256 private key: \(error)")
        }
    }

    private func read(
        _ name: String, limit: Int, for entry: Entry, field: String
    ) throws(ManifestError) -> [UInt8] {
        do {
            return try Files.read("\(folder)/\(name)", limit: limit)
        } catch {
            if case .unreadable = error { throw .file(error) }
            throw problem(with: field, of: entry, "\(error)")
        }
    }

    private func problem(
        with field: String, of entry: Entry, _ message: String
    ) -> ManifestError {
        let place = entry.places[field] ?? YAMLPlace(file: folder, line: 0, column: 0, path: field)
        return .content(place.error(message))
    }
}

/// Key and certificate files.
public enum KeyFiles {
    /// How many bytes of one are read. A P-256 key or certificate has some hundred.
    public static let maximumSize = 1 << 16
}

/// Why a manifest or one of its images cannot be used.
public enum ManifestError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The manifest itself is missing, or a file cannot be read.
    case file(FileError)
    /// The manifest's content, or that of a file it names, is wrong.
    case content(YAMLError)

    public var description: String {
        switch self {
        case .file(let error): error.description
        case .content(let error): error.description
        }
    }
}
