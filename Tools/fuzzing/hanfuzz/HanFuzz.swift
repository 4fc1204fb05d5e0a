import Foundation
import FuzzingSupport

/// Throws bytes at the parsers of `han`, one at a time: what `Tools/fuzz` runs.
///
///     hanfuzz list
///     hanfuzz brief NAME WORK           the suite's short run: the same inputs each time
///     hanfuzz run NAME WORK SECONDS     goes on from what WORK has of earlier runs
///     hanfuzz replay NAME FILE          one input, with a backtrace
///
/// `WORK` is a folder; findings go to `WORK/findings`.
@main
struct HanFuzz {
    nonisolated(unsafe) private static var take: ([UInt8]) -> Void = { _ in }
    nonisolated(unsafe) private static var limit = MemoryLimit()

    static func main() throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        let environment = ProcessInfo.processInfo.environment
        let targets = FuzzTarget.all(
            Place(
                root: environment["HAN_HOME"] ?? ".", reference: environment["HAN_REFERENCE"]))
        guard let verb = arguments.first else { exit(64) }
        if verb == "list" {
            for target in targets { print(target.name) }
            return
        }
        guard arguments.count >= 3,
            let target = (targets + FuzzTarget.planted).first(where: { $0.name == arguments[1] })
        else {
            FileHandle.standardError.write(Data("hanfuzz: no such target\n".utf8))
            exit(64)
        }
        let prepared = try target.prepare()
        (take, limit) = (prepared.take, target.memory)
        switch verb {
        case "brief":
            let corpus = "\(arguments[2])/seeds/\(target.name)"
            try? FileManager.default.removeItem(atPath: corpus)
            try write(prepared.seeds, to: corpus)
            try start(
                target, work: arguments[2],
                ["-runs=\(target.briefRuns)", "-seed=1", "-max_total_time=60", corpus])
        case "run":
            let corpus = "\(arguments[2])/corpus/\(target.name)"
            try write(prepared.seeds, to: corpus)
            try start(
                target, work: arguments[2],
                ["-max_total_time=\(arguments.count > 3 ? arguments[3] : "60")", corpus])
        default: run(["-timeout=10", arguments[2]])
        }
    }

    private static func write(_ seeds: [[UInt8]], to folder: String) throws {
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        for (index, seed) in seeds.enumerated() {
            try Data(seed).write(to: URL(filePath: "\(folder)/seed-\(index)"))
        }
    }

    private static func start(_ target: FuzzTarget, work: String, _ more: [String]) throws {
        let findings = "\(work)/findings"
        try FileManager.default.createDirectory(
            atPath: findings, withIntermediateDirectories: true)
        fuzzing_forget_handlers()
        run(
            [
                "-max_len=\(target.maximumLength)",
                "-timeout=\(target.name == "planted-hang" ? 1 : 10)", "-rss_limit_mb=1024",
                "-artifact_prefix=\(findings)/\(target.name)-", "-print_final_stats=1",
                "-verbosity=0", "-use_value_profile=1",
            ] + more)
    }

    private static func run(_ arguments: [String]) -> Never {
        var strings = (["hanfuzz"] + arguments).map { strdup($0) }
        strings.append(nil)
        let code = fuzzing_run(Int32(strings.count - 1), &strings) { bytes, count in
            HanFuzz.input(UnsafeBufferPointer(start: bytes, count: count))
            return 0
        }
        if code < 0 {
            FileHandle.standardError.write(
                Data("hanfuzz: built without libFuzzer; start it by Tools/fuzz\n".utf8))
            exit(69)
        }
        exit(code)
    }

    private static func input(_ bytes: UnsafeBufferPointer<UInt8>) {
        let input = Array(bytes)
        memory_start()
        take(input)
        let used = memory_stop()
        if !limit.allows(used, for: input.count) {
            found("\(input.count) bytes of input took \(used) bytes of memory")
        }
    }
}
