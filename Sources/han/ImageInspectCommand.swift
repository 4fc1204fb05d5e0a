import ArgumentParser
import GBCS
import Lab
import Wire

struct ImageInspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show every field of a firmware image.",
        discussion: """
            The file does not say which of the three forms it has. Without --form it is standard \
            if sub-elements fill it exactly, gbcs-signed if its end looks like a force-replace \
            byte (0 or 1), the length 0x40 and a signature, and gbcs-unsigned otherwise.

            --json prints one object with the keys file, size, form, header {headerVersion, \
            headerLength, fieldControl, manufacturerCode, imageType, fileVersion, stackVersion, \
            headerString, totalImageSize and, if present, securityCredentialVersion, destination, \
            hardwareVersions {minimum, maximum}, unknownFields}, manufacturerImage {offset, size, \
            sha256}; in the form gbcs-signed also trailer {forceReplace, signature}; in the form \
            standard also elements [{tag, name, offset, size}] and integrity ("none", "wrong", \
            "excluding-tag-header" or "including-tag-header"). Codes are text such as "0x0084", \
            byte strings are hex, sizes and offsets are numbers of bytes; size in elements is that \
            of the data, whose offset is given.
            """)

    @Argument(help: ArgumentHelp("The image.", valueName: "file"))
    var file: String

    @Option(help: "Read it in this form, whatever it looks like.")
    var form: FirmwareImage.Form?

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let image = try ImageCommand.read(file, form: form)
        let report = ImageReport(image, file: file)
        if json { return try Output.json(report) }
        try Output.write(Output.columns(report.rows(of: image)))
    }
}
