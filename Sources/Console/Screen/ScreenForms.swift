import DCC
import struct DCC.RequestID
import Foundation
import HTTPTypes
import Hummingbird
import Tracking

extension ScreenRoutes {
    private static let maximumForm = 4_096

    func addForms(to router: Router<ConsoleContext>) {
        router.post("/demo") { request, context -> Response in
            _ = try await form(request)
            _ = try await world.startDemo()
            return .seeOther("/")
        }
        router.post("/homes/{home}/nodes/{node}/power") { request, context -> Response in
            let fields = try await form(request)
            guard let home = context.parameters.get("home")?.removingPercentEncoding,
                let node = context.parameters.get("node")?.removingPercentEncoding
            else { throw Problem(.notFound, "There is no such node.") }
            _ = try await world.power(node, of: home, isOn: fields["on"] == "on")
            return .seeOther("/homes")
        }
        router.get("/login") { request, context -> Response in
            guard access.isNeeded else { return .seeOther("/") }
            return login(request, context, to: request.query("to") ?? "/")
        }
        router.post("/login") { try await signIn($0, $1) }
        router.post("/logout") { request, _ -> Response in
            _ = try await form(request)
            if let id = request.cookie(Access.sessionCookie) { access.close(id) }
            var response = Response.seeOther("/login")
            response.headers[.setCookie] =
                "\(Access.sessionCookie)=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0"
            return response
        }
    }

    private func login(
        _ request: Request, _ context: ConsoleContext, to: String, problem: String? = nil
    ) -> Response {
        var frame = PageFrame(title: "Log in")
        frame.formToken = context.formCookie.map(access.formToken)
        var response = Self.html(
            pages.render(LoginPage(frame: frame, to: to, problem: problem), "login"))
        if problem != nil { response.status = .unauthorized }
        return response
    }

    private func signIn(_ request: Request, _ context: ConsoleContext) async throws -> Response {
        let fields = try await form(request)
        let to = Self.ownPath(fields["to"] ?? "/")
        guard try access.isToken(fields["token"] ?? "", from: context.address) else {
            return login(request, context, to: to, problem: "That is not the server's token.")
        }
        var response = Response.seeOther(to)
        response.headers[.setCookie] =
            "\(Access.sessionCookie)=\(access.open()); HttpOnly; SameSite=Strict; Path=/"
        return response
    }

    /// A path of this server's and of no other's.
    static func ownPath(_ text: String) -> String {
        let isOwn =
            text.hasPrefix("/") && !text.hasPrefix("//") && !text.contains("\\")
            && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
        return isOwn ? text : "/"
    }

    /// The fields of a form of this server's own.
    private func form(_ request: Request) async throws -> [String: String] {
        guard let type = request.headers[.contentType],
            type.lowercased().hasPrefix("application/x-www-form-urlencoded")
        else { throw Problem(.unsupportedMediaType, "The body is to be a form.") }
        var fields: [String: String] = [:]
        let body = try await request.small(limit: Self.maximumForm)
        for pair in String(decoding: body, as: UTF8.self).split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let words = parts.map {
                String($0).replacing("+", with: " ").removingPercentEncoding ?? ""
            }
            fields[words[0]] = words.count > 1 ? words[1] : ""
        }
        try access.checkForm(fields["form"], cookie: request.cookie(Access.formCookie))
        return fields
    }

    // MARK: - Export

    private static let exportPage = 500

    /// A row for each device, as they are fetched, page by page.
    func export(_ request: Request, of id: RequestID?) async throws -> Response {
        let filter = try ScreenFilter(request)
        var query = filter.query
        if let id {
            guard try await tracking.request(id) != nil else {
                throw Problem(.notFound, "There is no request '\(id)'.")
            }
            query.request = id
        } else {
            query = filter.query(at: await world.status().time)
        }
        let (tracking, asked) = (tracking, query)
        // What goes wrong at once is still told by a status.
        let first = try await tracking.devices(asked, after: nil, limit: Self.exportPage)
        return Response(
            status: .ok,
            headers: [
                .contentType: "text/csv; charset=utf-8; header=present",
                .contentDisposition: "attachment; filename=\"firmware-distribution.csv\"",
            ],
            body: .init { writer in
                try await writer.write(ByteBuffer(string: TrackingCSV.targetHead))
                var page = first
                while true {
                    let text = page.rows.map { TrackingCSV.line($0) }.joined()
                    if !text.isEmpty { try await writer.write(ByteBuffer(string: text)) }
                    guard let next = page.next else { break }
                    page = try await tracking.devices(
                        asked, after: "\(next)", limit: Self.exportPage)
                }
                try await writer.finish(nil)
            })
    }
}

extension Request {
    /// A body of at most `limit` bytes.
    func small(limit: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await piece in body {
            guard bytes.count + piece.readableBytes <= limit else {
                throw Problem(.contentTooLarge, "The body has more than \(limit) bytes.")
            }
            bytes.append(contentsOf: piece.readableBytesView)
        }
        return bytes
    }
}
