import Console
import DCC
import Foundation
import Glibc
import TestSupport
import Testing
import Tracking
import Wire

/// The screen as a browser without script sees it.
@Suite struct ScreenTests {
    static let paths = [
        "/", "/?period=day&status=refused&type=PPMID", "/?status=activated", "/?hub=02-47-42",
        "/requests/\(Sample.id(1_001))", "/requests/\(Sample.id(1_004))",
        "/requests/\(Sample.id(1_001))/devices/\(Sample.esme)", "/homes", "/notices", "/api",
        "/nowhere",
    ]

    @Test("every page is well formed, has one heading of the first level and names all it has")
    func accessible() async throws {
        try await LiveConsole.with { console in
            _ = await console.world.startDemoForTest()
            for path in Self.paths {
                let answer = try await console.client.get(path)
                #expect(answer["content-type"] == "text/html; charset=utf-8", "\(path)")
                let page = try Page(answer.text)
                #expect(page.complaints == [], "\(path)")
                #expect(page.count("//h1") == 1, "\(path)")
                #expect(page.count("//main") == 1 && page.count("//header") == 1, "\(path)")
                #expect(page.count("//html[@lang='en']") == 1, "\(path)")
                #expect(page.count("//title[string-length(.) > 0]") == 1, "\(path)")
                #expect(page.count("//table[not(caption)]") == 0, "\(path)")
                #expect(page.count("//th[not(@scope)]") == 0, "\(path)")
                let fields = "(//input[not(@type='hidden')]|//select|//textarea)"
                #expect(page.count("\(fields)[not(@id=//label/@for)]") == 0, "\(path)")
                #expect(page.count("//button[normalize-space(.)='']") == 0, "\(path)")
                #expect(page.count("//a[normalize-space(.)='']") == 0, "\(path)")
                #expect(page.count("//progress[not(@aria-label)]") == 0, "\(path)")
                #expect(page.count("//nav[not(@aria-label)]") == 0, "\(path)")
                #expect(page.count("//@id[. = ../preceding::*/@id]") == 0, "\(path)")
                // Headings skip no level.
                #expect(page.count("//h3[not(preceding::h2)]") == 0, "\(path)")
                #expect(page.count("//*[@role='status'][@aria-live='polite']") == 1, "\(path)")
            }
        }
    }

    @Test("nothing is in line and nothing comes from elsewhere")
    func strict() async throws {
        try await LiveConsole.with { console in
            for path in Self.paths {
                let answer = try await console.client.get(path)
                let policy = try #require(answer["content-security-policy"])
                #expect(policy.contains("default-src 'none'"))
                #expect(policy.contains("frame-ancestors 'none'"))
                #expect(!policy.contains("unsafe") && !policy.contains("http"))
                #expect(answer["x-content-type-options"] == "nosniff")
                #expect(answer["referrer-policy"] == "same-origin")
                #expect(answer["cross-origin-opener-policy"] == "same-origin")
                #expect(answer["cache-control"] == "no-store")
                let page = try Page(answer.text)
                #expect(page.count("//script[not(@src)]|//style|//@style|//@onclick") == 0)
                let places = page.values("//@src|//link/@href|//@action|//a/@href")
                #expect(places.allSatisfy { $0.hasPrefix("/") || $0.hasPrefix("#") }, "\(path)")
                for place in page.values("//script/@src|//link/@href") {
                    let asset = try await console.client.get(place)
                    #expect(asset.status == 200)
                    #expect(asset["x-content-type-options"] == "nosniff")
                    #expect(asset["cache-control"]?.contains("immutable") == true)
                    #expect(!asset.text.contains("@import") && !asset.text.contains("url("))
                }
            }
        }
    }

    @Test("the list tells of each request what was answered, where it stands and its devices")
    func list() async throws {
        try await LiveConsole.with { console in
            let page = try Page(try await console.client.get("/").text)
            let rows = page.values("//tbody[@id='rows']/tr/th/a/@href")
            #expect(
                rows == (1_001...1_005).reversed().map { "/requests/\(Sample.id(UInt64($0)))" })
            let first = page.text("//tbody[@id='rows']/tr[1]")
            #expect(first.contains("11.4 Update PPMID Firmware"))
            #expect(first.contains("In progress"))
            #expect(first.contains("31 done, 18 under way, 1 failed of 50; 11 reported"))
            #expect(page.text("//tbody[@id='rows']/tr[2]").contains("E110102"))
            #expect(page.text("//tbody[@id='rows']/tr[4]").contains("Done in part"))
            let counts = page.text("//nav[@id='counts']")
            #expect(counts.contains("Refused 2") && counts.contains("Downloading 1"))
            #expect(counts.contains("All 54") && counts.contains("Reported 13"))
            #expect(page.text("//*[@id='now']") == "2026-03-02 11:01:05")
        }
    }

    @Test("a filter keeps what fits, is shown in its fields and goes on in every link")
    func filter() async throws {
        try await LiveConsole.with { console in
            let path = "/?period=all&status=refused&type=PPMID&version=0x01010204"
            let page = try Page(try await console.client.get(path).text)
            #expect(
                page.values("//tbody[@id='rows']/tr/th/a/@href")
                    == ["/requests/\(Sample.id(1_003))"])
            #expect(
                page.values("//option[@selected]/@value") == ["all", "refused", "", "PPMID", ""])
            #expect(page.values("//input[@id='version']/@value") == ["0x01010204"])
            let export = try #require(
                page.values("//a[starts-with(@href,'/requests.csv')]/@href").first)
            #expect(export.contains("status=refused") && export.contains("type=PPMID"))
            for bad in [
                "status=odd", "reported=1", "period=year", "type=TV", "hub=1", "version=xyz",
            ] {
                let answer = try await console.client.get("/?\(bad)")
                #expect(answer.status == 400, "\(bad)")
            }
        }
    }

    @Test("that its user knows of a failure is a further fact, and the failure stays in sight")
    func reported() async throws {
        try await LiveConsole.with { console in
            let path = "/requests/\(Sample.id(1_005))"
            for query in ["?reported=yes", "?status=reported"] {
                let page = try Page(try await console.client.get(path + query).text)
                #expect(page.count("//tbody[@id='rows']/tr") == 11)
                let last = page.text("//tbody[@id='rows']/tr[11]/td[@data-label='Status']")
                #expect(last == "✕ Not delivered ✉ Reported")
                let counts = page.text("//nav[@id='counts']")
                #expect(counts.contains("Activated 10") && counts.contains("Not delivered 1"))
                #expect(counts.contains("Reported 11"))
            }
            let open = try Page(
                try await console.client.get(path + "?reported=no&status=activated").text)
            #expect(open.count("//tbody[@id='rows']/tr") == 21)
            let device = try #require(
                try Page(try await console.client.get(path + "?status=deliveryFailed").text)
                    .values("//tbody[@id='rows']/tr/th/a/@href").first)
            let page = try Page(try await console.client.get(device).text)
            let facts = page.text("//dl[@id='facts']")
            #expect(facts.contains("Not delivered") && facts.contains("2026-03-02 09:23:20"))
            #expect(page.text("//ol[@id='line']/li[3]").contains("Reported"))
        }
    }

    @Test("of a download's steps the first and the last are shown, and what messages tell of")
    func steps() async throws {
        var stored = Sample.stored
        stored.tracks += (9...18).map { step in
            Sample.track(
                1_001, Sample.esme, .downloading, percent: step * 5, "Step \(step).", at: 500,
                notice: step == 14 ? 7 : nil)
        }
        stored.tracks.append(Sample.track(1_001, Sample.esme, .transferred, "All of it.", at: 600))
        try await LiveConsole.with(stored: stored) { console in
            let path = "/requests/\(Sample.id(1_001))/devices/\(Sample.esme)"
            let page = try Page(try await console.client.get(path).text)
            let line = (6...page.count("//ol[@id='line']/li")).map {
                page.text("//ol[@id='line']/li[\($0)]/p[2]")
            }
            #expect(
                line == [
                    "The ESME was offered 0x01010204.", "The ESME has 42 %.", "Step 13.",
                    "Step 14.", "Step 15.", "Step 18.", "All of it.",
                ])
        }
    }

    @Test("a request opens to its devices, and a device to its time line with messages explained")
    func open() async throws {
        var stored = Sample.stored
        let message = try #require(Hex.bytes(ScreenTests.message))
        // It comes late, and takes nothing back.
        stored.tracks.append(
            Sample.track(
                1_001, Sample.esme, .delivering, "Sent once more.", at: 900, message: message))
        try await LiveConsole.with(stored: stored) { console in
            let request = try Page(
                try await console.client.get("/requests/\(Sample.id(1_001))").text)
            #expect(request.text("//h1") == "11.1 Update Firmware")
            #expect(request.values("//progress/@value") == ["42"])
            let link = try #require(request.values("//tbody[@id='rows']/tr/th/a/@href").first)
            let device = try Page(try await console.client.get(link).text)
            #expect(device.count("//ol[@id='line']/li") == 8)
            let told = device.text("//ol[@id='line']/li[5]")
            #expect(told.contains("At the hub") && told.contains("notice 1"))
            let last = device.text("//ol[@id='line']/li[8]")
            #expect(last.contains("GBCS message"))
            #expect(last.contains("originator counter"))
            #expect(device.text("//ol[@id='line']/li[6]").contains("Message that cannot be read"))
            let status1 = try await console.client.get("/requests/\(Sample.id(9))").status
            #expect(status1 == 404)
            let status2 = try await console.client.get("/requests/abc").status
            #expect(status2 == 404)
            let other = "/requests/\(Sample.id(1_001))/devices/\(Sample.ppmid)"
            let status3 = try await console.client.get(other).status
            #expect(status3 == 404)
        }
    }

    /// A command's header and an empty payload: enough for its fields to be named.
    static let message =
        "DF09010000000000000042" + "0890B3D51F30010000" + "080247420000000101" + "00" + "020014"
        + "00" + "00"

    @Test("what users write is shown, never obeyed")
    func escaping() async throws {
        var stored = Sample.stored
        let evil = "<script>alert(1)</script>\"'&"
        stored.targets[0].model = evil
        stored.targets[0].manufacturer = evil
        stored.submitted[0].manufacturer = evil
        for index in stored.tracks.indices where stored.tracks[index].status != .reported {
            stored.tracks[index].detail = evil
        }
        try await LiveConsole.with(stored: stored) { console in
            let paths = [
                "/", "/requests/\(Sample.id(1_001))",
                "/requests/\(Sample.id(1_001))/devices/\(Sample.esme)",
                "/?manufacturer=%3Cscript%3Ealert(1)%3C/script%3E%22'",
            ]
            for path in paths {
                let answer = try await console.client.get(path)
                #expect(!answer.text.contains("<script>alert"), "\(path)")
                let page = try Page(answer.text)
                #expect(page.count("//script") == 1, "\(path)")
            }
            let page = try Page(try await console.client.get(paths[2]).text)
            #expect(page.text("//ol[@id='line']").contains(evil))
        }
    }

    @Test("pages follow each other without a row lost or shown twice")
    func pages() async throws {
        var stored = StoreChange(wall: Sample.wall)
        stored.submitted = (1...120).map { Sample.request($0, "11.1", at: UInt32($0)) }
        try await LiveConsole.with(stored: stored) { console in
            var seen: [String] = []
            var path: String? = "/"
            while let here = path {
                let page = try Page(try await console.client.get(here).text)
                seen += page.values("//tbody[@id='rows']/tr/th/a/@href")
                path = page.values("//a[@rel='next']/@href").first
            }
            #expect(seen == (1...120).reversed().map { "/requests/\(Sample.id(UInt64($0)))" })
        }
    }

    @Test("the export has a line for each device, and no cell that a spreadsheet would calculate")
    func export() async throws {
        var stored = Sample.stored
        stored.targets[2].reason = "=1+1"
        stored.targets[1].reason = "a \"b\", c\r\nd"
        try await LiveConsole.with(stored: stored) { console in
            let answer = try await console.client.get("/requests.csv?period=all")
            #expect(answer["content-type"]?.hasPrefix("text/csv") == true)
            #expect(answer["content-disposition"]?.contains("firmware-distribution.csv") == true)
            let lines = answer.text.components(separatedBy: "\r\n")
            #expect(lines[0] + "\r\n" == TrackingCSV.targetHead)
            #expect(answer.text.contains(",'=1+1,"))
            #expect(answer.text.contains(",\"a \"\"b\"\", c\r\nd\","))
            let rows = answer.text.components(separatedBy: "90-B3-D5-1F-30-01-00-00:").count - 1
            #expect(rows == 54)
            let failed = try await console.client.get(
                "/requests.csv?reported=yes&status=deliveryFailed")
            #expect(failed.text.components(separatedBy: "\r\n").count == 3)
            #expect(failed.text.contains(",deliveryFailed,failed,"))
            let one = try await console.client.get("/requests/\(Sample.id(1_002))/devices.csv")
            #expect(one.text.components(separatedBy: "\r\n").count == 5)
            let status4 = try await console.client.get("/requests/\(Sample.id(9))/devices.csv")
                .status
            #expect(status4 == 404)
        }
    }

    @Test("an empty store says what to do, and a trouble is a banner on every page")
    func emptyAndTrouble() async throws {
        let world = StandInWorld()
        world.state.withLock { $0.status.trouble = ["The disk is full."] }
        try await LiveConsole.with(stored: StoreChange(wall: 0), world: world) { console in
            let page = try Page(try await console.client.get("/").text)
            #expect(
                page.text("//*[@class='empty']").contains(
                    "http://127.0.0.1:\(console.port)/api/v1/serviceD"))
            for path in ["/", "/homes", "/notices", "/api"] {
                let page = try Page(try await console.client.get(path).text)
                #expect(page.text("//*[@role='alert']").contains("The disk is full."))
            }
        }
    }

    @Test("what happens is told at once to whoever watches, and no watcher is left over")
    func events() async throws {
        var settings = ConsoleSettings()
        settings.maximumWatchers = 1
        try await LiveConsole.with(settings) { console in
            let descriptor = try console.client.connect()
            HTTPClient.send(
                Array("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8), to: descriptor)
            var got = ""
            func read(until text: String) async throws {
                while !got.contains(text) {
                    let piece = try await HTTPClient.read(descriptor)
                    guard !piece.isEmpty else { return }
                    got += piece
                }
            }
            try await read(until: "retry:")
            #expect(got.contains("text/event-stream"))
            let status5 = try await console.client.get("/events").status
            #expect(status5 == 503)
            console.world.tell(
                .tracking(
                    request: Sample.id(1_001), device: Sample.esme, status: .transferred,
                    percent: nil, detail: "All of it\nis there.", time: Sample.start))
            try await read(until: "Downloaded")
            #expect(got.contains("event: tracking\ndata: {"))
            #expect(got.contains("\"time\":\"\(Sample.start.iso8601)\""))
            #expect(got.contains("\"detail\":\"All of it\\nis there.\""))
            #expect(got.contains("\"words\":\"Downloaded\""))
            close(descriptor)
            let isFree = try await eventually {
                console.world.tell(.world("The hub restarts."))
                let second = try console.client.connect()
                defer { close(second) }
                HTTPClient.send(
                    Array("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8), to: second)
                return try await HTTPClient.read(second).hasPrefix("HTTP/1.1 200")
            }
            #expect(isFree)
        }
    }

    @Test("who comes again to follow what happens gets what it has missed, or is told so")
    func missedEvents() async throws {
        try await LiveConsole.with { console in
            func follow(after id: String?, until texts: String...) async throws -> String {
                let descriptor = try console.client.connect()
                defer { close(descriptor) }
                let last = id.map { "Last-Event-ID: \($0)\r\n" } ?? ""
                HTTPClient.send(
                    Array("GET /events HTTP/1.1\r\nHost: localhost\r\n\(last)\r\n".utf8),
                    to: descriptor)
                var got = ""
                while !texts.allSatisfy({ got.contains($0) }) {
                    let piece = try await HTTPClient.read(descriptor)
                    guard !piece.isEmpty else { break }
                    got += piece
                    if got.contains("retry:") { console.world.tell(.world("Something.")) }
                }
                return got
            }
            let first = try await follow(after: nil, until: "Something.", "\n\n")
            let id = try #require(first.firstMatch(of: /id: ([0-9a-z]+)\.([0-9]+)\n/))
            let (mark, number) = (id.output.1, try #require(Int(id.output.2)))
            for index in 1...5 { console.world.tell(.world("Missed \(index).")) }
            let second = try await follow(after: "\(mark).\(number)", until: "Missed 5.")
            #expect(!second.contains("event: dropped"))
            for index in 1...5 { #expect(second.contains("Missed \(index).")) }
            // Too much for a queue, another server's, and none at all.
            for index in 0..<600 { console.world.tell(.world("Much \(index).")) }
            let third = try await follow(after: "\(mark).\(number)", until: "event: dropped")
            #expect(third.contains(/event: dropped\ndata: {"dropped":6[0-9]+}/))
            for id in ["other.\(number)", "7", "\(mark).18446744073709551615", "\(mark).-1"] {
                let got = try await follow(after: id, until: "event: dropped")
                #expect(got.contains("event: dropped\ndata: {}"), "\(id)")
            }
        }
    }
}
