import DCC
import struct DCC.RequestID
import Foundation
import HTTPTypes
import Hummingbird
import Wire

/// The control interface: JSON for test benches. `OpenAPIDocument` describes it, and a test holds
/// the two together.
struct ControlRoutes: Sendable {
    static let root = "/api/control/v1"
    static let maximumPage = 500
    private static let maximumOrder = 4_096

    let pages: Pages
    let screen: ScreenRoutes
    let tracking: any TrackingSource
    let world: any WorldControl
    let watchers: Watchers

    private struct PowerOrder: Decodable { var on: Bool }
    private struct PaceOrder: Decodable { var pace: String }

    /// Method and path of each, as the document has them.
    static let operations: [(method: String, path: String)] = [
        ("get", "/status"), ("put", "/pace"), ("get", "/homes"), ("get", "/homes/{home}"),
        ("get", "/homes/{home}/nodes"), ("put", "/homes/{home}/nodes/{node}/power"),
        ("get", "/images"), ("get", "/runs"), ("post", "/runs"), ("get", "/runs/{number}"),
        ("get", "/requests"), ("get", "/requests/{id}"), ("get", "/requests/{id}/timeline"),
        ("get", "/targets"), ("get", "/notices"), ("get", "/events"),
    ]

    func add(to router: Router<ConsoleContext>) {
        router.get("/api") { request, context in try await document(context) }
        router.get("/api/openapi.json") { _, _ in
            Response.text(openAPIText, type: "application/json; charset=utf-8")
        }
        let group = router.group(RouterPath(Self.root))
        for (method, path) in Self.operations {
            guard let method = HTTPRequest.Method(method.uppercased()) else { continue }
            group.on(RouterPath(path), method: method) { request, context in
                try await answer("\(method.rawValue) \(path)", request, context)
            }
        }
    }

    private func answer(
        _ operation: String, _ request: Request, _ context: ConsoleContext
    ) async throws -> Response {
        switch operation {
        case "GET /status": try .json(ControlAnswer.Status(await world.status()))
        case "PUT /pace":
            try .json(
                ControlAnswer.Done(
                    detail: try await world.setPace(try await order(PaceOrder.self, request).pace)))
        case "GET /homes":
            try .json(await world.status().homes.map(ControlAnswer.Home.init))
        case "GET /homes/{home}": try .json(ControlAnswer.Home(try await home(context)))
        case "GET /homes/{home}/nodes":
            try .json(try await home(context).nodes.map(ControlAnswer.Node.init))
        case "PUT /homes/{home}/nodes/{node}/power": try await power(request, context)
        case "GET /images": try .json(await world.images().map(ControlAnswer.Image.init))
        case "GET /runs": try .json(await world.runs().map(ControlAnswer.Run.init))
        case "POST /runs":
            try .json(ControlAnswer.Run(try await world.startDemo()), status: .created)
        case "GET /runs/{number}": try await run(context)
        case "GET /requests":
            try .json(
                ControlAnswer.Page(
                    try await tracking.requests(
                        try await query(request), after: request.query("after"),
                        limit: try Self.limit(request)), ControlAnswer.Request.init))
        case "GET /requests/{id}": try await one(context)
        case "GET /requests/{id}/timeline": try await timeline(request, context)
        case "GET /targets":
            try .json(
                ControlAnswer.Page(
                    try await tracking.devices(
                        try await query(request), after: request.query("after"),
                        limit: try Self.limit(request)), ControlAnswer.Target.init))
        case "GET /notices":
            try .json(
                ControlAnswer.Page(
                    try await tracking.notices(
                        after: request.query("after"), limit: try Self.limit(request)),
                    ControlAnswer.Notice.init))
        case "GET /events": try watchers.stream()
        default: throw Problem(.notFound, "There is nothing here.")
        }
    }

    private func home(_ context: ConsoleContext) async throws -> HomeStatus {
        let name = Self.parameter("home", context)
        guard let home = await world.status().homes.first(where: { $0.name == name }) else {
            throw Problem(.notFound, "There is no home '\(name)'.")
        }
        return home
    }

    private func power(_ request: Request, _ context: ConsoleContext) async throws -> Response {
        let order = try await order(PowerOrder.self, request)
        let words = try await world.power(
            Self.parameter("node", context), of: Self.parameter("home", context), isOn: order.on)
        return try .json(ControlAnswer.Done(detail: words))
    }

    private func run(_ context: ConsoleContext) async throws -> Response {
        let text = Self.parameter("number", context)
        guard let run = await world.runs().first(where: { "\($0.number)" == text }) else {
            throw Problem(.notFound, "There is no run '\(text)'.")
        }
        return try .json(ControlAnswer.Run(run))
    }

    private func one(_ context: ConsoleContext) async throws -> Response {
        let id = try ScreenRoutes.requestID(context)
        guard let request = try await tracking.request(id) else {
            throw Problem(.notFound, "There is no request '\(id)'.")
        }
        return try .json(ControlAnswer.Request(request))
    }

    private func timeline(_ request: Request, _ context: ConsoleContext) async throws -> Response {
        let id = try ScreenRoutes.requestID(context)
        guard try await tracking.request(id) != nil else {
            throw Problem(.notFound, "There is no request '\(id)'.")
        }
        let device = try Self.device(request)
        let page = try await tracking.timeline(
            of: id, device: device, limit: try Self.limit(request))
        return try .json(page.rows.map(ControlAnswer.Event.init))
    }

    // MARK: - What is asked

    private static func parameter(_ name: String, _ context: ConsoleContext) -> String {
        let text = context.parameters.get(name) ?? ""
        return text.removingPercentEncoding ?? text
    }

    private static func device(_ request: Request) throws -> EUI64? {
        guard let text = request.query("device") else { return nil }
        guard let device = EUI64(text) else {
            throw Problem(.badRequest, "'\(text)' is not the id of a device.")
        }
        return device
    }

    private static func limit(_ request: Request) throws -> Int {
        guard let text = request.query("limit") else { return 50 }
        guard let limit = Int(text), (1...maximumPage).contains(limit) else {
            throw Problem(.badRequest, "limit is a number from 1 to \(maximumPage).")
        }
        return limit
    }

    private func query(_ request: Request) async throws -> TrackingQuery {
        var query = try ScreenFilter(request).query(at: await world.status().time)
        if request.query("period") == nil { query.since = nil }
        query.device = try Self.device(request)
        if let text = request.query("request") {
            guard let id = RequestID(text) else {
                throw Problem(.badRequest, "'\(text)' is not the id of a request.")
            }
            query.request = id
        }
        return query
    }

    /// An order's JSON. Its content type is one that no form of another site can have.
    private func order<Order: Decodable>(
        _ type: Order.Type, _ request: Request
    ) async throws -> Order {
        let field = request.headers[.contentType]?.lowercased() ?? ""
        guard field.hasPrefix("application/json") else {
            throw Problem(.unsupportedMediaType, "The body is to be application/json.")
        }
        let body = try await request.small(limit: Self.maximumOrder)
        do {
            return try JSONDecoder().decode(type, from: Data(body))
        } catch {
            throw Problem(
                .badRequest, "The body is not the JSON that this order takes; /api describes it.")
        }
    }

    private func document(_ context: ConsoleContext) async throws -> Response {
        var frame = screen.frame("API", context, await world.status())
        frame.isInterface = true
        return ScreenRoutes.html(pages.render(try InterfacePage(frame, openAPIText), "interface"))
    }
}
