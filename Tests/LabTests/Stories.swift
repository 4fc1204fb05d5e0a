import Evidence
import Lab
import TestSupport
import Testing
import Wire

/// Runs stories told in code.
enum Stories {
    /// Runs a scenario; its capture stays behind in the system's temporary folder, named after
    /// the test, if the suite is told where to keep them (`HAN_CAPTURES`).
    static func run(
        _ home: Home, images: [RunImage], _ steps: [ScenarioStep.Action], named name: String,
        seed: UInt64 = 1, within: Interval = .hours(48), folder: String? = nil
    ) throws -> RunResult {
        let runner = Runner(
            home: home, scenario: Homes.scenario(steps, within: within, seed: seed),
            images: Dictionary(uniqueKeysWithValues: images.map { ($0.name, $0) }),
            options: RunOptions(folder: folder ?? Captures.folder(named: name)))
        return try runner.run { 0 }
    }
}

enum Captures {
    static func folder(named name: String) -> String? {
        guard let root = Command.environment("HAN_CAPTURES") else { return nil }
        return root + "/" + name
    }
}
