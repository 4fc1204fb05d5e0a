import Wire
import Yams

/// What is wrong in a YAML file: where it is, what was found and what was expected.
public struct YAMLError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file's name as the caller gave it.
    public var file: String
    /// Counted from 1, as editors do; 0 where the file as a whole is meant.
    public var line: Int
    public var column: Int
    /// The field, such as `images[2].hardware.min`; empty for the whole file.
    public var path: String
    public var message: String

    public init(file: String, line: Int, column: Int, path: String, message: String) {
        self.file = file
        self.line = line
        self.column = column
        self.path = path
        self.message = message
    }

    public var description: String {
        var text = file
        if line > 0 { text += ":\(line):\(column)" }
        if !path.isEmpty { text += ": \(path)" }
        return text + ": " + message
    }
}

/// Where something stands in a YAML file, to report an error about it after it has been read.
public struct YAMLPlace: Hashable, Sendable {
    public var file: String
    public var line: Int
    public var column: Int
    public var path: String

    public func error(_ message: String) -> YAMLError {
        YAMLError(file: file, line: line, column: column, path: path, message: message)
    }
}

/// Turns the bytes of a YAML file into fields that know where they stand.
///
/// Takes any bytes. One document a file, at most 16 MiB and 64 levels deep; anchors and aliases
/// are refused before anything is expanded, so no file costs more than its own size justifies.
public enum YAMLReader {
    /// The largest file read, in bytes.
    public static let maximumSize = 16 << 20
    /// How deep lists and maps may nest.
    public static let maximumDepth = 64

    /// The document's top field.
    public static func parse(_ bytes: [UInt8], file: String) throws(YAMLError) -> YAMLField {
        func refuse(_ message: String, line: Int = 0, column: Int = 0) -> YAMLError {
            YAMLError(file: file, line: line, column: column, path: "", message: message)
        }
        guard bytes.count <= maximumSize else {
            throw refuse("the file has \(bytes.count) bytes; at most \(maximumSize) are read")
        }
        // A byte order mark, which some editors put before UTF-8, says nothing.
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let bytes = bytes.starts(with: mark) ? Array(bytes.dropFirst(mark.count)) : bytes
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw refuse("the file is not UTF-8 text; save it as UTF-8")
        }
        if let at = anchorOrAlias(in: bytes) {
            throw refuse(
                "names with '&' or '*' (anchors and aliases) are not accepted: write the value "
                    + "out, or in text put a space after the sign", line: at.line, column: at.column
            )
        }
        let root: Node?
        do {
            root = try Parser(yaml: text).singleRoot()
        } catch let error as YamlError {
            throw translate(error, file: file)
        } catch {
            throw refuse("cannot be read: \(error)")
        }
        guard let root else { throw refuse("the file is empty") }
        let field = YAMLField(node: root, file: file, path: "")
        try field.check(depth: 0)
        return field
    }

    /// The first place where YAML could begin an anchor or an alias: `&` or `*` with a name
    /// behind it and nothing before it that would make it part of a word.
    ///
    /// Looks at bytes, not at YAML's quoting, so that it can only find too much: text such as
    /// `"*this*"` is refused as well. A comment line is skipped if it holds no quote mark and no
    /// byte of YAML's rarer line breaks (U+0085, U+2028, U+2029): only then is it certain that the
    /// whole line is nothing but comment or quoted text.
    private static func anchorOrAlias(in bytes: [UInt8]) -> (line: Int, column: Int)? {
        var line = 1
        var start = 0
        while start < bytes.count {
            let end =
                bytes[start...].firstIndex { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
                ?? bytes.count
            let content = bytes[start..<end]
            let first = content.first { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }
            let isComment =
                first == UInt8(ascii: "#")
                && !content.contains {
                    [UInt8(ascii: "\""), UInt8(ascii: "'"), 0x85, 0xA8, 0xA9].contains($0)
                }
            if !isComment, let column = anchorOrAlias(inLine: content) { return (line, column) }
            if end + 1 < bytes.count, bytes[end] == UInt8(ascii: "\r"),
                bytes[end + 1] == UInt8(ascii: "\n")
            {
                start = end + 2
            } else {
                start = end + 1
            }
            line += 1
        }
        return nil
    }

    private static func anchorOrAlias(inLine line: ArraySlice<UInt8>) -> Int? {
        for index in line.indices.dropLast() {
            guard line[index] == UInt8(ascii: "&") || line[index] == UInt8(ascii: "*"),
                isNameByte(line[index + 1]),
                index == line.startIndex || !isNameByte(line[index - 1])
            else { continue }
            return index - line.startIndex + 1
        }
        return nil
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private static func translate(_ error: YamlError, file: String) -> YAMLError {
        var line = 0
        var column = 0
        var message: String
        switch error {
        case .scanner(let context, let problem, let mark, _),
            .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            line = mark.line
            column = mark.column
            message = "not valid YAML: \(problem)"
            if let context { message += " (\(context.text) in line \(context.mark.line))" }
        case .duplicatedKeysInMapping(let keys, let context):
            line = context.mark.line
            column = context.mark.column
            let names = keys.map { "'\(YAMLField.shortened($0))'" }
            message = "the key \(names.joined(separator: ", ")) stands here more than once"
        case .reader(let problem, _, _, _):
            message = "not valid YAML: \(problem)"
        default:
            message = "not valid YAML: \(error)"
        }
        return YAMLError(file: file, line: line, column: column, path: "", message: message)
    }
}

/// One value of a YAML file, with its place in the file and its path.
///
/// Its readers (`text`, `integer`, `duration` and so on) either give the value in the wanted type
/// or throw a `YAMLError` that says what was found and what was expected.
public struct YAMLField {
    let node: Node
    public let file: String
    /// Where it stands, such as `images[2].hardware.min`; empty for the document's top.
    public let path: String

    public var line: Int { node.mark?.line ?? 0 }
    public var column: Int { node.mark?.column ?? 0 }

    public var place: YAMLPlace {
        YAMLPlace(file: file, line: line, column: column, path: path)
    }

    /// An error about this field, for checks that only the caller can make.
    public func error(_ message: String) -> YAMLError { place.error(message) }

    /// The elements of a list; a scalar or a map is an error.
    public func list() throws(YAMLError) -> [YAMLField] {
        guard case .sequence(let sequence) = node else { throw expected("a list") }
        return sequence.enumerated().map { index, element in
            YAMLField(node: element, file: file, path: "\(path)[\(index)]")
        }
    }

    /// The elements of a list, each read by `read`.
    public func list<T>(
        of read: (YAMLField) throws(YAMLError) -> T
    ) throws(YAMLError) -> [T] {
        var values: [T] = []
        for field in try list() { values.append(try read(field)) }
        return values
    }

    /// A map with fixed keys. Any key not in `keys` is an error that names the likely one.
    public func map(keys: [String]) throws(YAMLError) -> YAMLMap {
        let map = try map()
        for entry in map.entries where !keys.contains(entry.key) {
            var message = "is not a known field"
            if let near = Suggestion.nearest(to: entry.key, among: keys) {
                message += "; did you mean '\(near)'?"
            } else {
                message += "; known here: \(keys.joined(separator: ", "))"
            }
            throw entry.keyField.error(message)
        }
        return map
    }

    /// A map whose keys are data, in the order of the file. Keys must be scalars.
    public func map() throws(YAMLError) -> YAMLMap {
        guard case .mapping(let mapping) = node else { throw expected("a map of fields") }
        var entries: [YAMLMap.Entry] = []
        for (key, value) in mapping {
            guard case .scalar(let scalar) = key else {
                let field = YAMLField(node: key, file: file, path: path)
                throw field.error("a field's name must be text, not a list or a map")
            }
            let name = Self.shortened(scalar.string)
            let childPath = path.isEmpty ? name : "\(path).\(name)"
            entries.append(
                YAMLMap.Entry(
                    key: scalar.string,
                    keyField: YAMLField(node: key, file: file, path: childPath),
                    value: YAMLField(node: value, file: file, path: childPath)))
        }
        return YAMLMap(field: self, entries: entries)
    }

    /// True for a map, for fields that may be either a word or a map.
    public var isMap: Bool { if case .mapping = node { true } else { false } }
    /// True for a list, for fields that may be either a word or a list.
    public var isList: Bool { if case .sequence = node { true } else { false } }

    /// The error for a value of the wrong kind.
    func expected(_ what: String) -> YAMLError {
        error("expected \(what), found \(found)")
    }

    /// What stands here, in a few words.
    var found: String {
        switch node {
        case .scalar(let scalar):
            isNull ? "no value" : "'\(Self.shortened(scalar.string))'"
        case .sequence: "a list"
        case .mapping: "a map"
        case .alias: "an alias"
        }
    }

    /// True for an empty value, `~` or `null`, unless in quotes.
    var isNull: Bool {
        guard case .scalar(let scalar) = node, isPlain else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    var isPlain: Bool {
        guard case .scalar(let scalar) = node else { return false }
        return scalar.style == .plain || scalar.style == .any
    }

    /// At most 60 characters of `text`, with control characters spelt out.
    static func shortened(_ text: String) -> String {
        var result = ""
        for (count, character) in text.unicodeScalars.enumerated() {
            if count == 60 { return result + "..." }
            if character.value < 0x20 || character.value == 0x7F {
                result += "\\x" + Hex.string(UInt64(character.value), digits: 2)
            } else {
                result.unicodeScalars.append(character)
            }
        }
        return result
    }

    fileprivate func check(depth: Int) throws(YAMLError) {
        guard depth <= YAMLReader.maximumDepth else {
            throw error("nested more than \(YAMLReader.maximumDepth) levels deep")
        }
        switch node {
        case .scalar: return
        case .alias: throw error("aliases are not accepted: write the value out")
        case .sequence(let sequence):
            for element in sequence {
                try YAMLField(node: element, file: file, path: path).check(depth: depth + 1)
            }
        case .mapping(let mapping):
            for (key, value) in mapping {
                try YAMLField(node: key, file: file, path: path).check(depth: depth + 1)
                try YAMLField(node: value, file: file, path: path).check(depth: depth + 1)
            }
        }
    }
}

/// The fields of a YAML map, in the order of the file.
public struct YAMLMap {
    public struct Entry {
        public var key: String
        /// The key itself, to report an error about it or to read it as a number.
        public var keyField: YAMLField
        public var value: YAMLField
    }

    /// The map as a whole, for errors about it.
    public let field: YAMLField
    public let entries: [Entry]

    /// The value of `key`; throws if the field is missing or has no value.
    public func required(_ key: String) throws(YAMLError) -> YAMLField {
        guard let value = try optional(key) else {
            throw field.error("the field '\(key)' is missing")
        }
        return value
    }

    /// The value of `key`, or nil if the field is not there; a field without a value is an error.
    public func optional(_ key: String) throws(YAMLError) -> YAMLField? {
        guard let entry = entries.first(where: { $0.key == key }) else { return nil }
        guard !entry.value.isNull else {
            throw entry.keyField.error("has no value; write one or remove the line")
        }
        return entry.value
    }
}
