import Foundation
import FuzzingSupport
import Lab

/// A parser and everything that is needed to throw bytes at it.
struct FuzzTarget {
    /// As `Tools/fuzz` takes it.
    var name: String
    /// The longest input tried, in bytes.
    var maximumLength: Int
    /// Inputs in the brief run that is part of the test suite.
    var briefRuns: Int
    /// What an input may cost on the heap at any one time.
    var memory: MemoryLimit
    /// Makes whatever stays the same from input to input.
    var prepare: () throws -> Prepared

    init(
        _ name: String, maximumLength: Int, briefRuns: Int = 50_000,
        memory: MemoryLimit = MemoryLimit(), _ prepare: @escaping () throws -> Prepared
    ) {
        self.name = name
        self.maximumLength = maximumLength
        self.briefRuns = briefRuns
        self.memory = memory
        self.prepare = prepare
    }

    struct Prepared {
        /// What our own encoders write: where the search begins.
        var seeds: [[UInt8]]
        /// Takes any bytes. What is wrong ends in a trap, such as `found`.
        var take: ([UInt8]) -> Void
    }
}

/// How much an input may cost on the heap: some bytes for each of its own.
struct MemoryLimit {
    var base = 64 << 10
    var perByte = 64

    func allows(_ used: Int, for count: Int) -> Bool { used <= base + perByte * count }
}

/// Ends the run: the input shows a bug.
func found(_ what: String) -> Never { fatalError("hanfuzz: \(what)") }

extension FuzzTarget {
    /// In the order in which they run.
    static func all(_ place: Place) -> [FuzzTarget] {
        frames() + commands() + establishment() + tunnels() + images(place) + messages(place)
            + duis(place) + keys(place) + texts(place) + air(place) + flash()
            + nodes()
    }
}

extension FuzzTarget {
    /// Bugs on purpose, by which the test suite sees that bugs are found. Not in the list.
    static var planted: [FuzzTarget] {
        func plant(_ name: String, _ bug: @escaping ([UInt8]) -> Void) -> FuzzTarget {
            FuzzTarget("planted-\(name)", maximumLength: 16) {
                Prepared(seeds: [Array("HA".utf8)]) { bytes in
                    // One comparison after another, as a parser has them.
                    guard bytes.count > 2 else { return }
                    guard bytes[0] == UInt8(ascii: "H"), bytes[1] == UInt8(ascii: "A"),
                        bytes[2] == UInt8(ascii: "N")
                    else { return }
                    bug(bytes)
                }
            }
        }
        return [
            plant("trap") { bytes in _ = bytes[3 + Int(bytes.last ?? 0) + bytes.count] },
            plant("waste") { bytes in
                let waste = [UInt8](repeating: bytes[0], count: 1 << 20)
                if waste.contains(0) { found("not the waste") }
            },
            // A loop without any effect would be optimised away.
            plant("hang") { _ in while true { usleep(1_000) } },
        ]
    }
}

/// Where the project is, for the files it comes with, and the reference material if there is any.
struct Place {
    var root: String
    var reference: String?

    /// The files below a folder of the reference material whose names end so, at most `limit`
    /// of them and those of at most 64 KiB; none without it.
    func references(in folder: String, suffix: String, limit: Int = 20) -> [[UInt8]] {
        guard let reference else { return [] }
        let place = "\(reference)/\(folder)"
        let all = FileManager.default.enumerator(atPath: place)?.allObjects as? [String] ?? []
        return all.filter { $0.hasSuffix(suffix) }.sorted().prefix(limit).compactMap {
            try? Files.read("\(place)/\($0)", limit: 1 << 16)
        }
    }
}
