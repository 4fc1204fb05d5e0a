import DCC
import Lab
import Radio
import Simulation
import Tracking
import Wire

/// The DCC and the homes behind it, in one virtual time: without clock, thread or file. The same
/// calls at the same virtual times have the same effects.
///
/// What it does changes nothing outside; `output` says what is to be stored and then told.
final class World {
    /// The virtual time of this world's zero.
    let start: UTCTime
    private(set) var now = Instant.zero
    private var dcc: DCC
    private var unheard: UnheardAnswers
    let homes: [LiveHome]
    private let homeOfHub: [EUI64: Int]
    private let products: [ProductListEntry]
    private let manifest: Manifest
    private let linger: Interval
    private let findImage: (ImageKey) throws -> [UInt8]?
    var output = Output()
    /// Deliveries that have failed at once, and homes whose CSP has been given one.
    private var undelivered: [(hub: EUI64, message: HubMessage)] = []
    private var served: [Int] = []
    private var isSettling = false
    /// Whose power has come on since the world began again; what runs there is told when due.
    private var found: [Found] = []
    /// Until when something may follow from what was last heard of the homes.
    private var livelyUntil: Instant
    /// The image that was delivered last, of which others will want to be sent soon.
    private var lastImage: (key: ImageKey, bytes: [UInt8])?

    private struct Found {
        var due: Instant
        var home: Int
        var device: EUI64
    }

    /// How long after a restart devices have had their chance to say what they run: two wakes of a
    /// GSME.
    private static let recovery = Interval.hours(1)

    /// What has come of the calls since it was last emptied.
    struct Output {
        var records: [StoreChange.RecordChange] = []
        var images: [(key: ImageKey, bytes: [UInt8])] = []
        var removedImages: [ImageKey] = []
        var submitted: [SubmittedRequest] = []
        var targets: [SubmittedTarget] = []
        var receipts: [NoticeReceipt] = []
        var tracks: [TrackingRecord] = []
        var notices: [Notice] = []
        var events: [HeadEndUpdate] = []

        /// So much that it is to be stored before more is added.
        var isLarge: Bool { records.count + tracks.count > 20_000 || events.count > 2_000 }
        var isEmpty: Bool {
            records.isEmpty && images.isEmpty && removedImages.isEmpty && submitted.isEmpty
                && targets.isEmpty && receipts.isEmpty && tracks.isEmpty && notices.isEmpty
                && events.isEmpty
        }
    }

    init(
        _ plan: HeadEndPlan, stored: StoredWorld,
        findImage: @escaping (ImageKey) throws -> [UInt8]?
    ) throws {
        start = stored.clock ?? plan.start
        manifest = plan.manifest
        products = plan.manifest.products(for: plan.homes)
        linger = plan.linger
        livelyUntil = .zero + plan.linger
        self.findImage = findImage
        try plan.check()
        var homes: [LiveHome] = []
        let pages = Dictionary(grouping: stored.flash, by: \.home)
        for home in plan.homes {
            homes.append(
                try LiveHome(
                    home, start: start, seed: plan.seed, pages: pages[home.name] ?? []))
        }
        self.homes = homes
        unheard = UnheardAnswers(stored.records)
        homeOfHub = Dictionary(
            uniqueKeysWithValues: homes.enumerated().map { ($1.home.hub.chf, $0) })
        dcc = DCC(
            settings: plan.settings,
            keys: DCCKeys(
                of: plan.homes, users: Array(plan.settings.users.keys), seed: plan.seed),
            products: products, inventory: plan.homes.flatMap(\.inventory) + plan.inventory,
            records: stored.records)
        for index in homes.indices { drain(index) }
        try resumeHubUpdates()
    }

    /// Hubs that were being sent images of their own when the world ended.
    private func resumeHubUpdates() throws {
        for home in homes {
            guard let hash = home.simulation.nodes[home.csp].wanEnd?.missingHubImage else {
                continue
            }
            let entry = manifest.entries.first {
                $0.deviceType == .communicationsHub && $0.manufacturerImageHash == hash
            }
            let image = try entry.map { try manifest.image(for: $0).encoded() }
            home.csp(at: now) { end, now, out in
                end.resumeHubUpdate(image, at: now, into: &out)
            }
        }
    }

    // MARK: - Time

    var clock: UTCTime { start.advanced(by: now - .zero) }

    /// When the DCC is to be ticked, or told something.
    private var dccDue: Instant {
        let told = found.first?.due ?? .distantFuture
        guard let deadline = dcc.nextDeadline else { return told }
        let seconds = Int64(deadline.secondsSince2000) - Int64(start.secondsSince2000)
        return min(told, .zero + .seconds(max(0, seconds)))
    }

    /// When the next thing is due.
    var nextTime: Instant {
        homes.reduce(dccDue) { min($0, $1.nextTime) }
    }

    /// Something goes on by itself, or may.
    var isBusy: Bool { now < livelyUntil || isUnderway }
    var isUnderway: Bool { dcc.isBusy || homes.contains { $0.isBusy } }

    /// Time is to pass although nothing is under way.
    func pass(_ time: Interval) { livelyUntil = max(livelyUntil, now + time) }

    /// Lets happen what is due up to `limit`, or if that is nil until nothing is under way: the
    /// earliest first, of one time the DCC before the homes, and those in their order. It ends
    /// early when there is a notice to be sent or much to be stored, or when `isTimeUp` says so,
    /// which is asked now and then.
    func run(until end: Instant?, isTimeUp: () -> Bool) {
        var steps = 0
        var limit = Instant.zero
        while output.notices.isEmpty, !output.isLarge {
            // Where it rests is not to depend on when anybody looks.
            limit = end ?? (isUnderway ? .distantFuture : livelyUntil)
            guard end != nil || now < limit else { return }
            let due = dccDue
            var first = -1
            var (time, second) = (Instant.distantFuture, Instant.distantFuture)
            for index in homes.indices {
                let next = homes[index].nextTime
                if next < time {
                    second = time
                    (first, time) = (index, next)
                } else {
                    // A later home goes on only when this one has done all of that time.
                    second = min(second, next)
                }
            }
            if due <= time {
                guard due <= limit else { break }
                now = max(now, due)
                tick()
                if isTimeUp() { return }
                continue
            }
            guard first >= 0, time <= limit else { break }
            // Up to where it is another's turn. Of one time, the first home's comes first.
            let bound = min(limit, min(due, second) + .microseconds(-1))
            let home = homes[first]
            repeat {
                let stepped = home.simulation.step(until: max(time, bound))
                now = max(now, home.simulation.now)
                if !stepped { break }
                let isCSP = home.simulation.lastNode == home.csp
                if isCSP { drain(first) }
                steps += 1
                if steps & 31 == 0, isTimeUp() { return }
                if !output.notices.isEmpty || output.isLarge { return }
                if isCSP, end == nil { break }
            } while home.nextTime <= bound && dccDue == due
        }
        if limit < .distantFuture, output.notices.isEmpty, !output.isLarge {
            now = max(now, limit)
        }
    }

    private func tick() {
        // They start together, so they are due in order.
        while let next = found.first, next.due <= now {
            found.removeFirst()
            guard let version = homes[next.home].firmware(of: next.device) else { continue }
            ask { dcc, now, out in
                dcc.found(version, runningOn: next.device, at: now, into: &out)
            }
        }
        ask { dcc, now, out in dcc.tick(at: now, into: &out) }
    }

    /// Has the DCC do something, and carries out what it puts out.
    private func ask<T>(_ body: (inout DCC, UTCTime, inout DCCOutbox) -> T) -> T {
        var out = DCCOutbox()
        let result = body(&dcc, clock, &out)
        carryOut(out)
        return result
    }

    // MARK: - What comes from the homes

    private func drain(_ index: Int) {
        let home = homes[index]
        let hub = home.home.hub.chf
        for output in home.takeOutputs() {
            switch output {
            case .message(let message):
                livelyUntil = max(livelyUntil, now + linger)
                ask { dcc, now, out in dcc.receive(message, from: hub, at: now, into: &out) }
            case .progress(let device, let progress):
                livelyUntil = max(livelyUntil, now + linger)
                ask { dcc, now, out in dcc.observe(progress, of: device, at: now, into: &out) }
            case .running(let id, _):
                livelyUntil = max(livelyUntil, now + linger)
                if home.isFirstStart(of: id) {
                    found.append(Found(due: now + Self.recovery, home: index, device: id))
                }
            case .hubUpdate(let words):
                self.output.events.append(.hubUpdate(home: home.home.name, words))
            case .event(let event):
                let member = home.cast.roster.members[Int(event.node)].name
                self.output.events.append(
                    .event(
                        home: home.home.name, member: member, event,
                        at: start.advanced(by: event.time - .zero)))
            }
        }
    }

    // MARK: - What is asked of it

    /// `key` is the request's own over that service.
    func submit(
        _ request: ServiceRequest, over service: WebService, key: UnheardAnswers.Key, wall: Double
    ) -> ServiceResponse {
        livelyUntil = max(livelyUntil, now + linger)
        if let response = unheard.answer(to: key) { return response }
        var out = DCCOutbox()
        let response = dcc.submit(request, over: service, at: clock, into: &out)
        let account = RequestAccount(
            request, response, out, dcc: dcc, products: products, at: clock, wall: wall)
        // Of one that has been here before there is nothing to be taken down.
        if response.code != dcc.settings.codes[.replayed] {
            var submitted = account.request
            submitted.isTaken = Self.isTaken(out)
            output.submitted.append(submitted)
            if submitted.isTaken { output.targets += account.targets }
        }
        if Self.isTaken(out), let record = AnswerRecord(response, to: request, digest: key.digest) {
            output.records += unheard.keep(record)
        }
        carryOut(out)
        return response
    }

    /// Whether a request counts as having been here: one that is refused before that is not told so
    /// when it comes again.
    private static func isTaken(_ out: DCCOutbox) -> Bool {
        out.items.contains { if case .save(.seen) = $0 { true } else { false } }
    }

    /// The answer to a request has been given.
    func heard(_ key: UnheardAnswers.Key) {
        if let change = unheard.heard(key) { output.records.append(change) }
    }

    /// What the DCC says of it is stored only if that is new.
    func acknowledge(_ receipt: NoticeReceipt) {
        var out = DCCOutbox()
        dcc.acknowledged(
            notice: receipt.number, request: receipt.request, device: receipt.device, at: clock,
            into: &out)
        var receipt = receipt
        for case .track(let record) in out.items { receipt.tracks.append(record) }
        receipt.position = output.tracks.count
        output.receipts.append(receipt)
    }

    func perform(_ order: HeadEndOrder) throws(HeadEndError) -> String {
        livelyUntil = max(livelyUntil, now + linger)
        switch order {
        case .power(let name, let member, let on):
            let (home, index) = try find(member, in: name)
            home.csp(at: now) { _, _, out in out.append(.power(of: UInt16(index), on: on)) }
            return "the power of \(member) in '\(name)' goes \(on ? "on" : "off")"
        case .query(let name, let member):
            let (home, index) = try find(member, in: name)
            guard index > 0 else { throw .order("\(member) has nobody to ask for images") }
            home.csp(at: now) { _, _, out in out.send(.queryNextImage, to: UInt16(index)) }
            return "\(member) in '\(name)' asks its hub for an image"
        case .updateHub(let name, let id, let byMessage):
            let home = try find(name)
            guard let entry = manifest.entry(id) else {
                throw .order("the manifest has no image '\(id)'")
            }
            guard entry.deviceType == .communicationsHub else {
                throw .order(
                    "'\(id)' is an image for \(entry.deviceType.withArticle), not for a hub")
            }
            let image: RunImage
            do {
                image = try manifest.runImage(for: entry)
            } catch {
                throw .order("\(error)")
            }
            home.csp(at: now) { end, now, out in
                end.updateHub(image, byMessage: byMessage, at: now, into: &out)
            }
            return "the hub of '\(name)' is sent '\(id)', and is to run it once it has it"
        case .pass(let time):
            guard time > .zero else { throw .order("no time passes in \(time.inSeconds) s") }
            pass(time)
            return "\(time.inSeconds) s pass"
        case .pace: return ""
        }
    }

    private func find(_ name: String) throws(HeadEndError) -> LiveHome {
        guard let home = homes.first(where: { $0.home.name == name }) else {
            throw .order(
                "there is no home '\(name)'; there are: "
                    + homes.map(\.home.name).joined(separator: ", "))
        }
        return home
    }

    private func find(
        _ member: String, in name: String
    ) throws(HeadEndError) -> (LiveHome, Int) {
        let home = try find(name)
        guard let index = home.index(of: member) else {
            throw .order(
                "'\(name)' has no member '\(member)'; it has: "
                    + home.cast.roster.members.dropLast().map(\.name).joined(separator: ", "))
        }
        return (home, index)
    }

    func inventory(of id: EUI64) -> InventoryDevice? { dcc.inventory(of: id) }
    var inventory: [InventoryDevice] { dcc.inventory }

    // MARK: - What the DCC puts out

    private func carryOut(_ out: DCCOutbox) {
        for item in out.items {
            switch item {
            case .notice(let notice): output.notices.append(notice)
            case .track(let record): output.tracks.append(record)
            case .save(let record): output.records.append(.save(record))
            case .remove(let key): output.records.append(.remove(key))
            case .saveImage(let key, let bytes):
                output.images.append((key, bytes))
                lastImage = (key, bytes)
            case .removeImage(let key):
                output.removedImages.append(key)
                if lastImage?.key == key { lastImage = nil }
            case .message(let hub, let device, let bytes):
                guard let index = homeOfHub[hub] else { continue }
                // To a hub that has too much waiting it is lost: its sender misses the answer.
                homes[index].csp(at: now) { end, _, _ in end.send(bytes, to: device) }
            case .deliver(let delivery): deliver(delivery)
            case .abandon(let delivery, let hub):
                guard let index = homeOfHub[hub] else { continue }
                homes[index].csp(at: now) { end, _, _ in end.abandon(delivery) }
            }
        }
        settle()
    }

    private func deliver(_ delivery: ImageDelivery) {
        guard let index = homeOfHub[delivery.hub] else {
            undelivered.append((delivery.hub, .unreachable(delivery: delivery.number)))
            return
        }
        guard let image = image(delivery.image) else {
            undelivered.append(
                (
                    delivery.hub,
                    .refused(delivery: delivery.number, reason: "its image is lost")
                ))
            return
        }
        homes[index].csp(at: now) { end, now, _ in
            end.deliver(
                delivery.number, to: delivery.targets, image: image,
                installableFrom: delivery.installableFrom, at: now)
        }
        // A hub without power is known not to be reached at once.
        served.append(index)
    }

    /// Tells the DCC what has come at once of what it has put out. That may have it put out more,
    /// which is done one after another: a region's deliveries may all fail in a row.
    private func settle() {
        guard !isSettling else { return }
        isSettling = true
        defer { isSettling = false }
        while !undelivered.isEmpty || !served.isEmpty {
            let (messages, indices) = (undelivered, served)
            (undelivered, served) = ([], [])
            for (hub, message) in messages {
                ask { dcc, now, out in dcc.receive(message, from: hub, at: now, into: &out) }
            }
            for index in indices { drain(index) }
        }
    }

    private func image(_ key: ImageKey) -> [UInt8]? {
        if let lastImage, lastImage.key == key { return lastImage.bytes }
        let bytes =
            output.images.last { $0.key == key }?.bytes ?? (try? findImage(key)).flatMap(\.self)
        if let bytes { lastImage = (key, bytes) }
        return bytes
    }
}
