import Crypto
import DCC
import GBCS
import Wire

/// Reading `manifest.yaml`.
extension Manifest {
    /// Reads the manifest of a firmware folder. Images are not built yet, so their hashes are not
    /// compared; `image(for:)` does that.
    public static func load(folder: String) throws(ManifestError) -> Manifest {
        let path = "\(folder)/\(fileName)"
        let bytes: [UInt8]
        do {
            bytes = try Files.read(path, limit: YAMLReader.maximumSize)
        } catch {
            throw .file(error)
        }
        do {
            return try Manifest(parsing: bytes, file: path, folder: folder)
        } catch {
            throw .content(error)
        }
    }

    /// Reads a manifest's bytes; `file` is its name in errors.
    public init(parsing bytes: [UInt8], file: String, folder: String) throws(YAMLError) {
        let top = try YAMLReader.parse(bytes, file: file).map(keys: ["images"])
        var entries: [Entry] = []
        for field in try top.required("images").list() {
            let entry = try Entry(reading: field)
            for other in entries {
                if other.id == entry.id {
                    throw field.error("the id '\(entry.id)' is taken by an entry above")
                }
                if entry.isAmbiguous(with: other) {
                    throw field.error(
                        "'\(entry.id)' has the manufacturer, model, device type and version of "
                            + "'\(other.id)' and overlapping hardware versions; change one of them"
                    )
                }
            }
            entries.append(entry)
        }
        self.folder = folder
        self.entries = entries
    }
}

extension Manifest.Entry {
    private static let keys = [
        "id", "manufacturer", "model", "deviceType", "imageType", "hardware", "version",
        "stackVersion", "headerString", "installableFrom", "form", "forceReplace", "integrity",
        "payload", "key", "manufacturerImageHash", "status", "gbcsVersion",
    ]

    fileprivate init(reading field: YAMLField) throws(YAMLError) {
        let map = try field.map(keys: Self.keys)
        id = try map.required("id").text()
        manufacturerCode = try map.required("manufacturer").integer()
        if manufacturerCode == 0xFFFF {
            throw try map.required("manufacturer").error(
                "0xFFFF matches any manufacturer in a query; no image can have it")
        }
        model = try map.required("model").text()
        deviceType = try map.required("deviceType").choice()
        imageType = ImageType(rawValue: try map.required("imageType").integer())
        if imageType == .wildcard {
            throw try map.required("imageType").error(
                "0xFFFF matches any type in a query; no image can have it")
        }
        hardware = try Self.hardware(map.required("hardware"))
        version = try map.required("version").integer()
        if version == .max {
            throw try map.required("version").error(
                "0xFFFFFFFF matches any version in a query; no image can have it")
        }
        stackVersion =
            try map.optional("stackVersion").map { field throws(YAMLError) in
                StackVersion(rawValue: try field.integer())
            } ?? .zigBeePro
        headerString = HeaderString()
        if let field = try map.optional("headerString") {
            guard let string = HeaderString(try field.text()) else {
                throw field.expected("at most 32 bytes of text")
            }
            headerString = string
        }
        installableFrom = .any
        if let field = try map.optional("installableFrom") {
            installableFrom = try Self.installableFrom(field)
        }
        form = deviceType.imageForm
        if let field = try map.optional("form") { form = try field.choice() }

        forceReplace = false
        if let field = try map.optional("forceReplace") {
            guard form == .gbcsSigned else { throw field.error(Self.onlyIn(.gbcsSigned, form)) }
            forceReplace = try field.boolean()
        }
        if let field = try map.optional("integrity") {
            guard form == .standard else { throw field.error(Self.onlyIn(.standard, form)) }
            integrity = try field.choice(FirmwareImage.IntegrityCoverage.self)
        }
        if form == .gbcsSigned {
            key = try Self.fileName(map.required("key"))
        } else if let field = try map.optional("key") {
            throw field.error(Self.onlyIn(.gbcsSigned, form))
        }
        payload = try Self.payload(map.required("payload"))
        let hash = try map.required("manufacturerImageHash")
        guard let digest = Digest256(try hash.hexBytes(count: 32)) else {
            throw hash.expected("64 hex digits")
        }
        manufacturerImageHash = digest
        status = .active
        if let field = try map.optional("status") {
            status = try field.choice(
                of: ProductListEntry.Status.allCases.map {
                    (word: $0.rawValue.lowercased(), value: $0)
                })
        }
        gbcsVersion = try map.optional("gbcsVersion")?.gbcsVersion()

        places = [:]
        for entry in map.entries {
            places[entry.key] = entry.value.place
            guard entry.key == "payload" else { continue }
            for part in try entry.value.map().entries {
                places["payload.\(part.key)"] = part.value.place
            }
        }
    }

    private static func onlyIn(
        _ needed: FirmwareImage.Form, _ form: FirmwareImage.Form
    ) -> String {
        "belongs to the form \(needed.rawValue), but this image's form is \(form.rawValue); "
            + "remove the line or set 'form'"
    }

    private static func hardware(_ field: YAMLField) throws(YAMLError) -> HardwareRange {
        let map = try field.map(keys: ["min", "max"])
        let minimum = try map.required("min").integer(UInt16.self)
        let maximum = try map.required("max").integer(in: minimum...UInt16.max)
        return HardwareRange(minimum: minimum, maximum: maximum)
    }

    /// As many as a hub keeps with an image.
    private static let versionLimit = 64

    private static func installableFrom(
        _ field: YAMLField
    ) throws(YAMLError) -> Manifest.InstallableFrom {
        guard field.isList else {
            guard try field.text() == "any" else {
                throw field.expected("'any' or a list of versions")
            }
            return .any
        }
        let versions: [UInt32] = try field.list { element throws(YAMLError) in
            try element.integer(UInt32.self)
        }
        guard 1...versionLimit ~= versions.count else {
            throw field.error(
                "expected 'any' or 1 to \(versionLimit) versions, found \(versions.count)")
        }
        return .versions(versions)
    }

    private static func payload(_ field: YAMLField) throws(YAMLError) -> Manifest.Payload {
        let map = try field.map(keys: ["file", "size", "seed"])
        if let file = try map.optional("file") {
            for other in ["size", "seed"] {
                guard let extra = try map.optional(other) else { continue }
                throw extra.error("stands beside 'file'; give either a file or a size and a seed")
            }
            return .file(try fileName(file))
        }
        return .generated(
            size: try map.required("size").integer(in: 1...FirmwareImage.maximumSize),
            seed: try map.required("seed").integer())
    }

    /// A name within the manifest's folder, so that a manifest from elsewhere reads nothing else.
    private static func fileName(_ field: YAMLField) throws(YAMLError) -> String {
        let name = try field.text()
        guard !name.hasPrefix("/"), !name.split(separator: "/").contains(".."),
            !name.utf8.contains(0)
        else { throw field.expected("a file within the manifest's folder") }
        return name
    }

    fileprivate func isAmbiguous(with other: Manifest.Entry) -> Bool {
        manufacturerCode == other.manufacturerCode && model == other.model
            && deviceType == other.deviceType && version == other.version
            && hardware.overlaps(other.hardware)
    }
}
