import Crypto
import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization
import Wire

/// Whoever wants the screen or the control interface shows the token, in a header or once in a
/// form, which a cookie then stands for. Forms carry a token of their own besides.
final class Access: Sendable {
    static let sessionCookie = "han_session"
    static let formCookie = "han_form"
    private static let maximumSessions = 64
    private static let maximumAddresses = 1_024
    /// Of a session, in seconds.
    private static let sessionLife = 12 * 3_600

    private struct Attempts {
        var count: Int
        var since: ContinuousClock.Instant
    }

    private struct State {
        var sessions: [(id: String, since: ContinuousClock.Instant)] = []
        var attempts: [String: Attempts] = [:]
    }

    let isNeeded: Bool
    private let token: [UInt8]
    private let limit: Int
    private let window: Duration
    private let secret: [UInt8]
    private let state = Mutex(State())

    init(_ settings: ConsoleSettings) {
        isNeeded = settings.token != nil
        token = Array((settings.token ?? "").utf8)
        limit = settings.loginAttempts
        window = .milliseconds(Int64(settings.loginWindow * 1_000))
        secret = Array(Self.random().utf8)
    }

    /// 32 hex digits from the system's generator.
    static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<2).map { _ in Hex.string(generator.next() as UInt64, digits: 16) }.joined()
    }

    /// Whether `request` shows the token or a session. Throws when its address has shown too many
    /// wrong ones.
    func admits(_ request: Request, from address: String?) throws -> Bool {
        guard isNeeded else { return true }
        if let field = request.headers[.authorization] {
            let parts = field.split(separator: " ", maxSplits: 1)
            guard parts.count == 2, parts[0].lowercased() == "bearer" else { return false }
            return try isToken(String(parts[1]), from: address)
        }
        guard let id = request.cookie(Self.sessionCookie) else { return false }
        return state.withLock { state in
            Self.dropOld(&state)
            return state.sessions.contains { Self.isEqual($0.id, id) }
        }
    }

    /// Whether `text` is the token; counts wrong ones.
    func isToken(_ text: String, from address: String?) throws -> Bool {
        let address = address ?? ""
        let now = ContinuousClock.now
        let isTooOften = state.withLock { state in
            guard let attempts = state.attempts[address] else { return false }
            return now - attempts.since < window && attempts.count >= limit
        }
        guard !isTooOften else {
            var problem = Problem(.tooManyRequests, "Too many wrong tokens; wait a minute.")
            problem.fields[.retryAfter] = "\(max(1, window.components.seconds))"
            throw problem
        }
        if Self.isEqual(Array(text.utf8), token) { return true }
        state.withLock { state in
            if state.attempts.count >= Self.maximumAddresses {
                state.attempts = state.attempts.filter { now - $0.value.since < window }
                if state.attempts.count >= Self.maximumAddresses { state.attempts = [:] }
            }
            var attempts = state.attempts[address] ?? Attempts(count: 0, since: now)
            if now - attempts.since >= window { attempts = Attempts(count: 0, since: now) }
            attempts.count += 1
            state.attempts[address] = attempts
        }
        return false
    }

    /// A session's id, for its cookie.
    func open() -> String {
        let id = Self.random()
        state.withLock { state in
            Self.dropOld(&state)
            if state.sessions.count >= Self.maximumSessions { state.sessions.removeFirst() }
            state.sessions.append((id, .now))
        }
        return id
    }

    func close(_ id: String) {
        state.withLock { $0.sessions.removeAll { $0.id == id } }
    }

    private static func dropOld(_ state: inout State) {
        let now = ContinuousClock.now
        state.sessions.removeAll { now - $0.since > .seconds(sessionLife) }
    }

    /// What a form carries in its hidden field: only this server can make it of the cookie's value.
    func formToken(for cookie: String) -> String {
        "\(SHA256.digest(secret + Array(cookie.utf8)))"
    }

    func checkForm(_ token: String?, cookie: String?) throws {
        guard let token, let cookie, cookie.utf8.count == 32,
            Self.isEqual(token, formToken(for: cookie))
        else {
            throw Problem(
                .forbidden, "This form is not of a page of this server's; load the page again.")
        }
    }

    /// By their hashes, so that the time it takes does not tell where they differ.
    private static func isEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        SHA256.digest(a) == SHA256.digest(b)
    }

    private static func isEqual(_ a: String, _ b: String) -> Bool {
        isEqual(Array(a.utf8), Array(b.utf8))
    }
}

/// Asks for the token everywhere but at the DUIS paths, whose signatures say who it is, and at the
/// login page with what it needs.
struct AccessGuard: RouterMiddleware {
    typealias Context = ConsoleContext

    let access: Access

    func handle(
        _ request: Request, context: ConsoleContext,
        next: (Request, ConsoleContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        let cookie = request.cookie(Access.formCookie)
        let known = cookie.flatMap { $0.utf8.count == 32 ? $0 : nil }
        context.formCookie = known ?? Access.random()
        let path = request.uri.path
        let isOpen = request.side == .duis || path == "/login" || path.hasPrefix("/assets/")
        if !isOpen {
            guard try access.admits(request, from: context.address) else {
                if request.side == .screen, request.method == .get {
                    let place = request.uri.description
                    return .seeOther("/login?to=\(Words.percentEncoded(place))")
                }
                var problem = Problem(
                    .unauthorized, "Show the server's token: Authorization: Bearer TOKEN.")
                problem.fields[.wwwAuthenticate] = "Bearer"
                throw problem
            }
            context.isSignedIn = access.isNeeded
        }
        var response = try await next(request, context)
        if known == nil, request.side == .screen, request.method == .get,
            let new = context.formCookie,
            response.headers[.contentType]?.hasPrefix("text/html") == true
        {
            response.headers.append(
                HTTPField(
                    name: .setCookie,
                    value: "\(Access.formCookie)=\(new); HttpOnly; SameSite=Strict; Path=/"))
        }
        return response
    }
}
