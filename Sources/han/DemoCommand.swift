import ArgumentParser

struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Watch a hub's firmware decide whether a PPMID can be updated.",
        discussion: "The same as 'han run demo'. " + RunArguments.discussion)

    @OptionGroup var arguments: RunArguments

    func validate() throws { try arguments.check() }

    func run() throws { try arguments.run("demo") }
}
