import Glibc

/// The signals that ask a run to stop, which then ends with its evidence whole so far.
enum Interruption {
    /// What has come; the handler may do no more than note it.
    nonisolated(unsafe) private static var received: Int32 = 0
    /// When it came, in seconds of the machine's clock.
    nonisolated(unsafe) private static var receivedAt = 0.0
    /// So long a second signal counts as the same: `timeout` sends to its child and to its group.
    private static let repeatLimit = 1.0

    /// The signal that has come, or nil.
    static var signal: Int32? { received == 0 ? nil : received }

    private static let stopping = [SIGINT, SIGTERM, SIGHUP]

    /// Runs `body`, during which SIGINT, SIGTERM and SIGHUP are noted in `signal`, unless whoever
    /// started the program has them ignored. Another one, a second later or more, ends the program
    /// at once. Whoever reads the progress may go away; only the results miss their reader.
    static func watching<T>(_ body: () throws -> T) rethrows -> T {
        received = 0
        let before = stopping.map { number in
            Glibc.signal(number) { Interruption.note($0) }
        }
        for (number, old) in zip(stopping, before) where isIgnoring(old) {
            Glibc.signal(number, SIG_IGN)
        }
        // Whoever started the program may have blocked them for itself.
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in stopping { sigaddset(&signals, number) }
        sigprocmask(SIG_UNBLOCK, &signals, nil)
        let pipe = Glibc.signal(SIGPIPE, SIG_IGN)
        // A file may not grow any more: then writing fails, which is told like any other failure.
        Glibc.signal(SIGXFSZ, SIG_IGN)
        defer {
            Glibc.signal(SIGPIPE, pipe)
            for (number, old) in zip(stopping, before) { Glibc.signal(number, old) }
        }
        return try body()
    }

    private static func note(_ number: Int32) {
        let now = Clock.seconds()
        guard received != 0 else {
            receivedAt = now
            received = number
            return
        }
        if now - receivedAt >= repeatLimit { end(by: number) }
    }

    /// Ends the program as the signal would have: a shell sees 128 and its number.
    static func end(by number: Int32) -> Never {
        Glibc.signal(number, SIG_DFL)
        raise(number)
        // Only if the signal is blocked.
        _exit(128 + number)
    }

    static func name(of number: Int32) -> String {
        switch number {
        case SIGINT: "SIGINT"
        case SIGTERM: "SIGTERM"
        case SIGHUP: "SIGHUP"
        default: "signal \(number)"
        }
    }

    private static func isIgnoring(_ handler: (@convention(c) (Int32) -> Void)?) -> Bool {
        unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }
}
