import Glibc
import Radio
import Wire

/// A capture that somebody reads while it is written: each frame is handed on as soon as it is
/// there.
public final class LiveCapture {
    private let trouble = FirstError()
    private let file: OutputFile
    private var writer: PcapngWriter
    /// The number of the frame before.
    private var last: UInt64?
    public private(set) var frames: UInt64 = 0
    /// Frames that were on the air, after the first one seen here, and did not come here.
    public private(set) var missed: UInt64 = 0

    /// Starts a capture in a descriptor that is open for writing, which it takes over. `path` is
    /// what it is called in messages.
    public init(descriptor: Int32, path: String, start: UTCTime, roster: Roster) {
        file = OutputFile(descriptor: descriptor, path: path, reportingTo: trouble)
        writer = PcapngWriter(to: file, start: start, roster: roster)
        file.flush()
    }

    /// Takes a frame; the numbers of those before it that were missed, if any were.
    @discardableResult
    public func add(_ frame: borrowing FrameRecord) -> ClosedRange<UInt64>? {
        var gap: ClosedRange<UInt64>?
        if let last, frame.number > last + 1 {
            gap = (last + 1)...(frame.number - 1)
            missed += frame.number - 1 - last
        }
        last = max(last ?? 0, frame.number)
        frames += 1
        writer.add(frame)
        file.flush()
        return gap
    }

    /// Takes an event: why somebody dropped a frame, or only what time it is.
    public func note(_ event: EventRecord) {
        writer.advance(to: event.time)
        if event.kind == .dropped {
            // Fields: reason, from, frame.
            writer.drop(frame: event.values[2], by: event.node, reason: event.values[0])
        }
        file.flush()
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
