import Evidence
import Foundation
import Radio
import TestSupport
import Testing
import Wire

/// A judge that cannot say no proves nothing.
@Suite("The judge")
struct JudgeTests {
    private func evidence(
        keys: [(key: Key128, label: String)] = Sealed.keys, spoiling index: Int,
        _ spoil: (inout FrameRecord) -> Void
    ) throws -> Evidence {
        try Evidence(keys: keys) { recorder in
            for (position, bytes) in Sealed.conversation.enumerated() {
                var record = frame(UInt64(position + 1), bytes)
                if position == index { spoil(&record) }
                recorder.record(frame: record)
            }
        }
    }

    /// Flips one bit and makes the FCS right again.
    private func flip(_ record: inout FrameRecord, at index: Int) {
        var bytes = record.psdu.bytes
        bytes[index] ^= 1
        record = frame(record.number, Array(bytes.dropLast(2)))
    }

    @Test(
        "a flipped bit is noticed wherever the integrity code covers it",
        arguments: [
            ("radius", 15), ("frame counter", 18), ("ciphertext", 40), ("integrity code", 63),
        ])
    func flippedBit(part: String, index: Int) throws {
        let verdict = try evidence(spoiling: 3) { flip(&$0, at: index) }.judge()
        #expect(verdict.complaints.map(\.frame) == [4])
        #expect(verdict.complaints.first?.text.contains("still encrypted") == true)
    }

    @Test("a wrong FCS is noticed")
    func wrongFCS() throws {
        let verdict = try evidence(spoiling: 2) { record in
            record.psdu[record.psdu.count - 1] ^= 0x80
        }.judge()
        #expect(verdict.complaints.map(\.frame) == [3])
        #expect(verdict.complaints.first?.text.hasPrefix("bad FCS") == true)
    }

    @Test("a wrong link key leaves the frames under it encrypted")
    func wrongLinkKey() throws {
        let wrong = Key128(high: Sealed.linkKey.high, low: Sealed.linkKey.low ^ 1)
        let keys = [(key: Sealed.networkKey, label: "network"), (key: wrong, label: "wrong")]
        let verdict = try evidence(keys: keys, spoiling: -1) { _ in }.judge()
        #expect(verdict.complaints.map(\.frame) == [2, 4, 6])
    }

    @Test("without keys every secured frame is named, acks too")
    func noKeys() throws {
        let verdict = try evidence(keys: [], spoiling: -1) { _ in }.judge()
        #expect(verdict.complaints.map(\.frame) == [2, 4, 5, 6])
    }

    @Test("a malformed frame is noticed")
    func malformed() throws {
        let verdict = try evidence(spoiling: 0) { record in
            // A beacon request that ends inside its addresses.
            record = frame(record.number, Array(record.psdu.bytes.prefix(6)))
        }.judge()
        #expect(verdict.complaints.map(\.frame) == [1])
        #expect(verdict.complaints.first?.text.contains("malformed") == true)
    }

    @Test("a data frame with something else than ZigBee in it is noticed")
    func notZigBee() throws {
        let verdict = try evidence(spoiling: 0) { record in
            record = frame(
                record.number, Hex.bytes("6188010f5a21430000")! + [0xFF, 0xFF, 0xFF, 0xFF])
        }.judge()
        #expect(verdict.complaints.map(\.frame) == [1])
    }

    @Test("a capture that ends in the middle of a frame is refused")
    func cutShort() throws {
        let evidence = try evidence(spoiling: -1) { _ in }
        let bytes = try evidence.bytes(.trace)
        try Data(bytes.dropLast(10)).write(to: URL(filePath: evidence.capture))
        #expect(throws: Tshark.Failure.self) { try evidence.judge() }
    }

    @Test("a capture without frames is refused, as is one that does not exist")
    func nothingToJudge() throws {
        let evidence = try Evidence { _ in }
        #expect(throws: Tshark.Failure.self) { try evidence.judge() }
        #expect(throws: Tshark.Failure.self) {
            try Tshark.judge(capture: evidence.capture + "-not", keys: evidence.folder.path)
        }
    }

    @Test(
        "the reference tour, rewritten by us, is judged clean and dissected like the original",
        .enabled(if: Reference.folder != nil, Comment(rawValue: Reference.absent)))
    func tour() throws {
        let original = try #require(Reference.folder).appending(path: "oracle/tour_195.pcap")
        let frames = try Self.pcapFrames(original)
        #expect(frames.count == 33)
        let keys = [
            (key: try #require(Key128((0xC0..<0xD0).map { UInt8($0) })), label: "network"),
            (key: try #require(Key128((0xA0..<0xB0).map { UInt8($0) })), label: "link"),
        ]
        let evidence = try Evidence(keys: keys) { recorder in
            for (index, bytes) in frames.enumerated() {
                // The file has each FCS already; ours must come out the same.
                recorder.record(frame: frame(UInt64(index + 1), Array(bytes.dropLast(2))))
            }
        }
        let verdict = try evidence.judge()
        #expect(verdict.complaints.isEmpty)
        #expect(verdict.frames == 33)
        #expect(try Pcapng.psdus(evidence.bytes(.trace)) == frames)

        let fields = ["_ws.col.Protocol", "_ws.col.Info", "zbee.sec.key", "zbee_aps.cluster"]
        let ours = try evidence.rows(fields)
        let theirs = try Tshark.rows(
            capture: original.path, keys: evidence.folder.path, fields: fields)
        for (our, their) in zip(ours, theirs) {
            for field in fields { #expect(our.all(field) == their.all(field)) }
        }
    }

    /// The frames of a classic capture file, little-endian.
    private static func pcapFrames(_ file: URL) throws -> [[UInt8]] {
        let bytes = [UInt8](try Data(contentsOf: file))
        var offset = 24
        var frames: [[UInt8]] = []
        while offset + 16 <= bytes.count {
            let length = (0..<4).reduce(0) { $0 | Int(bytes[offset + 8 + $1]) << (8 * $1) }
            try #require(offset + 16 + length <= bytes.count)
            frames.append(Array(bytes[offset + 16..<offset + 16 + length]))
            offset += 16 + length
        }
        return frames
    }
}
