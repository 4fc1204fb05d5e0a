import ArgumentParser
import Console
import DCC
import DUIS
import Foundation
import GBCS
import HeadEnd
import Lab
import Logging
import Tracking
import Wire

struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run a DCC with homes behind it: DUIS gateway, tracking screen, control API.",
        discussion: """
            Takes service requests at /api/v1/serviceD, serviceS and serviceT, shows where every \
            update is at /, and answers test benches at /api/control/v1, which /api describes.

            All that must outlive it is in its state folder, and the next start goes on from \
            there. Keys that no --keystore has it makes, and writes what service users need of \
            them to the folder keys of its state folder: those that sign XML, suppliers' own for \
            GBCS messages, and everybody's certificates.

            It listens to this machine alone unless --bind says otherwise; then the screen and the \
            control API want a token, which is in the file token of the state folder and is \
            printed when it is made.

            Ends with 0 at Ctrl-C or SIGTERM, once what has begun is answered and stored; a second \
            signal ends it at once.
            """)

    @Option(
        name: .customLong("home"),
        help: ArgumentHelp(
            "A home behind it: a name of Profiles/homes, or a file's path; may be given several "
                + "times. The standard home unless given.", valueName: "home"),
        completion: .custom { _, _, prefix in Completions.homes(prefix) })
    var homes: [String] = []

    @OptionGroup var keyStore: ServeKeyStoreArgument

    @Option(
        help: ArgumentHelp(
            "The DCC's settings: a name of Profiles/dcc, or a file's path.", valueName: "dcc"),
        completion: .custom { _, _, prefix in Completions.dccs(prefix) })
    var dcc = "standard"

    @Option(
        help: ArgumentHelp(
            "The state folder; $XDG_STATE_HOME/han/serve, or ~/.local/state/han/serve, unless "
                + "given.", valueName: "dir"), completion: .directory)
    var state: String?

    @Option(help: "The port; 0 for any that is free.")
    var port = 8_079

    @Option(help: ArgumentHelp("The address to listen at.", valueName: "address"))
    var bind = "127.0.0.1"

    @Option(
        name: .customLong("host"),
        help: ArgumentHelp(
            "A name that browsers know the server by; may be given several times.",
            valueName: "name"))
    var hosts: [String] = []

    @Option(
        help: ArgumentHelp(
            "How time runs: real, virtual (as fast as it goes while something is under way), or "
                + "xN for N times as fast as real.", valueName: "pace"))
    var pace = "x3600"

    @Option(
        help: ArgumentHelp(
            "The date and time at which a new world begins, UTC; \(usualStart) unless given.",
            valueName: "time"))
    var start: String?

    private static let usualStart = "2026-03-02T09:00:00Z"

    @Option(
        help: ArgumentHelp(
            "Hold requests against the published schema too: its duis.xsd.", valueName: "file"),
        completion: .file())
    var schema: String?

    func validate() throws {
        guard (0...65_535).contains(port) else {
            throw ValidationError("--port is a number from 0 to 65535.")
        }
        guard Pace(pace) != nil else {
            throw ValidationError(
                "--pace is real, virtual, or x and a number from 0.01 to 100000, as in x60.")
        }
        guard GeneralizedTime(start ?? Self.usualStart)?.secondsSince2000 != nil else {
            throw ValidationError("--start is a time such as 2026-03-02T09:00:00Z.")
        }
        guard !bind.isEmpty, state != "" else {
            throw ValidationError("--bind and --state want a value.")
        }
    }

    func run() throws {
        // A client that goes away while it is written to.
        try Interruption.watching {
            // All that can be wrong is looked at before anything is made.
            let place = try place()
            var plan = try plan()
            var keys = try ServeKeys(keyStore, for: plan, own: "\(place)/keys")
            keys.hand(to: &plan)
            try keys.check()
            let (served, signer) = (plan, keys.signer)
            var words = keys.words.map { "keys: \($0)" }
            let schema = try readSchema()
            try Self.storing { try served.check() }
            var settings = ConsoleSettings()
            (settings.bind, settings.port, settings.hosts) = (bind, port, hosts)
            settings.notices = NoticeSettings(served.settings.notices)
            do throws(ConsoleError) {
                try settings.checkAddress()
            } catch {
                throw Failure(error)
            }
            let token = try settings.isLoopback ? nil : Token(of: place)

            do {
                try Files.makePrivateFolder(place)
            } catch {
                throw Failure(.io, "--state: \(error); name a folder of your own")
            }
            let store = try Self.storing {
                try TrackingStore(path: "\(place)/\(StateFolder.store)")
            }
            defer { try? store.close() }
            let headEnd = try Self.storing {
                try HeadEnd(served, store: store) { try DUISWriter.response($0, signedBy: signer) }
            }
            tell(of: headEnd.absentHomes)
            try keys.write()
            try token?.write()
            settings.token = token?.text
            if let start, let clock = try Self.storing({ try store.load() }).clock {
                words.append(
                    "the world of this state folder goes on at \(Self.text(clock)); "
                        + "--start \(start) is for one that begins, in a --state of its own")
            }
            let notes = words
            var logger = Logger(label: "han") { StreamLogHandler.standardError(label: $0) }
            logger.logLevel = .info
            let reader = DUISReader(
                signatures: .demanded(keys.xml), schema: schema, maximumSize: settings.maximumBody)
            let server = ConsoleServer(
                settings,
                ConsoleParts(
                    gateway: LiveGateway(
                        reader: reader, signer: signer, headEnd: headEnd, logger: logger),
                    tracking: StoredTracking(store), world: LiveWorld(headEnd),
                    notices: StoredNotices(store, headEnd: headEnd)), logger: logger)
            headEnd.start()
            defer { headEnd.stop() }
            try Self.wait(for: server) { say(served, notes, place, server.address) }
        }
    }

    /// Runs the server until a signal comes.
    private static func wait(
        for server: ConsoleServer, started: @escaping @Sendable () -> Void
    ) throws {
        let (done, result) = (DispatchSemaphore(value: 0), ResultBox())
        Task {
            do {
                try await server.run { _ in started() }
            } catch {
                result.error = error
            }
            done.signal()
        }
        var isStopping = false
        while done.wait(timeout: .now() + .milliseconds(50)) == .timedOut {
            if Interruption.signal != nil, !isStopping {
                isStopping = true
                Task { await server.stop() }
            }
        }
        guard let error = result.error else { return }
        throw (error as? ConsoleError).map { Failure($0) } ?? Failure(.unavailable, "\(error)")
    }

    private final class ResultBox: @unchecked Sendable {
        var error: (any Error)?
    }

    private func tell(of homes: [String]) {
        guard !homes.isEmpty else { return }
        let names = Words.list(Words.some(homes.map { "'\($0)'" }, of: 5))
        let (subject, verb, object) =
            homes.count == 1 ? ("home", "is", "it") : ("homes", "are", "them")
        Terminal(descriptor: STDERR_FILENO).write(
            "han: the state folder also has the \(subject) \(names), which \(verb) not served now: "
                + "all that is kept of \(object), requests too, stays as it is, and nothing "
                + "happens there; to go on with \(object), name \(object) with --home as well\n")
    }

    private func say(
        _ plan: HeadEndPlan, _ notes: [String], _ place: String, _ address: String
    ) {
        var lines = ["listening at \(address)", "state in \(place)"]
        lines += notes
        for user in plan.settings.users.values.sorted(by: { $0.id < $1.id }) {
            lines.append(
                "\(user.name) (\(user.id.description)): "
                    + (user.responseURL.map { "results go to \($0)" }
                        ?? "results are kept, as there is no URL"))
        }
        try? Output.write(lines.map { "han: \($0)\n" }.joined())
    }

    private static func text(_ time: UTCTime) -> String {
        GeneralizedTime(secondsSince2000: time.secondsSince2000)?.description ?? "its own time"
    }

    // MARK: - What it is made of

    private func place() throws -> String {
        guard
            let place = state
                ?? StateFolder.serve(environment: ProcessInfo.processInfo.environment)
        else {
            throw Failure(.setting, "neither XDG_STATE_HOME nor HOME is set; give --state")
        }
        return place
    }

    private func readSchema() throws -> DUISSchema? {
        guard let schema else { return nil }
        guard FileManager.default.fileExists(atPath: schema) else {
            throw Failure(FileError.missing(schema))
        }
        do {
            return try DUISSchema(path: schema)
        } catch {
            throw Failure(.data, "--schema: \(error)")
        }
    }

    private func plan() throws -> HeadEndPlan {
        let installation = try Installation.locate()
        let library = ProfileLibrary(installation)
        let names = homes.isEmpty ? ["standard"] : homes
        let all = try names.map { name in try library.reading { try $0.home(name) } }
        let profile = try library.reading { try $0.dcc(dcc) }
        try profile.settings.checkCodes("--dcc \(dcc)")
        let start = start ?? Self.usualStart
        guard let seconds = GeneralizedTime(start)?.secondsSince2000 else {
            throw Failure(.usage, "--start: '\(start)' is no time")
        }
        var plan = HeadEndPlan(
            homes: all, settings: profile.settings, inventory: profile.inventory,
            manifest: try Manifest.load(folder: installation.firmware),
            start: UTCTime(secondsSince2000: seconds))
        if let pace = Pace(pace) { plan.pace = pace }
        return plan
    }

    /// The token of the state folder, made once.
    private struct Token {
        let text: String
        private let path: String
        private let isNew: Bool

        /// Reads it if it is there.
        init(of place: String) throws {
            path = "\(place)/token"
            isNew = access(path, F_OK) != 0
            if isNew {
                var generator = SystemRandomNumberGenerator()
                text = (0..<2).map { _ in Hex.string(generator.next() as UInt64, digits: 16) }
                    .joined()
            } else {
                text = String(decoding: try Files.read(path, limit: 256), as: UTF8.self)
                    .trimmingCharacters(in: .whitespacesAndNewlines)
            }
            guard text.count >= 16 else {
                throw Failure(
                    .setting,
                    "'\(path)' holds no token of 16 characters or more; remove it, and one is made")
            }
        }

        func write() throws {
            guard isNew else { return }
            try Files.replace(Array("\(text)\n".utf8), at: path, mode: 0o600)
            try Output.write("han: the token for the screen and the control API: \(text)\n")
        }
    }

    /// Runs `body`, turning what is wrong with the store or the homes into failures.
    private static func storing<T>(_ body: () throws -> T) throws -> T {
        do {
            return try body()
        } catch let error as StoreError {
            throw Failure(error)
        } catch let error as HeadEndError {
            if case .absent = error { throw Failure(.setting, "\(error)") }
            throw Failure(.data, "\(error)")
        }
    }
}

extension Failure {
    init(_ error: ConsoleError) {
        switch error {
        case .portInUse, .notAllowed: code = .unavailable
        case .noAddress, .unknownHost: code = .setting
        }
        message = error.description
    }
}
