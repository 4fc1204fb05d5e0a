/// The OpenAPI document as a page.
struct InterfacePage: PageModel {
    struct Group {
        var id: String
        var name: String
        var operations: [Row]
    }

    struct Row {
        var id: String
        var method: String
        var path: String
        var summary: String
        var note: String?
        var hasParameters: Bool
        var parameters: [Parameter]
        var answers: [Answer]

        init(_ operation: Operation) {
            id = operation.id
            method = operation.method.uppercased()
            path = operation.path
            summary = operation.summary
            note = operation.note
            hasParameters = !operation.parameters.isEmpty
            parameters = operation.parameters.map {
                Parameter(
                    name: $0.name, place: $0.place.rawValue, type: $0.schema.words, what: $0.what)
            }
            answers = operation.answers.map {
                Answer(status: "\($0.status)", what: $0.what, body: $0.type == nil ? "–" : $0.words)
            }
        }
    }

    struct Parameter {
        var name: String
        var place: String
        var type: String
        var what: String
    }

    struct Answer {
        var status: String
        var what: String
        var body: String
    }

    var frame: PageFrame
    var title = Operation.title
    var about = Operation.about
    var version = Operation.version
    var groups: [Group]
    var shapes: [Shape]

    /// What objects in the bodies have.
    struct Shape {
        var id: String
        var name: String
        var fields: [Parameter]
    }

    init(_ frame: PageFrame) {
        self.frame = frame
        groups = Operation.Tag.allCases.map { tag in
            Group(
                id: tag.rawValue, name: tag.rawValue,
                operations: Operation.all.filter { $0.tag == tag }.map(Row.init))
        }
        shapes = Operation.schemas.map { name, schema in
            guard case .object(let fields) = schema else {
                return Shape(id: name, name: name, fields: [])
            }
            return Shape(
                id: name, name: name,
                fields: fields.map {
                    Parameter(
                        name: $0.name, place: $0.isRequired ? "always" : "where known",
                        type: $0.schema.words, what: $0.what ?? "")
                })
        }
    }
}

extension Operation.Answer {
    /// Its body's shape, for people.
    fileprivate var words: String {
        guard type == "application/json" else { return type ?? "" }
        guard case .object(let fields) = schema else { return schema.words }
        return "object: " + fields.map { "\($0.name) (\($0.schema.words))" }.joined(separator: ", ")
    }
}
