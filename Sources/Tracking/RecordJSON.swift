import DCC
import Foundation
internal import GRDB
import Wire

extension DCCRecord {
    /// Gives the same text for the same record.
    static var encoder: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }

    func json(_ encoder: JSONEncoder) throws -> String {
        let data =
            switch self {
            case .device(let record): try encoder.encode(record)
            case .update(let record): try encoder.encode(record)
            case .progress(let record): try encoder.encode(record)
            case .target(let record): try encoder.encode(record)
            case .former(let record): try encoder.encode(record)
            case .delivery(let record): try encoder.encode(record)
            case .command(let record): try encoder.encode(record)
            case .seen(let record): try encoder.encode(record)
            case .answer(let record): try encoder.encode(record)
            case .counters(let record): try encoder.encode(record)
            }
        return String(decoding: data, as: UTF8.self)
    }

    init(_ kind: Kind, json: String, _ decoder: JSONDecoder) throws {
        func value<Value: Decodable>() throws -> Value {
            try decoder.decode(Value.self, from: Data(json.utf8))
        }
        self =
            switch kind {
            case .device: .device(try value())
            case .update: .update(try value())
            case .progress: .progress(try value())
            case .target: .target(try value())
            case .former: .former(try value())
            case .delivery: .delivery(try value())
            case .command: .command(try value())
            case .seen: .seen(try value())
            case .answer: .answer(try value())
            case .counters: .counters(try value())
            }
    }
}

extension StoredWorld {
    init(reading database: Database) throws {
        let decoder = JSONDecoder()
        let states = try Row.fetchCursor(
            database, sql: "SELECT kind, name, json FROM state ORDER BY kind, name")
        while let row = try states.next() {
            let name = "record \(Cells.quoted(row, 0)) \(Cells.quoted(row, 1))"
            var cells = Cells(row, name)
            let kind: DCCRecord.Kind = try cells.word()
            _ = try cells.text()
            let json = try cells.text()
            do {
                records.append(try DCCRecord(kind, json: json, decoder))
            } catch {
                throw BadRow(detail: "\(name): \(Self.words(error))")
            }
        }
        images = try String.fetchAll(database, sql: "SELECT key FROM image ORDER BY key")
        let pages = try Row.fetchCursor(
            database,
            sql: "SELECT home, member, page, bytes FROM flash ORDER BY home, member, page")
        while let row = try pages.next() {
            var cells = Cells(
                row,
                "flash page \((0..<3).map { Cells.quoted(row, $0) }.joined(separator: " "))")
            flash.append(
                FlashPage(
                    home: try cells.text(), member: try cells.text(), page: try cells.count(),
                    bytes: try cells.bytes()))
        }
        if let row = try Row.fetchOne(database, sql: "SELECT clock, wall FROM world") {
            var cells = Cells(row, "the world's clock")
            clock = try cells.optionalTime()
            wall = try cells.optionalWall()
        }
    }

    /// What is wrong with a record's JSON, in one line.
    private static func words(_ error: any Error) -> String {
        guard let error = error as? DecodingError else { return "\(error)" }
        let context: DecodingError.Context =
            switch error {
            case .typeMismatch(_, let context), .valueNotFound(_, let context),
                .keyNotFound(_, let context), .dataCorrupted(let context):
                context
            @unknown default:
                DecodingError.Context(codingPath: [], debugDescription: "\(error)")
            }
        let path = context.codingPath.map(\.stringValue).joined(separator: ".")
        var words = context.debugDescription.replacing("\n", with: " ")
        if words.hasSuffix(".") { words.removeLast() }
        return path.isEmpty ? words : "\(path): \(words)"
    }
}
