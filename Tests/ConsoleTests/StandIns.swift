import Console
import DCC
import Synchronization
import TestSupport
import Tracking
import Wire

/// A gateway that answers with what it was asked, and how often it was.
final class StandInGateway: DUISGateway {
    struct State {
        var bodies: [[UInt8]] = []
        var services: [WebService] = []
        var isHeld = false
        var waiting: [CheckedContinuation<Void, Never>] = []
        var answer: GatewayAnswer?
    }

    let state = Mutex(State())

    var bodies: [[UInt8]] { state.withLock { $0.bodies } }

    func answer(_ request: [UInt8], over service: WebService) async -> GatewayAnswer {
        let fixed = state.withLock { state in
            state.bodies.append(request)
            state.services.append(service)
            return state.answer
        }
        await withCheckedContinuation { continuation in
            let isHeld = state.withLock { state in
                if state.isHeld { state.waiting.append(continuation) }
                return state.isHeld
            }
            if !isHeld { continuation.resume() }
        }
        return fixed ?? .response(Array("<answer service=\"\(service.rawValue)\"/>".utf8))
    }

    func refusal(_ situation: ResponseCodes.Situation) async -> GatewayAnswer {
        .response(Array("<refusal situation=\"\(situation.rawValue)\"/>".utf8))
    }

    /// Requests wait until `release`.
    func hold() { state.withLock { $0.isHeld = true } }

    func release() {
        let waiting = state.withLock { state in
            state.isHeld = false
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }
}

/// A store in a folder of its own.
struct Archive {
    let store: TrackingStore
    private let folder: TemporaryFolder

    init(_ changes: StoreChange...) throws {
        folder = try TemporaryFolder()
        store = try TrackingStore(path: folder.path("tracking.sqlite"))
        for change in changes { try store.commit(change) }
    }

    var tracking: StoredTracking { StoredTracking(store) }
}

/// A world with one home, which does what it is told at once.
final class StandInWorld: WorldControl {
    struct State {
        var status: WorldStatus
        var runs: [DemoRunState] = []
        var orders: [String] = []
        var followers: [AsyncStream<WorldUpdate>.Continuation] = []
    }

    let state: Mutex<State>

    init(_ status: WorldStatus = Sample.status) { state = Mutex(State(status: status)) }

    var orders: [String] { state.withLock { $0.orders } }

    func status() async -> WorldStatus { state.withLock { $0.status } }

    func images() async -> [ImageSummary] { [Sample.image] }

    func power(_ node: String, of home: String, isOn: Bool) async throws(ControlProblem) -> String {
        guard Sample.status.homes.contains(where: { $0.name == home }) else {
            throw .unknown("There is no home '\(home)'.")
        }
        state.withLock { $0.orders.append("\(home)/\(node) \(isOn ? "on" : "off")") }
        return "\(node) is \(isOn ? "on" : "off")."
    }

    func updateHub(of home: String, to image: String) async throws(ControlProblem) -> String {
        guard Sample.status.homes.contains(where: { $0.name == home }) else {
            throw .unknown("There is no home '\(home)'.")
        }
        state.withLock { $0.orders.append("\(home) \(image)") }
        return "The hub of \(home) is sent \(image)."
    }

    func setPace(_ pace: String) async throws(ControlProblem) -> String {
        guard pace == "real" || pace == "virtual" || pace.hasPrefix("x") else {
            throw .invalid("'\(pace)' is no pace.")
        }
        state.withLock { $0.status.pace = pace }
        return "Time runs \(pace)."
    }

    func startDemo() async throws(ControlProblem) -> DemoRunState {
        let run: DemoRunState? = state.withLock { state in
            guard state.runs.first?.state != .running else { return nil }
            state.orders.append("demo")
            let run = DemoRunState(
                number: state.runs.count + 1, state: .running, steps: Sample.steps,
                started: state.status.time)
            state.runs.insert(run, at: 0)
            return run
        }
        guard let run else { throw .conflict("The demo is running.") }
        return run
    }

    func runs() async -> [DemoRunState] { state.withLock { $0.runs } }

    func updates() async -> AsyncStream<WorldUpdate> {
        let (stream, continuation) = AsyncStream.makeStream(of: WorldUpdate.self)
        state.withLock { $0.followers.append(continuation) }
        return stream
    }

    func tell(_ update: WorldUpdate) {
        state.withLock { state in for follower in state.followers { follower.yield(update) } }
    }
}

/// Notices in memory, and what became of each.
final class StandInOutlet: NoticeOutlet {
    enum Mark: Hashable { case pending, kept, received }

    struct State {
        var notices: [(notice: OutgoingNotice, mark: Mark)] = []
        /// So many receipts cannot be stored.
        var failures = 0
    }

    struct Full: Error {}

    let recipients: [NoticeRecipient]
    let state = Mutex(State())

    init(_ recipients: [NoticeRecipient] = []) { self.recipients = recipients }

    func add(_ notice: OutgoingNotice, _ mark: Mark = .pending) {
        state.withLock { $0.notices.append((notice, mark)) }
    }

    func marks() -> [UInt64: Mark] {
        state.withLock { state in
            Dictionary(uniqueKeysWithValues: state.notices.map { ($0.notice.number, $0.mark) })
        }
    }

    func notice(for user: EUI64, isKept: Bool, after: UInt64) async throws -> OutgoingNotice? {
        state.withLock { state in
            state.notices.first {
                $0.notice.user == user && $0.notice.number > after
                    && $0.mark == (isKept ? .kept : .pending)
            }?.notice
        }
    }

    func fail(_ count: Int) { state.withLock { $0.failures = count } }

    func received(_ notice: OutgoingNotice, attempts: Int) async throws {
        let fails = state.withLock { state in
            defer { state.failures = max(0, state.failures - 1) }
            return state.failures > 0
        }
        if fails { throw Full() }
        mark(notice, .received, attempts)
    }

    func tried(_ notice: OutgoingNotice, attempts: Int) async throws {
        mark(notice, .pending, attempts)
    }

    func kept(_ notice: OutgoingNotice, attempts: Int) async throws {
        mark(notice, .kept, attempts)
    }

    private func mark(_ notice: OutgoingNotice, _ mark: Mark, _ attempts: Int) {
        state.withLock { state in
            guard
                let index = state.notices.firstIndex(where: {
                    $0.notice.number == notice.number
                })
            else { return }
            state.notices[index].mark = mark
            state.notices[index].notice.attempts = attempts
        }
    }
}
