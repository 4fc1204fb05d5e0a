import AirBus
import ArgumentParser
import Evidence
import Glibc
import Lab
import Wire

struct SniffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sniff",
        abstract: "Capture the frames of a home that is up, while they are sent.",
        discussion: """
            Writes pcapng, each frame as soon as it is there, until the air ends, Ctrl-C or until \
            nobody reads it any more, and exits 0 then:

              han sniff --out - | wireshark -k -i -

            The keys of a home are in the zigbee_pc_keys that 'han up --out' leaves. If frames go \
            by unseen, because this computer is too slow for the pace, a line says which.
            """)

    @Argument(
        help: ArgumentHelp("The home.", valueName: "run"),
        completion: .custom { _, _, prefix in Completions.runs(prefix) })
    var home: String?

    @OptionGroup var named: NamedAirArguments

    @Option(
        help: ArgumentHelp(
            "The file to write, which is made anew; '-' is standard output.", valueName: "file"),
        completion: .file(extensions: ["pcapng"]))
    var out = "-"

    func validate() throws {
        guard home == nil || named.air == nil else {
            throw ValidationError("A home and --air both say which air; give one of them.")
        }
        guard out != "" else { throw ValidationError("--out needs the name of a file, or '-'.") }
    }

    func run() throws {
        let (run, reach) = try named.find(orHome: home)
        if out == "-", isatty(STDOUT_FILENO) == 1 {
            throw Failure(
                .usage, "a capture is nothing for a terminal; name a file with --out, or pipe it")
        }
        let status: RunStatus
        let feed = try reach.feed()
        do {
            status = try reach.control().status()
        } catch let error as ControlError {
            throw Failure(error)
        }
        let start = run.map { UTCTime(secondsSince2000: $0.start) } ?? Self.start(of: status)
        let roster = Roster(
            members: status.members.map {
                Roster.Member(name: $0.name, role: $0.role, eui64: $0.eui64)
            })
        try Interruption.watching {
            let capture = LiveCapture(
                descriptor: try descriptor(), path: out == "-" ? "standard output" : out,
                start: start, roster: roster)
            try follow(feed, capture)
        }
    }

    private func descriptor() throws -> Int32 {
        if out == "-" { return STDOUT_FILENO }
        let descriptor = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw Failure(
                .io,
                "'\(out)' cannot be made: \(String(cString: strerror(errno))); name another file")
        }
        return descriptor
    }

    /// When an air's time began, where only its time now is known: by this machine's clock, or the
    /// date at which virtual time always begins.
    private static func start(of status: RunStatus) -> UTCTime {
        guard status.pace != .virtual else { return PaceArgument(.virtual).start }
        let passed = status.time.microseconds / Int64(clamping: max(1, status.pace.scale))
        let now = PaceArgument(status.pace).start.secondsSince2000
        return UTCTime(secondsSince2000: now - min(now, UInt32(clamping: passed)))
    }

    private func follow(_ feed: FeedClient, _ capture: LiveCapture) throws {
        var isOver = false
        var ending: String?
        var silence = 0
        while !isOver, Interruption.signal == nil, capture.error == nil {
            switch feed.next(waiting: 0.1) {
            case .message(.frame(let frame)):
                if let gap = capture.add(frame) { tell(gap) }
            case .message(.event(let event)): capture.note(event)
            case .message(.ended): isOver = true
            case .message, .strange: break
            case .quiet:
                capture.settle()
                if Self.isForsaken(STDOUT_FILENO), out == "-" { isOver = true }
                silence += feed.isConnected ? 0 : 1
                if silence > Self.feedPatience {
                    isOver = true
                    ending = "the air is gone, or nobody can connect to its feed"
                }
            case .lost:
                isOver = true
                ending = "the air is gone"
            }
        }
        capture.finish()
        if capture.missed > 0 {
            note("\(capture.missed) of \(capture.frames + capture.missed) frames were missed")
        }
        // Whoever read it has seen enough.
        if let error = capture.error, error.code != EPIPE {
            throw Failure(.io, "\(error.cause); name another file with --out")
        }
        if let ending { throw Failure(.unavailable, ending) }
    }

    /// Tenths of a second in which the feed has to be connected.
    private static let feedPatience = 100

    private func tell(_ gap: ClosedRange<UInt64>) {
        note(
            gap.count == 1
                ? "frame \(gap.lowerBound) was missed"
                : "frames \(gap.lowerBound) to \(gap.upperBound) were missed")
    }

    private func note(_ line: String) {
        Terminal(descriptor: STDERR_FILENO).write("han: \(line)\n")
    }

    /// Whether the other end of a pipe is closed.
    private static func isForsaken(_ descriptor: Int32) -> Bool {
        var waited = pollfd(fd: descriptor, events: 0, revents: 0)
        return poll(&waited, 1, 0) > 0 && waited.revents & Int16(POLLERR) != 0
    }
}
