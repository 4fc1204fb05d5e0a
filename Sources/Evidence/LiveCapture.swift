import Glibc
import Radio
import Wire

/// A capture that somebody reads while it is written: each frame is handed on as soon as it is
/// there.
public final class LiveCapture {
    private let trouble = FirstError()
    private let file: OutputFile
    private var writer: PcapngWriter
    /// Which home each member is of, where one air carries several: a hub is its home's first.
    private let homes: [Int]
    /// The number of the last frame of each home; frames are numbered within one.
    private var last: [UInt64?]
    public private(set) var frames: UInt64 = 0
    /// Frames that were on the air, after the first one seen here, and did not come here.
    public private(set) var missed: UInt64 = 0

    /// Starts a capture in a descriptor that is open for writing, which it takes over. `path` is
    /// what it is called in messages.
    public init(descriptor: Int32, path: String, start: UTCTime, roster: Roster) {
        var count = 0
        homes = roster.members.map { member in
            if member.role == "CH" { count += 1 }
            return max(0, count - 1)
        }
        last = Array(repeating: nil, count: max(1, count))
        file = OutputFile(descriptor: descriptor, path: path, reportingTo: trouble)
        writer = PcapngWriter(to: file, start: start, roster: roster)
        file.flush()
    }

    /// Takes a frame; the numbers of those before it that were missed, if any were.
    @discardableResult
    public func add(_ frame: borrowing FrameRecord) -> ClosedRange<UInt64>? {
        var gap: ClosedRange<UInt64>?
        let home = home(of: frame.sender)
        if let last = last[home], frame.number > last, frame.number - last > 1 {
            gap = (last + 1)...(frame.number - 1)
            missed &+= frame.number - 1 - last
        }
        last[home] = max(last[home] ?? 0, frame.number)
        frames += 1
        var frame = copy frame
        frame.number = numbered(frame.number, in: home)
        writer.add(frame)
        file.flush()
        return gap
    }

    /// Takes an event: why somebody dropped a frame, or only what time it is.
    public func note(_ event: EventRecord) {
        writer.advance(to: event.time)
        if event.kind == .dropped {
            // Fields: reason, from, frame.
            writer.drop(
                frame: numbered(event.values[2], in: home(of: event.node)), by: event.node,
                reason: event.values[0])
        }
        file.flush()
    }

    /// What no home's member has sent, such as a frame that was injected, is the first one's.
    private func home(of member: UInt16) -> Int {
        Int(member) < homes.count ? homes[Int(member)] : 0
    }

    /// A number that no other home's frame has: it only ties a frame to its comments.
    private func numbered(_ number: UInt64, in home: Int) -> UInt64 {
        number &* UInt64(last.count) &+ UInt64(home)
    }

    /// Writes what was held back in case somebody still drops it.
    public func settle() {
        writer.finish()
        file.flush()
    }

    /// Writes the rest and closes the file.
    public func finish() {
        writer.finish()
        file.close()
    }

    /// The first thing that went wrong; nothing more is written then.
    public var error: EvidenceError? { trouble.error }
}
