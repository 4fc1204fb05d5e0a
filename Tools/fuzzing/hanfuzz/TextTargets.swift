import Foundation
import Lab
import Wire

extension FuzzTarget {
    /// Everything written in YAML: any document, the four kinds of profile, the manifest; and the
    /// numerals in them.
    static func texts(_ place: Place) -> [FuzzTarget] {
        let profiles = "\(place.root)/Profiles"
        return [
            FuzzTarget("numeral", maximumLength: 64) {
                let seeds = ["0x1F", "-12", "1_000", "18446744073709551615", "+0x"]
                return Prepared(seeds: seeds.map { Array($0.utf8) }) { bytes in
                    let value = Numeral.parse(String(decoding: bytes, as: UTF8.self))
                    if let value, value.magnitude > UInt128(UInt64.max) { found("\(value)") }
                }
            },
            FuzzTarget(
                "yaml", maximumLength: 4096, briefRuns: 10_000, memory: .text
            ) {
                let seeds =
                    ["a: 1", "- {b: [1, \"2\"]}\n- |\n  text\n", "# x\na: &b 1\nc: *b\n"]
                    .map { Array($0.utf8) }
                return Prepared(seeds: seeds) { bytes in
                    report { () throws(YAMLError) in _ = try YAMLReader.parse(bytes, file: "x") }
                }
            },
            profile("devices", in: profiles), profile("hubs", in: profiles),
            profile("homes", in: profiles), profile("scenarios", in: profiles),
            FuzzTarget(
                "manifest", maximumLength: 8192, briefRuns: 2_000, memory: .text
            ) {
                let folder = "\(place.root)/Firmware"
                let whole = try Files.read("\(folder)/manifest.yaml", limit: 1 << 20)
                // Its head and its first entry: the rest is more of the same.
                let text = String(decoding: whole, as: UTF8.self)
                let first = text.components(separatedBy: "\n  - id:").prefix(2)
                    .joined(separator: "\n  - id:")
                return Prepared(seeds: [Array(first.utf8)]) { bytes in
                    report { () throws(YAMLError) in
                        _ = try Manifest(parsing: bytes, file: "manifest.yaml", folder: folder)
                    }
                }
            },
        ]
    }

    /// Any file of `folder` is where the search begins; the bytes say themselves of what kind
    /// they are.
    private static func profile(_ folder: String, in root: String) -> FuzzTarget {
        FuzzTarget(
            "profile-\(folder)", maximumLength: 4096, briefRuns: 2_000, memory: .text
        ) {
            let names = try FileManager.default.contentsOfDirectory(atPath: "\(root)/\(folder)")
                .sorted()
            let library = ProfileLibrary(folder: root)
            let seeds = try names.map { try Files.read("\(root)/\(folder)/\($0)", limit: 1 << 20) }
            return Prepared(seeds: seeds) { bytes in
                report { () throws(YAMLError) in
                    let path = "\(root)/\(folder)/input.yaml"
                    _ = try library.validate(bytes, path: path)
                }
            }
        }
    }

    private static func report(_ read: () throws(YAMLError) -> Void) {
        do {
            try read()
        } catch {
            let text = error.description
            if text.utf8.count > 4_000 { found("a message of \(text.utf8.count) bytes") }
            if error.message.isEmpty { found("a message without words") }
        }
    }
}

extension MemoryLimit {
    /// libyaml's events and Yams' nodes, each an object with its place, and a home's or a
    /// manifest's other files.
    fileprivate static let text = MemoryLimit(base: 4 << 20, perByte: 2048)
}
