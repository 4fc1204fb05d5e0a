import Testing

/// Names that would bring a clock, a thread, a file or a die of its own into a machine. Those
/// that end in an asterisk stand for everything that begins so.
private let banned: [(names: [String], instead: String)] = [
    (["Foundation", "FoundationEssentials", "Glibc"], "machines know only the modules above them"),
    (
        ["Date", "ContinuousClock", "SuspendingClock", "clock_gettime", "gettimeofday"],
        "time comes in as an Instant"
    ),
    (
        ["Task", "TaskGroup", "async", "Dispatch*", "Thread", "pthread_*"],
        "a machine takes an input and returns; the carrier calls it again"
    ),
    (["print", "debugPrint", "dump", "stdout", "stderr"], "what is worth saying is an event"),
    (["FileManager", "FileHandle", "fopen", "getenv"], "the world is behind the three ports"),
    (
        [
            "SystemRandomNumberGenerator", "randomElement", "shuffle", "shuffled", "hashValue",
            "RAND_*", "BN_rand*", "BN_priv_rand*", "EC_KEY_generate_key", "EVP_PKEY_keygen",
            "EVP_PKEY_generate", "EVP_PKEY_Q_keygen", "EVP_EC_gen", "EVP_RAND*", "ECDSA_sign",
            "ECDSA_do_sign", "EVP_PKEY_sign", "EVP_DigestSign", "EVP_DigestSignFinal",
        ],
        "everything random comes from a SeededStream"
    ),
]

/// The banned names in a file's code.
func bannedNames(in source: String, path: String) -> [Breach] {
    CodeText(of: source).words.compactMap { word in
        for rule in banned {
            for name in rule.names
            where name == word.text
                || (name.hasSuffix("*") && word.text.hasPrefix(name.dropLast()))
            {
                return Breach(path: path, line: word.line, message: "\(word.text): \(rule.instead)")
            }
        }
        return nil
    }
}

@Test("no machine names a clock, a task, a file or a die of its own")
func machinesHaveNoWorld() throws {
    let modules = machineModules.union(["CSigning"])
    let paths = Checkout.sources.filter { modules.contains(Checkout.target(of: $0) ?? "") }
    #expect(!paths.isEmpty)
    for path in paths {
        let source = try #require(try Checkout.text(of: path), "\(path) is not UTF-8 text")
        for breach in bannedNames(in: source, path: path) { Issue.record("\(breach)") }
    }
}

@Test(
    "a banned name is found wherever it stands in code",
    arguments: [
        ("let now = Date()", "Date"),
        ("func go() async {}", "async"),
        ("let s = \"\\(Task { 1 })\"", "Task"),
        ("print(1)", "print"),
        ("Swift.print(1)", "print"),
        ("DispatchQueue.main", "DispatchQueue"),
        ("var g = SystemRandomNumberGenerator()", "SystemRandomNumberGenerator"),
        ("RAND_priv_bytes(p, 32)", "RAND_priv_bytes"),
        ("EVP_PKEY_keygen(c, &k)", "EVP_PKEY_keygen"),
        ("list.shuffled()", "shuffled"),
    ])
func plantedName(source: String, name: String) {
    let found = bannedNames(in: "\n" + source, path: "Planted.swift")
    #expect(found.map { "\($0.message.prefix { $0 != ":" })" } == [name])
    #expect(found.first?.line == 2)
}

@Test("a banned name in a comment, in a string or inside a longer name is no breach")
func harmlessNames() {
    let source = """
        // print the Date, async
        /// Foundation
        let update = "Task"; let isAsync = DateStamp(); let blueprint = fingerprint
        """
    #expect(bannedNames(in: source, path: "Planted.swift") == [])
}
