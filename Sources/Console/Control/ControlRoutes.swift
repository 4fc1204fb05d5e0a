import DCC
import struct DCC.RequestID
import Foundation
import HTTPTypes
import Hummingbird
import Tracking
import Wire

/// The control interface: JSON for test benches, as `Operation` lists it.
struct ControlRoutes: Sendable {
    private static let maximumOrder = 4_096

    let pages: Pages
    let screen: ScreenRoutes
    let tracking: StoredTracking
    let world: any WorldControl
    let watchers: Watchers

    private struct PowerOrder: Decodable { var on: Bool }
    private struct ImageOrder: Decodable { var image: String }
    private struct PaceOrder: Decodable { var pace: String }

    func add(to router: Router<ConsoleContext>) {
        router.get("/api") { _, context in
            var frame = screen.frame("API", context, await world.status())
            frame.isInterface = true
            return ScreenRoutes.html(pages.render(InterfacePage(frame), "interface"))
        }
        router.get("/api/openapi.json") { _, _ in try Response.json(Operation.document) }
        for operation in Operation.control {
            guard let method = HTTPRequest.Method(operation.method.uppercased()) else { continue }
            let known = operation.parameters.filter { $0.place == .query }.map(\.name)
            router.on(RouterPath(operation.path), method: method) { request, context in
                try Self.check(request, known)
                return try await answer(operation.id, request, context)
            }
        }
    }

    /// A parameter that is misspelt would filter nothing, and nobody would see it.
    private static func check(_ request: Request, _ known: [String]) throws {
        var seen: Set<Substring> = []
        for (name, _) in request.uri.queryParameters {
            guard seen.insert(name).inserted else {
                throw Problem(
                    .badRequest, "The parameter '\(name.prefix(64))' is given more than once.")
            }
            guard !known.contains(String(name)) else { continue }
            throw Problem(
                .badRequest,
                "There is no parameter '\(name.prefix(64))' here"
                    + (known.isEmpty ? "." : "; there are \(known.joined(separator: ", "))."))
        }
    }

    private func answer(
        _ operation: String, _ request: Request, _ context: ConsoleContext
    ) async throws -> Response {
        switch operation {
        case "status": try .json(ControlAnswer.Status(await world.status()))
        case "setPace":
            try .json(
                ControlAnswer.Done(
                    detail: try await world.setPace(try await order(PaceOrder.self, request).pace)))
        case "homes": try .json(await world.status().homes.map(ControlAnswer.Home.init))
        case "home": try .json(ControlAnswer.Home(try await home(context)))
        case "nodes": try .json(try await home(context).nodes.map(ControlAnswer.Node.init))
        case "power": try await power(request, context)
        case "updateHub":
            try .json(
                ControlAnswer.Done(
                    detail: try await world.updateHub(
                        of: Self.parameter("home", context),
                        to: try await order(ImageOrder.self, request).image)))
        case "images": try .json(await world.images().map(ControlAnswer.Image.init))
        case "runs": try .json(await world.runs().map(ControlAnswer.Run.init))
        case "startRun":
            try .json(ControlAnswer.Run(try await world.startDemo()), status: .created)
        case "run": try await run(context)
        case "requests":
            try await page(request) {
                try await tracking.requests(try await filter(request), after: $0, limit: $1)
            }
        case "request": try .json(try await one(context))
        case "timeline": try await timeline(request, context)
        case "targets":
            try await page(request) {
                try await tracking.devices(try await filter(request), after: $0, limit: $1)
            }
        case "counts":
            try .json(try await tracking.counts(try await filter(request), ofRequests: true))
        case "notices":
            try await page(request) { try await tracking.notices(after: $0, limit: $1) }
        case "events": try watchers.stream(after: request.headers[.lastEventID])
        default: throw Problem(.notFound, "There is nothing here.")
        }
    }

    private func page<Row: Encodable & Sendable>(
        _ request: Request, _ rows: (_ after: String?, _ limit: Int) async throws -> Page<Row>
    ) async throws -> Response {
        let page = try await rows(request.query("after"), try Self.limit(request))
        return try .json(ControlAnswer.Page(page))
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

    private func one(_ context: ConsoleContext) async throws -> RequestRow {
        let id = try ScreenRoutes.requestID(context)
        guard let request = try await tracking.request(id) else {
            throw Problem(.notFound, "There is no request '\(id)'.")
        }
        return request
    }

    private func timeline(_ request: Request, _ context: ConsoleContext) async throws -> Response {
        let id = try await one(context).id
        let device = try Self.device(request)
        if let device {
            var filter = TrackingFilter()
            (filter.request, filter.device) = (id, device)
            guard try await !tracking.devices(filter, after: nil, limit: 1).rows.isEmpty else {
                throw Problem(.notFound, "The request '\(id)' has no device \(device).")
            }
        }
        return try await page(request) {
            let page = try await tracking.timeline(of: id, device: device, after: $0, limit: $1)
            return Page(rows: page.rows.map(ExplainedHop.init), next: page.next)
        }
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
        guard let limit = Int(text), (1...Operation.maximumPage).contains(limit) else {
            throw Problem(.badRequest, "limit is a number from 1 to \(Operation.maximumPage).")
        }
        return limit
    }

    private func filter(_ request: Request) async throws -> TrackingFilter {
        let asked = try ScreenFilter(request)
        var filter =
            request.query("period") == nil
            ? asked.query : asked.query(at: await world.status().time)
        filter.device = try Self.device(request)
        if let text = request.query("request") {
            guard let id = RequestID(text) else {
                throw Problem(.badRequest, "'\(text)' is not the id of a request.")
            }
            filter.request = id
        }
        return filter
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
}
