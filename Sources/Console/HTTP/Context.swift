import HTTPTypes
import Hummingbird
import NIOCore

/// What a request carries through the router.
struct ConsoleContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The client's address, without its port; nil for one that has gone.
    let address: String?
    /// Of the cookie that forms are tied to.
    var formCookie: String?
    var isSignedIn = false

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        address = source.channel.remoteAddress?.ipAddress
    }
}

/// A request that is answered with an error, in the words of whoever asks: a page for a browser,
/// JSON for the control interface, a line elsewhere.
struct Problem: Error {
    var status: HTTPResponse.Status
    var detail: String
    var fields = HTTPFields()

    init(_ status: HTTPResponse.Status, _ detail: String) {
        self.status = status
        self.detail = detail
    }

    static func busy(_ detail: String, retryAfter: Int) -> Problem {
        var problem = Problem(.serviceUnavailable, detail)
        problem.fields[.retryAfter] = "\(retryAfter)"
        return problem
    }

    /// Those of `error` that a client may know.
    init(_ error: any Error) {
        switch error {
        case let problem as Problem: self = problem
        case let problem as ControlProblem:
            self.init(problem.status, problem.detail)
        case let error as HTTPError:
            self.init(
                error.status,
                error.body ?? (error.status == .notFound ? "There is nothing here." : ""))
        default: self.init(.internalServerError, "The server could not do this: \(error)")
        }
    }
}

extension ControlProblem {
    var status: HTTPResponse.Status {
        switch self {
        case .unknown: .notFound
        case .invalid: .badRequest
        case .conflict: .conflict
        case .unavailable: .serviceUnavailable
        }
    }
}

extension Request {
    /// Which of the three kinds of client asks.
    enum Side { case duis, control, screen }

    var side: Side {
        let path = uri.path
        if path.hasPrefix("/api/v1/") { return .duis }
        return path.hasPrefix("/api/control/") || path == "/api/openapi.json"
            ? .control : .screen
    }

    func query(_ name: String) -> String? {
        guard let value = uri.queryParameters[Substring(name)], !value.isEmpty else { return nil }
        return String(value)
    }

    func cookie(_ name: String) -> String? { cookies[name]?.value }
}

extension Response {
    static func text(
        _ text: String, type: String, status: HTTPResponse.Status = .ok
    ) -> Response {
        Response(
            status: status, headers: [.contentType: type],
            body: .init(byteBuffer: ByteBuffer(string: text)))
    }

    static func seeOther(_ place: String) -> Response {
        Response(status: .seeOther, headers: [.location: place])
    }
}
