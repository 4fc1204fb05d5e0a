import AirBus
import ArgumentParser
import Crypto
import GBCS
import Lab
import Radio
import Wire

struct CtlSendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "send",
        abstract: "Send an image over the WAN to the hub, for devices or for the hub itself.",
        discussion: """
            The image is a file, or one of the manifest by its id ('han image list'). It is read \
            in the form that the members' images have, and not sent if that cannot be done. The \
            hub takes one image at a time: while somebody else sends one, this waits, for a \
            minute at most. The hub does with the image what its firmware does; --wait says what \
            that was, and exits 1 if it did not keep the image. Devices fetch it when they next \
            ask for one, or are told that there is one; 'han ps' shows how far they are.
            """)

    @Argument(
        help: ArgumentHelp("An image file, or an id of the manifest.", valueName: "image"),
        completion: .file())
    var image: String

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("For whom it is: devices, or the hub.", valueName: "member"),
        completion: .custom { _, _, prefix in Completions.members(prefix) })
    var to: [String]

    @Flag(help: "Wait until the hub has stored or refused it.")
    var wait = false
    @OptionGroup var arguments: OrderArguments

    func validate() throws {
        guard Set(to).count == to.count else {
            throw ValidationError("--to names somebody twice.")
        }
    }

    func run() throws {
        let bench = try Bench(arguments.home)
        let members = try to.map { try bench.member($0) }
        let image = try SendableImage.read(self.image, for: members)
        let feed = wait ? try bench.listen() : nil
        let delivery = try number(bench, image)
        let bytes = image.bytes
        let time = try bench.order(
            .wan(
                .beginImage(
                    delivery: delivery, targets: members.compactMap(\.eui64),
                    size: UInt32(bytes.count), installableFrom: image.installableFrom)))
        for start in stride(from: 0, to: bytes.count, by: Self.chunk) {
            let chunk = Array(bytes[start..<min(start + Self.chunk, bytes.count)])
            try bench.order(
                .wan(.imageChunk(delivery: delivery, offset: UInt32(start), bytes: chunk)))
        }
        try bench.order(.wan(.endImage(delivery: delivery)))
        try Bench.tell(
            time,
            "\(image.name), \(Words.version(image.version)), is sent for \(Words.list(to)) as "
                + "delivery \(delivery)", json: arguments.json)
        if let feed { try report(on: delivery, since: time, feed, from: bench.members) }
    }

    /// Bytes of an image in one message of the WAN.
    private static let chunk = 1_024

    private func number(_ bench: Bench, _ image: SendableImage) throws -> UInt32 {
        guard let run = bench.run else { return SentImages.nextDelivery(after: 0) }
        return try SentImages.change(in: try HomeRun.folder(of: run.name)) { sent in
            sent.lastDelivery = SentImages.nextDelivery(after: sent.lastDelivery)
            for name in to {
                sent.images[name] = SentImages.Image(
                    name: image.name, hash: image.hash.description)
            }
            return sent.lastDelivery
        }
    }

    private func report(
        on delivery: UInt32, since start: Instant, _ feed: FeedClient,
        from members: [RunStatus.Member]
    ) throws {
        let hubs = members.filter { $0.role == "CH" }.map(\.index)
        while true {
            let arrival = feed.next(waiting: 1)
            switch arrival {
            case .message(.event(let event))
            where event.kind == .nodeLost && hubs.contains(event.node):
                throw Failure(
                    .unavailable, "the hub was lost before it had the image; send it again")
            case .message(.event(let event))
            where [.poweredOff, .poweredOn].contains(event.kind) && hubs.contains(event.node)
                && event.time >= start:
                throw Failure(
                    .unavailable,
                    "the hub lost its power before it had the image; send it again")
            case .message(.event(let event))
            where event.values[0] == UInt64(delivery) && event.time >= start:
                switch event.kind {
                case .imageStored:
                    return try Bench.tell(
                        event.time, "the hub holds the image", json: arguments.json)
                case .imageDiscarded, .wanMessageRefused:
                    let reason = RefusalReason(
                        rawValue: UInt8(truncatingIfNeeded: event.values[1]))
                    throw Failure(
                        .verdict, "the hub does not keep it: \((reason ?? .none).words)")
                default: break
                }
            case .message(.ended(let end)): throw Failure(.unavailable, end.text)
            case .lost: throw Failure(.unavailable, "the air is gone")
            case .message, .quiet, .strange: break
            }
        }
    }
}

struct CtlActivateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "activate",
        abstract: "Order a device, or the hub, to run the image that it holds.",
        discussion: """
            The order names the image by the hash of its manufacturer image: that of --hash, of \
            --image, or of the image that 'han ctl send' sent it last. --wait says what became of \
            it, and exits 1 if it was refused.
            """)

    @OptionGroup var place: MemberArgument

    @Option(help: ArgumentHelp("SHA-256 of the manufacturer image, in hex.", valueName: "hash"))
    var hash: String?

    @Option(
        help: ArgumentHelp("An image file, or an id of the manifest.", valueName: "image"),
        completion: .file())
    var image: String?

    @Flag(help: "Wait until it runs the image, or has refused to.")
    var wait = false
    @OptionGroup var arguments: OrderArguments

    func validate() throws {
        guard hash == nil || image == nil else {
            throw ValidationError("--hash and --image both say which image; give one of them.")
        }
    }

    func run() throws {
        let bench = try Bench(arguments.home)
        let member = try bench.member(place.name)
        let digest = try digest(bench, member)
        let feed = wait ? try bench.listen() : nil
        let time = try bench.order(
            member.role == "CH"
                ? .wan(.activateHub(hash: digest))
                : .order(.activate(hash: digest), to: member.index))
        try Bench.tell(
            time, "\(place.name) is to activate the image with the hash \(digest)",
            json: arguments.json)
        if let feed { try report(on: member, since: time, feed, bench) }
    }

    /// So long, in virtual time, an order may be on its way to whoever takes it.
    private static let patience = Interval.seconds(10)

    private func report(
        on member: RunStatus.Member, since start: Instant, _ feed: FeedClient, _ bench: Bench
    ) throws {
        var isTaken = false
        var version: UInt64?
        while true {
            switch feed.next(waiting: 1) {
            case .message(.event(let event)) where event.node == member.index:
                guard event.time >= start else { break }
                switch event.kind {
                case .activationOrdered: isTaken = true
                case .activationRefused where isTaken && version == nil:
                    let reason = RefusalReason(
                        rawValue: UInt8(truncatingIfNeeded: event.values[0]))
                    throw Failure(
                        .verdict, "\(member.name) refuses: \((reason ?? .none).words)")
                case .activated where isTaken: version = event.values[1]
                case .poweredOn where version != nil:
                    return try Bench.tell(
                        event.time,
                        "\(member.name) runs "
                            + Words.version(UInt32(truncatingIfNeeded: event.values[0])),
                        json: arguments.json)
                case .nodeLost:
                    throw Failure(.unavailable, "\(member.name) was lost; 'han ps' shows it")
                default: break
                }
            case .message(.ended(let end)): throw Failure(.unavailable, end.text)
            case .lost: throw Failure(.unavailable, "the air is gone")
            case .message, .strange: break
            case .quiet:
                let status = try? bench.control.status()
                guard !isTaken, let status, status.time - start > Self.patience else { break }
                throw Failure(
                    .unavailable,
                    "\(member.name) has not taken the order: its software does not run, or it is "
                        + "not in the network")
            }
        }
    }

    private func digest(_ bench: Bench, _ member: RunStatus.Member) throws -> Digest256 {
        if let hash {
            guard let digest = Hex.bytes(hash).flatMap({ Digest256($0) }) else {
                throw Failure(.usage, "--hash is 64 hex digits, as 'han image inspect' prints them")
            }
            return digest
        }
        if let image { return try SendableImage.read(image, for: [member]).hash }
        guard let run = bench.run,
            let sent = SentImages.read(try HomeRun.folder(of: run.name)).images[place.name],
            let digest = Hex.bytes(sent.hash).flatMap({ Digest256($0) })
        else {
            throw Failure(
                .usage,
                "'han ctl send' has sent nothing for \(place.name) yet; say with --image or --hash "
                    + "what it is to activate")
        }
        return digest
    }
}

/// An image that was read and can be sent.
struct SendableImage {
    var name: String
    var bytes: [UInt8]
    var version: UInt32
    /// SHA-256 of the manufacturer image.
    var hash: Digest256
    var installableFrom: [UInt32]

    /// Reads a file or an image of the manifest, in the form that these members' images have.
    static func read(_ name: String, for members: [RunStatus.Member]) throws -> SendableImage {
        let types = try members.map { member in
            guard let type = DeviceType(rawValue: member.role) else {
                throw Failure(.data, "\(member.name) is no device that has images")
            }
            return type
        }
        let forms = Set(types.map(\.imageForm))
        guard forms.count == 1, let form = forms.first else {
            throw Failure(
                .usage,
                "images for \(Words.list(members.map(\.name))) have different forms; send them "
                    + "one by one")
        }
        let installation = try Installation.locate()
        let manifest = try Manifest.load(folder: installation.firmware)
        if !name.contains("/"), let entry = manifest.entry(name) {
            let image = try manifest.image(for: entry)
            guard image.form == form else {
                throw Failure(
                    .data,
                    "the image '\(name)' is of the form \(image.form.rawValue), and images for "
                        + "\(Words.list(members.map(\.name))) are \(form.rawValue)")
            }
            return SendableImage(
                name: name, bytes: image.encoded(), version: entry.version,
                hash: image.manufacturerImageHash, installableFrom: entry.installableFrom.list)
        }
        let image: FirmwareImage
        do {
            image = try ImageCommand.read(name, form: form)
        } catch FileError.missing(let path) where !name.contains("/") {
            throw Failure(
                .missing,
                "'\(path)' is neither a file nor an image of the manifest, which has "
                    + Words.list(manifest.entries.map(\.id)))
        }
        return SendableImage(
            name: name.split(separator: "/").last.map(String.init) ?? name, bytes: image.encoded(),
            version: image.header.fileVersion, hash: image.manufacturerImageHash,
            installableFrom: [])
    }
}
