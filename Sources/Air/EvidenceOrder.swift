import Radio
import Wire

/// Brings evidence into the one order of events: (time, chips before nodes, roster index, each
/// one's own sequence).
///
/// While answers are outstanding, what happens meanwhile is held; with none, everything goes
/// straight on to the sink and nothing is copied.
final class EvidenceOrder {
    /// Where in the order a step stands.
    struct Place: Comparable {
        var time: Instant
        /// Chips count first, in roster order, then the nodes.
        var slot: Int

        static func < (a: Place, b: Place) -> Bool {
            a.time != b.time ? a.time < b.time : a.slot < b.slot
        }
    }

    private enum Content {
        case frame(FrameRecord)
        case event(EventRecord)
        case message(MessageRecord)
    }

    private struct Held {
        var place: Place
        var content: Content
    }

    private let sink: EvidenceSink
    private var place = Place(time: .zero, slot: 0)
    /// In order; equal places in the order in which they came.
    private var held: ContiguousArray<Held> = []
    private var first = 0

    init(sink: EvidenceSink) { self.sink = sink }

    var holdsAny: Bool { first < held.count }

    /// What is recorded from now on belongs to this step.
    func begin(_ time: Instant, _ slot: Int) { place = Place(time: time, slot: slot) }

    func record(event: EventRecord, isInOrder: Bool) {
        if isInOrder, !holdsAny { sink.record(event: event) } else { hold(.event(event)) }
    }

    func record(frame: borrowing FrameRecord, isInOrder: Bool) {
        if isInOrder, !holdsAny { sink.record(frame: frame) } else { hold(.frame(copy frame)) }
    }

    func record(message: MessageRecord, isInOrder: Bool) {
        if isInOrder, !holdsAny { sink.record(message: message) } else { hold(.message(message)) }
    }

    func record(networkKey: Key128, at time: Instant) {
        sink.record(networkKey: networkKey, at: time)
    }

    func record(linkKey: Key128, of device: EUI64, at time: Instant) {
        sink.record(linkKey: linkKey, of: device, at: time)
    }

    private func hold(_ content: Content) {
        var index = held.endIndex
        while index > first, place < held[index - 1].place { index -= 1 }
        held.insert(Held(place: place, content: content), at: index)
    }

    /// Hands on all that stands before `bound`; everything if there is none.
    func release(before bound: Place = Place(time: .distantFuture, slot: .max)) {
        while first < held.count, held[first].place < bound {
            switch held[first].content {
            case .frame(let frame): sink.record(frame: frame)
            case .event(let event): sink.record(event: event)
            case .message(let message): sink.record(message: message)
            }
            first += 1
        }
        if first == held.count {
            held.removeAll(keepingCapacity: true)
            first = 0
        } else if first > 512 {
            held.removeFirst(first)
            first = 0
        }
    }
}
