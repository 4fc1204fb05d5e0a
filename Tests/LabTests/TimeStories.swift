import Evidence
import Foundation
import Lab
import TestSupport
import Testing
import Wire

@Suite("Time")
struct TimeStories {
    private struct ClockSet: Decodable {
        var time: Double
        var node: String
        var event: String
        var utc: UInt32?
    }

    private static func clockSets(_ folder: TemporaryFolder) throws -> [ClockSet] {
        let text = try String(
            contentsOf: folder.url.appending(path: "events.jsonl"), encoding: .utf8)
        return try text.split(separator: "\n").filter { $0.contains("\"clockSet\"") }
            .map { try JSONDecoder().decode(ClockSet.self, from: Data($0.utf8)) }
    }

    @Test("every device sets its clock by the hub's once it has joined, and again a day later")
    func day() throws {
        let folder = try TemporaryFolder()
        let devices = [
            Homes.device(.esme), Homes.device(.gsme),
            // From before SECMP0007: it has no OTA client, but it knows the time.
            Homes.device(.ppmid) {
                $0.firmware = [.init(0...UInt32.max, .init(hasOTAClient: false))]
            },
            Homes.device(.hcalcs),
        ]
        let result = try Stories.run(
            Homes.home(devices), images: [], [.wait(.hours(30))], named: "time",
            folder: folder.path)
        #expect(result.failure == nil)
        let sets = try Self.clockSets(folder)
        for device in devices {
            let own = sets.filter { $0.node == device.name }
            try #require(own.count == 2, "\(device.name)")
            // It joins within the first minute. A sleeper reads when it wakes.
            #expect(own[0].time < 90)
            let late = own[1].time - own[0].time - 86_400
            #expect(late >= 0 && late < (device.name == "GSME" ? 1_830 : 1))
            for set in own {
                let utc = Double(try #require(set.utc) - Homes.start.secondsSince2000)
                #expect(set.time - utc >= 0 && set.time - utc < 1.5)
            }
        }
        let verdict = try Tshark.judge(
            capture: folder.path("trace.pcapng"), keys: folder.path("zigbee_pc_keys"))
        #expect(verdict.complaints.isEmpty)
        let rows = try Tshark.rows(
            capture: folder.path("trace.pcapng"), keys: folder.path("zigbee_pc_keys"),
            fields: ["zbee_zcl.cmd.id", "zbee_zcl_general.time.attr_id"],
            filter: "zbee_aps.cluster == 0x000a && zbee_zcl")
        #expect(rows.count >= 16)
        #expect(Set(rows.compactMap { $0["zbee_zcl.cmd.id"] }) == ["0x00", "0x01"])
    }

    @Test("a device reads the time as often as its profile says")
    func interval() throws {
        let folder = try TemporaryFolder()
        let esme = Homes.device(.esme) {
            $0.time.afterJoining = .seconds(30)
            $0.time.interval = .minutes(10)
        }
        let result = try Stories.run(
            Homes.home([esme]), images: [], [.wait(.minutes(65))], named: "time-interval",
            folder: folder.path)
        #expect(result.failure == nil)
        let sets = try Self.clockSets(folder)
        #expect(sets.count == 7)
        #expect(sets[0].time > 50)
        for (a, b) in zip(sets, sets.dropFirst()) { #expect(abs(b.time - a.time - 600) < 1) }
    }

    @Test("a device that the hub does not answer tries again, and knows the time when it does")
    func deafHub() throws {
        let folder = try TemporaryFolder()
        let esme = Homes.device(.esme) {
            $0.time.afterJoining = .minutes(5)
            $0.time.retryInterval = .minutes(2)
        }
        let result = try Stories.run(
            Homes.home([esme]), images: [],
            [
                .join(devices: ["ESME"]),
                .power(device: "CH", on: false), .wait(.minutes(10)),
                .power(device: "CH", on: true),
                .wait(.minutes(30)),
            ], named: "time-deaf-hub", folder: folder.path)
        #expect(result.failure == nil)
        let sets = try Self.clockSets(folder)
        #expect(sets.count == 1)
        #expect(sets[0].time > 600)
    }
}
