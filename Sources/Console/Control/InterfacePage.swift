import Foundation

/// The OpenAPI document as a page.
struct InterfacePage: PageModel {
    struct Group {
        var id: String
        var name: String
        var operations: [Operation]
    }

    struct Operation {
        var id: String
        var method: String
        var path: String
        var summary: String
        var note: String?
        var hasParameters: Bool
        var parameters: [Parameter]
        var answers: [Answer]
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
    }

    var frame: PageFrame
    var title: String
    var about: String
    var version: String
    var groups: [Group]

    init(_ frame: PageFrame, _ text: String) throws {
        let document = try JSONDecoder().decode(OpenAPIDocument.self, from: Data(text.utf8))
        self.frame = frame
        title = document.info.title
        about = document.info.description
        version = document.openapi
        groups = document.tags.enumerated().map { index, tag in
            Group(
                id: "\(index)", name: tag.name,
                operations: document.paths.sorted { $0.key < $1.key }.flatMap { path, item in
                    item.sorted { $0.key < $1.key }
                        .filter { $0.value.tags.contains(tag.name) }
                        .map { Self.operation($0.value, method: $0.key, path: path, of: document) }
                })
        }
    }

    private static func operation(
        _ operation: OpenAPIDocument.Operation, method: String, path: String,
        of document: OpenAPIDocument
    ) -> Operation {
        var parameters = (operation.parameters ?? []).compactMap(document.parameter).map {
            Parameter(
                name: $0.name, place: $0.in, type: $0.schema.words, what: $0.description ?? "")
        }
        for (type, content) in operation.requestBody?.content ?? [:] {
            for (name, schema) in (content.schema.properties ?? [:]).sorted(by: { $0.key < $1.key })
            {
                parameters.append(
                    Parameter(
                        name: name, place: "body, \(type)", type: schema.words,
                        what: schema.description ?? ""))
            }
        }
        return Operation(
            id: operation.operationId, method: method.uppercased(), path: path,
            summary: operation.summary, note: operation.description,
            hasParameters: !parameters.isEmpty, parameters: parameters,
            answers: operation.responses.sorted { $0.key < $1.key }.map {
                Answer(status: $0.key, what: $0.value.description)
            })
    }
}

/// What is read of the document for its page.
struct OpenAPIDocument: Decodable {
    struct Info: Decodable {
        var title: String
        var description: String
    }

    struct Tag: Decodable { var name: String }

    struct Schema: Decodable {
        var type: String?
        var format: String?
        var description: String?
        var properties: [String: Schema]?

        var words: String { [type, format].compactMap(\.self).joined(separator: ", ") }
    }

    struct Parameter: Decodable {
        var name: String
        var `in`: String
        var description: String?
        var schema: Schema
    }

    /// One in place, or where it is to be found.
    struct ParameterOrReference: Decodable {
        enum CodingKeys: String, CodingKey { case reference = "$ref" }

        var reference: String?
        var parameter: Parameter?

        init(from decoder: any Decoder) throws {
            reference = try decoder.container(keyedBy: CodingKeys.self)
                .decodeIfPresent(String.self, forKey: .reference)
            if reference == nil { parameter = try Parameter(from: decoder) }
        }
    }

    struct Components: Decodable { var parameters: [String: Parameter] }

    struct Content: Decodable { var schema: Schema }

    struct Body: Decodable { var content: [String: Content] }

    struct Answer: Decodable { var description: String }

    struct Operation: Decodable {
        var operationId: String
        var tags: [String]
        var summary: String
        var description: String?
        var parameters: [ParameterOrReference]?
        var requestBody: Body?
        var responses: [String: Answer]
    }

    var openapi: String
    var info: Info
    var tags: [Tag]
    var paths: [String: [String: Operation]]
    var components: Components

    func parameter(_ one: ParameterOrReference) -> Parameter? {
        one.parameter
            ?? one.reference?.split(separator: "/").last
            .flatMap { components.parameters[String($0)] }
    }
}
