import BenchmarkReport
import ArgumentParser
import Foundation

/// Measures and prints; `Tools/bench` prepares what it is given here.
@main
struct HanBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hanbench",
        abstract: "Measures han against others that do the same work; started by Tools/bench.")

    enum Name: String, ExpressibleByArgument, CaseIterable { case frames, air, gbcs, dcc }

    @Argument(help: "What to measure.")
    var name = Name.frames

    @Flag(help: "Print a JSON list instead of a table.")
    var json = false

    @Option(help: "How often each figure is taken.")
    var rounds = 5

    @Option(help: "The program that does the frames with ns-3; without it no row of it.")
    var lrwpan: String?

    @Option(help: "The Python that has zigpy; without it no row of it.")
    var python: String?

    @Option(help: "The script that does the blocks with zigpy.")
    var zigpy: String?

    @Option(help: "The program han, whose processes `air` and `dcc` measure.")
    var han = ".build/release/han"

    @Option(help: "The program that does round trips with libzmq alone; without it no such row.")
    var pingpong: String?

    @Option(help: "The library that counts allocations; without it no such row.")
    var counting: String?

    @Option(help: "Only run the download this often and measure nothing: for a profiler.")
    var profile: Int?

    @Flag(help: "With --profile: with APS acknowledgements.")
    var acknowledged = false

    func validate() throws {
        guard rounds > 0 else { throw ValidationError("--rounds must be at least 1") }
    }

    func run() throws {
        if let profile {
            let download = try Download(acknowledged: acknowledged)
            _ = try download.run(times: profile)
            return
        }
        let rows: [Row]
        switch name {
        case .frames:
            var frames = Frames(rounds: rounds)
            if let lrwpan { frames.lrWPAN = ReferenceProgram(arguments: [lrwpan, "40000"]) }
            if let python, let zigpy {
                let arguments = [python, zigpy, "3000"]
                frames.zigpy = ReferenceProgram(arguments: arguments)
                frames.zigpyAcknowledged = ReferenceProgram(
                    arguments: arguments + ["--acknowledged"])
            }
            rows = try frames.measure()
        case .air:
            let pairs = pingpong.map { program in
                ["pair", "router"].map { ReferenceProgram(arguments: [program, $0, "20000"]) }
            }
            rows = try AirRows(
                program: han, pingPong: pairs ?? [], counting: counting, rounds: rounds
            ).measure()
        case .gbcs: rows = try Messages(rounds: rounds).measure()
        case .dcc:
            rows =
                try Requests(rounds: rounds).measure()
                + TrackingPage(program: han, rounds: rounds).measure()
        }
        print(json ? try Report.json(rows) : Report.table(rows))
    }
}
