/// The three sockets of an air, named by one endpoint.
///
/// `ipc://PATH` has its node socket there, the sniffers' at `PATH.sniff` and the control socket
/// at `PATH.control`; `tcp://HOST:PORT` has them at PORT, PORT + 1 and PORT + 2.
public struct AirEndpoints: Equatable, Sendable {
    /// As ZeroMQ takes them.
    public let node: String
    public let sniffer: String
    public let control: String
    /// Whether only this machine's processes can reach it over tcp: 127.0.0.0/8 and ::1.
    public let isLoopback: Bool
    public let isIPC: Bool
    /// Whether the sockets need ZMQ_IPV6.
    public let isIPv6: Bool
    /// PATH of an ipc endpoint.
    public let path: String?

    /// Those of the three sockets' files; none over tcp.
    var paths: [String] {
        path.map { [$0, $0 + Self.snifferSuffix, $0 + Self.controlSuffix] } ?? []
    }

    /// What a path may have at most, its longest suffix included (`sun_path` of unix(7)).
    public static let pathLimit = 107
    public static let ports: ClosedRange<Int> = 1...65_533

    static let snifferSuffix = ".sniff"
    static let controlSuffix = ".control"

    public init(parsing text: String) throws(EndpointError) {
        if let path = text.droppingPrefix("ipc://") {
            try self.init(ipc: path)
        } else if let rest = text.droppingPrefix("tcp://") {
            try self.init(tcp: rest)
        } else {
            throw EndpointError.scheme(text)
        }
    }

    private init(ipc path: Substring) throws(EndpointError) {
        // ZeroMQ would make up a name for `*`, and `@` has no file to guard it.
        guard !path.isEmpty, path != "*", !path.hasPrefix("@"),
            !path.unicodeScalars.contains(where: \.isControl)
        else { throw EndpointError.path(String(path)) }
        let limit = Self.pathLimit - Self.controlSuffix.utf8.count
        guard path.utf8.count <= limit else {
            throw EndpointError.pathTooLong(bytes: path.utf8.count, limit: limit)
        }
        node = "ipc://\(path)"
        sniffer = "ipc://\(path)\(Self.snifferSuffix)"
        control = "ipc://\(path)\(Self.controlSuffix)"
        isLoopback = false
        isIPC = true
        isIPv6 = false
        self.path = String(path)
    }

    private init(tcp text: Substring) throws(EndpointError) {
        guard let colon = text.lastIndex(of: ":") else { throw EndpointError.noPort(String(text)) }
        var host = String(text[..<colon])
        let digits = text[text.index(after: colon)...]
        let isNumber = !digits.isEmpty && digits.utf8.allSatisfy { (0x30...0x39).contains($0) }
        guard isNumber, let port = Int(digits), Self.ports.contains(port) else {
            throw EndpointError.port(String(digits))
        }
        isIPv6 = host.hasPrefix("[")
        if isIPv6 {
            guard host.hasSuffix("]"), Self.isIPv6Address(host.dropFirst().dropLast()) else {
                throw EndpointError.host(host)
            }
            isLoopback = host == "[::1]"
        } else {
            // ZeroMQ looks up no names to bind to.
            if host == "localhost" { host = "127.0.0.1" }
            guard Self.isHostName(host) else { throw EndpointError.host(host) }
            isLoopback = Self.isLoopbackAddress(host)
        }
        node = "tcp://\(host):\(port)"
        sniffer = "tcp://\(host):\(port + 1)"
        control = "tcp://\(host):\(port + 2)"
        isIPC = false
        path = nil
    }

    private static func isHostName(_ host: String) -> Bool {
        if host == "*" { return true }
        return !host.isEmpty && host.utf8.count <= 253
            && host.unicodeScalars.allSatisfy { scalar in
                scalar.isASCII
                    && (scalar.properties.isAlphabetic || "0"..."9" ~= scalar
                        || scalar == "." || scalar == "-" || scalar == "_")
            }
    }

    /// Four plain decimal numbers of which the first is 127; `0177.0.0.1` is some host's name.
    private static func isLoopbackAddress(_ host: String) -> Bool {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127"
            && parts.allSatisfy { part in UInt8(part).map { "\($0)" == part } ?? false }
    }

    private static func isIPv6Address(_ address: Substring) -> Bool {
        let parts = address.split(separator: "%", omittingEmptySubsequences: false)
        guard parts.count <= 2, let number = parts.first,
            number.utf8.filter({ $0 == UInt8(ascii: ":") }).count >= 2,
            number.unicodeScalars.allSatisfy({
                $0.properties.isASCIIHexDigit || $0 == ":" || $0 == "."
            })
        else { return false }
        return parts.count == 1 || isHostName(String(parts[1]))
    }
}

/// Why an endpoint cannot be one, and what to write instead.
public enum EndpointError: Error, Equatable, Sendable, CustomStringConvertible {
    case scheme(String)
    case path(String)
    case pathTooLong(bytes: Int, limit: Int)
    case noPort(String)
    case port(String)
    case host(String)

    public var description: String {
        switch self {
        case .scheme(let text):
            "'\(text)' is no endpoint of an air: write ipc://PATH or tcp://HOST:PORT"
        case .path(let path):
            "'\(path)' is no path for a socket: name a file, as in ipc:///run/user/1000/han/air"
        case .pathTooLong(let bytes, let limit):
            "the path of the ipc endpoint has \(bytes) bytes and may have \(limit): use a folder "
                + "with a shorter path"
        case .noPort(let text):
            "'tcp://\(text)' names no port: write tcp://HOST:PORT"
        case .port(let port):
            "'\(port)' is no port for an air, which needs three in a row: take one of "
                + "\(AirEndpoints.ports.lowerBound) to \(AirEndpoints.ports.upperBound)"
        case .host(let host):
            "'\(host)' is no host: write a name, an IPv4 address, an IPv6 address in brackets or "
                + "* for all addresses"
        }
    }
}

extension String {
    fileprivate func droppingPrefix(_ prefix: String) -> Substring? {
        hasPrefix(prefix) ? dropFirst(prefix.count) : nil
    }
}

extension Unicode.Scalar {
    /// What would move a terminal's cursor or end a line: C0, DEL and C1.
    var isControl: Bool { value < 0x20 || (0x7F...0x9F).contains(value) }
}
