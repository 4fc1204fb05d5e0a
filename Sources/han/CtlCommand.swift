import AirBus
import ArgumentParser
import Crypto
import Lab
import Radio
import Wire

struct CtlCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ctl",
        abstract: "Send images to a home that is up, and give orders in it.",
        discussion: """
            Each prints the virtual time at which it was given, and stands in events.jsonl as \
            benchOrdered. What comes of it, 'han ps' and the events show.
            """,
        subcommands: [
            CtlSendCommand.self, CtlActivateCommand.self, CtlQueryCommand.self,
            CtlCancelCommand.self, CtlReadCommand.self, CtlPermitCommand.self,
            CtlPowerCommand.self, CtlLinkCommand.self, CtlStartCommand.self, CtlInjectCommand.self,
        ])
}

/// One home's air, with its members, to which something is to be told.
struct Bench {
    let run: HomeRun?
    let control: ControlClient
    let reach: AirReach
    let members: [RunStatus.Member]

    init(_ arguments: HomeArguments) throws {
        (run, reach) = try arguments.find()
        let client = try reach.control()
        control = client
        members = try Self.telling { () throws(ControlError) in try client.status() }.members
            .filter { $0.eui64 != nil }
    }

    func member(_ name: String) throws -> RunStatus.Member {
        guard let member = members.first(where: { $0.name == name }) else {
            throw Failure(
                .missing, "the home has no '\(name)'; it has " + Words.list(members.map(\.name)))
        }
        return member
    }

    func device(_ name: String) throws -> RunStatus.Member {
        let member = try member(name)
        guard member.role != "CH" else {
            throw Failure(.usage, "\(name) is the hub; name one of the devices")
        }
        return member
    }

    /// The air's feed, which is there already.
    func listen() throws -> FeedClient {
        let feed = try reach.feed()
        guard case .message = feed.next(waiting: 5) else {
            throw Failure(.unavailable, "the feed of the air does not answer")
        }
        return feed
    }

    @discardableResult
    func order(_ body: ControlRequest.Body) throws -> Instant {
        try Self.telling { () throws(ControlError) in try control.orderPatiently(body) }
    }

    private static func telling<T>(_ body: () throws(ControlError) -> T) throws -> T {
        do {
            return try body()
        } catch {
            throw Failure(error)
        }
    }

    /// Prints when something was ordered and what.
    static func tell(_ time: Instant, _ words: String, json: Bool) throws {
        if json { return try Output.json(Given(time: (time - .zero).inSeconds, order: words)) }
        try Output.write("\(Words.clock(time - .zero))  \(words)\n")
    }

    private struct Given: Encodable {
        var time: Double
        var order: String
    }
}

/// The options that every order has.
struct OrderArguments: ParsableArguments {
    @OptionGroup var home: HomeArguments

    @Flag(help: "Print JSON: an object with time, in seconds of virtual time, and order.")
    var json = false

    func give(_ words: String, _ body: (Bench) throws -> ControlRequest.Body) throws {
        let bench = try Bench(home)
        try Bench.tell(try bench.order(try body(bench)), words, json: json)
    }
}

/// The member that an order is for.
struct MemberArgument: ParsableArguments {
    @Argument(
        help: ArgumentHelp("The hub or the device.", valueName: "member"),
        completion: .custom { _, _, prefix in Completions.members(prefix) })
    var name: String
}

/// The device that an order is for.
struct DeviceArgument: ParsableArguments {
    @Argument(
        help: ArgumentHelp("The device.", valueName: "member"),
        completion: .custom { _, _, prefix in Completions.members(prefix) })
    var name: String
}

struct CtlQueryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "query", abstract: "Have a device ask its OTA server for its next image now.")

    @OptionGroup var device: DeviceArgument
    @OptionGroup var arguments: OrderArguments

    func run() throws {
        try arguments.give("\(device.name) is to ask for its next image") {
            .order(.queryNextImage, to: try $0.device(device.name).index)
        }
    }
}

struct CtlCancelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Have a device end the download under way.")

    @OptionGroup var device: DeviceArgument
    @OptionGroup var arguments: OrderArguments

    func run() throws {
        try arguments.give("\(device.name) is to end its download") {
            .order(.cancelDownload, to: try $0.device(device.name).index)
        }
    }
}

struct CtlReadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "read", abstract: "Have the hub read a device's firmware version.",
        discussion: "The hub says what it read in events.jsonl: versionRead or versionNotRead.")

    @OptionGroup var device: DeviceArgument
    @OptionGroup var arguments: OrderArguments

    func run() throws {
        try arguments.give("the hub is to read the version of \(device.name)") {
            .wan(.readVersion(device: try $0.device(device.name).eui64 ?? .unknown))
        }
    }
}

struct CtlPermitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "permit", abstract: "Have the hub let devices join for a while.")

    @Argument(help: "For so many seconds of virtual time, up to 86400; 0 closes the network.")
    var seconds: Int
    @OptionGroup var arguments: OrderArguments

    func validate() throws {
        guard (0...86_400).contains(seconds) else {
            throw ValidationError("seconds is a number from 0 to 86400.")
        }
    }

    func run() throws {
        try arguments.give(
            seconds == 0 ? "the hub lets nobody join" : "the hub lets devices join for \(seconds) s"
        ) { bench in
            guard let hub = bench.members.first(where: { $0.role == "CH" }) else {
                throw Failure(.missing, "the home has no hub")
            }
            return .order(.permitJoining(.seconds(Int64(seconds))), to: hub.index)
        }
    }
}

struct CtlPowerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "power", abstract: "Cut or restore a member's power.",
        discussion: "Its process stays; its memory but for the flash is lost.")

    enum Switch: String, ExpressibleByArgument, CaseIterable {
        case on
        case off
    }

    @OptionGroup var member: MemberArgument

    @Argument(help: "on or off.")
    var power: Switch
    @OptionGroup var arguments: OrderArguments

    func run() throws {
        try arguments.give("the power of \(member.name) is switched \(power.rawValue)") {
            .power(of: try $0.member(member.name).index, on: power == .on)
        }
    }
}

struct CtlLinkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "link", abstract: "Change what two members hear of each other.")

    @Argument(
        help: ArgumentHelp("One of them.", valueName: "member"),
        completion: .custom { _, _, prefix in Completions.members(prefix) })
    var first: String

    @Argument(
        help: ArgumentHelp("The other.", valueName: "member"),
        completion: .custom { _, _, prefix in Completions.members(prefix) })
    var second: String

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "How strongly they hear each other, -127 to 20 dBm.", valueName: "dBm"),
        transform: { try Numbers.read($0, in: -127...20) })
    var rssi: Int = -60

    @Option(
        help: ArgumentHelp("How many of the frames are lost, in percent.", valueName: "percent"))
    var loss: Double = 0
    @OptionGroup var arguments: OrderArguments

    func validate() throws {
        guard (0...100).contains(loss) else {
            throw ValidationError("--loss is a number of percent from 0 to 100.")
        }
        guard first != second else {
            throw ValidationError("A link is between two members; '\(first)' is there twice.")
        }
    }

    func run() throws {
        try arguments.give(
            "\(first) and \(second) hear each other with \(rssi) dBm and lose "
                + "\(Words.decimal(loss, places: 2)) % of the frames"
        ) {
            .link(
                a: try $0.member(first).index, b: try $0.member(second).index, rssi: Int8(rssi),
                lossPerMillion: UInt32((loss * 10_000).rounded()))
        }
    }
}

struct CtlInjectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inject",
        abstract: "Send a frame from a radio outside the home.",
        discussion: "Everybody on the channel hears it, as the medium lets them.")

    @Argument(help: "The channel, 11 to 26.")
    var channel: UInt8

    @Argument(help: "The frame, MAC header first, without its check sequence: up to 125 bytes.")
    var hex: String
    @OptionGroup var arguments: OrderArguments

    func run() throws {
        guard (11...26).contains(channel) else {
            throw Failure(.usage, "'\(channel)' is no channel of the 2.4 GHz band: 11 to 26")
        }
        guard let bytes = Hex.bytes(hex), !bytes.isEmpty, bytes.count <= AirProtocol.psduLimit
        else {
            throw Failure(
                .usage,
                "the frame is 1 to \(AirProtocol.psduLimit) bytes in hex, two digits each; found "
                    + "'\(hex.prefix(40))'")
        }
        try arguments.give("\(bytes.count) bytes go out on channel \(channel)") { _ in
            .inject(channel: channel, psdu: FrameBuffer(copying: bytes.span))
        }
    }
}

struct CtlStartCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Start the process of a member again that has ended or was killed.",
        discussion: "It finds its flash as it was. Returns once the air has let it on.")

    @OptionGroup var member: MemberArgument
    @OptionGroup var arguments: OrderArguments

    func run() throws {
        let name = member.name
        let bench = try Bench(arguments.home)
        guard let run = bench.run else {
            throw Failure(.usage, "--air: only 'han up' can start the process of a member again")
        }
        _ = try bench.member(name)
        let pid: Int32
        do {
            pid = try run.startAgain(name)
        } catch {
            throw Failure(.unavailable, error.description)
        }
        let began = Clock.seconds()
        while Clock.seconds() - began < 20 {
            let status = try? bench.control.status()
            let member = status?.members.first { $0.name == name }
            if let status, let member, member.processID == UInt32(pid) {
                return try Bench.tell(
                    status.time, "\(name) is on the air again (pid \(pid))", json: arguments.json)
            }
            guard ProcessIdentity(running: pid) != nil else { break }
            Clock.sleep(0.05)
        }
        throw Failure(
            .unavailable,
            "\(name) was started (pid \(pid)) and has not come on the air; its log is "
                + "\((try? HomeRun.folder(of: run.name)) ?? "")/\(name).log")
    }
}
