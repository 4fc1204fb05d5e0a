import Foundation
import Testing

@Test("the formatter finds nothing to mend")
func format() throws {
    let swift = ProcessInfo.processInfo.environment["SWIFT"] ?? "swift"
    let lint = try Command(
        "/usr/bin/env", swift, "format", "lint", "--strict", "--parallel", "-r", "Sources", "Tests",
        "Tools/benchmarks", "Tools/fuzzing/hanfuzz", "Package.swift"
    ).run(in: Checkout.root)
    #expect(lint.code == 0, "\(lint.errors)\(lint.output)")
}

@Test("every shell script is one that bash can read")
func scripts() throws {
    var count = 0
    for path in Checkout.files {
        guard let text = try Checkout.text(of: path) else { continue }
        let first = text.prefix { $0 != "\n" }
        guard path.hasSuffix(".sh") || (first.hasPrefix("#!") && first.hasSuffix("sh")) else {
            continue
        }
        count += 1
        let check = try Command("/usr/bin/env", "bash", "-n", path).run(in: Checkout.root)
        #expect(check.code == 0, "\(check.errors)")
    }
    #expect(count >= 4)
}

@Test("README leads with the two commands, and they are there to be run")
func readme() throws {
    let readme = try #require(
        try Checkout.text(of: "README.md"), "README.md is not UTF-8 text")
    let lead = readme.split(separator: "\n", omittingEmptySubsequences: false).prefix(25)
        .joined(separator: "\n")
    for command in ["Tools/han demo", "Tools/test"] {
        #expect(lead.contains(command), "README.md's first 25 lines do not show `\(command)`")
    }
    for path in ["Tools/han", "Tools/test", "Tools/bench", "Tools/fuzz", ".ci/run"] {
        #expect(
            FileManager.default.isExecutableFile(atPath: Checkout.root.appending(path: path).path),
            "\(path) is not executable")
    }
}
