import ArgumentParser

@main
struct Han: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "han",
        abstract: "A virtual GB smart-metering home for testing firmware updates.",
        subcommands: [DemoCommand.self, RunCommand.self, ImageCommand.self, ProfileCommand.self])

    /// The parser's own `main`, but for the exit codes of `Failure`.
    static func main() {
        do {
            var command = try parseAsRoot()
            try Failure.converting { try command.run() }
        } catch let failure as Failure {
            failure.exit()
        } catch {
            exit(withError: error)
        }
    }
}
