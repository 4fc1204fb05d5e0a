import DCC
import Foundation
internal import GRDB
import Wire

/// The columns of a row from left to right. What is not as the store writes it becomes an error
/// that names the row: anybody can put anything into a file.
struct Cells {
    private let row: Row
    private let name: () -> String
    private var next = 0

    init(_ row: Row, _ name: @autoclosure @escaping () -> String) {
        self.row = row
        self.name = name
    }

    /// A column as it is, to name a row by.
    static func quoted(_ row: Row, _ column: Int) -> String {
        let value = row[column] as DatabaseValue
        return if case .string(let text) = value.storage { "'\(text)'" } else { "\(value)" }
    }

    private mutating func cell() -> DatabaseValue.Storage {
        defer { next += 1 }
        return (row[next] as DatabaseValue).storage
    }

    func unfit(_ what: String) -> BadRow {
        let column = next > 0 ? Array(row.columnNames)[next - 1] : ""
        return BadRow(detail: "\(name()), column '\(column)': \(what)")
    }

    mutating func integer() throws -> Int64 {
        guard case .int64(let value) = cell() else { throw unfit("not a whole number") }
        return value
    }

    mutating func optionalInteger() throws -> Int64? {
        switch cell() {
        case .int64(let value): return value
        case .null: return nil
        default: throw unfit("not a whole number")
        }
    }

    mutating func text() throws -> String {
        guard case .string(let value) = cell() else { throw unfit("not text") }
        return value
    }

    mutating func optionalText() throws -> String? {
        switch cell() {
        case .string(let value): return value
        case .null: return nil
        default: throw unfit("not text")
        }
    }

    /// '' for none.
    mutating func textOrNone() throws -> String? {
        let text = try text()
        return text.isEmpty ? nil : text
    }

    mutating func bytes() throws -> [UInt8] {
        switch cell() {
        case .blob(let value): return [UInt8](value)
        default: throw unfit("not bytes")
        }
    }

    mutating func optionalBytes() throws -> [UInt8]? {
        switch cell() {
        case .blob(let value): return [UInt8](value)
        case .null: return nil
        default: throw unfit("not bytes")
        }
    }

    /// Of rows: none or more, and so few that sums of them fit.
    mutating func count() throws -> Int {
        let value = try integer()
        guard (0..<1 << 48).contains(value) else { throw unfit("\(value) is not a number of them") }
        return Int(value)
    }

    /// 0 or 1.
    mutating func flag() throws -> Bool {
        let value = try integer()
        guard value == 0 || value == 1 else { throw unfit("\(value) is neither 0 nor 1") }
        return value == 1
    }

    mutating func optionalCount() throws -> Int? {
        if (row[next] as DatabaseValue).isNull {
            next += 1
            return nil
        }
        return try count()
    }

    mutating func id() throws -> EUI64 { EUI64(UInt64(bitPattern: try integer())) }

    mutating func optionalID() throws -> EUI64? {
        try optionalInteger().map { EUI64(UInt64(bitPattern: $0)) }
    }

    mutating func requestID() throws -> RequestID {
        let text = try text()
        guard let id = RequestID(text) else { throw unfit("'\(text)' is not a request id") }
        return id
    }

    /// `last` is one that was read before, for which it costs nothing.
    mutating func requestID(_ last: inout (text: String, id: RequestID)?) throws -> RequestID {
        let text = try text()
        if let last, last.text == text { return last.id }
        next -= 1
        let id = try requestID()
        last = (text, id)
        return id
    }

    mutating func optionalRequestID() throws -> RequestID? {
        guard let text = try optionalText() else { return nil }
        guard let id = RequestID(text) else { throw unfit("'\(text)' is not a request id") }
        return id
    }

    mutating func optionalTime() throws -> UTCTime? {
        guard let value = try optionalInteger() else { return nil }
        guard let seconds = UInt32(exactly: value) else { throw unfit("\(value) is not a time") }
        return UTCTime(secondsSince2000: seconds)
    }

    mutating func time() throws -> UTCTime {
        let value = try integer()
        guard let seconds = UInt32(exactly: value) else { throw unfit("\(value) is not a time") }
        return UTCTime(secondsSince2000: seconds)
    }

    /// Seconds since 1970.
    mutating func wall() throws -> Double { Double(try integer()) / 1000 }

    mutating func optionalWall() throws -> Double? {
        try optionalInteger().map { Double($0) / 1000 }
    }

    /// Of an image; -1 or NULL for none.
    mutating func version() throws -> UInt32? {
        guard let value = try optionalInteger(), value != -1 else { return nil }
        guard let version = UInt32(exactly: value) else {
            throw unfit("\(value) is not a version")
        }
        return version
    }

    mutating func word<Word: RawRepresentable>() throws -> Word where Word.RawValue == String {
        let text = try text()
        guard let word = Word(rawValue: text) else { throw unfit("'\(text)' is not known") }
        return word
    }

    /// '' for none.
    mutating func optionalWord<Word: RawRepresentable>() throws -> Word?
    where Word.RawValue == String {
        let text = try text()
        if text.isEmpty { return nil }
        guard let word = Word(rawValue: text) else { throw unfit("'\(text)' is not known") }
        return word
    }
}

extension EUI64 {
    /// As the tables have it.
    var key: Int64 { Int64(bitPattern: rawValue) }
}

/// Milliseconds since 1970, whatever the clock says.
func milliseconds(_ seconds: Double) -> Int64 {
    let value = (seconds * 1000).rounded()
    return value.isNaN ? 0 : Int64(max(-4e15, min(4e15, value)))
}
