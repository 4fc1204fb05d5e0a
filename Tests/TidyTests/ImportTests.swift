import Testing

/// The table of docs/architecture.md: what a module may import by itself. It may also import
/// what those may, of our modules; a C library or a package only where its name stands.
/// Arrows point up: a row names only rows above it.
private let modules: [(name: String, imports: Set<String>)] = [
    ("CCurl", []),
    ("COpenSSL", []),
    ("CZeroMQ", []),
    ("CUSB", []),
    ("CXML", []),
    ("CSigning", ["COpenSSL"]),
    ("CXMLSec", ["CXML", "COpenSSL"]),
    ("Wire", []),
    ("Crypto", ["Wire", "COpenSSL", "CSigning"]),
    ("Radio", ["Wire"]),
    ("Air", ["Radio"]),
    ("Zigbee", ["Radio", "Crypto"]),
    ("GBCS", ["Wire", "Crypto"]),
    ("Devices", ["Zigbee", "GBCS"]),
    ("DCC", ["GBCS", "HeapModule"]),
    ("Simulation", ["Air"]),
    ("AirBus", ["Air", "CZeroMQ"]),
    ("RadioBridge", ["Radio", "Zigbee", "AirBus", "CUSB"]),
    ("DUIS", ["DCC", "CXML", "CXMLSec"]),
    ("Tracking", ["DCC", "GRDB"]),
    ("Evidence", ["Wire", "Radio"]),
    (
        "Lab",
        [
            "Devices", "DCC", "Simulation", "AirBus", "RadioBridge", "Evidence", "Yams",
        ]
    ),
    ("HeadEnd", ["Lab", "DCC", "Tracking"]),
    (
        "Console",
        [
            "HeadEnd", "Lab", "DUIS", "Tracking", "CCurl", "HTTPTypes", "Hummingbird",
            "HummingbirdCore", "Logging", "Mustache", "NIOCore", "NIOHTTPTypes",
            "ServiceLifecycle",
        ]
    ),
    ("han", ["Console", "Lab", "ArgumentParser", "Logging"]),
]

/// Modules whose machines have no I/O: nothing of the operating system is imported there.
let machineModules: Set = [
    "Wire", "Crypto", "Radio", "Air", "Zigbee", "GBCS", "Devices", "DCC", "Simulation",
]

private let systemModules: Set = [
    "Foundation", "FoundationEssentials", "Glibc", "Synchronization", "Dispatch",
]

private let names = Set(modules.map(\.name))

private let libraries: Set = [
    "CCurl", "COpenSSL", "CZeroMQ", "CUSB", "CXML", "CSigning", "CXMLSec",
]

/// What `module` may import, the modules that its imports may import included.
private func allowed(for module: String) -> Set<String>? {
    guard let row = modules.first(where: { $0.name == module }) else { return nil }
    var reached = row.imports
    for name in row.imports.subtracting(libraries) {
        let further = allowed(for: name) ?? []
        reached.formUnion(further.intersection(names).subtracting(libraries))
    }
    return machineModules.contains(module) ? reached : reached.union(systemModules)
}

/// The imports of a file that its module may not have.
func forbiddenImports(in source: String, path: String, module: String) -> [Breach] {
    let kinds: Set = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
    let allowed = allowed(for: module) ?? []
    let words = CodeText(of: source).words
    var breaches: [Breach] = []
    for (index, word) in words.enumerated() where word.text == "import" {
        guard let named = words[(index + 1)...].first(where: { !kinds.contains($0.text) })
        else { continue }
        if !allowed.contains(named.text) {
            breaches.append(
                Breach(
                    path: path, line: word.line,
                    message: "\(module) may not import \(named.text)"))
        }
    }
    return breaches
}

@Test("arrows between modules only point up")
func arrowsPointUp() {
    var above: Set<String> = []
    for module in modules {
        let below = module.imports.intersection(names).subtracting(above)
        #expect(below.isEmpty, "\(module.name) names modules that stand below it")
        above.insert(module.name)
    }
    #expect(allowed(for: "Wire") == [])
}

@Test("every module imports only what the architecture allows it")
func imports() throws {
    let swift = Checkout.sources.filter { $0.hasSuffix(".swift") }
    #expect(!swift.isEmpty)
    for path in swift {
        let module = try #require(Checkout.target(of: path), "\(path) is in no module's folder")
        let source = try #require(try Checkout.text(of: path), "\(path) is not UTF-8 text")
        for breach in forbiddenImports(in: source, path: path, module: module) {
            Issue.record("\(breach)")
        }
    }
}

@Test(
    "an import that the table does not allow is found, however it is written",
    arguments: [
        ("Wire", "import Foundation", "Foundation"),
        ("Wire", "// why\nimport Radio", "Radio"),
        ("Radio", "public import Crypto", "Crypto"),
        ("Zigbee", "import struct Air.Medium", "Air"),
        ("Zigbee", "import COpenSSL", "COpenSSL"),
        ("GBCS", "@_exported import Zigbee", "Zigbee"),
        ("Simulation", "import Dispatch", "Dispatch"),
        ("Evidence", "import Lab", "Lab"),
        ("Evidence", "let a = 1; import Yams", "Yams"),
        ("Unheard", "import Wire", "Wire"),
    ])
func plantedImport(module: String, source: String, named: String) {
    let found = forbiddenImports(in: source, path: "Planted.swift", module: module)
    #expect(found.map(\.message) == ["\(module) may not import \(named)"])
}

@Test(
    "an import that the table allows passes",
    arguments: [
        ("Devices", "import Wire\nimport struct Crypto.Key\nimport Zigbee"),
        ("Crypto", "import COpenSSL\nimport CSigning"),
        ("Lab", "import Foundation\nimport Air\nimport Yams"),
        ("Wire", "/// import Foundation\nlet a = \"import Radio\""),
    ])
func allowedImport(module: String, source: String) {
    #expect(forbiddenImports(in: source, path: "Planted.swift", module: module) == [])
}

@Test("every source file lies in the folder of a module that the table knows")
func knownFolders() {
    for path in Checkout.files where path.hasPrefix("Sources/") {
        let module = Checkout.target(of: path)
        #expect(module.map(names.contains) == true, "\(path) belongs to no module")
    }
}
