import ArgumentParser
import Crypto
import Lab
import Wire

struct KeysImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Take in a lab's own keys and certificates for a member of a home.",
        discussion: """
            Checks that the material fits together and is the member's, and puts it into a folder \
            that only this user can enter, from where --credentials of 'han run', 'han up' and \
            'han node' has the member use it. So real hardware can join with its maker's \
            certificates, or those of the Certicom test root, once the hub has such ones too. \
            Nothing secret is shown or logged.

            Key establishment: certificate (48 bytes in suite 1, 74 in suite 2), private key (21 \
            or 36) and CA public key (22 or 37), as bytes or hex digits in a file each, or \
            together in a listing with lines 'CA Public Key:', 'Device Implicit Cert:' and 'Device \
            Private Key:'. Each of these options may be repeated, for the other suite.

            GBCS: P-256 certificates and private keys, PEM or DER. A certificate without its key \
            is enough for somebody whose part is played elsewhere.
            """)

    @Argument(
        help: ArgumentHelp(
            "Whose it is: a member's name in the home (CHF for the hub's CHF), or an EUI-64.",
            valueName: "member"))
    var member: String

    @Option(
        help: "The home in which the member has that name.",
        completion: .custom { _, _, prefix in Completions.homes(prefix) })
    var home = "standard"

    @Option(
        help: ArgumentHelp("The folder for it; it is made if need be.", valueName: "dir"),
        completion: .directory)
    var to: String

    @Option(
        help: ArgumentHelp("A listing for key establishment.", valueName: "file"),
        completion: .file())
    var cbke: [String] = []

    @Option(
        help: ArgumentHelp("An implicit certificate.", valueName: "file"), completion: .file())
    var cbkeCertificate: [String] = []

    @Option(
        help: ArgumentHelp("The private key of one.", valueName: "file"), completion: .file())
    var cbkeKey: [String] = []

    @Option(
        help: ArgumentHelp("The public key of its CA.", valueName: "file"), completion: .file())
    var cbkeCA: [String] = []

    @Option(
        help: ArgumentHelp("The GBCS certificate for signing.", valueName: "file"),
        completion: .file())
    var signingCertificate: String?

    @Option(
        help: ArgumentHelp("Its private key.", valueName: "file"), completion: .file())
    var signingKey: String?

    @Option(
        help: ArgumentHelp("The GBCS certificate for key agreement.", valueName: "file"),
        completion: .file())
    var agreementCertificate: String?

    @Option(
        help: ArgumentHelp("Its private key.", valueName: "file"), completion: .file())
    var agreementKey: String?

    @Option(
        help: ArgumentHelp(
            "A file with the install code in hex digits, its CRC at the end.", valueName: "file"),
        completion: .file())
    var installCode: String?

    @Flag(help: "Replace what the folder has of the member.")
    var force = false

    func validate() throws {
        guard !to.isEmpty else { throw ValidationError("--to needs the name of a folder.") }
        let single = [
            signingCertificate, signingKey, agreementCertificate, agreementKey, installCode,
        ]
        guard
            !(cbke + cbkeCertificate + cbkeKey + cbkeCA).isEmpty
                || single.contains(where: { $0 != nil })
        else {
            throw ValidationError(
                "Nothing to import: give --cbke, --signing-certificate, --agreement-certificate or "
                    + "--install-code.")
        }
    }

    func run() throws {
        let id = try subject()
        var material = CredentialMaterial(of: id)
        for path in cbke { try material.addListing(read(path), path: path) }
        for (part, paths): (CredentialMaterial.Part, [String]) in [
            (.certificate, cbkeCertificate), (.privateKey, cbkeKey), (.authorityKey, cbkeCA),
        ] {
            for path in paths { try material.add(part, file: read(path), path: path) }
        }
        for (use, certificate, key): (CertificateIssuer.Use, String?, String?) in [
            (.signing, signingCertificate, signingKey),
            (.agreement, agreementCertificate, agreementKey),
        ] {
            if let path = certificate {
                try material.add(certificate: read(path), for: use, path: path)
            }
            if let path = key { try material.add(key: read(path), for: use, path: path) }
        }
        if let path = installCode { try material.add(installCode: read(path), path: path) }
        let credentials = try material.credentials()
        try CredentialFolder.write(credentials, of: id, to: to, replaces: force)
        let name = member == "\(id)" ? member : "\(member) (\(id))"
        try Output.write(CredentialWords.describe(credentials, of: name, in: to))
    }

    private func read(_ path: String) throws -> [UInt8] {
        try Files.read(path, limit: KeyFiles.maximumSize)
    }

    private func subject() throws -> EUI64 {
        if let id = EUI64(member) { return id }
        let home = try ProfileLibrary(Installation.locate()).reading { try $0.home(self.home) }
        if member == home.hub.name { return home.hub.eui64 }
        if member == "CHF" { return home.hub.chf }
        guard let device = home.devices.first(where: { $0.name == member }) else {
            throw Failure(
                .missing,
                "the home '\(home.name)' has no '\(member)'; it has "
                    + ([home.hub.name, "CHF"] + home.devices.map(\.name)).joined(separator: ", ")
                    + "; an EUI-64 has sixteen hex digits")
        }
        return device.eui64
    }
}
