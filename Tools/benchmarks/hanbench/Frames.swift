import BenchmarkReport
import BenchmarkSupport
import Evidence
import Foundation

/// The rows of `Tools/bench frames`. Those whose reference is not given are left out.
struct Frames {
    var lrWPAN: ReferenceProgram?
    var zigpy: ReferenceProgram?
    var zigpyAcknowledged: ReferenceProgram?
    let rounds: Int

    func measure() throws -> [Row] {
        let plain = try Download(acknowledged: false)
        let acknowledged = try Download(acknowledged: true)
        let witness = try plain.witness()
        var bare = try BareCrypto(witness)
        let scratch = FileManager.default.temporaryDirectory.appending(path: "hanbench-\(UUID())")
        defer { try? FileManager.default.removeItem(at: scratch) }

        var (crypto, ns3, zigpyPlain) = (Rounds(), Rounds(), Rounds())
        var (zigpyAcks, evidence) = (Rounds(), Rounds())
        for round in 1...rounds {
            say("round \(round) of \(rounds)")
            // Each beside what it is compared to: the machine's speed changes.
            let ours = try plain.run()
            var bareSeconds = 0.0
            for _ in 0..<8 { bareSeconds += try bare.run() }
            crypto.add(
                1e6 * ours.seconds / Double(ours.frames),
                against: 1e6 * bareSeconds / Double(ours.frames))
            let recorded = try plain.run(
                evidence: OutputFolder(preparing: scratch.path))
            evidence.add(
                Double(recorded.frames) / recorded.seconds,
                against: Double(ours.frames) / ours.seconds)
            if let lrWPAN {
                let ours = try plain.run()
                ns3.add(Double(ours.frames) / ours.seconds, against: try lrWPAN.rate())
            }
            if let zigpy {
                let ours = try plain.run()
                zigpyPlain.add(Double(ours.blocks) / ours.seconds, against: try zigpy.rate())
            }
            if let zigpyAcknowledged {
                let ours = try acknowledged.run()
                zigpyAcks.add(
                    Double(ours.blocks) / ours.seconds, against: try zigpyAcknowledged.rate())
            }
        }
        let perBlock =
            Double(witness.downloadTime.microseconds) / 1000 / Double(Download.imageSize / 48)
        return [
            crypto.row(
                "crypto", target: 3, .lower,
                title: "µs a frame, against its AES-CCM* in libcrypto"),
            ns3.row("ns3", target: 3, .higher, title: "MAC frames/s, against ns-3 lr-wpan"),
            zigpyAcks.row(
                "zigpy", target: 60, .higher, title: "blocks/s with APS acks, against zigpy"),
            zigpyPlain.row(
                "zigpy-unacked", target: 100, .higher, title: "blocks/s, against zigpy"),
            evidence.row(
                "evidence", target: nil, .higher, title: "frames/s with evidence, against without"),
            try allocations(plain, frames: witness.frameCount),
            Row(
                name: "block-ms", ours: perBlock, reference: nil, ratio: perBlock, target: nil,
                better: .lower, title: "virtual ms a 48-byte block"),
        ].compactMap(\.self)
    }

    /// Heap allocations per frame once the download runs.
    private func allocations(_ download: Download, frames: UInt64) throws -> Row {
        try Self.checkCounter()
        let (first, last) = (frames / 4, frames - frames / 10)
        let count = try download.countAllocations(between: first, and: last)
        let perFrame = Double(count) / Double(last - first)
        return Row(
            name: "allocations", ours: perFrame, reference: nil, ratio: perFrame, target: 0,
            better: .lower, title: "heap allocations a frame after warm-up")
    }

    /// A counter that counted nothing would look like perfection.
    private static func checkCounter() throws {
        allocations_start()
        var kept: [[UInt8]] = []
        kept.reserveCapacity(100)
        for size in 1...100 { kept.append([UInt8](repeating: 0, count: 64 * size)) }
        let count = allocations_stop()
        guard kept.count == 100, count == 101 else {
            throw BenchmarkError("101 allocations were counted as \(count)")
        }
    }
}

/// Says what is going on, beside the figures.
func say(_ message: String) {
    FileHandle.standardError.write(Data("bench: \(message)\n".utf8))
}
