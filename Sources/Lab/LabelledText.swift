import Wire

/// Text of `Label: hex digits`, a line each, as makers' and Certicom's tools print key material;
/// the digits may also be on the line after. Lines with other labels, and those that begin with
/// `#`, mean nothing here.
///
/// What is said of a bad line is its number and its label, never what it holds.
struct LabelledText {
    struct Line {
        /// From 1.
        var number: Int
        /// Small letters and digits, single blanks between.
        var label: String
        var bytes: [UInt8]
    }

    private(set) var lines: [Line] = []

    /// Reads the lines whose labels are in `known`. Throws where the value of one is not hex.
    init(
        _ bytes: [UInt8], known: Set<String>, path: String
    ) throws(CredentialError) {
        var pending: (number: Int, label: String)?
        let text = String(decoding: bytes, as: UTF8.self)
        for (index, line) in text.split(
            omittingEmptySubsequences: false, whereSeparator: \.isNewline
        )
        .enumerated() {
            let isBlank = line.allSatisfy { $0 == " " || $0 == "\t" }
            if line.hasPrefix("#") || isBlank { continue }
            let number = index + 1
            if let (_, label) = pending {
                pending = nil
                lines.append(
                    Line(
                        number: number, label: label,
                        bytes: try Self.hex(line, label, number, path)))
                continue
            }
            guard let colon = line.firstIndex(of: ":") else { continue }
            let label = Self.plain(line[..<colon])
            guard known.contains(label) else { continue }
            let value = line[line.index(after: colon)...]
            if value.allSatisfy({ $0 == " " || $0 == "\t" }) {
                pending = (number, label)
            } else {
                lines.append(
                    Line(
                        number: number, label: label,
                        bytes: try Self.hex(value, label, number, path)))
            }
        }
        if let (number, label) = pending {
            throw .content(path, "line \(number): nothing follows '\(label)'")
        }
    }

    private static func hex(
        _ text: Substring, _ label: String, _ number: Int, _ path: String
    ) throws(CredentialError) -> [UInt8] {
        guard let bytes = digits(Array(text.utf8)), !bytes.isEmpty else {
            throw .content(path, "line \(number): what '\(label)' has is not pairs of hex digits")
        }
        return bytes
    }

    private static func plain(_ label: Substring) -> String {
        label.lowercased().split { !$0.isLetter && !$0.isNumber }.joined(separator: " ")
    }

    /// The bytes that text spells of hex digits in pairs, with blanks, line ends, `:`, `-`, `,` or
    /// `0x` between; nil for any other text.
    static func digits(_ text: [UInt8]) -> [UInt8]? {
        let blanks = Set(" \t\r\n:-,".utf8)
        var digits: [UInt8] = []
        for word in text.split(whereSeparator: { blanks.contains($0) }) {
            let isPrefixed =
                word.count > 2 && word.first == 0x30 && word[word.startIndex + 1] | 0x20 == 0x78
            digits += word.dropFirst(isPrefixed ? 2 : 0)
        }
        return Hex.bytes(String(decoding: digits, as: UTF8.self))
    }
}

/// Why credentials cannot be used.
public struct CredentialError: Error, Sendable, CustomStringConvertible {
    public enum Kind: Sendable {
        /// A file's content.
        case content
        /// What belongs to it is not there.
        case incomplete
    }

    public let kind: Kind
    public let description: String

    static func content(_ path: String, _ reason: String) -> CredentialError {
        CredentialError(kind: .content, description: "\(path): \(reason)")
    }

    static func incomplete(_ reason: String) -> CredentialError {
        CredentialError(kind: .incomplete, description: reason)
    }
}
