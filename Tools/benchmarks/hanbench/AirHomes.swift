import AirBus
import Crypto
import Evidence
import Foundation
import GBCS
import Lab
import Radio
import Wire

/// Homes of a hub and an ESME, each a `han node` process, on an air that is a `han air` process.
/// They download an image of 750 KiB in virtual time as fast as they can.
struct AirHomes {
    /// What one run came to.
    struct Outcome {
        /// Turns a second while every ESME downloaded.
        var rate: Double
        var memory: NodeMemory
        /// From the run's begin to its end, as the air counted them; of the first home.
        var turns: UInt64
        var acknowledgements: UInt64
    }

    private let program: String
    private let folder: String
    private let files: [String]
    private let image: [UInt8]

    /// Members of each home: hub, ESME, and the bench that the air itself plays.
    private static let members = 3
    private static let imageSize = 750 * 1024
    /// How long the turns are counted, in seconds.
    private static let window = 2.0
    /// In how large parts an image goes to a hub, in bytes.
    private static let chunk = 48 * 1024

    init(program: String, folder: String, count: Int) throws {
        self.program = program
        self.folder = folder
        files = try (0..<count).map { number in
            let file = "\(folder)/home-\(number).yaml"
            try Self.home(number).write(toFile: file, atomically: true, encoding: .utf8)
            return file
        }
        image = try Self.image()
    }

    private static func address(_ number: Int, _ member: Int) -> EUI64 {
        EUI64(0x0247_4200_00BE_0000 + UInt64(number) << 8 + UInt64(member))
    }

    private static func home(_ number: Int) -> String {
        """
        kind: home
        title: One meter, number \(number)
        hub:
          profile: homehub-2
          eui64: "\(address(number, 0))"
          firmware: 0x02000100
          signer: supplier-test.pem
        devices:
          - name: ESME
            profile: esme
            eui64: "\(address(number, 1))"
            installCode: "94C0 101F 1FCB D17F 97FB 93F2 23AD 3F99 1AA3"
            firmware: 0x03010407
            supplier: supplier-test.pem

        """
    }

    private static func image() throws -> [UInt8] {
        let keyFile = try Installation.locate().firmware + "/keys/supplier-test.key.pem"
        let supplier = try P256.PrivateKey(
            pkcs8: Array(Data(contentsOf: URL(filePath: keyFile))))
        func build(payload: Int) throws -> [UInt8] {
            try FirmwareImage.signed(
                header: OTAHeader(
                    manufacturerCode: 0xFFF1, imageType: ImageType(rawValue: 1),
                    fileVersion: 0x0302_0001),
                manufacturerImage: FirmwareImage.samplePayload(size: payload, seed: 1),
                forceReplace: false, by: supplier
            ).encoded()
        }
        return try build(payload: imageSize - build(payload: 1).count + 1)
    }

    /// Heap allocations a turn while one home downloads, of all but libzmq.
    struct Allocations {
        /// Of both nodes together.
        var nodes: Double
        var air: Double
    }

    /// Counts the allocations of the processes of one home.
    func countAllocations(_ counts: AllocationCounts) throws -> Allocations {
        try counts.counting {
            try withHomes(1) { bench in
                try deliver(to: 1, bench.control)
                try awaitDownloads(bench)
                let pids = [bench.air] + bench.nodes
                // To ask the air anything is no part of a frame's way.
                let first = try bench.control.status()
                let before = try pids.map { try counts.read($0) }
                usleep(UInt32(Self.window * 1e6))
                let after = try pids.map { try counts.read($0) }
                let last = try bench.control.status()
                guard Self.areDownloading(last, of: image), last.turns > first.turns else {
                    throw BenchmarkError(
                        "the download was over before its allocations were counted")
                }
                // What counts has counted the processes' starts, and libzmq's messages.
                guard before.allSatisfy({ $0.own > 100 }),
                    zip(before, after).allSatisfy({ $0.libzmq < $1.libzmq })
                else { throw BenchmarkError("allocations were not counted") }
                let turns = Double(last.turns - first.turns)
                let made = zip(before, after).map { Double($1.own - $0.own) / turns }
                return Allocations(nodes: made[1...].reduce(0, +), air: made[0])
            }
        }
    }

    /// The processes of some homes on one air.
    private struct Bench {
        let watch: Watch
        let control: ControlClient
        let air: pid_t
        let nodes: [pid_t]
        let log: String
    }

    /// Runs so many of the homes on one air.
    func run(_ count: Int, toTheEnd: Bool = false) throws -> Outcome {
        try withHomes(count) { bench in
            try deliver(to: count, bench.control)
            let outcome = try follow(toTheEnd: toTheEnd, bench)
            try bench.control.order(.end)
            for child in bench.watch.children.running {
                bench.watch.children.wait(for: child.name, seconds: 30)
            }
            if let bad = bench.watch.children.ended.first(where: { !$0.isWell }) {
                throw BenchmarkError("\(bad.child.name) \(bad.words)")
            }
            return try account(bench.log, outcome)
        }
    }

    private func withHomes<T>(_ count: Int, _ body: (Bench) throws -> T) throws -> T {
        let place = try PrivateFolder.root().makeUnique("bench")
        defer { place.remove() }
        let children = try Children(of: program)
        defer { children.end() }
        let endpoint = "ipc://\(place.path)/air"
        let log = "\(place.path)/AIR.log"
        let air = try children.start(
            "AIR",
            ["air", "--bind", endpoint, "--pace", "virtual"]
                + files[..<count].flatMap { ["--home", $0] }, log: log)
        var nodes: [pid_t] = []
        for (number, file) in files[..<count].enumerated() {
            for name in ["CH", "ESME"] {
                nodes.append(
                    try children.start(
                        "\(name)-\(number)",
                        ["node", "--home", file, "--name", name, "--air", endpoint],
                        log: "\(place.path)/\(name)-\(number).log"
                    ).pid)
            }
        }
        let watch = Watch(children: children)
        let control = try ControlClient(
            endpoints: AirEndpoints(parsing: endpoint), patience: 60)
        // A hub that still starts loses what comes over its WAN.
        try watch.wait("all homes have had their first two minutes") {
            let status = try control.status()
            return status.state == .running && status.time >= .zero + .seconds(120)
        }
        return try body(
            Bench(watch: watch, control: control, air: air.pid, nodes: nodes, log: log))
    }

    /// Sends every hub its image, all of them the same part at a time: they are to begin together.
    private func deliver(to count: Int, _ control: ControlClient) throws {
        var messages: [(message: WANMessage, member: UInt16)] = []
        func addAll(_ message: (Int) -> WANMessage) {
            messages += (0..<count).map { (message($0), UInt16($0 * Self.members)) }
        }
        addAll {
            .beginImage(
                delivery: 1, targets: [Self.address($0, 1)], size: UInt32(image.count),
                installableFrom: [])
        }
        for offset in stride(from: 0, to: image.count, by: Self.chunk) {
            let bytes = Array(image[offset..<min(offset + Self.chunk, image.count)])
            addAll { _ in .imageChunk(delivery: 1, offset: UInt32(offset), bytes: bytes) }
        }
        addAll { _ in .endImage(delivery: 1) }
        try control.sendAll(messages)
    }

    /// Counts turns from when all have begun their downloads to when the first has ended, or for
    /// `window` seconds.
    private func follow(toTheEnd: Bool, _ bench: Bench) throws -> Outcome {
        try awaitDownloads(bench)
        let (control, size) = (bench.control, UInt32(image.count))
        let first = try control.status()
        let began = seconds()
        var (last, ended) = (first, began)
        repeat {
            usleep(50_000)
            let status = try control.status()
            guard Self.areDownloading(status, of: image) else { break }
            (last, ended) = (status, seconds())
        } while ended - began < Self.window
        guard ended > began, last.turns > first.turns else {
            throw BenchmarkError("the downloads were over before anything was measured")
        }
        var memory = NodeMemory()
        for pid in bench.nodes { memory.add(try NodeMemory(of: pid)) }
        if toTheEnd {
            // An image that its device turned down would have no offset any more.
            try bench.watch.wait("all have verified") {
                try Self.downloads(control.status()).allSatisfy { $0.offset == size }
            }
        }
        return Outcome(
            rate: Double(last.turns - first.turns) / (ended - began), memory: memory, turns: 0,
            acknowledgements: 0)
    }

    private static func downloads(_ status: RunStatus) -> [RunStatus.Member] {
        status.members.filter { $0.role == "ESME" }
    }

    private static func areDownloading(_ status: RunStatus, of image: [UInt8]) -> Bool {
        downloads(status).allSatisfy { $0.offset > 0 && $0.offset < UInt32(image.count) }
    }

    private func awaitDownloads(_ bench: Bench) throws {
        try bench.watch.wait("all download") {
            let idle = try Self.downloads(bench.control.status()).filter { $0.offset == 0 }
            // Whoever heard of its image too early, or not at all, would ask a day later.
            for esme in idle { try bench.control.order(.order(.queryNextImage, to: esme.index)) }
            return idle.isEmpty
        }
    }

    /// Adds what the air's log says of the first home.
    private func account(_ log: String, _ outcome: Outcome) throws -> Outcome {
        let text = try String(contentsOfFile: log, encoding: .utf8)
        let pattern = /(\d+) turns and \d+ frames, (\d+) of them acknowledgements/
        guard let match = text.firstMatch(of: pattern), let turns = UInt64(match.1),
            let acknowledgements = UInt64(match.2), acknowledgements > 0
        else { throw BenchmarkError("the air did not say how many turns it gave: \(text)") }
        var outcome = outcome
        outcome.turns = turns
        outcome.acknowledgements = acknowledgements
        return outcome
    }

    /// Waits for what a run comes to, and sees when a process of its is gone.
    private struct Watch {
        let children: Children

        func wait(_ what: String, until isThere: () throws -> Bool) throws {
            let limit = seconds() + 120
            while try !isThere() {
                children.reap()
                if let gone = children.ended.first {
                    throw BenchmarkError("\(gone.child.name) \(gone.words)")
                }
                guard seconds() < limit else {
                    throw BenchmarkError("after two minutes it is not so yet that \(what)")
                }
                usleep(20_000)
            }
        }
    }
}

/// By the machine's clock.
private func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
