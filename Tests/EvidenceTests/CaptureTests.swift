import Evidence
import Foundation
import Radio
import TestSupport
import Testing
import Wire

@Suite("The capture")
struct CaptureTests {
    private static func conversation(_ recorder: Recorder) {
        for (index, bytes) in Sealed.conversation.enumerated() {
            recorder.record(frame: frame(UInt64(index + 1), bytes))
        }
    }

    @Test("tshark decrypts a secured conversation and finds nothing wrong with any frame")
    func cleanConversation() throws {
        let evidence = try Evidence(Self.conversation)
        let verdict = try evidence.judge()
        #expect(verdict.complaints.isEmpty)
        #expect(verdict.frames == 6)
        #expect(verdict.uncheckedAcks == 1)

        let rows = try evidence.rows([
            "zbee_zcl_general.ota.cmd.srv_rx.id", "zbee_zcl_general.ota.status",
        ])
        #expect(rows[3]["zbee_zcl_general.ota.cmd.srv_rx.id"] == "0x01")
        #expect(rows[5]["zbee_zcl_general.ota.status"] == "0x98")
    }

    @Test("tshark sees channel, power, link quality and both ends of a frame")
    func radioMetadata() throws {
        let bytes = Sealed.conversation[0]
        let evidence = try Evidence { recorder in
            recorder.record(frame: frame(1, bytes, rssi: -71, lqi: 203))
            recorder.record(frame: frame(2, bytes))
        }
        let rows = try evidence.rows([
            "wpan-tap.fcs_type", "wpan-tap.rss", "wpan-tap.lqi", "wpan-tap.ch_num",
            "wpan-tap.ch_page", "wpan-tap.sof_ts", "wpan-tap.eof_ts", "wpan.fcs_ok",
            "frame.interface_description",
        ])
        let first = try #require(rows.first)
        #expect(first["wpan-tap.fcs_type"] == "1")
        #expect(first["wpan-tap.rss"] == "-71")
        #expect(first["wpan-tap.lqi"] == "203")
        #expect(first["wpan-tap.ch_num"] == "15")
        #expect(first["wpan-tap.ch_page"] == "0")
        // Ten bytes of PSDU take 192 + 10 * 32 µs.
        #expect(first["wpan-tap.sof_ts"] == "9488000")
        #expect(first["wpan-tap.eof_ts"] == "10000000")
        #expect(first["wpan.fcs_ok"] == "1")
        #expect(first["frame.interface_description"]?.contains("virtual") == true)
        #expect(rows[1]["wpan-tap.rss"] == nil)
        #expect(rows[1]["wpan-tap.lqi"] == nil)
        #expect(rows[1]["wpan-tap.eof_ts"] == "20000000")
    }

    @Test("a frame is stamped with the UTC time at which it ended")
    func timestamps() throws {
        let evidence = try Evidence { recorder in
            let end = Instant(microseconds: 3_600_000_001)
            recorder.record(frame: frame(1, Sealed.conversation[0], ending: end))
        }
        let rows = try evidence.rows(["frame.time_epoch", "frame.time"])
        // date -u -d '2024-03-01T10:00:00Z' +%s
        #expect(rows[0]["frame.time_epoch"] == "1709287200.000001000")
        #expect(rows[0]["frame.time"]?.hasPrefix("Mar  1, 2024 10:00:00.000001") == true)
    }

    @Test("a dropped frame, and no other, carries a comment that says who dropped it and why")
    func comments() throws {
        let bytes = Sealed.conversation[0]
        let evidence = try Evidence { recorder in
            for number in UInt64(1)...4 {
                let record = frame(number, bytes)
                recorder.record(frame: record)
                if number == 2 {
                    recorder.record(event: dropped(2, by: 3, .nwkReplayed, at: record.end))
                    let later = record.end + .microseconds(700)
                    recorder.record(event: dropped(2, by: 2, .receiverOff, at: later))
                }
            }
        }
        let comments = try evidence.rows(["frame.comment"]).map { $0.all("frame.comment") }
        #expect(
            comments == [
                [],
                [
                    "dropped by PPMID: its NWK frame counter is not above the last one accepted "
                        + "(nwkReplayed)",
                    "dropped by ESME-2: the receiver was off (receiverOff)",
                ],
                [], [],
            ])
        // A comment is an expert item too, but no complaint.
        #expect(try evidence.judge().complaints.isEmpty)
    }

    @Test("two frames that end at the same time each keep their own comments")
    func simultaneous() throws {
        let end = Instant(microseconds: 50_000)
        let evidence = try Evidence { recorder in
            recorder.record(frame: frame(1, Sealed.conversation[0], ending: end))
            recorder.record(frame: frame(2, Sealed.conversation[0], ending: end))
            recorder.record(event: dropped(2, by: 0, .collision, at: end))
            recorder.record(event: dropped(1, by: 0, .collision, at: end))
            recorder.record(event: dropped(1, by: 1, .linkLoss, at: end))
        }
        let rows = try evidence.rows(["frame.comment"])
        #expect(rows.map { $0.all("frame.comment").count } == [2, 1])
    }

    @Test("however many nodes drop a frame, its comments name sixteen and count the rest")
    func manyDrops() throws {
        let evidence = try Evidence { recorder in
            let record = frame(1, Sealed.conversation[0])
            recorder.record(frame: record)
            for _ in 0..<1_000 {
                recorder.record(event: dropped(1, by: 1, .linkLoss, at: record.end))
            }
        }
        let comments = try evidence.rows(["frame.comment"])[0].all("frame.comment")
        #expect(comments.count == 17)
        #expect(comments.last == "dropped 984 more times")
    }

    @Test("a drop by somebody unknown, or for an unknown reason, still gets its comment")
    func unknownDrop() throws {
        let evidence = try Evidence { recorder in
            let record = frame(1, Sealed.conversation[0])
            recorder.record(frame: record)
            recorder.record(event: dropped(1, by: 400, .collision, at: record.end))
            recorder.record(
                event: EventRecord(time: record.end, node: 0, kind: .dropped, 99_999, 0, 1))
        }
        let comments = try evidence.rows(["frame.comment"])[0].all("frame.comment")
        #expect(
            comments == [
                "dropped by node 400: another transmission overlapped it at this receiver "
                    + "(collision)",
                "dropped by CH: reason 99999",
            ])
    }

    @Test("a drop reported long after its frame is counted and spoils nothing")
    func lateDrop() throws {
        let scratch = try TemporaryFolder()
        let folder = try OutputFolder(preparing: scratch.path)
        let recorder = try Recorder(roster: roster, start: start, steps: [], folder: folder)
        recorder.record(frame: frame(1, Sealed.conversation[0]))
        let late = Instant(microseconds: 9_000_000)
        recorder.record(event: dropped(1, by: 1, .apsFragment, at: late))
        recorder.record(event: dropped(77, by: 1, .apsFragment, at: late))
        try recorder.finish()
        #expect(recorder.dropsWithoutComment == 2)
        #expect(recorder.drops(for: .apsFragment) == 2)
    }

    @Test("more frames at one moment than are held back all come out, in order")
    func fullHold() throws {
        let end = Instant(microseconds: 1_000)
        let evidence = try Evidence { recorder in
            for number in UInt64(1)...200 {
                let bytes: [UInt8] = [0x02, 0x00, UInt8(number)]
                recorder.record(frame: frame(number, bytes, ending: end))
                recorder.record(event: dropped(number, by: 0, .collision, at: end))
            }
        }
        let rows = try evidence.rows(["wpan.seq_no", "frame.comment"])
        #expect(rows.compactMap { $0["wpan.seq_no"] } == (1...200).map(String.init))
        #expect(rows.allSatisfy { $0.all("frame.comment").count == 1 })
    }

    @Test("capinfos reads the capture as IEEE 802.15.4 TAP without complaint")
    func capinfos() throws {
        let evidence = try Evidence(Self.conversation)
        let run = try Command.run("capinfos", ["-E", "-c", "-M", evidence.capture])
        #expect(run.status == 0)
        #expect(run.output.contains("wpan-tap"))
        #expect(run.output.contains("Number of packets:   6"))
    }

    @Test("an empty run leaves a capture that is valid and has no frame")
    func emptyRun() throws {
        let evidence = try Evidence { _ in }
        #expect(try evidence.rows([]).isEmpty)
        #expect(try evidence.bytes(.events).isEmpty)
    }

    @Test("the same records give the same bytes, and one bit more gives others")
    func determinism() throws {
        func run(rssi: Int8) throws -> Evidence {
            try Evidence { recorder in
                for (index, bytes) in Sealed.conversation.enumerated() {
                    let record = frame(UInt64(index + 1), bytes, rssi: rssi, lqi: 9)
                    recorder.record(frame: record)
                    recorder.record(
                        event: dropped(record.number, by: 1, .receiverOff, at: record.end))
                }
            }
        }
        let first = try run(rssi: -60)
        let second = try run(rssi: -60)
        let third = try run(rssi: -61)
        #expect(try first.bytes(.trace) == second.bytes(.trace))
        #expect(try first.bytes(.events) == second.bytes(.events))
        #expect(try first.bytes(.trace) != third.bytes(.trace))
    }

    @Test("frames of every length from none to 127 bytes come back as they went in")
    func everyLength() throws {
        let records = (0...127).map { length in
            let psdu = FrameBuffer((0..<length).map { UInt8(truncatingIfNeeded: $0 * 7 + length) })
            return FrameRecord(
                number: UInt64(length + 1), start: .zero,
                end: Instant(microseconds: Int64(length) * 5_000), sender: 9, channel: 26,
                psdu: psdu, rssi: nil, lqi: nil)
        }
        let evidence = try Evidence { recorder in
            for record in records { recorder.record(frame: record) }
        }
        #expect(try Pcapng.psdus(evidence.bytes(.trace)) == records.map(\.psdu.bytes))
    }
}

/// Just enough of a reader to get the PSDUs back out of a capture with TAP headers.
enum Pcapng {
    static func psdus(_ bytes: [UInt8]) throws -> [[UInt8]] {
        var result: [[UInt8]] = []
        var offset = 0
        func word(_ at: Int, size: Int = 4) throws -> Int {
            try #require(at + size <= bytes.count)
            return (0..<size).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) }
        }
        while offset < bytes.count {
            let length = try word(offset + 4)
            try #require(length >= 12 && length % 4 == 0 && offset + length <= bytes.count)
            #expect(try word(offset + length - 4) == length)
            if try word(offset) == 6 {
                let captured = try word(offset + 20)
                let tap = try word(offset + 30, size: 2)
                result.append(Array(bytes[offset + 28 + tap..<offset + 28 + captured]))
            }
            offset += length
        }
        return result
    }
}
