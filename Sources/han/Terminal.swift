import Glibc
import Wire

/// What a stream is connected to, and how text may look there.
struct Terminal {
    let descriptor: Int32
    /// The cursor can be moved: a terminal that is not dumb.
    let isTerminal: Bool
    let style: Style

    /// Which means of expression text may use.
    struct Style {
        /// Colour and bold: on a terminal, and never with `NO_COLOR`.
        var hasColour: Bool
        /// Block characters and the like: where the locale says UTF-8.
        var hasUnicode: Bool
    }

    init(descriptor: Int32) {
        self.descriptor = descriptor
        isTerminal =
            isatty(descriptor) == 1
            && !["", "dumb"].contains(Self.environment("TERM") ?? "")
        // https://no-color.org: present and not empty, whatever its value.
        style = Style(
            hasColour: isTerminal && Self.environment("NO_COLOR") == nil,
            hasUnicode: Self.isUTF8)
    }

    /// Columns: what the terminal says, or `COLUMNS` if that is less or nothing is said; 100 for
    /// files and pipes.
    var width: Int { size.columns }

    /// Columns and rows now.
    var size: (columns: Int, rows: Int) {
        let wanted = Self.environment("COLUMNS").flatMap { Int($0) }.map { min(max($0, 20), 1000) }
        var window = winsize()
        guard isatty(descriptor) == 1, ioctl(descriptor, UInt(TIOCGWINSZ), &window) == 0,
            window.ws_col > 0
        else { return (wanted ?? (isTerminal ? 80 : 100), 24) }
        let columns = Int(window.ws_col)
        return (min(wanted ?? columns, columns), window.ws_row > 0 ? Int(window.ws_row) : 24)
    }

    /// Says which files of key stores are left out, each with the reason.
    func write(leftOut problems: [String], of place: String? = nil) {
        let head = "han: left out" + (place.map { " of \($0)" } ?? "")
        for problem in Words.some(problems, of: 5) { write("\(head): \(problem)\n") }
    }

    /// Writes all of `text` at once. What cannot be written is let go: it is only for show.
    func write(_ text: String) {
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            written += count
        }
    }

    /// A variable that is set to something.
    private static func environment(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }

    private static var isUTF8: Bool {
        let locale = environment("LC_ALL") ?? environment("LC_CTYPE") ?? environment("LANG") ?? ""
        let folded = locale.lowercased()
        return folded.hasSuffix("utf-8") || folded.hasSuffix("utf8")
            || folded.contains("utf-8@") || folded.contains("utf8@")
    }
}

/// How a piece of text stands out.
enum Tone: String {
    case plain = ""
    case good = "32"
    case bad = "31"
    case warning = "33"
    case busy = "36"
    case quiet = "2"
    case strong = "1"
}

extension Terminal.Style {
    func paint(_ text: String, _ tone: Tone) -> String {
        hasColour && tone != .plain && !text.isEmpty
            ? "\u{1B}[\(tone.rawValue)m\(text)\u{1B}[0m" : text
    }

    /// A bar of `width` columns, filled to `part` of `whole`.
    func bar(_ part: UInt64, of whole: UInt64, width: Int) -> String {
        let filled = whole == 0 ? 0 : min(width, Int(Double(part) / Double(whole) * Double(width)))
        let (full, empty) = hasUnicode ? ("█", "░") : ("#", ".")
        return String(repeating: full, count: filled)
            + String(repeating: empty, count: width - filled)
    }
}
