import Air
import AirBus
import ArgumentParser
import Evidence
import Foundation
import Lab
import Wire

struct AirCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "air",
        abstract: "Run an air that the hub and devices of a home join, each from its own process.",
        discussion: """
            It waits until everybody in the home's roster has come, then lets time begin, and runs \
            until it is ended. Nodes join at the endpoint; the sniffers' and the control socket \
            follow from it: PATH.sniff and PATH.control, or the next two ports \
            (docs/air-protocol.md). Socket files that a killed air has left there are replaced, \
            and nothing else is; they go with the air. Ended by a signal, it exits 0, or 74 if \
            evidence could not be written.
            """)

    @Option(
        help: ArgumentHelp(
            "Where nodes join: ipc://PATH or tcp://HOST:PORT.", valueName: "endpoint"))
    var bind: String

    @Option(
        help: """
            The home whose air it is: a name of Profiles/homes, or a file's path. Given several \
            times, the air is that of several homes out of each other's reach, each with its own \
            clock.
            """, completion: .custom { _, _, prefix in Completions.homes(prefix) })
    var home = ["standard"]

    @OptionGroup var options: AirOptions

    @Option(
        help: ArgumentHelp(
            "Encrypt with the CURVE keys in this folder, made by 'han keys air', and let only "
                + "those join whose keys it names.", valueName: "dir"), completion: .directory)
    var keys: String?

    @OptionGroup var credentials: CredentialsArgument

    @OptionGroup(visibility: .hidden) var story: StoryArguments

    /// At virtual time zero, in seconds since 2000.
    @Option(help: .hidden, transform: CodeArgument.read)
    var start: CodeArgument<UInt32>?

    /// The folder of a home or a run, which it removes if nobody keeps it any more.
    @Option(help: .hidden)
    var clear: String?

    /// Ends it when a member has not come for so many seconds.
    @Option(help: .hidden)
    var joinPatience: Double?

    /// A member that is waited for without limit all the same.
    @Option(help: .hidden)
    var awaited: [String] = []

    /// A folder that whoever started it has prepared.
    @Option(help: .hidden)
    var evidence: String?

    @Option(help: .hidden, transform: CodeArgument.read)
    var tether: CodeArgument<UInt32>?

    func validate() throws {
        guard home.count == 1 || options.out == nil else {
            throw ValidationError("--out takes the evidence of one home: give --home once.")
        }
        guard home.count == 1 || credentials.credentials == nil else {
            throw ValidationError("--credentials is about one home: give --home once.")
        }
    }

    func run() throws {
        defer {
            let isForsaken =
                tether.map { Tether(descriptor: Int32($0.value)).isBroken } ?? false
            if let folder = clear.flatMap({
                HomeFolder.takeExisting($0, isForsaken: isForsaken)
            }) {
                folder.clear()
                folder.remove()
            }
        }
        let endpoints = try AirEndpoints.reading(bind)
        guard endpoints.isIPC || endpoints.isLoopback || keys != nil else {
            throw Failure(
                .setting,
                "binding \(bind), which other machines can reach, needs CURVE keys; make "
                    + "them with 'han keys air --out DIR' and give them with --keys DIR, or bind "
                    + "ipc://PATH or tcp://127.0.0.1:PORT")
        }
        let own = try keys.map { folder in
            try Failure.reading { try KeyFolder.readAir(folder) }
        }
        let installation = try Installation.locate()
        let story = try story.cast(installation)
        let library = ProfileLibrary(installation)
        var homes =
            try story.map { [$0.home] }
            ?? home.map { name in
                try library.reading { try $0.home(name) }
            }
        for index in homes.indices {
            // Nobody is played here.
            let members = [homes[index].hub.name] + homes[index].devices.map(\.name)
            try credentials.apply(to: &homes[index], absent: Set(members))
        }
        if let clash = AirPlan.clash(homes) {
            throw Failure(
                .data,
                "the homes '\(clash.first)' and '\(clash.second)' both have "
                    + "\(clash.address): on one air every EUI-64 is one device's, so give one of "
                    + "the two another in its home file")
        }
        var folder: OutputFolder?
        do {
            folder =
                try evidence.map { OutputFolder(existing: $0) }
                ?? options.out.map { path throws(EvidenceError) in try OutputFolder(preparing: path)
                }
            defer { folder?.release() }
            let plans = homes.map { home in
                var plan = AirPlan(
                    cast: HomeCast(home, last: story == nil ? "bench" : "director"),
                    start: story?.scenario.start
                        ?? start.map { UTCTime(secondsSince2000: $0.value) } ?? options.pace.start,
                    seed: Seed(options.seed?.value ?? story?.scenario.seed ?? 1),
                    pace: options.pace.pace,
                    steps: story?.scenario.steps.map(\.title))
                plan.folder = folder
                plan.settings.patience = options.patience
                plan.settings.joinPatience = joinPatience
                plan.settings.awaited = Set(awaited)
                plan.settings.memoryLimit = 1 << 30
                plan.settings.keys = own?.keys
                plan.settings.admitted = own?.admitted ?? []
                return plan
            }
            try Interruption.watching {
                let air = try AirProcess(
                    plans, endpoints: endpoints,
                    tether: tether.map { Tether(descriptor: Int32($0.value)) },
                    isStopped: { Interruption.signal != nil },
                    log: { Terminal(descriptor: STDERR_FILENO).write("han: \($0)\n") })
                air.evidenceFailed = { error in
                    Terminal(descriptor: STDERR_FILENO).write(
                        "han: the evidence is incomplete from here on: \(error)\n")
                    if let clear { HomeFolder.note(trouble: error.description, in: clear) }
                }
                if let failure = try air.run() { throw Failure(.unavailable, failure) }
            }
        } catch let error as EvidenceError {
            throw Failure(.io, error.description)
        } catch let error as SocketError {
            throw Failure(.io, error.description)
        }
    }
}

/// `real`, `virtual` or `xN`.
struct PaceArgument: CustomStringConvertible {
    var pace: Pace
    /// As it was given.
    var text = "real"

    init(_ pace: Pace) { self.pace = pace }

    /// Reads an argument, or says what was expected.
    static func read(_ text: String) throws -> PaceArgument {
        var argument = PaceArgument(.real)
        argument.text = text
        switch text {
        case "real": argument.pace = .real
        case "virtual": argument.pace = .virtual
        default:
            guard text.hasPrefix("x"), let factor = Double(text.dropFirst()),
                factor >= 0.001, factor <= 10_000
            else {
                throw ValidationError(
                    "expected real, virtual, or x and a number from 0.001 to 10000, as in x10")
            }
            argument.pace = factor == 1 ? .real : .scaled(UInt64((factor * 1e6).rounded()))
        }
        return argument
    }

    var description: String { text }

    /// The date of virtual time zero: today's where time runs with the clock, and one that is
    /// always the same where a run is to repeat.
    var start: UTCTime {
        guard pace != .virtual else { return UTCTime(secondsSince2000: 825_757_200) }
        let seconds = Date().timeIntervalSinceReferenceDate + 366 * 86_400
        return UTCTime(secondsSince2000: UInt32(clamping: Int64(seconds)))
    }
}
