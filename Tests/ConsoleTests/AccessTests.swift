import Console
import Foundation
import Logging
import Testing

/// Who gets in, and what a page of another site can do.
@Suite struct AccessTests {
    static let form = "application/x-www-form-urlencoded"

    /// The cookie and the hidden field of the forms of a page.
    static func formOf(
        _ client: HTTPClient, _ path: String = "/", cookie: String? = nil
    ) async throws -> (cookie: String, token: String) {
        let answer = try await client.get(path, cookie.map { ["Cookie": $0] } ?? [:])
        let set = try #require(answer["set-cookie"]?.split(separator: ";").first.map(String.init))
        let token = try #require(
            try Page(answer.text).values("//input[@name='form']/@value").first)
        return (set, token)
    }

    @Test("a form of a page of ours starts the demo once")
    func demo() async throws {
        try await LiveConsole.with { console in
            let (cookie, token) = try await Self.formOf(console.client)
            let answer = try await console.client.ask(
                "POST", "/demo", ["Cookie": cookie, "Content-Type": Self.form],
                body: Array("form=\(token)".utf8))
            #expect(answer.status == 303)
            #expect(answer["location"] == "/")
            #expect(console.world.orders == ["demo"])
            let again = try await console.client.ask(
                "POST", "/demo", ["Cookie": cookie, "Content-Type": Self.form],
                body: Array("form=\(token)".utf8))
            #expect(again.status == 409)
            let page = try Page(try await console.client.get("/").text)
            #expect(page.count("//form[@id='demo']//button[@disabled]") == 1)
            #expect(page.text("//section[@class='run']").contains("Update the hub"))
        }
    }

    @Test("a form without our token, or with another's cookie, changes nothing")
    func forged() async throws {
        try await LiveConsole.with { console in
            let (cookie, token) = try await Self.formOf(console.client)
            let (other, _) = try await Self.formOf(console.client)
            let tries: [([String: String], String)] = [
                ([:], ""), (["Cookie": cookie], ""), (["Cookie": cookie], "form=00"),
                (["Cookie": other], "form=\(token)"), ([:], "form=\(token)"),
            ]
            for (fields, body) in tries {
                let answer = try await console.client.ask(
                    "POST", "/demo", fields.merging(["Content-Type": Self.form]) { $1 },
                    body: Array(body.utf8))
                #expect(answer.status == 403)
            }
            #expect(console.world.orders.isEmpty)
        }
    }

    @Test("what another site's page has a browser send is turned away, whatever it carries")
    func crossSite() async throws {
        try await LiveConsole.with { console in
            let (cookie, token) = try await Self.formOf(console.client)
            let ways = [
                ["Origin": "http://evil.example"], ["Origin": "null"],
                ["Sec-Fetch-Site": "cross-site"], ["Sec-Fetch-Site": "same-site"],
                ["Origin": "http://127.0.0.1:1"],
            ]
            for way in ways {
                let form = try await console.client.ask(
                    "POST", "/demo",
                    way.merging(["Cookie": cookie, "Content-Type": Self.form]) { $1 },
                    body: Array("form=\(token)".utf8))
                #expect(form.status == 403, "\(way)")
                let order = try await console.client.ask(
                    "POST", "/api/control/v1/runs", way, body: [])
                #expect(order.status == 403, "\(way)")
            }
            #expect(console.world.orders.isEmpty)
            let own = try await console.client.ask(
                "POST", "/demo",
                [
                    "Origin": "http://127.0.0.1:\(console.port)", "Sec-Fetch-Site": "same-origin",
                    "Cookie": cookie, "Content-Type": Self.form,
                ], body: Array("form=\(token)".utf8))
            #expect(own.status == 303)
        }
    }

    @Test("a name that is pointed at this address from outside is not answered to")
    func rebinding() async throws {
        var settings = ConsoleSettings()
        settings.hosts = ["lab.example"]
        try await LiveConsole.with(settings) { console in
            let port = console.port
            for host in ["evil.example:\(port)", "127.0.0.1.evil.example", "10.0.0.1", ""] {
                let status6 = try await console.client.ask("GET", "/", host: host).status
                #expect(status6 == 421, "\(host)")
                let order = try await console.client.ask(
                    "GET", "/api/control/v1/status", host: host)
                #expect(order.status == 421)
                #expect(order["content-type"]?.hasPrefix("application/json") == true)
            }
            for host in ["localhost:\(port)", "127.0.0.1", "[::1]:\(port)", "Lab.Example:80"] {
                let status7 = try await console.client.ask("GET", "/", host: host).status
                #expect(status7 == 200, "\(host)")
            }
        }
    }

    @Test(
        "only what is this machine alone goes without a token, whatever a name looks like",
        arguments: [
            ("127.0.0.1", true), ("127.255.0.3", true), ("::1", true), ("localhost", true),
            ("127.example.org", false), ("127.", false), ("127.0.0.1.example.org", false),
            ("0.0.0.0", false), ("::", false), ("192.0.2.1", false), ("localhost.example", false),
        ])
    func loopback(bind: String, isLoopback: Bool) {
        var settings = ConsoleSettings()
        settings.bind = bind
        #expect(settings.isLoopback == isLoopback)
    }

    @Test("with a token nothing is shown without it, and it may come in a header or by a form")
    func token() async throws {
        var settings = ConsoleSettings()
        settings.token = "0123456789abcdef"
        try await LiveConsole.with(settings) { console in
            let client = console.client
            for path in ["/api/control/v1/status", "/api/openapi.json"] {
                let answer = try await client.get(path)
                #expect(answer.status == 401)
                #expect(answer["www-authenticate"] == "Bearer")
            }
            let page = try await client.get("/?period=day")
            #expect(page.status == 303)
            #expect(page["location"] == "/login?to=%2F%3Fperiod%3Dday")
            let status8 = try await client.get("/events").status
            #expect(status8 == 303)
            let bearer = ["Authorization": "Bearer 0123456789abcdef"]
            let status9 = try await client.get("/api/control/v1/status", bearer).status
            #expect(status9 == 200)
            let wrong = ["Authorization": "Bearer 0123456789abcdee"]
            let status10 = try await client.get("/api/control/v1/status", wrong).status
            #expect(status10 == 401)

            let (cookie, form) = try await Self.formOf(client, "/login?to=%2F%3Fperiod%3Dday")
            func login(_ token: String, to: String) async throws -> HTTPClient.Answer {
                try await client.ask(
                    "POST", "/login", ["Cookie": cookie, "Content-Type": Self.form],
                    body: Array("form=\(form)&token=\(token)&to=\(to)".utf8))
            }
            let refused = try await login("nonsense", to: "/")
            #expect(refused.status == 401)
            #expect(try Page(refused.text).text("//*[@id='problem']").contains("not the server's"))
            let letIn = try await login("0123456789abcdef", to: "%2F%3Fperiod%3Dday")
            #expect(letIn.status == 303)
            #expect(letIn["location"] == "/?period=day")
            let session = try #require(letIn["set-cookie"])
            #expect(session.contains("HttpOnly") && session.contains("SameSite=Strict"))
            let name = String(session.prefix { $0 != ";" })
            let status11 = try await client.get("/", ["Cookie": name]).status
            #expect(status11 == 200)
            let status12 = try await client.get("/", ["Cookie": "han_session=00"]).status
            #expect(status12 == 303)
            for elsewhere in ["%2F%2Fevil.example", "http:%2F%2Fevil.example", "%2F%5Cevil"] {
                let place = try await login("0123456789abcdef", to: elsewhere)["location"]
                #expect(place == "/")
            }
            let out = try await client.ask(
                "POST", "/logout", ["Cookie": "\(cookie); \(name)", "Content-Type": Self.form],
                body: Array("form=\(form)".utf8))
            #expect(out.status == 303)
            let status13 = try await client.get("/", ["Cookie": name]).status
            #expect(status13 == 303)
        }
    }

    @Test("whoever tries tokens is stopped, and then the right one does not help either")
    func guessing() async throws {
        var settings = ConsoleSettings()
        settings.token = "right"
        settings.loginAttempts = 3
        try await LiveConsole.with(settings) { console in
            for _ in 0..<3 {
                let answer = try await console.client.get(
                    "/api/control/v1/status", ["Authorization": "Bearer wrong"])
                #expect(answer.status == 401)
            }
            let answer = try await console.client.get(
                "/api/control/v1/status", ["Authorization": "Bearer right"])
            #expect(answer.status == 429)
            #expect(answer["retry-after"] == "60")
        }
    }
}

extension Logger {
    static let quiet: Logger = {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }()
}

extension StandInWorld {
    func startDemoForTest() async -> Bool { (try? await startDemo()) != nil }
}
