import Foundation
import Glibc

/// An HTTP client of the suite's own: one request on one connection, and what comes back, byte by
/// byte. It sends what it is told, also what no client should.
struct HTTPClient: Sendable {
    struct Answer: Sendable {
        var status: Int
        /// Names in small letters.
        var fields: [(name: String, value: String)]
        var body: [UInt8]

        subscript(name: String) -> String? { fields.first { $0.name == name }?.value }

        var text: String { String(decoding: body, as: UTF8.self) }
    }

    struct Failure: Error, CustomStringConvertible { var description: String }

    var port: Int
    /// Of what is read; longer is a failure.
    var patience = 300.0

    func connect() throws -> Int32 {
        let kind = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue
        let descriptor = socket(AF_INET, Int32(kind), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, size)
            }
        }
        guard result == 0 else {
            close(descriptor)
            throw Failure(description: "no connection to port \(port)")
        }
        var limit = timeval(tv_sec: Int(patience), tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        return descriptor
    }

    static func send(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    /// Everything until the other side closes.
    static func readAll(_ descriptor: Int32) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            guard count >= 0 else {
                if errno == ECONNRESET, !bytes.isEmpty { return bytes }
                throw Failure(description: "reading failed: \(String(cString: strerror(errno)))")
            }
            guard count > 0 else { return bytes }
            bytes += chunk[..<count]
        }
    }

    func ask(
        _ method: String, _ path: String, host: String? = nil, _ fields: [String: String] = [:],
        body: [UInt8]? = nil
    ) async throws -> Answer {
        var head = "\(method) \(path) HTTP/1.1\r\nHost: \(host ?? "127.0.0.1:\(port)")\r\n"
        for (name, value) in fields { head += "\(name): \(value)\r\n" }
        if let body { head += "Content-Length: \(body.count)\r\n" }
        head += "Connection: close\r\n\r\n"
        let bytes = Array(head.utf8) + (body ?? [])
        return try await blocking {
            let descriptor = try connect()
            defer { close(descriptor) }
            Self.send(bytes, to: descriptor)
            return try Self.parse(try Self.readAll(descriptor))
        }
    }

    func get(_ path: String, _ fields: [String: String] = [:]) async throws -> Answer {
        try await ask("GET", path, fields)
    }

    /// A piece of what comes, at most 64 KiB; empty at the end.
    static func read(_ descriptor: Int32) async throws -> String {
        try await blocking {
            var chunk = [UInt8](repeating: 0, count: 1 << 16)
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            return String(decoding: chunk[..<max(0, count)], as: UTF8.self)
        }
    }

    static func rest(_ descriptor: Int32) async throws -> [UInt8] {
        try await blocking { try readAll(descriptor) }
    }

    static func parse(_ bytes: [UInt8]) throws -> Answer {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else {
            throw Failure(description: "no answer: \(String(decoding: bytes, as: UTF8.self))")
        }
        let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
            .components(separatedBy: "\r\n")
        let words = lines[0].split(separator: " ")
        guard words.count > 1, let status = Int(words[1]) else {
            throw Failure(description: "no status: \(lines[0])")
        }
        var body = Array(bytes[end.upperBound...])
        if status == 100 { return try parse(body) }
        let fields = lines.dropFirst().map { line in
            let colon = line.firstIndex(of: ":") ?? line.endIndex
            return (
                name: line[..<colon].lowercased(),
                value: line[colon...].dropFirst().trimmingCharacters(in: .whitespaces)
            )
        }
        if fields.contains(where: { $0.name == "transfer-encoding" && $0.value == "chunked" }) {
            body = try dechunked(body)
        }
        return Answer(status: status, fields: fields, body: body)
    }

    private static func dechunked(_ bytes: [UInt8]) throws -> [UInt8] {
        var rest = bytes[...]
        var body: [UInt8] = []
        while let end = rest.firstRange(of: Array("\r\n".utf8)) {
            let line = String(decoding: rest[..<end.lowerBound], as: UTF8.self)
            guard let size = Int(line, radix: 16) else { break }
            rest = rest[end.upperBound...]
            guard size > 0 else { return body }
            guard rest.count >= size + 2 else { break }
            body += rest.prefix(size)
            rest = rest.dropFirst(size + 2)
        }
        throw Failure(description: "the body ends in the middle")
    }
}

/// Runs what blocks on a thread that nobody else needs: the server under test lives in the same
/// process.
func blocking<Result: Sendable>(
    _ body: @escaping @Sendable () throws -> Result
) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        Thread { continuation.resume(with: Swift.Result { try body() }) }.start()
    }
}
