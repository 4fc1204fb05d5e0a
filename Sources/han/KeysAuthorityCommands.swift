import ArgumentParser
import Crypto
import Lab
import Wire

struct KeysCACommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ca",
        abstract: "Make a test certificate authority for ZigBee and GBCS certificates.",
        discussion: """
            The folder gets suite1.ca and suite2.ca, the authority of key establishment in both \
            suites, and root and issuing, each .pem and .key, for GBCS. Everything in it is \
            secret. It must be outside the source tree, and nobody else may enter it.

            The same seed makes the same authority, whose keys are then known to all who know \
            the seed: it is for tests.
            """)

    @Option(
        help: ArgumentHelp("The folder for it; it is made if need be.", valueName: "dir"),
        completion: .directory)
    var out: String

    @Option(
        parsing: .unconditional, help: "The number that all keys come from.",
        transform: CodeArgument.read)
    var seed: CodeArgument<UInt64> = CodeArgument(value: 1)

    @Flag(help: "Replace an authority that is there.")
    var force = false

    func validate() throws {
        guard !out.isEmpty else { throw ValidationError("--out needs the name of a folder.") }
    }

    func run() throws {
        let authority = TestAuthority(seed: Seed(seed.value))
        try authority.write(to: out, replaces: force)
        try Output.write(
            """
            \(out)/suite1.ca and suite2.ca: the ZigBee authority \
            \(authority.establishment[0].authority.issuer); keep them secret
            \(out)/root.pem and issuing.pem: the GBCS certificates
            \(out)/root.key and issuing.key: their private keys; keep them secret

            """)
    }
}

/// What a certificate is for, besides a device.
enum SubjectArgument: String, ExpressibleByArgument, CaseIterable {
    case device
    case chf
    case supplier
    case networkOperator = "network-operator"
    case accessControlBroker = "access-control-broker"
    case transitionalCoS = "transitional-cos"
    case wanProvider = "wan-provider"
    case loadController = "load-controller"

    var subject: TestAuthority.Subject {
        switch self {
        case .device: .device
        case .chf: .hubFunction
        case .supplier: .party(.supplier)
        case .networkOperator: .party(.networkOperator)
        case .accessControlBroker: .party(.accessControlBroker)
        case .transitionalCoS: .party(.transitionalCoS)
        case .wanProvider: .party(.wanProvider)
        case .loadController: .party(.loadController)
        }
    }
}

struct KeysDeviceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "device",
        abstract: "Make a device's certificates and private keys, ZigBee and GBCS ones.",
        discussion: """
            The folder gets EUI-suite1.cbke and EUI-suite2.cbke, certificate, private key and CA \
            public key of key establishment in both suites, and EUI-ds and EUI-ka, each .pem and \
            .key, the GBCS certificates for signing and key agreement. Several devices may share a \
            folder; --credentials of 'han run', 'han up' and 'han node' has them use what is in \
            it, and --keystore of 'han gbcs' reads it.

            A hub is a device with its own EUI-64; its CHF, which has no address on the HAN, gets \
            GBCS certificates only, as remote parties do, whose certificates name their role.
            """)

    @Argument(help: ArgumentHelp("Its EUI-64, sixteen hex digits.", valueName: "eui64"))
    var eui64: EUI64

    @Option(
        help: ArgumentHelp("The folder of 'han keys ca'.", valueName: "dir"),
        completion: .directory)
    var ca: String

    @Option(
        help: ArgumentHelp("The folder for it; it is made if need be.", valueName: "dir"),
        completion: .directory)
    var out: String

    @Option(help: "What it is: device, chf, or a remote party.")
    var role = SubjectArgument.device

    @Flag(help: "Replace what the folder has of it.")
    var force = false

    func validate() throws {
        guard !out.isEmpty else { throw ValidationError("--out needs the name of a folder.") }
        guard eui64.rawValue != 0, eui64.rawValue != .max else {
            throw ValidationError("\(eui64) is no device's EUI-64; it says that there is none.")
        }
    }

    func run() throws {
        let authority = try TestAuthority.read(ca)
        let credentials = authority.credentials(of: eui64, as: role.subject)
        try CredentialFolder.write(credentials, of: eui64, to: out, replaces: force)
        try Output.write(CredentialWords.describe(credentials, of: "\(eui64)", in: out))
    }
}

/// What people are told of credentials: nothing that is secret.
enum CredentialWords {
    static func describe(
        _ credentials: MemberCredentials, of name: String, in folder: String
    ) -> String {
        var lines = ["\(name) in \(folder):"]
        for own in credentials.establishment {
            lines.append(
                "  key establishment, suite \(own.suite.rawValue): certificate of the CA "
                    + "\(own.certificate.issuer), its private key, the CA's public key")
        }
        for (words, pair) in [
            ("signing", credentials.signing), ("key agreement", credentials.agreement),
        ] {
            guard let pair else { continue }
            let whose =
                pair.certificate.isDevice
                ? "a device" : pair.certificate.role?.words ?? "a party without a role"
            lines.append(
                "  GBCS \(words): certificate of \(whose), "
                    + (pair.key == nil ? "without its private key" : "its private key"))
        }
        if let code = credentials.installCode {
            lines.append("  install code: \(code.bytes.count) bytes, its CRC right")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// `--credentials`.
struct CredentialsArgument: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Have members use the certificates, keys and install codes in this folder.",
            discussion: "It is one of 'han keys device' or 'han keys import'. Everybody whom it "
                + "does not have keeps what follows from the seed.", valueName: "dir"),
        completion: .directory)
    var credentials: String?

    func validate() throws {
        guard credentials != "" else {
            throw ValidationError("--credentials needs the name of a folder.")
        }
    }

    /// As other commands are given it.
    var arguments: [String] { credentials.map { ["--credentials", $0] } ?? [] }

    func apply(to home: inout Home, absent: Set<String>) throws {
        guard let credentials else { return }
        try home.use(CredentialFolder.read(credentials), from: credentials, absent: absent)
    }

    /// What will go wrong in a home on the air, as it would with real devices.
    func warnings(_ home: Home) -> [String] {
        home.strangersToHub.map {
            "\($0)'s certificate for key establishment is of a CA that \(home.hub.name) has no "
                + "certificate of, so \(home.hub.name) will refuse it; import one for "
                + "\(home.hub.name) too"
        }
    }
}
