import Testing

/// Swift modules that targets of a manifest reach without naming them, as "target: module".
private func unnamed(in manifest: String) -> [String] {
    var manifest = manifest
    // A list that targets begin theirs with: as if each of them had it.
    for match in manifest.matches(of: #/let (\w+): \[Target\.Dependency\] = \[([^\]]*)\]/#) {
        let (_, name, list) = match.output
        manifest = manifest.replacing("dependencies: \(name) + [", with: "dependencies: [\(list)")
    }
    let pattern = #/\.\w*[tT]arget\(\s*name: "(\w+)"(?:,\s*dependencies: \[([^\]]*)\])?/#
    let libraries: Set = ["CCurl", "COpenSSL", "CZeroMQ", "CUSB", "CXML", "CSigning", "CXMLSec"]
    var named: [String: Set<String>] = [:]
    for match in manifest.matches(of: pattern) {
        let list = match.output.2 ?? ""
        named[String(match.output.1)] = Set(
            list.matches(of: #/"(\w+)"/#).map { String($0.output.1) }
        ).subtracting(libraries)
    }
    func reached(from target: String) -> Set<String> {
        (named[target] ?? []).reduce(into: []) {
            $0.insert($1)
            $0.formUnion(reached(from: $1))
        }
    }
    return named.keys.sorted().flatMap { target in
        reached(from: target).subtracting(named[target] ?? []).sorted().map { "\(target): \($0)" }
    }
}

@Test("every target names all modules that it reaches, so that a change to one rebuilds it")
func targetsNameWhatTheyReach() throws {
    let manifest = try #require(try Checkout.text(of: "Package.swift"))
    #expect(unnamed(in: manifest).isEmpty)
    #expect(
        unnamed(
            in: manifest.replacing(#""Wire", "Radio", "Cryptography", "Air","#, with: "")
        )
        .contains("han: Wire"))
}

@Test("a list that targets share counts for each of them")
func sharedList() {
    let manifest = """
        let shared: [Target.Dependency] = [
            "Wire", "Crypto",
        ]
        .target(name: "Wire"),
        .target(name: "Crypto", dependencies: ["Wire"]),
        .target(name: "Lab", dependencies: shared + [yams]),
        .target(name: "HeadEnd", dependencies: shared + ["Lab"]),
        .target(name: "tool", dependencies: ["Lab"]),
        """
    #expect(unnamed(in: manifest) == ["tool: Crypto", "tool: Wire"])
}

@Test("a target that names only its nearest module is found")
func nearestOnly() {
    let manifest = """
        .systemLibrary(name: "COpenSSL"),
        .target(name: "Wire", swiftSettings: hot),
        .target(name: "Crypto", dependencies: ["Wire", "COpenSSL"]),
        .executableTarget(
            name: "tool",
            dependencies: ["Crypto", argumentParser])
        """
    #expect(unnamed(in: manifest) == ["tool: Wire"])
}
