import AirBus
import ArgumentParser
import Glibc
import Lab
import Wire

struct PsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ps",
        abstract: "Show the homes that are up, and how each of their processes stands.",
        discussion: """
            The state of an air is waiting, until its roster is there, running or ended; that of a \
            member onAir, powerOff, absent (nobody has taken its place yet), gone (its process has \
            ended) or putOff (the air has turned it away). An air that does not answer, and its \
            members, are silent.

            --json prints a list, by home and then in the roster's order, of objects with the keys \
            home, role, name, state and, where there is one, eui64, pid, firmware ("0x03010407"), \
            download {offset, size, percent}, memory (resident, in bytes); AIR is a role too, and \
            has time (virtual, in seconds) and frames. With --air, home is the endpoint.
            """)

    @Argument(
        help: ArgumentHelp("Only this home.", valueName: "run"),
        completion: .custom { _, _, prefix in Completions.runs(prefix) })
    var home: String?

    @OptionGroup var named: NamedAirArguments

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        guard home == nil || named.air == nil else {
            throw ValidationError("A home and --air both say which air; give one of them.")
        }
    }

    func run() throws {
        if named.air == nil { try showHomes() } else { try showNamedAir() }
    }

    private func showNamedAir() throws {
        let reach = try named.find(orHome: nil).reach
        let status: RunStatus
        do {
            status = try reach.control().status()
        } catch let error as ControlError {
            throw Failure(error)
        }
        // Its processes may be another machine's, whose numbers say nothing here.
        try show(Self.rows(status, home: named.air ?? "", air: nil, isHere: reach.endpoints.isIPC))
    }

    private func showHomes() throws {
        var runs = try HomeRun.listed()
        if let home {
            runs = runs.filter { $0.name == home }
            // For its message.
            if runs.isEmpty { _ = try HomeRun.find(home) }
        }
        var rows: [Row] = []
        for run in runs {
            guard run.isUp else {
                note(
                    "the home '\(run.name)' has ended"
                        + (run.failure.map { ": \($0)" } ?? ", its supervisor is gone")
                        + "; 'han down \(run.name)' clears what is left of it in '"
                        + ((try? HomeRun.folder(of: run.name)) ?? "") + "'")
                continue
            }
            if let trouble = run.trouble {
                note("the evidence of the home '\(run.name)' is incomplete: \(trouble)")
            }
            rows += try Self.rows(of: run)
        }
        try show(rows)
    }

    private func show(_ rows: [Row]) throws {
        if json { return try Output.json(rows) }
        guard !rows.isEmpty else { return note("no home is up; 'han up' starts one") }
        let style = Terminal(descriptor: STDOUT_FILENO).style
        let head = [
            "HOME", "ROLE", "NAME", "EUI64", "PID", "STATE", "FIRMWARE", "DOWNLOAD", "MEMORY",
        ]
        try Output.write(Output.columns([head] + rows.map { $0.cells(style) }))
    }

    private func note(_ line: String) {
        Terminal(descriptor: STDERR_FILENO).write("han: \(line)\n")
    }

    private static func rows(of run: HomeRun) throws -> [Row] {
        let air = run.parts.first { $0.role == "AIR" }
        let status: RunStatus
        do {
            status = try ControlClient(endpoints: .reading(run.endpoint), patience: 3).status()
        } catch {
            return silentRows(of: run)
        }
        return rows(status, home: run.name, air: air?.process.pid, isHere: true).map { row in
            guard let part = run.parts.first(where: { $0.name == row.name })?.process,
                row.pid == part.pid, !part.isRunning
            else { return row }
            // The air has not seen it yet.
            var row = row
            (row.pid, row.memory, row.state) = (nil, nil, MemberState.gone.name)
            return row
        }
    }

    private static func rows(
        _ status: RunStatus, home: String, air: Int32?, isHere: Bool
    ) -> [Row] {
        var first = Row(
            home: home, role: "AIR", name: "AIR", eui64: nil, pid: air,
            state: status.state.name, memory: air.flatMap { ProcessMemory.resident(of: $0) })
        first.time = status.time.inSeconds
        first.frames = status.frames
        return [first]
            + status.members.filter { $0.eui64 != nil }.map { member in
                let pid = member.processID == 0 ? nil : Int32(clamping: member.processID)
                var row = Row(
                    home: home, role: member.role, name: member.name,
                    eui64: member.eui64?.description, pid: pid, state: member.state.name,
                    memory: isHere ? pid.flatMap { ProcessMemory.resident(of: $0) } : nil)
                if member.firmware != 0 { row.firmware = Words.version(member.firmware) }
                if member.size > 0 {
                    row.download = Download(offset: member.offset, size: member.size)
                }
                return row
            }
    }

    /// The air and every member, those whose process has ended too.
    private static func silentRows(of run: HomeRun) -> [Row] {
        let air = HomeRun.Member(name: "AIR", role: "AIR", eui64: nil)
        return ([air] + run.members).map { member in
            let process = run.parts.first { $0.name == member.name }?.process
            let pid = process.flatMap { $0.isRunning ? $0.pid : nil }
            return Row(
                home: run.name, role: member.role, name: member.name, eui64: member.eui64,
                pid: pid, state: "silent",
                memory: pid.flatMap { ProcessMemory.resident(of: $0) })
        }
    }

    private struct Download: Encodable {
        var offset: UInt32
        var size: UInt32
        var percent: Int

        init(offset: UInt32, size: UInt32) {
            self.offset = offset
            self.size = size
            percent = Int(UInt64(offset) * 100 / UInt64(max(1, size)))
        }
    }

    private struct Row: Encodable {
        var home: String
        var role: String
        var name: String
        var eui64: String?
        var pid: Int32?
        var state: String
        var firmware: String?
        var download: Download?
        var memory: UInt64?
        var time: Double?
        var frames: UInt64?

        func cells(_ style: Terminal.Style) -> [String] {
            var progress = ""
            if let download {
                let bar = style.bar(
                    UInt64(download.offset), of: UInt64(download.size), width: 10)
                progress = "\(bar) \(download.percent) %"
            } else if let frames {
                progress = "\(Words.count(frames)) frames"
            }
            return [
                home, role, name, eui64 ?? "", pid.map { "\($0)" } ?? "", state, firmware ?? "",
                progress, memory.map { Output.size(Int($0)) } ?? "",
            ]
        }
    }
}

extension Instant {
    fileprivate var inSeconds: Double { (self - .zero).inSeconds }
}
