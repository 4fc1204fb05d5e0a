// swift-tools-version: 6.2
import PackageDescription

/// Every target: Swift 6 mode, warnings are errors, lifetimes for the readers of `Wire`. A package
/// that Hummingbird's name has a target `Crypto` too, and targets' names are to be unique, used or
/// not; so ours is `Cryptography` here, and `Crypto` in the sources.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableExperimentalFeature("Lifetimes"),
    .treatAllWarnings(as: .error),
    .unsafeFlags(["-module-alias", "Crypto=Cryptography"]),
]

/// Modules on the frame's path are optimised across their borders.
let hot: [SwiftSetting] =
    strict + [
        .unsafeFlags(
            ["-cross-module-optimization", "-enforce-exclusivity=unchecked"],
            .when(configuration: .release))
    ]

/// Tests are many and run once: to optimise them costs more than it saves.
let tests: [SwiftSetting] =
    strict + [.unsafeFlags(["-Onone"], .when(configuration: .release))]

let argumentParser = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

/// What the server is made of.
let web: [Target.Dependency] = [
    .product(name: "Hummingbird", package: "hummingbird"),
    .product(name: "HTTPTypes", package: "swift-http-types"),
    .product(name: "Logging", package: "swift-log"),
    .product(name: "Mustache", package: "swift-mustache"),
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
    .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
]
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")

/// All that `Lab` reaches, for it and for whoever reaches it.
let underLab: [Target.Dependency] = [
    "Wire", "Radio", "Cryptography", "Air", "AirBus", "Zigbee", "GBCS", "Devices", "DCC",
    "Simulation", "Evidence",
]

let package = Package(
    name: "han",
    products: [.executable(name: "han", targets: ["han"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(name: "CCurl"),
        .systemLibrary(name: "COpenSSL"),
        .systemLibrary(name: "CZeroMQ"),
        .systemLibrary(name: "CXML", pkgConfig: "libxml-2.0"),
        .target(
            name: "CSigning", dependencies: ["COpenSSL"], linkerSettings: [.linkedLibrary("crypto")]
        ),
        // As `pkg-config --cflags xmlsec1-openssl` has it, which SwiftPM would not take whole.
        .target(
            name: "CXMLSec", dependencies: ["CXML", "COpenSSL"],
            cSettings: [
                .unsafeFlags(["-I/usr/include/xmlsec1"]),
                .define("XMLSEC_CRYPTO_OPENSSL"), .define("XMLSEC_NO_CRYPTO_DYNAMIC_LOADING"),
                .define("XMLSEC_NO_SIZE_T"), .define("XMLSEC_NO_GOST"),
                .define("XMLSEC_NO_GOST2012"), .define("__XMLSEC_FUNCTION__", to: "__func__"),
            ],
            linkerSettings: [
                .linkedLibrary("xmlsec1-openssl"), .linkedLibrary("xmlsec1"),
                .linkedLibrary("xml2"), .linkedLibrary("crypto"),
            ]),
        // Every target names all modules that it reaches, also through others: otherwise a change
        // to one of them would not rebuild it, and it would go on with values' old layout.
        .target(name: "Wire", swiftSettings: hot),
        .target(
            name: "Cryptography", dependencies: ["Wire", "COpenSSL", "CSigning"],
            path: "Sources/Crypto", swiftSettings: hot),
        .target(name: "Radio", dependencies: ["Wire"], swiftSettings: hot),
        .target(name: "Air", dependencies: ["Wire", "Radio"], swiftSettings: hot),
        .target(
            name: "AirBus", dependencies: ["Wire", "Radio", "Air", "CZeroMQ"], swiftSettings: hot),
        .target(
            name: "Zigbee", dependencies: ["Wire", "Radio", "Cryptography"], swiftSettings: hot),
        .target(name: "GBCS", dependencies: ["Wire", "Cryptography"], swiftSettings: strict),
        .target(
            name: "Devices", dependencies: ["Wire", "Radio", "Cryptography", "Zigbee", "GBCS"],
            swiftSettings: hot),
        .target(
            name: "DCC", dependencies: ["Wire", "Cryptography", "GBCS", heap], swiftSettings: strict
        ),
        .target(
            name: "Tracking", dependencies: ["Wire", "Cryptography", "GBCS", "DCC", grdb],
            swiftSettings: strict),
        .target(
            name: "DUIS", dependencies: ["Wire", "Cryptography", "GBCS", "DCC", "CXML", "CXMLSec"],
            swiftSettings: hot),
        .target(name: "Simulation", dependencies: ["Wire", "Radio", "Air"], swiftSettings: hot),
        .target(name: "Evidence", dependencies: ["Wire", "Radio"], swiftSettings: strict),
        .target(
            name: "Lab",
            dependencies: underLab + [yams], swiftSettings: hot),
        .target(
            name: "HeadEnd",
            dependencies: underLab + ["Tracking", "Lab"], swiftSettings: hot),
        .target(
            name: "Console",
            dependencies: underLab + ["DUIS", "Tracking", "Lab", "HeadEnd", "CCurl"] + web,
            swiftSettings: strict),
        .executableTarget(
            name: "han",
            dependencies: underLab + [
                "DUIS", "Tracking", "Lab", "HeadEnd", "Console", argumentParser,
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: strict,
            // With Swift's libraries in it, a process of a home's takes half the memory.
            linkerSettings: [
                .unsafeFlags(["-static-stdlib"]),
                .linkedLibrary("CoreFoundation"), .linkedLibrary("_FoundationICU"),
                .linkedLibrary("_FoundationCShims"), .linkedLibrary("_FoundationCollections"),
            ]),

        // Only `Tools/bench` builds `BenchmarkSupport` and `hanbench`.
        .target(
            name: "BenchmarkSupport", dependencies: ["COpenSSL", "CXML"],
            path: "Tools/benchmarks/support",
            linkerSettings: [.linkedLibrary("crypto")]),
        // What it prints; apart, so that a test can look at it without measuring.
        .target(
            name: "BenchmarkReport", path: "Tools/benchmarks/BenchmarkReport",
            swiftSettings: strict),
        .executableTarget(
            name: "hanbench",
            dependencies: underLab + [
                "DUIS", "Tracking", "Lab", "BenchmarkSupport", "BenchmarkReport", argumentParser,
            ], path: "Tools/benchmarks/hanbench", swiftSettings: hot),

        // Only `Tools/fuzz` builds these two with libFuzzer; nothing else depends on them.
        .target(name: "FuzzingSupport", path: "Tools/fuzzing/support"),
        .executableTarget(
            name: "hanfuzz",
            dependencies: underLab + ["DUIS", "Lab", "FuzzingSupport"],
            path: "Tools/fuzzing/hanfuzz", swiftSettings: strict),

        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: tests),
        .testTarget(
            name: "WireTests", dependencies: ["Wire"],
            swiftSettings: tests),
        .testTarget(
            name: "CryptoTests", dependencies: ["Wire", "Cryptography", "COpenSSL"],
            swiftSettings: tests),
        .testTarget(
            name: "GBCSTests", dependencies: ["Wire", "Cryptography", "GBCS"],
            swiftSettings: tests),
        .testTarget(
            name: "DCCTests", dependencies: ["Wire", "Cryptography", "GBCS", "DCC"],
            swiftSettings: tests),
        .testTarget(
            name: "EvidenceTests", dependencies: ["Wire", "Radio", "Evidence", "TestSupport"],
            swiftSettings: tests),
        .testTarget(
            name: "AirTests", dependencies: ["Wire", "Radio", "Air", "Simulation"],
            swiftSettings: tests),
        .testTarget(
            name: "AirBusTests",
            dependencies: ["Wire", "Radio", "Air", "AirBus", "CZeroMQ", "TestSupport"],
            swiftSettings: tests),
        .testTarget(
            name: "ZigbeeTests",
            dependencies: [
                "Wire", "Radio", "Cryptography", "Air", "Zigbee", "Simulation", "Evidence",
                "TestSupport",
            ],
            swiftSettings: tests),
        .testTarget(
            name: "DUISTests",
            dependencies: ["Wire", "Cryptography", "GBCS", "DCC", "DUIS", "TestSupport"],
            swiftSettings: tests),
        .testTarget(
            name: "DevicesTests",
            dependencies: [
                "Wire", "Radio", "Cryptography", "Air", "Zigbee", "GBCS", "Devices", "Simulation",
            ],
            swiftSettings: tests),
        .testTarget(
            name: "TrackingTests",
            dependencies: ["Wire", "Cryptography", "GBCS", "DCC", "Tracking", "TestSupport", grdb],
            swiftSettings: tests),
        .testTarget(
            name: "LabTests",
            dependencies: underLab + ["Lab", "TestSupport"],
            swiftSettings: tests),
        .testTarget(
            name: "HeadEndTests",
            dependencies: underLab + ["Tracking", "Lab", "HeadEnd", "TestSupport"],
            swiftSettings: tests),
        .testTarget(
            name: "ConsoleTests",
            dependencies: underLab + [
                "DUIS", "Tracking", "Lab", "HeadEnd", "Console", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: tests),
        .testTarget(
            name: "CommandTests",
            dependencies: [
                "Wire", "Radio", "Cryptography", "Air", "AirBus", "GBCS", "DCC", "Tracking",
                "TestSupport",
            ],
            swiftSettings: tests),
        .testTarget(
            name: "BenchmarkTests", dependencies: ["BenchmarkReport"],
            swiftSettings: tests),
        .testTarget(
            name: "FuzzTests", dependencies: ["TestSupport"],
            swiftSettings: tests),
        .testTarget(
            name: "TidyTests", dependencies: [],
            swiftSettings: tests),
    ]
)
