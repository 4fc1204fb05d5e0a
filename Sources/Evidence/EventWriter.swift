import Radio
import Wire

/// Writes events as `events.jsonl`: one JSON object a line, its keys always in the same order.
///
/// Each line has `time` (seconds of virtual time, six decimals), `node`, `eui64` if the node has
/// one, `event`, then the fields of the kind. `docs/events.md` lists them.
package struct EventWriter {
    /// The keys that every line has, which no field may be called.
    package static let commonKeys = ["time", "node", "eui64", "event", "title"]

    private let file: OutputFile
    /// `"node":…,"eui64":…,"event":` for each member of the roster.
    private let nodes: [[UInt8]]
    /// By raw value: the kind's quoted name and its fields.
    private let kinds: [Kind?]
    private let names: [[UInt8]]
    private let read: MessageAccount.Reading
    private let steps: [[UInt8]]
    private let dropReasons: [[UInt8]]
    private let refusals: [[UInt8]]
    private let benchOrders: [[UInt8]]
    private let useCases: [UInt64: [UInt8]]
    private let messageKinds: [[UInt8]]
    private let verdicts: [[UInt8]]
    private let transmitStatuses: [[UInt8]]
    private let zclStatuses: [[UInt8]]

    private struct Kind {
        var name: [UInt8]
        var fields: [Field]
    }

    private struct Field {
        /// `,"key":`
        var key: [UInt8]
        var format: EventFormat
    }

    package init(
        to file: OutputFile, roster: Roster, steps: [String], useCases: (UInt16) -> String?,
        read: @escaping MessageAccount.Reading = { _ in nil }
    ) {
        self.file = file
        self.read = read
        names = roster.members.map { JSON.quoted($0.name) }
        nodes = roster.members.map { Self.nodePart(name: $0.name, eui64: $0.eui64) }
        self.steps = steps.map(JSON.quoted)
        let last = EventKind.allCases.map(\.rawValue).max() ?? 0
        kinds = (0...last).map { raw in
            EventKind(rawValue: raw).map { kind in
                Kind(
                    name: JSON.quoted(kind.name),
                    fields: kind.fields.map { field in
                        Field(key: Self.keyPart(field.name), format: field.format)
                    })
            }
        }
        dropReasons = Self.names { DropReason(rawValue: $0)?.name }
        benchOrders = Self.names { BenchOrder(rawValue: $0)?.name }
        self.useCases = Dictionary(
            uniqueKeysWithValues: (0...UInt16.max).compactMap { code in
                useCases(code).map { (UInt64(code), JSON.quoted($0)) }
            })
        messageKinds = Self.names { $0 == 0 ? "none" : EventMessageKind(rawValue: $0)?.name }
        verdicts = Self.names { MessageVerdict(rawValue: $0)?.name }
        refusals = Self.names { RefusalReason(rawValue: $0)?.name }
        transmitStatuses = Self.names { TransmitStatus(rawValue: $0)?.name }
        zclStatuses = Self.names { ZCLStatusName.name(of: UInt64($0)) }
    }

    private static func nodePart(name: String, eui64: EUI64?) -> [UInt8] {
        var part = Array(#""node":"#.utf8) + JSON.quoted(name)
        if let eui64 { part += keyPart("eui64") + JSON.quoted(eui64.description) }
        return part + keyPart("event")
    }

    private static func keyPart(_ name: String) -> [UInt8] {
        [UInt8(ascii: ",")] + JSON.quoted(name) + [UInt8(ascii: ":")]
    }

    /// The quoted name of every 8-bit code; hex for those that have none.
    private static func names(_ name: (UInt8) -> String?) -> [[UInt8]] {
        (UInt8.min...UInt8.max).map { code in
            JSON.quoted(name(code) ?? "0x" + Hex.string(UInt64(code), digits: 2))
        }
    }

    /// What every line begins with.
    private func begin(_ time: Instant, _ node: UInt16) {
        file.put("{\"time\":")
        file.put(seconds: time.microseconds)
        file.put(UInt8(ascii: ","))
        if node < nodes.count {
            file.put(nodes[Int(node)])
        } else {
            file.put("\"node\":\"node ")
            file.put(decimal: UInt64(node))
            file.put("\",\"event\":")
        }
    }

    /// Writes the line of a message, with all its bytes and what they say.
    package func write(_ message: MessageRecord) {
        begin(message.time, message.node)
        file.put("\"message\",\"to\":")
        file.put(message.peer < names.count ? names[Int(message.peer)] : JSON.quoted(""))
        file.put(",\"device\":\"")
        file.put(hex: message.device.rawValue, digits: 16)
        if let account = read(message.bytes) {
            file.put("\",\"useCase\":")
            file.put(JSON.quoted(account.useCase))
            file.put(",\"kind\":")
            file.put(JSON.quoted(account.kind))
            file.put(",\"fields\":[")
            for (index, field) in account.fields.enumerated() {
                file.put(index == 0 ? "{\"name\":" : ",{\"name\":")
                file.put(JSON.quoted(field.name))
                file.put(",\"hex\":")
                file.put(JSON.quoted(Hex.string(field.bytes)))
                file.put(",\"meaning\":")
                file.put(JSON.quoted(field.meaning))
                file.put("}")
            }
            file.put("],\"hex\":\"")
        } else {
            file.put("\",\"hex\":\"")
        }
        file.put(Array(Hex.string(message.bytes).utf8))
        file.put("\"}\n")
    }

    /// Writes the event's line.
    package func write(_ event: EventRecord) {
        begin(event.time, event.node)
        // The table has every kind there is.
        guard let kind = kinds[Int(event.kind.rawValue)] else { return }
        file.put(kind.name)
        var next = 0
        for field in kind.fields {
            guard next < event.values.count else { break }
            file.put(field.key)
            next += put(field.format, event.values, at: next)
        }
        file.put("}\n")
    }

    /// Writes one field and returns how many of the values it took.
    private func put(
        _ format: EventFormat, _ values: InlineArray<6, UInt64>, at index: Int
    ) -> Int {
        let value = values[index]
        switch format {
        case .decimal: file.put(decimal: value)
        case .duration: file.put(seconds: Int64(clamping: value))
        case .hex(let digits):
            file.put("\"0x")
            file.put(hex: value, digits: digits)
            file.put(UInt8(ascii: "\""))
        case .eui64:
            file.put(UInt8(ascii: "\""))
            file.put(hex: value, digits: 16)
            file.put(UInt8(ascii: "\""))
        case .yesNo:
            if value == 0 { file.put("false") } else { file.put("true") }
        case .dropReason: put(name: value, of: dropReasons)
        case .refusal: put(name: value, of: refusals)
        case .benchOrder: put(name: value, of: benchOrders)
        case .messageCode:
            file.put("\"0x")
            file.put(hex: value, digits: 4)
            file.put(UInt8(ascii: "\""))
            if let name = useCases[value] {
                file.put(",\"useCase\":")
                file.put(name)
            }
        case .messageKind: put(name: value, of: messageKinds)
        case .verdict: put(name: value, of: verdicts)
        case .transmitStatus: put(name: value, of: transmitStatuses)
        case .zclStatus: put(name: value, of: zclStatuses)
        case .word:
            file.put(UInt8(ascii: "\""))
            for byte in EventKind.text(of: value).utf8 where byte != 0x22 && byte != 0x5C {
                file.put(byte)
            }
            file.put(UInt8(ascii: "\""))
        case .digest:
            file.put(UInt8(ascii: "\""))
            let end = min(index + 4, values.count)
            for word in index..<end { file.put(digestWord: values[word]) }
            file.put(UInt8(ascii: "\""))
            return 4
        case .step:
            file.put(decimal: value)
            if value < UInt64(steps.count) {
                file.put(",\"title\":")
                file.put(steps[Int(value)])
            }
        }
        return 1
    }

    private func put(name value: UInt64, of names: [[UInt8]]) {
        if value < UInt64(names.count) {
            file.put(names[Int(value)])
        } else {
            file.put("\"0x")
            file.put(hex: value, digits: 2)
            file.put(UInt8(ascii: "\""))
        }
    }
}
