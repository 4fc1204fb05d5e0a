import ArgumentParser
import Crypto
import GBCS
import Lab

struct ImageVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check an image's supplier signature, or say that its form has none.",
        discussion: """
            Exits 0 if the signature is valid and 1 if it is wrong. The image of a PPMID \
            (gbcs-unsigned) has no signature that could be wrong: that is said, and the exit code \
            is 0. In the standard form the image integrity code is checked instead, if there is \
            one; 1 if it is wrong.

            The certificate gives the key; its dates and its issuer are not checked. Give --form \
            for a device type you know: a signed image whose end is broken looks unsigned.
            """)

    @Argument(help: ArgumentHelp("The image.", valueName: "file"))
    var file: String

    @Option(help: "The supplier's digital-signing certificate, PEM or DER.")
    var certificate: String?

    @Option(help: "The supplier's public or private key in the certificate's place, PEM or DER.")
    var key: String?

    @Option(help: "Read it in this form, whatever it looks like.")
    var form: FirmwareImage.Form?

    func validate() throws {
        guard certificate == nil || key == nil else {
            throw ValidationError("Give --certificate or --key, not both.")
        }
    }

    func run() throws {
        // The key is read first, so that a wrong name shows whatever the image is.
        let publicKey = try publicKey()
        let image = try ImageCommand.read(file, form: form)
        switch image.form {
        case .gbcsUnsigned:
            try Output.write(
                "\(file): no supplier signature; the form gbcs-unsigned (PPMID) has none. If this "
                    + "is another device's image, its end is missing or damaged: --form "
                    + "gbcs-signed says where\n")
        case .standard:
            try verifyIntegrity(of: image)
        case .gbcsSigned:
            guard let publicKey else {
                throw Failure(.usage, "\(file) is signed; give --certificate or --key to check it")
            }
            guard image.verifySignature(by: publicKey) == .valid else {
                throw Failure(
                    .verdict,
                    "\(file): the signature is wrong: either the manufacturer image was changed "
                        + "or another key signed it than that of \(certificate ?? key ?? "")")
            }
            if let replace = image.trailer?.forceReplace, replace > 1 {
                throw Failure(
                    .verdict,
                    "\(file): the supplier signature is valid, and the force replace byte before "
                        + "it is \(replace), neither 0 nor 1")
            }
            try Output.write("\(file): the supplier signature is valid\n")
        }
        try Output.write("manufacturer image SHA-256 \(image.manufacturerImageHash)\n")
    }

    private func verifyIntegrity(of image: FirmwareImage) throws {
        let none = "\(file): no supplier signature; the form standard has none"
        switch image.verifyIntegrity() {
        case .none: try Output.write("\(none), and there is no image integrity code\n")
        case .matches(let coverage):
            try Output.write(
                "\(none); the image integrity code is right (\(coverage.rawValue))\n")
        case .wrong:
            throw Failure(
                .verdict,
                "\(file): the image integrity code is wrong, with and without its tag header")
        }
    }

    private func publicKey() throws -> P256.PublicKey? {
        guard let path = certificate ?? key else { return nil }
        let bytes = try Files.read(path, limit: KeyFiles.maximumSize)
        do {
            return certificate == nil
                ? try P256.PublicKey(any: bytes) : try P256.PublicKey(certificate: bytes)
        } catch {
            throw Failure(.data, "\(path): no usable P-256 key: \(error)")
        }
    }
}
