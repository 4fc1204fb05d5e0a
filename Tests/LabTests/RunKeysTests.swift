import Evidence
import Foundation
import Lab
import TestSupport
import Testing
import Wire

@Suite("The file of a run's keys")
struct RunKeysTests {
    private static func key(_ number: Int) -> Key128 {
        var stream = SeededStream(Seed(UInt64(number)).named("run key"))
        return Key128(stream.bytes(16))!
    }

    private static func lines(_ folder: TemporaryFolder) throws -> [String] {
        try String(contentsOfFile: folder.path("out/zigbee_pc_keys"), encoding: .utf8)
            .split(separator: "\n").map(String.init)
    }

    @Test("however many keys a long run comes to, every one of them is there, once, in one file")
    func many() throws {
        let scratch = try TemporaryFolder()
        let folder = try OutputFolder(preparing: scratch.path("out"))
        let esme = Homes.device(.esme)
        let keys = RunKeys(home: Homes.home([esme]), folder: folder)
        try keys.begin()
        let file = scratch.path("out/zigbee_pc_keys")
        let first = try FileManager.default.attributesOfItem(atPath: file)
        #expect(try Self.lines(scratch).count == 1)
        for number in 0..<3_000 {
            for _ in 0..<2 { keys.learn(Self.key(number)) }
            // There at once, and whole.
            if number % 500 == 0 {
                #expect(try Self.lines(scratch).last?.hasSuffix("\"network key\"") == true)
            }
        }
        keys.learn(Self.key(5_000), of: esme.eui64)
        keys.learn(Self.key(5_001), of: EUI64(7))
        let lines = try Self.lines(scratch)
        #expect(lines.count == 3_003 && Set(lines).count == 3_003)
        #expect(lines[3_001].hasSuffix("\"ESME established link key\""))
        #expect(lines[3_002].contains("0000000000000007"))
        // Added to, not written anew for each.
        let last = try FileManager.default.attributesOfItem(atPath: file)
        #expect(
            first[.systemFileNumber] as? UInt64 == last[.systemFileNumber] as? UInt64)
        #expect(keys.trouble == nil)
    }

    @Test("a key that cannot be written is told of once the run is over, and the others stay")
    func trouble() throws {
        let scratch = try TemporaryFolder()
        let folder = try OutputFolder(preparing: scratch.path("out"))
        let keys = RunKeys(home: Homes.home([Homes.device(.esme)]), folder: folder)
        try keys.begin()
        let file = scratch.path("out/zigbee_pc_keys")
        try FileManager.default.moveItem(atPath: file, toPath: file + ".away")
        keys.learn(Self.key(1))
        keys.learn(Self.key(2))
        #expect(keys.trouble?.code == ENOENT)
        #expect(keys.trouble?.path == file)
        try FileManager.default.moveItem(atPath: file + ".away", toPath: file)
        keys.learn(Self.key(3))
        #expect(try Self.lines(scratch).count == 2)
    }
}
