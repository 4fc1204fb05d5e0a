import AirBus
import Foundation
import Glibc
import Wire

/// A home that runs, or did, as its run file says.
public struct HomeRun: Codable, Sendable {
    public struct Part: Codable, Sendable {
        /// `AIR`, or the member's name in the home.
        public var name: String
        public var role: String
        /// Nil for the air.
        public var eui64: String?
        public var process: ProcessIdentity

        public init(name: String, role: String, eui64: String?, process: ProcessIdentity) {
            self.name = name
            self.role = role
            self.eui64 = eui64
            self.process = process
        }
    }

    /// A member of the home, whether it runs or not.
    public struct Member: Codable, Sendable {
        public var name: String
        public var role: String
        public var eui64: String?

        public init(name: String, role: String, eui64: String?) {
            self.name = name
            self.role = role
            self.eui64 = eui64
        }
    }

    /// What people call it: the home's name, or that of `--name`.
    public var name: String
    /// The home, by name or by the file's full path.
    public var home: String
    public var pace: String
    /// At virtual time zero, in seconds since 2000-01-01T00:00:00Z.
    public var start: UInt32
    /// Where nodes join its air.
    public var endpoint: String
    public var supervisor: ProcessIdentity
    /// The members of the home, in its order.
    public var members: [Member]
    /// How long its air waits for a node, in seconds of the machine's clock.
    public var patience: Double?
    public var parts: [Part]
    /// Why its evidence is incomplete, if it is.
    public var trouble: String?
    /// Why it ended, where its supervisor could say.
    public var failure: String?

    public init(
        name: String, home: String, pace: String, start: UInt32, endpoint: String,
        supervisor: ProcessIdentity, members: [Member]
    ) {
        self.name = name
        self.home = home
        self.pace = pace
        self.start = start
        self.endpoint = endpoint
        self.supervisor = supervisor
        self.members = members
        parts = []
    }

    public static let prefix = "home-"
    static let fileName = "run.json"

    /// Whether somebody keeps it.
    public var isUp: Bool { failure == nil && supervisor.isRunning }

    /// Every home of this user that runs or has left something behind, by name. A folder without a
    /// run file is only just being made, or has nothing left in it that runs.
    public static func all() throws(ChildError) -> [HomeRun] {
        let root = try PrivateFolder.root().path
        return try folders().compactMap { read("\(root)/\(prefix)\($0)") }
    }

    /// The names of those that have a folder.
    public static func folders() throws(ChildError) -> [String] {
        PrivateFolder.names(in: try PrivateFolder.root().path)
            .filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
    }

    /// The folder of a home's run, whether it is there or not.
    public static func folder(of name: String) throws(ChildError) -> String {
        "\(try PrivateFolder.root().path)/\(prefix)\(name)"
    }

    static func read(_ folder: String) -> HomeRun? {
        guard let bytes = try? Files.read("\(folder)/\(fileName)", limit: 1 << 20) else {
            return nil
        }
        return try? JSONDecoder().decode(HomeRun.self, from: Data(bytes))
    }

    func write(to folder: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try Files.replace(Array(try encoder.encode(self)), at: "\(folder)/\(Self.fileName)")
    }

    /// Whether it may be a run's name: part of a folder's.
    public static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 40 && !name.hasPrefix(".")
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
                    UInt8(ascii: "."):
                    true
                default: false
                }
            }
    }
}

/// What `han ctl` has sent into a home's WAN, kept beside its run file.
public struct SentImages: Codable, Sendable {
    public struct Image: Codable, Sendable {
        public var name: String
        /// SHA-256 of the manufacturer image, in hex.
        public var hash: String

        public init(name: String, hash: String) {
            self.name = name
            self.hash = hash
        }
    }

    public var lastDelivery: UInt32 = 0
    /// The image sent last, by member.
    public var images: [String: Image] = [:]

    /// A number for the next delivery: greater than any before it, in earlier runs too, whose
    /// images a hub with lasting flash may still hold.
    public static func nextDelivery(after last: UInt32) -> UInt32 {
        let now = UInt32(clamping: Int64(Date().timeIntervalSinceReferenceDate))
        return max(last &+ 1, now)
    }

    public static func read(_ folder: String) -> SentImages {
        guard let bytes = try? Files.read(path(folder), limit: 1 << 20),
            let sent = try? JSONDecoder().decode(SentImages.self, from: Data(bytes))
        else { return SentImages() }
        return sent
    }

    /// Changes what is kept, while nobody else does.
    @discardableResult
    public static func change<T>(in folder: String, _ body: (inout SentImages) -> T) throws -> T {
        let lock = open(path(folder) + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if lock >= 0 { flock(lock, LOCK_EX) }
        defer { close(lock) }
        var sent = read(folder)
        let result = body(&sent)
        try Files.replace(Array(try JSONEncoder().encode(sent)), at: path(folder))
        return result
    }

    private static func path(_ folder: String) -> String { folder + "/sent.json" }
}
