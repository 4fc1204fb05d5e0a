import ArgumentParser
import Glibc
import Lab

struct DownCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down",
        abstract: "End a home, and clear what a killed one has left.",
        discussion: """
            Without a name it ends the only home that there is. It also clears away what is left \
            of a home whose supervisor was killed, and of every 'han run --transport zmq' that \
            was; processes that only have the number of one of its own are left alone. Exits 74 \
            if the home's evidence could not all be written.
            """)

    @Argument(
        help: ArgumentHelp("The home.", valueName: "run"),
        completion: .custom { _, _, prefix in Completions.runs(prefix) })
    var home: String?

    @Flag(help: "End all homes of this user.")
    var all = false

    func validate() throws {
        guard home == nil || !all else {
            throw ValidationError("--all ends every home; leave '\(home ?? "")' or --all out.")
        }
    }

    func run() throws {
        let cleared: Int
        do {
            cleared = try HomeFolder.clearRuns()
        } catch {
            throw Failure(error, else: .io)
        }
        if cleared > 0 {
            let runs = cleared == 1 ? "a killed run" : "\(cleared) killed runs"
            try Output.write("what \(runs) had left is cleared away\n")
        }
        let names = try HomeRun.names()
        var ended = names
        if let home {
            guard names.contains(home) else {
                throw Failure(
                    .missing,
                    "there is no home '\(home)'; "
                        + (names.isEmpty ? "none is up" : "there are \(Words.list(names))"))
            }
            ended = [home]
        } else if !all {
            guard names.count <= 1 else {
                throw Failure(
                    .usage, "several homes are up; name one, or give --all: " + Words.list(names))
            }
            guard !names.isEmpty || cleared > 0 else { throw Failure(.missing, "no home is up") }
        }
        var troubles: [String] = []
        for name in ended {
            do {
                let trouble = try HomeRun.end(name) { line in
                    Terminal(descriptor: STDERR_FILENO).write("han: \(line)\n")
                }
                if let trouble { troubles.append("'\(name)': \(trouble)") }
            } catch {
                throw Failure(error, else: .unavailable)
            }
            try Output.write("the home '\(name)' has ended\n")
        }
        guard troubles.isEmpty else {
            throw Failure(.io, troubles.joined(separator: "\nhan: "))
        }
    }
}

extension HomeRun {
    /// Every home of this user that has a folder.
    fileprivate static func names() throws -> [String] {
        do {
            return try folders()
        } catch {
            throw Failure(error, else: .io)
        }
    }
}
