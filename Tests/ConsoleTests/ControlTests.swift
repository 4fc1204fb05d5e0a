import Console
import Foundation
import Testing

/// The control interface and its document.
@Suite struct ControlTests {
    static let root = "/api/control/v1"

    static func json(_ answer: HTTPClient.Answer) throws -> Any {
        try JSONSerialization.jsonObject(with: Data(answer.body), options: .fragmentsAllowed)
    }

    @Test("every operation of the document is served, and its answers are those it names")
    func document() async throws {
        try await LiveConsole.with { console in
            let answer = try await console.client.get("/api/openapi.json")
            let document = try #require(try Self.json(answer) as? [String: Any])
            #expect(document["openapi"] as? String == "3.1.0")
            let paths = try #require(document["paths"] as? [String: [String: [String: Any]]])
            #expect(paths.count == 20)
            let values = [
                "{home}": "standard", "{node}": "ESME", "{number}": "1",
                "{id}": "\(Sample.id(1_001))",
            ]
            _ = await console.world.startDemoForTest()
            for (path, operations) in paths where path != "\(Self.root)/events" {
                for (method, operation) in operations {
                    var place = path
                    for (name, value) in values {
                        place = place.replacingOccurrences(of: name, with: value)
                    }
                    let answer = try await console.client.ask(method.uppercased(), place)
                    let answers = try #require(operation["responses"] as? [String: Any])
                    let named = try #require(
                        answers["\(answer.status)"] as? [String: Any],
                        "\(method) \(path): \(answer.status)")
                    guard let content = named["content"] as? [String: [String: Any]],
                        let schema = content["application/json"]?["schema"]
                    else { continue }
                    let shapes = Shapes(document)
                    let wrong = shapes.faults(try Self.json(answer), schema, at: path)
                    #expect(wrong == [])
                }
            }
        }
    }

    @Test("each message of a time line is explained in the words that the page has for it")
    func explanations() async throws {
        var stored = Sample.stored
        let alert = try Sample.alert()
        stored.tracks.append(
            Sample.track(1_001, Sample.esme, .verified, "It is good.", at: 400, message: alert))
        try await LiveConsole.with(stored: stored) { console in
            let path = "/requests/\(Sample.id(1_001))"
            let answer = try await console.client.get(
                "\(Self.root)\(path)/timeline?device=\(Sample.esme)")
            let page = try #require(try Self.json(answer) as? [String: Any])
            let items = try #require(page["items"] as? [[String: Any]])
            let told = items.filter { $0["message"] != nil }
            #expect(told.count == 2)
            #expect(items.filter { $0["explanation"] != nil }.count == 2)
            let screen = try await console.client.get("\(path)/devices/\(Sample.esme)").text
            func explanation(_ item: [String: Any]) throws -> ([String: Any], [[String: String]]) {
                let explanation = try #require(item["explanation"] as? [String: Any])
                return (explanation, try #require(explanation["fields"] as? [[String: String]]))
            }
            let (odd, none) = try explanation(told[0])
            #expect(odd["title"] as? String == "Message that cannot be read")
            #expect(odd["kind"] == nil && none.isEmpty)
            let (read, fields) = try explanation(told[1])
            #expect(read["title"] as? String == "GBCS message: CS09 alert")
            #expect(read["useCase"] as? String == "CS09" && read["kind"] as? String == "alert")
            #expect(fields.contains { $0["hex"] == "01010204" && $0["name"] != "" })
            for text in [odd, read].flatMap({ [$0["title"], $0["caption"]] })
                + fields.flatMap({ [$0["name"], $0["hex"], $0["meaning"]] as [Any?] })
            {
                let words = try #require(text as? String)
                #expect(words.isEmpty || screen.contains(Self.escaped(words)), "\(words)")
            }
        }
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
            .replacing(">", with: "&gt;").replacing("\"", with: "&quot;")
            .replacing("'", with: "&#39;")
    }

    /// The part of JSON Schema that the document uses.
    private struct Shapes {
        let named: [String: Any]

        init(_ document: [String: Any]) {
            let components = document["components"] as? [String: Any]
            named = components?["schemas"] as? [String: Any] ?? [:]
        }

        /// Where `value` is not as `schema` has it.
        func faults(_ value: Any, _ schema: Any, at place: String) -> [String] {
            guard let schema = schema as? [String: Any] else { return ["\(place): no schema"] }
            if let name = (schema["$ref"] as? String)?.split(separator: "/").last {
                return faults(value, named[String(name)] ?? "", at: place)
            }
            if let words = schema["enum"] as? [String] {
                return words.contains(value as? String ?? "?") ? [] : ["\(place): \(value)"]
            }
            switch schema["type"] as? String {
            case "string": return value is String ? [] : ["\(place): no text"]
            case "integer": return value is Int ? [] : ["\(place): no number"]
            case "boolean": return value is Bool ? [] : ["\(place): neither true nor false"]
            case "array":
                guard let list = value as? [Any] else { return ["\(place): no list"] }
                return list.flatMap { faults($0, schema["items"] ?? "", at: place + "[]") }
            case "object":
                guard let object = value as? [String: Any] else { return ["\(place): no object"] }
                let known = schema["properties"] as? [String: Any] ?? [:]
                let missing = (schema["required"] as? [String] ?? []).filter { object[$0] == nil }
                return missing.map { "\(place): lacks \($0)" }
                    + object.sorted { $0.key < $1.key }.flatMap { key, value in
                        guard let of = known[key] ?? schema["additionalProperties"] else {
                            return ["\(place): \(key) is not described"]
                        }
                        return faults(value, of, at: "\(place).\(key)")
                    }
            default: return ["\(place): no type"]
            }
        }
    }

    @Test("homes, nodes, images, requests, targets, time lines and notices can be asked for")
    func reading() async throws {
        try await LiveConsole.with { console in
            func object(_ path: String) async throws -> [String: Any] {
                let answer = try await console.client.get(Self.root + path)
                return try #require(try Self.json(answer) as? [String: Any])
            }
            func list(_ path: String) async throws -> [[String: Any]] {
                let answer = try await console.client.get(Self.root + path)
                return try #require(try Self.json(answer) as? [[String: Any]])
            }
            let value1 = try await object("/status")["time"] as? String
            #expect(value1 == "2026-03-02T11:01:05Z")
            let value2 = try await list("/homes").count
            #expect(value2 == 1)
            let nodes = try await list("/homes/standard/nodes")
            #expect(nodes.map { $0["name"] as? String } == ["CH", "ESME", "PPMID", "HCALCS"])
            #expect(nodes[1]["firmware"] as? String == "0x03010407")
            let value3 = try await list("/images").first?["id"] as? String
            #expect(value3 == "ppmid-2")
            let requestsPage = try await object("/requests?limit=2")
            let requests = try #require(requestsPage["items"] as? [[String: Any]])
            #expect(requests.map { $0["code"] as? String } == ["I0", "E110102"])
            let next = try #require(requestsPage["next"] as? String)
            let restPage = try await object("/requests?limit=9&after=\(next)")
            let rest = try #require(restPage["items"] as? [[String: Any]])
            #expect(rest.count == 3)
            let targetsPage = try await object("/targets?status=refused")
            let targets = try #require(targetsPage["items"] as? [[String: Any]])
            #expect(targets.count == 2)
            let failedPage = try await object("/targets?reported=yes&status=deliveryFailed")
            let failed = try #require(failedPage["items"] as? [[String: Any]])
            #expect(failed.map { $0["outcome"] as? String } == ["failed"])
            #expect(failed.first?["reported"] as? String == "2026-03-02T09:23:20Z")
            let counts = try await object("/counts?request=\(Sample.id(1_005))")
            #expect(
                counts["devices"] as? [String: Int]
                    == ["activated": 31, "atCSP": 18, "deliveryFailed": 1])
            #expect(counts["reported"] as? [String: Int] == ["activated": 10, "deliveryFailed": 1])
            let linePage = try await object(
                "/requests/\(Sample.id(1_001))/timeline?device=\(Sample.esme)")
            let line = try #require(linePage["items"] as? [[String: Any]])
            #expect(line.map { $0["status"] as? String }.last == "downloading")
            let noticesPage = try await object("/notices")
            let notices = try #require(noticesPage["items"] as? [[String: Any]])
            #expect(notices.map { $0["state"] as? String } == ["kept", "received"])
            let page = try await console.client.get("/api").text
            #expect(page.contains("/api/control/v1/runs/{number}"))
        }
    }

    @Test("orders are carried out, and wrong ones are refused in JSON")
    func orders() async throws {
        try await LiveConsole.with { console in
            let json = ["Content-Type": "application/json"]
            func order(_ method: String, _ path: String, _ body: String, _ fields: [String: String])
                async throws -> HTTPClient.Answer
            {
                try await console.client.ask(
                    method, Self.root + path, fields, body: Array(body.utf8))
            }
            let power = "/homes/standard/nodes/ESME/power"
            let value4 = try await order("PUT", power, "{\"on\":false}", json).status
            #expect(value4 == 200)
            let value5 = try await order("PUT", "/pace", "{\"pace\":\"x60\"}", json).status
            #expect(value5 == 200)
            let value6 = try await order("POST", "/runs", "", json).status
            #expect(value6 == 201)
            let firmware = "/homes/standard/hub/firmware"
            let value7 = try await order("PUT", firmware, "{\"image\":\"ch-2\"}", json).status
            #expect(value7 == 200)
            #expect(console.world.orders == ["standard/ESME off", "demo", "standard ch-2"])
            let wrong: [(String, String, String, [String: String], Int)] = [
                ("PUT", power, "{\"on\":1}", json, 400), ("PUT", power, "{", json, 400),
                ("PUT", power, "{\"on\":true}", [:], 415),
                ("PUT", "/homes/none/nodes/ESME/power", "{\"on\":true}", json, 404),
                ("PUT", "/pace", "{\"pace\":\"odd\"}", json, 400),
                ("PUT", firmware, "{\"version\":1}", json, 400),
                ("PUT", "/homes/none/hub/firmware", "{\"image\":\"ch-2\"}", json, 404),
                ("POST", "/runs", "", json, 409),
                ("PUT", power, String(repeating: " ", count: 5_000), json, 413),
                ("GET", "/homes/none", "", [:], 404), ("GET", "/runs/9", "", [:], 404),
                ("GET", "/requests?limit=0", "", [:], 400), ("GET", "/requests/1", "", [:], 404),
                ("GET", "/targets?device=1", "", [:], 400), ("GET", "/nothing", "", [:], 404),
            ]
            for (method, path, body, fields, status) in wrong {
                let answer = try await order(method, path, body, fields)
                #expect(answer.status == status, "\(method) \(path)")
                let problem = try #require(try Self.json(answer) as? [String: String])
                #expect(Set(problem.keys) == ["error", "detail"], "\(method) \(path)")
                #expect(problem["detail"]?.isEmpty == false)
            }
        }
    }
}
