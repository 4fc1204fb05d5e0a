import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// The outermost: turns errors into answers and puts the headers on every one of them.
struct AnswerGuard: RouterMiddleware {
    typealias Context = ConsoleContext

    let pages: Pages

    /// Scripts, styles and connections from here alone, nothing in line, and no frame around it.
    static let policy = [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'",
        "connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
    ].joined(separator: "; ")

    func handle(
        _ request: Request, context: ConsoleContext,
        next: (Request, ConsoleContext) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do {
            response = try await next(request, context)
        } catch {
            let problem = Problem(error)
            if problem.status.code >= 500, problem.status != .serviceUnavailable {
                context.logger.error("\(request.uri.path): \(error)")
            }
            response = answer(problem, to: request)
        }
        guard request.side != .duis else { return response }
        let fields: [(HTTPField.Name, String)] = [
            (.contentSecurityPolicy, Self.policy), (.xContentTypeOptions, "nosniff"),
            (.referrerPolicy, "same-origin"), (.frameOptions, "DENY"),
            (.openerPolicy, "same-origin"), (.resourcePolicy, "same-origin"),
            (.permissionsPolicy, "camera=(), geolocation=(), microphone=()"),
        ]
        for (name, value) in fields { response.headers[name] = value }
        if response.headers[.cacheControl] == nil { response.headers[.cacheControl] = "no-store" }
        return response
    }

    private func answer(_ problem: Problem, to request: Request) -> Response {
        var response: Response
        switch request.side {
        case .duis:
            response = .text(
                problem.detail + "\n", type: "text/plain; charset=utf-8", status: problem.status)
        case .control: response = .json(problem)
        case .screen:
            response = .text(
                pages.problem(problem), type: "text/html; charset=utf-8", status: problem.status)
        }
        for field in problem.fields { response.headers[field.name] = field.value }
        return response
    }
}

extension HTTPField.Name {
    static let referrerPolicy = Self("Referrer-Policy")!
    static let frameOptions = Self("X-Frame-Options")!
    static let openerPolicy = Self("Cross-Origin-Opener-Policy")!
    static let resourcePolicy = Self("Cross-Origin-Resource-Policy")!
    static let permissionsPolicy = Self("Permissions-Policy")!
    static let fetchSite = Self("Sec-Fetch-Site")!
    static let lastEventID = Self("Last-Event-ID")!
}

/// Lets in only requests that name this server: a page elsewhere whose name has been pointed at
/// this address (DNS rebinding) still says its own name.
struct HostGuard: RouterMiddleware {
    typealias Context = ConsoleContext

    private let names: Set<String>
    /// Bound to every address: any of them may be asked for, names may not.
    private let takesAddresses: Bool

    init(_ settings: ConsoleSettings) {
        var names: Set = ["localhost", "127.0.0.1", "::1", settings.bind.lowercased()]
        for host in settings.hosts { names.insert(host.lowercased()) }
        self.names = names
        takesAddresses = ["0.0.0.0", "::", "*"].contains(settings.bind)
    }

    func handle(
        _ request: Request, context: ConsoleContext,
        next: (Request, ConsoleContext) async throws -> Response
    ) async throws -> Response {
        guard request.side == .duis || isOurs(request.head.authority ?? "") else {
            throw Problem(
                .misdirectedRequest,
                "This server is not known by the name in the request's Host; use localhost or its "
                    + "address, or name it with --host.")
        }
        return try await next(request, context)
    }

    private func isOurs(_ authority: String) -> Bool {
        let host = Self.host(of: authority.lowercased())
        if names.contains(host) { return true }
        return takesAddresses && (try? SocketAddress(ipAddress: host, port: 0)) != nil
    }

    /// Without the port, and without the brackets of an IPv6 address.
    static func host(of authority: String) -> String {
        if authority.hasPrefix("[") {
            return String(authority.dropFirst().prefix { $0 != "]" })
        }
        return String(authority.prefix { $0 != ":" })
    }
}

/// Turns away what a page of another site has a browser send: anything but GET and HEAD whose
/// `Origin` or `Sec-Fetch-Site` says so.
struct SiteGuard: RouterMiddleware {
    typealias Context = ConsoleContext

    func handle(
        _ request: Request, context: ConsoleContext,
        next: (Request, ConsoleContext) async throws -> Response
    ) async throws -> Response {
        guard request.side == .duis || Self.isOwn(request) else {
            throw Problem(.forbidden, "A page of another site may change nothing here.")
        }
        return try await next(request, context)
    }

    static func isOwn(_ request: Request) -> Bool {
        guard request.method != .get, request.method != .head else { return true }
        if let site = request.headers[.fetchSite], site != "same-origin", site != "none" {
            return false
        }
        guard let origin = request.headers[.origin] else { return true }
        guard let authority = request.head.authority else { return false }
        return origin.lowercased() == "http://\(authority.lowercased())"
            || origin.lowercased() == "https://\(authority.lowercased())"
    }
}
