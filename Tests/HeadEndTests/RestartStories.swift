import DCC
import HeadEnd
import Lab
import Testing
import TestSupport
import Tracking
import Wire

@Suite("A head end that is killed")
struct RestartStories {
    /// An 11.4 for the PPMID and an 11.1 for the HCALCS, behind a hub that delivers to both.
    private static func plan() throws -> HeadEndPlan { try Station.plan(["new-hub"]) }

    private func begin(_ station: Station) async throws -> [RequestID: EUI64] {
        var requests: [RequestID: EUI64] = [:]
        for (image, device, isPPMID) in [("ppmid-2", "PPMID", true), ("hcalcs-2", "HCALCS", false)]
        {
            let id = station.requestID()
            let answer = try await station.update(
                try station.image(image), [station.id(device)], id: id, ppmid: isPPMID)
            #expect(!answer.code.isError && answer.warning == nil)
            requests[id] = station.id(device)
        }
        return requests
    }

    /// The hops that a change tells of, downloads in steps of 25 percent.
    private static func hops(
        of names: [EUI64: String]
    ) -> @Sendable (StoreChange, Int) -> [String] {
        { change, _ in
            change.tracks.compactMap { track in
                guard let name = track.device.flatMap({ names[$0] }) else { return nil }
                let part = track.status == .downloading ? " \((track.percent ?? 0) / 25 * 25)" : ""
                return "\(name) \(track.status.rawValue)\(part)"
            }
        }
    }

    @Test("killed at any moment of a campaign, it ends the same, and each user is told once")
    func anyCommit() async throws {
        let folder = try TemporaryFolder()
        var plan = try Self.plan()
        // Little happens between two commits, however fast the machine is.
        (plan.turnLength, plan.commitInterval) = (0, 0)
        plan.pace = .real
        let whole = try Station(plan, at: folder.path("whole"))
        let requests = try await begin(whole)
        let names = Dictionary(
            uniqueKeysWithValues: plan.homes[0].devices.map { ($0.eui64, $0.name) })
        whole.store.cut(to: folder.path("cut-"), at: Self.hops(of: names))
        let hcalcs = whole.id("HCALCS")
        let image = try whole.image("hcalcs-2")
        _ = try await whole.headEnd.perform(.pace(.virtual))
        try await whole.rest()
        let downloads = whole.store.cuts.count
        try await whole.activate(hcalcs, image)
        try await whole.rest()
        let wanted = try whole.notices().map(\.summary)
        #expect(wanted.count == 7, "\(wanted)")
        try whole.close()

        let cuts = whole.store.cuts
        let words = cuts.map(\.description)
        for moment in [
            ["before", "PPMID delivering"], ["after", "PPMID deliveredToHub"],
            ["before", "PPMID downloading 50"], ["after", "HCALCS downloading 75"],
            ["before", "PPMID transferred"], ["after", "HCALCS verified"],
            ["after", "PPMID activated"], ["before", "HCALCS activationOrdered"],
            ["after", "HCALCS activationOrdered"], ["before", "HCALCS activated"],
        ] {
            #expect(
                words.contains { $0.hasPrefix(moment[0]) && $0.contains(moment[1]) },
                "\(moment): \(words)")
        }
        #expect(cuts.count > 24)
        plan.pace = .virtual
        plan.turnLength = 0.005
        for (number, cut) in cuts.enumerated() {
            // Killed once more, before anybody's software runs again.
            plan.pace = .real
            let short = try Station(plan, at: cut.path, counter: 1_900)
            _ = try await short.headEnd.perform(.pass(.seconds(1)))
            try short.close()
            plan.pace = .virtual
            let station = try Station(plan, at: cut.path, counter: 2_000)
            try await station.rest()
            try await Self.check(station, requests, "cut \(cut)")
            // None twice, and none that would not have been told without the kill.
            let told = try station.notices().map(\.summary).filter { !$0.hasPrefix("E21") }
            #expect(Set(told).count == told.count, "cut \(cut): \(told)")
            #expect(Set(told).isSubset(of: wanted), "cut \(cut): \(told)")
            #expect(told.count { $0.hasPrefix("N60") } == 2, "cut \(cut): \(told)")
            #expect(told.count { $0.hasPrefix("N63") } == 1, "cut \(cut): \(told)")
            // Nobody activates an HCALCS but its supplier, who can do so again.
            var member = try await station.member("HCALCS")
            #expect(number >= downloads || member.held == image.version, "cut \(cut)")
            if member.held == image.version {
                try await station.activate(hcalcs, image)
                try await station.rest()
                try await Self.check(station, requests, "cut \(cut), then activated")
                member = try await station.member("HCALCS")
            }
            #expect(member.firmware == image.version, "cut \(cut)")
            // And none is missing.
            let all = try station.notices().map(\.summary).filter { !$0.hasPrefix("E21") }
            #expect(Set(all) == Set(wanted), "cut \(cut): \(all)")
            #expect(
                try station.notices().map(\.number)
                    == Array(1...UInt64(try station.notices().count)))
            try station.close()
        }
    }

    @Test("killed over and over, a campaign goes on from where it was each time, and ends")
    func overAndOver() async throws {
        let folder = try TemporaryFolder()
        var plan = try Self.plan()
        (plan.turnLength, plan.commitInterval) = (0, 0)
        plan.pace = .real
        var station = try Station(plan, at: folder.path("first"))
        let requests = try await begin(station)
        try station.close()
        plan.pace = .virtual
        var path = folder.path("first")
        var told: [StoredNotice] = []
        var percents: [EUI64: Int] = [:]
        var lives = 0
        while lives < 100 {
            lives += 1
            station = try Station(plan, at: path, counter: 2_000) {
                $0.cut(to: folder.path("life-\(lives)-")) { _, number in
                    number == 20 ? ["20"] : []
                }
            }
            let store = station.store
            let status = try await station.wait("nothing happens") {
                $0.isResting || store.cuts.count == 2
            }
            let cuts = store.cuts
            try station.close()
            guard cuts.count == 2 else {
                #expect(status.isResting)
                break
            }
            path = cuts[1].path
            let kept = try TrackingStore(path: path)
            // What has been made for users stays as it is, and more follows.
            let notices = try kept.pendingNotices(limit: 1_000)
            #expect(notices.starts(with: told), "life \(lives)")
            told = notices
            for (request, device) in requests {
                var filter = TrackingFilter()
                (filter.request, filter.device) = (request, device)
                let row = try #require(try kept.targets(filter, limit: 1).rows.first)
                #expect((row.percent ?? 0) >= percents[device] ?? 0, "life \(lives)")
                percents[device] = row.percent ?? 0
            }
            try kept.close()
        }
        #expect((5..<100).contains(lives))
        station = try Station(plan, at: path, counter: 3_000)
        try await station.rest()
        try await Self.check(station, requests, "after \(lives) lives")
        try station.close()
    }

    /// What the tracking and the inventory say is what is so in the nodes.
    private static func check(
        _ station: Station, _ requests: [RequestID: EUI64], _ when: String
    ) async throws {
        for (request, device) in requests {
            let hops = try station.hops(of: request, device).map(\.status)
            let target = try #require(try station.target(of: request, device))
            let member = try await station.member(device)
            let version = try #require(target.toVersion)
            let isRunning = member.firmware == version
            #expect(isRunning || member.held == version, "\(when): \(target.status) \(hops)")
            #expect((target.status == .activated) == isRunning, "\(when): \(target.status) \(hops)")
            #expect(
                isRunning
                    || [.transferred, .verified, .activationOrdered].contains(target.status),
                "\(when): \(target.status) \(hops)")
            #expect(hops.count { $0 == .deliveredToHub } == 1, "\(when): \(hops)")
            #expect(hops.count { $0 == .activated } == (isRunning ? 1 : 0), "\(when): \(hops)")
            #expect(try await station.device(device).firmware == member.firmware, "\(when)")
        }
    }

    @Test("killed while its devices join, it has them all join", arguments: 1..<12)
    func firstMinute(part: Int64) async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store")
        let joining = try Station(
            try Station.plan(["new-hub"]) { $0.linger = .seconds(part * 5) }, at: path)
        try await joining.rest()
        try joining.close()
        let station = try Station(try Station.plan(["new-hub"]), at: path)
        let status = try await station.rest()
        let members = try #require(status.homes.first).members
        #expect(members.count == 5)
        let outside = members.filter { !$0.isInNetwork }.map(\.name)
        #expect(outside.isEmpty)
        try station.close()
    }

    @Test("begun without one of its homes, it loses nothing there, or does not begin")
    func absentHome() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store")
        var station = try Station(
            try Station.plan(["new-hub", "standard"]) { $0.pace = .real }, at: path)
        #expect(station.headEnd.absentHomes.isEmpty)
        let ppmid = station.id("PPMID")
        let image = try station.image("ppmid-2")
        let answer = try await station.update(image, [ppmid], ppmid: true)
        #expect(!answer.code.isError && answer.warning == nil)
        try station.close()

        // Nobody would answer there, and it would be given up.
        let kept = try TrackingStore(path: path)
        let error = #expect(throws: HeadEndError.self) {
            _ = try HeadEnd(try Station.plan(["standard"]), store: kept) { _ in [] }
        }
        #expect(error == .absent(homes: ["new-hub"], requests: 1))
        try kept.close()

        station = try Station(try Station.plan(["new-hub"]), at: path, counter: 2_000)
        #expect(station.headEnd.absentHomes == ["standard"])
        try await station.rest()
        #expect(try await station.device(ppmid).firmware == image.version)
        try station.close()
        // An 11.2 is under way for as long as nobody has answered it.
        station = try Station(
            try Station.plan(["new-hub"]) { $0.pace = .real }, at: path, counter: 3_000)
        let read = try await station.headEnd.submit(
            ServiceRequest(
                id: station.requestID(ppmid), commandVariant: 1, reference: "11.2",
                variant: "11.2", body: .readFirmwareVersion(execution: nil)), over: .sendCommand)
        #expect(read.code == .acknowledged)
        try station.close()
        #expect(throws: HeadEndError.absent(homes: ["new-hub"], requests: 1)) {
            _ = try Station(try Station.plan(["standard"]), at: path)
        }
        station = try Station(try Station.plan(["new-hub"]), at: path, counter: 4_000)
        try await station.rest()
        try station.close()

        // With nothing under way it stands still, and is there again.
        station = try Station(try Station.plan(["standard"]), at: path, counter: 5_000)
        #expect(station.headEnd.absentHomes == ["new-hub"])
        let rested = try await station.rest()
        #expect(rested.homes.map(\.name) == ["standard"])
        try station.close()
        station = try Station(
            try Station.plan(["new-hub", "standard"]), at: path, counter: 6_000)
        #expect(station.headEnd.absentHomes.isEmpty)
        let status = try await station.rest()
        #expect(status.homes.flatMap(\.members).allSatisfy { $0.isInNetwork })
        #expect(try await station.member("PPMID").firmware == image.version)
        try station.close()
    }

    @Test("time goes on from where it was, and a hub's own update with it")
    func clock() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store")
        var station = try Station(try Station.plan { $0.pace = .times(3_600) }, at: path)
        let began = try await station.headEnd.status().time
        let later = try await station.wait("an hour does not pass") {
            $0.time.secondsSince2000 >= began.secondsSince2000 + 3_600
        }
        _ = try await station.headEnd.perform(.updateHub(home: "standard", image: "ch-2"))
        try station.close()
        await #expect(throws: HeadEndError.stopped) { try await station.headEnd.status() }

        station = try Station(try Station.plan(), at: path)
        #expect(try await station.headEnd.status().time >= later.time)
        try await station.rest()
        #expect(try await station.device(station.home.hub.chf).firmware == 0x0200_0100)
        try station.close()
    }

    @Test("what is compared an hour after a kill is what runs then, the hub's firmware too")
    func newlyRunning() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store")
        var station = try Station(try Station.plan(), at: path)
        _ = try await station.headEnd.perform(.pass(.minutes(5)))
        try await station.rest()
        try station.close()

        station = try Station(try Station.plan(), at: path)
        _ = try await station.headEnd.perform(.updateHub(home: "standard", image: "ch-2"))
        _ = try await station.headEnd.perform(.pass(.hours(2)))
        try await station.rest()
        #expect(try await station.device(station.home.hub.chf).firmware == 0x0200_0100)
        let told = try station.notices().map(\.summary)
        #expect(told.count { $0.hasPrefix("N64") } == 1, "\(told)")
        try station.close()
    }

    @Test(
        "the same requests at the same virtual times have the same end, to the byte")
    func deterministic() async throws {
        var ends: [[String]] = []
        for isWatched in [false, true] {
            let folder = try TemporaryFolder()
            // Of two homes the one has much to do, and the other little.
            var plan = try Station.plan(["new-hub", "standard"])
            if isWatched { (plan.turnLength, plan.commitInterval) = (0, 0) }
            let station = try Station(plan, at: folder.path("store"))
            let headEnd = station.headEnd
            let watcher = Task {
                while isWatched, !Task.isCancelled { _ = try await headEnd.status() }
            }
            try await station.rest()
            for (image, device) in [("ppmid-2", "PPMID"), ("hcalcs-2", "HCALCS")] {
                _ = try await station.update(
                    try station.image(image), [station.id(device)], ppmid: device == "PPMID")
                // Until it rests, time passes as fast as it goes.
                try await station.rest()
            }
            let status = try await station.rest()
            watcher.cancel()
            ends.append(
                try station.notices().map { String(decoding: $0.bytes, as: UTF8.self) }
                    + ["\(status.time)"])
            try station.close()
        }
        #expect(ends[0] == ends[1])
        #expect(ends[0].count == 7)
    }
}

@Suite("A head end and its queue and store")
struct TroubleStories {
    @Test("a full queue says so at once, and what waits is answered")
    func fullQueue() async throws {
        let folder = try TemporaryFolder()
        let station = try Station(
            try Station.plan { $0.queueLimit = 4 }, at: folder.path("store"))
        try await station.rest()
        station.store.hold()
        let headEnd = station.headEnd
        // The first is held up in its commit; four more wait behind it.
        async let first = headEnd.perform(.pass(.seconds(1)))
        var tasks: [Task<String, any Error>] = []
        var refusals = 0
        // As soon as the thread is in the commit, the queue only fills.
        while refusals == 0 {
            let task = Task { try await headEnd.perform(.pass(.seconds(1))) }
            tasks.append(task)
            try await Task.sleep(for: .milliseconds(20))
            if tasks.count > 5 {
                do {
                    _ = try await tasks.removeLast().value
                } catch HeadEndError.busy(limit: 4) {
                    refusals += 1
                }
            }
            try #require(tasks.count < 50)
        }
        station.store.letGo()
        _ = try await first
        var answered = 0
        for task in tasks {
            do {
                _ = try await task.value
                answered += 1
            } catch HeadEndError.busy(limit: 4) {}
        }
        #expect(answered >= 4)
        try station.close()
    }

    @Test("a store that cannot be written stops everything, and nothing is lost or done twice")
    func fullDisk() async throws {
        let folder = try TemporaryFolder()
        let station = try Station(
            try Station.plan(["new-hub"]) { $0.answerWait = 0.2 }, at: folder.path("store"))
        try await station.rest()
        station.store.set(failing: true)
        let id = station.requestID()
        let image = try station.image("ppmid-2")
        let ppmid = station.id("PPMID")
        await #expect(throws: HeadEndError.unavailable("the disk is full")) {
            try await station.update(image, [ppmid], id: id, ppmid: true)
        }
        let troubled = try await station.headEnd.status()
        #expect(troubled.trouble == "the disk is full")
        // What comes meanwhile is not done at all.
        let second = station.requestID()
        await #expect(throws: HeadEndError.unavailable("the disk is full")) {
            try await station.update(image, [ppmid], id: second, ppmid: true)
        }
        #expect(try await station.headEnd.status().time == troubled.time)
        #expect(try station.notices().isEmpty)

        station.store.set(failing: false)
        _ = try await station.wait("the trouble stays") { $0.trouble == nil }
        try await station.rest()
        #expect(try await station.device(ppmid).firmware == image.version)
        #expect(
            try station.notices().map { String($0.summary.prefix(3)) } == ["N60", "N62", "N63"])
        // Nobody has heard the first one's answer: who sends it again does, and is let in once.
        let other = try await station.update(image, [], id: id, ppmid: true)
        #expect(other.code.rawValue == "E49")
        let again = try await station.update(image, [ppmid], id: id, ppmid: true)
        #expect(again.code == .acknowledged && again.warning == nil)
        #expect(again.time <= troubled.time)
        let thrice = try await station.update(image, [ppmid], id: id, ppmid: true)
        #expect(thrice.code.rawValue == "E49")
        let new = try await station.update(image, [ppmid], id: second, ppmid: true)
        #expect(new.warning?.notApplicable == [ppmid])
        try station.close()
    }

    @Test("killed before it could answer, it answers whoever asks the same again, once")
    func unanswered() async throws {
        let folder = try TemporaryFolder()
        var station = try Station(try Station.plan(["new-hub"]), at: folder.path("store"))
        try await station.rest()
        station.store.cut(to: folder.path("cut-")) { change, _ in
            change.submitted.map { "\($0.id)" }
        }
        let id = station.requestID()
        let image = try station.image("ppmid-2")
        let devices = [station.id("PPMID"), EUI64(0x0247_4200_0000_0999)]
        let answer = try await station.update(image, devices, id: id, ppmid: true)
        #expect(answer.warning?.invalid == [devices[1]])
        try await station.rest()
        try station.close()

        let cut = try #require(station.store.cuts.last)
        #expect(cut.description == "after \(id)")
        station = try Station(try Station.plan(["new-hub"]), at: cut.path)
        #expect(try await station.update(image, devices, id: id, ppmid: true) == answer)
        let again = try await station.update(image, devices, id: id, ppmid: true)
        #expect(again.code.rawValue == "E49")
        try await station.rest()
        #expect(try station.notices().count { $0.summary.hasPrefix("N60") } == 1)
        try station.close()
        // What has been given is not kept.
        let store = try TrackingStore(path: cut.path)
        #expect(!(try store.load().records.contains { $0.key.kind == .answer }))
        try store.close()
    }

    @Test("a receipt is stored with what the tracking says of it, or not at all, and counts once")
    func receipts() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store")
        let plan = try Station.plan(["new-hub"]) { $0.answerWait = 0.2 }
        var station = try Station(plan, at: path)
        let ppmid = station.id("PPMID")
        let answer = try await station.update(
            try station.image("ppmid-2"), [ppmid], ppmid: true)
        let request = try #require(answer.requestID)
        try await station.rest()
        let told = try station.notices()
        #expect(told.count == 3)
        func reported() throws -> Int {
            try station.hops(of: request, ppmid).count { $0.status == .reported }
        }

        // The disk is full, and the server ends before it has room.
        station.store.set(failing: true)
        await #expect(throws: HeadEndError.unavailable("the disk is full")) {
            try await station.acknowledge(told[0])
        }
        // And meanwhile nothing at all can be taken down.
        await #expect(throws: HeadEndError.unavailable("the disk is full")) {
            try await station.acknowledge(told[1])
        }
        try station.close()
        await #expect(throws: HeadEndError.stopped) { try await station.acknowledge(told[0]) }
        station = try Station(plan, at: path)
        #expect(try station.notices() == told)
        #expect(try reported() == 0)

        // The disk is full, and has room again.
        station.store.set(failing: true)
        await #expect(throws: HeadEndError.unavailable("the disk is full")) {
            try await station.acknowledge(told[0])
        }
        #expect(try station.notices() == told)
        station.store.set(failing: false)
        _ = try await station.wait("the trouble stays") { $0.trouble == nil }
        // As the deliverer does, which was told that nothing can be stored.
        try await station.acknowledge(told[0])
        #expect(try station.notices() == Array(told[1...]))
        #expect(try reported() == 1)
        for notice in told { try await station.acknowledge(notice) }
        #expect(try station.notices().isEmpty)
        #expect(try reported() == 3)
        let target = try #require(try station.target(of: request, ppmid))
        #expect(target.status == .activated && target.reported != nil)
        try station.close()
    }

    @Test("ten thousand requests at once are answered or told to wait, and nothing of them is kept")
    func flood() async throws {
        let folder = try TemporaryFolder()
        let plan = try Station.plan(["new-hub"]) { $0.settings.rememberedRequests = 200 }
        let station = try Station(plan, at: folder.path("store"))
        try await station.rest()
        station.store.hold()
        let (headEnd, hub) = (station.headEnd, station.home.hub.chf)
        let requests = (0..<10_000).map { _ in
            ServiceRequest(
                id: station.requestID(), commandVariant: 8, reference: "8.2", variant: "8.2",
                body: .readInventory(.device(hub)))
        }
        let (answered, busy) = try await withThrowingTaskGroup(of: Bool.self) { group in
            for request in requests {
                group.addTask {
                    do {
                        return try await headEnd.submit(request, over: .nonDevice).code == .success
                    } catch HeadEndError.busy {
                        return false
                    }
                }
            }
            // The thread is in the first one's commit, and behind it the queue fills up.
            while try await group.next() == true {}
            station.store.letGo()
            var (answered, busy) = (0, 1)
            for try await isAnswered in group {
                if isAnswered { answered += 1 } else { busy += 1 }
            }
            return (answered, busy)
        }
        #expect(answered >= plan.queueLimit && answered + busy == requests.count)
        try station.close()
        let store = try TrackingStore(path: folder.path("store"))
        let kinds = try store.load().records.map(\.key.kind)
        #expect(kinds.count { $0 == .answer } == 0)
        #expect(kinds.count { $0 == .seen } < 300)
        try store.close()
    }

    @Test("who watches is told of everything in order, and of how much was lost")
    func watching() async throws {
        let folder = try TemporaryFolder()
        let station = try Station(
            try Station.plan(["new-hub"]), at: folder.path("store"))
        let updates = station.headEnd.updates()
        let watcher = Task {
            var (notices, tracks, events, lost) = (0, 0, 0, 0)
            for await update in updates {
                switch update {
                case .notice: notices += 1
                case .tracking: tracks += 1
                case .event: events += 1
                case .lost(let count): lost += count
                case .status, .hubUpdate: break
                }
            }
            return (notices, tracks, events, lost)
        }
        _ = try await station.update(
            try station.image("ppmid-2"), [station.id("PPMID")], ppmid: true)
        try await station.rest()
        try station.close()
        let (notices, tracks, events, lost) = await watcher.value
        #expect(notices + lost >= 3)
        #expect(tracks + lost > 20)
        #expect(events + lost > 20)
    }

    @Test("homes that share an id, and orders for what there is not, are refused in words")
    func words() async throws {
        let folder = try TemporaryFolder()
        #expect(throws: HeadEndError.self) {
            _ = try Station(
                try Station.plan(["standard", "standard"]), at: folder.path("twice"))
        }
        let station = try Station(try Station.plan(), at: folder.path("store"))
        for order in [
            HeadEndOrder.power(home: "nowhere", member: "CH", on: false),
            .power(home: "standard", member: "IHD", on: false),
            .updateHub(home: "standard", image: "esme-2"),
            .updateHub(home: "standard", image: "nothing"),
            .query(home: "standard", member: "CH"), .pass(.zero), .pace(.times(0)),
        ] {
            await #expect(throws: HeadEndError.self) { try await station.headEnd.perform(order) }
        }
        await #expect(
            throws: HeadEndError.order("'esme-2' is an image for an ESME, not for a hub")
        ) {
            try await station.headEnd.perform(.updateHub(home: "standard", image: "esme-2"))
        }
        #expect(try await station.headEnd.perform(.pace(.real)) == "the pace is real")
        #expect(Pace("x60") == .times(60) && Pace("x0") == nil && Pace("fast") == nil)
        try station.close()
    }
}
