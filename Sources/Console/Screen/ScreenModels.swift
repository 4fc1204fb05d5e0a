import DCC
import GBCS
import Wire

/// A choice of a select.
struct Choice {
    var value: String
    var words: String
    var isChosen: Bool
}

/// How many devices stand at a status, as a link that filters by it.
struct StatusCount {
    var words: String
    var mark: String
    /// Of the style sheet.
    var `class`: String
    var count: String
    var link: String
    var isChosen: Bool
}

/// Where a request stands as a whole, which follows from its answer and its devices.
struct ProcessingStatus {
    var words: String
    var mark: String
    /// Of the style sheet.
    var style: String

    init(_ request: TrackedRequest) {
        var groups: [TrackingStatus.Group: Int] = [:]
        for (status, count) in request.counts { groups[status.group, default: 0] += count }
        let all = groups.values.reduce(0, +)
        let failed = groups[.failed] ?? 0
        if request.code.isError || all > 0 && request.counts[.refused] == all {
            (words, mark, style) = ("Refused", "✕", "failed")
        } else if groups[.underWay] ?? 0 > 0 {
            (words, mark, style) = ("In progress", "●", "underWay")
        } else if all > 0, failed == all {
            (words, mark, style) = ("Failed", "✕", "failed")
        } else if failed > 0 {
            (words, mark, style) = ("Done in part", "◐", "part")
        } else {
            (words, mark, style) = ("Done", "✓", "done")
        }
    }
}

struct RequestItem {
    /// A piece of the bar that shows how the devices stand.
    struct Part {
        var `class`: String
        var x: String
        var width: String
    }

    var row: String
    var id: String
    var link: String
    var variant: String
    var name: String
    var stamp: String
    var received: String
    var version: String
    var manufacturer: String?
    var code: String
    var codeClass: String
    var status: String
    var mark: String
    var `class`: String
    var parts: [Part]
    /// In words, what the bar shows.
    var share: String
    var changed: String
    var changedStamp: String

    init(_ request: TrackedRequest) {
        row = Words.key("\(request.id)")
        id = "\(request.id)"
        link = ScreenPath.request(request.id)
        variant = request.variant
        name = Words.name(of: request.variant)
        stamp = Words.stamp(request.received)
        received = Words.time(request.received)
        version = request.version ?? "–"
        manufacturer = request.manufacturer
        code = request.code.rawValue
        codeClass = Self.style(of: request.code)
        let processing = ProcessingStatus(request)
        status = processing.words
        mark = processing.mark
        self.class = processing.style
        (parts, share) = Self.share(of: request.counts)
        changed = Words.time(request.changed)
        changedStamp = Words.stamp(request.changed)
    }

    static func style(of code: ResponseCode) -> String {
        code.isError ? "bad" : code.rawValue.hasPrefix("W") ? "warn" : "good"
    }

    static func share(of counts: [TrackingStatus: Int]) -> ([Part], String) {
        let all = counts.values.reduce(0, +)
        guard all > 0 else { return ([], "No device") }
        var parts: [Part] = []
        var words: [String] = []
        var x = 0.0
        for group in [TrackingStatus.Group.done, .underWay, .failed] {
            let count = counts.reduce(0) { $1.key.group == group ? $0 + $1.value : $0 }
            guard count > 0 else { continue }
            let width = Double(count) * 100 / Double(all)
            parts.append(Part(class: group.rawValue, x: Self.tenths(x), width: Self.tenths(width)))
            x += width
            words.append("\(Words.count(count)) \(group.words.lowercased())")
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
    var status: String
    var isReported: Bool
    var mark: String
    var `class`: String
    var percent: String?
    var detail: String
    var stamp: String
    var time: String

    init(_ device: TrackedDevice) {
        row = Words.key("\(device.request)-\(device.device)")
        self.device = device.device.text
        link = ScreenPath.device(device.device, of: device.request)
        type = device.type?.rawValue ?? "Not known"
        hub = device.hub?.text ?? "–"
        let make = [device.manufacturer, device.model].compactMap(\.self)
        self.make = make.isEmpty ? "–" : make.joined(separator: " ")
        firmware = Self.firmware(device)
        status = device.status.words
        isReported = device.isReported
        mark = device.status.group.mark
        self.class = device.status.group.rawValue
        percent = device.status == .downloading ? device.percent.map(String.init) : nil
        detail = device.detail
        stamp = Words.stamp(device.time)
        time = Words.time(device.time)
    }

    private static func firmware(_ device: TrackedDevice) -> String {
        switch (device.from, device.to) {
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
    }

    struct Field {
        var name: String
        var hex: String
        var meaning: String
        var depth: String
    }

    /// Longer ones are cut: a message can have 64 KiB.
    private static let maximumHex = 512

    var row: String
    var stamp: String
    var time: String
    var wall: String
    var status: String
    var mark: String
    var `class`: String
    var percent: String?
    var detail: String
    var explanation: String
    var notice: String?
    var message: Message?

    init(_ event: TrackedEvent) {
        row = String(event.row)
        stamp = Words.stamp(event.time)
        time = Words.time(event.time)
        wall = Words.wall(event.wall)
        status = event.status.words
        mark = event.status.group.mark
        self.class = event.status.group.rawValue
        percent = event.percent.map(String.init)
        detail = event.detail
        explanation = event.status.explanation
        notice = event.notice.map(String.init)
        message = event.message.map(Self.explain)
    }

    static func explain(_ bytes: [UInt8]) -> Message {
        do throws(MessageError) {
            let message = try GBCSMessage(parsing: bytes)
            let content = try? MessageContent(of: message)
            let code = message.header.otherInformation.messageCode
            let name = [code.useCase, message.header.kind.words].compactMap(\.self)
            return Message(
                title: "GBCS message: \(name.joined(separator: " "))",
                caption: "\(Words.count(bytes.count)) bytes, from "
                    + "\(message.header.originator.text) to \(message.header.recipient.text)",
                fields: message.fields(content: content).map { field in
                    let hex = Hex.string(field.bytes.prefix(maximumHex))
                    return Field(
                        name: field.name,
                        hex: field.bytes.count > maximumHex ? hex + "…" : hex,
                        meaning: field.meaning, depth: String(min(field.depth, 3)))
                })
        } catch {
            let hex = Hex.string(bytes.prefix(maximumHex))
            return Message(
                title: "Message that cannot be read",
                caption: "\(Words.count(bytes.count)) bytes: \(error)",
                fields: [Field(name: "bytes", hex: hex, meaning: "", depth: "0")])
        }
    }
}

/// Where pages are.
enum ScreenPath {
    static func request(_ id: RequestID) -> String { "/requests/\(id)" }

    static func device(_ device: EUI64, of request: RequestID) -> String {
        "/requests/\(request)/devices/\(device.text)"
    }
}
