import Foundation

/// Heap allocations of processes into which `Tools/benchmarks/counting` was preloaded.
struct AllocationCounts {
    /// The library, and the folder in which each process keeps its counts.
    private let library: String
    private let folder: String

    init(library: String, folder: String) throws {
        guard let path = realpath(library, nil) else {
            throw BenchmarkError("'\(library)' cannot be found")
        }
        self.library = String(cString: path)
        free(path)
        self.folder = folder
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
    }

    /// Has what is started meanwhile count.
    func counting<T>(_ body: () throws -> T) rethrows -> T {
        setenv("LD_PRELOAD", library, 1)
        setenv("ALLOCATION_COUNTS", folder, 1)
        defer {
            unsetenv("LD_PRELOAD")
            unsetenv("ALLOCATION_COUNTS")
        }
        return try body()
    }

    /// How many a process has made so far: libzmq's, and all others.
    func read(_ pid: pid_t) throws -> (own: UInt64, libzmq: UInt64) {
        let bytes = try Data(contentsOf: URL(filePath: "\(folder)/\(pid)"))
        guard bytes.count == 16 else {
            throw BenchmarkError("the process \(pid) does not count its allocations")
        }
        return bytes.withUnsafeBytes {
            (
                $0.loadUnaligned(as: UInt64.self),
                $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
            )
        }
    }
}
