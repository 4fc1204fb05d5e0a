import Evidence
import Lab
import TestSupport
import Testing
import Wire

@Suite("The demo")
struct DemoStory {
    @Test("tells the rule: no PPMID or HCALCS update before the hub's own")
    func rule() throws {
        let result = try Demo.run(folder: Captures.folder(named: "demo"))
        #expect(result.failure == nil)
    }
}

enum Demo {
    static func run(seed: UInt64? = nil, folder: String?) throws -> RunResult {
        let root = Reference.project.path(percentEncoded: false)
        let library = ProfileLibrary(
            folder: root + "/Profiles", firmware: root + "/Firmware")
        let scenario = try library.scenario("demo")
        let home = try library.home(scenario.home)
        let manifest = try Manifest.load(folder: root + "/Firmware")
        var images: [String: RunImage] = [:]
        for entry in manifest.entries {
            let image = try manifest.image(for: entry)
            images[entry.id] = RunImage(
                name: entry.id, bytes: image.encoded(), version: entry.version,
                hash: image.manufacturerImageHash)
        }
        return try Runner(
            home: home, scenario: scenario, images: images,
            options: RunOptions(seed: seed, folder: folder)
        ).run { 0 }
    }
}
