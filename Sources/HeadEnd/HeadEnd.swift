import AirBus
import DCC
import Glibc
import Lab
import Tracking
import Wire

/// The world behind the DCC's gateway: the DCC and its homes, on a thread of their own, with their
/// time, their store and whoever asks them something.
///
/// One turn: it does what it was asked to, lets virtual time pass, and writes all that has come of
/// it in one transaction; only then do answers and notices leave. A store that cannot be written
/// stops the world, and nothing leaves, until it can.
public final class HeadEnd: @unchecked Sendable {
    public let plan: HeadEndPlan
    /// Homes that the store has and the plan has not, in order. Nothing happens in them, and what
    /// the store has of them stays as it is.
    public let absentHomes: [String]
    private let store: any HeadEndStore
    private let makeNotice: @Sendable (ServiceResponse) throws -> [UInt8]
    private let queue: BoundedQueue<Command>
    private let watchers = Watchers()
    private var thread: OwnThread?
    private let lifecycle = Lock()

    // What follows is the thread's own.
    private let world: World
    private var pace: Pace
    /// What the pace counts from.
    private var anchor: (wall: Double, virtual: Instant) = (0, .zero)
    private var isLate = false
    private var trouble: String?
    private var committed: (wall: Double, clock: UTCTime?) = (0, nil)
    private var statusTold = 0.0
    private var isWatched = false
    /// Answers that wait for the commit of what they say.
    private var answers: [Answer] = []

    private enum Command: Sendable {
        case request(
            ServiceRequest, WebService, UnheardAnswers.Key,
            CheckedContinuation<ServiceResponse, any Error>)
        case acknowledge(NoticeReceipt, CheckedContinuation<Void, any Error>)
        case perform(HeadEndOrder, CheckedContinuation<String, any Error>)
        case status(CheckedContinuation<HeadEndStatus, any Error>)
        case inventory(EUI64, CheckedContinuation<InventoryDevice?, any Error>)
    }

    private struct Answer {
        /// nil for an answer that only waits for its turn.
        var give: (HeadEndError?) -> Void
        var since: Double
        /// The request that it answers.
        var request: UnheardAnswers.Key?
    }

    /// The clock is stored at least so often while nothing else has changed, in seconds.
    private static let clockInterval = 1.0
    /// How far behind its pace the world may be, in seconds of wall time, before the pace counts
    /// anew from there.
    private static let lag = 1.0
    /// Between two attempts to write a store that could not be written.
    private static let retryInterval = 0.5

    /// Reads what is stored and begins again with it. `notices` makes the bytes that a service user
    /// is sent; it is called once for each notice. Throws if anything is under way for devices of a
    /// home that the store has and the plan has not: nobody would answer, and it would be given up.
    public init(
        _ plan: HeadEndPlan, store: some HeadEndStore,
        notices: @escaping @Sendable (ServiceResponse) throws -> [UInt8]
    ) throws {
        self.plan = plan
        self.store = store
        makeNotice = notices
        queue = BoundedQueue(limit: plan.queueLimit)
        pace = plan.pace
        let stored = try store.load()
        let absent = AbsentHomes(stored, plan)
        guard absent.requests.isEmpty else {
            throw HeadEndError.absent(homes: absent.names, requests: absent.requests.count)
        }
        absentHomes = absent.names
        world = try World(plan, stored: stored) { try store.image($0) }
    }

    // MARK: - Life

    public func start() {
        lifecycle.with {
            guard thread == nil else { return }
            queue.open()
            let thread = OwnThread { self.run() }
            if thread.start() { self.thread = thread } else { queue.close() }
        }
    }

    /// Does what waits, writes everything and ends; returns when that is done. A store that cannot
    /// be written then keeps what it had.
    public func stop() {
        let thread = lifecycle.with {
            defer { self.thread = nil }
            return self.thread
        }
        queue.close()
        thread?.join()
        if thread != nil { watchers.end() }
    }

    // MARK: - Asking

    /// Returns after what it says is stored. A request that comes again because nobody heard its
    /// answer, byte for byte the same, gets that answer.
    public func submit(
        _ request: ServiceRequest, over service: WebService
    ) async throws -> ServiceResponse {
        let key = UnheardAnswers.Key(id: request.id, digest: request.digest(over: service))
        return try await withCheckedThrowingContinuation { continuation in
            put(.request(request, service, key, continuation)) {
                continuation.resume(throwing: $0)
            }
        }
    }

    /// A service user has received a notice. Returns once it is stored, in one step, that the user
    /// has it and what the tracking says of that; to say so again changes nothing. If it throws,
    /// the user has it all the same, and either it is said again, or the notice is sent again, with
    /// the same bytes, by whoever finds it in the store.
    public func acknowledge(_ receipt: NoticeReceipt) async throws {
        try await withCheckedThrowingContinuation { continuation in
            put(.acknowledge(receipt, continuation)) { continuation.resume(throwing: $0) }
        }
    }

    public func status() async throws -> HeadEndStatus {
        try await withCheckedThrowingContinuation { continuation in
            put(.status(continuation)) { continuation.resume(throwing: $0) }
        }
    }

    /// What the inventory has of a device now.
    public func inventory(of id: EUI64) async throws -> InventoryDevice? {
        try await withCheckedThrowingContinuation { continuation in
            put(.inventory(id, continuation)) { continuation.resume(throwing: $0) }
        }
    }

    /// Says what it has done or begun; what comes of it is told later.
    public func perform(_ order: HeadEndOrder) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            put(.perform(order, continuation)) { continuation.resume(throwing: $0) }
        }
    }

    /// What happens from now on, until the head end stops or nobody listens.
    public func updates() -> AsyncStream<HeadEndUpdate> { watchers.add() }

    private func put(_ command: Command, _ refuse: (HeadEndError) -> Void) {
        switch queue.put(command) {
        case .taken: break
        case .full: refuse(.busy(limit: plan.queueLimit))
        case .closed: refuse(.stopped)
        }
    }

    // MARK: - The thread

    private func run() {
        anchor = (WallClock.seconds(), world.now)
        committed.wall = anchor.wall
        while true {
            let (commands, isClosed) = queue.take()
            for command in commands { carryOut(command) }
            watch()
            letTimePass()
            let now = WallClock.seconds()
            let isDirty = world.homes.contains { $0.simulation.hasFlashChanges }
            let mustCommit =
                isClosed || !answers.isEmpty || !world.output.notices.isEmpty
                || world.output.isLarge
                || (isDirty || !world.output.isEmpty)
                    && now - committed.wall >= plan.commitInterval
                || world.clock != committed.clock && now - committed.wall >= Self.clockInterval
            if mustCommit { commit(at: now) }
            tellStatus(at: now)
            if isClosed, queue.count == 0 {
                // That answers have been given.
                if !world.output.isEmpty { commit(at: now) }
                return
            }
            queue.wait(until: nextLook(isDirty: isDirty || !world.output.isEmpty))
        }
    }

    private func carryOut(_ command: Command) {
        let now = WallClock.seconds()
        switch command {
        case .request(let request, let service, let key, let continuation):
            let response = world.submit(request, over: service, key: key, wall: Self.date())
            answers.append(
                Answer(
                    give: {
                        if let error = $0 {
                            continuation.resume(throwing: error)
                        } else {
                            continuation.resume(returning: response)
                        }
                    }, since: now, request: key))
        case .acknowledge(let receipt, let continuation):
            world.acknowledge(receipt)
            answers.append(
                Answer(
                    give: {
                        if let error = $0 {
                            continuation.resume(throwing: error)
                        } else {
                            continuation.resume()
                        }
                    }, since: now))
        case .status(let continuation): continuation.resume(returning: status)
        case .inventory(let id, let continuation):
            continuation.resume(returning: world.inventory(of: id))
        case .perform(let order, let continuation):
            do {
                let words: String
                if case .pace(let pace) = order {
                    words = try change(to: pace)
                } else {
                    words = try world.perform(order)
                }
                answers.append(
                    Answer(
                        give: {
                            if let error = $0 {
                                continuation.resume(throwing: error)
                            } else {
                                continuation.resume(returning: words)
                            }
                        }, since: now))
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }

    private func change(to pace: Pace) throws(HeadEndError) -> String {
        if case .times(let factor) = pace, !Pace.factors.contains(factor) {
            throw .order(
                "a pace is \(Pace.factors.lowerBound) to \(Pace.factors.upperBound) times as fast "
                    + "as the clock, found \(factor)")
        }
        self.pace = pace
        anchor = (WallClock.seconds(), world.now)
        isLate = false
        statusTold = 0
        return "the pace is \(pace)"
    }

    // MARK: - Time

    /// Runs the world up to where its pace has it now, for a slice of wall time at most.
    private func letTimePass() {
        let began = WallClock.seconds()
        let limit: Instant?
        if let factor = pace.factor {
            limit = target(at: began, factor)
        } else {
            guard world.isBusy else { return }
            limit = nil
        }
        world.run(until: limit) { WallClock.seconds() - began >= plan.turnLength }
        guard let factor = pace.factor, let limit else { return }
        let behind = (limit - world.now).inSeconds / factor
        isLate = behind > plan.turnLength * 4
        if behind > Self.lag { anchor = (WallClock.seconds(), world.now) }
    }

    private func target(at wall: Double, _ factor: Double) -> Instant {
        let passed = max(0, wall - anchor.wall) * factor * 1e6
        // Beyond that there is no date any more.
        return anchor.virtual + .microseconds(Int64(min(passed, 4e15)))
    }

    /// Until when there is nothing to do, by the monotonic clock.
    private func nextLook(isDirty: Bool) -> Double {
        let now = WallClock.seconds()
        var next = committed.wall + (isDirty ? plan.commitInterval : Self.clockInterval)
        if let factor = pace.factor {
            let due = world.nextTime
            if due < .distantFuture {
                let wall = anchor.wall + (due - anchor.virtual).inSeconds / factor
                // What is due at once is done together: to wake for each frame costs more.
                next = min(next, max(wall, now + (wall <= now ? 0 : plan.turnLength)))
            }
        } else if world.isBusy {
            return now
        } else if !isDirty, world.clock == committed.clock {
            // Nothing changes by itself.
            next = now + 60
        }
        return max(next, now)
    }

    // MARK: - The store

    private static func date() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Writes what has come of this turn, and lets leave what waits for that. While it cannot be
    /// written the world stands still, and whoever asks is told so.
    private func commit(at now: Double) {
        var change: StoreChange?
        var notices: [StoredNotice] = []
        while true {
            do {
                if change == nil { (change, notices) = try makeChange() }
                if let change { try store.commit(change) }
                break
            } catch {
                set(trouble: "\(error)")
            }
            guard endure() else {
                // It ends with what is stored; what is not did not happen.
                for answer in answers { answer.give(.unavailable(trouble ?? "")) }
                answers = []
                world.output = World.Output()
                return
            }
        }
        if trouble != nil {
            set(trouble: nil)
            anchor = (WallClock.seconds(), world.now)
        }
        committed = (WallClock.seconds(), world.clock)
        let output = world.output
        world.output = World.Output()
        for answer in answers {
            answer.give(nil)
            if let request = answer.request { world.heard(request) }
        }
        answers = []
        guard isWatched else { return }
        let tracks = output.receipts.flatMap(\.tracks) + output.tracks
        watchers.tell(tracks.map { .tracking($0) } + output.events + notices.map { .notice($0) })
    }

    private func makeChange() throws -> (StoreChange, [StoredNotice]) {
        let output = world.output
        let wall = Self.date()
        var change = StoreChange(wall: wall)
        change.records = output.records
        change.images = output.images
        change.removedImages = output.removedImages
        change.submitted = output.submitted
        change.targets = output.targets
        change.receipts = output.receipts
        change.tracks = output.tracks
        change.notices = try output.notices.map { notice in
            StoredNotice(
                number: notice.number, user: notice.user, bytes: try makeNotice(notice.response),
                summary: notice.summary, request: notice.request, device: notice.device,
                time: notice.response.time, wall: wall)
        }
        // From here on nothing fails: pages are handed out once.
        for home in world.homes { change.flash += home.takeChanges() }
        // After a restart no counter that follows the clock comes twice.
        change.clock = world.clock.advanced(by: .seconds(1))
        return (change, change.notices)
    }

    /// Waits a little for the store, while those who ask are told that nothing is done. False if it
    /// is not worth while any more: the head end is to stop.
    private func endure() -> Bool {
        let until = WallClock.seconds() + Self.retryInterval
        while true {
            queue.wait(until: until)
            let (commands, isClosed) = queue.take()
            for command in commands { refuse(command) }
            if isClosed { return false }
            let now = WallClock.seconds()
            answers.removeAll { answer in
                guard now - answer.since > plan.answerWait else { return false }
                // It is done as soon as the store can be written; who sends it again hears of that.
                answer.give(.unavailable(trouble ?? ""))
                return true
            }
            if now >= until { return true }
        }
    }

    private func refuse(_ command: Command) {
        let error = HeadEndError.unavailable(trouble ?? "")
        switch command {
        case .request(_, _, _, let continuation): continuation.resume(throwing: error)
        case .perform(_, let continuation): continuation.resume(throwing: error)
        case .acknowledge(_, let continuation): continuation.resume(throwing: error)
        case .status(let continuation): continuation.resume(returning: status)
        case .inventory(let id, let continuation):
            continuation.resume(returning: world.inventory(of: id))
        }
    }

    private func set(trouble words: String?) {
        guard trouble != words else { return }
        trouble = words
        if !watchers.isEmpty { watchers.tell([.status(status)]) }
    }

    // MARK: - Telling

    private var status: HeadEndStatus {
        HeadEndStatus(
            time: world.clock, pace: pace, isBusy: world.isUnderway,
            isResting: pace == .virtual && !world.isBusy, isLate: isLate, trouble: trouble,
            waiting: queue.count, homes: world.homes.map(\.status))
    }

    /// Homes only tell of their events while somebody watches.
    private func watch() {
        let isWatched = !watchers.isEmpty
        guard isWatched != self.isWatched else { return }
        self.isWatched = isWatched
        for home in world.homes { home.setWatched(isWatched) }
    }

    private func tellStatus(at now: Double) {
        guard isWatched, now - statusTold >= 1 else { return }
        statusTold = now
        watchers.tell([.status(status)])
    }
}
