import AirBus
import ArgumentParser
import Evidence
import Foundation
import Lab

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a scenario in a virtual home, in virtual time.",
        discussion: RunArguments.discussion)

    @Argument(
        help: ArgumentHelp(
            "The scenario: a name of Profiles/scenarios, or a file's path.", valueName: "scenario"),
        completion: .custom { _, _, prefix in Completions.scenarios(prefix) })
    var scenario: String

    @OptionGroup var arguments: RunArguments

    func validate() throws { try arguments.check() }

    func run() throws { try arguments.run(scenario) }
}

/// The options that `han run` and `han demo` share, and what they do.
struct RunArguments: ParsableArguments {
    static let discussion = """
        Shows progress on standard error while it runs and a table of what became of each image \
        on standard output at the end. Exits 0 if everything the scenario expects happened, and 1 \
        if not, saying at which step. Ctrl-C (SIGINT), SIGTERM and SIGHUP stop a run, whose \
        evidence then reaches so far, with a summary that says so; another one a second later ends \
        it at once.

        --image sends a file instead of the manifest's image wherever the scenario sends one to \
        that device. Name the device as the home does (ESME-2), or give a role (ESME) for all \
        devices of that type that have no --image of their own. So that a maker's real image can \
        be tried in any home, the device takes on the file's manufacturer code and image type \
        for the run, and the lowest hardware version of the file's range if its own lies outside. \
        With --keep-identity it does not, and the hub offers it the image only if it fits.

        An ESME, GSME or HCALCS checks the image's signature with its supplier's key from the \
        home file, or with that of --certificate; the hub likewise with its signer's. A PPMID's \
        image has no signature.
        """

    @Option(
        parsing: .unconditional,
        help: "The number that everything random comes from, in the scenario's place.",
        transform: CodeArgument.read)
    var seed: CodeArgument<UInt64>?

    @Option(
        help: ArgumentHelp(
            "Leave trace.pcapng, events.jsonl, summary.json and zigbee_pc_keys in this folder.",
            discussion: "It is made if need be. Those four are replaced; nothing else is touched.",
            valueName: "dir"),
        completion: .directory)
    var out: String?

    @Flag(help: "Show neither progress nor table, only errors.")
    var quiet = false

    @Flag(help: "Print the summary as JSON instead of the table (docs/summary.md).")
    var json = false

    @Option(
        help: ArgumentHelp(
            "Send this image to a device or role; may be repeated.", valueName: "role=file"),
        completion: .custom { _, _, prefix in Completions.roleFiles(prefix) },
        transform: RoleFileArgument.read)
    var image: [RoleFileArgument] = []

    @Option(
        help: ArgumentHelp(
            "The certificate or public key, PEM or DER, with which a device or role checks "
                + "signatures; may be repeated.", valueName: "role=file"),
        completion: .custom { _, _, prefix in Completions.roleFiles(prefix) },
        transform: RoleFileArgument.read)
    var certificate: [RoleFileArgument] = []

    @Flag(help: "With --image: devices keep the codes and hardware version of the home file.")
    var keepIdentity = false

    @Option(
        help: ArgumentHelp(
            "What carries the frames: simulation (one process), or zmq (a process for the air and "
                + "for each member).", valueName: "transport"))
    var transport = Transport.simulation

    @Option(
        help: ArgumentHelp(
            "With zmq: count a node as dead that has not answered for so many seconds.",
            valueName: "seconds"))
    var patience: Double?

    @Option(
        help: ArgumentHelp(
            "With zmq: leave this member's place to a node of yours; may be repeated.",
            discussion: "The endpoint where it can join is said on standard error, and the run "
                + "begins once it is there (docs/air-protocol.md).", valueName: "name"))
    var without: [String] = []

    @OptionGroup var credentials: CredentialsArgument

    func check() throws {
        guard without.isEmpty || transport == .zmq else {
            throw ValidationError("--without is about processes; give --transport zmq too.")
        }
        guard patience.map({ $0 > 0 && $0 <= 86_400 }) ?? true else {
            throw ValidationError("--patience is a number of seconds, up to 86400.")
        }
        guard patience == nil || transport == .zmq else {
            throw ValidationError("--patience is about processes; give --transport zmq too.")
        }
        guard !keepIdentity || !image.isEmpty else {
            throw ValidationError("--keep-identity says how --image is used; give --image too.")
        }
        guard out != "" else { throw ValidationError("--out needs the name of a folder.") }
    }

    func run(_ name: String) throws {
        let installation = try Installation.locate()
        var cast = try StoryArguments.cast(
            name, images: image, certificates: certificate, keepsIdentity: keepIdentity,
            installation)
        for name in without { try check(name, isIn: cast.home) }
        try cast.take(credentials, absent: Set(without))
        for line in credentials.warnings(cast.home) {
            Terminal(descriptor: STDERR_FILENO).write("han: \(line)\n")
        }
        let progress =
            quiet
            ? nil : RunProgress(roster: HomeCast(cast.home).roster, scenario: cast.scenario)
        progress?.begin(notes: cast.notes)
        let result: RunResult
        do {
            result = try Interruption.watching { try play(name, cast, progress) }
        } catch let error as EvidenceError {
            progress?.end()
            throw Failure(.io, error.description)
        } catch let error as ChildError {
            progress?.end()
            throw Failure(error, else: .unavailable)
        }
        progress?.end()
        if result.isInterrupted, let signal = Interruption.signal { stop(result, by: signal) }
        try report(result, of: cast)
    }

    private func play(
        _ name: String, _ cast: RunCast, _ progress: RunProgress?
    ) throws -> RunResult {
        let options = RunOptions(seed: seed?.value, folder: out)
        let isStopped = { Interruption.signal != nil }
        switch transport {
        case .simulation:
            return try Runner(
                home: cast.home, scenario: cast.scenario, images: try cast.images(),
                options: options
            ).run(observer: progress, isStopped: isStopped, wallClock: Clock.seconds)
        case .zmq:
            let story = StoryArguments.arguments(
                name, images: image, certificates: certificate, keepsIdentity: keepIdentity)
            var air = ["air", "--pace", "virtual"] + story
            if let seed { air += ["--seed", "\(seed.value)"] }
            if let patience { air += ["--patience", "\(patience)"] }
            air += ["--join-patience", "\(patience ?? 30)"]
            var keys = credentials.arguments
            air += keys
            for name in without {
                air += ["--awaited", name]
                // Somebody else's program has no certificate of this run's authority.
                if !cast.home.hubHasForeignAuthority { keys += ["--install-code", name] }
            }
            return try BusRunner(
                home: cast.home, scenario: cast.scenario, images: try cast.images(),
                options: options, airArguments: air, absent: Set(without),
                nodeArguments: { ["node", "--name", $0] + keys + story }
            ).run(
                observer: progress, isStopped: isStopped, wallClock: Clock.seconds,
                announce: announce)
        }
    }

    private func check(_ name: String, isIn home: Home) throws {
        let names = [home.hub.name] + home.devices.map(\.name)
        guard names.contains(name) else {
            throw Failure(
                .missing,
                "--without \(name): the home '\(home.name)' has "
                    + names.joined(separator: ", "))
        }
    }

    private func announce(_ endpoint: String) {
        guard !without.isEmpty else { return }
        Terminal(descriptor: STDERR_FILENO).write(
            "han: the air is at \(endpoint) and waits for \(without.joined(separator: ", "))\n")
    }

    /// Says where the run stood and ends as the signal would have ended it.
    private func stop(_ result: RunResult, by signal: Int32) -> Never {
        var message =
            "han: \(Interruption.name(of: signal)) after "
            + "\(Words.duration(result.summary.virtualTime)) of virtual time: "
            + (result.failure ?? "stopped")
        if let folder = result.folder { message += "; the evidence so far is in '\(folder.path)'" }
        Terminal(descriptor: STDERR_FILENO).write(message + "\n")
        Interruption.end(by: signal)
    }

    private func report(_ result: RunResult, of cast: RunCast) throws {
        if json {
            try Output.write(result.summary.json)
        } else if !quiet {
            let terminal = Terminal(descriptor: STDOUT_FILENO)
            let table = RunTable(
                result: result, scenario: cast.scenario, home: cast.home,
                width: terminal.width, style: terminal.style)
            try Output.write(table.text)
        }
        guard result.summary.outcome != .passed else { return }
        throw Failure(.verdict, "the run failed: \(result.failure ?? "no reason was given")")
    }
}

enum Transport: String, ExpressibleByArgument, CaseIterable {
    case simulation
    case zmq
}

/// `ROLE=FILE`, where the role may also be a device's name.
struct RoleFileArgument {
    var role: String
    var path: String

    /// Reads an argument, or says what was expected.
    static func read(_ text: String) throws -> RoleFileArgument {
        let parts = text.split(separator: "=", maxSplits: 1)
        guard parts.count == 2, !text.hasPrefix("=") else {
            throw ValidationError(
                "expected a role or a device's name, '=' and a file, as in ESME=my.ota")
        }
        return RoleFileArgument(role: String(parts[0]), path: String(parts[1]))
    }
}

/// What a shell offers for arguments that are more than a file's name.
enum Completions {
    static func homes(_ prefix: String) -> [String] {
        (names(of: .home) + files(prefix).filter { $0.hasSuffix(".yaml") || $0.hasSuffix("/") })
            .filter { $0.hasPrefix(prefix) }
    }

    static func scenarios(_ prefix: String) -> [String] {
        (names(of: .scenario) + files(prefix).filter { $0.hasSuffix(".yaml") || $0.hasSuffix("/") })
            .filter { $0.hasPrefix(prefix) }
    }

    static func dccs(_ prefix: String) -> [String] {
        (names(of: .dcc) + files(prefix).filter { $0.hasSuffix(".yaml") || $0.hasSuffix("/") })
            .filter { $0.hasPrefix(prefix) }
    }

    /// Of the manifest, and files.
    static func images(_ prefix: String) -> [String] {
        let folder = (try? Installation.locate())?.firmware
        let manifest = folder.flatMap { try? Manifest.load(folder: $0) }
        return ((manifest?.entries.map(\.id) ?? []) + files(prefix)).filter { $0.hasPrefix(prefix) }
    }

    static func roleFiles(_ prefix: String) -> [String] {
        guard let equals = prefix.firstIndex(of: "=") else {
            return ["CH=", "ESME=", "GSME=", "PPMID=", "HCALCS="].filter {
                $0.hasPrefix(prefix.uppercased())
            }
        }
        let path = prefix[prefix.index(after: equals)...]
        return files(String(path)).map { prefix[...equals] + $0 }
    }

    private static func names(of kind: ProfileKind) -> [String] {
        guard let installation = try? Installation.locate() else { return [] }
        return ProfileLibrary(installation).list().filter { $0.kind == kind }.map(\.name)
    }

    /// Files and folders whose paths begin with `prefix`, folders with a slash behind.
    private static func files(_ prefix: String) -> [String] {
        let start = prefix.lastIndex(of: "/").map { prefix.index(after: $0) } ?? prefix.startIndex
        let folder = String(prefix[..<start])
        let names = try? FileManager.default.contentsOfDirectory(
            atPath: folder.isEmpty ? "." : folder)
        return (names ?? []).sorted().filter { $0.hasPrefix(prefix[start...]) }.map {
            folder + $0 + (Files.isFolder(folder + $0) ? "/" : "")
        }
    }
}

/// The machine's clock, for wall time only.
enum Clock {
    /// Seconds from some fixed point; never goes back.
    static func seconds() -> Double { WallClock.seconds() }

    static func sleep(_ seconds: Double) { usleep(UInt32(seconds * 1e6)) }
}
