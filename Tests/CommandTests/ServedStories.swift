import Foundation
import TestSupport
import Testing

/// `han serve` as others meet it over HTTP: Python scripts of `Tools/served` play the service user,
/// whose requests xmlsec1 signs, and the visitor, whose browser is Chromium.
@Suite("A server", .serialized)
struct ServedStories {
    /// Nobody is fast here: a story that hangs ends by its own patience, long before this.
    private static let limit: TimeInterval = 1_500

    /// Runs one class of stories of a script; what went wrong is in its output.
    private static func play(_ script: String, _ stories: String = "") async throws {
        var environment = ["HAN": RunHan.binary, "HAN_HOME": RunHan.root]
        if let reference = Reference.folder { environment["HAN_REFERENCE"] = reference.path }
        let arguments =
            [RunHan.root + "/Tools/served/\(script)", "-v"] + (stories.isEmpty ? [] : [stories])
        // In a thread of its own: minutes in one of the few that all tests share would keep the
        // servers of other tests from answering.
        let result = try await withCheckedThrowingContinuation { continuation in
            let environment = environment
            Thread {
                continuation.resume(
                    with: Result {
                        try RunHan.run(
                            "/usr/bin/python3", arguments, environment: environment,
                            timeout: limit)
                    })
            }.start()
        }
        #expect(result.code == 0, "\(result.errors)\(result.output)")
        #expect(result.errors.contains("\nOK"), "\(result.errors)")
        for line in result.output.split(separator: "\n") where line.contains("screenshots in") {
            print(line)
        }
        for line in result.errors.split(separator: "\n") where line.contains("skipped") {
            print("\(script): \(line)")
        }
    }

    /// Whether a program is in `PATH`.
    private static func has(_ programs: String...) -> Bool {
        let folders = (Command.environment("PATH") ?? "/usr/bin:/bin").split(separator: ":")
        return programs.allSatisfy { program in
            folders.contains {
                FileManager.default.isExecutableFile(atPath: "\($0)/\(program)")
            }
        }
    }

    @Test("keeps the gateway's whole contract with a client that signs by xmlsec1")
    func gateway() async throws {
        try await Self.play("gateway_stories.py", "Gateway")
    }

    @Test("answers a first 11.4 by the three commands of the README")
    func readme() async throws {
        try await Self.play("gateway_stories.py", "Readme")
    }

    @Test(
        "keeps it with the published test keys as well",
        .enabled(if: Reference.folder != nil, "\(Reference.absent)"))
    func publishedKeys() async throws {
        try await Self.play("gateway_stories.py", "PublishedKeys")
    }

    @Test(
        "lets in the published firmware templates once they are signed and name the version",
        .enabled(if: Reference.folder != nil, "\(Reference.absent)"))
    func templates() async throws {
        try await Self.play("template_stories.py")
    }

    @Test("refuses what nobody should send, each by its code, within bounds, and serves on")
    func badInput() async throws {
        try await Self.play("bad_input_stories.py")
    }

    @Test("loses nothing and does nothing twice, whenever in a campaign it is killed")
    func kills() async throws {
        try await Self.play("trouble_stories.py", "Kills")
    }

    @Test("keeps an alert that is on its way on the HAN when it is killed")
    func lostAlert() async throws {
        try await Self.play("trouble_stories.py", "LostAlert")
    }

    @Test("brings all devices back when it is killed while they join a new home")
    func firstMinute() async throws {
        try await Self.play("trouble_stories.py", "FirstMinute")
    }

    @Test(
        "says so when its disk is full, and goes on once there is room",
        .enabled(if: geteuid() == 0, "needs root, to mount a small file system"))
    func fullDisk() async throws {
        try await Self.play("trouble_stories.py", "FullDisk")
    }

    @Test(
        "shows in a browser where every update is, to everybody and as it happens",
        .enabled(
            if: has("chromium", "chromedriver"),
            "chromium and chromedriver are not installed; run Tools/test"))
    func page() async throws {
        try await Self.play("page_stories.py")
    }
}
