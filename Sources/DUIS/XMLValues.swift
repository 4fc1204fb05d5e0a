import Crypto
import DCC
import GBCS
import Glibc
import Wire

/// Simple types of the schema. Each reader throws what was found and what was expected.
extension XMLElement {
    func fault(_ found: some StringProtocol, expected: String) -> Fault {
        Fault("\(place): found \(quoted(found)), expected \(expected)")
    }

    /// The text with the white space around it taken off, and what is inside made one space each
    /// (`whiteSpace="collapse"`).
    func collapsed() throws(Fault) -> String {
        let text = try text()
        guard text.utf8.contains(where: { Self.isSpace($0) }) else { return text }
        return text.utf8.split(whereSeparator: { Self.isSpace($0) })
            .map { String($0) ?? "" }.joined(separator: " ")
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
    }

    /// `xs:string` of so many characters; white space counts.
    func string(_ length: ClosedRange<Int>) throws(Fault) -> String {
        try checkAttributes()
        let text = try text()
        // No need to count what is far too long.
        let count = text.utf8.count > 4 * length.upperBound ? .max : text.unicodeScalars.count
        guard length.contains(count) else {
            let bounds =
                length.lowerBound == length.upperBound
                ? "\(length.lowerBound)" : "\(length.lowerBound) to \(length.upperBound)"
            throw fault(text, expected: "\(bounds) characters")
        }
        return text
    }

    /// One of a list, to the letter.
    func choice(of names: Set<String>, _ what: String) throws(Fault) -> String {
        try checkAttributes()
        let text = try text()
        guard names.contains(text) else { throw fault(text, expected: what) }
        return text
    }

    func choice<Value: RawRepresentable & CaseIterable>(
        _ type: Value.Type, among allowed: [Value]? = nil
    ) throws(Fault) -> Value where Value.RawValue == String {
        try checkAttributes()
        let text = try text()
        let values = allowed ?? Array(Value.allCases)
        guard let value = values.first(where: { $0.rawValue == text }) else {
            throw fault(
                text, expected: "one of " + values.map(\.rawValue).joined(separator: ", "))
        }
        return value
    }

    func eui64() throws(Fault) -> EUI64 {
        try checkAttributes()
        let text = try collapsed()
        guard text.utf8.count == 23, let id = EUI64(text),
            text.utf8.enumerated().allSatisfy({ $0 % 3 != 2 || $1 == UInt8(ascii: "-") })
        else { throw fault(text, expected: "an EUI-64 such as 00-DB-12-34-56-78-90-A0") }
        return id
    }

    /// The id, and how it is written.
    func requestID() throws(Fault) -> (id: RequestID, text: String) {
        try checkAttributes()
        let text = try collapsed()
        guard let id = RequestID(text), Self.isDashed(text) else {
            throw fault(
                text, expected: "two EUI-64s with dashes and a counter, with colons between them")
        }
        return (id, text)
    }

    /// Whether both ids of a request's id have dashes, and no colons, between their bytes.
    private static func isDashed(_ text: String) -> Bool {
        text.utf8.prefix(47).enumerated().allSatisfy { index, byte in
            index % 3 != 2 || byte == UInt8(ascii: index == 23 ? ":" : "-")
        }
    }

    /// A whole number (`xs:integer` and what comes from it), with a sign and zeros in front if
    /// need be.
    func number<Value: FixedWidthInteger>(in range: ClosedRange<Value>) throws(Fault) -> Value {
        try checkAttributes()
        let text = try collapsed()
        guard let value = Self.whole(text).flatMap({ Value($0) }), range.contains(value) else {
            throw fault(
                text, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// The digits of a number that is not negative, without zeros in front; nil for anything else.
    private static func whole(_ text: String) -> String? {
        var digits = Substring(text)
        let isNegative = digits.hasPrefix("-")
        if isNegative || digits.hasPrefix("+") { digits.removeFirst() }
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        let rest = digits.drop { $0 == "0" }
        if isNegative && !rest.isEmpty { return nil }
        return rest.isEmpty ? "0" : String(rest)
    }

    /// `UPRN`: a number of up to twelve digits that is not 0.
    func uprn() throws(Fault) -> String {
        try checkAttributes()
        let text = try collapsed()
        guard let digits = Self.whole(text), digits != "0", digits.utf8.count <= 12 else {
            throw fault(text, expected: "a whole number from 1 to 999999999999")
        }
        return digits
    }

    func boolean() throws(Fault) -> Bool {
        try checkAttributes()
        let text = try collapsed()
        switch text {
        case "true", "1": return true
        case "false", "0": return false
        default: throw fault(text, expected: "true or false")
        }
    }

    /// `xs:hexBinary` of so many bytes.
    func hex(_ length: ClosedRange<Int>) throws(Fault) -> [UInt8] {
        try checkAttributes()
        let text = try collapsed()
        guard text.utf8.count <= 2 * length.upperBound, let bytes = Hex.bytes(text),
            length.contains(bytes.count)
        else {
            let bounds =
                length.lowerBound == length.upperBound
                ? "\(2 * length.lowerBound)"
                : "\(2 * length.lowerBound) to \(2 * length.upperBound)"
            throw fault(text, expected: "\(bounds) hex digits, two for each byte")
        }
        return bytes
    }

    /// A code of two bytes in hex.
    func code() throws(Fault) -> UInt16 {
        let bytes = try hex(2...2)
        return UInt16(bytes[0]) << 8 | UInt16(bytes[1])
    }

    func base64(limit: Int) throws(Fault) -> [UInt8] {
        try checkAttributes()
        let bytes = try withText { text throws(Fault) in
            do throws(Base64Text.Flaw) {
                return try Base64Text.decode(text)
            } catch {
                throw Fault(
                    "\(place): no base64: \(error.words), at byte \(error.offset) of the text")
            }
        }
        guard bytes.count <= limit else {
            throw Fault("\(place): \(bytes.count) bytes; at most \(limit) are allowed")
        }
        return bytes
    }

    func deviceIDs(limit: Int) throws(Fault) -> [EUI64] {
        try checkAttributes()
        return try withText { text throws(Fault) in
            guard (DeviceIDText.stride - 1...limit).contains(text.count) else {
                throw Fault(
                    "\(place): \(text.count) characters; a list has from 23 to \(limit), which is "
                        + "\((limit + 1) / DeviceIDText.stride) devices")
            }
            do throws(DeviceIDText.Flaw) {
                return try DeviceIDText.parse(text)
            } catch {
                throw Fault(
                    "\(place): entry \(error.entry) is no EUI-64 with dashes, followed by a comma "
                        + "unless it is the last")
            }
        }
    }

    /// The text's bytes: those of the tree itself, if they lie in one piece.
    func withText<Value>(
        _ body: (UnsafeBufferPointer<UInt8>) throws(Fault) -> Value
    ) throws(Fault) -> Value {
        if let only = onlyText, let start = only.pointee.content {
            return try body(
                run ?? UnsafeBufferPointer(start: start, count: Self.length(start)))
        }
        let bytes = Array(try text().utf8)
        var result: Result<Value, Fault>?
        bytes.withUnsafeBufferPointer { buffer in
            do throws(Fault) {
                result = .success(try body(buffer))
            } catch {
                result = .failure(error)
            }
        }
        return try result!.get()
    }

    static func length(_ text: UnsafePointer<UInt8>) -> Int {
        // libc's, which looks at many bytes at once.
        UnsafeRawPointer(text).withMemoryRebound(to: CChar.self, capacity: 1) { strlen($0) }
    }

    func dateTime() throws(Fault) -> SchemaTime {
        try checkAttributes()
        let text = try collapsed()
        guard let time = SchemaTime(text) else {
            throw fault(text, expected: "a date and time such as 2030-01-15T09:00:00Z")
        }
        return time
    }
}

/// `xs:dateTime`. Without a zone it is taken for UTC (assumption); parts of a second are left out.
struct SchemaTime: Hashable {
    /// Not 0.
    var year: Int
    /// Before 2000 or after 2136 the nearest moment that there is.
    var utc: UTCTime

    init?(_ text: String) {
        var rest = Array(text.utf8)[...]
        func take(_ byte: Unicode.Scalar) -> Bool {
            guard rest.first == UInt8(ascii: byte) else { return false }
            rest = rest.dropFirst()
            return true
        }
        func digits(_ count: ClosedRange<Int>) -> Int? {
            let run = rest.prefix { (0x30...0x39).contains($0) }
            guard count.contains(run.count) else { return nil }
            rest = rest.dropFirst(run.count)
            return run.reduce(0) { $0 * 10 + Int($1 - 0x30) }
        }
        let isNegative = take("-")
        let yearDigits = rest.prefix { (0x30...0x39).contains($0) }.count
        // Zeros in front only fill four digits up.
        guard yearDigits <= 4 || rest.first != 0x30, let year = digits(4...9), year != 0,
            take("-"), let month = digits(2...2), take("-"), let day = digits(2...2), take("T"),
            let hour = digits(2...2), take(":"), let minute = digits(2...2), take(":"),
            let second = digits(2...2)
        else { return nil }
        var isWhole = true
        if take(".") {
            let run = rest.prefix { (0x30...0x39).contains($0) }
            guard !run.isEmpty else { return nil }
            isWhole = run.allSatisfy { $0 == 0x30 }
            rest = rest.dropFirst(run.count)
        }
        var offset = 0
        if !take("Z"), !rest.isEmpty {
            let isWest = take("-")
            guard isWest || take("+"), let hours = digits(2...2), take(":"),
                let minutes = digits(2...2), minutes < 60, hours * 60 + minutes <= 14 * 60
            else { return nil }
            offset = (hours * 60 + minutes) * (isWest ? 60 : -60)
        }
        guard rest.isEmpty, (1...12).contains(month),
            (1...Self.days(in: month, of: isNegative ? 1 - year : year)).contains(day),
            minute < 60, second < 60,
            hour < 24 || (hour == 24 && minute == 0 && second == 0 && isWhole)
        else { return nil }
        self.year = isNegative ? -year : year
        guard !isNegative, (1999...2137).contains(year) else {
            utc = UTCTime(secondsSince2000: isNegative || year < 2000 ? 0 : .max)
            return
        }
        var days = day - 1
        for past in 2000..<max(2000, year) { days += Self.isLeap(past) ? 366 : 365 }
        if year < 2000 { days -= 365 }
        for past in 1..<month { days += Self.days(in: past, of: year) }
        utc = UTCTime(
            secondsSince2000: UInt32(
                clamping: days * 86_400 + hour * 3600 + minute * 60 + second + offset))
    }

    private static func isLeap(_ year: Int) -> Bool {
        year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    }

    private static func days(in month: Int, of year: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// How DUIS writes that something is not to be done any more: the year 3000.
    static let cancelYear = 3000
    static let cancelText = "3000-12-31T00:00:00Z"

    var execution: ExecutionTime { year >= Self.cancelYear ? .never : .at(utc) }

    static func text(_ time: UTCTime) -> String {
        GeneralizedTime(secondsSince2000: time.secondsSince2000).map { "\($0)" } ?? ""
    }
}
