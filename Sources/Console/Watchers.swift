import DCC
import struct DCC.RequestID
import Foundation
import Hummingbird
import Synchronization
import Wire

/// Hands what changes in the world to everybody who follows it, each with a queue of its own whose
/// oldest are dropped where it is slow.
///
/// An event's id is the server's own mark and a number that counts: one that is missing was
/// dropped. Who comes again and says the last id that it has (`Last-Event-ID`) gets what it has
/// missed, or `dropped` where that is not known any more.
final class Watchers: Sendable {
    /// An event as it stands in the stream: its name and its data, one line of JSON.
    struct Event: Sendable {
        var name: String
        var data: String
        /// From 1 on; 0 of one that is not counted.
        var number: UInt64 = 0
    }

    private struct State {
        var last: UInt64 = 0
        /// The last ones, with numbers that follow each other.
        var recent: [Event] = []
        var next = 0
        var followers: [Int: AsyncStream<Event>.Continuation] = [:]
        var isClosed = false
    }

    static let queueLength = 256
    /// Events that are sent again to who has missed them; with one of another kind they are no more
    /// than a queue holds.
    private static let kept = queueLength - 1
    /// Between two signs of life, in seconds: what tells a connection that has gone.
    private static let heartbeat = 15

    private let maximum: Int
    /// Tells this server's events from those of one before.
    private let mark = String(UInt64.random(in: 0...UInt64(UInt32.max)), radix: 36)
    private let state = Mutex(State())

    init(_ settings: ConsoleSettings) { maximum = settings.maximumWatchers }

    func tell(_ event: Event) {
        state.withLock { state in
            state.last += 1
            var event = event
            event.number = state.last
            state.recent.append(event)
            if state.recent.count > 2 * Self.kept {
                state.recent.removeFirst(state.recent.count - Self.kept)
            }
            for continuation in state.followers.values { continuation.yield(event) }
        }
    }

    /// What somebody has missed who has had the event of this id.
    private static func missed(since id: String, mark: String, _ state: State) -> [Event] {
        let parts = id.split(separator: ".")
        guard parts.count == 2, parts[0] == mark, let number = UInt64(parts[1]),
            number <= state.last
        else { return [Event(name: "dropped", data: "{}")] }
        let count = state.last - number
        guard count <= Self.kept, count <= state.recent.count else {
            return [Event(name: "dropped", data: "{\"dropped\":\(count)}")]
        }
        return state.recent.suffix(Int(count))
    }

    /// Ends every stream; later ones end at once.
    func close() {
        let all = state.withLock { state in
            state.isClosed = true
            defer { state.followers = [:] }
            return Array(state.followers.values)
        }
        for continuation in all { continuation.finish() }
    }

    private func follow(after id: String?) throws -> (Int, AsyncStream<Event>) {
        let (stream, continuation) = AsyncStream.makeStream(
            of: Event.self, bufferingPolicy: .bufferingNewest(Self.queueLength))
        let number = try state.withLock { state throws(Problem) in
            guard !state.isClosed, state.followers.count < maximum else {
                throw full
            }
            state.next += 1
            state.followers[state.next] = continuation
            if let id {
                for event in Self.missed(since: id, mark: mark, state) { continuation.yield(event) }
            }
            return state.next
        }
        return (number, stream)
    }

    private var full: Problem {
        .busy("As many follow already as can be served.", retryAfter: 30)
    }

    private func leave(_ number: Int) {
        let continuation = state.withLock { $0.followers.removeValue(forKey: number) }
        continuation?.finish()
    }

    /// `text/event-stream`, until the client goes or the server ends; `id` is the last that it has.
    func stream(after id: String?) throws -> Response {
        guard state.withLock({ !$0.isClosed && $0.followers.count < maximum }) else { throw full }
        return Response(
            status: .ok,
            headers: [.contentType: "text/event-stream", .cacheControl: "no-store"],
            body: .init { writer in
                let (number, events) = try self.follow(after: id)
                defer { self.leave(number) }
                let beats = Task {
                    while !Task.isCancelled {
                        try await Task.sleep(for: .seconds(Self.heartbeat))
                        self.beat(number)
                    }
                }
                defer { beats.cancel() }
                try await writer.write(ByteBuffer(string: "retry: 2000\n\n"))
                for await event in events {
                    var text = event.number > 0 ? "id: \(self.mark).\(event.number)\n" : ""
                    text +=
                        event.name.isEmpty
                        ? ":\n\n" : "event: \(event.name)\ndata: \(event.data)\n\n"
                    try await writer.write(ByteBuffer(string: text))
                }
                try await writer.finish(nil)
            })
    }

    private func beat(_ number: Int) {
        let continuation = state.withLock { $0.followers[number] }
        continuation?.yield(Event(name: "", data: ""))
    }
}

extension Watchers {
    private struct Fields: Encodable {
        var request: RequestID?
        var device: EUI64?
        var status: TrackingStatus?
        var words: String?
        var percent: Int?
        var detail: String?
        var notice: UInt64?
        var user: EUI64?
        var dropped: Int?
        var time: String?
    }

    func tell(_ update: WorldUpdate) {
        var data = Fields()
        let name: String
        switch update {
        case .tracking(let request, let device, let status, let percent, let detail, let time):
            name = "tracking"
            data.request = request
            data.device = device
            data.status = status
            data.words = status.words
            data.percent = percent
            data.detail = detail
            data.time = time.iso8601
        case .notice(let number, let user):
            name = "notice"
            data.notice = number
            data.user = user
        case .world(let text):
            name = "world"
            data.detail = text
        case .dropped(let count):
            name = "dropped"
            data.dropped = count
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let json = try? encoder.encode(data) else { return }
        tell(Event(name: name, data: String(decoding: json, as: UTF8.self)))
    }
}
