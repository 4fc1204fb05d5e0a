import Evidence
import GBCS
import Lab
import Wire

/// What a run's events say of each member, in words: where it stands now, and which of the events
/// are worth a line of their own.
struct ProgressState {
    struct Row {
        var name: String
        /// What it runs; nil before it has been switched on.
        var firmware: UInt32?
        var words = "is off"
        var tone = Tone.quiet
        /// Bytes of the current image that have arrived.
        var offset: UInt64 = 0
        /// Bytes it has; 0 without one.
        var size: UInt64 = 0
        /// It has put a new image into use and is not fetching another.
        var isUpdated = false
        /// It goes off and on by itself.
        var isRestarting = false
        /// The hub has said that it is not in its device log, which the device itself cannot know.
        var isNotLogged = false
        /// The last milestone of the current step: the same again says nothing new.
        var told = ""
    }

    /// One for each member with a radio, in the roster's order.
    private(set) var rows: [Row]
    private(set) var now = Instant.zero
    private(set) var step = 0
    let stepTitles: [String]
    /// For whom the images are, in the order in which they are sent.
    private let deliveries: [[String]]
    private let names: [UInt64: String]

    init(roster: Roster, scenario: Scenario? = nil) {
        let nodes = roster.members.filter { $0.eui64 != nil }
        rows = nodes.map { Row(name: $0.name) }
        names = Dictionary(
            nodes.compactMap { node in node.eui64.map { ($0.rawValue, node.name) } },
            uniquingKeysWith: { first, _ in first })
        stepTitles = scenario?.steps.map(\.title) ?? []
        deliveries = (scenario?.steps ?? []).compactMap { step in
            switch step.action {
            case .deliver(_, let targets): targets
            case .updateHub: []
            default: nil
            }
        }
    }

    /// What any member goes on doing, of no interest once it runs its new firmware.
    private static func isRoutine(_ kind: EventKind) -> Bool {
        switch kind {
        case .joined, .rejoined, .networkResumed, .otaServerFound, .otaQueried, .otaNotOffered,
            .versionRead:
            true
        default: false
        }
    }

    /// A line for people about something that matters.
    struct Milestone {
        var name: String
        var words: String
        var tone: Tone
    }

    /// Takes an event in; a milestone if it is one.
    mutating func take(_ event: EventRecord) -> Milestone? {
        now = event.time
        let node = Int(event.node)
        guard rows.indices.contains(node) else {
            if event.kind == .stepStarted {
                step = Int(event.values[0])
                for index in rows.indices { rows[index].told = "" }
            }
            return dccMilestone(event)
        }
        guard let change = change(event, node) else { return nil }
        if rows[node].isUpdated, Self.isRoutine(event.kind) {
            rows[node].words = "runs its new firmware"
            rows[node].tone = .good
        } else {
            rows[node].words = change.words
            rows[node].tone = change.tone
        }
        guard change.isMilestone, change.words != rows[node].told else { return nil }
        rows[node].told = change.words
        return Milestone(name: rows[node].name, words: change.words, tone: change.tone)
    }

    /// What the DCC does, which is no member.
    private func dccMilestone(_ event: EventRecord) -> Milestone? {
        let values = event.values
        switch event.kind {
        case .requestAnswered:
            let (variant, code) = (EventKind.text(of: values[0]), EventKind.text(of: values[1]))
            return Milestone(
                name: "DCC", words: "answers \(variant) with \(code)",
                tone: code.hasPrefix("I") ? .plain : .warning)
        case .noticeSent:
            let about = names[values[3]].map { " about \($0)" } ?? ""
            return Milestone(
                name: "DCC", words: "tells a service user \(EventKind.text(of: values[1]))\(about)",
                tone: .plain)
        default: return nil
        }
    }

    private struct Change {
        var words: String
        var tone: Tone
        var isMilestone: Bool

        init(_ words: String, _ tone: Tone = .plain, isMilestone: Bool = true) {
            self.words = words
            self.tone = tone
            self.isMilestone = isMilestone
        }

        /// Only for the member's line, not worth one of its own.
        static func passing(_ words: String, _ tone: Tone = .plain) -> Change {
            Change(words, tone, isMilestone: false)
        }
    }

    private mutating func change(_ event: EventRecord, _ node: Int) -> Change? {
        let values = event.values
        switch event.kind {
        case .poweredOn:
            rows[node].isRestarting = false
            rows[node].firmware = UInt32(truncatingIfNeeded: values[0])
            return .passing("has started")
        case .poweredOff: return rows[node].isRestarting ? nil : Change("is off", .quiet)
        case .nodeLost: return Change("is lost: \(reason(values[0]))", .bad)
        case .restarting:
            rows[node].isRestarting = true
            return .passing("restarts", .busy)
        case .outputLost:
            return Change("has lost \(values[0]) of its outputs, so the run has failed", .bad)
        case .panFormed: return Change("has formed a network on channel \(values[1])")
        case .networkResumed: return Change("is back in its network")
        case .associated: return .passing("is joining", .busy)
        case .associationRefused:
            guard let name = names[values[0]] else { return nil }
            if node == 0, RefusalReason.notInDeviceLog.rawValue == values[1],
                let device = rows.firstIndex(where: { $0.name == name })
            {
                rows[device].isNotLogged = true
            }
            return .passing("does not let \(name) in: \(reason(values[1]))", .warning)
        case .deviceLogged:
            // At its first start the hub is given the whole log.
            guard let name = names[values[0]], rows[node].firmware != nil else { return nil }
            rows.firstIndex { $0.name == name }.map { rows[$0].isNotLogged = false }
            return Change("has put \(name) in its device log")
        case .deviceNotLogged:
            return Change(
                "does not put \(names[values[0]] ?? "a device") in its device log: "
                    + reason(values[1]), .warning)
        case .joined:
            rows[node].isNotLogged = false
            return Change("has joined")
        case .rejoined: return Change("has rejoined")
        case .left:
            guard let name = names[values[0]], rows[node].name != name else {
                return Change("has left the network", .warning)
            }
            return .passing("hears that \(name) has left")
        case .joinFailed:
            // A router lets it associate, and the network key never comes.
            let isHidden =
                RefusalReason.keyNotReceived.rawValue == values[0] && rows[node].isNotLogged
            let why = isHidden ? UInt64(RefusalReason.notInDeviceLog.rawValue) : values[0]
            return Change("cannot join yet: \(reason(why))", .warning)
        case .otaServerFound: return .passing("has found the OTA server")
        case .otaClientAbsent: return Change("has no OTA client in this firmware", .warning)
        case .otaQueried: return .passing("asks for an image", .busy)
        case .otaNotOffered: return Change("has asked: nothing is offered", .warning)
        case .otaDownloadStarted, .otaDownloadResumed:
            (rows[node].offset, rows[node].size) = (values[2], values[1])
            rows[node].isUpdated = false
            let verb = event.kind == .otaDownloadStarted ? "downloads" : "goes on downloading"
            return Change("\(verb) \(version(values[0]))", .busy)
        case .otaProgress:
            (rows[node].offset, rows[node].size) = (values[0], values[1])
            return nil
        case .otaWaiting:
            let delay = Words.duration(Interval(microseconds: Int64(clamping: values[0])))
            return .passing("is told to wait \(delay)")
        case .otaVerified:
            rows[node].offset = rows[node].size
            return Change("has verified \(version(values[0]))", .good)
        case .otaRejected: return Change("rejects the image: \(reason(values[1]))", .bad)
        case .otaAwaitingActivation: return .passing("waits for the order to activate", .good)
        case .otaCountingDown:
            let delay = Interval(microseconds: Int64(clamping: values[1]))
            return .passing(
                delay == .zero ? "activates" : "activates in \(Words.duration(delay))", .good)
        case .otaGaveUp: return Change("has given up downloading", .bad)
        case .otaAborted: return Change("has aborted the download", .bad)
        case .activationRefused: return Change("does not activate: \(reason(values[0]))", .bad)
        case .activated:
            rows[node].isUpdated = true
            return Change("activates \(version(values[1]))", .good)
        case .imageArriving: return .passing("receives an image\(target(values[0]))", .busy)
        case .imageStored: return Change("holds an image\(target(values[0]))")
        case .imageDiscarded:
            return Change("drops the image\(target(values[0])): \(reason(values[1]))", .warning)
        case .messageReceived:
            let code = MessageCode(rawValue: UInt16(truncatingIfNeeded: values[0]))
            return Change("takes a command: \(words(of: code))")
        case .messageDropped:
            let dropped = DropReason(rawValue: UInt8(truncatingIfNeeded: values[0]))
            return Change("drops a message: \(dropped?.words ?? "nobody says why")", .warning)
        case .messageSent:
            guard values[1] == 3 else { return nil }
            let alert = AlertCode(rawValue: UInt16(truncatingIfNeeded: values[5]))
            return Change("reports \(alert): \(alert.words ?? "unknown")")
        case .versionRead:
            let name = names[values[0]] ?? "a device"
            return Change("reads back \(version(values[1])) from \(name)")
        case .versionNotRead:
            let name = names[values[0]] ?? "a device"
            return Change("cannot read the version of \(name)", .warning)
        default: return nil
        }
    }

    /// As `CS06, activate firmware`.
    private func words(of code: MessageCode) -> String {
        [code.useCase ?? "\(code)", code.words].compactMap(\.self).joined(separator: ", ")
    }

    private func version(_ value: UInt64) -> String {
        Words.version(UInt32(truncatingIfNeeded: value))
    }

    private func reason(_ value: UInt64) -> String {
        (RefusalReason(rawValue: UInt8(truncatingIfNeeded: value)) ?? .none).words
    }

    /// Deliveries are numbered from 1 as the scenario makes them.
    private func target(_ delivery: UInt64) -> String {
        guard delivery >= 1, delivery <= deliveries.count else { return "" }
        let names = deliveries[Int(delivery) - 1]
        return names.isEmpty ? " of its own" : " for \(Words.list(names))"
    }
}
