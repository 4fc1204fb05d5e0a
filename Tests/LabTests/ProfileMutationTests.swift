import Foundation
import Lab
import Testing
import Wire

@Suite("Mutated profiles")
struct ProfileMutationTests {
    /// What a slip of the keyboard, or of a program, puts into such files.
    static let scraps: [[UInt8]] =
        [
            "\n", "  ", "\t", ":", "- ", "[", "]", "{", "}", "\"", "'", "#", "%", "&a", "*a", "!!",
            "|", ">", "---\n", "0", "-1", "99999999999999999999", "0x", "0xFFFFFFFF", "1e400", "~",
            "null", "true", "1 d", "9223372036854775807 us", "-200", "∞", "\u{2028}", "../", "/",
            ".",
            "x.yaml", "all", "ESME", "CH", "kind: home\n",
        ].map { Array($0.utf8) } + [[0], [0xFF], [0xC3], [0x85], [0xEF, 0xBB, 0xBF]]

    @Test("a mutated file is fine or has one short message, and is never a trap or a hang")
    func mutations() throws {
        let files = try ProfileSamples.files.map { (name: $0, text: try ProfileSamples.text($0)) }
        var dice = SeededStream(Seed(1).named("profile.mutations"))
        func below(_ bound: Int) -> Int { Int(dice.below(UInt64(bound))) }
        var (fine, broken) = (0, 0)
        let clock = ContinuousClock()
        var slowest = Duration.zero
        for _ in 0..<2_000 {
            let file = files[below(files.count)]
            var bytes = Array(file.text.utf8)
            for _ in 0...below(4) {
                guard !bytes.isEmpty else { break }
                let from = below(bytes.count)
                let to = min(bytes.count, from + 1 + below(12))
                switch below(6) {
                case 0: bytes.removeSubrange(from..<to)
                case 1: bytes[from] ^= UInt8(1 << below(8))
                case 2: bytes.insert(contentsOf: bytes[from..<to], at: below(bytes.count))
                case 3: bytes.removeSubrange(from...)
                case 4:
                    bytes.replaceSubrange(from..<to, with: Self.scraps[below(Self.scraps.count)])
                default: bytes.insert(contentsOf: Self.scraps[below(Self.scraps.count)], at: from)
                }
            }
            let started = clock.now
            do {
                let path = "\(ProfileSamples.folder)/\(file.name)"
                let verdict = try ProfileSamples.library.validate(bytes, path: path)
                #expect(!verdict.summary.isEmpty)
                fine += 1
            } catch {
                #expect(error.description.utf8.count < 4_000)
                #expect(!error.message.isEmpty)
                broken += 1
            }
            slowest = max(slowest, clock.now - started)
        }
        // Both must have happened, or the mutations are too weak or too strong to show anything.
        #expect(fine > 100 && broken > 500, "\(fine) fine, \(broken) broken")
        #expect(slowest < .seconds(10), "\(slowest)")
    }

    @Test("the largest lists that a file can hold are refused or read within seconds")
    func largeLists() throws {
        let home = try ProfileSamples.text("homes/standard.yaml")
        let links = String(repeating: "  - {between: [CH, ESME]}\n", count: 30_000)
        let demo = try ProfileSamples.text("scenarios/demo.yaml")
        let steps = String(repeating: "  - wait: 1 s\n", count: 60_000)
        let device = "    profile: esme\n    eui64: 1\n"
        let devices = String(repeating: "  - name: ESME\n" + device, count: 20_000)
        let ranges = String(repeating: "  - {from: 1, to: 1}\n", count: 40_000)
        let esme = try ProfileSamples.text("devices/esme.yaml")
        let clock = ContinuousClock()
        let started = clock.now
        #expect(
            ProfileSamples.verdict(on: home + "links:\n" + links, as: "homes/standard.yaml")
                .contains("is given in line 36 already"))
        #expect(
            ProfileSamples.verdict(on: demo + steps, as: "scenarios/demo.yaml")
                .contains("expected 1 to 10000 steps, found 60025"))
        #expect(
            ProfileSamples.verdict(on: home + devices, as: "homes/standard.yaml")
                .contains("expected 1 to 63 devices, found 20004"))
        #expect(
            ProfileSamples.verdict(on: esme + "firmware:\n" + ranges, as: "devices/esme.yaml")
                .contains("expected 1 to 256 ranges of versions, found 40000"))
        #expect(clock.now - started < .seconds(60))
    }
}
