import Console
import DCC
import Foundation
import Glibc
import Testing

/// The DUIS paths, by a client of the suite's own.
@Suite struct GatewayTests {
    static let xml = ["Content-Type": "application/xml; charset=UTF-8"]
    static let request = Array("<request/>".utf8)

    @Test("each path hands the body, byte for byte, to its own web service")
    func paths() async throws {
        try await LiveConsole.with { console in
            for service in WebService.allCases {
                let body = Array("<r>\(service.rawValue)&#13;\r\n</r>".utf8)
                let answer = try await console.client.ask(
                    "POST", "/api/v1/\(service.rawValue)", Self.xml, body: body)
                #expect(answer.status == 200)
                #expect(answer["content-type"]?.hasPrefix("application/xml") == true)
                #expect(answer.text == "<answer service=\"\(service.rawValue)\"/>")
                #expect(console.gateway.bodies.last == body)
            }
        }
    }

    @Test("no token, no Host of ours and no origin is asked for where a signature says who it is")
    func noToken() async throws {
        var settings = ConsoleSettings()
        settings.token = "secret"
        try await LiveConsole.with(settings) { console in
            let answer = try await console.client.ask(
                "POST", "/api/v1/serviceD", host: "dcc-boxed:8079",
                Self.xml.merging(["Origin": "http://elsewhere"]) { $1 }, body: Self.request)
            #expect(answer.status == 200)
            #expect(answer.text.contains("serviceD"))
        }
    }

    @Test("what is no POST of XML is told so in a sentence")
    func wrongKind() async throws {
        try await LiveConsole.with { console in
            let get = try await console.client.get("/api/v1/serviceD")
            #expect(get.status == 405)
            #expect(get["allow"] == "POST")
            #expect(get.text == "Requests are POSTed here.\n")
            let json = try await console.client.ask(
                "POST", "/api/v1/serviceS", ["Content-Type": "application/json"], body: [0x7B])
            #expect(json.status == 415)
            #expect(json.text.contains("application/xml"))
            let none = try await console.client.ask("POST", "/api/v1/serviceS", body: Self.request)
            #expect(none.status == 415)
            let other = try await console.client.ask(
                "POST", "/api/v1/serviceX", Self.xml, body: [1])
            #expect(other.status == 404)
            #expect(console.gateway.bodies.isEmpty)
        }
    }

    @Test("an empty body is refused by a DUIS response")
    func empty() async throws {
        try await LiveConsole.with { console in
            let answer = try await console.client.ask(
                "POST", "/api/v1/serviceD", Self.xml, body: [])
            #expect(answer.status == 200)
            #expect(answer.text == "<refusal situation=\"malformed\"/>")
        }
    }

    @Test(
        "a body over the limit is refused by a DUIS response, whether its length is told or not")
    func tooLarge() async throws {
        var settings = ConsoleSettings()
        settings.maximumBody = 1_000
        try await LiveConsole.with(settings) { console in
            let told = try await console.client.ask(
                "POST", "/api/v1/serviceD", Self.xml, body: [UInt8](repeating: 65, count: 1_001))
            #expect(told.status == 413)
            #expect(told.text == "<refusal situation=\"tooLarge\"/>")
            let fits = try await console.client.ask(
                "POST", "/api/v1/serviceD", Self.xml, body: [UInt8](repeating: 65, count: 1_000))
            #expect(fits.status == 200)

            let descriptor = try console.client.connect()
            defer { close(descriptor) }
            var text =
                "POST /api/v1/serviceD HTTP/1.1\r\nHost: a\r\nContent-Type: application/xml\r\n"
                + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            for _ in 0..<8 { text += "80\r\n" + String(repeating: "A", count: 128) + "\r\n" }
            HTTPClient.send(Array((text + "0\r\n\r\n").utf8), to: descriptor)
            let chunked = try HTTPClient.parse(try await HTTPClient.rest(descriptor))
            #expect(chunked.status == 413)
            #expect(console.gateway.bodies.map(\.count) == [1_000])
        }
    }

    @Test("a client that waits for leave to send its body gets it")
    func expectation() async throws {
        try await LiveConsole.with { console in
            let descriptor = try console.client.connect()
            defer { close(descriptor) }
            let head =
                "POST /api/v1/serviceD HTTP/1.1\r\nHost: a\r\nContent-Type: application/xml\r\n"
                + "Content-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
            HTTPClient.send(Array(head.utf8), to: descriptor)
            let leave = try await HTTPClient.read(descriptor)
            #expect(leave.hasPrefix("HTTP/1.1 100 Continue\r\n"))
            HTTPClient.send(Array("<r/>".utf8), to: descriptor)
            let answer = try HTTPClient.parse(try await HTTPClient.rest(descriptor))
            #expect(answer.status == 200)
            #expect(console.gateway.bodies == [Array("<r/>".utf8)])
        }
    }

    @Test("clients that trickle are cut off and hold up nobody meanwhile")
    func slow() async throws {
        var settings = ConsoleSettings()
        settings.requestTime = 1
        settings.concurrentRequests = 1
        settings.waitingRequests = 0
        try await LiveConsole.with(settings) { console in
            let inHead = try console.client.connect()
            let inBody = try console.client.connect()
            let silent = try console.client.connect()
            defer { for descriptor in [inHead, inBody, silent] { close(descriptor) } }
            HTTPClient.send(Array("POST /api/v1/serv".utf8), to: inHead)
            HTTPClient.send(
                Array(
                    ("POST /api/v1/serviceD HTTP/1.1\r\nHost: a\r\nContent-Type: application/xml"
                        + "\r\nContent-Length: 100\r\n\r\n<r").utf8), to: inBody)
            let other = try await console.client.ask(
                "POST", "/api/v1/serviceD", Self.xml, body: Self.request)
            #expect(other.status == 200)
            let (ofHead, ofSilent) = (
                try await HTTPClient.rest(inHead), try await HTTPClient.rest(silent)
            )
            #expect(ofHead.isEmpty && ofSilent.isEmpty)
            let told = try HTTPClient.parse(try await HTTPClient.rest(inBody))
            #expect(told.status == 408)
            #expect(told.text.contains("did not arrive in time"))
            #expect(console.gateway.bodies == [Self.request])
        }
    }

    @Test("no more are worked on and wait than the settings say, and the rest may come again")
    func bounded() async throws {
        var settings = ConsoleSettings()
        settings.concurrentRequests = 1
        settings.waitingRequests = 1
        settings.retryAfter = 7
        try await LiveConsole.with(settings) { console in
            console.gateway.hold()
            let client = console.client
            func ask() -> Task<HTTPClient.Answer, any Error> {
                Task {
                    try await client.ask("POST", "/api/v1/serviceD", Self.xml, body: Self.request)
                }
            }
            let first = ask()
            #expect(await eventually { console.gateway.bodies.count == 1 })
            // Of several one waits, and all others are turned away.
            let others = (0..<4).map { _ in ask() }
            var refused = 0
            let answers = Mailbox()
            for other in others {
                Task { await answers.put(try? await other.value) }
            }
            #expect(await eventually { await answers.all.count == 3 })
            for answer in await answers.all {
                #expect(answer.status == 503)
                #expect(answer["retry-after"] == "7")
                refused += 1
            }
            #expect(refused == 3)
            console.gateway.release()
            let answer1 = try await first.value
            #expect(answer1.status == 200)
            #expect(await eventually { await answers.all.count == 4 })
            #expect(await answers.all.last?.status == 200)
        }
    }

    @Test("bodies take no more memory together than the settings say")
    func memory() async throws {
        var settings = ConsoleSettings()
        settings.bodyMemory = 1_500
        try await LiveConsole.with(settings) { console in
            console.gateway.hold()
            let client = console.client
            let body = [UInt8](repeating: 65, count: 1_000)
            let first = Task {
                try await client.ask("POST", "/api/v1/serviceD", Self.xml, body: body)
            }
            #expect(await eventually { console.gateway.bodies.count == 1 })
            let second = try await client.ask("POST", "/api/v1/serviceD", Self.xml, body: body)
            #expect(second.status == 503)
            console.gateway.release()
            let answer2 = try await first.value
            #expect(answer2.status == 200)
            let third = try await client.ask("POST", "/api/v1/serviceD", Self.xml, body: body)
            #expect(third.status == 200)
        }
    }

    @Test("what the world behind it cannot do now is told as such")
    func busy() async throws {
        try await LiveConsole.with { console in
            console.gateway.state.withLock { $0.answer = .busy(retryAfter: 3) }
            let answer = try await console.client.ask(
                "POST", "/api/v1/serviceD", Self.xml, body: Self.request)
            #expect(answer.status == 503)
            #expect(answer["retry-after"] == "3")
            console.gateway.state.withLock { $0.answer = .failed("The disk is full.") }
            let failed = try await console.client.ask(
                "POST", "/api/v1/serviceD", Self.xml, body: Self.request)
            #expect(failed.status == 500)
            #expect(failed.text == "The disk is full.\n")
        }
    }

    @Test("a request that has begun is answered before the server goes")
    func shutdown() async throws {
        let console = try await LiveConsole()
        console.gateway.hold()
        let client = console.client
        let asked = Task {
            try await client.ask("POST", "/api/v1/serviceD", Self.xml, body: Self.request)
        }
        #expect(await eventually { console.gateway.bodies.count == 1 })
        let stopped = Task { try await console.stop() }
        console.gateway.release()
        let answer3 = try await asked.value
        #expect(answer3.status == 200)
        try await stopped.value
        #expect(throws: HTTPClient.Failure.self) { try client.connect() }
    }

    @Test("where nobody can listen is told, by the server and to whoever asks before")
    func address() async throws {
        try await LiveConsole.with { console in
            var settings = ConsoleSettings()
            (settings.port, settings.bind) = (0, "localhost")
            try settings.checkAddress()
            for (bind, port, error) in [
                ("127.0.0.1", console.port, .portInUse(address: "127.0.0.1", port: console.port)),
                (
                    "192.0.2.1", 0,
                    .noAddress("192.0.2.1", reason: "Cannot assign requested address")
                ),
                ("nowhere.invalid", 0, .unknownHost("nowhere.invalid")),
            ] as [(String, Int, ConsoleError)] {
                (settings.bind, settings.port) = (bind, port)
                #expect(throws: error) { try settings.checkAddress() }
                let second = ConsoleServer(
                    settings,
                    ConsoleParts(
                        gateway: StandInGateway(), tracking: try Archive().tracking,
                        world: StandInWorld(), notices: StandInOutlet()), logger: .quiet)
                await #expect(throws: error) { try await second.run { _ in } }
            }
        }
    }
}

/// Answers as they come.
actor Mailbox {
    private(set) var all: [HTTPClient.Answer] = []

    func put(_ answer: HTTPClient.Answer?) { if let answer { all.append(answer) } }
}
