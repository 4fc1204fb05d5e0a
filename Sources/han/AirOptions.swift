import AirBus
import ArgumentParser

/// How an air runs, whoever starts it.
struct AirOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "How time runs: real, virtual (as fast as every node answers), or xN for N times as "
                + "fast as real.", valueName: "pace"), transform: PaceArgument.read)
    var pace: PaceArgument = PaceArgument(.real)

    @Option(
        parsing: .unconditional, help: "The number that everything random comes from.",
        transform: CodeArgument.read)
    var seed: CodeArgument<UInt64>?

    @Option(
        help: ArgumentHelp(
            "Leave trace.pcapng, events.jsonl and zigbee_pc_keys in this folder.",
            valueName: "dir"), completion: .directory)
    var out: String?

    @Option(
        help: ArgumentHelp(
            "Put a node off the air that has not answered for so many seconds where the air waits "
                + "for it.", valueName: "seconds"))
    var patience: Double = AirServiceSettings().patience

    func validate() throws {
        guard patience > 0, patience <= 86_400 else {
            throw ValidationError("--patience is a number of seconds, up to 86400.")
        }
    }
}
