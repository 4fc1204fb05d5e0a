import Foundation
import Testing

/// The checkout that these tests were compiled from.
enum Checkout {
    static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// Paths from the root of every file that is, or is about to be, under version control.
    static let files: [String] = {
        let listing = try? Command(
            "/usr/bin/env", "git", "ls-files", "-z", "-co", "--exclude-standard"
        )
        .run(in: root)
        guard let listing, listing.code == 0 else { return filesOnDisk() }
        return listing.output.split(separator: "\0").map(String.init)
            .filter { FileManager.default.fileExists(atPath: root.appending(path: $0).path) }
    }()

    /// For a tree that was unpacked without its history.
    private static func filesOnDisk() -> [String] {
        let left: Set = [".git", ".build", ".swiftpm", "Package.resolved", "out"]
        let all = FileManager.default.enumerator(atPath: root.path)
        return (all?.allObjects as? [String] ?? []).filter { path in
            var isFolder: ObjCBool = false
            let there = FileManager.default.fileExists(
                atPath: root.appending(path: path).path, isDirectory: &isFolder)
            return there && !isFolder.boolValue && !left.contains(topLevel(of: path))
        }
    }

    static func topLevel(of path: String) -> String {
        String(path.prefix { $0 != "/" })
    }

    /// The name of the target: the second component of a path in Sources or Tests, the third of
    /// one in Tools/benchmarks or Tools/fuzzing.
    static func target(of path: String) -> String? {
        let parts = path.split(separator: "/")
        let isTool = ["Tools/benchmarks/", "Tools/fuzzing/"].contains(where: path.hasPrefix)
        let place = isTool ? 2 : 1
        return parts.count > place + 1 ? String(parts[place]) : nil
    }

    /// The file's text, or nil if it is not text.
    static func text(of path: String) throws -> String? {
        String(bytes: try Data(contentsOf: root.appending(path: path)), encoding: .utf8)
    }

    /// Swift and C files of Sources.
    static var sources: [String] {
        files.filter { path in
            path.hasPrefix("Sources/") && [".swift", ".c", ".h"].contains { path.hasSuffix($0) }
        }
    }
}

/// A breach of a rule, printed as a compiler would.
struct Breach: CustomStringConvertible, Equatable {
    var path: String
    var line: Int
    var message: String

    var description: String { "\(path):\(line): \(message)" }
}

/// A program to run to its end, with no input.
struct Command {
    var program: String
    var arguments: [String]
    var environment: [String: String]?

    init(_ program: String, _ arguments: String..., environment: [String: String]? = nil) {
        self.program = program
        self.arguments = arguments
        self.environment = environment
    }

    struct Result {
        var code: Int32
        var signalled: Bool
        var pid: Int32
        var output: String
        var errors: String
    }

    func run(in folder: URL? = nil) throws -> Result {
        try start(in: folder).finish()
    }

    func start(in folder: URL? = nil) throws -> Running {
        // Files and not pipes: nobody has to read them for the program to go on.
        let place = FileManager.default.temporaryDirectory.appending(path: "han-\(UUID())")
        let output = place.appendingPathExtension("out")
        let errors = place.appendingPathExtension("err")
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        if let environment { process.environment = environment }
        if let folder { process.currentDirectoryURL = folder }
        process.standardInput = FileHandle.nullDevice
        for url in [output, errors] { try Data().write(to: url) }
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        // A thread of the test runner may block signals, and a child inherits that.
        var none = sigset_t()
        var before = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try process.run()
        return Running(process: process, output: output, errors: errors)
    }

    struct Running {
        let process: Process
        let output: URL
        let errors: URL

        func finish() throws -> Result {
            process.waitUntilExit()
            defer {
                try? FileManager.default.removeItem(at: output)
                try? FileManager.default.removeItem(at: errors)
            }
            return Result(
                code: process.terminationStatus,
                signalled: process.terminationReason == .uncaughtSignal,
                pid: process.processIdentifier,
                output: String(decoding: try Data(contentsOf: output), as: UTF8.self),
                errors: String(decoding: try Data(contentsOf: errors), as: UTF8.self))
        }
    }
}
