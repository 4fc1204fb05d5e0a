import ArgumentParser
import Lab

struct ProfileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "profile",
        abstract: "List device, hub, home, scenario and DCC files, and check them.",
        subcommands: [ProfileListCommand.self, ProfileValidateCommand.self])
}

struct ProfileListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the devices, hubs, homes, scenarios and DCCs of the library.",
        discussion: """
            Looks at each file's kind and title only; 'han profile validate' reads it whole.

            --json prints a list, by kind and name, of objects with the keys kind (device, hub, \
            home, scenario or dcc), name, path, title and, for a file that cannot be read, problem.
            """)

    @Option(
        help:
            "The folder with devices, hubs, homes, scenarios and DCCs; the project's own if absent."
    )
    var profiles: String?

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let folder = try profiles ?? Installation.locate().profiles
        guard Files.isFolder(folder) else { throw Failure(FileError.missing(folder)) }
        let kinds = ProfileKind.allCases.map(\.folder)
        guard kinds.contains(where: { Files.isFolder("\(folder)/\($0)") }) else {
            throw Failure(
                .missing,
                "'\(folder)' has none of the folders \(Words.list(kinds)); name one such as the "
                    + "project's own Profiles")
        }
        let listings = ProfileLibrary(folder: folder).list()
        if json { return try Output.json(listings.map(ListedProfile.init)) }
        var rows = [["KIND", "NAME", "TITLE"]]
        for listing in listings {
            let title = listing.problem.map { "BROKEN: \($0)" } ?? listing.title
            rows.append([listing.kind.rawValue, listing.name, title])
        }
        try Output.write(Output.columns(rows))
    }
}

/// One file of `han profile list --json`.
private struct ListedProfile: Encodable {
    var kind: String
    var name: String
    var path: String
    var title: String
    var problem: String?

    init(_ listing: ProfileListing) {
        kind = listing.kind.rawValue
        name = listing.name
        path = listing.path
        title = listing.title
        problem = listing.problem
    }
}

struct ProfileValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Check files, and all that they refer to.",
        discussion: """
            The field 'kind' of a file says what it describes: a device, a hub, a home, a \
            scenario or the settings of a DCC. What it refers to is looked up beside it, then in \
            the project's own Profiles and Firmware.

            Prints a line for each file that is fine. Exits 65 if one is broken, with the first \
            mistake in each on standard error, and 66 if one does not exist. A name of the \
            project's own Profiles stands for every file there that has it.
            """)

    @Argument(help: ArgumentHelp("The files, or names of Profiles.", valueName: "file"))
    var files: [String]

    func run() throws {
        let library = ProfileLibrary(try Installation.locate())
        var failures: [Failure] = []
        for file in files.flatMap(library.paths) {
            let valid: ValidProfile
            do throws(Failure) {
                valid = try Self.validate(file, by: library)
            } catch {
                failures.append(error)
                continue
            }
            try Output.write("\(file): \(valid.summary), fine\n")
        }
        guard let first = failures.first else { return }
        // Broken content outweighs a file that is not there.
        let worst = failures.first { $0.code == .data } ?? first
        throw Failure(worst.code, failures.map(\.message).joined(separator: "\nhan: "))
    }

    private static func validate(
        _ file: String, by library: ProfileLibrary
    ) throws(Failure) -> ValidProfile {
        let valid: ValidProfile
        do {
            valid = try library.validate(file)
        } catch {
            throw Failure(error)
        }
        if valid.kind == .dcc, let profile = try? library.dcc(file) {
            try profile.settings.checkCodes(file)
        }
        return valid
    }
}

extension Failure {
    init(_ error: ProfileError) {
        switch error {
        case .file(let error): self.init(error)
        case .unknownName: self.init(.missing, error.description)
        case .content(let error): self.init(error)
        }
    }
}
