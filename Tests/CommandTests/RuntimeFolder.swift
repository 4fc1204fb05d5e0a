import Foundation
import Testing

/// A place for the homes of one test, which ends those that it leaves running. Its path is short,
/// because the paths of sockets are.
final class RuntimeFolder {
    let path: String

    init() throws {
        var template = Array("/tmp/hanXXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit {
        _ = try? RunHan.han(["down", "--all"], environment: environment)
        try? FileManager.default.removeItem(atPath: path)
    }

    var environment: [String: String] { ["XDG_RUNTIME_DIR": path, "HAN_HOME": RunHan.root] }

    func han(_ arguments: [String], timeout: TimeInterval = 120) throws -> RunHan.Result {
        try RunHan.han(arguments, environment: environment, timeout: timeout)
    }

    /// What there is of homes.
    var remains: [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: path + "/han")) ?? []
    }

    func folder(of home: String) -> String { path + "/han/home-" + home }

    func supervisor(of home: String) throws -> Int32 {
        let data = try Data(contentsOf: URL(filePath: folder(of: home) + "/run.json"))
        let file = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        let supervisor = try #require(file["supervisor"] as? [String: Any])
        return try #require((supervisor["pid"] as? NSNumber)?.int32Value)
    }

    /// A row of `han ps --json`.
    struct Row: Decodable {
        struct Download: Decodable {
            var offset: Int
            var size: Int
        }

        var home: String
        var role: String
        var name: String
        var eui64: String?
        var pid: Int32?
        var state: String
        var firmware: String?
        var download: Download?
        var memory: Int?
    }

    func rows() throws -> [Row] {
        let result = try han(["ps", "--json"])
        try #require(result.code == 0, "\(result.errors)")
        return try JSONDecoder().decode([Row].self, from: Data(result.output.utf8))
    }

    func row(_ name: String) throws -> Row {
        try #require(try rows().first { $0.name == name })
    }

    /// Asks again until it is so; a test that has waited too long fails.
    func wait(
        _ what: String, seconds: TimeInterval = 120, until isSo: () throws -> Bool
    ) throws {
        let limit = Date().addingTimeInterval(seconds)
        while Date() < limit {
            if try isSo() { return }
            usleep(50_000)
        }
        Issue.record("not within \(seconds) s: \(what)")
    }
}

/// A `han` that goes on while the test does something else.
final class Background {
    private let process = Process()
    private let scratch: TemporaryFolder
    private let ended = DispatchSemaphore(value: 0)
    private var isOver = false

    init(
        _ arguments: [String], of program: String = RunHan.binary,
        environment: [String: String] = [:]
    ) throws {
        scratch = try TemporaryFolder()
        let output = try scratch.write([], as: "output")
        let errors = try scratch.write([], as: "errors")
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment
            .merging(environment) { _, new in new }
        process.standardInput = FileHandle.nullDevice
        let files = [output, errors].map { FileHandle(forWritingAtPath: $0) }
        (process.standardOutput, process.standardError) = (files[0], files[1])
        process.terminationHandler = { [ended] _ in ended.signal() }
        try process.run()
        for file in files { try file?.close() }
    }

    deinit { if !isOver { kill(process.processIdentifier, SIGKILL) } }

    var pid: Int32 { process.processIdentifier }
    var output: String { (try? String(decoding: scratch.read("output"), as: UTF8.self)) ?? "" }
    var errors: String { (try? String(decoding: scratch.read("errors"), as: UTF8.self)) ?? "" }

    /// Its exit code once it has ended; a signal's number and 128 if that ended it.
    func code(within seconds: TimeInterval = 60) throws -> Int32 {
        let result = ended.wait(timeout: .now() + seconds)
        try #require(result == .success, "it does not end: \(errors)")
        isOver = true
        return process.terminationReason == .uncaughtSignal
            ? 128 + process.terminationStatus : process.terminationStatus
    }
}
