import Glibc

/// Where a home's supervisor is asked for something: a line there, a line back.
final class KeeperSocket {
    private let descriptor: Int32
    /// Those who have asked and will be told later.
    private var waiting: [Int32] = []
    private static let waitingLimit = 16

    /// Bytes of a line at most.
    private static let lineLimit = 1_024

    init(binding path: String) throws(ChildError) {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0, fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else {
            throw ChildError("no socket: \(String(cString: strerror(errno)))")
        }
        let isBound = Self.withAddress(path) { bind(descriptor, $0, $1) } == 0
        guard isBound, listen(descriptor, 8) == 0 else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw ChildError("'\(path)' cannot be bound: \(reason)")
        }
    }

    deinit {
        for peer in waiting { close(peer) }
        close(descriptor)
    }

    private static func withAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            errno = ENAMETOOLONG
            return -1
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    /// Answers everybody who has come, waiting so many seconds for the first one; who is answered
    /// nil hears what `answerWaiting` says.
    func serve(seconds: Double, _ answer: (String) -> String?) {
        var patience = Int32(seconds * 1_000)
        for _ in 0..<8 {
            var waited = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&waited, 1, patience) > 0 else { return }
            patience = 0
            let peer = accept(descriptor, nil, nil)
            guard peer >= 0 else { return }
            guard let request = Self.readLine(from: peer, seconds: 1) else {
                close(peer)
                continue
            }
            if let line = answer(request) {
                Self.write(line, to: peer)
            } else if waiting.count < Self.waitingLimit {
                _ = fcntl(peer, F_SETFD, FD_CLOEXEC)
                waiting.append(peer)
                continue
            }
            close(peer)
        }
    }

    /// Tells those who wait.
    func answerWaiting(_ line: String) {
        for peer in waiting {
            Self.write(line, to: peer)
            close(peer)
        }
        waiting.removeAll()
    }

    /// Asks the supervisor that listens at `path`; nil if nobody answers. `isLate` is called if it
    /// has not answered after the first second.
    static func ask(
        _ path: String, _ request: String, seconds: Int, isLate: () -> Void = {}
    ) -> String? {
        let peer = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard peer >= 0 else { return nil }
        defer { close(peer) }
        guard withAddress(path, { connect(peer, $0, $1) }) == 0 else { return nil }
        write(request, to: peer)
        var waited = pollfd(fd: peer, events: Int16(POLLIN), revents: 0)
        if poll(&waited, 1, 1_000) == 0 { isLate() }
        return readLine(from: peer, seconds: seconds)
    }

    private static func write(_ line: String, to peer: Int32) {
        let bytes = Array((line + "\n").utf8)
        _ = send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    private static func readLine(from peer: Int32, seconds: Int) -> String? {
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(
            peer, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var bytes = [UInt8](repeating: 0, count: lineLimit)
        var count = 0
        while count < lineLimit {
            let more = bytes.withUnsafeMutableBytes {
                recv(peer, $0.baseAddress! + count, lineLimit - count, 0)
            }
            guard more > 0 else { return nil }
            count += more
            if let end = bytes[..<count].firstIndex(of: UInt8(ascii: "\n")) {
                return String(decoding: bytes[..<end], as: UTF8.self)
            }
        }
        return nil
    }
}

extension HomeRun {
    private static func keeper(of name: String) throws(ChildError) -> String {
        try folder(of: name) + "/keeper"
    }

    /// Has the supervisor start a member's process again; its number.
    public func startAgain(_ member: String) throws(ChildError) -> Int32 {
        guard
            let answer = KeeperSocket.ask(try Self.keeper(of: name), "start \(member)", seconds: 5)
        else { throw ChildError("the supervisor of the home '\(name)' does not answer") }
        guard answer.hasPrefix("ok "), let pid = Int32(answer.dropFirst(3)) else {
            throw ChildError(String(answer.dropFirst(3)))
        }
        return pid
    }

    /// Ends the home and removes what there is of it. Throws if something cannot be ended.
    ///
    /// - Parameter say: told that it takes long, if it does.
    /// - Returns: what was wrong with the home, such as evidence that is incomplete; nil if
    ///   nothing was.
    @discardableResult
    public static func end(
        _ name: String, say: (String) -> Void = { _ in }
    ) throws(ChildError) -> String? {
        let path = try folder(of: name)
        let run = read(path)
        // The supervisor may be asked, or is dead; what it does not do is done here.
        let answer = KeeperSocket.ask("\(path)/keeper", "end", seconds: 5) {
            say("the home '\(name)' is slow to end; if it does not, it is killed within 15 s")
        }
        try clear(path, of: name, keptBy: run?.supervisor)
        if let answer { return answer.hasPrefix("no ") ? String(answer.dropFirst(3)) : nil }
        return run?.trouble.map { "the evidence is incomplete: \($0)" }
    }

    /// Waits for what a home's supervisor removes, and removes what it does not.
    private static func clear(
        _ path: String, of name: String, keptBy supervisor: ProcessIdentity?
    ) throws(ChildError) {
        var isKilled = false
        for round in 0..<1_500 {
            guard Files.isFolder(path) else {
                // It is still removing what was in it.
                if supervisor?.isRunning != true { return }
                usleep(10_000)
                continue
            }
            if let folder = HomeFolder.takeExisting(path) {
                folder.clear()
                folder.remove()
                return
            }
            if round == 1_000, let run = read(path) {
                // It holds the lock and does nothing.
                run.supervisor.send(SIGKILL)
                isKilled = true
            }
            usleep(10_000)
        }
        throw ChildError(
            "the home '\(name)' does not end" + (isKilled ? ", although it was killed" : ""))
    }
}
