import BenchmarkReport
import Foundation

/// The rows of `Tools/bench air`.
struct AirRows {
    /// The built `han`, whose processes are measured.
    let program: String
    /// Bare libzmq, with its two pairs of socket types; without it no row that needs it.
    var pingPong: [ReferenceProgram]
    /// What counts the allocations of processes; without it no such row.
    var counting: String?
    let rounds: Int

    /// Homes that share an air in the row `homes`.
    static let together = 8

    func measure() throws -> [Row] {
        let scratch = FileManager.default.temporaryDirectory.appending(path: "hanbench-\(UUID())")
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: scratch) }
        let homes = try AirHomes(program: program, folder: scratch.path, count: Self.together)

        var (grants, several) = (Rounds(), Rounds())
        var memory = NodeMemory()
        say("a whole download")
        let whole = try homes.run(1, toTheEnd: true)
        memory.add(whole.memory)
        for round in 1...rounds {
            say("round \(round) of \(rounds)")
            let one = try homes.run(1)
            // Whichever socket types are faster today.
            let bare = try pingPong.map { try $0.rate() }.max()
            if let bare { grants.add(one.rate, against: bare) }
            let many = try homes.run(Self.together)
            several.add(many.rate, against: one.rate)
            memory.add(one.memory)
            memory.add(many.memory)
        }
        let allocations = try counting.map { library in
            say("allocations")
            return try homes.countAllocations(
                AllocationCounts(library: library, folder: scratch.path + "/allocations"))
        }
        let perFrame = Double(whole.turns) / Double(whole.acknowledgements)
        let megabyte = 1024.0
        return [
            grants.row(
                "grants", target: 0.8, .higher,
                title: "grants/s of one dialogue, against round trips/s of bare libzmq"),
            Row(
                name: "grants-per-frame", ours: perFrame, reference: nil, ratio: perFrame,
                target: 3, better: .lower, title: "grants an acknowledged frame"),
            several.row(
                "homes", target: 3, .higher,
                title: "grants/s of \(Self.together) homes on one air, against one home's"),
            Row(
                name: "node-resident", ours: memory.resident / megabyte, reference: nil,
                ratio: memory.resident / megabyte, target: 25, better: .lower,
                title: "MB resident, the largest node process"),
            Row(
                name: "node-anonymous", ours: memory.anonymous / megabyte, reference: nil,
                ratio: memory.anonymous / megabyte, target: 8, better: .lower,
                title: "MB anonymous, the largest node process"),
            allocations.map {
                Row(
                    name: "node-allocations", ours: $0.nodes, reference: nil, ratio: $0.nodes,
                    target: 0, better: .lower,
                    title: "heap allocations a turn after warm-up, both nodes")
            },
            allocations.map {
                Row(
                    name: "air-allocations", ours: $0.air, reference: nil, ratio: $0.air,
                    target: 0, better: .lower,
                    title: "heap allocations a turn after warm-up, the air")
            },
        ].compactMap(\.self)
    }
}

/// What the largest of some processes have in memory, in kB as /proc/PID/status has it.
struct NodeMemory {
    private(set) var resident = 0.0
    private(set) var anonymous = 0.0

    init() {}

    /// Of a process that runs.
    init(of pid: pid_t) throws {
        let text = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        func field(_ name: String) throws -> Double {
            let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") }
            let value = line?.split(whereSeparator: \.isWhitespace).dropFirst().first
            guard let kilobytes = value.flatMap({ Double($0) }) else {
                throw BenchmarkError("/proc/\(pid)/status has no \(name)")
            }
            return kilobytes
        }
        resident = try field("VmRSS")
        anonymous = try field("RssAnon")
    }

    mutating func add(_ other: NodeMemory) {
        resident = max(resident, other.resident)
        anonymous = max(anonymous, other.anonymous)
    }
}
