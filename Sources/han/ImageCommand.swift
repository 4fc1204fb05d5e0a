import ArgumentParser
import Crypto
import GBCS
import Lab

struct ImageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "image",
        abstract: "Look into firmware images, make them, check them.",
        subcommands: [
            ImageInspectCommand.self, ImageBuildCommand.self, ImageVerifyCommand.self,
            ImageListCommand.self,
        ])

    /// Reads and parses an image file.
    static func read(_ path: String, form: FirmwareImage.Form?) throws -> FirmwareImage {
        let bytes = try Files.read(path, limit: FirmwareImage.maximumSize)
        do {
            return try FirmwareImage(parsing: bytes, form: form)
        } catch {
            var hint = ""
            if let form, let looks = (try? FirmwareImage(parsing: bytes, form: nil))?.form {
                hint =
                    "; it looks like the form \(looks.rawValue), and here it has to be "
                    + form.rawValue
            }
            throw Failure(.data, "\(path): \(error)\(hint)")
        }
    }
}

struct ImageListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the images of the manifest, which plays the Central Products List.",
        discussion: """
            Builds every image and compares its hash with the manifest's.

            --json prints a list, in the manifest's order, of objects with the keys id, \
            deviceType, model, manufacturerCode, imageType, version, stackVersion, headerString, \
            hardwareVersions {minimum, maximum}, installableFrom ("any" or a list of versions), \
            form, forceReplace, totalImageSize, manufacturerImageSize, manufacturerImageHash. \
            Codes and versions are text such as "0x0084"; sizes are numbers of bytes.
            """)

    @Option(help: "The folder with manifest.yaml; without it, the project's own Firmware.")
    var firmware: String?

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let manifest = try Manifest.load(folder: firmware ?? Installation.locate().firmware)
        let listed = try manifest.entries.map { entry in
            ListedImage(entry, image: try manifest.image(for: entry))
        }
        if json { return try Output.json(listed) }
        var rows = [
            [
                "ID", "DEVICE", "MODEL", "MAKER", "TYPE", "HARDWARE", "VERSION", "FROM", "FORM",
                "SIZE", "HASH",
            ]
        ]
        for image in listed {
            rows.append([
                image.id, image.deviceType, image.model, image.manufacturerCode, image.imageType,
                "\(image.hardwareVersions.minimum)-\(image.hardwareVersions.maximum)",
                image.version, image.installableFrom.description, image.form,
                Output.size(image.totalImageSize), image.manufacturerImageHash.prefix(16) + "...",
            ])
        }
        try Output.write(Output.columns(rows))
    }
}

/// One image of `han image list --json`.
private struct ListedImage: Encodable {
    var id: String
    var deviceType: String
    var model: String
    var manufacturerCode: String
    var imageType: String
    var version: String
    var stackVersion: String
    var headerString: String
    var hardwareVersions: HardwareReport
    var installableFrom: Versions
    var form: String
    var forceReplace: Bool
    var totalImageSize: Int
    var manufacturerImageSize: Int
    var manufacturerImageHash: String

    enum Versions: Encodable, CustomStringConvertible {
        case any
        case list([String])

        func encode(to encoder: Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .any: try container.encode("any")
            case .list(let versions): try container.encode(versions)
            }
        }

        var description: String {
            switch self {
            case .any: "any"
            case .list(let versions): versions.isEmpty ? "none" : versions.joined(separator: " ")
            }
        }
    }

    init(_ entry: Manifest.Entry, image: FirmwareImage) {
        id = entry.id
        deviceType = entry.deviceType.rawValue
        model = entry.model
        manufacturerCode = Code.text(entry.manufacturerCode)
        imageType = Code.text(entry.imageType.rawValue)
        version = Code.text(entry.version)
        stackVersion = Code.text(entry.stackVersion.rawValue)
        headerString = entry.headerString.text
        hardwareVersions = HardwareReport(entry.hardware)
        switch entry.installableFrom {
        case .any: installableFrom = .any
        case .versions(let versions): installableFrom = .list(versions.map { Code.text($0) })
        }
        form = entry.form.rawValue
        forceReplace = entry.forceReplace
        totalImageSize = Int(image.header.totalImageSize)
        manufacturerImageSize = image.manufacturerImage.count
        manufacturerImageHash = image.manufacturerImageHash.description
    }
}
