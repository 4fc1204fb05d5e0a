import Foundation

/// Another program, run to its end.
public struct Command: Sendable {
    public var status: Int32
    public var output: String
    public var errors: String

    /// Runs `program`, found through `PATH`, with nothing on its standard input.
    public static func run(
        _ program: String, _ arguments: [String], environment: [String: String] = [:],
        in folder: URL? = nil
    ) throws -> Command {
        let scratch = try TemporaryFolder()
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [program] + arguments
        process.environment = ProcessInfo.processInfo.environment
            .merging(environment) { _, new in new }
        if let folder { process.currentDirectoryURL = folder }
        // Files, not pipes: a program that fills one pipe while another is read would never end.
        let files = try ["output", "errors"].map { name in
            try Data().write(to: scratch.url.appending(path: name))
            return try FileHandle(forWritingTo: scratch.url.appending(path: name))
        }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = files[0]
        process.standardError = files[1]
        try process.run()
        process.waitUntilExit()
        for file in files { try file.close() }
        func text(_ name: String) throws -> String {
            let data = try Data(contentsOf: scratch.url.appending(path: name))
            return String(decoding: data, as: UTF8.self)
        }
        return Command(
            status: process.terminationStatus, output: try text("output"),
            errors: try text("errors"))
    }
}

extension Command {
    /// The value of an environment variable, or nil.
    public static func environment(_ name: String) -> String? {
        ProcessInfo.processInfo.environment[name]
    }
}
