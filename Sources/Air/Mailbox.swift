import Radio
import Wire

/// What waits for one node: its chip's reports of this instant, mail for later, and its wake-up.
struct Mailbox {
    /// What comes from the chip. A frame lies beside, because an enum as big as a frame is copied
    /// whole wherever it is looked at.
    private enum Report {
        case received
        case transmitted(TransmitResult)
        case energy(channel: UInt8, level: Int8)
    }

    enum Mail {
        case power(Bool)
        /// The node cuts its own power, for this long.
        case restart(Interval)
        /// The end of its restart.
        case restarted
        /// It is lost if the sender's power is cut between the two times: what was to be written
        /// first has not been written then.
        case wan(WANMessage, from: Int, sentAt: Instant, written: Instant)
        /// To itself: what it sent then leaves now, if its power was not cut meanwhile.
        case leaves(MessageRecord, sentAt: Instant)
        case order(Order)
        case observed(EventRecord)
        /// What two members hear of each other changes.
        case link(Int, Int, Link)
        /// The run ends.
        case end
    }

    /// Whose letter it is: who posts later with the same arrival comes later. Letters of one
    /// instant are in the senders' order, whichever answer came first.
    struct Postmark {
        var sentAt: Instant
        var sender: Int

        static func < (a: Postmark, b: Postmark) -> Bool {
            a.sentAt != b.sentAt ? a.sentAt < b.sentAt : a.sender < b.sender
        }
    }

    private struct Letter {
        var time: Instant
        var postmark: Postmark
        var mail: Mail
    }

    var isOn = false
    /// The time of the turn that the node has not answered yet; `distantFuture` if there is none.
    var owedSince = Instant.distantFuture
    /// When its power was last cut; `distantFuture` if it never was.
    var cutAt = Instant.distantFuture
    var wake = Instant.distantFuture
    var lastTick = Instant(microseconds: -1)
    /// Ticks in a row after which the node still asked for an instant that had come.
    var staleTicks = 0

    /// How soon a node gets its next tick at the earliest: at once, unless it has just had one
    /// and asks for the same instant again. Then twice as late each time, up to a second, so that
    /// a machine's mistake can neither stop the world nor fill it.
    mutating func soonestWake(asked: Instant, now: Instant) -> Instant {
        guard lastTick == now, asked <= now else {
            if asked > now { staleTicks = 0 }
            return now
        }
        let delay = min(1_000_000, Int64(1) << Int64(min(staleTicks, 20)))
        staleTicks += 1
        return now + .microseconds(delay)
    }
    /// When the node's end of the WAN can take its next message.
    var wanFreeAt = Instant.zero

    /// Those waiting are from `firstReport` to before `endReport`; the rest is memory.
    private var reports: ContiguousArray<Report> = []
    private var firstReport = 0
    private var endReport = 0
    /// When the first of them came.
    private(set) var reportTime = Instant.zero
    /// The frames of those that are `received`, in order; kept in the same way.
    private var receptions: ContiguousArray<Reception> = []
    private var firstReception = 0
    private var endReception = 0
    /// In order of time, then of posting, from `firstOpen` on; before it is memory.
    private var letters: ContiguousArray<Letter> = []
    private var firstOpen = 0

    /// Takes a report of the chip's at the present instant; a node that is off hears nothing.
    mutating func put(_ reception: Reception, at time: Instant) {
        guard isOn else { return }
        if endReception < receptions.count {
            receptions[endReception] = reception
        } else {
            receptions.append(reception)
        }
        endReception += 1
        put(.received, at: time)
    }

    mutating func put(_ result: TransmitResult, at time: Instant) {
        if isOn { put(.transmitted(result), at: time) }
    }

    mutating func put(energy level: Int8, on channel: UInt8, at time: Instant) {
        if isOn { put(.energy(channel: channel, level: level), at: time) }
    }

    private mutating func put(_ report: Report, at time: Instant) {
        if firstReport == endReport { reportTime = time }
        if endReport < reports.count {
            reports[endReport] = report
        } else {
            reports.append(report)
        }
        endReport += 1
    }

    mutating func put(_ mail: Mail, at time: Instant, from postmark: Postmark) {
        var index = letters.endIndex
        while index > firstOpen,
            letters[index - 1].time > time
                || letters[index - 1].time == time && postmark < letters[index - 1].postmark
        {
            index -= 1
        }
        letters.insert(Letter(time: time, postmark: postmark, mail: mail), at: index)
    }

    /// When the node is next due; never while it owes an answer.
    var due: Instant {
        guard owedSince == .distantFuture else { return .distantFuture }
        let other = min(wake, firstLetter)
        return firstReport < endReport ? min(other, reportTime) : other
    }

    /// Frames that a chip keeps for a node that does not take them. In virtual time the air waits
    /// for the node long before.
    private static let receptionLimit = 64
    /// Letters from the bench and the WAN.
    private static let letterLimit = 4_096

    var isOverrun: Bool { endReception - firstReception >= Self.receptionLimit }
    var isFull: Bool { letters.count - firstOpen >= Self.letterLimit }

    var firstLetter: Instant {
        firstOpen < letters.count ? letters[firstOpen].time : .distantFuture
    }

    /// Takes the next report; false if there is none.
    mutating func takeReport(into turn: inout Turn) -> Bool {
        guard firstReport < endReport else { return false }
        switch reports[firstReport] {
        case .received:
            turn.frame = receptions[firstReception].number
            turn.input = .received(receptions[firstReception])
            firstReception += 1
        case .transmitted(let result): turn.input = .transmitted(result)
        case .energy(let channel, let level): turn.input = .energy(channel: channel, level: level)
        }
        firstReport += 1
        if firstReport == endReport {
            forgetReports()
        } else if firstReport >= Self.receptionLimit, firstReport >= endReport / 2 {
            // Whoever is always behind leaves no more memory than what waits.
            reports.removeFirst(firstReport)
            receptions.removeFirst(firstReception)
            (firstReport, endReport) = (0, endReport - firstReport)
            (firstReception, endReception) = (0, endReception - firstReception)
        }
        return true
    }

    private mutating func forgetReports() {
        firstReport = 0
        endReport = 0
        firstReception = 0
        endReception = 0
    }

    mutating func takeMail(dueBy now: Instant) -> Mail? {
        guard firstLetter <= now, firstOpen < letters.count else { return nil }
        let mail = letters[firstOpen].mail
        firstOpen += 1
        // Those that are left move only now and then.
        if firstOpen == letters.count || firstOpen >= max(64, letters.count / 2) { forgetOpened() }
        return mail
    }

    /// What comes to the node over the WAN, in order.
    var wanMail: [WANMessage] {
        letters[firstOpen...].compactMap {
            if case .wan(let message, _, _, _) = $0.mail { message } else { nil }
        }
    }

    private mutating func forgetOpened() {
        letters.removeFirst(firstOpen)
        firstOpen = 0
    }

    /// Somebody else cuts the power: a restart that has begun does not bring it back.
    mutating func forgetRestart() {
        forgetOpened()
        letters.removeAll { letter in
            switch letter.mail {
            case .restart, .restarted: true
            case .power, .wan, .leaves, .order, .observed, .link, .end: false
            }
        }
    }

    /// Power is cut: what the chip had for the node is gone, mail still on its way is not.
    mutating func switchOff() {
        isOn = false
        wake = .distantFuture
        forgetReports()
    }
}
