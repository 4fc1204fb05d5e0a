import DCC
import HTTPTypes
import Hummingbird

/// The three paths of the DUIS gateway: XML in, signed XML out. Whoever POSTs is known by the
/// signature in the XML alone.
struct GatewayRoutes: Sendable {
    let gateway: any DUISGateway
    let intake: Intake
    let settings: ConsoleSettings

    private static let paths: [(String, WebService)] = [
        ("serviceD", .nonDevice), ("serviceS", .sendCommand), ("serviceT", .transform),
    ]

    func add(to router: Router<ConsoleContext>) {
        for (name, service) in Self.paths {
            let path = RouterPath("/api/v1/\(name)")
            router.post(path) { request, _ in try await answer(request, over: service) }
            for method in [HTTPRequest.Method.get, .put, .delete, .patch, .options, .head] {
                router.on(path, method: method) { _, _ -> Response in
                    var problem = Problem(.methodNotAllowed, "Requests are POSTed here.")
                    problem.fields[.allow] = "POST"
                    throw problem
                }
            }
        }
    }

    private func answer(_ request: Request, over service: WebService) async throws -> Response {
        guard Self.isXML(request.headers[.contentType]) else {
            throw Problem(
                .unsupportedMediaType, "The body is to be a DUIS request, as application/xml.")
        }
        do {
            let answer = try await intake.take(request) { body in
                body.isEmpty
                    ? await gateway.refusal(.malformed)
                    : await gateway.answer(body, over: service)
            }
            return try response(answer)
        } catch Intake.Refusal.tooLarge {
            return try response(await gateway.refusal(.tooLarge), status: .contentTooLarge)
        } catch Intake.Refusal.busy {
            throw busy(settings.retryAfter)
        }
    }

    private func response(
        _ answer: GatewayAnswer, status: HTTPResponse.Status = .ok
    ) throws -> Response {
        switch answer {
        case .response(let bytes):
            Response(
                status: status, headers: [.contentType: "application/xml; charset=utf-8"],
                body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
        case .busy(let seconds): throw busy(seconds)
        case .failed(let reason): throw Problem(.internalServerError, reason)
        }
    }

    private func busy(_ seconds: Int) -> Problem {
        .busy(
            "The server works on as many requests as it takes at a time; send this one again "
                + "in \(seconds) s.", retryAfter: seconds)
    }

    static func isXML(_ field: String?) -> Bool {
        guard let field else { return false }
        let type = field.prefix { $0 != ";" }.filter { $0 != " " }.lowercased()
        return type == "application/xml" || type == "text/xml"
    }
}
