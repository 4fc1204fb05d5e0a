import ArgumentParser
import Foundation

@main
struct Han: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "han",
        abstract: "A virtual GB smart-metering home for testing firmware updates.",
        version: "0.1.0",
        subcommands: [
            DemoCommand.self, RunCommand.self, ImageCommand.self, ProfileCommand.self,
            UpCommand.self, PsCommand.self, CtlCommand.self, DownCommand.self, SniffCommand.self,
            AirCommand.self, NodeCommand.self, KeysCommand.self, GBCSCommand.self,
            ServeCommand.self, TrackingCommand.self,
            DUISCommand.self,
        ])

    /// The parser's own `main`, but for the exit codes of `Failure`.
    static func main() {
        /// Help, the version and completion scripts are results, not messages.
        func help(_ error: Error) {
            guard exitCode(for: error) == .success else { return }
            do {
                try Output.write(fullMessage(for: error) + "\n")
            } catch let failure as Failure {
                failure.exit()
            } catch {}
            exit()
        }

        do {
            var command = try parseAsRoot()
            try Failure.converting { try command.run() }
            guard fflush(nil) == 0 else {
                // The parser's own output: help and completion scripts.
                throw Failure(
                    .io, "standard output cannot be written: \(String(cString: strerror(errno)))")
            }
        } catch let failure as Failure {
            failure.exit()
        } catch {
            help(error)
            exit(withError: error)
        }
    }
}
