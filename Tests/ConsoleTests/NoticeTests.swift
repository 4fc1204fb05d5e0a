import Console
import Foundation
import Glibc
import Synchronization
import Testing
import Wire

/// Notices on their way to service users.
@Suite struct NoticeTests {
    /// Somebody who takes notices, or does not: a server that answers with what it is told.
    final class Receiver: Sendable {
        struct State {
            var bodies: [[UInt8]] = []
            var types: [String] = []
            /// nil closes without an answer, after the body has come.
            var answers: [String?] = []
            var now = 0
            var most = 0
        }

        let state = Mutex(State())
        let port: Int
        private let listener: Int32

        /// `answers` are status lines for the first POSTs; later ones get 204.
        init(_ answers: [String?] = []) throws {
            let kind = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue
            let listener = socket(AF_INET, Int32(kind), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let port = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    bind(listener, address, size)
                    listen(listener, 50)
                    getsockname(listener, address, &size)
                }
                return Int(UInt16(bigEndian: pointer.pointee.sin_port))
            }
            self.port = port
            state.withLock { $0.answers = answers }
            self.listener = listener
            let thread = Thread { [weak self] in
                while true {
                    let descriptor = accept(listener, nil, nil)
                    guard descriptor >= 0 else { return }
                    self?.serve(descriptor)
                    close(descriptor)
                }
            }
            thread.start()
        }

        func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

        deinit { close(listener) }

        var url: String { "http://127.0.0.1:\(port)/inbox" }

        var bodies: [String] {
            state.withLock { $0.bodies.map { String(decoding: $0, as: UTF8.self) } }
        }

        private func serve(_ descriptor: Int32) {
            var bytes: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 65_536)
            var whole: Int?
            while whole.map({ bytes.count < $0 }) ?? true {
                let count = read(descriptor, &chunk, chunk.count)
                guard count > 0 else { return }
                bytes += chunk[..<count]
                guard whole == nil, let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else {
                    continue
                }
                let head = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
                for line in head.components(separatedBy: "\r\n") {
                    let lower = line.lowercased()
                    if lower.hasPrefix("content-length: ") {
                        whole = end.upperBound + (Int(line.dropFirst(16)) ?? 0)
                    }
                    if lower.hasPrefix("content-type: ") {
                        state.withLock { $0.types.append(String(line.dropFirst(14))) }
                    }
                }
                if let whole, bytes.count >= whole { break }
            }
            let end = bytes.firstRange(of: Array("\r\n\r\n".utf8))?.upperBound ?? 0
            let answer: String? = state.withLock { state in
                state.bodies.append(Array(bytes[end...]))
                return state.answers.isEmpty ? "204 No Content" : state.answers.removeFirst()
            }
            guard let answer else { return }
            HTTPClient.send(
                Array("HTTP/1.1 \(answer)\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".utf8),
                to: descriptor)
        }
    }

    static func settings(window: Double = 30) -> ConsoleSettings {
        var settings = ConsoleSettings()
        settings.notices.retryInterval = 0.02
        settings.notices.window = window
        settings.notices.redeliveryInterval = 3_600
        return settings
    }

    static func notice(_ number: UInt64, _ user: EUI64 = Sample.user) -> OutgoingNotice {
        OutgoingNotice(
            number: number, user: user, bytes: Array("<notice number=\"\(number)\"/>".utf8))
    }

    @Test("notices arrive in order, as XML, each once, and any 2xx is receipt")
    func order() async throws {
        let receiver = try Receiver(["200 OK", "202 Accepted"])
        defer { receiver.stop() }
        let outlet = StandInOutlet([NoticeRecipient(user: Sample.user, url: receiver.url)])
        for number in 1...4 { outlet.add(Self.notice(UInt64(number))) }
        try await LiveConsole.with(Self.settings(), outlet: outlet) { console in
            #expect(await eventually { outlet.marks().values.allSatisfy { $0 == .received } })
            outlet.add(Self.notice(5))
            console.world.tell(.notice(number: 5, user: Sample.user))
            #expect(await eventually { outlet.marks()[5] == .received })
        }
        #expect(receiver.bodies == (1...5).map { "<notice number=\"\($0)\"/>" })
        #expect(receiver.state.withLock { Set($0.types) } == ["application/xml"])
    }

    @Test("one whose acknowledgement was lost comes again with the same bytes, before the next")
    func lost() async throws {
        let receiver = try Receiver([nil, "500 Error", "302 Found", nil])
        defer { receiver.stop() }
        let outlet = StandInOutlet([NoticeRecipient(user: Sample.user, url: receiver.url)])
        outlet.add(Self.notice(1))
        outlet.add(Self.notice(2))
        try await LiveConsole.with(Self.settings(), outlet: outlet) { _ in
            #expect(await eventually { outlet.marks()[2] == .received })
        }
        let first = "<notice number=\"1\"/>"
        #expect(receiver.bodies == [first, first, first, first, first, "<notice number=\"2\"/>"])
        #expect(outlet.state.withLock { $0.notices[0].notice.attempts } == 5)
    }

    @Test("what nobody takes in time is kept, and sent again once a later one is received")
    func kept() async throws {
        let receiver = try Receiver([String?](repeating: "503 Busy", count: 3))
        defer { receiver.stop() }
        let outlet = StandInOutlet([NoticeRecipient(user: Sample.user, url: receiver.url)])
        outlet.add(Self.notice(1))
        try await LiveConsole.with(Self.settings(window: 0.05), outlet: outlet) { console in
            #expect(await eventually { outlet.marks()[1] == .kept })
            outlet.add(Self.notice(2))
            // However far the first three answers went.
            receiver.state.withLock { $0.answers = [] }
            console.world.tell(.notice(number: 2, user: Sample.user))
            #expect(await eventually { outlet.marks()[1] == .received })
            #expect(outlet.marks()[2] == .received)
        }
        let bodies = receiver.bodies
        #expect(bodies.suffix(2) == ["<notice number=\"2\"/>", "<notice number=\"1\"/>"])
    }

    @Test("a restart sends what is pending or kept, oldest first")
    func restart() async throws {
        let receiver = try Receiver()
        defer { receiver.stop() }
        let outlet = StandInOutlet([NoticeRecipient(user: Sample.user, url: receiver.url)])
        outlet.add(Self.notice(1), .received)
        outlet.add(Self.notice(2), .kept)
        outlet.add(Self.notice(3))
        try await LiveConsole.with(Self.settings(), outlet: outlet) { _ in
            #expect(await eventually { outlet.marks().values.allSatisfy { $0 == .received } })
        }
        #expect(receiver.bodies == ["<notice number=\"2\"/>", "<notice number=\"3\"/>"])
    }

    @Test("a receipt that cannot be stored is stored later, and only a restart sends again")
    func unstored() async throws {
        let receiver = try Receiver()
        defer { receiver.stop() }
        let outlet = StandInOutlet([NoticeRecipient(user: Sample.user, url: receiver.url)])
        outlet.add(Self.notice(1))
        outlet.add(Self.notice(2))
        outlet.fail(3)
        try await LiveConsole.with(Self.settings(), outlet: outlet) { _ in
            #expect(await eventually { outlet.marks().values.allSatisfy { $0 == .received } })
        }
        #expect(receiver.bodies == [1, 2].map { "<notice number=\"\($0)\"/>" })

        outlet.add(Self.notice(3))
        outlet.fail(.max)
        try await LiveConsole.with(Self.settings(), outlet: outlet) { _ in
            #expect(await eventually { receiver.bodies.count == 3 })
        }
        #expect(outlet.marks()[3] == .pending)
        outlet.fail(0)
        try await LiveConsole.with(Self.settings(), outlet: outlet) { _ in
            #expect(await eventually { outlet.marks()[3] == .received })
        }
        #expect(receiver.bodies == [1, 2, 3, 3].map { "<notice number=\"\($0)\"/>" })
    }

    @Test("a user whose server is away holds up nobody else")
    func apart() async throws {
        let other = EUI64(0x90B3_D51F_3002_0000)
        let receiver = try Receiver()
        defer { receiver.stop() }
        let outlet = StandInOutlet([
            NoticeRecipient(user: Sample.user, url: "http://127.0.0.1:1/inbox"),
            NoticeRecipient(user: other, url: receiver.url),
        ])
        for number in 1...3 {
            outlet.add(Self.notice(UInt64(2 * number - 1)))
            outlet.add(Self.notice(UInt64(2 * number), other))
        }
        try await LiveConsole.with(Self.settings(), outlet: outlet) { _ in
            #expect(await eventually { outlet.marks()[6] == .received })
            #expect(outlet.marks()[1] == .pending)
        }
        #expect(receiver.bodies == [2, 4, 6].map { "<notice number=\"\($0)\"/>" })
    }

    @Test("no other scheme than http and https is used, whatever a setting says")
    func schemes() async throws {
        let outlet = StandInOutlet([
            NoticeRecipient(user: Sample.user, url: "file:///dev/null")
        ])
        outlet.add(Self.notice(1))
        try await LiveConsole.with(Self.settings(window: 0.05), outlet: outlet) { _ in
            #expect(await eventually { outlet.marks()[1] == .kept })
        }
    }
}
