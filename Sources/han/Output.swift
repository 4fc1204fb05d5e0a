import Foundation
import Glibc

/// How results are shown: plain aligned columns for people, stable JSON for programs.
enum Output {
    /// Writes to standard output at once, so that what cannot be written is known at once.
    static func write(_ text: String) throws {
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes {
                Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw Failure(
                    .io, "standard output cannot be written: \(String(cString: strerror(errno)))")
            }
            written += count
        }
    }

    /// Whether a file is what standard output goes to, under whatever name.
    static func isStandardOutput(_ path: String) -> Bool {
        var named = stat()
        var output = stat()
        return stat(path, &named) == 0 && fstat(STDOUT_FILENO, &output) == 0
            && named.st_dev == output.st_dev && named.st_ino == output.st_ino
            // Everything may go to /dev/null.
            && !(named.st_mode & S_IFMT == S_IFCHR && isatty(STDOUT_FILENO) == 0)
    }

    /// Prints `value` as JSON with sorted keys.
    static func json(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try write(String(decoding: try encoder.encode(value), as: UTF8.self) + "\n")
    }

    /// Rows in columns as wide as their widest cell, two spaces apart, no blanks at line ends.
    static func columns(_ rows: [[String]]) -> String {
        lines(rows).map { $0 + "\n" }.joined()
    }

    /// Columns under a head, each row in its tone; control characters of what others wrote, which
    /// would move a terminal's cursor, are not shown.
    static func table(
        _ head: [String], _ rows: [(cells: [String], tone: Tone)], _ style: Terminal.Style
    ) -> String {
        let lines = lines([head] + rows.map { $0.cells.map(harmless) })
        return zip(lines, [.strong] + rows.map(\.tone)).map { style.paint($0, $1) + "\n" }.joined()
    }

    private static func lines(_ rows: [[String]]) -> [String] {
        var widths: [Int] = []
        for row in rows {
            for (index, cell) in row.enumerated() {
                if index == widths.count { widths.append(0) }
                widths[index] = max(widths[index], cell.count)
            }
        }
        return rows.map { row in
            var line = ""
            for (index, cell) in row.enumerated() {
                line += cell
                if index + 1 < row.count {
                    line += String(repeating: " ", count: widths[index] + 2 - cell.count)
                }
            }
            while line.hasSuffix(" ") { line.removeLast() }
            return line
        }
    }

    /// A number of bytes: exact below 1 KiB, rounded to a tenth of a unit above.
    static func size(_ bytes: Int) -> String {
        let units = [(1 << 20, "MiB"), (1 << 10, "KiB")]
        for (unit, name) in units where bytes >= unit {
            let tenths = (bytes * 10 + unit / 2) / unit
            return "\(tenths / 10).\(tenths % 10) \(name)"
        }
        return bytes == 1 ? "1 byte" : "\(bytes) bytes"
    }

    /// The rounded size and, where it was rounded, the exact one.
    static func exactSize(_ bytes: Int) -> String {
        bytes < 1 << 10 ? size(bytes) : "\(size(bytes)) (\(bytes) bytes)"
    }
}
