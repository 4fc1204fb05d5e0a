/// What can be asked of the server: the routes, the OpenAPI document and its page follow from it.
struct Operation: Sendable {
    enum Tag: String, CaseIterable, Sendable {
        case world = "World"
        case homes = "Homes"
        case runs = "Runs"
        case tracking = "Tracking"
        case duis = "DUIS"
    }

    /// A value in an address, or of an order's JSON.
    struct Parameter: Sendable {
        enum Place: String, Sendable { case path, query, body }

        var name: String
        var place: Place
        var schema: Schema
        var what: String
    }

    struct Answer: Sendable {
        var status: Int
        var what: String
        /// Without a type it has no body.
        var type: String?
        var schema = Schema.text

        static func ok(_ schema: Schema, _ what: String, status: Int = 200) -> Answer {
            Answer(status: status, what: what, type: "application/json", schema: schema)
        }

        static func problem(_ status: Int, _ what: String) -> Answer {
            ok(.named("Problem"), what, status: status)
        }
    }

    /// `get`, `put` or `post`.
    var method: String
    /// From the server's root on.
    var path: String
    var id: String
    var tag: Tag
    var summary: String
    var note: String?
    var parameters: [Parameter] = []
    /// Of a body that is not an order's JSON.
    var bodyType: String?
    var answers: [Answer]
}

/// What a JSON value looks like.
indirect enum Schema: Sendable {
    case text
    case time
    case integer
    case flag
    case choice([String])
    case list(Schema)
    /// So many of each.
    case counts
    case object([Field])
    /// Of those in `schemas`.
    case named(String)

    struct Field: Sendable {
        var name: String
        var schema: Schema
        var isRequired = true
        var what: String?

        init(_ name: String, _ schema: Schema = .text, _ what: String? = nil) {
            self.name = name
            self.schema = schema
            self.what = what
        }

        /// It may be left out.
        static func maybe(
            _ name: String, _ schema: Schema = .text, _ what: String? = nil
        ) -> Field {
            var field = Field(name, schema, what)
            field.isRequired = false
            return field
        }
    }

    /// For people.
    var words: String {
        switch self {
        case .text: "string"
        case .time: "string, date-time"
        case .integer: "integer"
        case .flag: "boolean"
        case .choice(let words): words.joined(separator: ", ")
        case .list(let item): "array of \(item.words)"
        case .counts, .object: "object"
        case .named(let name): name
        }
    }

    /// As JSON Schema has it.
    func json(_ what: String? = nil) -> JSON {
        var object: [String: JSON]
        switch self {
        case .text: object = ["type": "string"]
        case .time: object = ["type": "string", "format": "date-time"]
        case .integer: object = ["type": "integer"]
        case .flag: object = ["type": "boolean"]
        case .choice(let words):
            object = ["type": "string", "enum": .list(words.map(JSON.text))]
        case .list(let item): object = ["type": "array", "items": item.json()]
        case .counts:
            object = ["type": "object", "additionalProperties": ["type": "integer"]]
        case .object(let fields):
            let pairs = fields.map { ($0.name, $0.schema.json($0.what)) }
            object = [
                "type": "object",
                "required": .list(fields.filter(\.isRequired).map { .text($0.name) }),
                "properties": .object(Dictionary(pairs) { _, last in last }),
            ]
        case .named(let name): object = ["$ref": .text("#/components/schemas/\(name)")]
        }
        if let what { object["description"] = .text(what) }
        return .object(object)
    }
}

extension Operation {
    var json: JSON {
        var object: [String: JSON] = [
            "operationId": .text(id), "tags": [.text(tag.rawValue)], "summary": .text(summary),
        ]
        if let note { object["description"] = .text(note) }
        let inAddress = parameters.filter { $0.place != .body }
        if !inAddress.isEmpty { object["parameters"] = .list(inAddress.map(\.json)) }
        let fields = parameters.filter { $0.place == .body }
            .map { Schema.Field($0.name, $0.schema, $0.what) }
        if let bodyType {
            object["requestBody"] = Self.body(bodyType, .text)
        } else if !fields.isEmpty {
            object["requestBody"] = Self.body("application/json", .object(fields))
        }
        object["responses"] = .object(
            Dictionary(answers.map { ("\($0.status)", $0.json) }) { _, last in last })
        return .object(object)
    }

    private static func body(_ type: String, _ schema: Schema) -> JSON {
        ["required": true, "content": .object([type: ["schema": schema.json()]])]
    }

    /// The OpenAPI 3.1 document.
    static var document: JSON {
        var paths: [String: [String: JSON]] = [:]
        for operation in all {
            paths[operation.path, default: [:]][operation.method] = operation.json
        }
        return [
            "openapi": .text(version),
            "info": [
                "title": .text(title), "version": "1", "description": .text(about),
                "license": ["name": "Apache-2.0", "identifier": "Apache-2.0"],
            ],
            "servers": [["url": "/"]],
            "security": [[:], ["token": []]],
            "tags": .list(Tag.allCases.map { ["name": .text($0.rawValue)] }),
            "paths": .object(paths.mapValues(JSON.object)),
            "components": [
                "securitySchemes": ["token": ["type": "http", "scheme": "bearer"]],
                "schemas": .object(Dictionary(schemas.map { ($0, $1.json()) }) { _, last in last }),
            ],
        ]
    }

    static let version = "3.1.0"
    static let title = "Control API"
    static let about = "What a test bench can see of the emulated DCC and do with it."
}

extension Operation.Parameter {
    fileprivate var json: JSON {
        [
            "name": .text(name), "in": .text(place.rawValue), "required": .flag(place == .path),
            "description": .text(what), "schema": schema.json(),
        ]
    }
}

extension Operation.Answer {
    fileprivate var json: JSON {
        guard let type else { return ["description": .text(what)] }
        return [
            "description": .text(what), "content": .object([type: ["schema": schema.json()]]),
        ]
    }
}
