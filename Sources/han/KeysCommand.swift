import AirBus
import ArgumentParser
import Lab

struct KeysCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "Make and import keys and certificates.",
        subcommands: [
            KeysAirCommand.self, KeysCACommand.self, KeysDeviceCommand.self,
            KeysImportCommand.self,
        ])
}

struct KeysAirCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "air", abstract: "Make the CURVE keys of an air and of those who join it.",
        discussion: """
            The folder gets air.secret, the air's own keys, which stay on its machine; \
            peer.secret, which whoever joins needs, and which goes to the machines of nodes by a \
            safe way; and clients, the public keys that may join. Then:

              han air --bind tcp://0.0.0.0:5600 --keys DIR
              han node --air tcp://HOST:5600 --keys peer.secret --name ESME
            """)

    @Option(
        help: ArgumentHelp("The folder for them; it is made if need be.", valueName: "dir"),
        completion: .directory)
    var out: String

    @Flag(help: "Replace keys that are there; nobody can join with the old ones any more.")
    var force = false

    func validate() throws {
        guard !out.isEmpty else { throw ValidationError("--out needs the name of a folder.") }
    }

    func run() throws {
        do {
            try KeyFolder.make(in: out, replaces: force)
        } catch let error as ChildError {
            throw Failure(.unavailable, error.description)
        }
        try Output.write(
            """
            \(out)/\(KeyFolder.air): the air's keys, for 'han air --keys \(out)'; keep them secret
            \(out)/\(KeyFolder.peer): the keys of those who join; keep them secret
            \(out)/\(KeyFolder.clients): the public keys that may join

            """)
    }
}

/// `--keys` of those who join an air.
struct PeerKeysArgument: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The CURVE keys to join with: a peer.secret of 'han keys air', or its folder.",
            valueName: "file"), completion: .file())
    var keys: String?

    /// Homes of 'han up' are private already: keys are for an air that was named itself.
    func check(_ air: String?) throws {
        guard keys == nil || air != nil else {
            throw ValidationError("--keys is for an air that --air names.")
        }
    }

    /// Nil if none were given.
    func read() throws -> AirKeys? {
        guard let keys else { return nil }
        return try Failure.reading { try KeyFolder.readPeer(keys) }
    }
}

extension Failure {
    /// Keys that cannot be used are a setting that is missing or unsafe.
    static func reading<T>(_ body: () throws -> T) throws -> T {
        do {
            return try body()
        } catch let error as KeyFileError {
            throw Failure(.setting, error.description)
        }
    }
}
