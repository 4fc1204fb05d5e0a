import DCC
import Tracking
import Wire

/// A choice of a select.
struct Choice {
    var value: String
    var words: String
    var isChosen: Bool

    /// `all` behind one for any of them, which is chosen where none of them is.
    static func list(_ all: [(value: String, words: String)], chosen: String?) -> [Choice] {
        ([("", "Any")] + all).map {
            Choice(value: $0.value, words: $0.words, isChosen: $0.value == chosen ?? "")
        }
    }
}

/// A moment of virtual time.
struct Moment {
    var stamp: String
    var text: String

    init(_ time: UTCTime) {
        stamp = time.iso8601
        text = Words.time(time)
    }
}

/// How many devices stand at a status, as a link that filters by it.
struct StatusCount {
    var badge: Badge
    var count: String
    var link: String
    var isChosen: Bool
}

struct RequestItem {
    /// A piece of the bar that shows what has come of the devices.
    struct Part {
        var `class`: String
        var x: String
        var width: String
    }

    var row: String
    var id: String
    var link: String
    var user: String
    var variant: String
    var name: String
    var received: Moment
    var wall: String
    var version: String
    var manufacturer: String?
    var code: String
    var codeClass: String
    var badge: Badge
    var parts: [Part]
    /// In words, what the bar shows.
    var share: String
    /// Of how many devices its user has acknowledged what became of them.
    var reported: String?
    var changed: Moment

    init(_ request: RequestRow) {
        id = "\(request.id)"
        row = Words.key(id)
        link = ScreenPath.request(request.id)
        user = request.user.text
        variant = request.variant
        name = Words.name(of: request.variant)
        received = Moment(request.received)
        wall = Words.wall(request.receivedWall)
        version = request.fileVersion.map(Words.version) ?? request.version ?? "–"
        manufacturer = request.manufacturer
        code = request.code.rawValue
        codeClass =
            request.code.isError ? "bad" : request.code.rawValue.hasPrefix("W") ? "warn" : "good"
        badge = request.processing.badge
        (parts, share) = Self.share(of: request.counts)
        let told = request.reportedDevices
        reported = told > 0 ? "\(Words.count(told)) reported" : nil
        changed = Moment(request.updated)
    }

    private static func share(of counts: [TrackingStatus: Int]) -> ([Part], String) {
        let outcomes = counts.outcomes
        let all = outcomes.values.reduce(0, +)
        guard all > 0 else { return ([], "No device") }
        var parts: [Part] = []
        var words: [String] = []
        var x = 0.0
        for outcome in TrackingOutcome.allCases {
            guard let count = outcomes[outcome] else { continue }
            let width = Double(count) * 100 / Double(all)
            parts.append(
                Part(class: outcome.rawValue, x: Self.tenths(x), width: Self.tenths(width)))
            x += width
            words.append("\(Words.count(count)) \(outcome.words)")
        }
        return (parts, "\(words.joined(separator: ", ")) of \(Words.count(all))")
    }

    private static func tenths(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}

struct DeviceItem {
    var row: String
    var device: String
    var link: String
    var type: String
    var hub: String
    var make: String
    var firmware: String
    var badge: Badge
    /// What its status means.
    var explanation: String
    var percent: String?
    /// When its user acknowledged what became of it.
    var reported: Moment?
    var detail: String
    var changed: Moment

    init(_ device: TargetRow) {
        row = Words.key("\(device.request)-\(device.device)")
        self.device = device.device.text
        link = ScreenPath.device(device.device, of: device.request)
        type = device.type?.rawValue ?? "Not known"
        hub = device.hub?.text ?? "–"
        let make = [device.manufacturer, device.model].compactMap(\.self)
        self.make = make.isEmpty ? "–" : make.joined(separator: " ")
        firmware = Self.firmware(device)
        badge = device.status.badge
        explanation = device.status.explanation
        percent = device.status == .downloading ? device.percent.map(String.init) : nil
        reported = device.reported.map(Moment.init)
        detail = device.detail.isEmpty ? "–" : device.detail
        changed = Moment(device.updated)
    }

    private static func firmware(_ device: TargetRow) -> String {
        switch (device.fromVersion, device.toVersion) {
        case (let from?, let to?): "\(Words.version(from)) → \(Words.version(to))"
        case (let from?, nil): Words.version(from)
        case (nil, let to?): "→ \(Words.version(to))"
        case (nil, nil): "–"
        }
    }
}

/// An entry of a time line.
struct EventItem {
    /// The GBCS message that said so, taken apart.
    struct Message {
        var title: String
        var caption: String
        var fields: [Field]

        init(_ bytes: [UInt8]) {
            let explanation = MessageExplanation(of: bytes)
            (title, caption) = (explanation.title, explanation.caption)
            fields = explanation.fields.map {
                Field($0.name, $0.bytes, $0.meaning, depth: $0.depth)
            }
            if explanation.kind == nil { fields = [Field("bytes", bytes, "")] }
        }
    }

    struct Field {
        /// Longer ones are cut: a message can have 64 KiB.
        private static let maximumHex = 512

        var name: String
        var hex: String
        var meaning: String
        var depth: String

        init(_ name: String, _ bytes: [UInt8], _ meaning: String, depth: Int = 0) {
            (self.name, self.meaning) = (name, meaning)
            hex =
                Hex.string(bytes.prefix(Self.maximumHex))
                + (bytes.count > Self.maximumHex ? "…" : "")
            self.depth = String(min(depth, 3))
        }
    }

    var row: String
    var time: Moment
    var wall: String
    var badge: Badge
    var percent: String?
    var detail: String
    var explanation: String
    var notice: String?
    var message: Message?

    /// Of a download's steps that follow each other only the first and the last, and those that a
    /// message tells of.
    static func items(_ hops: [HopRow]) -> [EventItem] {
        func isStep(_ hop: HopRow) -> Bool {
            hop.status == .downloading && hop.message == nil && hop.notice == nil
        }
        return hops.indices.filter { index in
            let around = hops[max(0, index - 1)...min(hops.count - 1, index + 1)]
            return around.count < 3 || !around.allSatisfy(isStep)
        }.map { EventItem(hops[$0]) }
    }

    init(_ hop: HopRow) {
        row = String(hop.number)
        time = Moment(hop.time)
        wall = Words.wall(hop.wall)
        badge = hop.status.badge
        percent = hop.percent.map(String.init)
        detail = hop.detail
        explanation = hop.status.explanation
        notice = hop.notice.map(String.init)
        message = hop.message.map(Message.init)
    }
}

/// Where pages are.
enum ScreenPath {
    static func request(_ id: RequestID) -> String { "/requests/\(id)" }

    static func device(_ device: EUI64, of request: RequestID) -> String {
        "/requests/\(request)/devices/\(device.text)"
    }
}
