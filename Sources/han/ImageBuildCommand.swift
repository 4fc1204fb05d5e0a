import ArgumentParser
import Foundation
import Crypto
import GBCS
import Lab
import Wire

struct ImageBuildCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "build",
        abstract: "Make a firmware image from a maker's binary or from a seed.",
        discussion: """
            The manufacturer image is FILE, or --size bytes that depend on --seed alone. The same \
            arguments give the same bytes: signatures repeat (RFC 6979).

            Numbers may be hexadecimal (0x1F). The header's lengths and field control follow from \
            the rest.
            """)

    @Argument(help: ArgumentHelp("The maker's bare binary.", valueName: "file"))
    var file: String?

    @Option(
        parsing: .unconditional, help: "Without FILE: how many bytes to generate.",
        transform: { try Numbers.read($0, in: 1...FirmwareImage.maximumSize) })
    var size: Int?

    @Option(
        parsing: .unconditional, help: "Without FILE: the seed to generate from.",
        transform: CodeArgument.read)
    var seed: CodeArgument<UInt64>?

    @Option(name: .shortAndLong, help: "Where to write the image.")
    var output: String

    @Option(
        help: ArgumentHelp(
            "Signed (ESME, GSME, HCALCS), unsigned (PPMID) or with sub-elements.",
            discussion: "Without it: gbcs-signed with --key, else gbcs-unsigned."))
    var form: FirmwareImage.Form?

    @Option(help: "The supplier's private key for gbcs-signed: P-256, PKCS#8, PEM or DER.")
    var key: String?

    @Flag(help: "gbcs-signed: tell the hub to replace an image it holds already.")
    var forceReplace = false

    @Option(
        parsing: .unconditional, help: "The manufacturer code.",
        transform: CodeArgument.read)
    var manufacturerCode: CodeArgument<UInt16>

    @Option(
        parsing: .unconditional, help: "The image type.",
        transform: CodeArgument.read)
    var imageType: CodeArgument<UInt16>

    @Option(
        name: .customLong("file-version"), parsing: .unconditional,
        help: "The file version, which is the firmware version.",
        transform: CodeArgument.read)
    var fileVersion: CodeArgument<UInt32>

    @Option(
        parsing: .unconditional, help: "The ZigBee stack version (default: 2, ZigBee PRO).",
        transform: CodeArgument.read)
    var stackVersion: CodeArgument<UInt16>?

    @Option(help: "Text of at most 32 bytes.")
    var headerString = ""

    @Option(
        parsing: .unconditional,
        help: "The lowest hardware version (default in the gbcs forms: 0x0000).",
        transform: CodeArgument.read)
    var hardwareMin: CodeArgument<UInt16>?

    @Option(
        parsing: .unconditional,
        help: "The highest hardware version (default in the gbcs forms: 0xFFFF).",
        transform: CodeArgument.read)
    var hardwareMax: CodeArgument<UInt16>?

    @Option(
        parsing: .unconditional,
        help: "The security credential version (default: the field is left out).",
        transform: CodeArgument.read)
    var credentialVersion: CodeArgument<UInt8>?

    @Option(help: "The only device it is for, an EUI-64 (default: the field is left out).")
    var destination: EUI64?

    @Option(
        parsing: .unconditional, help: "The header version, 0x01NN (default: 0x0100).",
        transform: CodeArgument.read)
    var headerVersion: CodeArgument<UInt16>?

    @Option(
        parsing: .unconditional, help: "Reserved bits of the field control to set (default: none).",
        transform: CodeArgument.read)
    var reservedControlBits: CodeArgument<UInt16>?

    @Option(
        help: ArgumentHelp(
            "standard: a further sub-element, TAG=FILE; may be repeated.", valueName: "tag=file"))
    var element: [ElementArgument] = []

    @Option(
        help: ArgumentHelp(
            "standard: add an image integrity code.",
            discussion: "Makers differ in whether its own tag header is hashed.",
            valueName: "coverage"))
    var integrity: FirmwareImage.IntegrityCoverage?

    private var chosenForm: FirmwareImage.Form {
        form ?? (key == nil ? .gbcsUnsigned : .gbcsSigned)
    }

    func validate() throws {
        if file != nil {
            guard size == nil, seed == nil else {
                throw ValidationError("Give either FILE or --size and --seed, not both.")
            }
        } else {
            guard size != nil, seed != nil else {
                throw ValidationError("Give FILE, or --size and --seed to generate one.")
            }
        }
        try checkCodes()
        let form = chosenForm
        guard form == .gbcsSigned || (key == nil && !forceReplace) else {
            throw ValidationError(
                "--key and --force-replace belong to gbcs-signed, not to \(form.rawValue).")
        }
        guard form != .gbcsSigned || key != nil else {
            throw ValidationError("An image of the form gbcs-signed needs --key.")
        }
        guard form == .standard || (element.isEmpty && integrity == nil) else {
            throw ValidationError(
                "--element and --integrity belong to standard, not to \(form.rawValue).")
        }
        guard !RawArguments.areDamaged(in: headerString) else {
            throw ValidationError(
                "--header-string is no UTF-8, and would be written as other bytes than were given.")
        }
        guard HeaderString(headerString) != nil else {
            throw ValidationError(
                "--header-string has \(headerString.utf8.count) bytes; at most 32 fit.")
        }
        guard
            file.map({ URL(filePath: $0).standardizedFileURL.resolvingSymlinksInPath() })
                != URL(filePath: output).standardizedFileURL.resolvingSymlinksInPath()
        else {
            throw ValidationError("--output '\(output)' is the binary itself; it would be lost.")
        }
        guard form != .standard || (hardwareMin == nil) == (hardwareMax == nil) else {
            throw ValidationError("Give both --hardware-min and --hardware-max, or neither.")
        }
        guard hardwareMin?.value ?? 0 <= hardwareMax?.value ?? .max else {
            throw ValidationError("--hardware-min is above --hardware-max.")
        }
        guard headerVersion.map({ $0.value >> 8 == 1 }) ?? true else {
            throw ValidationError("--header-version must be 0x0100 to 0x01FF.")
        }
        guard (reservedControlBits?.value ?? 0) & 7 == 0 else {
            throw ValidationError(
                "--reserved-control-bits may not set bits 0 to 2: they follow from the fields.")
        }
    }

    /// Refuses what stands for "any" in a query, or is nobody's yet (ZCL 11.4.2).
    private func checkCodes() throws {
        guard manufacturerCode.value != 0xFFFF else {
            throw ValidationError(
                "--manufacturer-code 0xFFFF stands for any manufacturer; give 0 to 0xFFFE.")
        }
        guard imageType.value <= 0xFFC3 else {
            throw ValidationError(
                "--image-type \(Code.text(imageType.value)) is reserved, and 0xFFFF stands for any "
                    + "type; give 0 to 0xFFC3, of which 0 to 0xFFBF are a maker's own.")
        }
        guard fileVersion.value != .max else {
            throw ValidationError(
                "--file-version 0xFFFFFFFF stands for any version; give 0 to 0xFFFFFFFE.")
        }
        guard destination != .unknown, destination?.rawValue != 0 else {
            throw ValidationError("--destination \(destination ?? .unknown) is no device's.")
        }
    }

    func run() throws {
        let image = try image()
        let isPiped = Output.isStandardOutput(output)
        try Files.write(image.encoded(), to: output)
        let report = Output.columns([
            ["Wrote", output],
            ["Form", image.form.rawValue],
            ["Size", Output.exactSize(Int(image.header.totalImageSize))],
            ["Manufacturer image", Output.exactSize(image.manufacturerImage.count)],
            ["  SHA-256", image.manufacturerImageHash.description],
        ])
        // The report must not end up in the image.
        if isPiped {
            Terminal(descriptor: STDERR_FILENO).write(report)
        } else {
            try Output.write(report)
        }
    }

    private func image() throws -> FirmwareImage {
        let content = try content()
        do {
            switch chosenForm {
            case .gbcsUnsigned:
                return try .unsigned(header: header, manufacturerImage: content)
            case .gbcsSigned:
                return try .signed(
                    header: header, manufacturerImage: content, forceReplace: forceReplace,
                    by: try signingKey())
            case .standard:
                var elements = [SubElement(tag: .upgradeImage, data: content)]
                for extra in element {
                    let data = try Files.read(extra.path, limit: FirmwareImage.maximumSize)
                    elements.append(SubElement(tag: extra.tag, data: data))
                }
                return try .standard(header: header, elements: elements, integrity: integrity)
            }
        } catch let error as ImageError {
            throw Failure(.data, "\(file ?? output): \(error)")
        }
    }

    private func content() throws -> [UInt8] {
        if let file { return try Files.read(file, limit: FirmwareImage.maximumSize) }
        return FirmwareImage.samplePayload(size: size ?? 0, seed: seed?.value ?? 0)
    }

    private func signingKey() throws -> P256.PrivateKey {
        let path = key ?? ""
        let bytes = try Files.read(path, limit: KeyFiles.maximumSize)
        do {
            return try P256.PrivateKey(pkcs8: bytes)
        } catch {
            throw Failure(.data, "\(path): no P-256 private key: \(error)")
        }
    }

    private var header: OTAHeader {
        var header = OTAHeader(
            manufacturerCode: manufacturerCode.value,
            imageType: ImageType(rawValue: imageType.value), fileVersion: fileVersion.value)
        if let headerVersion { header.headerVersion = headerVersion.value }
        if let stackVersion { header.stackVersion = StackVersion(rawValue: stackVersion.value) }
        header.headerString = HeaderString(headerString) ?? HeaderString()
        header.securityCredentialVersion = credentialVersion.map {
            SecurityCredentialVersion(rawValue: $0.value)
        }
        header.destination = destination
        header.reservedControlBits = reservedControlBits?.value ?? 0
        if chosenForm != .standard || hardwareMin != nil {
            header.hardwareVersions = HardwareRange(
                minimum: hardwareMin?.value ?? 0, maximum: hardwareMax?.value ?? .max)
        }
        return header
    }
}
