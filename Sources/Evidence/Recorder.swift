import Radio
import Wire

/// Counts what happens in a run and, given a folder, writes `trace.pcapng` and `events.jsonl` as
/// it happens.
///
/// Memory is bounded however long the run is. Recording never fails: the first I/O error is kept
/// for `finish()`, and what cannot be written is discarded.
public final class Recorder: EvidenceSink {
    public let roster: Roster
    public private(set) var frames: UInt64 = 0
    public private(set) var events: UInt64 = 0
    private var framesBySender: [UInt64]
    private var dropsByReason = [UInt64](repeating: 0, count: 256)
    private var capture: PcapngWriter?
    private var eventLog: EventWriter?
    private let trace: OutputFile?
    private let log: OutputFile?
    private let trouble: FirstError
    /// The first thing that went wrong so far; what came after it is not in that file.
    public var error: EvidenceError? { trouble.error }

    /// - Parameters:
    ///   - start: the scenario's start date, at virtual time 0.
    ///   - steps: titles of the scenario's steps, in order.
    ///   - folder: where the files go; nil to count only.
    ///   - useCases: names a GBCS message's use case by its message code.
    ///   - read: takes a GBCS message apart.
    public convenience init(
        roster: Roster, start: UTCTime, steps: [String], folder: OutputFolder?,
        useCases: (UInt16) -> String? = { _ in nil },
        read: @escaping MessageAccount.Reading = { _ in nil }
    ) throws(EvidenceError) {
        let trouble = FirstError()
        var trace: OutputFile?
        var log: OutputFile?
        if let folder {
            trace = try OutputFile(creating: folder.path(of: .trace), reportingTo: trouble)
            log = try OutputFile(creating: folder.path(of: .events), reportingTo: trouble)
        }
        self.init(
            roster: roster, start: start, steps: steps, trace: trace, log: log,
            trouble: trouble, useCases: useCases, read: read)
    }

    /// Writes to files that are already open and report to `trouble`.
    package init(
        roster: Roster, start: UTCTime, steps: [String], trace: OutputFile?, log: OutputFile?,
        trouble: FirstError, useCases: (UInt16) -> String? = { _ in nil },
        read: @escaping MessageAccount.Reading = { _ in nil }
    ) {
        self.roster = roster
        self.trace = trace
        self.log = log
        self.trouble = trouble
        framesBySender = [UInt64](repeating: 0, count: roster.members.count)
        capture = trace.map { PcapngWriter(to: $0, start: start, roster: roster) }
        eventLog = log.map {
            EventWriter(
                to: $0, roster: roster, steps: steps, useCases: useCases, read: read)
        }
    }

    public func record(frame: borrowing FrameRecord) {
        frames += 1
        let sender = Int(frame.sender)
        if sender < framesBySender.count { framesBySender[sender] += 1 }
        capture?.add(frame)
    }

    public func record(event: EventRecord) {
        events += 1
        capture?.advance(to: event.time)
        if event.kind == .dropped {
            // Fields: reason, from, frame.
            dropsByReason[Int(UInt8(truncatingIfNeeded: event.values[0]))] += 1
            capture?.drop(frame: event.values[2], by: event.node, reason: event.values[0])
        }
        eventLog?.write(event)
    }

    public func record(message: MessageRecord) {
        events += 1
        eventLog?.write(message)
    }

    /// Frames that one member of the roster has sent.
    public func frames(sentBy node: UInt16) -> UInt64 {
        node < framesBySender.count ? framesBySender[Int(node)] : 0
    }

    /// How often anybody dropped something for this reason.
    public func drops(for reason: DropReason) -> UInt64 { dropsByReason[Int(reason.rawValue)] }

    /// Drops whose frame had been written to the capture already, so that it has no comment of
    /// them; `events.jsonl` has them all.
    public var dropsWithoutComment: UInt64 { capture?.lateDrops ?? 0 }

    /// Hands on to the system what is in the files' buffers.
    public func flush() {
        trace?.flush()
        log?.flush()
    }

    /// Writes what is still held and closes the files. Throws the first thing that went wrong
    /// since the start; what was recorded after it is not in that file.
    public func finish() throws(EvidenceError) {
        capture?.finish()
        trace?.close()
        log?.close()
        if let error = trouble.error { throw error }
    }
}
