import Console
import DCC
import Synchronization
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

/// A tracking that holds its rows in arrays.
final class StandInTracking: TrackingSource {
    struct Rows: Sendable {
        var requests: [TrackedRequest] = []
        var devices: [TrackedDevice] = []
        var events: [(request: RequestID, device: EUI64?, event: TrackedEvent)] = []
        var notices: [TrackedNotice] = []
    }

    let rows: Mutex<Rows>

    init(_ rows: Rows = Rows()) { self.rows = Mutex(rows) }

    private static func page<Row>(
        _ rows: [Row], after: String?, limit: Int
    ) -> TrackedPage<Row> {
        let start = after.flatMap { Int($0) } ?? 0
        let piece = rows.dropFirst(start).prefix(limit)
        let end = start + piece.count
        return TrackedPage(rows: Array(piece), next: end < rows.count ? "\(end)" : nil)
    }

    private static func lets(_ device: TrackedDevice, _ query: TrackingQuery) -> Bool {
        (query.status == nil || query.status == device.status)
            && (query.type == nil || query.type == device.type)
            && (query.hub == nil || query.hub == device.hub)
            && (query.manufacturer == nil || query.manufacturer == device.manufacturer)
            && (query.version == nil || query.version == device.to)
            && (query.request == nil || query.request == device.request)
            && (query.device == nil || query.device == device.device)
    }

    private static func lets(_ request: TrackedRequest, _ query: TrackingQuery, _ rows: Rows)
        -> Bool
    {
        guard query.since.map({ request.received >= $0 }) ?? true else { return false }
        let isOfDevices =
            query.status != nil || query.type != nil || query.hub != nil
            || query.manufacturer != nil || query.version != nil
        return !isOfDevices
            || rows.devices.contains { $0.request == request.id && lets($0, query) }
    }

    func requests(
        _ query: TrackingQuery, after: String?, limit: Int
    ) async throws -> TrackedPage<TrackedRequest> {
        let rows = rows.withLock { $0 }
        let found = rows.requests.filter { Self.lets($0, query, rows) }
        return Self.page(
            found.sorted { $0.received > $1.received }, after: after, limit: limit)
    }

    func counts(_ query: TrackingQuery) async throws -> [TrackingStatus: Int] {
        let found = rows.withLock { $0.devices.filter { Self.lets($0, query) } }
        return Dictionary(grouping: found, by: \.status).mapValues(\.count)
    }

    func request(_ id: RequestID) async throws -> TrackedRequest? {
        rows.withLock { $0.requests.first { $0.id == id } }
    }

    func devices(
        _ query: TrackingQuery, after: String?, limit: Int
    ) async throws -> TrackedPage<TrackedDevice> {
        let found = rows.withLock { $0.devices.filter { Self.lets($0, query) } }
        return Self.page(found, after: after, limit: limit)
    }

    func timeline(
        of request: RequestID, device: EUI64?, limit: Int
    ) async throws -> TrackedPage<TrackedEvent> {
        let found = rows.withLock { rows in
            rows.events.filter {
                $0.request == request && ($0.device == nil || $0.device == device)
            }
        }
        return Self.page(found.map(\.event), after: nil, limit: limit)
    }

    func notices(after: String?, limit: Int) async throws -> TrackedPage<TrackedNotice> {
        Self.page(rows.withLock { $0.notices }, after: after, limit: limit)
    }

    func choices() async throws -> FilterChoices {
        rows.withLock { rows in
            FilterChoices(
                manufacturers: Set(rows.devices.compactMap(\.manufacturer)).sorted(),
                versions: Set(rows.devices.compactMap(\.to)).sorted())
        }
    }
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
    }

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

    func received(_ notice: OutgoingNotice, attempts: Int) async throws {
        mark(notice, .received, attempts)
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
