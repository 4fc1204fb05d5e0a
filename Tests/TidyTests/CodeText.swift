/// The code of a Swift or C file, with the text of comments and string literals blanked out, so
/// that a rule about names does not trip over prose. Lines stay where they are; the code inside
/// an interpolation stays code.
struct CodeText {
    /// A word of the code, with the line it stands on (from 1) and its neighbours, spaces skipped.
    struct Word: Equatable {
        var text: String
        var line: Int
        var before: Character?
        var after: Character?
    }

    let code: String

    init(of source: String) {
        var lexer = Lexer(input: Array(source.unicodeScalars))
        lexer.readCode(until: nil)
        var text = String.UnicodeScalarView()
        text.append(contentsOf: lexer.output)
        code = String(text)
    }

    var words: [Word] {
        var found: [Word] = []
        var current = ""
        var line = 1
        var last: Character?
        var before: Character?
        for character in code {
            if character.isLetter || character.isNumber || character == "_" {
                if current.isEmpty { before = last }
                current.append(character)
            } else {
                if !current.isEmpty {
                    found.append(Word(text: current, line: line, before: before))
                    last = current.last
                    current = ""
                }
                if !character.isWhitespace {
                    if let index = found.indices.last, found[index].after == nil {
                        found[index].after = character
                    }
                    last = character
                }
                if character.isNewline { line += 1 }
            }
        }
        if !current.isEmpty { found.append(Word(text: current, line: line, before: before)) }
        return found
    }
}

private struct Lexer {
    let input: [Unicode.Scalar]
    var position = 0
    var output: [Unicode.Scalar] = []

    init(input: [Unicode.Scalar]) {
        self.input = input
        output.reserveCapacity(input.count)
    }

    func starts(with text: String, at offset: Int = 0) -> Bool {
        var index = position + offset
        for scalar in text.unicodeScalars {
            guard index < input.count, input[index] == scalar else { return false }
            index += 1
        }
        return true
    }

    mutating func keep(_ count: Int = 1) {
        let end = min(position + count, input.count)
        output.append(contentsOf: input[position..<end])
        position = end
    }

    mutating func blank(_ count: Int = 1) {
        let end = min(position + count, input.count)
        for scalar in input[position..<end] { output.append(scalar == "\n" ? "\n" : " ") }
        position = end
    }

    /// Reads code to the end of the input, or to the parenthesis that closes an interpolation.
    mutating func readCode(until closing: Unicode.Scalar?) {
        var depth = 0
        while position < input.count {
            let scalar = input[position]
            if starts(with: "//") {
                while position < input.count, input[position] != "\n" { blank() }
            } else if starts(with: "/*") {
                readBlockComment()
            } else if scalar == "\"" || scalar == "#" {
                readStringOrHash()
            } else if scalar == closing && depth == 0 {
                return
            } else {
                if scalar == "(" { depth += 1 }
                if scalar == ")" { depth -= 1 }
                keep()
            }
        }
    }

    /// Block comments nest, in Swift.
    mutating func readBlockComment() {
        var depth = 0
        repeat {
            if starts(with: "/*") {
                depth += 1
                blank(2)
            } else if starts(with: "*/") {
                depth -= 1
                blank(2)
            } else {
                blank()
            }
        } while depth > 0 && position < input.count
    }

    mutating func readStringOrHash() {
        var hashes = 0
        while starts(with: "#", at: hashes) { hashes += 1 }
        guard starts(with: "\"", at: hashes) else {
            keep(hashes)
            return
        }
        let quote = starts(with: "\"\"\"", at: hashes) ? "\"\"\"" : "\""
        let pounds = String(repeating: "#", count: hashes)
        let end = quote + pounds
        let escape = "\\" + pounds
        blank(hashes + quote.unicodeScalars.count)
        while position < input.count {
            if starts(with: end) {
                blank(end.unicodeScalars.count)
                return
            }
            if quote.unicodeScalars.count == 1 && input[position] == "\n" { return }
            if starts(with: escape + "(") {
                blank(escape.unicodeScalars.count)
                keep()
                readCode(until: ")")
                keep()
            } else if starts(with: escape) {
                blank(escape.unicodeScalars.count + 1)
            } else {
                blank()
            }
        }
    }
}
