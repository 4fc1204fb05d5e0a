import DCC
import Glibc

/// How the server in front of the DCC listens, what it bounds and whom it lets in.
public struct ConsoleSettings: Sendable {
    /// An address or a name that resolves to one.
    public var bind = "127.0.0.1"
    /// 0 for any that is free.
    public var port = 8_079
    /// Names that a browser may know the server by, besides `localhost` and what it is bound to.
    public var hosts: [String] = []
    /// What the screen and the control interface ask for; nil for nothing.
    public var token: String?
    /// Bytes of a DUIS request's body.
    public var maximumBody = 20 << 20
    /// Bytes of all bodies that are held at a time.
    public var bodyMemory = 256 << 20
    /// How long a client may take for a request's head and body, in seconds, and how long a
    /// connection may be idle.
    public var requestTime = 30.0
    /// DUIS requests that are worked on at a time.
    public var concurrentRequests = 4
    /// Those that wait beside them; further ones are answered with 503.
    public var waitingRequests = 32
    /// What a client is told to wait after a 503, in seconds.
    public var retryAfter = 5
    public var maximumConnections = 512
    /// Screens and clients that follow events at a time.
    public var maximumWatchers = 64
    /// Wrong tokens of one address in `loginWindow` seconds.
    public var loginAttempts = 10
    public var loginWindow = 60.0
    /// How long requests that have begun may take when the server ends, in seconds.
    public var shutdownTime = 15.0
    public var notices = NoticeSettings()

    public init() {}

    /// Bound to this machine alone. A name that only begins like an address is none.
    public var isLoopback: Bool {
        if bind == "localhost" || bind == "::1" { return true }
        var address = in_addr()
        return inet_pton(AF_INET, bind, &address) == 1
            && UInt32(bigEndian: address.s_addr) >> 24 == 127
    }
}

/// How notices are delivered. All times in seconds.
public struct NoticeSettings: Sendable {
    /// Between two attempts.
    public var retryInterval = 5.0
    /// How long it is tried until a notice is kept for re-delivery.
    public var window = 300.0
    /// Between two attempts to deliver again what was kept.
    public var redeliveryInterval = 300.0
    /// Of one POST.
    public var timeLimit = 10.0
    /// POSTs at a time, over all users.
    public var concurrent = 16

    public init() {}

    public init(_ rules: NoticeRules) {
        retryInterval = Double(rules.retryInterval)
        window = Double(rules.keptAfter)
        redeliveryInterval = Double(rules.redeliveryInterval)
        timeLimit = Double(rules.attemptTimeout)
    }
}
