import AirBus
import Glibc

/// The files in which an air's CURVE keys are kept.
///
/// A file is lines of `name: key`, with lines that begin with `#` between them. `air.secret` has
/// `public` and `secret`, the air's own pair; `peer.secret` has `air`, the air's public key, and
/// `public` and `secret`, the pair of whoever joins with it; `clients` has a `client` for each
/// public key that may come.
public enum KeyFolder {
    public static let air = "air.secret"
    public static let peer = "peer.secret"
    public static let clients = "clients"

    /// Makes new keys in a folder, which is made if need be. Throws if any of the files is there,
    /// unless `replaces`.
    public static func make(in folder: String, replaces: Bool) throws {
        guard let air = AirKeys.makePair(), let peer = AirKeys.makePair() else {
            throw ChildError("this machine's libzmq was built without CURVE (libsodium)")
        }
        if mkdir(folder, 0o700) != 0, errno != EEXIST {
            throw FileError.unwritable(folder, reason: String(cString: strerror(errno)))
        }
        let names = [Self.air, Self.peer, clients]
        if !replaces, let old = names.first(where: { access("\(folder)/\($0)", F_OK) == 0 }) {
            throw FileError.unwritable(
                "\(folder)/\(old)",
                reason: "it is there already; --force makes new keys in its place")
        }
        try write(
            """
            # The CURVE keys of an air: for 'han air --keys'. Whoever has them can play this air.
            public: \(air.publicKey)
            secret: \(air.secretKey)

            """, to: "\(folder)/\(Self.air)", mode: 0o600)
        try write(
            """
            # The keys of those who join an air: for --keys of 'han node' and the like.
            air: \(air.publicKey)
            public: \(peer.publicKey)
            secret: \(peer.secretKey)

            """, to: "\(folder)/\(Self.peer)", mode: 0o600)
        try write(
            """
            # The public keys that may join the air, a line each.
            client: \(peer.publicKey)

            """, to: "\(folder)/\(clients)", mode: 0o644)
    }

    /// The air's keys in a folder, and the public keys of those who may come.
    public static func readAir(_ folder: String) throws -> (keys: AirKeys, admitted: [String]) {
        let path = "\(folder)/\(air)"
        let own = try read(path, ["public", "secret"], isSecret: true)
        let (publicKey, secretKey) = try pair(own, path)
        let list = "\(folder)/\(clients)"
        let admitted = try read(list, ["client"], isSecret: false).map(\.key)
        guard !admitted.isEmpty else {
            throw KeyFileError(list, "it has no 'client: KEY', so nobody could join")
        }
        return (
            AirKeys(server: publicKey, publicKey: publicKey, secretKey: secretKey), admitted
        )
    }

    /// A peer's keys: in a file, or in a folder's `peer.secret`.
    public static func readPeer(_ path: String) throws -> AirKeys {
        let path = Files.isFolder(path) ? "\(path)/\(peer)" : path
        let lines = try read(path, ["air", "public", "secret"], isSecret: true)
        guard let air = lines.first(where: { $0.name == "air" }) else {
            throw KeyFileError(path, "it has no 'air: KEY', the air's public key")
        }
        let (publicKey, secretKey) = try pair(lines, path)
        return AirKeys(server: air.key, publicKey: publicKey, secretKey: secretKey)
    }

    private static func pair(
        _ lines: [(name: String, key: String)], _ path: String
    ) throws -> (String, String) {
        guard let secret = lines.first(where: { $0.name == "secret" })?.key,
            let publicKey = lines.first(where: { $0.name == "public" })?.key
        else { throw KeyFileError(path, "it needs 'public: KEY' and 'secret: KEY'") }
        guard AirKeys.publicKey(of: secret) == publicKey else {
            throw KeyFileError(path, "its public key is not that of its secret key")
        }
        return (publicKey, secret)
    }

    private static func read(
        _ path: String, _ names: [String], isSecret: Bool
    ) throws -> [(name: String, key: String)] {
        let bytes = try Files.read(path, limit: 1 << 20)
        var status = stat()
        if isSecret, stat(path, &status) == 0, status.st_mode & 0o077 != 0 {
            throw KeyFileError(path, "others can read or change it; 'chmod 600' it")
        }
        var found: [(name: String, key: String)] = []
        let lines = String(decoding: bytes, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)
        for (number, line) in lines.enumerated() {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            let name = String(first.dropLast())
            guard words.count == 2, first.hasSuffix(":"), names.contains(name) else {
                throw KeyFileError(
                    path,
                    "line \(number + 1): expected "
                        + names.map { "'\($0): KEY'" }.joined(separator: " or "))
            }
            let key = String(words[1])
            guard AirKeys.bytes(of: key) != nil else {
                throw KeyFileError(
                    path, "line \(number + 1): a key is 40 characters of Z85 (ZeroMQ RFC 32)")
            }
            found.append((name, key))
        }
        return found
    }

    private static func write(_ text: String, to path: String, mode: mode_t) throws {
        try Files.replace(Array(text.utf8), at: path, mode: mode, isSafe: true)
    }
}

/// What is wrong with a file of keys.
public struct KeyFileError: Error, Sendable, CustomStringConvertible {
    public let description: String

    init(_ path: String, _ reason: String) { description = "\(path): \(reason)" }
}
