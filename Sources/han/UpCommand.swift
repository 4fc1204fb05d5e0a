import AirBus
import ArgumentParser
import Evidence
import Glibc
import Lab
import Wire

struct UpCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Start a home: its air, its hub and its devices, each a process of its own.",
        discussion: """
            Shows who joins and what happens, and keeps the home until Ctrl-C or 'han down'. With \
            --detach it returns 0 once everybody has joined the air, and the home stays; otherwise \
            it says what went wrong, with the exit code of the part that could not start. 'han ps' \
            shows the homes that are up, 'han ctl' sends images and orders, 'han sniff' captures \
            the frames.

            Logs, sockets and flash files are in a folder that only this user can enter, and go \
            with the home; with --flash the flash files stay, and the next 'han up' with the same \
            folder goes on with them. A process that ends or is killed does not end the home: \
            'han ctl start' starts it again. Without its air a home ends, with 69. If evidence \
            cannot be written, a line says so at once, the home goes on without it and ends with \
            74, and so does 'han down'.
            """)

    @Argument(
        help: "The home: a name of Profiles/homes, or a file's path.",
        completion: .custom { _, _, prefix in Completions.homes(prefix) })
    var home = "standard"

    @Flag(help: "Return as soon as everybody has joined, and leave the home running.")
    var detach = false

    @OptionGroup var air: AirOptions

    @Option(
        help: ArgumentHelp(
            "Keep the flash files, one a node, in this folder, made if need be.",
            valueName: "dir"), completion: .directory)
    var flash: String?

    @Flag(help: "Have the disk confirm every write to flash, for machines that may lose power.")
    var durable = false

    @Option(
        help: ArgumentHelp(
            "Leave this member's place to a process of somebody else's; may be repeated.",
            valueName: "member"))
    var without: [String] = []

    @OptionGroup var credentials: CredentialsArgument

    @Option(
        help: ArgumentHelp("What to call it, in the home's own name's place.", valueName: "run"))
    var name: String?

    /// It is the process that stays behind, and reports to the one that does not.
    @Flag(help: .hidden)
    var report = false

    func validate() throws {
        if let name, !HomeRun.isName(name) {
            throw ValidationError(
                "--name is up to 40 letters, digits, '-', '_' and '.', and does not begin with "
                    + "'.'.")
        }
    }

    func run() throws {
        if detach, !report { return try leaveBehind() }
        var isReported = false
        do {
            try Failure.converting {
                try keep { line in
                    guard report else { return }
                    Daemon.report("0 \(line)")
                    isReported = true
                }
            }
        } catch let failure as Failure where report && !isReported {
            Daemon.report("\(failure.code.rawValue) \(failure.message)")
            throw failure
        }
    }

    /// Has another process keep the home and says what that says.
    private func leaveBehind() throws {
        let arguments = CommandLine.arguments.dropFirst() + ["--report"]
        let line: String?
        do {
            line = try Interruption.watching {
                try Daemon.start(Array(arguments), isStopped: { Interruption.signal != nil })
            }
        } catch let error as ChildError {
            throw Failure(error, else: .unavailable)
        }
        if let signal = Interruption.signal { Interruption.end(by: signal) }
        guard let line, let space = line.firstIndex(of: " "), let code = Int32(line[..<space])
        else {
            throw Failure(.unavailable, "the home's supervisor ended before it could say why")
        }
        let words = String(line[line.index(after: space)...])
        if code != 0 { throw Failure(Failure.Code(rawValue: code) ?? .unavailable, words) }
        try Output.write(words + "\n")
    }

    private func keep(ready: (String) -> Void) throws {
        let installation = try Installation.locate()
        var home = try ProfileLibrary(installation).reading { try $0.home(self.home) }
        let roster = HomeCast(home).roster
        let members = Array(roster.members.dropLast())
        for name in without where !members.contains(where: { $0.name == name }) {
            throw Failure(
                .missing,
                "--without: the home '\(home.name)' has no '\(name)'; it has "
                    + Words.list(members.map(\.name)))
        }
        try credentials.apply(to: &home, absent: Set(without))
        var plan = HomePlan(
            name: name ?? Self.runName(home.name), home: Self.fullPath(self.home),
            members: members, pace: air.pace.text, start: air.pace.start)
        plan.seed = air.seed?.value
        plan.evidence = air.out.map { Self.absolute($0) }
        plan.flash = try flash.map { try Self.flashFolder(Self.absolute($0)) }
        plan.isDurable = durable
        plan.absent = Set(without)
        plan.credentials = credentials.credentials.map { Self.absolute($0) }
        plan.absentHaveCertificates = home.hubHasForeignAuthority
        plan.nodePatience = air.patience
        do {
            let view = HomeView(roster: roster)
            for line in credentials.warnings(home) { view.say(line) }
            var isUp = false
            try Interruption.watching {
                let supervisor = try HomeSupervisor(plan)
                if report { Daemon.keepLog("\(supervisor.path)/supervisor.log") }
                supervisor.say = { view.say($0) }
                if !report { supervisor.observer = view }
                supervisor.isStopped = {
                    Interruption.signal != nil || report && !isUp && Daemon.isForsaken
                }
                try supervisor.run { run in
                    isUp = true
                    let words = Self.words(for: run)
                    if !report { view.say(words) }
                    ready(words)
                }
            }
        } catch let error as HomeError {
            if case .evidence = error { throw Failure(.io, error.description) }
            if let signal = Interruption.signal { Interruption.end(by: signal) }
            throw Failure(Self.code(for: error), error.description)
        }
        if let signal = Interruption.signal { Interruption.end(by: signal) }
    }

    /// That of the part that ended, where it says what is wrong.
    private static func code(for error: HomeError) -> Failure.Code {
        guard case .start(_, let code?) = error, let code = Failure.Code(rawValue: code),
            code != .verdict
        else { return .unavailable }
        return code
    }

    private static func words(for run: HomeRun) -> String {
        let names = run.parts.map(\.name).filter { $0 != "AIR" }
        let rest = run.members.map(\.name).filter { !names.contains($0) }
        return "the home '\(run.name)' is up: \(Words.list(names)) on the air at \(run.endpoint)"
            + (rest.isEmpty ? "" : "; it waits for \(Words.list(rest))")
    }

    /// A home's name as a run's.
    private static func runName(_ name: String) -> String {
        let safe = String(name.prefix(40)).map { HomeRun.isName("x\($0)") ? String($0) : "-" }
        let joined = safe.joined()
        return HomeRun.isName(joined) ? joined : "home"
    }

    /// The path of a home's file, wherever a process is started again later; a name as it is.
    private static func fullPath(_ home: String) -> String {
        guard let path = realpath(home, nil) else { return home }
        defer { free(path) }
        return home.contains("/") || home.hasSuffix(".yaml") ? String(cString: path) : home
    }

    private static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let folder = getcwd(nil, 0) else { return path }
        defer { free(folder) }
        return String(cString: folder) + "/" + path
    }

    private static func flashFolder(_ path: String) throws -> String {
        if mkdir(path, 0o700) != 0, errno != EEXIST {
            throw Failure(
                .io, "--flash: '\(path)' cannot be made: \(String(cString: strerror(errno)))")
        }
        guard Files.isFolder(path) else { throw Failure(.io, "--flash: '\(path)' is no folder") }
        return path
    }
}

/// Shows a home on standard error while it goes on: a line for whatever matters.
private final class HomeView: RunObserver {
    private let terminal = Terminal(descriptor: STDERR_FILENO)
    private var state: ProgressState

    init(roster: Roster) { state = ProgressState(roster: roster) }

    func say(_ line: String) { terminal.write("han: \(line)\n") }

    func observe(_ event: EventRecord) {
        guard let milestone = state.take(event) else { return }
        let time = Words.clock(event.time - .zero)
        let blanks = String(repeating: " ", count: max(0, 9 - time.count))
        terminal.write(
            "\(blanks)\(terminal.style.paint(time, .quiet))  \(milestone.name) "
                + terminal.style.paint(milestone.words, milestone.tone) + "\n")
    }
}
