import Evidence
import Lab
import TestSupport
import Testing
import Wire

/// Runs stories told in code.
enum Stories {
    /// Runs a scenario. With `HAN_CAPTURES` set, its evidence stays there, in a folder named after
    /// the story.
    static func run(
        _ home: Home, images: [RunImage], _ steps: [ScenarioStep.Action], named name: String,
        seed: UInt64 = 1, within: Interval = .hours(48), folder: String? = nil
    ) throws -> RunResult {
        try runner(
            home, images: images, steps, named: name, seed: seed, within: within, folder: folder
        ).run { 0 }
    }

    static func runner(
        _ home: Home, images: [RunImage], _ steps: [ScenarioStep.Action], named name: String,
        seed: UInt64 = 1, within: Interval = .hours(48), folder: String? = nil
    ) -> Runner {
        Runner(
            home: home, scenario: Homes.scenario(steps, within: within, seed: seed),
            images: Dictionary(uniqueKeysWithValues: images.map { ($0.name, $0) }),
            options: RunOptions(folder: folder ?? Captures.folder(named: name)))
    }

    /// The steps that bring a device of this name to the image of the same name.
    static func update(_ name: String) -> [ScenarioStep.Action] {
        [
            .join(devices: [name]),
            .deliver(image: name, to: [name]),
            .await(.verified, devices: [name]),
            .activate(devices: [name]),
            .await(.updated, devices: [name]),
            .join(devices: [name]),
        ]
    }
}

enum Captures {
    static func folder(named name: String) -> String? {
        guard let root = Command.environment("HAN_CAPTURES") else { return nil }
        return root + "/" + name
    }
}
