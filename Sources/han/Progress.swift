import Evidence
import Glibc
import Lab
import Wire

/// Shows a run on standard error while it goes on: on a terminal a line with a bar for each
/// member, redrawn in place; elsewhere a line for each milestone.
///
/// The cursor is never hidden, and after every write it stands at the start of an empty line, so
/// that whatever ends the program leaves the terminal as it should be.
final class RunProgress: RunObserver {
    private let terminal: Terminal
    private let scenario: Scenario
    private var state: ProgressState
    /// Lines on the screen that the next drawing replaces.
    private var drawn = 0
    private var nextDrawing = 0.0
    /// At most so many drawings a second of wall time.
    private static let rate = 20.0

    init(roster: Roster, scenario: Scenario) {
        terminal = Terminal(descriptor: STDERR_FILENO)
        self.scenario = scenario
        state = ProgressState(roster: roster, scenario: scenario)
    }

    func begin(notes: [String]) {
        for note in notes { terminal.write("han: \(note)\n") }
        if terminal.isTerminal {
            let title = terminal.style.paint(fitted(scenario.title, terminal.width - 1), .strong)
            terminal.write(title + "\n")
        } else {
            terminal.write(scenario.title + "\n")
        }
    }

    func observe(_ event: EventRecord) {
        let milestone = state.take(event)
        guard terminal.isTerminal else {
            tell(event, milestone)
            return
        }
        switch event.kind {
        case .stepPassed: scroll(event, passed: true)
        case .stepFailed: scroll(event, passed: false)
        default: break
        }
        let now = Clock.seconds()
        guard now >= nextDrawing else { return }
        nextDrawing = now + 1 / Self.rate
        draw()
    }

    /// Draws how everybody stands at the end, and leaves it there.
    func end() {
        guard terminal.isTerminal else { return }
        draw(isLast: true)
        drawn = 0
    }

    // MARK: - Lines

    private func tell(_ event: EventRecord, _ milestone: ProgressState.Milestone?) {
        let time = padded(Words.clock(event.time - .zero), 9, left: true)
        switch event.kind {
        case .stepStarted:
            terminal.write(
                "\(time)  step \(state.step + 1) of \(state.stepTitles.count): \(title)\n")
        case .stepFailed: terminal.write("\(time)  step \(state.step + 1) FAILED: \(title)\n")
        default:
            guard let milestone else { return }
            terminal.write("\(time)    \(milestone.name) \(milestone.words)\n")
        }
    }

    private var title: String {
        state.stepTitles.indices.contains(state.step) ? state.stepTitles[state.step] : ""
    }

    // MARK: - The screen

    /// Moves the cursor up to where the last drawing began and clears all below.
    private var erasure: String { drawn == 0 ? "" : "\u{1B}[\(drawn)A\u{1B}[J" }

    private func scroll(_ event: EventRecord, passed: Bool) {
        let style = terminal.style
        let mark = style.hasUnicode ? (passed ? "✓" : "✗") : (passed ? "ok" : "FAILED")
        let time = padded(Words.clock(event.time - .zero), 9, left: true)
        let room = max(0, terminal.width - time.count - mark.count - 3)
        terminal.write(
            erasure + style.paint(time, .quiet) + " " + style.paint(mark, passed ? .good : .bad)
                + " " + fitted(title, room) + "\n")
        drawn = 0
    }

    private func draw(isLast: Bool = false) {
        let (columns, rows) = terminal.size
        // A character in the last column would make some terminals wrap.
        let width = columns - 1
        var lines = isLast ? [] : [clockLine(width)]
        let nameWidth = min(state.rows.map(\.name.count).max() ?? 0, width / 3)
        // What has scrolled off the top could not be redrawn.
        for row in state.rows.prefix(isLast ? state.rows.count : max(0, rows - 2)) {
            lines.append(line(for: row, nameWidth: nameWidth, width: width))
        }
        terminal.write(erasure + lines.map { $0 + "\n" }.joined())
        drawn = lines.count
    }

    private func clockLine(_ width: Int) -> String {
        let time = padded(Words.clock(state.now - .zero), 9, left: true)
        let text = "  step \(state.step + 1) of \(state.stepTitles.count): \(title)"
        return fitted(time, width, tone: .strong) + fitted(text, max(0, width - time.count))
    }

    /// `  ESME    0x03010407  downloads 0x03020001   ████░░░░  47 %  28.1 of 59.8 KiB`, and less
    /// of it where that is too long.
    private func line(for row: ProgressState.Row, nameWidth: Int, width: Int) -> String {
        let style = terminal.style
        let firmware = padded(row.firmware.map(Words.version) ?? "", 10)
        let head = fitted("  " + padded(fitted(row.name, nameWidth), nameWidth), width)
        var text = head
        var room = width - head.count
        if room >= 48 {
            text += "  " + style.paint(firmware, .quiet)
            room -= firmware.count + 2
        }
        text += "  "
        room -= 2
        guard row.size > 0 else { return text + fitted(row.words, max(0, room), tone: row.tone) }
        let percent = padded("\(row.offset * 100 / row.size) %", 7, left: true)
        let bytes = padded(
            Words.decimal(Double(row.offset) / 1024, places: 1) + " of "
                + Words.decimal(Double(row.size) / 1024, places: 1) + " KiB", 20, left: true)
        let wordWidth = min(30, max(0, room - percent.count))
        text += padded(fitted(row.words, wordWidth, tone: row.tone), wordWidth, of: row.words)
        room -= wordWidth
        let tail = room >= percent.count + bytes.count + 9 ? percent + bytes : percent
        let barWidth = min(24, room - tail.count - 1)
        if barWidth >= 4 {
            let bar = style.bar(row.offset, of: row.size, width: barWidth)
            text += " " + style.paint(bar, row.offset == row.size ? .good : .busy)
        }
        return room >= tail.count ? text + tail : text
    }

    // MARK: - Text of a known width

    /// Cut to `width` columns, without anything that could move the cursor.
    private func fitted(_ text: String, _ width: Int, tone: Tone = .plain) -> String {
        let safe = text.filter { character in
            character.unicodeScalars.allSatisfy {
                $0.value >= 0x20 && !(0x7F..<0xA0).contains($0.value)
            }
        }
        guard safe.count > width else { return terminal.style.paint(safe, tone) }
        let mark = terminal.style.hasUnicode ? "…" : "~"
        return terminal.style.paint(width > 0 ? safe.prefix(width - 1) + mark : "", tone)
    }

    private func padded(_ text: String, _ width: Int, left: Bool = false) -> String {
        let blanks = String(repeating: " ", count: max(0, width - text.count))
        return left ? blanks + text : text + blanks
    }

    /// The same where `text` is `plain`, perhaps cut, with colour codes that take no room.
    private func padded(_ text: String, _ width: Int, of plain: String) -> String {
        text + String(repeating: " ", count: max(0, width - min(width, plain.count)))
    }
}
