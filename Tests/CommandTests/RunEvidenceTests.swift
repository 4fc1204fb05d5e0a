import Foundation
import TestSupport
import Testing

@Suite("Evidence of han run")
struct RunEvidenceTests {
    typealias TemporaryFolder = CommandTests.TemporaryFolder

    static let files = ["events.jsonl", "summary.json", "trace.pcapng", "zigbee_pc_keys"]

    @Test("--out makes the folder and leaves the four files, and the closing lines name them")
    func fourFiles() throws {
        let folder = try TemporaryFolder()
        let out = folder.path + "/a/b c"
        let result = try Runs.han(["demo", "--out", out + "/"])
        #expect(result.code == 0, "\(result.errors)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: out).sorted() == Self.files)
        for file in Self.files { #expect(result.output.contains("\(out)/\(file)")) }
        #expect(
            result.output.hasSuffix(
                "\n  WIRESHARK_CONFIG_DIR='\(out)' wireshark -r '\(out)/trace.pcapng'\n"))
    }

    @Test("summary.json is what --json prints")
    func summary() throws {
        let folder = try TemporaryFolder()
        let result = try Runs.han(["demo", "--json", "--quiet", "--out", folder.path])
        #expect(
            try folder.read("summary.json") == Array(result.output.utf8) && !result.output.isEmpty)
    }

    @Test("an earlier run's four files are replaced, and nothing else is touched")
    func replacement() throws {
        let folder = try TemporaryFolder()
        for file in Self.files { try folder.write(Array("old".utf8), as: file) }
        try folder.write(Array("mine".utf8), as: "notes.txt")
        try folder.write(Array("too".utf8), as: "folder/trace.pcapng")
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/link", withDestinationPath: "nowhere")
        let result = try Runs.han(["demo", "--quiet", "--out", folder.path])
        #expect(result.code == 0, "\(result.errors)")
        for file in Self.files { #expect(try folder.read(file).count > 100, "\(file)") }
        #expect(try folder.read("notes.txt") == Array("mine".utf8))
        #expect(try folder.read("folder/trace.pcapng") == Array("too".utf8))
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
                == (Self.files + ["folder", "link", "notes.txt"]).sorted())
    }

    @Test("a run into a folder that another run is writing to is refused, and harms nothing")
    func occupied() throws {
        let folder = try TemporaryFolder()
        try folder.write(Array("old".utf8), as: "summary.json")
        let descriptor = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { close(descriptor) }
        #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        let refused = try Runs.han(["demo", "--out", folder.path + "/"])
        #expect(refused.code == 74)
        #expect(
            refused.errors.contains(
                "cannot use the folder '\(folder.path)': another run is writing to it"))
        #expect(try folder.read("summary.json") == Array("old".utf8))
        #expect(flock(descriptor, LOCK_UN) == 0)
        let result = try Runs.han(["demo", "--quiet", "--out", folder.path])
        #expect(result.code == 0, "\(result.errors)")
    }

    @Test("the same seed gives the same capture and events to the byte, another seed others")
    func determinism() throws {
        let folder = try TemporaryFolder()
        for (name, seed) in [("a", "7"), ("b", "0x7"), ("c", "8")] {
            let result = try Runs.han(
                ["demo", "--quiet", "--seed", seed, "--out", "\(folder.path)/\(name)"])
            #expect(result.code == 0, "seed \(seed): \(result.errors)")
        }
        for file in ["trace.pcapng", "events.jsonl"] {
            let first = try folder.read("a/" + file)
            #expect(first.count > 50_000)
            #expect(first == (try folder.read("b/" + file)), "\(file)")
            #expect(first != (try folder.read("c/" + file)), "\(file)")
        }
        #expect(try folder.read("a/zigbee_pc_keys") == folder.read("b/zigbee_pc_keys"))
    }

    @Test("the scenario's own seed is the one without --seed")
    func ownSeed() throws {
        let folder = try TemporaryFolder()
        _ = try Runs.han(["demo", "--quiet", "--out", folder.path + "/a"])
        _ = try Runs.han(["demo", "--quiet", "--seed", "1", "--out", folder.path + "/b"])
        #expect(try folder.read("a/events.jsonl") == folder.read("b/events.jsonl"))
    }

    @Test("tshark decrypts and dissects every frame of the demo without complaint")
    func judged() throws {
        let folder = try TemporaryFolder()
        let result = try Runs.han(["demo", "--json", "--quiet", "--out", folder.path])
        let verdict = try Tshark.judge(
            capture: folder.path + "/trace.pcapng", keys: folder.path + "/zigbee_pc_keys")
        #expect(verdict.complaints.prefix(5) == [])
        #expect(verdict.frames == (try Runs.summary(result.output).frames))
    }
}
