import Foundation
import HTTPTypes
import Hummingbird

extension Response {
    static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response
    {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let data = try encoder.encode(value)
        return Response(
            status: status, headers: [.contentType: "application/json; charset=utf-8"],
            body: .init(byteBuffer: ByteBuffer(bytes: data)))
    }

    /// `{"detail":…,"error":…}`, the error being the status's phrase.
    static func json(_ problem: Problem) -> Response {
        struct Body: Encodable {
            var error: String
            var detail: String
        }
        let body = Body(error: problem.status.reasonPhrase, detail: problem.detail)
        return (try? json(body, status: problem.status)) ?? Response(status: problem.status)
    }
}
