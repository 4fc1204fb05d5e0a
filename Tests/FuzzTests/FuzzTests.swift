import Foundation
import TestSupport
import Testing

/// The fuzz targets' program, which `Tools/test` builds and names.
private enum Fuzz {
    static let program = Command.environment("HAN_FUZZ")
    static let isLong = Command.environment("HAN_LONG") != nil
    static let absent: Comment =
        "needs the fuzz targets' program: run Tools/test without options, or with --filter Fuzz"

    /// Where corpora and findings are.
    static var work: URL {
        URL(filePath: program ?? "").deletingLastPathComponent().deletingLastPathComponent()
    }

    static let targets: [String] = {
        guard let program, let list = try? Command.run(program, ["list"]), list.status == 0
        else { return [] }
        return list.output.split(separator: "\n").map(String.init)
    }()

    /// Runs a target and gives its status, and the file with the input that it stumbled over.
    static func run(_ target: String) throws -> (status: Int32, kept: String?, errors: String) {
        let arguments =
            isLong ? ["run", target, work.path, "120"] : ["brief", target, work.path]
        // libFuzzer watches for hangs itself; this is for the case that it does not.
        let run = try Command.run(
            "timeout", ["-k", "5", isLong ? "900" : "300", program ?? ""] + arguments,
            environment: ["HAN_HOME": Reference.project.path])
        let lines = run.errors.split(separator: "\n").map(String.init)
        let marker = "Test unit written to "
        let kept = lines.last { $0.contains(marker) }?.components(separatedBy: marker).last
        let words = lines.filter { $0.contains("hanfuzz: ") || $0.contains("ERROR: libFuzzer") }
        return (run.status, kept, words.joined(separator: "\n"))
    }
}

@Suite("Fuzzing", .enabled(if: Fuzz.program != nil, Fuzz.absent))
struct FuzzTests {
    @Test(
        "any bytes are a value or an error, at once and in little memory", arguments: Fuzz.targets)
    func anyBytes(target: String) throws {
        let run = try Fuzz.run(target)
        #expect(
            run.status == 0,
            "\(run.errors)\nThe input again: Tools/fuzz \(target) \(run.kept ?? "FILE")")
    }

    @Test("the targets are all there")
    func targets() {
        let wanted: Set = [
            "mac", "beacon", "nwk-command", "aps-command", "zcl-general", "block-response", "image",
            "install-code", "certificate", "profile-homes", "manifest", "snapshot", "journal",
            "device-records", "hub-records", "device", "gsme", "ppmid", "hcalcs", "establishing",
            "hub", "air-answer", "air-turn", "air-message", "sniffer-message", "control-message",
            "gbcs-device", "messages-underway", "duis-request", "duis-response", "duis-keys",
        ]
        #expect(wanted.subtracting(Fuzz.targets) == [])
    }

    @Test(
        "a planted bug is found, and its input is kept",
        arguments: [
            ("planted-trap", "deadly signal"), ("planted-waste", "bytes of memory"),
            ("planted-hang", "timeout"),
        ])
    func planted(target: String, words: String) throws {
        let run = try Fuzz.run(target)
        #expect(run.status != 0)
        #expect(run.errors.contains(words), "\(run.errors)")
        let kept = try #require(run.kept)
        defer { try? FileManager.default.removeItem(atPath: kept) }
        let input = try Data(contentsOf: URL(filePath: kept))
        #expect(input.starts(with: Data("HAN".utf8)))
    }
}
