import Crypto
import Foundation
import Wire

/// The bytes that `text` spells; a test's own constant, so anything else is the test's mistake.
func hex(_ text: String) -> [UInt8] {
    guard let bytes = Hex.bytes(text.filter { $0 != " " }) else {
        fatalError("not hex: \(text)")
    }
    return bytes
}

func key(_ text: String) -> Key128 { Key128(hex(text))! }

/// The `KeyError` that `body` throws, or nil.
func keyFailure<T>(_ body: () throws -> T) -> KeyError? {
    do {
        _ = try body()
        return nil
    } catch {
        return error as? KeyError
    }
}

/// The `InstallCodeError` that `body` throws, or nil.
func codeFailure<T>(_ body: () throws -> T) -> InstallCodeError? {
    do {
        _ = try body()
        return nil
    } catch {
        return error as? InstallCodeError
    }
}

/// A temporary folder that goes away with its owner, and the openssl command run in it: the
/// independent judge of these tests.
final class Workshop {
    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory
            .appending(path: "crypto-tests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    func write(_ bytes: [UInt8], _ name: String) throws {
        try Data(bytes).write(to: folder.appending(path: name))
    }

    func read(_ name: String) throws -> [UInt8] {
        try [UInt8](Data(contentsOf: folder.appending(path: name)))
    }

    /// The exit status of `openssl` with these arguments, separated by spaces.
    @discardableResult
    func openssl(_ arguments: String) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments.split(separator: " ").map(String.init)
        process.currentDirectoryURL = folder
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }
}

/// The folder with reference data, or nil where it was not handed out.
enum Reference {
    static let folder: URL? = {
        let project = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let named = ProcessInfo.processInfo.environment["HAN_REFERENCE"].map { URL(filePath: $0) }
        let folder = named ?? project.appending(path: "../shared/reference")
        return FileManager.default.fileExists(atPath: folder.path) ? folder : nil
    }()

    static func read(_ path: String) throws -> [UInt8] {
        guard let folder else { throw CocoaError(.fileNoSuchFile) }
        return try [UInt8](Data(contentsOf: folder.appending(path: path)))
    }
}
