import BenchmarkSupport
import Crypto
import Devices
import Evidence
import Foundation
import GBCS
import Lab
import Radio
import Simulation
import Wire

/// One ESME that joins its hub and downloads a 750 KiB image, with NWK and APS security: the work
/// that every row of `frames` is about.
struct Download {
    /// The image file, header and trailer included: 16,000 blocks of 48 bytes.
    static let imageSize = 750 * 1024

    /// What one run came to.
    struct Outcome {
        /// Processor time of everything from making the home to the verified image.
        var seconds: Double
        /// Frames on the air, acknowledgements included.
        var frames: UInt64
        var blocks: UInt64
    }

    let home: Home
    let image: RunImage

    /// With `acknowledged`, block requests and responses ask for APS acknowledgements.
    init(acknowledged: Bool) throws {
        var stream = SeededStream(Seed(1).named("benchmark supplier"))
        let supplier = P256.PrivateKey.generate(from: &stream)
        var hub = HubProfile(name: "hub")
        hub.manufacturer = 0xFFF3
        hub.imageType = 0x0010
        var profile = DeviceProfile(type: .esme, name: "esme")
        profile.manufacturer = 0xFFF1
        profile.imageType = 1
        profile.acknowledgesBlocks = acknowledged
        let code = InstallCode((0..<16).map { UInt8($0) })
        guard let code else { throw BenchmarkError("16 bytes are no install code") }
        var home = Home(
            name: "benchmark", title: "one meter",
            hub: HomeHub(
                name: "CH", profile: hub, eui64: EUI64(0x00AA_0000_0000_0001),
                firmware: 0x0100_0000, signer: supplier.publicKey),
            devices: [
                HomeDevice(
                    name: "ESME", profile: profile, eui64: EUI64(0x00BB_0000_0000_0001),
                    installCode: code, firmware: 0x0100_0000, supplier: supplier.publicKey)
            ])
        // Key establishment is measured by rows of its own.
        home.keyEstablishment = .installCode
        self.home = home
        image = try Self.image(for: profile, by: supplier)
    }

    private static func image(
        for profile: DeviceProfile, by supplier: P256.PrivateKey
    ) throws -> RunImage {
        let version: UInt32 = 0x0200_0000
        let header = OTAHeader(
            manufacturerCode: profile.manufacturer,
            imageType: ImageType(rawValue: profile.imageType), fileVersion: version)
        func build(payload: Int) throws -> FirmwareImage {
            try .signed(
                header: header,
                manufacturerImage: FirmwareImage.samplePayload(size: payload, seed: 1),
                forceReplace: false, by: supplier)
        }
        let overhead = try build(payload: 1).encoded().count - 1
        let image = try build(payload: imageSize - overhead)
        return RunImage(
            name: "ESME", bytes: image.encoded(), version: version,
            hash: image.manufacturerImageHash)
    }

    private var runner: Runner {
        let steps: [ScenarioStep.Action] = [
            .join(devices: ["ESME"]),
            // The device's first query comes before the image and finds nothing.
            .wait(.seconds(30)),
            .deliver(image: "ESME", to: ["ESME"]),
            .await(.verified, devices: ["ESME"]),
        ]
        let scenario = Scenario(
            name: "benchmark", title: "one download", home: home.name,
            start: UTCTime(secondsSince2000: 833_000_000), seed: 1, timeLimit: .hours(24),
            steps: steps.map {
                ScenarioStep(title: "step", action: $0, within: .hours(12), line: 0)
            })
        return Runner(
            home: home, scenario: scenario, images: [image.name: image], options: RunOptions())
    }

    /// Runs it several times in a row, each from nothing, and adds up: a single one is over in a
    /// tenth of a second, before a processor that was just doing something else has warmed up.
    func run(times: Int = 8) throws -> Outcome {
        var sum = Outcome(seconds: 0, frames: 0, blocks: 0)
        for _ in 0..<times {
            let began = processorTime()
            let simulation = runner.makeSimulation(sink: nil)
            simulation.run()
            let one = try outcome(of: simulation, seconds: processorTime() - began)
            sum.seconds += one.seconds
            sum.frames += one.frames
            sum.blocks += one.blocks
        }
        return sum
    }

    /// Runs it once and counts the heap allocations from one frame to another.
    func countAllocations(between first: UInt64, and last: UInt64) throws -> UInt64 {
        let simulation = runner.makeSimulation(sink: nil)
        while simulation.air.frameCount < first, simulation.step() {}
        allocations_start()
        while simulation.air.frameCount < last, simulation.step() {}
        let count = allocations_stop()
        simulation.run()
        _ = try outcome(of: simulation, seconds: 0)
        return count
    }

    /// Runs it once and keeps what went over the air.
    func witness() throws -> Witness {
        let witness = Witness()
        let simulation = runner.makeSimulation(sink: witness)
        simulation.run()
        _ = try outcome(of: simulation, seconds: 0)
        guard let key = simulation.nodes[0].hub?.stack.networkKey else {
            throw BenchmarkError("the hub has no network key")
        }
        witness.keys = [key, home.devices[0].installCode.linkKey]
        return witness
    }

    /// Runs it once with evidence in `folder`, written as `han` writes it.
    func run(evidence folder: OutputFolder) throws -> Outcome {
        let began = processorTime()
        let runner = runner
        let recorder = try Recorder(
            roster: runner.roster, start: runner.scenario.start, steps: [], folder: folder)
        let simulation = runner.makeSimulation(sink: recorder)
        simulation.run()
        try recorder.finish()
        return try outcome(of: simulation, seconds: processorTime() - began)
    }

    private func outcome(
        of simulation: Simulation<HomeNode>, seconds: Double
    ) throws -> Outcome {
        guard let director = simulation.nodes.last?.director, director.passed == true else {
            let director = simulation.nodes.last?.director
            throw BenchmarkError(
                "the download failed: \(director?.failure?.message ?? "it did not end")")
        }
        let blocks = director.attempts.reduce(0) { $0 + $1.blocks }
        guard blocks >= Self.imageSize / 48 else {
            throw BenchmarkError("the download took only \(blocks) blocks")
        }
        return Outcome(seconds: seconds, frames: simulation.air.frameCount, blocks: blocks)
    }
}

/// What went over the air in one run: its frames but for acknowledgements, and the time from the
/// first block request to the last block.
final class Witness: EvidenceSink {
    var keys: [Key128] = []
    private(set) var frames: [FrameBuffer] = []
    private(set) var frameCount: UInt64 = 0
    private(set) var downloadTime = Interval.zero
    private var started = Instant.zero

    func record(frame: borrowing FrameRecord) {
        frameCount += 1
        if frame.psdu.count > 5 { frames.append(frame.psdu) }
    }

    func record(event: EventRecord) {
        switch event.kind {
        case .otaDownloadStarted: started = event.time
        // Fields: bytes stored, bytes in all.
        case .otaProgress where event.values[0] == event.values[1]:
            downloadTime = event.time - started
        default: break
        }
    }
}

/// Seconds of processor time that this process has used.
func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Why nothing could be measured, for people.
struct BenchmarkError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
