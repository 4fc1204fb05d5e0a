import DCC
import Foundation
import GBCS
import TestSupport
import Testing
import Tracking
import Wire

/// A server's state folder with two requests in its store.
private struct Server {
    static let id = "90-B3-D5-1F-30-01-00-00:90-B3-D5-1F-30-00-00-02:1000"
    static let display = EUI64(0x00DB_1234_5678_90A1)
    static let switchID = EUI64(0x00DB_1234_5678_90A2)
    static let hub = EUI64(0x00DB_1234_5678_90A0)
    static let supplier = EUI64(0x90B3_D51F_3001_0000)
    /// 4 March 2026, 05:06:07.
    static let time = UTCTime(secondsSince2000: 825_915_967)
    static let wall = 1_772_600_767.0

    let folder: TemporaryFolder
    let store: TrackingStore

    init() throws {
        folder = try TemporaryFolder()
        store = try TrackingStore(path: folder.path + "/tracking.sqlite")
        for (counter, type, device, variant) in [
            (1000, InventoryType.ppmid, Self.display, "11.4"),
            (1001, .hcalcs, Self.switchID, "11.1"),
        ] {
            let id = RequestID(
                originator: Self.supplier, target: EUI64(0x90B3_D51F_3000_0002),
                counter: UInt64(counter))
            var change = StoreChange(wall: Self.wall)
            change.clock = Self.time
            change.submitted = [
                SubmittedRequest(
                    id: id, user: Self.supplier, variant: variant, fileVersion: 0x0105_0200,
                    manufacturer: "10B2", model: "\u{1B}[2J", type: type, accepted: 1, refused: 1,
                    code: .success, received: Self.time, receivedWall: Self.wall)
            ]
            change.targets = [
                SubmittedTarget(
                    request: id, device: device, hub: Self.hub, type: type, manufacturer: "10B2",
                    toVersion: 0x0105_0200, status: .validated, time: Self.time)
            ]
            if type == .hcalcs {
                change.targets.append(
                    SubmittedTarget(
                        request: id, device: Self.display, hub: Self.hub, type: .ppmid,
                        status: .refused, reason: "it is a PPMID", time: Self.time))
            } else {
                change.tracks = [
                    TrackingRecord(
                        request: id, status: .atCSP, detail: "The CSP has it.", time: Self.time),
                    TrackingRecord(
                        request: id, device: device, status: .verified,
                        detail: "The image is right.", time: Self.time, message: try Self.alert(),
                        notice: 3),
                ]
            }
            try store.commit(change)
        }
    }

    /// What a PPMID says of its new firmware (CS09).
    static func alert() throws -> [UInt8] {
        let time = try #require(GeneralizedTime("2026-03-04T05:06:07Z"))
        let content = MessageContent.ppmidFirmwareAlert(
            PPMIDFirmwareAlert(time: time, version: 0x0105_0200, result: 0))
        let header = GroupingHeader(
            kind: .alert, counter: 776, originator: display, recipient: supplier,
            otherInformation: OtherInformation(.ppmidFirmwareAlert))
        return GBCSMessage(header: header, payload: content.encoded()).encoded()
    }

    func tracking(_ arguments: String...) throws -> RunHan.Result {
        try RunHan.han(["tracking"] + arguments, environment: ["LANG": "C.UTF-8"])
    }

    /// `list` with further options.
    func list(_ options: String...) throws -> RunHan.Result {
        try RunHan.han(["tracking", "list", "--state", folder.path] + options)
    }

    func counters(_ options: String...) throws -> [Int] {
        let run = try RunHan.han(
            ["tracking", "list", "--json", "--state", folder.path] + options)
        #expect(run.code == 0, "\(options): \(run.errors)")
        let list = try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [[String: Any]]
        return try #require(list).compactMap { ($0["request"] as? String)?.split(separator: ":") }
            .compactMap { Int($0[2]) }
    }
}

@Suite("han tracking")
struct TrackingCommandTests {
    @Test("people get a table beside a server that has the store, and no escapes of others'")
    func table() throws {
        let server = try Server()
        let run = try server.list()
        #expect(run.code == 0, "\(run.errors)")
        let lines = run.output.split(separator: "\n")
        #expect(lines.count == 4)
        #expect(lines[0].hasPrefix("RECEIVED"))
        #expect(lines[1].contains("HCALCS") && lines[1].contains("1 validated, 1 refused"))
        #expect(lines[2].contains("2026-03-04T05:06:07Z") && lines[2].hasSuffix(Server.id))
        #expect(lines[3] == "devices in all: 1 verified, 1 validated, 1 refused (1 reported)")
        #expect(!run.output.contains("\u{1B}"))
        let show = try server.tracking("show", Server.id, "--state", server.folder.path)
        #expect(show.code == 0, "\(show.errors)")
        #expect(!show.output.contains("\u{1B}"))
        #expect(show.output.contains("verified: The image is right. (notice 3)"))
    }

    @Test("that a user knows of a failure is told beside it and hides it nowhere")
    func reported() throws {
        let server = try Server()
        let id = try #require(RequestID(Server.id))
        var change = StoreChange(wall: Server.wall)
        change.tracks = [(TrackingStatus.rejected, 4), (.reported, 4)].map { status, notice in
            TrackingRecord(
                request: id, device: Server.display, status: status, detail: "", time: Server.time,
                notice: notice)
        }
        try server.store.commit(change)
        #expect(try server.counters("--status", "rejected") == [1000])
        // The other's user has been told in its answer of whom was refused.
        #expect(try Set(server.counters("--reported")) == [1000, 1001])
        #expect(try Set(server.counters("--status", "reported")) == [1000, 1001])
        #expect(try server.counters("--no-reported") == [1001])
        #expect(try server.counters("--status", "rejected", "--no-reported") == [])
        let lines = try server.list().output.split(separator: "\n")
        #expect(lines[2].contains("failed") && lines[2].contains("1 rejected (1 reported)"))
        #expect(
            lines[3] == "devices in all: 1 rejected, 1 validated, 1 refused (2 reported)")
        let show = try server.tracking("show", Server.id, "--state", server.folder.path)
        #expect(show.output.contains("failed (rejected)"))
        let csv = try server.list("--csv").output.split(separator: "\r\n")
        #expect(csv[2].contains(",rejected,failed,"))
        let both = try server.list("--status", "reported", "--no-reported")
        #expect(both.code == 64 && both.errors.contains("exclude each other"))
    }

    @Test("each filter narrows the list")
    func filters() throws {
        let server = try Server()
        #expect(try server.counters() == [1001, 1000])
        #expect(try server.counters("--status", "verified") == [1000])
        #expect(try server.counters("--status", "verified", "--status", "refused") == [1001, 1000])
        #expect(try server.counters("--type", "hcalcs") == [1001])
        #expect(try server.counters("--device", "\(Server.switchID)") == [1001])
        #expect(try server.counters("--device", "00-DB-12-34-56-78-90-A1") == [1001, 1000])
        #expect(try server.counters("--hub", "\(Server.hub)", "--limit", "1") == [1001])
        #expect(try server.counters("--hub", "\(Server.display)") == [])
        #expect(try server.counters("--manufacturer", "10b2", "--version", "0x01050200").count == 2)
        #expect(try server.counters("--version", "7") == [])
        #expect(try server.counters("--since", "2026-03-04") == [1001, 1000])
        #expect(try server.counters("--since", "2026-03-04T05:06:08Z") == [])
        #expect(try server.counters("--until", "2026-03-04T05:06:07Z") == [])
        // The emulated world has stood still since.
        #expect(try server.counters("--since", "1s", "--virtual") == [1001, 1000])
        #expect(try server.counters("--until", "2026-03-04T05:06:07Z", "--virtual") == [])
    }

    @Test("a device that nobody knows counts as what its request is for, in list and totals")
    func stranger() throws {
        let server = try Server()
        let id = try #require(RequestID(Server.id))
        var change = StoreChange(wall: Server.wall)
        change.targets = [
            SubmittedTarget(
                request: id, device: EUI64(7), status: .refused, reason: "not in the inventory",
                time: Server.time)
        ]
        try server.store.commit(change)
        let lines = try server.list("--type", "ppmid", "--status", "refused").output
            .split(separator: "\n")
        #expect(lines.count == 4 && lines[2].hasSuffix(Server.id))
        #expect(lines[3] == "devices in all: 2 refused (2 reported)")
        #expect(
            try server.list("--type", "hcalcs").output.split(separator: "\n").last
                == "devices in all: 1 validated")
    }

    @Test("CSV has a line for each request behind its head")
    func csv() throws {
        let run = try Server().list("--csv")
        #expect(run.code == 0)
        let lines = run.output.split(separator: "\r\n")
        #expect(lines.count == 3)
        #expect(lines[0] + "\r\n" == TrackingCSV.requestHead)
        #expect(lines[2].hasPrefix(Server.id + ",90B3D51F30010000,11.4,0x01050200,PPMID,10B2,"))
    }

    @Test("a request's JSON has its devices and what happened, messages explained")
    func show() throws {
        let server = try Server()
        let run = try server.tracking("show", Server.id, "--json", "--state", server.folder.path)
        #expect(run.code == 0, "\(run.errors)")
        let story = try #require(
            try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any])
        #expect(Set(story.keys) == ["request", "devices", "timeline"])
        let devices = try #require(story["devices"] as? [[String: Any]])
        #expect(devices.map { $0["device"] as? String } == ["\(Server.display)"])
        #expect(devices[0]["status"] as? String == "verified")
        let hops = try #require(story["timeline"] as? [[String: Any]])
        #expect(
            hops.map { $0["status"] as? String }
                == ["submitted", "validated", "atCSP", "verified"])
        #expect(hops[3]["message"] as? String == Hex.string(try Server.alert()))
        #expect(hops[3]["notice"] as? Int == 3)
        let explanation = try #require(hops[3]["explanation"] as? [String: Any])
        #expect(explanation["kind"] as? String == "alert")
        let fields = try #require(explanation["fields"] as? [[String: Any]])
        #expect(explanation["useCase"] as? String == "CS09")
        let version = fields.first { ($0["hex"] as? String) == "01050200" }
        #expect((version?["name"] as? String)?.contains("version") == true)
    }

    @Test("one device of several is shown by its id")
    func oneDevice() throws {
        let server = try Server()
        let id = Server.id.replacing(":1000", with: ":1001")
        let whole = try server.tracking("show", id, "--state", server.folder.path)
        #expect(whole.code == 0)
        #expect(whole.output.contains("it is a PPMID") && whole.output.contains("HCALCS"))
        let one = try server.tracking(
            "show", id, "--state", server.folder.path, "--device", "\(Server.display)")
        #expect(one.code == 0)
        #expect(one.output.contains("it is a PPMID"))
        #expect(!one.output.contains("\(Server.switchID)"))
    }

    @Test("what is not there, not a store or not meant ends with its code and one clear line")
    func failures() throws {
        let server = try Server()
        let folder = try TemporaryFolder()
        _ = try folder.write(Array("no store".utf8), as: "text")
        let state = ["--state", server.folder.path]
        let cases: [(Int32, [String], String)] = [
            (66, ["list", "--state", folder.path], "no tracking store"),
            (66, ["show", Server.id, "--store", folder.path + "/none"], "no tracking store"),
            (
                66, ["show", Server.id.replacing(":1000", with: ":7")] + state,
                "there is no request"
            ),
            (
                66, ["show", Server.id, "--device", "\(Server.hub)"] + state,
                "is not for the device"
            ),
            (65, ["list", "--store", folder.path + "/text"], "is no tracking store"),
            (74, ["list", "--store", folder.path], "is a folder"),
            (64, ["list", "--store", "a", "--state", "b"], "give one of them"),
            (64, ["list", "--json", "--csv"], "give one of them"),
            (64, ["list", "--since", "yesterday"], "expected a time"),
            (64, ["list", "--status", "lost"], "lost"),
            (64, ["list", "--limit", "0"], "from 1 to"),
            (64, ["show", "1000"], "1000"),
        ]
        for (code, arguments, words) in cases {
            let run = try RunHan.han(["tracking"] + arguments)
            #expect(run.code == code, "\(arguments): \(run.errors)")
            #expect(run.errors.contains(words), "\(arguments): \(run.errors)")
            #expect(run.output.isEmpty)
        }
    }

    @Test("the usual store is in the state folder of whoever asks")
    func usual() throws {
        let home = try TemporaryFolder()
        for (variables, folder) in [
            (
                ["XDG_STATE_HOME": home.path + "/state", "HOME": "/"],
                home.path + "/state/han/serve"
            ),
            (["XDG_STATE_HOME": "", "HOME": home.path], home.path + "/.local/state/han/serve"),
            (["XDG_STATE_HOME": "here", "HOME": home.path], home.path + "/.local/state/han/serve"),
        ] {
            let run = try RunHan.han(["tracking", "list"], environment: variables)
            #expect(run.code == 66)
            #expect(run.errors.contains("'\(folder)/tracking.sqlite'"), "\(run.errors)")
        }
        let run = try RunHan.han(
            ["tracking", "list"], environment: ["XDG_STATE_HOME": "", "HOME": ""])
        #expect(run.code == 78)
    }
}
