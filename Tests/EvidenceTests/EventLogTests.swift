import Evidence
import Foundation
import Radio
import TestSupport
import Testing
import Wire

@Suite("The event log")
struct EventLogTests {
    private func lines(
        steps: [String] = [], _ events: [EventRecord]
    ) throws -> [String] {
        try Evidence(steps: steps) { recorder in
            for event in events { recorder.record(event: event) }
        }.lines()
    }

    private func at(_ microseconds: Int64) -> Instant { Instant(microseconds: microseconds) }

    @Test("a line reads as documented, key for key")
    func exactLine() throws {
        let hash: (UInt64, UInt64, UInt64, UInt64) = (0x0123_4567_89AB_CDEF, 0, 1, .max)
        let lines = try lines([
            EventRecord(
                time: at(12_345_678), node: 3, kind: .otaVerified, 0x0200_0001, 1366, hash.0,
                hash.1, hash.2, hash.3),
            EventRecord(time: at(12_345_679), node: 2, kind: .otaNotOffered, 0x98),
            EventRecord(time: at(12_345_680), node: 4, kind: .runEnded, 1),
        ])
        #expect(
            lines == [
                #"{"time":12.345678,"node":"PPMID","eui64":"00DB000000000A02","#
                    + #""event":"otaVerified","version":"0x02000001","blocks":1366,"#
                    + #""hash":"0123456789abcdef0000000000000000"#
                    + #"0000000000000001ffffffffffffffff"}"#,
                #"{"time":12.345679,"node":"ESME-2","eui64":"00DB000000000E02","#
                    + #""event":"otaNotOffered","status":"NO_IMAGE_AVAILABLE"}"#,
                #"{"time":12.345680,"node":"director","event":"runEnded","passed":true}"#,
            ])
    }

    @Test("a message's code is followed by the name of its use case, if it has one")
    func useCases() throws {
        let lines = try Evidence(useCases: { $0 == 0x12 ? "CS06" : nil }) { recorder in
            for code in [0x12, 0x13] as [UInt64] {
                recorder.record(
                    event: EventRecord(
                        time: at(1), node: 2, kind: .messageReceived, code, 1, 2, 3, 4, 0))
            }
        }.lines()
        #expect(lines.count == 2)
        #expect(lines[0].contains(#""code":"0x0012","useCase":"CS06","kind":"command""#))
        #expect(lines[1].contains(#""code":"0x0013","kind":"command""#))
    }

    @Test("every kind gives a JSON object with its own fields and no key twice")
    func everyKind() throws {
        let events = EventKind.allCases.enumerated().map { index, kind in
            EventRecord(time: at(Int64(index)), node: 0, kind: kind, 1, 2, 3, 4, 5, 6)
        }
        let lines = try lines(steps: ["zero", "one"], events)
        #expect(lines.count == EventKind.allCases.count)
        for (kind, line) in zip(EventKind.allCases, lines) {
            let parsed = try JSONSerialization.jsonObject(with: Data(line.utf8))
            let object = try #require(parsed as? [String: Any])
            #expect(object["event"] as? String == kind.name)
            var keys = ["time", "node", "eui64", "event"] + kind.fields.map(\.name)
            if keys.contains("step") { keys.append("title") }
            #expect(Set(object.keys) == Set(keys))
            // A parser keeps one of two equal keys, so count them in the text.
            for key in keys {
                #expect(line.components(separatedBy: "\"\(key)\":").count == 2, "\(kind) \(key)")
            }
        }
    }

    @Test("no field is called like a key that every line has, and none needs a seventh value")
    func fieldsFit() {
        for kind in EventKind.allCases {
            var width = 0
            for field in kind.fields {
                #expect(!EventWriter.commonKeys.contains(field.name))
                if case .digest = field.format { width += 4 } else { width += 1 }
            }
            #expect(width <= 6)
            #expect(Set(kind.fields.map(\.name)).count == kind.fields.count)
        }
    }

    @Test("reasons, statuses and steps are written by name, unknown codes as hex")
    func names() throws {
        let lines = try lines(
            steps: ["The hub starts"],
            [
                dropped(7, by: 0, .nwkBadMIC, at: at(1)),
                EventRecord(time: at(2), node: 0, kind: .dropped, 250, 0, 0),
                EventRecord(
                    time: at(3), node: 0, kind: .imageWithheld, .max,
                    UInt64(RefusalReason.hubLacksSupport.rawValue)),
                EventRecord(time: at(4), node: 0, kind: .transmitFailed, 0xFFFD, 2),
                EventRecord(time: at(5), node: 0, kind: .otaNotOffered, 0x42),
                EventRecord(time: at(6), node: 0, kind: .otaNotOffered, 0x12345),
                EventRecord(time: at(7), node: 0, kind: .stepPassed, 0),
                EventRecord(time: at(8), node: 0, kind: .stepPassed, 5),
            ])
        let tails = try lines.map { line in
            let range = try #require(line.range(of: #""event":"#))
            return String(line[range.upperBound...])
        }
        #expect(
            tails == [
                #""dropped","reason":"nwkBadMIC","from":"0x4E21","frame":7}"#,
                #""dropped","reason":"0xFA","from":"0x0000","frame":0}"#,
                #""imageWithheld","device":"FFFFFFFFFFFFFFFF","reason":"hubLacksSupport"}"#,
                #""transmitFailed","to":"0xFFFD","status":"channelAccessFailure"}"#,
                #""otaNotOffered","status":"0x42"}"#,
                #""otaNotOffered","status":"0x12345"}"#,
                #""stepPassed","step":0,"title":"The hub starts"}"#,
                #""stepPassed","step":5}"#,
            ])
    }

    @Test("numbers are right at both ends of their range")
    func extremes() throws {
        let lines = try lines([
            EventRecord(time: .zero, node: 65_535, kind: .restarting, .max),
            EventRecord(time: at(.max), node: 4, kind: .outputLost, .max),
            EventRecord(time: at(.min), node: 4, kind: .panFormed, 0x1_2345, 0, 0),
        ])
        #expect(
            lines == [
                #"{"time":0.000000,"node":"node 65535","event":"restarting","#
                    + #""delay":9223372036854.775807}"#,
                #"{"time":9223372036854.775807,"node":"director","event":"outputLost","#
                    + #""count":18446744073709551615}"#,
                #"{"time":-9223372036854.775808,"node":"director","event":"panFormed","#
                    + #""pan":"0x12345","channel":0,"extendedPAN":"0000000000000000"}"#,
            ])
    }

    @Test(
        "any name or title survives the journey through JSON",
        arguments: [
            #"a "quoted" \ back/slash"#, "tab\tnew\nline\rbell\u{7}null\u{0}", "naïve – 家 🏠",
            "\u{2028}\u{7F}", "",
        ])
    func escaping(text: String) throws {
        let scratch = try TemporaryFolder()
        let folder = try OutputFolder(preparing: scratch.path)
        let odd = Roster(members: [.init(name: text, role: "CH", eui64: nil)])
        let recorder = try Recorder(roster: odd, start: start, steps: [text], folder: folder)
        recorder.record(event: EventRecord(time: .zero, node: 0, kind: .stepStarted, 0))
        recorder.record(frame: frame(1, Sealed.conversation[0], ending: .zero))
        recorder.record(event: dropped(1, by: 0, .collision, at: .zero))
        try recorder.finish()
        let data = try Data(contentsOf: URL(filePath: folder.path(of: .events)))
        let lines = data.split(separator: 0x0A)
        #expect(lines.count == 2)
        let parsed = try JSONSerialization.jsonObject(with: lines[0])
        let object = try #require(parsed as? [String: Any])
        #expect(object["node"] as? String == text)
        #expect(object["title"] as? String == text)
    }

    @Test("a role gets a number only where the home has several of it")
    func rosterNames() {
        #expect(roster.members.map(\.name) == ["CH", "ESME-1", "ESME-2", "PPMID", "director"])
        #expect(roster.name(of: 2) == "ESME-2")
        #expect(roster.name(of: 5) == "node 5")
    }

    @Test("the recorder counts frames by sender and drops by reason, with files or without")
    func counts() throws {
        let recorder = try Recorder(roster: roster, start: start, steps: [], folder: nil)
        recorder.record(frame: frame(1, Sealed.conversation[0], sender: 3))
        recorder.record(frame: frame(2, Sealed.conversation[0], sender: 3))
        recorder.record(frame: frame(3, Sealed.conversation[0], sender: 999))
        recorder.record(event: dropped(3, by: 0, .queueFull, at: at(30_000)))
        try recorder.finish()
        #expect(recorder.frames == 3)
        #expect(recorder.events == 1)
        #expect(recorder.frames(sentBy: 3) == 2)
        #expect(recorder.frames(sentBy: 999) == 0)
        #expect(recorder.drops(for: .queueFull) == 1)
        #expect(recorder.drops(for: .collision) == 0)
    }
}
