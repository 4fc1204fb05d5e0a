import Air
import AirBus
import ArgumentParser
import Crypto
import Devices
import Evidence
import Glibc
import Lab
import Wire

struct NodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node",
        abstract: "Run one hub or device as a process of its own, on an air in another.",
        discussion: """
            It takes a place in the air's roster, which is that of the air's home: give the same \
            home here. --name says which place; with --profile alone it is the first one of that \
            profile that is free. With both, the place is played with that profile.

            It ends when the run does or a signal stops it, with 0; when the air turns it away, \
            with 65; when the connection is lost or the air cannot be reached, with 69.
            """)

    @Option(help: "A device or hub profile: a name of Profiles, or a file's path.")
    var profile: String?

    @Option(help: "The member's name in the home, such as ESME or ESME-2.")
    var name: String?

    @Option(
        help: ArgumentHelp(
            "The air's endpoint: ipc://PATH or tcp://HOST:PORT.", valueName: "endpoint"))
    var air: String

    @Option(
        help: "The home that the air has.",
        completion: .custom { _, _, prefix in Completions.homes(prefix) })
    var home = "standard"

    @Option(
        help: ArgumentHelp(
            "Keep its flash in this file, made if need be; otherwise in memory.",
            valueName: "file"), completion: .file())
    var flash: String?

    @Flag(help: "Have the disk confirm every write to --flash, for machines that may lose power.")
    var durable = false

    @Option(
        help: ArgumentHelp(
            "Its manufacturer code, in the profile's place.", valueName: "code"),
        transform: CodeArgument.read)
    var manufacturerCode: CodeArgument<UInt16>?

    @Option(
        help: ArgumentHelp("Its image type, in the profile's place.", valueName: "code"),
        transform: CodeArgument.read)
    var imageType: CodeArgument<UInt16>?

    @Option(
        help: ArgumentHelp("Its hardware version, in the profile's place.", valueName: "code"),
        transform: CodeArgument.read)
    var hardwareVersion: CodeArgument<UInt16>?

    @Option(
        help: ArgumentHelp(
            "The certificate or public key, PEM or DER, with which it checks images.",
            valueName: "file"), completion: .file())
    var certificate: String?

    @Option(
        help: ArgumentHelp(
            "A device that stays on the link key of its install code, as those of the home's "
                + "installCodeDevices do; may be repeated.", valueName: "member"))
    var installCode: [String] = []

    @OptionGroup var credentials: CredentialsArgument

    @OptionGroup var peerKeys: PeerKeysArgument

    @OptionGroup(visibility: .hidden) var story: StoryArguments

    @Option(help: .hidden, transform: CodeArgument.read)
    var tether: CodeArgument<UInt32>?

    func validate() throws {
        guard profile != nil || name != nil else {
            throw ValidationError("Give --profile, --name or both: whose place is it to take?")
        }
        guard !durable || flash != nil else {
            throw ValidationError("--durable is about the file of --flash; give --flash too.")
        }
    }

    func run() throws {
        let endpoints = try AirEndpoints.reading(air)
        let keys = try peerKeys.read()
        let installation = try Installation.locate()
        let library = ProfileLibrary(installation)
        var home =
            try story.cast(installation)?.home ?? library.reading { try $0.home(self.home) }
        home.keepInstallCodes(of: installCode)
        let places = try prepare(&home, library)
        let played = Set(places.map { $0 == 0 ? home.hub.name : home.devices[$0 - 1].name })
        try credentials.apply(
            to: &home,
            absent: Set([home.hub.name] + home.devices.map(\.name)).subtracting(played))
        let cast = HomeCast(home)
        for (number, place) in places.enumerated() {
            let end = try host(cast, place, endpoints, keys)
            switch end {
            case .refused(let notice) where notice.code == .taken && number < places.count - 1:
                continue
            case .refused(let notice):
                throw Failure(
                    .data,
                    "the air turned \(cast.roster.members[place].name) away: "
                        + notice.text)
            case .connectionLost:
                throw Failure(.unavailable, "the connection to the air at \(air) is lost")
            case .unreachable:
                throw Failure(
                    .unavailable,
                    "no air answers at \(air); start one with 'han air' or 'han up'"
                        + (keys == nil ? "" : ", and see that it has these keys among its clients"))
            case .garbled(let error):
                throw Failure(.unavailable, "what is at \(air) is no air: \(error)")
            case .ended, .stopped: return
            }
        }
    }

    /// Puts the options' values into the home; the places that it can take.
    private func prepare(_ home: inout Home, _ library: ProfileLibrary) throws -> [Int] {
        let names = [home.hub.name] + home.devices.map(\.name)
        if let name {
            guard let place = names.firstIndex(of: name) else {
                throw Failure(
                    .missing,
                    "the home '\(home.name)' has no '\(name)'; it has "
                        + names.joined(separator: ", "))
            }
            if let profile {
                if place == 0 {
                    home.hub.profile = try library.reading { try $0.hub(profile) }
                } else {
                    home.devices[place - 1].profile = try library.reading { try $0.device(profile) }
                }
            }
            try change(&home, place)
            return [place]
        }
        let profiles = [home.hub.profile.name] + home.devices.map(\.profile.name)
        let wanted = try profileName(library)
        let places = profiles.indices.filter { profiles[$0] == wanted }
        guard !places.isEmpty else {
            throw Failure(
                .missing,
                "nobody in the home '\(home.name)' has the profile '\(wanted)'; its "
                    + "members have "
                    + zip(names, profiles).map { "\($0): \($1)" }.joined(separator: ", ")
                    + "; say with --name whose place it takes")
        }
        for place in places { try change(&home, place) }
        return places
    }

    /// The profile's own name, whether it was given by that or by a path.
    private func profileName(_ library: ProfileLibrary) throws -> String {
        let profile = profile ?? ""
        if let device = try? library.device(profile) { return device.name }
        if let hub = try? library.hub(profile) { return hub.name }
        let names = library.list().filter { [.device, .hub].contains($0.kind) }.map(\.name)
        guard profile.contains("/") || profile.hasSuffix(".yaml") || names.contains(profile) else {
            var message = "there is no device or hub profile '\(profile)'"
            if let near = Suggestion.nearest(to: profile, among: names) {
                message += "; did you mean '\(near)'?"
            }
            throw Failure(.missing, message + "; there are \(Words.list(names))")
        }
        return try library.reading { try $0.device(profile) }.name
    }

    private func change(_ home: inout Home, _ place: Int) throws {
        let key = try certificate.map { path in
            let bytes = try Files.read(path, limit: KeyFiles.maximumSize)
            do {
                return try P256.PublicKey(any: bytes)
            } catch {
                throw Failure(.data, "\(path): no usable P-256 certificate or key: \(error)")
            }
        }
        if place == 0 {
            if let manufacturerCode { home.hub.profile.manufacturer = manufacturerCode.value }
            if let imageType { home.hub.profile.imageType = imageType.value }
            if let hardwareVersion { home.hub.profile.hardwareVersion = hardwareVersion.value }
            if let key { home.hub.signer = key }
        } else {
            let index = place - 1
            if let manufacturerCode {
                home.devices[index].profile.manufacturer = manufacturerCode.value
            }
            if let imageType { home.devices[index].profile.imageType = imageType.value }
            if let hardwareVersion {
                home.devices[index].profile.hardwareVersion = hardwareVersion.value
            }
            if let key { home.devices[index].supplier = key }
        }
    }

    private func host(
        _ cast: HomeCast, _ place: Int, _ endpoints: AirEndpoints, _ keys: AirKeys?
    ) throws -> NodeEnd {
        let member = cast.roster.members[place]
        let host: NodeHost<HomeNode>
        do {
            host = try NodeHost(
                endpoints: endpoints,
                hello: Hello(
                    processID: UInt32(getpid()), eui64: member.eui64, name: member.name),
                keys: keys,
                tether: tether.map { Tether(descriptor: Int32($0.value)) },
                isStopped: { Interruption.signal != nil },
                flash: { geometry in
                    guard let flash else { return try FlashFile.inMemory(geometry) }
                    return try FlashFile.open(
                        flash, geometry, of: member.eui64 ?? .unknown, isDurable: durable)
                },
                make: { welcome in
                    cast.makeMember(place, start: welcome.start, seed: Seed(welcome.seed))
                })
        } catch let error as SocketError {
            throw Failure(.unavailable, error.description)
        }
        host.joined = { _ in Footprint.shrink() }
        return try Interruption.watching { try host.run() }
    }
}

extension AirEndpoints {
    static func reading(_ text: String) throws -> AirEndpoints {
        do {
            return try AirEndpoints(parsing: text)
        } catch {
            throw Failure(.usage, error.description)
        }
    }
}

extension ProfileLibrary {
    func reading<T>(_ body: (ProfileLibrary) throws -> T) throws -> T {
        do {
            return try body(self)
        } catch let error as ProfileError {
            throw Failure(error)
        }
    }
}
