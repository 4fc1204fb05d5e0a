import Foundation
import TestSupport
import Testing

/// What other languages' nodes begin with, held against the same document.
@Suite("Clients in other languages")
struct ClientTests {
    @Test("the Python client reads and writes every example of the document")
    func python() throws {
        let run = try Command.run(
            "/usr/bin/python3", ["Tools/python/test_han_air.py"], in: Reference.project)
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.errors.contains("OK"))
    }

    @Test(
        "the structs of the C header lie on every example of the document", arguments: ["0", "2"])
    func header(optimisation: String) throws {
        let scratch = try TemporaryFolder()
        let program = scratch.url.appending(path: "test_han_air").path
        // The compiler that comes with Swift's; only its C library is Debian's.
        let swift = Command.environment("SWIFT") ?? ""
        let compiler =
            swift.contains("/")
            ? URL(filePath: swift).deletingLastPathComponent().appending(path: "clang").path
            : "clang"
        let build = try Command.run(
            compiler,
            [
                "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O" + optimisation, "-o",
                program, "Tools/c/test_han_air.c",
            ], in: Reference.project)
        try #require(build.status == 0, "\(build.errors)")
        let run = try Command.run(program, ["docs/air-protocol.md"], in: Reference.project)
        #expect(run.status == 0, "\(run.errors)")
    }
}
