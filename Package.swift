// swift-tools-version: 6.2
import PackageDescription

/// Every target: Swift 6 mode, warnings are errors, lifetimes for the readers of `Wire`.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableExperimentalFeature("Lifetimes"),
    .treatAllWarnings(as: .error),
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
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "han",
    products: [.executable(name: "han", targets: ["han"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        .systemLibrary(name: "COpenSSL"),
        .systemLibrary(name: "CZeroMQ"),
        .target(
            name: "CSigning", dependencies: ["COpenSSL"], linkerSettings: [.linkedLibrary("crypto")]
        ),
        // Every target names all modules that it reaches, also through others: otherwise a change
        // to one of them would not rebuild it, and it would go on with values' old layout.
        .target(name: "Wire", swiftSettings: hot),
        .target(
            name: "Crypto", dependencies: ["Wire", "COpenSSL", "CSigning"], swiftSettings: hot),
        .target(name: "Radio", dependencies: ["Wire"], swiftSettings: hot),
        .target(name: "Air", dependencies: ["Wire", "Radio"], swiftSettings: hot),
        .target(
            name: "AirBus", dependencies: ["Wire", "Radio", "Air", "CZeroMQ"], swiftSettings: hot),
        .target(name: "Zigbee", dependencies: ["Wire", "Radio", "Crypto"], swiftSettings: hot),
        .target(name: "GBCS", dependencies: ["Wire", "Crypto"], swiftSettings: strict),
        .target(
            name: "Devices", dependencies: ["Wire", "Radio", "Crypto", "Zigbee", "GBCS"],
            swiftSettings: hot),
        .target(name: "Simulation", dependencies: ["Wire", "Radio", "Air"], swiftSettings: hot),
        .target(name: "Evidence", dependencies: ["Wire", "Radio"], swiftSettings: strict),
        .target(
            name: "Lab",
            dependencies: [
                "Wire", "Radio", "Crypto", "Air", "AirBus", "Zigbee", "GBCS", "Devices",
                "Simulation", "Evidence", yams,
            ], swiftSettings: hot),
        .executableTarget(
            name: "han",
            dependencies: [
                "Wire", "Radio", "Crypto", "Air", "AirBus", "Zigbee", "GBCS", "Devices",
                "Simulation", "Evidence", "Lab", argumentParser,
            ], swiftSettings: strict,
            // With Swift's libraries in it, a process of a home's takes half the memory.
            linkerSettings: [
                .unsafeFlags(["-static-stdlib"]),
                .linkedLibrary("CoreFoundation"), .linkedLibrary("_FoundationICU"),
                .linkedLibrary("_FoundationCShims"), .linkedLibrary("_FoundationCollections"),
            ]),

        // Only `Tools/bench` builds `BenchmarkSupport` and `hanbench`.
        .target(
            name: "BenchmarkSupport", dependencies: ["COpenSSL"], path: "Tools/benchmarks/support",
            linkerSettings: [.linkedLibrary("crypto")]),
        // What it prints; apart, so that a test can look at it without measuring.
        .target(
            name: "BenchmarkReport", path: "Tools/benchmarks/BenchmarkReport",
            swiftSettings: strict),
        .executableTarget(
            name: "hanbench",
            dependencies: [
                "Wire", "Radio", "Crypto", "Air", "AirBus", "Zigbee", "GBCS", "Devices",
                "Simulation", "Evidence", "Lab", "BenchmarkSupport", "BenchmarkReport",
                argumentParser,
            ], path: "Tools/benchmarks/hanbench", swiftSettings: hot),

        // Only `Tools/fuzz` builds these two with libFuzzer; nothing else depends on them.
        .target(name: "FuzzingSupport", path: "Tools/fuzzing/support"),
        .executableTarget(
            name: "hanfuzz",
            dependencies: [
                "Wire", "Radio", "Crypto", "Air", "Zigbee", "GBCS", "Devices", "Simulation",
                "Evidence", "AirBus", "Lab", "FuzzingSupport",
            ], path: "Tools/fuzzing/hanfuzz", swiftSettings: strict),

        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: tests),
        .testTarget(
            name: "WireTests", dependencies: ["Wire"],
            swiftSettings: tests),
        .testTarget(
            name: "CryptoTests", dependencies: ["Wire", "Crypto", "COpenSSL"],
            swiftSettings: tests),
        .testTarget(
            name: "GBCSTests", dependencies: ["Wire", "Crypto", "GBCS"],
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
                "Wire", "Radio", "Crypto", "Air", "Zigbee", "Simulation", "Evidence",
                "TestSupport",
            ],
            swiftSettings: tests),
        .testTarget(
            name: "DevicesTests",
            dependencies: [
                "Wire", "Radio", "Crypto", "Air", "Zigbee", "GBCS", "Devices", "Simulation",
            ],
            swiftSettings: tests),
        .testTarget(
            name: "LabTests",
            dependencies: [
                "Wire", "Radio", "Crypto", "Air", "AirBus", "Zigbee", "GBCS", "Devices",
                "Simulation", "Evidence", "Lab", "TestSupport",
            ],
            swiftSettings: tests),
        .testTarget(
            name: "CommandTests", dependencies: ["Wire", "Radio", "Air", "AirBus", "TestSupport"],
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
