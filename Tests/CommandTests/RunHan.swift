import Foundation
import Testing

/// Runs programs as processes of their own, `han` above all.
enum RunHan {
    struct Result {
        /// The exit code; a signal's number plus 128 if one ended the process.
        var code: Int32
        var output: String
        var errors: String
    }

    /// The project's root.
    static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path(percentEncoded: false)

    /// The built program: beside the test bundle, or in the release folder.
    static let binary: String = {
        let runner = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
            .map { URL(filePath: $0).deletingLastPathComponent() }
        let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") }
            .map { URL(filePath: $0).deletingLastPathComponent() }
        for folder in [bundle, runner].compactMap(\.self) {
            let path = folder.appending(path: "han").path(percentEncoded: false)
            if FileManager.default.isExecutableFile(atPath: path) { return path }
        }
        return root + "/.build/release/han"
    }()

    /// Runs `han`. See `run`.
    static func han(
        _ arguments: [String], in folder: String? = nil, environment: [String: String] = [:],
        timeout: TimeInterval = 60
    ) throws -> Result {
        try run(binary, arguments, in: folder, environment: environment, timeout: timeout)
    }

    /// Runs a program, by path or by its name in `PATH`, and waits for it. `environment` is put on
    /// top of this process's own. After `timeout` seconds the process, and only it, is killed, and
    /// the test fails.
    static func run(
        _ program: String, _ arguments: [String], in folder: String? = nil,
        environment: [String: String] = [:], timeout: TimeInterval = 60
    ) throws -> Result {
        let scratch = try TemporaryFolder()
        let outputPath = try scratch.write([], as: "stdout")
        let errorsPath = try scratch.write([], as: "stderr")
        let process = Process()
        if program.contains("/") {
            process.executableURL = URL(filePath: program)
            process.arguments = arguments
        } else {
            process.executableURL = URL(filePath: "/usr/bin/env")
            process.arguments = [program] + arguments
        }
        if let folder { process.currentDirectoryURL = URL(filePath: folder) }
        process.environment = ProcessInfo.processInfo.environment
            .merging(environment) { _, new in new }
        process.standardInput = FileHandle.nullDevice
        // Files instead of pipes: nobody has to drain them while the process runs.
        let files = [outputPath, errorsPath].map { FileHandle(forWritingAtPath: $0) }
        (process.standardOutput, process.standardError) = (files[0], files[1])
        let ended = DispatchSemaphore(value: 0)
        process.terminationHandler = { _ in ended.signal() }
        try process.run()
        // Foundation keeps them open otherwise, and select() has room for 1,024.
        for file in files { try file?.close() }
        if ended.wait(timeout: .now() + timeout) == .timedOut {
            kill(process.processIdentifier, SIGKILL)
            ended.wait()
            Issue.record("\(program) \(arguments) did not end within \(timeout) s")
        }
        let code = process.terminationStatus
        return Result(
            code: process.terminationReason == .uncaughtSignal ? 128 + code : code,
            output: try String(contentsOfFile: outputPath, encoding: .utf8),
            errors: try String(contentsOfFile: errorsPath, encoding: .utf8))
    }
}

/// A folder of a test's own, gone when the test lets go of it.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory
            .appending(path: "han-test-\(UUID().uuidString)").path(percentEncoded: false)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file, with the folders it needs, and gives its full path.
    @discardableResult
    func write(_ bytes: [UInt8], as name: String) throws -> String {
        let file = path + "/" + name
        try FileManager.default.createDirectory(
            at: URL(filePath: file).deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(filePath: file))
        return file
    }

    func read(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: path + "/" + name)))
    }
}
