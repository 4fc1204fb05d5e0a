import AirBus
import ArgumentParser
import Lab
import Wire

/// Which home a command is about.
struct HomeArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Which home, where several are up; 'han ps' lists them.", valueName: "run"),
        completion: .custom { _, _, prefix in Completions.runs(prefix) })
    var home: String?

    @OptionGroup var named: NamedAirArguments

    func validate() throws {
        guard home == nil || named.air == nil else {
            throw ValidationError("--home and --air both say which air; give one of them.")
        }
    }

    /// The home and how its air is reached; no home if the air was named itself.
    func find() throws -> (run: HomeRun?, reach: AirReach) { try named.find(orHome: home) }
}

/// An air that is named itself, and what lets one in.
struct NamedAirArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "An air that 'han up' has not started: ipc://PATH or tcp://HOST:PORT.",
            valueName: "endpoint"))
    var air: String?

    @OptionGroup var peerKeys: PeerKeysArgument

    func validate() throws { try peerKeys.check(air) }

    /// This air, or that of a home that is up; with how it is reached.
    func find(orHome home: String?) throws -> (run: HomeRun?, reach: AirReach) {
        let run = try air == nil ? HomeRun.find(home) : nil
        var reach = try AirReach(air ?? run?.endpoint ?? "", peerKeys)
        reach.airPatience = run?.patience
        return (run, reach)
    }
}

/// Where an air is and what lets one in.
struct AirReach {
    let endpoints: AirEndpoints
    let keys: AirKeys?
    /// How long the air waits for a node, in seconds, where it is known.
    var airPatience: Double?

    init(_ endpoint: String, _ keys: PeerKeysArgument) throws {
        endpoints = try .reading(endpoint)
        self.keys = try keys.read()
    }

    func control() throws -> ControlClient {
        do {
            return try ControlClient(
                endpoints: endpoints, keys: keys,
                orderPatience: airPatience.map { ControlClient.orderPatience(airPatience: $0) })
        } catch {
            throw Failure(error)
        }
    }

    func feed() throws -> FeedClient {
        do {
            return try FeedClient(endpoints: endpoints, keys: keys)
        } catch {
            throw Failure(.unavailable, error.description)
        }
    }
}

extension HomeRun {
    /// The home of this name that is up; without a name, the only one.
    static func find(_ name: String?) throws -> HomeRun {
        let all = try listed()
        let up = all.filter(\.isUp)
        if let name {
            if let run = up.first(where: { $0.name == name }) { return run }
            let rest = all.contains { $0.name == name }
            throw Failure(
                .missing,
                rest
                    ? "the home '\(name)' has ended; 'han down \(name)' clears what is left of it"
                    : "no home '\(name)' is up; "
                        + (up.isEmpty ? "none is" : "there are " + Words.list(up.map(\.name))))
        }
        guard let only = up.first else {
            throw Failure(.missing, "no home is up; 'han up' starts one")
        }
        guard up.count == 1 else {
            throw Failure(
                .usage, "several homes are up; say which one: " + Words.list(up.map(\.name)))
        }
        return only
    }

    static func listed() throws -> [HomeRun] {
        do {
            return try all()
        } catch {
            throw Failure(error, else: .io)
        }
    }
}

extension Failure {
    init(_ error: ControlError) {
        switch error {
        case .refused(let notice):
            self.init(notice.code == .unknownMember ? .missing : .data, error.description)
        case .socket, .silent, .unanswered, .garbled: self.init(.unavailable, error.description)
        }
    }
}

extension Completions {
    /// The homes that there are.
    static func runs(_ prefix: String) -> [String] {
        ((try? HomeRun.all()) ?? []).map(\.name).filter { $0.hasPrefix(prefix) }
    }

    /// The members of the homes that are up.
    static func members(_ prefix: String) -> [String] {
        let names = ((try? HomeRun.all()) ?? []).filter(\.isUp).flatMap(\.members).map(\.name)
        return Set(names).sorted().filter { $0.hasPrefix(prefix) }
    }
}
