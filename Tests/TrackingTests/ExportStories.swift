import DCC
import Foundation
import TestSupport
import Testing
import Tracking
import Wire

@Suite("Exports")
struct ExportStories {
    @Test(
        "fields are quoted where they must be, and none is a formula",
        arguments: [
            ("plain", "plain"), ("", ""), ("a,b", "\"a,b\""), ("say \"so\"", "\"say \"\"so\"\"\""),
            ("two\nlines", "\"two\nlines\""), ("two\r\nlines", "\"two\r\nlines\""),
            ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@SUM(A1)", "'@SUM(A1)"),
            ("=cmd|' /C calc'!A0,1", "\"'=cmd|' /C calc'!A0,1\""), ("1-2=3", "1-2=3"),
            ("\t=1", "'\t=1"), ("=\u{301}1", "'=\u{301}1"),
        ])
    func fields(text: String, field: String) {
        #expect(TrackingCSV.line([text, "x"]) == field + ",x\r\n")
    }

    private func rows() throws -> (RequestRow, TargetRow) {
        let shelf = try Shelf()
        let store = try shelf.open()
        try store.commit(submission(1000, devices: 1..<4, refused: [3], manufacturer: "=1+1"))
        try store.tell(
            track(1000, 1, .rejected, percent: 100, detail: "hash, wrong"),
            track(1000, 1, .reported))
        return (
            try #require(try store.request(requestID(1000))),
            try #require(try store.target(1000, 1))
        )
    }

    @Test("requests and devices are lines of as many fields as their head")
    func lines() throws {
        let (request, target) = try rows()
        #expect(
            TrackingCSV.line(request) == """
                90-B3-D5-1F-30-01-00-00:90-B3-D5-1F-30-00-00-02:1000,90B3D51F30010000,11.4,\
                0x01050200,PPMID,'=1+1,Model,validated,inProgress,I0,2,1,0,1,1,2,\
                1 rejected; 1 refused; 1 validated,\
                2026-03-04T05:06:07Z,2026-03-04T05:06:07.000Z,2026-03-04T05:06:07Z,\
                2026-03-04T05:06:07.000Z,,,aa\r\n
                """)
        #expect(
            TrackingCSV.line(target) == """
                90-B3-D5-1F-30-01-00-00:90-B3-D5-1F-30-00-00-02:1000,90B3D51F30010000,11.4,\
                00DB123456780001,00DB123456780384,PPMID,'=1+1,Model,0x01050100,0x01050200,\
                rejected,failed,100,"hash, wrong",2026-03-04T05:06:07Z,2026-03-04T05:06:07.000Z,\
                2026-03-04T05:06:07Z,2026-03-04T05:06:07.000Z\r\n
                """)
        #expect(TrackingCSV.requestHead.split(separator: ",").count == 24)
        #expect(TrackingCSV.targetHead.split(separator: ",").count == 18)
    }

    @Test("JSON has the same under the same names")
    func json() throws {
        let (request, target) = try rows()
        func object(_ value: some Encodable) throws -> [String: Any] {
            let data = try JSONEncoder().encode(value)
            return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        }
        let first = try object(request)
        let heads = TrackingCSV.requestHead.split(whereSeparator: { ",\r\n".contains($0) })
        // Of what is not known there is no key.
        #expect(
            Set(first.keys)
                == Set(heads.map(String.init)).subtracting(["reported", "reportedWall"]))
        #expect(first["processing"] as? String == "inProgress")
        #expect(first["reportedDevices"] as? Int == 2)
        #expect(first["version"] as? String == "0x01050200")
        #expect(
            first["devices"] as? [String: Int] == ["validated": 1, "refused": 1, "rejected": 1])
        let second = try object(target)
        let names = TrackingCSV.targetHead.split(whereSeparator: { ",\r\n".contains($0) })
        #expect(Set(second.keys) == Set(names.map(String.init)))
        #expect(second["percent"] as? Int == 100)
        #expect(second["status"] as? String == "rejected")
        #expect(second["outcome"] as? String == "failed")
        #expect(second["reported"] as? String == "2026-03-04T05:06:07Z")
        #expect(second["manufacturer"] as? String == "=1+1")
    }

    @Test("times are read as they are written")
    func times() {
        #expect(UTCTime(iso8601: "2026-03-04T05:06:07Z") == morning)
        #expect(UTCTime(iso8601: "2026-03-04T06:06:07+01:00") == morning)
        #expect(morning.iso8601 == "2026-03-04T05:06:07Z")
        #expect(UTCTime(iso8601: "1999-12-31T23:59:59Z") == nil)
        #expect(UTCTime(iso8601: "yesterday") == nil)
        #expect(iso8601(wall: .nan) == "1970-01-01T00:00:00.000Z")
        #expect(iso8601(wall: morningWall + 0.25) == "2026-03-04T05:06:07.250Z")
    }
}
