import AirBus
import Testing

@Suite("Endpoints of an air")
struct EndpointTests {
    @Test("the sniffers' and the control socket follow from one endpoint")
    func sockets() throws {
        let ipc = try AirEndpoints(parsing: "ipc:///run/han/air")
        #expect(ipc.node == "ipc:///run/han/air")
        #expect(ipc.sniffer == "ipc:///run/han/air.sniff")
        #expect(ipc.control == "ipc:///run/han/air.control")
        #expect(ipc.isIPC && !ipc.isLoopback && !ipc.isIPv6)
        #expect(ipc.path == "/run/han/air")
        let tcp = try AirEndpoints(parsing: "tcp://hub.example:5800")
        #expect(tcp.node == "tcp://hub.example:5800")
        #expect(tcp.sniffer == "tcp://hub.example:5801")
        #expect(tcp.control == "tcp://hub.example:5802")
        #expect(!tcp.isIPC && !tcp.isLoopback && tcp.path == nil)
        let six = try AirEndpoints(parsing: "tcp://[fe80::1%eth0]:1")
        #expect(six.control == "tcp://[fe80::1%eth0]:3")
        #expect(six.isIPv6 && !six.isLoopback)
    }

    @Test(
        "only what no other machine can reach counts as loopback",
        arguments: [
            ("tcp://127.0.0.1:5800", true), ("tcp://127.255.0.9:5800", true),
            ("tcp://localhost:5800", true), ("tcp://[::1]:5800", true), ("tcp://*:5800", false),
            ("tcp://0.0.0.0:5800", false), ("tcp://[::]:5800", false),
            ("tcp://127.0.0.1.example:5800", false), ("tcp://127.1:5800", false),
            ("tcp://0127.0.0.1:5800", false), ("tcp://127.0.0.256:5800", false),
            ("tcp://[::ffff:127.0.0.1]:5800", false), ("tcp://lo:5800", false),
        ])
    func loopback(endpoint: String, isLoopback: Bool) throws {
        #expect(try AirEndpoints(parsing: endpoint).isLoopback == isLoopback)
    }

    @Test("ZeroMQ binds to no names, so localhost becomes its address")
    func localhost() throws {
        #expect(try AirEndpoints(parsing: "tcp://localhost:9").node == "tcp://127.0.0.1:9")
    }

    @Test("the longest path leaves room for the longest suffix in 107 bytes")
    func pathLength() throws {
        let longest = "/" + String(repeating: "a", count: 98)
        let endpoints = try AirEndpoints(parsing: "ipc://\(longest)")
        #expect(endpoints.control.utf8.count - "ipc://".utf8.count == AirEndpoints.pathLimit)
        #expect(throws: EndpointError.pathTooLong(bytes: 100, limit: 99)) {
            try AirEndpoints(parsing: "ipc://\(longest)a")
        }
        #expect(throws: EndpointError.self) {
            try AirEndpoints(parsing: "ipc:///" + String(repeating: "é", count: 50))
        }
    }

    @Test(
        "what is no endpoint is refused with what to write instead",
        arguments: [
            ("", EndpointError.scheme("")), ("/run/han", .scheme("/run/han")),
            ("udp://a:1", .scheme("udp://a:1")), ("inproc://a", .scheme("inproc://a")),
            ("IPC:///a", .scheme("IPC:///a")), ("ipc://", .path("")), ("ipc://*", .path("*")),
            ("ipc://@han", .path("@han")), ("ipc:///a\nb", .path("/a\nb")),
            ("tcp://host", .noPort("host")), ("tcp://host:", .port("")),
            ("tcp://host:0", .port("0")), ("tcp://host:65534", .port("65534")),
            ("tcp://host:-1", .port("-1")), ("tcp://host:*", .port("*")),
            ("tcp://host:1 ", .port("1 ")), ("tcp://:5800", .host("")),
            ("tcp://a;b:5800", .host("a;b")), ("tcp://::1:5800", .host("::1")),
            ("tcp://[::1:5800", .host("[::1")), ("tcp://[]:5800", .host("[]")),
            ("tcp://[host]:5800", .host("[host]")), ("tcp://h\u{F6}st:5800", .host("h\u{F6}st")),
            ("tcp://host:99999999999999999999", .port("99999999999999999999")),
        ])
    func refused(text: String, error: EndpointError) {
        #expect(throws: error) { try AirEndpoints(parsing: text) }
        #expect(error.description.contains("'") || error.description.contains("bytes"))
    }

    @Test("the highest port leaves two above it")
    func highestPort() throws {
        #expect(try AirEndpoints(parsing: "tcp://a:65533").control == "tcp://a:65535")
    }
}
