import Evidence
import Foundation
import Testing
import Wire

@Suite("The summary")
struct SummaryTests {
    private let summary = Summary(
        scenario: #"first "light""#, seed: .max, transport: "simulation", outcome: .failed,
        failure: "step 1, \"x\": late", virtualTime: .microseconds(86_400_000_001),
        wallSeconds: 1.2345, frames: 98_765,
        devices: [
            .init(
                name: "CH", role: .communicationsHub, eui64: EUI64(0x00DB_0000_0000_0C01),
                versionBefore: 0x0100_0000, versionAfter: 0x0200_0001, attempts: []),
            .init(
                name: "PPMID", role: .ppmid, eui64: EUI64(0x00DB_0000_0000_0A02),
                versionBefore: 1, versionAfter: nil,
                attempts: [
                    .init(
                        hubFirmware: 0x0100_0000, outcome: .notOffered,
                        reason: "NO_IMAGE_AVAILABLE", blocks: 0, frames: 41,
                        virtualTime: .milliseconds(1_500)),
                    .init(
                        hubFirmware: 0x0200_0001, outcome: .updated, reason: nil, blocks: 1_366,
                        frames: 9_000, virtualTime: .seconds(60)),
                ]),
        ])

    @Test("the summary is written in one order, to the byte")
    func exact() {
        #expect(
            summary.json == #"""
                {
                  "scenario": "first \"light\"",
                  "seed": 18446744073709551615,
                  "transport": "simulation",
                  "outcome": "failed",
                  "failure": "step 1, \"x\": late",
                  "virtualSeconds": 86400.000001,
                  "wallSeconds": 1.234,
                  "frames": 98765,
                  "devices": [
                    {
                      "name": "CH",
                      "role": "CH",
                      "eui64": "00DB000000000C01",
                      "versionBefore": "0x01000000",
                      "versionAfter": "0x02000001",
                      "attempts": []
                    },
                    {
                      "name": "PPMID",
                      "role": "PPMID",
                      "eui64": "00DB000000000A02",
                      "versionBefore": "0x00000001",
                      "versionAfter": null,
                      "attempts": [
                        {
                          "hubFirmware": "0x01000000",
                          "outcome": "notOffered",
                          "reason": "NO_IMAGE_AVAILABLE",
                          "blocks": 0,
                          "frames": 41,
                          "virtualSeconds": 1.500000
                        },
                        {
                          "hubFirmware": "0x02000001",
                          "outcome": "updated",
                          "reason": null,
                          "blocks": 1366,
                          "frames": 9000,
                          "virtualSeconds": 60.000000
                        }
                      ]
                    }
                  ]
                }

                """#)
    }

    @Test("a JSON parser finds in it what was put in")
    func parsed() throws {
        let parsed = try JSONSerialization.jsonObject(with: Data(summary.json.utf8))
        let object = try #require(parsed as? [String: Any])
        #expect(object["scenario"] as? String == #"first "light""#)
        #expect(object["frames"] as? Int == 98_765)
        let devices = try #require(object["devices"] as? [[String: Any]])
        #expect(devices.map { $0["role"] as? String } == ["CH", "PPMID"])
        let attempts = try #require(devices[1]["attempts"] as? [[String: Any]])
        #expect(attempts.map { $0["outcome"] as? String } == ["notOffered", "updated"])
        #expect(devices[1]["versionAfter"] is NSNull)
    }

    @Test(
        "a wall time that is no number is written as 0, a huge one as a number",
        arguments: [(Double.nan, "0.000"), (.infinity, "0.000"), (-1, "0.000"), (0.0019, "0.001")])
    func oddWallTime(seconds: Double, text: String) throws {
        var summary = summary
        summary.wallSeconds = seconds
        summary.devices = []
        #expect(summary.json.contains("\"wallSeconds\": \(text),"))
        #expect(summary.json.contains("\"devices\": []"))
        _ = try JSONSerialization.jsonObject(with: Data(summary.json.utf8))
    }
}
