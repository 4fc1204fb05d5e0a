import DCC
import Lab
import Tracking
import Wire

/// How a head end is, at one moment.
public struct HeadEndStatus: Hashable, Sendable {
    public struct Home: Hashable, Sendable {
        public var name: String
        public var title: String
        /// The hub as the inventory has it.
        public var hub: EUI64
        public var region: String
        public var members: [Member]
    }

    public struct Member: Hashable, Sendable {
        public var name: String
        /// `CH`, `ESME`
        public var role: String
        public var eui64: EUI64
        /// What it runs.
        public var firmware: UInt32
        /// The version of an image that it has whole and has found good, and does not run yet.
        public var held: UInt32?
        /// `off`, `starting` or `running`
        public var power: String
        public var isInNetwork: Bool
    }

    /// Virtual.
    public var time: UTCTime
    public var pace: Pace
    /// Something is under way.
    public var isBusy: Bool
    /// At virtual pace nothing is under way, and time stands still.
    public var isResting: Bool
    /// The machine does not keep up with the pace.
    public var isLate: Bool
    /// Why nothing is done for now.
    public var trouble: String?
    /// Commands that wait.
    public var waiting: Int
    public var homes: [Home]
}

/// What a head end tells those who watch it.
public enum HeadEndUpdate: Sendable {
    case tracking(TrackingRecord)
    /// A notice has been stored and can be sent.
    case notice(StoredNotice)
    /// Trouble has come or gone, the pace has changed, or a second has passed in which time did.
    case status(HeadEndStatus)
    /// A step in a device's life, by the names of its home and of itself.
    case event(home: String, member: String, EventRecord, at: UTCTime)
    /// What has become of a hub's own update, for people.
    case hubUpdate(home: String, String)
    /// So many updates came too fast for this watcher and are not told.
    case lost(Int)
}

/// Those who watch. Each has a bounded buffer, of which the oldest goes.
final class Watchers: @unchecked Sendable {
    private struct Watcher {
        var continuation: AsyncStream<HeadEndUpdate>.Continuation
        var lost = 0
    }

    private let lock = Lock()
    private var watchers: [Int: Watcher] = [:]
    private var next = 0
    static let bufferSize = 1_024

    var isEmpty: Bool { lock.with { watchers.isEmpty } }

    func add() -> AsyncStream<HeadEndUpdate> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: HeadEndUpdate.self, bufferingPolicy: .bufferingNewest(Self.bufferSize))
        let id = lock.with {
            next += 1
            watchers[next] = Watcher(continuation: continuation)
            return next
        }
        continuation.onTermination = { [weak self] _ in
            guard let self else { return }
            lock.with { self.watchers[id] = nil }
        }
        return stream
    }

    func tell(_ updates: [HeadEndUpdate]) {
        guard !updates.isEmpty else { return }
        // Not under the lock: a stream that ends takes it.
        let all = lock.with { watchers }
        for (id, watcher) in all {
            var lost = watcher.lost
            for update in updates {
                if lost > 0 {
                    if case .dropped = watcher.continuation.yield(.lost(lost)) {
                        lost += 1
                    } else {
                        lost = 0
                    }
                }
                if case .dropped(let old) = watcher.continuation.yield(update) {
                    if case .lost(let count) = old { lost += count } else { lost += 1 }
                }
            }
            lock.with { watchers[id]?.lost = lost }
        }
    }

    func end() {
        let all = lock.with { watchers }
        for watcher in all.values { watcher.continuation.finish() }
    }
}
