import Foundation

/// A program of somebody else's that does the same work, run as a process of its own. It prints
/// one line: how much it did, and the seconds that took.
struct ReferenceProgram {
    let arguments: [String]

    /// Runs it and returns how much it did a second.
    func rate() throws -> Double {
        let process = Process()
        process.executableURL = URL(filePath: arguments[0])
        process.arguments = Array(arguments.dropFirst())
        process.standardInput = FileHandle.nullDevice
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let figures = text.split(whereSeparator: \.isWhitespace).compactMap { Double($0) }
        guard process.terminationStatus == 0, figures.count == 2, figures[1] > 0 else {
            throw BenchmarkError(
                "\(arguments[0]) ended with \(process.terminationStatus) and said: \(text)")
        }
        return figures[0] / figures[1]
    }
}
