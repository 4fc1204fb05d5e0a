import ArgumentParser

@main
struct Han: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "han",
        abstract: "A virtual GB smart-metering home for testing firmware updates.")
}
